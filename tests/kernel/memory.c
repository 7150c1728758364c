/* What a program can see of its memory on the kernel port: the same lines as on Linux. It is
 * built for each architecture, statically, and run with one CPU and with several.
 *
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define RW (PROT_READ | PROT_WRITE)
#define ANON (MAP_PRIVATE | MAP_ANONYMOUS)

static sigjmp_buf back;
static volatile int signal_code;
static void *volatile signal_addr;
static size_t page;

static void handler(int signo, siginfo_t *info, void *context)
{
	(void)context;
	signal_code = info->si_code;
	signal_addr = info->si_addr;
	siglongjmp(back, signo);
}

static void touch(const char *what, volatile char *at, int write)
{
	int signo = sigsetjmp(back, 1);

	if (signo == 0) {
		if (write)
			*at = 1;
		else
			(void)*at;
		printf("%s: fine\n", what);
	} else {
		printf("%s: signal %d code %d, address %s\n", what, signo, signal_code,
		       signal_addr == at ? "right" : "wrong");
	}
}

static char *map(size_t npages, int flags)
{
	char *p = mmap(NULL, npages * page, RW, flags, -1, 0);

	if (p == MAP_FAILED) {
		perror("mmap");
		exit(1);
	}
	return p;
}

static void fill(char *p, size_t npages, int seed)
{
	for (size_t i = 0; i < npages; i++)
		snprintf(p + i * page, page, "%d.%zu", seed, i);
}

static const char *bad(const char *p, size_t npages, int seed)
{
	char want[32];

	for (size_t i = 0; i < npages; i++) {
		snprintf(want, sizeof(want), "%d.%zu", seed, i);
		if (strcmp(p + i * page, want) != 0)
			return "bytes are wrong";
	}
	return "bytes are right";
}

static void moves(void)
{
	char *room = map(4096, ANON | MAP_NORESERVE), *p = room;

	fill(p, 600, 1);
	p = mremap(p, 600 * page, 600 * page, MREMAP_MAYMOVE | MREMAP_FIXED, room + 1024 * page);
	printf("moved by 1024 pages: %s\n", bad(p, 600, 1));
	p = mremap(p, 600 * page, 600 * page, MREMAP_MAYMOVE | MREMAP_FIXED, room + 2049 * page);
	printf("moved by 1025 pages: %s\n", bad(p, 600, 1));
	p = mremap(p, 600 * page, 700 * page, MREMAP_MAYMOVE);
	printf("grown: %s, %s\n", bad(p, 600, 1), p[650 * page] ? "not empty" : "and empty");
	char *kept = mremap(p, 600 * page, 600 * page, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, NULL);
	printf("kept: %s, the source %s\n", bad(kept, 600, 1), p[0] ? "is not" : "is empty");
	p = mremap(kept, 600 * page, 2 * page, 0);
	printf("shrunk: %s\n", bad(p, 2, 1));
	touch("beyond it", p + 2 * page, 0);
	errno = 0;
	mremap(p, page + 1, 0, 0);
	printf("to nothing: %s\n", strerror(errno));
	errno = 0;
	mremap((char *)page, page, page * 2, MREMAP_MAYMOVE);
	printf("from nothing: %s\n", strerror(errno));
	char *shared = map(3, MAP_SHARED | MAP_ANONYMOUS);
	fill(shared, 3, 4);
	char *twice = mremap(shared, 0, 3 * page, MREMAP_MAYMOVE);
	twice[page] = '9';
	printf("twice: %s, %s\n", bad(twice, 1, 4), shared[page] == '9' ? "one memory" : "two");
	munmap(shared, 3 * page);
	printf("and once: %s\n", bad(twice, 1, 4));
}

static void rights(void)
{
	char *p = map(3, ANON);

	fill(p, 3, 2);
	mprotect(p + page, page, PROT_READ);
	touch("read of what cannot be written", p + page, 0);
	touch("write of it", p + page, 1);
	mprotect(p + page, page, PROT_NONE);
	touch("read of what cannot be read", p + page, 0);
	munmap(p + page, page);
	touch("read of what is not there", p + page, 0);
	printf("around it: %s\n", bad(p, 1, 2));
	madvise(p, page, MADV_DONTNEED);
	printf("unneeded: %d\n", p[0]);
}

static void forks(void)
{
	char *mine = map(64, ANON);
	int *ours = (int *)(void *)map(1, MAP_SHARED | MAP_ANONYMOUS);
	int status;

	fill(mine, 64, 3);
	fflush(stdout);
	for (int child = 0; child < 4; child++)
		if (fork() == 0) {
			const int wrong = *bad(mine, 64, 3) != 'b';

			fill(mine, 64, 10 + child);
			__atomic_fetch_add(ours, 1, __ATOMIC_SEQ_CST);
			_exit(strcmp(bad(mine, 64, 10 + child), "bytes are right") || wrong);
		}
	for (int child = 0; child < 4; child++)
		if (wait(&status) < 0 || status != 0)
			printf("a child failed: %x\n", (unsigned)status);
	printf("after four children: %s, %d of them\n", bad(mine, 64, 3), *ours);
}

static void files(void)
{
	int fd = memfd_create("file", 0);
	char byte = 0;

	if (fd < 0 || ftruncate(fd, (off_t)(3 * page)))
		perror("memfd");
	char *p = mmap(NULL, 3 * page, RW, MAP_SHARED, fd, 0);
	p[page] = 'm';
	if (pread(fd, &byte, 1, (off_t)page) != 1)
		perror("pread");
	printf("read sees the mapping: %c\n", byte);
	if (pwrite(fd, "w", 1, (off_t)(2 * page)) != 1)
		perror("pwrite");
	printf("the mapping sees write: %c\n", p[2 * page]);
	if (ftruncate(fd, (off_t)(page + 8)))
		perror("ftruncate");
	touch("within the last page", p + page, 0);
	touch("behind the end", p + 2 * page, 0);
	close(fd);
}

/* ---- Threads: the other CPU must hear of what is taken --------------------------------------- */

static volatile int stop;
static char *volatile watched;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static int counted;

static void *writer(void *arg)
{
	(void)arg;
	while (!stop)
		if (sigsetjmp(back, 1) == 0)
			while (!stop)
				++*(volatile char *)watched;
	return NULL;
}

static void pause_ms(long ms)
{
	nanosleep(&(struct timespec){.tv_nsec = ms * 1000000}, NULL);
}

static void taken(void)
{
	int late = 0;
	pthread_t thread;

	watched = map(1, ANON);
	stop = 0;
	pthread_create(&thread, NULL, writer, NULL);
	for (int round = 0; round < 20; round++) {
		pause_ms(2);
		mprotect(watched, page, PROT_READ);
		const char before = *watched;
		pause_ms(1);
		late += *watched != before;
		mprotect(watched, page, RW);
	}
	stop = 1;
	pthread_join(thread, NULL);
	printf("writes after the right was taken: %s\n", late ? "some" : "none");
}

static void *counter(void *arg)
{
	char *mine = map(16, ANON);
	const int seed = (int)(intptr_t)arg;

	for (int i = 0; i < 100; i++) {
		fill(mine, 16, seed);
		if (*bad(mine, 16, seed) != 'b' || strcmp(bad(mine, 16, seed), "bytes are right"))
			printf("a thread's bytes are wrong\n");
		char *moved = mremap(mine, 16 * page, 16 * page, MREMAP_MAYMOVE | MREMAP_DONTUNMAP,
		                     NULL);
		if (strcmp(bad(moved, 16, seed), "bytes are right") || mine[0])
			printf("a thread's moved bytes are wrong\n");
		munmap(mine, 16 * page);
		mine = moved;
		pthread_mutex_lock(&mutex);
		counted++;
		pthread_mutex_unlock(&mutex);
	}
	return NULL;
}

static void threads(void)
{
	pthread_t thread[6];

	for (intptr_t i = 0; i < 6; i++)
		pthread_create(&thread[i], NULL, counter, (void *)i);
	for (int i = 0; i < 6; i++)
		pthread_join(thread[i], NULL);
	printf("counted by six threads: %d\n", counted);
}

static void heap(void)
{
	char *p = NULL;

	for (size_t size = 1000; size < 32 << 20; size = size * 3 / 2) {
		p = realloc(p, size);
		memset(p + size / 2, (int)size, size - size / 2);
	}
	free(p);
	printf("realloc: fine\n");
}

static void alarms(void)
{
	const struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO};

	sigaction(SIGALRM, &action, NULL);
	if (sigsetjmp(back, 1) == 0) {
		alarm(1);
		for (;;)
			pause();
	}
	printf("alarm: came\n");
}

int main(void)
{
	const struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO};

	page = (size_t)sysconf(_SC_PAGESIZE);
	sigaction(SIGSEGV, &action, NULL);
	sigaction(SIGBUS, &action, NULL);
	moves();
	rights();
	forks();
	files();
	heap();
	threads();
	taken();
	alarms();
	printf("end\n");
	return 42;
}
