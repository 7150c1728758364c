/* special.c - mremap of what the kernel itself put into a program, the vdso and its data, and of a
 * device's memory, to be run under `vas check`.
 *
 *: fact M1.27 M1.28 M1.29 M1.30 M2.11 M8.8
 *
 * Nothing here calls into the vdso once it has moved, as reading the time would.
 *
 * SPDX-License-Identifier: MIT */
#include <linux/perf_event.h>

#include "fact.h"

static char *target; /* room for all of them */

/* What the kernel put there stays as it is, whatever is asked, but for a move of all of it. */
static void refuse_resizing(struct area area)
{
	size_t len = area_len(area);
	EXPECT(move(area.start, len, len, 0, NULL) == (long)area.start);
	EXPECT(move(area.start, len, len + PAGE, 0, NULL) == -EFAULT);
	EXPECT(move(area.start, len, len + PAGE, MAYMOVE, NULL) == -EFAULT);
	EXPECT(move(area.start, len, len + PAGE, FIXED, target) == -EFAULT);
	EXPECT(move(area.end - PAGE, PAGE, 2 * PAGE, MAYMOVE, NULL) == -EFAULT);
	EXPECT(move(area.start, len + PAGE, len + 2 * PAGE, MAYMOVE, NULL) == -EFAULT);
	EXPECT(move(area.start, len, len, LEAVE, NULL) == -EINVAL);
	EXPECT(move(area.start, len, len, LEAVE | FIXED, target) == -EINVAL);
	EXPECT(move(area.start, PAGE, PAGE, LEAVE, NULL) == -EINVAL);
	EXPECT(move(area.start, 0, PAGE, MAYMOVE, NULL) == -EINVAL);
}

/* A part of one is refused; but what lay at the target has been unmapped by then. */
static void refuse_part(char *part, size_t len)
{
	char *busy = map(8, PROT_READ | PROT_WRITE, 0);
	EXPECT(munmap(part, len) == -1 && errno == EINVAL);
	EXPECT(move(part, len, len, FIXED, busy + 2 * PAGE) == -EINVAL);
	EXPECT(find(NULL, busy + 2 * PAGE).start == NULL);
	EXPECT(find(NULL, busy + 2 * PAGE + len).start != NULL);
	EXPECT(munmap(busy, 8 * PAGE) == 0);
}

static void refuse_parts(struct area area)
{
	size_t len = area_len(area);
	if (len < 2 * PAGE) /* has no parts */
		return;
	refuse_part(area.start, PAGE);
	refuse_part(area.end - PAGE, PAGE);
	EXPECT(move(area.start, len, PAGE, 0, NULL) == -EINVAL);
	EXPECT(move(area.start, len, PAGE, FIXED, target) == -EINVAL);
}

static void move_whole(struct area area)
{
	size_t len = area_len(area);
	EXPECT(move(area.start, len, len, FIXED, target) == (long)target);
	EXPECT(find(NULL, target).end == target + len);
	EXPECT(find(NULL, area.start).start == NULL);
	struct area there = {target, target + len};
	target = room(len / PAGE + 1);
	refuse_resizing(there);
	refuse_parts(there);
	EXPECT(move(there.start, len, len, FIXED, area.start) == (long)area.start);
}

static void test_one(const char *name)
{
	struct area area = find(name, NULL);
	if (!area.start)
		return; /* there are kernels without a [vvar_vclock] */
	target = room(area_len(area) / PAGE + 1);
	refuse_resizing(area);
	refuse_parts(area);
	move_whole(area);
	EXPECT(munmap(area.start, area_len(area)) == 0);
}

static void test_vdso(void)
{
	test_one("[vdso]");
}

static void test_vvar(void)
{
	test_one("[vvar]");
	test_one("[vvar_vclock]");
}

/* All of them by one call, and back; with a part of the last one at the end, only the others go. */
static void test_together(void)
{
	struct area data = find("[vvar]", NULL), code = find("[vdso]", NULL);
	size_t len = (size_t)(code.end - data.start);
	EXPECT(data.start && code.start && data.end <= code.start);
	target = room(len / PAGE);
	EXPECT(move(data.start, len, len, FIXED, target) == (long)target);
	EXPECT(find("[vvar]", NULL).start == target);
	EXPECT(find("[vdso]", NULL).end == target + len);
	EXPECT(move(target, len, len, LEAVE | FIXED, data.start) == -EINVAL);
	EXPECT(move(target, len, len, FIXED, data.start) == (long)data.start);
	if (area_len(code) < 2 * PAGE)
		return;
	len -= PAGE;
	EXPECT(move(data.start, len, len, FIXED, target) == -EINVAL);
	EXPECT(find("[vvar]", NULL).start == target);
	EXPECT(find("[vdso]", NULL).start == code.start);
}

/* To mremap the ring of a performance counter is what the memory of a device is, and it needs none.
 * The mapping of it is taken over, what is asked of it then is not. */
static void test_device(void)
{
	struct perf_event_attr attr = {.type = PERF_TYPE_SOFTWARE,
	                               .size = sizeof(attr),
	                               .config = PERF_COUNT_SW_DUMMY,
	                               .exclude_kernel = 1};
	int fd = (int)syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0);
	void *at = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (fd < 0 || at == MAP_FAILED) {
		fprintf(stderr, "no performance counters here: no device's memory to try\n");
		return;
	}
	made->adopted++;
	struct area area = {at, (char *)at + 3 * PAGE};
	size_t len = area_len(area);
	target = room(4);
	EXPECT(move(area.start, len, len, 0, NULL) == (long)area.start);
	EXPECT(move(area.start, len, len + PAGE, 0, NULL) == -EFAULT);
	EXPECT(move(area.start, len, len + PAGE, MAYMOVE, NULL) == -EFAULT);
	EXPECT(move(area.start, len, len + PAGE, FIXED, target) == -EFAULT);
	EXPECT(move(area.start, 0, PAGE, MAYMOVE, NULL) == -EFAULT);
	EXPECT(move(area.start, len, len, LEAVE, NULL) == -EINVAL);
	EXPECT(move(area.start, len, len, LEAVE | FIXED, target) == -EINVAL);
	EXPECT(move(area.start + PAGE, PAGE, PAGE, LEAVE, NULL) == -EINVAL);
	EXPECT(move(area.start, len, len, FIXED, target) == (long)target);
	EXPECT(move(target, len, len + PAGE, MAYMOVE, NULL) == -EFAULT);
}

int main(void)
{
	fact_begin();
	fact_needs_linux(6, 17); /* moves of several mappings at once */
	in_child(test_vdso);
	in_child(test_vvar);
	in_child(test_together);
	in_child(test_device);
	return fact_end();
}
