/* files.c - what can stand behind a mapping, to be run under `vas check`.
 *
 * Only mappings of one open file description merge; names change while files are mapped; sizes do
 * too; some descriptors cannot be mapped, and of some only the kernel knows what mapping them does.
 *
 * SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PAGE 4096u
#define MIB (1024u * 1024)

static char dir[64];

static const char *name(const char *file)
{
	static char path[128];
	snprintf(path, sizeof(path), "%s/%s", dir, file);
	return path;
}

static int create(const char *file, size_t pages)
{
	int fd = open(name(file), O_RDWR | O_CREAT | O_TRUNC, 0600);
	if (fd < 0 || ftruncate(fd, (off_t)(pages * PAGE)) != 0)
		exit(1);
	return fd;
}

static char *reserve(size_t pages)
{
	return mmap(NULL, pages * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static void put(char *at, size_t pages, int flags, int fd, size_t first)
{
	mmap(at, pages * PAGE, PROT_READ, flags | MAP_FIXED, fd, (off_t)(first * PAGE));
}

/* Neighbours in memory and in the file: one mapping if the description is the same. */
static void test_descriptions(void)
{
	int fd = create("a", 16), copy = dup(fd), other = open(name("a"), O_RDWR);
	char *at = reserve(64);
	put(at, 2, MAP_SHARED, fd, 0);
	put(at + 2 * PAGE, 2, MAP_SHARED, copy, 2);
	put(at + 4 * PAGE, 2, MAP_SHARED, other, 4);
	close(fd);
	close(copy);
	fd = open(name("a"), O_RDONLY);
	put(at + 6 * PAGE, 2, MAP_SHARED, fd, 6);
	munmap(at + 4 * PAGE, 2 * PAGE);
	put(at + 4 * PAGE, 2, MAP_SHARED, fd, 4);
	put(at + 16 * PAGE, 4, MAP_PRIVATE, other, 0);
	mprotect(at + 16 * PAGE, 4 * PAGE, PROT_READ | PROT_WRITE);
	at[17 * PAGE] = 1;
	mprotect(at + 17 * PAGE, PAGE, PROT_READ);
	mprotect(at + 17 * PAGE, PAGE, PROT_READ | PROT_WRITE);
	rename(name("a"), "/tmp/vas-files-renamed");
	put(at + 20 * PAGE, 4, MAP_PRIVATE, other, 4);
	unlink("/tmp/vas-files-renamed");
	put(at + 24 * PAGE, 4, MAP_PRIVATE, other, 8);
}

static void test_sizes(void)
{
	int fd = create("b", 2);
	char *at = mmap(NULL, 8 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	at[PAGE] = 1;
	if (ftruncate(fd, 6 * PAGE) != 0)
		exit(1);
	at[5 * PAGE] = 1;
	mlock(at, 6 * PAGE);
	mlock(at, 8 * PAGE); /* past the end: cannot be populated */
	char *shared = mmap(NULL, 8 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (pwrite(fd, "x", 1, 9 * PAGE) != 1)
		exit(1);
	mlock(shared, 8 * PAGE);
	madvise(shared, 8 * PAGE, MADV_POPULATE_WRITE);
	msync(shared, 8 * PAGE, MS_SYNC);
	munlockall();
}

/* Files of whole 2 MiB blocks lie aligned on some filesystems, memory files do not. */
static void test_alignment(void)
{
	int fd = create("c", 8 * MIB / PAGE), memory = memfd_create("files", 0);
	if (ftruncate(memory, 8 * MIB) != 0)
		exit(1);
	for (unsigned i = 0; i < 8; i++) {
		size_t len = MIB * (i + 1) / 2;
		mmap(NULL, len, PROT_READ, MAP_SHARED, fd, (off_t)(i * 16 * PAGE));
		mmap(NULL, len, PROT_READ, MAP_PRIVATE, memory, 0);
		mmap(NULL, len, PROT_READ, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
		mmap(NULL, len, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		void *at = mmap(NULL, len, PROT_READ, MAP_PRIVATE, fd, 0);
		mremap(at, len, len + 2 * MIB, MREMAP_MAYMOVE);
	}
}

static void try(int fd)
{
	mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, 0);
	mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	mmap(NULL, PAGE, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, PAGE);
}

static void test_kinds(void)
{
	int pair[2], pipes[2];
	try(-1);
	try(1000);
	try(open("/tmp", O_RDONLY));
	try(open("/tmp", O_PATH));
	try(open("/dev/zero", O_RDWR));
	try(open("/dev/null", O_RDWR));
	try(open("/dev/mem", O_RDONLY));
	try(open("/proc/self/maps", O_RDONLY));
	try(open("/sys/kernel/mm/transparent_hugepage/enabled", O_RDONLY));
	try(open(name("wronly"), O_WRONLY | O_CREAT, 0600));
	try(open("/bin/sh", O_RDONLY));
	try(eventfd(0, 0));
	try(epoll_create1(0));
	if (pipe(pipes) == 0)
		try(pipes[0]);
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0)
		try(pair[0]);
	int sealed = memfd_create("sealed", MFD_ALLOW_SEALING);
	if (ftruncate(sealed, PAGE) == 0 && fcntl(sealed, F_ADD_SEALS, F_SEAL_WRITE) == 0)
		try(sealed);
	try((int)syscall(SYS_memfd_create, "huge", 4u /* MFD_HUGETLB */));
}

int main(void)
{
	snprintf(dir, sizeof(dir), "/tmp/vas-files-XXXXXX");
	if (!mkdtemp(dir))
		return 1;
	test_descriptions();
	test_sizes();
	test_alignment();
	test_kinds();
	unlink(name("b"));
	unlink(name("c"));
	unlink(name("wronly"));
	rmdir(dir);
	return 0;
}
