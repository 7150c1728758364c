/* kernel.c - the kernel side: calls made by live processes (stub.c), and what /proc says of them.
 *
 * A process's own map is left alone: strings and structures for system calls stand in the stub
 * page, limits are set from outside, and /proc files are kept open and read again.
 *
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "target/target.h"

#include <stdio.h>

#include "target/cpu.h"

#ifdef VAS_CPU

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "target/hold.h"
#include "strace/rights.h"
#include "strace/strace_names.h"
#include "target/calls.h"
#include "target/stub.h"
#include "target/text.h"

#define SYSCTLS_MAX 16
#define AT_ONCE 16      /* calls given to a process at once */
#define VECTOR_SHOWN 32 /* strace shows as much of mincore's vector */

struct process {
	struct stub *stub;                /* NULL: there is none of this number, or it has ended */
	int maps, smaps, status, pagemap; /* descriptors of /proc/PID/... */
	uint64_t capabilities;            /* CapEff, as drop_cap leaves it */
};

struct kernel {
	struct target target;
	struct process process[CALL_PROCESSES]; /* by number; 0 is none */
	unsigned processes;                     /* the last number given */
	struct process *now;                    /* whose turn it is */
	struct target_start start;
	struct text text;   /* what was read last */
	char scratch[32];   /* where SCRATCH_DIR really is; "": not yet made */
	struct hold *pages; /* vm.nr_hugepages as the script wants it; NULL: as it was */
	bool sets;          /* may set the machine's other sysctls */
	struct sysctl {
		char path[CALL_TEXT_MAX + 16];
		unsigned long long was;
	} sysctl[SYSCTLS_MAX]; /* set, in this order */
	unsigned sysctls;
};

static struct kernel *kernel_of(const struct target *target)
{
	return (struct kernel *)(uintptr_t)target; /* the target is its first member */
}

static bool broke(const struct kernel *kernel, const char *what)
{
	fprintf(stderr, "vas: kernel side, process %d: %s\n", (int)stub_pid(kernel->now->stub),
	        what);
	return false;
}

/* ---- /proc ----------------------------------------------------------------------------------- */

/* Reads the whole of an open /proc file into kernel->text. */
static bool read_text(struct kernel *kernel, int fd)
{
	return text_read(&kernel->text, fd) ||
	       broke(kernel, errno ? strerror(errno) : "it has gone");
}

/* The real scratch directory's name becomes SCRATCH_DIR. */
static void show_scratch(struct kernel *kernel)
{
	size_t real = strlen(kernel->scratch), shown = strlen(SCRATCH_DIR);
	if (!real)
		return;
	for (char *at = kernel->text.at; (at = strstr(at, kernel->scratch)); at += shown) {
		memcpy(at, SCRATCH_DIR, shown);
		memmove(at + shown, at + real, strlen(at + real) + 1);
	}
}

/* The maps of whose turn it is. */
static char *maps_now(struct kernel *kernel)
{
	if (!read_text(kernel, kernel->now->maps))
		return NULL;
	show_scratch(kernel);
	char *copy = strdup(kernel->text.at);
	if (!copy)
		(void)broke(kernel, "out of memory");
	return copy;
}

/* A line of /proc/PID/status, as a number in `base`; 0 if it is not there. */
static uint64_t status_field(const struct kernel *kernel, const char *name, int base)
{
	size_t len = strlen(name);
	for (const char *line = kernel->text.at; line && *line;) {
		if (strncmp(line, name, len) == 0 && line[len] == ':')
			return strtoull(line + len + 1, NULL, base);
		line = strchr(line, '\n');
		line = line ? line + 1 : NULL;
	}
	return 0;
}

/* Gives a process its turn. */
static bool turn(struct kernel *kernel, unsigned process)
{
	if (process >= CALL_PROCESSES || !kernel->process[process].stub)
		return false;
	kernel->now = &kernel->process[process];
	return true;
}

static bool turn_or_broke(struct kernel *kernel, unsigned process)
{
	if (turn(kernel, process))
		return true;
	fprintf(stderr, "vas: kernel side: there is no process %u\n", process);
	return false;
}

static char *kernel_maps(struct target *target, unsigned process)
{
	struct kernel *kernel = kernel_of(target);
	return turn_or_broke(kernel, process) ? maps_now(kernel) : NULL;
}

static bool kernel_status(struct target *target, unsigned process, struct vas_status *status)
{
	struct kernel *kernel = kernel_of(target);
	*status = (struct vas_status){0};
	if (!turn_or_broke(kernel, process) || !read_text(kernel, kernel->now->status))
		return false;
	const uint64_t kb = target->page_size / 1024;
	status->size = status_field(kernel, "VmSize", 10) / kb;
	status->locked = status_field(kernel, "VmLck", 10) / kb;
	status->data = status_field(kernel, "VmData", 10) / kb;
	status->stack = status_field(kernel, "VmStk", 10) / kb;
	return true;
}

static bool answer_status(struct kernel *kernel, const char *field, struct answer *answer)
{
	if (!read_text(kernel, kernel->now->status))
		return false;
	answer->kind = ANSWER_VALUE;
	answer->value = (int64_t)status_field(kernel, field, 10);
	return true;
}

static bool answer_present(struct kernel *kernel, uint64_t addr, struct answer *answer)
{
	uint64_t entry = 0;
	ssize_t n = 0;
	if (addr >> 63 == 0)
		n = pread(kernel->now->pagemap, &entry, sizeof(entry),
		          (off_t)(addr / kernel->target.page_size * sizeof(entry)));
	if (n < 0)
		return broke(kernel, strerror(errno));
	answer->kind = ANSWER_VALUE;
	answer->value = (int64_t)(entry >> 63); /* beyond the end nothing was read: not present */
	return true;
}

static bool answer_text(struct answer *answer, const char *text, size_t len)
{
	answer->kind = ANSWER_TEXT;
	answer->text = strndup(text, len);
	if (!answer->text)
		fprintf(stderr, "vas: out of memory\n");
	return answer->text != NULL;
}

static bool answer_flags(struct kernel *kernel, uint64_t addr, struct answer *answer)
{
	static const char field[] = "VmFlags: ";
	bool inside = false;
	if (!read_text(kernel, kernel->now->smaps))
		return false;
	for (char *line = kernel->text.at; *line;) {
		uint64_t start, end;
		size_t len = strcspn(line, "\n");
		if (sscanf(line, "%" SCNx64 "-%" SCNx64 " ", &start, &end) == 2)
			inside = start <= addr && addr < end;
		if (inside && strncmp(line, field, strlen(field)) == 0) {
			char flags[VAS_VMFLAGS_MAX];
			len = vmflags_canonical(flags, line + strlen(field), len - strlen(field));
			return answer_text(answer, flags, len);
		}
		line += len + (line[len] == '\n');
	}
	answer->kind = ANSWER_VALUE;
	answer->value = -VAS_EFAULT;
	return true;
}

static bool answer_maps(struct kernel *kernel, struct answer *answer)
{
	char *maps = maps_now(kernel);
	if (!maps)
		return false;
	answer->kind = ANSWER_TEXT;
	answer->text = maps_answer(maps);
	free(maps);
	return answer->text || broke(kernel, "out of memory");
}

/* ---- Accesses -------------------------------------------------------------------------------- */

/* The largest page there is. */
#define PAGE_MAX 65536

/* Of a page that is there, an instruction that does nothing but fault: zeros, anywhere in it. What
 * a script stored may be one that reads or writes memory by an address of its own. */
static uint64_t harmless_at(struct kernel *kernel, uint64_t addr)
{
	static const unsigned char zeros[8];
	unsigned char byte[PAGE_MAX];
	struct answer present = {0};
	const uint64_t size = kernel->target.page_size, page = addr & ~(size - 1);
	if (size > PAGE_MAX || !answer_present(kernel, addr, &present) || !present.value ||
	    !stub_peek(kernel->now->stub, page, byte, size))
		return addr;
	for (uint64_t i = 0; i < size; i++) {
		uint64_t at = (addr + i) % size;
		bool aligned = cpu_zeros == 2 || at % cpu_zeros == 0;
		if (aligned && at + cpu_zeros <= size && memcmp(byte + at, zeros, cpu_zeros) == 0)
			return page + at;
	}
	return addr;
}

static bool answer_fetch(struct kernel *kernel, const struct call *call, struct answer *answer)
{
	bool good = stub_fetch(kernel->now->stub, call->arg[0], harmless_at(kernel, call->arg[0]),
	                       &answer->signal);
	answer->kind = answer->signal.signo ? ANSWER_SIGNAL : ANSWER_VALUE;
	return good;
}

/* ---- Calls that are one order ---------------------------------------------------------------- */

/* False: this call is not. */
static bool order_of(const struct call *call, struct stub_order *order)
{
	*order = (struct stub_order){.number = call->arg[0], .arg = {call->arg[1] & 0xff}};
	switch (call->name) {
	case CALL_LOAD:
		order->kind = STUB_LOAD;
		return true;
	case CALL_STORE:
		order->kind = STUB_STORE;
		return true;
	case CALL_TOUCH:
		order->kind = STUB_TOUCH;
		return true;
	default:
		order->kind = STUB_SYSCALL;
		order->number = (uint64_t)call_number(call->name);
		memcpy(order->arg, call->arg, sizeof(order->arg));
		return call_number(call->name) >= 0 && call->name != CALL_MINCORE;
	}
}

static void answer_order(const struct call *call, const struct stub_outcome *outcome,
                         struct answer *answer)
{
	*answer = (struct answer){.kind = ANSWER_VALUE, .signal = outcome->signal};
	if (outcome->signal.signo)
		answer->kind = ANSWER_SIGNAL;
	else if (call->name == CALL_LOAD)
		answer->value = (uint8_t)outcome->value;
	else if (call->name != CALL_STORE && call->name != CALL_TOUCH)
		answer->value = outcome->value;
}

static bool carry_out(struct kernel *kernel, const struct call *call,
                      const struct stub_order *order, unsigned count, struct answer *answer)
{
	struct stub_outcome outcome[AT_ONCE] = {0};
	bool good = stub_carry_out(kernel->now->stub, order, count, outcome);
	for (unsigned i = 0; i < count; i++)
		answer_order(&call[i], &outcome[i], &answer[i]);
	return good;
}

/* How many of the calls, from the first on, can be carried out at once: of one process, none to be
 * refused. */
static unsigned orders_of(const struct kernel *kernel, const struct call *call, unsigned count,
                          struct stub_order order[AT_ONCE])
{
	struct answer refusal = {0};
	unsigned n = 0;
	while (n < count && n < AT_ONCE && call[n].process == call[0].process &&
	       order_of(&call[n], &order[n]) &&
	       !target_refuses(&kernel->target, &call[n], &refusal))
		n++;
	answer_free(&refusal);
	return n;
}

/* ---- Processes ------------------------------------------------------------------------------- */

static bool open_proc(const struct process *process, const char *file, int *fd)
{
	char path[64];
	(void)snprintf(path, sizeof(path), "/proc/%d/%s", (int)stub_pid(process->stub), file);
	*fd = open(path, O_RDONLY | O_CLOEXEC);
	if (*fd < 0)
		fprintf(stderr, "vas: %s: %s\n", path, strerror(errno));
	return *fd >= 0;
}

/* Takes `stub` over, also when it fails. */
static bool process_begin(struct process *process, struct stub *stub)
{
	process->stub = stub;
	process->maps = process->smaps = process->status = process->pagemap = -1;
	return open_proc(process, "maps", &process->maps) &&
	       open_proc(process, "smaps", &process->smaps) &&
	       open_proc(process, "status", &process->status) &&
	       open_proc(process, "pagemap", &process->pagemap);
}

static void process_end(struct process *process)
{
	const int fds[] = {process->maps, process->smaps, process->status, process->pagemap};
	if (!process->stub)
		return;
	stub_stop(process->stub);
	process->stub = NULL;
	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
		if (fds[i] >= 0)
			(void)close(fds[i]);
}

static bool answer_fork(struct kernel *kernel, struct answer *answer)
{
	unsigned number = kernel->processes + 1;
	struct stub *child;
	if (number == CALL_PROCESSES) {
		target_refuse_fork(answer);
		return true;
	}
	answer->kind = ANSWER_VALUE;
	if (!stub_fork(kernel->now->stub, &child, &answer->value))
		return false;
	if (!child)
		return true;
	answer->value = kernel->processes = number;
	kernel->process[number].capabilities = kernel->now->capabilities;
	return process_begin(&kernel->process[number], child);
}

/* ---- System calls ---------------------------------------------------------------------------- */

static bool answer_syscall(struct kernel *kernel, long number, const uint64_t arg[6],
                           struct answer *answer)
{
	answer->kind = ANSWER_VALUE;
	return stub_syscall(kernel->now->stub, number, arg, &answer->value);
}

static bool make_scratch(struct kernel *kernel)
{
	if (kernel->scratch[0])
		return true;
	char path[] = "/tmp/vas.XXXXXX";
	if (!mkdtemp(path))
		return broke(kernel, "cannot make a directory in /tmp");
	(void)snprintf(kernel->scratch, sizeof(kernel->scratch), "%s/", path);
	return true;
}

static bool answer_open(struct kernel *kernel, const struct call *call, struct answer *answer)
{
	char path[CALL_TEXT_MAX + sizeof(kernel->scratch)];
	uint64_t addr;
	bool scratch = strncmp(call->text, SCRATCH_DIR, strlen(SCRATCH_DIR)) == 0;
	if (scratch && !make_scratch(kernel))
		return false;
	(void)snprintf(path, sizeof(path), "%s%s", scratch ? kernel->scratch : "",
	               call->text + (scratch ? strlen(SCRATCH_DIR) : 0));
	return stub_put(kernel->now->stub, 0, path, strlen(path) + 1, &addr) &&
	       answer_syscall(kernel, SYS_openat,
	                      (uint64_t[6]){(uint64_t)AT_FDCWD, addr, call->arg[0], call->arg[1]},
	                      answer);
}

static bool answer_memfd(struct kernel *kernel, const struct call *call, struct answer *answer)
{
	uint64_t addr;
	return stub_put(kernel->now->stub, 0, call->text, strlen(call->text) + 1, &addr) &&
	       answer_syscall(kernel, SYS_memfd_create, (uint64_t[6]){addr, call->arg[0]}, answer);
}

static bool answer_setrlimit(struct kernel *kernel, const struct call *call, struct answer *answer)
{
	struct rlimit limit = {.rlim_cur = call->arg[1], .rlim_max = call->arg[2]};
	if (!name_of(&names_rlimit, call->arg[0])) {
		answer_refuse(answer, "setrlimit() knows AS, DATA, STACK and MEMLOCK");
		return true;
	}
	long result = syscall(SYS_prlimit64, stub_pid(kernel->now->stub), (int)call->arg[0], &limit,
	                      NULL);
	answer->kind = ANSWER_VALUE;
	answer->value = result < 0 ? -errno : 0;
	return true;
}

/* capset(2): what is dropped leaves the effective and the permitted set. */
static bool answer_drop_cap(struct kernel *kernel, const struct call *call, struct answer *answer)
{
	struct {
		uint32_t version, pid;
		struct {
			uint32_t effective, permitted, inheritable;
		} half[2];
	} caps = {.version = 0x20080522};
	uint64_t left = kernel->now->capabilities & ~((uint64_t)1 << (call->arg[0] & 63)), addr;
	if (!name_of(&names_cap, call->arg[0])) {
		answer_refuse(answer, "drop_cap() knows IPC_LOCK, SYS_RAWIO and SYS_ADMIN");
		return true;
	}
	for (int i = 0; i < 2; i++)
		caps.half[i].effective = caps.half[i].permitted = (uint32_t)(left >> (32 * i));
	if (!stub_put(kernel->now->stub, 0, &caps, sizeof(caps), &addr) ||
	    !answer_syscall(kernel, SYS_capset, (uint64_t[6]){addr, addr + 8}, answer))
		return false;
	if (answer->value == 0)
		kernel->now->capabilities = left;
	return true;
}

static bool sysctl_path(const char *name, char *path, size_t size)
{
	(void)snprintf(path, size, "/proc/sys/%s", name);
	for (char *c = path + strlen("/proc/sys/"); *c; c++)
		*c = *c == '.' ? '/' : *c == '/' ? '.' : *c;
	return access(path, R_OK) == 0;
}

/* Huge pages are asked for, and given back at the end of the script. */
static void answer_huge_pages(struct kernel *kernel, uint64_t wanted, struct answer *answer)
{
	char why[120];
	if (!kernel->pages)
		kernel->pages = hold_begin(why, sizeof(why));
	if (!kernel->pages || !hold_set(kernel->pages, wanted, why, sizeof(why)))
		answer_refuse(answer, "%s", why);
	else
		answer->kind = ANSWER_VALUE;
}

static bool sysctl_write(const char *path, unsigned long long value)
{
	FILE *stream = fopen(path, "we");
	bool good = stream && fprintf(stream, "%llu\n", value) > 0;
	return stream && fclose(stream) == 0 && good;
}

static bool sysctl_set(struct kernel *kernel, const char *path, unsigned long long was,
                       unsigned long long value)
{
	if (!kernel->sets || kernel->sysctls == SYSCTLS_MAX || !sysctl_write(path, value))
		return false;
	struct sysctl *sysctl = &kernel->sysctl[kernel->sysctls++];
	(void)snprintf(sysctl->path, sizeof(sysctl->path), "%s", path);
	sysctl->was = was;
	return true;
}

/* In reverse: a setting may have been made more than once. */
static void sysctls_put_back(struct kernel *kernel)
{
	while (kernel->sysctls > 0) {
		const struct sysctl *sysctl = &kernel->sysctl[--kernel->sysctls];
		if (!sysctl_write(sysctl->path, sysctl->was))
			fprintf(stderr, "vas: %s could not be set back to %llu\n", sysctl->path,
			        sysctl->was);
	}
}

void target_kernel_sets_sysctls(struct target *target)
{
	kernel_of(target)->sets = true;
}

/* The machine's other settings must be as the script wants already, but where they are ours to
 * change. */
static bool answer_sysctl(struct kernel *kernel, const struct call *call, struct answer *answer)
{
	char path[CALL_TEXT_MAX + 16];
	unsigned long long value;
	FILE *stream = sysctl_path(call->text, path, sizeof(path)) ? fopen(path, "re") : NULL;
	if (!stream || fscanf(stream, "%llu", &value) != 1)
		answer_refuse(answer, "this machine has no sysctl %.100s", call->text);
	else if (strcmp(call->text, "vm.nr_hugepages") == 0)
		answer_huge_pages(kernel, call->arg[0], answer);
	else if (value != call->arg[0] && !sysctl_set(kernel, path, value, call->arg[0]))
		answer_refuse(answer, "%.100s is %llu on this machine", call->text, value);
	else
		answer->kind = ANSWER_VALUE;
	if (stream)
		(void)fclose(stream);
	return true;
}

/* The vector lies where the script put it, and is shown as strace shows it. */
static bool answer_mincore(struct kernel *kernel, const struct call *call, struct answer *answer)
{
	unsigned char vector[VECTOR_SHOWN];
	char text[4 * VECTOR_SHOWN + 8] = "[";
	size_t at = 1;
	const uint64_t page = kernel->target.page_size;
	uint64_t pages = (call->arg[1] + page - 1) / page;
	uint64_t shown = pages < VECTOR_SHOWN ? pages : VECTOR_SHOWN;
	if (!answer_syscall(kernel, SYS_mincore, call->arg, answer))
		return false;
	if (answer->value != 0)
		return true;
	if (shown && !stub_peek(kernel->now->stub, call->arg[2], vector, shown))
		return broke(kernel, "mincore's vector cannot be read back");
	for (uint64_t i = 0; i < shown; i++)
		at += (size_t)snprintf(text + at, sizeof(text) - at, "%s%d", i ? ", " : "",
		                       vector[i] & 1);
	at += (size_t)snprintf(text + at, sizeof(text) - at, "%s]", pages > shown ? ", ..." : "");
	return answer_text(answer, text, at);
}

static bool kernel_call(struct target *target, const struct call *call, struct answer *answer)
{
	struct kernel *kernel = kernel_of(target);
	struct stub_order order;
	*answer = (struct answer){0};
	if (!turn(kernel, call_process(call))) {
		target_refuse_speaker(call, answer);
		return true;
	}
	if (target_refuses(target, call, answer))
		return true;
	if (call->name == CALL_MINCORE)
		return answer_mincore(kernel, call, answer);
	if (order_of(call, &order))
		return carry_out(kernel, call, &order, 1, answer);
	switch (call->name) {
	case CALL_MEMFD_CREATE:
		return answer_memfd(kernel, call, answer);
	case CALL_OPEN:
		return answer_open(kernel, call, answer);
	case CALL_FORK:
		return answer_fork(kernel, answer);
	case CALL_EXIT:
		process_end(kernel->now);
		answer->kind = ANSWER_VALUE;
		return true;
	case CALL_SETRLIMIT:
		return answer_setrlimit(kernel, call, answer);
	case CALL_DROP_CAP:
		return answer_drop_cap(kernel, call, answer);
	case CALL_SYSCTL:
		return answer_sysctl(kernel, call, answer);
	case CALL_FLAGS:
		return answer_flags(kernel, call->arg[0], answer);
	case CALL_STATUS:
		return answer_status(kernel, call->text, answer);
	case CALL_PRESENT:
		return answer_present(kernel, call->arg[0], answer);
	case CALL_MAPS:
		return answer_maps(kernel, answer);
	case CALL_FETCH:
		return answer_fetch(kernel, call, answer);
	default:
		return broke(kernel, "a call the kernel side does not know");
	}
}

bool target_kernel_calls(struct target *target, const struct call *call, unsigned count,
                         struct answer *answer)
{
	struct kernel *kernel = kernel_of(target);
	struct stub_order order[AT_ONCE];
	while (count > 0) {
		bool lives = turn(kernel, call_process(call));
		unsigned n = lives ? orders_of(kernel, call, count, order) : 0;
		bool good = n ? carry_out(kernel, call, order, n, answer)
		              : kernel_call(target, call, answer);
		if (!good)
			return false;
		n = n ? n : 1;
		call += n;
		answer += n;
		count -= n;
	}
	return true;
}

/* ---- Its life -------------------------------------------------------------------------------- */

static bool read_limits(struct kernel *kernel)
{
	for (int i = 0; i < VAS_NRLIMITS; i++) {
		struct rlimit limit;
		if (syscall(SYS_prlimit64, stub_pid(kernel->now->stub), limit_rows[i].number, NULL,
		            &limit) < 0)
			return broke(kernel, strerror(errno));
		kernel->start.params.limit[i] = (struct vas_limit){limit.rlim_cur, limit.rlim_max};
	}
	return true;
}

static bool read_capabilities(struct kernel *kernel)
{
	if (!read_text(kernel, kernel->now->status))
		return false;
	uint64_t caps = kernel->now->capabilities = status_field(kernel, "CapEff", 16);
	kernel->start.params.capabilities = caps_of_bits(caps);
	return true;
}

/* The base can only be asked for: in an empty process the first mapping ends at it. */
static bool find_base(struct kernel *kernel)
{
	const uint64_t page = kernel->target.page_size;
	const uint64_t map[6] = {
		0, page, VAS_PROT_NONE, VAS_MAP_PRIVATE | VAS_MAP_ANONYMOUS, ~(uint64_t)0, 0};
	int64_t addr, result;
	if (!stub_syscall(kernel->now->stub, SYS_mmap, map, &addr) ||
	    !stub_syscall(kernel->now->stub, SYS_munmap, (uint64_t[6]){(uint64_t)addr, page},
	                  &result))
		return false;
	if (addr < 0 || result != 0)
		return broke(kernel, "a page cannot be mapped");
	kernel->start.params.mmap_base = (uint64_t)addr + page;
	return true;
}

static bool read_start(struct kernel *kernel)
{
	struct vas_params *params = &kernel->start.params;
	const struct stub_origin *origin = stub_origin(kernel->now->stub);
	params->start_brk = origin->start_brk;
	params->start_stack = origin->start_stack;
	params->data_len = origin->data_len;
	if (!read_limits(kernel) || !read_capabilities(kernel) || !find_base(kernel))
		return false;
	kernel->start.maps = maps_now(kernel);
	return kernel->start.maps != NULL;
}

const struct target_start *target_kernel_start(const struct target *target)
{
	return &kernel_of(target)->start;
}

int target_kernel_process(const struct target *target, unsigned process)
{
	const struct kernel *kernel = kernel_of(target);
	bool lives = process < CALL_PROCESSES && kernel->process[process].stub;
	return lives ? (int)stub_pid(kernel->process[process].stub) : 0;
}

int target_kernel_pid(const struct target *target)
{
	return target_kernel_process(target, 1);
}

/* The directory holds only what scripts made, all plain files. */
static void remove_scratch(struct kernel *kernel)
{
	DIR *dir = kernel->scratch[0] ? opendir(kernel->scratch) : NULL;
	if (!dir)
		return;
	for (struct dirent *entry; (entry = readdir(dir));)
		if (entry->d_name[0] != '.' && unlinkat(dirfd(dir), entry->d_name, 0) < 0)
			fprintf(stderr, "vas: %s%s: %s\n", kernel->scratch, entry->d_name,
			        strerror(errno));
	(void)closedir(dir);
	if (rmdir(kernel->scratch) < 0)
		fprintf(stderr, "vas: %s: %s\n", kernel->scratch, strerror(errno));
}

static void kernel_destroy(struct target *target)
{
	struct kernel *kernel = kernel_of(target);
	for (unsigned i = CALL_PROCESSES; i-- > 1;) /* the first has what the others share */
		process_end(&kernel->process[i]);
	sysctls_put_back(kernel);
	hold_end(kernel->pages);
	remove_scratch(kernel);
	free(kernel->start.maps);
	free(kernel->text.at);
	free(kernel);
}

struct target *target_kernel_create(void)
{
	static const struct target_ops ops = {"kernel", kernel_call, kernel_maps, kernel_status,
	                                      kernel_destroy};
	struct kernel *kernel = calloc(1, sizeof(*kernel));
	struct stub *stub = kernel ? stub_start() : NULL;
	if (!stub) {
		free(kernel);
		return NULL;
	}
	kernel->target.ops = &ops;
	kernel->target.page_size = (uint64_t)sysconf(_SC_PAGESIZE);
	kernel->processes = 1;
	kernel->now = &kernel->process[1];
	if (process_begin(kernel->now, stub) && read_start(kernel))
		return &kernel->target;
	kernel_destroy(&kernel->target);
	return NULL;
}

#else /* another machine: the kernel cannot be asked */

struct target *target_kernel_create(void)
{
	fprintf(stderr, "vas: the kernel side needs Linux on x86-64, AArch64 or RISC-V\n");
	return NULL;
}

bool target_kernel_calls(struct target *target, const struct call *call, unsigned count,
                         struct answer *answer)
{
	(void)target;
	(void)call;
	(void)count;
	(void)answer;
	return false;
}

const struct target_start *target_kernel_start(const struct target *target)
{
	(void)target;
	return NULL;
}

void target_kernel_sets_sysctls(struct target *target)
{
	(void)target;
}

int target_kernel_pid(const struct target *target)
{
	(void)target;
	return -1;
}

int target_kernel_process(const struct target *target, unsigned process)
{
	(void)target;
	(void)process;
	return 0;
}

#endif
