/*
 * twinbench: its command line.
 */
#include <arpa/inet.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include "bench_options.h"

/* From here on a process that wakes up for every message spends its time with waking up. */
#define NAP_RATE 20000
#define NAP_US 50
#define RATE_MIN .001 /* that the last exchange is due within what a clock can show */

static const char usage[] =
	"usage: twinbench (--giaddr ADDR... --server ADDR... | --interface IF) [options]\n"
	"who plays:\n"
	"  --giaddr ADDR       be the relay with this address (UDP port 67); to each --server. Up "
	"to\n"
	"                      256 of them: client N is behind relay N modulo their number\n"
	"  --server ADDR       a DHCP server, up to four\n"
	"  --interface IF      be direct clients on this interface (packet socket)\n"
	"  --clients N         how many clients (default 100), up to 16777216, each 120 octets of\n"
	"                      memory at most; --first N: number of the first one\n"
	"  --seed TEXT         identities come from it: the same text, the same clients\n"
	"  --identity WHAT     mac | client-id | mixed: who sends option 61 (default mac)\n"
	"  --hash-identity H   client-id | hardware-address: how --buckets counts (default "
	"client-id)\n"
	"  --broadcast         set the broadcast flag\n"
	"  --circuit TEXT      relay: add option 82 with this circuit id\n"
	"what they do:\n"
	"  --phases LIST       one after the other, each by all clients: discover dora renew "
	"rebind\n"
	"                      reboot release decline, return (a DORA by those with a lease); "
	"default dora\n"
	"  --mix LIST          at one time, by weight: dora=50,renew=30,reboot=10,release=3. Who "
	"has no\n"
	"                      lease does a DORA; a DORA is by a new client as long as there is "
	"one\n"
	"  --exchanges N       how many in all (default: one per client)\n"
	"  --secs N            start value of secs; --secs-fixed: it does not grow\n"
	"  --tries N           transmissions before an exchange has failed (default 4, at most "
	"16)\n"
	"  --timeout MS        until a message is sent again (default 1000); --backoff: doubled, "
	"up to\n"
	"                      64 s; --jitter MS: so much more or less. RFC 2131 section 4.1 is\n"
	"                      --timeout 4000 --backoff --jitter 1000\n"
	"  --listen MS         discover: how long OFFERs are collected (default 500)\n"
	"  --rebind-after N    renew: unicast transmissions before a broadcast (default 1)\n"
	"  --window N          closed loop: exchanges under way (default 64)\n"
	"  --rate R            open loop: exchanges per second, by the clock. Latency counts from "
	"when\n"
	"                      an exchange was due; --period S: for so long (closed loop as well)\n"
	"  --nap US            rest before each look at the sockets: fewer and larger batches, so "
	"less\n"
	"                      processor time, and so much later answers (default 0; 50 with a\n"
	"                      --rate of 20000 and more)\n"
	"  --at S --run CMD    run CMD once, S seconds after a phase began; gap_ms counts from it\n"
	"what is kept and shown:\n"
	"  --leases FILE       a line per ACK: MAC address expiry server-id time; per RELEASE or "
	"DECLINE\n"
	"                      the same with expiry 0\n"
	"  --resume FILE       begin with the leases of such a file\n"
	"  --buckets           OFFERs per server and RFC 3074 bucket\n"
	"  --perfdhcp          print the counters as perfdhcp does (and never send again)\n"
	"  --strict            exit 1 unless all that was due was done and nobody got a NAK\n"
	"Exit: 0 it ran; 1 an address was given twice (or --strict); 2 usage.\n";

void bench_die(const char *what, const char *value)
{
	fprintf(stderr, "twinbench: %s: %s\n", what, value);
	exit(2);
}

static uint32_t addr_or_die(const char *text)
{
	struct in_addr a;

	if (!inet_aton(text, &a))
		bench_die("not an IPv4 address", text);
	return ntohl(a.s_addr);
}

static double number_or_die(const char *text)
{
	char *end;
	double v = strtod(text, &end);

	if (end == text || *end || !(v >= 0 && v <= UINT32_MAX))
		bench_die("not a number, or one too large", text);
	return v;
}

static enum bench_phase kind_or_die(const char *w)
{
	for (unsigned i = 0; i < BENCH_KINDS; i++)
		if (!strcmp(w, bench_phase_name[i]))
			return (enum bench_phase)i;
	bench_die("no such exchange", w);
	return PH_DORA;
}

static void parse_phases(struct options *o, char *list)
{
	char *save = NULL;

	o->n_phases = 0;
	for (char *w = strtok_r(list, ", ", &save); w; w = strtok_r(NULL, ", ", &save)) {
		if (o->n_phases == BENCH_PHASES)
			bench_die("too many phases", w);
		o->phase[o->n_phases++] = kind_or_die(w);
	}
	if (!o->n_phases)
		bench_die("--phases", "an empty list");
}

static void parse_mix(struct options *o, char *list)
{
	char *save = NULL;
	uint64_t sum = 0;

	for (char *w = strtok_r(list, ", ", &save); w; w = strtok_r(NULL, ", ", &save)) {
		char *value = strchr(w, '=');
		double weight = value ? number_or_die(value + 1) : 1;

		if (value)
			*value = 0;
		if (weight > 1e6)
			bench_die("--mix", "a weight is at most 1000000");
		o->conf.weight[kind_or_die(w)] = (uint32_t)weight;
	}
	for (unsigned i = 0; i < BENCH_KINDS; i++)
		sum += o->conf.weight[i];
	if (!sum)
		bench_die("--mix", "all weights are 0");
	o->phase[0] = PH_MIX;
	o->n_phases = 1;
}

static enum bench_identity parse_identity(const char *w)
{
	if (!strcmp(w, "mac"))
		return ID_MAC;
	if (!strcmp(w, "client-id"))
		return ID_CLIENT_ID;
	if (!strcmp(w, "mixed"))
		return ID_MIXED;
	bench_die("no such identity", w);
	return ID_MAC;
}

static bool parse_hash(const char *w)
{
	bool hardware = !strcmp(w, "hardware-address");

	if (!hardware && strcmp(w, "client-id"))
		bench_die("no such --hash-identity", w);
	return hardware;
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
	O_MIX,
	O_EXCHANGES,
	O_SECS,
	O_SECS_FIXED,
	O_TRIES,
	O_TIMEOUT,
	O_BACKOFF,
	O_JITTER,
	O_LISTEN,
	O_NAP,
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
	{ "mix", 1, NULL, O_MIX },
	{ "exchanges", 1, NULL, O_EXCHANGES },
	{ "secs", 1, NULL, O_SECS },
	{ "secs-fixed", 0, NULL, O_SECS_FIXED },
	{ "tries", 1, NULL, O_TRIES },
	{ "timeout", 1, NULL, O_TIMEOUT },
	{ "backoff", 0, NULL, O_BACKOFF },
	{ "jitter", 1, NULL, O_JITTER },
	{ "nap", 1, NULL, O_NAP },
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
		bench_die("more than four servers", text);
	o->server[o->n_servers++] = addr_or_die(text);
}

static void add_relay(struct options *o, const char *text)
{
	if (o->n_relays == BENCH_RELAYS)
		bench_die("more than 256 relays", text);
	o->giaddr[o->n_relays++] = addr_or_die(text);
}

/* Options that say who plays; false: another one. */
static bool take_who(struct options *o, int option, const char *arg)
{
	struct bench_conf *c = &o->conf;

	switch (option) {
	case O_GIADDR:
		add_relay(o, arg);
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
		c->seed = bench_seed(arg);
		return true;
	case O_IDENTITY:
		c->identity = parse_identity(arg);
		return true;
	case O_HASH:
		c->hash_hardware = parse_hash(arg);
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
	case O_MIX:
		parse_mix(o, arg);
		return true;
	case O_EXCHANGES:
		c->exchanges = (uint64_t)number_or_die(arg);
		return true;
	case O_SECS:
		if (number_or_die(arg) > UINT16_MAX)
			bench_die("--secs", "0 to 65535");
		c->secs = (uint16_t)number_or_die(arg);
		return true;
	case O_SECS_FIXED:
		c->secs_fixed = true;
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

/* Options that say how long it waits for an answer, and what then. */
static bool take_waits(struct bench_conf *c, int option, const char *arg)
{
	switch (option) {
	case O_TRIES:
		c->tries = (unsigned)number_or_die(arg);
		return true;
	case O_TIMEOUT:
		c->timeout_ms = (uint32_t)number_or_die(arg);
		return true;
	case O_BACKOFF:
		c->backoff = true;
		return true;
	case O_JITTER:
		c->jitter_ms = (uint32_t)number_or_die(arg);
		return true;
	case O_NAP:
		c->nap_us = (int64_t)number_or_die(arg);
		return true;
	case O_LISTEN:
		c->listen_ms = (uint32_t)number_or_die(arg);
		return true;
	case O_REBIND_AFTER:
		c->rebind_after = (unsigned)number_or_die(arg);
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

static void check(const struct options *o)
{
	if (!o->conf.interface == !o->n_relays)
		bench_die("give either --giaddr or --interface", "see --help");
	if (o->n_relays && !o->n_servers)
		bench_die("--giaddr needs --server", "see --help");
	if (!o->conf.clients || o->conf.clients > 1u << 24 || !o->conf.window)
		bench_die("--clients", "1 to 16777216; --window at least 1");
	if (!o->conf.tries || o->conf.tries > BENCH_LEVELS)
		bench_die("--tries", "1 to 16");
	if (o->conf.rate > 0 && o->conf.rate < RATE_MIN)
		bench_die("--rate", "at least 0.001; 0 is a closed loop");
	if (o->conf.first > (1u << 24) - o->conf.clients)
		bench_die("--first", "there are 16777216 identities");
	if (o->conf.jitter_ms > o->conf.timeout_ms)
		bench_die("--jitter", "at most --timeout");
}

void bench_options_parse(struct options *o, int argc, char **argv)
{
	int opt;

	*o = (struct options){ .conf = { .clients = 100,
					 .seed = bench_seed("twinbench"),
					 .window = 64,
					 .tries = 4,
					 .timeout_ms = 1000,
					 .rebind_after = 1,
					 .listen_ms = 500,
					 .nap_us = -1 },
			       .phase = { PH_DORA },
			       .n_phases = 1 };
	while ((opt = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
		if (opt == O_HELP) {
			fputs(usage, stdout);
			exit(0);
		}
		if (!take_who(o, opt, optarg) && !take_what(o, opt, optarg) &&
		    !take_waits(&o->conf, opt, optarg) && !take_shown(o, opt, optarg))
			bench_die("see --help", "");
	}
	if (optind < argc)
		bench_die("what is this", argv[optind]);
	if (o->conf.nap_us < 0)
		o->conf.nap_us = o->conf.rate >= NAP_RATE ? NAP_US : 0;
	check(o);
}
