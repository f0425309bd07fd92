#pragma once
/*
 * What the file said, value by value, each of the right kind and in its range, with its default
 * where it said nothing. How the values fit together is not looked at here. One table (schema.c)
 * names every key; read.c carries it out.
 */
#include <netinet/in.h>
#include "conf/tree.h"
#include "conf/value.h"

struct raw_list {
	void *v; /* array of the section's struct, or of const char * or struct raw_span */
	unsigned n;
};

struct raw_text { /* where messages about an item of a list point */
	const char *s;
	const struct node *node;
};

struct raw_span {
	struct span span;
	const struct node *node;
};

struct raw_octets {
	const uint8_t *p; /* NULL: not given */
	size_t len;
};

/* Each begins with its node; NULL when the section is not in the file. */
struct raw_log {
	const struct node *node;
	int level, format;
	bool leases;
};

struct raw_server {
	const struct node *node;
	const char *name;	    /* NULL: not given, likewise the others */
	struct raw_list interfaces; /* struct raw_text */
	const char *state_directory;
	bool authoritative;
	const char *user;
	uint32_t identifier, offer_hold;
	struct raw_log log;
};

struct raw_filter {
	const struct node *node;
	int mode;
	const char *pin_directory;
	uint32_t fail_open_after; /* 0: not given */
};

struct raw_api {
	const struct node *node;
	struct raw_list listen; /* struct raw_text */
	bool read_only;
};

struct raw_authentication { /* the node is a scalar where `off` stands there */
	const struct node *node;
	int algorithm;
	const char *secret_file, *former_secret_file; /* NULL: not given */
};

struct raw_tls { /* likewise */
	const struct node *node;
	const char *certificate, *key, *partner_ca, *partner_name;
};

struct raw_relation {
	const struct node *node;
	const char *name;
	int role, mode, active, dialect, hash_identity, after_outage, lease_limit; /* words, by
										    place */
	struct sockaddr_in local, partner; /* sin_family 0: not given, or bad and told */
	uint32_t local_share, standby_reserve, secs_threshold;
	const uint8_t *buckets; /* 32 octets; NULL: not given */
	uint32_t mclt, auto_partner_down, max_unacked, max_clock_skew;
	uint32_t contact_timeout; /* 0: not given */
	uint32_t misbalance, ownership;
	struct raw_authentication authentication;
	struct raw_tls tls;
};

struct raw_reservation {
	const struct node *node;
	uint32_t addr; /* 0: not given, or bad and told */
	struct raw_octets hardware, client_id;
	uint32_t htype;
	const char *name;
};

struct raw_scope {
	const struct node *node;
	struct prefix subnet; /* len 0: not given, or bad and told */
	const char *name, *relationship;
	struct raw_list ranges, exclusions;	      /* struct raw_span */
	uint32_t lease_time, renew_time, rebind_time; /* 0: not given */
	const struct node *options;
	struct raw_list reservations; /* struct raw_reservation */
};

struct raw_root {
	const struct node *node;
	struct raw_server server;
	struct raw_filter filter;
	struct raw_api api;
	struct raw_list relations, scopes;
	const struct node *options;
};

enum section {
	IN_ROOT,
	IN_SERVER,
	IN_LOG,
	IN_FILTER,
	IN_API,
	IN_RELATION,
	IN_AUTHENTICATION,
	IN_TLS,
	IN_SCOPE,
	IN_RESERVATION,
	SECTIONS
};

enum key_type {			/* and the member that takes it */
		KEY_TEXT,	/* const char *; min to max octets */
		KEY_PATH,	/* const char *; absolute */
		KEY_INTERFACES, /* raw_list of raw_text */
		KEY_LISTEN,	/* raw_list of raw_text */
		KEY_BOOL,	/* bool */
		KEY_NUMBER,	/* uint32_t; min to max */
		KEY_PERCENT,	/* uint32_t */
		KEY_DURATION,	/* uint32_t seconds; min to max */
		KEY_LEASE,	/* the same, or `infinite` */
		KEY_PATIENCE,	/* the same, or `off` (0), or `on` (1h) */
		KEY_SECS,	/* uint32_t; 0 to 255 or `never` */
		KEY_ADDRESS,	/* uint32_t; one host */
		KEY_PREFIX,	/* struct prefix */
		KEY_ENDPOINT,	/* struct sockaddr_in */
		KEY_SPANS,	/* raw_list of raw_span */
		KEY_BUCKETS,	/* const uint8_t * */
		KEY_HARDWARE,	/* raw_octets */
		KEY_CLIENT_ID,	/* raw_octets */
		KEY_WORD,	/* int: place in @words */
		KEY_LATER,	/* nothing: only what @words says, or nothing, may stand there */
		KEY_NODE,	/* const struct node *: a map that others read */
		KEY_SECTION,	/* the struct of section @min */
		KEY_SWITCH,	/* the same, or `off` */
		KEY_SECTIONS,	/* raw_list of the structs of section @min */
};

struct schema_key {
	enum section in;
	const char *name;
	enum key_type type;
	size_t to; /* offset in the section's struct */
	int64_t min, max;
	const char *words;    /* "a|b|!c": c is known but not available in this version */
	const char *fallback; /* what stands for a missing key, as it would be written */
	bool required;
};

#define SCHEMA_MAX_KEYS 96
extern const struct schema_key schema_keys[];
extern const unsigned schema_n_keys;
extern const size_t schema_section_size[SECTIONS];

/* Read the whole tree. Mistakes are told; what was wrong keeps its default. */
void schema_read(struct conf_ctx *c, const struct node *root /* a map */, struct raw_root *ret);

/* The name among @n most like @wrong. */
const char *schema_nearest(const char *wrong, const char *const *names, unsigned n);
/* "unknown key ...": with the nearest of @names. */
void schema_unknown(struct conf_ctx *c, const struct node *key, const char *const *names,
		    unsigned n);
