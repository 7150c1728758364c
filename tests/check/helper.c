/* helper.c - a child that has its parent's memory and stops the parent's threads by ptrace, as
 * LeakSanitizer does, to be run under `vas check`: which must not be in its way.
 *
 * SPDX-License-Identifier: MIT */
#include <elf.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#define THREADS 4
#define PAGE 4096u
#define ROUNDS 20

/* Without libc's errno, which the helper shares with its parent. The last two are as mmap of
 * anonymous memory wants them. */
static long call(long nr, long a, long b, long c, long d)
{
	long result;
	register long r10 __asm__("r10") = d, r8 __asm__("r8") = -1, r9 __asm__("r9") = 0;
	__asm__ volatile("syscall"
	                 : "=a"(result)
	                 : "0"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
	                 : "rcx", "r11", "memory");
	return result;
}

static void check(int good, int line)
{
	if (!good)
		call(SYS_exit_group, line % 200 + 1, 0, 0, 0);
}
#define CHECK(cond) check(cond, __LINE__)

static volatile pid_t threads[THREADS];
static volatile unsigned long counts[THREADS];

/* A memory call that is held back while another's is under way; a sleep; and a plain loop. */
static void *work(void *arg)
{
	uintptr_t n = (uintptr_t)arg;
	threads[n] = (pid_t)syscall(SYS_gettid);
	for (;;) {
		counts[n]++;
		if (n == 0)
			usleep(100);
		else if (n == 1)
			sched_yield();
		else
			munmap(mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE,
			            MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
			       3 * PAGE);
	}
	return arg;
}

static void stop(pid_t tid)
{
	int status = 0;
	CHECK(call(SYS_ptrace, PTRACE_ATTACH, tid, 0, 0) == 0);
	CHECK(call(SYS_wait4, tid, (long)&status, __WALL, 0) == tid);
	CHECK(WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP);
}

static void look(pid_t tid)
{
	struct user_regs_struct regs[2];
	struct iovec set = {&regs[0], sizeof(regs)};
	CHECK(call(SYS_ptrace, PTRACE_GETREGS, tid, 0, (long)&regs[1]) == 0);
	CHECK(call(SYS_ptrace, PTRACE_GETREGSET, tid, NT_PRSTATUS, (long)&set) == 0);
	CHECK(set.iov_len == sizeof(regs[0]));
	CHECK(regs[0].rsp == regs[1].rsp && regs[0].rip == regs[1].rip && regs[0].rsp != 0);
	CHECK(call(SYS_ptrace, PTRACE_GETREGSET, tid, NT_PRSTATUS, 8) == -EFAULT);
}

/* While they are stopped they do nothing, but the helper can make memory calls itself. */
static int help(void *arg)
{
	unsigned long before[THREADS];
	pid_t parent = (pid_t)(intptr_t)arg;
	stop(parent);
	for (int i = 0; i < THREADS; i++)
		stop(threads[i]);
	for (int i = 0; i < THREADS; i++)
		before[i] = counts[i];
	look(parent);
	for (int i = 0; i < THREADS; i++)
		look(threads[i]);
	long at = call(SYS_mmap, 0, 8 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
	CHECK(at > 0 && call(SYS_munmap, at, 8 * PAGE, 0, 0) == 0);
	call(SYS_sched_yield, 0, 0, 0, 0);
	for (int i = 0; i < THREADS; i++)
		CHECK(counts[i] == before[i]);
	for (int i = 1; i < THREADS; i++)
		CHECK(call(SYS_ptrace, PTRACE_DETACH, threads[i], 0, 0) == 0);
	CHECK(call(SYS_ptrace, PTRACE_DETACH, parent, 0, 0) == 0);
	CHECK(call(SYS_ptrace, PTRACE_GETREGS, parent, 0, (long)&before) == -ESRCH);
	return 0; /* lets the first thread go by dying */
}

int main(void)
{
	static char stack[64 * 1024] __attribute__((aligned(16)));
	pthread_t thread;
	for (uintptr_t i = 0; i < THREADS; i++)
		if (pthread_create(&thread, NULL, work, (void *)i) != 0)
			return 1;
	for (int i = 0; i < THREADS; i++)
		while (!threads[i])
			usleep(1000);
	prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY); /* where Yama asks for it */
	for (int i = 0; i < ROUNDS; i++) {
		int status = -1;
		unsigned long before = counts[0];
		pid_t child = clone(help, stack + sizeof(stack),
		                    CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_UNTRACED,
		                    (void *)(intptr_t)getpid());
		CHECK(child > 0 && waitpid(child, &status, __WALL) == child);
		CHECK(WIFEXITED(status));
		if (WEXITSTATUS(status))
			return WEXITSTATUS(status);
		while (counts[0] < before + 2)
			usleep(100);
	}
	return 0;
}
