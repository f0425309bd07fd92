/*
 * The daemon's own filter function: shared/filter.h over tables in memory instead of maps.
 * Called by tests, fuzzers, and who wants to know what the kernel would say.
 */
#include "dp/filter_user.h"
#include <string.h>

#define FILTER_GLOBAL static
#define FILTER_BOUND(x, mask) ((x) & (mask))
#define FILTER_FORGET() ((void)0)
#define FILTER_OPAQUE(w, x) (x)
#define FILTER_LOAD(type, p)                                                                       \
	({                                                                                         \
		type load_;                                                                        \
		memcpy(&load_, p, sizeof(load_));                                                  \
		load_;                                                                             \
	})

struct filter_work;
struct filter_env {
	const struct filter_tables *t;
	struct filter_work *scratch;
	const uint8_t *frame;
	size_t len;
	uint32_t ifindex;
};

#include "shared/filter.h"

static inline const __u8 *filter_peek(struct filter_env *env, __u32 off, __u32 n)
{
	return off + n <= env->len ? env->frame + off : NULL;
}

static inline int filter_copy(struct filter_env *env, __u32 off, struct filter_work *w, __u32 n)
{
	if (off + n > env->len)
		return -1;
	memcpy(w->msg, env->frame + off, n);
	return 0;
}

static inline int filter_copy_fields(struct filter_env *env, __u32 off, struct filter_work *w)
{
	(void)env; /* filter_copy brought them */
	(void)off;
	(void)w;
	return 0;
}

static inline struct filter_work *filter_scratch(struct filter_env *env)
{
	return env->scratch;
}

static inline int filter_find_local(struct filter_env *env, __u32 addr)
{
	for (unsigned i = 0; i < env->t->n_local; i++) {
		if (!memcmp(env->t->local[i].address, &addr, 4))
			return 1;
	}
	return 0;
}

static int covers(const struct subnet_key *k, const uint8_t addr[4])
{
	unsigned octets = k->prefix_length / 8, bits = k->prefix_length % 8;

	if (memcmp(k->address, addr, octets) != 0)
		return 0;
	return !bits || (k->address[octets] ^ addr[octets]) >> (8 - bits) == 0;
}

static inline int filter_find_subnet(struct filter_env *env, __u32 addr,
				     struct relation_choice *ret)
{
	const struct filter_subnet *best = NULL;
	uint8_t a[4];

	memcpy(a, &addr, 4);
	for (unsigned i = 0; i < env->t->n_subnets; i++) {
		const struct filter_subnet *s = &env->t->subnets[i];

		if (covers(&s->key, a) && (!best || s->key.prefix_length > best->key.prefix_length))
			best = s;
	}
	if (best)
		*ret = best->choice;
	return best != NULL;
}

static inline int filter_find_iface(struct filter_env *env, __u16 vlan, struct relation_choice *ret)
{
	for (unsigned i = 0; i < env->t->n_ifaces; i++) {
		const struct filter_iface *f = &env->t->ifaces[i];

		if (f->key.ifindex == env->ifindex && f->key.vlan == vlan) {
			*ret = f->choice;
			return 1;
		}
	}
	return 0;
}

static inline const struct relation_policy *filter_find_policy(struct filter_env *env,
							       __u32 relation)
{
	static const struct relation_policy cleared; /* serve all, as a fresh map says */

	if (relation >= TL_MAX_RELATIONS)
		return NULL;
	return relation < env->t->n_policies ? &env->t->policies[relation] : &cleared;
}

static inline enum filter_reason filter_vouched(struct filter_env *env, struct filter_work *w)
{
	const struct filter_alive *a = &env->t->alive;

	(void)w;
	if (a->abi_version != TL_ABI_VERSION || a->deadline_ns == 0)
		return REASON_NOT_ARMED;
	if (a->deadline_ns == TL_DEADLINE_BY_HAND || env->t->now_ns < a->deadline_ns)
		return FILTER_GO_ON;
	return REASON_DEADLINE;
}

static enum filter_reason verdict(struct filter_env *env, struct filter_work **ret)
{
	enum filter_reason r = FILTER_GO_ON;
	struct filter_frame f;
	__u64 octets;

	*ret = NULL;
	if (env->len >= FILTER_GLANCE)
		r = filter_glance(env->frame, &octets);
	return r == FILTER_GO_ON ? filter_closely(env, &f, ret) : r;
}

void filter_user_verdict(const struct filter_tables *t, uint32_t ifindex, const uint8_t *frame,
			 size_t len, struct filter_result *ret)
{
	struct filter_work scratch, *w;
	struct filter_env env = {
		.t = t, .scratch = &scratch, .frame = frame, .len = len, .ifindex = ifindex
	};
	struct filter_result tmp = { .reason = verdict(&env, &w) };

	if (w && w->judged) {
		tmp.judged = true;
		tmp.relation = w->relation;
		tmp.secs = w->secs;
		tmp.bucket = w->bucket;
	}
	*ret = tmp;
}

unsigned filter_subnets_of(const struct scope_table *t, struct filter_subnet *ret, unsigned max)
{
	for (unsigned i = 0; i < t->n_scopes && i < max; i++) {
		const struct scope *s = &t->scopes[i];
		struct filter_subnet *f = &ret[i];

		memset(f, 0, sizeof(*f));
		f->key.prefix_length = s->prefix;
		for (unsigned k = 0; k < 4; k++)
			f->key.address[k] = (uint8_t)(s->subnet >> (24 - 8 * k));
		f->choice.relation = s->relation < 0 ? TL_NO_RELATION : (uint32_t)s->relation;
	}
	return t->n_scopes;
}

static const struct {
	const char *name, *text;
} reasons[] = {
#define X(id, name, text) { name, text },
	FILTER_REASON_LIST(X)
#undef X
};

const char *filter_reason_name(enum filter_reason r)
{
	return (unsigned)r < FILTER_REASONS ? reasons[r].name : "unknown";
}

const char *filter_reason_text(enum filter_reason r)
{
	return (unsigned)r < FILTER_REASONS ? reasons[r].text : "unknown";
}
