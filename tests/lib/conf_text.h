#pragma once
/* Configurations as text: what conf says about one, and beginnings to write the rest behind. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "conf/conf.h"

#define N(a) (sizeof(a) / sizeof((a)[0]))

#define SERVER "server: {interfaces: [eth0]}\n"
#define REL_HEAD SERVER "relationships:\n- name: r\n  authentication: off\n  role: primary\n"
#define REL REL_HEAD "  local: 192.0.2.1\n  partner: 192.0.2.2\n" /* ends with line 7 */
#define BARE                                                                                       \
	SERVER "relationships:\n- name: r\n  role: primary\n  local: 192.0.2.1\n  partner: "       \
	       "192.0.2.2\n"
#define SCOPE SERVER "scopes:\n- subnet: 10.9.0.0/24\n" /* ends with line 3 */
#define RANGE SCOPE "  ranges: [10.9.0.10-10.9.0.20]\n" /* line 4 */

/* Messages about a text as conf_problems_print writes them, or "ok\n" first. */
static inline const char *messages(const char *text, struct conf **ret)
{
	static char buf[65536];
	struct conf_problems p;
	struct conf *c = NULL;
	FILE *out = fmemopen(buf, sizeof(buf), "w");
	int r = conf_parse("f", text, strlen(text), &c, &p);

	assert_non_null(out);
	assert_int_equal(r, p.errors ? -EINVAL : 0);
	assert_int_equal(!c, r < 0);
	conf_problems_print("f", &p, out);
	fclose(out);
	conf_problems_free(&p);
	if (ret)
		*ret = c;
	else
		conf_free(c);
	return buf;
}

static inline struct conf *parse(const char *text)
{
	struct conf *c;
	const char *m = messages(text, &c);

	if (!c)
		fail_msg("%s", m);
	return c;
}

static inline uint32_t ip(const char *s)
{
	struct in_addr a;

	assert_int_equal(inet_pton(AF_INET, s, &a), 1);
	return ntohl(a.s_addr);
}
