/*
 * The life of the node: memory, filter, store, partners and clients are opened in this order, and
 * closed in the other one. Called by main.c.
 */
#include "node_priv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>

#define FINISH_US 1000000

static int init_memory(struct node *n, char err[256])
{
	n->relations = calloc(n->conf->n_relations + 1, sizeof(*n->relations));
	n->views = calloc(n->conf->n_relations + 1, sizeof(*n->views));
	n->wake = calloc(n->conf->n_relations + 1, sizeof(*n->wake));
	n->scopes = calloc(n->conf->scopes.n_scopes + 1, sizeof(*n->scopes));
	if (!n->relations || !n->wake || !n->views || !n->scopes ||
	    outbox_init(&n->outbox, NODE_OUTBOX) < 0) {
		snprintf(err, 256, "out of memory");
		return -ENOMEM;
	}
	if (!pool_size(&n->conf->scopes, NODE_MAX_OFFERS)) {
		snprintf(err, 256, "the ranges hold too many addresses for one server");
		return -E2BIG;
	}
	for (unsigned i = 0; i < n->conf->n_relations; i++)
		n->views[i] = node_view_silent();
	if (getrandom(&n->hash, sizeof(n->hash), 0) != sizeof(n->hash)) {
		snprintf(err, 256, "the kernel gives no random octets");
		return -EIO;
	}
	n->server = (struct server_ctx){
		.scopes = &n->conf->scopes,
		.views = n->views,
		.server_identifier = n->conf->server.identifier,
		.authoritative = n->conf->server.authoritative,
		.offer_hold_sec = n->conf->server.offer_hold_sec,
	};
	return 0;
}

static int open_filter(struct node *n, char err[256])
{
	const struct conf *c = n->conf;
	struct datapath_conf d = {
		.mode = c->filter.mode,
		.pin_directory = c->filter.pin_directory,
		.interfaces = c->server.interfaces,
		.n_interfaces = c->server.n_interfaces,
		.fail_open_after_ms = c->filter.fail_open_after_ms,
		.group = c->server.user,
	};
	int r = datapath_open(&d, &n->dp, err);

	if (r < 0 || !n->dp)
		return r;
	r = datapath_set_local(n->dp);
	if (!r)
		r = datapath_set_scopes(n->dp, &c->scopes);
	if (r < 0)
		snprintf(err, 256, "cannot write the filter's maps: %s", strerror(-r));
	if (r < 0 && c->filter.mode == FILTER_AUTO) { /* which never fails the start (B10) */
		log_event(LOG_L_ERROR, "filter-off", "why=\"%s\"", err);
		datapath_disarm(n->dp);
		datapath_close(n->dp);
		n->dp = NULL;
		return 0;
	}
	return r;
}

int node_open(struct event_base *base, const struct conf *c, struct node **ret, char err[256])
{
	struct node *n = calloc(1, sizeof(*n));
	int r;

	if (!n)
		return -ENOMEM;
	n->base = base;
	n->conf = c;
	n->now = n->started = clock_now();
	r = init_memory(n, err);
	if (!r)
		r = fo_keys_load(c, &n->keys, err);
	if (!r)
		r = node_clients_open(n, err);
	if (!r)
		r = open_filter(n, err);
	if (!r)
		r = node_api_open(n, err);
	if (r < 0) {
		node_close(n);
		return r;
	}
	*ret = n;
	return 0;
}

int node_start(struct node *n, char err[256])
{
	int r = node_store_open(n, err);

	if (!r)
		r = node_turn_open(n);
	if (r < 0)
		return r;
	n->now = clock_now();
	r = node_partner_open(n);
	if (!r)
		r = node_load(n);
	n->serving = !r;
	if (r == -ETIME) /* serve nobody, and look again */
		r = 0;
	if (r < 0) {
		snprintf(err, 256, "cannot load the leases from %s: %s",
			 n->conf->server.state_directory, strerror(-r));
		return r;
	}
	r = node_partner_start(n, err);
	if (!r)
		r = node_sockets_start(n);
	if (r < 0)
		return r;
	node_watch_overload_later(n);
	node_turn_end(n);
	return 0;
}

int node_fatal(const struct node *n)
{
	return n->fatal;
}

void node_close(struct node *n)
{
	if (!n)
		return;
	ctl_close(n->ctl);
	if (n->dp)
		datapath_disarm(n->dp); /* nobody answers here any more: the kernel lets all pass */
	/* A disk that takes longer than a moment is not waited for with the clients, who ask the
	 * partner; lease_store_close waits. */
	if (n->serving)
		(void)node_drain(n, FINISH_US);
	n->serving = false;
	node_partner_close(n);
	node_clients_close(n);
	lease_store_close(n->store);
	datapath_close(n->dp);
	if (n->tick)
		event_free(n->tick);
	if (n->store_ev)
		event_free(n->store_ev);
	if (n->pool_mem)
		(void)munmap(n->pool_mem, n->pool_mem_size);
	outbox_done(&n->outbox);
	node_reload_done(n);
	fo_keys_free(n->keys);
	free(n->relations);
	free(n->wake);
	free(n->views);
	free(n->scopes);
	free(n);
}
