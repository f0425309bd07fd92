/*
 * twinbench: what happened, as JSON. Written by hand: the names and numbers need no escaping.
 */
#include <inttypes.h>
#include "bench.h"

const char *const bench_phase_name[PH_MIX + 1] = { "discover", "dora",	 "renew",
						   "rebind",   "reboot", "release",
						   "decline",  "return", "mix" };

struct figure {
	const char *name;
	uint64_t value;
};

static void print_figures(FILE *f, const struct figure *figure, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		fprintf(f, ", \"%s\": %" PRIu64, figure[i].name, figure[i].value);
}
#define PRINT_FIGURES(f, figures) print_figures(f, figures, sizeof(figures) / sizeof((figures)[0]))

static double ms(uint64_t us)
{
	return (double)us / 1000;
}

static void print_hist(FILE *f, const char *name, const struct bench_hist *h)
{
	double avg = h->n ? (double)h->sum / (double)h->n : 0;

	fprintf(f,
		", \"%s\": {\"n\": %" PRIu64
		", \"avg\": %.3f, \"p50\": %.3f, \"p99\": %.3f, \"p999\": %.3f, \"max\": %.3f}",
		name, h->n, avg / 1000, ms(bench_hist_at(h, .5)), ms(bench_hist_at(h, .99)),
		ms(bench_hist_at(h, .999)), ms(h->max));
}

/* Each kind of a mix for itself. */
static void print_kinds(FILE *f, const struct bench_counters *c)
{
	const char *comma = "";

	fputs(",\n  \"kinds\": {", f);
	for (unsigned i = 0; i < BENCH_KINDS; i++) {
		const struct bench_kind *k = &c->kind[i];
		const struct figure figures[] = { { "done", k->done },
						  { "failed", k->failed },
						  { "naks", k->naks } };

		if (!k->started)
			continue;
		fprintf(f, "%s\n   \"%s\": {\"started\": %" PRIu64, comma, bench_phase_name[i],
			k->started);
		PRINT_FIGURES(f, figures);
		print_hist(f, "ms", &k->whole);
		fputc('}', f);
		comma = ",";
	}
	fputc('}', f);
}

static void print_counters(FILE *f, const struct bench_counters *k)
{
	const struct figure exchanges[] = {
		{ "started", k->started },
		{ "done", k->done },
		{ "failed", k->failed },
		{ "busy", k->busy },
	};
	const struct figure messages[] = {
		{ "sent", k->sent },	      { "resent", k->resent }, { "received", k->received },
		{ "alien", k->alien },	      { "offers", k->offers }, { "acks", k->acks },
		{ "naks", k->naks },	      { "late", k->late },     { "lost", k->lost },
		{ "dropped_here", k->drops },
	};

	PRINT_FIGURES(f, exchanges);
	fprintf(f, ", \"per_second\": %.1f", k->seconds > 0 ? (double)k->done / k->seconds : 0);
	PRINT_FIGURES(f, messages);
	fputs(", \"clients_by_servers\": [", f);
	for (unsigned i = 0; i <= BENCH_SERVERS; i++)
		fprintf(f, "%s%" PRIu64, i ? ", " : "", k->by_servers[i]);
	fputc(']', f);
}

void bench_print_phase(FILE *f, enum bench_phase phase, const struct bench_counters *k)
{
	fprintf(f, "{\"phase\": \"%s\", \"seconds\": %.3f", bench_phase_name[phase], k->seconds);
	print_counters(f, k);
	print_hist(f, "offer_ms", &k->offer);
	print_hist(f, "ack_ms", &k->ack);
	fprintf(f, ", \"behind_ms\": %.3f, \"generator_cpu_us\": %.2f", ms(k->behind_us),
		k->done ? (double)k->cpu_us / (double)k->done : 0);
	if (phase == PH_MIX)
		print_kinds(f, k);
	fputc('}', f);
}

static void print_answers(FILE *f, uint32_t addr, uint64_t offers, uint64_t acks, uint64_t naks)
{
	const struct figure figures[] = { { "acks", acks }, { "naks", naks } };
	char ip[INET_ADDRSTRLEN];

	bench_ip(addr, ip);
	fprintf(f, "\"%s\": {\"offers\": %" PRIu64, ip, offers);
	PRINT_FIGURES(f, figures);
}

static void print_buckets(FILE *f, const struct bench_server *s)
{
	for (unsigned i = 0; i < 256; i++)
		fprintf(f, "%s%" PRIu64, i ? "," : ", \"buckets\": [", s->bucket[i]);
	fputc(']', f);
}

/* Who answered, and to which relay. */
void bench_print_servers(FILE *f, const struct bench *b, bool buckets)
{
	fputs("\"servers\": {", f);
	for (unsigned i = 0; i < b->n_servers; i++) {
		const struct bench_server *s = &b->server[i];

		fputs(i ? ", " : "", f);
		print_answers(f, s->addr, s->offers, s->acks, s->naks);
		if (buckets)
			print_buckets(f, s);
		fputc('}', f);
	}
	fputs("},\n \"relays\": {", f);
	for (unsigned i = 0; i < b->n_relays; i++) {
		const struct bench_relay *r = &b->relay[i];

		fputs(i ? ", " : "", f);
		print_answers(f, r->giaddr, r->offers, r->acks, r->naks);
		fputc('}', f);
	}
	fputc('}', f);
}
