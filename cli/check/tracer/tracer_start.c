/* tracer_start.c - starts the program: on one CPU, traced, behind a filter that stops only at the
 * calls of tracer_table.c.
 *
 * One CPU, because a stop then costs a switch of context instead of waking another CPU: 5 us
 * instead of 90.
 *
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check/tracer/tracer_internal.h"
#include "target/cpu.h"

#define CHOSEN_VALUES 6

/* Calls of which only some first or second arguments are of interest. Not all are in the headers
 * this may be built with. */
static const struct {
	long nr;
	unsigned arg;
	uint16_t test; /* BPF_JEQ: equal to one of the values; BPF_JSET: has bits of one */
	uint32_t values[CHOSEN_VALUES]; /* 0 ends */
} chosen[] = {
	/* clang-format off */
	{__NR_ioctl, 1, BPF_JEQ,
	 {0xc020aa00 /* UFFDIO_REGISTER */, 0x8010aa01 /* UFFDIO_UNREGISTER */}},
	{__NR_prctl, 0, BPF_JEQ,
	 {0x53564d41 /* PR_SET_VMA */, PR_GET_SECCOMP, 35 /* PR_SET_MM */, VAS_PR_SET_MDWE,
	  VAS_PR_SET_MEMORY_MERGE}},
#ifdef __NR_arch_prctl
	{__NR_arch_prctl, 0, BPF_JEQ, {0x5001 /* ARCH_SHSTK_ENABLE */}},
#endif
	{__NR_wait4, 2, BPF_JSET, {__WALL | WNOHANG}},
	{__NR_waitid, 3, BPF_JSET, {WNOHANG}},
	/* clang-format on */
};

#define FOREIGN_CALLS 7
/* clang-format off */
static const uint32_t i386_calls[FOREIGN_CALLS] = {
	45 /* brk */, 90 /* mmap */, 91 /* munmap */, 125 /* mprotect */, 163 /* mremap */,
	192 /* mmap2 */, 435 /* clone3 */,
};
/* clang-format on */
#define I386_CLONE 120

/* Numbers of x32 calls; above them there is only what no kernel knows, like -1. */
#define X32_FIRST 0x40000000u
#define X32_LAST 0x400003ffu
#define PROGRAM_MAX 256

struct program {
	struct sock_filter at[PROGRAM_MAX];
	unsigned short n;
};

static void put(struct program *program, uint16_t code, uint32_t k, uint8_t yes, uint8_t no)
{
	if (program->n == PROGRAM_MAX)
		abort(); /* the table of calls has outgrown it */
	program->at[program->n++] = (struct sock_filter){code, yes, no, k};
}

static void load(struct program *program, size_t offset)
{
	put(program, BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset, 0, 0);
}

static void stop_if(struct program *program, uint16_t test, uint32_t value, uint32_t data)
{
	put(program, BPF_JMP | test | BPF_K, value, 0, 1);
	put(program, BPF_RET | BPF_K, SECCOMP_RET_TRACE | data, 0, 0);
}

static bool is_chosen(long nr)
{
	for (size_t i = 0; i < sizeof(chosen) / sizeof(chosen[0]); i++)
		if (chosen[i].nr == nr)
			return true;
	return false;
}

bool start_wants(long nr, const uint64_t args[6])
{
	for (size_t i = 0; i < sizeof(chosen) / sizeof(chosen[0]); i++) {
		if (chosen[i].nr != nr)
			continue;
		for (int k = 0; k < CHOSEN_VALUES && chosen[i].values[k]; k++) {
			uint32_t value = chosen[i].values[k], arg = (uint32_t)args[chosen[i].arg];
			if (chosen[i].test == BPF_JSET ? arg & value : arg == value)
				return true;
		}
		return false;
	}
	return traced_find(nr) != NULL;
}

/* Memory calls, and the making of children that are to have no tracer (tracer_clone.c). */
static void filter_foreign(struct program *program)
{
	unsigned short start = program->n;
	put(program, BPF_JMP | BPF_JEQ | BPF_K, cpu_audit, 0, 0);
	load(program, offsetof(struct seccomp_data, nr));
	for (int i = 0; i < FOREIGN_CALLS; i++)
		stop_if(program, BPF_JEQ, i386_calls[i], FILTER_FOREIGN);
	put(program, BPF_JMP | BPF_JEQ | BPF_K, I386_CLONE, 0, 3);
	load(program, offsetof(struct seccomp_data, args));
	stop_if(program, BPF_JSET, CLONE_UNTRACED, FILTER_FOREIGN);
	put(program, BPF_RET | BPF_K, SECCOMP_RET_ALLOW, 0, 0);
	program->at[start].jt = (uint8_t)(program->n - start - 1);
}

static void make_filter(struct program *program, bool terminal)
{
	program->n = 0;
	load(program, offsetof(struct seccomp_data, arch));
	filter_foreign(program);
	load(program, offsetof(struct seccomp_data, nr));
	put(program, BPF_JMP | BPF_JGT | BPF_K, X32_LAST, 2, 0);
	put(program, BPF_JMP | BPF_JGE | BPF_K, X32_FIRST, 0, 1);
	put(program, BPF_RET | BPF_K, SECCOMP_RET_TRACE | FILTER_FOREIGN, 0, 0);
	for (size_t i = 0; i < traced_ncalls; i++)
		if (!is_chosen(traced_calls[i].nr))
			stop_if(program, BPF_JEQ, (uint32_t)traced_calls[i].nr, FILTER_NATIVE);
	for (size_t i = 0; terminal && i < TERMINAL_CALLS; i++)
		stop_if(program, BPF_JEQ, (uint32_t)terminal_calls[i], FILTER_TERMINAL);
	for (size_t i = 0; i < sizeof(chosen) / sizeof(chosen[0]); i++) {
		uint8_t n = 0;
		while (n < CHOSEN_VALUES && chosen[i].values[n])
			n++;
		put(program, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)chosen[i].nr, 0,
		    (uint8_t)(2 + 2 * n));
		load(program, offsetof(struct seccomp_data, args) + 8 * chosen[i].arg);
		for (uint8_t k = 0; k < n; k++)
			stop_if(program, chosen[i].test, chosen[i].values[k], FILTER_NATIVE);
		put(program, BPF_RET | BPF_K, SECCOMP_RET_ALLOW, 0, 0);
	}
	put(program, BPF_RET | BPF_K, SECCOMP_RET_ALLOW, 0, 0);
}

/* Who has CAP_SYS_ADMIN needs no no_new_privs, so root's programs keep their setuid behaviour. */
static int install(struct program *program)
{
	struct sock_fprog filter = {program->n, program->at};
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter) == 0)
		return 0;
	if (errno != EACCES || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		return -1;
	return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter);
}

/* Never returns. Tells the parent errno and what failed if the program cannot be run. */
static void child(struct program *program, char **argv, int go, int report)
{
	struct {
		int error, filter;
	} failure;
	char byte;
	if (read(go, &byte, 1) != 1)
		_exit(127);
	failure.filter = install(program) != 0;
	if (!failure.filter)
		execvp(argv[0], argv);
	failure.error = errno;
	if (write(report, &failure, sizeof(failure)) != sizeof(failure))
		_exit(126);
	_exit(127);
}

/* If it may not be, it is only slower. */
static void stay_on_one_cpu(struct tracer *tracer)
{
	cpu_set_t set, former;
	int cpu = sched_getcpu();
	CPU_ZERO(&set);
	CPU_SET((unsigned)(cpu < 0 ? 0 : cpu), &set);
	if (sched_getaffinity(0, sizeof(former), &former) == 0 &&
	    sched_setaffinity(0, sizeof(set), &set) == 0)
		tracer->cpus = former;
}

/* Returns the child, seized and waiting for `*report` to be read: see tracer.c. -1: *error. */
pid_t tracer_start(struct tracer *tracer, char **argv, int *report)
{
	static const unsigned long trace = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE |
	                                   PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK |
	                                   PTRACE_O_TRACEEXEC | PTRACE_O_TRACEEXIT |
	                                   PTRACE_O_TRACESECCOMP | PTRACE_O_EXITKILL;
	struct program program;
	int go[2], failure[2];
	make_filter(&program, tracer->progress.fd >= 0);
	if (pipe2(go, O_CLOEXEC) != 0 || pipe2(failure, O_CLOEXEC) != 0)
		return -1;
	if (!tracer->options.all_cpus)
		stay_on_one_cpu(tracer);
	pid_t pid = fork();
	if (pid == 0)
		child(&program, argv, go[0], failure[1]);
	close(go[0]);
	close(failure[1]);
	*report = failure[0];
	if (pid < 0)
		return -1;
	if (ptrace(PTRACE_SEIZE, pid, NULL, trace) != 0 || write(go[1], "g", 1) != 1) {
		int saved = errno;
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		errno = saved;
		return -1;
	}
	close(go[1]);
	return pid;
}
