#pragma once
/* Inside of the node, shared by node*.c. */
#include <event2/event.h>

#include "core/server.h"
#include "ctl/objects.h"
#include "dp/datapath.h"
#include "net/dhcp_wait.h"
#include "net/fo_session.h"
#include "node.h"
#include "outbox.h"
#include "store/lease_store.h"
#include "sys/clock.h"
#include "sys/log.h"

#define NODE_BATCH 64		 /* datagrams heard in one turn */
#define NODE_EXPIRE_PER_TURN 256 /* leases that may end in one turn */
#define NODE_SOCKETS 256	/* four for each of 64 interfaces, which the configuration allows */
#define NODE_LATE_US 3000000	/* replies are not sent that waited longer for the disk */
#define NODE_OUTBOX (64u << 20) /* mapped lazily */
#define NODE_OUTBOX_RELATION (6u << 20) /* of one relationship: both windows, at their largest */
#define NODE_LINK_LEAVES 2048		/* records of a batch that partners leave to clients */
#define NODE_MAX_OFFERS 65536

enum outbox_kind { OUT_REPLY, OUT_FO_MESSAGE, OUT_FO_CLOSE, OUT_POLICY, OUT_AUDIT };
enum node_audit {
	AUDIT_ASSIGN,
	AUDIT_RENEW,
	AUDIT_RELEASE,
	AUDIT_DECLINE,
	AUDIT_NAK,
	AUDIT_EXPIRE,
};

/* Words that were written within the last minute, and how many. */
#define NODE_SAID 16
struct node_said {
	struct {
		uint64_t key;
		mono_t until;
	} slot[NODE_SAID];
	struct log_limit limit;
};

struct node_relation {
	struct node *node;
	unsigned index;
	void *mem; /* of the endpoint */
	size_t size;
	struct fo_endpoint *ep;
	uint32_t epoch;	  /* counts links: what was meant for an earlier one is dropped */
	bool in_force;	  /* this endpoint's view is in force; before that no lease ends */
	bool touched;	  /* bindings changed in this turn */
	bool policy_lost; /* its last view found no room to wait */
	bool map_wrong;	  /* the kernel has a policy that is not in force any more */
	uint32_t waiting; /* octets of it in the outbox */
	bool persisted;	  /* its record was put in this turn */
	bool broken;	  /* something for the partner found no room: close */
	struct log_limit limit, limit_life; /* of events that updates cause; of others */
	struct node_said attempts;	    /* of events of connections */
};

/* When a relationship is to be looked at. Every turn walks through all of these, and touches the
 * relationships of a few. */
struct node_wake {
	mono_t due;	 /* the next timer of its endpoint; 0: looked at in the next turn */
	uint64_t awaits; /* batch by which all that it may wait for is durable */
	uint64_t told;	 /* batch that it knows to be */
};

struct node_scope {
	uint32_t index; /* the first n_touched elements: which scopes changed in this turn */
	bool touched, partner_empty; /* of the scope with this element's own number */
};

/* A reply that waits: where it goes, then its octets. */
struct out_reply {
	struct dhcp_io_dest dest;
	mono_t decided;
	uint32_t len, pad;
};

struct node_socket { /* of clients */
	struct node *node;
	struct event *ev;
	int fd;
	enum dhcp_io_kind kind;
	struct dhcp_wait wait;
	bool ready; /* DISCOVERs are to be heard when the turn ends */
};

struct node_counters {
	uint64_t datagrams, stale[DHCP_IO_KINDS], late, malformed[DHCP_VERDICTS],
		reasons[SERVER_REASON_COUNT];
	uint64_t replies, reply_no_room, outbox_full, expired, turns, frozen;
	uint64_t refusals_untold; /* updates refused for which no event was written */
	uint64_t audit_lost;	  /* lines of the audit log that found no room */
};

struct node {
	struct event_base *base;
	const struct conf *conf;
	struct fo_keys *keys; /* secrets and certificates that it names */
	struct lease_store *store;
	struct pool *pool;
	void *pool_mem;
	size_t pool_mem_size;
	struct client_hash hash;
	struct dhcp_io *io;
	struct datapath *dp;
	struct fo_net *net;
	struct ctl *ctl;
	struct node_relation *relations;
	struct node_wake *wake; /* by relationship */
	struct fo_view *views;	/* what is durable and in force, by relationship */
	struct server_ctx server;
	struct node_scope *scopes;
	uint32_t n_touched;

	struct outbox outbox;
	uint32_t waiting; /* octets in it that are for partners; the rest is for clients */
	uint64_t durable;
	bool suspect; /* a record found no room: memory says what the disk never will */

	struct now now;
	bool in_turn;
	struct now last_turn;
	mono_t next_refresh, next_certificates, vouched;
	bool serving;
	char why_not[200];
	int fatal;
	mono_t retry_store;
	bool store_failed; /* its environment is to be opened again */
	uint64_t probe;	   /* batch that shows whether it can be written; 0 none */
	uint64_t start_count;
	bool clock_stepped;   /* the system's, away from ours */
	bool behind;	      /* our clock is before the newest time in the store: not served */
	bool clock_confirmed; /* the operator says that it is right all the same */
	uint32_t restate_at;  /* the clock was set: records from here on are to be stored anew; 0
				 none */
	int64_t newest;	      /* time in the store, UTC sec */
	struct now started;

	struct event *tick, *store_ev;
	struct node_socket sockets[NODE_SOCKETS];
	unsigned n_sockets;
	bool requests_wait, discovers_ready; /* in this turn */
	bool disk_full;			     /* told */
	unsigned maps_wrong;		     /* relationships with map_wrong */
	uint64_t unheard;		     /* interfaces, as told */
	bool deaf;			     /* clients are not heard: the store has no room */
	struct node_counters count;
	struct { /* what was given up, as of the last look; before it began */
		uint64_t sum, before[DHCP_IO_KINDS];
		unsigned quiet, later; /* looks */
		bool told;
	} overload;
	struct { /* SIGHUP */
		bool wanted;
		struct conf *next;    /* checked; waits for the store */
		struct fo_keys *keys; /* of it */
		struct conf *own;     /* the one in use, NULL while it is that of the start */
	} reload;
	struct { /* of the store */
		mono_t began;	  /* the last one */
		uint32_t records; /* of the last one */
		bool awaited;	  /* a client waits for what is put now */
	} commit;
	struct { /* from the decision of a state to its policy in the maps */
		uint64_t count, us_last, us_max;
	} switches;
	struct log_limit limit_malformed;
	struct node_said certificates;
	unsigned certificates_at; /* relationship from which on they are looked at */
};

/* node_turn.c */
int node_turn_open(struct node *n);
void node_turn_begin(struct node *n);
uint64_t node_wait_for(const struct node *n); /* batch that covers all that was put so far */
/* 0, or -errno: nothing was put. Where that comes too late to be heeded, node_put_refused. */
int node_put(struct node *n, const struct lease *l, const struct lease_client *c);
void node_put_refused(struct node *n);
void node_touch(struct node *n, const struct scope *s);	      /* by a client */
void node_touch_scope(struct node *n, const struct scope *s); /* by the partner */
void node_flush(struct node *n);
/* Commit all that was put and send what waits for it. False: the disk takes longer than that. */
bool node_drain(struct node *n, int64_t within_us);

/* node_store.c */
int node_store_open(struct node *n, char err[256]);
int node_load(struct node *n); /* pool and endpoints from the store */
void node_stop_serving(struct node *n, int err);
void node_store_again(struct node *n); /* while it does not serve */

/* node_reload.c */
void node_reload_turn(struct node *n);
void node_reload_done(struct node *n);

/* node_clients.c */
int node_clients_open(struct node *n, char err[256]);
void node_clients_close(struct node *n);
void node_hear(struct node *n, const struct dhcp_datagram *in);
void node_clients_refresh(struct node *n); /* interfaces and addresses come and go */
void node_send_reply(struct node *n, const void *payload, uint32_t len);
const struct fo_view *node_view(const struct node *n, const struct scope *s);

/* node_sockets.c */
int node_sockets_start(struct node *n); /* anew, where they have changed */
void node_sockets_forget(struct node *n);
void node_sockets_deaf(struct node *n, bool deaf);
void node_sockets_turn(struct node *n); /* before the turn ends: DISCOVERs */

/* node_audit.c: lines that wait for the commit of what they tell; nothing where they are off */
void node_audit_request(struct node *n, const struct dhcp_msg *m, const struct server_decision *d);
void node_audit_expired(struct node *n, uint32_t addr, uint32_t ended);

/* node_partner.c */
int node_partner_open(struct node *n);
int node_partner_load(struct node *n);
int node_partner_start(struct node *n, char err[256]);
void node_partner_close(struct node *n);
void node_partner_out(struct node *n, const struct outbox_item *i);
void node_outbox_clear(struct node *n);
void node_partner_lost(struct node *n, enum fo_close_reason why); /* every link at once */
int node_partner_restart(struct node *n); /* the endpoints, while the leases stay as they are */
void node_policy_again(struct node_relation *r);
const char *node_operate(struct node *n, unsigned i, enum fo_event ev, uint32_t since);
struct fo_view node_view_silent(void); /* until an endpoint has said something durable */

/* node_wake.c */
/* The way to an endpoint for whoever may change it: it goes by this turn's time and batch, and is
 * looked at when the turn ends. NULL: the store is failing. */
struct fo_endpoint *node_endpoint(struct node *n, unsigned i);
void node_await_batch(struct node_relation *r); /* it has put something */
void node_partner_turn(struct node *n);
void node_partner_durable(struct node *n, uint64_t batch);
mono_t node_partner_next(const struct node *n);
void node_partner_look(struct node *n); /* at all of them, in the next turn */

/* node_clock.c */
void node_clock_watch(struct node *n);
bool node_clock_is_behind(struct node *n); /* why_not says so */
void node_clock_restate(struct node *n);   /* with each turn */
void node_clock_status(struct node *n, struct ctl_clock *ret);
const char *node_clock_accept(struct node *n); /* NULL, or why there is nothing to accept */

/* node_watch.c */
void node_watch_disk(struct node *n);
void node_watch_interfaces(struct node *n);
void node_watch_overload(struct node *n);
/* What came while nobody listened, until the store was read or we went on, is no overload. */
void node_watch_overload_later(struct node *n);

/* node_certificates.c */
bool node_certificates_of(struct node_relation *r); /* told where they end soon; false: not all */
void node_certificates_watch(struct node *n);	    /* of all relationships, once a day */

/* node_events.c */
const char *node_time_text(wall_t t, char buf[24]); /* "-" for 0 */
/* Who says the same again and again asks first whether it was said within the last minute, then
 * whether it may be, which is remembered. */
uint64_t node_said_key(const char *words, uint32_t about);
bool node_said_lately(const struct node_said *s, uint64_t key, mono_t now);
bool node_may_say(struct node_said *s, uint64_t key, unsigned per_min, mono_t now);
enum log_level node_state_level(unsigned from, unsigned to);
void node_partner_event(struct node_relation *r, const char *what, const char *why, uint32_t addr,
			uint32_t a, uint32_t b);
void node_partner_refusal(struct node_relation *r, const struct fo_refusal *f);

/* node_api.c */
int node_api_open(struct node *n, char err[256]);
