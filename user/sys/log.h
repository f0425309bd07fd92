#pragma once
/*
 * Log lines and events: fixed words plus key=value. Every event is a log line too; the last ones
 * stay in a ring that the API reads. Octets from outside are escaped; lines that a packet can
 * trigger are rate-limited by the caller with log_allow.
 */
#include <stddef.h>
#include <stdint.h>
#include "core/types.h"

enum log_level { LOG_L_ERROR, LOG_L_WARNING, LOG_L_INFO, LOG_L_DEBUG };

void log_setup(enum log_level level, int format /* enum conf_log_format */);
/* log_event(LOG_L_INFO, "state-changed", "relationship=%s from=%s to=%s", ...): values with
 * spaces are quoted by the caller with log_quote. */
void log_event(enum log_level level, const char *what, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* A line that is no event: printed at any level, and not kept in the ring, which many such lines
 * would empty of what happened to the server. */
void log_line(const char *what, const char *detail);
void log_debug(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

struct log_record {
	uint64_t seq;	 /* from 1 */
	int64_t wall_us; /* UTC */
	enum log_level level;
	char what[40];
	char detail[560]; /* key=value ... */
};
#define LOG_RING 1024
/* Copy out the records after @seq, oldest first. Return: how many. */
unsigned log_ring_read(uint64_t seq, struct log_record *ret, unsigned max);
uint64_t log_ring_last(void);
/* Called after each new event (the API wakes its followers). NULL: nobody. */
void log_ring_watch(void (*cb)(void *), void *ctx);

/* Token bucket for lines that packets trigger: at most @per_min a minute. When a line is allowed,
 * @dropped says how many were left out since the last one. */
struct log_limit {
	mono_t since;
	unsigned n, dropped;
};
bool log_allow(struct log_limit *l, unsigned per_min, mono_t now);
/* Printable form of octets: \xNN for what is neither ASCII nor UTF-8 that prints; in double quotes
 * where it is empty or holds a space or an equals sign; cut to @size; always terminated. Returns
 * @buf. */
const char *log_quote(const void *p, size_t len, char *buf, size_t size);
