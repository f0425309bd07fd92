#pragma once
/*
 * Everything that is counted of a failover relationship, under one name each: as it stands here in
 * the API ("updates-sent"), in the metrics as twinlease_failover_updates_sent_total.
 */
#include "core/fo_endpoint.h"

struct ctl_fo_counter {
	const char *name, *help;
	bool gauge;
	double (*value)(const struct fo_status *s); /* NULL: the counter at @at */
	size_t at;				    /* in struct fo_counters */
};

extern const struct ctl_fo_counter ctl_fo_counters[];
extern const unsigned ctl_n_fo_counters;

double ctl_fo_value(const struct ctl_fo_counter *c, const struct fo_status *s);
const char *ctl_fo_metric(const struct ctl_fo_counter *c); /* its name among the metrics */
