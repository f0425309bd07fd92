#pragma once
/*
 * The configuration: YAML -> one checked, immutable struct conf. Everything is checked as a whole;
 * mistakes are collected, each with line, column and remedy; a bad file gives no struct.
 */
#include <netinet/in.h>
#include "core/fo_endpoint.h"
#include "core/scope.h"

enum conf_filter_mode { FILTER_AUTO, FILTER_NATIVE, FILTER_GENERIC, FILTER_EXTERNAL, FILTER_OFF };
enum conf_log_format { LOG_TEXT, LOG_JSON, LOG_JOURNAL };

struct conf_relation {
	struct fo_conf fo;		   /* name, role, policy, MCLT, timers */
	struct sockaddr_in local, partner; /* port 647 unless given */
	const char *secret_file, *former_secret_file; /* NULL: none */
	struct {
		const char *certificate, *key, *partner_ca; /* NULL: no TLS */
		const char *partner_name; /* NULL: the certificate names the partner's address */
	} tls;
	uint32_t local_share; /* percent of the buckets; 256 bits are in fo.policy.hba */
	int line;	      /* where it stands in the file, for messages */
};

struct conf {
	struct {
		const char *name;
		const char *const *interfaces;
		unsigned n_interfaces;
		const char *state_directory;
		bool authoritative;
		const char *user;    /* NULL: stay who we are */
		uint32_t identifier; /* host order, 0 none */
		int log_level;	     /* 0 error, 1 warning, 2 info, 3 debug */
		enum conf_log_format log_format;
		bool log_leases; /* a line per event of a lease */
		uint32_t offer_hold_sec; /* 60 */
	} server;
	struct {
		enum conf_filter_mode mode;
		const char *pin_directory;
		uint32_t fail_open_after_ms; /* max(3 s, twice the largest contact time) */
	} filter;
	struct {
		const char *const *listen; /* "unix:/path" or "address:port" */
		unsigned n_listen;
		bool read_only;
	} api;
	const struct conf_relation *relations;
	unsigned n_relations;
	struct scope_table scopes;
	uint64_t n_addresses;
	const char *file;
	uint64_t digest; /* of the text: equal texts are equal configurations */
};

struct conf_problem {
	int line, column; /* from 1; 0 when it has no place */
	bool warning;
	const char *text; /* "what: how to mend it" */
};

struct conf_problems {
	struct conf_problem *list;
	unsigned n;
	unsigned errors; /* of which not warnings */
};

/**
 * conf_load - read and check a file
 * @ret_problems: always filled, also with warnings; free with conf_problems_free
 * Return: 0; -EINVAL errors are in @ret_problems; other -errno the file cannot be read (also told
 * as a problem).
 */
int conf_load(const char *file, struct conf **ret, struct conf_problems *ret_problems);
int conf_parse(const char *name, const char *text, size_t len, struct conf **ret,
	       struct conf_problems *ret_problems);
void conf_free(struct conf *c);
void conf_problems_free(struct conf_problems *p);
/* "FILE:line:column: what: how to mend it" lines on @out. */
void conf_problems_print(const char *file, const struct conf_problems *p, void *file_out);
