/*
 * The connection between the partners: TCP as far as it shows, and what user/net/fo_session.c does
 * with it. The primary connects; the secondary accepts, and takes a new connection when the former
 * one has been silent beyond the receive timer. A cut direction holds everything back, as TCP does
 * until somebody gives up; what then arrives for a connection that is gone is answered by a reset.
 */
#include "sim.h"

#define RETRY_US SEC
#define REJECTED_US (5 * SEC)
#define CONNECT_LIMIT_US (3 * SEC)

/* --- packets ---------------------------------------------------------------------------------- */

struct packet *packet_new(struct world *w, int32_t *ret_id)
{
	if (w->free_packet < 0) {
		uint32_t was = w->n_packets, n = was ? was * 2 : 256;

		w->packets = realloc(w->packets, n * sizeof(*w->packets));
		if (!w->packets)
			abort();
		w->n_packets = n;
		for (uint32_t i = n; i-- > was;) {
			w->packets[i].next = w->free_packet;
			w->free_packet = (int32_t)i;
		}
	}
	*ret_id = w->free_packet;
	w->free_packet = w->packets[*ret_id].next;
	return &w->packets[*ret_id];
}

void packet_free(struct world *w, int32_t id)
{
	w->packets[id].next = w->free_packet;
	w->free_packet = id;
}

void fifo_add(struct world *w, struct fifo *f, int32_t id)
{
	w->packets[id].next = -1;
	if (f->first < 0)
		f->first = id;
	else
		w->packets[f->last].next = id;
	f->last = id;
}

int32_t fifo_take(struct world *w, struct fifo *f)
{
	int32_t id = f->first;

	f->first = w->packets[id].next;
	return id;
}

static void put_on_wire(struct world *w, unsigned to, enum wire_kind kind, uint32_t conn,
			const uint8_t *data, size_t len)
{
	int64_t delay = 200 + below(w, 300) + (w->slow ? below(w, (uint32_t)w->slow) : 0);
	int32_t id;
	struct packet *p = packet_new(w, &id);
	struct fifo *f = &w->wire[to];

	p->kind = kind;
	p->conn = conn;
	p->at = w->us + delay;
	p->len = (uint32_t)len;
	if (len)
		memcpy(p->data, data, len);
	if (f->first >= 0 && w->packets[f->last].at > p->at)
		p->at = w->packets[f->last].at; /* a stream keeps its order */
	fifo_add(w, f, id);
	if (!w->cut[to])
		at(w, p->at, EV_WIRE, to, 0);
}

/* What arrives at a host whose process is gone is answered by its kernel. */
static void arrive(struct world *w, struct server *s, int32_t id)
{
	struct packet *p = &w->packets[id];
	uint32_t conn = p->conn;

	if (s->up) {
		if (p->kind == WIRE_SYN) { /* the kernel accepts, whatever the process does */
			s->inbound = conn;
			packet_free(w, id);
			put_on_wire(w, !s->i, WIRE_SYNACK, conn, NULL, 0);
			return;
		}
		fifo_add(w, &s->inbox, id);
		server_wake(w, s, w->us);
		return;
	}
	packet_free(w, id);
	if (!s->host_down && p->kind != WIRE_FIN)
		put_on_wire(w, !s->i, WIRE_FIN, conn, NULL, 0);
}

void link_wire(struct world *w, unsigned to)
{
	struct fifo *f = &w->wire[to];

	while (f->first >= 0 && !w->cut[to] && w->packets[f->first].at <= w->us)
		arrive(w, &w->s[to], fifo_take(w, f));
}

void link_cut(struct world *w, unsigned to, bool cut)
{
	struct fifo *f = &w->wire[to];

	w->cut[to] = cut;
	if (cut || f->first < 0)
		return;
	if (w->us - w->packets[f->first].at > w->held_up)
		w->held_up = w->us - w->packets[f->first].at;
	at(w, w->packets[f->first].at > w->us ? w->packets[f->first].at : w->us, EV_WIRE, to, 0);
}

/* --- this side ----------------------------------------------------------------------------------
 */

static void retry_after(struct world *w, struct server *s, int64_t us)
{
	if (s->i)
		return;
	s->connect_at = w->us + us;
	at(w, s->connect_at, EV_CONNECT, 0, 0);
}

void link_send(struct world *w, struct server *s, const uint8_t *msg, size_t len)
{
	check_message(w, s, msg, len);
	put_on_wire(w, !s->i, WIRE_DATA, s->conn, msg, len);
}

void link_close(struct world *w, struct server *s, enum fo_close_reason why)
{
	if (!s->conn)
		return;
	put_on_wire(w, !s->i, WIRE_FIN, s->conn, NULL, 0);
	s->conn = 0;
	retry_after(w, s, why == FO_CLOSE_REJECTED ? REJECTED_US : RETRY_US);
}

static void lost(struct world *w, struct server *s)
{
	s->conn = 0;
	retry_after(w, s, RETRY_US);
	if (s->ep)
		fo_endpoint_link_down(s->ep, &s->now, FO_CLOSE_PEER);
}

static void up(struct world *w, struct server *s, uint32_t conn)
{
	s->conn = conn;
	s->heard = s->now.mono.us;
	check_link_new(s);
	if (s->ep)
		fo_endpoint_link_up(s->ep, &s->now, !s->i);
	else
		link_close(w, s, FO_CLOSE_STATE);
}

/* The primary's timer. */
void link_connect(struct world *w, struct server *s)
{
	if (!s->up || s->conn)
		return;
	if (s->frozen) {
		retry_after(w, s, 100000);
		return;
	}
	if (s->connecting) { /* nobody answered */
		s->connecting = 0;
		retry_after(w, s, RETRY_US);
		return;
	}
	s->connecting = ++w->conns;
	put_on_wire(w, 1, WIRE_SYN, s->connecting, NULL, 0);
	retry_after(w, s, CONNECT_LIMIT_US);
}

static void refuse(struct world *w, struct server *s, uint32_t conn, const struct fo_msg *m,
		   struct octets name)
{
	static const char text[] = FO_VENDOR_CLASS;
	struct fo_connect ack = {
		.has = 1u << FO_OPT_RELATIONSHIP_NAME | 1u << FO_OPT_VENDOR_CLASS |
		       1u << FO_OPT_VERSION,
		.name = name,
		.vendor = { (const uint8_t *)text, sizeof(text) - 1 },
		.version = 1,
		.reject = FO_REJECT_DUPLICATE_CONNECTION,
	};
	uint8_t buf[FO_MSG_MAX];
	struct fo_writer wr;

	fo_write_begin(&wr, buf, sizeof(buf), FO_CONNECTACK, s->now.wall, m->xid);
	fo_write_connectack(&wr, &ack);
	put_on_wire(w, !s->i, WIRE_DATA, conn, buf, fo_write_end(&wr));
	put_on_wire(w, !s->i, WIRE_FIN, conn, NULL, 0);
	s->inbound = 0;
}

/* The secondary learns of a connection by the CONNECT on it. */
static bool adopt(struct world *w, struct server *s, uint32_t conn, const struct fo_msg *m)
{
	int64_t silence = (int64_t)s->conf.contact_timeout_sec * SEC;
	struct fo_connect c;

	if (!s->i || m->type != FO_CONNECT || conn != s->inbound)
		return false;
	fo_msg_read_connect(m, &c);
	if (s->conn && s->now.mono.us - s->heard < silence) {
		refuse(w, s, conn, m, c.name);
		return true;
	}
	if (s->conn) {
		s->conn = 0;
		if (s->ep)
			fo_endpoint_link_down(s->ep, &s->now, FO_CLOSE_SILENT);
	}
	s->inbound = 0;
	up(w, s, conn);
	return s->conn == conn;
}

static void hear_data(struct world *w, struct server *s, const struct packet *p)
{
	static struct fo_msg m;
	enum fo_verdict v = fo_msg_decode(p->data, p->len, &m);

	if (v != FO_OK)
		violate(w, "bad-message", 0, -1, "%c sent what does not decode: %s", "SP"[s->i],
			fo_verdict_text(v));
	if (p->conn != s->conn && !adopt(w, s, p->conn, &m)) {
		put_on_wire(w, !s->i, WIRE_FIN, p->conn, NULL, 0);
		return;
	}
	if (p->conn != s->conn)
		return; /* refused */
	s->heard = s->now.mono.us;
	check_heard(w, s, &m);
	if (s->ep)
		fo_endpoint_message(s->ep, &m, &s->now);
}

static void hear(struct world *w, struct server *s, const struct packet *p)
{
	switch (p->kind) {
	case WIRE_SYNACK:
		if (!s->i && p->conn == s->connecting && !s->conn) {
			s->connecting = 0;
			up(w, s, p->conn);
		}
		break;
	case WIRE_DATA:
		hear_data(w, s, p);
		break;
	case WIRE_FIN:
		if (s->conn && p->conn == s->conn)
			lost(w, s);
		else if (!s->i && p->conn == s->connecting)
			s->connecting = 0;
		else if (s->i && p->conn == s->inbound)
			s->inbound = 0;
		break;
	case WIRE_SYN:
		break;
	}
}

void link_hear(struct world *w, struct server *s)
{
	struct packet p;

	while (s->up && s->inbox.first >= 0) {
		int32_t id = fifo_take(w, &s->inbox);

		memcpy(&p, &w->packets[id], offsetof(struct packet, data));
		memcpy(p.data, w->packets[id].data, p.len);
		packet_free(w, id);
		hear(w, s, &p);
	}
}

void link_gone(struct world *w, struct server *s, bool power)
{
	s->host_down = power;
	if (s->conn && !power)
		put_on_wire(w, !s->i, WIRE_FIN, s->conn, NULL, 0);
	if (s->inbound && !power)
		put_on_wire(w, !s->i, WIRE_FIN, s->inbound, NULL, 0);
	s->conn = s->inbound = s->connecting = 0;
	while (s->inbox.first >= 0)
		packet_free(w, fifo_take(w, &s->inbox));
}

/* Somebody between them resets the connection: both hear it, none what was on its way. */
void link_reset(struct world *w)
{
	for (unsigned i = 0; i < 2; i++) {
		struct server *s = &w->s[i];

		while (w->wire[i].first >= 0)
			packet_free(w, fifo_take(w, &w->wire[i]));
		if (s->conn)
			put_on_wire(w, i, WIRE_FIN, s->conn, NULL, 0);
	}
}
