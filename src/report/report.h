/* report.h - what the reports share.
 *
 * A report reads the space under its lock, for a part at a time: lines are true one by one.
 *
 * SPDX-License-Identifier: MIT */
#ifndef VAS_REPORT_H
#define VAS_REPORT_H

#include "calls/calls.h"
#include "base/text.h"

/* A line of maps, which also heads the vma's part of smaps. */
VAS_INTERNAL void report_vma(struct text *text, const struct vas *space, const struct vma *vma);

/* Its first and its last column. */
VAS_INTERNAL void report_range(struct text *text, uint64_t start, uint64_t end);
VAS_INTERNAL void report_name(struct text *text, const char *name);

#endif
