/* outbox: order, waiting for the commit, wrapping at every offset, refusal when full. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "outbox.h"

static void push(struct outbox *o, uint64_t batch, uint32_t len, uint8_t fill)
{
	void *p = outbox_push(o, batch, 1, 7, len);

	assert_non_null(p);
	memset(p, fill, len);
}

static void expect(struct outbox *o, uint64_t durable, uint32_t len, uint8_t fill)
{
	const struct outbox_item *i = outbox_ready(o, durable);

	assert_non_null(i);
	assert_int_equal(i->len, len);
	for (uint32_t k = 0; k < len; k++)
		assert_int_equal(((const uint8_t *)outbox_payload(i))[k], fill);
	outbox_pop(o);
}

static void waits_for_its_batch(void **state)
{
	struct outbox o;

	(void)state;
	assert_int_equal(outbox_init(&o, 4096), 0);
	push(&o, 3, 10, 'a');
	push(&o, 4, 20, 'b');
	assert_null(outbox_ready(&o, 2));
	expect(&o, 3, 10, 'a');
	assert_null(outbox_ready(&o, 3));
	expect(&o, 9, 20, 'b');
	assert_null(outbox_ready(&o, 9));
	outbox_done(&o);
}

static void full_is_refused_and_recovers(void **state)
{
	struct outbox o;
	unsigned n = 0, got = 0;

	(void)state;
	assert_int_equal(outbox_init(&o, 4096), 0);
	while (outbox_push(&o, 1, 1, 0, 100))
		n++;
	assert_in_range(n, 30, 4096 / 116);
	while (outbox_ready(&o, 1)) {
		outbox_pop(&o);
		got++;
	}
	assert_int_equal(got, n);
	push(&o, 2, 100, 'z');
	outbox_clear(&o);
	assert_null(outbox_ready(&o, 9));
	assert_null(outbox_push(&o, 2, 1, 0, 5000));
	outbox_done(&o);
}

/* Items of every length through a small ring, against a plain list. */
static void wraps_anywhere(void **state)
{
	struct outbox o;
	uint32_t lens[4096];
	unsigned in = 0, out = 0, seed = 1;

	(void)state;
	assert_int_equal(outbox_init(&o, 4096), 0);
	while (out < 4000) {
		seed = seed * 1103515245u + 12345u;
		if (in < 4000 && (seed >> 16) % 3) {
			uint32_t len = (seed >> 8) % 300;
			void *p = outbox_push(&o, in, 1, 0, len);

			if (p) {
				memset(p, (int)(in & 0xff), len);
				lens[in++] = len;
			}
		}
		if ((in == 4000 || (seed >> 20) % 3 == 0) && out < in) {
			expect(&o, out, lens[out], (uint8_t)(out & 0xff));
			out++;
		}
	}
	assert_null(outbox_ready(&o, UINT64_MAX));
	outbox_done(&o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(waits_for_its_batch),
		cmocka_unit_test(full_is_refused_and_recovers),
		cmocka_unit_test(wraps_anywhere),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
