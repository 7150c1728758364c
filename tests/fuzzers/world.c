/* world.c - see world.h.
 *
 * SPDX-License-Identifier: MIT */
#include "world.h"

#define MEMORY ((size_t)512 << 10)
#define GUARD ((size_t)16384) /* on both sides of the region; the largest page, for alignment */
#define UNTOUCHED 0xa5

static _Alignas(16384) uint8_t region[GUARD + MEMORY + GUARD];
static uint8_t *const memory = region + GUARD;

/* ---- Guards on both sides -------------------------------------------------------------------- */

/* AddressSanitizer watches the guards by itself. */
#if defined(__SANITIZE_ADDRESS__) /* gcc */
#define POISONED
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) /* clang */
#define POISONED
#endif
#endif

#ifdef POISONED
void __asan_poison_memory_region(const volatile void *at, size_t len);

static void set_guards(void)
{
	__asan_poison_memory_region(region, GUARD);
	__asan_poison_memory_region(memory + MEMORY, GUARD);
}

void world_require_guards(void)
{
}
#else
static void set_guards(void)
{
	memset(region, UNTOUCHED, GUARD);
	memset(memory + MEMORY, UNTOUCHED, GUARD);
}

void world_require_guards(void)
{
	for (size_t i = 0; i < 64; i++)
		FUZZ_REQUIRE(memory[-1 - (ptrdiff_t)i] == UNTOUCHED &&
		             memory[MEMORY + i] == UNTOUCHED);
}
#endif

/* ---- Objects whose callbacks fail for some pages --------------------------------------------- */

static struct world the_world;

static int64_t read_page(void *ctx, uint64_t index, void *page)
{
	FUZZ_REQUIRE(world_owns(&the_world, page, (size_t)the_world.page));
	memset(page, (int)(index + 1), 64);
	return index % 8 == (uintptr_t)ctx + 5 ? -VAS_EIO : 0;
}

static int64_t write_page(void *ctx, uint64_t index, const void *page)
{
	FUZZ_REQUIRE(world_owns(&the_world, page, (size_t)the_world.page));
	return index % 8 == (uintptr_t)ctx + 3 ? -VAS_EIO : 0;
}

static void lose_page(void *ctx, uint64_t index, const void *page, int64_t err)
{
	FUZZ_REQUIRE(world_owns(&the_world, page, (size_t)the_world.page));
	FUZZ_REQUIRE(index % 8 == (uintptr_t)ctx + 3 && err == -VAS_EIO);
}

static void release(void *ctx)
{
	(void)ctx;
	the_world.released++;
}

static const struct vas_object_ops ops = {
	.read_page = read_page,
	.write_page = write_page,
	.lose_page = lose_page,
	.release = release,
};
static const struct vas_object_ops read_only_ops = {.read_page = read_page, .release = release};

bool world_open(struct world *world, unsigned i)
{
	struct vas_file_info info = {.path = "/file"};

	info.mode = i == 2 ? VAS_FILE_READ : VAS_FILE_READ | VAS_FILE_WRITE;
	info.mode |= i == 0 ? VAS_FILE_SHMEM : VAS_FILE_THP_ALIGN;
	world->file[i] = NULL;
	return vas_file_open(world->object[i], &info, &world->file[i]) == 0;
}

/* ---- Kinds of systems ------------------------------------------------------------------------ */

/* A format's words in tables of 2^index_bits entries; 0: the format as it is. In the tables of the
 * hardware, or in software trees. */
static const struct shape {
	const struct vas_format *words;
	uint8_t index_bits;
	bool software;
} shapes[] = {
	{&vas_format_x86_64, 3, false},      {&vas_format_aarch64_4k, 3, false},
	{&vas_format_riscv_sv39, 3, false},  {&vas_format_x86_64, 4, false},
	{&vas_format_x86_64, 3, true},       {&vas_format_aarch64_4k, 3, true},
	{&vas_format_x86_64, 0, false},      {&vas_format_x86_64_la57, 0, false},
	{&vas_format_riscv_sv39, 0, false},  {&vas_format_aarch64_4k, 0, false},
	{&vas_format_aarch64_16k, 0, false}, {&vas_format_x86_64, 0, true},
};
#define SHAPES (sizeof(shapes) / sizeof(shapes[0]))
#define REAL (256 - REAL_KINDS)

_Static_assert(SHAPES == SMALL_KINDS + REAL_KINDS, "a shape for each kind");

static const uint32_t versions[] = {
	VAS_LINUX_LATEST, VAS_LINUX(6, 12), VAS_LINUX(6, 6),
	VAS_LINUX(5, 10), VAS_LINUX(4, 13), VAS_LINUX(2, 2),
};
#define VERSIONS (sizeof(versions) / sizeof(versions[0]))

/* A world as it was made, and what to copy to have it again. */
struct pristine {
	struct world world;
	struct vas_format format;
	uint8_t *bytes; /* of the runs, one after the other */
	struct run {
		size_t start, len;
	} run[64];
	unsigned nruns;
};

static struct pristine *pristine[SHAPES][VERSIONS][2];

static void shape_format(struct vas_format *format, const struct shape *shape)
{
	*format = *shape->words;
	if (shape->index_bits == 0)
		return;
	format->name = "small";
	format->levels = VAS_LEVELS_MAX;
	format->index_bits = shape->index_bits;
	format->task_size = format_span(format, VAS_LEVELS_MAX) - format_page_size(format);
	format->window = format->task_size;
}

/* What a small system chooses by itself is in the window, too. */
static void choose_params(const struct world *world, struct vas_params *params)
{
	vas_params_default(params);
	params->start_brk = world->border + 64 * world->page;
	if (world->format->index_bits > 4)
		return;
	params->mmap_base = world->border + 48 * world->page;
	params->legacy_base = world->window;
}

static void world_make(struct world *world, const struct vas_format *format, bool software,
                       uint32_t version, bool legacy)
{
	struct vas_config config = {
		.port = {.memory = memory, .memory_len = MEMORY},
		.format = format,
		.software = software,
		.linux_version = version,
	};
	struct vas_params params;
	uint64_t total;

	vas_settings_default(&config.settings, 1 << 20);
	config.settings.max_map_count = 40;
	world->format = format;
	world->page = format_page_size(format);
	world->border = format->index_bits > 4 ? (uint64_t)1 << 30
	                                       : format_span(format, VAS_LEVELS_MAX) / 2;
	world->window = world->border - 32 * world->page;
	FUZZ_REQUIRE(vas_system_create(&config, &world->system) == 0);
	vas_system_frames(world->system, &total, &world->free_before);
	for (unsigned i = 0; i < OBJECTS; i++) {
		const struct vas_object_ops *const kinds[OBJECTS] = {NULL, &ops, &read_only_ops};

		FUZZ_REQUIRE(!vas_object_create(world->system, kinds[i], (void *)(uintptr_t)i,
		                                12 * world->page + 100, &world->object[i]));
		FUZZ_REQUIRE(world_open(world, i));
	}
	choose_params(world, &params);
	params.legacy = legacy;
	FUZZ_REQUIRE(vas_create(world->system, &params, &world->space[0]) == 0);
	vas_tlb_register(world->space[0], &world->tlb[0]);
}

/* The parts of the region that are no longer as they were filled. */
static void keep_touched(struct pristine *p)
{
	const size_t grain = 256;
	uint8_t untouched[256];
	size_t total = 0;

	memset(untouched, UNTOUCHED, grain);
	for (size_t at = 0; at < MEMORY; at += grain) {
		struct run *last = p->nruns ? &p->run[p->nruns - 1] : NULL;

		if (memcmp(memory + at, untouched, grain) == 0)
			continue;
		total += grain;
		if (last && last->start + last->len == at) {
			last->len += grain;
			continue;
		}
		FUZZ_REQUIRE(p->nruns < sizeof(p->run) / sizeof(p->run[0]));
		p->run[p->nruns++] = (struct run){at, grain};
	}
	p->bytes = malloc(total);
	FUZZ_REQUIRE(p->bytes != NULL);
	total = 0;
	for (unsigned i = 0; i < p->nruns; total += p->run[i++].len)
		memcpy(p->bytes + total, memory + p->run[i].start, p->run[i].len);
}

static struct pristine *pristine_make(const struct shape *shape, uint32_t version, bool legacy)
{
	struct pristine *p = calloc(1, sizeof(*p));

	FUZZ_REQUIRE(p != NULL);
	shape_format(&p->format, shape);
	set_guards();
	memset(memory, UNTOUCHED, MEMORY);
	memset(&the_world, 0, sizeof(the_world));
	world_make(&the_world, &p->format, shape->software, version, legacy);
	p->world = the_world;
	keep_touched(p);
	return p;
}

struct world *world_begin(const uint8_t *data, size_t size)
{
	struct script script = {data, size};
	uint8_t kind = take_byte(&script), version = take_byte(&script);
	unsigned shape = kind < REAL ? kind % SMALL_KINDS : SMALL_KINDS + kind - REAL;
	unsigned nr = version < 128 ? 0 : version / 2 % VERSIONS;
	struct pristine **at = &pristine[shape][nr][version % 2];
	const uint8_t *bytes;
	uint8_t checks;

	if (!*at)
		*at = pristine_make(&shapes[shape], versions[nr], version % 2);
	bytes = (*at)->bytes;
	for (unsigned i = 0; i < (*at)->nruns; i++) {
		const struct run *run = &(*at)->run[i];

		memcpy(memory + run->start, bytes, run->len);
		bytes += run->len;
	}
	memcpy(&the_world, &(*at)->world, offsetof(struct world, tlb[1]));
	the_world.checks = CHECK_EACH;
	checks = take_byte(&script);
	if (kind >= REAL)
		the_world.checks = CHECK_EIGHTH;
	else if (checks >= 250)
		the_world.checks = CHECK_AUDIT;
	the_world.close_first = checks % 2;
	the_world.script = script;
	skip_slot(&the_world.script, data);
	return &the_world;
}

/* ---- Where pointers may lead ----------------------------------------------------------------- */

bool world_owns(const struct world *world, const void *at, size_t len)
{
	const uint8_t *byte = at;

	return byte >= memory && byte < memory + MEMORY && len <= world->page &&
	       (size_t)(byte - memory) % world->page <= world->page - len;
}

void *world_host(uint64_t phys)
{
	return memory + phys;
}
