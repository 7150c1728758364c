/* visible.h - text of others on a terminal: what is not printable ASCII is shown as \ooo.
 *
 * SPDX-License-Identifier: MIT */
#ifndef VAS_CLI_VISIBLE_H
#define VAS_CLI_VISIBLE_H

#include <stddef.h>
#include <stdio.h>

/* Into `to`, terminated; ends before what does not fit. Returns its length. */
size_t visible_text(char *to, size_t size, const char *text, size_t len);

/* To a stream; newlines and tabs stay. */
void visible_put(FILE *out, const char *text, size_t len);

#endif
