/*
 * Codec of the records on disk. One table per kind of record says which tag is which field; the
 * layout and a worked example are in the header.
 *
 * Called by the store: encode on the loop thread, merge on the writer thread, decode on both. No
 * state, no allocation. A record is judged as a whole: a damaged one yields nothing.
 */
#include <endian.h>
#include <errno.h>
#include <string.h>
#include <zlib.h>
#include "core/wire.h"
#include "store/lease_record.h"

#define TAG_HARDWARE 0x40
#define TAG_CLIENT_ID 0x41
#define TAG_HOST_NAME 0x42
#define TAG_RELAY_AGENT 0x43
#define TAG_CHECK 0xff
#define CHECK_LEN 6 /* tag, length, CRC-32 */

enum kind { NUMBER, FLAG, RAW };

struct field {
	uint8_t tag, kind, len;
	uint16_t at; /* offset in the struct */
};

/* A size that load and rd_number know; of another the table does not compile. */
#define FITS(kind, size)                                                                           \
	((kind) == RAW || (size) == 1 || ((kind) == NUMBER && ((size) == 4 || (size) == 8)))
#define LEN(kind, size) ((size) + 0 * sizeof(char[FITS(kind, size) ? 1 : -1]))

#define FIELD(tag, kind, type, member)                                                             \
	{                                                                                          \
		tag, kind, LEN(kind, sizeof(((type *)0)->member)), offsetof(type, member)          \
	}

/* In each table tags ascend, as they do in a record. */
static const struct field lease_fields[] = {
	FIELD(0x01, NUMBER, struct lease, state),
	FIELD(0x02, NUMBER, struct lease, starts),
	FIELD(0x03, NUMBER, struct lease, expires),
	FIELD(0x04, NUMBER, struct lease, sent_pet),
	FIELD(0x05, NUMBER, struct lease, acked_pet),
	FIELD(0x06, NUMBER, struct lease, rcvd_pet),
	FIELD(0x07, NUMBER, struct lease, cltt),
	FIELD(0x08, NUMBER, struct lease, stos),
	FIELD(0x09, NUMBER, struct lease, serial),
	FIELD(0x0a, NUMBER, struct lease, acked_state),
	FIELD(0x0b, NUMBER, struct lease, flags),
	FIELD(0x0c, NUMBER, struct lease, bucket),
};

struct run_record {
	struct lease l;
	uint32_t n;
};

static const struct field run_fields[] = {
	FIELD(0x01, NUMBER, struct run_record, l.state),
	FIELD(0x08, NUMBER, struct run_record, l.stos),
	FIELD(0x09, NUMBER, struct run_record, l.serial),
	FIELD(0x0a, NUMBER, struct run_record, l.acked_state),
	FIELD(0x0b, NUMBER, struct run_record, l.flags),
	FIELD(0x0d, NUMBER, struct run_record, n),
};

static const struct field fo_fields[] = {
	FIELD(0x01, NUMBER, struct fo_record, end.state),
	FIELD(0x02, NUMBER, struct fo_record, end.saved),
	FIELD(0x03, NUMBER, struct fo_record, end.peer),
	FIELD(0x04, FLAG, struct fo_record, end.primary),
	FIELD(0x05, FLAG, struct fo_record, end.ever_normal),
	FIELD(0x06, FLAG, struct fo_record, end.lost_storage),
	FIELD(0x07, FLAG, struct fo_record, end.owes_all),
	FIELD(0x08, NUMBER, struct fo_record, end.stos),
	FIELD(0x09, NUMBER, struct fo_record, end.peer_stos),
	FIELD(0x0a, NUMBER, struct fo_record, end.last_operational),
	FIELD(0x0b, NUMBER, struct fo_record, mclt),
	FIELD(0x0c, NUMBER, struct fo_record, mclt_until),
	FIELD(0x0d, NUMBER, struct fo_record, mclt_former),
	FIELD(0x0e, RAW, struct fo_record, hba),
	FIELD(0x0f, FLAG, struct fo_record, hba_known),
	FIELD(0x10, RAW, struct fo_record, incarnation),
	FIELD(0x11, NUMBER, struct fo_record, peer_start_count),
	FIELD(0x12, RAW, struct fo_record, partner),
	FIELD(0x13, FLAG, struct fo_record, stranger),
	FIELD(0x14, FLAG, struct fo_record, end.behind),
};

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* --- writing ---------------------------------------------------------------------------------- */

static uint64_t load(const uint8_t *p, size_t len)
{
	uint32_t v32;
	uint64_t v64;

	switch (len) {
	case 1:
		return *p;
	case 4:
		memcpy(&v32, p, sizeof(v32));
		return v32;
	default:
		memcpy(&v64, p, sizeof(v64));
		return v64;
	}
}

static bool all_zero(const uint8_t *p, size_t len)
{
	uint8_t any = 0;

	while (len--)
		any |= *p++;
	return !any;
}

static void wr_item(struct wr *w, uint8_t tag, const void *p, uint8_t len)
{
	wr_u8(w, tag);
	wr_u8(w, len);
	wr_octets(w, p, len);
}

static void wr_fields(struct wr *w, const struct field *f, size_t n, const void *from)
{
	for (; n--; f++) {
		const uint8_t *p = (const uint8_t *)from + f->at;

		if (all_zero(p, f->len))
			continue;
		if (f->kind == RAW) {
			wr_item(w, f->tag, p, f->len);
			continue;
		}
		wr_u8(w, f->tag);
		wr_u8(w, f->len);
		wr_uint(w, load(p, f->len), f->len);
	}
}

static void wr_client(struct wr *w, const struct lease_client *c)
{
	if (c->hlen || c->htype) {
		wr_u8(w, TAG_HARDWARE);
		wr_u8(w, (uint8_t)(1 + c->hlen));
		wr_u8(w, c->htype);
		wr_octets(w, c->chaddr, c->hlen);
	}
	if (c->id_len)
		wr_item(w, TAG_CLIENT_ID, c->id, c->id_len);
	if (c->host_name_len)
		wr_item(w, TAG_HOST_NAME, c->host_name, c->host_name_len);
	if (c->relay_agent_len)
		wr_item(w, TAG_RELAY_AGENT, c->relay_agent, c->relay_agent_len);
}

/* Return: octets of the whole record, 0 when it did not fit. */
static size_t wr_check(struct wr *w)
{
	uint32_t check = w->bad ? 0 : (uint32_t)crc32(0, w->p, (uInt)w->len);

	wr_u8(w, TAG_CHECK);
	wr_u8(w, 4);
	wr_u32(w, check);
	return w->bad ? 0 : w->len;
}

size_t lease_record_encode(const struct lease *l, const struct lease_client *c, uint8_t *buf,
			   size_t size)
{
	struct wr w = wr_init(buf, size);

	if (c && c->hlen > CHADDR_MAX)
		return 0;
	wr_u8(&w, LEASE_RECORD_VERSION);
	wr_fields(&w, lease_fields, COUNT(lease_fields), l);
	if (c)
		wr_client(&w, c);
	return wr_check(&w);
}

size_t run_record_encode(const struct lease *l, uint32_t n, uint8_t *buf, size_t size)
{
	struct run_record run = { *l, n };
	struct wr w = wr_init(buf, size);

	wr_u8(&w, LEASE_RECORD_VERSION);
	wr_fields(&w, run_fields, COUNT(run_fields), &run);
	return wr_check(&w);
}

size_t fo_record_encode(const struct fo_record *r, uint8_t *buf, size_t size)
{
	struct wr w = wr_init(buf, size);

	wr_u8(&w, LEASE_RECORD_VERSION);
	wr_fields(&w, fo_fields, COUNT(fo_fields), r);
	return wr_check(&w);
}

/* --- reading ---------------------------------------------------------------------------------- */

/* The items of a record whose check is right. The check comes first: a flipped bit in the version
 * is damage, not a message from the future. */
static int open_record(struct octets o, struct rd *ret_items)
{
	struct rd r = rd_of(o), items;
	uint8_t version;

	if (o.len < 1 + CHECK_LEN)
		return -EBADMSG;
	items = rd_sub(&r, o.len - CHECK_LEN);
	if (rd_u16(&r) != (TAG_CHECK << 8 | 4) ||
	    rd_u32(&r) != (uint32_t)crc32(0, o.p, (uInt)(o.len - CHECK_LEN)))
		return -EBADMSG;
	version = rd_u8(&items);
	if (version != LEASE_RECORD_VERSION)
		return version ? -EPROTO : -EBADMSG;
	*ret_items = items;
	return 0;
}

/* The next item; false at the end or when it is malformed (r->bad). @last: the tag before. */
static inline bool next_item(struct rd *r, uint8_t *last, struct octets *ret_value)
{
	const uint8_t *head;

	if (r->bad || !r->len)
		return false;
	head = rd_take(r, 2);
	if (!head)
		return false;
	*ret_value = rd_octets(r, head[1]);
	if (head[0] <= *last || head[0] == TAG_CHECK)
		r->bad = true;
	*last = head[0];
	return !r->bad;
}

/* Big-endian octets to a number of as many. */
static inline void rd_number(struct octets o, uint8_t *to)
{
	uint32_t v32;
	uint64_t v64;

	switch (o.len) {
	case 1:
		*to = *o.p;
		break;
	case 4:
		memcpy(&v32, o.p, sizeof(v32));
		v32 = be32toh(v32);
		memcpy(to, &v32, sizeof(v32));
		break;
	default:
		memcpy(&v64, o.p, sizeof(v64));
		v64 = be64toh(v64);
		memcpy(to, &v64, sizeof(v64));
	}
}

/* Fields of a table that have yet to come in a record. */
struct fields {
	const struct field *at, *end;
};

/* Return: false when the value is not one of the field. An unknown tag is fine. */
static inline bool rd_field(struct fields *fields, uint8_t tag, struct octets o, void *to)
{
	const struct field *f;

	while (fields->at < fields->end && fields->at->tag < tag)
		fields->at++;
	f = fields->at;
	if (f == fields->end || f->tag != tag)
		return true;
	if (o.len != f->len || (f->kind == FLAG && *o.p > 1))
		return false;
	if (f->kind == RAW)
		memcpy((uint8_t *)to + f->at, o.p, f->len);
	else
		rd_number(o, (uint8_t *)to + f->at);
	return true;
}

/* Who holds it: the values of the tags where they lie, empty where there are none. */
struct holder {
	struct octets hardware, id, host_name, relay_agent;
};

/* Over what another left there: behind the length all is zero. */
static void fill(uint8_t *to, uint8_t *len, const uint8_t *p, uint8_t n)
{
	if (*len > n)
		memset(to + n, 0, (size_t)*len - n);
	if (n)
		memcpy(to, p, n);
	*len = n;
}

static void rd_client(const struct holder *h, struct lease_client *c)
{
	struct octets o = h->hardware;

	c->htype = o.len ? o.p[0] : 0;
	fill(c->chaddr, &c->hlen, o.len ? o.p + 1 : NULL, (uint8_t)(o.len ? o.len - 1 : 0));
	fill(c->id, &c->id_len, h->id.p, (uint8_t)h->id.len); /* no value is longer than 255 */
	fill(c->host_name, &c->host_name_len, h->host_name.p, (uint8_t)h->host_name.len);
	fill(c->relay_agent, &c->relay_agent_len, h->relay_agent.p, (uint8_t)h->relay_agent.len);
}

static inline bool rd_holder(uint8_t tag, struct octets o, struct holder *h)
{
	switch (tag) {
	case TAG_HARDWARE:
		h->hardware = o;
		return o.len >= 1 && o.len <= 1 + CHADDR_MAX;
	case TAG_CLIENT_ID:
		h->id = o;
		return true;
	case TAG_HOST_NAME:
		h->host_name = o;
		return true;
	case TAG_RELAY_AGENT:
		h->relay_agent = o;
		return true;
	}
	return true;
}

static bool lease_sane(const struct lease *l)
{
	return l->state <= LEASE_BACKUP && l->acked_state <= LEASE_BACKUP;
}

static int decode(const uint8_t *p, size_t len, struct lease *ret, struct holder *ret_holder)
{
	struct fields fields = { lease_fields, lease_fields + COUNT(lease_fields) };
	struct lease tmp = { 0 };
	struct octets o;
	uint8_t tag = 0;
	struct rd r;
	int err;

	if (len > LEASE_RECORD_MAX)
		return -EBADMSG;
	err = open_record((struct octets){ p, (uint32_t)len }, &r);
	if (err < 0)
		return err;
	while (next_item(&r, &tag, &o))
		r.bad = tag < TAG_HARDWARE ? !rd_field(&fields, tag, o, &tmp)
					   : !rd_holder(tag, o, ret_holder);
	if (r.bad || !lease_sane(&tmp))
		return -EBADMSG;
	*ret = tmp;
	return 0;
}

int lease_record_decode_over(const uint8_t *p, size_t len, struct lease *ret,
			     struct lease_client *client)
{
	struct holder holder = { 0 };
	int r = decode(p, len, ret, &holder);

	if (r == 0)
		rd_client(&holder, client);
	return r;
}

int lease_record_decode(const uint8_t *p, size_t len, struct lease *ret,
			struct lease_client *ret_client)
{
	struct holder holder = { 0 };
	int r = decode(p, len, ret, &holder);

	if (r < 0 || !ret_client)
		return r;
	memset(ret_client, 0, sizeof(*ret_client));
	rd_client(&holder, ret_client);
	return 0;
}

/* A record that holds nothing but the fields of a table. */
static int rd_fields(const uint8_t *p, size_t len, const struct field *table, size_t n, void *ret)
{
	struct fields fields = { table, table + n };
	struct octets o;
	uint8_t tag = 0;
	struct rd r;
	int err;

	if (len > LEASE_RECORD_MAX)
		return -EBADMSG;
	err = open_record((struct octets){ p, (uint32_t)len }, &r);
	if (err < 0)
		return err;
	while (next_item(&r, &tag, &o))
		r.bad = !rd_field(&fields, tag, o, ret);
	return r.bad ? -EBADMSG : 0;
}

int run_record_decode(const uint8_t *p, size_t len, struct lease *ret, uint32_t *ret_n)
{
	struct run_record tmp = { 0 };
	int err = rd_fields(p, len, run_fields, COUNT(run_fields), &tmp);

	if (err < 0)
		return err;
	if (!tmp.n || (tmp.l.state != LEASE_FREE && tmp.l.state != LEASE_BACKUP) ||
	    tmp.l.acked_state > LEASE_BACKUP)
		return -EBADMSG;
	*ret = tmp.l;
	*ret_n = tmp.n;
	return 0;
}

static bool state_sane(uint8_t s)
{
	return s <= FO_CONFLICT_DONE || s == FO_RECOVER_WAIT;
}

int fo_record_decode(const uint8_t *p, size_t len, struct fo_record *ret)
{
	struct fo_record tmp = { 0 };
	int err = rd_fields(p, len, fo_fields, COUNT(fo_fields), &tmp);

	if (err < 0)
		return err;
	if (!state_sane(tmp.end.state) || !state_sane(tmp.end.saved) || !state_sane(tmp.end.peer))
		return -EBADMSG;
	*ret = tmp;
	return 0;
}

/* What a record says of the holder, as it lies there: all items from the first such tag on. */
static int holder_items(struct octets o, struct octets *ret)
{
	struct octets value;
	const uint8_t *from;
	uint8_t tag = 0;
	struct rd r;
	int err = open_record(o, &r);

	if (err < 0)
		return err;
	for (from = r.p; next_item(&r, &tag, &value) && tag < TAG_HARDWARE;)
		from = r.p;
	while (next_item(&r, &tag, &value))
		;
	if (r.bad)
		return -EBADMSG;
	*ret = (struct octets){ from, (uint32_t)(r.p - from) };
	return 0;
}

int lease_record_merge(struct octets fresh, struct octets old, uint8_t *buf, size_t size)
{
	struct wr w = wr_init(buf, size);
	struct octets holder;
	size_t len;
	int r = holder_items(old, &holder);

	if (r < 0)
		return r;
	if (fresh.len < 1 + CHECK_LEN)
		return -EINVAL;
	wr_octets(&w, fresh.p, fresh.len - CHECK_LEN); /* of our own making, a moment ago */
	wr_octets(&w, holder.p, holder.len);
	len = wr_check(&w);
	return len ? (int)len : -ENOBUFS;
}
