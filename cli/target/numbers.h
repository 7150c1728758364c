/* numbers.h - the numbers of system calls, __NR_*, with those that are newer than the headers this
 * may be built with: they are the same on every 64-bit port.
 *
 * SPDX-License-Identifier: MIT */
#ifndef VAS_CLI_NUMBERS_H
#define VAS_CLI_NUMBERS_H

#include <asm/unistd.h>

#ifndef __NR_map_shadow_stack
#define __NR_map_shadow_stack 453
#endif
#ifndef __NR_mseal
#define __NR_mseal 462
#endif

#endif
