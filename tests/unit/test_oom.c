/* Out of memory at every allocation of every public call that makes any: each scene again and again
 * with the n-th allocation and all after it failing, until nothing fails any more. A call that
 * fails has changed nothing, of all that anybody can see: maps, flags, what is present and where,
 * bytes, counters, commit charge; but for what its contract lists. tools/sweep.py compares the
 * calls with those that vas.h declares and that can allocate.
 *
 * SPDX-License-Identifier: MIT */
#include "unit.h"

#include "space/space.h"
#include "steps.h"

/* What a call that finds no memory may have changed. */
enum changed {
	NOTHING,
	TOUCH, /* what was to be written counts as touched, as on Linux */
	PARTS, /* Linux's own way: what was done before the failure stays */
};

/* What leads to the call, with memory; the call itself, without: a step, or a function. */
struct scene {
	const char *name; /* of the public function */
	const char *before, *call;
	enum changed changed;
	int64_t (*run)(struct steps *steps);
	int64_t err; /* that it may answer, too: if PARTS, then only with it */
};

/* ---- All that can be seen -------------------------------------------------------------------- */

#define WINDOW 1600u /* pages: beyond what any scene maps near UNIT_BASE */

struct look {
	char text[65536];
	size_t len;
	enum changed less; /* leave out what may have changed */
	bool frames;       /* with the numbers of frames */
};

static void take(void *ctx, const char *text, size_t len)
{
	struct look *look = ctx;

	assert_true(look->len + len < sizeof(look->text));
	memcpy(look->text + look->len, text, len);
	look->len += len;
	look->text[look->len] = '\0';
}

static __attribute__((format(printf, 2, 3))) void say(struct look *look, const char *format, ...)
{
	char line[256];
	va_list args;

	va_start(args, format);
	take(look, line, (size_t)vsnprintf(line, sizeof(line), format, args));
	va_end(args);
}

#define ULL(x) ((unsigned long long)(x))

static void look_at_vmas(struct look *look, struct vas *space)
{
	struct vas_region region;
	struct vas_status s;

	vas_maps(space, take, look);
	for (uint64_t addr = 0; vas_next_region(space, addr, &region); addr = region.end)
		say(look, "%llx flags %llx%s%s\n", ULL(region.start), ULL(region.flags),
		    look->less != TOUCH && region.touched ? " touched" : "",
		    look->less != TOUCH && region.forked ? " forked" : "");
	vas_get_status(space, &s);
	say(look, "size %llu locked %llu data %llu stack %llu exec %llu vmas %llu brk %llx\n",
	    ULL(s.size), ULL(s.locked), ULL(s.data), ULL(s.stack), ULL(s.exec), ULL(s.map_count),
	    ULL(s.brk));
	say(look, "peak %llu future locks %llx\n", ULL(space->peak), ULL(space->def_flags));
}

/* What is present, and its first byte, without making any present. */
static void look_at_pages(struct look *look, const struct steps *steps, struct vas *space)
{
	static uint64_t words[WINDOW];
	const struct vas_port *port = &steps->unit.config.port;

	assert_int_equal(vas_pagemap(space, UNIT_BASE, WINDOW, words), WINDOW);
	for (uint64_t i = 0; i < WINDOW; i++) {
		uint64_t phys = 0, frame = words[i] & (((uint64_t)1 << 55) - 1);

		if (words[i] == 0)
			continue;
		say(look, "%u=%llx", (unsigned)i, ULL(words[i] >> 55));
		if (look->frames)
			say(look, "@%llu", ULL(frame));
		if (words[i] >> 63 && (vas_lookup(space, at(i), &phys, NULL) || phys))
			say(look, ":%u", ((const uint8_t *)port->memory)[phys - port->phys]);
		say(look, " ");
	}
	say(look, "\n");
}

/* The file's bytes; pages that nobody has touched are zeros. */
static void look_at_file(struct look *look, const struct steps *steps)
{
	say(look, "file %llu:", ULL(object_size(steps->object)));
	for (uint64_t i = 0; i < STEPS_FILE_PAGES; i++) {
		uint32_t frame = object_find(steps->object, i);
		const uint8_t *page = frame_host(&steps->unit.system->frames, frame);

		say(look, " %u", frame == FRAME_NONE ? 0 : *page);
	}
}

static void look_at_all(struct look *look, struct steps *steps, enum changed less, bool frames)
{
	*look = (struct look){.less = less, .frames = frames};
	for (unsigned i = 0; i < steps->nspaces; i++) {
		look_at_vmas(look, steps->space[i]);
		if (less != PARTS)
			look_at_pages(look, steps, steps->space[i]);
	}
	look_at_file(look, steps);
	say(look, "\ncommitted %llu\n", ULL(vas_system_committed(steps->unit.system)));
	/* A call that failed may have used up an inode number of memory without a name. */
	for (char *inode = look->text; (inode = strstr(inode, " 00:")); inode += 8)
		inode[7] = inode[5] == '1' && inode[6] == ' ' ? '#' : inode[7];
}

/* ---- The sweep ------------------------------------------------------------------------------- */

static struct look before, after, done;

static void call(struct steps *steps, const struct scene *scene)
{
	if (!scene->run) {
		steps_run(steps, scene->call);
		return;
	}
	steps->result = scene->run(steps);
	for (unsigned i = 0; i < steps->nspaces; i++)
		assert_holds(vas_check(steps->space[i]));
}

/* Where memory gets large pages it gets small ones when there is no memory for those. */
static enum changed result_of(const struct scene *scene, const struct unit *like)
{
	return like->config.settings.thp_enabled == VAS_THP_NEVER ? scene->changed : PARTS;
}

/* What the call does when nothing fails. */
static void run_through(const struct scene *scene, const struct unit *like)
{
	struct steps steps;

	steps_begin_in(&steps, like);
	steps_run(&steps, scene->before);
	call(&steps, scene);
	if (steps.result < 0)
		fail_msg("%s after %s: %lld", scene->name, scene->before, (long long)steps.result);
	look_at_all(&done, &steps, result_of(scene, like), false);
	steps_end(&steps);
}

static void assert_same(const struct scene *scene, int64_t n, const struct look *is,
                        const struct look *should)
{
	if (strcmp(is->text, should->text))
		fail_msg("%s: %s; %s: failing after %lld\n%s\nand not\n%s", scene->name,
		         scene->before, scene->call ? scene->call : "", (long long)n, is->text,
		         should->text);
}

/* With the n-th allocation failing. True when the call needs no more than n. */
static bool run_out(const struct scene *scene, const struct unit *like, int64_t n)
{
	struct steps steps;
	bool enough;

	steps_begin_in(&steps, like);
	steps_run(&steps, scene->before);
	look_at_all(&before, &steps, scene->changed, true);
	steps.oom = true;
	vas_system_fail_after(steps.unit.system, n);
	call(&steps, scene);
	enough = steps.unit.system->frames.fail_after > 0;
	vas_system_fail_after(steps.unit.system, -1);
	assert_holds(vas_audit(steps.unit.system));
	if (steps.result < 0) {
		if (steps.result != scene->err)
			assert_int_equal(steps.result, -VAS_ENOMEM);
		look_at_all(&after, &steps, scene->changed, true);
		if (scene->changed != PARTS || (scene->err && steps.result != scene->err))
			assert_same(scene, n, &after, &before);
		/* With memory again, the call does what it would have done. */
		steps.oom = scene->changed == PARTS;
		call(&steps, scene);
	}
	if (steps.result >= 0) {
		look_at_all(&after, &steps, result_of(scene, like), false);
		assert_same(scene, n, &after, &done);
	}
	steps_end(&steps);
	return enough;
}

static void sweep(const struct scene *scenes, size_t n)
{
	struct unit like;

	unit_prepare(&like);
	for (size_t i = 0; i < 2 * n; i++) {
		int64_t fail = 0;

		like.config.settings.thp_enabled = i < n ? VAS_THP_NEVER : VAS_THP_ALWAYS;
		run_through(&scenes[i % n], &like);
		while (!run_out(&scenes[i % n], &like, fail))
			assert_true(++fail < 3000);
	}
}

#define SWEEP(scenes) sweep(scenes, sizeof(scenes) / sizeof((scenes)[0]))

/* Many vmas, so that nodes of the tree split and join. */
#define MANY                                                                                \
	"map 100 1 rw; map 102 1 r; map 104 1 rw; map 106 1 r; map 108 1 rw; map 110 1 r; " \
	"map 112 1 rw; map 114 1 r; map 116 1 rw; map 118 1 r; "
#define WRITTEN "write 0; write 1; write 2; write 3; "

/* A block of 2 MiB that fork shares as one table begins at page 512; so does a large page. */
#define TABLES "map 512 1024 rw; write 520; write 800; write 1030; "
#define SHARED TABLES "fork; "

static void mapping(void **state)
{
	static const struct scene scenes[] = {
		{"vas_mmap", "", "map 0 4 rw", NOTHING, NULL, 0},
		{"vas_mmap", MANY, "map 0 4 rw", NOTHING, NULL, 0},
		{"vas_mmap", "", "shared 0 4 rw", NOTHING, NULL, 0},
		{"vas_mmap", "", "file 0 4 rw 0", NOTHING, NULL, 0},
		{"vas_mmap", "map 0 8 rw; " WRITTEN, "map 2 2 r", NOTHING, NULL, 0},
		{"vas_mmap", MANY "map 0 8 rw; " WRITTEN, "shared 2 2 r", NOTHING, NULL, 0},
		{"vas_mmap", MANY "map 0 8 rw; " WRITTEN "fork; child", "map 2 2 r", NOTHING, NULL,
	         0},
		{"vas_brk", "", "brk 4", NOTHING, NULL, 0},
		{"vas_brk", "brk 4; " MANY, "brk 8", NOTHING, NULL, 0},
	};

	(void)state;
	SWEEP(scenes);
}

static void unmapping(void **state)
{
	static const struct scene scenes[] = {
		{"vas_munmap", "map 0 8 rw; " WRITTEN, "unmap 2 2", NOTHING, NULL, 0},
		{"vas_munmap", MANY "map 0 8 rw; " WRITTEN, "unmap 0 2", NOTHING, NULL, 0},
		{"vas_munmap", MANY, "unmap 101 12", NOTHING, NULL, 0},
		{"vas_munmap", "map 0 8 rw; " WRITTEN "fork; child", "unmap 1 2", NOTHING, NULL, 0},
		{"vas_munmap", SHARED, "unmap 700 600", NOTHING, NULL, 0},
		{"vas_munmap", SHARED "child; fork; child", "unmap 512 700", NOTHING, NULL, 0},
		{"vas_mmap", SHARED, "map 700 600 r", NOTHING, NULL, 0},
		{"vas_mmap", SHARED "child", "shared 700 600 r", NOTHING, NULL, 0},
		{"vas_brk", "brk 4; map 63 1 r", "brk 2", NOTHING, NULL, 0},
	};

	(void)state;
	SWEEP(scenes);
}

static void moving(void **state)
{
	static const struct scene scenes[] = {
		{"vas_mremap", "map 0 4 rw; " WRITTEN, "move 0 4 4 1000", NOTHING, NULL, 0},
		{"vas_mremap", MANY "map 0 4 rw; " WRITTEN, "move 0 4 4 1000", NOTHING, NULL, 0},
		{"vas_mremap", MANY "map 0 4 rw; " WRITTEN, "move 1 2 2 1000", NOTHING, NULL, 0},
		{"vas_mremap", MANY "map 0 4 rw; " WRITTEN, "move 1 2 8 1000", NOTHING, NULL, 0},
		{"vas_mremap", MANY "map 0 4 rw; " WRITTEN, "away 1 2 8", NOTHING, NULL, 0},
		{"vas_mremap", MANY "map 0 4 rw; map 4 1 r; " WRITTEN, "away 0 4 1000", NOTHING,
	         NULL, 0},
		{"vas_mremap", MANY "map 0 4 rw; " WRITTEN, "grow 0 4 8", NOTHING, NULL, 0},
		{"vas_mremap", MANY "map 0 4 rw; " WRITTEN, "grow 0 4 2", NOTHING, NULL, 0},
		{"vas_mremap", MANY "shared 0 4 rw; " WRITTEN, "dup 0 8 1000", NOTHING, NULL, 0},
		{"vas_mremap", MANY "map 0 4 rw; " WRITTEN "fork; child", "move 0 4 4 1000",
	         NOTHING, NULL, 0},
		{"vas_mremap", MANY "map 0 4 rw; " WRITTEN "fork; child", "move 1 2 2 1000",
	         NOTHING, NULL, 0},
		{"vas_mremap", MANY "map 0 4 rw; " WRITTEN "advise 3 1 102", "move 0 4 4 1001",
	         NOTHING, NULL, 0},
		{"vas_mremap", MANY "map 0 4 rw; lock 0 2; " WRITTEN, "move 0 2 2 1001", NOTHING,
	         NULL, 0},
	};

	(void)state;
	SWEEP(scenes);
}

/* What is at the target, and the tail, are there until nothing can fail any more; vmas that have
 * moved stay moved. */
static void moving_over_others(void **state)
{
	static const struct scene scenes[] = {
		{"vas_mremap", MANY "map 0 4 rw; map 20 8 r; " WRITTEN, "move 0 4 4 22", NOTHING,
	         NULL, 0},
		{"vas_mremap", MANY "map 0 4 rw; map 20 8 r; " WRITTEN, "keep 0 4 22", NOTHING,
	         NULL, 0},
		{"vas_mremap", MANY "map 0 4 rw; " WRITTEN, "move 0 4 2 1000", NOTHING, NULL, 0},
		{"vas_mremap", MANY, "move 100 19 19 1000", PARTS, NULL, 0},
		{"vas_mremap", MANY "map 0 4 rw; file 20 8 rw 0; write 23; " WRITTEN,
	         "move 0 4 2 22", NOTHING, NULL, 0},
		{"vas_mremap", MANY "map 0 8 rw; file 20 8 rw 0; write 22; " WRITTEN,
	         "move 1 4 2 22", NOTHING, NULL, 0},
		{"vas_mremap", MANY "fshared 0 8 rw 0; file 20 8 rw 0; write 22; " WRITTEN,
	         "move 1 4 2 22", NOTHING, NULL, 0},
		{"vas_mremap", "fshared 0 8 rw 0; map 20 8 rw; write 20; write 27", "dup 1 4 22",
	         NOTHING, NULL, 0},
		{"vas_mremap", SHARED "map 0 8 rw; " WRITTEN, "move 0 4 4 700", NOTHING, NULL, 0},
		{"vas_mremap", SHARED "child; map 0 8 rw; " WRITTEN, "move 700 200 100 0", NOTHING,
	         NULL, 0},
		{"vas_mremap", SHARED, "move 512 512 512 1024", NOTHING, NULL, 0},
		{"vas_mremap", SHARED, "move 512 500 500 1030", NOTHING, NULL, 0},
	};

	(void)state;
	SWEEP(scenes);
}

static void keeping_the_source(void **state)
{
	static const struct scene scenes[] = {
		{"vas_mremap", MANY "map 0 4 rw; " WRITTEN, "keep 0 4 1000", NOTHING, NULL, 0},
		{"vas_mremap", MANY "map 0 4 rw; " WRITTEN, "keep 1 2 1000", NOTHING, NULL, 0},
		{"vas_mremap", MANY "file 0 4 rw 0; " WRITTEN, "keep 0 4 1000", NOTHING, NULL, 0},
	};

	(void)state;
	SWEEP(scenes);
}

static void changing(void **state)
{
	static const struct scene scenes[] = {
		{"vas_mprotect", MANY "map 0 8 rw; " WRITTEN, "protect 1 2 r", NOTHING, NULL, 0},
		{"vas_mprotect", MANY "map 0 8 rw; " WRITTEN "fork; child", "protect 1 2 r",
	         NOTHING, NULL, 0},
		{"vas_mprotect", MANY "map 0 8 r", "protect 1 2 rw", NOTHING, NULL, 0},
		{"vas_madvise", MANY "map 0 8 rw; " WRITTEN, "advise 1 2 16", NOTHING, NULL, 0},
		{"vas_mseal", MANY "map 0 8 rw; " WRITTEN, "seal 1 2", NOTHING, NULL, 0},
		{"vas_munlock", MANY "map 0 8 rw; lock 0 8", "unlock 1 2", NOTHING, NULL, 0},
		{"vas_madvise", MANY "map 0 8 rw; " WRITTEN "fork; child", "advise 1 2 4", NOTHING,
	         NULL, 0},
		{"vas_madvise", SHARED, "advise 700 600 4", NOTHING, NULL, 0},
		{"vas_madvise", SHARED, "advise 700 600 16", NOTHING, NULL, 0},
		{"vas_mprotect", SHARED, "protect 512 1024 r", NOTHING, NULL, 0},
		{"vas_mprotect", SHARED "child", "protect 700 600 r", NOTHING, NULL, 0},
		{"vas_mseal", SHARED, "seal 700 600", NOTHING, NULL, 0},
		{"vas_munlock", TABLES "lock 512 100; fork", "unlock 520 40", NOTHING, NULL, 0},
		{"vas_munlockall", SHARED, "munlockall", NOTHING, NULL, 0},
		{"vas_madvise", SHARED, "advise 700 400 102", NOTHING, NULL, 0},
		{"vas_madvise", "map 0 8 rw; advise 2 4 102; write 1", "advise 0 8 102", NOTHING,
	         NULL, 0},
		{"vas_madvise", "map 0 8 rw; advise 2 4 102; write 1", "advise 1 4 103", NOTHING,
	         NULL, 0},
		{"vas_madvise", TABLES, "advise 512 512 25", NOTHING, NULL, 0},
		{"vas_object_resize", "fshared 0 8 rw 0; file 20 8 rw 0; write 23; " WRITTEN,
	         "truncate 2", NOTHING, NULL, 0},
	};

	(void)state;
	SWEEP(scenes);
}

/* Several vmas one after the other, or pages: what was done before memory ran out stays. */
static void changing_in_parts(void **state)
{
	static const struct scene scenes[] = {
		{"vas_mlock", MANY "map 0 8 rw; " WRITTEN, "lock 1 4", PARTS, NULL, -VAS_EAGAIN},
		{"vas_mlockall", MANY "map 0 8 rw; " WRITTEN, "mlockall 3", PARTS, NULL, 0},
		{"vas_mprotect", "map 0 2 rw; map 2 2 r; map 4 2 rw", "protect 0 6 rx", NOTHING,
	         NULL, 0},
		{"vas_madvise", "map 0 2 rw; map 2 2 r; map 4 2 rw", "advise 1 4 16", PARTS, NULL,
	         0},
		{"vas_mseal", "map 0 2 rw; map 2 2 r; map 4 2 rw", "seal 1 4", NOTHING, NULL, 0},
		{"vas_munlock", "map 0 2 rw; map 2 2 r; map 4 2 rw; lock 0 6", "unlock 1 4",
	         NOTHING, NULL, 0},
		{"vas_mseal", "file 0 2 rw 0; map 2 2 r; file 4 2 rw 0", "seal 1 4", NOTHING, NULL,
	         0},
		{"vas_madvise", "map 0 8 rw; " WRITTEN, "advise 1 4 102", NOTHING, NULL, 0},
		{"vas_madvise", "map 0 8 rw; " WRITTEN, "advise 1 4 23", PARTS, NULL, 0},
		{"vas_madvise", "map 0 8 r", "advise 1 4 22", PARTS, NULL, 0},
		{"vas_madvise",
	         "fshared 0 8 rw 0; file 20 8 rw 0; write 23; read 22; fork; " WRITTEN,
	         "advise 1 4 9", NOTHING, NULL, 0},
		{"vas_mlock", SHARED, "lock 700 4", PARTS, NULL, -VAS_EAGAIN},
		{"vas_msync", "fshared 0 8 rw 0; " WRITTEN, "sync 0 8", NOTHING, NULL, 0},
	};

	(void)state;
	SWEEP(scenes);
}

static void faulting(void **state)
{
	static const struct scene scenes[] = {
		{"vas_write", "map 0 4 rw", "write 1", TOUCH, NULL, 0},
		{"vas_write", "map 0 4 rw; read 1", "write 1", TOUCH, NULL, 0},
		{"vas_read", "map 0 4 rw", "read 1", NOTHING, NULL, 0},
		{"vas_write", "shared 0 4 rw", "write 1", NOTHING, NULL, 0},
		{"vas_read", "file 0 4 rw 0", "read 1", NOTHING, NULL, 0},
		{"vas_write", "file 0 4 rw 0", "write 1", TOUCH, NULL, 0},
		{"vas_write", "file 0 4 rw 0; read 1", "write 1", TOUCH, NULL, 0},
		{"vas_write", "fshared 0 16 rw 0", "write 15", NOTHING, NULL, 0},
		{"vas_write", "map 0 4 rw; " WRITTEN "fork; child", "write 1", TOUCH, NULL, 0},
		{"vas_write", "map 0 4 rw; " WRITTEN "fork; parent", "write 1", TOUCH, NULL, 0},
		{"vas_write", "map 0 4 rw; " WRITTEN "fork; child; fork; child", "write 1", TOUCH,
	         NULL, 0},
	};

	(void)state;
	SWEEP(scenes);
}

static void forking(void **state)
{
	static const struct scene scenes[] = {
		{"vas_fork", "", "fork", NOTHING, NULL, 0},
		{"vas_fork", MANY, "fork", NOTHING, NULL, 0},
		{"vas_fork", MANY "map 0 8 rw; " WRITTEN, "fork", NOTHING, NULL, 0},
		{"vas_fork", MANY "map 0 8 rw; " WRITTEN "advise 1 1 102", "fork", NOTHING, NULL,
	         0},
		{"vas_fork",
	         MANY "map 0 8 rw; " WRITTEN "shared 10 4 rw; write 10; file 20 4 rw 0; write 20",
	         "fork", NOTHING, NULL, 0},
		{"vas_fork", MANY "map 0 8 rw; " WRITTEN "fork; child", "fork", NOTHING, NULL, 0},
		{"vas_fork", TABLES, "fork", NOTHING, NULL, 0},
		{"vas_fork", SHARED "child; map 0 8 rw; " WRITTEN, "fork", NOTHING, NULL, 0},
	};

	(void)state;
	SWEEP(scenes);
}

/* ---- What the steps do not say --------------------------------------------------------------- */

static struct vas *space_of(const struct steps *steps)
{
	return steps->space[steps->current];
}

static int64_t map_populated(struct steps *steps)
{
	return vas_mmap(space_of(steps), at(0), 8 * UNIT_PAGE, RW, ANON_FIXED | VAS_MAP_POPULATE,
	                NULL, 0);
}

static int64_t map_huge(struct steps *steps)
{
	vas_system_settings(steps->unit.system)->hugepages[0] = 1;
	return vas_mmap(space_of(steps), at(512), 512 * UNIT_PAGE, RW, ANON_FIXED | VAS_MAP_HUGETLB,
	                NULL, 0);
}

static int64_t lock_on_fault(struct steps *steps)
{
	return vas_mlock2(space_of(steps), at(1), 4 * UNIT_PAGE, VAS_MLOCK_ONFAULT);
}

static int64_t look_in_core(struct steps *steps)
{
	return vas_mincore(space_of(steps), at(0), 4 * UNIT_PAGE, at(20));
}

static int64_t fault_in(struct steps *steps)
{
	return vas_fault(space_of(steps), at(1), VAS_WRITE, NULL);
}

static int64_t read_string(struct steps *steps)
{
	char text[8];

	return vas_read_string(space_of(steps), text, at(1), sizeof(text), NULL);
}

static int64_t compare_exchange(struct steps *steps)
{
	uint64_t expected = 0;

	return vas_compare_exchange(space_of(steps), at(1), 8, &expected, 0, NULL);
}

static int64_t translate_byte(struct steps *steps)
{
	struct vas_tlb tlb;
	void *host;
	int64_t err;

	assert_int_equal(vas_tlb_register(space_of(steps), &tlb), 0);
	err = vas_translate(space_of(steps), &tlb, at(1), VAS_READ, &host, NULL);
	vas_tlb_unregister(&tlb);
	return err;
}

static int64_t import(struct steps *steps)
{
	const struct vas_region region = {
		.start = at(30),
		.end = at(34),
		.flags = VAS_VM_READ | VAS_VM_MAYREAD | VAS_VM_SPECIAL,
		.name = "[own]",
	};

	return vas_import(space_of(steps), &region);
}

static int64_t create_space(struct steps *steps)
{
	struct vas *space;
	int64_t err = vas_create(steps->unit.system, &steps->unit.params, &space);

	if (!err)
		vas_destroy(space);
	return err;
}

static int64_t create_group(struct steps *steps)
{
	const struct vas_group_params params = {.max_frames = 100};
	struct vas_group *group;
	int64_t err = vas_group_create(steps->unit.system, &params, &group);

	if (!err)
		vas_group_put(group);
	return err;
}

static int64_t create_object(struct steps *steps)
{
	struct vas_object *object;
	int64_t err = vas_object_create(steps->unit.system, NULL, NULL, UNIT_PAGE, &object);

	if (!err)
		vas_object_put(object);
	return err;
}

static int64_t open_again(struct steps *steps)
{
	const struct vas_file_info info = {.mode = VAS_FILE_READ};
	struct vas_file *file;
	int64_t err = vas_file_open(steps->object, &info, &file);

	if (!err)
		vas_file_put(file);
	return err;
}

static void calling(void **state)
{
	static const struct scene scenes[] = {
		{"vas_mmap", MANY, NULL, PARTS, map_populated, 0},
		{"vas_mmap", "map 600 8 rw; write 602", NULL, NOTHING, map_huge, 0},
		{"vas_mlock2", MANY "map 0 8 rw; " WRITTEN, NULL, NOTHING, lock_on_fault, 0},
		{"vas_mlock2", SHARED "map 0 8 rw", NULL, NOTHING, lock_on_fault, 0},
		{"vas_mincore", "map 0 4 rw; write 1; map 20 1 rw", NULL, TOUCH, look_in_core,
	         -VAS_EFAULT},
		{"vas_fault", "map 0 4 rw", NULL, TOUCH, fault_in, 0},
		{"vas_fault", "map 0 4 rw; write 1; fork", NULL, TOUCH, fault_in, 0},
		{"vas_read_string", "file 0 4 rw 0", NULL, NOTHING, read_string, 0},
		{"vas_compare_exchange", "map 0 4 rw", NULL, TOUCH, compare_exchange, 0},
		{"vas_translate", "map 0 4 rw", NULL, NOTHING, translate_byte, 0},
		{"vas_import", MANY, NULL, NOTHING, import, 0},
		{"vas_create", MANY, NULL, NOTHING, create_space, 0},
		{"vas_group_create", "", NULL, NOTHING, create_group, 0},
		{"vas_object_create", "", NULL, NOTHING, create_object, 0},
		{"vas_file_open", "", NULL, NOTHING, open_again, 0},
	};

	(void)state;
	SWEEP(scenes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mapping),
		cmocka_unit_test(unmapping),
		cmocka_unit_test(moving),
		cmocka_unit_test(moving_over_others),
		cmocka_unit_test(keeping_the_source),
		cmocka_unit_test(changing),
		cmocka_unit_test(changing_in_parts),
		cmocka_unit_test(faulting),
		cmocka_unit_test(forking),
		cmocka_unit_test(calling),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
