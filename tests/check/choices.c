/* choices.c - answers that vas has to be told, beside others that it must still give itself, to be
 * run under `vas check`: random addresses, pages that are not populated.
 *
 * SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE 4096u
#define BOTH (PROT_READ | PROT_WRITE)
#define COUNT 3000

/* MAP_32BIT searches from a random place; MAP_SHARED_VALIDATE refuses flags that it does not know,
 * so vas must not be asked with one more. */
static int map_low(void)
{
	int fd = memfd_create("low", 0);
	if (fd < 0 || ftruncate(fd, 4 * PAGE) != 0)
		return 1;
	char *at = mmap(NULL, 4 * PAGE, BOTH, MAP_SHARED_VALIDATE | MAP_32BIT, fd, 0);
	char *anonymous = mmap(NULL, 4 * PAGE, BOTH, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1,
	                       0);
	if (at == MAP_FAILED || anonymous == MAP_FAILED)
		return 1;
	mprotect(at + PAGE, PAGE, PROT_READ);
	munmap(at, 4 * PAGE);
	return 0;
}

/* Under MCL_ONFAULT, MAP_POPULATE fills nothing: the mapping stays as good as new, and when a third
 * comes between it and one that was written it joins both. */
static int populate_nothing(void)
{
	if (mlockall(MCL_FUTURE | MCL_ONFAULT) != 0)
		return 0; /* may not */
	char *at = mmap(NULL, 8 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	for (int i = 0; i < 8; i += 2) {
		char *part = mmap(at + i * PAGE, PAGE, BOTH,
		                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_POPULATE, -1, 0);
		if (i == 4)
			*part = 1;
	}
	mremap(at, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, at + PAGE);
	mremap(at + 4 * PAGE, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, at + 3 * PAGE);
	munlockall();
	return 0;
}

/* Many open files at once, each mapped, each let go of. */
static int map_many_files(void)
{
	static char *at[COUNT];
	for (int i = 0; i < COUNT; i++) {
		int fd = memfd_create("many", 0);
		if (fd < 0 || ftruncate(fd, PAGE) != 0)
			return 1;
		at[i] = mmap(NULL, PAGE, BOTH, MAP_SHARED, fd, 0);
		close(fd);
	}
	for (int i = 0; i < COUNT; i++)
		munmap(at[i], PAGE);
	return 0;
}

int main(int argc, char **argv)
{
	(void)argv;
	return argc > 1 ? map_many_files() : map_low() || populate_nothing();
}
