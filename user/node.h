#pragma once
/*
 * One server at work: joins the core with store, network and kernel half. Every callback of the
 * loop begins a turn (clock read once, link events before clients); the end of the turn expires
 * leases, lets the failover endpoints speak, hands the batch to the store, and sends what is
 * durable.
 */
#include "conf/conf.h"

struct event_base;
struct node;

/* Priorities of the loop: what the partner and the disk say is heard before clients. */
enum node_priority { PRIO_LINK, PRIO_CLIENTS, PRIO_API, PRIO_COUNT };

/**
 * node_open - sockets, kernel half, API: all that may need privileges, no thread yet
 * Return: 0 or -errno with one sentence in @err.
 */
int node_open(struct event_base *base, const struct conf *c, struct node **ret, char err[256]);

/* After privileges were given up: the store is opened and read, the partner and the clients are
 * heard from the loop's next pass on. */
int node_start(struct node *n, char err[256]);

/* One pass of the loop's end; the caller alternates it with event_base_loop(EVLOOP_ONCE). */
void node_turn_end(struct node *n);

/* Read the configuration file again, with the next turn (SIGHUP). A mistake in it, or a change that
 * needs a restart, changes nothing; events say what became of it. */
void node_reload(struct node *n);

/* -errno that ends the daemon (the store is broken for good), 0 to go on. */
int node_fatal(const struct node *n);

/* Commit, tell, close. Links get a FIN, so that the partner takes over at once. */
void node_close(struct node *n);
