/* target_vas_internal.h - what the two files of the vas side share: the target and its descriptors.
 *
 * SPDX-License-Identifier: MIT */
#ifndef VAS_CLI_TARGET_VAS_INTERNAL_H
#define VAS_CLI_TARGET_VAS_INTERNAL_H

#include "target.h"

#define DESCRIPTORS 1024 /* as the usual RLIMIT_NOFILE */

/* A file system's file: what has pages. Named ones are found again when they are opened again. */
struct node {
	struct node *next;
	struct vas_object *object; /* NULL: a memory file that nobody can open any more */
	uint32_t mode;             /* VAS_FILE_*, without READ and WRITE */
	uint32_t major, minor;
	uint64_t inode;
	unsigned descriptors; /* how many are open */
	bool named;
	char path[]; /* as maps shows it; mappings refer to it, so it lives as long as the target */
};

struct descriptor {
	struct vas_file *file; /* NULL: not open */
	struct node *node;
};

struct vas_target {
	struct target target;
	void *memory;
	uint64_t memory_len;
	struct vas_system *system;
	struct vas *space;
	uint32_t capabilities;
	bool may_raise;    /* hard limits may be raised */
	bool shmem_aligns; /* memory files are mapped 2 MiB aligned (shmem_enabled) */
	struct descriptor descriptor[DESCRIPTORS];
	struct node *nodes;
	uint64_t last_inode;
};

/* What a number means to mmap: NULL, nothing. */
struct vas_file *descriptor_file(struct vas_target *vas, uint64_t number);

/* memfd_create, open, ftruncate, close: a descriptor, 0, or a negative errno. */
int64_t descriptor_memfd(struct vas_target *vas, const char *name, uint64_t flags);
int64_t descriptor_open(struct vas_target *vas, const char *path, uint64_t flags);
int64_t descriptor_truncate(struct vas_target *vas, uint64_t number, uint64_t len);
int64_t descriptor_close(struct vas_target *vas, uint64_t number);

/* A file of zeros that has no descriptor. The caller holds it. NULL: a message has been printed. */
struct vas_file *descriptor_plain_file(struct vas_target *vas, const struct vas_file_info *info,
                                       uint64_t size);

/* Opens descriptors 0 to 2 on /dev/null. False: a message has been printed. */
bool descriptors_start(struct vas_target *vas);

/* Lets go of all files; then, when no mapping is left either, of their names. */
void descriptors_close(struct vas_target *vas);
void descriptors_free(struct vas_target *vas);

#endif
