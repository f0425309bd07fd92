/*
 * The connection to a partner of another make: whom we refuse, what is said before the handshake is
 * over, and how long its silence is borne. The ISC is played by hand, see fo_isc_partner.h.
 * failover-wire §5.1; failover-behaviour §8. FO_TRACE=1 prints events.
 */
#include "fo_isc_partner.h"

static void test_connect_refused(void **state)
{
	static const struct {
		const char *ref;
		const char *name;
		uint32_t without;
		int64_t skew;
		uint32_t mclt;
		uint8_t tls, reason;
	} row[] = {
		{ "5.1 good", "campus", 0, 0, 60, 0, 0 },
		{ "5.1 name", "other", 0, 0, 60, 0, FO_REJECT_INVALID_PARTNER },
		{ "5.1 no name", "campus", FO_OPT_RELATIONSHIP_NAME, 0, 60, 0,
		  FO_REJECT_INVALID_PARTNER },
		{ "4.3 clock", "campus", 0, 61, 60, 0, FO_REJECT_TIME_MISMATCH },
		{ "4.3 clock", "campus", 0, -61, 60, 0, FO_REJECT_TIME_MISMATCH },
		{ "4.3 clock", "campus", 0, 59, 60, 0, 0 },
		{ "5.1 name before clock", "other", 0, 61, 60, 0, FO_REJECT_INVALID_PARTNER },
		{ "5.1 no HBA", "campus", FO_OPT_HBA, 0, 60, 0, FO_REJECT_HBA_CONFLICT },
		{ "5.1 no MCLT", "campus", FO_OPT_MCLT, 0, 60, 0, FO_REJECT_INVALID_MCLT },
		{ "design 4: never 0", "campus", 0, 0, 0, 0, FO_REJECT_INVALID_MCLT },
		{ "6 TLS required", "campus", 0, 0, 60, 2, FO_REJECT_TLS_UNCONFIGURED },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		struct world *w = alone(false);
		struct fo_connect c = isc_connect(), ack;
		const struct fo_msg *m;
		struct fo_writer wr;

		link_up(S);
		c.name = str(row[i].name);
		c.mclt = row[i].mclt;
		c.tls = row[i].tls;
		if (row[i].without)
			c.has &= ~(1u << row[i].without);
		begin(S, &wr, FO_CONNECT, row[i].skew, 77);
		fo_write_connect(&wr, &c);
		say(S, &wr);
		m = heard(S, FO_CONNECTACK);
		if (!m)
			fail_msg("row %zu (%s): no answer", i, row[i].ref);
		assert_int_equal(m->xid, 77);
		fo_msg_read_connect(m, &ack);
		if (ack.reject != row[i].reason)
			fail_msg("row %zu (%s): reason %u", i, row[i].ref, ack.reject);
		if (w->linked != !ack.reject)
			fail_msg("row %zu (%s): link %d", i, row[i].ref, w->linked);
		world_done(w);
	}
}

static void test_second_connect(void **state)
{
	struct world *w = alone(false);
	struct fo_connect c = isc_connect(), ack;
	struct fo_writer wr;

	(void)state;
	link_up(S);
	for (unsigned i = 0; i < 2; i++) {
		begin(S, &wr, FO_CONNECT, 0, 5 + i);
		fo_write_connect(&wr, &c);
		say(S, &wr);
	}
	fo_msg_read_connect(heard(S, FO_CONNECTACK), &ack);
	assert_int_equal(ack.reject, FO_REJECT_DUPLICATE_CONNECTION);
	assert_false(w->linked);
	world_done(w);
}

static void test_nothing_before_the_handshake(void **state)
{
	(void)state;
	for (unsigned type = 1; type <= 12; type++)
		for (unsigned primary = 0; primary < 2; primary++) {
			struct world *w = alone(primary);
			struct node *n = primary ? P : S;
			struct fo_writer wr;

			if (type == (primary ? FO_CONNECTACK : FO_CONNECT)) {
				world_done(w);
				continue;
			}
			link_up(n);
			run(w, 0.1);
			begin(n, &wr, (uint8_t)type, 0, 1);
			say(n, &wr);
			run(w, 0.1);
			if (w->linked)
				fail_msg("type %u is heard before the handshake", type);
			assert_int_equal(n->ep->count.links, 0);
			world_done(w);
		}
}

/* The receive timer that is announced: 20 s, and a primary that was mistaken connects once more. */
static void test_receive_timer(void **state)
{
	struct world *w = new_world(1);
	struct fo_connect sent;

	(void)state;
	w->by_hand = true;
	boot(P);
	link_up(P);
	fo_msg_read_connect(heard(P, FO_CONNECT), &sent);
	assert_int_equal(sent.receive_timer, 3); /* as to our own kind */
	shakes_hands(P);
	run(w, 0.1);
	assert_false(w->linked);
	link_up(P);
	fo_msg_read_connect(heard(P, FO_CONNECT), &sent);
	assert_int_equal(sent.receive_timer, 20);
	assert_false(sent.has & 1u << FO_OPT_VENDOR_SPECIFIC);
	shakes_hands(P);
	assert_int_equal(P->ep->link, LINK_UP);
	world_done(w);
}

static void test_dialect_refused(void **state)
{
	(void)state;
	for (unsigned own = 0; own < 2; own++) {
		struct world *w = new_world(1);
		struct fo_connect c = isc_connect(), ack;
		struct fo_writer wr;

		w->by_hand = true;
		S->conf.dialect = own ? FO_DIALECT_ISC : FO_DIALECT_TWINLEASE;
		boot(S);
		link_up(S);
		if (own)
			c.vendor = str(FO_VENDOR_CLASS);
		begin(S, &wr, FO_CONNECT, 0, 1);
		fo_write_connect(&wr, &c);
		say(S, &wr);
		fo_msg_read_connect(heard(S, FO_CONNECTACK), &ack);
		assert_int_equal(ack.reject, FO_REJECT_INVALID_PARTNER);
		world_done(w);
	}
}

static void test_silence(void **state)
{
	struct world *w = alone(true);

	(void)state;
	isc_link(P);
	run(w, 19);
	assert_true(w->linked);
	run(w, 1.1);
	assert_false(w->linked);
	w->by_hand = true;
	link_up(P);
	run(w, 14.9); /* nobody answers CONNECT */
	assert_int_equal(P->ep->link, LINK_HANDSHAKE);
	run(w, 0.3);
	assert_int_equal(P->ep->link, LINK_NONE);
	world_done(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_connect_refused),
		cmocka_unit_test(test_second_connect),
		cmocka_unit_test(test_nothing_before_the_handshake),
		cmocka_unit_test(test_receive_timer),
		cmocka_unit_test(test_dialect_refused),
		cmocka_unit_test(test_silence),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
