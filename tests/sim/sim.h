#pragma once
/*
 * Two complete servers, many clients, the networks and the disks between them, under one virtual
 * clock, in one process. Everything that happens follows from a seed number.
 *
 *   sim_world.c   a seed's configuration, the event queue, chance
 *   sim_server.c  the driver: turns, batches, what leaves when (as user/node*.c does it)
 *   sim_clock.c   the clocks of a server
 *   sim_sink.c    what an endpoint asks of its driver
 *   sim_disk.c    commits, crashes, backups
 *   sim_link.c    the connection between the partners (as user/net/fo_session.c does it)
 *   sim_dgram.c   datagrams between clients and servers
 *   sim_client.c  DHCP clients
 *   sim_fault.c   what goes wrong
 *   sim_script.c  seeds that begin with a story
 *   sim_check.c   invariants of every step
 *   sim_serve.c   who serves, and for how long nobody may
 *   sim_settle.c  what must hold when the faults are over
 *   sim_cover.c   what a run has seen
 *   sim_trace.c   the story of a violation, and its shortest form
 *   sim_main.c    many seeds on many processors
 *
 * Decisions A2, A12, A13, A19, A20, E3, E6.
 */
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/fo_endpoint_priv.h"
#include "core/server.h"
#include "outbox.h"

#define SEC 1000000LL
#define BASE 1700000000LL /* UTC sec at virtual time 0 */
#define FIRST 0x0a090000u /* 10.9.0.0; a scope per /24 */
#define SCOPES 3
#define MAX_ADDR (SCOPES * 256)
#define MAX_CLIENTS 160
#define MAX_FAULTS 40
#define MAX_OFFERS 256
#define PATHS 2 /* clients on the servers' own wire, clients behind a relay */

/* --- events ----------------------------------------------------------------------------------- */

enum event_kind {
	EV_TURN,
	EV_COMMIT,
	EV_WIRE,
	EV_CONNECT,
	EV_REQUEST,
	EV_REPLY,
	EV_CLIENT,
	EV_FAULT,
	EV_FAULT_END,
	EV_KINDS
};

struct event {
	int64_t at;
	uint32_t seq; /* of two at one time the earlier made goes first */
	uint16_t kind, who;
	uint32_t arg;
};

/* --- disk ------------------------------------------------------------------------------------- */

struct small_client { /* struct lease_client without the room that nobody here needs */
	uint8_t htype, hlen, chaddr[6], id_len, id[15];
};

struct disk {
	bool has[MAX_ADDR];
	struct lease l[MAX_ADDR];
	struct small_client c[MAX_ADDR];
	/* runs: what holds for addresses without a record; equal numbers are one run */
	struct lease run[MAX_ADDR];
	uint32_t run_no[MAX_ADDR], runs;
	struct fo_record rec;
	bool has_rec;
	uint64_t starts;
};

enum op_kind { OP_LEASE, OP_LEASE_CLIENT, OP_RUN, OP_RECORD };

struct op { /* waits to be written */
	enum op_kind kind;
	union {
		struct {
			struct lease l;
			struct small_client c;
			uint32_t n; /* OP_RUN */
		};
		struct fo_record rec;
	};
};

struct batch {
	struct op *ops;
	uint32_t n, room;
};

enum crash_plan { CRASH_NONE, CRASH_BEFORE_COMMIT, CRASH_AFTER_COMMIT, CRASH_AFTER_TURN };

/* --- a server --------------------------------------------------------------------------------- */

enum out_kind { OUT_REPLY, OUT_FO_MESSAGE, OUT_FO_CLOSE, OUT_POLICY };

struct request { /* a datagram towards a server */
	uint16_t client, server;
	uint8_t type, path;
	bool broadcast, with_id;
	uint16_t secs;
	uint32_t xid, ciaddr, giaddr, requested, server_id, wish;
	uint32_t dest; /* IP destination where it is the server's own */
	int64_t arrived;
	int32_t next;
};

struct reply {
	uint16_t client, server;
	uint8_t type;
	uint32_t xid, yiaddr, server_id, lease, renew, rebind;
	uint32_t asked; /* the address that the request was about */
	int32_t next;
};

struct out_reply {
	struct reply r;
	struct lease lease; /* what the record says, of an ACK */
	struct lease before;
	bool recorded;
	enum server_reason reason;
	struct now decided;
};

struct out_link {
	uint32_t conn;
	uint8_t data[];
};

enum wire_kind { WIRE_SYN, WIRE_SYNACK, WIRE_DATA, WIRE_FIN };

struct packet { /* on the wire between the partners, or in a server's inbox */
	enum wire_kind kind;
	uint32_t conn;
	int64_t at;
	uint32_t len;
	int32_t next;
	uint8_t data[FO_MSG_MAX];
};

struct fifo {
	int32_t first, last; /* -1: empty */
};

#define WRITTEN 32
struct written { /* states lately written to disk */
	struct fo_end end;
	bool valid;
};

struct server {
	unsigned i; /* 0 primary, 1 secondary */
	uint32_t addr;
	bool up, serving, frozen, host_down;
	int64_t frozen_since;
	struct fo_conf conf;

	struct disk disk, backup;
	bool has_backup, fail_next_commit;
	struct batch open, committing;
	uint64_t open_no, durable;
	bool writing, written_unheard, commit_failed;
	uint64_t writing_no;
	uint32_t commit_id;
	int64_t disk_us; /* a commit takes this long */
	enum crash_plan crash;
	unsigned crash_in; /* commits */
	bool crash_power, crash_now;

	void *pool_mem;
	size_t pool_mem_size;
	struct pool *pool;
	struct fo_endpoint *ep;
	struct fo_view view; /* in force */
	bool in_force, touched, broken, suspect;
	struct client_hash hash;
	struct outbox outbox;
	struct server_ctx ctx;
	int64_t retry_store;
	bool store_failed;
	uint64_t newest;

	/* clocks: BOOTTIME is the world's time at a rate of its own, the system's wall clock that
	 * plus an error, the lease clock what user/sys/clock.c makes of both */
	int64_t rate_ppm, sys_base_us, sys_error_us, wall_minus_boot, slewed_at;
	int64_t off_min, off_max; /* of the lease clock against the true time */
	int64_t own_min, own_max; /* the same, without what was accepted */
	int64_t accepted_us;
	bool clock_confirmed;
	struct now now;
	int64_t turn_at;
	struct fifo inbox, dgrams;
	unsigned n_dgrams;

	/* link */
	uint32_t conn, inbound;
	bool conn_up;
	int64_t heard;
	int64_t connect_at;
	uint32_t connecting;

	/* what the checks remember */
	struct written written[WRITTEN];
	unsigned n_written;
	uint32_t recent[MAX_ADDR][8]; /* serials written last */
	uint32_t recv_serial[MAX_ADDR], recv_xid[MAX_ADDR];
	uint32_t asked[MAX_ADDR];
	uint64_t asked_rejects;
	uint32_t asked_xid; /* of the partner's latest request */
	uint32_t open_xids[128];
	unsigned n_open_xids;
	bool lost_ever;
	int64_t dead_since;
	unsigned probe_answers;
	bool overslept; /* for longer than the lead time, and has not begun anew */
	uint32_t put_serial[MAX_ADDR];
	bool long_away;	    /* before this start; decision A8 */
	int64_t held_until; /* lease clock: nothing new before; 0: not held back */
	int64_t reclaim_looked, down_since; /* the view of PARTNER-DOWN is in force */
};

/* --- clients ---------------------------------------------------------------------------------- */

enum client_state {
	CL_OFF,
	CL_SELECTING,
	CL_REQUESTING,
	CL_REBOOTING,
	CL_BOUND,
	CL_RENEWING,
	CL_REBINDING,
	CL_STATES
};

struct client {
	unsigned i, scope, path;
	bool with_id, reserved;
	struct small_client who;
	uint8_t bucket;
	enum client_state state;
	uint32_t addr, server_id, xid, wish;
	int64_t began, sent, timer, t1, t2, ends, leave_at;
	uint8_t leave_how;
	unsigned tries;
	struct reply offers[2];
	unsigned n_offers;
	bool quiet; /* does nothing any more */
};

struct promise {
	uint16_t client; /* 1 + its number; 0 nobody */
	uint8_t by;
	bool tainted; /* a collision that nobody can avoid was counted here (decision A12) */
	int64_t until;
};

/* --- faults ----------------------------------------------------------------------------------- */

enum fault_kind {
	F_CLIENT_CUT,
	F_CLIENT_LOSS,
	F_LINK_RESET,
	F_LINK_CUT,
	F_LINK_HALF,
	F_LINK_SLOW,
	F_KILL,
	F_KILL_AT_COMMIT,
	F_POWER,
	F_KILL_BOTH,
	F_LOSE_STORE,
	F_BACKUP,
	F_RESTORE,
	F_FREEZE,
	F_SLOW_DISK,
	F_DISK_FAILS,
	F_CLOCK_STEP,
	F_PARTNER_DOWN,
	F_PAUSE,
	F_SHUTDOWN,
	F_FORCE_DOWN,
	F_KINDS
};

struct fault {
	enum fault_kind kind;
	int64_t at, lasts;
	uint32_t a, b, c; /* chance, given once */
	bool on;
};

/* --- the world -------------------------------------------------------------------------------- */

enum story_kind {
	STORY_NONE,
	STORY_RESTORED,
	STORY_LOST_APART,
	STORY_FROZEN,
	STORY_DECLINES,
	STORY_TAKEN_OVER,
	STORY_CONFLICT,
	STORY_KINDS
};

enum room { ROOM_BY_CHANCE, ROOM_TIGHT, ROOM_WIDE };

struct terms { /* what differs between seeds */
	unsigned clients, scopes, faults;
	uint32_t lease_time, mclt, contact, startup;
	int64_t length;	    /* us until the faults end */
	unsigned loss, dup; /* percent */
	int64_t delay_max, spike_max;
	bool clocks_differ, false_pd_allowed, relays_only, no_wishes;
	enum room room;
	unsigned declines, share_primary; /* percent; 0: by chance */
	unsigned arrive;		  /* the last client comes then, sec; 0: soon */
};

struct violation {
	char kind[32], text[400];
	uint32_t addr;
	int client; /* -1 none */
	int64_t at;
};

struct cover; /* sim_cover.c */

struct world {
	uint64_t seed, rnd;
	enum story_kind story;
	int64_t us;
	struct terms t;
	struct server s[2];
	struct client c[MAX_CLIENTS + 8];
	struct promise promise[MAX_ADDR];

	struct event *queue;
	uint32_t n_queue, queue_room, seq;
	uint32_t commits;
	uint64_t events, faults_done;

	struct packet *packets;
	int32_t free_packet;
	uint32_t n_packets;
	struct request *requests;
	int32_t free_request;
	uint32_t n_requests;
	struct reply *replies;
	int32_t free_reply;
	uint32_t n_replies;
	struct fifo wire[2]; /* towards server i */
	bool cut[2];	     /* that direction of the wire */
	int64_t slow;	     /* us more on the wire */
	bool slow_ever;
	int64_t held_up; /* us that a message has waited behind a cut, at most */
	uint32_t conns;
	bool path_cut[PATHS][2];
	unsigned storm; /* percent lost on top */

	struct scope_table table;
	struct scope scopes[SCOPES];
	struct addr_range ranges[SCOPES * 2];
	struct reservation reservations[SCOPES][4];
	struct fault faults[MAX_FAULTS];
	bool fault_skipped[MAX_FAULTS];
	/* whose store was replaced by hand, which nobody has noticed yet */
	struct server *restoring;
	bool quiet;	 /* the faults are over */
	int64_t trouble; /* when something went wrong or right last */
	int64_t unserved_since;
	unsigned pair;
	int64_t false_pd_from; /* from then on addresses may collide; 0: no false PD */
	uint64_t collisions;

	bool tracing;
	FILE *trace;
	struct violation bad;
	struct cover *cover;
};

/* --- sim_world.c --- */
uint64_t rnd(struct world *w);
uint32_t below(struct world *w, uint32_t n); /* 0 .. n - 1 */
bool chance(struct world *w, unsigned percent);
void at(struct world *w, int64_t us, enum event_kind kind, unsigned who, uint32_t arg);
void world_init(struct world *w, uint64_t seed);
void world_run(struct world *w, int64_t until);
uint32_t true_sec(const struct world *w);
uint32_t waits(const struct world *w); /* the larger MCLT that anybody goes by, sec */

/* --- sim_server.c --- */
void server_boot(struct world *w, struct server *s);
void server_kill(struct world *w, struct server *s, bool power);
void server_turn(struct world *w, struct server *s);
void server_wake(struct world *w, struct server *s, int64_t us);
void server_thaw(struct world *w, struct server *s);
const char *server_operate(struct world *w, struct server *s, enum fo_event ev, uint32_t since);
uint64_t server_wait_for(const struct server *s);
void server_put_refused(struct server *s);

/* --- sim_clock.c --- */
struct now server_clock(struct world *w, struct server *s);
void clock_start(struct world *w, struct server *s);
bool clock_is_behind(const struct server *s);
void clock_watch(struct world *w, struct server *s);
void server_accept_clock(struct world *w, struct server *s);	 /* the operator's command */
int64_t clock_slack(const struct world *w);	  /* us that the clocks of this seed may be apart */
int64_t clock_slack_unset(const struct world *w); /* but for what was accepted */
int64_t clocks_apart_sec(const struct world *w);  /* a server's from what it was, at most */

/* --- sim_sink.c --- */
extern struct world *the_world; /* one at a time */
struct fo_sink sink_of(struct server *s);

/* --- sim_disk.c --- */
void disk_put(struct server *s, const struct lease *l, const struct lease_client *c);
void disk_put_run(struct server *s, const struct lease *l, uint32_t n);
void disk_persist(struct server *s, const struct fo_record *r);
const struct lease *disk_lease(const struct disk *d, unsigned a); /* its record, or its run's */
void disk_submit(struct world *w, struct server *s);
void disk_commit(struct world *w, struct server *s, uint32_t id); /* EV_COMMIT */
void disk_crash(struct world *w, struct server *s, bool power);
bool disk_client(const struct server *s, uint32_t addr, struct lease_client *ret);
struct lease_client client_full(const struct small_client *c);
struct small_client client_small(const struct lease_client *c);

/* --- sim_link.c --- */
struct packet *packet_new(struct world *w, int32_t *ret_id);
void packet_free(struct world *w, int32_t id);
void fifo_add(struct world *w, struct fifo *f, int32_t id);
int32_t fifo_take(struct world *w, struct fifo *f);
void link_send(struct world *w, struct server *s, const uint8_t *msg, size_t len);
void link_close(struct world *w, struct server *s, enum fo_close_reason why);
void link_wire(struct world *w, unsigned to);	      /* EV_WIRE */
void link_connect(struct world *w, struct server *s); /* EV_CONNECT */
void link_hear(struct world *w, struct server *s);    /* the inbox, within a turn */
void link_gone(struct world *w, struct server *s, bool power);
void link_cut(struct world *w, unsigned to, bool cut);
void link_reset(struct world *w);

/* --- sim_dgram.c --- */
void dgram_request(struct world *w, const struct request *r); /* to one server */
void dgram_arrive(struct world *w, uint32_t id);	      /* EV_REQUEST */
void dgram_hear(struct world *w, struct server *s);	      /* a batch, within a turn */
void dgram_forget(struct world *w, struct server *s);
void dgram_reply(struct world *w, struct server *s, const struct reply *r);
void dgram_answer(struct world *w, uint32_t id); /* EV_REPLY */

/* --- sim_client.c --- */
void client_init(struct world *w, unsigned i);
void client_timer(struct world *w, struct client *c);
void client_hear(struct world *w, struct client *c, const struct reply *r);
void client_probe(struct world *w, unsigned scope);
const char *client_state_name(unsigned s);

/* --- sim_fault.c --- */
void faults_plan(struct world *w);
void fault_begin(struct world *w, struct fault *f);
void fault_end(struct world *w, struct fault *f);
void faults_over(struct world *w);
const char *fault_name(unsigned kind);

/* --- sim_script.c --- */
enum story_kind story_of(uint64_t seed);
void story_terms(struct world *w);
unsigned story_faults(struct world *w, int64_t *ret_from);

/* --- sim_check.c --- */
void check_reply(struct world *w, struct server *s, const struct out_reply *o);
void check_message(struct world *w, struct server *s, const uint8_t *msg, size_t len);
void check_heard(struct world *w, struct server *s, const struct fo_msg *m);
void check_view(struct world *w, struct server *s, const struct fo_view *v);
void check_put(struct world *w, struct server *s, const struct lease *l);
void check_decided(struct world *w, struct server *s, const struct lease *before,
		   const struct lease *l);
void check_written(struct world *w, struct server *s, const struct op *o);
void check_state(struct world *w, const struct server *s);
void check_bound(struct world *w, const struct client *c); /* it has heard an ACK */
void check_gave_up(struct world *w, struct client *c, uint32_t addr);
void check_link_new(struct server *s);

/* --- sim_serve.c --- */
void check_service(struct world *w);

/* --- sim_settle.c --- */
void settle(struct world *w);

/* --- sim_cover.c --- */
struct cover *cover_new(void); /* shared with children */
void cover_pair(struct world *w);
void cover_reason(struct world *w, enum server_reason r);
void cover_reject(struct world *w, enum fo_reject r);
void cover_fault(struct world *w, enum fault_kind k);
bool cover_report(const struct cover *c, bool judge);
unsigned state_index(unsigned state);

/* --- sim_trace.c --- */
__attribute__((format(printf, 4, 5))) void trace(struct world *w, uint32_t addr, int who,
						 const char *fmt, ...);
__attribute__((format(printf, 5, 6), noreturn)) void
violate(struct world *w, const char *kind, uint32_t addr, int client, const char *fmt, ...);
void story(struct world *w, uint64_t seed, const struct violation *v);
bool run_seed(struct world *w, uint64_t seed); /* false: a violation, see w->bad */

static inline bool down_here(const struct server *s)
{
	const struct fo_end *e = s->up && s->ep ? &s->ep->rec.end : &s->disk.rec.end;

	return e->state == FO_PARTNER_DOWN ||
	       ((e->state == FO_STARTUP || e->state == FO_PAUSED) && e->saved == FO_PARTNER_DOWN);
}

#define TRACE(w, ...)                                                                              \
	do {                                                                                       \
		if ((w)->tracing)                                                                  \
			trace(w, __VA_ARGS__);                                                     \
	} while (0)
