/* Gathering, and the software TLB: nothing is used again before everyone has let go of it.
 *
 * SPDX-License-Identifier: MIT */
#include "unit.h"

#include "space/space.h"

struct hook {
	struct vas_system *system;
	uint64_t start[64], end[64], free_at[64];
	unsigned n;
};

static void note_invalidation(void *ctx, struct vas *space, const struct vas_invalidation *what)
{
	struct hook *hook = ctx;
	uint64_t total;

	(void)space;
	assert_true(hook->n < 64);
	hook->start[hook->n] = what->start;
	hook->end[hook->n] = what->end;
	vas_system_frames(hook->system, &total, &hook->free_at[hook->n]);
	hook->n++;
}

struct world {
	struct unit unit;
	struct hook hook;
	struct vas *space;
};

static void begin(struct world *world)
{
	memset(world, 0, sizeof(*world));
	unit_prepare(&world->unit);
	world->unit.config.port.ctx = &world->hook;
	world->unit.config.port.invalidate = note_invalidation;
	unit_begin_with(&world->unit, (uint64_t)8 << 20);
	world->hook.system = world->unit.system;
	world->space = unit_space(&world->unit);
}

static void end(struct world *world)
{
	world->hook.n = 0;
	unit_close(&world->unit, world->space);
}

static void map_written(struct world *world, uint64_t first, uint64_t npages)
{
	assert_call(world->space,
	            vas_mmap(world->space, at(first), npages * UNIT_PAGE, RW, ANON_FIXED, NULL, 0),
	            at(first));
	for (uint64_t i = first; i < first + npages; i++) {
		uint64_t word = i;

		assert_call(world->space, vas_write(world->space, at(i), &word, sizeof(word), NULL),
		            0);
	}
}

/* At the time of the hook the frames are still not free. */
static void frames_are_freed_only_after_the_hook(void **state)
{
	struct world world;
	uint64_t before;

	(void)state;
	begin(&world);
	map_written(&world, 0, 16);
	before = unit_free(&world.unit);
	world.hook.n = 0;
	assert_call(world.space, vas_munmap(world.space, at(4), 8 * UNIT_PAGE), 0);
	assert_int_equal(world.hook.n, 1);
	assert_int_equal(world.hook.start[0], at(4));
	assert_int_equal(world.hook.end[0], at(12));
	/* Splitting may have taken a frame for the tree; none of the pages has come back yet. */
	assert_true(world.hook.free_at[0] <= before);
	assert_true(unit_free(&world.unit) >= world.hook.free_at[0] + 8);
	end(&world);
}

static void nothing_present_needs_no_invalidation(void **state)
{
	struct world world;

	(void)state;
	begin(&world);
	assert_call(world.space,
	            vas_mmap(world.space, at(0), 16 * UNIT_PAGE, RW, ANON_FIXED, NULL, 0), at(0));
	assert_call(world.space, vas_munmap(world.space, at(4), UNIT_PAGE), 0);
	assert_int_equal(world.hook.n, 0);
	map_written(&world, 4, 1);
	assert_int_equal(world.hook.n, 0); /* what was absent becoming present needs none either */
	end(&world);
}

static void every_change_of_what_is_present_is_told(void **state)
{
	struct world world;
	struct vas *child;
	uint64_t word;

	(void)state;
	begin(&world);
	map_written(&world, 0, 4);
	assert_call(world.space, vas_mprotect(world.space, at(1), UNIT_PAGE, VAS_PROT_READ), 0);
	assert_int_equal(world.hook.n, 1);
	assert_int_equal(world.hook.start[0], at(1));
	assert_call(world.space,
	            vas_mremap(world.space, at(2), UNIT_PAGE, UNIT_PAGE,
	                       VAS_MREMAP_MAYMOVE | VAS_MREMAP_FIXED, at(40)),
	            at(40));
	assert_true(world.hook.n >= 2);
	assert_in_range(at(2), world.hook.start[1], world.hook.end[1] - 1);
	world.hook.n = 0;
	assert_call(world.space, vas_madvise(world.space, at(0), UNIT_PAGE, VAS_MADV_DONTNEED), 0);
	assert_int_equal(world.hook.n, 1);
	assert_int_equal(world.hook.start[0], at(0));
	assert_call(world.space, vas_read(world.space, &word, at(0), 8, NULL), 0);
	assert_int_equal(world.hook.n, 1);
	/* From the frame of zeros to a page of its own. */
	assert_call(world.space, vas_write(world.space, at(0), &word, 8, NULL), 0);
	assert_int_equal(world.hook.n, 2);
	assert_call(world.space, vas_fork(world.space, &child), 0);
	assert_true(world.hook.n > 2);
	vas_destroy(child);
	end(&world);
}

/* ---- The software TLB ------------------------------------------------------------------------ */

static struct vas_tlb tlb;

static void *translate(struct vas *space, uint64_t n, enum vas_access access)
{
	void *host = NULL;

	assert_call(space, vas_translate(space, &tlb, at(n) + 5, access, &host, NULL), 0);
	assert_non_null(host);
	return (uint8_t *)host - 5;
}

static void assert_forgotten(struct vas *space, uint64_t n, int32_t signo)
{
	struct vas_signal signal;
	void *host = NULL;

	assert_call(space, vas_translate(space, &tlb, at(n), VAS_WRITE, &host, &signal),
	            -VAS_EFAULT);
	assert_null(host);
	assert_int_equal(signal.signo, signo);
	assert_int_equal(signal.addr, at(n));
}

static void a_hit_is_the_page_and_only_for_what_it_was_asked(void **state)
{
	struct world world;
	uint64_t *read_at, *write_at;

	(void)state;
	begin(&world);
	vas_tlb_register(world.space, &tlb);
	assert_call(world.space,
	            vas_mmap(world.space, at(0), 4 * UNIT_PAGE, RW, ANON_FIXED, NULL, 0), at(0));
	read_at = translate(world.space, 1, VAS_READ);
	assert_int_equal(*read_at, 0);
	write_at = translate(world.space, 1, VAS_WRITE);
	assert_ptr_not_equal(read_at, write_at); /* the frame of zeros is not to be written */
	*write_at = 42;
	assert_ptr_equal(translate(world.space, 1, VAS_READ), write_at);
	assert_ptr_equal(translate(world.space, 1, VAS_WRITE), write_at);
	/* A page 256 further on takes the same slot. */
	assert_call(world.space, vas_mmap(world.space, at(257), UNIT_PAGE, RW, ANON_FIXED, NULL, 0),
	            at(257));
	assert_ptr_not_equal(translate(world.space, 257, VAS_WRITE), write_at);
	assert_ptr_equal(translate(world.space, 1, VAS_WRITE), write_at);
	end(&world);              /* destroying the space unregisters */
	vas_tlb_unregister(&tlb); /* which makes this harmless */
	vas_tlb_unregister(&tlb);
	assert_null(tlb.space);
}

static void a_read_only_page_is_no_hit_for_writes_or_fetches(void **state)
{
	struct vas_signal signal;
	struct world world;
	void *host;

	(void)state;
	begin(&world);
	vas_tlb_register(world.space, &tlb);
	map_written(&world, 0, 2);
	assert_call(world.space, vas_mprotect(world.space, at(0), UNIT_PAGE, VAS_PROT_READ), 0);
	translate(world.space, 0, VAS_READ);
	assert_call(world.space, vas_translate(world.space, &tlb, at(0), VAS_WRITE, &host, &signal),
	            -VAS_EFAULT);
	assert_int_equal(signal.code, VAS_SEGV_ACCERR);
	assert_call(world.space, vas_translate(world.space, &tlb, at(0), VAS_EXEC, &host, &signal),
	            -VAS_EFAULT);
	assert_int_equal(signal.code, VAS_SEGV_ACCERR);
	end(&world);
}

static void every_call_makes_it_forget(void **state)
{
	struct vas *child;
	struct world world;
	uint64_t *old;

	(void)state;
	begin(&world);
	vas_tlb_register(world.space, &tlb);
	map_written(&world, 0, 8);
	for (unsigned i = 0; i < 8; i++)
		translate(world.space, i, VAS_WRITE);

	assert_call(world.space, vas_munmap(world.space, at(0), UNIT_PAGE), 0);
	assert_forgotten(world.space, 0, VAS_SIGSEGV);
	assert_call(world.space,
	            vas_mremap(world.space, at(1), UNIT_PAGE, UNIT_PAGE,
	                       VAS_MREMAP_MAYMOVE | VAS_MREMAP_FIXED, at(40)),
	            at(40));
	assert_forgotten(world.space, 1, VAS_SIGSEGV);
	assert_int_equal(*(uint64_t *)translate(world.space, 40, VAS_READ), 1);
	assert_call(world.space, vas_mprotect(world.space, at(2), UNIT_PAGE, VAS_PROT_READ), 0);
	assert_forgotten(world.space, 2, VAS_SIGSEGV);
	assert_call(world.space, vas_madvise(world.space, at(3), UNIT_PAGE, VAS_MADV_DONTNEED), 0);
	assert_int_equal(*(uint64_t *)translate(world.space, 3, VAS_READ), 0);

	old = translate(world.space, 4, VAS_WRITE);
	assert_call(world.space, vas_fork(world.space, &child), 0);
	*(uint64_t *)translate(world.space, 4, VAS_WRITE) = 99;
	assert_call(child, vas_read(child, &old, at(4), sizeof(old), NULL), 0);
	assert_int_equal((uintptr_t)old, 4);
	vas_destroy(child);
	end(&world);
}

static void many_pages_at_once_are_forgotten(void **state)
{
	struct world world;

	(void)state;
	begin(&world);
	vas_tlb_register(world.space, &tlb);
	map_written(&world, 0, 600);
	for (unsigned i = 0; i < 600; i++)
		translate(world.space, i, VAS_WRITE);
	assert_call(world.space, vas_munmap(world.space, at(0), 600 * UNIT_PAGE), 0);
	for (unsigned i = 0; i < 600; i++)
		assert_forgotten(world.space, i, VAS_SIGSEGV);
	vas_tlb_unregister(&tlb);
	assert_null(tlb.space);
	end(&world);
}

static void each_tlb_of_a_space_is_told_and_no_other(void **state)
{
	static struct vas_tlb second, elsewhere;
	struct vas_signal signal;
	struct world world;
	struct vas *other;
	void *host, *there;

	(void)state;
	begin(&world);
	other = unit_space(&world.unit);
	vas_tlb_register(world.space, &tlb);
	vas_tlb_register(world.space, &second);
	vas_tlb_register(other, &elsewhere);
	map_written(&world, 0, 1);
	assert_call(other, vas_mmap(other, at(0), UNIT_PAGE, RW, ANON_FIXED, NULL, 0), at(0));
	translate(world.space, 0, VAS_WRITE);
	assert_int_equal(vas_translate(world.space, &second, at(0), VAS_WRITE, &host, NULL), 0);
	assert_int_equal(vas_translate(other, &elsewhere, at(0), VAS_WRITE, &there, NULL), 0);
	assert_call(world.space, vas_munmap(world.space, at(0), UNIT_PAGE), 0);
	assert_forgotten(world.space, 0, VAS_SIGSEGV);
	assert_int_equal(vas_translate(world.space, &second, at(0), VAS_READ, &host, &signal),
	                 -VAS_EFAULT);
	assert_ptr_equal(vas_tlb_lookup(&elsewhere, at(0), 1, VAS_WRITE), there);
	vas_tlb_unregister(&tlb); /* in the middle and at the end of the list */
	vas_tlb_unregister(&second);
	vas_destroy(other);
	end(&world);
}

/* Its owner need not know that the space has gone, nor the system and its memory: he lets go of it,
 * as often as he likes, finds nothing in it, and may use it for another space. */
static void a_tlb_outlives_its_space(void **state)
{
	static struct vas_tlb second, never; /* never: all its bytes are zero */
	struct world world;
	struct vas *other;
	uint64_t *page;

	(void)state;
	begin(&world);
	other = unit_space(&world.unit);
	assert_int_equal(vas_tlb_register(other, &tlb), 0);
	assert_int_equal(vas_tlb_register(other, &second), 0);
	assert_call(other, vas_mmap(other, at(0), UNIT_PAGE, RW, ANON_FIXED, NULL, 0), at(0));
	page = translate(other, 0, VAS_WRITE);
	assert_ptr_equal(vas_tlb_lookup(&tlb, at(0), 8, VAS_WRITE), page);
	vas_destroy(other);
	assert_null(vas_tlb_lookup(&tlb, at(0), 8, VAS_WRITE));
	assert_null(vas_tlb_lookup(&tlb, at(0), 8, VAS_READ));
	vas_tlb_leave(&tlb);
	vas_tlb_unregister(&tlb);
	vas_tlb_unregister(&tlb);
	vas_tlb_unregister(&never);
	assert_int_equal(vas_tlb_register(world.space, &tlb), 0);
	map_written(&world, 0, 1);
	assert_int_equal(*(uint64_t *)translate(world.space, 0, VAS_READ), 0);
	end(&world);
	vas_tlb_unregister(&second);
	vas_tlb_leave(&tlb);
	vas_tlb_unregister(&tlb);
	assert_null(tlb.space);
	assert_null(second.space);
	assert_null(vas_tlb_lookup(&tlb, at(0), 8, VAS_READ));
}

/* ---- Lookups --------------------------------------------------------------------------------- */

static void an_access_that_crosses_a_unit_is_a_miss(void **state)
{
	struct world world;
	uint8_t *page;

	(void)state;
	begin(&world);
	vas_tlb_register(world.space, &tlb);
	map_written(&world, 0, 2);
	assert_null(vas_tlb_lookup(&tlb, at(0), 1, VAS_READ));
	page = translate(world.space, 0, VAS_READ);
	translate(world.space, 1, VAS_READ);
	assert_ptr_equal(vas_tlb_lookup(&tlb, at(0) + 4095, 1, VAS_READ), page + 4095);
	assert_ptr_equal(vas_tlb_lookup(&tlb, at(0) + 4088, 8, VAS_READ), page + 4088);
	assert_null(vas_tlb_lookup(&tlb, at(0) + 4095, 2, VAS_READ));
	assert_null(vas_tlb_lookup(&tlb, at(0) + 4089, 8, VAS_READ));
	assert_ptr_equal(vas_tlb_lookup(&tlb, at(0), 4096, VAS_READ), page);
	assert_null(vas_tlb_lookup(&tlb, at(0), 4097, VAS_READ));
	assert_null(vas_tlb_lookup(&tlb, ~(uint64_t)0, 2, VAS_READ)); /* from the last to page 0 */
	end(&world);
}

static void fetches_are_known_by_a_right_of_their_own(void **state)
{
	struct world world;

	(void)state;
	begin(&world);
	vas_tlb_register(world.space, &tlb);
	map_written(&world, 0, 1);
	assert_call(world.space, vas_mprotect(world.space, at(0), UNIT_PAGE, RW | VAS_PROT_EXEC),
	            0);
	translate(world.space, 0, VAS_EXEC);
	assert_non_null(vas_tlb_lookup(&tlb, at(0), 4, VAS_EXEC));
	assert_call(world.space, vas_mprotect(world.space, at(0), UNIT_PAGE, VAS_PROT_READ), 0);
	translate(world.space, 0, VAS_READ);
	assert_non_null(vas_tlb_lookup(&tlb, at(0), 4, VAS_READ));
	assert_null(vas_tlb_lookup(&tlb, at(0), 4, VAS_EXEC));
	assert_null(vas_tlb_lookup(&tlb, at(0), 4, VAS_WRITE));
	end(&world);
}

/* Each pass over a large range takes a generation; none that is given out again has entries. */
static void no_generation_comes_back_to_life(void **state)
{
	const uint64_t large = VAS_TLB_ENTRIES + 1;
	struct world world;

	(void)state;
	begin(&world);
	vas_tlb_register(world.space, &tlb);
	map_written(&world, 0, 1);
	map_written(&world, 1000, large);
	translate(world.space, 0, VAS_WRITE);
	for (unsigned i = 0; i < 2 * VAS_TLB_GENERATIONS; i++) {
		world.hook.n = 0;
		vas_mprotect(world.space, at(1000), large * UNIT_PAGE, i % 2 ? RW : VAS_PROT_READ);
		assert_null(vas_tlb_lookup(&tlb, at(0), 1, VAS_READ));
	}
	assert_in_range(tlb.key, 1, VAS_TLB_GENERATIONS);
	end(&world);
}

static void a_large_page_needs_one_walk(void **state)
{
	const uint64_t large = (uint64_t)2 << 20, base = (uint64_t)1 << 30;
	struct world world;
	uint8_t *page;
	void *host;

	(void)state;
	begin(&world);
	vas_system_settings(world.unit.system)->thp_enabled = VAS_THP_ALWAYS;
	vas_tlb_register(world.space, &tlb);
	assert_call(world.space, vas_mmap(world.space, base, large, RW, ANON_FIXED, NULL, 0), base);
	assert_call(world.space,
	            vas_translate(world.space, &tlb, base + 5000, VAS_WRITE, &host, NULL), 0);
	page = (uint8_t *)host - 5000;
	assert_int_equal(tlb.large[(base >> 21) % VAS_TLB_LARGE_ENTRIES].tag[1] & ~(large - 1),
	                 base);
	for (uint64_t addr = base; addr < base + large; addr += UNIT_PAGE) {
		assert_int_equal(vas_translate(world.space, &tlb, addr + 7, VAS_READ, &host, NULL),
		                 0);
		assert_ptr_equal(host, page + (addr - base) + 7);
		assert_ptr_equal(vas_tlb_lookup(&tlb, addr, 8, VAS_WRITE), page + (addr - base));
	}
	/* One small page of it goes: so does what is known of the large one. */
	assert_call(world.space, vas_munmap(world.space, base + 7 * UNIT_PAGE, UNIT_PAGE), 0);
	assert_call(world.space,
	            vas_translate(world.space, &tlb, base + 7 * UNIT_PAGE, VAS_READ, &host, NULL),
	            -VAS_EFAULT);
	end(&world);
}

static void larger_pages_are_known_by_units(void **state)
{
	const uint64_t base = (uint64_t)1 << 30;
	struct world world = {.space = NULL};
	void *host;

	(void)state;
	unit_prepare(&world.unit);
	world.unit.config.format = &vas_format_aarch64_16k;
	unit_begin_with(&world.unit, (uint64_t)8 << 20);
	world.space = unit_space(&world.unit);
	vas_tlb_register(world.space, &tlb);
	assert_call(world.space, vas_mmap(world.space, base, 16384, RW, ANON_FIXED, NULL, 0), base);
	assert_call(world.space,
	            vas_translate(world.space, &tlb, base + 9000, VAS_WRITE, &host, NULL), 0);
	assert_ptr_equal(vas_tlb_lookup(&tlb, base + 8192, 4, VAS_WRITE), (uint8_t *)host - 808);
	assert_null(vas_tlb_lookup(&tlb, base, 4, VAS_WRITE));
	assert_call(world.space, vas_munmap(world.space, base, 16384), 0);
	assert_null(vas_tlb_lookup(&tlb, base + 8192, 4, VAS_WRITE));
	unit_close(&world.unit, world.space);
}

/* With threads, what was found may be used until the owner leaves; then lookups miss, but what is
 * known stays known. */
static void who_has_left_looks_up_nothing(void **state)
{
	struct world world = {.space = NULL};
	uint8_t *page;

	(void)state;
	unit_prepare(&world.unit);
	world.unit.config.port.threads = true;
	unit_begin_with(&world.unit, (uint64_t)8 << 20);
	world.space = unit_space(&world.unit);
	vas_tlb_register(world.space, &tlb);
	map_written(&world, 0, 2);
	page = translate(world.space, 0, VAS_WRITE);
	assert_ptr_equal(vas_tlb_lookup(&tlb, at(0), 8, VAS_WRITE), page);
	vas_tlb_leave(&tlb);
	assert_null(vas_tlb_lookup(&tlb, at(0), 8, VAS_WRITE));
	assert_ptr_equal(translate(world.space, 0, VAS_WRITE), page);
	assert_ptr_equal(vas_tlb_lookup(&tlb, at(0), 8, VAS_READ), page);
	/* A fault that ends in a signal leaves, too: another call may follow at once. */
	assert_forgotten(world.space, 2, VAS_SIGSEGV);
	assert_null(vas_tlb_lookup(&tlb, at(0), 8, VAS_READ));
	assert_call(world.space, vas_munmap(world.space, at(0), UNIT_PAGE), 0);
	assert_forgotten(world.space, 0, VAS_SIGSEGV);
	unit_close(&world.unit, world.space);
}

/* Who unmaps what the owner does not know waits for nobody: this ends. */
static void an_owner_whom_it_does_not_concern_is_left_alone(void **state)
{
	const uint64_t far = VAS_TLB_ENTRIES, len = 2 * VAS_TLB_ENTRIES;
	struct world world = {.space = NULL};
	uint8_t *page;

	(void)state;
	unit_prepare(&world.unit);
	world.unit.config.port.threads = true;
	unit_begin_with(&world.unit, (uint64_t)8 << 20);
	world.space = unit_space(&world.unit);
	vas_tlb_register(world.space, &tlb);
	map_written(&world, 0, 2);
	map_written(&world, far, len);
	page = translate(world.space, 0, VAS_WRITE);
	assert_call(world.space, vas_munmap(world.space, at(1), UNIT_PAGE), 0);
	assert_call(world.space, vas_munmap(world.space, at(far), UNIT_PAGE), 0); /* its slot */
	assert_call(world.space, vas_munmap(world.space, at(far), len * UNIT_PAGE), 0);
	assert_ptr_equal(vas_tlb_lookup(&tlb, at(0), 8, VAS_WRITE), page);
	unit_close(&world.unit, world.space);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frames_are_freed_only_after_the_hook),
		cmocka_unit_test(nothing_present_needs_no_invalidation),
		cmocka_unit_test(every_change_of_what_is_present_is_told),
		cmocka_unit_test(a_hit_is_the_page_and_only_for_what_it_was_asked),
		cmocka_unit_test(a_read_only_page_is_no_hit_for_writes_or_fetches),
		cmocka_unit_test(every_call_makes_it_forget),
		cmocka_unit_test(many_pages_at_once_are_forgotten),
		cmocka_unit_test(each_tlb_of_a_space_is_told_and_no_other),
		cmocka_unit_test(a_tlb_outlives_its_space),
		cmocka_unit_test(an_access_that_crosses_a_unit_is_a_miss),
		cmocka_unit_test(fetches_are_known_by_a_right_of_their_own),
		cmocka_unit_test(no_generation_comes_back_to_life),
		cmocka_unit_test(a_large_page_needs_one_walk),
		cmocka_unit_test(larger_pages_are_known_by_units),
		cmocka_unit_test(who_has_left_looks_up_nothing),
		cmocka_unit_test(an_owner_whom_it_does_not_concern_is_left_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
