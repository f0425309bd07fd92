/*
 * What kind an interface is and whose port, by one RTM_GETLINK dump. sysfs would tell too, but it
 * shows the network namespace of its mount, not ours. Called by user/dp. Spec: rtnetlink(7).
 */
#include "dp/links.h"
#include <errno.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void copy_text(char *ret, size_t size, struct rtattr *a)
{
	size_t n = RTA_PAYLOAD(a);

	if (n >= size)
		n = size - 1;
	memcpy(ret, RTA_DATA(a), n);
	ret[n] = 0;
}

static uint32_t u32_of(struct rtattr *a)
{
	uint32_t v = 0;

	memcpy(&v, RTA_DATA(a), RTA_PAYLOAD(a) < sizeof(v) ? RTA_PAYLOAD(a) : sizeof(v));
	return v;
}

static void parse_vlan(struct rtattr *data, struct link_info *l)
{
	int n = (int)RTA_PAYLOAD(data);

	for (struct rtattr *a = RTA_DATA(data); RTA_OK(a, n); a = RTA_NEXT(a, n)) {
		if (a->rta_type == IFLA_VLAN_ID)
			l->vlan = (uint16_t)u32_of(a);
	}
}

static void parse_kind(struct rtattr *info, struct link_info *l)
{
	int n = (int)RTA_PAYLOAD(info);

	for (struct rtattr *a = RTA_DATA(info); RTA_OK(a, n); a = RTA_NEXT(a, n)) {
		switch (a->rta_type & NLA_TYPE_MASK) {
		case IFLA_INFO_KIND:
			copy_text(l->kind, sizeof(l->kind), a);
			break;
		case IFLA_INFO_SLAVE_KIND:
			copy_text(l->master_kind, sizeof(l->master_kind), a);
			break;
		case IFLA_INFO_DATA: /* after the kind */
			if (!strcmp(l->kind, "vlan"))
				parse_vlan(a, l);
			break;
		}
	}
}

static void parse_link(struct nlmsghdr *h, struct link_info *l)
{
	struct ifinfomsg *msg = NLMSG_DATA(h);
	uint32_t lower = 0;
	int n = (int)IFLA_PAYLOAD(h);

	memset(l, 0, sizeof(*l));
	l->ifindex = (uint32_t)msg->ifi_index;
	for (struct rtattr *a = IFLA_RTA(msg); RTA_OK(a, n); a = RTA_NEXT(a, n)) {
		switch (a->rta_type & NLA_TYPE_MASK) {
		case IFLA_IFNAME:
			copy_text(l->name, sizeof(l->name), a);
			break;
		case IFLA_LINK:
			lower = u32_of(a);
			break;
		case IFLA_LINKINFO:
			parse_kind(a, l);
			break;
		}
	}
	if (!strcmp(l->kind, "vlan"))
		l->lower = lower;
}

/* One datagram of the dump. Return: 1 done, 0 more to come, -errno. */
static int parse_part(void *buf, unsigned len, struct link_info *ret, unsigned max, unsigned *n)
{
	for (struct nlmsghdr *h = buf; NLMSG_OK(h, len); h = NLMSG_NEXT(h, len)) {
		if (h->nlmsg_type == NLMSG_DONE)
			return 1;
		if (h->nlmsg_type == NLMSG_ERROR)
			return ((struct nlmsgerr *)NLMSG_DATA(h))->error ?: -EIO;
		if (h->nlmsg_type == RTM_NEWLINK && *n < max)
			parse_link(h, &ret[(*n)++]);
	}
	return 0;
}

static int ask(int fd)
{
	struct {
		struct nlmsghdr h;
		struct ifinfomsg i;
	} req = { .h = { .nlmsg_len = sizeof(req),
			 .nlmsg_type = RTM_GETLINK,
			 .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP } };

	return send(fd, &req, sizeof(req), 0) < 0 ? -errno : 0;
}

int links_list(struct link_info *ret, unsigned max)
{
	static char buf[32768] __attribute__((aligned(8)));
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE), r;
	unsigned n = 0;

	if (fd < 0)
		return -errno;
	r = ask(fd);
	while (r == 0) {
		ssize_t len = recv(fd, buf, sizeof(buf), 0);

		r = len < 0 ? -errno : parse_part(buf, (unsigned)len, ret, max, &n);
	}
	close(fd);
	return r < 0 ? r : (int)n;
}

const struct link_info *links_find(const struct link_info *l, int n, const char *name)
{
	for (int i = 0; i < n; i++) {
		if (!strcmp(l[i].name, name))
			return &l[i];
	}
	return NULL;
}
