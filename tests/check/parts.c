/* parts.c - calls that come to others on vas, and settings of a whole process, to be run under
 * `vas check`: none of them is taken over.
 *
 *: fact N162 N163 N164
 *
 * SPDX-License-Identifier: MIT */
#include <signal.h>
#include <sys/prctl.h>
#include <sys/shm.h>
#include <sys/uio.h>

#include "fact.h"

#define SET_MDWE 65
#define SET_MEMORY_MERGE 67

static char *segment_at(int id, const char *at, int flags)
{
	return shmat(id, at, flags);
}

/* Attached whole and in parts, moved, cut, attached over others, detached by either end. */
static void test_segments(void)
{
	int id = shmget(IPC_PRIVATE, 2 * PAGE + 5, IPC_CREAT | 0600);
	int large = shmget(IPC_PRIVATE, 4 << 20, IPC_CREAT | 0600);
	if (id < 0 || large < 0)
		return;
	char *free_range = room(64), *a = segment_at(id, NULL, 0);
	char *b = segment_at(id, NULL, SHM_RDONLY), *c = segment_at(large, NULL, 0);
	char *d = segment_at(id, free_range + 7, SHM_RND);
	EXPECT(d == free_range);
	EXPECT(segment_at(id, d + PAGE, SHM_REMAP) == d + PAGE);
	EXPECT(segment_at(id, d, 0) == (void *)-1);
	EXPECT(segment_at(id, d + 7, 0) == (void *)-1);
	EXPECT(segment_at(id, NULL, SHM_EXEC) != (void *)-1);
	EXPECT(mprotect(b, PAGE, PROT_READ | PROT_WRITE) == -1 && errno == EACCES);
	EXPECT(mprotect(a + PAGE, PAGE, PROT_READ) == 0);
	EXPECT(mprotect(a + PAGE, PAGE, PROT_READ | PROT_WRITE) == 0);
	char *away = free_range + 16 * PAGE;
	EXPECT(move(a, PAGE, PAGE, FIXED, away) == (long)away);
	EXPECT(move(away, PAGE, PAGE, FIXED, away + 8 * PAGE) == (long)away + 8 * (long)PAGE);
	EXPECT(shmdt(a + PAGE) == -1);
	EXPECT(shmdt(a) == 0);
	EXPECT(munmap(b, PAGE) == 0);
	EXPECT(shmdt(b) == 0);
	EXPECT(munmap(d + 2 * PAGE, PAGE) == 0);
	EXPECT(shmdt(d + PAGE) == 0);
	EXPECT(shmdt(d) == 0);
	if (fork() == 0)
		_exit(shmdt(c) != 0);
	wait(NULL);
	shmctl(id, IPC_RMID, NULL);
	shmctl(large, IPC_RMID, NULL);
}

static void test_file_pages(void)
{
	char *at = mmap(NULL, 8 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	EXPECT(syscall(SYS_remap_file_pages, at, 2 * PAGE, 0, 4, 0) == 0);
	EXPECT(syscall(SYS_remap_file_pages, at + 4 * PAGE, PAGE, 0, 1, 0) == 0);
	EXPECT(syscall(SYS_remap_file_pages, at, PAGE, PROT_READ, 4, 0) == -1);
	EXPECT(munmap(at + PAGE, PAGE) == 0);
}

/* Of this process and of another, of ranges that are all there, and with one that is not. */
static void test_advice(void)
{
	char *at = map(16, PROT_READ | PROT_WRITE, 0);
	memset(at, 1, 16 * PAGE);
	struct iovec range[] = {{at, PAGE}, {at + 2 * PAGE, 2 * PAGE}, {at + 15 * PAGE, 2 * PAGE}};
	int self = (int)syscall(SYS_pidfd_open, getpid(), 0);
	syscall(SYS_process_madvise, self, range, 2, MADV_COLD, 0);
	syscall(SYS_process_madvise, self, range, 3, MADV_COLD, 0);
	syscall(SYS_process_madvise, self, range, 2, MADV_DONTNEED, 0);
	syscall(SYS_process_madvise, self, range, 2, MADV_NOHUGEPAGE, 0);
	syscall(SYS_process_madvise, self, range, 2, 99, 0);
	pid_t child = fork();
	if (child == 0)
		for (;;)
			pause();
	int other = (int)syscall(SYS_pidfd_open, child, 0);
	syscall(SYS_process_madvise, other, range, 2, MADV_PAGEOUT, 0);
	syscall(SYS_process_madvise, other, range, 1, MADV_NOHUGEPAGE, 0);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
}

static void map_and_fork(void)
{
	map(5, PROT_READ | PROT_WRITE, 0);
	if (fork() == 0) {
		map(5, PROT_READ | PROT_WRITE, 0);
		map(5, PROT_READ, 0);
		_exit(0);
	}
	wait(NULL);
}

/* What an exec leaves shows in the program that runs then. */
static void test_settings(void)
{
	prctl(SET_MEMORY_MERGE, 1, 0, 0, 0);
	map_and_fork();
	prctl(SET_MEMORY_MERGE, 0, 0, 0, 0);
	map_and_fork();
	prctl(SET_MEMORY_MERGE, 1, 0, 0, 0);
	prctl(SET_MEMORY_MERGE, 1, 1, 0, 0);
	prctl(SET_MDWE, 2, 0, 0, 0);
	prctl(SET_MDWE, 1, 0, 0, 0);
	mmap(NULL, PAGE, PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	mprotect(map(1, PROT_READ, 0), PAGE, PROT_EXEC);
	map_and_fork();
	execl("/proc/self/exe", "parts", "again", (char *)NULL);
	_exit(1);
}

int main(int argc, char **argv)
{
	(void)argv;
	if (argc > 1) {
		mmap(NULL, PAGE, PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		return 0;
	}
	fact_begin();
	in_child(test_segments);
	in_child(test_file_pages);
	in_child(test_advice);
	in_child(test_settings);
	return fact_end();
}
