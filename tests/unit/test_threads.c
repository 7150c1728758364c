/* test_threads.c - several threads in one space and in its children: what each wrote is there, and
 * every invariant holds at the end. Worth most under ThreadSanitizer (the tsan preset).
 *
 * SPDX-License-Identifier: MIT */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "vas/vas.h"

#define PAGE 4096u
#define NTHREADS 4u
#define OWN_PAGES 700u /* more than a leaf table covers */
#define COMMON 0x70000000u
#define COMMON_PAGES 64u
#define STEPS 3000u
#define MEMORY_LEN ((size_t)256 << 20)

static const uint64_t anon = VAS_MAP_PRIVATE | VAS_MAP_ANONYMOUS | VAS_MAP_FIXED;
static const uint64_t rw = VAS_PROT_READ | VAS_PROT_WRITE;

struct worker {
	pthread_t thread;
	struct vas *space;
	struct vas_object *object;
	unsigned number;
	uint64_t own, away; /* where its pages are, and where they go to and come back from */
	uint8_t model[OWN_PAGES];
	struct vas_tlb tlb;
	unsigned seed, failures;
};

static void wait_hook(void *ctx)
{
	(void)ctx;
	sched_yield();
}

static void expect(struct worker *w, bool holds)
{
	w->failures += !holds;
}

static void check_page(struct worker *w, unsigned page)
{
	uint8_t byte = 0xff;

	expect(w, vas_read(w->space, &byte, w->own + page * PAGE, 1, NULL) == 0);
	expect(w, byte == w->model[page]);
}

static uint8_t *page_host(struct worker *w, unsigned page, enum vas_access access)
{
	uint64_t addr = w->own + page * PAGE;
	void *host = vas_tlb_lookup(&w->tlb, addr, 1, access);

	if (!host)
		expect(w, vas_translate(w->space, &w->tlb, addr, access, &host, NULL) == 0);
	return host;
}

/* A few pages one after the other, as a guest does, which stays in its TLB meanwhile. */
static void run_guest(struct worker *w, unsigned page)
{
	for (unsigned i = 0; i < 16; i++) {
		unsigned n = (page + i % 5) % OWN_PAGES;

		if (i % 3) {
			expect(w, *page_host(w, n, VAS_READ) == w->model[n]);
		} else {
			w->model[n] = (uint8_t)rand_r(&w->seed);
			*page_host(w, n, VAS_WRITE) = w->model[n];
		}
	}
	vas_tlb_leave(&w->tlb);
}

static void write_page(struct worker *w, unsigned page)
{
	uint8_t byte = (uint8_t)rand_r(&w->seed);

	if (byte & 1) {
		expect(w, vas_write(w->space, w->own + page * PAGE, &byte, 1, NULL) == 0);
		w->model[page] = byte;
	} else {
		run_guest(w, page);
	}
}

/* Among pages that others unmap and map again: each thread has a byte of its own in each. */
static void run_guest_in_common(struct worker *w)
{
	for (unsigned i = 0; i < 8; i++) {
		uint64_t addr = COMMON + rand_r(&w->seed) % COMMON_PAGES * PAGE + w->number;
		void *host = vas_tlb_lookup(&w->tlb, addr, 1, VAS_WRITE);

		if (!host && vas_translate(w->space, &w->tlb, addr, VAS_WRITE, &host, NULL))
			continue;
		expect(w, *(uint8_t *)host == 0 || *(uint8_t *)host == w->number + 1);
		*(uint8_t *)host = (uint8_t)(w->number + 1);
	}
	vas_tlb_leave(&w->tlb);
}

/* What all threads do to the same pages: any answer is right as long as nothing breaks. */
static void disturb_common(struct worker *w)
{
	uint64_t addr = COMMON + rand_r(&w->seed) % COMMON_PAGES * PAGE;
	uint8_t byte = (uint8_t)(w->number + 1);

	switch (rand_r(&w->seed) % 8) {
	case 0:
		vas_munmap(w->space, addr, 3 * PAGE);
		break;
	case 1:
		vas_mprotect(w->space, addr, 2 * PAGE, VAS_PROT_READ);
		break;
	case 2:
		vas_mmap(w->space, addr, 4 * PAGE, rw, anon, NULL, 0);
		break;
	case 3:
		vas_madvise(w->space, addr, 5 * PAGE, VAS_MADV_DONTNEED);
		break;
	case 4:
	case 5:
		vas_write(w->space, addr + w->number, &byte, 1, NULL);
		vas_read(w->space, &byte, addr + w->number, 1, NULL);
		break;
	default:
		run_guest_in_common(w);
	}
}

static void move_own(struct worker *w)
{
	uint64_t len = OWN_PAGES * PAGE, flags = VAS_MREMAP_MAYMOVE | VAS_MREMAP_FIXED,
		 from = w->own;

	expect(w, vas_mremap(w->space, w->own, len, len, flags, w->away) == (int64_t)w->away);
	w->own = w->away;
	w->away = from;
}

static void fork_and_look(struct worker *w)
{
	unsigned page = rand_r(&w->seed) % OWN_PAGES;
	uint8_t byte = 0xff, other;
	struct vas *child;

	if (vas_fork(w->space, &child) != 0) {
		expect(w, false);
		return;
	}
	expect(w, vas_read(child, &byte, w->own + page * PAGE, 1, NULL) == 0);
	expect(w, byte == w->model[page]);
	other = (uint8_t)(byte + 1);
	expect(w, vas_write(child, w->own + page * PAGE, &other, 1, NULL) == 0);
	check_page(w, page);
	vas_destroy(child);
}

static void *work(void *arg)
{
	struct worker *w = arg;

	for (unsigned step = 0; step < STEPS; step++) {
		unsigned page = rand_r(&w->seed) % OWN_PAGES, what = rand_r(&w->seed) % 200;

		if (what == 0)
			fork_and_look(w);
		else if (what < 4)
			move_own(w);
		else if (what < 40)
			disturb_common(w);
		else if (what == 40)
			vas_object_resize(w->object, rand_r(&w->seed) % 32 * PAGE);
		else if (what < 120)
			write_page(w, page);
		else
			check_page(w, page);
	}
	return NULL;
}

static void worker_start(struct worker *w, struct vas *space, struct vas_object *object, unsigned n)
{
	w->space = space;
	w->object = object;
	w->number = n;
	w->seed = n + 1;
	w->own = 0x10000000 + n * 0x1000000;
	w->away = 0x40001000 + n * 0x1000000;
	assert_int_equal(vas_mmap(space, w->own, OWN_PAGES * PAGE, rw, anon, NULL, 0), w->own);
	vas_tlb_register(space, &w->tlb);
	assert_int_equal(pthread_create(&w->thread, NULL, work, w), 0);
}

static const char *words(const char *broken)
{
	return broken ? broken : "";
}

static void threads_share_a_space(void **state)
{
	struct vas_config config = {
		.format = &vas_format_x86_64,
		.software = getenv("VAS_SOFTWARE") != NULL,
		.port = {.memory_len = MEMORY_LEN, .threads = true, .wait = wait_hook}};
	const struct vas_file_info info = {.mode = VAS_FILE_READ | VAS_FILE_WRITE | VAS_FILE_SHMEM};
	struct worker *workers = calloc(NTHREADS, sizeof(*workers));
	struct vas_system *system;
	struct vas_object *object;
	struct vas_file *file;
	struct vas *space;

	(void)state;
	config.port.memory = mmap(NULL, MEMORY_LEN, PROT_READ | PROT_WRITE,
	                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	assert_ptr_not_equal(config.port.memory, MAP_FAILED);
	config.port.zeroed = true;
	vas_settings_default(&config.settings, 1 << 20);
	assert_int_equal(vas_system_create(&config, &system), 0);
	assert_int_equal(vas_create(system, NULL, &space), 0);
	assert_int_equal(vas_object_create(system, NULL, NULL, 16 * PAGE, &object), 0);
	assert_int_equal(vas_file_open(object, &info, &file), 0);
	assert_int_equal(vas_mmap(space, COMMON, COMMON_PAGES * PAGE / 2, rw,
	                          VAS_MAP_SHARED | VAS_MAP_FIXED, file, 0),
	                 COMMON);
	for (unsigned n = 0; n < NTHREADS; n++)
		worker_start(&workers[n], space, object, n);
	for (unsigned n = 0; n < NTHREADS; n++) {
		pthread_join(workers[n].thread, NULL);
		assert_int_equal(workers[n].failures, 0);
		vas_tlb_unregister(&workers[n].tlb);
	}
	assert_string_equal(words(vas_check(space)), "");
	assert_string_equal(words(vas_audit(system)), "");
	vas_destroy(space);
	vas_file_put(file);
	vas_object_put(object);
	assert_string_equal(words(vas_audit(system)), "");
	munmap(config.port.memory, MEMORY_LEN);
	free(workers);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(threads_share_a_space)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
