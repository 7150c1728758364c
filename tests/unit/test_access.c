/* Reading, writing and faulting, with any address and any length.
 *
 * SPDX-License-Identifier: MIT */
#include "unit.h"

#define NONE VAS_PROT_NONE

static struct unit unit;

static struct vas *begin(void)
{
	unit_begin(&unit);
	return unit_space(&unit);
}

static void map(struct vas *space, uint64_t first, uint64_t npages, uint64_t prot)
{
	assert_call(space,
	            vas_mmap(space, at(first), npages * UNIT_PAGE, prot, ANON_FIXED, NULL, 0),
	            at(first));
}

static void assert_signal(const struct vas_signal *signal, int32_t signo, int32_t code,
                          uint64_t addr)
{
	assert_int_equal(signal->signo, signo);
	assert_int_equal(signal->code, code);
	assert_int_equal(signal->addr, addr);
}

static void bytes_come_back_across_pages(void **state)
{
	static uint8_t in[5 * 4096], out[5 * 4096];
	struct random random = {.state = 12};
	struct vas *space = begin();

	(void)state;
	map(space, 0, 8, RW);
	for (unsigned i = 0; i < sizeof(in); i++)
		in[i] = (uint8_t)random_next(&random);
	for (unsigned i = 0; i < 200; i++) {
		uint64_t offset = random_below(&random, 3 * UNIT_PAGE);
		uint64_t len = random_below(&random, sizeof(in));

		assert_call(space, vas_write(space, at(0) + offset, in, len, NULL), 0);
		memset(out, 0, sizeof(out));
		assert_call(space, vas_read(space, out, at(0) + offset, len, NULL), 0);
		assert_memory_equal(in, out, len);
		assert_true(len == sizeof(out) || out[len] == 0);
	}
	unit_close(&unit, space);
}

static void nothing_is_read_where_nothing_is_asked(void **state)
{
	struct vas *space = begin();
	uint8_t byte = 7;

	(void)state;
	assert_call(space, vas_read(space, &byte, 0, 0, NULL), 0);
	assert_call(space, vas_write(space, ~(uint64_t)0, &byte, 0, NULL), 0);
	assert_int_equal(byte, 7);
	unit_close(&unit, space);
}

static void it_stops_where_it_must_and_says_where(void **state)
{
	struct vas *space = begin();
	uint8_t out[3 * 4096];
	struct vas_signal signal;

	(void)state;
	map(space, 0, 2, RW);
	memset(out, 1, sizeof(out));
	assert_call(space, vas_read(space, out, at(0) + 100, sizeof(out), &signal), -VAS_EFAULT);
	assert_signal(&signal, VAS_SIGSEGV, VAS_SEGV_MAPERR, at(2));
	assert_int_equal(out[2 * 4096 - 101], 0);
	assert_int_equal(out[2 * 4096 - 100], 1);

	map(space, 1, 1, VAS_PROT_READ);
	assert_call(space, vas_write(space, at(0) + 4090, out, 20, &signal), -VAS_EFAULT);
	assert_signal(&signal, VAS_SIGSEGV, VAS_SEGV_ACCERR, at(1));
	assert_call(space, vas_read(space, out, at(0) + 4090, 6, &signal), 0);
	assert_int_equal(signal.signo, 0);
	assert_int_equal(out[0], 0); /* of what was written: it read zeros before */
	unit_close(&unit, space);
}

/* Each right alone: what x86-64 then lets a program do. */
static void rights_decide(void **state)
{
	static const struct {
		uint64_t prot;
		bool read, write, exec;
	} rows[] = {
		{NONE, false, false, false},
		{VAS_PROT_READ, true, false, false},
		{VAS_PROT_WRITE, true, true, false},
		{VAS_PROT_EXEC, true, false, true},
		{RW, true, true, false},
		{VAS_PROT_READ | VAS_PROT_EXEC, true, false, true},
		{VAS_PROT_WRITE | VAS_PROT_EXEC, true, true, true},
		{RW | VAS_PROT_EXEC, true, true, true},
	};
	const enum vas_access order[][3] = {
		{VAS_READ, VAS_WRITE, VAS_EXEC},
		{VAS_EXEC, VAS_WRITE, VAS_READ},
		{VAS_WRITE, VAS_READ, VAS_EXEC},
	};
	struct vas *space = begin();

	(void)state;
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		for (unsigned k = 0; k < 3; k++) {
			map(space, 0, 1, rows[i].prot);
			for (unsigned j = 0; j < 3; j++) {
				enum vas_access access = order[k][j];
				bool may = access == VAS_READ    ? rows[i].read
				           : access == VAS_WRITE ? rows[i].write
				                                 : rows[i].exec;
				struct vas_signal signal;

				assert_call(space, vas_fault(space, at(0) + 9, access, &signal),
				            may ? 0 : -VAS_EFAULT);
				if (!may)
					assert_signal(&signal, VAS_SIGSEGV, VAS_SEGV_ACCERR,
					              at(0) + 9);
			}
		}
	}
	unit_close(&unit, space);
}

/* Edges of every kind: of the space, of the numbers, of the canonical addresses. */
static void hostile_addresses(void **state)
{
	const uint64_t top = 0x7ffffffff000, addrs[] = {
						     0,
						     1,
						     4095,
						     4096,
						     top - 1,
						     top,
						     top + 1,
						     (uint64_t)1 << 47,
						     ((uint64_t)1 << 47) - 1,
						     (uint64_t)1 << 48,
						     (uint64_t)1 << 56,
						     (uint64_t)1 << 63,
						     ~(uint64_t)0,
						     ~(uint64_t)0 - 4096,
						     ~(uint64_t)0 << 47,
						     (~(uint64_t)0 << 47) - 1,
					     };
	const uint64_t lens[] = {1, 4096, 4097, 1 << 20, (uint64_t)1 << 40, ~(uint64_t)0};
	static struct vas_tlb tlb;
	struct vas *space = begin();
	uint8_t byte = 0x5a;

	(void)state;
	vas_tlb_register(space, &tlb);
	for (unsigned i = 0; i < sizeof(addrs) / sizeof(addrs[0]); i++) {
		struct vas_signal signal;
		void *host = NULL;

		for (unsigned k = 0; k < sizeof(lens) / sizeof(lens[0]); k++) {
			assert_call(space, vas_read(space, &byte, addrs[i], lens[k], &signal),
			            -VAS_EFAULT);
			assert_call(space, vas_write(space, addrs[i], &byte, lens[k], &signal),
			            -VAS_EFAULT);
		}
		assert_int_equal(byte, 0x5a);
		assert_call(space, vas_translate(space, &tlb, addrs[i], VAS_READ, &host, &signal),
		            -VAS_EFAULT);
		assert_null(host);
		assert_false(vas_present(space, addrs[i]));
		if (addrs[i] >> 47 == 0 || addrs[i] >> 47 == 0x1ffff)
			assert_signal(&signal, VAS_SIGSEGV, VAS_SEGV_MAPERR, addrs[i]);
		else
			assert_signal(&signal, VAS_SIGSEGV, VAS_SI_KERNEL, 0);
	}
	unit_close(&unit, space);
}

/* The last byte that a user can have, and a length that would go round. */
static void the_last_page(void **state)
{
	uint64_t last = 0x7fffffffe000;
	struct vas *space = begin();
	struct vas_signal signal;
	uint8_t bytes[16] = {0};

	(void)state;
	assert_call(space, vas_mmap(space, last, UNIT_PAGE, RW, ANON_FIXED, NULL, 0), last);
	assert_call(space, vas_write(space, last + 4090, bytes, 6, &signal), 0);
	assert_call(space, vas_write(space, last + 4090, bytes, 7, &signal), -VAS_EFAULT);
	assert_signal(&signal, VAS_SIGSEGV, VAS_SEGV_MAPERR, last + 4096);
	assert_call(space, vas_munmap(space, 0, 0x7ffffffff000), 0);
	unit_close(&unit, space);
}

static void a_guard_is_as_if_nothing_were_there(void **state)
{
	struct vas *space = begin();
	struct vas_signal signal;
	uint8_t byte = 1;

	(void)state;
	map(space, 0, 4, RW);
	assert_call(space, vas_write(space, at(1), &byte, 1, NULL), 0);
	assert_call(space, vas_madvise(space, at(1), UNIT_PAGE, VAS_MADV_GUARD_INSTALL), 0);
	assert_call(space, vas_read(space, &byte, at(1), 1, &signal), -VAS_EFAULT);
	assert_signal(&signal, VAS_SIGSEGV, VAS_SEGV_MAPERR, at(1));
	assert_call(space, vas_madvise(space, at(1), UNIT_PAGE, VAS_MADV_DONTNEED), 0);
	assert_call(space, vas_read(space, &byte, at(1), 1, &signal), -VAS_EFAULT);
	assert_call(space, vas_madvise(space, at(0), 4 * UNIT_PAGE, VAS_MADV_GUARD_REMOVE), 0);
	assert_call(space, vas_read(space, &byte, at(1), 1, &signal), 0);
	assert_int_equal(byte, 0);
	unit_close(&unit, space);
}

static void a_stack_grows_down_to_where_it_is_used(void **state)
{
	struct vas *space = begin();
	struct vas_region region;
	struct vas_signal signal;
	uint8_t byte = 1;

	(void)state;
	assert_call(
		space,
		vas_mmap(space, at(1000), UNIT_PAGE, RW, ANON_FIXED | VAS_MAP_GROWSDOWN, NULL, 0),
		at(1000));
	assert_call(space, vas_write(space, at(990) + 7, &byte, 1, &signal), 0);
	assert_true(vas_next_region(space, 0, &region));
	assert_int_equal(region.start, at(990));
	/* Something accessible below keeps 256 pages of distance. */
	map(space, 700, 1, RW);
	assert_call(space, vas_write(space, at(957), &byte, 1, &signal), 0);
	assert_call(space, vas_write(space, at(956), &byte, 1, &signal), -VAS_EFAULT);
	assert_signal(&signal, VAS_SIGSEGV, VAS_SEGV_MAPERR, at(956));
	/* Its limit counts from its end. */
	assert_call(space, vas_munmap(space, at(700), UNIT_PAGE), 0);
	vas_set_limit(space, VAS_RLIMIT_STACK, (struct vas_limit){101 * UNIT_PAGE, 0});
	assert_call(space, vas_write(space, at(900), &byte, 1, &signal), 0);
	assert_call(space, vas_write(space, at(899), &byte, 1, &signal), -VAS_EFAULT);
	unit_close(&unit, space);
}

static void an_opaque_mapping_has_nothing_behind_it(void **state)
{
	struct vas_region region = {
		.start = at(0),
		.end = at(2),
		.flags = VAS_VM_READ | VAS_VM_WRITE | VAS_VM_MAYREAD | VAS_VM_OPAQUE,
		.name = "/SYSV00000000",
	};
	struct vas *space = begin();
	struct vas_signal signal;
	uint8_t byte;

	(void)state;
	assert_call(space, vas_import(space, &region), 0);
	assert_call(space, vas_read(space, &byte, at(0), 1, &signal), -VAS_EFAULT);
	assert_int_equal(signal.signo, VAS_SIGBUS);
	unit_close(&unit, space);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bytes_come_back_across_pages),
		cmocka_unit_test(nothing_is_read_where_nothing_is_asked),
		cmocka_unit_test(it_stops_where_it_must_and_says_where),
		cmocka_unit_test(rights_decide),
		cmocka_unit_test(hostile_addresses),
		cmocka_unit_test(the_last_page),
		cmocka_unit_test(a_guard_is_as_if_nothing_were_there),
		cmocka_unit_test(a_stack_grows_down_to_where_it_is_used),
		cmocka_unit_test(an_opaque_mapping_has_nothing_behind_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
