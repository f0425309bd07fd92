/*
 * What the API may read of the node, and the operator's wishes that it may hand in.
 */
#include "ctl/fo_counters.h"
#include "node_priv.h"

#include <errno.h>
#include <string.h>

static struct now api_now(void *ctx)
{
	struct node *n = ctx;

	node_turn_begin(n);
	return n->now;
}

static const struct conf *api_conf(void *ctx)
{
	return ((struct node *)ctx)->conf;
}

static const struct pool *api_pool(void *ctx)
{
	return ((struct node *)ctx)->pool;
}

static const char *filter_mode(struct node *n, struct datapath_status *ret)
{
	memset(ret, 0, sizeof(*ret));
	if (!n->dp)
		return "off";
	datapath_status(n->dp, ret);
	return ret->mode;
}

static uint32_t count_active(const struct node *n)
{
	struct pool_counts c;
	uint32_t sum = 0;

	for (uint32_t i = 0; i < n->conf->scopes.n_ranges; i++) {
		pool_counts_range(n->pool, i, &c);
		sum += c.active;
	}
	return sum;
}

static void api_status(void *ctx, struct ctl_status *ret)
{
	struct node *n = ctx;
	struct datapath_status dp;
	struct lease_store_stats st;

	lease_store_stats(n->store, &st);
	*ret = (struct ctl_status){
		.version = TWINLEASE_VERSION,
		.server_name = n->conf->server.name,
		.started = sec_clamp(n->started.wall.sec),
		.serving = n->serving,
		.why_not = n->why_not,
		.filter_mode = filter_mode(n, &dp),
		.leases_active = n->pool ? count_active(n) : 0,
		.commits = st.commits,
		.commit_us_max = st.commit_us_max,
		.store_used = st.used,
		.store_size = st.map_size,
		.disk_free = st.disk_free,
	};
}

static void api_relation(void *ctx, unsigned i, struct fo_status *ret)
{
	static const struct fo_record nothing;
	static const struct fo_counters no_counters;
	struct node *n = ctx;

	if (n->relations[i].ep) {
		fo_endpoint_status(node_endpoint(n, i), ret);
		return;
	}
	*ret = (struct fo_status){ .conf = &n->conf->relations[i].fo,
				   .record = &nothing,
				   .view = &n->views[i],
				   .counters = &no_counters,
				   .next = "the store must be writable before anything else" };
}

static const char *api_operate(void *ctx, unsigned i, enum fo_event ev, uint32_t since)
{
	return node_operate(ctx, i, ev, since);
}

static void api_clock(void *ctx, struct ctl_clock *ret)
{
	node_turn_begin(ctx);
	node_clock_status(ctx, ret);
}

static const char *api_clock_accept(void *ctx)
{
	node_turn_begin(ctx);
	return node_clock_accept(ctx);
}

static int api_lease(void *ctx, uint32_t addr, struct lease *ret, struct lease_client *ret_client)
{
	return lease_store_get(((struct node *)ctx)->store, addr, ret, ret_client);
}

static int api_filter(void *ctx, struct ctl_filter *ret)
{
	static const char *const names[][2] = {
#define X(id, name, text) { name, text },
		FILTER_REASON_LIST(X)
#undef X
	};
	struct filter_counter v[FILTER_REASONS];
	struct node *n = ctx;
	struct datapath_status st;
	int r;

	memset(ret, 0, sizeof(*ret));
	ret->mode = filter_mode(n, &st);
	if (!n->dp)
		return -ENOENT;
	memcpy(ret->attached, st.attached, sizeof(ret->attached));
	ret->switches = n->switches.count;
	ret->switch_us_last = n->switches.us_last;
	ret->switch_us_max = n->switches.us_max;
	r = datapath_verdicts(n->dp, v);
	for (unsigned i = 0; !r && i < FILTER_REASONS && i < 64; i++) {
		ret->reason[i].name = names[i][0];
		ret->reason[i].text = names[i][1];
		ret->reason[i].packets = v[i].packets;
		ret->reason[i].octets = v[i].octets;
		ret->n_reasons++;
	}
	return r;
}

static int api_buckets(void *ctx, unsigned relation, struct ctl_bucket ret[256])
{
	struct bucket_counter b[256];
	struct node *n = ctx;
	int r = n->dp ? datapath_buckets(n->dp, relation, b) : -ENOENT;

	for (unsigned i = 0; !r && i < 256; i++)
		ret[i] = (struct ctl_bucket){ b[i].passed, b[i].left, b[i].by_secs };
	return r;
}

/* A DISCOVER as the client would send it through a relay in @subnet_addr. */
static size_t make_discover(const struct lease_client *c, uint32_t subnet_addr, uint16_t secs,
			    uint8_t *buf)
{
	size_t at = DHCP_OPTIONS_OFF;

	memset(buf, 0, 600);
	buf[0] = BOOTREQUEST;
	buf[DHCP_OFF_HTYPE] = c->htype;
	buf[DHCP_OFF_HLEN] = c->hlen;
	buf[DHCP_OFF_SECS] = (uint8_t)(secs >> 8);
	buf[DHCP_OFF_SECS + 1] = (uint8_t)secs;
	for (unsigned i = 0; i < 4; i++) {
		buf[DHCP_OFF_GIADDR + i] = (uint8_t)(subnet_addr >> (24 - 8 * i));
		buf[DHCP_FIXED_LEN + i] = (uint8_t)(DHCP_COOKIE >> (24 - 8 * i));
	}
	memcpy(buf + DHCP_OFF_CHADDR, c->chaddr, sizeof(c->chaddr));
	buf[at++] = DHO_MESSAGE_TYPE;
	buf[at++] = 1;
	buf[at++] = DHCPDISCOVER;
	if (c->id_len) {
		buf[at++] = DHO_CLIENT_ID;
		buf[at++] = c->id_len;
		memcpy(buf + at, c->id, c->id_len);
		at += c->id_len;
	}
	buf[at++] = DHO_END;
	return at;
}

static void api_explain(void *ctx, const struct lease_client *c, uint32_t subnet_addr,
			uint16_t secs, struct server_decision *ret)
{
	struct node *n = ctx;
	const struct scope *s = scope_find(&n->conf->scopes, subnet_addr);
	struct server_request req = { 0 };
	struct dhcp_msg msg;
	uint8_t buf[600];
	uint32_t held;

	node_turn_begin(n);
	memset(ret, 0, sizeof(*ret));
	ret->reason = SERVER_NO_SUBNET;
	if (!s || !n->serving ||
	    dhcp_msg_decode(buf, make_discover(c, subnet_addr, secs, buf), &msg) != DHCP_OK)
		return;
	req.msg = &msg;
	req.iface_addr = n->conf->server.identifier ? n->conf->server.identifier : subnet_addr;
	req.key = lease_client_key(&n->hash, c);
	held = pool_offered(n->pool, req.key, s);
	server_decide(&n->server, &req, &n->now, ret);
	if (!held && ret->answer) /* asking holds nothing */
		pool_offer_drop(n->pool, ret->reply.yiaddr);
}

/* --- counters -----------------------------------------------------------------------------------
 */

struct metrics {
	struct ctl_metric *out;
	unsigned n;
};

static void add_with(struct metrics *m, const char *name, const char *key, const char *label,
		     const char *help, bool gauge, double value)
{
	if (m->n < CTL_METRICS_MAX)
		m->out[m->n++] = (struct ctl_metric){ name, key, label, help, gauge, value };
}

static void add(struct metrics *m, const char *name, const char *help, bool gauge, double value)
{
	add_with(m, name, "", "", help, gauge, value);
}

static void add_given_up(const struct node *n, struct metrics *m)
{
	static const char *const kind[DHCP_IO_KINDS] = { "request", "discover" };

	dhcp_io_count_full(n->io);
	for (unsigned i = 0; i < DHCP_IO_KINDS; i++)
		add_with(m, "twinlease_datagrams_dropped_total", "kind", kind[i],
			 "datagrams that the kernel dropped: their queue was full; the kind of "
			 "what relays broadcast is a guess",
			 false, (double)dhcp_io_counters(n->io)->full[i]);
	for (unsigned i = 0; i < DHCP_IO_KINDS; i++)
		add_with(m, "twinlease_datagrams_stale_total", "kind", kind[i],
			 "datagrams that waited too long", false, (double)n->count.stale[i]);
}

static void add_server(const struct node *n, struct metrics *m)
{
	const struct node_counters *c = &n->count;

	add(m, "twinlease_datagrams_total", "DHCP datagrams heard", false, (double)c->datagrams);
	for (unsigned i = 0; i < DHCP_VERDICTS; i++)
		if (i != DHCP_OK)
			add_with(m, "twinlease_datagrams_malformed_total", "verdict",
				 dhcp_verdict_name(i), "datagrams that are no DHCP message", false,
				 (double)c->malformed[i]);
	add_given_up(n, m);
	add(m, "twinlease_replies_late_total", "replies not sent: the disk took too long", false,
	    (double)c->late);
	for (unsigned i = 0; i < SERVER_REASON_COUNT; i++)
		add_with(m, "twinlease_requests_total", "reason", server_reason_name(i),
			 "requests by what became of them", false, (double)c->reasons[i]);
	add(m, "twinlease_replies_total", "replies sent", false, (double)c->replies);
	add(m, "twinlease_leases_expired_total", "leases whose time was over", false,
	    (double)c->expired);
	add(m, "twinlease_clock_step_seconds", "clock of the system minus the one of leases", true,
	    (double)clock_wall_step_sec());
	add(m, "twinlease_outbox_full_total", "answers given up for lack of room", false,
	    (double)c->outbox_full);
	add(m, "twinlease_refusals_untold_total",
	    "updates refused for which no event was written: too many in one minute", false,
	    (double)c->refusals_untold);
	add(m, "twinlease_audit_lost_total", "lines of the audit log that found no room", false,
	    (double)c->audit_lost);
	add(m, "twinlease_frozen_total", "times that the process stood still", false,
	    (double)c->frozen);
}

static void add_store(struct node *n, struct metrics *m)
{
	struct lease_store_stats st;

	lease_store_stats(n->store, &st);
	add(m, "twinlease_store_commits_total", "transactions committed", false,
	    (double)st.commits);
	add(m, "twinlease_store_records_total", "records committed", false, (double)st.records);
	add(m, "twinlease_store_failures_total", "commits that failed", false, (double)st.failed);
	add(m, "twinlease_store_commit_seconds_max", "longest commit", true,
	    (double)st.commit_us_max / 1e6);
	add(m, "twinlease_store_used_bytes", "octets in use", true, (double)st.used);
}

/* One metric over all relationships, as the exposition format wants them grouped. */
static void add_relations(struct node *n, struct metrics *m)
{
	struct fo_status s;

	for (unsigned k = 0; k < ctl_n_fo_counters; k++) {
		const struct ctl_fo_counter *c = &ctl_fo_counters[k];

		for (unsigned i = 0; i < n->conf->n_relations; i++) {
			api_relation(n, i, &s);
			add_with(m, ctl_fo_metric(c), "relationship", s.conf->name, c->help,
				 c->gauge, ctl_fo_value(c, &s));
		}
	}
}

static void add_filter(struct node *n, struct metrics *m)
{
	static struct ctl_filter f; /* large; one API call at a time */

	if (api_filter(n, &f) < 0)
		return;
	for (unsigned i = 0; i < f.n_reasons; i++)
		add_with(m, "twinlease_filter_packets_total", "reason", f.reason[i].name,
			 "packets seen by the kernel half, by verdict", false,
			 (double)f.reason[i].packets);
	add_with(m, "twinlease_filter_switch_seconds", "of", "last",
		 "from the decision of a state to its policy in the kernel's maps", true,
		 (double)f.switch_us_last / 1e6);
	add_with(m, "twinlease_filter_switch_seconds", "of", "max",
		 "from the decision of a state to its policy in the kernel's maps", true,
		 (double)f.switch_us_max / 1e6);
}

static unsigned api_metrics(void *ctx, struct ctl_metric ret[CTL_METRICS_MAX])
{
	struct metrics m = { ret, 0 };
	struct node *n = ctx;

	node_turn_begin(n);
	add_server(n, &m);
	add_store(n, &m);
	add_relations(n, &m);
	add_filter(n, &m);
	return m.n;
}

int node_api_open(struct node *n, char err[256])
{
	struct ctl_ops ops = {
		.ctx = n,
		.now = api_now,
		.conf = api_conf,
		.pool = api_pool,
		.status = api_status,
		.relation = api_relation,
		.operate = api_operate,
		.lease = api_lease,
		.filter = api_filter,
		.buckets = api_buckets,
		.explain = api_explain,
		.metrics = api_metrics,
		.clock = api_clock,
		.clock_accept = api_clock_accept,
	};

	return ctl_open(n->base, n->conf, &ops, &n->ctl, err);
}
