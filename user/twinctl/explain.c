/*
 * twinctl explain CLIENT: what the server knows of a client, and what a DISCOVER of it would meet.
 *
 * A client is looked up as the operator knows it, by hardware address, by an address that it has
 * or by client identifier. The server tells clients apart by identifier where they send one: so
 * the identity asked about is the one that was last seen together with what the operator gave.
 */
#include "twinctl/twinctl.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#define HELP "explain HARDWARE-ADDRESS | ADDRESS | --client-id HEX [--scope SUBNET] [--secs N]"

struct question {
	const char *client, *id, *scope, *secs; /* NULL: not given */
};

static bool read_arguments(int argc, char **argv, struct question *q)
{
	*q = (struct question){ 0 };
	for (int i = 0; i < argc; i++) {
		const char **to = !strcmp(argv[i], "--client-id") ? &q->id
				  : !strcmp(argv[i], "--scope")	  ? &q->scope
				  : !strcmp(argv[i], "--secs")	  ? &q->secs
								  : NULL;

		if (to ? ++i == argc : argv[i][0] == '-' || q->client)
			return false;
		*(to ? to : &q->client) = argv[i];
	}
	return q->client || q->id;
}

/* "key=value" with what came before it; nothing where there is no value. */
static void add(char *query, size_t size, const char *key, const char *value)
{
	char escaped[800];
	size_t at = strlen(query);

	if (value)
		snprintf(query + at, size - at, "%s%s=%s", at ? "&" : "", key,
			 api_escape(value, escaped, sizeof(escaped)));
}

static const char *text_at(const json_t *o, const char *key)
{
	return json_string_value(json_object_get(o, key));
}

/* The lease that the client used last. Times are RFC 3339: their order is that of the text. */
static const json_t *latest(const json_t *leases)
{
	const json_t *best = NULL;

	for (size_t i = 0; i < json_array_size(leases); i++) {
		const json_t *l = json_array_get(leases, i);
		const char *a = text_at(l, "cltt"), *b = best ? text_at(best, "cltt") : NULL;

		if (!best || (a && (!b || strcmp(a, b) > 0)))
			best = l;
	}
	return best;
}

static json_t *lease_at(const struct twinctl *t, const char *addr)
{
	char path[900] = "/v1/leases/", escaped[800];

	strcat(path, api_escape(addr, escaped, sizeof(escaped)));
	return api_call(t, path, NULL);
}

/* Its leases, and in @ret the identity to ask about. NULL: told on stderr. */
static json_t *find_client(const struct twinctl *t, const struct question *q, json_t *ret)
{
	const char *hw = q->client, *id = q->id;
	json_t *here = NULL, *leases;
	char query[2000] = "held=true";
	const json_t *last;
	struct in_addr a;

	if (hw && inet_pton(AF_INET, hw, &a) == 1) {
		here = lease_at(t, hw);
		if (!here)
			return NULL;
		hw = text_at(here, "hardware-address");
		id = id ? id : text_at(here, "client-id");
		if (!hw && !id) {
			fprintf(stderr, "twinctl: nobody holds %s or held it\n", q->client);
			json_decref(here);
			return NULL;
		}
	}
	add(query, sizeof(query), "hardware-address", hw);
	add(query, sizeof(query), "client-id", id);
	leases = all_leases(t, query);
	last = latest(leases);
	if (last && !id)
		id = text_at(last, "client-id");
	if (last && !hw)
		hw = text_at(last, "hardware-address");
	json_object_set_new(ret, "hardware-address", hw ? json_string(hw) : json_null());
	json_object_set_new(ret, "client-id", id ? json_string(id) : json_null());
	json_decref(here);
	return leases;
}

static json_t *ask(const struct twinctl *t, const struct question *q)
{
	json_t *client = json_object(), *leases = find_client(t, q, client), *o = NULL;
	char path[3000] = "/v1/explain?", query[2900] = "";

	if (leases) {
		add(query, sizeof(query), "hardware-address", text_at(client, "hardware-address"));
		add(query, sizeof(query), "client-id", text_at(client, "client-id"));
		add(query, sizeof(query), "scope", q->scope);
		add(query, sizeof(query), "secs", q->secs);
		o = api_call(t, strcat(path, query), NULL);
	}
	if (o) {
		json_object_set(o, "client", client);
		json_object_set(o, "leases", leases);
	}
	json_decref(client);
	json_decref(leases);
	return o;
}

static void print_explanation(const json_t *o, const struct question *q)
{
	static const struct column cols[] = {
		{ "SCOPE", "scope", 0 },     { "RELATIONSHIP", "relationship", 32 },
		{ "BUCKET", "bucket", 0 },   { "ANSWER", "answer", 0 },
		{ "ADDRESS", "address", 0 }, { "LEASE-TIME", "lease-time", 0 },
		{ "BECAUSE", "means", 0 },   { "LEASE-TIME-LIMITED-BY", "limited-by", 0 },
	};
	char buf[900];

	printf("hardware address %s", value_text(o, "client.hardware-address", buf, sizeof(buf)));
	printf(", client identifier %s\n\n", value_text(o, "client.client-id", buf, sizeof(buf)));
	if (json_array_size(json_object_get(o, "leases")))
		print_table(json_object_get(o, "leases"), lease_cols, n_lease_cols);
	else
		printf("it holds no lease and held none\n");
	printf("\na DISCOVER of it with secs %s would meet here, right now:\n",
	       q->secs ? q->secs : "0");
	print_table(json_object_get(o, "discover"), cols, sizeof(cols) / sizeof(cols[0]));
}

int cmd_explain(const struct twinctl *t, int argc, char **argv)
{
	struct question q;
	json_t *o;

	if (!read_arguments(argc, argv, &q))
		return usage(HELP);
	o = ask(t, &q);
	if (!o)
		return EXIT_FAILED;
	if (t->json)
		print_json(o);
	else
		print_explanation(o, &q);
	json_decref(o);
	return EXIT_DONE;
}
