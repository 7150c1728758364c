/* Whoever gives memory back needs none: with no allocation possible every call that frees succeeds,
 * the first one that splits what fork shares, a large page or a vma too; and with memory used up it
 * goes on, because what is freed fills the stock again.
 *
 * SPDX-License-Identifier: MIT */
#include "unit.h"

#include "space/space.h"
#include "steps.h"

/* What leads to the call, with memory; the call itself, without. */
struct scene {
	const char *before, *call;
};

/* A block of 2 MiB that fork shares as one table begins at page 512; so does a large page. */
#define MANY                                                                                \
	"map 100 1 rw; map 102 1 r; map 104 1 rw; map 106 1 r; map 108 1 rw; map 110 1 r; " \
	"map 112 1 rw; map 114 1 r; map 116 1 rw; map 118 1 r; "
#define TABLES "map 512 1024 rw; write 520; write 800; write 1030; "
#define SHARED TABLES "fork; "

static const struct scene scenes[] = {
	/* Whole vmas. */
	{"map 0 8 rw; write 3", "unmap 0 8"},
	{MANY "write 104; write 112", "unmap 100 19"},
	{SHARED, "unmap 512 1024"},
	{SHARED "child", "unmap 512 1024"},
	{TABLES "advise 512 300 16; fork", "unmap 512 300"},
	{SHARED "advise 512 300 16; lock 900 100; seal 1100 10", "unmap 812 88"},
	{"shared 0 8 rw; write 3", "unmap 0 8"},
	{"file 0 8 rw 0; write 3; read 4; fork; child", "unmap 0 8"},

	/* Parts of them. */
	{"map 0 8 rw; write 3; write 5", "unmap 2 2"},
	{"fshared 0 8 rw 0; write 3; write 5", "unmap 2 2"},
	{MANY "map 0 8 rw; write 3", "unmap 2 2"},
	{SHARED, "unmap 700 200"},
	{SHARED "child", "unmap 700 600"},
	{SHARED, "unmap 512 300"},
	{SHARED, "unmap 900 636"},
	{SHARED "child; fork; child", "unmap 700 600"},

	/* Pages. */
	{SHARED, "advise 512 1024 4"},
	{SHARED, "advise 700 600 4"},
	{TABLES "lock 512 200; lock 512 16; fork; child", "advise 700 600 4"},
	{MANY "write 100; write 104; read 118", "advise 100 1 4; advise 104 1 4"},
	{"fshared 0 16 rw 0; write 3; write 7", "advise 2 3 9"},
	{"file 0 16 rw 0; write 3; read 7; fork; fshared 20 8 rw 0", "advise 22 3 9"},

	/* What grows smaller. */
	{"map 0 8 rw; write 3; write 6", "grow 0 8 4"},
	{SHARED, "grow 512 1024 300"},
	{"brk 4; write 66", "brk 2"},
	{"fshared 0 8 rw 0; write 3; file 20 8 rw 0; write 22; read 23; fork", "truncate 2"},
	{"file 512 512 rw 0; write 520; read 521; fork", "truncate 4"},
	{"file 512 512 rw 0; write 520; read 521; fork; fshared 20 16 rw 0", "advise 28 2 9"},

	/* What only becomes other. */
	{"map 0 8 rw; write 3", "protect 0 8 r"},
	{MANY "write 104", "protect 104 1 r; protect 102 1 rw; protect 106 1 rwx"},
	{"map 0 8 rw; write 3; lock 0 8", "unlock 0 8"},
	{MANY, "mlockall 1; mlockall 5"},
	{MANY "mlockall 3", "munlockall"},
	{MANY, "advise 100 1 16; seal 100 1"},
	{"map 0 8 rw; advise 2 3 102", "advise 1 5 103"},
};

static void run(const struct scene *scene, const struct unit *like)
{
	struct steps steps;

	steps_begin_in(&steps, like);
	steps_run(&steps, scene->before);
	vas_system_fail_after(steps.unit.system, 0);
	steps_run(&steps, scene->call);
	for (unsigned i = 0; i < steps.nspaces; i++)
		vas_destroy(steps.space[i]);
	steps.nspaces = 0;
	vas_system_fail_after(steps.unit.system, -1);
	steps_end(&steps);
}

static void needs_no_memory(void **state)
{
	struct unit unit;

	(void)state;
	unit_prepare(&unit);
	for (size_t i = 0; i < sizeof(scenes) / sizeof(scenes[0]); i++)
		run(&scenes[i], &unit);
}

static void nor_of_large_pages(void **state)
{
	struct unit unit;

	(void)state;
	unit_prepare(&unit);
	unit.config.settings.thp_enabled = VAS_THP_ALWAYS;
	for (size_t i = 0; i < sizeof(scenes) / sizeof(scenes[0]); i++)
		run(&scenes[i], &unit);
}

#define FAR ((uint64_t)1 << 40)
#define HUGE_LEN ((uint64_t)1 << 45)

/* Takes what is left of the system's memory. */
static void take_all(struct vas *guest)
{
	assert_int_equal(vas_mmap(guest, FAR, HUGE_LEN, RW,
	                          ANON_FIXED | VAS_MAP_NORESERVE | VAS_MAP_POPULATE, NULL, 0),
	                 FAR);
	assert_int_equal(vas_madvise(guest, FAR, HUGE_LEN, VAS_MADV_POPULATE_WRITE), -VAS_ENOMEM);
}

static void populate(struct vas *space, uint64_t addr, uint64_t npages)
{
	assert_call(space, vas_mmap(space, addr, npages * UNIT_PAGE, RW, ANON_FIXED, NULL, 0),
	            addr);
	assert_int_equal(vas_madvise(space, addr, npages * UNIT_PAGE, VAS_MADV_POPULATE_WRITE), 0);
}

/* Every second page of a vma, one by one, while another takes all that becomes free in between. */
static void goes_on_while_another_takes_all(void **state)
{
	struct vas *space, *guest;
	struct unit unit;

	(void)state;
	unit_begin(&unit);
	space = unit_space(&unit);
	guest = unit_space(&unit);
	populate(space, at(512), 512);
	take_all(guest);
	for (uint64_t page = 513; page < 1024; page += 2) {
		assert_call(space, vas_munmap(space, at(page), UNIT_PAGE), 0);
		if (page % 16 == 1)
			take_all(guest);
	}
	assert_holds(vas_audit(unit.system));
	vas_destroy(guest);
	unit_close(&unit, space);
}

/* The same where each piece lies in a table that a child shares: the stock serves the first, and is
 * there again when memory has come back. */
static void is_stocked_again(void **state)
{
	struct vas *space, *child, *guest;
	struct unit unit;
	int64_t err = 0;
	uint64_t page;

	(void)state;
	unit_begin(&unit);
	space = unit_space(&unit);
	guest = unit_space(&unit);
	populate(space, at(512), 1024);
	assert_int_equal(vas_fork(space, &child), 0);
	for (unsigned round = 0; round < 3; round++) {
		page = 512 + 512 * (round % 2);
		take_all(guest);
		assert_call(space,
		            vas_madvise(space, at(page + 8), 8 * UNIT_PAGE, VAS_MADV_DONTNEED), 0);
		assert_call(child,
		            vas_madvise(child, at(page + 8), 8 * UNIT_PAGE, VAS_MADV_DONTNEED), 0);
		assert_call(space,
		            vas_madvise(space, at(page + 8), 8 * UNIT_PAGE, VAS_MADV_DONTNEED), 0);
		assert_int_equal(space->pages.stock.n, STOCK_TABLES);
		assert_call(guest, vas_munmap(guest, FAR, HUGE_LEN), 0);
		assert_int_equal(
			vas_mmap(guest, FAR, HUGE_LEN, RW, ANON_FIXED | VAS_MAP_NORESERVE, NULL, 0),
			FAR);
		assert_call(space, vas_mprotect(space, at(page), UNIT_PAGE, VAS_PROT_READ), 0);
		assert_int_equal(space->pages.stock.n, STOCK_TABLES);
	}
	/* Who cuts shared tables without an end, and frees nothing, is told in the end. */
	vas_destroy(child);
	assert_call(space, vas_munmap(space, at(512), 1024 * UNIT_PAGE), 0);
	assert_call(guest, vas_munmap(guest, FAR, HUGE_LEN), 0);
	assert_int_equal(vas_mmap(space, at(512), 8 * 512 * UNIT_PAGE, RW, ANON_FIXED, NULL, 0),
	                 at(512));
	for (page = 512; page < 512 * 9; page += 512)
		assert_int_equal(
			vas_madvise(space, at(page), 32 * UNIT_PAGE, VAS_MADV_POPULATE_WRITE), 0);
	assert_int_equal(vas_fork(space, &child), 0);
	take_all(guest);
	for (page = 520; page < 512 * 9 && !err; page += 512)
		err = vas_madvise(space, at(page), 8 * UNIT_PAGE, VAS_MADV_DONTNEED);
	assert_int_equal(err, -VAS_ENOMEM);
	assert_true(page > 520 + 2 * 512);
	assert_call(space, vas_munmap(space, at(512), 512 * 8 * UNIT_PAGE), 0);
	vas_destroy(child);
	vas_destroy(guest);
	unit_close(&unit, space);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(needs_no_memory),
		cmocka_unit_test(nor_of_large_pages),
		cmocka_unit_test(goes_on_while_another_takes_all),
		cmocka_unit_test(is_stocked_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
