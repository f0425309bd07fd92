/*
 * The clocks of a server, as user/sys/clock.c and user/node_clock.c make them: leases go by a clock
 * of our own, which a step of the system's does not move until the partner's clock, or the
 * operator, says that it is right (decision A20).
 */
#include "sim.h"

#include "sys/clock.h"

static int64_t boot_clock(const struct world *w, const struct server *s)
{
	return w->us + w->us * s->rate_ppm / 1000000 + 1000 * SEC;
}

static int64_t system_wall(const struct world *w, const struct server *s)
{
	return BASE * SEC + w->us + w->us * s->rate_ppm / 1000000 + s->sys_error_us;
}

static void note_offset(const struct world *w, struct server *s, int64_t mono)
{
	int64_t off = mono + s->wall_minus_boot - BASE * SEC - w->us;

	if (off < s->off_min)
		s->off_min = off;
	if (off > s->off_max)
		s->off_max = off;
	off -= s->accepted_us;
	if (off < s->own_min)
		s->own_min = off;
	if (off > s->own_max)
		s->own_max = off;
}

/* As user/sys/clock.c: carried on by BOOTTIME, drawn slowly to the system's. */
struct now server_clock(struct world *w, struct server *s)
{
	int64_t mono = boot_clock(w, s), passed = mono - s->slewed_at;

	if (passed >= SEC) {
		s->wall_minus_boot +=
			clock_slew(system_wall(w, s) - mono - s->wall_minus_boot, passed);
		s->slewed_at = mono;
	}
	note_offset(w, s, mono);
	return (struct now){ { mono }, { (mono + s->wall_minus_boot) / SEC } };
}

void clock_start(struct world *w, struct server *s)
{
	int64_t mono = boot_clock(w, s);

	s->wall_minus_boot = system_wall(w, s) - mono;
	s->slewed_at = mono;
	if (!s->off_max && !s->off_min)
		s->off_min = s->off_max = s->own_min = s->own_max =
			mono + s->wall_minus_boot - BASE * SEC - w->us;
	s->now = server_clock(w, s);
}

/* --- steps ------------------------------------------------------------------------------------ */

/* The system's clock minus ours. */
static int64_t step_sec(const struct world *w, const struct server *s)
{
	return clock_nearest_sec(system_wall(w, s) - boot_clock(w, s) - s->wall_minus_boot);
}

static bool beyond(int64_t sec)
{
	return sec > CLOCK_SLEW_MAX_US / SEC || sec < -CLOCK_SLEW_MAX_US / SEC;
}

bool clock_is_behind(const struct server *s)
{
	uint64_t newest = s->newest;

	if (newest < s->disk.rec.end.stos && s->disk.has_rec)
		newest = s->disk.rec.end.stos;
	if (newest < s->disk.rec.end.last_operational && s->disk.has_rec)
		newest = s->disk.rec.end.last_operational;
	return !s->clock_confirmed && s->now.wall.sec + CLOCK_SLEW_MAX_US / SEC < (int64_t)newest;
}

/* As user/node_clock.c, but for that the store follows at once. */
static void restate(struct server *s, int64_t by_sec)
{
	const struct lease *l;

	if (!s->pool || !s->serving)
		return;
	pool_clock_moved(s->pool, by_sec);
	for (uint64_t a = 0; (l = pool_next(s->pool, (uint32_t)a)); a = (uint64_t)l->addr + 1)
		disk_put(s, l, NULL);
}

static void step_to(struct world *w, struct server *s, const char *by)
{
	int64_t step = step_sec(w, s), was = s->wall_minus_boot;

	TRACE(w, 0, -1, "%c: clock accepted by the %s: %+d s", "PS"[s->i], by, (int)step);
	s->accepted_us += system_wall(w, s) - boot_clock(w, s) - was;
	clock_start(w, s);
	restate(s, step);
	s->held_until += s->held_until ? step : 0;
	s->reclaim_looked = w->us + 3 * SEC; /* time went on all at once */
	if (s->ep)
		fo_endpoint_clock_moved(s->ep, step, &s->now);
}

/* Does the partner go by the system's clock, and not by ours? */
static bool partner_confirms(const struct server *s, int64_t step)
{
	struct fo_status st;

	if (!s->ep)
		return false;
	fo_endpoint_status(s->ep, &st);
	return st.connected && beyond(st.clock_skew_ms / 1000) &&
	       !beyond(st.clock_skew_ms / 1000 - step);
}

void clock_watch(struct world *w, struct server *s)
{
	int64_t step = step_sec(w, s);

	if (s->up && s->serving && beyond(step) && partner_confirms(s, step))
		step_to(w, s, "partner");
}

void server_accept_clock(struct world *w, struct server *s)
{
	if (!s->up || s->frozen || (s->serving && !beyond(step_sec(w, s))))
		return;
	if (!s->serving) {
		s->clock_confirmed = true;
		s->retry_store = 0;
	}
	step_to(w, s, "operator");
	server_wake(w, s, w->us);
}

/* --- how far apart ---------------------------------------------------------------------------- */

static int64_t slack(const struct world *w, const int64_t min[2], const int64_t max[2])
{
	int64_t most = 2 * SEC; /* whole seconds, twice */

	for (unsigned i = 0; i < 2; i++)
		for (unsigned k = 0; k < 2; k++) {
			int64_t d = max[i] - min[k];

			if (d > SEC && most < 2 * SEC + d)
				most = 2 * SEC + d;
		}
	return most + (w->slow_ever ? 3 * SEC : 0); /* a late message looks like a slow clock */
}

int64_t clock_slack(const struct world *w)
{
	return slack(w, (const int64_t[]){ w->s[0].off_min, w->s[1].off_min },
		     (const int64_t[]){ w->s[0].off_max, w->s[1].off_max });
}

int64_t clock_slack_unset(const struct world *w)
{
	return slack(w, (const int64_t[]){ w->s[0].own_min, w->s[1].own_min },
		     (const int64_t[]){ w->s[0].own_max, w->s[1].own_max });
}

int64_t clocks_apart_sec(const struct world *w)
{
	int64_t most = 0;

	for (unsigned i = 0; i < 2; i++)
		if ((w->s[i].off_max - w->s[i].off_min) / SEC > most)
			most = (w->s[i].off_max - w->s[i].off_min) / SEC;
	return most;
}
