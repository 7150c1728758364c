/* smaps, smaps_rollup, the Vm lines of status and pagemap: as the running kernel shows them after
 * the same steps.
 *
 * SPDX-License-Identifier: MIT */
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "both.h"

#define ANON_RW VAS_PROT_READ | VAS_PROT_WRITE, VAS_MAP_PRIVATE | VAS_MAP_ANONYMOUS
#define SHARED_RW VAS_PROT_READ | VAS_PROT_WRITE, VAS_MAP_SHARED | VAS_MAP_ANONYMOUS
#define MAX_SPACES 8

/* ---- A file for both ------------------------------------------------------------------------- */

#define FILE_PAGES 16u

struct test_file {
	int fd;
	char path[64];
	struct vas_object *object;
	struct vas_file *file;
};

static int64_t file_read(void *ctx, uint64_t index, void *page)
{
	const struct test_file *file = ctx;

	return pread(file->fd, page, UNIT_PAGE, (off_t)(index * UNIT_PAGE)) < 0 ? -VAS_EIO : 0;
}

/* The kernel's process has written the same already. */
static int64_t file_write(void *ctx, uint64_t index, const void *page)
{
	(void)ctx, (void)index, (void)page;
	return 0;
}

/* A clean file: what was written is on the disk. */
static void file_make(struct test_file *file)
{
	uint8_t page[UNIT_PAGE] = {1};

	snprintf(file->path, sizeof(file->path), "/tmp/vas-smaps-XXXXXX");
	file->fd = mkstemp(file->path);
	assert_true(file->fd >= 0);
	for (unsigned i = 0; i < FILE_PAGES; i++)
		assert_int_equal(write(file->fd, page, sizeof(page)), sizeof(page));
	fsync(file->fd);
}

static void file_open(struct test_file *file, struct vas_system *system)
{
	static const struct vas_object_ops ops = {.read_page = file_read, .write_page = file_write};
	struct vas_file_info info = {.mode = VAS_FILE_READ | VAS_FILE_WRITE, .path = file->path};
	struct stat st;

	assert_int_equal(fstat(file->fd, &st), 0);
	info.major = major(st.st_dev);
	info.minor = minor(st.st_dev);
	info.inode = st.st_ino;
	assert_int_equal(
		vas_object_create(system, &ops, file, FILE_PAGES * UNIT_PAGE, &file->object), 0);
	assert_int_equal(vas_file_open(file->object, &info, &file->file), 0);
}

static void file_close(struct test_file *file)
{
	vas_file_put(file->file);
	vas_object_put(file->object);
	close(file->fd);
	unlink(file->path);
}

/* ---- Comparing ------------------------------------------------------------------------------- */

static struct both_look *look_vas;

/* The inode numbers of shared anonymous memory are each side's own; names begin at one column. */
static void blank_inodes(char *text)
{
	for (char *at = text; (at = strstr(at, " 00:01 ")); at++)
		memset(at + 7, ' ', strcspn(at + 7, "/\n"));
}

/* In memory that fork copied, Linux notes accesses for each process apart; see differences.md. */
static void blank_referenced(char *text)
{
	for (char *at = text; (at = strstr(at, "Referenced:")); at++)
		memset(at + 11, ' ', strcspn(at + 11, "\n"));
}

static void assert_same_smaps(char *native, char *ours, bool referenced)
{
	char *texts[] = {native, ours};

	for (unsigned i = 0; i < 2; i++) {
		blank_inodes(texts[i]);
		if (!referenced)
			blank_referenced(texts[i]);
	}
	assert_string_equal(ours, native);
}

#define PFN_BITS (((uint64_t)1 << 55) - 1)

static void assert_same_words(const uint64_t *native, const uint64_t *ours)
{
	for (unsigned i = 0; i < BOTH_WINDOW; i++) {
		uint64_t mask = native[i] >> 63 ? ~PFN_BITS : ~(uint64_t)0;

		if ((native[i] & mask) != (ours[i] & mask))
			fail_msg("page %u: pagemap %#llx, not %#llx", i,
			         (unsigned long long)ours[i], (unsigned long long)native[i]);
		assert_true(!(ours[i] >> 63) || (ours[i] & PFN_BITS));
	}
}

static int64_t status_field(const char *text, const char *name)
{
	const char *line = strstr(text, name);

	assert_non_null(line);
	return strtoll(line + strlen(name), NULL, 10);
}

/* ThreadSanitizer keeps a shadow of what is touched, which the kernel counts. */
#ifdef __has_feature
#define SHADOWED __has_feature(thread_sanitizer)
#elif defined(__SANITIZE_THREAD__)
#define SHADOWED 1
#else
#define SHADOWED 0
#endif

/* What the steps added. A forked child has a peak of its own, and none of the shared pages through
 * which the test is told of it. VmPTE differs, see differences.md. */
static void assert_same_status(const struct both_look *native, const char *ours, bool forked)
{
	static const char *const exact[] = {"VmSize:", "VmLck:",   "VmPin:",  "VmData:",  "VmStk:",
	                                    "VmSwap:", "RssAnon:", "VmPeak:", "RssShmem:"};

	for (unsigned i = 0; i < (SHADOWED ? 6 : forked ? 7 : 9); i++) {
		int64_t added = status_field(native->status, exact[i]) -
		                status_field(native->before, exact[i]);

		if (added != status_field(ours, exact[i]))
			fail_msg("%s %lld, not %lld", exact[i],
			         (long long)status_field(ours, exact[i]), (long long)added);
	}
}

struct compare {
	bool referenced;
	bool forked;
};

/* Runs the steps on both sides, and compares all that they show. */
static void compare(const struct both_op *ops, unsigned n, struct test_file *file,
                    struct compare how)
{
	struct both_look *native;
	struct vas *spaces[MAX_SPACES];
	struct unit unit;
	unsigned nspaces = 0;

	both_need_judge();
	native = both_native(ops, n, file ? file->fd : -1);
	unit_prepare(&unit);
	unit.config.settings.thp_enabled = both_thp();
	unit_begin_with(&unit, (uint64_t)64 << 20);
	if (file)
		file_open(file, unit.system);
	spaces[0] = unit_space(&unit);
	for (unsigned i = 0; i < n; i++) {
		struct vas *space = spaces[nspaces];
		int64_t result = vas_op(&space, &ops[i], file ? file->file : NULL);

		if (space != spaces[nspaces])
			spaces[++nspaces] = space;
		if (result != native->results[i])
			fail_msg("step %u: %lld, not %lld", i, (long long)result,
			         (long long)native->results[i]);
		assert_holds(vas_check(space));
	}
	memset(look_vas, 0, sizeof(*look_vas));
	vas_look(spaces[nspaces], look_vas);
	assert_same_smaps(native->smaps, look_vas->smaps, how.referenced);
	assert_same_words(native->words, look_vas->words);
	assert_same_status(native, look_vas->status, how.forked);
	munmap(native, sizeof(*native));
	for (unsigned i = 0; i <= nspaces; i++)
		vas_destroy(spaces[i]);
	if (file)
		file_close(file);
	unit_end(&unit);
}

#define COMPARE(ops, ...) \
	compare((ops), sizeof(ops) / sizeof((ops)[0]), NULL, (struct compare){__VA_ARGS__})

static int setup(void **state)
{
	(void)state;
	look_vas = malloc(sizeof(*look_vas));
	return look_vas ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	free(look_vas);
	return 0;
}

/* ---- The cases ------------------------------------------------------------------------------- */

static void private_memory(void **state)
{
	static const struct both_op ops[] = {
		{BOTH_MAP, 0, 64, ANON_RW},   {BOTH_READ, 0, 3, 0, 0},
		{BOTH_WRITE, 2, 5, 0, 0},     {BOTH_READ, 20, 2, 0, 0},
		{BOTH_MAP, 100, 8, ANON_RW},  {BOTH_WRITE, 100, 8, 0, 0},
		{BOTH_PROTECT, 102, 2, 0, 0}, {BOTH_PROTECT, 104, 1, 1, 0},
	};

	(void)state;
	COMPARE(ops, .referenced = true);
}

static void flags_and_locks(void **state)
{
	static const struct both_op ops[] = {
		{BOTH_MAP, 0, 64, ANON_RW},
		{BOTH_WRITE, 0, 5, 0, 0},
		{BOTH_LOCK, 3, 5, 0, 0},
		{BOTH_MAP, 100, 16, SHARED_RW},
		{BOTH_LOCK, 100, 4, 0, 0},
		{BOTH_ADVISE, 20, 4, VAS_MADV_SEQUENTIAL, 0},
		{BOTH_ADVISE, 24, 4, VAS_MADV_DONTFORK, 0},
		{BOTH_ADVISE, 28, 4, VAS_MADV_DONTDUMP, 0},
		{BOTH_ADVISE, 32, 4, VAS_MADV_WIPEONFORK, 0},
		{BOTH_ADVISE, 40, 4, VAS_MADV_NOHUGEPAGE, 0},
		{BOTH_MAP, 200, 16, 3, VAS_MAP_PRIVATE | VAS_MAP_ANONYMOUS | VAS_MAP_NORESERVE},
	};

	(void)state;
	COMPARE(ops, .referenced = true);
}

static void guards(void **state)
{
	static const struct both_op ops[] = {
		{BOTH_MAP, 0, 64, ANON_RW},
		{BOTH_WRITE, 0, 8, 0, 0},
		{BOTH_ADVISE, 4, 3, VAS_MADV_GUARD_INSTALL, 0},
		{BOTH_MAP, 100, 64, 3, VAS_MAP_PRIVATE | VAS_MAP_ANONYMOUS | VAS_MAP_GROWSDOWN},
		{BOTH_ADVISE, 104, 3, VAS_MADV_GUARD_INSTALL, 0},
		{BOTH_LOCK, 100, 2, 0, 0},
	};

	(void)state;
	COMPARE(ops, .referenced = true);
}

static void shared_memory(void **state)
{
	static const struct both_op ops[] = {
		{BOTH_MAP, 0, 16, SHARED_RW},
		{BOTH_READ, 0, 4, 0, 0},
		{BOTH_WRITE, 4, 4, 0, 0},
		{BOTH_SYNC, 0, 16, 0, 0},
	};

	(void)state;
	COMPARE(ops, .referenced = true);
}

static void moves(void **state)
{
	static const struct both_op ops[] = {
		{BOTH_MAP, 0, 700, ANON_RW},  {BOTH_WRITE, 3, 600, 0, 0},
		{BOTH_MOVE, 0, 650, 1024, 0}, {BOTH_MAP, 0, 20, ANON_RW},
		{BOTH_WRITE, 1, 3, 0, 0},     {BOTH_MOVE, 0, 2, 1100, 0},
		{BOTH_UNMAP, 1030, 5, 0, 0},
	};

	(void)state;
	COMPARE(ops, .referenced = true);
}

static void large_pages(void **state)
{
	static const struct both_op ops[] = {
		{BOTH_MAP, 512, 1024, ANON_RW}, {BOTH_ADVISE, 512, 1024, VAS_MADV_HUGEPAGE, 0},
		{BOTH_WRITE, 512, 1, 0, 0},     {BOTH_WRITE, 1024, 1, 0, 0},
		{BOTH_UNMAP, 1030, 3, 0, 0},
	};

	(void)state;
	COMPARE(ops, .referenced = true);
}

/* Read, read and written, read and parted. */
static void large_pages_of_zeros(void **state)
{
	static const struct both_op ops[] = {
		{BOTH_MAP, 512, 2048, ANON_RW}, {BOTH_ADVISE, 512, 2048, VAS_MADV_HUGEPAGE, 0},
		{BOTH_READ, 512, 1, 0, 0},      {BOTH_READ, 1030, 1, 0, 0},
		{BOTH_WRITE, 1030, 1, 0, 0},    {BOTH_READ, 1536, 1, 0, 0},
		{BOTH_UNMAP, 1600, 3, 0, 0},    {BOTH_WRITE, 1700, 1, 0, 0},
	};

	(void)state;
	COMPARE(ops, .referenced = true);
}

static void after_fork(void **state)
{
	static const struct both_op ops[] = {
		{BOTH_MAP, 0, 1024, ANON_RW},   {BOTH_WRITE, 0, 8, 0, 0},
		{BOTH_READ, 500, 9, 0, 0},      {BOTH_WRITE, 512, 512, 0, 0},
		{BOTH_MAP, 2000, 8, SHARED_RW}, {BOTH_WRITE, 2000, 8, 0, 0},
		{BOTH_FORK, 0, 0, 0, 0},        {BOTH_WRITE, 2, 1, 0, 0},
		{BOTH_WRITE, 600, 3, 0, 0},     {BOTH_READ, 2000, 8, 0, 0},
		{BOTH_UNMAP, 700, 1, 0, 0},
	};

	(void)state;
	COMPARE(ops, .forked = true);
}

static void after_two_forks(void **state)
{
	static const struct both_op ops[] = {
		{BOTH_MAP, 0, 1536, ANON_RW}, {BOTH_WRITE, 0, 1536, 0, 0},
		{BOTH_FORK, 0, 0, 0, 0},      {BOTH_WRITE, 600, 1, 0, 0},
		{BOTH_UNMAP, 0, 100, 0, 0},   {BOTH_FORK, 0, 0, 0, 0},
		{BOTH_WRITE, 700, 1, 0, 0},   {BOTH_WRITE, 601, 1, 0, 0},
		{BOTH_PROTECT, 300, 5, 1, 0},
	};

	(void)state;
	COMPARE(ops, .forked = true);
}

/* All pages of a file are touched: the kernel has them in memory, and maps what lies around. */
static void files(void **state)
{
	static const struct both_op ops[] = {
		{BOTH_MAP, 0, 16, 3, VAS_MAP_SHARED | BOTH_FILE},
		{BOTH_READ, 0, 16, 0, 0},
		{BOTH_WRITE, 0, 4, 0, 0},
		{BOTH_SYNC, 0, 2, 0, 0},
		{BOTH_WRITE, 8, 1, 0, 0},
		{BOTH_MAP, 100, 16, 3, VAS_MAP_PRIVATE | BOTH_FILE},
		{BOTH_READ, 100, 16, 0, 0},
		{BOTH_WRITE, 106, 4, 0, 0},
	};
	struct test_file file;

	(void)state;
	both_need_judge();
	file_make(&file);
	compare(ops, sizeof(ops) / sizeof(ops[0]), &file, (struct compare){.referenced = true});
}

/* ---- At random ------------------------------------------------------------------------------- */

static struct both_op random_op(struct random *random)
{
	static const uint64_t kinds[] = {VAS_MAP_PRIVATE | VAS_MAP_ANONYMOUS,
	                                 VAS_MAP_PRIVATE | VAS_MAP_ANONYMOUS,
	                                 VAS_MAP_SHARED | VAS_MAP_ANONYMOUS};
	static const uint64_t prots[] = {0, 1, 3, 3};
	struct both_op op = {.page = random_below(random, 600),
	                     .npages = 1 + random_below(random, 200)};

	switch (random_below(random, 8)) {
	case 0:
		op.step = BOTH_UNMAP;
		op.npages = 1 + op.npages / 8;
		break;
	case 1:
		op.step = BOTH_PROTECT;
		op.a = prots[random_below(random, 4)];
		break;
	case 2:
		op.step = BOTH_MOVE;
		op.npages = 1 + op.npages / 4;
		op.a = 1000 + random_below(random, 600);
		break;
	case 3:
		op.step = BOTH_ADVISE;
		op.a = VAS_MADV_DONTNEED;
		break;
	case 4:
		op.step = BOTH_ADVISE;
		op.a = VAS_MADV_POPULATE_WRITE;
		break;
	default:
		op.step = BOTH_MAP;
		op.a = 3;
		op.b = kinds[random_below(random, 3)] |
		       (random_below(random, 2) ? VAS_MAP_POPULATE : 0);
		break;
	}
	return op;
}

static void any_steps(void **state)
{
	struct random random = {.state = 2024};

	(void)state;
	for (unsigned round = 0; round < 60; round++) {
		struct both_op ops[40];
		bool fork = round % 3 == 2;

		for (unsigned i = 0; i < 40; i++)
			ops[i] = random_op(&random);
		if (fork)
			ops[20] = (struct both_op){.step = BOTH_FORK};
		compare(ops, 40, NULL, (struct compare){.referenced = !fork, .forked = fork});
	}
}

/* ---- Form ------------------------------------------------------------------------------------ */

/* Keeps the words: no numbers, and no spaces. */
static void keep_words(char *text)
{
	char *to = text;

	for (const char *from = text; *from; from++) {
		if ((*from < '0' || *from > '9') && *from != ' ')
			*to++ = *from;
	}
	*to = '\0';
}

static int64_t sum_of(const char *smaps, const char *name)
{
	int64_t sum = 0;

	for (const char *at = smaps; (at = strstr(at, name)); at += strlen(name))
		sum += strtoll(at + strlen(name), NULL, 10);
	return sum;
}

/* The lines of `name` begin with a newline: Anonymous is part of no other. */
static void rollup_is_the_sum(void **state)
{
	static const char *const summed[] = {
		"\nRss:",        "\nPss:",       "\nShared_Clean:",  "\nPrivate_Clean:",
		"\nReferenced:", "\nAnonymous:", "\nPrivate_Dirty:", "\nLocked:"};
	static const struct both_op ops[] = {
		{BOTH_MAP, 10, 16, ANON_RW},    {BOTH_WRITE, 10, 8, 0, 0},
		{BOTH_MAP, 100, 16, SHARED_RW}, {BOTH_READ, 100, 9, 0, 0},
		{BOTH_WRITE, 100, 3, 0, 0},     {BOTH_LOCK, 12, 2, 0, 0},
	};
	char ours[8192] = "", native[8192];
	struct both_sink rollup = {.text = ours, .size = sizeof(ours)};
	struct unit unit;
	struct vas *space;

	(void)state;
	both_need_judge();
	unit_begin(&unit);
	space = unit_space(&unit);
	for (unsigned i = 0; i < sizeof(ops) / sizeof(ops[0]); i++)
		assert_int_equal(vas_op(&space, &ops[i], NULL), 0);
	vas_smaps_rollup(space, both_sink, &rollup);
	vas_look(space, look_vas);
	for (unsigned i = 0; i < sizeof(summed) / sizeof(summed[0]); i++)
		assert_int_equal(sum_of(ours, summed[i]), sum_of(look_vas->smaps, summed[i]));
	assert_int_equal(sum_of(ours, "\nPss_Shmem:"), 9 * 4);
	assert_int_equal(sum_of(ours, "\nPss_Anon:"), 8 * 4);
	both_slurp("/proc/self/smaps_rollup", native, sizeof(native));
	assert_int_equal(strchr(ours, '[') - ours, strchr(native, '[') - native);
	assert_memory_equal(ours, "1000a000-10074000 ---p 00000000 00:00 0  ", 40);
	keep_words(strchr(native, '['));
	keep_words(strchr(ours, '['));
	assert_string_equal(strchr(ours, '['), strchr(native, '['));
	unit_close(&unit, space);
}

static void status_has_linux_lines(void **state)
{
	char *native = malloc(8192), *start, *end;
	struct unit unit;
	struct vas *space;

	(void)state;
	both_need_judge();
	unit_begin(&unit);
	space = unit_space(&unit);
	vas_look(space, look_vas);
	both_slurp("/proc/self/status", native, 8192);
	start = strstr(native, "VmPeak:");
	end = strstr(start, "CoreDumping:");
	*end = '\0';
	keep_words(start);
	keep_words(look_vas->status);
	assert_string_equal(look_vas->status, start);
	free(native);
	unit_close(&unit, space);
}

static void peaks_remain(void **state)
{
	static const struct both_op ops[] = {
		{BOTH_MAP, 0, 64, ANON_RW},
		{BOTH_WRITE, 0, 48, 0, 0},
	};
	struct unit unit;
	struct vas *space;

	(void)state;
	unit_begin(&unit);
	space = unit_space(&unit);
	for (unsigned i = 0; i < sizeof(ops) / sizeof(ops[0]); i++)
		assert_int_equal(vas_op(&space, &ops[i], NULL), 0);
	vas_look(space, look_vas);
	assert_int_equal(status_field(look_vas->status, "VmHWM:"), 48 * 4);
	assert_call(space, vas_munmap(space, at(0), 32 * UNIT_PAGE), 0);
	vas_look(space, look_vas);
	assert_int_equal(status_field(look_vas->status, "VmHWM:"), 48 * 4);
	assert_int_equal(status_field(look_vas->status, "VmRSS:"), 16 * 4);
	assert_int_equal(status_field(look_vas->status, "RssAnon:"), 16 * 4);
	assert_int_equal(status_field(look_vas->status, "VmPeak:"), 64 * 4);
	assert_int_equal(status_field(look_vas->status, "VmSize:"), 32 * 4);
	unit_close(&unit, space);
}

static void pagemap_ends_where_addresses_end(void **state)
{
	struct unit unit;
	struct vas *space;
	uint64_t words[4], end;

	(void)state;
	unit_begin(&unit);
	space = unit_space(&unit);
	end = vas_task_size(space);
	assert_int_equal(vas_pagemap(space, end - 2 * UNIT_PAGE, 4, words), 2);
	assert_int_equal(vas_pagemap(space, end, 4, words), 0);
	assert_int_equal(vas_pagemap(space, ~(UNIT_PAGE - 1), ~(uint64_t)0, words), 0);
	assert_int_equal(vas_pagemap(space, end - 1, 4, words), -VAS_EINVAL);
	unit_close(&unit, space);
}

/* A name must not begin a line of its own. */
static void names_keep_to_their_line(void **state)
{
	struct vas_file_info info = {.mode = VAS_FILE_READ, .path = "/tmp/a\nb"};
	struct both_sink sink = {.text = look_vas->smaps, .size = sizeof(look_vas->smaps)};
	struct vas_object *object;
	struct vas_file *file;
	struct unit unit;
	struct vas *space;

	(void)state;
	unit_begin(&unit);
	space = unit_space(&unit);
	assert_int_equal(vas_object_create(unit.system, NULL, NULL, UNIT_PAGE, &object), 0);
	assert_int_equal(vas_file_open(object, &info, &file), 0);
	assert_call(space,
	            vas_mmap(space, at(0), UNIT_PAGE, VAS_PROT_READ,
	                     VAS_MAP_PRIVATE | VAS_MAP_FIXED, file, 0),
	            at(0));
	vas_maps(space, both_sink, &sink);
	assert_non_null(strstr(look_vas->smaps, " /tmp/a\\012b\n"));
	vas_file_put(file);
	vas_object_put(object);
	unit_close(&unit, space);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(private_memory),
		cmocka_unit_test(flags_and_locks),
		cmocka_unit_test(guards),
		cmocka_unit_test(shared_memory),
		cmocka_unit_test(moves),
		cmocka_unit_test(large_pages),
		cmocka_unit_test(large_pages_of_zeros),
		cmocka_unit_test(after_fork),
		cmocka_unit_test(after_two_forks),
		cmocka_unit_test(files),
		cmocka_unit_test(any_steps),
		cmocka_unit_test(rollup_is_the_sum),
		cmocka_unit_test(status_has_linux_lines),
		cmocka_unit_test(peaks_remain),
		cmocka_unit_test(pagemap_ends_where_addresses_end),
		cmocka_unit_test(names_keep_to_their_line),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
