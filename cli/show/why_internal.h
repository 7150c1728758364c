/* why_internal.h - what the tables of causes ask of a call and of what was there before it.
 *
 * SPDX-License-Identifier: MIT */
#ifndef VAS_CLI_WHY_INTERNAL_H
#define VAS_CLI_WHY_INTERNAL_H

#include "show/why.h"

#define ASK const struct why_question *q
#define ARG(n) (q->call->arg[n])

/* The tables, ended by a row without a cause. */
extern const struct why why_mremap[], why_mmap[], why_other[];

/* Sizes: rounded up to pages (0 where that wraps); whether they are whole ones; the smallest huge
 * page. */
uint64_t why_round(ASK, uint64_t len);
bool why_is_aligned(ASK, uint64_t addr);
bool why_is_huge_aligned(ASK, uint64_t addr);
uint64_t why_task_size(ASK);

/* The vma at an address, or the first that ends above it; NULL: none. */
const struct vas_region *why_region(ASK, uint64_t addr);
const struct vas_region *why_next(ASK, uint64_t addr);
uint32_t why_mode(ASK, const struct vas_region *region);

/* Of [start, end): whether a vma of it has one of the flags, lacks all of them, or there is a gap;
 * whether there is an aligned hole of this length anywhere. */
bool why_has(ASK, uint64_t start, uint64_t end, uint64_t flags);
bool why_lacks(ASK, uint64_t start, uint64_t end, uint64_t flags);
bool why_has_gap(ASK, uint64_t start, uint64_t end);
bool why_has_hole(ASK, uint64_t len);

/* Whether the caller has a VAS_CAP_*; may map at such an address; may lock at all, and so many
 * pages more. */
bool why_can(ASK, uint32_t capability);
bool why_is_low(ASK, uint64_t addr);
bool why_can_lock(ASK);
bool why_lock_fits(ASK, uint64_t bytes);

/* Whether so many bytes more stay within RLIMIT_AS, and RLIMIT_DATA. */
bool why_size_fits(ASK, uint64_t bytes);
bool why_data_fits(ASK, uint64_t bytes);

/* Whether the vmas are so many, or lack no more than `room` to be. */
bool why_is_full(ASK, uint64_t room);

/* Bytes of [start, end) that are mapped. */
uint64_t why_mapped(ASK, uint64_t start, uint64_t end);

#endif
