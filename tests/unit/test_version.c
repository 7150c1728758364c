/* test_version.c - Linux versions as text, and ranges of them that stable updates cut.
 *
 * SPDX-License-Identifier: MIT */
#include "unit.h"

#include "target/target.h"
#include "target/version.h"

static void texts(void **state)
{
	char text[VERSION_TEXT];
	uint32_t version;

	(void)state;
	assert_true(version_parse("6.1.192", &version));
	assert_int_equal(version, VAS_LINUX(6, 1, 192));
	assert_string_equal(version_text(version, text), "6.1.192");
	assert_true(version_parse("6.1", &version));
	assert_int_equal(version, VAS_LINUX(6, 1));
	assert_string_equal(version_text(version, text), "6.1");
	assert_true(VAS_LINUX(6, 1, 192) < VAS_LINUX(6, 1) && VAS_LINUX(6, 1) < VAS_LINUX(6, 2, 0));
	assert_true(version_parse("2.6", &version) && version == VAS_LINUX(2, 6));
	assert_false(version_parse("", &version));
	assert_false(version_parse("6", &version));
	assert_false(version_parse("6.", &version));
	assert_false(version_parse("6.1.", &version));
	assert_false(version_parse("6.1.2.3", &version));
	assert_false(version_parse("6.1 ", &version));
	assert_false(version_parse(" 6.1", &version));
	assert_false(version_parse("-6.1", &version));
	assert_false(version_parse("256.1", &version));
	assert_false(version_parse("6.300", &version));
	assert_false(version_parse("6.1.65536", &version));
}

static void range_of(struct version_range *range, const char *since, const char *until)
{
	memset(range, 0, sizeof(*range));
	assert_true(!*since || version_bounds_parse(since, true, range));
	assert_true(!*until || version_bounds_parse(until, false, range));
}

static bool holds(const struct version_range *range, uint32_t version)
{
	return version_after(range, version) && version_before(range, version);
}

static void ranges(void **state)
{
	struct version_range range;

	(void)state;
	range_of(&range, "6.17", "");
	assert_false(holds(&range, VAS_LINUX(6, 16)));
	assert_true(holds(&range, VAS_LINUX(6, 17, 0)));
	range_of(&range, "", "6.17");
	assert_true(holds(&range, VAS_LINUX(6, 17, 13)));
	assert_false(holds(&range, VAS_LINUX(6, 18, 0)));
	assert_int_equal(version_within(&range, VAS_LINUX(7, 3)), VAS_LINUX(6, 17));
}

/* What was brought to older series is there from other levels on. */
static void updates(void **state)
{
	struct version_range range;

	(void)state;
	range_of(&range, "6.12.90 6.18.44 7.0", "");
	assert_false(holds(&range, VAS_LINUX(6, 12, 43)));
	assert_true(holds(&range, VAS_LINUX(6, 12, 90)));
	assert_false(holds(&range, VAS_LINUX(6, 13)));
	assert_false(holds(&range, VAS_LINUX(6, 18, 43)));
	assert_true(holds(&range, VAS_LINUX(6, 18)));
	assert_false(holds(&range, VAS_LINUX(6, 19, 14)));
	assert_true(holds(&range, VAS_LINUX(7, 0, 0)));
	assert_int_equal(version_within(&range, VAS_LINUX(6, 18, 5)), VAS_LINUX(6, 18, 44));
	range_of(&range, "", "6.12.43 6.18.15 6.19");
	assert_true(holds(&range, VAS_LINUX(6, 12, 43)));
	assert_false(holds(&range, VAS_LINUX(6, 12, 44)));
	assert_true(holds(&range, VAS_LINUX(6, 19, 14)));
	assert_true(holds(&range, VAS_LINUX(6, 17)));
	assert_false(holds(&range, VAS_LINUX(7, 0, 4)));
	assert_false(version_bounds_parse("", true, &range));
	assert_false(version_bounds_parse("6.18 6.12", true, &range));
	assert_false(version_bounds_parse("6.12, 6.18", true, &range));
}

static void asked_for(void **state)
{
	(void)state;
	assert_int_equal(version_like(VAS_LINUX(6, 18), VAS_LINUX(6, 18, 44)),
	                 VAS_LINUX(6, 18, 44));
	assert_int_equal(version_like(VAS_LINUX(6, 18, 5), VAS_LINUX(6, 18, 44)),
	                 VAS_LINUX(6, 18, 5));
	assert_int_equal(version_like(VAS_LINUX(6, 1), VAS_LINUX(6, 18, 44)), VAS_LINUX(6, 1));
	assert_true(version_is_judged(VAS_LINUX(6, 18, 1)));
	assert_false(version_is_judged(VAS_LINUX(5, 4)));
}

/* Letters of the kernel that vas does not print, or not so. */
static void flags(void **state)
{
	const char old[] = "rd wr mr mw me lo ?? ac sd ";
	char text[VAS_VMFLAGS_MAX];

	(void)state;
	assert_int_equal(vmflags_canonical(text, old, strlen(old)),
	                 strlen("rd wr mr mw me lo lf ac"));
	assert_string_equal(text, "rd wr mr mw me lo lf ac");
	assert_int_equal(vmflags_canonical(text, "", 0), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(texts),     cmocka_unit_test(ranges), cmocka_unit_test(updates),
		cmocka_unit_test(asked_for), cmocka_unit_test(flags),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
