/*
 * The power-cut test with a store that says "durable" before it commits: the shipping writer,
 * compiled with a define (decision E3). It passes when the test notices.
 */
#define MUTANT_DURABLE_EARLY
#define FAULTS_EXPECTED true
#include "store/lease_writer.c"
#include "test_power_cut.c"
