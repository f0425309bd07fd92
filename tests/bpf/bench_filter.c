/*
 * Nanoseconds per packet of the program, by kinds of packets: of an empty program, of ours, what
 * ours takes above the empty one, and what the chosen technique cost as a prototype. Both programs
 * run in turn, so that a machine whose pace changes is as slow for one as for the other; medians of
 * 31 such rounds, the third of their differences. REPEAT=n packets make a run. Called by
 * tools/bench, which reads the table.
 * Times of one machine only: the prototype's were taken where the empty program took 27 ns.
 */
#include "rig.h"

#define ROUNDS 31
#define PREFIXES 201

struct kind {
	const char *what;
	struct frame_spec (*spec)(void);
	unsigned prototype_ns;
	int action;
};

static struct frame_spec plain(uint8_t type)
{
	struct frame_spec s = frame_direct(type);

	frame_option(&s, 57, "\5\334", 2);
	frame_option(&s, DHO_REQUESTED_ADDRESS, "\12\11\0\63", 4);
	frame_option(&s, DHO_HOST_NAME, "workstation", 11);
	frame_option(&s, DHO_PARAMETER_LIST, "\1\3\6\14\17\32\34\52\171", 9);
	return s;
}

static struct frame_spec ended(struct frame_spec s)
{
	frame_end(&s);
	if (s.n_opt < 60)
		frame_fill(&s, 0, 60 - s.n_opt); /* 300 octets of BOOTP */
	return s;
}

static struct frame_spec dns(void)
{
	struct frame_spec s = frame_direct(0);

	s.dport = 53;
	return ended(s);
}

static struct frame_spec request(void)
{
	struct frame_spec s = plain(DHCPREQUEST);

	frame_option(&s, DHO_SERVER_ID, "\300\0\2\1", 4);
	return ended(s);
}

static struct frame_spec discover(void)
{
	return ended(plain(DHCPDISCOVER));
}

static struct frame_spec with_client_id(struct frame_spec s, uint8_t len)
{
	uint8_t id[255] = { 255 };
	uint8_t *last = &id[len - 1];

	while (loadbal_hash(id, len) < 128) /* the partner's */
		(*last)++;
	frame_option(&s, DHO_CLIENT_ID, id, len);
	return s;
}

static struct frame_spec cid_19(void)
{
	return ended(with_client_id(plain(DHCPDISCOVER), 19));
}

static struct frame_spec cid_255(void)
{
	return ended(with_client_id(plain(DHCPDISCOVER), 255));
}

static struct frame_spec relay(bool link)
{
	struct frame_spec s = plain(DHCPDISCOVER), r = frame_relayed(0, 0);

	memcpy(s.src, r.src, 4);
	memcpy(s.dst, r.dst, 4);
	memcpy(s.giaddr, r.giaddr, 4);
	s.sport = 67;
	if (link)
		frame_option(&s, DHO_RELAY_AGENT, "\1\6eth0/1\5\4\12\1\144\0\2\4abcd", 20);
	else
		frame_option(&s, DHO_RELAY_AGENT, "\1\6eth0/1\2\4abcd", 14);
	return s;
}

static struct frame_spec relayed(void)
{
	return ended(relay(false));
}

static struct frame_spec link_selection(void)
{
	return ended(relay(true));
}

static struct frame_spec all_of_it(void)
{
	struct frame_spec s = with_client_id(relay(true), 19);

	s.n_vlans = 2;
	s.vlan[0] = 5;
	s.vlan[1] = 6;
	return ended(s);
}

static struct frame_spec pads(void)
{
	struct frame_spec s = plain(DHCPDISCOVER);

	frame_fill(&s, 0, 900);
	return ended(s);
}

static const struct kind kinds[] = {
	{ "UDP/53, pass", dns, 30, XDP_PASS },
	{ "REQUEST with server-id, pass", request, 94, XDP_PASS },
	{ "DISCOVER, MAC hash, drop", discover, 173, XDP_DROP },
	{ "client-id 19 octets, drop", cid_19, 185, XDP_DROP },
	{ "client-id 255 octets, drop", cid_255, 597, XDP_DROP },
	{ "relayed, option 82, drop", relayed, 158, XDP_DROP },
	{ "relayed, link selection, drop", link_selection, 193, XDP_DROP },
	{ "2 VLAN tags, client-id 19, link sel.", all_of_it, 202, XDP_DROP },
	{ "900 pads, drop", pads, 1298, XDP_DROP },
};
#define N_KINDS (sizeof(kinds) / sizeof(kinds[0]))

static int load_empty(void)
{
	static const struct bpf_insn drop[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = XDP_DROP },
		{ .code = BPF_JMP | BPF_EXIT },
	};

	return bpf_prog_load(BPF_PROG_TYPE_XDP, "empty", "Dual BSD/GPL", drop, 2, NULL);
}

static int by_value(const void *a, const void *b)
{
	int x = *(const int *)a, y = *(const int *)b;

	return x < y ? -1 : x > y;
}

static int median(int v[ROUNDS])
{
	qsort(v, ROUNDS, sizeof(v[0]), by_value);
	return v[ROUNDS / 2];
}

static int run_ns(int prog, const struct frame *f, int expected)
{
	unsigned repeat = getenv("REPEAT") ? (unsigned)atoi(getenv("REPEAT")) : 50000;
	uint32_t ns = 0;
	int action = rig_run_opts(prog, f->b, f->len, NULL, repeat, &ns);

	if (action != expected) {
		fprintf(stderr, "run gave %d, expected %d\n", action, expected);
		exit(1);
	}
	return (int)ns;
}

static void measure(int empty, int prog, const struct kind *k)
{
	int base[ROUNDS], ours[ROUNDS], above[ROUNDS];
	struct frame_spec s = k->spec();
	struct frame f;

	frame_build(&s, &f);
	for (unsigned i = 0; i < ROUNDS; i++) {
		base[i] = run_ns(empty, &f, XDP_DROP);
		ours[i] = run_ns(prog, &f, k->action);
		above[i] = ours[i] - base[i];
	}
	printf("%-38s %6d %8d %8d %10u\n", k->what, median(base), median(ours), median(above),
	       k->prototype_ns);
}

static void world_of_prefixes(struct rig *r)
{
	struct relation_choice c = { .relation = 0 };
	struct filter_tables t;

	rig_world(&t);
	/* a daemon's deadline, so that the clock is read */
	t.alive.deadline_ns = rig_monotonic_ns() + 3600000000000u;
	rig_apply(r, &t, 0);
	for (unsigned i = 0; i < PREFIXES; i++) {
		struct subnet_key k = { 24, { 10, 1, (uint8_t)(20 + i), 0 } };

		rig_update(r->skel->maps.tl_subnet, &k, &c);
	}
}

int main(void)
{
	struct rig r;
	int empty;

	rig_open(&r);
	empty = load_empty();
	if (empty < 0) {
		perror("empty program");
		return 1;
	}
	world_of_prefixes(&r);
	printf("%-38s %6s %8s %8s %10s\n", "ns per packet", "empty", "filter", "above",
	       "prototype");
	for (unsigned i = 0; i < N_KINDS; i++)
		measure(empty, r.prog, &kinds[i]);
	close(empty);
	rig_close(&r);
	return 0;
}
