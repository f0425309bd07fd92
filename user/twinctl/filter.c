/*
 * twinctl filter: what the kernel half does (asked of the daemon), and attach and detach, which
 * need no daemon.
 */
#include "twinctl/twinctl.h"

#include <stdio.h>
#include <string.h>

#include "dp/datapath.h"
#include "sys/log.h"

#define ATTACH_HELP                                                                                \
	"filter attach IFACE [--mode auto|native|generic] [--pin-directory DIR] [--group NAME] "   \
	"[--force]"
#define DETACH_HELP "filter detach IFACE [--pin-directory DIR]"

static const struct column verdict_cols[] = { { "REASON", "reason", 0 },
					      { "PACKETS", "packets", 0 },
					      { "OCTETS", "octets", 0 },
					      { "MEANS", "means", 0 } };

static int show(const struct twinctl *t)
{
	static const struct column ifaces[] = { { "INTERFACE", "name", 0 },
						{ "ATTACHED", "attached", 0 } };
	json_t *o = api_call(t, "/v1/filter", NULL);
	char buf[64];

	if (!o)
		return EXIT_FAILED;
	if (t->json) {
		print_json(o);
	} else {
		printf("filter %s; ", value_text(o, "mode", buf, sizeof(buf)));
		printf("%s switches, ", value_text(o, "switches.count", buf, sizeof(buf)));
		printf("the slowest took %s s\n\n",
		       value_text(o, "switches.max-seconds", buf, sizeof(buf)));
		print_table(json_object_get(o, "interfaces"), ifaces, 2);
		putchar('\n');
		print_table(json_object_get(o, "verdicts"), verdict_cols, 4);
	}
	json_decref(o);
	return EXIT_DONE;
}

static int buckets(const struct twinctl *t, const char *relation)
{
	char path[1200] = "/v1/filter/buckets", escaped[1000];
	json_t *o;

	if (relation)
		snprintf(path, sizeof(path), "/v1/filter/buckets?relationship=%s",
			 api_escape(relation, escaped, sizeof(escaped)));
	o = api_call(t, path, NULL);
	if (!o)
		return EXIT_FAILED;
	if (t->json)
		print_json(o);
	else
		print_buckets(t, o);
	json_decref(o);
	return EXIT_DONE;
}

static bool read_mode(const char *text, enum conf_filter_mode *ret)
{
	static const struct {
		const char *name;
		enum conf_filter_mode mode;
	} modes[] = { { "auto", FILTER_AUTO },
		      { "native", FILTER_NATIVE },
		      { "generic", FILTER_GENERIC } };

	for (unsigned i = 0; i < 3; i++)
		if (!strcmp(text, modes[i].name)) {
			*ret = modes[i].mode;
			return true;
		}
	return false;
}

/* Options behind the interface. */
static bool read_options(int argc, char **argv, bool attach, struct datapath_conf *c)
{
	for (int i = 1; i < argc; i++) {
		bool more = i + 1 < argc;

		if (!strcmp(argv[i], "--pin-directory") && more)
			c->pin_directory = argv[++i];
		else if (attach && !strcmp(argv[i], "--group") && more)
			c->group = argv[++i];
		else if (attach && !strcmp(argv[i], "--force"))
			c->force = true;
		else if (!attach || strcmp(argv[i], "--mode") || !more ||
			 !read_mode(argv[++i], &c->mode))
			return false;
	}
	return true;
}

static int attach_or_detach(int argc, char **argv, bool attach)
{
	struct datapath_conf c = { .mode = FILTER_AUTO,
				   .pin_directory = "/sys/fs/bpf/twinlease",
				   .fail_open_after_ms = 6000 };
	char err[256] = "";
	int r;

	if (argc < 1 || argv[0][0] == '-' || !read_options(argc, argv, attach, &c))
		return usage(attach ? ATTACH_HELP : DETACH_HELP);
	log_setup(LOG_L_WARNING, LOG_TEXT);
	r = attach ? datapath_attach(&c, argv[0], err)
		   : datapath_detach(c.pin_directory, argv[0], err);
	if (r < 0) {
		fprintf(stderr, "twinctl: %s\n", err);
		return EXIT_FAILED;
	}
	if (attach)
		printf("attached to %s; pins in %s; it passes everything until twinleased runs\n",
		       argv[0], c.pin_directory);
	else
		printf("detached from %s\n", argv[0]);
	return EXIT_DONE;
}

int cmd_filter(const struct twinctl *t, int argc, char **argv)
{
	if (argc == 1 && !strcmp(argv[0], "show"))
		return show(t);
	if ((argc == 1 || argc == 2) && !strcmp(argv[0], "buckets"))
		return buckets(t, argc == 2 ? argv[1] : NULL);
	if (argc >= 1 && !strcmp(argv[0], "attach"))
		return attach_or_detach(argc - 1, argv + 1, true);
	if (argc >= 1 && !strcmp(argv[0], "detach"))
		return attach_or_detach(argc - 1, argv + 1, false);
	return usage("filter show | buckets [RELATIONSHIP] | attach IFACE | detach IFACE");
}
