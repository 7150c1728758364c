/* draw_name.h - names of mappings in a column that may be too narrow for them.
 *
 * SPDX-License-Identifier: MIT */
#ifndef VAS_CLI_DRAW_NAME_H
#define VAS_CLI_DRAW_NAME_H

#include <stdbool.h>
#include <stddef.h>

#define SHORT_NAME_MAX 512

/* Into `to` (of SHORT_NAME_MAX), what shows names[i] in `room` columns so that it is told from all
 * the others: whole, without its folders, without its middle, or from where it differs from those
 * that would look alike; where even that is not enough, whole and too wide. Control bytes are made
 * visible. */
void name_shorten(char *to, const char *const *names, size_t count, size_t i, size_t room);

#endif
