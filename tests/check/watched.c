/* watched.c - mremap of memory registered with userfaultfd, to be run under `vas check`.
 *
 *: fact M8.7 M10.4 N148
 *
 * Registering is no call of vas: it is taken over from the kernel. What is asked of the memory from
 * then on is compared.
 *
 * SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>

#include "fact.h"

static int monitor;

static void watch(char *at, size_t npages)
{
	struct uffdio_register range = {
		{(uintptr_t)at, npages * PAGE}, UFFDIO_REGISTER_MODE_MISSING, 0};
	EXPECT(ioctl(monitor, UFFDIO_REGISTER, &range) == 0);
	made->adopted++;
}

/* Whether a page is registered, as the line VmFlags of smaps says. */
static int is_watched(const char *at)
{
	char line[512];
	int here = 0, yes = 0;
	FILE *smaps = fopen("/proc/self/smaps", "re");
	EXPECT(smaps != NULL);
	while (fgets(line, sizeof(line), smaps)) {
		unsigned long start, end;
		if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
			here = start <= (uintptr_t)at && (uintptr_t)at < end;
		else if (here && strncmp(line, "VmFlags:", 8) == 0)
			yes = strstr(line, " um") != NULL;
	}
	fclose(smaps);
	return yes;
}

/* Of four mappings the third is watched: |aa|bb|WW|dd|. */
static char *four(void)
{
	char *at = room(8);
	for (size_t i = 0; i < 4; i++)
		EXPECT(mmap(at + 2 * i * PAGE, 2 * PAGE, i % 2 ? PROT_READ : PROT_READ | PROT_WRITE,
		            MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED);
	watch(at + 4 * PAGE, 2);
	return at;
}

/* With others it takes no part in a move, alone it does. */
static void test_several(void)
{
	char *at = four(), *target = room(16);
	/* First of several, then before a mere gap: nothing moves. */
	EXPECT(move(at + 4 * PAGE, 4 * PAGE, 4 * PAGE, FIXED, target) == -EFAULT);
	EXPECT(munmap(at + 6 * PAGE, 2 * PAGE) == 0);
	EXPECT(move(at + 4 * PAGE, 4 * PAGE, 4 * PAGE, FIXED, target) == -EFAULT);
	EXPECT(find(NULL, target).start == NULL);
	/* As a later one: those before it have moved. */
	EXPECT(move(at, 6 * PAGE, 6 * PAGE, FIXED, target) == -EFAULT);
	EXPECT(find(NULL, target).end == target + 2 * PAGE);
	EXPECT(find(NULL, target + 2 * PAGE).end == target + 4 * PAGE);
	EXPECT(find(NULL, target + 4 * PAGE).start == NULL);
	EXPECT(find(NULL, at + 4 * PAGE).start == at + 4 * PAGE);
	/* A part of it, and all of it. */
	EXPECT(move(at + 4 * PAGE, PAGE, PAGE, FIXED, target + 8 * PAGE) ==
	       (long)(target + 8 * PAGE));
	EXPECT(move(at + 5 * PAGE, PAGE, PAGE, FIXED, target + 12 * PAGE) ==
	       (long)(target + 12 * PAGE));
}

/* Nobody asked for the event, so what has moved is watched no longer, and moves with others. */
static void test_dropped(void)
{
	char *at = room(16), *target = room(16);
	EXPECT(mmap(at, 4 * PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == at);
	watch(at, 4);
	EXPECT(is_watched(at));
	EXPECT(move(at, 4 * PAGE, 4 * PAGE, FIXED, target) == (long)target);
	EXPECT(!is_watched(target));
	EXPECT(move(target, 8 * PAGE, 8 * PAGE, FIXED, at) == (long)at);
	EXPECT(!is_watched(at));
}

/* What DONTUNMAP leaves behind is watched still. */
static void test_left(void)
{
	char *at = room(16), *target = room(16);
	EXPECT(mmap(at, 4 * PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == at);
	watch(at, 4);
	EXPECT(move(at, 4 * PAGE, 4 * PAGE, LEAVE | FIXED, target) == (long)target);
	EXPECT(is_watched(at) && !is_watched(target));
	EXPECT(move(at, 8 * PAGE, 8 * PAGE, FIXED, target + 8 * PAGE) == -EFAULT);
	EXPECT(move(target, 8 * PAGE, 8 * PAGE, FIXED, target + 8 * PAGE) ==
	       (long)(target + 8 * PAGE));
}

/* Growth: in place it stays watched, elsewhere not. */
static void test_growth(void)
{
	char *at = room(16);
	EXPECT(mmap(at, 4 * PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == at);
	watch(at, 4);
	EXPECT(move(at, 4 * PAGE, 8 * PAGE, 0, NULL) == (long)at);
	EXPECT(is_watched(at + 7 * PAGE));
	EXPECT(mmap(at + 8 * PAGE, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
	            0) == at + 8 * PAGE);
	long moved = move(at, 8 * PAGE, 9 * PAGE, MAYMOVE, NULL);
	EXPECT(moved > 0 && !is_watched((char *)moved));
}

/* Between two neighbours of its own kind: joined to them or not, now and by a later call. */
static void test_neighbours(void)
{
	char *at = room(16), *target = room(16);
	EXPECT(mmap(target, 12 * PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) ==
	       target);
	EXPECT(mmap(at, 4 * PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == at);
	watch(at, 4);
	EXPECT(move(at, 4 * PAGE, 4 * PAGE, FIXED, target + 4 * PAGE) == (long)(target + 4 * PAGE));
	EXPECT(!is_watched(target + 4 * PAGE));
	EXPECT(mprotect(target, 12 * PAGE, PROT_NONE) == 0);
	EXPECT(mprotect(target, 12 * PAGE, PROT_READ) == 0);
}

static void open_monitor(void)
{
	struct uffdio_api api = {.api = UFFD_API};
	monitor = (int)syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY);
	if (monitor < 0) {
		perror("skipped: userfaultfd");
		exit(77);
	}
	EXPECT(ioctl(monitor, UFFDIO_API, &api) == 0);
}

static char *inherited;

static void look_at_inherited(void)
{
	EXPECT(!is_watched(inherited) && !is_watched(inherited + PAGE));
	EXPECT(mprotect(inherited, 2 * PAGE, PROT_READ) == 0);
	EXPECT(find(NULL, inherited).end == inherited + 2 * PAGE);
	EXPECT(mprotect(inherited, 2 * PAGE, PROT_READ | PROT_WRITE) == 0);
	EXPECT(find(NULL, inherited).end == inherited + 4 * PAGE);
	EXPECT(move(inherited, 8 * PAGE, 8 * PAGE, FIXED, room(16)) > 0);
}

/* Nor did anybody ask for the event of a fork. */
static void test_fork(void)
{
	inherited = room(16);
	EXPECT(mmap(inherited, 4 * PAGE, PROT_READ | PROT_WRITE,
	            MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == inherited);
	inherited[0] = 1;
	watch(inherited, 4);
	in_child(look_at_inherited);
	EXPECT(is_watched(inherited));
}

int main(void)
{
	fact_begin();
	fact_needs_linux(6, 17); /* moves of several mappings at once */
	open_monitor();
	test_several();
	test_dropped();
	test_left();
	test_growth();
	test_neighbours();
	test_fork();
	return fact_end();
}
