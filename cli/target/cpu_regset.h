/* cpu_regset.h - registers by PTRACE_GETREGSET, for processors whose first argument and answer are
 * one register. Included by their file after RESULT(regs) has been defined: that register.
 *
 * SPDX-License-Identifier: MIT */
#include <elf.h>
#include <sys/uio.h>

#include "target/cpu.h"

bool cpu_get(pid_t tid, struct user_regs_struct *regs)
{
	struct iovec iov = {regs, sizeof(*regs)};
	return ptrace(PTRACE_GETREGSET, tid, (void *)NT_PRSTATUS, &iov) == 0;
}

bool cpu_set(pid_t tid, const struct user_regs_struct *regs)
{
	struct user_regs_struct copy = *regs;
	struct iovec iov = {&copy, sizeof(copy)};
	return ptrace(PTRACE_SETREGSET, tid, (void *)NT_PRSTATUS, &iov) == 0;
}

bool cpu_result(pid_t tid, uint64_t *value)
{
	struct user_regs_struct regs;
	if (!cpu_get(tid, &regs))
		return false;
	*value = RESULT(regs);
	return true;
}

bool cpu_set_result(pid_t tid, uint64_t value)
{
	struct user_regs_struct regs;
	if (!cpu_get(tid, &regs))
		return false;
	RESULT(regs) = value;
	return cpu_set(tid, &regs);
}

bool cpu_set_argument(pid_t tid, uint64_t value)
{
	return cpu_set_result(tid, value);
}
