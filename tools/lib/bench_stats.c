/*
 * twinbench: what is printed. JSON is written by hand here: the names
 * and the numbers need no escaping.
 */
#include <inttypes.h>
#include <math.h>
#include "bench.h"

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

void bench_print_phase(FILE *f, const char *name, const struct bench_counters *k, double seconds)
{
	fprintf(f,
		"{\"phase\": \"%s\", \"seconds\": %.3f, \"started\": %" PRIu64
		", \"done\": %" PRIu64 ", \"failed\": %" PRIu64 ", \"busy\": %" PRIu64
		", \"per_second\": %.1f"
		", \"sent\": %" PRIu64 ", \"resent\": %" PRIu64 ", \"received\": %" PRIu64
		", \"alien\": %" PRIu64 ", \"offers\": %" PRIu64 ", \"acks\": %" PRIu64
		", \"naks\": %" PRIu64 ", \"late\": %" PRIu64 ", \"clients_by_servers\": [",
		name, seconds, k->started, k->done, k->failed, k->busy,
		seconds > 0 ? (double)k->done / seconds : 0, k->sent, k->resent, k->received,
		k->alien, k->offers, k->acks, k->naks, k->late);
	for (unsigned i = 0; i <= BENCH_SERVERS; i++)
		fprintf(f, "%s%" PRIu64, i ? ", " : "", k->by_servers[i]);
	fputc(']', f);
	print_hist(f, "offer_ms", &k->offer);
	print_hist(f, "ack_ms", &k->ack);
	fputc('}', f);
}

void bench_print_servers(FILE *f, const struct bench_server *s, unsigned n, bool buckets)
{
	char ip[INET_ADDRSTRLEN];

	fputs("\"servers\": {", f);
	for (unsigned i = 0; i < n; i++) {
		bench_ip(s[i].addr, ip);
		fprintf(f,
			"%s\"%s\": {\"offers\": %" PRIu64 ", \"acks\": %" PRIu64
			", \"naks\": %" PRIu64,
			i ? ", " : "", ip, s[i].offers, s[i].acks, s[i].naks);
		for (unsigned b = 0; buckets && b < 256; b++)
			fprintf(f, "%s%" PRIu64 "%s", b ? "," : ", \"buckets\": [", s[i].bucket[b],
				b == 255 ? "]" : "");
		fputc('}', f);
	}
	fputc('}', f);
}

static void print_exchange(FILE *f, const char *name, uint64_t sent, uint64_t got,
			   const struct bench_hist *h)
{
	double avg = h->n ? (double)h->sum / (double)h->n : 0;
	double var = h->n ? (double)h->sum_sq / (double)h->n - avg * avg : 0;
	uint64_t lost = sent > got ? sent - got : 0;

	fprintf(f, "***Statistics for: %s***\n", name);
	fprintf(f, "sent packets: %" PRIu64 "\nreceived packets: %" PRIu64 "\ndrops: %" PRIu64 "\n",
		sent, got, lost);
	fprintf(f, "drops ratio: %g %%\norphans: 0\n\n",
		sent ? 100.0 * (double)lost / (double)sent : 0);
	fprintf(f, "min delay: %.3f ms\navg delay: %.3f ms\nmax delay: %.3f ms\n", ms(h->min),
		avg / 1000, ms(h->max));
	fprintf(f, "std deviation: %.3f ms\ncollected packets: 0\n\n",
		sqrt(var > 0 ? var : 0) / 1000);
}

/* The lines by which scripts written for perfdhcp read a result. */
void bench_print_perfdhcp(FILE *f, const struct bench_conf *c, const struct bench_counters *k,
			  double seconds)
{
	fprintf(f, "Rate: %g 4-way exchanges/second, expected rate: %g\n\n",
		seconds > 0 ? (double)k->acks / seconds : 0, c->rate);
	print_exchange(f, "DISCOVER-OFFER", k->discovers, k->offer.n, &k->offer);
	print_exchange(f, "REQUEST-ACK", k->requests, k->ack.n, &k->ack);
}
