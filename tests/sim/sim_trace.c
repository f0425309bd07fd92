/*
 * A violation ends its seed. The seed is then run again without the faults that it does not need,
 * and what concerns the address, the clients and the states is told.
 */
#include "sim.h"

#include <stdarg.h>

#define LINES 60000
#define LINE 200
#define STORY 120 /* lines told */

struct line {
	int64_t us;
	uint32_t addr;
	int who;
	char text[LINE];
};

static struct line *lines;
static unsigned n_lines;
static jmp_buf stop;

void trace(struct world *w, uint32_t addr, int who, const char *fmt, ...)
{
	struct line *l;
	va_list ap;

	if (!lines && !(lines = calloc(LINES, sizeof(*lines))))
		abort();
	l = &lines[n_lines++ % LINES];
	*l = (struct line){ .us = w->us, .addr = addr, .who = who };
	va_start(ap, fmt);
	vsnprintf(l->text, LINE, fmt, ap);
	va_end(ap);
	if (w->trace)
		fprintf(w->trace, "%10.4f %s\n", (double)l->us / 1e6, l->text);
}

void violate(struct world *w, const char *kind, uint32_t addr, int client, const char *fmt, ...)
{
	va_list ap;

	w->bad = (struct violation){ .addr = addr, .client = client, .at = w->us };
	snprintf(w->bad.kind, sizeof(w->bad.kind), "%s", kind);
	va_start(ap, fmt);
	vsnprintf(w->bad.text, sizeof(w->bad.text), fmt, ap);
	va_end(ap);
	longjmp(stop, 1);
}

bool run_seed(struct world *w, uint64_t seed)
{
	the_world = w;
	if (setjmp(stop))
		return false;
	world_init(w, seed);
	world_run(w, w->t.length);
	settle(w);
	return true;
}

/* --- the shortest form
 * ---------------------------------------------------------------------------- */

static bool still_bad(struct world *w, uint64_t seed, const struct violation *v)
{
	return !run_seed(w, seed) && !strcmp(w->bad.kind, v->kind);
}

/* Leave out one fault after the other, as long as the same kind of violation remains. */
static void shorten(struct world *w, uint64_t seed, struct violation *v)
{
	for (unsigned i = 0; i < MAX_FAULTS; i++) {
		w->fault_skipped[i] = true;
		if (still_bad(w, seed, v))
			*v = w->bad;
		else
			w->fault_skipped[i] = false;
	}
}

static bool concerns(const struct line *l, const struct violation *v)
{
	return (!l->addr && l->who < 0) || (v->addr && l->addr == v->addr);
}

static void tell(const struct violation *v)
{
	unsigned oldest = n_lines > LINES ? n_lines - LINES : 0, from = n_lines, count = 0;

	while (from > oldest && count < STORY)
		count += concerns(&lines[--from % LINES], v);
	for (unsigned i = from; i < n_lines; i++)
		if (concerns(&lines[i % LINES], v))
			printf("  %10.4f  %s\n", (double)lines[i % LINES].us / 1e6,
			       lines[i % LINES].text);
}

void story(struct world *w, uint64_t seed, const struct violation *first)
{
	struct violation v = *first;

	memset(w->fault_skipped, 0, sizeof(w->fault_skipped));
	shorten(w, seed, &v);
	w->tracing = true;
	n_lines = 0;
	(void)run_seed(w, seed);
	w->tracing = false;
	v = w->bad;
	printf("seed %llu: %s: %s\n", (unsigned long long)seed, v.kind, v.text);
	printf("  at %.4f s, with these faults alone:", (double)v.at / 1e6);
	for (unsigned i = 0; i < w->t.faults; i++)
		if (!w->fault_skipped[i])
			printf(" %u(%s)", i, fault_name(w->faults[i].kind));
	printf("\n  %u clients, lease %u s, MCLT %u s, contact %u s, startup %u s, %s, hold %d "
	       "%d\n",
	       w->t.clients, w->t.lease_time, w->t.mclt, w->t.contact, w->t.startup,
	       w->s[0].conf.policy.hot_standby ? "hot standby" : "load balance",
	       w->s[0].conf.after_outage_hold, w->s[1].conf.after_outage_hold);
	tell(&v);
	memset(w->fault_skipped, 0, sizeof(w->fault_skipped));
}
