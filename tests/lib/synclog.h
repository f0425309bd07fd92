#pragma once
/* What preload_synclog.so writes and test_power_cut.c reads: one record per event, then @len
 * octets. Same machine, same build: plain structs. */
#include <stdint.h>

enum synclog_op {
	SYNCLOG_WRITE = 'w',  /* @len octets at @off; lost with the power until a sync */
	SYNCLOG_DSYNC = 'W',  /* the same through an O_DSYNC descriptor: on disk when it returns */
	SYNCLOG_SYNC = 's',   /* fdatasync, fsync: everything written before is on disk */
	SYNCLOG_RENAME = 'r', /* the file got its final name; on disk after the next ... */
	SYNCLOG_DIR = 'd',    /* ... fsync of a directory */
	SYNCLOG_MARK = 'm',   /* the program says that batch @off is durable */
	SYNCLOG_ODD = '!',    /* something that the test knows no meaning of */
};

struct synclog_record {
	uint64_t off;
	uint32_t len;
	uint32_t op;
};
