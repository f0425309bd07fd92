/* The file of leases of twinbench: what is written comes back, and what is none is refused. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

#include "bench_world.h"

static char path[] = "/tmp/test_bench_leases.XXXXXX";

static int make_file(void **state)
{
	int fd = mkstemp(path);

	(void)state;
	return fd < 0 ? -1 : close(fd);
}

static int remove_file(void **state)
{
	(void)state;
	return unlink(path);
}

static void answers(const struct sent *s)
{
	if (s->r.type == DHCPDISCOVER)
		world_answer(s, DHCPOFFER, 1000 + s->client, 77, 600, 200);
	if (s->r.type == DHCPREQUEST)
		world_answer(s, DHCPACK, 1000 + s->client, 77, 600, 200);
}

static struct bench *begin(uint32_t clients)
{
	struct bench *b = world_init(clients, answers);

	b->now = bench_clock();
	return b;
}

static void run_phase(struct bench *b, enum bench_phase phase)
{
	b->leases = fopen(path, "ae");
	assert_non_null(b->leases);
	bench_run_phase(b, phase);
	fclose(b->leases);
	b->leases = NULL;
}

/* What a run with these clients would begin with. */
static struct bench *resume(uint32_t clients)
{
	unsigned line;

	world_done();
	begin(clients);
	assert_int_equal(bench_leases_load(&world.b, path, &line), 0);
	return &world.b;
}

static void leases_come_back(void **state)
{
	struct bench *b = begin(4);

	(void)state;
	assert_int_equal(truncate(path, 0), 0);
	run_phase(b, PH_DORA);
	b = resume(3); /* the fourth is nobody of ours */
	for (uint32_t i = 0; i < 3; i++) {
		assert_true(bench_has_lease(b, &b->client[i]));
		assert_int_equal(b->client[i].held, 1000 + i);
		assert_int_equal(b->client[i].server_id, 77);
		assert_int_equal(bench_held_owner(b->held, 1000 + i), i);
	}
	world_done();
}

static void what_was_given_back_stays_so(void **state)
{
	static const enum bench_phase gives_up[] = { PH_RELEASE, PH_DECLINE };

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct bench *b = begin(2);

		assert_int_equal(truncate(path, 0), 0);
		run_phase(b, PH_DORA);
		b->conf.clients = 1;
		run_phase(b, gives_up[i]);
		b = resume(2);
		assert_false(bench_has_lease(b, &b->client[0]));
		assert_int_equal(b->client[0].held, 0);
		assert_int_equal(bench_held_owner(b->held, 1000), BENCH_NONE);
		assert_true(bench_has_lease(b, &b->client[1]));
		run_phase(b, PH_DORA); /* and it may have another one */
		b = resume(2);
		assert_true(bench_has_lease(b, &b->client[0]));
		world_done();
	}
}

/* The line that is wrong; 0: none. */
static unsigned wrong_line(const char *text)
{
	FILE *f = fopen(path, "we");
	unsigned line = 0;
	int r;

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
	begin(4);
	r = bench_leases_load(&world.b, path, &line);
	assert_int_equal(r, line ? -EBADMSG : 0);
	world_done();
	return line;
}

#define GOOD "02:00:00:00:00:01 10.0.0.1 1000600 10.77.0.1 1000000\n"

static void a_line_that_is_none_is_named(void **state)
{
	(void)state;
	assert_int_equal(wrong_line(""), 0);
	assert_int_equal(wrong_line(GOOD GOOD), 0);
	assert_int_equal(wrong_line("a list\n"), 1);
	assert_int_equal(wrong_line(GOOD "\n" GOOD), 2);
	assert_int_equal(wrong_line(GOOD GOOD "02:00:00:00:00:01 10.0.0.1\n"), 3);
	assert_int_equal(wrong_line(GOOD "02:00:00:00:00:01 10.0.0.1 \n" GOOD), 2);
	assert_int_equal(wrong_line("02:00:00:00:00:01 10.0.0.1 1000600 10.77.0.1 10"), 1);
	assert_int_equal(wrong_line("02:00:00:00:00:01 10.0.0.1.9 1000600 10.77.0.1 10\n"), 1);
	assert_int_equal(wrong_line("02:00:00:00:00:01 10.0.0.1 soon 10.77.0.1 10\n"), 1);
	assert_int_equal(wrong_line("02:00:00:00:00:01 10.0.0.1 1000600 here 10\n"), 1);
	assert_int_equal(wrong_line("02:00:00:00:00:01 10.0.0.1 1000600 10.77.0.1 10 1\n"), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(leases_come_back),
		cmocka_unit_test(what_was_given_back_stays_so),
		cmocka_unit_test(a_line_that_is_none_is_named),
	};

	return cmocka_run_group_tests(tests, make_file, remove_file);
}
