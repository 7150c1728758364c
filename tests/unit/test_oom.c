/* Out of memory at every allocation: each scenario again and again with the n-th allocation and all
 * after it failing, until nothing fails any more.
 *
 * SPDX-License-Identifier: MIT */
#include "unit.h"

#include "space/space.h"
#include "steps.h"

/* What leads to the call, with memory; the call itself, without. */
struct scene {
	const char *before, *call;
	bool partial; /* Linux's own way: what was done before the failure stays */
};

struct maps {
	char text[8192];
	size_t len;
};

static void maps_take(void *ctx, const char *text, size_t len)
{
	struct maps *maps = ctx;

	assert_true(maps->len + len < sizeof(maps->text));
	memcpy(maps->text + maps->len, text, len);
	maps->len += len;
}

/* The maps and counters of all spaces. */
static void take_maps(struct steps *steps, struct maps *maps)
{
	maps->len = 0;
	for (unsigned i = 0; i < steps->nspaces; i++) {
		struct vas_status status;
		char line[128];

		vas_maps(steps->space[i], maps_take, maps);
		vas_get_status(steps->space[i], &status);
		snprintf(line, sizeof(line), "%llu %llu %llu\n", (unsigned long long)status.size,
		         (unsigned long long)status.locked, (unsigned long long)status.data);
		maps_take(maps, line, strlen(line));
	}
	maps->text[maps->len] = '\0';
	/* A call that failed may have used up an inode number of shared memory. */
	for (char *inode = maps->text; (inode = strstr(inode, " 00:01 ")); inode += 8)
		inode[7] = '#';
}

/* The first byte of each page that is present and may be read, without making any present. */
static void take_bytes(struct steps *steps, struct maps *bytes)
{
	bytes->len = 0;
	for (unsigned i = 0; i < steps->nspaces; i++) {
		for (uint64_t page = 0; page < 250; page++) {
			struct vas_region region;
			uint8_t byte = 0;
			char word[32];

			if (!vas_next_region(steps->space[i], at(page), &region) ||
			    region.start > at(page) || !(region.flags & VAS_VM_READ) ||
			    !vas_present(steps->space[i], at(page)))
				continue;
			assert_int_equal(vas_read(steps->space[i], &byte, at(page), 1, NULL), 0);
			snprintf(word, sizeof(word), "%u:%u=%u ", i, (unsigned)page, byte);
			maps_take(bytes, word, strlen(word));
		}
	}
	bytes->text[bytes->len] = '\0';
}

static struct maps maps_before, maps_after, maps_done, bytes_before, bytes_after, bytes_done;

/* What the call does when nothing fails. */
static void run_through(const struct scene *scene)
{
	struct steps steps;

	steps_begin(&steps);
	steps_run(&steps, scene->before);
	steps_run(&steps, scene->call);
	take_maps(&steps, &maps_done);
	take_bytes(&steps, &bytes_done);
	steps_end(&steps);
}

/* With the n-th allocation failing. True when the call needs no more than n. */
static bool run_out(const struct scene *scene, int64_t n)
{
	struct steps steps;
	uint64_t committed;
	bool enough;

	steps_begin(&steps);
	steps_run(&steps, scene->before);
	take_maps(&steps, &maps_before);
	take_bytes(&steps, &bytes_before);
	committed = vas_system_committed(steps.unit.system);

	steps.oom = true;
	vas_system_fail_after(steps.unit.system, n);
	steps_run(&steps, scene->call);
	enough = steps.unit.system->frames.fail_after > 0;
	vas_system_fail_after(steps.unit.system, -1);
	assert_holds(vas_audit(steps.unit.system));
	if (steps.result < 0 && !scene->partial) {
		take_maps(&steps, &maps_after);
		take_bytes(&steps, &bytes_after);
		assert_int_equal(steps.result, -VAS_ENOMEM);
		assert_string_equal(maps_after.text, maps_before.text);
		assert_string_equal(bytes_after.text, bytes_before.text);
		assert_int_equal(vas_system_committed(steps.unit.system), committed);
	}
	if (steps.result < 0) {
		/* With memory again, the call does what it would have done. */
		steps.oom = scene->partial;
		steps_run(&steps, scene->call);
	}
	if (steps.result >= 0) {
		take_maps(&steps, &maps_after);
		take_bytes(&steps, &bytes_after);
		assert_string_equal(maps_after.text, maps_done.text);
		if (!scene->partial)
			assert_string_equal(bytes_after.text, bytes_done.text);
	}
	steps_end(&steps);
	return enough;
}

static void sweep(const struct scene *scene, size_t n)
{
	for (; n-- > 0; scene++) {
		int64_t fail = 0;

		run_through(scene);
		while (!run_out(scene, fail))
			assert_true(++fail < 3000);
	}
}

#define SWEEP(scenes) sweep(scenes, sizeof(scenes) / sizeof((scenes)[0]))

/* Many vmas, so that nodes of the tree split and join. */
#define MANY                                                                                \
	"map 100 1 rw; map 102 1 r; map 104 1 rw; map 106 1 r; map 108 1 rw; map 110 1 r; " \
	"map 112 1 rw; map 114 1 r; map 116 1 rw; map 118 1 r; "
#define WRITTEN "write 0; write 1; write 2; write 3; "

static void mapping(void **state)
{
	static const struct scene scenes[] = {
		{"", "map 0 4 rw", false},
		{MANY, "map 0 4 rw", false},
		{"", "shared 0 4 rw", false},
		{"", "file 0 4 rw 0", false},
		{"map 0 8 rw; " WRITTEN, "map 2 2 r", false},
		{MANY "map 0 8 rw; " WRITTEN, "shared 2 2 r", false},
		{MANY "map 0 8 rw; " WRITTEN "fork; child", "map 2 2 r", false},
		{"", "brk 4", false},
		{"brk 4; " MANY, "brk 8", false},
	};

	(void)state;
	SWEEP(scenes);
}

static void unmapping(void **state)
{
	static const struct scene scenes[] = {
		{"map 0 8 rw; " WRITTEN, "unmap 2 2", false},
		{MANY "map 0 8 rw; " WRITTEN, "unmap 0 2", false},
		{MANY, "unmap 101 12", false},
		{"map 0 8 rw; " WRITTEN "fork; child", "unmap 1 2", false},
		{"brk 4; map 63 1 r", "brk 2", false},
	};

	(void)state;
	SWEEP(scenes);
}

static void moving(void **state)
{
	static const struct scene scenes[] = {
		{"map 0 4 rw; " WRITTEN, "move 0 4 4 1000", false},
		{MANY "map 0 4 rw; " WRITTEN, "move 0 4 4 1000", false},
		{MANY "map 0 4 rw; " WRITTEN, "move 1 2 2 1000", false},
		{MANY "map 0 4 rw; " WRITTEN, "move 1 2 8 1000", false},
		{MANY "map 0 4 rw; " WRITTEN, "away 1 2 8", false},
		{MANY "map 0 4 rw; map 4 1 r; " WRITTEN, "away 0 4 1000", false},
		{MANY "map 0 4 rw; " WRITTEN, "grow 0 4 8", false},
		{MANY "map 0 4 rw; " WRITTEN, "grow 0 4 2", false},
		{MANY "shared 0 4 rw; " WRITTEN, "dup 0 8 1000", false},
		{MANY "map 0 4 rw; " WRITTEN "fork; child", "move 0 4 4 1000", false},
		{MANY "map 0 4 rw; " WRITTEN "fork; child", "move 1 2 2 1000", false},
		{MANY "map 0 4 rw; " WRITTEN "advise 3 1 102", "move 0 4 4 1001", false},
		{MANY "map 0 4 rw; lock 0 2; " WRITTEN, "move 0 2 2 1001", false},
	};

	(void)state;
	SWEEP(scenes);
}

/* What is at the target, the tail, and the vmas already moved are gone when memory runs out, as
 * after any late error. */
static void moving_over_others(void **state)
{
	static const struct scene scenes[] = {
		{MANY "map 0 4 rw; map 20 8 r; " WRITTEN, "move 0 4 4 22", true},
		{MANY "map 0 4 rw; map 20 8 r; " WRITTEN, "keep 0 4 22", true},
		{MANY "map 0 4 rw; " WRITTEN, "move 0 4 2 1000", true},
		{MANY, "move 100 19 19 1000", true},
	};

	(void)state;
	SWEEP(scenes);
}

static void keeping_the_source(void **state)
{
	static const struct scene scenes[] = {
		{MANY "map 0 4 rw; " WRITTEN, "keep 0 4 1000", false},
		{MANY "map 0 4 rw; " WRITTEN, "keep 1 2 1000", false},
		{MANY "file 0 4 rw 0; " WRITTEN, "keep 0 4 1000", false},
	};

	(void)state;
	SWEEP(scenes);
}

static void changing(void **state)
{
	static const struct scene scenes[] = {
		{MANY "map 0 8 rw; " WRITTEN, "protect 1 2 r", false},
		{MANY "map 0 8 rw; " WRITTEN "fork; child", "protect 1 2 r", false},
		{MANY "map 0 8 r", "protect 1 2 rw", false},
		{MANY "map 0 8 rw; " WRITTEN, "advise 1 2 16", false},
		{MANY "map 0 8 rw; " WRITTEN, "seal 1 2", false},
		{MANY "map 0 8 rw; lock 0 8", "unlock 1 2", false},
		{MANY "map 0 8 rw; " WRITTEN "fork; child", "advise 1 2 4", false},
	};

	(void)state;
	SWEEP(scenes);
}

/* Several vmas one after the other, or pages: what was done before memory ran out stays. */
static void changing_in_parts(void **state)
{
	static const struct scene scenes[] = {
		{MANY "map 0 8 rw; " WRITTEN, "lock 1 4", true},
		{MANY "map 0 8 rw; " WRITTEN, "mlockall 3", true},
		{"map 0 2 rw; map 2 2 r; map 4 2 rw", "protect 0 6 rx", true},
		{"map 0 2 rw; map 2 2 r; map 4 2 rw", "advise 1 4 16", true},
		{"map 0 2 rw; map 2 2 r; map 4 2 rw", "seal 1 4", false},
		{"map 0 2 rw; map 2 2 r; map 4 2 rw; lock 0 6", "unlock 1 4", false},
		{"file 0 2 rw 0; map 2 2 r; file 4 2 rw 0", "seal 1 4", false},
		{"map 0 8 rw; " WRITTEN, "advise 1 4 102", true},
		{"map 0 8 rw; " WRITTEN, "advise 1 4 23", true},
		{"map 0 8 r", "advise 1 4 22", true},
		{"fshared 0 8 rw 0; " WRITTEN, "advise 1 4 9", true},
		{"fshared 0 8 rw 0; " WRITTEN, "sync 0 8", true},
	};

	(void)state;
	SWEEP(scenes);
}

static void faulting(void **state)
{
	static const struct scene scenes[] = {
		{"map 0 4 rw", "write 1", false},
		{"map 0 4 rw; read 1", "write 1", false},
		{"map 0 4 rw", "read 1", false},
		{"shared 0 4 rw", "write 1", false},
		{"file 0 4 rw 0", "read 1", false},
		{"file 0 4 rw 0", "write 1", false},
		{"file 0 4 rw 0; read 1", "write 1", false},
		{"fshared 0 16 rw 0", "write 15", false},
		{"map 0 4 rw; " WRITTEN "fork; child", "write 1", false},
		{"map 0 4 rw; " WRITTEN "fork; parent", "write 1", false},
		{"map 0 4 rw; " WRITTEN "fork; child; fork; child", "write 1", false},
	};

	(void)state;
	SWEEP(scenes);
}

static void forking(void **state)
{
	static const struct scene scenes[] = {
		{"", "fork", false},
		{MANY, "fork", false},
		{MANY "map 0 8 rw; " WRITTEN, "fork", false},
		{MANY "map 0 8 rw; " WRITTEN "advise 1 1 102", "fork", false},
		{MANY "map 0 8 rw; " WRITTEN "shared 10 4 rw; write 10; file 20 4 rw 0; write 20",
	         "fork", false},
		{MANY "map 0 8 rw; " WRITTEN "fork; child", "fork", false},
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
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
