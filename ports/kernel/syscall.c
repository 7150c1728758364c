/* syscall.c - the table of system calls, and those that belong nowhere else.
 *
 * A call that is not here answers ENOSYS and is counted; the counts are told at the end.
 *
 * SPDX-License-Identifier: MIT */
#include "kernel.h"

#define NUMBERS 480
static int64_t (*const calls[NUMBERS])(const uint64_t *) = {
#define ENTRY(name, x86, other) [(ARCH_IS_X86 ? (x86) : (other)) + 1] = sys_##name,
	CALLS(ENTRY)};
static uint32_t unknown[NUMBERS];

void syscall(struct regs *regs)
{
	const uint64_t number = syscall_number(regs);
	struct thread *t = current();
	uint64_t a[6];
	int64_t result = -ENOSYS;

	for (unsigned i = 0; i < 6; i++)
		a[i] = syscall_arg(regs, i);
	if (number < NUMBERS - 1 && calls[number + 1])
		result = calls[number + 1](a);
	else
		__atomic_fetch_add(&unknown[number < NUMBERS ? number : 0], 1, __ATOMIC_RELAXED);
	if (boot_checks && t->process->mm) {
		const char *what = vas_check(t->process->mm->space);

		if (what)
			panic(what);
	}
	if (result == REGS_ARE_SET)
		return;
	t->restart = result == -ERESTART;
	syscall_return(regs, t->restart ? -EINTR : result);
}

void syscall_report(void)
{
	for (unsigned i = 0; i < NUMBERS; i++)
		if (unknown[i])
			print("kernel: system call %u is not there: ENOSYS %u times\n", i,
			      unknown[i]);
}

/* ---- Who am I -------------------------------------------------------------------------------- */

SYSCALL(getpid)
{
	(void)a;
	return current()->process->pid;
}

SYSCALL(gettid)
{
	(void)a;
	return current()->tid;
}

SYSCALL(getppid)
{
	const struct process *parent = current()->process->parent;

	(void)a;
	return parent ? parent->pid : 0;
}

SYSCALL(getuid)
{
	(void)a;
	return 0;
}

SYSCALL(getgid)
{
	(void)a;
	return 0;
}

SYSCALL(geteuid)
{
	(void)a;
	return 0;
}

SYSCALL(getegid)
{
	(void)a;
	return 0;
}

SYSCALL(umask)
{
	(void)a;
	return 022;
}

SYSCALL(getpgid)
{
	big_lock();
	struct process *p = a[0] ? process_find((int)a[0]) : current()->process;
	int64_t result = p ? p->pgid : -ESRCH;
	big_unlock();
	return result;
}

SYSCALL(getpgrp)
{
	(void)a;
	return current()->process->pgid;
}

SYSCALL(setpgid)
{
	int64_t result = -ESRCH;

	big_lock();
	struct process *p = a[0] ? process_find((int)a[0]) : current()->process;
	if (p && (p == current()->process || p->parent == current()->process)) {
		p->pgid = a[1] ? (int)a[1] : p->pid;
		result = 0;
	}
	big_unlock();
	return result;
}

SYSCALL(setsid)
{
	struct process *p = current()->process;

	(void)a;
	if (p->pgid == p->pid)
		return -EPERM;
	p->sid = p->pgid = p->pid;
	return p->pid;
}

SYSCALL(set_tid_address)
{
	current()->clear_tid = a[0];
	return current()->tid;
}

SYSCALL(arch_prctl)
{
#if ARCH_IS_X86
	struct thread *t = current();

	if (a[0] == 0x1002) {
		if (a[1] >> 47)
			return -EPERM;
		arch_set_tls(t, t->regs, a[1]);
		return 0;
	}
	if (a[0] == 0x1003)
		return copy_out(a[1], &t->arch.fs, 8);
#endif
	(void)a;
	return -EINVAL;
}

SYSCALL(riscv_flush_icache)
{
	(void)a;
	mm_sync_code(current()->process->mm);
	return 0;
}

SYSCALL(uname)
{
	static const char *const words[6] = {"Linux",      "vas",        "6.18.0-vas",
	                                     "vas kernel", ARCH_MACHINE, ""};
	char name[6][65] = {{0}};

	for (unsigned i = 0; i < 6; i++)
		memcpy(name[i], words[i], strlen(words[i]));
	return copy_out(a[0], name, sizeof(name));
}

SYSCALL(sched_yield)
{
	(void)a;
	yield();
	return 0;
}

SYSCALL(sched_getaffinity)
{
	const uint64_t set = (1u << ncpus) - 1;

	if (a[1] < sizeof(set))
		return -EINVAL;
	return copy_out(a[2], &set, sizeof(set)) ? -EFAULT : (int64_t)sizeof(set);
}

/* xorshift: for hash seeds; this kernel keeps no secrets. */
SYSCALL(getrandom)
{
	static uint64_t state = 0x9e3779b97f4a7c15;
	uint64_t done = 0;

	state ^= arch_clock();
	for (; done < a[1]; done += 8) {
		state ^= state << 13, state ^= state >> 7, state ^= state << 17;
		if (copy_out(a[0] + done, &state, a[1] - done < 8 ? a[1] - done : 8))
			return done ? (int64_t)done : -EFAULT;
	}
	return (int64_t)a[1];
}

SYSCALL(sysinfo)
{
	uint64_t info[14] = {arch_clock() / 1000000000};

	vas_system_frames(vas_of_kernel, &info[4], &info[5]);
	info[4] *= PAGE;
	info[5] *= PAGE;
	((uint32_t *)(void *)info)[26] = 1; /* mem_unit */
	return copy_out(a[0], info, 112);
}

/* ---- Limits ---------------------------------------------------------------------------------- */

/* Those that belong to memory are vas's. */
static int limit_of_vas(unsigned which)
{
	switch (which) {
	case 2:
		return VAS_RLIMIT_DATA;
	case 3:
		return VAS_RLIMIT_STACK;
	case 8:
		return VAS_RLIMIT_MEMLOCK;
	case 9:
		return VAS_RLIMIT_AS;
	}
	return -1;
}

SYSCALL(prlimit64)
{
	struct process *p = current()->process;
	struct vas_limit new, old;
	const int ours = limit_of_vas((unsigned)a[1]);

	if (a[1] >= ARRAY_LEN(p->limit))
		return -EINVAL;
	if (a[0] && (int)a[0] != p->pid)
		return -ESRCH;
	old = ours >= 0 ? vas_get_limit(p->mm->space, (enum vas_rlimit)ours) : p->limit[a[1]];
	if (a[2]) {
		if (copy_in(&new, a[2], sizeof(new)))
			return -EFAULT;
		if (new.soft > new.hard)
			return -EINVAL;
		p->limit[a[1]] = new;
		if (ours >= 0)
			vas_set_limit(p->mm->space, (enum vas_rlimit)ours, new);
	}
	return a[3] ? copy_out(a[3], &old, sizeof(old)) : 0;
}

SYSCALL(getrlimit)
{
	return sys_prlimit64((const uint64_t[6]){0, a[0], 0, a[1]});
}

SYSCALL(setrlimit)
{
	return sys_prlimit64((const uint64_t[6]){0, a[0], a[1], 0});
}

/* ---- Time ------------------------------------------------------------------------------------ */

static int64_t put_time(uint64_t addr, uint64_t ns, uint64_t unit)
{
	const uint64_t time[2] = {ns / 1000000000, ns % 1000000000 / unit};

	return copy_out(addr, time, sizeof(time));
}

SYSCALL(clock_gettime)
{
	if (a[0] > 11)
		return -EINVAL;
	return put_time(a[1], arch_clock() + (a[0] == 0 || a[0] == 5 ? boot_time : 0), 1);
}

SYSCALL(clock_getres)
{
	return a[1] ? put_time(a[1], 1, 1) : 0;
}

SYSCALL(gettimeofday)
{
	return a[0] ? put_time(a[0], arch_clock() + boot_time, 1000) : 0;
}

static int64_t sleep_for(uint64_t until, uint64_t left)
{
	struct thread *t = current();
	int64_t result = 0;

	big_lock();
	while (arch_clock() < until) {
		if (interrupted()) {
			result = -EINTR;
			break;
		}
		sleep_until(&t->wake_at, until);
	}
	big_unlock();
	const uint64_t now = arch_clock();
	if (result && left && put_time(left, until > now ? until - now : 0, 1))
		return -EFAULT;
	return result;
}

static int64_t sleep_call(uint64_t from, uint64_t start, uint64_t left)
{
	uint64_t time[2];

	if (copy_in(time, from, sizeof(time)))
		return -EFAULT;
	if (time[0] >> 33 || time[1] >= 1000000000)
		return -EINVAL;
	return sleep_for(start + time[0] * 1000000000 + time[1], left);
}

SYSCALL(nanosleep)
{
	return sleep_call(a[0], arch_clock(), a[1]);
}

SYSCALL(clock_nanosleep)
{
	const uint64_t base = a[0] == 0 ? (uint64_t)0 - boot_time : 0;

	return a[1] & 1 ? sleep_call(a[2], base, 0) : sleep_call(a[2], arch_clock(), a[3]);
}

SYSCALL(setitimer)
{
	struct process *p = current()->process;
	uint64_t new[4] = {0}, old[4] = {0};

	if (a[0] != 0)
		return -EINVAL;
	if (a[1] && copy_in(new, a[1], sizeof(new)))
		return -EFAULT;
	const uint64_t now = arch_clock(), left = p->alarm_at > now ? p->alarm_at - now : 0;
	old[0] = p->alarm_every / 1000000000, old[1] = p->alarm_every % 1000000000 / 1000;
	old[2] = left / 1000000000, old[3] = left % 1000000000 / 1000;
	const uint64_t after = new[2] * 1000000000 + new[3] * 1000;
	p->alarm_every = new[0] * 1000000000 + new[1] * 1000;
	p->alarm_at = after ? now + after : 0;
	return a[2] ? copy_out(a[2], old, sizeof(old)) : 0;
}

SYSCALL(alarm)
{
	struct process *p = current()->process;
	const uint64_t now = arch_clock(), left = p->alarm_at > now ? p->alarm_at - now : 0;

	p->alarm_every = 0;
	p->alarm_at = a[0] ? now + (a[0] & 0xffffffff) * 1000000000 : 0;
	return (int64_t)((left + 999999999) / 1000000000);
}
