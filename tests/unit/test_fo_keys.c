/*
 * Files of secrets: what is taken, what is refused and how it is said (decision A24).
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "net/fo_keys.h"

static char dir[] = "/tmp/test_fo_keys-XXXXXX";
static char path[64], other[64];

static void put(const char *file, const char *text, mode_t mode)
{
	int fd;

	(void)unlink(file);
	fd = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
}

static int load(const char *former, struct fo_keys **ret, char err[FO_KEYS_ERR])
{
	struct conf_relation r = { .fo = { .name = "campus" },
				   .secret_file = path,
				   .former_secret_file = former };
	struct conf c = { .relations = &r, .n_relations = 1 };

	return fo_keys_load(&c, ret, err);
}

/* The final newline, and that alone, is not part of it. */
static void test_newline(void **state)
{
	static const struct {
		const char *file, *secret;
	} row[] = {
		{ "0123456789abcdef", "0123456789abcdef" },
		{ "0123456789abcdef\n", "0123456789abcdef" },
		{ "0123456789abcdef\n\n", "0123456789abcdef\n" },
		{ " 0123456789abcdef \r\n", " 0123456789abcdef \r" },
	};
	char err[FO_KEYS_ERR];

	(void)state;
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		struct fo_keys *k = NULL;
		struct octets o;

		put(path, row[i].file, 0600);
		assert_int_equal(load(NULL, &k, err), 0);
		o = fo_keys_secret(k, 0);
		assert_int_equal(o.len, strlen(row[i].secret));
		assert_memory_equal(o.p, row[i].secret, o.len);
		assert_null(fo_keys_former(k, 0).p);
		assert_null(fo_keys_tls(k, 0));
		fo_keys_free(k);
	}
}

static void test_refused(void **state)
{
	static const struct {
		const char *text;
		mode_t mode;
		const char *says;
	} row[] = {
		{ "0123456789abcde\n", 0600, "holds a secret of 15 octets, and 16 to 1024" },
		{ "", 0600, "holds a secret of 0 octets" },
		{ "\n", 0600, "holds a secret of 0 octets" },
		{ "0123456789abcdef", 0640, "has mode 0640" },
		{ "0123456789abcdef", 0604, "has mode 0604" },
		{ "0123456789abcdef", 0620, "has mode 0620" },
		{ "0123456789abcdef", 0601, "has mode 0601" },
	};
	char err[FO_KEYS_ERR];

	(void)state;
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		struct fo_keys *k = NULL;

		put(path, row[i].text, row[i].mode);
		assert_true(load(NULL, &k, err) < 0);
		assert_null(k);
		if (!strstr(err, row[i].says) || !strstr(err, path) || strstr(err, "0123456789"))
			fail_msg("row %zu: %s", i, err);
	}
}

static void test_no_file(void **state)
{
	char err[FO_KEYS_ERR];
	struct fo_keys *k = NULL;

	(void)state;
	(void)unlink(path);
	assert_int_equal(load(NULL, &k, err), -ENOENT);
	assert_non_null(strstr(err, "cannot be opened"));
	assert_int_equal(mkfifo(path, 0600), 0); /* which nobody writes: not waited for */
	assert_int_equal(load(NULL, &k, err), -EINVAL);
	assert_non_null(strstr(err, "is not a regular file"));
	(void)unlink(path);
}

static void test_equal(void **state)
{
	struct fo_keys *a = NULL, *b = NULL, *c = NULL, *d = NULL;
	char err[FO_KEYS_ERR];

	(void)state;
	put(path, "0123456789abcdef", 0600);
	put(other, "0123456789abcdeg", 0400);
	assert_int_equal(load(NULL, &a, err), 0);
	assert_int_equal(load(NULL, &b, err), 0);
	assert_int_equal(load(other, &c, err), 0);
	put(path, "0123456789abcdeg\n", 0600);
	assert_int_equal(load(NULL, &d, err), 0);
	assert_true(fo_keys_equal(a, b));
	assert_false(fo_keys_equal(a, c));
	assert_false(fo_keys_equal(a, d));
	assert_int_equal(fo_keys_former(c, 0).len, 16);
	fo_keys_free(a);
	fo_keys_free(b);
	fo_keys_free(c);
	fo_keys_free(d);
	fo_keys_free(NULL);
}

/* The mapping that an address lies in is left out of core dumps ("dd" in smaps). */
static bool left_out_of_dumps(const void *p)
{
	FILE *f = fopen("/proc/self/smaps", "re");
	unsigned long from, to;
	bool in = false, out = false;
	char line[512];

	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
			in = (uintptr_t)p >= from && (uintptr_t)p < to;
		else if (in && !strncmp(line, "VmFlags:", 8))
			out = strstr(line, " dd") != NULL;
	}
	fclose(f);
	return out;
}

static void test_memory(void **state)
{
	struct fo_keys *k = NULL;
	char err[FO_KEYS_ERR];

	(void)state;
	put(path, "0123456789abcdef", 0600);
	assert_int_equal(load(NULL, &k, err), 0);
	assert_true(left_out_of_dumps(fo_keys_secret(k, 0).p));
	assert_false(left_out_of_dumps(k));
	fo_keys_free(k);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_newline), cmocka_unit_test(test_refused),
		cmocka_unit_test(test_no_file), cmocka_unit_test(test_equal),
		cmocka_unit_test(test_memory),
	};
	int r;

	if (!mkdtemp(dir))
		return 1;
	snprintf(path, sizeof(path), "%s/secret", dir);
	snprintf(other, sizeof(other), "%s/other", dir);
	r = cmocka_run_group_tests(tests, NULL, NULL);
	(void)unlink(path);
	(void)unlink(other);
	(void)rmdir(dir);
	return r;
}
