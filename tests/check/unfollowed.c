/* unfollowed.c - what ends the following of a process, by name, to be run under `vas check`, which
 * has to say so: the calls after it are compared with nothing. What it execs is followed again.
 *
 * usage: unfollowed personality|set_mm|32-bit-call|aligned
 *
 * SPDX-License-Identifier: MIT */
#include <string.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static void map_some(void)
{
	for (int i = 0; i < 5; i++)
		mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static void break_off(const char *how)
{
	if (strcmp(how, "personality") == 0)
		personality(READ_IMPLIES_EXEC);
	else if (strcmp(how, "set_mm") == 0)
		prctl(PR_SET_MM, 0, 0, 0, 0);
	else if (strcmp(how, "aligned") == 0) /* where huge pages fit, since Linux 6.7 */
		for (int i = 0; i < 3; i++)
			munmap(mmap(NULL, 4 << 20, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
			       4 << 20);
	else if (strcmp(how, "32-bit-call") == 0)
		__asm__ volatile("int $0x80" : : "a"(45) /* brk */, "b"(0) : "memory");
}

int main(int argc, char **argv)
{
	if (argc > 1)
		break_off(argv[1]);
	map_some();
	personality(0);
	pid_t child = fork();
	if (child == 0) {
		execl("/bin/true", "true", (char *)NULL);
		_exit(1);
	}
	int status = 1;
	return waitpid(child, &status, 0) != child || status != 0;
}
