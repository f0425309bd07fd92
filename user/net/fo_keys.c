/*
 * Secrets, keys and certificates from their files. A file that somebody else may read is refused:
 * the message names it, its mode and the remedy. Files are read once, into OpenSSL's secure heap
 * (locked, guarded, left out of core dumps), where OpenSSL also keeps private keys.
 *
 * Callers: main (--check), node (start, reload), fo_session (one connection's keys).
 * Standards: draft-ietf-dhc-failover-12 §12.17; RFC 8446; decision A24.
 */
#include "net/fo_keys.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "net/fo_tls.h"

#define SECURE_BASE (256u << 10) /* octets of locked memory, and more for each relationship: */
#define SECURE_EACH (16u << 10)
#define SECURE_LEAST 32
#define FILE_MAX (256u << 10)

struct secret {
	uint8_t *p;
	size_t len;
};

struct relation_keys {
	struct secret secret, former;
	struct secret key; /* of the certificate, as in its file */
	struct secret certificate, partner_ca;
	SSL_CTX *tls;
};

struct fo_keys {
	unsigned n;
	struct relation_keys of[];
};

/* --- files ------------------------------------------------------------------------------------ */

struct file {
	const char *what, *path;
	uid_t owner; /* who may own it beside root and ourselves */
	char *err;
};

__attribute__((format(printf, 3, 4))) static int bad(const struct file *f, int r, const char *fmt,
						     ...)
{
	int n = snprintf(f->err, FO_KEYS_ERR, "%s %s ", f->what, f->path);
	va_list ap;

	va_start(ap, fmt);
	if (n > 0 && n < FO_KEYS_ERR)
		(void)vsnprintf(f->err + n, FO_KEYS_ERR - (size_t)n, fmt, ap);
	va_end(ap);
	return r;
}

static int check_private(const struct file *f, const struct stat *st)
{
	if (st->st_mode & 077)
		return bad(f, -EPERM,
			   "has mode %04o, so that others than its owner can use it: chmod 600 %s",
			   (unsigned)st->st_mode & 07777, f->path);
	if (st->st_uid != 0 && st->st_uid != geteuid() && st->st_uid != f->owner)
		return bad(f, -EPERM,
			   "belongs to user %u: it must be root's or that of the daemon's user; "
			   "chown it",
			   (unsigned)st->st_uid);
	return 0;
}

static int read_fd(const struct file *f, int fd, size_t size, uint8_t *buf)
{
	size_t at = 0;
	ssize_t n;

	while (at < size) {
		n = read(fd, buf + at, size - at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return bad(f, -errno, "cannot be read: %s", strerror(errno));
		if (!n)
			return bad(f, -EIO, "changed while it was read: try again");
		at += (size_t)n;
	}
	return 0;
}

static void secret_done(struct secret *s)
{
	OPENSSL_secure_clear_free(s->p, s->len + 1);
	*s = (struct secret){ NULL, 0 };
}

static int read_open(const struct file *f, int fd, bool private, struct secret *ret)
{
	struct secret s;
	struct stat st;
	int r;

	if (fstat(fd, &st) < 0)
		return bad(f, -errno, "cannot be read: %s", strerror(errno));
	if (!S_ISREG(st.st_mode))
		return bad(f, -EINVAL, "is not a regular file: name one");
	if (private && (r = check_private(f, &st)) < 0)
		return r;
	if (st.st_size > (off_t)FILE_MAX)
		return bad(f, -EFBIG, "is too long: %u octets are the most", FILE_MAX);
	s.len = (size_t)st.st_size;
	s.p = private ? OPENSSL_secure_zalloc(s.len + 1) : OPENSSL_zalloc(s.len + 1);
	if (!s.p)
		return bad(f, -ENOMEM, "finds no room in locked memory: shorten it");
	r = read_fd(f, fd, s.len, s.p);
	if (r < 0)
		secret_done(&s);
	else
		*ret = s;
	return r;
}

static int read_file(const struct file *f, bool private, struct secret *ret)
{
	int fd = open(f->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY), r;

	if (fd < 0 && errno == EACCES)
		return bad(f, -EACCES,
			   "may not be read by user %u, whom the daemon runs as: chown it to that "
			   "user, chmod 600",
			   (unsigned)geteuid());
	if (fd < 0)
		return bad(f, -errno, "cannot be opened (%s): check the path", strerror(errno));
	r = read_open(f, fd, private, ret);
	(void)close(fd);
	return r;
}

/* --- one relationship ------------------------------------------------------------------------- */

static int read_secret(const struct file *f, struct secret *ret)
{
	struct secret s;
	int r = read_file(f, true, &s);

	if (r < 0)
		return r;
	if (s.len && s.p[s.len - 1] == '\n')
		s.p[--s.len] = 0; /* one octet more than @len stays allocated, or two */
	if (s.len >= FO_SECRET_MIN && s.len <= FO_SECRET_MAX) {
		*ret = s;
		return 0;
	}
	r = bad(f, -EINVAL,
		"holds a secret of %zu octets, and %d to %d are needed: write one with "
		"`openssl rand -base64 32`",
		s.len, FO_SECRET_MIN, FO_SECRET_MAX);
	secret_done(&s);
	return r;
}

static int load_secrets(const struct conf_relation *c, struct file *f, struct relation_keys *k)
{
	int r = 0;

	f->what = "secret-file";
	f->path = c->secret_file;
	if (f->path)
		r = read_secret(f, &k->secret);
	f->what = "former-secret-file";
	f->path = c->former_secret_file;
	if (!r && f->path)
		r = read_secret(f, &k->former);
	return r;
}

static int load_tls(const struct conf_relation *c, struct file *f, struct relation_keys *k)
{
	struct {
		const char *what, *path;
		bool private;
		struct secret *to;
	} file[] = {
		{ "tls.certificate", c->tls.certificate, false, &k->certificate },
		{ "tls.key", c->tls.key, true, &k->key },
		{ "tls.partner-ca", c->tls.partner_ca, false, &k->partner_ca },
	};
	struct fo_tls_files t;
	const char *why;
	unsigned which = 0;

	if (!c->tls.certificate)
		return 0;
	for (unsigned i = 0; i < 3; i++) {
		int r;

		f->what = file[i].what;
		f->path = file[i].path;
		r = read_file(f, file[i].private, file[i].to);
		if (r < 0)
			return r;
	}
	t = (struct fo_tls_files){ { { k->certificate.p, (uint32_t)k->certificate.len },
				     { k->key.p, (uint32_t)k->key.len },
				     { k->partner_ca.p, (uint32_t)k->partner_ca.len } } };
	why = fo_tls_context(&t, &which, &k->tls);
	f->what = file[which].what;
	f->path = file[which].path;
	return why ? bad(f, -EINVAL, "%s", why) : 0;
}

/* --- all -------------------------------------------------------------------------------------- */

static bool wants_keys(const struct conf *c)
{
	for (unsigned i = 0; i < c->n_relations; i++)
		if (c->relations[i].secret_file || c->relations[i].tls.certificate)
			return true;
	return false;
}

/* Reading a private key OpenSSL copies it through the ordinary heap, and frees the copy as it is.
 * So what it frees is wiped. */
static void *take(size_t size, const char *file, int line)
{
	(void)file;
	(void)line;
	return malloc(size);
}

static void wipe(void *p, const char *file, int line)
{
	(void)file;
	(void)line;
	if (p)
		explicit_bzero(p, malloc_usable_size(p));
	free(p);
}

static void *take_anew(void *p, size_t size, const char *file, int line)
{
	size_t had = p ? malloc_usable_size(p) : 0;
	void *to = malloc(size);

	if (!to || !p)
		return to;
	memcpy(to, p, had < size ? had : size);
	wipe(p, file, line);
	return to;
}

/* For the life of the process. Where memory cannot be locked it is still left out of dumps. */
static void open_secure_heap(unsigned n)
{
	size_t size = SECURE_BASE;

	while (size < SECURE_BASE + (size_t)n * SECURE_EACH)
		size *= 2;
	(void)CRYPTO_set_mem_functions(take, take_anew, wipe); /* not after the first use */
	if (!CRYPTO_secure_malloc_initialized())
		(void)CRYPTO_secure_malloc_init(size, SECURE_LEAST);
}

static uid_t daemon_user(const struct conf *c)
{
	const struct passwd *p = c->server.user ? getpwnam(c->server.user) : NULL;

	return p ? p->pw_uid : 0;
}

int fo_keys_load(const struct conf *c, struct fo_keys **ret, char err[FO_KEYS_ERR])
{
	struct fo_keys *k = calloc(1, sizeof(*k) + c->n_relations * sizeof(k->of[0]));
	struct file f = { .err = err };
	int r = 0;

	if (!k) {
		snprintf(err, FO_KEYS_ERR, "out of memory");
		return -ENOMEM;
	}
	k->n = c->n_relations;
	if (wants_keys(c)) {
		open_secure_heap(c->n_relations);
		f.owner = daemon_user(c);
	}
	for (unsigned i = 0; !r && i < k->n; i++) {
		r = load_secrets(&c->relations[i], &f, &k->of[i]);
		if (!r)
			r = load_tls(&c->relations[i], &f, &k->of[i]);
	}
	if (r < 0)
		fo_keys_free(k);
	else
		*ret = k;
	return r;
}

void fo_keys_free(struct fo_keys *k)
{
	for (unsigned i = 0; k && i < k->n; i++) {
		secret_done(&k->of[i].secret);
		secret_done(&k->of[i].former);
		secret_done(&k->of[i].key);
		OPENSSL_free(k->of[i].certificate.p);
		OPENSSL_free(k->of[i].partner_ca.p);
		fo_tls_context_free(k->of[i].tls);
	}
	free(k);
}

static bool same(const struct secret *a, const struct secret *b)
{
	return a->len == b->len && !a->p == !b->p && (!a->p || !CRYPTO_memcmp(a->p, b->p, a->len));
}

bool fo_keys_equal(const struct fo_keys *a, const struct fo_keys *b)
{
	bool equal = a->n == b->n;

	for (unsigned i = 0; equal && i < a->n; i++) {
		const struct relation_keys *x = &a->of[i], *y = &b->of[i];

		equal = same(&x->secret, &y->secret) && same(&x->former, &y->former) &&
			same(&x->key, &y->key) && same(&x->certificate, &y->certificate) &&
			same(&x->partner_ca, &y->partner_ca);
	}
	return equal;
}

static struct octets octets_of(const struct secret *s)
{
	return (struct octets){ s->p, (uint32_t)s->len };
}

struct octets fo_keys_secret(const struct fo_keys *k, unsigned relation)
{
	return octets_of(&k->of[relation].secret);
}

struct octets fo_keys_former(const struct fo_keys *k, unsigned relation)
{
	return octets_of(&k->of[relation].former);
}

SSL_CTX *fo_keys_tls(const struct fo_keys *k, unsigned relation)
{
	return k->of[relation].tls;
}
