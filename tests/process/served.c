/* served.c - a program that knows nothing of vas, for `vas run`: its memory calls are the system's,
 * by their plain names, from several threads, in children, behind exec, under signals; what it has
 * written must be where it looks for it.
 *
 * usage: served [several|one]    mremap of several vmas at once: moves them, or is refused (before
 *                                Linux 6.17); without a word that is not looked at
 *
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pages.h"

static char *map(size_t npages)
{
	char *p = mmap(NULL, npages * PAGE, RW, ANON, -1, 0);

	CHECK(p != MAP_FAILED);
	return p;
}

/* ---- The calls ------------------------------------------------------------------------------- */

static void grows_and_moves(void)
{
	char *p = map(100), *target = map(400), *q;

	fill(p, 100, 1000);
	q = mremap(p, 100 * PAGE, 300 * PAGE, MREMAP_MAYMOVE);
	CHECK(q != MAP_FAILED && holds(q, 100, 1000) && holds(q + 100 * PAGE, 200, 0));
	p = mremap(q, 300 * PAGE, 300 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, target);
	CHECK(p == target && holds(p, 100, 1000));
	q = mremap(p, 300 * PAGE, 300 * PAGE, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, NULL);
	CHECK(q != MAP_FAILED && holds(q, 100, 1000) && holds(p, 300, 0));
	CHECK(mremap(q, 300 * PAGE, 50 * PAGE, 0) == q && holds(q, 50, 1000));
	CHECK(munmap(q, 50 * PAGE) == 0 && munmap(target, 400 * PAGE) == 0);
	CHECK(mremap(q, PAGE, PAGE, MREMAP_MAYMOVE) == MAP_FAILED && errno == EFAULT);
	CHECK(mmap(NULL, 0, RW, ANON, -1, 0) == MAP_FAILED && errno == EINVAL);
	CHECK(mmap(NULL, PAGE, RW, MAP_PRIVATE, -1, 0) == MAP_FAILED && errno == EBADF);
}

static void moves_several_at_once(int may)
{
	char *p = map(6), *target = map(6), *q;

	fill(p, 6, 50);
	CHECK(mprotect(p + 2 * PAGE, PAGE, PROT_READ) == 0);
	q = mremap(p, 6 * PAGE, 6 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, target);
	if (may)
		CHECK(q == target && holds(q, 6, 50));
	else
		CHECK(q == MAP_FAILED && errno == EFAULT && holds(p, 6, 50));
}

static void shares_memory_and_files(void)
{
	char *p = mmap(NULL, 4 * PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0), *q, *r;
	char name[] = "/tmp/vas-served-XXXXXX";
	int fd = mkstemp(name);

	CHECK(p != MAP_FAILED && fd >= 0 && unlink(name) == 0);
	fill(p, 4, 9);
	q = mremap(p, 0, 4 * PAGE, MREMAP_MAYMOVE);
	CHECK(q != MAP_FAILED && q != p && holds(q, 4, 9));
	fill(q, 4, 10);
	CHECK(holds(p, 4, 10) && munmap(p, 4 * PAGE) == 0 && munmap(q, 4 * PAGE) == 0);
	CHECK(ftruncate(fd, 8 * (off_t)PAGE) == 0);
	p = mmap(NULL, 4 * PAGE, RW, MAP_SHARED, fd, 0);
	q = mmap(NULL, 4 * PAGE, RW, MAP_PRIVATE, fd, (off_t)PAGE);
	CHECK(p != MAP_FAILED && q != MAP_FAILED && close(fd) == 0);
	fill(p, 4, 70);
	CHECK(holds(q, 3, 71));
	fill(q, 1, 99);
	r = map(20);
	p = mremap(p, 4 * PAGE, 8 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, r);
	q = mremap(q, 4 * PAGE, 4 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, r + 10 * PAGE);
	CHECK(p == r && q == r + 10 * PAGE && holds(p, 4, 70) && holds(q, 1, 99));
	fill(p, 8, 80);
	CHECK(holds(q + PAGE, 3, 82) && msync(p, 8 * PAGE, MS_SYNC) == 0);
	CHECK(munmap(r, 20 * PAGE) == 0);
}

static void breaks(void)
{
	char *heap = sbrk(0), *end;

	CHECK(heap != (void *)-1 && sbrk((intptr_t)(7 * PAGE)) == heap);
	memset(heap, 3, 7 * PAGE);
	end = sbrk(0);
	CHECK(end == heap + 7 * PAGE && brk(heap) == 0 && sbrk(0) == heap);
}

static void advises_and_locks(void)
{
	char *p = map(8);
	unsigned char in_core[8];

	fill(p, 8, 5);
	CHECK(madvise(p, 4 * PAGE, MADV_DONTNEED) == 0 && holds(p, 4, 0));
	CHECK(holds(p + 4 * PAGE, 4, 9) && mincore(p, 8 * PAGE, in_core) == 0 && in_core[5] & 1);
	CHECK(mlock(p, 2 * PAGE) == 0 && munlock(p, 2 * PAGE) == 0);
	CHECK(madvise(p, PAGE, 12345) == -1 && errno == EINVAL && munmap(p, 8 * PAGE) == 0);
}

/* The kernel makes the stack grow, and System V's calls choose addresses by themselves. */
static __attribute__((noinline)) int deeper(void)
{
	volatile char room[2 * 1024 * 1024];

	__asm__ volatile("" : : "r"(room) : "memory"); /* all of it is there */
	room[0] = 1;
	return room[0] - 1;
}

static void knows_what_the_kernel_does(void)
{
	int id = shmget(IPC_PRIVATE, 4 * PAGE, IPC_CREAT | 0600);
	char *low, *p, *q;

	CHECK(deeper() == 0);
	low = (char *)((uintptr_t)__builtin_frame_address(0) / PAGE * PAGE) - 256 * PAGE;
	CHECK(mprotect(low, PAGE, RW | PROT_EXEC) == 0 && mprotect(low, PAGE, RW) == 0);
	if (id < 0)
		return; /* a kernel without System V's calls */
	p = shmat(id, NULL, 0);
	CHECK(p != (void *)-1 && shmctl(id, IPC_RMID, NULL) == 0);
	fill(p, 4, 33);
	CHECK(mprotect(p + PAGE, PAGE, PROT_READ) == 0 && mprotect(p + PAGE, PAGE, RW) == 0);
	q = map(4);
	CHECK(q != p && holds(p, 4, 33) && shmdt(p) == 0 && munmap(q, 4 * PAGE) == 0);
}

/* ---- Threads, signals, children -------------------------------------------------------------- */

static volatile sig_atomic_t signals;

static void handler(int signo)
{
	int before = errno;
	char *p = mmap(NULL, PAGE, RW, ANON, -1, 0);

	(void)signo;
	if (p == MAP_FAILED || munmap(p, PAGE) != 0)
		_exit(3);
	signals++;
	errno = before;
}

static void child_sees_its_own(char *p, size_t npages, size_t series)
{
	pid_t pid = fork();
	int status;

	CHECK(pid >= 0);
	if (pid == 0) {
		char *q = mremap(p, npages * PAGE, (npages + 9) * PAGE, MREMAP_MAYMOVE);

		CHECK(q != MAP_FAILED && holds(q, npages, series));
		fill(q, npages + 9, 1);
		_exit(0);
	}
	CHECK(waitpid(pid, &status, 0) == pid && status == 0 && holds(p, npages, series));
}

static void *churn(void *arg)
{
	size_t series = (size_t)(uintptr_t)arg * 1000;

	for (unsigned i = 0; i < 60; i++) {
		size_t n = 1 + (i * 7 + series) % 50;
		char *p = map(n), *q;

		fill(p, n, series);
		q = mremap(p, n * PAGE, (n + 20) * PAGE, MREMAP_MAYMOVE);
		CHECK(q != MAP_FAILED && holds(q, n, series) && holds(q + n * PAGE, 20, 0));
		if (i % 20 == 10)
			child_sees_its_own(q, n, series);
		CHECK(munmap(q, (n + 20) * PAGE) == 0);
	}
	return NULL;
}

static void serves_threads_and_signals(void)
{
	const struct itimerval often = {{0, 1000}, {0, 1000}}, never = {{0, 0}, {0, 0}};
	struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART};
	pthread_t threads[3];

	CHECK(sigaction(SIGALRM, &action, NULL) == 0);
	CHECK(setitimer(ITIMER_REAL, &often, NULL) == 0);
	for (uintptr_t i = 0; i < 3; i++)
		CHECK(pthread_create(&threads[i], NULL, churn, (void *)(i + 1)) == 0);
	for (unsigned i = 0; i < 3; i++)
		CHECK(pthread_join(threads[i], NULL) == 0);
	while (!signals)
		pause();
	CHECK(setitimer(ITIMER_REAL, &never, NULL) == 0);
}

/* A stopped program goes on, with its memory. */
static void stops_and_goes_on(void)
{
	pid_t pid = fork();
	int status;

	CHECK(pid >= 0);
	if (pid == 0) {
		char *p = map(3);

		fill(p, 3, 4);
		raise(SIGSTOP);
		CHECK(holds(p, 3, 4) && munmap(p, 3 * PAGE) == 0);
		_exit(7);
	}
	CHECK(waitpid(pid, &status, WUNTRACED) == pid && WIFSTOPPED(status));
	CHECK(kill(pid, SIGCONT) == 0 && waitpid(pid, &status, 0) == pid);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 7);
	pid = fork();
	CHECK(pid >= 0);
	if (pid == 0) {
		for (;;)
			munmap(map(2), 2 * PAGE);
	}
	usleep(20000);
	CHECK(kill(pid, SIGKILL) == 0 && waitpid(pid, &status, 0) == pid);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void *execute(void *path)
{
	execl(path, path, "executed", (char *)NULL);
	return NULL;
}

/* By a thread that is not the first, while others make calls; and by the shell. */
static void executes(char *self)
{
	pid_t pid = fork();
	int status;

	CHECK(pid >= 0);
	if (pid == 0) {
		pthread_t thread, other;

		CHECK(pthread_create(&other, NULL, churn, (void *)5) == 0);
		CHECK(pthread_create(&thread, NULL, execute, self) == 0);
		for (;;)
			munmap(map(2), 2 * PAGE);
	}
	CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 9);
	CHECK(system("exit 4") == 4 << 8);
}

static void respects_limits(void)
{
	pid_t pid = fork();
	int status;

	CHECK(pid >= 0);
	if (pid == 0) {
		struct rlimit limit = {(rlim_t)1 << 30, (rlim_t)1 << 30};
		char *p = map(100);

		fill(p, 100, 1);
		CHECK(setrlimit(RLIMIT_AS, &limit) == 0);
		CHECK(mremap(p, 100 * PAGE, (size_t)2 << 30, MREMAP_MAYMOVE) == MAP_FAILED);
		CHECK(errno == ENOMEM && holds(p, 100, 1));
		_exit(0);
	}
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
}

int main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "executed") == 0) {
		grows_and_moves();
		return 9;
	}
	grows_and_moves();
	if (argc > 1)
		moves_several_at_once(strcmp(argv[1], "several") == 0);
	shares_memory_and_files();
	breaks();
	advises_and_locks();
	knows_what_the_kernel_does();
	serves_threads_and_signals();
	stops_and_goes_on();
	executes(argv[0]);
	respects_limits();
	puts("as it should be");
	return 0;
}
