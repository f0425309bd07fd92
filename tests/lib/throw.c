/*
 * throw - octets that nobody should send, at a running daemon: mutants of the fuzzers' corpora as
 * datagrams to UDP port 67, or as streams to a TCP port. Used by tests/netns/test_bad_input.
 *
 *   throw udp ADDRESS SOURCE SECONDS SEED FILE...   from SOURCE:67
 *   throw tcp ADDRESS:PORT SOURCE SECONDS SEED FILE...   from SOURCE, a new connection now and then
 *
 * The seed gives the same octets again. Prints how much was sent.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define SEEDS_MAX 512
#define SEED_LEN 2048

static struct {
	size_t len;
	uint8_t data[SEED_LEN];
} corpus[SEEDS_MAX];
static unsigned n_corpus;
static uint64_t state;

static uint32_t chance(uint32_t below)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (uint32_t)(state >> 32) % below;
}

static void load(const char *file)
{
	FILE *f = fopen(file, "re");

	if (!f || n_corpus == SEEDS_MAX) {
		if (f)
			fclose(f);
		return;
	}
	corpus[n_corpus].len = fread(corpus[n_corpus].data, 1, SEED_LEN, f);
	if (corpus[n_corpus].len)
		n_corpus++;
	fclose(f);
}

/* One change; codes and lengths that mean something are tried more often than noise. */
static size_t mutate_once(uint8_t *p, size_t len)
{
	static const uint8_t telling[] = { 0,  1,  2,  4,   12,	 50,  52, 53,
					   54, 61, 82, 118, 127, 128, 255 };
	uint32_t at = len ? chance((uint32_t)len) : 0, n;

	switch (chance(7)) {
	case 0:
		p[at] ^= (uint8_t)(1u << chance(8));
		break;
	case 1:
		p[at] = telling[chance(sizeof(telling))];
		break;
	case 2: /* options, or what follows a failover header */
		if (len > 244)
			p[240 + chance((uint32_t)len - 240)] = telling[chance(sizeof(telling))];
		break;
	case 3:
		len = at ? at : len;
		break;
	case 4:
		n = 1 + chance(64);
		if (len + n <= SEED_LEN) {
			memmove(p + at + n, p + at, len - at);
			memset(p + at, (int)chance(256), n);
			len += n;
		}
		break;
	case 5:
		n = 1 + chance(32);
		for (uint32_t i = at; i < len && i < at + n; i++)
			p[i] = (uint8_t)chance(256);
		break;
	case 6: /* another seed's end */
		n = chance(n_corpus);
		if (corpus[n].len > at) {
			memcpy(p + at, corpus[n].data + at, corpus[n].len - at);
			len = corpus[n].len;
		}
		break;
	}
	return len;
}

static size_t next_message(uint8_t out[SEED_LEN])
{
	unsigned i = chance(n_corpus), times = chance(6);
	size_t len = corpus[i].len;

	memcpy(out, corpus[i].data, len);
	while (times-- > 0)
		len = mutate_once(out, len);
	return len;
}

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static struct sockaddr_in address(const char *text, uint16_t port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(port) };
	char host[64];
	const char *colon = strchr(text, ':');

	snprintf(host, sizeof(host), "%.*s", colon ? (int)(colon - text) : (int)strlen(text), text);
	if (colon)
		a.sin_port = htons((uint16_t)atoi(colon + 1));
	if (inet_aton(host, &a.sin_addr))
		return a;
	fprintf(stderr, "throw: not an address: %s\n", text);
	exit(2);
}

static int open_socket(int type, const struct sockaddr_in *from)
{
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0), on = 1;

	if (fd >= 0)
		(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (fd >= 0 && bind(fd, (const struct sockaddr *)from, sizeof(*from)) == 0)
		return fd;
	perror("throw: socket");
	exit(2);
}

/* Giaddr at random: ours (so that it is judged as a relayed one), none, or any. */
static void set_giaddr(uint8_t *p, size_t len, const struct sockaddr_in *from)
{
	if (len >= 28 && chance(4))
		memcpy(p + 24, &from->sin_addr, 4);
}

static unsigned long throw_udp(const struct sockaddr_in *to, const struct sockaddr_in *from,
			       double until)
{
	int fd = open_socket(SOCK_DGRAM, from);
	uint8_t p[SEED_LEN], answer[SEED_LEN];
	unsigned long sent = 0;

	while (seconds() < until) {
		size_t len = next_message(p);

		set_giaddr(p, len, from);
		if (sendto(fd, p, len, 0, (const struct sockaddr *)to, sizeof(*to)) < 0)
			continue;
		sent++;
		while (recv(fd, answer, sizeof(answer), MSG_DONTWAIT) > 0)
			;
		if (sent % 64 == 0) /* as fast as it is taken, not as fast as it can be dropped */
			(void)poll(NULL, 0, 1);
	}
	close(fd);
	return sent;
}

static unsigned long one_connection(int fd, double until)
{
	unsigned messages = 1 + chance(12);
	uint8_t p[SEED_LEN], answer[SEED_LEN];
	unsigned long sent = 0;

	while (messages-- > 0 && seconds() < until) {
		struct pollfd in = { fd, POLLIN, 0 };
		size_t len = next_message(p), cut = chance(3) ? len : chance((uint32_t)len + 1);

		if (send(fd, p, cut, MSG_NOSIGNAL) < 0)
			break;
		sent++;
		if (poll(&in, 1, (int)chance(4)) > 0 &&
		    recv(fd, answer, sizeof(answer), MSG_DONTWAIT) == 0)
			break;
	}
	return sent;
}

static unsigned long throw_tcp(const struct sockaddr_in *to, const struct sockaddr_in *from,
			       double until)
{
	struct linger at_once = { 1, 0 };
	struct timeval limit = { 1, 0 };
	unsigned long sent = 0;

	while (seconds() < until) {
		int fd = open_socket(SOCK_STREAM, from);

		(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
		if (chance(2))
			(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
		if (connect(fd, (const struct sockaddr *)to, sizeof(*to)) == 0)
			sent += one_connection(fd, until);
		else
			(void)poll(NULL, 0, 5);
		close(fd);
	}
	return sent;
}

int main(int argc, char **argv)
{
	struct sockaddr_in to, from;
	unsigned long sent;
	double until;
	int tcp;

	if (argc < 7) {
		fprintf(stderr,
			"usage: throw udp|tcp ADDRESS[:PORT] SOURCE SECONDS SEED FILE...\n");
		return 2;
	}
	tcp = !strcmp(argv[1], "tcp");
	to = address(argv[2], tcp ? 647 : 67);
	from = address(argv[3], tcp ? 0 : 67);
	until = seconds() + atof(argv[4]);
	state = strtoull(argv[5], NULL, 0) * 2654435761u + 88172645463325252u;
	for (int i = 6; i < argc; i++)
		load(argv[i]);
	if (!n_corpus) {
		fprintf(stderr, "throw: no corpus\n");
		return 2;
	}
	sent = tcp ? throw_tcp(&to, &from, until) : throw_udp(&to, &from, until);
	printf("%lu %s thrown, seed %s\n", sent, tcp ? "messages" : "datagrams", argv[5]);
	return 0;
}
