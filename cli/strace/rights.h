/* rights.h - limits and capabilities: as Linux numbers them, as people name them, as vas has them.
 *
 * The one table that scripts, logs, both targets and the tracer share. A limit or a capability that
 * is not in it is none that vas knows.
 *
 * SPDX-License-Identifier: MIT */
#ifndef VAS_CLI_RIGHTS_H
#define VAS_CLI_RIGHTS_H

#include <stdbool.h>
#include <stdint.h>

#include "vas/vas.h"

/* Linux's RLIMIT_* of the common architectures. */
enum {
	LINUX_RLIMIT_DATA = 2,
	LINUX_RLIMIT_STACK = 3,
	LINUX_RLIMIT_MEMLOCK = 8,
	LINUX_RLIMIT_AS = 9,
};

/* Linux's CAP_*: bits of CapEff. */
enum { LINUX_CAP_IPC_LOCK = 14, LINUX_CAP_SYS_RAWIO = 17, LINUX_CAP_SYS_ADMIN = 21 };

/* Where a limit stands in /proc/PID/limits, and its number. */
struct limit_row {
	unsigned number;
	const char *proc;
};
extern const struct limit_row limit_rows[VAS_NRLIMITS];

/* Which of vas's limits Linux's number means; false: none. */
bool limit_find(uint64_t number, enum vas_rlimit *limit);

/* The VAS_CAP_* of Linux's number; 0: vas has none. Of all bits of CapEff. */
uint32_t cap_of_number(uint64_t number);
uint32_t caps_of_bits(uint64_t effective);

#endif
