/*
 * Every way through the filter: the program in the kernel and the daemon's own function give the
 * named reason, and the counter of exactly that reason goes up by one packet of the right size.
 */
#include "rig.h"

static struct rig rig;
static struct filter_tables world;

/* A case describes its message, and may then damage the frame that was built of it. */
struct filter_case {
	const char *what;
	struct frame_spec (*spec)(void);
	void (*damage)(struct frame *f);
	enum filter_reason expected;
};

#define SPEC(name, ...)                                                                            \
	static struct frame_spec name(void)                                                        \
	{                                                                                          \
		struct frame_spec s = frame_direct(DHCPDISCOVER);                                  \
                                                                                                   \
		__VA_ARGS__;                                                                       \
		return s;                                                                          \
	}
#define DAMAGE(name, ...)                                                                          \
	static void name(struct frame *f)                                                          \
	{                                                                                          \
		__VA_ARGS__;                                                                       \
	}

#define ADDR(a, b, c, d) ((uint8_t[]){ a, b, c, d })
#define OCTETS(...) ((uint8_t[]){ __VA_ARGS__ }), sizeof((uint8_t[]){ __VA_ARGS__ })

/* --- DISCOVERs on the wire: 02:00:00:00:00:01 is bucket 133, ..:02 bucket 45 --- */
SPEC(theirs, frame_end(&s))
SPEC(ours, s.mac[5] = 2; frame_end(&s))
SPEC(no_end, (void)0)
SPEC(secs_2, s.secs = 2)
SPEC(secs_3, s.secs = 3)
SPEC(secs_swapped_2, s.secs = 0x0200)
SPEC(secs_swapped_3, s.secs = 0x0300)
SPEC(secs_257, s.secs = 0x0101)
SPEC(hlen_17, s.hlen = 17)
SPEC(hlen_16, s.hlen = 16)
SPEC(hlen_0, s.hlen = 0)
SPEC(vlan_5, s.n_vlans = 1; s.vlan[0] = 5)
SPEC(vlan_5_priority, s.n_vlans = 1; s.vlan[0] = 0xe005; s.tag = 0x88a8)
SPEC(vlan_0, s.n_vlans = 1)
SPEC(vlan_5_in_0, s.n_vlans = 2; s.vlan[1] = 5)
SPEC(vlan_9_in_5, s.n_vlans = 2; s.vlan[0] = 5; s.vlan[1] = 9)
SPEC(vlan_7, s.n_vlans = 1; s.vlan[0] = 7)
SPEC(vlan_99, s.n_vlans = 1; s.vlan[0] = 99)
SPEC(vlans_3, s.n_vlans = 3; s.vlan[0] = 5)
SPEC(ip_options, s.ip_options = 10; s.n_vlans = 2)
SPEC(to_us, memcpy(s.dst, ADDR(192, 0, 2, 9), 4))
SPEC(to_others, memcpy(s.dst, ADDR(192, 0, 2, 2), 4))
SPEC(to_subnet_broadcast, memcpy(s.dst, ADDR(192, 0, 2, 255), 4))

/* --- client identifiers; 01 02 00 00 00 00 07 is bucket 172, the value of the hash is tested in
 * test_vectors --- */
SPEC(cid_theirs, s.mac[5] = 2; frame_option(&s, 61, OCTETS(1, 2, 0, 0, 0, 0, 7)))
SPEC(cid_empty, s.mac[5] = 2; frame_option(&s, 61, "", 0))
SPEC(cid_hardware, s.n_vlans = 1; s.vlan[0] = 6; s.mac[5] = 2;
     frame_option(&s, 61, OCTETS(1, 2, 0, 0, 0, 0, 7)))
SPEC(cid_twice, frame_option(&s, 61, "ab", 2); frame_option(&s, 61, "cd", 2))
SPEC(cid_in_file, s.mac[5] = 2; frame_option(&s, 52, "\1", 1);
     memcpy(s.file, OCTETS(61, 7, 1, 2, 0, 0, 0, 0, 7, 255)))
SPEC(cid_in_sname, s.mac[5] = 2; frame_option(&s, 52, "\2", 1);
     memcpy(s.file, OCTETS(61, 200)); /* not looked at */
     memcpy(s.sname, OCTETS(0, 0, 61, 7, 1, 2, 0, 0, 0, 0, 7)))
SPEC(cid_in_both, frame_option(&s, 52, "\3", 1); frame_end(&s);
     memcpy(s.file, OCTETS(61, 1, 1, 255)); memcpy(s.sname, OCTETS(61, 1, 2)))
SPEC(cid_behind_end, s.mac[5] = 2; frame_end(&s); frame_option(&s, 61, OCTETS(1, 2, 0, 0, 0, 0, 7)))
SPEC(overload_in_file, s.mac[5] = 2; frame_option(&s, 52, "\1", 1);
     memcpy(s.file, OCTETS(52, 1, 2, 255)); memcpy(s.sname, OCTETS(61, 200)))
SPEC(overload_0, frame_option(&s, 52, "\0", 1))
SPEC(overload_4, frame_option(&s, 52, "\4", 1))
SPEC(overload_long, frame_option(&s, 52, "\1\1", 2))
SPEC(overload_twice, frame_option(&s, 52, "\1", 1); frame_option(&s, 52, "\1", 1))
SPEC(past_file, frame_option(&s, 52, "\1", 1); memset(s.file, 0, 128); s.file[126] = 12;
     s.file[127] = 1)
SPEC(past_sname, frame_option(&s, 52, "\2", 1); memset(s.sname, 0, 64); s.sname[63] = 12)
SPEC(past_message, frame_raw(&s, OCTETS(12, 4, 1, 2, 3)))
SPEC(half_header, frame_raw(&s, OCTETS(12)))
SPEC(type_twice, frame_option(&s, 53, "\1", 1))
SPEC(type_long, s.opt[1] = 2; frame_raw(&s, OCTETS(1)))
SPEC(server_id_short, frame_option(&s, 54, "abc", 3))
SPEC(server_id_twice, frame_option(&s, 54, "abcd", 4); frame_option(&s, 54, "abcd", 4))
SPEC(server_id, frame_option(&s, 54, "abcd", 4))

/* --- steps --- */
SPEC(pads_900, frame_fill(&s, 0, 900); frame_option(&s, 12, "x", 1))
SPEC(pads_and_option, frame_fill(&s, 0, 7); frame_option(&s, 12, "", 0); frame_fill(&s, 0, 9))
/* a pad and an empty option are two steps, the message type before them is one */
static void fill_steps(struct frame_spec *s, unsigned pairs)
{
	while (pairs-- > 0)
		frame_raw(s, OCTETS(0, 43, 0));
}
SPEC(steps_1023, fill_steps(&s, 511)) /* the last step finds the end */
SPEC(steps_1024, fill_steps(&s, 511); frame_option(&s, 43, "", 0))
static void fill_message(struct frame_spec *s, unsigned octets)
{
	static const uint8_t vendor[255];

	for (int i = 0; i < 6; i++)
		frame_option(s, 43, vendor, sizeof(vendor));
	frame_fill(s, 0, octets - DHCP_OPTIONS_OFF - s->n_opt);
}
SPEC(message_2048, fill_message(&s, 2048))
SPEC(message_2049, fill_message(&s, 2049))

/* --- relays: 10.1.0.0/16 is relationship 0, 10.1.2.0/24 relationship 1 --- */
#define RELAYED(name, octet, ...) SPEC(name, s = frame_relayed(DHCPDISCOVER, octet); __VA_ARGS__)
RELAYED(relayed, 0, frame_option(&s, 82, OCTETS(1, 2, 7, 7)))
RELAYED(relayed_bare, 0, (void)0)
RELAYED(relayed_24, 2, (void)0)
RELAYED(relayed_alone, 3, (void)0)
RELAYED(relayed_partner_empty, 4, (void)0)
RELAYED(relayed_partner_empty_ours, 4, s.mac[5] = 2)
RELAYED(relayed_none, 5, s.secs = 9)
RELAYED(relayed_all, 6, (void)0)
RELAYED(relayed_no_policy, 7, (void)0)
RELAYED(relayed_25, 8, s.giaddr[3] = 129)
RELAYED(relayed_cleared, 9, (void)0)
RELAYED(relayed_unknown, 0, s.giaddr[0] = 11)
RELAYED(relayed_not_us, 0, s.dst[3] = 2)
RELAYED(relay_port, 0, s.sport = 1067)
RELAYED(relay_port_option, 0, frame_option(&s, 82, OCTETS(19, 0)))
RELAYED(link_2, 0, frame_option(&s, 82, OCTETS(1, 1, 7, 5, 4, 10, 1, 2, 0)))
RELAYED(link_unknown, 0, frame_option(&s, 82, OCTETS(5, 4, 11, 1, 2, 0)))
RELAYED(link_zero, 0, frame_option(&s, 82, OCTETS(5, 4, 0, 0, 0, 0)))
RELAYED(link_short, 0, frame_option(&s, 82, OCTETS(5, 3, 10, 1, 2)))
RELAYED(link_twice, 0, frame_option(&s, 82, OCTETS(5, 4, 10, 1, 2, 0, 5, 4, 10, 1, 2, 0)))
RELAYED(link_over_selection, 0, frame_option(&s, 118, ADDR(11, 0, 0, 1), 4);
	frame_option(&s, 82, OCTETS(5, 4, 10, 1, 2, 0)))
RELAYED(selection_2, 0, frame_option(&s, 118, ADDR(10, 1, 2, 0), 4))
RELAYED(selection_short, 0, frame_option(&s, 118, ADDR(10, 1, 2, 0), 3))
RELAYED(selection_twice, 0, frame_option(&s, 118, ADDR(10, 1, 2, 0), 4);
	frame_option(&s, 118, ADDR(10, 1, 2, 0), 4))
RELAYED(sub_half, 0, frame_option(&s, 82, OCTETS(1)))
RELAYED(sub_past, 0, frame_option(&s, 82, OCTETS(1, 2, 3)); frame_fill(&s, 0, 3))
RELAYED(subs_32, 0, uint8_t v[64] = { 0 }; frame_option(&s, 82, v, 64))
RELAYED(subs_33, 0, uint8_t v[66] = { 0 }; frame_option(&s, 82, v, 66))
RELAYED(relay_info_twice, 0, frame_option(&s, 82, OCTETS(1, 1, 7));
	frame_option(&s, 82, OCTETS(2, 1, 7)))
SPEC(selection_direct, frame_option(&s, 118, ADDR(10, 1, 2, 0), 4))
SPEC(relay_info_direct, frame_option(&s, 82, OCTETS(1, 1, 7)))
SPEC(relay_info_direct_empty, frame_option(&s, 82, "", 0))

/* --- other messages --- */
#define TYPE(name, type, ...) SPEC(name, s = frame_direct(type); __VA_ARGS__)
TYPE(request_54, DHCPREQUEST, frame_option(&s, 54, ADDR(192, 0, 2, 1), 4); frame_end(&s))
TYPE(request_54_first, 0, frame_option(&s, 54, ADDR(192, 0, 2, 1), 4);
     frame_option(&s, 53, "\3", 1))
TYPE(request_renew, DHCPREQUEST, frame_end(&s))
TYPE(decline, DHCPDECLINE, (void)0)
TYPE(release, DHCPRELEASE, frame_raw(&s, OCTETS(12))) /* no longer looked at */
TYPE(inform, DHCPINFORM, (void)0)
TYPE(offer, DHCPOFFER, (void)0)
TYPE(leasequery, 10, (void)0)
TYPE(type_0, 0, frame_option(&s, 53, "\0", 1))
TYPE(no_type, 0, frame_end(&s))
TYPE(no_options, 0, (void)0)
SPEC(reply, s.op = BOOTREPLY)
SPEC(to_68, s.dport = 68)

/* --- damaged frames --- */
DAMAGE(cookie, f->b[f->msg + 239] ^= 1)
DAMAGE(not_udp, f->b[f->ip + 9] = 6)
DAMAGE(arp, put16(f->b + 12, 0x0806); f->len = 42)
DAMAGE(ipv6, f->b[f->ip] = 0x65)
DAMAGE(ihl_4, f->b[f->ip] = 0x44)
DAMAGE(more_fragments, f->b[f->ip + 6] = 0x20)
DAMAGE(fragment_offset, f->b[f->ip + 7] = 1)
DAMAGE(dont_fragment, f->b[f->ip + 6] = 0x40)
DAMAGE(udp_7, put16(f->b + f->udp + 4, 7))
DAMAGE(udp_over_ip, put16(f->b + f->ip + 2, f->len - f->ip - 1))
DAMAGE(udp_over_frame, put16(f->b + f->udp + 4, f->len - f->udp + 1);
       put16(f->b + f->ip + 2, f->len - f->ip + 1))
DAMAGE(cut_ip, f->len = f->ip + 19)
DAMAGE(cut_tag, f->len = f->ip - 1)
DAMAGE(cut_udp, f->len = f->udp + 7)
DAMAGE(cut_message, f->len -= 1)
DAMAGE(short_message, f->len = f->msg + 239; frame_lengths(f))
DAMAGE(padded, f->len += 18)

static const struct filter_case cases[] = {
	{ "partner's bucket", theirs, NULL, REASON_PARTNERS },
	{ "our bucket", ours, NULL, REASON_OURS },
	{ "options without an end", no_end, NULL, REASON_PARTNERS },
	{ "secs 2", secs_2, NULL, REASON_PARTNERS },
	{ "secs 3", secs_3, NULL, REASON_BY_SECS },
	{ "secs 2, octets swapped", secs_swapped_2, NULL, REASON_PARTNERS },
	{ "secs 3, octets swapped", secs_swapped_3, NULL, REASON_BY_SECS },
	{ "secs 257", secs_257, NULL, REASON_BY_SECS },
	{ "hlen 17", hlen_17, NULL, REASON_BAD_HLEN },
	{ "hlen 16", hlen_16, NULL, REASON_PARTNERS },
	{ "hlen 0 is bucket 0", hlen_0, NULL, REASON_OURS },
	{ "VLAN 5", vlan_5, NULL, REASON_OURS },
	{ "VLAN 5 with a priority, 802.1ad", vlan_5_priority, NULL, REASON_OURS },
	{ "priority tag only", vlan_0, NULL, REASON_PARTNERS },
	{ "the outer id counts", vlan_5_in_0, NULL, REASON_PARTNERS },
	{ "the inner id does not", vlan_9_in_5, NULL, REASON_OURS },
	{ "VLAN without a partner", vlan_7, NULL, REASON_NO_RELATION },
	{ "unknown VLAN", vlan_99, NULL, REASON_UNKNOWN_IFACE },
	{ "three tags", vlans_3, NULL, REASON_NOT_IPV4 },
	{ "two tags and 40 octets of IPv4 options", ip_options, NULL, REASON_PARTNERS },
	{ "unicast to us", to_us, NULL, REASON_PARTNERS },
	{ "unicast to somebody else", to_others, NULL, REASON_NOT_LOCAL },
	{ "broadcast of a subnet", to_subnet_broadcast, NULL, REASON_NOT_LOCAL },

	{ "client identifier before chaddr", cid_theirs, NULL, REASON_PARTNERS },
	{ "empty client identifier", cid_empty, NULL, REASON_OURS },
	{ "hash by hardware address", cid_hardware, NULL, REASON_OURS },
	{ "client identifier twice", cid_twice, NULL, REASON_SPLIT_CLIENT_ID },
	{ "client identifier in file", cid_in_file, NULL, REASON_PARTNERS },
	{ "client identifier in sname", cid_in_sname, NULL, REASON_PARTNERS },
	{ "client identifier in file and sname", cid_in_both, NULL, REASON_SPLIT_CLIENT_ID },
	{ "client identifier behind the end", cid_behind_end, NULL, REASON_OURS },
	{ "overload inside file", overload_in_file, NULL, REASON_OURS },
	{ "overload 0", overload_0, NULL, REASON_BAD_OPTION },
	{ "overload 4", overload_4, NULL, REASON_BAD_OPTION },
	{ "overload of two octets", overload_long, NULL, REASON_BAD_OPTION },
	{ "overload twice", overload_twice, NULL, REASON_BAD_OPTION },
	{ "option past file", past_file, NULL, REASON_BAD_OPTION },
	{ "option past sname", past_sname, NULL, REASON_BAD_OPTION },
	{ "option past the message", past_message, NULL, REASON_BAD_OPTION },
	{ "code without a length", half_header, NULL, REASON_BAD_OPTION },
	{ "message type twice", type_twice, NULL, REASON_BAD_OPTION },
	{ "message type of two octets", type_long, NULL, REASON_BAD_OPTION },
	{ "server identifier of three octets", server_id_short, NULL, REASON_BAD_OPTION },
	{ "server identifier twice", server_id_twice, NULL, REASON_BAD_OPTION },
	{ "server identifier in a DISCOVER", server_id, NULL, REASON_PARTNERS },

	{ "900 pads", pads_900, NULL, REASON_PARTNERS },
	{ "pads around an option", pads_and_option, NULL, REASON_PARTNERS },
	{ "1,023 steps", steps_1023, NULL, REASON_PARTNERS },
	{ "1,024 steps", steps_1024, NULL, REASON_STEP_LIMIT },
	{ "message of 2,048 octets", message_2048, NULL, REASON_PARTNERS },
	{ "message of 2,049 octets", message_2049, NULL, REASON_TOO_LONG },

	{ "relayed, option 82", relayed, NULL, REASON_PARTNERS },
	{ "relayed", relayed_bare, NULL, REASON_PARTNERS },
	{ "longer prefix", relayed_24, NULL, REASON_OURS },
	{ "longest prefix", relayed_25, NULL, REASON_OURS },
	{ "subnet without a partner", relayed_alone, NULL, REASON_NO_RELATION },
	{ "partner has no address", relayed_partner_empty, NULL, REASON_PARTNER_EMPTY },
	{ "ours, partner has no address", relayed_partner_empty_ours, NULL, REASON_OURS },
	{ "not serving", relayed_none, NULL, REASON_NOT_SERVING },
	{ "serving all", relayed_all, NULL, REASON_SERVE_ALL },
	{ "cleared slot", relayed_cleared, NULL, REASON_SERVE_ALL },
	{ "relationship out of range", relayed_no_policy, NULL, REASON_NO_POLICY },
	{ "unknown giaddr", relayed_unknown, NULL, REASON_UNKNOWN_SUBNET },
	{ "relayed to another server", relayed_not_us, NULL, REASON_NOT_LOCAL },
	{ "relay port 1067", relay_port, NULL, REASON_RELAY_PORT },
	{ "relay source port option", relay_port_option, NULL, REASON_RELAY_PORT },
	{ "link selection", link_2, NULL, REASON_OURS },
	{ "link selection unknown", link_unknown, NULL, REASON_UNKNOWN_SUBNET },
	{ "link selection 0.0.0.0", link_zero, NULL, REASON_PARTNERS },
	{ "link selection of three octets", link_short, NULL, REASON_BAD_OPTION },
	{ "link selection twice", link_twice, NULL, REASON_BAD_OPTION },
	{ "link selection before subnet selection", link_over_selection, NULL, REASON_OURS },
	{ "subnet selection", selection_2, NULL, REASON_OURS },
	{ "subnet selection of three octets", selection_short, NULL, REASON_BAD_OPTION },
	{ "subnet selection twice", selection_twice, NULL, REASON_BAD_OPTION },
	{ "sub-option without a length", sub_half, NULL, REASON_BAD_OPTION },
	{ "sub-option past option 82", sub_past, NULL, REASON_BAD_OPTION },
	{ "32 sub-options", subs_32, NULL, REASON_PARTNERS },
	{ "33 sub-options", subs_33, NULL, REASON_STEP_LIMIT },
	{ "option 82 twice", relay_info_twice, NULL, REASON_SPLIT_RELAY_INFO },
	{ "subnet selection without a relay", selection_direct, NULL, REASON_OURS },
	{ "option 82 without a relay", relay_info_direct, NULL, REASON_DIRECT_RELAY_INFO },
	{ "empty option 82", relay_info_direct_empty, NULL, REASON_DIRECT_RELAY_INFO },

	{ "REQUEST with a server", request_54, NULL, REASON_SELECTING },
	{ "server before the type", request_54_first, NULL, REASON_SELECTING },
	{ "REQUEST without", request_renew, NULL, REASON_RENEWING },
	{ "DECLINE", decline, NULL, REASON_DECLINE },
	{ "RELEASE", release, NULL, REASON_RELEASE },
	{ "INFORM", inform, NULL, REASON_INFORM },
	{ "OFFER", offer, NULL, REASON_OTHER_TYPE },
	{ "LEASEQUERY", leasequery, NULL, REASON_OTHER_TYPE },
	{ "type 0", type_0, NULL, REASON_OTHER_TYPE },
	{ "no type", no_type, NULL, REASON_NO_TYPE },
	{ "no options", no_options, NULL, REASON_NO_TYPE },
	{ "BOOTREPLY", reply, NULL, REASON_NOT_REQUEST },
	{ "to port 68", to_68, NULL, REASON_NOT_DHCP },

	{ "wrong cookie", theirs, cookie, REASON_NO_COOKIE },
	{ "TCP", theirs, not_udp, REASON_NOT_UDP },
	{ "ARP", theirs, arp, REASON_NOT_IPV4 },
	{ "version 6", theirs, ipv6, REASON_BAD_FRAME },
	{ "header of 16 octets", theirs, ihl_4, REASON_BAD_FRAME },
	{ "first fragment", theirs, more_fragments, REASON_FRAGMENT },
	{ "later fragment", theirs, fragment_offset, REASON_FRAGMENT },
	{ "don't fragment", theirs, dont_fragment, REASON_PARTNERS },
	{ "UDP length 7", theirs, udp_7, REASON_BAD_LENGTH },
	{ "UDP longer than IPv4", theirs, udp_over_ip, REASON_BAD_LENGTH },
	{ "UDP longer than the frame", theirs, udp_over_frame, REASON_BAD_LENGTH },
	{ "cut in IPv4", theirs, cut_ip, REASON_BAD_FRAME },
	{ "cut in a tag", vlan_5, cut_tag, REASON_BAD_FRAME },
	{ "cut in UDP", ip_options, cut_udp, REASON_BAD_FRAME },
	{ "cut in the message", theirs, cut_message, REASON_BAD_LENGTH },
	{ "message of 239 octets", theirs, short_message, REASON_TOO_SHORT },
	{ "Ethernet padding", theirs, padded, REASON_PARTNERS },
};
#define N_CASES (sizeof(cases) / sizeof(cases[0]))

static void check(const char *what, const struct frame *f, enum filter_reason expected)
{
	struct filter_result user;
	int action, kernel = rig_reason(&rig, f, &action);

	filter_user_verdict(&world, RIG_IFINDEX, f->b, f->len, &user);
	if (kernel != (int)expected || user.reason != expected ||
	    action != (filter_drops(expected) ? XDP_DROP : XDP_PASS))
		fail_msg("%s: expected %s, kernel says %s (action %d), daemon says %s", what,
			 filter_reason_name(expected),
			 filter_reason_name((enum filter_reason)kernel), action,
			 filter_reason_name(user.reason));
}

static void test_cases(void **state)
{
	(void)state;
	for (unsigned i = 0; i < N_CASES; i++) {
		struct frame_spec s = cases[i].spec();
		struct frame f;

		frame_build(&s, &f);
		if (cases[i].damage)
			cases[i].damage(&f);
		check(cases[i].what, &f, cases[i].expected);
	}
}

/* What the table above cannot reach: needs other maps (below), or cannot happen. */
static void test_all_reasons_met(void **state)
{
	bool met[FILTER_REASONS] = {
		[REASON_NOT_ARMED] = true, [REASON_DEADLINE] = true, [REASON_INTERNAL] = true
	};

	(void)state;
	for (unsigned i = 0; i < N_CASES; i++)
		met[cases[i].expected] = true;
	for (unsigned i = 0; i < FILTER_REASONS; i++) {
		if (!met[i])
			fail_msg("no case for %s", filter_reason_name((enum filter_reason)i));
	}
}

static void test_octets(void **state)
{
	struct filter_counter before[FILTER_REASONS], after[FILTER_REASONS];
	struct frame_spec s = theirs();
	struct frame f;

	(void)state;
	frame_build(&s, &f);
	f.len += 18; /* Ethernet padding is not the packet's */
	rig_verdicts(&rig, before);
	rig_run(&rig, &f);
	rig_verdicts(&rig, after);
	assert_int_equal(after[REASON_PARTNERS].octets - before[REASON_PARTNERS].octets,
			 f.len - 18);
	arp(&f);
	rig_run(&rig, &f);
	rig_verdicts(&rig, before);
	assert_int_equal(before[REASON_NOT_IPV4].octets - after[REASON_NOT_IPV4].octets, f.len);
}

static void with_alive(struct filter_alive a, uint64_t now, enum filter_reason expected)
{
	struct frame_spec s = theirs();
	struct filter_tables saved = world;
	uint32_t key = 0;
	struct frame f;

	frame_build(&s, &f);
	world.alive = a;
	world.now_ns = now;
	rig_update(rig.skel->maps.tl_alive, &key, &a);
	check("deadline", &f, expected);
	s = ours();
	frame_build(&s, &f);
	check("what passes asks for no deadline", &f, REASON_OURS);
	world = saved;
	rig_update(rig.skel->maps.tl_alive, &key, &world.alive);
}

static void test_deadline(void **state)
{
	uint64_t now = rig_monotonic_ns(), hour = 3600000000000u;

	(void)state;
	with_alive((struct filter_alive){ 0, 0, 0 }, now, REASON_NOT_ARMED);
	with_alive((struct filter_alive){ TL_ABI_VERSION, 0, 0 }, now, REASON_NOT_ARMED);
	with_alive((struct filter_alive){ TL_ABI_VERSION + 1, 0, now + hour }, now,
		   REASON_NOT_ARMED);
	with_alive((struct filter_alive){ TL_ABI_VERSION, 0, now + hour }, now, REASON_PARTNERS);
	with_alive((struct filter_alive){ TL_ABI_VERSION, 0, now - 100000000 }, now,
		   REASON_DEADLINE);
	with_alive((struct filter_alive){ TL_ABI_VERSION, 0, TL_DEADLINE_BY_HAND }, now,
		   REASON_PARTNERS);
}

/* The index alone switches; an index that names no slot passes. */
static void test_slots(void **state)
{
	struct relation_policy all = { .serve = SERVE_ALL }, none = { .serve = SERVE_NONE };
	struct relation_control c = { .active_slot = 0 };
	uint32_t relation = 0, slot[] = { 1, 2 };
	struct frame_spec s = theirs();
	struct frame f;
	int action;

	(void)state;
	frame_build(&s, &f);
	rig_update(rig.skel->maps.tl_relation, &slot[0], &all);
	rig_update(rig.skel->maps.tl_relation, &slot[1], &none);
	assert_int_equal(rig_reason(&rig, &f, &action), REASON_PARTNERS);
	c.active_slot = 1;
	rig_update(rig.skel->maps.tl_control, &relation, &c);
	assert_int_equal(rig_reason(&rig, &f, &action), REASON_SERVE_ALL);
	c.active_slot = 2;
	rig_update(rig.skel->maps.tl_control, &relation, &c);
	assert_int_equal(rig_reason(&rig, &f, &action), REASON_NOT_SERVING);
	c.active_slot = TL_SLOTS; /* would be the first slot of relationship 1 */
	rig_update(rig.skel->maps.tl_control, &relation, &c);
	assert_int_equal(rig_reason(&rig, &f, &action), REASON_NO_POLICY);
	c.active_slot = 0;
	rig_update(rig.skel->maps.tl_control, &relation, &c);
	assert_int_equal(rig_reason(&rig, &f, &action), REASON_PARTNERS);
}

/* Each row of the vectors as a client identifier, and those of six octets as chaddr. */
static void check_vector(const uint8_t *key, unsigned len, unsigned bucket)
{
	struct bucket_counters before, after;
	struct frame_spec s = frame_direct(DHCPDISCOVER);
	struct filter_result user;
	struct frame f;

	if (len == 6)
		memcpy(s.mac, key, 6);
	else if (len >= 1 && len <= 255)
		frame_option(&s, DHO_CLIENT_ID, key, (uint8_t)len);
	else
		return;
	frame_build(&s, &f);
	rig_buckets(&rig, 0, &before);
	rig_run(&rig, &f);
	rig_buckets(&rig, 0, &after);
	for (unsigned b = 0; b < 256; b++) {
		assert_int_equal(after.passed[b] - before.passed[b], b == bucket && bucket < 128);
		assert_int_equal(after.left[b] - before.left[b], b == bucket && bucket >= 128);
	}
	filter_user_verdict(&world, RIG_IFINDEX, f.b, f.len, &user);
	assert_true(user.judged);
	assert_int_equal(user.bucket, bucket);
}

static void test_vectors(void **state)
{
	FILE *file = fopen("tests/data/rfc3074-vectors.tsv", "r");
	char line[1024];
	unsigned rows = 0;

	(void)state;
	assert_non_null(file);
	while (fgets(line, sizeof(line), file)) {
		char *tab = strchr(line, '\t');
		uint8_t key[256];
		unsigned n = 0, octet;

		if (line[0] == '#' || !tab)
			continue;
		while (n < sizeof(key) && line + 2 * n < tab &&
		       sscanf(line + 2 * n, "%2x", &octet) == 1)
			key[n++] = (uint8_t)octet;
		check_vector(key, n, (unsigned)atoi(tab + 1));
		rows++;
	}
	fclose(file);
	assert_true(rows >= 100);
}

static void test_bucket_counters(void **state)
{
	struct bucket_counters before, after;
	struct frame_spec s[] = { secs_3(), relayed_none(), relayed_partner_empty() };
	struct frame f;

	(void)state;
	rig_buckets(&rig, 0, &before);
	for (unsigned i = 0; i < 3; i++) {
		frame_build(&s[i], &f);
		rig_run(&rig, &f);
	}
	rig_buckets(&rig, 0, &after);
	assert_int_equal(after.by_secs[133] - before.by_secs[133], 1);
	assert_int_equal(after.passed[133] - before.passed[133], 1); /* the partner has none */
	rig_buckets(&rig, 2, &after);
	for (unsigned b = 0; b < 256; b++) /* not serving: nobody's share */
		assert_int_equal(after.passed[b] + after.left[b] + after.by_secs[b], 0);
}

/* What was counted of bucket 133 in @map; -1 without an element. */
static long left_of_133(struct bpf_map *map, uint32_t relation)
{
	static struct bucket_counters v[RIG_CPUS];
	long sum = 0;

	if (bpf_map_lookup_elem(bpf_map__fd(map), &relation, v))
		return -1;
	for (int cpu = 0; cpu < rig.cpus; cpu++)
		sum += (long)v[cpu].left[133];
	return sum;
}

/* 10.1.100.0/24 to 10.1.103.0/24 belong to relationships on both sides of TL_BUCKET_NEAR. */
static const uint32_t many[] = { TL_BUCKET_NEAR - 1, TL_BUCKET_NEAR, TL_BUCKET_NEAR + 1,
				 TL_MAX_RELATIONS - 1 };
#define N_MANY (sizeof(many) / sizeof(many[0]))

static struct frame of_many(unsigned i)
{
	struct frame_spec s = frame_relayed(DHCPDISCOVER, (uint8_t)(100 + i));
	struct frame f;

	frame_build(&s, &f);
	return f;
}

/* Only number @owner leaves bucket 133 to the partner, and only there it is counted. */
static void check_owner(unsigned owner, struct relation_policy *p)
{
	struct bpf_map *near = rig.skel->maps.tl_bucket, *more = rig.skel->maps.tl_bucket_more;

	for (unsigned i = 0; i < N_MANY; i++)
		memset(p[many[i]].owned, i == owner ? 0 : 0xff, 32);
	rig_apply(&rig, &world, 0); /* counters begin anew */
	for (unsigned i = 0; i < N_MANY; i++) {
		struct frame f = of_many(i);

		check("one of many", &f, i == owner ? REASON_PARTNERS : REASON_OURS);
	}
	for (unsigned i = 0; i < N_MANY; i++) {
		bool is_near = many[i] < TL_BUCKET_NEAR;

		assert_int_equal(left_of_133(near, many[i]), is_near ? i == owner : -1);
		assert_int_equal(left_of_133(more, many[i]), is_near ? -1 : i == owner);
	}
}

/* Many relationships: each decides by its own buckets and counts its own. */
static void test_many_relations(void **state)
{
	static struct relation_policy p[TL_MAX_RELATIONS];
	struct filter_subnet subnets[N_MANY];
	struct filter_tables saved = world;
	struct frame f = of_many(1);

	(void)state;
	for (unsigned i = 0; i < N_MANY; i++) {
		subnets[i] = (struct filter_subnet){ { 24, { 10, 1, (uint8_t)(100 + i), 0 } },
						     { .relation = many[i] } };
		p[many[i]] = (struct relation_policy){ .serve = SERVE_BALANCE };
		p[many[i]].secs_threshold = SECS_NEVER;
	}
	memcpy(p, saved.policies, saved.n_policies * sizeof(p[0]));
	world.policies = p;
	world.n_policies = TL_MAX_RELATIONS;
	world.subnets = subnets;
	world.n_subnets = N_MANY;
	for (unsigned i = 0; i < N_MANY; i++)
		check_owner(i, p);
	/* without an element it is not counted, and decided all the same */
	memset(p[many[1]].owned, 0, 32);
	rig_apply(&rig, &world, 0);
	assert_int_equal(bpf_map_delete_elem(bpf_map__fd(rig.skel->maps.tl_bucket_more), &many[1]),
			 0);
	check("without counters", &f, REASON_PARTNERS);
	assert_int_equal(left_of_133(rig.skel->maps.tl_bucket_more, many[1]), -1);
	world = saved;
	rig_apply(&rig, &world, 0);
}

/* Untagged clients: by tl_iface_near, and by tl_iface where that says nothing. */
static void test_two_tables_of_interfaces(void **state)
{
	struct relation_choice alone = { .relation = TL_NO_RELATION };
	struct iface_choice nothing = { .relation = 1 };
	struct iface_key key = { .ifindex = RIG_IFINDEX };
	int fd = bpf_map__fd(rig.skel->maps.tl_iface), action;
	uint32_t index = RIG_IFINDEX;
	struct frame_spec s = theirs();
	struct frame f;

	(void)state;
	frame_build(&s, &f);
	rig_update(rig.skel->maps.tl_iface, &key, &alone);
	assert_int_equal(rig_reason(&rig, &f, &action), REASON_PARTNERS);
	rig_update(rig.skel->maps.tl_iface_near, &index, &nothing);
	assert_int_equal(rig_reason(&rig, &f, &action), REASON_NO_RELATION);
	assert_int_equal(bpf_map_delete_elem(fd, &key), 0);
	assert_int_equal(rig_reason(&rig, &f, &action), REASON_UNKNOWN_IFACE);
	rig_apply(&rig, &world, 0);
	assert_int_equal(rig_reason(&rig, &f, &action), REASON_PARTNERS);
}

/* Relays are remembered by giaddr, known subnets only. */
static void test_relays(void **state)
{
	static const struct {
		uint16_t secs;
		uint8_t mac;
	} t[] = {
		{ 0, 1 }, { 0, 2 }, { 1, 2 }, { 3, 2 }, { 4, 2 }, { 7, 1 }, { 8, 1 }, { 500, 1 }
	};
	struct relay_key known = { { 10, 1, 77, 1 } }, unknown = { { 11, 1, 77, 1 } };
	struct frame_spec s = frame_relayed(DHCPDISCOVER, 77);
	int fd = bpf_map__fd(rig.skel->maps.tl_relay);
	uint64_t now = rig_monotonic_ns();
	struct relay_counters c;
	struct frame f;

	(void)state;
	assert_int_not_equal(bpf_map_lookup_elem(fd, &known, &c), 0);
	for (unsigned i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		s.secs = t[i].secs;
		s.mac[5] = t[i].mac;
		frame_build(&s, &f);
		rig_run(&rig, &f);
	}
	assert_int_equal(bpf_map_lookup_elem(fd, &known, &c), 0);
	assert_int_equal(c.ours_secs_0, 1);
	assert_int_equal(c.ours_secs_1_3, 2);
	assert_int_equal(c.ours_secs_4_7, 1);
	assert_int_equal(c.ours_secs_8_up, 0);
	assert_int_equal(c.partners_secs_0, 1);
	assert_int_equal(c.partners_secs_1_3, 0);
	assert_int_equal(c.partners_secs_4_7, 1);
	assert_int_equal(c.partners_secs_8_up, 2);
	assert_true(c.last_seen_ns + 1000000000u > now && c.last_seen_ns < now + 60000000000u);
	memcpy(s.giaddr, &unknown, 4);
	frame_build(&s, &f);
	rig_run(&rig, &f);
	assert_int_not_equal(bpf_map_lookup_elem(fd, &unknown, &c), 0);
}

static struct filter_event last_event;
static unsigned n_events;

static int on_event(void *ctx, void *data, size_t size)
{
	(void)ctx;
	assert_int_equal(size, sizeof(last_event));
	memcpy(&last_event, data, size);
	n_events++;
	return 0;
}

/* One in three judged DISCOVERs of a CPU; what is not judged does not count. */
static void test_events(void **state)
{
	struct ring_buffer *rb =
		ring_buffer__new(bpf_map__fd(rig.skel->maps.tl_event), on_event, NULL, NULL);
	struct filter_alive a = world.alive;
	struct frame_spec s = frame_relayed(DHCPDISCOVER, 2), other = request_renew();
	struct frame f;
	uint32_t key = 0;

	(void)state;
	assert_non_null(rb);
	a.sample_every = 3;
	rig_update(rig.skel->maps.tl_alive, &key, &a);
	s.secs = 0x0200;
	s.n_vlans = 1;
	s.vlan[0] = 42;
	frame_build(&s, &f);
	rig_run_opts(rig.prog, f.b, f.len, NULL, 9, NULL); /* on one CPU */
	ring_buffer__consume(rb);
	assert_in_range(n_events, 3, 3);
	assert_int_equal(last_event.reason, REASON_OURS);
	assert_int_equal(last_event.relation, 1);
	assert_int_equal(last_event.vlan, 42);
	assert_int_equal(last_event.secs, 2);
	assert_int_equal(last_event.bucket, 133);
	assert_int_equal(last_event.hlen, 6);
	assert_memory_equal(last_event.giaddr, s.giaddr, 4);
	assert_memory_equal(last_event.chaddr, s.mac, 6);
	frame_build(&other, &f);
	rig_run_opts(rig.prog, f.b, f.len, NULL, 9, NULL);
	ring_buffer__consume(rb);
	assert_int_equal(n_events, 3);
	rig_update(rig.skel->maps.tl_alive, &key, &world.alive);
	ring_buffer__free(rb);
}

/* A frame in several buffers: wherever the first one ends, the verdict is the same. */
static void test_several_buffers(void **state)
{
	static const unsigned linear[] = { 14, 20, 34, 40, 42, 60, 100, 300, 342 };
	struct filter_counter before[FILTER_REASONS], after[FILTER_REASONS];
	struct frame_spec s = cid_in_file();
	struct frame f;

	(void)state;
	frame_fill(&s, 0, 900);
	frame_build(&s, &f);
	for (unsigned i = 0; i < sizeof(linear) / sizeof(linear[0]); i++) {
		struct xdp_md ctx = { .data_end = linear[i], .ingress_ifindex = RIG_IFINDEX };
		int action;

		rig_verdicts(&rig, before);
		action = rig_run_opts(rig.prog, f.b, f.len, &ctx, 1, NULL);
		rig_verdicts(&rig, after);
		if (action == -EINVAL) {
			print_message("this kernel's test run takes no frame in parts\n");
			skip();
		}
		assert_int_equal(action, XDP_DROP);
		assert_int_equal(rig_counted(before, after), REASON_PARTNERS);
		assert_int_equal(after[REASON_PARTNERS].octets - before[REASON_PARTNERS].octets,
				 f.len);
	}
}

static int setup(void **state)
{
	(void)state;
	rig_open(&rig);
	rig_world(&world);
	rig_apply(&rig, &world, 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	rig_close(&rig);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cases),
		cmocka_unit_test(test_all_reasons_met),
		cmocka_unit_test(test_octets),
		cmocka_unit_test(test_deadline),
		cmocka_unit_test(test_slots),
		cmocka_unit_test(test_vectors),
		cmocka_unit_test(test_bucket_counters),
		cmocka_unit_test(test_relays),
		cmocka_unit_test(test_events),
		cmocka_unit_test(test_several_buffers),
		cmocka_unit_test(test_many_relations),
		cmocka_unit_test(test_two_tables_of_interfaces),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
