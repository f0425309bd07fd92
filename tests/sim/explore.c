/*
 * Two shipping endpoints with pools, stores, a wire and clients (explore_world.h): every order of
 * deliveries, commits, crashes, lost links, operator's wishes, clients' requests and time, as far
 * as the time given allows. After each step: no address promised to two clients, nothing shown
 * that is not on disk, no promise beyond the lead time. From each state: without further faults
 * both are back in NORMAL within a bound, and their stores agree.
 *
 *   explore [SECONDS]		of processor time in all, default $EXPLORE_SEC or 24
 *   explore ADDRESSES CLIENTS FALSE-DOWN SECONDS [STEP...]   one walk; with steps: tell that story
 *
 * The walk is broad at its beginning and around each pair of states of the two, and long where it
 * leads to new kinds of situation (states, link, who holds which address by either disk, who was
 * promised it).
 * "Settle" is a step that stands for many, so that what lies far behind a handshake is near; all
 * that it passes over is walked as well.
 *
 * Two states are taken for one when they differ only in: absolute time, transaction ids, sizes of
 * serial numbers (their differences count), times long past, counters, which of two equal free
 * addresses is older. So a state may be missed; what is found did happen.
 *
 * PARTNER-DOWN is declared only of a server that is dead, and time does not pass while it is back
 * without a link (decision A12); with FALSE-DOWN at any time: then two clients may get one address,
 * and only the way back is judged. At most one store is lost in a story.
 *
 * Spec: draft-ietf-dhc-failover-12 §5, §7, §9; decisions A2, A7 to A12, A23.
 */
#include <time.h>
#include "explore_digest.h"
#include "explore_image.h"
#include "explore_set.h"
#include "explore_step.h"

enum { MOST = 3000000, BACK_WITHIN_SEC = 240, BACK_STEPS = 2000 };

/* --- the way back ------------------------------------------------------------------------------
 */

static struct seen good;   /* states from which it is known to be short enough */
static uint16_t *good_sec; /* how long from there */

static bool same_lease(unsigned a)
{
	const struct disk *p = &w.n[0].disk, *s = &w.n[1].disk;
	unsigned ps = p->l[a].state ? p->l[a].state : LEASE_FREE;
	unsigned ss = s->l[a].state ? s->l[a].state : LEASE_FREE;

	return ps == ss && (ps != LEASE_ACTIVE ||
			    (p->client[a] == s->client[a] && p->l[a].expires == s->l[a].expires));
}

static bool is_home(void)
{
	for (unsigned i = 0; i < 2; i++)
		if (!w.n[i].up || !w.n[i].conn || w.n[i].waiting || w.n[i].wire_len ||
		    state_of(i) != FO_NORMAL || ep[i]->rec.end.peer != FO_NORMAL ||
		    pool_dirty_count(pools[i], 0) || ep[i]->n_flights || ep[i]->n_acks)
			return false;
	return true;
}

/* One step of what happens when nothing more breaks. */
static void go_on(void)
{
	static const uint8_t first[] = { S_BOOT, S_COMMIT, S_CONNECT, S_DELIVER, S_RESUME };

	for (unsigned k = 0; k < sizeof(first); k++)
		for (unsigned i = 0; i < 2; i++)
			if (make_step(STEP(first[k], 1, i)) || violation[0])
				return;
	(void)make_step(STEP(S_TIME, 1, 0));
}

static void remember_good(const uint64_t *key, const int64_t *at, unsigned n, int64_t end)
{
	bool fresh;

	for (unsigned k = 0; k < n; k++) {
		uint32_t g = seen_add(&good, key[k], SEEN_NONE, 0, &fresh);

		if (g != SEEN_NONE)
			good_sec[g] = (uint16_t)(end - at[k]);
	}
}

/* Leaves the world changed. Return: NULL, or what is wrong. */
static const char *come_back(void)
{
	static uint64_t key[BACK_STEPS];
	static int64_t at[BACK_STEPS];
	int64_t begin = w.sec;

	for (unsigned n = 0; n < BACK_STEPS; n++) {
		uint32_t g;

		key[n] = digest(false);
		at[n] = w.sec;
		g = seen_find(&good, key[n]);
		if (is_home()) {
			for (unsigned a = 0; a < setup.n_addr; a++)
				if (!same_lease(a))
					return "back in NORMAL, and the stores differ";
			remember_good(key, at, n + 1, w.sec);
			return NULL;
		}
		if (g != SEEN_NONE && w.sec + good_sec[g] - begin <= BACK_WITHIN_SEC) {
			remember_good(key, at, n, w.sec + good_sec[g]);
			return NULL;
		}
		if (w.sec - begin > BACK_WITHIN_SEC)
			return "not back in NORMAL in time";
		go_on();
		if (violation[0])
			return violation;
	}
	return "they go round in circles";
}

/* --- the walk --------------------------------------------------------------------------------- */

static struct seen seen, kinds;
static uint8_t least[256][256]; /* steps to a pair of states */

/* States whose followers are not known yet, in three orders that take turns: by distance from the
 * start; by steps since the story came to a pair of states that was new; and by steps since it came
 * to a kind of situation that was new, the latest first. So the walk is broad at its beginning and
 * around each pair of states, and some stories are long. */
enum { LEVELS = 256 };

struct order {
	bool latest_first;
	uint8_t *level; /* by number of the state */
	uint32_t *next;
	uint32_t first[LEVELS], last[LEVELS], lowest; /* first: SEEN_NONE for an empty level */
};

struct waiting {
	uint8_t **p; /* by number of the state; NULL: it waits no more */
	uint32_t *len;
	struct order by[3]; /* distance, pair of states, kind of situation */
	uint64_t octets;
	unsigned turn;
};

static const char *short_name(unsigned state)
{
	static const char *const names[] = { "--", "ST", "N",  "CI", "PD", "PC",
					     "R",  "PA", "SD", "RD", "RI", "CD" };

	return state == FO_RECOVER_WAIT ? "RW" : state < 12 ? names[state] : "?";
}

static void tell_step(unsigned n, unsigned step)
{
	enum step_kind kind = (enum step_kind)(step >> 3);

	printf("%3u. [%u] %6llds %c %s", n, step, (long long)w.sec, "PS"[step & 1],
	       step_text[kind]);
	if (kind == S_ASK || kind == S_RELEASE)
		printf(" %u", (step >> 1 & 3) + 1);
	printf("\n");
}

static void tell_states(void)
{
	printf("        %s / %s%s\n", short_name(state_of(0)), short_name(state_of(1)),
	       w.n[0].conn && w.n[1].conn ? "" : "  (no link)");
}

static void tell_disks(void)
{
	for (unsigned a = 0; a < setup.n_addr; a++)
		for (unsigned i = 0; i < 2; i++) {
			const struct disk *d = &w.n[i].disk;
			const struct lease *l = &d->l[a];

			printf("        %c .%u %s%s client %u serial %u ends %lld sent %lld acked "
			       "%lld received %lld\n",
			       "PS"[i], (FIRST + a) & 255, lease_state_name(l->state),
			       l -> flags &LEASE_DIRTY ? " dirty" : "", d->client[a], l->serial,
			       l->expires - BASE, l->sent_pet ? l->sent_pet - BASE : 0,
			       l->acked_pet ? l->acked_pet - BASE : 0,
			       l->rcvd_pet ? l->rcvd_pet - BASE : 0);
		}
}

static void tell_back(void)
{
	const char *why;

	printf("     then, without further faults:\n");
	good.n = 0;
	memset(good.keys, 0, (good.mask + 1ul) * sizeof(*good.keys));
	why = come_back();
	tell_states();
	tell_disks();
	printf("     %s\n", why ? why : "both are back in NORMAL");
}

static void tell_story(const uint16_t *step, unsigned n)
{
	replay = true;
	scatter(zero_image);
	for (unsigned k = 0; k < n; k++) {
		tell_step(k + 1, step[k]);
		if (!make_step(step[k]))
			printf("        (cannot happen)\n");
		tell_states();
		if (violation[0]) {
			printf("     %s\n", violation);
			return;
		}
	}
	tell_back();
}

static int fail(uint32_t at, const char *what)
{
	static uint16_t step[256];
	unsigned n = seen_path(&seen, at, step, 256);

	printf("FAILED: %s. A way there:\n", what);
	tell_story(step, n);
	printf("Again: explore %u %u %u 0", setup.n_addr, setup.n_clients, setup.false_down);
	for (unsigned k = 0; k < n; k++)
		printf(" %u", step[k]);
	printf("\n");
	return 1;
}

static void enqueue(struct order *o, uint32_t at)
{
	unsigned level = o->level[at];

	o->next[at] = SEEN_NONE;
	if (o->first[level] == SEEN_NONE) {
		o->first[level] = o->last[level] = at;
	} else if (o->latest_first) {
		o->next[at] = o->first[level];
		o->first[level] = at;
	} else {
		o->next[o->last[level]] = at;
		o->last[level] = at;
	}
	if (level < o->lowest)
		o->lowest = level;
}

static uint32_t dequeue(struct order *o)
{
	uint32_t at;

	while (o->lowest < LEVELS && o->first[o->lowest] == SEEN_NONE)
		o->lowest++;
	if (o->lowest == LEVELS)
		return SEEN_NONE;
	at = o->first[o->lowest];
	o->first[o->lowest] = o->next[at];
	return at;
}

/* Every state is in all orders; who was served in one is passed over in the others. */
static uint32_t next_waiting(struct waiting *q)
{
	struct order *o = &q->by[q->turn++ % 3];
	uint32_t at = dequeue(o);

	while (at != SEEN_NONE && !q->p[at])
		at = dequeue(o);
	return at;
}

static void keep_waiting(struct waiting *q, uint32_t at)
{
	size_t len;

	gather(image);
	len = pack(packed);
	q->p[at] = malloc(len);
	if (!q->p[at])
		exit(2);
	memcpy(q->p[at], packed, len);
	q->len[at] = (uint32_t)len;
	q->octets += len;
	for (unsigned k = 0; k < 3; k++)
		enqueue(&q->by[k], at);
}

static void load(struct waiting *q, uint32_t at)
{
	unpack(q->p[at], q->len[at]);
	q->octets -= q->len[at];
	free(q->p[at]);
	q->p[at] = NULL;
}

static uint8_t further(const struct order *o, uint32_t parent, bool anew)
{
	if (anew || parent == SEEN_NONE)
		return 0;
	return (uint8_t)(o->level[parent] + (o->level[parent] < LEVELS - 1));
}

/* A new state, the world as it is: note the pair, see that there is a way back. */
static int visit(struct waiting *q, uint32_t at)
{
	uint8_t *d = &least[state_of(0)][state_of(1)];
	uint32_t parent = seen.parent[at];
	char was[sizeof(violation)];
	const char *why;
	bool fresh;

	(void)seen_add(&kinds, digest_kind(), SEEN_NONE, 0, &fresh);
	q->by[0].level[at] = seen.depth[at];
	q->by[1].level[at] = further(&q->by[1], parent, *d == 255);
	q->by[2].level[at] = further(&q->by[2], parent, fresh);
	if (seen.depth[at] < *d)
		*d = seen.depth[at];
	memcpy(was, violation, sizeof(was));
	if (was[0])
		return fail(at, was);
	if (seen.depth[at] < 250)
		keep_waiting(q, at);
	why = come_back();
	return why ? fail(at, why) : 0;
}

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int walk_from(struct waiting *q, uint32_t at)
{
	bool fresh;
	int r = 0;

	load(q, at);
	memcpy(here, image, image_size);
	for (unsigned step = 0; !r && step < STEPS; step++) {
		uint32_t k;

		scatter(here);
		if (!make_step(step))
			continue;
		k = seen_add(&seen, digest(true), at, step, &fresh);
		if (k != SEEN_NONE && fresh)
			r = visit(q, k);
	}
	return r;
}

static void order_init(struct order *o)
{
	o->level = seen_alloc(MOST, 1);
	o->next = seen_alloc(MOST, sizeof(*o->next));
	memset(o->first, 0xff, sizeof(o->first)); /* SEEN_NONE */
	o->lowest = LEVELS;
}

static void waiting_init(struct waiting *q)
{
	memset(q, 0, sizeof(*q));
	q->p = seen_alloc(MOST, sizeof(*q->p));
	q->len = seen_alloc(MOST, sizeof(*q->len));
	for (unsigned k = 0; k < 3; k++)
		order_init(&q->by[k]);
	q->by[2].latest_first = true;
}

static void waiting_done(struct waiting *q)
{
	for (uint32_t at = 0; at < seen.n; at++)
		free(q->p[at]);
	free(q->p);
	free(q->len);
	for (unsigned k = 0; k < 3; k++) {
		free(q->by[k].level);
		free(q->by[k].next);
	}
}

static unsigned deepest(void)
{
	unsigned most = 0;

	for (uint32_t at = 0; at < seen.n; at++)
		if (seen.depth[at] > most)
			most = seen.depth[at];
	return most;
}

static int walk(double limit)
{
	double end = seconds() + limit;
	struct waiting q;
	uint32_t at;
	bool fresh;
	int r;

	waiting_init(&q);
	r = visit(&q, seen_add(&seen, digest(true), SEEN_NONE, 0, &fresh));
	while (!r && seconds() < end && seen.n < MOST && q.octets < 1u << 30 &&
	       (at = next_waiting(&q)) != SEEN_NONE)
		r = walk_from(&q, at);
	if (!r)
		printf("%u addresses, %u client%s%s: %u states of %u kinds; every order of %u "
		       "steps, of %u from each pair of states, at most %u\n",
		       setup.n_addr, setup.n_clients, setup.n_clients > 1 ? "s" : "",
		       setup.false_down ? ", false PARTNER-DOWN" : "", seen.n, kinds.n,
		       q.by[0].lowest, q.by[1].lowest, deepest());
	waiting_done(&q);
	return r;
}

static void table(void)
{
	static const uint8_t order[] = { 0,
					 FO_STARTUP,
					 FO_NORMAL,
					 FO_COMM_INT,
					 FO_PARTNER_DOWN,
					 FO_POTENTIAL_CONFLICT,
					 FO_RESOLUTION_INT,
					 FO_CONFLICT_DONE,
					 FO_RECOVER,
					 FO_RECOVER_WAIT,
					 FO_RECOVER_DONE,
					 FO_PAUSED,
					 FO_SHUTDOWN };

	printf("Steps to each pair of states (primary down, secondary across; -- is "
	       "crashed):\n   ");
	for (unsigned b = 0; b < sizeof(order); b++)
		printf(" %3s", short_name(order[b]));
	for (unsigned a = 0; a < sizeof(order); a++) {
		printf("\n%-3s", short_name(order[a]));
		for (unsigned b = 0; b < sizeof(order); b++)
			if (least[order[a]][order[b]] == 255)
				printf("   -");
			else
				printf(" %3u", least[order[a]][order[b]]);
	}
	printf("\n");
}

/* --- main ------------------------------------------------------------------------------------- */

/* Two empty servers meet, settle, and a client gets an address: the walk begins here. */
static const char *begin(unsigned n_addr, unsigned n_clients, bool false_down)
{
	const char *why;

	world_begin(n_addr, n_clients, false_down);
	find_parts();
	gather(zero_image);
	seen_init(&seen, MOST);
	seen_init(&kinds, MOST / 4);
	seen_init(&good, MOST);
	good_sec = seen_alloc(MOST, sizeof(*good_sec));
	memset(least, 255, sizeof(least));
	why = come_back();
	if (!why && client_asks(1, 0))
		why = come_back();
	gather(zero_image);
	return why;
}

static void end(void)
{
	seen_done(&seen);
	seen_done(&kinds);
	seen_done(&good);
	free(good_sec);
	free(image);
	free(zero_image);
	free(packed);
	free(here);
	for (unsigned i = 0; i < 2; i++) {
		free(ep_mem[i]);
		free(pool_mem[i]);
	}
}

static int one_walk(unsigned n_addr, unsigned n_clients, bool false_down, double limit)
{
	const char *why = begin(n_addr, n_clients, false_down);
	int r = 1;

	if (why)
		printf("FAILED at the start: %s\n", why);
	else
		r = walk(limit);
	if (!r)
		table();
	end();
	return r;
}

static int story(char **argv, int argc)
{
	static uint16_t step[256];
	unsigned n = 0;

	for (int k = 5; k < argc && n < 256; k++)
		step[n++] = (uint16_t)strtoul(argv[k], NULL, 10);
	if (begin((unsigned)atoi(argv[1]), (unsigned)atoi(argv[2]), atoi(argv[3])))
		return 1;
	tell_story(step, n);
	end();
	return 0;
}

int main(int argc, char **argv)
{
	const char *env = getenv("EXPLORE_SEC");
	double limit = argc == 2 ? atof(argv[1]) : env ? atof(env) : 24;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc > 5)
		return story(argv, argc);
	if (argc == 5)
		return one_walk((unsigned)atoi(argv[1]), (unsigned)atoi(argv[2]), atoi(argv[3]),
				atof(argv[4]));
	return one_walk(2, 3, false, limit / 3) || one_walk(4, 2, false, limit / 3) ||
	       one_walk(4, 1, true, limit / 3);
}
