#pragma once
/*
 * twinbench: its command line. Whatever is wrong there ends it with a line that says so.
 */
#include "bench.h"

#define BENCH_PHASES 256

struct options {
	struct bench_conf conf;
	struct bench_event event;
	const char *leases, *resume;
	enum bench_phase phase[BENCH_PHASES];
	unsigned n_phases, n_servers, n_relays;
	uint32_t server[BENCH_SERVERS], giaddr[BENCH_RELAYS];
	bool buckets, perfdhcp, strict;
};

void bench_options_parse(struct options *o, int argc, char **argv);
void bench_die(const char *what, const char *value);
