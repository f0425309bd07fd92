/*
 * twinctl: the operator's command line. One table of commands; tables for people, --json for
 * programs. Exit: 0 done, 1 failed, 2 usage, 3 some of several failed.
 */
#include "twinctl/twinctl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct command {
	const char *name, *help;
	int (*run)(const struct twinctl *t, int argc, char **argv);
} commands[] = {
	{ "status", "the server, its relationships and whether it serves", cmd_status },
	{ "relationship",
	  "list | show NAME | partner-down NAME [--force] [--since TIME] | shutdown NAME | pause "
	  "NAME | resume NAME",
	  cmd_relationship },
	{ "scope", "list | stats | show SUBNET", cmd_scope },
	{ "lease", "list [--scope SUBNET] [--state STATE | --all] | show ADDRESS", cmd_lease },
	{ "clock", "show | accept", cmd_clock },
	{ "filter", "show | buckets [RELATIONSHIP] | attach IFACE | detach IFACE", cmd_filter },
	{ "explain", "HARDWARE-ADDRESS | ADDRESS | --client-id HEX [--scope SUBNET] [--secs N]",
	  cmd_explain },
	{ "events", "[--follow]", cmd_events },
};

static int help(FILE *out)
{
	fprintf(out,
		"twinctl %s - look at and steer a Twinlease server\n\n"
		"usage: twinctl [--server unix:/run/twinlease/api.sock] [--json] COMMAND ...\n\n",
		TWINLEASE_VERSION);
	for (unsigned i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		fprintf(out, "  %-13s %s\n", commands[i].name, commands[i].help);
	return out == stdout ? EXIT_DONE : EXIT_USAGE;
}

/* Options may stand anywhere; takes them out of argv. Returns the new argc, -1 for usage. */
static int take_options(struct twinctl *t, int argc, char **argv)
{
	int kept = 1;

	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--json"))
			t->json = true;
		else if (!strcmp(argv[i], "--server") && i + 1 < argc)
			t->server = argv[++i];
		else if (!strcmp(argv[i], "--server"))
			return -1;
		else
			argv[kept++] = argv[i];
	}
	return kept;
}

/* What was printed must have arrived: a full disk is a failure. */
static int flushed(int code)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return code;
	fprintf(stderr, "twinctl: cannot write the output: %s\n", strerror(errno));
	return code == EXIT_DONE ? EXIT_FAILED : code;
}

int main(int argc, char **argv)
{
	const char *env = getenv("TWINLEASE_SERVER");
	struct twinctl t = { .server = env ? env : "unix:/run/twinlease/api.sock",
			     .colour = isatty(STDOUT_FILENO) && !getenv("NO_COLOR") };

	argc = take_options(&t, argc, argv);
	if (argc < 2)
		return help(stderr);
	for (int i = 1; i < argc; i++)
		if (!*argv[i]) {
			fprintf(stderr, "twinctl: an argument is empty\n");
			return EXIT_USAGE;
		}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "help"))
		return help(stdout);
	if (!strcmp(argv[1], "--version")) {
		printf("twinctl %s\n", TWINLEASE_VERSION);
		return EXIT_DONE;
	}
	for (unsigned i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (!strcmp(argv[1], commands[i].name))
			return flushed(commands[i].run(&t, argc - 2, argv + 2));
	fprintf(stderr, "twinctl: there is no command \"%s\"\n\n", argv[1]);
	return help(stderr);
}
