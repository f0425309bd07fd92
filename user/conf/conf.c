/*
 * The configuration: text -> tree (node.c) -> values (read.c by schema.c) -> struct conf
 * (relation.c, scopes.c), all mistakes told in one pass; a text with any gives no struct.
 *
 * Callers: main at start, on SIGHUP and for --check; ctl for `config check` and `apply`.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "conf/build.h"

#define MAX_FILE (64u << 20)

/* struct conf and the memory that it points into, freed together. */
struct conf_box {
	struct conf conf; /* first: conf_free gets its address */
	struct arena arena;
};

/* All that has to be freed when memory runs out midway. */
struct job {
	struct conf_box *box;
	struct arena scratch;
	jmp_buf no_memory;
	struct conf_ctx ctx;
};

/* --- server, filter, API ---------------------------------------------------------------------- */

static const char *host_name(struct arena *a)
{
	char buf[HOST_NAME_MAX + 1];

	if (gethostname(buf, sizeof(buf)) < 0)
		(void)strcpy(buf, "localhost");
	buf[sizeof(buf) - 1] = 0;
	return arena_text(a, buf, strlen(buf));
}

/* Texts of a list, each once. */
static const char *const *texts(struct conf_ctx *c, const char *key, const struct raw_list *list)
{
	const char **v = arena_array(c->keep, list->n, sizeof(*v));
	const struct raw_text *t = list->v;

	for (unsigned i = 0; i < list->n; i++) {
		v[i] = t[i].s;
		for (unsigned k = 0; k < i && i < 1000; k++)
			if (!strcmp(v[k], v[i]))
				conf_error(c, t[i].node,
					   "%s %s stands here a second time: remove it", key,
					   conf_show(c, v[i], strlen(v[i])));
	}
	return v;
}

static void build_server(struct conf_ctx *c, const struct raw_root *raw, struct conf *ret)
{
	const struct raw_server *s = &raw->server;

	ret->server.name = s->name ? s->name : host_name(c->keep);
	ret->server.interfaces = texts(c, "interface", &s->interfaces);
	ret->server.n_interfaces = s->interfaces.n;
	ret->server.state_directory = s->state_directory;
	ret->server.authoritative = s->authoritative;
	ret->server.user = s->user;
	ret->server.identifier = s->identifier;
	ret->server.log_level = s->log.level;
	ret->server.log_leases = s->log.leases;
	ret->server.log_format = (enum conf_log_format)s->log.format;
	ret->server.offer_hold_sec = s->offer_hold;
	ret->api.listen = texts(c, "listen", &raw->api.listen);
	ret->api.n_listen = raw->api.listen.n;
	ret->api.read_only = raw->api.read_only;
	if (!s->interfaces.n && node_is_empty(node_get(s->node, "interfaces")))
		conf_warning(c, s->node ? s->node : raw->node,
			     "server has no interfaces: no client is heard; add interfaces: [...]");
}

/* Decision A17: a daemon that is busy for a contact time is not dead yet. */
static void build_filter(struct conf_ctx *c, const struct raw_root *raw, struct conf *ret)
{
	const struct raw_filter *f = &raw->filter;
	uint32_t contact = 0, sec = f->fail_open_after;

	for (unsigned i = 0; i < ret->n_relations; i++)
		if (ret->relations[i].fo.contact_timeout_sec > contact)
			contact = ret->relations[i].fo.contact_timeout_sec;
	if (!sec)
		sec = 2 * contact > 3 ? 2 * contact : 3;
	else if (sec < contact)
		conf_warning(c, node_or(f->node, "fail-open-after"),
			     "fail-open-after is shorter than contact-timeout (%us): make it twice "
			     "as long, or a busy daemon loses its filter",
			     contact);
	ret->filter.mode = (enum conf_filter_mode)f->mode;
	ret->filter.pin_directory = f->pin_directory;
	ret->filter.fail_open_after_ms = sec * 1000;
}

/* --- the whole -------------------------------------------------------------------------------- */

static void build(struct job *j, const char *name, const char *text, size_t len)
{
	struct conf_ctx *c = &j->ctx;
	struct raw_root *raw = arena_alloc(c->scratch, sizeof(*raw));
	unsigned errors = c->problems->errors;
	struct conf *conf = &j->box->conf;
	struct node *root = node_parse(c, text, len);

	if (!root) {
		if (c->problems->errors == errors)
			conf_error_at(c, 1, 1, "the file is empty: begin with `server:`");
		return;
	}
	if (root->kind != NODE_MAP) {
		conf_error(c, root, "the file is not a mapping: begin with `server:`");
		return;
	}
	conf->file = arena_text(c->keep, name, strlen(name));
	schema_read(c, root, raw);
	build_relations(c, raw, conf);
	build_scopes(c, raw, conf);
	build_server(c, raw, conf);
	build_filter(c, raw, conf);
}

static int run(struct job *j, const char *name, const char *text, size_t len)
{
	if (setjmp(j->no_memory)) {
		node_parse_done(&j->ctx);
		conf_error_at(&j->ctx, 0, 0, "not enough memory: shorten the file or free some");
		return -ENOMEM;
	}
	if (len > MAX_FILE)
		conf_error_at(&j->ctx, 0, 0, "too long: %u octets are the most", MAX_FILE);
	else
		build(j, name, text, len);
	return j->ctx.problems->errors ? -EINVAL : 0;
}

int conf_parse(const char *name, const char *text, size_t len, struct conf **ret,
	       struct conf_problems *ret_problems)
{
	struct job *j = calloc(1, sizeof(*j));
	int r;

	*ret_problems = (struct conf_problems){ .n = 0 };
	if (!j)
		return -ENOMEM;
	j->box = calloc(1, sizeof(*j->box));
	if (!j->box) {
		free(j);
		return -ENOMEM;
	}
	j->ctx = (struct conf_ctx){ &j->box->arena, &j->scratch, ret_problems, NULL };
	j->box->arena.no_memory = &j->no_memory;
	j->scratch.no_memory = &j->no_memory;
	r = run(j, name, text, len);
	conf_problems_sort(ret_problems);
	arena_done(&j->scratch);
	if (r == 0)
		*ret = &j->box->conf;
	else
		conf_free(&j->box->conf);
	free(j);
	return r;
}

void conf_free(struct conf *c)
{
	struct conf_box *box = (struct conf_box *)c;

	if (!c)
		return;
	arena_done(&box->arena);
	free(box);
}

/* All octets of a file, but no more than shows that it is too long. */
static int read_all(int fd, char **ret, size_t *ret_len)
{
	size_t len = 0, room = 65536;
	char *buf = malloc(room), *more;
	ssize_t n;

	while (buf && len <= MAX_FILE) {
		n = read(fd, buf + len, room - len);
		if (n == 0)
			break;
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			n = -errno;
			free(buf);
			return (int)n;
		}
		len += (size_t)n;
		if (len < room)
			continue;
		room *= 2;
		more = realloc(buf, room);
		if (!more)
			free(buf);
		buf = more;
	}
	if (!buf)
		return -ENOMEM;
	*ret = buf;
	*ret_len = len;
	return 0;
}

static int read_file(const char *file, char **ret, size_t *ret_len)
{
	int fd = open(file, O_RDONLY | O_CLOEXEC), r;

	if (fd < 0)
		return -errno;
	r = read_all(fd, ret, ret_len);
	(void)close(fd);
	return r;
}

/* FNV-1a: tells an edited file from an untouched one; nobody gains by making two collide. */
static uint64_t digest(const char *text, size_t len)
{
	uint64_t h = 0xcbf29ce484222325;

	for (size_t i = 0; i < len; i++)
		h = (h ^ (unsigned char)text[i]) * 0x100000001b3;
	return h;
}

int conf_load(const char *file, struct conf **ret, struct conf_problems *ret_problems)
{
	struct conf_ctx c = { .problems = ret_problems };
	size_t len = 0;
	char *text = NULL;
	int r;

	*ret_problems = (struct conf_problems){ .n = 0 };
	r = read_file(file, &text, &len);
	if (r < 0) {
		conf_error_at(&c, 0, 0, "cannot be read (%s): check the path and its permissions",
			      strerror(-r));
		return r;
	}
	r = conf_parse(file, text, len, ret, ret_problems);
	if (r == 0)
		(*ret)->digest = digest(text, len);
	free(text);
	return r;
}
