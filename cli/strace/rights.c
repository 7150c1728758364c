/* rights.c - the tables of limits and capabilities.
 *
 * SPDX-License-Identifier: MIT */
#include "strace/rights.h"

#include <stddef.h>

const struct limit_row limit_rows[VAS_NRLIMITS] = {
	[VAS_RLIMIT_AS] = {LINUX_RLIMIT_AS, "Max address space"},
	[VAS_RLIMIT_DATA] = {LINUX_RLIMIT_DATA, "Max data size"},
	[VAS_RLIMIT_STACK] = {LINUX_RLIMIT_STACK, "Max stack size"},
	[VAS_RLIMIT_MEMLOCK] = {LINUX_RLIMIT_MEMLOCK, "Max locked memory"},
};

static const struct {
	unsigned number;
	uint32_t cap;
} caps[] = {
	{LINUX_CAP_IPC_LOCK, VAS_CAP_IPC_LOCK},
	{LINUX_CAP_SYS_RAWIO, VAS_CAP_SYS_RAWIO},
	{LINUX_CAP_SYS_ADMIN, VAS_CAP_SYS_ADMIN},
};

bool limit_find(uint64_t number, enum vas_rlimit *limit)
{
	for (unsigned i = 0; i < VAS_NRLIMITS; i++) {
		if (limit_rows[i].number != number)
			continue;
		*limit = (enum vas_rlimit)i;
		return true;
	}
	return false;
}

uint32_t cap_of_number(uint64_t number)
{
	for (size_t i = 0; i < sizeof(caps) / sizeof(caps[0]); i++)
		if (caps[i].number == number)
			return caps[i].cap;
	return 0;
}

uint32_t caps_of_bits(uint64_t effective)
{
	uint32_t all = 0;
	for (size_t i = 0; i < sizeof(caps) / sizeof(caps[0]); i++)
		all |= effective >> caps[i].number & 1 ? caps[i].cap : 0;
	return all;
}
