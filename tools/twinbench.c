/*
 * twinbench: simulated DHCP clients and a load generator. It plays a relay that feeds one or
 * several servers, or many direct clients on one interface; runs phases (DORA, renewals, ...)
 * over N clients whose identities come from a seed; prints what happened as JSON.
 * Spec: RFC 2131 §4.4, RFC 1542 §4.1 (relay), RFC 3074 (buckets).
 */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include "lib/bench.h"

#define PHASES_MAX 256

struct options {
	struct bench_conf conf;
	struct bench_event event;
	const char *leases, *resume;
	enum bench_phase phase[PHASES_MAX];
	unsigned n_phases, n_servers;
	uint32_t server[BENCH_SERVERS];
	bool buckets, perfdhcp, strict;
};

static const char *const phase_name[] = { "discover", "dora",	 "renew",  "rebind",
					  "reboot",   "release", "decline" };

static const char usage[] =
	"usage: twinbench (--giaddr ADDR --server ADDR... | --interface IF) [options]\n"
	"who plays:\n"
	"  --giaddr ADDR       be the relay with this address (UDP port 67); to each --server\n"
	"  --server ADDR       a DHCP server, up to four\n"
	"  --interface IF      be direct clients on this interface (packet socket)\n"
	"  --clients N         how many clients (default 100); --first N: number of the first one\n"
	"  --seed TEXT         identities come from it: the same text, the same clients\n"
	"  --identity WHAT     mac | client-id | mixed: who sends option 61 (default mac)\n"
	"  --hash-identity H   client-id | hardware-address: how --buckets counts (default "
	"client-id)\n"
	"  --broadcast         set the broadcast flag\n"
	"  --circuit TEXT      relay: add option 82 with this circuit id\n"
	"what they do:\n"
	"  --phases LIST       of discover dora renew rebind reboot release decline (default "
	"dora)\n"
	"  --secs N            start value of secs; --secs-fixed: it does not grow\n"
	"  --tries N           transmissions before an exchange has failed (default 4, at most "
	"16)\n"
	"  --timeout MS        until a message is sent again (default 1000); --backoff: doubled\n"
	"  --listen MS         discover: how long OFFERs are collected (default 500)\n"
	"  --rebind-after N    renew: unicast transmissions before a broadcast (default 1)\n"
	"  --window N          closed loop: exchanges under way (default 64)\n"
	"  --rate R            open loop: exchanges per second; --period S: for so long\n"
	"  --at S --run CMD    run CMD once, S seconds after a phase began; gap_ms counts from it\n"
	"what is kept and shown:\n"
	"  --leases FILE       a line per ACK: MAC address expiry server-id time\n"
	"  --resume FILE       begin with the leases of such a file\n"
	"  --buckets           OFFERs per server and RFC 3074 bucket\n"
	"  --perfdhcp          print the counters as perfdhcp does (and never send again)\n"
	"  --strict            exit 1 unless every exchange was done and nobody got a NAK\n"
	"Exit: 0 it ran; 1 an address was given twice (or --strict); 2 usage.\n";

static volatile int stop;

static void on_signal(int number)
{
	(void)number;
	stop = 1;
}

static void die(const char *what, const char *value)
{
	fprintf(stderr, "twinbench: %s: %s\n", what, value);
	exit(2);
}

static uint32_t addr_or_die(const char *text)
{
	struct in_addr a;

	if (!inet_aton(text, &a))
		die("not an IPv4 address", text);
	return ntohl(a.s_addr);
}

static double number_or_die(const char *text)
{
	char *end;
	double v = strtod(text, &end);

	if (end == text || *end || v < 0)
		die("not a number", text);
	return v;
}

/* FNV-1a: any text is a seed. */
static uint64_t seed_of(const char *text)
{
	uint64_t h = 0xcbf29ce484222325ULL;

	while (*text)
		h = (h ^ (uint8_t)*text++) * 0x100000001b3ULL;
	return h;
}

static void parse_phases(struct options *o, char *list)
{
	char *save = NULL;

	o->n_phases = 0;
	for (char *w = strtok_r(list, ", ", &save); w; w = strtok_r(NULL, ", ", &save)) {
		unsigned i = 0;

		while (i <= PH_DECLINE && strcmp(w, phase_name[i]))
			i++;
		if (i > PH_DECLINE || o->n_phases == PHASES_MAX)
			die("no such phase, or too many", w);
		o->phase[o->n_phases++] = (enum bench_phase)i;
	}
}

static enum bench_identity parse_identity(const char *w)
{
	if (!strcmp(w, "mac"))
		return ID_MAC;
	if (!strcmp(w, "client-id"))
		return ID_CLIENT_ID;
	if (!strcmp(w, "mixed"))
		return ID_MIXED;
	die("no such identity", w);
	return ID_MAC;
}

enum {
	O_GIADDR = 256,
	O_SERVER,
	O_INTERFACE,
	O_CLIENTS,
	O_FIRST,
	O_SEED,
	O_IDENTITY,
	O_HASH,
	O_BROADCAST,
	O_CIRCUIT,
	O_PHASES,
	O_SECS,
	O_SECS_FIXED,
	O_TRIES,
	O_TIMEOUT,
	O_BACKOFF,
	O_LISTEN,
	O_REBIND_AFTER,
	O_WINDOW,
	O_RATE,
	O_PERIOD,
	O_AT,
	O_RUN,
	O_LEASES,
	O_RESUME,
	O_BUCKETS,
	O_PERFDHCP,
	O_STRICT,
	O_HELP
};

static const struct option long_options[] = {
	{ "giaddr", 1, NULL, O_GIADDR },
	{ "server", 1, NULL, O_SERVER },
	{ "interface", 1, NULL, O_INTERFACE },
	{ "clients", 1, NULL, O_CLIENTS },
	{ "first", 1, NULL, O_FIRST },
	{ "seed", 1, NULL, O_SEED },
	{ "identity", 1, NULL, O_IDENTITY },
	{ "hash-identity", 1, NULL, O_HASH },
	{ "broadcast", 0, NULL, O_BROADCAST },
	{ "circuit", 1, NULL, O_CIRCUIT },
	{ "phases", 1, NULL, O_PHASES },
	{ "secs", 1, NULL, O_SECS },
	{ "secs-fixed", 0, NULL, O_SECS_FIXED },
	{ "tries", 1, NULL, O_TRIES },
	{ "timeout", 1, NULL, O_TIMEOUT },
	{ "backoff", 0, NULL, O_BACKOFF },
	{ "listen", 1, NULL, O_LISTEN },
	{ "rebind-after", 1, NULL, O_REBIND_AFTER },
	{ "window", 1, NULL, O_WINDOW },
	{ "rate", 1, NULL, O_RATE },
	{ "period", 1, NULL, O_PERIOD },
	{ "at", 1, NULL, O_AT },
	{ "run", 1, NULL, O_RUN },
	{ "leases", 1, NULL, O_LEASES },
	{ "resume", 1, NULL, O_RESUME },
	{ "buckets", 0, NULL, O_BUCKETS },
	{ "perfdhcp", 0, NULL, O_PERFDHCP },
	{ "strict", 0, NULL, O_STRICT },
	{ "help", 0, NULL, O_HELP },
	{ NULL, 0, NULL, 0 },
};

static void add_server(struct options *o, const char *text)
{
	if (o->n_servers == BENCH_SERVERS)
		die("more than four servers", text);
	o->server[o->n_servers++] = addr_or_die(text);
}

/* Options that say who plays; false: another one. */
static bool take_who(struct options *o, int option, const char *arg)
{
	struct bench_conf *c = &o->conf;

	switch (option) {
	case O_GIADDR:
		c->giaddr = addr_or_die(arg);
		return true;
	case O_SERVER:
		add_server(o, arg);
		return true;
	case O_INTERFACE:
		c->interface = arg;
		return true;
	case O_CLIENTS:
		c->clients = (uint32_t)number_or_die(arg);
		return true;
	case O_FIRST:
		c->first = (uint32_t)number_or_die(arg);
		return true;
	case O_SEED:
		c->seed = seed_of(arg);
		return true;
	case O_IDENTITY:
		c->identity = parse_identity(arg);
		return true;
	case O_HASH:
		c->hash_hardware = !strcmp(arg, "hardware-address");
		return true;
	case O_BROADCAST:
		c->broadcast = true;
		return true;
	case O_CIRCUIT:
		c->circuit = arg;
		return true;
	}
	return false;
}

static bool take_what(struct options *o, int option, char *arg)
{
	struct bench_conf *c = &o->conf;

	switch (option) {
	case O_PHASES:
		parse_phases(o, arg);
		return true;
	case O_SECS:
		c->secs = (uint16_t)number_or_die(arg);
		return true;
	case O_SECS_FIXED:
		c->secs_fixed = true;
		return true;
	case O_TRIES:
		c->tries = (unsigned)number_or_die(arg);
		return true;
	case O_TIMEOUT:
		c->timeout_ms = (uint32_t)number_or_die(arg);
		return true;
	case O_BACKOFF:
		c->backoff = true;
		return true;
	case O_LISTEN:
		c->listen_ms = (uint32_t)number_or_die(arg);
		return true;
	case O_REBIND_AFTER:
		c->rebind_after = (unsigned)number_or_die(arg);
		return true;
	case O_WINDOW:
		c->window = (uint32_t)number_or_die(arg);
		return true;
	case O_RATE:
		c->rate = number_or_die(arg);
		return true;
	case O_PERIOD:
		c->period = number_or_die(arg);
		return true;
	case O_AT:
		o->event.at = number_or_die(arg);
		return true;
	case O_RUN:
		o->event.command = arg;
		return true;
	}
	return false;
}

static bool take_shown(struct options *o, int option, const char *arg)
{
	switch (option) {
	case O_LEASES:
		o->leases = arg;
		return true;
	case O_RESUME:
		o->resume = arg;
		return true;
	case O_BUCKETS:
		o->buckets = true;
		return true;
	case O_PERFDHCP:
		o->perfdhcp = true;
		o->conf.tries = 1;
		return true;
	case O_STRICT:
		o->strict = true;
		return true;
	}
	return false;
}

static void parse(struct options *o, int argc, char **argv)
{
	int opt;

	while ((opt = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
		if (opt == O_HELP) {
			fputs(usage, stdout);
			exit(0);
		}
		if (!take_who(o, opt, optarg) && !take_what(o, opt, optarg) &&
		    !take_shown(o, opt, optarg))
			die("see --help", "");
	}
	if (optind < argc)
		die("what is this", argv[optind]);
	if (!o->conf.interface == !o->conf.giaddr)
		die("give either --giaddr or --interface", "see --help");
	if (o->conf.giaddr && !o->n_servers)
		die("--giaddr needs --server", "see --help");
	if (!o->conf.clients || o->conf.clients > 1u << 24 || !o->conf.window)
		die("--clients", "1 to 16777216; --window at least 1");
	if (!o->conf.tries || o->conf.tries > BENCH_LEVELS)
		die("--tries", "1 to 16");
}

static void open_bench(struct bench *b, const struct options *o)
{
	int r;

	b->conf = o->conf;
	if (b->conf.rate * b->conf.period > 0 && b->conf.clients > b->conf.rate * b->conf.period)
		b->conf.clients = (uint32_t)(b->conf.rate * b->conf.period) + 1;
	b->event = o->event;
	b->stop = &stop;
	b->client = calloc(b->conf.clients, sizeof(*b->client));
	b->held = bench_held_new(b->conf.clients);
	if (!b->client || !b->held)
		die("memory", strerror(ENOMEM));
	for (uint32_t i = 0; i < b->conf.clients; i++)
		b->client[i].xid = (uint32_t)(b->conf.seed << 24) | i;
	for (; b->n_servers < o->n_servers; b->n_servers++)
		b->server[b->n_servers].addr = o->server[b->n_servers];
	r = bench_net_open(&b->conf, b->server, b->n_servers, &b->net);
	if (r < 0)
		die("sockets (root? giaddr on this host? interface up?)", strerror(-r));
	if (o->leases && !(b->leases = fopen(o->leases, "ae")))
		die(o->leases, strerror(errno));
	if (o->resume && (r = bench_load_leases(b, o->resume)) < 0)
		die(o->resume, strerror(-r));
}

static void close_bench(struct bench *b)
{
	if (b->leases)
		fclose(b->leases);
	bench_net_close(b->net);
	bench_held_free(b->held);
	free(b->client);
}

static uint32_t count_leases(const struct bench *b)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < b->conf.clients; i++)
		n += b->client[i].addr && b->client[i].expiry > b->now_sec;
	return n;
}

/* Returns whether every phase went without a failure and without a NAK. */
static bool run(struct bench *b, const struct options *o)
{
	bool clean = true;

	if (!o->perfdhcp)
		printf("{\"clients\": %" PRIu32 ", \"phases\": [", b->conf.clients);
	for (unsigned i = 0; i < o->n_phases && !stop; i++) {
		double seconds = bench_run_phase(b, o->phase[i]);

		clean = clean && !b->k.failed && !b->k.naks;
		if (o->perfdhcp) {
			bench_print_perfdhcp(stdout, &b->conf, &b->k, b->conf.period ?: seconds);
			continue;
		}
		fputs(i ? ",\n " : "\n ", stdout);
		bench_print_phase(stdout, phase_name[o->phase[i]], &b->k, seconds);
	}
	if (o->perfdhcp)
		return clean;
	fputs("],\n ", stdout);
	bench_print_servers(stdout, b->server, b->n_servers, o->buckets);
	printf(",\n \"leases\": %" PRIu32 ", \"duplicates\": %" PRIu64, count_leases(b),
	       b->duplicates);
	if (b->event_us)
		printf(", \"gap_ms\": %.1f", (double)b->gap_us / 1000);
	printf(", \"stopped\": %s}\n", stop ? "true" : "false");
	return clean;
}

int main(int argc, char **argv)
{
	static struct bench bench;
	struct options o = { .conf = { .clients = 100,
				       .seed = seed_of("twinbench"),
				       .window = 64,
				       .tries = 4,
				       .timeout_ms = 1000,
				       .rebind_after = 1,
				       .listen_ms = 500 },
			     .phase = { PH_DORA },
			     .n_phases = 1 };
	bool clean;

	parse(&o, argc, argv);
	signal(SIGINT, on_signal);
	signal(SIGTERM, on_signal);
	signal(SIGCHLD, SIG_IGN); /* nobody waits for --run */
	open_bench(&bench, &o);
	clean = run(&bench, &o);
	close_bench(&bench);
	return bench.duplicates || (o.strict && !clean);
}
