/* untraced.c - children that are to have no tracer, to be run under `vas check`: they must be
 * followed nevertheless, and see nothing of it.
 *
 * A raw clone, because the register and the memory with the flags must come back unchanged, in
 * parent and child.
 *
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096u

static void check(int good, int line)
{
	if (!good)
		_exit(line % 200 + 1);
}
#define CHECK(cond) check(cond, __LINE__)

/* Maps, moves and grows; where a child of its own has the space, nothing is left behind. */
static void shake(void)
{
	char *at = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(at != MAP_FAILED);
	at[0] = 'x';
	char *to = mremap(at, 4 * PAGE, 64 * PAGE, MREMAP_MAYMOVE);
	CHECK(to != MAP_FAILED && to[0] == 'x');
	CHECK(munmap(to, 64 * PAGE) == 0);
}

static void expect_end(long child)
{
	int status = -1;
	CHECK(child > 0 && waitpid((pid_t)child, &status, __WALL) == child);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void test_clone(uint64_t flags)
{
	long child;
	uint64_t after;
	__asm__ volatile("xor %%edx, %%edx\n\txor %%r10d, %%r10d\n\tsyscall"
	                 : "=a"(child), "=D"(after)
	                 : "0"((long)SYS_clone), "1"(flags), "S"(0)
	                 : "rcx", "rdx", "r8", "r10", "r11", "memory");
	CHECK(after == flags);
	if (child == 0) {
		shake();
		_exit(0);
	}
	shake();
	expect_end(child);
}

static void test_clone3(volatile struct clone_args *args, uint64_t flags)
{
	args->flags = flags;
	args->exit_signal = SIGCHLD;
	long child = syscall(SYS_clone3, args, sizeof(*args));
	CHECK(args->flags == flags);
	if (child == 0) {
		shake();
		_exit(0);
	}
	shake();
	expect_end(child);
}

static int run(void *arg)
{
	shake();
	return *(int *)arg;
}

/* As a library does it that looks at the memory of its own process from outside. */
static void test_shared(void)
{
	static char stack[64 * 1024] __attribute__((aligned(16)));
	int status = 0;
	long child = clone(run, stack + sizeof(stack),
	                   CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_UNTRACED, &status);
	shake();
	expect_end(child);
}

/* A failing call changes nothing either. */
static void test_failure(volatile struct clone_args *args)
{
	uint64_t flags = CLONE_UNTRACED | CLONE_THREAD; /* not without CLONE_SIGHAND */
	args->flags = flags;
	CHECK(syscall(SYS_clone3, args, sizeof(*args)) < 0 && errno == EINVAL);
	CHECK(args->flags == flags);
	CHECK(syscall(SYS_clone, flags, 0, 0, 0, 0) < 0 && errno == EINVAL);
}

int main(void)
{
	struct clone_args args;
	memset(&args, 0, sizeof(args));
	test_clone(SIGCHLD);
	test_clone(CLONE_UNTRACED | SIGCHLD);
	test_clone(CLONE_UNTRACED | CLONE_PTRACE | SIGCHLD);
	test_clone(CLONE_UNTRACED | CLONE_VFORK | SIGCHLD);
	test_clone(CLONE_UNTRACED);
	test_clone3(&args, CLONE_UNTRACED);
	test_clone3(&args, CLONE_UNTRACED | CLONE_VFORK);
	test_shared();
	test_failure(&args);

	struct clone_args *shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
	                                 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(shared != MAP_FAILED);
	test_clone3(shared, CLONE_UNTRACED);
	return 0;
}
