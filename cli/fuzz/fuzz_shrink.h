/* fuzz_shrink.h - a round that showed a difference, made as short as it can be.
 *
 * SPDX-License-Identifier: MIT */
#ifndef VAS_CLI_FUZZ_SHRINK_H
#define VAS_CLI_FUZZ_SHRINK_H

#include <signal.h>

#include "fuzz/fuzz_run.h"

#define FUZZ_SCRIPT_MAX 4096

struct fuzz_script {
	size_t count;
	struct call call[FUZZ_SCRIPT_MAX];
};

/* Makes the calls again on fresh sides, up to the first difference; script->count of them if there
 * is none, or if the audit at the end finds one. `out`, if not NULL, gets the calls with what the
 * kernel answers. FUZZ_LEFT_OUT: one of them is not made. */
enum fuzz_result fuzz_replay(struct fuzz_run *run, const struct fuzz_script *script,
                             struct fuzz_difference *difference, size_t *at, FILE *out);

/* The difference was found when more than one call had been made: *difference and the script become
 * those of the first there is, all being compared after each call. They stay if there is none. */
void fuzz_find_first(struct fuzz_run *run, struct fuzz_script *script,
                     struct fuzz_difference *difference);

/* Removes and simplifies calls while a difference of the same sort stays; *difference is then that
 * of the result. Ends early when *stop is set. False: the difference does not show again. */
bool fuzz_shrink(struct fuzz_run *run, struct fuzz_script *script,
                 struct fuzz_difference *difference, const volatile sig_atomic_t *stop);

#endif
