/*
 * sim [FIRST-LAST]          run these seeds on all processors; the default is 1-1000
 *     [--jobs N]            so many processes
 *     [--first]             stop with the first seed that fails (what mutants are judged by)
 *     [--trace SEED]        tell everything that happens in one seed
 *     [--no-cover]          do not judge what was seen: for runs of few seeds
 *
 * Exit 0: no invariant was violated, and everything that should be seen was seen.
 */
#include "sim_cover.h"

#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define JOBS_MAX 64
#define BAD_MAX 16

struct figure { /* of one seed */
	uint32_t events, cpu_us;
	uint16_t clients, faults;
};

struct shared {
	atomic_ullong next, done;
	atomic_uint n_bad;
	uint64_t bad_seed[BAD_MAX];
	struct violation bad[BAD_MAX];
	uint64_t running[JOBS_MAX];
};

struct options {
	uint64_t first, last, trace;
	unsigned jobs;
	bool stop_first, judge;
};

static void *map(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED) {
		perror("sim: memory");
		exit(2);
	}
	return p;
}

static int64_t clock_us(clockid_t id)
{
	struct timespec t;

	(void)clock_gettime(id, &t);
	return t.tv_sec * SEC + t.tv_nsec / 1000;
}

/* --- one process
 * ---------------------------------------------------------------------------------- */

static void note_bad(struct shared *sh, uint64_t seed, const struct violation *v)
{
	unsigned i = atomic_fetch_add(&sh->n_bad, 1);

	if (i >= BAD_MAX)
		return;
	sh->bad[i] = *v;
	sh->bad_seed[i] = seed;
}

static void work(const struct options *o, struct shared *sh, struct figure *figures,
		 struct cover *cover, unsigned job)
{
	struct world *w = calloc(1, sizeof(*w));
	uint64_t seed;

	if (!w)
		_exit(2);
	w->cover = cover;
	while ((seed = atomic_fetch_add(&sh->next, 1)) <= o->last) {
		int64_t began = clock_us(CLOCK_PROCESS_CPUTIME_ID);
		struct figure *f = &figures[seed - o->first];
		bool good;

		sh->running[job] = seed;
		good = run_seed(w, seed);
		f->cpu_us = (uint32_t)(clock_us(CLOCK_PROCESS_CPUTIME_ID) - began);
		f->events = (uint32_t)w->events;
		f->clients = (uint16_t)w->t.clients;
		f->faults = (uint16_t)w->faults_done;
		cover->seeds++;
		cover->events += w->events;
		cover->hours += (double)w->us / 3.6e9;
		cover->collisions += w->collisions;
		cover->false_pd += w->false_pd_from != 0;
		if (!good)
			note_bad(sh, seed, &w->bad);
		if (atomic_load(&sh->n_bad) >= (o->stop_first ? 1 : BAD_MAX))
			break;
	}
	_exit(0);
}

static void crashed(struct shared *sh, unsigned job, int status)
{
	struct violation v = { .client = -1 };

	snprintf(v.kind, sizeof(v.kind), "crash");
	snprintf(v.text, sizeof(v.text), "the process ended by signal %d", WTERMSIG(status));
	note_bad(sh, sh->running[job], &v);
}

static void run_jobs(const struct options *o, struct shared *sh, struct figure *figures,
		     struct cover *cover)
{
	pid_t pid[JOBS_MAX];
	int status;

	fflush(stdout);
	for (unsigned j = 0; j < o->jobs; j++) {
		pid[j] = fork();
		if (pid[j] == 0)
			work(o, sh, figures, &cover[j], j);
		if (pid[j] < 0) {
			perror("sim: fork");
			exit(2);
		}
	}
	for (unsigned j = 0; j < o->jobs; j++)
		if (waitpid(pid[j], &status, 0) == pid[j] && !WIFEXITED(status))
			crashed(sh, j, status);
}

/* --- the end
 * ---------------------------------------------------------------------------------------- */

static int by_value(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static void medians(const struct figure *f, uint64_t n)
{
	uint32_t *v = calloc(n ? n : 1, sizeof(*v)), m[4], most = 0;
	uint64_t count;

	if (!v)
		return;
	for (unsigned what = 0; what < 4; what++) {
		count = 0;
		for (uint64_t i = 0; i < n; i++)
			if (f[i].events)
				v[count++] = what == 0	 ? f[i].events
					     : what == 1 ? f[i].clients
					     : what == 2 ? f[i].faults
							 : f[i].cpu_us;
		qsort(v, count, sizeof(*v), by_value);
		m[what] = count ? v[count / 2] : 0;
		most = count ? v[count - 1] : 0;
	}
	printf("a seed, median: %u events, %u clients, %u faults, %.1f ms of CPU (most: %.1f)\n",
	       m[0], m[1], m[2], m[3] / 1e3, most / 1e3);
	free(v);
}

static void tell_bad(const struct shared *sh, struct cover *cover)
{
	struct world *w = calloc(1, sizeof(*w));
	unsigned n = atomic_load(&sh->n_bad), least = 0;

	if (!w || !n)
		return;
	w->cover = cover;
	if (n > BAD_MAX)
		n = BAD_MAX;
	for (unsigned i = 0; i < n; i++) {
		printf("VIOLATION seed %llu: %s: %s\n", (unsigned long long)sh->bad_seed[i],
		       sh->bad[i].kind, sh->bad[i].text);
		if (sh->bad_seed[i] < sh->bad_seed[least])
			least = i;
	}
	if (strcmp(sh->bad[least].kind, "crash") != 0)
		story(w, sh->bad_seed[least], &sh->bad[least]);
	printf("again: build/sim --trace %llu\n", (unsigned long long)sh->bad_seed[least]);
}

static int run(const struct options *o)
{
	uint64_t n = o->last - o->first + 1;
	struct shared *sh = map(sizeof(*sh));
	struct figure *figures = map(n * sizeof(*figures));
	struct cover *cover = map((o->jobs + 1) * sizeof(*cover)), *all = &cover[o->jobs];
	int64_t began = clock_us(CLOCK_MONOTONIC);
	bool seen = true;

	atomic_store(&sh->next, o->first);
	run_jobs(o, sh, figures, cover);
	for (unsigned j = 0; j < o->jobs; j++)
		cover_add(all, &cover[j]);
	if (o->stop_first) {
		if (atomic_load(&sh->n_bad))
			printf("seed %llu: %s: %s\n", (unsigned long long)sh->bad_seed[0],
			       sh->bad[0].kind, sh->bad[0].text);
		return atomic_load(&sh->n_bad) != 0;
	}
	printf("seeds %llu-%llu: %llu run in %.1f s by %u processes, %.0f simulated hours, %llu "
	       "events\n",
	       (unsigned long long)o->first, (unsigned long long)o->last,
	       (unsigned long long)all->seeds, (double)(clock_us(CLOCK_MONOTONIC) - began) / 1e6,
	       o->jobs, all->hours, (unsigned long long)all->events);
	medians(figures, n);
	printf("both served beside a PARTNER-DOWN in %llu seeds: %llu addresses given twice, as "
	       "must be\n",
	       (unsigned long long)all->false_pd, (unsigned long long)all->collisions);
	seen = cover_report(all, o->judge);
	tell_bad(sh, all);
	printf("sim: %llu seeds, %u violations%s\n", (unsigned long long)all->seeds,
	       atomic_load(&sh->n_bad), seen ? "" : ", something was never seen");
	return atomic_load(&sh->n_bad) || !seen;
}

static int trace_one(uint64_t seed)
{
	struct world *w = calloc(1, sizeof(*w));

	if (!w || !(w->cover = cover_new()))
		return 2;
	w->tracing = true;
	w->trace = stdout;
	if (run_seed(w, seed)) {
		printf("seed %llu: good, %llu events\n", (unsigned long long)seed,
		       (unsigned long long)w->events);
		return 0;
	}
	printf("seed %llu: %s: %s\n", (unsigned long long)seed, w->bad.kind, w->bad.text);
	return 1;
}

static int usage(void)
{
	fprintf(stderr,
		"usage: sim [FIRST-LAST] [--jobs N] [--first] [--no-cover] [--trace SEED]\n");
	return 2;
}

static bool read_range(const char *s, struct options *o)
{
	char *end;

	o->first = o->last = strtoull(s, &end, 10);
	if (*end == '-')
		o->last = strtoull(end + 1, &end, 10);
	return !*end && end != s && o->last >= o->first && o->last - o->first < 100000000;
}

int main(int argc, char **argv)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	struct options o = { .first = 1,
			     .last = 1000,
			     .jobs = cpus < 1	       ? 1
				     : cpus > JOBS_MAX ? JOBS_MAX
						       : (unsigned)cpus,
			     .judge = true };

	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--first"))
			o.stop_first = true;
		else if (!strcmp(argv[i], "--no-cover"))
			o.judge = false;
		else if (!strcmp(argv[i], "--jobs") && i + 1 < argc)
			o.jobs = (unsigned)strtoul(argv[++i], NULL, 10);
		else if (!strcmp(argv[i], "--trace") && i + 1 < argc)
			return trace_one(strtoull(argv[i + 1], NULL, 10));
		else if (!read_range(argv[i], &o))
			return usage();
	}
	return o.jobs < 1 || o.jobs > JOBS_MAX ? usage() : run(&o);
}
