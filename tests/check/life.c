/* life.c - every way for a space to begin and to end, to be run under `vas check`.
 *
 * fork, vfork, clone with and without the space, exec from a thread that is not the leader, death
 * by a signal with threads at work, a stop and its continuation.
 *
 * SPDX-License-Identifier: MIT */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096u
#define STACK (64 * 1024)

static char *map(size_t pages)
{
	char *at = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
	                0);
	if (at == MAP_FAILED)
		_exit(9);
	return at;
}

static void expect(pid_t child, int want)
{
	int status;
	if (waitpid(child, &status, __WALL) != child)
		_exit(8);
	int got = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
	if (got != want)
		_exit(7);
}

/* What was written before the fork, in the child only, or never, merges differently. */
static int forked(void *arg)
{
	char *at = arg;
	at[5 * PAGE] = 1;
	mprotect(at, 2 * PAGE, PROT_READ);
	mprotect(at, 2 * PAGE, PROT_READ | PROT_WRITE);
	mremap(at + 8 * PAGE, 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, map(2));
	sbrk(100000);
	return 3;
}

static void test_fork(void)
{
	char *at = map(16);
	at[0] = 1;
	mprotect(at + 3 * PAGE, PAGE, PROT_READ);
	madvise(at + 10 * PAGE, PAGE, MADV_DONTFORK);
	madvise(at + 12 * PAGE, PAGE, MADV_WIPEONFORK);
	pid_t child = fork();
	if (child == 0)
		_exit(forked(at));
	expect(child, 3);
	munmap(at, 16 * PAGE);
}

static void test_vfork(void)
{
	pid_t child = vfork();
	if (child == 0) {
		mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		execl("/bin/sh", "sh", "-c", "exit 4", (char *)NULL);
		_exit(9);
	}
	expect(child, 4);
}

static void test_clone(int flags)
{
	char *stack = map(STACK / PAGE);
	pid_t child = clone(forked, stack + STACK, flags, map(16));
	expect(child, 3);
}

static void *busy(void *arg)
{
	for (;;)
		munmap(map(3), 3 * PAGE);
	return arg;
}

static void *do_exec(void *arg)
{
	usleep(20000);
	execl("/bin/sh", "sh", "-c", "exit 5", (char *)NULL);
	return arg;
}

static void *do_abort(void *arg)
{
	usleep(20000);
	abort();
	return arg;
}

/* While three threads map and unmap, a fourth ends them all. */
static void test_threads(void *end(void *), int want)
{
	pid_t child = fork();
	if (child == 0) {
		pthread_t thread;
		for (int i = 0; i < 3; i++)
			pthread_create(&thread, NULL, busy, NULL);
		pthread_create(&thread, NULL, end, NULL);
		pthread_join(thread, NULL);
		_exit(9);
	}
	expect(child, want);
}

static void *go_on(void *arg)
{
	usleep(30000);
	free(calloc(1, 500000));
	exit(6);
	return arg;
}

static void test_leader_first(void)
{
	pid_t child = fork();
	if (child == 0) {
		pthread_t thread;
		pthread_create(&thread, NULL, go_on, NULL);
		pthread_exit(NULL);
	}
	expect(child, 6);
}

static void test_stop(void)
{
	pid_t child = fork();
	int status;
	if (child == 0) {
		raise(SIGSTOP);
		munmap(map(5), PAGE);
		_exit(2);
	}
	if (waitpid(child, &status, WUNTRACED) != child || !WIFSTOPPED(status))
		_exit(6);
	kill(child, SIGCONT);
	expect(child, 2);
}

static void test_kill(void)
{
	pid_t child = fork();
	if (child == 0)
		busy(NULL);
	usleep(10000);
	kill(child, SIGKILL);
	expect(child, -SIGKILL);
}

int main(void)
{
	test_fork();
	test_vfork();
	test_clone(SIGCHLD);
	test_clone(SIGCHLD | CLONE_VM);
	test_clone(CLONE_VM | CLONE_VFORK | SIGCHLD);
	test_clone(CLONE_FILES | CLONE_FS); /* no signal at its end */
	test_threads(do_exec, 5);
	test_threads(do_abort, -SIGABRT);
	test_leader_first();
	test_stop();
	test_kill();
	return 0;
}
