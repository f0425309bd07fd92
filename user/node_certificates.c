/*
 * Certificates that end: told 30 days before, at the start, when a link has been made and once a
 * day, with the file, the subject, the day and what to do. Ours and those of the partner, as far as
 * a link has shown them, with the CA that vouches for them.
 *
 * Callers: node_turn (every few seconds), node_partner (a link is up).
 * Standards: RFC 5280 §4.1.2.5 (validity).
 */
#include "node_priv.h"

#include <stdio.h>
#include <string.h>

#include "net/fo_tls.h"

#define DAY 86400
#define TOLD_BEFORE (30 * DAY)
#define TOLD_PER_MIN 20 /* of all relationships together; the others follow */
#define MINUTE_US 60000000ll

struct told_end {
	const char *whose, *file, *next;
	uint32_t at; /* the partner's address, for what is known by no file */
};

/* Many relationships may have one and the same: the words about it, without the name of the
 * relationship, are said once. False: too much is said in this minute. */
static bool tell(struct node_relation *r, const struct fo_tls_end *end, struct told_end t)
{
	struct node *n = r->node;
	const char *name = n->conf->relations[r->index].fo.name;
	int64_t left = end->at.sec - n->now.wall.sec;
	char quoted[160], subject[200], file[300], at[24], line[500];
	uint64_t key;

	if (left >= TOLD_BEFORE)
		return true;
	snprintf(line, sizeof(line), "whose=%s file=%s subject=%s ends=%s days-left=%d next=\"%s\"",
		 t.whose, t.file ? log_quote(t.file, strlen(t.file), file, sizeof(file)) : "-",
		 log_quote(end->subject, strlen(end->subject), subject, sizeof(subject)),
		 node_time_text(end->at, at), (int)(left / DAY), t.next);
	key = node_said_key(line, t.at);
	if (node_said_lately(&n->certificates, key, n->now.mono))
		return true;
	if (!node_may_say(&n->certificates, key, TOLD_PER_MIN, n->now.mono))
		return false;
	log_event(left > 0 ? LOG_L_WARNING : LOG_L_ERROR, "certificate-ends", "relationship=%s %s",
		  log_quote(name, strlen(name), quoted, sizeof(quoted)), line);
	return true;
}

/* One file for all relationships is what is usual: the first of them speaks of it. */
static bool is_of_an_earlier(const struct node_relation *r, const char *file)
{
	for (unsigned i = 0; i < r->index; i++) {
		const char *other = r->node->conf->relations[i].tls.certificate;

		if (other && !strcmp(other, file))
			return true;
	}
	return false;
}

static bool watch_ours(struct node_relation *r, const struct conf_relation *c)
{
	static const struct told_end ours = {
		.whose = "ours",
		.next = "put another into the file and reload: from then on the partner refuses us",
	};
	SSL_CTX *tls = fo_keys_tls(r->node->keys, r->index);
	struct told_end t = ours;
	struct fo_tls_end end;

	t.file = c->tls.certificate;
	if (!tls || is_of_an_earlier(r, t.file) || !fo_tls_end_of_ours(tls, &end))
		return true;
	return tell(r, &end, t);
}

static bool watch_theirs(struct node_relation *r, const struct conf_relation *c)
{
	static const struct told_end theirs = {
		.whose = "partner",
		.next = "the partner needs another, and a reload: from then on we refuse it",
	};
	static const struct told_end their_ca = {
		.whose = "partner-ca",
		.next = "add the CA that is to follow it to the file, and reload: from then on we "
			"refuse the partner",
	};
	struct fo_tls_end end;
	struct told_end t;

	if (!r->node->net || !fo_net_partner_end(r->node->net, r->index, &end))
		return true;
	t = end.ca ? their_ca : theirs;
	if (end.ca)
		t.file = c->tls.partner_ca;
	else
		t.at = c->partner.sin_addr.s_addr;
	return tell(r, &end, t);
}

bool node_certificates_of(struct node_relation *r)
{
	const struct conf_relation *c = &r->node->conf->relations[r->index];
	bool ours = watch_ours(r, c);

	return watch_theirs(r, c) && ours;
}

/* Where too many end, the walk goes on from there as soon as more may be said. */
void node_certificates_watch(struct node *n)
{
	if (n->now.mono.us < n->next_certificates.us)
		return;
	for (; n->certificates_at < n->conf->n_relations; n->certificates_at++) {
		unsigned i = n->certificates_at;

		if (!n->conf->relations[i].tls.certificate ||
		    node_certificates_of(&n->relations[i]))
			continue;
		n->next_certificates = mono_add_us(n->now.mono, MINUTE_US);
		return;
	}
	n->certificates_at = 0;
	n->next_certificates = mono_add_us(n->now.mono, DAY * 1000000ll);
}
