/* relocate.h - scripts for x86-64 on other machines.
 *
 * SPDX-License-Identifier: MIT */
#ifndef VAS_CLI_RELOCATE_H
#define VAS_CLI_RELOCATE_H

#include "target/script.h"
#include "target/target.h"

/* Makes addresses, lengths, offsets and limits, of calls and of answers, those of a machine with
 * another page size and another end of the user's addresses. False: no memory. */
bool script_relocate(struct script *script, const struct machine *machine);

#endif
