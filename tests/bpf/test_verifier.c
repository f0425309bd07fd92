/* What the verifier says: the program's price for it stays far below what old kernels refuse. */
#include "rig.h"

#define INSNS_MAX 60000

static void test_processed(void **state)
{
	static char log[65536];
	struct twinlease *skel = twinlease__open();
	const char *at;
	int n;

	(void)state;
	assert_non_null(skel);
	bpf_program__set_log_level(skel->progs.twinlease_xdp, 4); /* statistics only */
	bpf_program__set_log_buf(skel->progs.twinlease_xdp, log, sizeof(log));
	assert_int_equal(twinlease__load(skel), 0);
	at = strstr(log, "processed ");
	assert_non_null(at);
	n = atoi(at + strlen("processed "));
	printf("verifier: %.*s\n", (int)strcspn(at, "\n"), at);
	assert_in_range(n, 100, INSNS_MAX - 1);
	twinlease__destroy(skel);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_processed) };
	struct rig probe;

	rig_open(&probe); /* exits 77 without the privileges */
	rig_close(&probe);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
