/* pagemap_scan.h - PAGEMAP_SCAN of /proc/PID/pagemap, Linux 6.7 and later
 * (Documentation/admin-guide/mm/pagemap.rst); newer than the headers this may be built with.
 *
 * SPDX-License-Identifier: MIT */
#ifndef VAS_CLI_PAGEMAP_SCAN_H
#define VAS_CLI_PAGEMAP_SCAN_H

#include <stdint.h>
#include <sys/ioctl.h>

struct scan {
	uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages;
	uint64_t category_inverted, category_mask, category_anyof_mask, return_mask;
};

struct scan_region {
	uint64_t start, end, categories;
};

#define SCAN _IOWR('f', 16, struct scan)

enum {
	SCAN_FILE = 1 << 2,
	SCAN_PRESENT = 1 << 3,
	SCAN_SWAPPED = 1 << 4,
	SCAN_ZERO = 1 << 5,
	SCAN_GUARD = 1 << 8, /* Linux 6.15; shows as swapped too */
};

#endif
