/* host_libc.c - what a program with a C library asks it, on every host.
 *
 * SPDX-License-Identifier: MIT */
#include <pthread.h>
#include <unistd.h>

#include "host.h"

uint64_t host_page_size(void)
{
	return (uint64_t)sysconf(_SC_PAGESIZE);
}

void host_at_fork(void (*before)(void), void (*after)(void), void (*child)(void))
{
	(void)pthread_atfork(before, after, child);
}
