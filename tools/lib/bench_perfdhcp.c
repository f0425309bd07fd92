/*
 * twinbench: a result in the lines by which scripts written for perfdhcp read one.
 */
#include <inttypes.h>
#include <math.h>
#include "bench.h"

static double ms(double us)
{
	return us / 1000;
}

static void print_exchange(FILE *f, const char *name, uint64_t sent, const struct bench_hist *h)
{
	double avg = h->n ? (double)h->sum / (double)h->n : 0;
	double var = h->n ? h->sum_sq / (double)h->n - avg * avg : 0;
	uint64_t lost = sent > h->n ? sent - h->n : 0;

	fprintf(f, "***Statistics for: %s***\n", name);
	fprintf(f, "sent packets: %" PRIu64 "\nreceived packets: %" PRIu64 "\ndrops: %" PRIu64 "\n",
		sent, h->n, lost);
	fprintf(f, "drops ratio: %g %%\norphans: 0\n\n",
		sent ? 100.0 * (double)lost / (double)sent : 0);
	fprintf(f, "min delay: %.3f ms\navg delay: %.3f ms\nmax delay: %.3f ms\n",
		ms((double)h->min), ms(avg), ms((double)h->max));
	fprintf(f, "std deviation: %.3f ms\ncollected packets: 0\n\n", ms(sqrt(var > 0 ? var : 0)));
}

void bench_print_perfdhcp(FILE *f, const struct bench_conf *c, const struct bench_counters *k)
{
	double seconds = c->period > 0 ? c->period : k->seconds;

	fprintf(f, "Rate: %g 4-way exchanges/second, expected rate: %g\n\n",
		seconds > 0 ? (double)k->acks / seconds : 0, c->rate);
	print_exchange(f, "DISCOVER-OFFER", k->discovers, &k->offer);
	print_exchange(f, "REQUEST-ACK", k->requests, &k->ack);
}
