/*
 * What an operator should hear before it hurts: the disk of the state directory runs full
 * (decision C4); an interface of the configuration is not there, or cannot be heard (D4). Called
 * every few seconds by the node.
 */
#include "node_priv.h"

#include <inttypes.h>
#include <string.h>

#define FULL_PERCENT 90
#define FREE_AGAIN_PERCENT 85

static unsigned used_percent(const struct lease_store_stats *st)
{
	return st->disk_size ? (unsigned)(100 - st->disk_free * 100 / st->disk_size) : 0;
}

void node_watch_disk(struct node *n)
{
	struct lease_store_stats st;
	unsigned used;

	lease_store_stats(n->store, &st);
	used = used_percent(&st);
	if (!n->disk_full && used >= FULL_PERCENT) {
		n->disk_full = true;
		log_event(LOG_L_WARNING, "disk-nearly-full",
			  "directory=%s used=%u%% free-octets=%" PRIu64
			  " remedy=\"free room: without it no lease can be given\"",
			  n->conf->server.state_directory, used, st.disk_free);
	} else if (n->disk_full && used < FREE_AGAIN_PERCENT) {
		n->disk_full = false;
		log_event(LOG_L_INFO, "disk-has-room", "directory=%s used=%u%%",
			  n->conf->server.state_directory, used);
	}
}

void node_watch_interfaces(struct node *n)
{
	char quoted[300];

	for (unsigned i = 0; i < n->conf->server.n_interfaces && i < 64; i++) {
		const char *why = dhcp_io_problem(n->io, i), *name = n->conf->server.interfaces[i];
		uint64_t bit = 1ull << i;

		if (!why == !(n->unheard & bit))
			continue;
		n->unheard ^= bit;
		if (why)
			log_event(LOG_L_WARNING, "interface-not-heard", "interface=%s why=%s", name,
				  log_quote(why, strlen(why), quoted, sizeof(quoted)));
		else
			log_event(LOG_L_INFO, "interface-heard", "interface=%s", name);
	}
}
