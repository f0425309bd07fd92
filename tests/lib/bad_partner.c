/*
 * bad_partner - a failover partner that frames its messages well and means no good: floods, wrong
 * order, absurd values, half-open connections, a reader that never reads, random walks through the
 * states. Used by tests/netns/test_bad_partner and test_many.
 *
 *   bad_partner connect ADDRESS[:PORT] OPTIONS   plays the primary, or a stranger
 *   bad_partner listen ADDRESS[:PORT] OPTIONS    plays the secondary: our primary connects to it
 *   bad_partner crowd ADDRESS[:PORT] OPTIONS     --count connections that say nothing, at once
 * options: --source ADDRESS, --name NAME, --seconds S, --seed N, --first ADDRESS --last ADDRESS
 * (what bindings are about, beside addresses of nobody), --only MANNER, --mean: also with what
 * takes the service away by the rules (walks through the states, a storage that was lost)
 *
 * The seed gives the same course again, as far as the other side's timing does not decide it.
 * Prints how often each manner was tried and how much was said.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "core/fo_fsm.h"
#include "core/fo_msg.h"

static struct {
	struct sockaddr_in at, source;
	const char *name, *only;
	double until;
	uint32_t first, last;
	unsigned count;
	bool listens, mean;
	int listener;
} self = { .name = "campus", .count = 10000 };

static uint64_t chance_state = 1;
static unsigned long said, heard, links;

/* One connection: what of the other's messages has come in part. */
struct link {
	int fd;
	size_t have;
	uint8_t in[4 * FO_MSG_MAX];
	uint32_t xid;
	bool own_kind, deaf, dead;
};

/* --- chance, time ----------------------------------------------------------------------------- */

static uint32_t chance(uint32_t below)
{
	chance_state ^= chance_state << 13;
	chance_state ^= chance_state >> 7;
	chance_state ^= chance_state << 17;
	return below ? (uint32_t)(chance_state >> 32) % below : 0;
}

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static wall_t wall(void)
{
	return (wall_t){ time(NULL) };
}

/* Sometimes what is right, else an edge, else anything. */
static uint32_t odd(uint32_t right)
{
	static const uint32_t edges[] = { 0,	      1,	  0x7fffffff, 0x80000000,
					  0xfffffffe, 0xffffffff, 60,	      86400 };

	switch (chance(3)) {
	case 0:
		return right;
	case 1:
		return edges[chance(sizeof(edges) / sizeof(edges[0]))];
	default:
		return (uint32_t)chance_state;
	}
}

static uint32_t some_address(void)
{
	if (!chance(6)) /* nobody's, or everybody's */
		return odd(0x0a400001);
	return self.first + chance(self.last - self.first + 1);
}

/* --- the connection --------------------------------------------------------------------------- */

static int new_socket(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;

	if (fd < 0)
		return -1;
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (self.source.sin_addr.s_addr &&
	    bind(fd, (struct sockaddr *)&self.source, sizeof(self.source)) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

/* Sent whole or not at all, for the next message must begin where this one ends; a partner that
 * does not take it for a second is given up. */
static bool say(struct link *l, const void *p, size_t len)
{
	size_t done = 0;

	while (len && done < len && !l->dead) {
		struct pollfd out = { l->fd, POLLOUT, 0 };
		ssize_t n = send(l->fd, (const uint8_t *)p + done, len - done,
				 MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n > 0)
			done += (size_t)n;
		else if (n < 0 && errno != EAGAIN)
			l->dead = true;
		else if (poll(&out, 1, 1000) <= 0)
			l->dead = true;
	}
	said += !l->dead;
	return !l->dead;
}

static bool next_in(struct link *l, struct fo_msg *m)
{
	size_t len = fo_msg_length(l->in, l->have);

	return len && len <= l->have && fo_msg_decode(l->in, l->have, m) == FO_OK;
}

static void taken(struct link *l, size_t len)
{
	memmove(l->in, l->in + len, l->have - len);
	l->have -= len;
	heard++;
}

static bool hear(struct link *l, int wait_ms)
{
	struct pollfd in = { l->fd, POLLIN, 0 };
	ssize_t n;

	if (l->dead || l->deaf || l->have == sizeof(l->in) || poll(&in, 1, wait_ms) <= 0)
		return false;
	n = recv(l->fd, l->in + l->have, sizeof(l->in) - l->have, MSG_DONTWAIT);
	if (n <= 0 && !(n < 0 && errno == EAGAIN))
		l->dead = true;
	else if (n > 0)
		l->have += (size_t)n;
	return n > 0;
}

static void hang_up(struct link *l)
{
	struct linger at_once = { 1, 0 };

	if (l->fd < 0)
		return;
	if (chance(4)) /* else the other side has to find out */
		(void)setsockopt(l->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
	close(l->fd);
	l->fd = -1;
}

/* --- messages --------------------------------------------------------------------------------- */

static void begin(struct link *l, struct fo_writer *w, uint8_t *buf, uint8_t type)
{
	wall_t t = wall();

	if (self.mean && !chance(20))
		t.sec = odd((uint32_t)t.sec);
	fo_write_begin(w, buf, FO_MSG_MAX, type, t, ++l->xid);
}

static bool plain(struct link *l, uint8_t type)
{
	uint8_t buf[FO_MSG_MAX];
	struct fo_writer w;

	begin(l, &w, buf, type);
	return say(l, buf, fo_write_end(&w));
}

static bool say_state(struct link *l, uint8_t state, bool startup)
{
	struct fo_state_msg s = { state, startup, self.mean ? odd((uint32_t)wall().sec) : 0 };
	uint8_t buf[FO_MSG_MAX];
	struct fo_writer w;

	begin(l, &w, buf, FO_STATE);
	fo_write_state(&w, &s);
	return say(l, buf, fo_write_end(&w));
}

/* @absurd: with values that no server means. */
static struct fo_connect introduction(const struct link *l, bool absurd)
{
	struct fo_connect c = {
		.name = { (const uint8_t *)self.name, (uint32_t)strlen(self.name) },
		.max_unacked = 1000,
		.receive_timer = 60,
		.mclt = 30,
		.version = 1,
		.has = 1u << FO_OPT_RELATIONSHIP_NAME | 1u << FO_OPT_VENDOR_CLASS |
		       1u << FO_OPT_MAX_UNACKED | 1u << FO_OPT_RECEIVE_TIMER | 1u << FO_OPT_VERSION,
	};
	const char *vendor = l->own_kind ? FO_VENDOR_CLASS : "isc-V4.4.3";

	c.vendor = (struct octets){ (const uint8_t *)vendor, (uint32_t)strlen(vendor) };
	if (l->own_kind)
		c.has |= 1u << FO_OPT_VENDOR_SPECIFIC;
	if (!absurd)
		return c;
	c.max_unacked = odd(1000);
	c.receive_timer = odd(60);
	c.mclt = odd(30);
	c.version = (uint8_t)odd(1);
	c.tls = (uint8_t)chance(4) ? 0 : (uint8_t)chance(256);
	c.start_count = (uint64_t)odd(1) << 32 | odd(1);
	for (unsigned i = 0; i < sizeof(c.hba); i++)
		c.hba[i] = (uint8_t)chance(256);
	return c;
}

/* Options that the codec would never write: lengths, and names as long as a message. */
static void spoil_connect(struct fo_writer *w)
{
	uint8_t junk[1800];

	for (size_t i = 0; i < sizeof(junk); i++)
		junk[i] = (uint8_t)chance(256);
	switch (chance(5)) {
	case 0:
		fo_write_opt(w, FO_OPT_HBA, junk, chance(64));
		break;
	case 1:
		fo_write_opt(w, FO_OPT_RELATIONSHIP_NAME, junk, chance(sizeof(junk)));
		break;
	case 2:
		fo_write_opt(w, FO_OPT_VENDOR_SPECIFIC, junk, chance(600));
		break;
	case 3: /* an option of 65535 octets in a message that is shorter */
		fo_write_opt(w, (uint16_t)chance(64), junk, 4);
		w->buf[w->len - 6] = w->buf[w->len - 5] = 0xff;
		break;
	default:
		fo_write_opt(w, (uint16_t)odd(14), junk, chance(300));
		break;
	}
}

static bool introduce(struct link *l, bool absurd, uint32_t xid)
{
	struct fo_connect c = introduction(l, absurd);
	uint8_t buf[FO_MSG_MAX];
	struct fo_writer w;

	begin(l, &w, buf, self.listens ? FO_CONNECTACK : FO_CONNECT);
	if (self.listens) {
		memcpy(buf + 8, (uint8_t[]){ (uint8_t)(xid >> 24), (uint8_t)(xid >> 16),
					     (uint8_t)(xid >> 8), (uint8_t)xid },
		       4);
		fo_write_connectack(&w, &c);
	} else {
		c.has |= 1u << FO_OPT_TLS_REQUEST | 1u << FO_OPT_MCLT | 1u << FO_OPT_HBA;
		fo_write_connect(&w, &c);
	}
	if (absurd && chance(2))
		spoil_connect(&w);
	return say(l, buf, fo_write_end(&w));
}

/* One binding that may be anything. */
static void bad_binding(struct fo_binding *b, uint8_t id[255], uint8_t chaddr[64])
{
	uint32_t now = (uint32_t)wall().sec;

	for (unsigned i = 0; i < 255; i++)
		id[i] = (uint8_t)chance(256);
	memcpy(chaddr, id, 64);
	*b = (struct fo_binding){
		.addr = some_address(),
		.status = (uint8_t)(chance(8) ? 1 + chance(7) : chance(256)),
		.expires = odd(now + 3600),
		.pet = odd(now + 7200),
		.stos = odd(now),
		.cltt = odd(now),
		.ip_flags = (uint16_t)(chance(4) ? 0 : chance(65536)),
		.serial = (uint64_t)odd(0) << 32 | odd(1000),
		.has_serial = chance(8),
		.run = chance(3) ? 0 : odd(40),
	};
	if (chance(4))
		b->chaddr = (struct octets){ chaddr, chance(8) ? 7 : chance(64) };
	if (chance(2))
		b->client_id = (struct octets){ id, chance(8) ? 7 : 255 };
}

static bool say_bindings(struct link *l)
{
	unsigned n = chance(3) ? 1 + chance(3) : 40;
	bool same = !chance(4); /* 40 times one address */
	uint8_t buf[FO_MSG_MAX], id[255], chaddr[64];
	struct fo_binding b, one;
	struct fo_writer w;

	begin(l, &w, buf, FO_BNDUPD);
	bad_binding(&one, id, chaddr);
	while (n--) {
		bad_binding(&b, id, chaddr);
		if (same)
			b.addr = one.addr;
		if (!fo_write_binding(&w, &b, l->own_kind))
			break;
	}
	return say(l, buf, fo_write_end(&w));
}

/* Acknowledge what was sent to us: rightly, twice, under another number, or refused. */
static bool bad_ack(struct link *l, const struct fo_msg *m)
{
	uint8_t buf[FO_MSG_MAX];
	unsigned cursor = 0, how = chance(6);
	struct fo_writer w;
	struct fo_binding b;

	if (how == 5)
		return true;
	fo_write_begin(&w, buf, sizeof(buf), FO_BNDACK, wall(), how == 4 ? odd(m->xid) : m->xid);
	while (fo_msg_next_binding(m, &cursor, &b)) {
		uint32_t addr = how == 3 ? some_address() : b.addr;

		(void)fo_write_ack(&w, addr, how == 2 ? (enum fo_reject)(1 + chance(30)) : 0, "no");
		if (how == 1)
			(void)fo_write_ack(&w, addr, 0, NULL);
	}
	return say(l, buf, fo_write_end(&w));
}

static bool say_ack_of_nothing(struct link *l)
{
	uint8_t buf[FO_MSG_MAX];
	struct fo_writer w;

	fo_write_begin(&w, buf, sizeof(buf), FO_BNDACK, wall(), odd(chance(100)));
	for (unsigned n = chance(40); n; n--)
		(void)fo_write_ack(&w, some_address(), (enum fo_reject)chance(30), "no");
	return say(l, buf, fo_write_end(&w));
}

/* What came: read, answered as badly as it may be, or forgotten. */
static void listen_badly(struct link *l, int wait_ms)
{
	struct fo_msg m;

	(void)hear(l, wait_ms);
	while (!l->dead && next_in(l, &m)) {
		uint16_t len = m.len;

		if (m.type == FO_BNDUPD)
			(void)bad_ack(l, &m);
		taken(l, len);
	}
}

static bool say_anything(struct link *l, uint8_t type)
{
	switch (type) {
	case FO_BNDUPD:
		return say_bindings(l);
	case FO_BNDACK:
		return say_ack_of_nothing(l);
	case FO_STATE: /* NORMAL: whatever else takes the service away by the rules */
		return say_state(l, FO_NORMAL, !chance(8));
	case FO_CONNECT:
	case FO_CONNECTACK:
		return introduce(l, self.mean, l->xid);
	default:
		return plain(l, type);
	}
}

/* --- manners ---------------------------------------------------------------------------------- */

static bool over(double end)
{
	double now = seconds();

	return now >= end || now >= self.until;
}

static double for_a_while(double most)
{
	return seconds() + most * (0.2 + chance(80) / 100.0);
}

/* The handshake in order; then NORMAL, as one who was never away. */
static bool shake_hands(struct link *l)
{
	double end = seconds() + 2;
	struct fo_msg m;

	if (!self.listens && !introduce(l, false, 0))
		return false;
	while (!l->dead && !over(end)) {
		uint16_t len;

		(void)hear(l, 50);
		if (!next_in(l, &m))
			continue;
		len = m.len;
		if (m.type == FO_CONNECTACK || m.type == FO_CONNECT) {
			bool rejected = fo_msg_opt(&m, FO_OPT_REJECT_REASON).p != NULL;

			if (self.listens && !introduce(l, false, m.xid))
				return false;
			taken(l, len);
			return !rejected && say_state(l, FO_NORMAL, false);
		}
		taken(l, len);
	}
	return false;
}

static void flood(struct link *l)
{
	static const uint8_t types[] = { FO_BNDUPD,  FO_UPDREQALL, FO_POOLREQ, FO_STATE, FO_CONTACT,
					 FO_CONNECT, FO_UPDREQ,	   FO_BNDACK,  FO_UPDDONE };
	uint8_t type = types[chance(sizeof(types))];
	double end = for_a_while(3);

	if (!shake_hands(l))
		return;
	while (!l->dead && !over(end)) {
		for (unsigned i = 0; i < 64 && say_anything(l, type); i++)
			;
		listen_badly(l, 0);
	}
}

static void flood_mixed(struct link *l)
{
	double end = for_a_while(3);

	if (!shake_hands(l))
		return;
	while (!l->dead && !over(end)) {
		uint8_t type = (uint8_t)(1 + chance(11));

		if (type != FO_CONNECT && type != FO_CONNECTACK)
			(void)say_anything(l, type);
		listen_badly(l, 0);
	}
}

/* Asks for everything and reads nothing. */
static void never_read(struct link *l)
{
	double end = for_a_while(5);

	if (!shake_hands(l))
		return;
	l->deaf = true;
	while (!l->dead && !over(end))
		for (unsigned i = 0; i < 16; i++)
			(void)plain(l, chance(2) ? FO_UPDREQALL : FO_POOLREQ);
}

static void wrong_order(struct link *l)
{
	for (unsigned n = 1 + chance(5); n && !l->dead; n--) {
		(void)say_anything(l, (uint8_t)(1 + chance(12)));
		listen_badly(l, (int)chance(20));
	}
}

static void absurd_connect(struct link *l)
{
	double end = for_a_while(0.5);

	if (self.listens)
		(void)hear(l, 500);
	if (introduce(l, true, 1))
		(void)say_state(l, FO_NORMAL, false);
	while (!l->dead && !over(end))
		listen_badly(l, 50);
}

static void garbage(struct link *l)
{
	uint8_t junk[4096];

	if (chance(2) && !shake_hands(l))
		return;
	for (unsigned n = 1 + chance(8); n && !l->dead; n--) {
		for (size_t i = 0; i < sizeof(junk); i++)
			junk[i] = (uint8_t)chance(256);
		if (chance(2)) { /* a length that could be */
			junk[0] = (uint8_t)chance(9);
			junk[2] = (uint8_t)chance(14);
			junk[3] = 12;
		}
		(void)say(l, junk, 1 + chance(sizeof(junk)));
		listen_badly(l, 1);
	}
}

/* Half a message, octet by octet, or nothing. */
static void dawdle(struct link *l)
{
	uint8_t junk[64] = { 0, 64, FO_CONNECT, 12 };
	double end = for_a_while(1);

	for (unsigned i = 0; i < sizeof(junk) - 1 && !l->dead && !over(end); i++) {
		(void)say(l, junk + i, 1);
		listen_badly(l, 20);
	}
}

static void walk(struct link *l)
{
	static const uint8_t states[] = { 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 254, 254, 0, 1, 12, 255 };
	double end = for_a_while(3);

	if (!shake_hands(l))
		return;
	while (!l->dead && !over(end)) {
		(void)say_state(l, states[chance(chance(20) ? 12 : sizeof(states))], !chance(8));
		for (unsigned n = chance(4); n && !l->dead; n--)
			(void)say_anything(l, (uint8_t)(1 + chance(11)));
		listen_badly(l, (int)chance(30));
	}
}

static struct manner {
	const char *name;
	void (*play)(struct link *l);
	bool mean; /* takes the service away by the rules */
	unsigned long times;
} manners[] = {
	{ "flood", flood, false, 0 },
	{ "flood-mixed", flood_mixed, false, 0 },
	{ "never-read", never_read, false, 0 },
	{ "wrong-order", wrong_order, false, 0 },
	{ "garbage", garbage, false, 0 },
	{ "dawdle", dawdle, false, 0 },
	{ "absurd-connect", absurd_connect, true, 0 },
	{ "walk", walk, true, 0 },
};
#define N_MANNERS (sizeof(manners) / sizeof(manners[0]))

static struct manner *next_manner(void)
{
	for (;;) {
		struct manner *m = &manners[chance(N_MANNERS)];

		if (self.only ? !strcmp(self.only, m->name) : self.mean || !m->mean)
			return m;
	}
}

/* --- life ------------------------------------------------------------------------------------- */

static int get_connection(void)
{
	struct pollfd in = { self.listener, POLLIN, 0 };
	int fd;

	if (self.listens)
		return poll(&in, 1, 200) > 0 ? accept(self.listener, NULL, NULL) : -1;
	fd = new_socket();
	if (fd >= 0 && connect(fd, (struct sockaddr *)&self.at, sizeof(self.at)) == 0)
		return fd;
	if (fd >= 0)
		close(fd);
	(void)poll(NULL, 0, 5);
	return -1;
}

static void play(void)
{
	static struct link l; /* large */

	while (seconds() < self.until) {
		struct manner *m = next_manner();

		l = (struct link){ .fd = get_connection(), .own_kind = chance(4) };
		if (l.fd < 0)
			continue;
		links++;
		m->times++;
		m->play(&l);
		hang_up(&l);
	}
}

static void open_listener(void)
{
	int on = 1;

	self.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	(void)setsockopt(self.listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(self.listener, (struct sockaddr *)&self.at, sizeof(self.at)) == 0 &&
	    listen(self.listener, 64) == 0)
		return;
	perror("bad_partner: cannot listen");
	exit(1);
}

/* Many connections that say nothing: how many the other side holds at the end. */
static void crowd(void)
{
	struct rlimit lim = { self.count + 64, self.count + 64 };
	struct pollfd *p = calloc(self.count, sizeof(*p));
	unsigned n = 0, open = 0;

	if (!p || setrlimit(RLIMIT_NOFILE, &lim) < 0) {
		perror("bad_partner: crowd");
		exit(1);
	}
	for (; n < self.count; n++) {
		p[n].fd = new_socket();
		if (p[n].fd < 0)
			break;
		(void)fcntl(p[n].fd, F_SETFL, O_NONBLOCK);
		(void)connect(p[n].fd, (struct sockaddr *)&self.at, sizeof(self.at));
		p[n].events = POLLIN;
		if (n % 64 == 0)
			(void)poll(NULL, 0, 1);
	}
	while (seconds() < self.until)
		(void)poll(NULL, 0, 100);
	(void)poll(p, n, 0);
	for (unsigned i = 0; i < n; i++)
		open += !p[i].revents;
	printf("%u connections, %u still open\n", n, open);
	free(p);
}

static struct sockaddr_in address(const char *text, uint16_t port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(port) };
	const char *colon = strchr(text, ':');
	char host[64];

	snprintf(host, sizeof(host), "%.*s", colon ? (int)(colon - text) : (int)strlen(text), text);
	if (colon)
		a.sin_port = htons((uint16_t)atoi(colon + 1));
	if (inet_aton(host, &a.sin_addr))
		return a;
	fprintf(stderr, "bad_partner: not an address: %s\n", text);
	exit(2);
}

static void set_option(int c)
{
	switch (c) {
	case 's':
		self.source = address(optarg, 0);
		break;
	case 'n':
		self.name = optarg;
		break;
	case 't':
		self.until = seconds() + atof(optarg);
		break;
	case 'x':
		chance_state = strtoull(optarg, NULL, 0) * 2654435761u + 88172645463325252u;
		break;
	case 'f':
		self.first = ntohl(address(optarg, 0).sin_addr.s_addr);
		break;
	case 'l':
		self.last = ntohl(address(optarg, 0).sin_addr.s_addr);
		break;
	case 'o':
		self.only = optarg;
		break;
	case 'c':
		self.count = (unsigned)atoi(optarg);
		break;
	case 'm':
		self.mean = true;
		break;
	default:
		exit(2);
	}
}

static void show(void)
{
	printf("%lu connections, %lu messages said, %lu heard:", links, said, heard);
	for (unsigned i = 0; i < N_MANNERS; i++)
		printf(" %s %lu", manners[i].name, manners[i].times);
	printf("\n");
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "source", 1, NULL, 's' }, { "name", 1, NULL, 'n' },  { "seconds", 1, NULL, 't' },
		{ "seed", 1, NULL, 'x' },   { "first", 1, NULL, 'f' }, { "last", 1, NULL, 'l' },
		{ "only", 1, NULL, 'o' },   { "count", 1, NULL, 'c' }, { "mean", 0, NULL, 'm' },
		{ NULL, 0, NULL, 0 }
	};
	bool known = false;
	int c;

	self.until = seconds() + 10;
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1)
		set_option(c);
	if (argc - optind != 2) {
		fprintf(stderr,
			"usage: bad_partner connect|listen|crowd ADDRESS[:PORT] [options]\n");
		return 2;
	}
	for (unsigned i = 0; i < N_MANNERS; i++)
		known |= self.only && !strcmp(self.only, manners[i].name);
	if ((self.only && !known) || self.last < self.first) {
		fprintf(stderr, "bad_partner: no such manner, or --last before --first\n");
		return 2;
	}
	(void)signal(SIGPIPE, SIG_IGN);
	self.at = address(argv[optind + 1], 647);
	if (!strcmp(argv[optind], "crowd")) {
		crowd();
		return 0;
	}
	self.listens = !strcmp(argv[optind], "listen");
	if (self.listens)
		open_listener();
	play();
	show();
	return 0;
}
