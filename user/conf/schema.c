/*
 * Every key of the configuration: where it stands, what it may be, what it is when it is missing,
 * and where its value goes. read.c carries this out; relation.c and scopes.c check how the values
 * fit together; options.c knows the keys below `options`.
 */
#include "conf/schema.h"

#define DAY 86400
#define YEAR (365 * DAY)

#define KEY(section, key, kind, s, m, ...)                                                         \
	{                                                                                          \
		.in = section, .name = key, .type = KEY_##kind, .to = offsetof(struct raw_##s, m), \
		##__VA_ARGS__                                                                      \
	}
#define LATER(section, key, may)                                                                   \
	{                                                                                          \
		.in = section, .name = key, .type = KEY_LATER, .words = may                        \
	}
#define RANGE(least, most) .min = least, .max = most

const size_t schema_section_size[SECTIONS] = {
	[IN_ROOT] = sizeof(struct raw_root),   [IN_SERVER] = sizeof(struct raw_server),
	[IN_LOG] = sizeof(struct raw_log),     [IN_FILTER] = sizeof(struct raw_filter),
	[IN_API] = sizeof(struct raw_api),     [IN_RELATION] = sizeof(struct raw_relation),
	[IN_AUTHENTICATION] = sizeof(struct raw_authentication),
	[IN_TLS] = sizeof(struct raw_tls),
	[IN_SCOPE] = sizeof(struct raw_scope), [IN_RESERVATION] = sizeof(struct raw_reservation),
};

/* clang-format off */
const struct schema_key schema_keys[] = {
KEY(IN_ROOT, "server", SECTION, root, server, .min = IN_SERVER),
KEY(IN_ROOT, "filter", SECTION, root, filter, .min = IN_FILTER),
KEY(IN_ROOT, "api", SECTION, root, api, .min = IN_API),
KEY(IN_ROOT, "relationships", SECTIONS, root, relations, .min = IN_RELATION),
KEY(IN_ROOT, "scopes", SECTIONS, root, scopes, .min = IN_SCOPE),
KEY(IN_ROOT, "options", NODE, root, options),

KEY(IN_SERVER, "name", TEXT, server, name, RANGE(1, 255)),
KEY(IN_SERVER, "interfaces", INTERFACES, server, interfaces, RANGE(0, 64)),
KEY(IN_SERVER, "state-directory", PATH, server, state_directory, .fallback = "/var/lib/twinlease"),
KEY(IN_SERVER, "authoritative", BOOL, server, authoritative, .fallback = "true"),
KEY(IN_SERVER, "user", TEXT, server, user, RANGE(1, 32)),
KEY(IN_SERVER, "server-identifier", ADDRESS, server, identifier),
KEY(IN_SERVER, "offer-hold", DURATION, server, offer_hold, RANGE(1, 3600), .fallback = "60s"),
KEY(IN_SERVER, "log", SECTION, server, log, .min = IN_LOG),
LATER(IN_SERVER, "accept-empty", "false|no|off"),
LATER(IN_SERVER, "conflict-detection", "off"),

KEY(IN_LOG, "level", WORD, log, level, .words = "error|warning|info|debug", .fallback = "info"),
KEY(IN_LOG, "format", WORD, log, format, .words = "text|json|journal", .fallback = "text"),
KEY(IN_LOG, "leases", BOOL, log, leases, .fallback = "false"),

KEY(IN_FILTER, "mode", WORD, filter, mode, .words = "auto|native|generic|external|off", .fallback = "auto"),
KEY(IN_FILTER, "pin-directory", PATH, filter, pin_directory, .fallback = "/sys/fs/bpf/twinlease"),
KEY(IN_FILTER, "fail-open-after", DURATION, filter, fail_open_after, RANGE(1, 3600)),

KEY(IN_API, "listen", LISTEN, api, listen, RANGE(0, 8), .fallback = "unix:/run/twinlease/api.sock"),
KEY(IN_API, "read-only", BOOL, api, read_only, .fallback = "false"),
LATER(IN_API, "tls", "off"),

KEY(IN_RELATION, "name", TEXT, relation, name, RANGE(1, 126), .required = true),
KEY(IN_RELATION, "role", WORD, relation, role, .words = "primary|secondary", .required = true),
KEY(IN_RELATION, "mode", WORD, relation, mode, .words = "load-balance|hot-standby", .fallback = "load-balance"),
KEY(IN_RELATION, "active", WORD, relation, active, .words = "primary|secondary", .fallback = "primary"),
KEY(IN_RELATION, "local", ENDPOINT, relation, local, .required = true),
KEY(IN_RELATION, "partner", ENDPOINT, relation, partner, .required = true),
KEY(IN_RELATION, "local-share", PERCENT, relation, local_share, RANGE(0, 100), .fallback = "50"),
KEY(IN_RELATION, "buckets", BUCKETS, relation, buckets),
KEY(IN_RELATION, "standby-reserve", PERCENT, relation, standby_reserve, RANGE(0, 100), .fallback = "5"),
KEY(IN_RELATION, "max-client-lead-time", DURATION, relation, mclt, RANGE(1, YEAR), .fallback = "1h"),
KEY(IN_RELATION, "auto-partner-down", PATIENCE, relation, auto_partner_down, RANGE(1, YEAR), .fallback = "off"),
KEY(IN_RELATION, "secs-threshold", SECS, relation, secs_threshold, RANGE(0, 255), .fallback = "3"),
KEY(IN_RELATION, "hash-identity", WORD, relation, hash_identity, .words = "client-id|hardware-address", .fallback = "client-id"),
KEY(IN_RELATION, "dialect", WORD, relation, dialect, .words = "auto|twinlease|isc", .fallback = "auto"),
KEY(IN_RELATION, "contact-timeout", DURATION, relation, contact_timeout, RANGE(1, 3600)),
KEY(IN_RELATION, "max-unacked-updates", NUMBER, relation, max_unacked, RANGE(1, 1000), .fallback = "100"),
KEY(IN_RELATION, "max-clock-skew", DURATION, relation, max_clock_skew, RANGE(1, 3600), .fallback = "60s"),
KEY(IN_RELATION, "max-lease-misbalance", PERCENT, relation, misbalance, RANGE(0, 100), .fallback = "15"),
KEY(IN_RELATION, "max-lease-ownership", PERCENT, relation, ownership, RANGE(0, 100), .fallback = "10"),
KEY(IN_RELATION, "after-outage", WORD, relation, after_outage, .words = "hold|serve", .fallback = "hold"),
KEY(IN_RELATION, "partner-down-lease-limit", WORD, relation, lease_limit, .words = "keep|lift", .fallback = "keep"),
LATER(IN_RELATION, "partner-api", "off"),
KEY(IN_RELATION, "authentication", SWITCH, relation, authentication, .min = IN_AUTHENTICATION),
KEY(IN_RELATION, "tls", SWITCH, relation, tls, .min = IN_TLS),

KEY(IN_AUTHENTICATION, "algorithm", WORD, authentication, algorithm, .words = "hmac-sha256", .fallback = "hmac-sha256"),
KEY(IN_AUTHENTICATION, "secret-file", PATH, authentication, secret_file, .required = true),
KEY(IN_AUTHENTICATION, "former-secret-file", PATH, authentication, former_secret_file),

KEY(IN_TLS, "certificate", PATH, tls, certificate, .required = true),
KEY(IN_TLS, "key", PATH, tls, key, .required = true),
KEY(IN_TLS, "partner-ca", PATH, tls, partner_ca, .required = true),
KEY(IN_TLS, "partner-name", TEXT, tls, partner_name, RANGE(1, 253)),

KEY(IN_SCOPE, "subnet", PREFIX, scope, subnet, RANGE(1, 32), .required = true),
KEY(IN_SCOPE, "name", TEXT, scope, name, RANGE(1, 255)),
KEY(IN_SCOPE, "relationship", TEXT, scope, relationship, RANGE(1, 126)),
KEY(IN_SCOPE, "ranges", SPANS, scope, ranges),
KEY(IN_SCOPE, "exclusions", SPANS, scope, exclusions),
KEY(IN_SCOPE, "lease-time", LEASE, scope, lease_time, RANGE(1, SEC_MAX)),
KEY(IN_SCOPE, "renew-time", DURATION, scope, renew_time, RANGE(1, SEC_MAX)),
KEY(IN_SCOPE, "rebind-time", DURATION, scope, rebind_time, RANGE(1, SEC_MAX)),
LATER(IN_SCOPE, "cache-threshold", "0"),
KEY(IN_SCOPE, "options", NODE, scope, options),
KEY(IN_SCOPE, "reservations", SECTIONS, scope, reservations, .min = IN_RESERVATION),

KEY(IN_RESERVATION, "address", ADDRESS, reservation, addr, .required = true),
KEY(IN_RESERVATION, "hardware-address", HARDWARE, reservation, hardware, RANGE(1, 16)),
KEY(IN_RESERVATION, "hardware-type", NUMBER, reservation, htype, RANGE(1, 255), .fallback = "1"),
KEY(IN_RESERVATION, "client-id", CLIENT_ID, reservation, client_id, RANGE(2, 255)),
KEY(IN_RESERVATION, "name", TEXT, reservation, name, RANGE(1, 255)),
};
/* clang-format on */

const unsigned schema_n_keys = sizeof(schema_keys) / sizeof(schema_keys[0]);
_Static_assert(sizeof(schema_keys) / sizeof(schema_keys[0]) <= SCHEMA_MAX_KEYS, "room in read.c");
