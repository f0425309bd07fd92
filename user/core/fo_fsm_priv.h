#pragma once
/* Between the parts of the failover state machine; nobody else includes it. */
#include "core/fo_fsm.h"

struct fo_step fsm_stay(const struct fo_end *cur, uint32_t todo, const char *why);
struct fo_step fsm_unexpected(const struct fo_end *cur);
struct fo_step fsm_refuse(const struct fo_end *cur, const char *why);

/* Is there a partner to tell? */
bool fsm_linked(const struct fo_in *in);
bool fsm_partner_ready(const struct fo_end *end); /* NORMAL or RECOVER-DONE, as last heard */

/* When RECOVER-WAIT ends: UTC sec, 0 at once. */
uint32_t fsm_wait_until(const struct fo_end *end, const struct fo_in *in);

/* Which update request is right: enum fo_do. */
uint32_t fsm_ask(const struct fo_end *end, const struct fo_in *in);

/**
 * fsm_go - the only function that moves state
 * @cur: its state is the one left; the same as @to when a restart returns to what it was, whose
 *       start is kept then
 */
struct fo_step fsm_go(const struct fo_end *cur, const struct fo_in *in, enum fo_state to,
		      const char *why);

/* RECOVER-DONE, or NORMAL at once where the partner is there (or will be, by what we say). */
struct fo_step fsm_recovered(const struct fo_end *cur, const struct fo_in *in, const char *why);

/* fo_fsm_peer.c: the row of our state in the table of the partner's states. */
struct fo_step fsm_sees(const struct fo_end *e, const struct fo_in *in);

/* For MCLT or more: the partner may have taken over. Who is held back stays so. */
bool fsm_long_away(const struct fo_end *end, const struct fo_in *in);

/* Hold back: decision A8. */
void fsm_hold(struct fo_step *s, const char *why);

/* fo_fsm_start.c: from STARTUP, PAUSED, SHUTDOWN into the saved state, with and without partner. */
struct fo_step fsm_start(const struct fo_end *cur, const struct fo_in *in);
struct fo_step fsm_leave_linked(const struct fo_end *cur, const struct fo_in *in);
struct fo_step fsm_leave_alone(const struct fo_end *cur, const struct fo_in *in, const char *why);

/* fo_fsm_isc.c: what an ISC dhcpd does not survive is not shown to it. */
struct fo_step fsm_spare_isc(const struct fo_end *e, const struct fo_in *in, struct fo_step s);

/* fo_fsm_oper.c */
struct fo_step fsm_op_halt(const struct fo_end *cur, const struct fo_in *in);
struct fo_step fsm_op_resume(const struct fo_end *cur, const struct fo_in *in);
struct fo_step fsm_op_partner_down(const struct fo_end *cur, const struct fo_in *in);
