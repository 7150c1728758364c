/* raw_libc.c - a system call by the C library's syscall(2), for machines without one of our own.
 *
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include <errno.h>
#include <unistd.h>

#include "raw.h"

int64_t process_raw(uint64_t number, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e,
                    uint64_t f)
{
	int before = errno;
	long result = syscall((long)number, a, b, c, d, e, f);
	int64_t answer = result == -1 ? -(int64_t)errno : result;

	errno = before;
	return answer;
}
