#pragma once
/*
 * TCP streams out of a pcap file, one per direction, for tests against recorded traffic. Ethernet,
 * IPv4, microsecond little-endian files; a hole in a stream is an error (-EBADMSG).
 */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PCAP_STREAMS 256
#define PCAP_STREAM_MAX 65536

struct pcap_stream {
	uint32_t saddr, daddr, seq; /* seq: of the first octet */
	uint16_t sport, dport;
	size_t len;
	uint8_t *data;
};

struct pcap_streams {
	struct pcap_stream s[PCAP_STREAMS];
	unsigned n;
};

static inline uint32_t pcap_be(const uint8_t *p, unsigned n)
{
	uint32_t v = 0;

	while (n--)
		v = v << 8 | *p++;
	return v;
}

static inline void pcap_free(struct pcap_streams *f)
{
	for (unsigned i = 0; i < f->n; i++)
		free(f->s[i].data);
	f->n = 0;
}

/* The latest stream of these addresses and ports; a SYN with another number begins a new one. */
static inline struct pcap_stream *pcap_find(struct pcap_streams *f, const uint8_t *ip,
					    const uint8_t *tcp, uint32_t seq, bool syn)
{
	uint32_t saddr = pcap_be(ip + 12, 4), daddr = pcap_be(ip + 16, 4);
	uint16_t sport = (uint16_t)pcap_be(tcp, 2), dport = (uint16_t)pcap_be(tcp + 2, 2);
	struct pcap_stream *s;

	for (unsigned i = f->n; i--;) {
		s = &f->s[i];
		if (s->saddr == saddr && s->daddr == daddr && s->sport == sport &&
		    s->dport == dport && !(syn && s->seq != seq))
			return s;
	}
	if (f->n == PCAP_STREAMS)
		return NULL;
	s = &f->s[f->n];
	*s = (struct pcap_stream){ saddr, daddr, seq, sport, dport, 0, malloc(PCAP_STREAM_MAX) };
	if (!s->data)
		return NULL;
	f->n++;
	return s;
}

static inline int pcap_segment(struct pcap_streams *f, const uint8_t *p, size_t len)
{
	const uint8_t *ip = p + 14, *tcp;
	size_t ihl, doff, total, have, skip;
	struct pcap_stream *s;
	uint32_t seq;
	bool syn;

	if (len < 34 || pcap_be(p + 12, 2) != 0x0800 || ip[9] != 6)
		return 0;
	ihl = (ip[0] & 15u) * 4;
	total = pcap_be(ip + 2, 2);
	tcp = ip + ihl;
	if (total > len - 14 || total < ihl + 20)
		return -EBADMSG;
	doff = (tcp[12] >> 4) * 4u;
	if (total < ihl + doff)
		return -EBADMSG;
	have = total - ihl - doff;
	syn = tcp[13] & 2;
	if (!have && !syn)
		return 0;
	seq = pcap_be(tcp + 4, 4) + syn;
	s = pcap_find(f, ip, tcp, seq, syn);
	if (!s)
		return -ENOSPC;
	skip = s->seq + (uint32_t)s->len - seq; /* octets seen before */
	if (skip >= 0x80000000u)
		return -EBADMSG;
	if (skip >= have)
		return 0;
	if (s->len + have - skip > PCAP_STREAM_MAX)
		return -ENOSPC;
	memcpy(s->data + s->len, tcp + doff + skip, have - skip);
	s->len += have - skip;
	return 0;
}

/**
 * pcap_read - all streams of a file
 * Return: 0, or -errno; pcap_free in either case.
 */
static inline int pcap_read(const char *path, struct pcap_streams *ret)
{
	uint8_t head[24], rec[16], *p = malloc(PCAP_STREAM_MAX);
	FILE *in = fopen(path, "rb");
	uint32_t len;
	int r = 0;

	ret->n = 0;
	if (!in || !p || fread(head, sizeof(head), 1, in) != 1 ||
	    memcmp(head, "\xd4\xc3\xb2\xa1", 4) || head[20] != 1)
		r = in ? -EBADMSG : -ENOENT;
	while (!r && fread(rec, sizeof(rec), 1, in) == 1) {
		memcpy(&len, rec + 8, 4);
		if (len > PCAP_STREAM_MAX || fread(p, len, 1, in) != 1)
			r = -EBADMSG;
		else
			r = pcap_segment(ret, p, len);
	}
	if (in)
		fclose(in);
	free(p);
	return r;
}
