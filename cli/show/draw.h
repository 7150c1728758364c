/* draw.h - an address space as a picture in text, alone or with what a call has changed.
 *
 * SPDX-License-Identifier: MIT */
#ifndef VAS_CLI_DRAW_H
#define VAS_CLI_DRAW_H

#include <stdio.h>

#include "vas/vas.h"

struct draw_style {
	unsigned columns; /* 60 to 200 */
	bool colours;     /* by rights, with the escapes of ECMA-48 */
};

/* As the terminal behind the stream is: as wide, and coloured unless NO_COLOR or TERM=dumb says
 * otherwise. Elsewhere COLUMNS wide, or 80, without colours. */
struct draw_style draw_style_of(FILE *stream);

/* Pages that a call has moved. */
struct draw_move {
	uint64_t from, len, to; /* len 0: it has moved none */
};

/* Draws every line of `maps`, the text of /proc/PID/maps, from the highest address down to 0: where
 * it starts, a bar that grows with the logarithm of its size, its size, rights and name. What is
 * free between them, and up to `end`, is one line with its size. */
void draw_maps(FILE *out, const struct draw_style *style, const char *maps, uint64_t end);

/* The same of two moments at once: what was there only before is marked -, what is there only
 * after +, and what has moved says where to and where from. */
void draw_change(FILE *out, const struct draw_style *style, const char *before, const char *after,
                 const struct draw_move *move, uint64_t end);

/* draw_maps of a space's. */
void draw_space(FILE *out, const struct draw_style *style, struct vas *space);

#endif
