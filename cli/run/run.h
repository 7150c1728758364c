/* run.h - a program whose memory calls vas serves, from outside (`vas run`).
 *
 *   task     a thread, by its tid: what ptrace knows
 *   process  a memory, that tasks share: its books (ports/process)
 *   family   what forked processes share: one system of vas, and its memory
 *
 * SPDX-License-Identifier: MIT */
#ifndef VAS_CLI_RUN_RUN_H
#define VAS_CLI_RUN_RUN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "process.h"
#include "run/remote.h"

struct run_options {
	uint32_t version; /* 0: the host's */
	bool portable, one_cpu;
	char **command;
};

/* What has been done for all processes together. */
struct run_counts {
	struct vas_process_stats calls;
	uint64_t processes, tasks, unserved;
};

struct run_family {
	unsigned users;
	void *memory;
	struct process_files files;
};

struct run_process {
	struct process books;
	struct run_family *family;
	unsigned users;               /* tasks */
	uint64_t stack_low, stack_at; /* how far its stack may grow, and has when last looked at */
	uint64_t scratch;             /* of remote_host.c; 0: none */
};

static inline struct run_process *run_of(struct process *books)
{
	return (struct run_process *)(void *)((char *)books - offsetof(struct run_process, books));
}

/* ---- run_process.c --------------------------------------------------------------------------- */

/* The books of a task that has just executed a program. NULL: a message has been printed, and it is
 * not served. */
struct run_process *run_process_begin(const struct run_options *options, pid_t tid,
                                      struct run_counts *counts);
struct run_process *run_process_fork(struct run_process *parent, struct run_counts *counts);
void run_process_put(struct run_process *process);

/* Brings the books to what the host has. False: no memory, or it could not be read. */
bool run_process_look(struct run_process *process, pid_t tid);

/* ---- run_serve.c ----------------------------------------------------------------------------- */

extern const uint32_t run_calls[]; /* numbers of those that stop, with making children */
extern const size_t run_ncalls;

/* One memory call at its stop, served and answered. */
void run_serve(struct run_process *process, struct remote *remote);

/* ---- run_start.c ----------------------------------------------------------------------------- */

/* Starts the command behind the filter, traced. -1: a message has been printed. What cannot be
 * executed says so by itself, and ends with 126 or 127. */
pid_t run_start(const struct run_options *options);

/* ---- run_tasks.c ----------------------------------------------------------------------------- */

/* Serves all tasks that come of `root` until the last has ended: root's wait status. */
int run_tasks(const struct run_options *options, pid_t root, struct run_counts *counts);

#endif
