/*
 * 100,000 random and mutated frames give the same reason in the kernel as in the daemon's own
 * filter function. The seed is printed; SEED=n gives the run again, FRAMES=n its length. A part of
 * the frames is handed over in several buffers.
 */
#include "rig.h"

static struct rig rig;
static uint64_t seed, state_of_random;

/* splitmix64: small, and the same everywhere */
static uint64_t rnd64(void)
{
	uint64_t z = (state_of_random += 0x9e3779b97f4a7c15u);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

static unsigned rnd(unsigned below)
{
	return (unsigned)(rnd64() % below);
}

static bool one_in(unsigned n)
{
	return rnd(n) == 0;
}

static void rnd_fill(uint8_t *p, unsigned n)
{
	while (n-- > 0)
		p[n] = (uint8_t)rnd64();
}

static uint8_t rnd_code(void)
{
	static const uint8_t codes[] = {
		0, 255, 12, 43, 50, 51, 52, 53, 54, 55, 57, 60, 61, 82, 118
	};

	return codes[rnd(sizeof(codes))];
}

static void add_relay_info(struct frame_spec *s)
{
	uint8_t v[64] = { 1, 2, 7, 7 };
	unsigned n = 4;

	if (one_in(2)) {
		uint8_t link[] = { 5, 4, 10, 1, (uint8_t)rnd(11), (uint8_t)rnd64() };

		memcpy(v + n, link, sizeof(link));
		n += sizeof(link);
	}
	if (one_in(20)) {
		v[n++] = 19;
		v[n++] = 0;
	}
	if (one_in(20))
		rnd_fill(v, n);
	frame_option(s, DHO_RELAY_AGENT, v, (uint8_t)n);
}

static void add_option(struct frame_spec *s)
{
	uint8_t v[255];

	rnd_fill(v, sizeof(v));
	switch (rnd(10)) {
	case 0:
	case 1:
		frame_option(s, DHO_CLIENT_ID, v, (uint8_t)rnd(one_in(4) ? 256 : 20));
		break;
	case 2:
		add_relay_info(s);
		break;
	case 3:
		memcpy(v, (uint8_t[]){ 10, 1, (uint8_t)rnd(11) }, 3);
		frame_option(s, DHO_SUBNET_SELECTION, v, one_in(10) ? 3 : 4);
		break;
	case 4:
		v[0] = (uint8_t)(one_in(10) ? rnd(256) : rnd(4));
		frame_option(s, DHO_OVERLOAD, v, one_in(20) ? 2 : 1);
		break;
	case 5:
		frame_fill(s, 0, rnd(one_in(8) ? 900 : 40));
		break;
	case 7:
		for (unsigned n = one_in(10) ? rnd(540) : 0; n > 0; n--)
			frame_raw(s, "\0\53\0", 3); /* many steps */
		break;
	case 6:
		frame_option(s, DHO_SERVER_ID, v, 4);
		break;
	default:
		frame_option(s, rnd_code(), v, (uint8_t)rnd(30));
	}
}

/* file and sname hold options now and then, well-formed or not */
static void fill_field(uint8_t *p, unsigned n)
{
	unsigned at = 0;

	if (one_in(2))
		return;
	if (one_in(6))
		rnd_fill(p, n);
	while (at + 12 < n && !one_in(4)) {
		p[at] = rnd_code();
		p[at + 1] = (uint8_t)rnd(10);
		at += p[at] == 0 ? 1 : 2u + p[at + 1];
	}
	if (one_in(2))
		p[at] = DHO_END;
}

static struct frame_spec rnd_spec(void)
{
	uint8_t type = one_in(6) ? (uint8_t)rnd(12) : DHCPDISCOVER;
	struct frame_spec s =
		one_in(2) ? frame_direct(type) : frame_relayed(type, (uint8_t)rnd(11));

	rnd_fill(s.mac, 6);
	s.secs = (uint16_t)(one_in(6) ? rnd64() : rnd(4) << (one_in(4) ? 8 : 0));
	s.ip_options = one_in(4) ? rnd(11) : 0;
	s.n_vlans = one_in(3) ? rnd(4) : 0;
	s.vlan[0] = (uint16_t)(one_in(3) ? rnd64() : 4 + rnd(5));
	s.tag = one_in(2) ? 0x88a8 : 0;
	if (s.giaddr[0])
		s.giaddr[3] = (uint8_t)rnd64();
	if (one_in(8))
		s.dst[3] = (uint8_t)rnd(4);
	if (one_in(8))
		s.hlen = (uint8_t)rnd(18);
	if (one_in(60))
		rnd_fill(s.giaddr, 4);
	fill_field(s.file, sizeof(s.file));
	fill_field(s.sname, sizeof(s.sname));
	for (unsigned n = rnd(5); n > 0 && s.n_opt < 700; n--)
		add_option(&s);
	if (!one_in(3))
		frame_end(&s);
	if (one_in(3))
		frame_fill(&s, (uint8_t)(one_in(2) ? 0 : rnd64()), rnd(one_in(40) ? 600 : 60));
	if (one_in(200) && s.n_opt < 1500)
		frame_fill(&s, 0, 1900);
	return s;
}

static void mutate(struct frame *f)
{
	unsigned at = rnd(f->len);

	switch (rnd(8)) {
	case 0: /* a code where none was */
		at = f->msg + DHCP_OPTIONS_OFF + rnd(60);
		if (at < f->len)
			f->b[at] = rnd_code();
		break;
	case 1: /* a length */
		at = f->msg + DHCP_OPTIONS_OFF + 1;
		if (at < f->len)
			f->b[at + rnd(f->len - at)] = (uint8_t)rnd(one_in(2) ? 6 : 256);
		break;
	case 2: /* cut, headers untouched */
		f->len = at < 14 ? 14 : at;
		break;
	case 3: /* cut, headers told */
		f->len = at < f->msg ? f->msg : at;
		frame_lengths(f);
		break;
	case 4:
		put16(f->b + f->udp + 4, f->len - f->udp + rnd(5) - 2);
		break;
	case 5:
		put16(f->b + f->ip + 2, f->len - f->ip + rnd(5) - 2);
		break;
	case 6: /* a header octet */
		f->b[rnd(f->msg)] = (uint8_t)rnd64();
		break;
	default:
		f->b[at] ^= (uint8_t)(1u << rnd(8));
	}
}

static struct xdp_md *in_parts(const struct frame *f, struct xdp_md *ctx)
{
	if (!one_in(4) || f->len < 20)
		return NULL;
	*ctx = (struct xdp_md){ .data_end = 14 + rnd(f->len - 14), .ingress_ifindex = RIG_IFINDEX };
	return ctx;
}

static void report(unsigned i, const struct frame *f, int kernel, enum filter_reason user)
{
	printf("frame %u of seed %llu: kernel %s, daemon %s\n", i, (unsigned long long)seed,
	       kernel < 0 ? "not one counter" : filter_reason_name((enum filter_reason)kernel),
	       filter_reason_name(user));
	for (unsigned k = 0; k < f->len; k++)
		printf("%02x%s", f->b[k], k % 32 == 31 ? "\n" : "");
	printf("\n");
}

/* Return: did this kernel run the frame, and was it the same? -1 for no. */
static int one_frame(unsigned i, struct filter_tables *t, unsigned met[FILTER_REASONS])
{
	static struct filter_counter before[FILTER_REASONS], after[FILTER_REASONS];
	struct frame_spec s = rnd_spec();
	struct filter_result user;
	struct xdp_md ctx;
	struct frame f;
	int action, kernel;

	frame_build(&s, &f);
	for (unsigned n = one_in(2) ? rnd(4) : 0; n > 0; n--)
		mutate(&f);
	memcpy(before, after, sizeof(before));
	action = rig_run_opts(rig.prog, f.b, f.len, in_parts(&f, &ctx), 1, NULL);
	if (action == -EINVAL) /* this kernel takes no frames in parts */
		action = rig_run(&rig, &f);
	rig_verdicts(&rig, after);
	kernel = rig_counted(before, after);
	filter_user_verdict(t, RIG_IFINDEX, f.b, f.len, &user);
	met[user.reason]++;
	if (kernel == (int)user.reason &&
	    action == (filter_drops(user.reason) ? XDP_DROP : XDP_PASS))
		return 0;
	report(i, &f, kernel, user.reason);
	return -1;
}

/* Other owners and thresholds every thousand frames. */
static void shuffle(struct filter_tables *t, struct relation_policy *p, unsigned slot)
{
	for (unsigned i = 0; i < t->n_policies; i++) {
		p[i] = t->policies[i];
		rnd_fill(p[i].owned, 32);
		p[i].secs_threshold = (uint16_t)rnd(6);
		p[i].generation++;
	}
	t->policies = p;
	rig_apply(&rig, t, slot);
}

static void test_same_verdict(void **state)
{
	unsigned frames = getenv("FRAMES") ? (unsigned)atoi(getenv("FRAMES")) : 100000;
	unsigned met[FILTER_REASONS] = { 0 }, differ = 0, kinds = 0;
	struct relation_policy p[8];
	struct filter_tables t;

	(void)state;
	seed = getenv("SEED") ? strtoull(getenv("SEED"), NULL, 10) : rig_monotonic_ns();
	state_of_random = seed;
	printf("seed %llu, %u frames\n", (unsigned long long)seed, frames);
	rig_world(&t);
	for (unsigned i = 0; i < frames && differ < 5; i++) {
		if (i % 1000 == 0)
			shuffle(&t, p, i / 1000 % TL_SLOTS);
		differ += one_frame(i, &t, met) < 0;
	}
	for (unsigned i = 0; i < FILTER_REASONS; i++) {
		printf("%8u %s\n", met[i], filter_reason_name((enum filter_reason)i));
		kinds += met[i] > 0;
	}
	assert_int_equal(differ, 0);
	/* all but not_armed, deadline and internal, or the frames are too tame */
	assert_true(frames < 100000 || kinds == FILTER_REASONS - 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_same_verdict) };

	rig_open(&rig);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
