/*
 * SIGHUP: the configuration file is read again and checked as a whole. With a mistake, or where a
 * change needs a restart, nothing changes and an event says why. Else scopes, options, times,
 * reservations and the terms of the relationships are swapped at the end of a turn.
 *
 * The pool is made anew from the store, once everything decided so far is on disk; the endpoints
 * start again, as after a failure of the store. Their links are closed, and come back within a
 * second. Leases outside of the new ranges stay in the store: they are given to nobody, and run
 * out.
 *
 * Called by main (node_reload) and at the end of each turn (node_reload_turn). Spec: design §4.
 */
#include "node_priv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DRAIN_US 500000

static bool same_text(const char *a, const char *b)
{
	return a == b || (a && b && !strcmp(a, b));
}

static bool same_list(const char *const *a, unsigned n_a, const char *const *b, unsigned n_b)
{
	for (unsigned i = 0; n_a == n_b && i < n_a; i++)
		if (strcmp(a[i], b[i]))
			return false;
	return n_a == n_b;
}

static bool same_place(const struct sockaddr_in *a, const struct sockaddr_in *b)
{
	return a->sin_addr.s_addr == b->sin_addr.s_addr && a->sin_port == b->sin_port;
}

/* --- what needs a restart ----------------------------------------------------------------------
 */

/* The key of this server that differs, NULL none. */
static const char *fixed_key(const struct conf *a, const struct conf *b)
{
	if (!same_list(a->server.interfaces, a->server.n_interfaces, b->server.interfaces,
		       b->server.n_interfaces))
		return "server.interfaces";
	if (!same_text(a->server.state_directory, b->server.state_directory))
		return "server.state-directory";
	if (!same_text(a->server.user, b->server.user))
		return "server.user";
	if (a->filter.mode != b->filter.mode)
		return "filter.mode";
	if (!same_text(a->filter.pin_directory, b->filter.pin_directory))
		return "filter.pin-directory";
	if (a->filter.fail_open_after_ms != b->filter.fail_open_after_ms)
		return "filter.fail-open-after (at least twice the longest contact-timeout)";
	if (!same_list(a->api.listen, a->api.n_listen, b->api.listen, b->api.n_listen))
		return "api.listen";
	if (a->api.read_only != b->api.read_only)
		return "api.read-only";
	return NULL;
}

static const char *fixed_relation_key(const struct conf_relation *a, const struct conf_relation *b)
{
	if (strcmp(a->fo.name, b->fo.name))
		return "name";
	if (a->fo.primary != b->fo.primary)
		return "role";
	if (!same_place(&a->local, &b->local))
		return "local";
	if (!same_place(&a->partner, &b->partner))
		return "partner";
	return a->fo.dialect != b->fo.dialect ? "dialect" : NULL;
}

/* Says what cannot be changed while the server runs; false: nothing of that kind. */
static bool needs_restart(const struct conf *a, const struct conf *b, char *why, size_t size)
{
	const char *key = fixed_key(a, b);

	if (!key && a->n_relations != b->n_relations)
		key = "the number of relationships";
	if (key) {
		snprintf(why, size, "%s differs: that needs a restart", key);
		return true;
	}
	for (unsigned i = 0; i < a->n_relations; i++) {
		key = fixed_relation_key(&a->relations[i], &b->relations[i]);
		if (!key)
			continue;
		snprintf(why, size, "relationships: %s of '%.126s' differs: that needs a restart",
			 key, a->relations[i].fo.name);
		return true;
	}
	return false;
}

/* --- reading -----------------------------------------------------------------------------------
 */

static void reject(const struct node *n, const char *at, const char *why)
{
	char quoted[300];

	log_event(LOG_L_ERROR, "configuration-rejected", "file=%s%s why=%s", n->conf->file, at,
		  log_quote(why, strlen(why), quoted, sizeof(quoted)));
}

static void reject_problems(const struct node *n, const struct conf_problems *p)
{
	const struct conf_problem *first = NULL;
	char at[80] = "", why[256];

	for (unsigned i = 0; i < p->n && !first; i++)
		if (!p->list[i].warning)
			first = &p->list[i];
	if (first && first->line)
		snprintf(at, sizeof(at), ":%d:%d errors=%u", first->line, first->column, p->errors);
	snprintf(why, sizeof(why), "%s", first ? first->text : "out of memory");
	for (char *c = why; *c; c++)
		if (*c == '"')
			*c = '\''; /* which a log line need not escape */
	reject(n, at, why);
}

/* Is there anything new in it, and may the server change to it? */
static bool may_use(const struct node *n, const struct conf *next, const struct fo_keys *keys)
{
	char why[256];

	if (needs_restart(n->conf, next, why, sizeof(why)))
		reject(n, "", why);
	else if (!pool_size(&next->scopes, NODE_MAX_OFFERS))
		reject(n, "", "the ranges hold too many addresses for one server");
	else if (next->digest == n->conf->digest && fo_keys_equal(keys, n->keys))
		log_event(LOG_L_INFO, "configuration-unchanged", "file=%s", n->conf->file);
	else
		return true;
	return false;
}

/* The file as it is now, and those it names, when the server may change to them. */
static void read_again(struct node *n)
{
	struct conf_problems problems;
	struct conf *next = NULL;
	struct fo_keys *keys = NULL;
	char why[FO_KEYS_ERR];
	int r = conf_load(n->conf->file, &next, &problems);

	if (r < 0)
		reject_problems(n, &problems);
	conf_problems_free(&problems);
	if (r < 0)
		return;
	if (fo_keys_load(next, &keys, why) < 0) {
		reject(n, "", why);
	} else if (may_use(n, next, keys)) {
		n->reload.next = next;
		n->reload.keys = keys;
		return;
	}
	fo_keys_free(keys);
	conf_free(next);
}

/* --- swapping ----------------------------------------------------------------------------------
 */

static void use(struct node *n, const struct conf *next)
{
	n->conf = next;
	n->server.scopes = &next->scopes;
	n->server.server_identifier = next->server.identifier;
	n->server.authoritative = next->server.authoritative;
	n->server.offer_hold_sec = next->server.offer_hold_sec;
	if (n->net)
		fo_net_use(n->net, next, n->reload.keys);
	fo_keys_free(n->keys);
	n->keys = n->reload.keys;
	n->reload.keys = NULL;
	n->next_certificates = n->now.mono;
	n->certificates_at = 0;
	log_setup(next->server.log_level, next->server.log_format);
}

static uint32_t count_reservations(const struct conf *c)
{
	uint32_t sum = 0;

	for (uint32_t i = 0; i < c->scopes.n_scopes; i++)
		sum += c->scopes.scopes[i].n_reservations;
	return sum;
}

static void tell(const struct node *n, int err)
{
	if (err < 0 && err != -ETIME)
		log_event(LOG_L_ERROR, "store-failed", "error=\"%s\" serving=no", strerror(-err));
	log_event(LOG_L_INFO, "configuration-loaded",
		  "file=%s scopes=%u addresses=%llu reservations=%u%s", n->conf->file,
		  n->conf->scopes.n_scopes, (unsigned long long)n->conf->n_addresses,
		  count_reservations(n->conf),
		  n->conf->n_relations ? " links=closed-to-be-reopened" : "");
}

static void load_anew(struct node *n)
{
	int r = node_load(n);

	if (r == -ENOMEM) /* the pool in memory is that of the former ranges: a new process it is */
		n->fatal = r;
	if (r < 0) {
		n->serving = false; /* and the store is tried again, as after a failure of it */
		if (r != -ETIME)
			snprintf(n->why_not, sizeof(n->why_not), "the leases cannot be read: %s",
				 strerror(-r));
	}
	if (n->dp && datapath_set_scopes(n->dp, &n->conf->scopes) < 0)
		log_event(LOG_L_ERROR, "filter-maps",
			  "why=\"the scopes cannot be written: "
			  "DISCOVERs of new ones pass, of former ones "
			  "may be left to the partner\"");
	tell(n, r);
}

static void forget(struct node *n)
{
	conf_free(n->reload.next);
	fo_keys_free(n->reload.keys);
	n->reload.next = NULL;
	n->reload.keys = NULL;
}

/* The first configuration is main's: what was opened at start points into it. */
static void swap(struct node *n)
{
	struct conf *next = n->reload.next, *former = n->reload.own;
	struct node_scope *scopes = calloc(next->scopes.n_scopes + 1, sizeof(*scopes));

	if (!scopes) {
		reject(n, "", "out of memory");
		forget(n);
		return;
	}
	n->reload.next = NULL;
	node_partner_lost(n, FO_CLOSE_STATE);
	node_outbox_clear(n);
	free(n->scopes);
	n->scopes = scopes;
	n->n_touched = 0;
	use(n, next);
	load_anew(n);
	n->reload.own = next;
	conf_free(former);
}

void node_reload(struct node *n)
{
	n->reload.wanted = true;
}

void node_reload_turn(struct node *n)
{
	if (n->reload.wanted) {
		n->reload.wanted = false;
		forget(n); /* an earlier signal, overtaken while it waited */
		read_again(n);
	}
	/* while the store fails, the former configuration waits with it */
	if (n->reload.next && n->serving && !n->suspect && node_drain(n, DRAIN_US))
		swap(n);
}

void node_reload_done(struct node *n)
{
	forget(n);
	conf_free(n->reload.own);
}
