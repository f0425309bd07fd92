/*
 * What an operator should hear before it hurts: the disk of the state directory runs full
 * (decision C4); an interface of the configuration is not there, or cannot be heard (D4); more
 * clients ask than can be answered. Called every few seconds by the node.
 */
#include "node_priv.h"

#include <inttypes.h>
#include <string.h>

#define FULL_PERCENT 90
#define FREE_AGAIN_PERCENT 85
#define OVERLOAD_QUIET 5 /* looks without anything given up, until it is over */
#define OVERLOAD_LATER 2 /* looks until what has waited for us is given up for certain */

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

static uint64_t given_up(const struct node *n, enum dhcp_io_kind kind)
{
	return dhcp_io_counters(n->io)->full[kind] + n->count.stale[kind];
}

static void say_overload(const struct node *n, enum log_level level, const char *what)
{
	log_event(level, what, "requests-given-up=%" PRIu64 " discovers-given-up=%" PRIu64,
		  given_up(n, DHCP_IO_REQUESTS) - n->overload.before[DHCP_IO_REQUESTS],
		  given_up(n, DHCP_IO_DISCOVERS) - n->overload.before[DHCP_IO_DISCOVERS]);
}

/* Once when it begins, once when it is over, with how many went without an answer in between. */
static void tell_overload(struct node *n, bool more)
{
	if (more) {
		n->overload.quiet = 0;
		if (!n->overload.told)
			say_overload(n, LOG_L_WARNING, "overload");
		n->overload.told = true;
	} else if (n->overload.told && ++n->overload.quiet == OVERLOAD_QUIET) {
		say_overload(n, LOG_L_INFO, "overload-over");
		n->overload.told = false;
	}
}

void node_watch_overload_later(struct node *n)
{
	n->overload.later = OVERLOAD_LATER;
}

void node_watch_overload(struct node *n)
{
	uint64_t sum = 0;

	dhcp_io_count_full(n->io);
	for (unsigned k = 0; k < DHCP_IO_KINDS; k++)
		sum += given_up(n, k);
	if (n->overload.later)
		n->overload.later--;
	else
		tell_overload(n, sum != n->overload.sum);
	n->overload.sum = sum;
	for (unsigned k = 0; !n->overload.told && k < DHCP_IO_KINDS; k++)
		n->overload.before[k] = given_up(n, k);
}
