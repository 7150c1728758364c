/* seen.c - prints what a program can see of itself and of its children, to be run alone and under
 * `vas check`: it must be the same. (seen.sh; what is not, docs/check.md names.)
 *
 * SPDX-License-Identifier: MIT */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CHILDREN 60
#define PAGE 4096u

/* ---- Children -------------------------------------------------------------------------------- */

static void *exit_early(void *arg)
{
	return arg;
}

/* By exit, by exit beside a thread, by a signal of its own, by one from outside. */
static pid_t make_child(int how)
{
	pthread_t thread;
	pid_t child = fork();
	if (child)
		return child;
	mmap(NULL, 2 * PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (how == 1)
		pthread_create(&thread, NULL, exit_early, NULL);
	if (how == 2)
		raise(SIGKILL);
	if (how == 3)
		pause();
	_exit(0);
}

/* As soon as a pidfd says that a child is gone, it can be waited for. */
static void poll_then_wait(void)
{
	int missed[4] = {0, 0, 0, 0}, status;
	for (int i = 0; i < CHILDREN; i++) {
		pid_t child = make_child(i % 4);
		struct pollfd poll_fd = {(int)syscall(SYS_pidfd_open, child, 0), POLLIN, 0};
		if (i % 4 == 3)
			kill(child, SIGKILL);
		poll(&poll_fd, 1, -1);
		close(poll_fd.fd);
		if (waitpid(child, &status, WNOHANG) == child)
			continue;
		missed[i % 4]++;
		waitpid(child, &status, 0);
	}
	for (int i = 0; i < 4; i++)
		printf("missed after poll: %d\n", missed[i]);
}

/* The same with SIGCHLD, which says whose it is. */
static void signal_then_wait(void)
{
	int missed = 0, strange = 0;
	sigset_t set, old;
	siginfo_t info;
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, &old);
	for (int i = 0; i < CHILDREN; i++) {
		pid_t child = make_child(i % 3);
		sigwaitinfo(&set, &info);
		strange += info.si_pid != child ||
		           info.si_code != (i % 3 == 2 ? CLD_KILLED : CLD_EXITED);
		if (waitid(P_PID, (id_t)child, &info, WEXITED | WNOHANG | WNOWAIT) != 0 ||
		    info.si_pid != child)
			missed++;
		waitpid(child, NULL, 0);
	}
	sigprocmask(SIG_SETMASK, &old, NULL);
	printf("missed after SIGCHLD: %d, strange ones: %d\n", missed, strange);
}

/* The end of a pipe tells of a child's end, too; then it may not be dead yet, but is soon. */
static void stop_and_go_on(void)
{
	int status;
	pid_t child = make_child(3);
	kill(child, SIGSTOP);
	waitpid(child, &status, WUNTRACED);
	printf("stopped: %x\n", (unsigned)status);
	kill(child, SIGCONT);
	waitpid(child, &status, WCONTINUED);
	printf("continued: %x\n", (unsigned)status);
	kill(child, SIGTERM);
	waitpid(child, &status, 0);
	printf("ended: %x\n", (unsigned)status);
}

static void share_with_vfork(void)
{
	volatile int seen = 0;
	pid_t child = vfork();
	if (child == 0) {
		seen = 1;
		_exit(3);
	}
	int status = 0;
	waitpid(child, &status, 0);
	printf("vfork: %d %x\n", seen, (unsigned)status);
}

/* ---- Signals --------------------------------------------------------------------------------- */

static volatile sig_atomic_t arrived;
static siginfo_t arrived_with;

static void handle(int signal, siginfo_t *info, void *context)
{
	(void)context;
	arrived = signal;
	arrived_with = *info;
}

static void interrupt(int flags)
{
	struct sigaction action = {.sa_sigaction = handle, .sa_flags = SA_SIGINFO | flags};
	struct timespec pause_for = {5, 0};
	sigaction(SIGALRM, &action, NULL);
	ualarm(2000, 2000); /* again and again: the first may come before the sleep */
	int slept = nanosleep(&pause_for, NULL), error = errno;
	ualarm(0, 0);
	printf("interrupted: %d %d by %d\n", slept, error, (int)arrived);
}

static void fault(void)
{
	struct sigaction action = {.sa_sigaction = handle, .sa_flags = SA_SIGINFO | SA_RESETHAND};
	pid_t child = fork();
	if (child == 0) {
		char *volatile nowhere = (char *)16; /* the compiler must not know */
		sigaction(SIGSEGV, &action, NULL);
		*(volatile char *)nowhere = 1;
	}
	int status = 0;
	waitpid(child, &status, 0);
	printf("fault: %x\n", (unsigned)status & 0x7f);
}

static void dispositions(void)
{
	for (int i = 1; i < 64; i++) {
		struct sigaction action;
		if (sigaction(i, NULL, &action) == 0 && action.sa_handler != SIG_DFL)
			printf("signal %d: %s\n", i,
			       action.sa_handler == SIG_IGN ? "ignored" : "handled");
	}
}

/* ---- Itself ---------------------------------------------------------------------------------- */

static int is_other(const char *line)
{
	static const char *const others[] = {
		"Tgid",   "Ngid",   "Pid",    "PPid", "TracerPid", "NStgid",     "NSpid",
		"NSpgid", "NSsid",  "Vm",     "Rss",  "HugetlbP",  "Seccomp",    "Cpus_allowed",
		"volun",  "nonvol", "FDSize", "SigQ", "Specul",    "x86_Thread", "Mems"};
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		if (strncmp(line, others[i], strlen(others[i])) == 0)
			return 1;
	return 0;
}

static void print_status(void)
{
	char line[512];
	FILE *file = fopen("/proc/self/status", "re");
	while (file && fgets(line, sizeof(line), file))
		if (!is_other(line))
			fputs(line, stdout);
	if (file)
		fclose(file);
}

static void print_descriptors(void)
{
	for (int fd = 0; fd < 64; fd++)
		if (fcntl(fd, F_GETFD) >= 0)
			printf("descriptor %d: %x\n", fd, (unsigned)fcntl(fd, F_GETFL) & O_ACCMODE);
}

static void print_limits(void)
{
	for (int i = 0; i < RLIM_NLIMITS; i++) {
		struct rlimit limit = {0, 0};
		getrlimit((__rlimit_resource_t)i, &limit);
		printf("limit %d: %llx %llx\n", i, (unsigned long long)limit.rlim_cur,
		       (unsigned long long)limit.rlim_max);
	}
}

static void print_self(void)
{
	cpu_set_t set;
	CPU_ZERO(&set);
	int got = (int)syscall(SYS_sched_getaffinity, 0, sizeof(set), &set);
	printf("cpus: %d in %d bytes\n", CPU_COUNT(&set), got);
	printf("scheduler: %d, nice %d\n", sched_getscheduler(0), getpriority(PRIO_PROCESS, 0));
	printf("umask %o, personality %x, secure %lu\n", (unsigned)umask(0),
	       (unsigned)personality(0xffffffff), getauxval(AT_SECURE));
	printf("dumpable %d, subreaper %d, slack %d, keepcaps %d\n", prctl(PR_GET_DUMPABLE),
	       prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), prctl(PR_GET_TIMERSLACK),
	       prctl(PR_GET_KEEPCAPS));
	printf("seccomp %d\n", prctl(PR_GET_SECCOMP));
}

int main(void)
{
	setvbuf(stdout, NULL, _IOFBF, 1 << 16);
	dispositions();
	print_self();
	print_status();
	print_descriptors();
	print_limits();
	fflush(stdout);
	poll_then_wait();
	signal_then_wait();
	stop_and_go_on();
	share_with_vfork();
	interrupt(0);
	interrupt(SA_RESTART);
	fault();
	return 0;
}
