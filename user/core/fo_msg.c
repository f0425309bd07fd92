/*
 * Failover messages, the frame: octets <-> header and options in the order of the wire. The typed
 * readers and writers are in fo_msg_read.c and fo_msg_write.c.
 *
 * Callers: net/fo_session cuts the stream and decodes; core/fo_endpoint reads and writes.
 * Spec: draft-ietf-dhc-failover-12 §6.1 (header), §6.2 (options), §12 (lengths).
 */
#include "core/fo_msg.h"
#include "core/wire.h"

enum {
	OPT_HDR_LEN = 4,
	OFFSET_DRAFT = 8, /* what the draft's text says, against its own picture: it means 12 */
};

static const char *const verdict_text[FO_VERDICTS] = {
	[FO_OK] = "decoded",
	[FO_MORE] = "the octets end within the message",
	[FO_BAD_LENGTH] = "the length field is outside 12 to 2048",
	[FO_BAD_OFFSET] = "the payload offset is not within the message",
	[FO_BAD_TYPE] = "no such message type",
	[FO_IGNORED_TYPE] = "a message type that is to be ignored",
	[FO_BAD_OPTION] = "an option runs past the end of the message",
	[FO_BAD_OPTION_LEN] = "an option of fixed length has another length",
	[FO_DUPLICATE] = "an option stands twice in one message",
};

const char *fo_verdict_text(enum fo_verdict v)
{
	return (unsigned)v < FO_VERDICTS ? verdict_text[v] : "unknown verdict";
}

/* Length of the options that have a fixed one (§12); 0 for the others. Hash buckets are left to
 * whoever reads CONNECT: a wrong length there is answered (reject 18), not punished. */
static unsigned fixed_len(uint16_t code)
{
	switch (code) {
	case FO_OPT_BINDING_STATUS:
	case FO_OPT_DELAYED_SERVICE:
	case FO_OPT_VERSION:
	case FO_OPT_REJECT_REASON:
	case FO_OPT_SERVER_FLAGS:
	case FO_OPT_SERVER_STATE:
	case FO_OPT_TLS_REPLY:
	case FO_OPT_TLS_REQUEST:
		return 1;
	case FO_OPT_IP_FLAGS: /* the draft's figure shows 1, its text and everybody 2 */
		return 2;
	case FO_OPT_ADDRESSES_TRANSFERRED:
	case FO_OPT_ASSIGNED_ADDRESS:
	case FO_OPT_CLTT:
	case FO_OPT_LEASE_EXPIRY:
	case FO_OPT_MAX_UNACKED:
	case FO_OPT_MCLT:
	case FO_OPT_POTENTIAL_EXPIRY:
	case FO_OPT_RECEIVE_TIMER:
	case FO_OPT_STOS:
		return 4;
	default:
		return 0;
	}
}

size_t fo_msg_length(const uint8_t *buf, size_t len)
{
	size_t n;

	if (len < 2)
		return 0;
	n = (size_t)buf[0] << 8 | buf[1];
	return n < FO_HDR_LEN || n > FO_MSG_MAX ? 2 : n;
}

/* Does the option stand in the same group already? Only binding messages have several groups, and
 * each begins with an address (§7.1: multiple bindings in one message). */
static bool duplicate(const struct fo_msg *m, unsigned group, const struct fo_opt *o)
{
	for (unsigned i = group; i < m->n_opts; i++)
		if (m->opt[i].code == o->code)
			return true;
	return false;
}

static enum fo_verdict decode_options(struct rd *r, struct fo_msg *m)
{
	bool groups = m->type == FO_BNDUPD || m->type == FO_BNDACK;
	unsigned group = 0; /* first option of the present group */

	while (r->len) {
		struct fo_opt o;
		unsigned fixed;

		o.code = rd_u16(r);
		o.len = rd_u16(r);
		o.p = rd_octets(r, o.len).p;
		fixed = fixed_len(o.code);
		if (r->bad)
			return FO_BAD_OPTION;
		if (fixed && o.len != fixed)
			return FO_BAD_OPTION_LEN;
		if (groups && o.code == FO_OPT_ASSIGNED_ADDRESS)
			group = m->n_opts;
		else if (duplicate(m, group, &o))
			return FO_DUPLICATE;
		m->opt[m->n_opts++] = o; /* FO_MAX_OPTS: as many as 2036 octets can hold */
	}
	return FO_OK;
}

static enum fo_verdict check_type(uint8_t type)
{
	if (type >= 128)
		return FO_IGNORED_TYPE;
	return type >= FO_POOLREQ && type <= FO_DISCONNECT ? FO_OK : FO_BAD_TYPE;
}

enum fo_verdict fo_msg_decode(const uint8_t *buf, size_t len, struct fo_msg *ret)
{
	struct rd r = rd_init(buf, len), msg;
	enum fo_verdict v;
	unsigned offset;

	ret->len = 0;
	ret->n_opts = 0;
	if (len < 2)
		return FO_MORE;
	if (fo_msg_length(buf, len) == 2)
		return FO_BAD_LENGTH;
	ret->len = (uint16_t)fo_msg_length(buf, len);
	msg = rd_sub(&r, ret->len);
	if (msg.bad)
		return FO_MORE;

	rd_skip(&msg, 2);
	ret->type = rd_u8(&msg);
	ret->offset = rd_u8(&msg);
	ret->time = rd_u32(&msg);
	ret->xid = rd_u32(&msg);
	v = check_type(ret->type);
	if (v != FO_OK)
		return v;
	offset = ret->offset == OFFSET_DRAFT ? FO_HDR_LEN : ret->offset;
	if (offset < FO_HDR_LEN || offset > ret->len)
		return FO_BAD_OFFSET;
	ret->extra = rd_octets(&msg, offset - FO_HDR_LEN);
	return decode_options(&msg, ret);
}

size_t fo_msg_encode(const struct fo_msg *m, uint8_t *buf, size_t size)
{
	struct wr w = wr_init(buf, size < FO_MSG_MAX ? size : FO_MSG_MAX);

	wr_u16(&w, 0);
	wr_u8(&w, m->type);
	wr_u8(&w, m->offset);
	wr_u32(&w, m->time);
	wr_u32(&w, m->xid);
	wr_octets(&w, m->extra.p, m->extra.len);
	for (unsigned i = 0; i < m->n_opts; i++) {
		wr_u16(&w, m->opt[i].code);
		wr_u16(&w, m->opt[i].len);
		wr_octets(&w, m->opt[i].p, m->opt[i].len);
	}
	wr_set_u16(&w, 0, (uint16_t)w.len);
	return w.bad ? 0 : w.len;
}
