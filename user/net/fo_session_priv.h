#pragma once
/* Inside of the failover sessions, shared by fo_session, fo_call, fo_inbound, fo_leave, fo_guard.
 */
#include <event2/util.h>

#include "net/fo_digest.h"
#include "net/fo_session.h"
#include "sys/log.h"

struct bufferevent;
struct evconnlistener;
struct event;

#define FO_TLS_DESIRED 1 /* in TLS-request; in TLS-reply: agreed */
#define FO_TLS_REQUIRED 2

#define PATIENCE_MS 15000 /* for a first message, for its answer, and for the TLS handshake */
#define RETRY_MS 1000	  /* after any loss */
#define TURN_ACCEPTS 64
#define INPUT_MAX (64 * 1024) /* unread octets per connection */

struct link {
	struct fo_net *net;
	const struct conf_relation *conf;
	unsigned relation;
	struct bufferevent *bev; /* connecting or up */
	bool up;
	bool isc;	 /* of another make, as far as we know: its receive timer is another one */
	bool spoken;	 /* the partner has said something on it */
	bool choked;	 /* what was not sent is more than it may be: about to be closed */
	bool held;	 /* it may say no more in this turn: not read until the next */
	bool heard_now;	 /* in this turn: looked at again at its end */
	unsigned budget; /* messages that it may still say in this turn */
	int retry_ms;
	struct event *retry; /* to connect, or only to see that our address is there */
	struct event *late;  /* while TLS is agreed on: an octet now and then gains no time */
	mono_t heard;
	struct fo_digest *digest; /* of this connection; NULL: not configured */
	bool opened;		  /* its first message was judged when it was nobody's yet */
	bool asked_tls, encrypted;
	struct fo_replay replay; /* of its secondary */
};

struct inbound { /* accepted, relationship not yet known */
	struct fo_net *net;
	struct bufferevent *bev;
	struct sockaddr_in from;
	struct fo_digest *digest; /* as soon as the relationship is known */
	struct link *tls_for;	  /* whose certificates are asked for; NULL: in the clear */
	bool encrypted;		  /* TLS has begun */
	struct event *late;	  /* for all of it: an octet now and then gains no time */
	struct inbound *next, **prev;
};

struct leaving; /* a connection that is being closed */

struct fo_net {
	struct event_base *base;
	struct fo_net_ops ops;
	const struct fo_keys *keys;
	struct link *links;
	unsigned n_links;
	struct evconnlistener **listeners;
	unsigned n_listeners;
	int patience_ms;
	unsigned accepts, messages; /* in this turn */
	unsigned left_out;	    /* likewise: the first link that had none left; n_links none */
	mono_t accept_again;	    /* a listener waits; 0 none */
	struct inbound *inbound;
	struct leaving *leaving;
	struct log_limit strangers;
};

/* --- fo_session.c ----------------------------------------------------------------------------- */

void fo_tune(evutil_socket_t fd);
void link_use(struct link *l, struct bufferevent *bev);
void link_drop(struct link *l, bool gently);
bool link_wait(struct link *l); /* for the next step before it is up, patience_ms from now */
/* The connection may be used: TLS comes first, where that is configured. */
void link_begin(struct link *l, bool ours);
bool link_input(struct link *l);
bool link_is_alive(const struct link *l);
/* Close, tell the core if it knew of the link, and try again later. */
void link_refused(struct link *l, enum fo_close_reason why);

/* --- fo_call.c -------------------------------------------------------------------------------- */

void link_call(struct link *l); /* from now on, whenever there is no connection */
void link_arm_retry(struct link *l, int ms);
int link_after_rejection(const struct link *l); /* ms */

/* --- fo_inbound.c ----------------------------------------------------------------------------- */

void inbound_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *sa,
		    int len, void *net);
void inbound_accept_failed(struct evconnlistener *listener, void *arg);
void inbound_use(struct inbound *in); /* its callbacks on a connection */
void inbound_drop(struct inbound *in);
/* CONNECTACK; with a reason, then closed. */
void inbound_answer(struct inbound *in, const struct fo_msg *m, const struct fo_connect *c,
		    enum fo_reject reason, uint8_t tls);

/* --- fo_leave.c ------------------------------------------------------------------------------- */

/* Close a connection when what was written to it has left, at most 2 s later. */
void fo_leave(struct fo_net *n, struct bufferevent *bev);
void fo_leave_all(struct fo_net *n); /* at once */
