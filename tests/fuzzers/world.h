/* world.h - the systems that hostile calls are made on, made once and set back before each script.
 *
 * A script's first slot chooses the kind: a format (most are small: a real format's words in tables
 * of 8 or 16 entries, soon filled and soon checked), a version of Linux, a layout. All that vas
 * knows is in the region, so setting back is copying bytes; only what making it wrote is copied:
 * the bytes of free frames are undefined.
 *
 * SPDX-License-Identifier: MIT */
#ifndef VAS_FUZZ_WORLD_H
#define VAS_FUZZ_WORLD_H

#include "fuzz.h"

#include <string.h>

#include "format/format.h"
#include "vas/vas.h"

/* Scripts are read in slots: a call begins with a slot and may go on in the next. */
#define SLOT 8u

/* The first byte: the last values are formats as they are, all others small ones. */
#define SMALL_KINDS 6
#define REAL_KINDS 6

#define SPACES 4
#define OBJECTS 3

/* How often a script is checked besides at its end. Small systems are checked after each call that
 * may have changed something; a few scripts ask for an account of every frame as well. */
enum checks { CHECK_EIGHTH, CHECK_EACH, CHECK_AUDIT };

struct script {
	const uint8_t *data;
	size_t left;
};

struct world {
	struct vas_system *system;
	struct vas *space[SPACES]; /* NULL: none; the first always lives */
	struct vas_object *object[OBJECTS];
	struct vas_file *file[OBJECTS]; /* NULL: could not be opened again */
	const struct vas_format *format;
	uint64_t page;           /* bytes */
	uint64_t window, border; /* most calls work in the pages from `window` on; the border of
	                            large pages and of the tables above them is in the middle */
	uint64_t free_before;    /* frames, before there was anything */
	struct script script;
	unsigned who; /* the space that the call is made on; SPACES: several */
	enum checks checks;
	bool close_first;        /* at the end, files and objects go before the spaces */
	bool translated[SPACES]; /* the TLB may hold something */
	unsigned released;       /* how many objects said that they go */

	/* Only the first is set back: the others are when they are registered. */
	struct vas_tlb tlb[SPACES];
};

/* The one world, as the first slot of the script wants it. */
struct world *world_begin(const uint8_t *data, size_t size);

/* Whether `len` bytes at `at` are in the region, on one page. */
bool world_owns(const struct world *world, const void *at, size_t len);

/* The host's address of a physical one. */
void *world_host(uint64_t phys);

/* Opens object `i` once more. False: no memory. */
bool world_open(struct world *world, unsigned i);

/* Nothing outside the region was written. */
void world_require_guards(void);

/* ---- Arguments ------------------------------------------------------------------------------ */

static inline uint8_t take_byte(struct script *script)
{
	if (script->left == 0)
		return 0;
	script->left--;
	return *script->data++;
}

/* 64 bits as they come; at the end of the script, zeros. */
static inline uint64_t take_word(struct script *script)
{
	uint64_t word = 0;

	for (unsigned i = 0; i < 8; i++)
		word |= (uint64_t)take_byte(script) << (8 * i);
	return word;
}

/* What is left of the slot is not read. */
static inline void skip_slot(struct script *script, const uint8_t *start)
{
	size_t past = (size_t)(script->data - start) % SLOT;
	size_t rest = past ? SLOT - past : 0;

	if (rest > script->left)
		rest = script->left;
	script->data += rest;
	script->left -= rest;
}

#endif
