/* vas_host on a host whose errors have other numbers than Linux's: it answers Linux's.
 *
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include <errno.h>

#undef EBADF
#define EBADF 1009
#undef ENOSPC
#define ENOSPC 1028
#undef EOVERFLOW
#define EOVERFLOW 9 /* another's here */

#include "../../ports/host/posix.c"

#include "unit.h"

static void errors_have_linux_numbers(void **state)
{
	(void)state;
	errno = EBADF;
	assert_int_equal(host_error(), -VAS_EBADF);
	errno = ENOSPC;
	assert_int_equal(host_error(), -28);
	errno = EOVERFLOW;
	assert_int_equal(host_error(), -VAS_EOVERFLOW);
	errno = EACCES;
	assert_int_equal(host_error(), -VAS_EACCES);
}

static void an_error_without_a_name_is_eio(void **state)
{
	(void)state;
	errno = 4000;
	assert_int_equal(host_error(), -VAS_EIO);
	errno = 0;
	assert_int_equal(host_error(), -VAS_EIO);
}

/* On Linux both are the same, so a wrong number in the table shows. */
static void numbers_are_those_of_linux(void **state)
{
	(void)state;
	for (size_t i = 0; i < NERRNOS; i++) {
		int64_t number = errnos[i].linux_number;

		if (errnos[i].host < 1000 && number != 75)
			assert_int_equal(errnos[i].host, number);
	}
}

static void words_are_the_hosts(void **state)
{
	(void)state;
	assert_string_equal(error_words(-VAS_EACCES), strerror(EACCES));
	assert_string_equal(error_words(-4000), strerror(EIO));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(errors_have_linux_numbers),
		cmocka_unit_test(an_error_without_a_name_is_eio),
		cmocka_unit_test(numbers_are_those_of_linux),
		cmocka_unit_test(words_are_the_hosts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
