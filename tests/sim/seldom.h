#pragma once
/*
 * Which pairs of states can be, and are met so seldom in random runs that none may be among them: a
 * conflict or a recovery on one side while the other has just left one. The simulation's coverage
 * (sim_cover.c) does without them, since explore_fsm walks every one, and every way from it, and
 * fails when it does not reach one of them.
 */
#include "core/fo_fsm.h"

static const struct {
	uint8_t p, s; /* of the primary and of the secondary */
} seldom[] = {
	{ FO_NORMAL, FO_RESOLUTION_INT },
	{ FO_COMM_INT, FO_RESOLUTION_INT },
	{ FO_POTENTIAL_CONFLICT, FO_RECOVER_DONE },
	{ FO_POTENTIAL_CONFLICT, FO_RECOVER_WAIT },
	{ FO_RECOVER, FO_RESOLUTION_INT },
	{ FO_RECOVER, FO_RECOVER_WAIT },
	{ FO_RECOVER_DONE, FO_POTENTIAL_CONFLICT },
	{ FO_RECOVER_DONE, FO_RESOLUTION_INT },
	{ FO_RESOLUTION_INT, FO_NORMAL },
	{ FO_RESOLUTION_INT, FO_RECOVER },
	{ FO_RESOLUTION_INT, FO_RECOVER_DONE },
	{ FO_RESOLUTION_INT, FO_RECOVER_WAIT },
	{ FO_CONFLICT_DONE, FO_RECOVER },
	{ FO_CONFLICT_DONE, FO_RECOVER_DONE },
	{ FO_CONFLICT_DONE, FO_RECOVER_WAIT },
	{ FO_RECOVER_WAIT, FO_NORMAL },
	{ FO_RECOVER_WAIT, FO_POTENTIAL_CONFLICT },
	{ FO_RECOVER_WAIT, FO_RECOVER },
	{ FO_RECOVER_WAIT, FO_RECOVER_DONE },
	{ FO_RECOVER_WAIT, FO_RESOLUTION_INT },
	{ FO_RECOVER_WAIT, FO_RECOVER_WAIT },
};

enum { SELDOM = sizeof(seldom) / sizeof(seldom[0]) };
