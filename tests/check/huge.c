/* huge.c - memory of the huge page pool, mapped, touched, cut, moved, locked, shared; made on vas
 * as on Linux, to be run under `vas check`. Skipped where the pool has no pages.
 *
 * SPDX-License-Identifier: MIT */
#include "fact.h"

#define HUGE ((size_t)2 << 20)
#define BOTH (PROT_READ | PROT_WRITE)

static char *map_huge(size_t n, int flags)
{
	return mmap(room(n * 512 + 1024), n * HUGE, BOTH, MAP_ANONYMOUS | MAP_HUGETLB | flags, -1,
	            0);
}

static long free_pages(void)
{
	long n = 0;
	FILE *file = fopen("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "re");
	if (file && fscanf(file, "%ld", &n) != 1)
		n = 0;
	if (file)
		fclose(file);
	return n;
}

static void cut(void)
{
	char *at = map_huge(2, MAP_PRIVATE);
	EXPECT(at != MAP_FAILED);
	at[0] = 1;
	EXPECT(mprotect(at, HUGE, PROT_READ) == 0);
	EXPECT(mprotect(at, PAGE, BOTH) != 0);
	EXPECT(munmap(at, PAGE) != 0);
	EXPECT(mprotect(at, HUGE, BOTH) == 0);
	madvise(at, PAGE, MADV_DONTNEED);
	mlock(at, PAGE);
	munlock(at, PAGE);
	EXPECT(munmap(at, HUGE) == 0);
	EXPECT(munmap(at + HUGE, HUGE) == 0);
}

static void remap(void)
{
	char *at = map_huge(2, MAP_PRIVATE);
	EXPECT(at != MAP_FAILED);
	at[0] = at[HUGE] = 1;
	EXPECT(move(at + PAGE, HUGE, HUGE, FIXED, room(1024)) == -EINVAL);
	EXPECT(move(at, 2 * HUGE, 3 * HUGE, MAYMOVE, NULL) < 0);
	EXPECT(move(at, 2 * HUGE, HUGE, 0, NULL) == (long)at);
	EXPECT(munmap(at, HUGE) == 0);
}

static void share(void)
{
	char *at = map_huge(1, MAP_SHARED);
	EXPECT(at != MAP_FAILED);
	at[0] = 1;
	EXPECT(munmap(at, HUGE) == 0);
}

int main(void)
{
	if (free_pages() < 4) {
		fprintf(stderr, "skipped: the pool of huge pages has not four of them\n");
		return 77;
	}
	fact_begin();
	in_child(cut);
	in_child(remap);
	in_child(share);
	return fact_end();
}
