/*
 * sys/priv: what is missing, what is given up. Identity changes happen in forked children, which
 * report by their exit status; that part needs root.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include "sys/priv.h"

#define CHECK(x)                                                                                   \
	do {                                                                                       \
		if (!(x)) {                                                                        \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #x);                    \
			_exit(1);                                                                  \
		}                                                                                  \
	} while (0)

/* Run @body in a child; it must reach the end of its checks. */
static void in_child(void (*body)(void))
{
	int status = 0;
	pid_t pid = fork();

	if (pid == 0) {
		body();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static bool permitted(cap_value_t cap)
{
	cap_flag_value_t v = CAP_CLEAR;
	cap_t caps = cap_get_proc();

	CHECK(caps && cap_get_flag(caps, cap, CAP_PERMITTED, &v) == 0);
	cap_free(caps);
	return v == CAP_SET;
}

static void body_drop_to_user(void)
{
	char err[PRIV_ERR] = "";

	CHECK(priv_missing(PRIV_SERVE | PRIV_ATTACH) == 0);
	CHECK(priv_drop("nobody", PRIV_SERVE, err) == 0);
	CHECK(getuid() == 65534 && geteuid() == 65534 && getegid() != 0);
	CHECK(permitted(CAP_NET_RAW) && permitted(CAP_NET_BIND_SERVICE));
	CHECK(!permitted(CAP_BPF) && !permitted(CAP_NET_ADMIN) && !permitted(CAP_PERFMON));
	CHECK(!permitted(CAP_SETUID) && !permitted(CAP_DAC_OVERRIDE) && !permitted(CAP_SYS_ADMIN));
	CHECK(cap_get_bound(CAP_NET_ADMIN) == 0 && cap_get_bound(CAP_NET_RAW) == 1);
	CHECK(setuid(0) < 0);
	CHECK(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
#ifndef __SANITIZE_ADDRESS__
	CHECK(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0);
#endif
	CHECK(socket(AF_PACKET, SOCK_RAW, 0) >= 0); /* effective, not only permitted */
	CHECK(priv_missing(PRIV_SERVE) == 0);
	CHECK(priv_missing(PRIV_SERVE | PRIV_ATTACH) == PRIV_ATTACH);
	CHECK(getgroups(0, NULL) <= 1);
}

static void body_message(void)
{
	char err[PRIV_ERR] = "";

	CHECK(priv_drop("nobody", PRIV_BIND, err) == 0);
	CHECK(priv_check(PRIV_BIND, err) == 0 && !*err);
	CHECK(priv_check(PRIV_SERVE | PRIV_ATTACH, err) == -EPERM);
	CHECK(strstr(err, "missing CAP_NET_RAW (to answer") == err);
	CHECK(!strstr(err, "CAP_NET_BIND_SERVICE (to"));
	CHECK(strstr(err, "AmbientCapabilities=CAP_NET_BIND_SERVICE CAP_NET_RAW CAP_BPF "
			  "CAP_NET_ADMIN CAP_PERFMON;"));
	CHECK(strstr(err, "setcap 'CAP_NET_BIND_SERVICE,CAP_NET_RAW,CAP_BPF,"));
	CHECK(strstr(err, "--cap-add=NET_BIND_SERVICE,NET_RAW,BPF,NET_ADMIN,PERFMON;"));
	CHECK(strstr(err, "filter.mode: external"));
	CHECK(priv_check(PRIV_RAW, err) == -EPERM && !strstr(err, "filter.mode"));
}

/* Started by a supervisor: no root, rights in the ambient set. */
static void body_ambient(void)
{
	char err[PRIV_ERR] = "";
	const cap_value_t c[] = { CAP_NET_RAW, CAP_BPF };
	cap_t caps = cap_init();

	CHECK(prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) == 0 && setresuid(65534, 65534, 65534) == 0);
	CHECK(cap_set_flag(caps, CAP_PERMITTED, 2, c, CAP_SET) == 0);
	CHECK(cap_set_flag(caps, CAP_INHERITABLE, 2, c, CAP_SET) == 0 && cap_set_proc(caps) == 0);
	CHECK(cap_set_ambient(CAP_NET_RAW, CAP_SET) == 0);
	CHECK(cap_set_ambient(CAP_BPF, CAP_SET) == 0);
	CHECK(priv_missing(PRIV_RAW | PRIV_BPF) == 0);
	CHECK(socket(AF_PACKET, SOCK_RAW, 0) >= 0);	      /* made effective */
	CHECK(priv_drop("no-such-user", PRIV_RAW, err) == 0); /* nobody to become: not looked up */
	CHECK(permitted(CAP_NET_RAW) && !permitted(CAP_BPF));
	CHECK(cap_get_ambient(CAP_NET_RAW) == 0 && cap_get_ambient(CAP_BPF) == 0);
}

static void body_no_such_user(void)
{
	char err[PRIV_ERR] = "";

	CHECK(priv_drop("no-such-user-here", PRIV_SERVE, err) == -ENOENT);
	CHECK(strstr(err, "useradd --system"));
	CHECK(permitted(CAP_SYS_ADMIN) || geteuid() == 0);
}

static void body_stay_root(void)
{
	char err[PRIV_ERR] = "";

	CHECK(priv_drop(NULL, PRIV_RAW, err) == 0);
	CHECK(getuid() == 0 && permitted(CAP_NET_RAW) && !permitted(CAP_DAC_OVERRIDE));
	execl("/bin/sh", "sh", "-c", "! chown 1:1 /tmp 2>/dev/null", (char *)NULL);
	_exit(3); /* root must not get its rights back by executing a file */
}

static void body_directory(void)
{
	char err[PRIV_ERR] = "", dir[] = "/tmp/test_priv.XXXXXX", path[100], file[100];
	struct stat st;

	CHECK(mkdtemp(dir));
	(void)snprintf(path, sizeof(path), "%s/a/b", dir);
	(void)umask(077);
	CHECK(priv_make_directory(path, "nobody", 0750, err) == 0);
	CHECK(stat(path, &st) == 0 && st.st_uid == 65534 && (st.st_mode & 07777) == 0750);
	(void)snprintf(file, sizeof(file), "%s/a", dir);
	CHECK(stat(file, &st) == 0 && st.st_uid == 0 && (st.st_mode & 07777) == 0755);
	CHECK(priv_make_directory(path, NULL, 0700, err) == 0); /* exists: untouched */
	CHECK(stat(path, &st) == 0 && st.st_uid == 65534 && (st.st_mode & 07777) == 0750);
	(void)snprintf(file, sizeof(file), "%s/f", dir);
	fclose(fopen(file, "w"));
	CHECK(priv_make_directory(file, "nobody", 0750, err) == -ENOTDIR && *err);
	(void)unlink(file);
	(void)snprintf(file, sizeof(file), "%s/c", dir);
	CHECK(priv_make_directory(file, "no-such-user", 0750, err) == -ENOENT);
	CHECK(strstr(err, "useradd") && stat(file, &st) < 0);
	CHECK(priv_make_directory("/proc/nowhere/x", "nobody", 0750, err) < 0);
	CHECK(strstr(err, "/proc/nowhere/x") && strstr(err, "owned by nobody"));
	CHECK(priv_make_directory("", NULL, 0750, err) == -ENOENT);
	CHECK(rmdir(path) == 0);
	*strrchr(path, '/') = 0;
	CHECK(rmdir(path) == 0 && rmdir(dir) == 0);
}

#define CHILD(name)                                                                                \
	static void test_##name(void **state)                                                      \
	{                                                                                          \
		(void)state;                                                                       \
		in_child(body_##name);                                                             \
	}
CHILD(drop_to_user)
CHILD(message)
CHILD(ambient)
CHILD(no_such_user)
CHILD(stay_root)
CHILD(directory)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_drop_to_user), cmocka_unit_test(test_message),
		cmocka_unit_test(test_ambient),	     cmocka_unit_test(test_no_such_user),
		cmocka_unit_test(test_stay_root),    cmocka_unit_test(test_directory),
	};

	if (geteuid() != 0 || priv_missing(PRIV_SERVE | PRIV_ATTACH)) {
		puts("needs root with the network and BPF capabilities");
		return 77;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
