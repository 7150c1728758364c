/* stat.c - struct stat of all but the oldest architectures.
 *
 * SPDX-License-Identifier: MIT */
#include "kernel.h"

#if !ARCH_IS_X86
size_t arch_stat(const struct node *n, void *out)
{
	const struct {
		uint64_t dev, ino;
		uint32_t mode, nlink, uid, gid;
		uint64_t rdev, pad;
		int64_t size;
		int32_t blksize, pad2;
		int64_t blocks;
		uint64_t times[6];
		uint32_t unused[2];
	} stat = {.dev = 1,
	          .ino = n->inode,
	          .mode = n->mode,
	          .nlink = n->links,
	          .size = (int64_t)n->size,
	          .blksize = (int32_t)PAGE,
	          .blocks = (int64_t)(n->size + 511) / 512};

	memcpy(out, &stat, sizeof(stat));
	return sizeof(stat);
}
#endif
