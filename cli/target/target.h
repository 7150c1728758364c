/* target.h - something that answers calls: vas spaces, or live processes of the running kernel.
 *
 * Both start as the same nearly empty process: one r-x page (the kernel side's stub, imported on
 * the vas side), a break, no stack, no vdso, addresses not randomised. So the same script gives the
 * same answers, addresses included. What it forks are processes of the target, too: the first is
 * number 1, the next 2 and so on, whoever forked it; numbers are not used again.
 *
 * SPDX-License-Identifier: MIT */
#ifndef VAS_CLI_TARGET_H
#define VAS_CLI_TARGET_H

#include <stdio.h>
#include <sys/types.h>

#include "strace/strace.h"
#include "target/version.h"

struct target;

struct target_ops {
	const char *name; /* "vas", "kernel" */
	/* Makes the call; fills *answer (the caller frees it). False: the target itself broke (the
	 * process died, ptrace failed): a message has been printed on stderr. */
	bool (*call)(struct target *, const struct call *call, struct answer *answer);
	/* /proc/PID/maps of a living process as text (malloc'ed), or NULL if the target broke. */
	char *(*maps)(struct target *, unsigned process);
	/* VmSize, VmLck, VmData ... The fields a target cannot know are left 0 on both. */
	bool (*status)(struct target *, unsigned process, struct vas_status *status);
	void (*destroy)(struct target *);
};

struct target {
	const struct target_ops *ops;
	uint64_t page_size; /* bytes */
};

/* How Linux is set up: read from the running kernel, or given by a log or a script. */
struct machine {
	uint32_t version; /* VAS_LINUX(6, 18, 44) */
	char release[64]; /* uname -r */
	struct vas_settings settings;
	char thp[16], shmem_thp[16]; /* the chosen word of each */
	bool vas_verified;           /* vas has been verified against this version */
	bool software;               /* vas keeps pages in software trees */
	bool emulated;               /* the processor is QEMU's: its faults are not all real */
	const struct machine_format *format;
	uint64_t task_size, window; /* as vas_config has them, and so the next */
	bool exec_reads, heap_apart;
	bool ignores_tags; /* the processor does not look at the top byte of an address of data */
};

/* A page-table format, with what hosts that have it say of themselves. */
struct machine_format {
	const char *name; /* "aarch64_16k", as --format takes it */
	const struct vas_format *format;
	uint64_t page_size;
	uint64_t task_size; /* the usual one */
};

/* By name; NULL: a message has been printed that says which there are. */
const struct machine_format *machine_format_find(const char *name);

/* The first whose name begins so, or NULL. */
const struct machine_format *machine_format_begins(const char *name);

/* The machine shall have this format, and the usual TASK_SIZE with it. */
void machine_set_format(struct machine *machine, const struct machine_format *format);

/* Those of the running kernel, by what it says; false: no format is like that. */
bool machine_find_format(struct machine *machine, uint64_t page_size, uint64_t task_size);

/* What huge pages of the pool cover: vas_settings.hugepages of this index. */
uint64_t machine_huge_size(const struct machine *machine, unsigned index);

/* Reads the running kernel's (uname, sysctls, /sys, the real lowest address by trying). False: a
 * message has been printed. */
bool machine_read(struct machine *machine);

/* What of the running kernel's settings is otherwise than `before` has it: a line of text to be
 * freed ("overcommit_memory 0 -> 1, ..."), or NULL: nothing, or it cannot be read. For who has
 * found a difference: somebody may have changed the machine meanwhile. */
char *machine_changes(const struct machine *before);
#define MACHINE_CHANGED "The machine was set otherwise meanwhile, from which differences can come: "

/* "always", "madvise" or "never" as an enum vas_thp; never, if it is none of them. */
uint32_t thp_number(const char *word);

/* Whether shmem_enabled's word gives shared memory huge pages. */
bool shmem_is_huge(const char *word);

/* Whether the machine aligns mappings of a file in memory, on such a device, so that huge pages
 * fit: as the mount says, or shmem_enabled. */
bool machine_aligns_memory(const struct machine *machine, dev_t dev);

/* The kernel side. Its process is a child, traced. NULL: a message has been printed. */
struct target *target_kernel_create(void);

/* Several calls of a kernel target, as its ops->call makes one, with fewer switches between this
 * process and theirs. The caller frees all `count` answers, which it has set to 0; false: the
 * target broke. */
bool target_kernel_calls(struct target *target, const struct call *call, unsigned count,
                         struct answer *answer);

/* Scripts may set the sysctls of the machine (nr_hugepages they always may): for machines of one's
 * own. They are put back when the target is destroyed, but not if this process is killed. */
void target_kernel_sets_sysctls(struct target *target);

/* How a target's process began: what exec decided, its limits, its only mapping. */
struct target_start {
	struct vas_params params;
	char *maps; /* /proc/PID/maps of the beginning, owned by the target */
};
const struct target_start *target_kernel_start(const struct target *target);

/* The process id of a kernel target's first process, for who reads more of its /proc than the
 * target does; and of any, 0 if it does not live. */
int target_kernel_pid(const struct target *target);
int target_kernel_process(const struct target *target, unsigned process);

/* The vas side, in a process like the kernel side's: start map, limits, base as given by `like`
 * (a kernel target), or as the same process would have them if `like` is NULL. */
struct target *target_vas_create(const struct machine *machine, struct target *like);

/* The space behind a vas target's first process, for walk, check and audit; and behind any, NULL if
 * it does not live. */
struct vas *target_vas_space(struct target *target);
struct vas *target_vas_process(struct target *target, unsigned process);

/* What a process of it may do (VAS_CAP_*), and what it has open under a number: NULL, nothing. */
uint32_t target_vas_capabilities(struct target *target, unsigned process);
const struct vas_file_info *target_vas_file(struct target *target, unsigned process,
                                            uint64_t number);

/* vas_check of every space; with vas_audit for the second. NULL, or what does not hold. */
const char *target_vas_check_spaces(struct target *target);
const char *target_vas_check(struct target *target);

/* ---- What both targets share (target.c) ------------------------------------------------------ */

/* True and *answer a refusal if a target must not make the call: it would touch the stub page, or
 * open what a script may not. Both targets ask this first, so that both refuse alike. */
bool target_refuses(const struct target *target, const struct call *call, struct answer *answer);

/* The same for a process that there is not, and for one more than there may be. */
void target_refuse_speaker(const struct call *call, struct answer *answer);
void target_refuse_fork(struct answer *answer);
void answer_refuse(struct answer *answer, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* The paths a script may open. Files in /tmp/vas/ are each run's own: made by O_CREAT and gone at
 * the end; the kernel side keeps them elsewhere and shows them under this name. */
#define SCRATCH_DIR "/tmp/vas/"

/* A copy (malloc'ed; NULL: no memory) of maps that can be compared across targets and runs: files
 * without a lasting inode (deleted ones, memory files, /dev/zero, SCRATCH_DIR) show 00:01 and their
 * ordinal of first appearance; the vsyscall line is left out, for it is no vma. */
char *maps_canonical(const char *maps);

/* The VmFlags of smaps as vas_vmflags writes them, without blanks at the end: softly dirty is
 * nothing that vas knows, and up to Linux 6.1 lf had no letters. Returns their length. */
size_t vmflags_canonical(char to[VAS_VMFLAGS_MAX], const char *flags, size_t len);

/* The answer of maps(): canonical, without the stub's line, runs of blanks made one. */
char *maps_answer(const char *maps);

#endif
