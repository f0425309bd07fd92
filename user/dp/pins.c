/*
 * The program and its maps in bpffs: PIN-DIRECTORY/prog and PIN-DIRECTORY/maps/NAME. Maps outlive
 * daemons and upgrades; they are replaced only when their layout is another one. Called at start
 * and by twinctl filter attach.
 */
#include "dp/datapath_priv.h"
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>
#include <linux/magic.h>
#include "twinlease.skel.h"

static const char *const names[N_MAPS] = {
#define X(name) #name,
	FILTER_MAPS(X)
#undef X
};

static void maps_of(struct twinlease *skel, struct bpf_map *ret[N_MAPS])
{
#define X(name) ret[MAP_##name] = skel->maps.name;
	FILTER_MAPS(X)
#undef X
}

int dp_pin_path(char *ret, size_t size, const char *dir, const char *prefix, const char *name,
		char err[256])
{
	int n = snprintf(ret, size, "%s/%s%s", dir, prefix, name);

	if (n < 0 || (size_t)n >= size) {
		snprintf(err, 256, "the name of the pin directory is too long");
		return -ENAMETOOLONG;
	}
	/* bpffs takes no dots, which VLAN devices have; no interface has a colon */
	for (char *c = ret + n - strlen(name); *c; c++) {
		if (*c == '.')
			*c = ':';
	}
	return 0;
}

/* libbpf talks to stderr; what matters comes back in @err instead. */
static int quiet(enum libbpf_print_level level, const char *fmt, va_list args)
{
	(void)level;
	(void)fmt;
	(void)args;
	return 0;
}

void dp_maps_close(struct dp_maps *m)
{
	for (unsigned i = 0; i < N_MAPS; i++) {
		if (m->fd[i] > 0)
			close(m->fd[i]);
		m->fd[i] = 0;
	}
}

static bool same_shape(int fd, const struct bpf_map *map)
{
	struct bpf_map_info info = { 0 };
	uint32_t len = sizeof(info);

	return !bpf_obj_get_info_by_fd(fd, &info, &len) && info.type == bpf_map__type(map) &&
	       info.key_size == bpf_map__key_size(map) &&
	       info.value_size == bpf_map__value_size(map) &&
	       info.max_entries == bpf_map__max_entries(map) &&
	       (info.map_flags & ~(uint32_t)(BPF_F_RDONLY | BPF_F_WRONLY)) ==
		       bpf_map__map_flags(map);
}

/* Open all pins, and be sure that they are what this build means by them. */
static int open_pins(const char *dir, struct bpf_map *const want[N_MAPS], struct dp_maps *ret,
		     char err[256])
{
	struct filter_alive alive;
	struct dp_maps m = { 0 };
	uint32_t key = 0;
	char path[320];
	int r = 0;

	for (unsigned i = 0; i < N_MAPS && !r; i++) {
		r = dp_pin_path(path, sizeof(path), dir, "maps/", names[i], err);
		if (r < 0)
			break;
		m.fd[i] = bpf_obj_get(path);
		if (m.fd[i] < 0) {
			r = -errno;
			m.fd[i] = 0;
			snprintf(err, 256, "cannot open %.160s: %s%s", path, strerror(-r),
				 r == -ENOENT ? ": attach the filter first (twinctl filter attach "
						"IFACE)"
				 : r == -EACCES ? ": attach with --group of the daemon's "
						  "user, chmod o+x /sys/fs/bpf"
						: "");
		} else if (!same_shape(m.fd[i], want[i])) {
			r = -EPROTO;
			snprintf(err, 256, "%.190s was made by another version: attach again",
				 path);
		}
	}
	if (!r && (bpf_map_lookup_elem(m.fd[MAP_tl_alive], &key, &alive) ||
		   (alive.abi_version && alive.abi_version != TL_ABI_VERSION))) {
		r = -EPROTO;
		snprintf(err, 256, "the maps in %s are of ABI version %u, this build's is %u", dir,
			 alive.abi_version, TL_ABI_VERSION);
	}
	if (r < 0)
		dp_maps_close(&m);
	else
		*ret = m;
	return r;
}

int dp_pins_open(const char *dir, struct dp_maps *ret_maps, char err[256])
{
	struct bpf_map *want[N_MAPS];
	struct twinlease *skel;
	int r;

	libbpf_set_print(quiet);
	skel = twinlease__open();
	if (!skel) {
		r = -errno;
		snprintf(err, 256, "cannot read the built-in program: %s", strerror(-r));
		return r;
	}
	maps_of(skel, want);
	r = open_pins(dir, want, ret_maps, err);
	twinlease__destroy(skel);
	return r;
}

/* For the group of the daemon: 0660 and 0750, which bpffs honours; never what a link leads to. */
static void grant(const char *path, const char *group, mode_t mode)
{
	const struct group *g = group ? getgrnam(group) : NULL;
	int fd = g ? open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC) : -1;
	char self[40];
	struct stat st;

	if (fd < 0)
		return;
	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	if (!fstat(fd, &st) && !S_ISLNK(st.st_mode) &&
	    !fchownat(fd, "", (uid_t)-1, g->gr_gid, AT_EMPTY_PATH))
		(void)chmod(self, mode); /* fchmod does not take a descriptor of this kind */
	close(fd);
}

/* Root, we, or the daemon's user, whose name its group has. */
static bool may_own(uid_t uid, const char *group)
{
	const struct passwd *pw;

	if (uid == 0 || uid == geteuid())
		return true;
	pw = group ? getpwnam(group) : NULL;
	return pw && uid == pw->pw_uid;
}

/*
 * Who mounts a BPF file system without a mode leaves it open to all. A directory that somebody else
 * made there ahead of us may hold links to anywhere, and we are about to remove, create and give
 * away what its names stand for.
 */
static int make_own(const char *dir, const char *group, char err[256])
{
	struct stat st;

	if ((mkdir(dir, 0700) && errno != EEXIST) || lstat(dir, &st)) {
		int r = -errno;

		snprintf(err, 256, "cannot make the pin directory %.120s: %s%s", dir, strerror(-r),
			 r == -EACCES ? ": chmod o+x /sys/fs/bpf, and make it for the daemon's user"
				      : "");
		return r;
	}
	if (S_ISDIR(st.st_mode) && !(st.st_mode & S_IWOTH) && may_own(st.st_uid, group))
		return 0;
	snprintf(err, 256,
		 "%.150s is no directory of ours, or open to all: see who made it, and remove it",
		 dir);
	return -EPERM;
}

static int make_directory(const char *dir, const char *group, char err[256])
{
	struct statfs fs;
	char maps[320];
	int r = dp_pin_path(maps, sizeof(maps), dir, "", "maps", err);

	if (!r)
		r = make_own(dir, group, err);
	if (!r)
		r = make_own(maps, group, err);
	if (r < 0)
		return r;
	if (statfs(dir, &fs) || fs.f_type != BPF_FS_MAGIC) {
		snprintf(err, 256, "%s is not in a BPF file system: mount -t bpf bpf /sys/fs/bpf",
			 dir);
		return -EINVAL;
	}
	grant(dir, group, 0750);
	grant(maps, group, 0750);
	return 0;
}

static int pin(int fd, const char *path, const char *group, char err[256])
{
	int r;

	(void)unlink(path);
	r = bpf_obj_pin(fd, path);
	if (r < 0)
		snprintf(err, 256, "cannot pin %s: %s", path, strerror(-r));
	else
		grant(path, group, 0660);
	return r;
}

static int pin_all(struct twinlease *skel, struct bpf_map *const maps[N_MAPS], const char *dir,
		   const char *group, bool kept, char err[256])
{
	char path[320];
	int r = 0;

	for (unsigned i = 0; i < N_MAPS && !r; i++) {
		r = dp_pin_path(path, sizeof(path), dir, "maps/", names[i], err);
		if (!r && kept)
			grant(path, group, 0660);
		else if (!r)
			r = pin(bpf_map__fd(maps[i]), path, group, err);
	}
	if (!r)
		r = dp_pin_path(path, sizeof(path), dir, "", "prog", err);
	if (!r)
		r = pin(bpf_program__fd(skel->progs.twinlease_xdp), path, group, err);
	return r;
}

static void explain_load(int r, char err[256])
{
	if (r == -EPERM || r == -EACCES)
		snprintf(err, 256,
			 "cannot load the filter: CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON are "
			 "needed");
	else
		snprintf(err, 256,
			 "the kernel refuses the filter: %s (Linux 6.1 or newer is needed)",
			 strerror(-r));
}

static int keep(struct twinlease *skel, struct bpf_map *const maps[N_MAPS],
		const struct dp_maps *pinned, struct dp_maps *ret, int *ret_prog)
{
	for (unsigned i = 0; i < N_MAPS; i++) {
		ret->fd[i] = dup(pinned ? pinned->fd[i] : bpf_map__fd(maps[i]));
		if (ret->fd[i] < 0)
			return -errno;
	}
	*ret_prog = dup(bpf_program__fd(skel->progs.twinlease_xdp));
	return *ret_prog < 0 ? -errno : 0;
}

int dp_pins_load(const char *dir, const char *group, int *ret_prog, struct dp_maps *ret_maps,
		 char err[256])
{
	struct dp_maps pinned = { 0 }, out = { 0 };
	struct bpf_map *maps[N_MAPS];
	struct twinlease *skel;
	bool kept;
	int r;

	libbpf_set_print(quiet);
	r = make_directory(dir, group, err);
	if (r < 0)
		return r;
	skel = twinlease__open();
	if (!skel)
		return -errno;
	maps_of(skel, maps);
	kept = open_pins(dir, maps, &pinned, err) == 0;
	for (unsigned i = 0; kept && i < N_MAPS && !r; i++)
		r = bpf_map__reuse_fd(maps[i], pinned.fd[i]);
	if (!r)
		r = twinlease__load(skel);
	if (r < 0)
		explain_load(r, err);
	else
		r = pin_all(skel, maps, dir, group, kept, err);
	if (!r)
		r = keep(skel, maps, kept ? &pinned : NULL, &out, ret_prog);
	if (!r)
		*ret_maps = out;
	dp_maps_close(&pinned);
	twinlease__destroy(skel);
	return r;
}
