/* calls.h - Linux's calls that are one of vas's: what each is to the kernel, and to a space.
 *
 * The one table that `vas exec`, `vas fuzz` and `vas check` work from, on either side: what runs on
 * the kernel by this number runs on vas by this function.
 *
 * SPDX-License-Identifier: MIT */
#ifndef VAS_CLI_CALLS_H
#define VAS_CLI_CALLS_H

#include "strace/strace.h"

/* The system call of this machine, or -1: it is none, or this is no Linux. */
long call_number(enum call_name name);

/* Bit n: the kernel takes argument n as a C int, and so looks at 32 bits of it. */
unsigned call_ints(enum call_name name);

/* Whether a space answers it, by call_make. */
bool call_is_of_space(enum call_name name);

/* Makes the call on the space as Linux would; `file` is what mmap's descriptor means (NULL: a bad
 * one). Answers as the kernel does. The call must be one of a space. */
int64_t call_make(struct vas *space, const struct call *call, struct vas_file *file);

#endif
