#pragma once
/*
 * Secrets, keys and certificates of the failover relationships, read from their files and checked.
 * What is secret lies in memory that is locked and in no core dump, and is never printed.
 * Spec: decision A24.
 */
#include <openssl/types.h>

#include "conf/conf.h"

#define FO_SECRET_MIN 16
#define FO_SECRET_MAX 1024
#define FO_KEYS_ERR 256 /* room for a message */

struct fo_keys; /* of all relationships */

/**
 * fo_keys_load - read what a configuration names
 * Return: 0, also where nothing is configured; -errno with @err: file, what is wrong, remedy.
 */
int fo_keys_load(const struct conf *c, struct fo_keys **ret, char err[FO_KEYS_ERR]);
void fo_keys_free(struct fo_keys *k);
bool fo_keys_equal(const struct fo_keys *a, const struct fo_keys *b); /* the same octets */

/* The secret in force, the former one; p NULL: none. */
struct octets fo_keys_secret(const struct fo_keys *k, unsigned relation);
struct octets fo_keys_former(const struct fo_keys *k, unsigned relation);
SSL_CTX *fo_keys_tls(const struct fo_keys *k, unsigned relation); /* NULL: none */
