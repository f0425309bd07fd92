#pragma once
/*
 * One end of a failover relationship: everything between the octets of the TCP connection and the
 * pool, without socket, clock or database. The driver (daemon, simulator, test) calls in with
 * octets' messages, link events, commits and time; the endpoint answers through struct fo_sink.
 *
 * Order of the sink's calls is the order to carry them out. What is sent must leave only after
 * everything put or persisted before it, in the same or an earlier turn, is durable: the driver
 * holds send() back until then. CONTACT never waits: it is sent by send_now().
 *
 * Spec: draft-ietf-dhc-failover-12 §7, §8, §9; failover-behaviour §3 to §6; decisions A.
 */
#include "core/fo_fsm.h"
#include "core/fo_msg.h"
#include "core/pool.h"

enum fo_dialect {
	FO_DIALECT_AUTO, /* told apart by the vendor class of CONNECT and CONNECTACK */
	FO_DIALECT_TWINLEASE,
	FO_DIALECT_ISC, /* the draft as ISC dhcpd speaks it, for every other make */
};

struct fo_conf {
	const char *name;  /* relationship-name, 1..126 octets */
	uint32_t relation; /* index: scopes and maps refer to it */
	bool primary;
	struct fo_policy_conf policy; /* the primary's is told to the secondary in CONNECT */
	uint32_t mclt;
	uint32_t max_unacked; /* ours, told to the partner */
	enum fo_dialect dialect;
	uint32_t contact_timeout_sec;	  /* receive-timer that we announce */
	uint32_t contact_timeout_isc_sec; /* the same towards another make; 0 = 20 */
	uint32_t startup_sec;		  /* 0 = 15 */
	uint32_t auto_partner_down_sec;	  /* 0 = off */
	uint32_t max_clock_skew_sec;
	uint32_t standby_reserve; /* percent */
	uint32_t
		share_secondary; /* percent of available addresses that should be the secondary's */
	uint32_t misbalance, ownership; /* percent; 15 and 10 */
	bool after_outage_hold;		/* decision A8 */
	bool lift_lease_limit;		/* partner-down-lease-limit: in PARTNER-DOWN no MCLT */
	bool digest;   /* the driver puts a digest into every message: leave room, tell a nonce */
	bool tls;      /* the driver has encrypted the connection: CONNECT says nothing of TLS */
};

/* The relationship's record: what must survive. */
struct fo_record {
	struct fo_end end;
	uint32_t mclt;	     /* as learned from CONNECT (secondary) */
	uint32_t mclt_until; /* UTC sec until which @mclt_former still governs waits */
	uint32_t mclt_former;
	uint8_t hba[32]; /* last agreed buckets, 1 = primary */
	bool hba_known;
	uint8_t incarnation[16];   /* all zero: none yet */
	uint64_t peer_start_count; /* the partner's start counter as last heard */
	uint8_t partner[16];	   /* its incarnation; all zero: none heard yet */
	bool stranger;		   /* somebody without that one has spoken to us since */
};

enum fo_close_reason {
	FO_CLOSE_PEER,	   /* the partner or the network closed */
	FO_CLOSE_SILENT,   /* nothing heard within the receive timer */
	FO_CLOSE_PROTOCOL, /* malformed or out of order */
	FO_CLOSE_REJECTED, /* CONNECT was rejected, by us or by them */
	FO_CLOSE_DUPLICATE,
	FO_CLOSE_STATE, /* the state machine wants it */
	FO_CLOSE_STUCK, /* no progress for 5 minutes */
};

struct fo_endpoint;

/* A binding update that one of the two servers refused: what both hold, and what comes of it. */
struct fo_refusal {
	bool by_us;
	uint8_t reason;			   /* enum fo_reject */
	const struct lease *ours;	   /* its client is in the store */
	const struct lease *theirs;	   /* by us: as they told it; else what they last told */
	const struct lease_client *client; /* by us: theirs */
	struct octets words; /* by them: what they say of it; own kind: their record */
	const char *next;    /* what is done next */
};

struct fo_sink {
	void *ctx;
	void (*send)(void *ctx, const uint8_t *msg, size_t len);     /* after the turn's commit */
	void (*send_now)(void *ctx, const uint8_t *msg, size_t len); /* CONTACT only */
	void (*close)(void *ctx, enum fo_close_reason why);	     /* after what was sent */
	void (*persist)(void *ctx, const struct fo_record *r);
	/* store a binding; client NULL: keep the stored one. The endpoint itself has applied it to
	 * the pool with @batch = fo_endpoint_turn's number. */
	void (*put)(void *ctx, const struct lease *l, const struct lease_client *client);
	/* store a run: it holds for those of the @n addresses from l->addr on that have no record,
	 * and cuts older runs (lease_store_put_run). Applied to the pool as above (pool_apply_run).
	 */
	void (*put_run)(void *ctx, const struct lease *l, uint32_t n);
	/* the stored client of an address whose record is durable; false: none */
	bool (*client)(void *ctx, uint32_t addr, struct lease_client *ret);
	void (*policy)(void *ctx, const struct fo_view *v); /* after the turn's commit */
	/* something an operator wants to know; fixed words in @what, detail in values */
	void (*event)(void *ctx, const char *what, const char *why, uint32_t addr, uint32_t a,
		      uint32_t b);
	uint64_t (*random)(void *ctx);
	void (*refused)(void *ctx, const struct fo_refusal *r); /* NULL: nobody wants to know */
};

size_t fo_endpoint_size(const struct fo_conf *c);
/* @mem zeroed, fo_endpoint_size() octets. @rec NULL: the store knows nothing of the relationship.
 * Enters STARTUP. @start_count: of this store, already incremented and durable. */
struct fo_endpoint *fo_endpoint_init(void *mem, size_t size, const struct fo_conf *c,
				     const struct fo_record *rec, uint64_t start_count,
				     struct pool *pool, const struct client_hash *hash,
				     const struct fo_sink *sink, const struct now *now);

/* Begin of a turn: @batch is the commit number that this turn's puts will get. Call first. */
void fo_endpoint_turn(struct fo_endpoint *e, uint64_t batch, const struct now *now);

/* --- link ----------------------------------------------------------------------------------- */

/* A TCP connection is up and is to be used. @ours: we opened it. The primary sends CONNECT; the
 * secondary waits for it. */
void fo_endpoint_link_up(struct fo_endpoint *e, const struct now *now, bool ours);
void fo_endpoint_link_down(struct fo_endpoint *e, const struct now *now, enum fo_close_reason why);
/* One whole message (fo_msg_decode said FO_OK). */
void fo_endpoint_message(struct fo_endpoint *e, const struct fo_msg *m, const struct now *now);
/* Something has come that the driver has no room for yet: the partner is not silent. */
void fo_endpoint_alive(struct fo_endpoint *e, const struct now *now);
/* A message that does not decode: closes the link. */
void fo_endpoint_garbage(struct fo_endpoint *e, enum fo_verdict v, const struct now *now);

/* --- time, disk, clients, operator ------------------------------------------------------------ */

void fo_endpoint_tick(struct fo_endpoint *e, const struct now *now); /* any time; cheap */
mono_t fo_endpoint_next(const struct fo_endpoint *e);		     /* when to tick next */
/* All batches up to @batch are durable: updates about them may go. */
void fo_endpoint_durable(struct fo_endpoint *e, uint64_t batch, const struct now *now);
/* Bindings of this relationship changed, or shares did: send updates, balance when needed. */
void fo_endpoint_pump(struct fo_endpoint *e, const struct now *now);
/* A client's packet was a sign of the partner's life (decision A8). */
void fo_endpoint_partner_sign(struct fo_endpoint *e, const struct now *now);

/* The wall clock was set by so many seconds, and is right now: what we remember of ourselves moves
 * along, so that no wait becomes shorter or longer. */
void fo_endpoint_clock_moved(struct fo_endpoint *e, int64_t by_sec, const struct now *now);

/* FO_EV_OP_*. @pd_since: UTC sec since when the partner is known dead, 0 = now. A shutdown in a
 * state that serves takes its time: service ends, what is unknown to the partner is told, then the
 * state is entered; fo_endpoint_status says how far it is.
 * Return: NULL, or why it is refused (one sentence). */
const char *fo_endpoint_operate(struct fo_endpoint *e, enum fo_event ev, uint32_t pd_since,
				const struct now *now);

/* --- what it knows ---------------------------------------------------------------------------- */

/* Every counter: member, public name (API, metrics), what it says. A counter that is not here does
 * not exist, so that none is without a name. */
/* clang-format off */
#define FO_COUNTERS(X)                                                                             \
	X(updates_sent, "updates-sent", "bindings sent")                                           \
	X(updates_acked, "updates-acked", "bindings sent that the partner accepted")               \
	X(updates_rejected_by_partner, "updates-rejected-by-partner", "bindings sent that it rejected") \
	X(updates_dropped, "updates-dropped", "bindings sent whose answer was lost with the link; sent again") \
	X(updates_received, "updates-received", "bindings received")                               \
	X(updates_accepted, "updates-accepted", "bindings received and accepted")                  \
	X(updates_rejected, "updates-rejected", "bindings rejected here")                          \
	X(window_nearly_full, "window-nearly-full", "times that nine tenths of the messages that the partner takes at a time were unacknowledged; what waits behind them has no maximum") \
	X(addresses_given, "addresses-given", "free addresses moved to the partner")               \
	X(addresses_taken, "addresses-taken", "free addresses taken back")                         \
	X(links, "links", "connections that were completed")                                       \
	X(links_lost, "links-lost", "connections that ended")                                      \
	X(state_changes, "state-changes", "changes of our state")                                  \
	X(into_comm_int, "into-communications-interrupted", "entries into COMMUNICATIONS-INTERRUPTED") \
	X(into_partner_down, "into-partner-down", "entries into PARTNER-DOWN")                     \
	X(into_recover, "into-recover", "entries into RECOVER")                                    \
	/* connections that the driver refused before we heard of them */                          \
	X(digest_missing, "digest-missing", "connections refused: a message without a digest")     \
	X(digest_wrong, "digest-wrong", "connections refused: a digest of another secret")         \
	X(digest_replayed, "digest-replayed", "connections refused: a message of former times")    \
	X(digest_unexpected, "digest-unexpected", "connections refused: a digest, and no secret here") \
	X(tls_failed, "tls-failed", "connections refused: no TLS, or not with this partner")       \
	X(garbage, "malformed-messages", "messages of the partner that do not decode")
/* clang-format on */

struct fo_counters {
	uint64_t sent[FO_MESSAGE_TYPES], received[FO_MESSAGE_TYPES];
#define X(member, name, help) uint64_t member;
	FO_COUNTERS(X)
#undef X
};

struct fo_status {
	const struct fo_conf *conf;
	const struct fo_record *record;
	const struct fo_view *view;
	const struct fo_counters *counters;
	bool connected, own_kind;
	int64_t clock_skew_ms;	       /* partner's clock minus ours, smoothed */
	uint32_t clock_skew_limit_sec; /* beyond it updates are refused; 0 no limit */
	uint32_t pending_updates, unacked_updates;
	mono_t last_heard;
	const char *next; /* what happens next, in words; "" nothing */
	uint32_t next_at; /* UTC sec, 0 = no time */
};
void fo_endpoint_status(const struct fo_endpoint *e, struct fo_status *ret);
struct fo_counters *fo_endpoint_counters(struct fo_endpoint *e); /* for what the driver counts */
