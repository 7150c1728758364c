/* unmodelled.c - calls that vas does not have, to be run under `vas check`: what they do is taken
 * over and counted, and what comes after them must be right again.
 *
 * SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/userfaultfd.h>
#include <sched.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096u

static char *map(size_t pages, int flags)
{
	return mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, flags | MAP_ANONYMOUS, -1, 0);
}

/* Calls over a range and its ends that split, merge and move. */
static void shake(char *at, size_t pages)
{
	mprotect(at + PAGE, PAGE, PROT_READ);
	mprotect(at + PAGE, PAGE, PROT_READ | PROT_WRITE);
	mremap(at, 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, map(2, MAP_PRIVATE));
	munmap(at + (pages - 1) * PAGE, PAGE);
}

static void test_sysv(void)
{
	int id = shmget(IPC_PRIVATE, 8 * PAGE, IPC_CREAT | 0600);
	if (id < 0)
		return;
	char *at = shmat(id, NULL, 0), *again = shmat(id, NULL, SHM_RDONLY);
	shmctl(id, IPC_RMID, NULL);
	mprotect(again + PAGE, PAGE, PROT_NONE);
	shake(at, 8);
	shmdt(again);
	shmdt(at);
}

/* The first segment there is has the number 0, and so its mapping the inode 0. */
static void test_first_segment(void)
{
	pid_t child = fork();
	if (child == 0) {
		if (unshare(CLONE_NEWIPC) == 0)
			test_sysv();
		_exit(0);
	}
	waitpid(child, NULL, 0);
}

static void test_file_pages(void)
{
	char *at = map(8, MAP_SHARED);
	syscall(SYS_remap_file_pages, at, 2 * PAGE, 0, 4, 0);
	shake(at, 8);
}

/* Private: anonymous memory with a name, which may lose its offset when it moves. Shared: a file of
 * its own, which vas has; forked, grown, moved, and with an offset that is beyond its end. */
static void test_zero(void)
{
	int fd = open("/dev/zero", O_RDWR), readable = open("/dev/zero", O_RDONLY);
	int both = PROT_READ | PROT_WRITE;
	char *at = mmap(NULL, 8 * PAGE, both, MAP_PRIVATE, fd, PAGE);
	madvise(at, PAGE, MADV_FREE);
	mremap(at, 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, map(2, MAP_PRIVATE));
	at[3 * PAGE] = 1;
	mremap(at + 3 * PAGE, PAGE, 3 * PAGE, MREMAP_MAYMOVE);
	madvise(at + 4 * PAGE, 4 * PAGE, MADV_WIPEONFORK);
	mmap(NULL, 2 * PAGE, PROT_READ, MAP_SHARED, readable, 0);
	mmap(NULL, 2 * PAGE, both, MAP_SHARED, readable, 0);
	at = mmap(NULL, 8 * PAGE, both, MAP_SHARED, fd, 0);
	mmap(at, 3 * PAGE, both, MAP_SHARED | MAP_FIXED, fd, 0);
	at[5 * PAGE] = 1;
	shake(at, 8);
	mremap(at + 3 * PAGE, PAGE, 8 * PAGE, MREMAP_MAYMOVE);
	mmap(NULL, 4 << 20, both, MAP_SHARED, fd, 0);
	at = mmap(NULL, 3 * PAGE + 1, both, MAP_SHARED, fd, 2 * PAGE);
	madvise(at, 2 * PAGE, 23 /* MADV_POPULATE_WRITE */);
	madvise(at, 4 * PAGE, 23);
	madvise(at, 2 * PAGE, MADV_REMOVE);
	if (fork() == 0) {
		mremap(at, 0, 2 * PAGE, MREMAP_MAYMOVE);
		at[PAGE] = 1;
		_exit(0);
	}
	wait(NULL);
}

static void test_policy(void)
{
	unsigned long nodes = 1;
	char *at = map(8, MAP_PRIVATE);
	at[0] = 1;
	syscall(SYS_mbind, at + 2 * PAGE, 2 * PAGE, 1 /* preferred */, &nodes, 8 * sizeof(nodes),
	        0);
	shake(at, 8);
}

static void test_aio(void)
{
	aio_context_t context = 0;
	if (syscall(SYS_io_setup, 64, &context) == 0)
		syscall(SYS_io_destroy, context);
}

static void test_userfaultfd(void)
{
	int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC);
	struct uffdio_api api = {.api = UFFD_API};
	char *at = map(8, MAP_PRIVATE);
	if (fd < 0 || ioctl(fd, UFFDIO_API, &api) != 0)
		return;
	struct uffdio_register range = {
		{(uintptr_t)at + 2 * PAGE, 2 * PAGE}, UFFDIO_REGISTER_MODE_MISSING, 0};
	ioctl(fd, UFFDIO_REGISTER, &range);
	mprotect(at + 3 * PAGE, PAGE, PROT_READ);
	ioctl(fd, UFFDIO_UNREGISTER, &range.range);
	shake(at, 8);
	close(fd);
}

static void test_small_ones(void)
{
	char *at = map(8, MAP_PRIVATE);
	prctl(0x53564d41 /* PR_SET_VMA */, 0, at, 2 * PAGE, "a name");
	mmap(NULL, 1 << 21, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
	syscall(SYS_pkey_mprotect, at, PAGE, PROT_READ, -1);
	syscall(SYS_pkey_mprotect, at, PAGE, PROT_READ, 1);
	shake(at, 8);
	struct {
		void *at;
		size_t len;
	} vec = {at + 4 * PAGE, PAGE};
	int self = (int)syscall(SYS_pidfd_open, getpid(), 0);
	syscall(SYS_process_madvise, self, &vec, 1, MADV_COLD, 0);
	madvise(at, 8 * PAGE, 25 /* MADV_COLLAPSE */);
	syscall(SYS_madvise, at, 8 * PAGE, 0x100000000ul | MADV_DONTNEED); /* an int for Linux */
}

int main(void)
{
	test_sysv();
	test_first_segment();
	test_file_pages();
	test_zero();
	test_policy();
	test_aio();
	test_userfaultfd();
	test_small_ones();
	return 0;
}
