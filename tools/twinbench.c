/*
 * twinbench: simulated DHCP clients and a load generator. It plays a relay that feeds one or
 * several servers, or many direct clients on one interface; runs phases (DORA, renewals, ...)
 * over N clients whose identities come from a seed; prints what happened as JSON.
 * Spec: RFC 2131 §4.4, RFC 1542 §4.1 (relay), RFC 3074 (buckets).
 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include "lib/bench_options.h"

static volatile int stop;

static void on_signal(int number)
{
	(void)number;
	stop = 1;
}

/* No more clients than will have their turn, and no more under way than there are. */
static void set_conf(struct bench *b, const struct options *o)
{
	struct bench_conf *c = &b->conf;

	*c = o->conf;
	if (c->rate * c->period > 0 && c->clients > c->rate * c->period)
		c->clients = (uint32_t)(c->rate * c->period) + 1;
	if (c->window > c->clients)
		c->window = c->clients;
	b->event = o->event;
	b->stop = &stop;
	b->random = c->seed;
	for (; b->n_servers < o->n_servers; b->n_servers++)
		b->server[b->n_servers].addr = o->server[b->n_servers];
	for (; b->n_relays < o->n_relays; b->n_relays++)
		b->relay[b->n_relays].giaddr = o->giaddr[b->n_relays];
}

static void make_clients(struct bench *b, bool mix)
{
	b->client = calloc(b->conf.clients, sizeof(*b->client));
	b->held = bench_held_new(b->conf.clients);
	b->pick = mix ? bench_pick_new(b->conf.clients) : NULL;
	if (!b->client || !b->held || (mix && !b->pick))
		bench_die("memory", strerror(ENOMEM));
	for (uint32_t i = 0; i < b->conf.clients; i++)
		b->client[i].xid = (uint32_t)(b->conf.seed << 24) | i;
}

/* Line by line: whoever reads the file while this runs, or after it was killed, sees whole ones. */
static void open_leases(struct bench *b, const char *file)
{
	b->leases = fopen(file, "ae");
	if (!b->leases)
		bench_die(file, strerror(errno));
	setvbuf(b->leases, NULL, _IOLBF, BUFSIZ);
}

static void resume_leases(struct bench *b, const char *file)
{
	char text[64] = "";
	unsigned line;
	int r = bench_leases_load(b, file, &line);

	if (r == -EBADMSG)
		snprintf(text, sizeof(text), "line %u is not one of --leases", line);
	if (r < 0)
		bench_die(file, *text ? text : strerror(-r));
}

static void open_bench(struct bench *b, const struct options *o)
{
	int r;

	set_conf(b, o);
	make_clients(b, o->phase[0] == PH_MIX);
	r = bench_net_open(&b->conf, b->server, b->n_servers, &b->net);
	if (r < 0)
		bench_die("sockets (root? giaddr on this host? interface up?)", strerror(-r));
	if (o->leases)
		open_leases(b, o->leases);
	if (o->resume)
		resume_leases(b, o->resume);
}

static void close_bench(struct bench *b)
{
	if (b->leases)
		fclose(b->leases);
	bench_net_close(b->net);
	bench_held_free(b->held);
	bench_pick_free(b->pick);
	free(b->client);
}

static uint32_t count_leases(const struct bench *b)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < b->conf.clients; i++)
		n += bench_has_lease(b, &b->client[i]);
	return n;
}

/* Who was due and did not begin, or began and was stopped, waited as well: no percentile has them.
 */
static bool is_clean(const struct bench_counters *k)
{
	return !k->failed && !k->naks && !k->busy && k->started == k->done && !stop;
}

/* Returns whether every exchange of every phase was done, and nobody got a NAK. */
static bool run(struct bench *b, const struct options *o)
{
	bool clean = true;

	if (!o->perfdhcp)
		printf("{\"clients\": %" PRIu32 ", \"phases\": [", b->conf.clients);
	for (unsigned i = 0; i < o->n_phases && !stop; i++) {
		bench_run_phase(b, o->phase[i]);
		clean = clean && is_clean(&b->k);
		if (o->perfdhcp) {
			bench_print_perfdhcp(stdout, &b->conf, &b->k);
			continue;
		}
		fputs(i ? ",\n " : "\n ", stdout);
		bench_print_phase(stdout, o->phase[i], &b->k);
	}
	if (o->perfdhcp)
		return clean;
	fputs("],\n ", stdout);
	bench_print_servers(stdout, b, o->buckets);
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
	static struct options o;
	bool clean;

	bench_options_parse(&o, argc, argv);
	signal(SIGINT, on_signal);
	signal(SIGTERM, on_signal);
	signal(SIGCHLD, SIG_IGN); /* nobody waits for --run */
	open_bench(&bench, &o);
	clean = run(&bench, &o);
	close_bench(&bench);
	return bench.duplicates || (o.strict && !clean);
}
