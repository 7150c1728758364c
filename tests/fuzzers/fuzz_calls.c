/* fuzz_calls.c - hostile calls: any sequence with any arguments, on several spaces, with memory and
 * callbacks that fail, leaves every invariant and every frame in order, and no assert of vas trips.
 *
 * The bytes are a script in slots of eight: what kind of system (world.h), then call after call.
 * Most arguments are small numbers of pages in a small window, so that ranges meet; some are 64
 * bits taken as they come. After each call every space is checked, and what the software TLBs hold;
 * at the end every frame is accounted for.
 *
 * SPDX-License-Identifier: MIT */
#include "world.h"

#define CALLS_MAX 120
#define GUARD_GAP 256u /* pages that Linux keeps free below a stack */

/* ---- Arguments ------------------------------------------------------------------------------ */

/* One of 64 pages of the window, at times near an edge of the address space, around the next border
 * of large pages or as far below the window as stacks keep free, at times anything. */
static uint64_t take_addr(struct world *world)
{
	uint8_t byte = take_byte(&world->script);
	uint64_t span;

	if (byte == 255)
		return take_word(&world->script);
	if (byte >= 248)
		return vas_task_size(world->space[0]) - (byte - 248u) * world->page;
	if (byte >= 240)
		return (byte - 240u) * world->page;
	if (byte >= 224) {
		span = format_span(world->format, byte < 232 ? 1 : 2);
		return world->border + span + (byte % 8 - 4u) * world->page;
	}
	if (byte >= 208)
		return world->window + byte % 16 * world->page - GUARD_GAP * world->page;
	return world->window + byte % 64 * world->page;
}

/* Mostly up to 10 pages, else up to 32, at times with some bytes on top, at times hostile. */
static uint64_t take_len(struct world *world)
{
	uint8_t byte = take_byte(&world->script);

	if (byte == 255)
		return take_word(&world->script);
	if (byte >= 250)
		return (uint64_t)1 << (20 + (byte - 250u) * 5); /* 1 MiB to 1 TiB */
	return byte % (byte < 176 ? 11u : 33u) * world->page + (byte >= 230 ? byte : 0);
}

static uint64_t take_flags(struct world *world)
{
	uint8_t byte = take_byte(&world->script);

	return byte == 255 ? take_word(&world->script) : byte;
}

static uint64_t take_map_flags(struct world *world)
{
	uint8_t byte = take_byte(&world->script), more = take_byte(&world->script);
	uint64_t flags = byte & 1 ? VAS_MAP_SHARED : VAS_MAP_PRIVATE;
	unsigned level = more % 3;

	if (byte == 255)
		return take_word(&world->script);
	flags |= byte & 2 ? 0 : VAS_MAP_FIXED;
	flags |= byte & 4 ? VAS_MAP_NORESERVE : 0;
	flags |= byte & 8 ? VAS_MAP_FIXED_NOREPLACE : 0;
	flags |= byte & 16 ? VAS_MAP_GROWSDOWN : 0;
	if (byte & 32) /* pages now */
		flags |= byte & 64 ? VAS_MAP_LOCKED : VAS_MAP_POPULATE;
	flags |= byte & 128 ? 0 : VAS_MAP_ANONYMOUS;
	if (more == 255)
		flags |= VAS_MAP_32BIT;
	if (more == 254)
		flags = (flags & ~(uint64_t)VAS_MAP_TYPE) | VAS_MAP_DROPPABLE;
	if (more >= 240 && more < 254) {
		flags |= VAS_MAP_HUGETLB | VAS_MAP_ANONYMOUS;
		if (level > 0)
			flags |= (uint64_t)format_shift(world->format, level) << VAS_MAP_HUGE_SHIFT;
	}
	if (more == 239)
		flags |= VAS_MAP_ABOVE4G;
	return flags;
}

static unsigned take_who(struct world *world)
{
	unsigned who = take_byte(&world->script) % SPACES;

	world->who = world->space[who] ? who : 0;
	return world->who;
}

static struct vas *take_space(struct world *world)
{
	return world->space[take_who(world)];
}

/* ---- Calls ---------------------------------------------------------------------------------- */

static int64_t call_map(struct world *world)
{
	struct vas *space = take_space(world);
	uint64_t addr = take_addr(world), len = take_len(world);
	uint64_t prot = take_flags(world), flags = take_map_flags(world);
	uint8_t file = take_byte(&world->script);
	uint64_t offset = file < 250 ? file / 16 * world->page : take_word(&world->script);

	return vas_mmap(space, addr, len, prot, flags, world->file[file % OBJECTS], offset);
}

static int64_t call_remap(struct world *world)
{
	struct vas *space = take_space(world);
	uint64_t old_addr = take_addr(world), old_len = take_len(world);
	uint64_t new_len = take_len(world), flags = take_flags(world);
	uint64_t new_addr = take_addr(world);

	if (flags < 128)
		flags %= 8;
	else if (flags < 255)
		new_len = old_len; /* several vmas, DONTUNMAP */
	return vas_mremap(space, old_addr, old_len, new_len, flags < 256 ? flags % 8 : flags,
	                  new_addr);
}

/* A pointer that vas hands out: to what the tables say, and on that page. */
static int64_t translate(struct world *world, unsigned who, uint64_t addr, enum vas_access access)
{
	struct vas_walk_step step[VAS_LEVELS_MAX];
	struct vas_signal signal;
	uint64_t offset;
	int64_t err;
	void *host;
	unsigned n;

	err = vas_translate(world->space[who], &world->tlb[who], addr, access, &host, &signal);
	if (err)
		return err;
	world->translated[who] = true;
	n = vas_walk(world->space[who], addr, step);
	FUZZ_REQUIRE(n > 0 && step[n - 1].leaf && (step[n - 1].rights & access));
	offset = addr & (format_span(world->format, step[n - 1].level) - 1);
	FUZZ_REQUIRE(host == world_host(step[n - 1].phys + offset));
	FUZZ_REQUIRE(world_owns(world, host, 1));
	return 0;
}

static int64_t call_access(struct world *world)
{
	uint8_t bytes[200] = {0}, which = take_byte(&world->script);
	unsigned who = take_who(world);
	uint8_t how = take_byte(&world->script);
	uint64_t addr = take_addr(world) + take_byte(&world->script) * 16u;
	uint64_t len = which % sizeof(bytes), expected = 0, words[24];
	enum vas_access access = (enum vas_access)(1 << how % 3);
	struct vas *space = world->space[who];
	struct vas_signal signal;

	switch (which % 12) {
	case 0:
	case 1:
		return vas_read(space, bytes, addr, len, &signal);
	case 2:
	case 3:
		return vas_write(space, addr, bytes, len, &signal);
	case 4:
		return vas_fault(space, addr, access, how & 128 ? &signal : NULL);
	case 5:
		return vas_present(space, addr);
	case 6:
		addr += how / 32;
		return vas_compare_exchange(space, addr, 1u << how % 5, &expected, which, &signal);
	case 7:
		return vas_read_string(space, (char *)bytes, addr, len, &signal);
	case 8:
		return vas_pagemap(space, addr & ~(world->page - 1), how % 25, words);
	default:
		return translate(world, who, addr, access);
	}
}

/* The calls that take an address, a length and one more number. */
static int64_t call_range(struct world *world, uint8_t which)
{
	struct vas *space = take_space(world);
	uint64_t addr = take_addr(world), len = take_len(world), more = take_flags(world);

	switch (which % 8) {
	case 0:
		return vas_munmap(space, addr, len);
	case 1:
		return vas_mprotect(space, addr, len, more < 248 ? more % 8 : more << 21);
	case 2:
		return vas_madvise(space, addr, len, more);
	case 3:
		return vas_mlock2(space, addr, len, more % 3);
	case 4:
		return vas_munlock(space, addr, len);
	case 5:
		return vas_msync(space, addr, len, more);
	case 6:
		return vas_mincore(space, addr, len, world->window + more * world->page);
	default: /* rarely: what is sealed stays, and little else would happen */
		return more > 240 ? vas_mseal(space, addr, len, 0) : 0;
	}
}

static int64_t call_import(struct world *world)
{
	struct vas *space = take_space(world);
	struct vas_region region = {.start = take_addr(world)};
	uint8_t byte = take_byte(&world->script);

	region.end = region.start + take_len(world);
	region.flags = take_word(&world->script);
	region.touched = byte & 1;
	region.forked = byte & 2;
	region.offset = byte / 16 * world->page;
	region.identity = byte / 64;
	if (byte & 4)
		region.file = world->file[byte % OBJECTS];
	else if (byte & 8)
		region.name = "[vdso]";
	return vas_import(space, &region);
}

static int64_t call_objects(struct world *world, uint8_t which)
{
	unsigned i = take_byte(&world->script) % OBJECTS;

	world->who = SPACES;
	if (which < 192)
		return vas_object_resize(world->object[i], take_len(world));
	if (which < 224)
		return vas_object_sync(world->object[i]);
	if (world->file[i])
		vas_file_put(world->file[i]);
	return world_open(world, i) ? 0 : -VAS_ENOMEM;
}

static void count_text(void *ctx, const char *text, size_t len)
{
	size_t *total = ctx;

	*total += len > 0 && text[len - 1] ? len : 1;
}

static int64_t call_report(struct world *world)
{
	struct vas *space = take_space(world);
	struct vas_status status;
	size_t total = 0;

	vas_maps(space, count_text, &total);
	vas_smaps(space, count_text, &total);
	vas_smaps_rollup(space, count_text, &total);
	vas_status_text(space, count_text, &total);
	vas_get_status(space, &status);
	return (int64_t)(total + status.size);
}

/* Destroys the second, third or fourth space, or makes it: by fork, or from nothing. */
static int64_t call_spaces(struct world *world)
{
	struct vas *space = take_space(world);
	uint8_t byte = take_byte(&world->script);
	unsigned i = byte % SPACES;
	int64_t err;

	world->who = SPACES;
	if (i == 0)
		return 0;
	if (world->space[i]) {
		vas_destroy(world->space[i]);
		world->space[i] = NULL;
		world->translated[i] = false;
		return 0;
	}
	err = byte & 128 ? vas_create(world->system, NULL, &world->space[i])
	                 : vas_fork(space, &world->space[i]);
	if (err == 0)
		vas_tlb_register(world->space[i], &world->tlb[i]);
	return err;
}

static int64_t call_settings(struct world *world)
{
	struct vas_settings *settings = vas_system_settings(world->system);
	struct vas *space = take_space(world);
	uint8_t byte = take_byte(&world->script);
	struct vas_limit limit = {.soft = take_len(world), .hard = take_len(world)};

	switch (byte % 8) {
	case 0:
		settings->overcommit_memory = byte / 8 % 3;
		break;
	case 1:
		settings->max_map_count = byte / 8;
		break;
	case 2:
		settings->thp = byte & 8;
		settings->leak_locked = byte & 16;
		settings->placement = byte & 32 ? VAS_PLACE_ROOMY : VAS_PLACE_LINUX;
		break;
	case 3:
		vas_set_capabilities(space, byte / 8);
		break;
	case 4:
		vas_set_limit(space, (enum vas_rlimit)(byte / 8 % VAS_NRLIMITS), limit);
		break;
	case 5:
		settings->thp_enabled = byte / 8 % 3;
		settings->hugepages[0] = byte / 32;
		settings->hugepages[1] = byte / 128;
		break;
	default:
		vas_system_fail_after(world->system, (int8_t)byte / 8);
		break;
	}
	return 0;
}

/* The calls of which there is less to try. */
static int64_t call_rest(struct world *world, uint8_t which)
{
	if (which < 128)
		return vas_brk(take_space(world), take_addr(world));
	if (which < 192)
		return vas_mlockall(take_space(world), take_flags(world));
	if (which < 240)
		return vas_munlockall(take_space(world));
	return call_report(world);
}

static int64_t call_one(struct world *world)
{
	uint8_t which = take_byte(&world->script);

	switch (which % 16) {
	case 0:
	case 1:
	case 2:
		return call_map(world);
	case 3:
	case 4:
	case 5:
		return call_remap(world);
	case 6:
	case 7:
	case 8:
		return call_access(world);
	case 9:
		return call_rest(world, which);
	case 10:
		return call_spaces(world);
	case 11:
		return which < 64 ? call_import(world) : call_objects(world, which);
	case 12:
		return call_settings(world);
	default:
		return call_range(world, which / 16);
	}
}

/* ---- What must hold ------------------------------------------------------------------------- */

static void require_sound(const char *complaint)
{
	if (complaint) {
		fprintf(stderr, "%s\n", complaint);
		abort();
	}
}

/* An address that the entry in this slot is for; 0: none (page 0 is never mapped). */
static uint64_t entry_addr(const struct vas_tlb *tlb, const struct vas_tlb_entry *entry)
{
	for (unsigned kind = 0; kind < 3; kind++)
		if ((entry->tag[kind] & VAS_TLB_GENERATIONS) == tlb->key)
			return entry->tag[kind] - tlb->key;
	return 0;
}

/* What a software TLB holds is what the tables say. */
static void require_fresh_entry(struct world *world, unsigned i, const struct vas_tlb_entry *entry)
{
	const struct vas_tlb *tlb = &world->tlb[i];
	uint64_t addr = entry_addr(tlb, entry), offset;
	struct vas_walk_step step[VAS_LEVELS_MAX];
	const struct vas_walk_step *last;
	unsigned n;

	if (addr == 0)
		return;
	n = vas_walk(world->space[i], addr, step);
	FUZZ_REQUIRE(n > 0 && step[n - 1].leaf);
	last = &step[n - 1];
	for (unsigned kind = 0; kind < 3; kind++)
		FUZZ_REQUIRE(entry->tag[kind] != (addr | tlb->key) || (last->rights & 1u << kind));
	offset = addr & (format_span(world->format, last->level) - 1);
	FUZZ_REQUIRE((uint8_t *)(uintptr_t)(entry->addend + addr) ==
	             world_host(last->phys + offset));
	for (unsigned k = 0; k + 1 < n && entry->tag[1] == (addr | tlb->key); k++)
		FUZZ_REQUIRE(word_is_writable_table(world->format, step[k].word));
}

static void require_fresh(struct world *world, unsigned i)
{
	for (unsigned slot = 0; slot < VAS_TLB_ENTRIES; slot++)
		require_fresh_entry(world, i, &world->tlb[i].entry[slot]);
	for (unsigned slot = 0; slot < VAS_TLB_LARGE_ENTRIES; slot++)
		require_fresh_entry(world, i, &world->tlb[i].large[slot]);
}

static void require_space(struct world *world, unsigned i)
{
	if (!world->space[i])
		return;
	require_sound(vas_check(world->space[i]));
	if (world->translated[i])
		require_fresh(world, i);
}

static void require_all(struct world *world)
{
	for (unsigned i = 0; i < SPACES; i++)
		require_space(world, i);
}

/* After the `n`-th call. What most errors leave undone needs no look; without memory much was tried
 * before. */
static void require_after(struct world *world, unsigned n, int64_t result)
{
	if (n % 8 == 0)
		require_all(world);
	else if (world->checks == CHECK_EIGHTH || (result < 0 && result != -VAS_ENOMEM))
		return;
	else if (world->who == SPACES)
		require_all(world);
	else
		require_space(world, world->who);
	if (world->checks == CHECK_AUDIT)
		require_sound(vas_audit(world->system));
}

/* ---- A script ------------------------------------------------------------------------------- */

static void run(struct world *world)
{
	const uint8_t *start = world->script.data;

	for (unsigned n = 1; n <= CALLS_MAX && world->script.left > 0; n++) {
		int64_t result = call_one(world);

		skip_slot(&world->script, start);
		require_after(world, n, result);
	}
	require_all(world);
}

static void close_objects(struct world *world)
{
	for (unsigned i = 0; i < OBJECTS; i++) {
		if (world->file[i])
			vas_file_put(world->file[i]);
		vas_object_put(world->object[i]);
	}
}

/* Everything goes; then every frame is free again. */
static void finish(struct world *world)
{
	uint64_t total, free_after;

	if (world->close_first)
		close_objects(world);
	for (unsigned i = 0; i < SPACES; i++) {
		if (!world->space[i])
			continue;
		vas_destroy(world->space[i]);
		if (world->checks == CHECK_AUDIT)
			require_sound(vas_audit(world->system));
	}
	if (!(world->close_first))
		close_objects(world);
	FUZZ_REQUIRE(world->released == OBJECTS - 1); /* those that have callbacks */
	require_sound(vas_audit(world->system));
	vas_system_frames(world->system, &total, &free_after);
	FUZZ_REQUIRE(free_after == world->free_before);
	FUZZ_REQUIRE(vas_system_committed(world->system) == 0);
	world_require_guards();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct world *world = world_begin(data, size);

	run(world);
	vas_system_fail_after(world->system, -1);
	require_sound(vas_audit(world->system));
	finish(world);
	return 0;
}
