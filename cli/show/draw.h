/* draw.h - an address space as a picture in text.
 *
 * SPDX-License-Identifier: MIT */
#ifndef VAS_CLI_DRAW_H
#define VAS_CLI_DRAW_H

#include <stdio.h>

#include "vas/vas.h"

/* Draws every vma of `space` from the highest address down, 80 columns wide: where it starts, a bar
 * that grows with the logarithm of its size, its size, rights and name. What is free between vmas
 * is one line with its size. If memory for the text is missing, one line says so. */
void draw_maps(FILE *out, struct vas *space);

#endif
