/* log_maps.h - lines of /proc/PID/maps and smaps, read and compared.
 *
 * Two maps are the same if their lines are, apart from what does not concern memory: the name of a
 * file that has an inode (it may be renamed or deleted meanwhile), the inode number of shared
 * anonymous memory (any), and [vsyscall], which is not a vma.
 *
 * SPDX-License-Identifier: MIT */
#ifndef VAS_CLI_LOG_MAPS_H
#define VAS_CLI_LOG_MAPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vas/vas.h"

struct map_line {
	uint64_t start, end;
	char perms[5]; /* "rw-p" */
	uint64_t offset;
	uint32_t major, minor;
	uint64_t inode;
	const char *name; /* "" if it has none */
	uint64_t flags;   /* VAS_VM_*, if has_flags */
	uint32_t file;    /* id of its file in the log; 0: none */
	bool has_flags, touched;
};

struct map_lines {
	struct map_line *line;
	size_t n, room;
};

/* Adds a zeroed line, or NULL if there is no memory for it. */
struct map_line *map_lines_add(struct map_lines *lines);
void map_lines_free(struct map_lines *lines);

/* Reads maps or smaps into `lines` (emptied first; names point into `text`, which is changed).
 * [vsyscall] is left out. False: a line was not understood, or no memory. */
bool map_lines_parse(struct map_lines *lines, char *text);

/* The bits of VmFlags' two-letter words; those without a bit (sd, ar) count for nothing. Nor do
 * words not known here, which a newer kernel may have, unless `strict`. */
bool vmflags_parse(const char *words, size_t len, bool strict, uint64_t *flags);

/* The bits that VmFlags shows: all but those that are vas's own. */
#define VMFLAGS_MASK \
	(~(VAS_VM_SPECIAL | VAS_VM_OPAQUE | VAS_VM_POLICY | VAS_VM_HUGE_OWNER | VAS_VM_APART))

/* Whether a file is behind it. Its inode may be 0: the first System V segment's is. */
static inline bool map_line_has_file(const struct map_line *line)
{
	return line->inode || line->major || line->minor;
}

bool map_line_same(const struct map_line *a, const struct map_line *b);
/* Whether two lines are of the same kind of memory, wherever they begin and end. A guard's mark,
 * which what is joined gets from either, does not count. */
bool map_line_alike(const struct map_line *a, const struct map_line *b);
bool map_line_shared_anon(const struct map_line *line);
bool map_line_huge(const struct map_line *line); /* MAP_HUGETLB of no file */

/* Index of the first line that differs, or the number of lines if none does. */
size_t map_lines_differ(const struct map_lines *a, const struct map_lines *b);

/* Equal maps have equal digests. */
uint64_t map_lines_digest(const struct map_lines *lines);

/* One line as maps prints it, VmFlags behind it if it has them. */
#define MAP_LINE_TEXT 512
void map_line_print(char text[MAP_LINE_TEXT], const struct map_line *line);

#endif
