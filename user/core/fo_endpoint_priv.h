#pragma once
/*
 * Inside of the failover endpoint, shared by its files:
 *   fo_endpoint.c  life, steps of the state machine, view, operator
 *   fo_tick.c      timers, and what a commit brings
 *   fo_status.c    what it knows, for people
 *   fo_mclt.c      the lead time when it changes
 *   fo_link.c      a connection's life, CONTACT, clocks, what each message means
 *   fo_connect.c   handshake
 *   fo_update.c    sending BNDUPD: window, queue, dumps
 *   fo_binding.c   what a lease is in an update
 *   fo_closing.c   the way into SHUTDOWN
 *   fo_isc.c       which updates an ISC dhcpd may see, and when
 *   fo_isc_told.c  which of its own it leaves out
 *   fo_acked.c     what their acknowledgements mean
 *   fo_receive.c   the partner's BNDUPD, and acknowledging them
 *   fo_run.c       never-used addresses, many by one update
 *   fo_balance.c   shares of free addresses, POOLREQ
 */
#include "core/fo_endpoint.h"

#define FO_SEC_US 1000000LL
#define FO_HANDSHAKE_US (15 * FO_SEC_US)  /* failover-wire §7 */
#define FO_CONTACT_ISC_SEC 20		  /* decision A17 */
#define FO_STARTUP_SEC 15		  /* failover-behaviour §8 */
#define FO_CLOSING_US (30 * FO_SEC_US)	  /* that a shutdown waits for acknowledgements */
#define FO_STUCK_US (300 * FO_SEC_US)	  /* decision A11 */
#define FO_ACK_DELAY_US 100000		  /* failover-behaviour §8 */
#define FO_TELL_LATER_US (2 * FO_SEC_US)  /* failover-behaviour §3.7, 6 */
#define FO_OPERATIONAL_SEC 10		  /* decision A9 */
#define FO_RETRY_SEC 60			  /* first retry of what an ISC rejected; most of SOONER */
#define FO_SOONER_SEC 1			  /* first retry towards our own kind; doubles */
#define FO_RETRY_MAX_SEC 3600		  /* decision A16 */
#define FO_BALANCE_US (60 * FO_SEC_US)	  /* at least this often */
#define FO_BALANCE_MIN_US (1 * FO_SEC_US) /* and at most, after changes */
#define FO_BALANCE_CHUNK 2048		  /* addresses on their way to the partner at one time */
#define FO_LAZY_US (2 * FO_SEC_US)	  /* as ISC's (failover-behaviour §1.3, 4) */
#define FO_LAZY_MAX 16384
#define FO_LAZY_CHUNK 1024
#define FO_POOLREQ_NOW_US (1 * FO_SEC_US)  /* and nothing left */
#define FO_TAKE_AGAIN_US (20 * FO_SEC_US)  /* after a refusal */
#define FO_POOLREQ_US (60 * FO_SEC_US)	   /* failover-behaviour §6.3 */
#define FO_POOLREQ_SOON_US (5 * FO_SEC_US) /* own kind, and nothing left or more to come */
#define FO_WALK_CHUNK 4096		   /* rows looked at for a dump in one turn */
#define FO_DUMP_MIN_US (1 * FO_SEC_US)	   /* from one start of a dump to the next */
#define FO_SKEW_WINDOW_US (2 * FO_SEC_US)
#define FO_SKEW_JUMP_MS 60000 /* no delay: the partner's clock was set back */
#define FO_SKEW_TELL_US (60 * FO_SEC_US) /* one event a minute while updates are refused */
#define FO_FUTURE_SEC 60		 /* that a time of the past may lie ahead */
#define FO_TRANSLATE_MS 2000		 /* smaller differences are the jitter of whole seconds */

#define FO_SHARE_PET_SEC 5 /* potential expiry of an address given to an ISC, see fo_isc.c */

#define FO_BATCH_MAX 40 /* bindings of one BNDUPD: 51 octets is the smallest */
#define FO_MAX_FLIGHTS 1000
#define FO_ACK_BUF (8 * FO_MSG_MAX)

/* In start-count of CONNECT and CONNECTACK: "I remember a later start of yours than you tell me",
 * so that a server whose storage was replaced by an older copy learns of it (decision A7). */
#define FO_START_COUNT_LOST (1ULL << 63)

enum fo_link {
	LINK_NONE,
	LINK_HANDSHAKE, /* CONNECT or CONNECTACK is awaited */
	LINK_UP,
};

/* One binding on its way, and what we said of it. */
struct fo_sent {
	uint32_t addr, serial, pet;
	uint32_t run;  /* how many addresses; 0: one with its own record */
	uint8_t state; /* as sent: FREE for a BACKUP address that is taken back */
	bool open;     /* not acknowledged yet */
};

struct fo_flight { /* one BNDUPD; xid 0: unused */
	uint32_t xid;
	uint8_t n, open;
	bool dump; /* UPDDONE waits for it */
	struct fo_sent b[FO_BATCH_MAX];
};

/* Acknowledgements of running leases, not written yet: a record that says less is never wrong, it
 * only makes the update go once more after a restart; and what is granted on the strength of one is
 * written, with it, before the client hears. So they wait, for the next change or a quiet moment.
 */
struct fo_lazy {
	mono_t at; /* MONO_NEVER: none */
	uint32_t first, n;
	struct {
		uint32_t addr, serial;
	} ring[FO_LAZY_MAX];
};

/* What the partner asked for by UPDREQ or UPDREQALL. */
struct fo_dump {
	bool active, all;
	uint32_t xid;	  /* of the latest request */
	uint64_t batch;	  /* what was changed up to this commit belongs to it */
	uint64_t cursor;  /* UPDREQALL: next address to look at; above 32 bits: done */
	uint64_t runs;	  /* likewise of the runs, which come first */
	uint32_t flights; /* messages not acknowledged */
};

/* What an ISC has told of since it was asked, see fo_isc_told.c; the marks are the pool's. */
struct fo_told {
	mono_t at;	 /* nothing new came until then: refuse; MONO_NEVER: nobody waits for it */
	uint64_t first;	 /* of all before it was told */
	uint64_t cursor; /* the next address to refuse; above 32 bits: all have been */
	bool all, done;	 /* it was asked for all; it says that it told */
	uint8_t rounds;	 /* that all was asked for once more */
};

struct fo_endpoint {
	const struct fo_conf *conf;
	struct fo_sink sink;
	struct pool *pool;
	const struct client_hash *hash;
	struct fo_policy_conf policy; /* conf's, with the buckets agreed upon */
	struct fo_record rec;
	struct fo_view view;
	struct fo_counters count;
	struct now now;
	uint64_t batch, durable, start_count;
	uint64_t reclaim_batch; /* PARTNER-DOWN is on disk with it: then look at what ended; 0 none
				 */
	uint32_t boot;		/* UTC sec of our start */

	/* link */
	enum fo_link link;
	bool own_kind, new_pair, heard; /* heard: STATE on this link */
	bool isc;  /* the partner is of another make, as last heard; its rules are ISC's */
	bool runs; /* the partner understands runs */
	bool heard_since_start, hold, partner_sign;
	bool peer_lost;	     /* as last heard (in this hold): what it promised it has lost */
	bool peer_blank;     /* it has no past on this link, and we have one */
	bool tell_lost;	     /* the partner is to learn that its storage is older than it was */
	uint64_t peer_count; /* its start counter as told on this link; 0: not told */
	uint32_t xid, connect_xid, asked_xid; /* last used; of CONNECT; of our UPDREQ, 0 none */
	bool asked_all, missed; /* what we asked for; some of the answer was refused for the clocks */
	bool skewed_then;	/* with ask_at: as soon as the clocks agree, too */
	mono_t ask_at;		/* once more; MONO_NEVER: nothing was missed */
	uint32_t peer_window, peer_timer_sec;
	int64_t skew_ms; /* partner's clock minus ours: the larger of these two */
	int64_t skew_now, skew_before;
	mono_t skew_until;   /* of the present window */
	mono_t skew_told;    /* the event may be repeated from then on */
	uint32_t skew_limit; /* sec, on this link: the smaller of ours and theirs */
	mono_t last_heard;

	/* timers: MONO_NEVER when not armed */
	mono_t handshake_at, contact_at, tell_at, settle_at, startup_at, safe_at, ack_at, retry_at,
		lacked_at, balance_at, balanced, given_at, poolreq_at, progress, acked, operational_at;
	mono_t closing_until; /* being shut down: service has ended, the partner learns the rest */
	uint64_t closing_batch; /* with this commit the end of service is in force; 0 no shutdown */
	uint32_t recover_until; /* UTC sec; 0 not waiting */
	uint32_t hold_until;

	/* updates */
	bool more_to_move; /* addresses, to the partner's share */
	bool starved;	   /* the partner has all free ones of a range; told */
	mono_t take_at;	   /* no runs are wanted back before */
	struct fo_dump dump;
	struct fo_told told;
	uint32_t first_xid; /* of the UPDREQ that an ISC answers before it hears from us; 0 none */
	mono_t first_until; /* so long its answer is waited for; MONO_NEVER: it is not */
	bool asked_of_us;   /* for a dump that is to begin at dump_at */
	mono_t dump_at;	    /* earliest, whatever link it is asked on */
	uint32_t n_flights, unacked, rejected, sooner_sec;
	uint32_t retry_sec; /* 0: nothing was told again yet */
	uint32_t ack_len, n_acks;
	uint8_t acks[FO_ACK_BUF]; /* whole BNDACK messages */
	uint32_t max_flights;
	struct fo_lazy lazy;
	uint32_t flight_hint, ack_hint; /* acknowledgements mostly come in order */
	struct fo_flight *flights;	/* behind this struct */
};

static inline bool fo_due(mono_t t, const struct now *now)
{
	return t.us <= now->mono.us;
}

static inline bool fo_any(const uint8_t *p, size_t len)
{
	while (len--)
		if (p[len])
			return true;
	return false;
}

/* Is the address one of this relationship's? */
static inline bool fo_mine(const struct fo_endpoint *e, uint32_t addr)
{
	const struct scope *s = pool_scope(e->pool, addr);

	return s && s->relation >= 0 && (uint32_t)s->relation == e->conf->relation;
}

/* --- fo_endpoint.c --- */
struct fo_in fo_input(const struct fo_endpoint *e, enum fo_event ev);
const char *fo_step(struct fo_endpoint *e, const struct fo_in *in); /* why, when refused */
void fo_persist(struct fo_endpoint *e);
bool fo_held(const struct fo_endpoint *e); /* nothing beyond what the partner waits for */
void fo_hold_anew(struct fo_endpoint *e);
void fo_refresh_view(struct fo_endpoint *e);
void fo_store(struct fo_endpoint *e, const struct lease *l, const struct lease_client *c);
void fo_event(struct fo_endpoint *e, const char *what, const char *why, uint32_t addr, uint32_t a,
	      uint32_t b);
void fo_refused(struct fo_endpoint *e, const struct fo_refusal *r);

/* How much the partner has yet to acknowledge. What it refuses to know it can give to nobody, and
 * will never acknowledge (decision A16). */
static inline uint32_t fo_owed(const struct fo_endpoint *e)
{
	return pool_dirty_count(e->pool, e->conf->relation) -
	       pool_lacked_count(e->pool, e->conf->relation);
}

/* --- fo_closing.c: shut down in order (decision A10) --- */
static inline bool fo_closing(const struct fo_endpoint *e)
{
	return e->closing_batch != 0;
}
const char *fo_closing_begin(struct fo_endpoint *e);	     /* NULL, or why not */
void fo_closing_pump(struct fo_endpoint *e);		     /* SHUTDOWN when all is acknowledged */
void fo_closing_end(struct fo_endpoint *e, const char *why); /* serve again; @why for the event */
bool fo_closing_first(const struct fo_endpoint *e);	     /* does this state need it? */

/* --- fo_mclt.c --- */
void fo_mclt_load(struct fo_endpoint *e);
uint32_t fo_wait_mclt(const struct fo_endpoint *e); /* the lead time that waits go by */
void fo_mclt_told(struct fo_endpoint *e, uint32_t mclt); /* by the primary; the caller persists */
void fo_mclt_counts(struct fo_endpoint *e, const struct fo_connect *c); /* caller persists, too */
uint32_t fo_mclt_lead(const struct fo_endpoint *e);	 /* as primary, for CONNECT */
void fo_mclt_agreed(struct fo_endpoint *e);		 /* the secondary has adopted ours */
/* In PARTNER-DOWN: the longer one that promises of before may go by; 0: there is none. */
uint32_t fo_former_mclt(const struct fo_endpoint *e);

/* --- fo_link.c --- */
void fo_link_close(struct fo_endpoint *e, enum fo_close_reason why);
void fo_link_tell(struct fo_endpoint *e); /* STATE */
void fo_link_tick(struct fo_endpoint *e);
bool fo_awaits_partner(const struct fo_endpoint *e);
uint32_t fo_contact_sec(const struct fo_endpoint *e); /* our receive timer */
uint32_t fo_next_xid(struct fo_endpoint *e);
void fo_begin(struct fo_endpoint *e, struct fo_writer *w, uint8_t *buf, uint8_t type, uint32_t xid);
void fo_send(struct fo_endpoint *e, struct fo_writer *w);
void fo_send_plain(struct fo_endpoint *e, uint8_t type, uint32_t xid); /* without options */
/* A time of the partner's clock by ours; 0 stays 0. */
uint32_t fo_translate(const struct fo_endpoint *e, uint32_t theirs);
/* A time of ours by the clock of a partner that is ahead and corrects nothing (an ISC): else it
 * would take a lease for over that still runs. One that looks behind may only have been late. */
uint32_t fo_translate_back(const struct fo_endpoint *e, uint32_t ours);
bool fo_skewed(const struct fo_endpoint *e); /* beyond what is tolerated */
void fo_skew_tell(struct fo_endpoint *e);    /* if it is so, and was not told just now */

/* --- fo_connect.c --- */
void fo_send_connect(struct fo_endpoint *e);
void fo_on_connect(struct fo_endpoint *e, const struct fo_msg *m);
void fo_on_connectack(struct fo_endpoint *e, const struct fo_msg *m);
void fo_remember_start(struct fo_endpoint *e, uint8_t state); /* with the partner's STATE */

/* --- fo_update.c --- */
void fo_updates_pump(struct fo_endpoint *e);
void fo_updates_ask(struct fo_endpoint *e, bool all);
void fo_updates_asked(struct fo_endpoint *e, bool all, uint32_t xid);
void fo_updates_begin(struct fo_endpoint *e); /* what was asked of us, when its time has come */
void fo_updates_done(struct fo_endpoint *e, uint32_t xid);
void fo_updates_ask_again(struct fo_endpoint *e); /* when it is time */
void fo_updates_overtaken(struct fo_endpoint *e); /* refused, but it had changed since */
void fo_updates_told(struct fo_endpoint *e); /* the partner has told all that we asked for */

/* --- fo_binding.c --- */
struct fo_client_octets {
	struct lease_client c;
	uint8_t chaddr[1 + CHADDR_MAX];
};
/* As it is told; @room backs the client's octets. Return: false when its client must be told and is
 * not stored. */
bool fo_to_binding(struct fo_endpoint *e, const struct lease *l, struct fo_client_octets *room,
		   struct fo_binding *ret);
/* Does our own record say what the partner is about to see? If not it is written now. */
bool fo_is_noted(struct fo_endpoint *e, const struct lease *l);
uint8_t fo_state_to_send(const struct fo_endpoint *e, const struct lease *l);
/* The partner holds something else, or may: tell it (again). */
struct lease fo_mark_dirty(const struct lease *l);
/* Does the primary want this address back from the secondary's share? That stands when NORMAL is
 * left; it is asked for in NORMAL only. */
bool fo_wanted_back(const struct fo_endpoint *e, const struct lease *l);
bool fo_taking_back(const struct fo_endpoint *e, const struct lease *l);
bool fo_was_taken(const struct fo_sent *s, const struct lease *l); /* when that was accepted */

/* --- fo_isc.c --- */
enum fo_isc_may { ISC_SEND, ISC_WAIT, ISC_SKIP }; /* skip: it has been taken out of the queue */
enum fo_isc_may fo_isc_may_send(struct fo_endpoint *e, const struct lease *l);
bool fo_isc_never(const struct fo_endpoint *e, const struct lease *l);
uint32_t fo_isc_share_pet(const struct fo_endpoint *e); /* with FREE and BACKUP */

/* --- fo_isc_told.c --- */
void fo_isc_asked(struct fo_endpoint *e, bool all);
void fo_isc_told(struct fo_endpoint *e, uint32_t addr);
bool fo_isc_told_all(struct fo_endpoint *e, uint32_t xid); /* with UPDDONE: is it the end? */
void fo_isc_told_pump(struct fo_endpoint *e);
/* Its own news come first: asked with its first STATE; they are on their way; UPDDONE. */
void fo_isc_first_ask(struct fo_endpoint *e);
bool fo_isc_first_waits(struct fo_endpoint *e);
bool fo_isc_first_done(struct fo_endpoint *e, uint32_t xid); /* is it the answer to that? */
void fo_isc_first_reset(struct fo_endpoint *e);
void fo_isc_told_reset(struct fo_endpoint *e); /* the link is gone */

/* --- fo_acked.c --- */
void fo_updates_acked(struct fo_endpoint *e, const struct fo_msg *m);
void fo_write_acked(struct fo_endpoint *e);    /* some of what waits in e->lazy */
void fo_updates_reset(struct fo_endpoint *e);  /* the link is gone */
void fo_updates_retry(struct fo_endpoint *e);  /* rejected ones again */
void fo_lacked_retry(struct fo_endpoint *e);   /* those that the partner lacks */
void fo_updates_retry_all(struct fo_endpoint *e);
void fo_updates_forget(struct fo_endpoint *e); /* FO_DO_CLEAR_ACKED */
void fo_retry_sooner(struct fo_endpoint *e);   /* the partner lacks them: it has just said so */
/* Until the retry, which for a range that the partner lacks is an hour away (decision A16). */
void fo_skip_rejected(struct fo_endpoint *e, uint32_t addr, enum fo_reject why);
void fo_retry_later(struct fo_endpoint *e, enum fo_reject why);
bool fo_is_flying(const struct fo_endpoint *e, uint32_t addr); /* some news of it are on their way */
bool fo_this_flies(const struct fo_endpoint *e, const struct lease *l, bool run); /* these are */
/* What is done about a refusal by the partner, in words. */
const char *fo_next_try(const struct fo_endpoint *e, bool dirty, enum fo_reject reason);
/* The next binding of this relationship at or after @addr. */
const struct lease *fo_next_mine(const struct fo_endpoint *e, uint64_t addr);

/* --- fo_run.c --- */
/* False: no room for one more, nothing is stored. What takes the place of a whole run has room. */
bool fo_store_run(struct fo_endpoint *e, const struct lease *l, uint32_t n);
/* The next run of this relationship that ends at or after @addr. */
const struct lease *fo_next_run(const struct fo_endpoint *e, uint64_t addr);
uint64_t fo_run_behind(const struct fo_endpoint *e, const struct lease *run); /* the address */
enum fo_reject fo_receive_run(struct fo_endpoint *e, const struct binding_update *u, uint32_t n);
/* Acknowledged or (@reject) refused. Return: false when the run has changed since. */
bool fo_run_acked(struct fo_endpoint *e, const struct fo_sent *s, const struct fo_binding *b);
void fo_run_retry(struct fo_endpoint *e, bool lacked); /* refused ones again */
void fo_run_forget(struct fo_endpoint *e); /* what the partner knows of them */
/* Make each address's own record of what the run says: for a partner that knows no runs. */
void fo_run_expand(struct fo_endpoint *e, const struct lease *run);
void fo_run_expand_all(struct fo_endpoint *e);

/* --- fo_receive.c --- */
void fo_receive_updates(struct fo_endpoint *e, const struct fo_msg *m);
void fo_flush_acks(struct fo_endpoint *e);

/* --- fo_balance.c --- */
struct fo_share_rule {
	uint32_t percent;    /* of the available addresses that should be the secondary's */
	bool round_up;	     /* hot standby: the reserve is at least that */
	uint32_t misbalance; /* percent of them that a share may be off */
	uint32_t ownership;  /* percent of them that used addresses may leave it off */
};
/**
 * fo_share_move - how many addresses of a range should change hands
 * @eager: without a threshold
 * Return: above 0: from the primary to the secondary; below 0: back.
 * Spec: decision A4; failover-behaviour §6.3.
 */
int64_t fo_share_move(const struct fo_share_rule *r, uint32_t free, uint32_t backup, bool eager);
/* How far off used addresses may leave it; and how far beyond it those may go whose last client
 * the other serves. */
int64_t fo_share_hold(const struct fo_share_rule *r, uint32_t free, uint32_t backup);
void fo_balance(struct fo_endpoint *e);
/* An address that has just become FREE: at once the secondary's when its client is. */
void fo_balance_freed(struct fo_endpoint *e, const struct lease *l);
void fo_balance_pump(struct fo_endpoint *e);			 /* when it is time, or room */
void fo_balance_asked(struct fo_endpoint *e, uint32_t xid);	 /* POOLREQ */
void fo_balance_answered(struct fo_endpoint *e, uint32_t count); /* POOLRESP */
