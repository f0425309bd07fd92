/*
 * Frames through the daemon's build of the filter: sanitizers see the very parser that the kernel
 * program is made of. The first octet picks the policy, the rest is the frame.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "dp/filter_user.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct local_key local = { { 192, 0, 2, 1 } };
static const struct filter_subnet subnets[] = {
	{ { 8, { 10, 0, 0, 0 } }, { .relation = 0 } },
	{ { 25, { 10, 1, 0, 128 } }, { .relation = 1 } },
	{ { 0, { 0 } }, { .relation = TL_NO_RELATION } },
};
static const struct filter_iface iface = { { 1, 0, { 0 } }, { .relation = 0 } };

static void check(const struct filter_tables *t, const uint8_t *frame, size_t len)
{
	struct filter_result r, again;

	filter_user_verdict(t, 1, frame, len, &r);
	filter_user_verdict(t, 1, frame, len, &again);
	if ((unsigned)r.reason >= FILTER_REASONS || r.reason != again.reason)
		abort();
	if (filter_drops(r.reason) && (!r.judged || t->alive.deadline_ns == 0))
		abort();
	if (r.judged && r.relation >= TL_MAX_RELATIONS)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct relation_policy p[2] = { { .serve = SERVE_BALANCE, .secs_threshold = 3 },
					{ .serve = SERVE_NONE, .hash_identity = HASH_HARDWARE } };
	struct filter_tables t = { .alive = { .abi_version = TL_ABI_VERSION },
				   .local = &local,
				   .n_local = 1,
				   .subnets = subnets,
				   .n_subnets = 3,
				   .ifaces = &iface,
				   .n_ifaces = 1,
				   .policies = p,
				   .n_policies = 2 };
	uint8_t *frame;

	if (size < 1)
		return 0;
	t.alive.deadline_ns = data[0] & 1 ? TL_DEADLINE_BY_HAND : 0;
	p[0].serve = (enum filter_serve)(data[0] >> 1 & 3);
	p[0].hash_identity = data[0] & 8 ? HASH_HARDWARE : HASH_CLIENT_ID;
	memset(p[0].owned, data[0] >> 4, sizeof(p[0].owned));
	/* a copy of just this size, so that a read past it is seen */
	frame = malloc(size > 1 ? size - 1 : 1);
	if (!frame)
		return 0;
	memcpy(frame, data + 1, size - 1);
	check(&t, frame, size - 1);
	free(frame);
	return 0;
}
