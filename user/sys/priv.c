/*
 * Capabilities, identity and the like, called by main around the start: priv_check first,
 * priv_make_directory, then sockets and filter, then priv_drop.
 *
 * Which right is needed for what was measured on kernels 5.15, 6.1 and 6.18: attaching a filter
 * takes BPF, NET_ADMIN and PERFMON; serving takes none of them from 6.1 on, since an open pin
 * needs only the permission bits. See capabilities(7).
 */
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>
#include "sys/priv.h"

static const struct right {
	enum priv_need need;
	cap_value_t cap;
	const char *name; /* without CAP_ */
	const char *what;
} rights[] = {
	{ PRIV_BIND, CAP_NET_BIND_SERVICE, "NET_BIND_SERVICE", "listen on port 67" },
	{ PRIV_RAW, CAP_NET_RAW, "NET_RAW", "answer clients that have no address yet" },
	{ PRIV_BPF, CAP_BPF, "BPF", "create the filter's maps" },
	{ PRIV_NET_ADMIN, CAP_NET_ADMIN, "NET_ADMIN", "attach the filter to an interface" },
	{ PRIV_PERFMON, CAP_PERFMON, "PERFMON", "load the filter" },
};
#define N_RIGHTS (sizeof(rights) / sizeof(rights[0]))

/* One message, cut where the room ends. */
struct text {
	char *buf;
	size_t len;
};

__attribute__((format(printf, 2, 3))) static void say(struct text *t, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(t->buf + t->len, PRIV_ERR - t->len, fmt, ap);
	va_end(ap);
	if (n > 0)
		t->len = t->len + (size_t)n < PRIV_ERR ? t->len + (size_t)n : PRIV_ERR - 1;
}

__attribute__((format(printf, 3, 4))) static int fail(char err[PRIV_ERR], int error,
						      const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(err, PRIV_ERR, fmt, ap);
	va_end(ap);
	return -error;
}

/* --- what is there ------------------------------------------------------------------------------
 */

unsigned priv_serve_need(bool pins)
{
	unsigned major = 0, minor = 0;
	struct utsname u;

	if (pins && uname(&u) == 0 && sscanf(u.release, "%u.%u", &major, &minor) == 2 &&
	    (major < 6 || (major == 6 && minor < 1)))
		return PRIV_SERVE | PRIV_BPF;
	return PRIV_SERVE;
}

/* Does this network namespace let anybody bind port 67? */
static bool port_is_free_for_all(void)
{
	FILE *f = fopen("/proc/sys/net/ipv4/ip_unprivileged_port_start", "re");
	unsigned start = 1024;

	if (!f)
		return false;
	if (fscanf(f, "%u", &start) != 1)
		start = 1024;
	(void)fclose(f);
	return start <= 67;
}

static bool has(cap_t caps, cap_value_t cap, cap_flag_t set)
{
	cap_flag_value_t v = CAP_CLEAR;

	return cap_get_flag(caps, cap, set, &v) == 0 && v == CAP_SET;
}

unsigned priv_missing(unsigned need)
{
	cap_t caps = cap_get_proc();
	unsigned missing = 0;
	bool raise = false;

	if (!caps)
		return need;
	for (size_t i = 0; i < N_RIGHTS; i++) {
		const struct right *r = &rights[i];

		if (!(need & r->need))
			continue;
		if (!has(caps, r->cap, CAP_PERMITTED)) {
			if (r->need != PRIV_BIND || !port_is_free_for_all())
				missing |= r->need;
		} else if (!has(caps, r->cap, CAP_EFFECTIVE)) {
			raise = cap_set_flag(caps, CAP_EFFECTIVE, 1, &r->cap, CAP_SET) == 0;
		}
	}
	if (raise && cap_set_proc(caps) < 0)
		missing = need;
	(void)cap_free(caps);
	return missing;
}

/* "cap_net_raw,cap_bpf" and the like: @prefix before each, @sep between. */
static void list(struct text *t, unsigned need, const char *prefix, const char *sep)
{
	const char *between = "";

	for (size_t i = 0; i < N_RIGHTS; i++) {
		if (!(need & rights[i].need))
			continue;
		say(t, "%s%s%s", between, prefix, rights[i].name);
		between = sep;
	}
}

int priv_check(unsigned need, char err[PRIV_ERR])
{
	unsigned missing = priv_missing(need);
	struct text t = { err, 0 };
	const char *between = "";

	if (!missing)
		return 0;
	say(&t, "missing ");
	for (size_t i = 0; i < N_RIGHTS; i++) {
		if (!(missing & rights[i].need))
			continue;
		say(&t, "%sCAP_%s (to %s)", between, rights[i].name, rights[i].what);
		between = ", ";
	}
	say(&t, ": start as root, or grant it by systemd: AmbientCapabilities=");
	list(&t, need, "CAP_", " ");
	say(&t, "; by file: setcap '");
	list(&t, need, "CAP_", ",");
	say(&t, "=ep' PATH-OF-twinleased; to a container: --cap-add=");
	list(&t, need, "", ",");
	if (missing & PRIV_ATTACH)
		say(&t, "; or attach the filter beforehand (twinctl filter attach) and set "
			"filter.mode: external, or off");
	return -EPERM;
}

/* --- directories ------------------------------------------------------------------------------ */

/* Return: 0; -ENOENT with @err. */
static int find_user(const char *user, struct passwd **ret, char err[PRIV_ERR])
{
	errno = 0;
	*ret = getpwnam(user);
	if (*ret)
		return 0;
	return fail(
		err, ENOENT,
		"user \"%s\" does not exist: create it with `useradd --system --user-group "
		"--no-create-home --shell /usr/sbin/nologin %s`, or name another in server.user",
		user, user);
}

/* All parents of @path. Who is to own the last one must get there, whatever the umask. */
static int make_parents(const char *path)
{
	char *copy = strdup(path);
	int r = 0;

	if (!copy)
		return -ENOMEM;
	for (char *p = copy + 1; r == 0 && (p = strchr(p, '/')); *p++ = '/') {
		*p = 0;
		if (mkdir(copy, 0755) < 0)
			r = errno == EEXIST ? 0 : -errno;
		else if (chmod(copy, 0755) < 0)
			r = -errno;
	}
	free(copy);
	return r;
}

int priv_make_directory(const char *path, const char *user, unsigned mode, char err[PRIV_ERR])
{
	struct passwd *pw = NULL;
	struct stat st;
	int r;

	if (stat(path, &st) == 0)
		return S_ISDIR(st.st_mode) ? 0 : fail(err, ENOTDIR, "%s is not a directory", path);
	if (user && geteuid() == 0) {
		r = find_user(user, &pw, err);
		if (r < 0)
			return r;
	}
	r = *path ? make_parents(path) : -ENOENT;
	if (r == 0 && mkdir(path, mode) < 0)
		r = -errno;
	if (r == 0 && pw && chown(path, pw->pw_uid, pw->pw_gid) < 0)
		r = -errno;
	if (r == 0 && chmod(path, mode) < 0) /* the umask has no say */
		r = -errno;
	return r == 0 ? 0
		      : fail(err, -r,
			     "cannot create directory %s (%s): create it by hand, owned by %s",
			     path, strerror(-r), user ? user : "the daemon's user");
}

/* --- giving up -------------------------------------------------------------------------------- */

static bool kept(cap_value_t cap, unsigned keep)
{
	for (size_t i = 0; i < N_RIGHTS; i++)
		if (rights[i].cap == cap)
			return keep & rights[i].need;
	return false;
}

/* What is not in the bounding set cannot come back by executing a file. Needs CAP_SETPCAP. */
static void drop_bounds(unsigned keep)
{
	for (cap_value_t c = 0; CAP_IS_SUPPORTED(c); c++)
		if (!kept(c, keep))
			(void)cap_drop_bound(c); /* not allowed unless root: no_new_privs serves */
}

static int become(const struct passwd *pw, char err[PRIV_ERR])
{
	if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0 || initgroups(pw->pw_name, pw->pw_gid) < 0 ||
	    setresgid(pw->pw_gid, pw->pw_gid, pw->pw_gid) < 0 ||
	    setresuid(pw->pw_uid, pw->pw_uid, pw->pw_uid) < 0)
		return fail(err, errno,
			    "cannot become user \"%s\" (%s): grant CAP_SETUID and CAP_SETGID, or "
			    "start as that user with ambient capabilities",
			    pw->pw_name, strerror(errno));
	return 0;
}

/* Permitted and effective: what of @keep we have; inheritable and ambient: nothing. */
static int reduce(unsigned keep)
{
	cap_t now = cap_get_proc(), want = cap_init();
	int r = now && want ? 0 : -ENOMEM;

	for (size_t i = 0; r == 0 && i < N_RIGHTS; i++) {
		const cap_value_t *c = &rights[i].cap;

		if (!(keep & rights[i].need) || !has(now, *c, CAP_PERMITTED))
			continue;
		if (cap_set_flag(want, CAP_PERMITTED, 1, c, CAP_SET) < 0 ||
		    cap_set_flag(want, CAP_EFFECTIVE, 1, c, CAP_SET) < 0)
			r = -errno;
	}
	if (r == 0 && (cap_reset_ambient() < 0 || cap_set_proc(want) < 0))
		r = -errno;
	(void)cap_free(now);
	(void)cap_free(want);
	return r;
}

static int seal(void)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
#ifndef __SANITIZE_ADDRESS__ /* its leak check traces the process at exit */
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return -errno;
#endif
	return 0;
}

int priv_drop(const char *user, unsigned keep, char err[PRIV_ERR])
{
	struct passwd *pw = NULL;
	int r = 0;

	if (user && geteuid() == 0) {
		r = find_user(user, &pw, err);
		if (r < 0)
			return r;
	}
	drop_bounds(keep);
	if (pw && pw->pw_uid != 0)
		r = become(pw, err);
	if (r < 0)
		return r;
	r = reduce(keep);
	if (r == 0)
		r = seal();
	return r == 0 ? 0 : fail(err, -r, "cannot give up capabilities (%s)", strerror(-r));
}
