/* churn.c - threads begin while others end, and processes are killed in the middle of it, to be run
 * under `vas check`: no call of any may be missed, and none be taken for another's.
 *
 * It counts the calls that it makes itself; run.sh counts them in the log.
 *
 * SPDX-License-Identifier: MIT */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096u
#define MAKERS 4
#define ROUNDS 60
#define KILLED 12

static char *const marked = (char *)0x200000000000;
static atomic_long made;

/* What is asked for changes nothing, so that it is right in whatever order. */
static void ask(void)
{
	madvise(marked, PAGE, MADV_NORMAL);
	made++;
}

static void *few(void *arg)
{
	ask();
	void *at = mmap(NULL, 3 * PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ask();
	munmap(at, 3 * PAGE);
	ask();
	return arg;
}

static void *maker(void *arg)
{
	for (int i = 0; i < ROUNDS; i++) {
		pthread_t thread[2];
		for (int k = 0; k < 2; k++)
			if (pthread_create(&thread[k], NULL, few, NULL) != 0)
				_exit(1);
		for (int k = 0; k < 2; k++)
			pthread_join(thread[k], NULL);
	}
	return arg;
}

/* For ever; each child maps a page and goes. */
static void fork_on(void)
{
	for (;;) {
		pid_t child = fork();
		if (child == 0) {
			mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
			_exit(0);
		}
		waitpid(child, NULL, 0);
	}
}

/* The moment comes earlier or later each time. */
static void kill_some(void)
{
	for (int i = 0; i < KILLED; i++) {
		pid_t child = fork();
		if (child == 0)
			fork_on();
		usleep((useconds_t)(1000 + i * 317));
		kill(child, SIGKILL);
		if (waitpid(child, NULL, 0) != child)
			_exit(1);
	}
}

int main(void)
{
	pthread_t thread[MAKERS];
	if (mmap(marked, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
	         0) != marked)
		return 1;
	for (int i = 0; i < MAKERS; i++)
		if (pthread_create(&thread[i], NULL, maker, NULL) != 0)
			return 1;
	kill_some();
	for (int i = 0; i < MAKERS; i++)
		pthread_join(thread[i], NULL);
	printf("counted %ld madvise(0x200000000000, \n", (long)made);
	return 0;
}
