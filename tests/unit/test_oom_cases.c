/* Every case of tests/cases again on vas, with memory running out somewhere in the middle: whatever
 * its calls then answer, the spaces stay sound and no frame is lost.
 *
 * SPDX-License-Identifier: MIT */
#include "unit.h"

#include <ftw.h>

#include "target/script.h"
#include "space/space.h"
#include "target/target.h"

static char cases_dir[512];
static unsigned nscripts, nruns;

static void machine_for(const struct script *script, struct machine *machine)
{
	memset(machine, 0, sizeof(*machine));
	vas_settings_default(&machine->settings, (uint64_t)4 << 20);
	machine->version = version_within(&script->range, VAS_LINUX_LATEST);
	machine->settings.shmem_thp = shmem_is_huge(script->needs_shmem);
	if (!strcmp(script->needs_thp, "always"))
		machine->settings.thp_enabled = VAS_THP_ALWAYS;
	else if (!strcmp(script->needs_thp, "madvise"))
		machine->settings.thp_enabled = VAS_THP_MADVISE;
	machine_set_format(machine, machine_format_find("x86_64"));
}

/* All lines, whatever they answer. */
static void run_lines(const struct script *script, struct target *target)
{
	for (size_t i = 0; i < script->count; i++) {
		struct answer answer;

		if (script->lines[i].word.word)
			continue;
		memset(&answer, 0, sizeof(answer));
		if (!target->ops->call(target, &script->lines[i].call, &answer))
			fail_msg("%s:%u: the target broke", script->path, script->lines[i].number);
		answer_free(&answer);
		if (target_vas_check_spaces(target))
			fail_msg("%s:%u: %s", script->path, script->lines[i].number,
			         target_vas_check_spaces(target));
	}
}

/* True when n allocations are enough for all of the script. */
static bool run_out(const struct script *script, int64_t n)
{
	struct machine machine;
	struct target *target;
	struct vas_system *system;
	const char *wrong;
	bool enough;

	machine_for(script, &machine);
	target = target_vas_create(&machine, NULL);
	assert_non_null(target);
	system = vas_system_of(target_vas_space(target));
	vas_system_fail_after(system, n);
	run_lines(script, target);
	enough = system->frames.fail_after > 0;
	vas_system_fail_after(system, -1);
	wrong = target_vas_check(target);
	if (wrong)
		fail_msg("%s, failing after %lld: %s", script->path, (long long)n, wrong);
	target->ops->destroy(target);
	nruns++;
	return enough;
}

/* Two numbers for every third script, others for each; with VAS_OOM_ALL in the environment, all
 * numbers for all. */
static int visit(const char *path, const struct stat *status, int type, struct FTW *where)
{
	const char *dot = strrchr(path, '.');
	struct script script;
	int64_t n = getenv("VAS_OOM_ALL") ? 0 : nscripts % 17, last = 3 * n + 5;

	(void)status;
	(void)where;
	if (type != FTW_F || !dot || strcmp(dot, ".strace") != 0)
		return 0;
	if (nscripts++ % 3 && !getenv("VAS_OOM_ALL"))
		return 0;
	if (!script_read(path, &script))
		return -1;
	if (getenv("VAS_OOM_ALL")) {
		while (n < 5000 && !run_out(&script, n))
			n++;
	} else if (!run_out(&script, n)) {
		run_out(&script, last);
	}
	script_free(&script);
	return 0;
}

static void every_case_survives_running_out_of_memory(void **state)
{
	(void)state;
	assert_int_equal(nftw(cases_dir, visit, 16, FTW_PHYS), 0);
	assert_true(nscripts > 100);
	print_message("%u cases, %u runs\n", nscripts, nruns);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_case_survives_running_out_of_memory),
	};

	/* Beside this file. */
	snprintf(cases_dir, sizeof(cases_dir), "%.*s/../cases",
	         (int)(strrchr(__FILE__, '/') - __FILE__), __FILE__);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
