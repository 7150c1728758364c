/* tracer_clone.c - lets no child escape.
 *
 * A child made with CLONE_UNTRACED is traced by nobody, but it has the filter of its parent, under
 * which each memory call of a task without a tracer fails with ENOSYS. So the flag is taken out of
 * the call before it goes on, and put back where the program could look: in the register of
 * parent and child (clone), in the memory of both (clone3).
 *
 * SPDX-License-Identifier: MIT */
#include <linux/audit.h>
#include <sched.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "check/tracer/tracer_internal.h"
#include "target/cpu.h"

#define I386_CLONE 120 /* clone3 has the same number everywhere */
#define X32_BIT 0x40000000u

/* Unlike PTRACE_POKEDATA this fails where the program itself could not write: there the page would
 * become one of its own, and the mapping another one than without us. */
static bool write_flags(const struct task *task, uint64_t at, uint64_t flags)
{
	struct iovec here = {&flags, sizeof(flags)};
	struct iovec there = {(void *)(uintptr_t)at, sizeof(flags)};
	return process_vm_writev(task->tid, &here, 1, &there, 1, 0) == sizeof(flags);
}

static bool read_flags(const struct task *task, uint64_t at, uint64_t *flags)
{
	struct iovec here = {flags, sizeof(*flags)};
	struct iovec there = {(void *)(uintptr_t)at, sizeof(*flags)};
	return process_vm_readv(task->tid, &here, 1, &there, 1, 0) == sizeof(*flags);
}

static bool put_flags(const struct task *task, const struct hidden_flag *hidden, uint64_t flags)
{
	if (hidden->at)
		return write_flags(task, hidden->at, flags);
	return cpu_set_argument(task->tid, flags);
}

enum clone_end clone_hide(struct task *task, uint32_t arch, uint64_t nr)
{
	const uint64_t *args = task->args;
	bool i386 = arch == AUDIT_ARCH_I386;
	struct hidden_flag hidden = {0};
	nr &= ~(uint64_t)X32_BIT;
	task->clone_flags = 0;
	if (nr == SYS_clone3 && args[1] >= sizeof(hidden.flags)) {
		hidden.at = args[0]; /* struct clone_args begins with the flags */
		if (!read_flags(task, hidden.at, &hidden.flags))
			return CLONE_PLAIN; /* for the kernel it is a bad address, too */
	} else if (nr == (i386 ? I386_CLONE : SYS_clone)) {
		hidden.flags = args[0];
	}
	task->clone_flags = hidden.flags;
	if (!(hidden.flags & CLONE_UNTRACED))
		return CLONE_PLAIN;
	if (!put_flags(task, &hidden, hidden.flags & ~(uint64_t)CLONE_UNTRACED))
		return CLONE_ESCAPES;
	task->hidden = hidden;
	return CLONE_HIDDEN;
}

void clone_inherit(const struct task *parent, struct task *child, bool shares)
{
	if (!shares ||
	    !parent->hidden.at) /* one memory: it is put back there once, by the parent */
		child->hidden = parent->hidden;
}

void clone_restore(struct task *task)
{
	const struct hidden_flag *hidden = &task->hidden;
	uint64_t without = hidden->flags & ~(uint64_t)CLONE_UNTRACED, now = without;
	/* Memory with something else in it is shared, and has been put right by the other one. */
	if (hidden->flags && (!hidden->at || read_flags(task, hidden->at, &now)) && now == without)
		put_flags(task, hidden, hidden->flags);
	task->hidden.flags = 0;
}
