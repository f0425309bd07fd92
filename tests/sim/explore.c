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
 * The walk is breadth first around each kind of situation (states of the two, link, who holds which
 * address by either disk, who was promised it): a story that first comes to one is a new beginning.
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
#include "explore_set.h"
#include "explore_world.h"

enum { MOST = 3000000, BACK_WITHIN_SEC = 240, BACK_STEPS = 2000 };

/* --- steps ------------------------------------------------------------------------------------ */

enum step_kind {
	S_DELIVER,
	S_COMMIT,
	S_TIME,
	S_CONNECT,
	S_ASK,
	S_RELEASE,
	S_LINK_LOST,
	S_CRASH,
	S_BOOT,
	S_DOWN,
	S_LOSE,
	S_PAUSE,
	S_SHUTDOWN,
	S_RESUME,
	S_SETTLE, /* many at once: a short cut to what is far */
	STEP_KINDS
};

static const char *const step_text[] = { "hears",
					 "commits",
					 "time",
					 "connect",
					 "is asked by client",
					 "hears a release of client",
					 "link lost",
					 "crashes",
					 "starts",
					 "partner-down",
					 "store lost",
					 "pause",
					 "shutdown",
					 "resume",
					 "and S commit and hear all" };

#define STEP(kind, c, i) ((unsigned)(kind) << 3 | (unsigned)((c)-1) << 1 | (unsigned)(i))
#define STEPS STEP(STEP_KINDS, 1, 0)

static bool operate(unsigned i, enum fo_event ev)
{
	struct now now = now_is();
	const char *refused;

	begin_turn(i);
	refused = fo_endpoint_operate(ep[i], ev, 0, &now);
	end_turn(i);
	return !refused;
}

static bool has_down(unsigned i)
{
	const struct fo_end *e = &w.n[i].disk.rec.end;

	return w.n[i].up ? state_of(i) == FO_PARTNER_DOWN : e->state == FO_PARTNER_DOWN;
}

static bool may_pass_time(void)
{
	bool linked = w.n[0].conn && w.n[1].conn;

	for (unsigned i = 0; i < 2; i++)
		if (w.n[i].waiting || w.n[i].wire_len || w.n[i].out_len)
			return false;
	if (setup.false_down || linked || !w.n[0].up || !w.n[1].up)
		return true;
	return !w.down_declared;
}

static bool declare_down(unsigned i)
{
	if (!setup.false_down && (w.n[!i].up || has_down(!i)))
		return false;
	if (!operate(i, FO_EV_OP_PARTNER_DOWN))
		return false;
	w.down_declared = 1;
	return true;
}

static bool make_fault(enum step_kind kind, unsigned i)
{
	struct node *n = &w.n[i];

	switch (kind) {
	case S_LINK_LOST:
		if (!n->conn)
			return false;
		link_lost(i);
		return true;
	case S_CRASH:
		if (!n->up)
			return false;
		crash(i);
		return true;
	case S_LOSE:
		if (n->up || w.lost || !n->disk.has_rec)
			return false;
		lose_store(i);
		return true;
	case S_DOWN:
		return n->up && declare_down(i);
	case S_PAUSE:
		return n->up && operate(i, FO_EV_OP_PAUSE);
	case S_SHUTDOWN:
		return n->up && operate(i, FO_EV_OP_SHUTDOWN);
	default:
		return false;
	}
}

static bool settle(void)
{
	unsigned n = 0, before;

	do {
		before = n;
		for (unsigned i = 0; i < 2 && !violation[0]; i++) {
			struct node *node = &w.n[i];

			if (node->up && node->waiting) {
				commit(i);
				n++;
			}
			if (node->up && node->wire_len) {
				deliver(i);
				n++;
			}
		}
	} while (n != before && n < 500);
	return n > 1;
}

/* Return: whether it can happen now. Most steps are one node's; the others are the primary's. */
static bool make_step(unsigned step)
{
	enum step_kind kind = (enum step_kind)(step >> 3);
	unsigned c = (step >> 1 & 3) + 1, i = step & 1;
	struct node *n = &w.n[i];

	violation[0] = 0;
	if (c > 1 && ((kind != S_ASK && kind != S_RELEASE) || c > setup.n_clients))
		return false;
	switch (kind) {
	case S_DELIVER:
		if (!n->up || !n->wire_len)
			return false;
		deliver(i);
		return true;
	case S_COMMIT:
		if (!n->up || !n->waiting)
			return false;
		commit(i);
		return true;
	case S_TIME:
		if (i || !may_pass_time())
			return false;
		pass_time();
		return true;
	case S_CONNECT:
		if (i || !w.n[0].up || !w.n[1].up || (w.n[0].conn && w.n[1].conn))
			return false;
		connect();
		return true;
	case S_BOOT:
		if (n->up)
			return false;
		boot(i);
		return true;
	case S_ASK:
		return n->up && client_asks(c, i);
	case S_RELEASE:
		return n->up && client_releases(c, i);
	case S_RESUME:
		return n->up && operate(i, FO_EV_OP_RESUME);
	case S_SETTLE:
		return !i && settle();
	default:
		return make_fault(kind, i);
	}
}

/* --- digest ----------------------------------------------------------------------------------- */

static uint64_t digest_at(uint64_t h, int64_t at)
{
	int64_t d = at - BASE - w.sec;

	if (!at || at >= SEC_MAX)
		return seen_mix(h, at ? 1 : 2);
	return seen_mix(h, (uint64_t)(d < -MCLT_SEC ? -MCLT_SEC - 1 : d) + 1000);
}

static uint64_t digest_past(uint64_t h, int64_t at) /* of which only the future counts */
{
	return digest_at(h, at && at < BASE + w.sec ? BASE + w.sec - 1 : at);
}

static uint64_t digest_timer(uint64_t h, mono_t t)
{
	return digest_past(h, t.us == MONO_NEVER.us ? 0 : BASE + sec_of(t));
}

static uint32_t least_serial(unsigned at)
{
	uint32_t least = UINT32_MAX;

	for (unsigned i = 0; i < 2; i++) {
		const struct node *n = &w.n[i];

		if (n->disk.l[at].serial < least)
			least = n->disk.l[at].serial;
		if (n->soft.l[at].serial < least)
			least = n->soft.l[at].serial;
	}
	return least;
}

static uint64_t digest_lease(uint64_t h, const struct lease *l, uint32_t least)
{
	h = seen_mix(h, (uint64_t)l->state << 24 | (uint64_t)l->acked_state << 16 | l->flags);
	h = seen_mix(h, l->serial - least);
	h = seen_mix(h, l->key.w[0]);
	h = digest_at(h, l->expires);
	h = digest_at(h, l->sent_pet);
	h = digest_at(h, l->acked_pet);
	h = digest_at(h, l->rcvd_pet);
	return digest_past(h, l->starts);
}

static uint64_t digest_record(uint64_t h, const struct fo_record *r)
{
	const struct fo_end *e = &r->end;

	h = seen_mix(h, (uint64_t)e->state << 24 | (uint64_t)e->saved << 16 | e->peer);
	h = seen_mix(h, (uint64_t)e->ever_normal << 2 | (uint64_t)e->lost_storage << 1 |
				(uint64_t)e->owes_all);
	h = digest_at(h, e->stos);
	h = digest_at(h, e->last_operational);
	h = seen_mix(h, e->peer_stos > e->last_operational);
	return seen_mix(h, r->incarnation[0]);
}

static uint64_t digest_disk(uint64_t h, const struct disk *d)
{
	for (unsigned a = 0; a < setup.n_addr; a++) {
		h = seen_mix(h, (uint64_t)d->has[a] << 8 | d->client[a]);
		if (d->has[a])
			h = digest_lease(h, &d->l[a], least_serial(a));
	}
	return digest_record(h, &d->rec);
}

static uint64_t flight_of(unsigned i, uint32_t xid) /* what an xid stands for */
{
	for (uint32_t k = 0; k < ep[i]->max_flights; k++)
		if (ep[i]->flights[k].xid == xid)
			return k + 1;
	return ep[i]->asked_xid == xid ? 100 : 101;
}

/* A message on its way from @from: what it means, not what it says. */
static uint64_t digest_message(uint64_t h, const uint8_t *msg, size_t len, unsigned from)
{
	static struct fo_msg m;
	struct fo_binding b;
	struct fo_state_msg s;
	unsigned cursor = 0;
	bool reply = msg[2] == FO_BNDACK || msg[2] == FO_UPDDONE;

	if (!len || fo_msg_decode(msg, len, &m) != FO_OK)
		return seen_mix(h, 1);
	h = seen_mix(h, m.type);
	h = seen_mix(h, flight_of(reply ? !from : from, m.xid));
	if (m.type == FO_STATE && fo_msg_read_state(&m, &s))
		h = digest_at(seen_mix(h, (uint64_t)s.state << 1 | s.startup), s.stos);
	while ((m.type == FO_BNDUPD || m.type == FO_BNDACK) &&
	       fo_msg_next_binding(&m, &cursor, &b)) {
		h = seen_mix(h, (uint64_t)b.addr << 16 | (uint64_t)b.status << 8 | b.reject);
		h = seen_mix(h, b.serial - least_serial(b.addr - FIRST));
		h = digest_at(digest_at(h, b.expires), b.pet);
		h = seen_mix(h, b.chaddr.len ? b.chaddr.p[6] : 0);
	}
	return h;
}

static uint64_t digest_wire(uint64_t h, unsigned i)
{
	const struct node *n = &w.n[i];

	for (uint16_t at = 0; at < n->wire_len;) {
		size_t len = (size_t)n->wire[at] << 8 | n->wire[at + 1];

		h = digest_message(h, n->wire + at, len, !i);
		at = (uint16_t)(at + (len ? len : 2));
	}
	return h;
}

static uint64_t digest_view(uint64_t h, const struct fo_view *v)
{
	h = seen_mix(h, (uint64_t)v->policy.serve << 8 | (uint64_t)v->serve_new << 4 |
				(uint64_t)v->serve_renew << 3 | (uint64_t)v->hold << 2 |
				(uint64_t)v->balanced << 1 | (uint64_t)v->partner_down);
	return digest_at(h, v->partner_pool_from);
}

static uint64_t digest_out(uint64_t h, unsigned i)
{
	const struct node *n = &w.n[i];
	struct out_ack a;
	struct fo_view v;
	struct out o;

	for (uint16_t at = 0; at < n->out_len; at = (uint16_t)(at + sizeof(o) + o.len)) {
		const uint8_t *p = n->out + at + sizeof(o);

		memcpy(&o, n->out + at, sizeof(o));
		h = seen_mix(h, o.kind);
		if (o.kind == OUT_MESSAGE) {
			h = digest_message(h, p, o.len, i);
		} else if (o.kind == OUT_VIEW) {
			memcpy(&v, p, sizeof(v));
			h = digest_view(h, &v);
		} else if (o.kind == OUT_ACK) {
			memcpy(&a, p, sizeof(a));
			h = digest_at(seen_mix(h, a.addr << 4 | a.client), a.expires);
			h = seen_mix(h, a.released == w.released[a.client]);
		}
	}
	return h;
}

static uint64_t digest_flights(uint64_t h, const struct fo_endpoint *e)
{
	for (uint32_t k = 0; k < e->max_flights; k++) {
		const struct fo_flight *f = &e->flights[k];

		h = seen_mix(h, f->xid ? f->n + 1u : 0);
		for (unsigned b = 0; f->xid && b < f->n; b++) {
			h = seen_mix(h, (uint64_t)f->b[b].addr << 16 |
						(uint64_t)f->b[b].state << 8 | f->b[b].open);
			h = seen_mix(h, f->b[b].serial - least_serial(f->b[b].addr - FIRST));
		}
		h = seen_mix(h, f->xid && f->dump);
	}
	return h;
}

static uint64_t digest_endpoint(uint64_t h, unsigned i)
{
	const struct fo_endpoint *e = ep[i];

	h = digest_record(h, &e->rec);
	h = seen_mix(h, (uint64_t)e->link << 12 | (uint64_t)e->new_pair << 11 |
				(uint64_t)e->heard << 10 | (uint64_t)e->heard_since_start << 9 |
				(uint64_t)e->hold << 8 | (uint64_t)e->tell_lost << 7 |
				(uint64_t)e->more_to_move << 6 | (uint64_t)e->dump.active << 5 |
				(uint64_t)e->dump.all << 4 | (uint64_t)(e->asked_xid != 0) << 3);
	h = seen_mix(h, e->dump.cursor);
	h = seen_mix(h, (uint64_t)e->n_flights << 32 | e->rejected);
	h = seen_mix(h, e->n_acks);
	h = digest_timer(digest_timer(h, e->startup_at), e->ack_at);
	h = digest_timer(digest_timer(h, e->retry_at), e->handshake_at);
	h = digest_past(digest_past(h, e->recover_until), e->hold_until);
	return digest_flights(h, e);
}

static uint64_t digest_pool(uint64_t h, unsigned i)
{
	for (unsigned a = 0; a < setup.n_addr; a++) {
		const struct row *r = &pools[i]->rows[a + 1];

		h = seen_mix(h, r->flags);
		if (!(r->flags & ROW_RECORD))
			continue;
		h = digest_lease(h, &r->l, least_serial(a));
		h = digest_past(h, r->timer ? pools[i]->heap[r->timer].at : 0);
	}
	return h;
}

static uint64_t digest(bool with_budget)
{
	uint64_t h = 88172645463325252ULL;

	for (unsigned i = 0; i < 2; i++) {
		const struct node *n = &w.n[i];

		h = seen_mix(h, (uint64_t)n->up << 2 | (uint64_t)n->conn << 1 | n->waiting);
		h = digest_disk(h, &n->disk);
		if (n->waiting)
			h = digest_disk(h, &n->soft);
		if (n->up)
			h = digest_pool(digest_endpoint(h, i), i);
		h = digest_view(digest_out(digest_wire(h, i), i), &n->view);
	}
	for (unsigned c = 1; c <= setup.n_clients; c++)
		h = digest_at(seen_mix(h, w.addr[c] << 2 | w.asked[c]), w.until[c]);
	if (!with_budget)
		return h;
	for (unsigned a = 0; a < setup.n_addr; a++)
		h = digest_at(seen_mix(h, w.promise[a].client), w.promise[a].until);
	return seen_mix(h, (uint64_t)w.lost << 1 | w.down_declared);
}

/* What kind of situation it is: the states of both, the link, who holds which address by either
 * disk, and who was promised it. */
static uint64_t digest_kind(void)
{
	uint64_t h = 2463534242ULL;

	for (unsigned i = 0; i < 2; i++) {
		const struct node *n = &w.n[i];

		h = seen_mix(h, (uint64_t)state_of(i) << 8 | (uint64_t)n->conn << 1 | n->up);
		for (unsigned a = 0; a < setup.n_addr; a++)
			h = seen_mix(h, (uint64_t)n->disk.client[a] << 16 |
						(uint64_t)n->disk.l[a].state << 8 |
						(n->disk.l[a].flags & LEASE_DIRTY));
	}
	for (unsigned a = 0; a < setup.n_addr; a++)
		h = seen_mix(h, w.promise[a].client);
	return seen_mix(h, w.lost);
}

/* --- snapshots -------------------------------------------------------------------------------- */

struct part {
	uint8_t *p;
	size_t len;
};

static struct part parts[16];
static unsigned n_parts;
static size_t image_size;
static uint8_t *image, *zero_image; /* as it is; as it was at the start */
static uint8_t *packed, *here;	    /* for keeping a state, for leaving one again and again */

static void add_part(void *p, size_t len)
{
	parts[n_parts++] = (struct part){ p, len };
	image_size += len;
}

/* All that can change. The table of NAKs is large and matters to no promise; of the room for
 * acknowledgements little is ever used. */
static void find_parts(void)
{
	n_parts = 0;
	image_size = 0;
	add_part(&w, sizeof(w));
	for (unsigned i = 0; i < 2; i++) {
		uint8_t *e = ep_mem[i], *p = pool_mem[i];
		size_t tail = offsetof(struct fo_endpoint, max_flights);
		size_t naks = (size_t)((uint8_t *)pools[i]->naks - p);
		size_t clients = (size_t)((uint8_t *)pools[i]->clients - p);

		add_part(e, offsetof(struct fo_endpoint, acks) + ACKS);
		add_part(e + tail, ep_size - tail);
		add_part(p, naks);
		add_part(p + clients, pool_octets - clients);
	}
	image_size = (image_size + 7) & ~(size_t)7;
	image = seen_alloc(image_size, 1);
	zero_image = seen_alloc(image_size, 1);
	packed = seen_alloc(image_size, 2);
	here = seen_alloc(image_size, 1);
}

static void gather(uint8_t *to)
{
	for (unsigned k = 0; k < n_parts; to += parts[k++].len)
		memcpy(to, parts[k].p, parts[k].len);
}

static void scatter(const uint8_t *from)
{
	for (unsigned k = 0; k < n_parts; from += parts[k++].len)
		memcpy(parts[k].p, from, parts[k].len);
}

/* What differs from the start, in words of 8 octets: runs of (same, different, words). */
static size_t pack(uint8_t *to)
{
	const uint64_t *now = (const uint64_t *)(void *)image;
	const uint64_t *then = (const uint64_t *)(void *)zero_image;
	size_t words = image_size / 8, at = 0, len = 0;

	while (at < words) {
		size_t from = at, diff;
		uint16_t run[2];

		while (at < words && now[at] == then[at])
			at++;
		diff = at;
		while (at < words && now[at] != then[at])
			at++;
		run[0] = (uint16_t)(diff - from);
		run[1] = (uint16_t)(at - diff);
		memcpy(to + len, run, 4);
		memcpy(to + len + 4, now + diff, (at - diff) * 8);
		len += 4 + (at - diff) * 8;
	}
	return len;
}

static void unpack(const uint8_t *from, size_t len)
{
	size_t at = 0;

	memcpy(image, zero_image, image_size);
	for (size_t k = 0; k < len;) {
		uint16_t run[2];

		memcpy(run, from + k, 4);
		at += run[0];
		memcpy(image + at * 8, from + k + 4, run[1] * 8u);
		at += run[1];
		k += 4 + run[1] * 8u;
	}
}

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

/* States whose followers are not known yet, by level: steps since the story came to a kind of
 * situation that was new. So the walk is broad around each kind, not only around its beginning.
 * Within a level, first in first out. */
enum { LEVELS = 64 };

struct waiting {
	uint8_t **p; /* by number of the state */
	uint32_t *len, *next;
	uint8_t *level;
	uint32_t first[LEVELS], last[LEVELS], lowest; /* first: SEEN_NONE for an empty level */
	uint64_t octets;
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

static void enqueue(struct waiting *q, uint32_t at)
{
	unsigned k = q->level[at];

	q->next[at] = SEEN_NONE;
	if (q->first[k] == SEEN_NONE)
		q->first[k] = at;
	else
		q->next[q->last[k]] = at;
	q->last[k] = at;
	if (k < q->lowest)
		q->lowest = k;
}

static uint32_t dequeue(struct waiting *q)
{
	uint32_t at;

	while (q->lowest < LEVELS && q->first[q->lowest] == SEEN_NONE)
		q->lowest++;
	if (q->lowest == LEVELS)
		return SEEN_NONE;
	at = q->first[q->lowest];
	q->first[q->lowest] = q->next[at];
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
	enqueue(q, at);
}

static void load(struct waiting *q, uint32_t at)
{
	unpack(q->p[at], q->len[at]);
	q->octets -= q->len[at];
	free(q->p[at]);
	q->p[at] = NULL;
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
	if (!fresh && parent != SEEN_NONE)
		q->level[at] = (uint8_t)(q->level[parent] + (q->level[parent] < LEVELS - 1));
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

static void waiting_init(struct waiting *q)
{
	memset(q, 0, sizeof(*q));
	q->p = seen_alloc(MOST, sizeof(*q->p));
	q->len = seen_alloc(MOST, sizeof(*q->len));
	q->next = seen_alloc(MOST, sizeof(*q->next));
	q->level = seen_alloc(MOST, 1);
	memset(q->first, 0xff, sizeof(q->first)); /* SEEN_NONE */
	q->lowest = LEVELS;
}

static void waiting_done(struct waiting *q)
{
	for (uint32_t at = 0; at < seen.n; at++)
		free(q->p[at]);
	free(q->p);
	free(q->len);
	free(q->next);
	free(q->level);
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
	       (at = dequeue(&q)) != SEEN_NONE)
		r = walk_from(&q, at);
	if (!r)
		printf("%u addresses, %u client%s%s: %u states of %u kinds; from the first of each "
		       "kind every order of %u steps\n",
		       setup.n_addr, setup.n_clients, setup.n_clients > 1 ? "s" : "",
		       setup.false_down ? ", false PARTNER-DOWN" : "", seen.n, kinds.n, q.lowest);
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
