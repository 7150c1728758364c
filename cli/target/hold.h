/* hold.h - the machine's pool of huge pages, set for the length of a script.
 *
 * One run at a time has it: another waits. A process of its own puts the old number back when the
 * run ends, however it does.
 *
 * SPDX-License-Identifier: MIT */
#ifndef VAS_CLI_HOLD_H
#define VAS_CLI_HOLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct hold;

/* Takes vm.nr_hugepages for this run. NULL: `why` says why not. */
struct hold *hold_begin(char *why, size_t size);

/* Makes it so many that `pages` of them can be had. False: `why` says why not. */
bool hold_set(struct hold *hold, uint64_t pages, char *why, size_t size);

/* Keeps others from setting it: waits until nobody does. NULL: there is no such setting. */
struct hold *hold_share(void);

/* Puts it back as it was. NULL is nothing to put back. */
void hold_end(struct hold *hold);

#endif
