/* fuzz_calls.c - hostile calls: any sequence with any arguments, on several spaces, with memory and
 * callbacks that fail, leaves every invariant and every frame in order, and no assert of vas trips.
 *
 * The bytes are a script: what kind of system, then one byte for each call and its arguments. Most
 * arguments are small numbers of pages in a small window, so that ranges meet; some are 64 bits
 * taken as they come. After each call every space is checked, and what the software TLBs hold.
 *
 * SPDX-License-Identifier: MIT */
#include "fuzz.h"

#include <string.h>

#include "format/format.h"
#include "vas/vas.h"

#define WINDOW ((uint64_t)0x10000000)
#define CALLS_MAX 120
#define SPACES 4
#define OBJECTS 3
#define MEMORY ((uint64_t)1 << 20)

static _Alignas(16384) uint8_t memory[MEMORY];

struct script {
	const uint8_t *data;
	size_t left;
};

struct world {
	struct script script;
	struct vas_system *system;
	struct vas *space[SPACES]; /* NULL: none */
	struct vas_tlb tlb[SPACES];
	struct vas_object *object[OBJECTS];
	struct vas_file *file[OBJECTS];
	uint64_t page; /* bytes */
	bool x86;
};

/* ---- Arguments ------------------------------------------------------------------------------ */

static uint8_t take_byte(struct script *script)
{
	if (script->left == 0)
		return 0;
	script->left--;
	return *script->data++;
}

/* 64 bits as they come; at the end of the script, zeros. */
static uint64_t take_word(struct script *script)
{
	uint64_t word = 0;

	for (unsigned i = 0; i < 8; i++)
		word |= (uint64_t)take_byte(script) << (8 * i);
	return word;
}

/* One of 64 pages of the window, at times near an edge of the address space, at times anything. */
static uint64_t take_addr(struct world *world)
{
	uint8_t byte = take_byte(&world->script);

	if (byte == 255)
		return take_word(&world->script);
	if (byte >= 248)
		return vas_task_size(world->space[0]) - (byte - 248u) * world->page;
	if (byte >= 240)
		return (byte - 240u) * world->page;
	if (byte >= 224) /* around a border of large pages */
		return WINDOW + ((uint64_t)2 << 20) + (byte - 232u) * world->page;
	return WINDOW + byte % 64 * world->page;
}

/* Up to 32 pages, at times with some bytes on top, at times a hostile value. */
static uint64_t take_len(struct world *world)
{
	uint8_t byte = take_byte(&world->script);

	if (byte == 255)
		return take_word(&world->script);
	if (byte >= 250)
		return (uint64_t)1 << (20 + (byte - 250u) * 5); /* 1 MiB to 1 TiB */
	return byte % 33 * world->page + (byte >= 230 ? byte : 0);
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

	if (byte == 255)
		return take_word(&world->script);
	flags |= byte & 2 ? 0 : VAS_MAP_FIXED;
	flags |= byte & 4 ? VAS_MAP_NORESERVE : 0;
	flags |= byte & 8 ? VAS_MAP_FIXED_NOREPLACE : 0;
	flags |= byte & 16 ? VAS_MAP_GROWSDOWN : 0;
	flags |= byte & 32 ? VAS_MAP_LOCKED : 0;
	flags |= byte & 64 ? VAS_MAP_POPULATE : 0;
	flags |= byte & 128 ? 0 : VAS_MAP_ANONYMOUS;
	if (more == 255)
		flags |= VAS_MAP_32BIT;
	if (more == 254)
		flags = (flags & ~(uint64_t)VAS_MAP_TYPE) | VAS_MAP_DROPPABLE;
	if (more >= 246 && more < 254)
		flags |= VAS_MAP_HUGETLB | VAS_MAP_ANONYMOUS;
	return flags;
}

static struct vas *take_space(struct world *world)
{
	struct vas *space = world->space[take_byte(&world->script) % SPACES];

	return space ? space : world->space[0];
}

/* ---- Callbacks that fail for some pages ------------------------------------------------------ */

static int64_t read_page(void *ctx, uint64_t index, void *page)
{
	memset(page, (int)(index + 1), 64);
	return index % 8 == (uintptr_t)ctx + 5 ? -VAS_EIO : 0;
}

static int64_t write_page(void *ctx, uint64_t index, const void *page)
{
	(void)page;
	return index % 8 == (uintptr_t)ctx + 3 ? -VAS_EIO : 0;
}

static const struct vas_object_ops ops = {.read_page = read_page, .write_page = write_page};
static const struct vas_object_ops read_only_ops = {.read_page = read_page};

/* ---- Calls ---------------------------------------------------------------------------------- */

static void call_map(struct world *world)
{
	struct vas *space = take_space(world);
	uint64_t addr = take_addr(world), len = take_len(world);
	uint64_t prot = take_flags(world), flags = take_map_flags(world);
	uint8_t file = take_byte(&world->script);
	uint64_t offset = file < 250 ? file / 16 * world->page : take_word(&world->script);

	vas_mmap(space, addr, len, prot, flags, world->file[file % OBJECTS], offset);
}

static void call_remap(struct world *world)
{
	struct vas *space = take_space(world);
	uint64_t old_addr = take_addr(world), old_len = take_len(world);
	uint64_t new_len = take_len(world), flags = take_flags(world);
	uint64_t new_addr = take_addr(world);

	if (flags < 128)
		flags %= 8;
	else if (flags < 255)
		new_len = old_len; /* several vmas, DONTUNMAP */
	vas_mremap(space, old_addr, old_len, new_len, flags < 256 ? flags % 8 : flags, new_addr);
}

static void call_access(struct world *world)
{
	uint8_t bytes[200] = {0}, which = take_byte(&world->script);
	uint64_t addr, len = which % sizeof(bytes);
	unsigned who = take_byte(&world->script) % SPACES;
	struct vas *space = world->space[who] ? world->space[who] : world->space[0];
	enum vas_access access = (enum vas_access)(1 << take_byte(&world->script) % 3);
	struct vas_signal signal;
	void *host;

	addr = take_addr(world) + take_byte(&world->script) * 16u;
	switch (which % 8) {
	case 0:
	case 1:
		vas_read(space, bytes, addr, len, &signal);
		break;
	case 2:
	case 3:
		vas_write(space, addr, bytes, len, &signal);
		break;
	case 4:
		vas_fault(space, addr, access, NULL);
		break;
	case 5:
		vas_present(space, addr);
		break;
	default:
		if (world->space[who] &&
		    !vas_translate(space, &world->tlb[who], addr, access, &host, &signal))
			FUZZ_REQUIRE((uint8_t *)host >= memory &&
			             (uint8_t *)host < memory + MEMORY);
		break;
	}
}

/* The calls that take an address, a length and one more number. */
static void call_range(struct world *world, uint8_t which)
{
	struct vas *space = take_space(world);
	uint64_t addr = take_addr(world), len = take_len(world), more = take_flags(world);

	switch (which % 8) {
	case 0:
		vas_munmap(space, addr, len);
		break;
	case 1:
		vas_mprotect(space, addr, len, more < 248 ? more % 8 : more << 21);
		break;
	case 2:
		vas_madvise(space, addr, len, more);
		break;
	case 3:
		vas_mlock2(space, addr, len, more % 3);
		break;
	case 4:
		vas_munlock(space, addr, len);
		break;
	case 5:
		vas_msync(space, addr, len, more);
		break;
	case 6:
		vas_mincore(space, addr, len, WINDOW + more * world->page);
		break;
	default:
		if (more > 240) /* rarely: what is sealed stays, and little else would happen */
			vas_mseal(space, addr, len, 0);
		break;
	}
}

static void call_import(struct world *world)
{
	struct vas *space = take_space(world);
	struct vas_region region = {.start = take_addr(world)};
	uint8_t byte = take_byte(&world->script);

	region.end = region.start + take_len(world);
	region.flags = take_word(&world->script);
	region.touched = byte & 1;
	region.forked = byte & 2;
	region.offset = byte / 16 * world->page;
	if (byte & 4)
		region.file = world->file[byte % OBJECTS];
	else if (byte & 8)
		region.name = "[vdso]";
	vas_import(space, &region);
}

static void call_objects(struct world *world)
{
	unsigned i = take_byte(&world->script) % OBJECTS;

	vas_object_resize(world->object[i], take_len(world));
}

static void call_spaces(struct world *world)
{
	struct vas *space = take_space(world);
	uint8_t byte = take_byte(&world->script);
	unsigned i = byte % SPACES;

	if (i > 0 && world->space[i]) {
		vas_destroy(world->space[i]);
		world->space[i] = NULL;
	} else if (i > 0) {
		int64_t err = byte & 128 ? vas_create(world->system, NULL, &world->space[i])
		                         : vas_fork(space, &world->space[i]);

		if (err == 0)
			vas_tlb_register(world->space[i], &world->tlb[i]);
	}
}

static void call_settings(struct world *world)
{
	struct vas_settings *settings = vas_system_settings(world->system);
	struct vas *space = take_space(world);
	struct vas_limit limit = {.soft = take_len(world), .hard = take_len(world)};
	uint8_t byte = take_byte(&world->script);

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
		break;
	default:
		vas_system_fail_after(world->system, (int8_t)byte / 8);
		break;
	}
}

static void call_one(struct world *world)
{
	uint8_t which = take_byte(&world->script);

	switch (which % 16) {
	case 0:
	case 1:
	case 2:
		call_map(world);
		break;
	case 3:
	case 4:
	case 5:
		call_remap(world);
		break;
	case 6:
	case 7:
	case 8:
		call_access(world);
		break;
	case 9:
		if (which < 128)
			vas_brk(take_space(world), take_addr(world));
		else if (which < 192)
			vas_mlockall(take_space(world), take_flags(world));
		else
			vas_munlockall(take_space(world));
		break;
	case 10:
		call_spaces(world);
		break;
	case 11:
		if (which < 64)
			call_import(world);
		else
			call_objects(world);
		break;
	case 12:
		call_settings(world);
		break;
	default:
		call_range(world, which / 16);
		break;
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

/* What a software TLB holds is what the tables say. */
static void require_fresh(struct world *world, unsigned i)
{
	struct vas_walk_step step[VAS_LEVELS_MAX];

	for (unsigned slot = 0; slot < VAS_TLB_ENTRIES; slot++) {
		uint64_t page = world->tlb[i].entry[slot].page[0];
		unsigned n;

		if (page == ~(uint64_t)0)
			continue;
		n = vas_walk(world->space[i], page, step);
		FUZZ_REQUIRE(n > 0 && step[n - 1].leaf && (step[n - 1].rights & VAS_PROT_READ));
		FUZZ_REQUIRE(world->tlb[i].entry[slot].host == memory + step[n - 1].phys);
		if (world->tlb[i].entry[slot].page[1] == ~(uint64_t)0)
			continue;
		FUZZ_REQUIRE(step[n - 1].rights & VAS_PROT_WRITE);
		for (unsigned k = 0; k < n && world->x86; k++)
			FUZZ_REQUIRE(step[k].word & 2); /* the W bit at every level */
	}
}

static void require_all(struct world *world)
{
	for (unsigned i = 0; i < SPACES; i++) {
		if (!world->space[i])
			continue;
		require_sound(vas_check(world->space[i]));
		require_fresh(world, i);
	}
}

/* ---- A system to be hostile to -------------------------------------------------------------- */

/* x86-64's words in tables of 32 entries: soon filled, and soon checked. */
static struct vas_format small;

static void shape_small(void)
{
	small = vas_format_x86_64;
	small.name = "small";
	small.levels = 5;
	small.index_bits = 5;
	small.task_size = small.window = ((uint64_t)1 << 36) - 4096;
}

/* Returns how many frames are free before there is a space. */
static uint64_t create(struct world *world)
{
	const struct vas_format *const formats[] = {
		&vas_format_x86_64,     &vas_format_x86_64_la57, &vas_format_riscv_sv39,
		&vas_format_aarch64_4k, &vas_format_aarch64_16k,
	};
	const uint32_t versions[] = {0,
	                             VAS_LINUX(6, 18),
	                             VAS_LINUX(6, 12),
	                             VAS_LINUX(5, 10),
	                             VAS_LINUX(4, 13),
	                             VAS_LINUX(2, 2)};
	struct vas_config config = {.port = {.memory = memory, .memory_len = MEMORY}};
	uint8_t byte = take_byte(&world->script), more = take_byte(&world->script);
	uint64_t total, free_before;
	struct vas_params params;

	shape_small();
	config.format = byte < 224 ? &small : formats[byte % 5];
	config.linux_version = versions[more < 128 ? 0 : more % 6];
	world->x86 = config.format->encode == small.encode;
	vas_settings_default(&config.settings, 1 << 20);
	config.settings.max_map_count = 40;
	vas_params_default(&params);
	params.legacy = more & 1;
	FUZZ_REQUIRE(vas_system_create(&config, &world->system) == 0);
	world->page = config.format == &vas_format_aarch64_16k ? 16384 : 4096;
	for (uintptr_t i = 0; i < OBJECTS; i++) {
		const struct vas_object_ops *const kinds[OBJECTS] = {NULL, &ops, &read_only_ops};
		struct vas_file_info info = {.path = "/file"};

		info.mode = i == 2 ? VAS_FILE_READ : VAS_FILE_READ | VAS_FILE_WRITE;
		info.mode |= i == 0 ? VAS_FILE_SHMEM : VAS_FILE_THP_ALIGN;
		FUZZ_REQUIRE(!vas_object_create(world->system, kinds[i], (void *)i,
		                                12 * world->page + 100, &world->object[i]));
		FUZZ_REQUIRE(!vas_file_open(world->object[i], &info, &world->file[i]));
	}
	vas_system_frames(world->system, &total, &free_before);
	params.start_brk = WINDOW + 80 * world->page;
	FUZZ_REQUIRE(vas_create(world->system, &params, &world->space[0]) == 0);
	vas_tlb_register(world->space[0], &world->tlb[0]);
	return free_before;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct world world;
	uint64_t total, free_before, free_after;

	memset(&world, 0, sizeof(world));
	world.script = (struct script){data, size};
	free_before = create(&world);
	for (unsigned i = 0; i < CALLS_MAX && world.script.left > 0; i++) {
		call_one(&world);
		require_all(&world);
		if (i % 8 == 7)
			require_sound(vas_audit(world.system));
	}
	vas_system_fail_after(world.system, -1);
	require_sound(vas_audit(world.system));
	for (unsigned i = 0; i < SPACES; i++) {
		if (world.space[i])
			vas_destroy(world.space[i]);
		require_sound(vas_audit(world.system));
	}
	/* Pages of objects may stay in them; nothing else. */
	for (unsigned i = 0; i < OBJECTS; i++)
		FUZZ_REQUIRE(vas_object_resize(world.object[i], 0) == 0);
	vas_system_frames(world.system, &total, &free_after);
	FUZZ_REQUIRE(free_after == free_before);
	FUZZ_REQUIRE(vas_system_committed(world.system) == 0);
	return 0;
}
