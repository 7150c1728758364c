/* fuzz_look.h - what can be seen of both sides after a call, compared fast enough to do it always.
 *
 * SPDX-License-Identifier: MIT */
#ifndef VAS_CLI_FUZZ_LOOK_H
#define VAS_CLI_FUZZ_LOOK_H

#include "target/target.h"
#include "target/text.h"

/* Ranges of present pages, ascending, none touching the next. */
struct fuzz_spans {
	struct fuzz_span {
		uint64_t start, end;
	} * at;
	size_t count, size;
};

/* One process: its space, its /proc files, kept open, and room for what is read. */
struct fuzz_look {
	struct vas *space; /* NULL: it does not live */
	int maps, smaps, status, pagemap;
	bool no_scan; /* no PAGEMAP_SCAN before Linux 6.7: small vmas are read word by word */
	struct text vas_maps, kernel_maps, kernel_status;
	struct fuzz_spans vas_pages, kernel_pages;
};

enum fuzz_seen { SEEN_SAME, SEEN_DIFFERENT, SEEN_BROKEN };

/* False: a message has been printed. The targets stay the caller's. */
bool fuzz_look_open(struct fuzz_look *look, struct target *vas, struct target *kernel,
                    unsigned process);
void fuzz_look_close(struct fuzz_look *look);
void fuzz_look_free(struct fuzz_look *look); /* the room too */

/* Each writes to `why` what differs. Maps are equal if they are so when canonical. */
enum fuzz_seen fuzz_look_maps(struct fuzz_look *look, FILE *why);

/* VmSize, VmLck, VmData, VmStk, and VmExe with VmLib; *which tells the first that differs. */
enum fuzz_seen fuzz_look_status(struct fuzz_look *look, FILE *why, unsigned *which);

/* Every page of the space; *addr is the first that is present on one side only. Where vas does not
 * say which pages are there (large pages by MADV_HUGEPAGE), nothing is compared. */
enum fuzz_seen fuzz_look_pages(struct fuzz_look *look, FILE *why, uint64_t *addr);

/* VmFlags of every vma, from one reading of smaps; *addr is the first vma that differs. */
enum fuzz_seen fuzz_look_flags(struct fuzz_look *look, FILE *why, uint64_t *addr);

#endif
