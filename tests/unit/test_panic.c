/* A broken assert in the program says which it is, and ends it by an abort.
 *
 * SPDX-License-Identifier: MIT */
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "panic.h"
#include "unit.h"

static void one_line_and_an_abort(void **state)
{
	(void)state;
	char text[200] = "";
	int out[2], status;
	assert_int_equal(pipe(out), 0);
	pid_t child = fork();
	if (child == 0) {
		struct rlimit no_core = {0, 0};
		setrlimit(RLIMIT_CORE, &no_core);
		signal(SIGABRT, SIG_DFL);
		dup2(out[1], 2);
		vas_panic("src/vma.c", 7, "start < end");
	}
	close(out[1]);
	assert_true(read(out[0], text, sizeof(text) - 1) > 0);
	assert_string_equal(text, "vas: src/vma.c:7: this must hold and does not: start < end\n");
	close(out[0]);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_line_and_an_abort),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
