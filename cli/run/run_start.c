/* run_start.c - starts the program behind a filter that stops it at memory calls alone.
 *
 * SPDX-License-Identifier: MIT */
#if defined(__linux__) && defined(__x86_64__)
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "run/run.h"

enum { PROGRAM_MAX = 64, NOT_EXECUTABLE = 126, NOT_FOUND = 127 };

/* load, which architecture; load, which call; trace or allow. A program of 32 bits is not served:
 * none of its calls stops. */
static unsigned short make_filter(struct sock_filter *at)
{
	unsigned n = 0;

	if (run_ncalls + 6 > PROGRAM_MAX)
		abort(); /* the list of calls has outgrown it */
	at[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
	                                       offsetof(struct seccomp_data, arch));
	at[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 0,
	                                       (uint8_t)(run_ncalls + 1));
	at[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
	                                       offsetof(struct seccomp_data, nr));
	for (size_t i = 0; i < run_ncalls; i++)
		at[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, run_calls[i],
		                                       (uint8_t)(run_ncalls - i), 0);
	at[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	at[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRACE);
	return (unsigned short)n;
}

/* Who has CAP_SYS_ADMIN needs no no_new_privs. */
static bool install(void)
{
	struct sock_filter program[PROGRAM_MAX];
	struct sock_fprog filter = {.len = make_filter(program), .filter = program};

	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter) == 0)
		return true;
	return errno == EACCES && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
	       syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter) == 0;
}

/* Never returns. */
static void child(char **command, int go)
{
	char byte;

	if (read(go, &byte, 1) != 1)
		_exit(NOT_EXECUTABLE);
	if (!install()) {
		perror("vas run: no filter of system calls");
		_exit(NOT_EXECUTABLE);
	}
	execvp(command[0], command);
	fprintf(stderr, "vas run: %s: %s\n", command[0], strerror(errno));
	_exit(errno == ENOENT ? NOT_FOUND : NOT_EXECUTABLE);
}

/* If it may not be, it is only slower. */
static void stay_on_one_cpu(void)
{
	cpu_set_t set;
	int cpu = sched_getcpu();

	CPU_ZERO(&set);
	CPU_SET((unsigned)(cpu < 0 ? 0 : cpu), &set);
	(void)sched_setaffinity(0, sizeof(set), &set);
}

static bool seize(pid_t pid, int go)
{
	const unsigned long trace = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE |
	                            PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACEEXEC |
	                            PTRACE_O_TRACESECCOMP | PTRACE_O_EXITKILL;

	return ptrace(PTRACE_SEIZE, pid, NULL, trace) == 0 && write(go, "g", 1) == 1;
}

pid_t run_start(const struct run_options *options)
{
	int go[2];
	pid_t pid;

	if (pipe2(go, O_CLOEXEC) != 0) {
		perror("vas run: pipe");
		return -1;
	}
	if (options->one_cpu)
		stay_on_one_cpu();
	fflush(NULL);
	pid = fork();
	if (pid == 0)
		child(options->command, go[0]);
	close(go[0]);
	if (pid < 0 || !seize(pid, go[1])) {
		perror("vas run: cannot trace a child");
		if (pid > 0)
			kill(pid, SIGKILL);
		pid = -1;
	}
	close(go[1]);
	return pid;
}
#endif
