/* snapshot.h - a process as it is at one moment: its map as text, and of vas every word of its page
 * tables, its vmas and limits.
 *
 * What a call has changed, and which check it has failed, is seen by the snapshot before it.
 *
 * SPDX-License-Identifier: MIT */
#ifndef VAS_CLI_SNAPSHOT_H
#define VAS_CLI_SNAPSHOT_H

#include "target/compare.h"

/* A word of a page table that is not zero. */
struct table_word {
	uint64_t addr; /* the first address it stands for */
	uint64_t word;
	unsigned level;
};

#define SNAPSHOT_FILE 0x80000000u

struct snapshot {
	char *maps; /* NULL: nothing has been taken */
	struct table_word *words;
	size_t nwords;
	bool has_words; /* there are hardware tables */
	bool cut;       /* there are more words than this keeps */
	struct vas_region *regions; /* without their files and names, which may go */
	uint32_t *modes;            /* VAS_FILE_* of their files and SNAPSHOT_FILE; 0: none */
	size_t nregions;
	struct vas_limit limit[VAS_NRLIMITS];
	struct vas_status status;
};

/* Of the pair's first side; the last three of vas alone, if it is there. False: no memory, or there
 * is no such process. */
bool snapshot_take(struct snapshot *snapshot, const struct pair *pair, unsigned process);
void snapshot_free(struct snapshot *snapshot);

/* Prints the lines of the map that only one of two moments has, and the words that differ. */
void snapshot_diff(FILE *out, const struct snapshot *before, const struct snapshot *after);

#endif
