/* stub.c - makes and drives the traced process of the kernel side.
 *
 * Tracer and process share one CPU: a switch between them costs a tenth of what waking another CPU
 * does. Whatever the process does, it can only stop; nothing here trusts an address it was given.
 *
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "target/stub.h"

#include <stdio.h>

#include "target/cpu.h"
#include "target/event.h"

#ifdef VAS_CPU

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stddef.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct stub {
	pid_t pid;
	int mem;             /* /proc/PID/mem */
	unsigned char *page; /* the stub page as the tracer sees it and writes it */
	bool forked;         /* the page is its parent's */
	pid_t born;          /* by its last fork */
	struct user_regs_struct rest;
	struct stub_origin origin;
	cpu_set_t affinity; /* the tracer's own, given back at the end */
	bool pinned;
};

static uint64_t page_size(void)
{
	return (uint64_t)sysconf(_SC_PAGESIZE);
}

/* Where the process has the page. */
static uint64_t here(void)
{
	return stub_addr(page_size());
}

pid_t stub_pid(const struct stub *stub)
{
	return stub->pid;
}

const struct stub_origin *stub_origin(const struct stub *stub)
{
	return &stub->origin;
}

/* ---- The program ----------------------------------------------------------------------------- */

static void put(unsigned char *page, unsigned at, struct stub_piece piece)
{
	if (piece.len > 0)
		memcpy(page + at, piece.bytes, piece.len);
}

static void put_code(unsigned char *page)
{
	const struct stub_code code = cpu_code();
	put(page, AT_SYSCALL, code.system_call);
	put(page, AT_DONE, code.done);
	put(page, AT_LOAD, code.load);
	put(page, AT_STORE, code.store);
	put(page, AT_TOUCH, code.touch);
	put(page, AT_JUMP, code.jump);
	put(page, AT_NEXT, code.next);
}

/* The tracer has the page mapped too and writes what is to be done next into it; the process sees
 * it there, for it never writes the page itself. What it forks shares the page, for only one of
 * them runs at a time. */
static void build_image(unsigned char *page)
{
	Elf64_Ehdr header = {
		.e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB,
	                    EV_CURRENT},
		.e_type = ET_EXEC,
		.e_machine = cpu_elf,
		.e_version = EV_CURRENT,
		.e_entry = here() + AT_NEXT,
		.e_phoff = sizeof(header),
		.e_ehsize = sizeof(header),
		.e_phentsize = sizeof(Elf64_Phdr),
		.e_phnum = 2,
	};
	Elf64_Phdr segment[2] = {
		{.p_type = PT_LOAD,
	         .p_flags = PF_R | PF_X,
	         .p_vaddr = here(),
	         .p_filesz = page_size(),
	         .p_memsz = page_size(),
	         .p_align = page_size()},
		{.p_type = PT_GNU_STACK, .p_flags = PF_R | PF_W, .p_align = 16},
	};
	memset(page, 0, page_size());
	memcpy(page, &header, sizeof(header));
	memcpy(page + sizeof(header), segment, sizeof(segment));
	put_code(page);
}

/* The page, as a memory file that the child executes and the tracer keeps mapped. */
static int make_image(struct stub *stub)
{
	/* MFD_EXEC where the machine demands it said; older kernels do not know it */
	int fd = memfd_create("vas-stub", MFD_CLOEXEC | 0x10u);
	if (fd < 0)
		fd = memfd_create("vas-stub", MFD_CLOEXEC);
	void *page = MAP_FAILED;
	if (fd >= 0 && ftruncate(fd, (off_t)page_size()) == 0)
		page = mmap(NULL, page_size(), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (page == MAP_FAILED) {
		fprintf(stderr, "vas: cannot make the stub program: %s\n", strerror(errno));
		if (fd >= 0)
			(void)close(fd);
		return -1;
	}
	stub->page = page;
	build_image(stub->page);
	return fd;
}

/* ---- Starting: the child's side -------------------------------------------------------------- */

/* Why the child could not become the stub: its exit status. */
static const char *const start_steps[] = {
	"die with its parent",
	"leave the terminal",
	"switch randomisation off",
	"redirect its descriptors",
	"set its limits",
	"be traced",
	"run the stub",
};

static bool redirect_descriptors(void)
{
	int null = open("/dev/null", O_RDWR);
	if (null < 0)
		return false;
	for (int fd = 0; fd < 3; fd++)
		if (dup2(null, fd) < 0)
			return false;
	/* close_range(2) with CLOSE_RANGE_CLOEXEC, from Linux 5.11 on */
	if (syscall(SYS_close_range, 3u, ~0u, 4u) == 0)
		return true;
	for (int fd = 3; fd < 1024; fd++)
		if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 && errno != EBADF)
			return false;
	return true;
}

/* As vas_params_default; a hard limit that may not be raised stays as it is. */
static bool set_limits(void)
{
	static const struct {
		__rlimit_resource_t resource;
		struct rlimit limit;
	} wanted[] = {
		{RLIMIT_AS, {RLIM_INFINITY, RLIM_INFINITY}},
		{RLIMIT_DATA, {RLIM_INFINITY, RLIM_INFINITY}},
		{RLIMIT_STACK, {8u << 20, RLIM_INFINITY}},
		{RLIMIT_MEMLOCK, {8u << 20, 8u << 20}},
		{RLIMIT_NOFILE, {1024, 1024}}, /* not memory's, but both sides must have the same */
		{RLIMIT_CORE, {0, 0}},
	};
	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
		struct rlimit limit = wanted[i].limit, old;
		if (setrlimit(wanted[i].resource, &limit) == 0)
			continue;
		if (errno != EPERM || getrlimit(wanted[i].resource, &old) < 0)
			return false;
		limit.rlim_max = old.rlim_max;
		limit.rlim_cur = limit.rlim_cur < old.rlim_max ? limit.rlim_cur : old.rlim_max;
		if (setrlimit(wanted[i].resource, &limit) < 0)
			return false;
	}
	return true;
}

_Noreturn static void become_stub(int image)
{
	static char name[] = "vas-stub";
	char *argv[] = {name, NULL}, *envp[] = {NULL};
	int step = 1;
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		_exit(step);
	step++;
	if (setpgid(0, 0) < 0) /* so that ^C is the tracer's alone */
		_exit(step);
	step++;
	if (personality(ADDR_NO_RANDOMIZE) < 0)
		_exit(step);
	step++;
	if (!redirect_descriptors())
		_exit(step);
	step++;
	if (!set_limits())
		_exit(step);
	step++;
	if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0)
		_exit(step);
	step++;
	(void)syscall(SYS_execveat, image, "", argv, envp, AT_EMPTY_PATH);
	_exit(step);
}

/* ---- Running it ------------------------------------------------------------------------------ */

static bool broke(const struct stub *stub, const char *what)
{
	fprintf(stderr, "vas: kernel side, process %d: %s\n", (int)stub->pid, what);
	return false;
}

static bool died(struct stub *stub, int status)
{
	char what[80];
	if (WIFSIGNALED(status))
		(void)snprintf(what, sizeof(what), "killed by signal %d", WTERMSIG(status));
	else
		(void)snprintf(what, sizeof(what), "exited with status %d", WEXITSTATUS(status));
	stub->pid = -stub->pid; /* reaped: nothing to kill any more */
	fprintf(stderr, "vas: kernel side, process %d: %s\n", (int)-stub->pid, what);
	return false;
}

/* It has stopped because a fork made a child. */
static bool note_child(struct stub *stub, int event)
{
	unsigned long pid;
	if (!event_message(stub->pid, event, &pid))
		return broke(stub, "it has been killed");
	stub->born = (pid_t)pid;
	return true;
}

/* Waits for one of the signals that the stub's own instructions raise, into *signo. Others come
 * from outside and are dropped; the process goes on as `request` says. */
static bool wait_stop(struct stub *stub, enum __ptrace_request request, int *signo)
{
	for (;;) {
		int status;
		pid_t pid = waitpid(stub->pid, &status, __WALL);
		if (pid < 0 && errno == EINTR)
			continue;
		if (pid < 0)
			return broke(stub, strerror(errno));
		if (!WIFSTOPPED(status))
			return died(stub, status);
		*signo = status >> 16 ? 0 : WSTOPSIG(status);
		if (*signo == SIGTRAP || *signo == SIGSEGV || *signo == SIGBUS ||
		    *signo == SIGILL || *signo == SIGFPE)
			return true;
		if (status >> 16 && !note_child(stub, status >> 16))
			return false;
		if (ptrace(request, stub->pid, NULL, NULL) < 0)
			return broke(stub, strerror(errno));
	}
}

static bool resume(struct stub *stub, enum __ptrace_request request, int *signo)
{
	if (stub->pid <= 0)
		return broke(stub, "it has died");
	if (ptrace(request, stub->pid, NULL, NULL) < 0)
		return broke(stub, strerror(errno));
	return wait_stop(stub, request, signo);
}

static bool set_registers(struct stub *stub, const struct user_regs_struct *regs)
{
	return cpu_set(stub->pid, regs) || broke(stub, strerror(errno));
}

/* Leaves whatever the process stopped in: it goes on with the next order. */
static bool rewind_stub(struct stub *stub)
{
	return cpu_rewind(stub->pid, &stub->rest) || broke(stub, strerror(errno));
}

static bool get_signal(struct stub *stub, struct vas_signal *signal)
{
	siginfo_t info;
	if (ptrace(PTRACE_GETSIGINFO, stub->pid, NULL, &info) < 0)
		return broke(stub, strerror(errno));
	signal->signo = info.si_signo;
	signal->code = info.si_code;
	signal->addr = (uint64_t)(uintptr_t)info.si_addr;
	return true;
}

/* What the process is to carry out. */
static struct order order_of(const struct stub_order *order)
{
	static const unsigned code[] = {
		[STUB_SYSCALL] = AT_SYSCALL,
		[STUB_LOAD] = AT_LOAD,
		[STUB_STORE] = AT_STORE,
		[STUB_TOUCH] = AT_TOUCH,
	};
	struct order made = {here() + code[order->kind], order->number, {0}};
	memcpy(made.arg, order->arg, sizeof(made.arg));
	if (order->kind == STUB_TOUCH)
		made.number &= ~(uint64_t)(cpu_touched - 1);
	return made;
}

/* The order in which the process has stopped. */
static bool failed(struct stub *stub, const struct stub_order *order, struct vas_signal *signal)
{
	if (order->kind == STUB_SYSCALL)
		return broke(stub, "the stub page is gone; the call before destroyed it");
	if (!get_signal(stub, signal) || !rewind_stub(stub))
		return false;
	if (signal->addr == order_of(order).number)
		signal->addr = order->number;
	return true;
}

/* From one stop to the next; *done tells how many orders that was. */
static bool run(struct stub *stub, const struct stub_order *order, unsigned count,
                struct stub_outcome *outcome, unsigned *done)
{
	struct order made[CPU_ORDERS_MAX + 1];
	uint64_t value[CPU_ORDERS_MAX] = {0};
	int signo;
	for (unsigned i = 0; i < count; i++)
		made[i] = order_of(&order[i]);
	if (stub->pid > 0 && !cpu_give_orders(stub->pid, &stub->rest, stub->page, made, count))
		return broke(stub, strerror(errno));
	if (!resume(stub, PTRACE_CONT, &signo))
		return false;
	if (!cpu_results(stub->pid, here(), count, signo == SIGTRAP, value, done))
		return broke(stub, strerror(errno));
	if (*done > count || (*done == count) != (signo == SIGTRAP))
		return broke(stub, "it has not done what it was to");
	for (unsigned i = 0; i < *done; i++)
		outcome[i] = (struct stub_outcome){.value = (int64_t)value[i]};
	if (*done == count)
		return true;
	unsigned last = (*done)++;
	outcome[last] = (struct stub_outcome){0};
	return failed(stub, &order[last], &outcome[last].signal);
}

bool stub_carry_out(struct stub *stub, const struct stub_order *order, unsigned count,
                    struct stub_outcome *outcome)
{
	while (count > 0) {
		unsigned done, most = count < cpu_orders ? count : cpu_orders;
		if (!run(stub, order, most, outcome, &done))
			return false;
		order += done;
		outcome += done;
		count -= done;
	}
	return true;
}

bool stub_syscall(struct stub *stub, long number, const uint64_t arg[6], int64_t *result)
{
	struct stub_order order = {STUB_SYSCALL, (uint64_t)number, {0}};
	struct stub_outcome outcome;
	memcpy(order.arg, arg, sizeof(order.arg));
	if (!stub_carry_out(stub, &order, 1, &outcome))
		return false;
	*result = outcome.value;
	return true;
}

/* What was resumed and may run for ever is stopped after a while, by a signal as a breakpoint's. */
static void hurry(const struct stub *stub)
{
	const struct timespec pause = {.tv_nsec = 500 * 1000};
	for (int i = 0; i < 200; i++) {
		siginfo_t info = {0};
		const int what = WEXITED | WSTOPPED | WNOHANG | WNOWAIT;
		if (waitid(P_PID, (id_t)stub->pid, &info, what) < 0 || info.si_pid)
			return;
		(void)nanosleep(&pause, NULL);
	}
	(void)kill(stub->pid, SIGTRAP);
}

/* One instruction. */
static bool step(struct stub *stub, struct user_regs_struct *regs, int *signo)
{
	enum __ptrace_request request = cpu_step(regs);
	if (!set_registers(stub, regs))
		return false;
	if (ptrace(request, stub->pid, NULL, NULL) < 0)
		return broke(stub, strerror(errno));
	if (!cpu_steps)
		hurry(stub);
	return wait_stop(stub, request, signo);
}

static bool jump(struct stub *stub, uint64_t addr, struct vas_signal *signal)
{
	struct user_regs_struct regs = stub->rest;
	int signo;
	cpu_set_jump(&regs, here(), addr);
	if (!step(stub, &regs, &signo))
		return false;
	return signo == SIGTRAP || get_signal(stub, signal);
}

/* One instruction with all registers harmless. A signal is the fetch's own if it names its address;
 * else the fetch went well and what was fetched did not. */
static bool step_at(struct stub *stub, uint64_t at, struct vas_signal *signal)
{
	struct user_regs_struct regs = stub->rest;
	int signo;
	cpu_set_harmless(&regs, at);
	if (!step(stub, &regs, &signo) || (signo != SIGTRAP && !get_signal(stub, signal)))
		return false;
	if (signal->addr != at || signal->code <= 0 || signal->code == VAS_SI_KERNEL ||
	    (signo != SIGSEGV && signo != SIGBUS))
		signal->signo = 0;
	return true;
}

/* A processor that cannot be stopped after one instruction may have stopped in a system call: it
 * leaves that, and comes to rest. */
static bool leave(struct stub *stub)
{
	int signo;
	if (!rewind_stub(stub))
		return false;
	return cpu_steps || (resume(stub, PTRACE_CONT, &signo) &&
	                     (signo == SIGTRAP || broke(stub, "it cannot be brought to rest")));
}

bool stub_fetch(struct stub *stub, uint64_t addr, uint64_t at, struct vas_signal *signal)
{
	if (at == addr)
		at = cpu_fetch_at(addr, page_size());
	*signal = (struct vas_signal){0};
	if (cpu_jump_from && addr >= cpu_jump_from && !jump(stub, addr, signal))
		return false;
	if (!signal->signo) {
		if (!step_at(stub, at, signal))
			return false;
		if (signal->signo)
			signal->addr = addr;
	}
	return leave(stub);
}

bool stub_put(struct stub *stub, size_t offset, const void *data, size_t len, uint64_t *addr)
{
	*addr = here() + STUB_SCRATCH + offset;
	if (offset > STUB_SCRATCH_LEN || len > STUB_SCRATCH_LEN - offset)
		return broke(stub, "an argument does not fit into the stub page");
	memcpy(stub->page + STUB_SCRATCH + offset, data, len);
	return true;
}

bool stub_peek(struct stub *stub, uint64_t addr, void *data, size_t len)
{
	return addr <= INT64_MAX && pread(stub->mem, data, len, (off_t)addr) == (ssize_t)len;
}

/* ---- Starting: the tracer's side ------------------------------------------------------------- */

/* Only speed depends on it, so a machine that does not let us choose is none the worse. */
static void pin(struct stub *stub)
{
	cpu_set_t one;
	int cpu = sched_getcpu();
	if (cpu < 0 || sched_getaffinity(0, sizeof(stub->affinity), &stub->affinity) < 0)
		return;
	CPU_ZERO(&one);
	CPU_SET((size_t)cpu, &one);
	stub->pinned = sched_setaffinity(0, sizeof(one), &one) == 0;
}

static FILE *open_proc(const struct stub *stub, const char *file)
{
	char path[64];
	(void)snprintf(path, sizeof(path), "/proc/%d/%s", (int)stub->pid, file);
	FILE *stream = fopen(path, "re");
	if (!stream)
		fprintf(stderr, "vas: %s: %s\n", path, strerror(errno));
	return stream;
}

/* /proc/PID/stat: the fields behind the name, which may hold anything, end at the last ')'. */
static bool read_origin(struct stub *stub)
{
	enum { STATE = 3, START_STACK = 28, START_DATA = 45, END_DATA = 46, START_BRK = 47 };
	uint64_t field[START_BRK + 1] = {0};
	char text[2048], *at;
	FILE *stream = open_proc(stub, "stat");
	if (!stream)
		return false;
	size_t len = fread(text, 1, sizeof(text) - 1, stream);
	(void)fclose(stream);
	text[len] = '\0';
	at = strrchr(text, ')');
	for (int i = STATE; at && i <= START_BRK; i++) {
		at = strchr(at + 1, ' ');
		if (at)
			field[i] = strtoull(at + 1, NULL, 10);
	}
	if (!at)
		return broke(stub, "/proc/PID/stat is not as expected");
	stub->origin.start_brk = field[START_BRK];
	stub->origin.start_stack = field[START_STACK];
	stub->origin.data_len = field[END_DATA] - field[START_DATA];
	return true;
}

/* Unmaps what exec gave the process beside the stub page: stack, vdso, vvar. The vsyscall page is
 * not the process's own and stays. */
static bool unmap_rest(struct stub *stub)
{
	char line[512];
	bool good = true;
	FILE *stream = open_proc(stub, "maps");
	if (!stream)
		return false;
	while (good && fgets(line, sizeof(line), stream)) {
		uint64_t start, end;
		int64_t result = 0;
		if (sscanf(line, "%" SCNx64 "-%" SCNx64, &start, &end) != 2)
			good = broke(stub, "/proc/PID/maps is not as expected");
		else if (start != here() && start >> 63 == 0)
			good = stub_syscall(stub, SYS_munmap, (uint64_t[6]){start, end - start},
			                    &result);
		if (good && result != 0)
			good = broke(stub, "what exec mapped cannot be unmapped");
	}
	(void)fclose(stream);
	return good;
}

static bool open_memory(struct stub *stub)
{
	char path[64];
	(void)snprintf(path, sizeof(path), "/proc/%d/mem", (int)stub->pid);
	stub->mem = open(path, O_RDONLY | O_CLOEXEC);
	if (stub->mem >= 0)
		return true;
	fprintf(stderr, "vas: %s: %s\n", path, strerror(errno));
	return false;
}

static bool first_stop(struct stub *stub)
{
	int status;
	while (waitpid(stub->pid, &status, __WALL) < 0)
		if (errno != EINTR)
			return broke(stub, strerror(errno));
	if (WIFEXITED(status)) {
		size_t step = (size_t)WEXITSTATUS(status) - 1;
		fprintf(stderr, "vas: the kernel side's process cannot %s\n",
		        step < sizeof(start_steps) / sizeof(start_steps[0]) ? start_steps[step]
		                                                            : "start");
		stub->pid = -stub->pid;
		return false;
	}
	if (!WIFSTOPPED(status))
		return died(stub, status);
	const uintptr_t options = PTRACE_O_EXITKILL | PTRACE_O_TRACEFORK;
	if (ptrace(PTRACE_SETOPTIONS, stub->pid, NULL, (void *)options) < 0 ||
	    !cpu_get(stub->pid, &stub->rest))
		return broke(stub, strerror(errno));
	cpu_rest(&stub->rest, here());
	return rewind_stub(stub);
}

struct stub *stub_start(void)
{
	struct stub *stub = calloc(1, sizeof(*stub));
	int image = stub ? make_image(stub) : -1;
	if (image < 0) {
		free(stub);
		return NULL;
	}
	stub->mem = -1;
	pin(stub);
	stub->pid = fork();
	if (stub->pid == 0)
		become_stub(image);
	(void)close(image);
	if (stub->pid < 0)
		fprintf(stderr, "vas: fork: %s\n", strerror(errno));
	else if (first_stop(stub) && open_memory(stub) && read_origin(stub) && unmap_rest(stub))
		return stub;
	stub_stop(stub);
	return NULL;
}

/* The child is born in the middle of the system call and stops behind it, as its parent did. It is
 * this process's own child (CLONE_PARENT), so that it can be reaped. */
static bool adopt(struct stub *parent, struct stub **out)
{
	struct stub *child = calloc(1, sizeof(*child));
	int signo = 0;
	if (!child)
		return broke(parent, "out of memory for its child");
	*child = (struct stub){
		.pid = parent->born, .mem = -1, .page = parent->page, .forked = true};
	child->rest = parent->rest;
	child->origin = parent->origin;
	if (wait_stop(child, PTRACE_CONT, &signo) && open_memory(child) &&
	    (signo == SIGTRAP || broke(child, "it did not begin as expected"))) {
		*out = child;
		return true;
	}
	stub_stop(child);
	return false;
}

bool stub_fork(struct stub *stub, struct stub **child, int64_t *result)
{
	const uint64_t arg[6] = {CLONE_PARENT | SIGCHLD};
	*child = NULL;
	stub->born = 0;
	if (!stub_syscall(stub, SYS_clone, arg, result))
		return false;
	if (*result < 0)
		return true;
	*result = 0;
	return stub->born ? adopt(stub, child) : broke(stub, "its child is not traced");
}

void stub_stop(struct stub *stub)
{
	if (stub->pid > 0) {
		int status;
		(void)kill(stub->pid, SIGKILL);
		while (waitpid(stub->pid, &status, __WALL) >= 0 ? WIFSTOPPED(status)
		                                                : errno == EINTR)
			;
	}
	if (stub->mem >= 0)
		(void)close(stub->mem);
	if (!stub->forked)
		(void)munmap(stub->page, page_size());
	if (stub->pinned)
		(void)sched_setaffinity(0, sizeof(stub->affinity), &stub->affinity);
	free(stub);
}

#endif /* elsewhere kernel.c says that the kernel cannot be asked */
