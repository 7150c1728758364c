/* test_machine.c - a setting of the machine that is not what it was is named.
 *
 * SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "target/target.h"
#include "unit.h"

static void test_nothing_changed(void **state)
{
	struct machine machine;
	(void)state;
	assert_true(machine_read(&machine));
	assert_null(machine_changes(&machine));
}

static void test_changes_are_named(void **state)
{
	struct machine machine;
	(void)state;
	assert_true(machine_read(&machine));
	machine.settings.max_map_count++;
	memcpy(machine.thp, "sometimes", sizeof("sometimes"));
	machine.settings.committed_elsewhere++; /* does so by itself */
	char *text = machine_changes(&machine);
	assert_non_null(text);
	assert_non_null(strstr(text, "vm.max_map_count "));
	assert_non_null(strstr(text, ", transparent_hugepage/enabled sometimes -> "));
	assert_null(strstr(text, "overcommit"));
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing_changed),
		cmocka_unit_test(test_changes_are_named),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
