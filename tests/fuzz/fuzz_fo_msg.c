/*
 * Any octets as a failover stream: decode, encode to the same octets, read with every reader, and
 * write what was read (draft-ietf-dhc-failover-12 §6, §7).
 */
#include <stdlib.h>
#include <string.h>
#include "core/fo_msg.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok)
{
	if (!ok)
		abort();
}

static void read_bindings(const struct fo_msg *m)
{
	uint8_t buf[FO_MSG_MAX];
	struct fo_binding b, again;
	unsigned cursor = 0, one;
	struct fo_writer w;

	while (fo_msg_next_binding(m, &cursor, &b)) {
		struct fo_msg got;

		fo_write_begin(&w, buf, sizeof(buf), FO_BNDUPD, (wall_t){ m->time }, m->xid);
		if (!fo_write_binding(&w, &b, true))
			continue;
		must(fo_msg_decode(buf, fo_write_end(&w), &got) == FO_OK);
		one = 0;
		must(fo_msg_next_binding(&got, &one, &again));
		must(again.addr == b.addr && again.serial == b.serial);
	}
	must(cursor <= m->n_opts);
}

static void read_all(const struct fo_msg *m)
{
	uint8_t buf[FO_MSG_MAX];
	struct fo_connect c, again;
	struct fo_state_msg s;
	struct fo_writer w;
	struct fo_msg got;
	size_t n;

	fo_msg_read_connect(m, &c);
	fo_write_begin(&w, buf, sizeof(buf), FO_CONNECT, (wall_t){ m->time }, m->xid);
	fo_write_connect(&w, &c);
	n = fo_write_end(&w);
	if (n) {
		must(fo_msg_decode(buf, n, &got) == FO_OK);
		fo_msg_read_connect(&got, &again);
		must(again.mclt == c.mclt && again.start_count == c.start_count &&
		     again.remembered == c.remembered && again.lead == c.lead);
	}
	(void)fo_msg_read_state(m, &s);
	read_bindings(m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct fo_msg m;
	uint8_t buf[FO_MSG_MAX];

	while (size) {
		enum fo_verdict v = fo_msg_decode(data, size, &m);

		must(v < FO_VERDICTS && fo_verdict_text(v) != NULL);
		if (v == FO_OK) {
			must(m.len == fo_msg_length(data, size) && m.len <= size);
			must(fo_msg_encode(&m, buf, sizeof(buf)) == m.len);
			must(!memcmp(buf, data, m.len));
			read_all(&m);
		}
		if (v == FO_MORE || !m.len)
			break;
		data += m.len;
		size -= m.len;
	}
	return 0;
}
