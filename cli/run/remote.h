/* remote.h - one call of a stopped task: system calls that it makes for us, and its answer.
 *
 * A task stops before a memory call (the filter of run_start.c). Whatever the books ask of the host
 * from there on, the task itself is made to do, in the place of its call or by going back to the
 * same instruction; in the end it sees one call, with the registers it would have and the answer of
 * the books.
 *
 * SPDX-License-Identifier: MIT */
#ifndef VAS_CLI_RUN_REMOTE_H
#define VAS_CLI_RUN_REMOTE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/user.h>

struct remote {
	pid_t tid;
	bool called;  /* it has left its stop before the call */
	bool gone;    /* it has ended or been replaced: remote_wait has yet to say so */
	bool blocked; /* its signals wait: `mask` is its own set */
	int late_signal; /* one that would not wait; 0: none */
	uint64_t mask;
	struct user_regs_struct regs; /* at the stop */
};

/* The task that host calls are made by. */
extern struct remote *remote_now;

/* At a stop before a call. False: it is gone. */
bool remote_begin(struct remote *remote, pid_t tid);

static inline uint64_t remote_number(const struct remote *remote)
{
	return remote->regs.orig_rax;
}

/* The call's arguments. */
void remote_args(const struct remote *remote, uint64_t args[6]);

/* The call as it stands, made by the task: what the kernel answers. */
int64_t remote_same(struct remote *remote);

/* Ends the stop: the task goes on; with this answer. */
void remote_go(struct remote *remote);
void remote_answer(struct remote *remote, int64_t answer);

/* What wait(2) says of any task: first what has been put off while another made its calls. -1:
 * there are none left. */
pid_t remote_wait(int *status);

/* Lets it run as far as its next stop: its status, or -1: gone. */
int remote_resume(struct remote *remote, bool to_exit);

/* A descriptor of ours, held for processes that are served: no number of theirs. */
#define REMOTE_HELD (1 << 30)

#endif
