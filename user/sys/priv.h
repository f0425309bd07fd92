#pragma once
/*
 * Rights of the process: check before anything starts, give up all but the needed ones after the
 * filter is attached and the sockets are open. The only module that includes libcap.
 */
#include <stdbool.h>
#include <stddef.h>

enum priv_need {
	PRIV_BIND = 1,	    /* CAP_NET_BIND_SERVICE: UDP port 67 */
	PRIV_RAW = 2,	    /* CAP_NET_RAW: packet sockets for clients without an address */
	PRIV_BPF = 4,	    /* CAP_BPF: make maps; before kernel 6.1 also to open pins */
	PRIV_NET_ADMIN = 8, /* CAP_NET_ADMIN: load and attach the filter */
	PRIV_PERFMON = 16,  /* CAP_PERFMON: packet pointer arithmetic in the filter */
};
#define PRIV_SERVE (PRIV_BIND | PRIV_RAW)
#define PRIV_ATTACH (PRIV_BPF | PRIV_NET_ADMIN | PRIV_PERFMON)
#define PRIV_ERR 1024 /* room for a message */

/**
 * priv_serve_need - what serving needs on the running kernel
 * @pins: the maps are opened from pins, now or after a reload
 * Return: PRIV_SERVE, with PRIV_BPF where the kernel is older than 6.1.
 */
unsigned priv_serve_need(bool pins);

/**
 * priv_missing - which of some rights the process lacks
 * Port 67 counts as permitted where net.ipv4.ip_unprivileged_port_start says so. What is
 * permitted but not effective is made effective.
 */
unsigned priv_missing(unsigned need);

/**
 * priv_check - refuse to start where a right is missing
 * @err: what is missing, what for, and how to grant it by systemd, setcap or a container
 * Return: 0; -EPERM with @err.
 */
int priv_check(unsigned need, char err[PRIV_ERR]);

/**
 * priv_make_directory - create a directory that the daemon's user will own
 * @user: NULL: whoever we are. An existing directory is left as it is.
 * Return: 0; -errno with @err.
 */
int priv_make_directory(const char *path, const char *user, unsigned mode, char err[PRIV_ERR]);

/**
 * priv_drop - become @user and keep no right but @keep, for good
 * @user: NULL, or not started as root: nobody to become, only rights are given up
 * Also sets no_new_privs and makes the process undumpable (secrets do not end in core files).
 * Return: 0; -errno with @err; then the caller must exit.
 * Context: at start, before any thread exists.
 */
int priv_drop(const char *user, unsigned keep, char err[PRIV_ERR]);
