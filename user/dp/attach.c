/*
 * Onto an interface and off again, by a pinned link: it survives this process, nobody replaces it
 * by accident, and an upgrade swaps the program in one step. Called at start by the daemon, and by
 * twinctl filter attach|detach without one.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/if_link.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "dp/attach_checks.h"
#include "dp/datapath_priv.h"

/* The link of ours on @ifindex, or -1: a pin whose interface is gone is of no use any more. */
static int open_link(const char *path, uint32_t ifindex, uint32_t *ret_prog_id)
{
	struct bpf_link_info info = { 0 };
	uint32_t len = sizeof(info);
	int fd = bpf_obj_get(path);

	if (fd < 0)
		return -1;
	if (!bpf_obj_get_info_by_fd(fd, &info, &len) && info.xdp.ifindex == ifindex) {
		*ret_prog_id = info.prog_id;
		return fd;
	}
	close(fd);
	return -1;
}

static const char *mode_of(uint32_t ifindex)
{
	LIBBPF_OPTS(bpf_xdp_query_opts, q);

	if (bpf_xdp_query((int)ifindex, 0, &q))
		return "native";
	return q.attach_mode == XDP_ATTACHED_SKB ? "generic" : "native";
}

static int create_link(int prog, uint32_t ifindex, uint32_t flags, const char *path)
{
	LIBBPF_OPTS(bpf_link_create_opts, o, .flags = flags);
	int fd = bpf_link_create(prog, (int)ifindex, BPF_XDP, &o), r;

	if (fd < 0)
		return fd;
	(void)unlink(path); /* of an interface that is gone */
	r = bpf_obj_pin(fd, path);
	close(fd); /* without a pin this detaches again */
	return r;
}

static void explain_attach(const char *iface, enum conf_filter_mode mode, int r, char err[256])
{
	const char *why = strerror(-r);

	if (r == -EBUSY || r == -EEXIST)
		why = "another XDP program is there (ip link show; bpftool net)";
	else if (r == -EPERM)
		why = "CAP_NET_ADMIN is needed";
	else if (mode == FILTER_NATIVE)
		why = "its driver has no native XDP, or not for this MTU: use mode generic";
	snprintf(err, 256, "cannot attach the filter to %s: %s", iface, why);
}

static int attach_new(const struct datapath_conf *c, const char *iface, uint32_t ifindex, int prog,
		      const char *path, char err[256])
{
	int r = -EOPNOTSUPP;

	if (c->mode != FILTER_GENERIC)
		r = create_link(prog, ifindex, XDP_FLAGS_DRV_MODE, path);
	if (r < 0 && c->mode != FILTER_NATIVE && r != -EBUSY && r != -EEXIST && r != -EPERM)
		r = create_link(prog, ifindex, XDP_FLAGS_SKB_MODE, path);
	if (r < 0)
		explain_attach(iface, c->mode, r, err);
	return r;
}

int dp_attach(const struct datapath_conf *c, const char *iface, int prog, const char **ret_mode,
	      char err[256])
{
	uint32_t ifindex = 0, id;
	char path[320];
	int r, link;

	r = dp_pin_path(path, sizeof(path), c->pin_directory, "link-", iface, err);
	if (r < 0)
		return r;
	r = attach_check(iface, &ifindex, err);
	if (r < 0 && !(r == -EBUSY && c->force))
		return r;
	link = open_link(path, ifindex, &id);
	if (link >= 0) {
		r = bpf_link_update(link, prog, NULL);
		close(link);
		if (r < 0)
			snprintf(err, 256, "cannot replace the filter on %s: %s", iface,
				 strerror(-r));
	} else {
		r = attach_new(c, iface, ifindex, prog, path, err);
	}
	if (!r)
		*ret_mode = mode_of(ifindex);
	return r;
}

uint32_t dp_link_prog(const char *dir, const char *iface)
{
	uint32_t ifindex = if_nametoindex(iface), id = 0;
	char path[320], err[256];
	int fd;

	if (!ifindex || dp_pin_path(path, sizeof(path), dir, "link-", iface, err) < 0)
		return 0;
	fd = open_link(path, ifindex, &id);
	if (fd >= 0)
		close(fd); /* held open, it would keep the filter there when the pin is removed */
	return id;
}

uint32_t dp_pinned_prog(const char *dir)
{
	struct bpf_prog_info p = { 0 };
	uint32_t len = sizeof(p);
	char path[320], err[256];
	int fd, r;

	if (dp_pin_path(path, sizeof(path), dir, "", "prog", err) < 0)
		return 0;
	fd = bpf_obj_get(path);
	if (fd < 0)
		return 0;
	r = bpf_obj_get_info_by_fd(fd, &p, &len);
	close(fd);
	return r < 0 ? 0 : p.id;
}

bool dp_is_attached(const char *iface, uint32_t prog_id)
{
	uint32_t ifindex = if_nametoindex(iface), there = 0;

	if (!ifindex || bpf_xdp_query_id((int)ifindex, 0, &there) || !there)
		return false;
	return there == prog_id;
}

int datapath_attach(const struct datapath_conf *c, const char *iface, char err[256])
{
	struct dp_maps maps = { 0 };
	const char *mode;
	uint32_t ifindex;
	int prog, r;

	r = attach_check(iface, &ifindex, err); /* before anything is loaded */
	if (r < 0 && !(r == -EBUSY && c->force))
		return r;
	r = dp_pins_load(c->pin_directory, c->group, &prog, &maps, err);
	if (r < 0)
		return r;
	r = dp_attach(c, iface, prog, &mode, err);
	close(prog);
	dp_maps_close(&maps);
	return r;
}

int datapath_detach(const char *pin_directory, const char *iface, char err[256])
{
	char path[320];
	int r = dp_pin_path(path, sizeof(path), pin_directory, "link-", iface, err);

	if (r < 0)
		return r;
	if (unlink(path) == 0)
		return 0;
	r = -errno;
	if (r == -ENOENT)
		snprintf(err, 256,
			 "no filter of ours is pinned for %s in %s; one that bpftool attached goes "
			 "by: "
			 "bpftool net detach xdp dev %s",
			 iface, pin_directory, iface);
	else
		snprintf(err, 256, "cannot remove %.190s: %s", path, strerror(-r));
	return r;
}
