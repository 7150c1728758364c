/* races.c - calls that change no mapping, but whose answer another thread's calls change, to be run
 * under `vas check`: what each answers has to be what it is in the order that the calls had.
 *
 * SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096u
#define ROUNDS 400
#define POPULATE_READ 22

static char *const page = (char *)0x200000000000;
static char *const file_page = (char *)0x200000100000;
static atomic_int ended;
static int file;

static void *ask_mincore(void *arg)
{
	unsigned char vec[1];
	while (!ended)
		mincore(page, PAGE, vec);
	return arg;
}

static void *ask_msync(void *arg)
{
	while (!ended)
		msync(page, PAGE, MS_ASYNC);
	return arg;
}

/* Now enough for a page, now not. */
static void *set_limits(void *arg)
{
	struct rlimit none, low;
	getrlimit(RLIMIT_AS, &none);
	low = none;
	for (unsigned i = 0; !ended; i++) {
		low.rlim_cur = i % 2 ? 1 << 20 : none.rlim_cur;
		setrlimit(RLIMIT_AS, &low);
	}
	setrlimit(RLIMIT_AS, &none);
	return arg;
}

static void *populate(void *arg)
{
	while (!ended)
		madvise(file_page, 2 * PAGE, POPULATE_READ);
	return arg;
}

static void map_and_unmap(void)
{
	for (int i = 0; i < ROUNDS; i++) {
		if (mmap(page, PAGE, PROT_READ | PROT_WRITE,
		         MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == page)
			munmap(page, PAGE);
		if (ftruncate(file, i % 2 ? PAGE : 2 * PAGE) != 0)
			_exit(1);
	}
}

static void beside(void *(*other)(void *))
{
	pthread_t thread;
	ended = 0;
	if (pthread_create(&thread, NULL, other, NULL) != 0)
		_exit(1);
	map_and_unmap();
	ended = 1;
	pthread_join(thread, NULL);
}

/* The size of a file and the limits of a process are changed by other processes, too. */
static void beside_a_process(void)
{
	pid_t parent = getpid(), child = fork();
	struct rlimit none, low;
	getrlimit(RLIMIT_AS, &none);
	low = none;
	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (unsigned i = 0;; i++) {
			if (ftruncate(file, i % 2 ? PAGE : 2 * PAGE) != 0)
				_exit(1);
			low.rlim_cur = i % 2 ? 1 << 20 : none.rlim_cur;
			prlimit(parent, RLIMIT_AS, &low, NULL);
		}
	}
	for (int i = 0; i < ROUNDS; i++) {
		madvise(file_page, 2 * PAGE, POPULATE_READ);
		if (mmap(page, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) ==
		    page)
			munmap(page, PAGE);
	}
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	setrlimit(RLIMIT_AS, &none);
}

int main(void)
{
	file = memfd_create("sizes", 0);
	if (file < 0 || ftruncate(file, 2 * PAGE) != 0 ||
	    mmap(file_page, 2 * PAGE, PROT_READ, MAP_SHARED | MAP_FIXED, file, 0) != file_page)
		return 1;
	beside(ask_mincore);
	beside(ask_msync);
	beside(set_limits);
	beside(populate);
	beside_a_process();
	return 0;
}
