#pragma once
/* What a run has seen; one per process, added up at the end. */
#include "sim.h"

#define STATES 13 /* dead, STARTUP .. CONFLICT-DONE, RECOVER-WAIT */
#define RUNGS 14

struct cover {
	uint64_t pair[STATES][STATES];
	uint64_t reason[SERVER_REASON_COUNT];
	uint64_t reject[32];
	uint64_t rung[RUNGS];
	uint64_t fault[F_KINDS];
	uint64_t seeds, events, collisions, false_pd;
	double hours;
};

void cover_rung(unsigned rung);
void cover_add(struct cover *to, const struct cover *from);
