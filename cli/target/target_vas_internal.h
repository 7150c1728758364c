/* target_vas_internal.h - what the two files of the vas side share: the target and its descriptors.
 *
 * SPDX-License-Identifier: MIT */
#ifndef VAS_CLI_TARGET_VAS_INTERNAL_H
#define VAS_CLI_TARGET_VAS_INTERNAL_H

#include "target/target.h"

#define DESCRIPTORS 1024 /* as the usual RLIMIT_NOFILE */

/* A file system's file: what has pages. Named ones are found again when they are opened again. */
struct node {
	struct node *next;
	struct vas_object *object; /* NULL: a memory file that nobody can open any more */
	uint32_t mode;             /* VAS_FILE_*, without READ and WRITE */
	uint32_t major, minor;
	uint64_t inode;
	unsigned openings; /* how many have not been closed */
	bool named;
	char path[]; /* as maps shows it; mappings refer to it, so it lives as long as the target */
};

/* What open() made; fork lets several processes have it. */
struct opening {
	struct vas_file *file;
	struct node *node;
	unsigned descriptors; /* how many are it, of whichever process */
};

struct vas_process {
	struct vas *space; /* NULL: there is none of this number, or it has ended */
	uint32_t capabilities;
	struct opening *descriptor[DESCRIPTORS]; /* NULL: not open */
};

struct vas_target {
	struct target target;
	void *memory;
	uint64_t memory_len;
	struct vas_system *system;
	struct vas_process *process[CALL_PROCESSES]; /* by number; 0 is none */
	unsigned processes;                          /* the last number given */
	struct vas_process *now;                     /* whose turn it is */
	struct vas *space;                           /* its space */
	bool may_raise;                              /* hard limits may be raised */
	const struct machine *machine;
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

/* A child has the descriptors of its parent; who ends has none. */
void descriptors_fork(const struct vas_process *parent, struct vas_process *child);
void descriptors_close(struct vas_process *process);

/* At the end, without descriptors: lets go of all files; then, when no mapping is left either, of
 * their names. */
void descriptors_forget(struct vas_target *vas);
void descriptors_free(struct vas_target *vas);

#endif
