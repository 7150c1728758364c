/* test_stress.c - software TLBs in threads: foreign and lost bytes are counted, and there are none.
 *
 * Each space has a guest, a thread that loads and stores through its TLB and remembers what it
 * stored; a sloth, which holds on to what it has translated; and a keeper, who does to the space
 * meanwhile all that lets go of something: write protection, moves, COLLAPSE, unmapping, children
 * by fork that store to what they share, and a file whose only mapping goes while the guest stores
 * to it.
 *
 * VAS_STRESS_SECONDS says how long (1).
 *
 * SPDX-License-Identifier: MIT */
#include <pthread.h>
#include <sched.h>
#include <time.h>
#include <unistd.h>

#include "unit.h"

#define GUESTS 2u
#define NPAGES 1024u /* two blocks of 2 MiB */
#define BLOCK_PAGES 512u
#define AREA ((uint64_t)0x40000000)
#define AWAY ((uint64_t)0x80000000)
#define FILE_AREA ((uint64_t)0xc0000000)
#define FILE_PAGES 16u
#define SHARED_AREA ((uint64_t)0xd0100000) /* with the child of the moment */
#define SHARED_PAGES 1000u                 /* a part of a leaf table, a whole one, a part */
#define CHILD ((uint64_t)1 << 63)
#define REGION ((uint64_t)256 << 20)

struct guest {
	struct vas *space;
	struct vas_tlb tlb, sloth_tlb;
	pthread_t thread, sloth, keeper;
	uint64_t tag; /* in all that it stores */
	uint64_t model[NPAGES];
	uint64_t file_last; /* what it stored to the file's first page last */
	uint64_t disk;
	struct random random, sloth_random, keeper_random;
	uint64_t accesses, calls, foreign, lost;
};

static struct unit unit;
static struct guest guests[GUESTS];
static bool stop;

static bool is_over(void)
{
	return __atomic_load_n(&stop, __ATOMIC_RELAXED);
}

/* One of those that are looked at. */
static uint64_t shared_page(uint64_t n)
{
	return SHARED_AREA + n % 4 * 250 * UNIT_PAGE;
}

/* ---- The guest ------------------------------------------------------------------------------- */

static uint64_t *find(struct guest *g, uint64_t addr, enum vas_access access)
{
	void *host = vas_tlb_lookup(&g->tlb, addr, 8, access);

	if (!host && vas_translate(g->space, &g->tlb, addr, access, &host, NULL) != 0)
		return NULL; /* moved, or protected */
	return host;
}

static void load(struct guest *g, unsigned p)
{
	uint64_t *word = find(g, AREA + p * UNIT_PAGE, VAS_READ), value;

	if (!word)
		return;
	value = __atomic_load_n(word, __ATOMIC_RELAXED);
	if (value == g->model[p])
		return;
	if (value >> 48 != g->tag)
		g->foreign++;
	else
		g->lost++;
}

static void store(struct guest *g, unsigned p)
{
	uint64_t *word = find(g, AREA + p * UNIT_PAGE, VAS_WRITE);

	if (!word)
		return;
	g->model[p] = g->tag << 48 | ++g->accesses;
	__atomic_store_n(word, g->model[p], __ATOMIC_RELAXED);
}

static void store_file(struct guest *g)
{
	uint64_t *word = find(g, FILE_AREA, VAS_WRITE);

	if (!word)
		return;
	__atomic_store_n(word, ++g->accesses, __ATOMIC_RELAXED);
	__atomic_store_n(&g->file_last, g->accesses, __ATOMIC_RELAXED);
}

/* It is the guest's, or not there. */
static void load_shared(struct guest *g)
{
	const uint64_t *word = find(g, shared_page(g->accesses), VAS_READ);
	uint64_t value = word ? __atomic_load_n(word, __ATOMIC_RELAXED) : 0;

	g->foreign += value != 0 && value >> 48 != g->tag;
}

/* One thing for a while, as programs do. */
static void *guest_run(void *arg)
{
	struct guest *g = arg;

	while (!is_over()) {
		unsigned first = (unsigned)random_below(&g->random, NPAGES), what = first % 4;

		for (unsigned i = 0; i < 512; i++) {
			unsigned p = (first + i % 3 * 7) % NPAGES;

			if (what == 0)
				load_shared(g);
			else if (what == 1)
				store_file(g);
			else if (i % 2)
				store(g, p);
			else
				load(g, p);
		}
		g->accesses++;
		if (what == 3) {
			vas_tlb_leave(&g->tlb);
			sched_yield();
		}
	}
	vas_tlb_leave(&g->tlb);
	return NULL;
}

/* Whoever invalidates waits for it, and comes to the guest's TLB after it: time for the guest to
 * use what was let go of too early. */
static void *sloth_run(void *arg)
{
	const uint64_t start[] = {AREA, SHARED_AREA, FILE_AREA};
	const unsigned npages[] = {NPAGES, 4, 1};
	struct guest *g = arg;

	while (!is_over()) {
		unsigned what = (unsigned)random_below(&g->sloth_random, 3);
		uint64_t n = random_below(&g->sloth_random, npages[what]);
		uint64_t addr = what == 1 ? shared_page(n) : start[what] + n * UNIT_PAGE;
		void *host;

		if (vas_translate(g->space, &g->sloth_tlb, addr, VAS_READ, &host, NULL) == 0)
			usleep(200);
		vas_tlb_leave(&g->sloth_tlb);
	}
	return NULL;
}

/* ---- The keeper ------------------------------------------------------------------------------ */

static unsigned below(struct guest *g, unsigned limit)
{
	return (unsigned)random_below(&g->keeper_random, limit);
}

static void expect(struct guest *g, bool holds)
{
	__atomic_fetch_add(&g->lost, !holds, __ATOMIC_RELAXED);
}

static void protect(struct guest *g)
{
	unsigned first = below(g, NPAGES - 8);

	expect(g,
	       vas_mprotect(g->space, AREA + first * UNIT_PAGE, 8 * UNIT_PAGE, VAS_PROT_READ) == 0);
	expect(g, vas_mprotect(g->space, AREA + first * UNIT_PAGE, 8 * UNIT_PAGE, RW) == 0);
}

/* Part of it goes away and comes back. */
static void move(struct guest *g)
{
	unsigned n = below(g, 4) ? 1 + below(g, 40) : BLOCK_PAGES;
	unsigned first = n == BLOCK_PAGES ? below(g, 2) * n : below(g, NPAGES - n);
	uint64_t addr = AREA + first * UNIT_PAGE, len = n * UNIT_PAGE;
	uint64_t away = AWAY + (below(g, 2) ? first : below(g, 64)) * UNIT_PAGE;
	const uint64_t flags = VAS_MREMAP_MAYMOVE | VAS_MREMAP_FIXED;

	expect(g, vas_mremap(g->space, addr, len, len, flags, away) == (int64_t)away);
	expect(g, vas_mremap(g->space, away, len, len, flags, addr) == (int64_t)addr);
}

/* A child stores to what it shares while its parent goes on, and looks at what it inherited. */
static void have_child(struct guest *g)
{
	unsigned first = below(g, NPAGES - 64);
	uint64_t before[64];
	struct vas *child;

	if (vas_fork(g->space, &child) != 0) {
		expect(g, false);
		return;
	}
	for (unsigned i = 0; i < 64; i++) {
		uint64_t addr = AREA + (first + i) * UNIT_PAGE;

		expect(g, vas_read(child, &before[i], addr, 8, NULL) == 0 &&
		                  before[i] >> 48 == g->tag);
	}
	for (unsigned i = 0; i < 64; i++) {
		uint64_t addr = AREA + (first + i) * UNIT_PAGE, value = 0;

		expect(g, vas_read(child, &value, addr, 8, NULL) == 0 && value == before[i]);
		value = CHILD;
		expect(g, vas_write(child, addr, &value, 8, NULL) == 0);
	}
	vas_destroy(child);
}

/* A store as a CPU makes it, while others look. */
static bool put(struct vas *space, uint64_t addr, uint64_t value)
{
	uint64_t was = 0;
	int64_t done = vas_compare_exchange(space, addr, 8, &was, value, NULL);

	return done == 1 ||
	       (done == 0 && vas_compare_exchange(space, addr, 8, &was, value, NULL) == 1);
}

static void *child_run(void *arg)
{
	struct vas *child = arg;

	for (unsigned i = 0; i < 400; i++)
		put(child, shared_page(i), CHILD);
	return NULL;
}

/* The space's own pages go while a child that shares them stores to them. */
static void drop_shared(struct guest *g)
{
	const uint64_t len = SHARED_PAGES * UNIT_PAGE, value = g->tag << 48;
	struct vas *child;
	pthread_t thread;

	expect(g, vas_mmap(g->space, SHARED_AREA, len, RW, ANON_FIXED, NULL, 0) ==
	                  (int64_t)SHARED_AREA);
	for (unsigned i = 0; i < SHARED_PAGES; i++)
		expect(g, put(g->space, SHARED_AREA + i * UNIT_PAGE, value));
	if (vas_fork(g->space, &child) != 0) {
		expect(g, false);
		return;
	}
	/* Sometimes it has tables of its own, and shares the pages alone. */
	for (unsigned i = below(g, 2) * 4; i < 4; i++)
		vas_write(child, shared_page(i) + UNIT_PAGE, &value, 8, NULL);
	if (pthread_create(&thread, NULL, child_run, child) != 0) {
		expect(g, false);
		return;
	}
	sched_yield();
	vas_munmap(g->space, SHARED_AREA, len);
	pthread_join(thread, NULL);
	vas_destroy(child);
}

static int64_t write_page(void *ctx, uint64_t index, const void *page)
{
	struct guest *g = ctx;

	if (index == 0)
		memcpy(&g->disk, page, sizeof(g->disk));
	return 0;
}

static int64_t read_page(void *ctx, uint64_t index, void *page)
{
	const struct guest *g = ctx;

	if (index == 0)
		memcpy(page, &g->disk, sizeof(g->disk));
	return 0;
}

static const struct vas_object_ops file_ops = {.read_page = read_page, .write_page = write_page};

/* A file is mapped, the guest stores to it, and its last mapping goes. */
static void map_file(struct guest *g)
{
	const struct vas_file_info info = {.mode = VAS_FILE_READ | VAS_FILE_WRITE};
	const uint64_t len = FILE_PAGES * UNIT_PAGE;
	struct vas_object *object;
	struct vas_file *file;

	if (vas_object_create(unit.system, &file_ops, g, len, &object) != 0 ||
	    vas_file_open(object, &info, &file) != 0) {
		expect(g, false);
		return;
	}
	expect(g, vas_mmap(g->space, FILE_AREA, len, RW, VAS_MAP_SHARED | VAS_MAP_FIXED, file, 0) ==
	                  (int64_t)FILE_AREA);
	vas_file_put(file);
	vas_object_put(object);
	for (unsigned i = 0; i < 50; i++)
		sched_yield();
	expect(g, vas_munmap(g->space, FILE_AREA, len) == 0);
	expect(g, g->disk == __atomic_load_n(&g->file_last, __ATOMIC_RELAXED));
}

static void *keeper_run(void *arg)
{
	struct guest *g = arg;

	for (; !is_over(); g->calls++) {
		switch (below(g, 8)) {
		case 0:
			protect(g);
			break;
		case 1:
			move(g);
			break;
		case 2:
			have_child(g);
			break;
		case 3:
			drop_shared(g);
			break;
		case 4:
			vas_madvise(g->space, AREA, NPAGES * UNIT_PAGE, VAS_MADV_COLLAPSE);
			break;
		default:
			map_file(g);
		}
		sched_yield();
	}
	return NULL;
}

/* ---- The run --------------------------------------------------------------------------------- */

static void wait_hook(void *ctx)
{
	(void)ctx;
	sched_yield();
}

static void begin(void)
{
	uint8_t *memory = mmap(NULL, 2 * REGION, PROT_READ | PROT_WRITE,
	                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	assert_true(memory != MAP_FAILED);
	unit_prepare(&unit);
	unit.config.port.memory = (void *)(((uintptr_t)memory + REGION - 1) & ~(REGION - 1));
	unit.config.port.memory_len = REGION;
	unit.config.port.zeroed = true;
	unit.config.port.threads = true;
	unit.config.port.wait = wait_hook;
	unit.config.settings.overcommit_memory = 1;
	assert_int_equal(vas_system_create(&unit.config, &unit.system), 0);
	unit.config.port.memory = memory;
}

static void guest_start(struct guest *g, unsigned n)
{
	g->tag = n + 1;
	g->random.state = n + 1;
	g->keeper_random.state = n + 17;
	g->sloth_random.state = n + 33;
	g->space = unit_space(&unit);
	assert_int_equal(vas_mmap(g->space, AREA, NPAGES * UNIT_PAGE, RW, ANON_FIXED, NULL, 0),
	                 AREA);
	for (unsigned p = 0; p < NPAGES; p++) {
		g->model[p] = g->tag << 48;
		assert_int_equal(vas_write(g->space, AREA + p * UNIT_PAGE, &g->model[p], 8, NULL),
		                 0);
	}
	vas_tlb_register(g->space, &g->tlb);
	vas_tlb_register(g->space, &g->sloth_tlb);
	assert_int_equal(pthread_create(&g->sloth, NULL, sloth_run, g), 0);
	assert_int_equal(pthread_create(&g->thread, NULL, guest_run, g), 0);
	assert_int_equal(pthread_create(&g->keeper, NULL, keeper_run, g), 0);
}

static void nothing_is_foreign_or_lost(void **state)
{
	const char *text = getenv("VAS_STRESS_SECONDS");
	time_t over = time(NULL) + (text ? strtol(text, NULL, 10) : 1);

	(void)state;
	begin();
	for (unsigned n = 0; n < GUESTS; n++)
		guest_start(&guests[n], n);
	while (time(NULL) <= over)
		usleep(20000);
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	for (unsigned n = 0; n < GUESTS; n++) {
		struct guest *g = &guests[n];

		pthread_join(g->keeper, NULL);
		pthread_join(g->thread, NULL);
		pthread_join(g->sloth, NULL);
		for (unsigned p = 0; p < NPAGES; p++)
			load(g, p);
		vas_tlb_unregister(&g->tlb);
		vas_tlb_unregister(&g->sloth_tlb);
		print_message("%llu accesses, %llu calls: %llu foreign, %llu lost\n",
		              (unsigned long long)g->accesses, (unsigned long long)g->calls,
		              (unsigned long long)g->foreign, (unsigned long long)g->lost);
		assert_int_equal(g->foreign, 0);
		assert_int_equal(g->lost, 0);
		assert_holds(vas_check(g->space));
		vas_destroy(g->space);
	}
	assert_holds(vas_audit(unit.system));
	munmap(unit.config.port.memory, 2 * REGION);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(nothing_is_foreign_or_lost)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
