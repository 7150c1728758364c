/* raw.h - one system call, as the kernel answers it: raw_x86_64.S, or raw_libc.c elsewhere.
 *
 * SPDX-License-Identifier: MIT */
#ifndef VAS_PROCESS_RAW_H
#define VAS_PROCESS_RAW_H

#include <stdint.h>

int64_t process_raw(uint64_t number, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e,
                    uint64_t f);

#endif
