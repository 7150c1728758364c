/* remote.c - system calls made by a stopped task (remote.h).
 *
 * Owns what waiting for one task has brought of others: it is put off, the oldest first, and none
 * is lost. What a call means is not known here.
 *
 * SPDX-License-Identifier: MIT */
#if defined(__linux__) && defined(__x86_64__)
#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "raw.h"
#include "run/remote.h"
#include "vas/vas.h"

#define SYSCALL_LEN 2 /* bytes of the instruction */
#define SYSCALL_STOP (SIGTRAP | 0x80)

struct remote *remote_now;

static int event_of(int status)
{
	return status >> 16;
}

bool remote_begin(struct remote *remote, pid_t tid)
{
	*remote = (struct remote){.tid = tid};
	return ptrace(PTRACE_GETREGS, tid, NULL, &remote->regs) == 0;
}

void remote_args(const struct remote *remote, uint64_t args[6])
{
	const struct user_regs_struct *regs = &remote->regs;

	args[0] = regs->rdi;
	args[1] = regs->rsi;
	args[2] = regs->rdx;
	args[3] = regs->r10;
	args[4] = regs->r8;
	args[5] = regs->r9;
}

/* ---- Waiting --------------------------------------------------------------------------------- */

/* Statuses put off, the oldest first. */
static struct late {
	pid_t tid;
	int status;
} *late;
static size_t nlate, late_room;

static void put_off(pid_t tid, int status)
{
	if (nlate == late_room) {
		size_t room = late_room ? 2 * late_room : 64;
		struct late *larger = realloc(late, room * sizeof(*late));

		if (!larger) {
			fputs("vas run: out of memory\n", stderr);
			exit(3);
		}
		late = larger;
		late_room = room;
	}
	late[nlate++] = (struct late){tid, status};
}

/* The oldest of a task, or of any (0). */
static pid_t take_late(pid_t tid, int *status)
{
	for (size_t i = 0; i < nlate; i++) {
		struct late taken = late[i];

		if (tid && taken.tid != tid)
			continue;
		memmove(late + i, late + i + 1, (--nlate - i) * sizeof(*late));
		*status = taken.status;
		return taken.tid;
	}
	return 0;
}

static pid_t wait_for_any(int *status)
{
	pid_t tid;

	do
		tid = waitpid(-1, status, __WALL);
	while (tid < 0 && errno == EINTR);
	return tid;
}

pid_t remote_wait(int *status)
{
	pid_t tid = take_late(0, status);

	return tid ? tid : wait_for_any(status);
}

/* All are waited for, and not this task alone: a thread that executes waits for the end of the
 * others, which is not before we have heard of it. False: there is no such task. */
static bool wait_for(pid_t tid, int *status)
{
	pid_t found;

	if (take_late(tid, status))
		return true;
	while ((found = wait_for_any(status)) != tid) {
		if (found < 0)
			return false;
		put_off(found, *status);
	}
	return true;
}

/* Who is killed, or replaced by another thread's exec, makes no more calls. */
static int lose(struct remote *remote)
{
	remote->gone = true;
	return -1;
}

int remote_resume(struct remote *remote, bool to_exit)
{
	int request = to_exit ? PTRACE_SYSCALL : PTRACE_CONT, status;

	for (;;) {
		if (ptrace(request, remote->tid, NULL, NULL) != 0 && errno != ESRCH)
			return lose(remote);
		if (!wait_for(remote->tid, &status))
			return lose(remote);
		if (!WIFSTOPPED(status) || event_of(status) == PTRACE_EVENT_EXEC) {
			put_off(remote->tid, status);
			return lose(remote);
		}
		/* A stop of the whole group has to wait, and so has what cannot be blocked. */
		if (event_of(status) == PTRACE_EVENT_STOP)
			continue;
		if (event_of(status) || WSTOPSIG(status) == SYSCALL_STOP)
			return status;
		remote->late_signal = WSTOPSIG(status);
	}
}

/* ---- Calls ----------------------------------------------------------------------------------- */

/* Between one call and the next a task is on its way to its program, and would take signals. */
static void hold_signals(struct remote *remote)
{
	uint64_t all = UINT64_MAX;

	if (remote->blocked)
		return;
	remote->blocked = ptrace(PTRACE_GETSIGMASK, remote->tid, sizeof(all), &remote->mask) == 0 &&
	                  ptrace(PTRACE_SETSIGMASK, remote->tid, sizeof(all), &all) == 0;
}

/* Back to the instruction that made the call, and as far as the stop before it. */
static bool enter_again(struct remote *remote, struct user_regs_struct *regs, uint64_t number)
{
	hold_signals(remote);
	regs->rip -= SYSCALL_LEN;
	regs->rax = number;
	regs->orig_rax = UINT64_MAX;
	if (ptrace(PTRACE_SETREGS, remote->tid, NULL, regs) != 0)
		return lose(remote) == 0;
	return remote_resume(remote, true) >= 0;
}

int64_t process_raw(uint64_t number, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e,
                    uint64_t f)
{
	struct remote *remote = remote_now;
	struct user_regs_struct regs = remote->regs;
	int status;

	if (remote->gone)
		return -VAS_ENOMEM;
	regs.rdi = a;
	regs.rsi = b;
	regs.rdx = c;
	regs.r10 = d;
	regs.r8 = e;
	regs.r9 = f;
	if (remote->called) {
		if (!enter_again(remote, &regs, number))
			return -VAS_ENOMEM;
	} else {
		regs.orig_rax = number;
		if (ptrace(PTRACE_SETREGS, remote->tid, NULL, &regs) != 0)
			return lose(remote);
	}
	remote->called = true;
	do
		status = remote_resume(remote, true);
	while (status >= 0 && event_of(status)); /* the filter stops it, too */
	if (status < 0)
		return -VAS_ENOMEM;
	errno = 0;
	return ptrace(PTRACE_PEEKUSER, remote->tid, offsetof(struct user_regs_struct, rax), NULL);
}

int64_t remote_same(struct remote *remote)
{
	uint64_t args[6];

	remote_args(remote, args);
	return process_raw(remote_number(remote), args[0], args[1], args[2], args[3], args[4],
	                   args[5]);
}

void remote_go(struct remote *remote)
{
	if (remote->blocked)
		ptrace(PTRACE_SETSIGMASK, remote->tid, sizeof(remote->mask), &remote->mask);
	if (remote->late_signal)
		syscall(SYS_tkill, remote->tid, remote->late_signal);
	ptrace(PTRACE_CONT, remote->tid, NULL, NULL);
}

void remote_answer(struct remote *remote, int64_t answer)
{
	struct user_regs_struct regs = remote->regs;

	if (remote->gone)
		return;
	regs.rax = (uint64_t)answer;
	regs.orig_rax = UINT64_MAX; /* before the call: none is made; after: none is made again */
	/* Whoever is killed meanwhile is heard of by wait. */
	ptrace(PTRACE_SETREGS, remote->tid, NULL, &regs);
	remote_go(remote);
}
#endif
