/*
 * What goes wrong in a seed: a list made beforehand by a stream of chance of its own. Each fault
 * has a moment, mostly a duration, and is left out where the rules of the house say that nobody
 * would do that:
 *
 *   - PARTNER-DOWN is declared of a server that is dead, and that is not cut off when it comes back
 *     (decision A12), but for seeds that want it otherwise;
 *   - one store is lost at a time, while the partner's is good;
 *   - a clock that was set wrong, and accepted, is set right before the server is started again.
 */
#include "sim.h"

const char *fault_name(unsigned kind)
{
	static const char *const name[] = {
		"client-cut", "client-loss", "link-reset",   "link-cut", "link-half",
		"link-slow",  "kill",	     "kill-commit",  "power",	 "kill-both",
		"lose-store", "backup",	     "restore",	     "freeze",	 "slow-disk",
		"disk-fails", "clock-step",  "partner-down", "pause",	 "shutdown",
		"force-down",
	};

	return kind < F_KINDS ? name[kind] : "?";
}

/* --- the plan ----------------------------------------------------------------------------------
 */

static const uint8_t weight[F_KINDS] = {
	[F_CLIENT_CUT] = 8, [F_CLIENT_LOSS] = 4,   [F_LINK_RESET] = 6, [F_LINK_CUT] = 10,
	[F_LINK_HALF] = 6,  [F_LINK_SLOW] = 4,	   [F_KILL] = 8,       [F_KILL_AT_COMMIT] = 14,
	[F_POWER] = 6,	    [F_KILL_BOTH] = 4,	   [F_LOSE_STORE] = 4, [F_BACKUP] = 3,
	[F_RESTORE] = 3,    [F_FREEZE] = 8,	   [F_SLOW_DISK] = 4,  [F_DISK_FAILS] = 3,
	[F_CLOCK_STEP] = 4, [F_PARTNER_DOWN] = 16, [F_PAUSE] = 4,      [F_SHUTDOWN] = 4,
	[F_FORCE_DOWN] = 2,
};

static enum fault_kind pick_kind(struct world *w)
{
	uint32_t sum = 0, roll;

	for (unsigned k = 0; k < F_KINDS; k++)
		sum += weight[k];
	roll = below(w, sum);
	for (unsigned k = 0; k < F_KINDS; k++) {
		if (roll < weight[k])
			return (enum fault_kind)k;
		roll -= weight[k];
	}
	return F_KILL;
}

static int64_t pick_length(struct world *w)
{
	switch (below(w, 3)) {
	case 0:
		return 200000 + below(w, 3 * SEC);
	case 1:
		return 3 * SEC + below(w, 20 * SEC);
	default:
		return (w->t.mclt * SEC) / 2 + below(w, (uint32_t)(w->t.mclt * 2 * SEC));
	}
}

void faults_plan(struct world *w)
{
	uint64_t keep = w->rnd;
	int64_t from = 10 * SEC;
	unsigned told;

	w->rnd = (w->seed + 7) * 0xd1342543de82ef95ULL | 1;
	for (unsigned i = 0; i < 8; i++)
		(void)rnd(w);
	told = story_faults(w, &from);
	for (unsigned i = 0; i < told; i++)
		if (!w->fault_skipped[i])
			at(w, w->faults[i].at, EV_FAULT, 0, i);
	if (w->t.faults < told + 3)
		w->t.faults = told + 3;
	for (unsigned i = told; i < w->t.faults; i++) {
		struct fault *f = &w->faults[i];

		f->kind = pick_kind(w);
		f->at = from + (int64_t)(rnd(w) % (uint64_t)(w->t.length - from));
		f->lasts = pick_length(w);
		f->a = below(w, 1u << 16);
		f->b = below(w, 1u << 16);
		f->c = below(w, 1u << 16);
		if (f->kind == F_PARTNER_DOWN && chance(w, 80)) { /* somebody dies first */
			f->b |= 1u << 31;
			f->lasts = w->t.mclt * SEC / 2 + below(w, (uint32_t)(w->t.mclt * 3 * SEC));
		}
		if (!w->fault_skipped[i])
			at(w, f->at, EV_FAULT, 0, i);
	}
	w->rnd = keep;
}

/* --- what is possible ----------------------------------------------------------------------------
 */

static bool down_declared(const struct world *w)
{
	return down_here(&w->s[0]) || down_here(&w->s[1]);
}

static bool may_cut(const struct world *w)
{
	return !w->restoring && (w->t.false_pd_allowed || !down_declared(w));
}

static bool store_is_good(const struct server *s)
{
	const struct fo_end *e = &s->disk.rec.end;

	return s->up && !s->frozen && s->ep && s->disk.has_rec && !e->lost_storage &&
	       e->ever_normal &&
	       (e->state == FO_NORMAL || e->state == FO_COMM_INT || e->state == FO_PARTNER_DOWN);
}

static bool may_lose_store(const struct world *w, const struct server *s)
{
	const struct fo_end *e = &s->disk.rec.end;
	bool rests = e->state == FO_STARTUP || e->state == FO_PAUSED || e->state == FO_SHUTDOWN;

	return !w->restoring && store_is_good(&w->s[!s->i]) && s->disk.has_rec && e->ever_normal &&
	       !e->lost_storage && (rests ? e->saved : e->state) != FO_RECOVER &&
	       fo_any(w->s[!s->i].disk.rec.incarnation, 16);
}

/* Whoever comes back beside a partner that took over is not cut off from it. */
static void reunite(struct world *w, const struct server *s)
{
	if (w->t.false_pd_allowed || !down_here(&w->s[!s->i]))
		return;
	link_cut(w, 0, false);
	link_cut(w, 1, false);
}

static void come_back(struct world *w, struct server *s)
{
	if (s->up)
		return;
	reunite(w, s);
	if (s->sys_error_us - s->sys_base_us > 60 * SEC ||
	    s->sys_error_us - s->sys_base_us < -60 * SEC)
		s->sys_error_us = s->sys_base_us; /* nobody starts without having asked the time */
	server_boot(w, s);
	if (!s->serving) /* and the store is told that */
		server_accept_clock(w, s);
}

/* --- begin and end
 * -------------------------------------------------------------------------------- */

static bool cut_link(struct world *w, const struct fault *f)
{
	if (!may_cut(w))
		return false;
	if (f->kind == F_LINK_CUT || f->a & 1)
		link_cut(w, 0, true);
	if (f->kind == F_LINK_CUT || !(f->a & 1))
		link_cut(w, 1, true);
	return true;
}

static bool kill_at_commit(struct server *s, const struct fault *f)
{
	if (!s->up || s->crash)
		return false;
	s->crash = (enum crash_plan)(CRASH_BEFORE_COMMIT + f->b % 3);
	s->crash_in = 1 + f->b / 3 % 5;
	s->crash_power = f->c & 1;
	return true;
}

static bool lose_store(struct world *w, struct server *s)
{
	if (!may_lose_store(w, s))
		return false;
	server_kill(w, s, false);
	memset(&s->disk, 0, sizeof(s->disk));
	s->lost_ever = true;
	s->has_backup = false;
	TRACE(w, 0, -1, "%c has lost its store", "PS"[s->i]);
	return true;
}

/* By the tool, which marks the storage as lost; or by hand: then the start counter tells. */
static bool restore(struct world *w, struct server *s, const struct fault *f)
{
	bool tool = f->c & 1;
	const struct fo_record *theirs = &w->s[!s->i].disk.rec;

	if (!s->has_backup || !may_lose_store(w, s))
		return false;
	if (!tool && (s->backup.starts + 1 >= theirs->peer_start_count || !s->conn || w->cut[0] ||
		      w->cut[1]))
		return false;
	server_kill(w, s, false);
	s->disk = s->backup;
	s->lost_ever = true;
	if (tool && s->disk.has_rec)
		s->disk.rec.end.lost_storage = true;
	w->restoring = tool ? NULL : s;
	TRACE(w, 0, -1, "%c: an older store is restored %s", "PS"[s->i],
	      tool ? "by the tool" : "by hand");
	return true;
}

/* It is told so by the partner, which remembers its later start until it shows that it knows. Were
 * it to start again before, its count might catch up with what the partner remembers. */
static bool loss_is_noticed(const struct world *w, const struct server *s)
{
	return s->disk.rec.end.lost_storage ||
	       w->s[!s->i].disk.rec.peer_start_count <= s->disk.starts;
}

static bool freeze(struct world *w, struct server *s)
{
	if (!s->up || s->frozen || w->restoring)
		return false;
	s->frozen = true;
	s->frozen_since = server_clock(w, s).mono.us;
	return true;
}

static bool declare_down(struct world *w, struct server *s, const struct fault *f)
{
	struct server *p = &w->s[!s->i];
	uint32_t since = 0;
	const char *refused;

	if (w->restoring)
		return false;
	if (f->b >> 31 && p->up && s->up)
		server_kill(w, p, f->c & 1);
	if (p->up && !w->t.false_pd_allowed && (!p->frozen || w->cut[0] || w->cut[1]))
		return false;	/* who stands still looks dead */
	if (!p->up && f->c & 2) /* the operator knows since when */
		since = (uint32_t)(server_clock(w, s).wall.sec - (w->us - p->dead_since) / SEC + 2);
	refused = server_operate(w, s, FO_EV_OP_PARTNER_DOWN, since);
	TRACE(w, 0, -1, "operator: %c partner-down: %s", "PS"[s->i], refused ? refused : "done");
	return true;
}

static bool force_down(struct world *w, struct server *s)
{
	const char *refused;
	bool risk;

	if (!s->up || !s->ep || w->s[!s->i].up || w->restoring)
		return false;
	risk = !s->ep->hold;
	refused = server_operate(w, s, FO_EV_OP_FORCE_PARTNER_DOWN, 0);
	TRACE(w, 0, -1, "operator: %c partner-down --force: %s", "PS"[s->i],
	      refused ? refused : "done");
	if (!refused)
		s->held_until = 0;
	if (!refused && risk && !w->false_pd_from)
		w->false_pd_from = w->us; /* the operator was told */
	return !refused;
}

static bool operate(struct world *w, struct server *s, enum fo_event ev)
{
	const char *refused;

	if (w->restoring)
		return false;
	refused = server_operate(w, s, ev, 0);
	TRACE(w, 0, -1, "operator: %c %s: %s", "PS"[s->i],
	      ev == FO_EV_OP_PAUSE	? "pause"
	      : ev == FO_EV_OP_SHUTDOWN ? "shutdown"
					: "resume",
	      refused ? refused : "done");
	return !refused;
}

static bool kill_one(struct world *w, struct server *s, bool power)
{
	if (!s->up || w->restoring)
		return false;
	server_kill(w, s, power);
	return true;
}

static bool begin(struct world *w, struct fault *f)
{
	static const int64_t slow[] = { 50000, 400000, 1500000, 4000000 };
	static const int64_t step[] = { 2, 5, 15, 300 };
	struct server *s = &w->s[f->a & 1];

	switch (f->kind) {
	case F_CLIENT_CUT:
		w->path_cut[f->b & 1][f->a & 1] = true;
		return true;
	case F_CLIENT_LOSS:
		w->storm = 60;
		return true;
	case F_LINK_RESET:
		link_reset(w);
		return true;
	case F_LINK_CUT:
	case F_LINK_HALF:
		return cut_link(w, f);
	case F_LINK_SLOW:
		w->slow = 100000 + f->b * 25;
		w->slow_ever = true;
		return true;
	case F_KILL:
		return kill_one(w, s, false);
	case F_POWER:
		return kill_one(w, s, true);
	case F_KILL_AT_COMMIT:
		return !w->restoring && kill_at_commit(s, f);
	case F_KILL_BOTH:
		return kill_one(w, s, f->b & 1) | kill_one(w, &w->s[!s->i], f->c & 1);
	case F_LOSE_STORE:
		return lose_store(w, s);
	case F_BACKUP:
		s->backup = s->disk;
		s->has_backup = s->disk.has_rec;
		return true;
	case F_RESTORE:
		return restore(w, s, f);
	case F_FREEZE:
		return freeze(w, s);
	case F_SLOW_DISK:
		s->disk_us = slow[f->b % 4];
		return true;
	case F_DISK_FAILS:
		s->fail_next_commit = s->up;
		return true;
	case F_CLOCK_STEP:
		if (!w->t.clocks_differ)
			return false;
		s->sys_error_us += step[f->b % 4] * (f->c & 1 ? SEC : -SEC);
		if (f->c & 2) /* the operator takes it for right */
			server_accept_clock(w, s);
		return true;
	case F_PARTNER_DOWN:
		return declare_down(w, s, f);
	case F_FORCE_DOWN:
		return force_down(w, s);
	case F_PAUSE:
		return operate(w, s, FO_EV_OP_PAUSE);
	case F_SHUTDOWN:
		return operate(w, s, FO_EV_OP_SHUTDOWN);
	case F_KINDS:
		break;
	}
	return false;
}

void fault_begin(struct world *w, struct fault *f)
{
	if (w->restoring && loss_is_noticed(w, w->restoring))
		w->restoring = NULL;
	if (!begin(w, f))
		return;
	f->on = true;
	w->faults_done++;
	w->trouble = w->us;
	cover_fault(w, f->kind);
	TRACE(w, 0, -1, "fault %u: %s %c for %.1f s", (unsigned)(f - w->faults),
	      fault_name(f->kind), "PS"[f->a & 1], (double)f -> lasts / 1e6);
	at(w, w->us + f->lasts, EV_FAULT_END, 0, (uint32_t)(f - w->faults));
}

static void resume(struct world *w, struct server *s)
{
	uint8_t state;

	if (!s->up || s->frozen || !s->ep)
		return;
	state = s->ep->rec.end.state;
	if (state != FO_PAUSED && state != FO_SHUTDOWN && !fo_closing(s->ep))
		return;
	reunite(w, s);
	(void)operate(w, s, FO_EV_OP_RESUME);
}

static void undo(struct world *w, struct fault *f)
{
	static const int64_t step[] = { 2, 5, 15, 300 };
	struct server *s = &w->s[f->a & 1];

	switch (f->kind) {
	case F_CLIENT_CUT:
		w->path_cut[f->b & 1][f->a & 1] = false;
		break;
	case F_CLIENT_LOSS:
		w->storm = 0;
		break;
	case F_LINK_CUT:
	case F_LINK_HALF:
		link_cut(w, 0, false);
		link_cut(w, 1, false);
		break;
	case F_LINK_SLOW:
		w->slow = 0;
		break;
	case F_KILL_AT_COMMIT:
		s->crash = CRASH_NONE;
		come_back(w, s);
		break;
	case F_KILL:
	case F_POWER:
	case F_LOSE_STORE:
	case F_RESTORE:
		come_back(w, s);
		break;
	case F_PARTNER_DOWN:
	case F_FORCE_DOWN:
		come_back(w, &w->s[!s->i]);
		break;
	case F_KILL_BOTH:
		come_back(w, s);
		come_back(w, &w->s[!s->i]);
		break;
	case F_FREEZE:
		if (s->up && s->frozen)
			server_thaw(w, s);
		break;
	case F_SLOW_DISK:
		s->disk_us = 1000;
		break;
	case F_CLOCK_STEP:
		if (s->sys_error_us != s->sys_base_us)
			s->sys_error_us -= step[f->b % 4] * (f->c & 1 ? SEC : -SEC);
		if (f->c & 4) /* else the partner's clock says so, sooner or later */
			server_accept_clock(w, s);
		break;
	case F_PAUSE:
	case F_SHUTDOWN:
		resume(w, s);
		break;
	case F_LINK_RESET:
	case F_BACKUP:
	case F_DISK_FAILS:
	case F_KINDS:
		break;
	}
}

void fault_end(struct world *w, struct fault *f)
{
	if (!f->on)
		return;
	f->on = false;
	w->trouble = w->us;
	TRACE(w, 0, -1, "fault %u ends: %s %c", (unsigned)(f - w->faults), fault_name(f->kind),
	      "PS"[f->a & 1]);
	undo(w, f);
}

void faults_over(struct world *w)
{
	w->quiet = true;
	w->restoring = NULL;
	for (unsigned i = 0; i < w->t.faults; i++)
		fault_end(w, &w->faults[i]);
	w->storm = 0;
	w->slow = 0;
	memset(w->path_cut, 0, sizeof(w->path_cut));
	link_cut(w, 0, false);
	link_cut(w, 1, false);
	for (unsigned i = 0; i < 2; i++) {
		struct server *s = &w->s[i];

		s->disk_us = 1000;
		s->crash = CRASH_NONE;
		s->crash_now = s->fail_next_commit = false;
		s->sys_error_us = s->sys_base_us;
		if (s->up && s->frozen)
			server_thaw(w, s);
		server_accept_clock(w, s);
		come_back(w, s);
		resume(w, s);
	}
	TRACE(w, 0, -1, "the faults are over");
}
