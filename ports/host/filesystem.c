/* filesystem.c - the table of filesystems.
 *
 * Only those stand here whose regular files map in the plain way. Whether one asks for aligned
 * addresses was seen by mapping a file of each (tests/check/files.c does for those that it finds).
 *
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "filesystem.h"

#include <stddef.h>
#include <sys/statvfs.h>
#ifdef __linux__
#include <sys/vfs.h>

static const struct filesystem filesystems[] = {
	{0xef53, "ext4", true, false, true}, /* and ext2, ext3 */
	{0x58465342, "xfs", true, false, true},
	{0x9123683e, "btrfs", true, false, true},
	{0x01021994, "tmpfs", false, true, true}, /* and memory files */
	{0x858458f6, "ramfs", false, false, false},
	{0x794c7630, "overlay", false, false, false},
	{0x6969, "nfs", false, false, false},
	{0x01021997, "9p", false, false, false},
	{0x65735546, "fuse", false, false, false},
	{0xf2f52010, "f2fs", false, false, false},
	{0x4d44, "vfat", false, false, false},
	{0x2011bab0, "exfat", false, false, false},
	{0x9660, "iso9660", false, false, false},
	{0x73717368, "squashfs", false, false, false},
	{0xe0f5e1e2, "erofs", false, false, false},
	{0x2fc12fc1, "zfs", false, false, false},
	{0xca451a4e, "bcachefs", false, false, false},
};

static const struct filesystem *find(uint32_t magic)
{
	for (size_t i = 0; i < sizeof(filesystems) / sizeof(filesystems[0]); i++)
		if (filesystems[i].magic == magic)
			return &filesystems[i];
	return NULL;
}

const struct filesystem *vas_host_filesystem(int fd)
{
	struct statfs fs;

	return fstatfs(fd, &fs) == 0 ? find((uint32_t)fs.f_type) : NULL;
}

const struct filesystem *vas_host_filesystem_at(const char *path)
{
	struct statfs fs;

	return statfs(path, &fs) == 0 ? find((uint32_t)fs.f_type) : NULL;
}

#else /* other systems do not say in numbers */

const struct filesystem *vas_host_filesystem(int fd)
{
	(void)fd;
	return NULL;
}

const struct filesystem *vas_host_filesystem_at(const char *path)
{
	(void)path;
	return NULL;
}

#endif

bool vas_host_noexec(int fd)
{
#ifdef ST_NOEXEC
	struct statvfs mount;

	return fstatvfs(fd, &mount) == 0 && (mount.f_flag & ST_NOEXEC);
#else
	(void)fd;
	return false;
#endif
}

bool vas_host_noexec_at(const char *path)
{
#ifdef ST_NOEXEC
	struct statvfs mount;

	return statvfs(path, &mount) == 0 && (mount.f_flag & ST_NOEXEC);
#else
	(void)path;
	return false;
#endif
}
