/* target_vas.c - the vas side: spaces of its own that answer calls as processes would.
 *
 * The first begins as the kernel side's process did: limits, break, base and start map are taken
 * from there if there is one. Descriptors are numbers, with a struct vas_file behind each
 * (target_vas_file.c makes those).
 *
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "strace/rights.h"
#include "strace/strace_names.h"
#include "target/calls.h"
#include "target/stub.h"
#include "target/target_vas_internal.h"
#include "vas/posix.h"

/* The frames' memory. Only what is used becomes real; less is taken where so much may not be
 * reserved. */
#define MEMORY_LEN ((uint64_t)8 << 30)
#define MEMORY_LEAST ((uint64_t)64 << 20)

#define VECTOR_SHOWN 32 /* strace shows as much of mincore's vector */

/* So far below the window exec put the stack of the kernel side's process, when there is none to
 * ask. */
#define STACK_BELOW ((uint64_t)0x1d0)

static struct vas_target *target_of(const struct target *target)
{
	return (struct vas_target *)(uintptr_t)target; /* the target is its first member */
}

/* ---- Reports --------------------------------------------------------------------------------- */

static char *maps_of(struct vas *space)
{
	char *text = vas_posix_text(space, vas_maps);
	if (!text)
		fprintf(stderr, "vas: out of memory\n");
	return text;
}

static bool lives(struct vas *space, unsigned process)
{
	if (!space)
		fprintf(stderr, "vas: there is no process %u\n", process);
	return space != NULL;
}

static char *vas_target_maps(struct target *target, unsigned process)
{
	struct vas *space = target_vas_process(target, process);
	return lives(space, process) ? maps_of(space) : NULL;
}

static bool vas_target_status(struct target *target, unsigned process, struct vas_status *status)
{
	struct vas *space = target_vas_process(target, process);
	if (!lives(space, process))
		return false;
	vas_get_status(space, status);
	return true;
}

static bool take_text(struct answer *answer, char *text)
{
	answer->kind = ANSWER_TEXT;
	answer->text = text;
	if (!text)
		fprintf(stderr, "vas: out of memory\n");
	return text != NULL;
}

static bool answer_maps(struct vas_target *vas, struct answer *answer)
{
	char *maps = maps_of(vas->space);
	char *text = maps ? maps_answer(maps) : NULL;
	free(maps);
	return take_text(answer, text);
}

static bool answer_flags(struct vas_target *vas, uint64_t addr, struct answer *answer)
{
	struct vas_region region;
	char text[VAS_VMFLAGS_MAX];
	if (!vas_next_region(vas->space, addr, &region) || region.start > addr) {
		answer->kind = ANSWER_VALUE;
		answer->value = -VAS_EFAULT;
		return true;
	}
	size_t len = vas_vmflags(&region, text);
	while (len && text[len - 1] == ' ')
		len--;
	return take_text(answer, strndup(text, len));
}

static int64_t status_kb(struct vas_target *vas, const char *field)
{
	struct vas_status status;
	vas_get_status(vas->space, &status);
	uint64_t pages = strcmp(field, "VmSize") == 0   ? status.size
	                 : strcmp(field, "VmLck") == 0  ? status.locked
	                 : strcmp(field, "VmData") == 0 ? status.data
	                                                : status.stack;
	return (int64_t)(pages * (vas->target.page_size / 1024));
}

/* ---- Accesses -------------------------------------------------------------------------------- */

/* What an access answered, as an answer. */
static void answer_result(struct answer *answer, int64_t result, int64_t value)
{
	if (result == -VAS_ENOMEM) {
		answer_refuse(answer, "vas's own memory is used up");
	} else if (result < 0) {
		answer->kind = ANSWER_SIGNAL;
	} else {
		answer->kind = ANSWER_VALUE;
		answer->value = value;
	}
}

static void answer_access(struct vas_target *vas, const struct call *call, struct answer *answer)
{
	uint64_t addr = call->arg[0];
	uint8_t byte = (uint8_t)call->arg[1];
	int64_t result;
	switch (call->name) {
	case CALL_LOAD:
		result = vas_read(vas->space, &byte, addr, 1, &answer->signal);
		break;
	case CALL_STORE:
		result = vas_write(vas->space, addr, &byte, 1, &answer->signal);
		break;
	case CALL_TOUCH:
		result = vas_fault(vas->space, addr, VAS_WRITE, &answer->signal);
		break;
	default:
		result = vas_fault(vas->space, addr, VAS_EXEC, &answer->signal);
		break;
	}
	answer_result(answer, result, call->name == CALL_LOAD ? byte : 0);
}

static bool answer_mincore(struct vas_target *vas, const struct call *call, struct answer *answer)
{
	unsigned char vector[VECTOR_SHOWN];
	char text[4 * VECTOR_SHOWN + 8] = "[";
	size_t at = 1;
	const uint64_t page = vas->target.page_size;
	uint64_t pages = (call->arg[1] + page - 1) / page;
	uint64_t shown = pages < VECTOR_SHOWN ? pages : VECTOR_SHOWN;
	answer->kind = ANSWER_VALUE;
	answer->value = call_make(vas->space, call, NULL);
	if (answer->value != 0)
		return true;
	if (shown && vas_read(vas->space, vector, call->arg[2], shown, NULL) != 0) {
		fprintf(stderr, "vas: mincore's vector cannot be read back\n");
		return false;
	}
	for (uint64_t i = 0; i < shown; i++)
		at += (size_t)snprintf(text + at, sizeof(text) - at, "%s%d", i ? ", " : "",
		                       vector[i] & 1);
	at += (size_t)snprintf(text + at, sizeof(text) - at, "%s]", pages > shown ? ", ..." : "");
	return take_text(answer, strndup(text, at));
}

/* ---- Limits, rights, settings ---------------------------------------------------------------- */

static void answer_setrlimit(struct vas_target *vas, const struct call *call, struct answer *answer)
{
	const struct vas_limit limit = {call->arg[1], call->arg[2]};
	enum vas_rlimit which;
	if (!limit_find(call->arg[0], &which)) {
		answer_refuse(answer, "setrlimit() knows AS, DATA, STACK and MEMLOCK");
		return;
	}
	answer->kind = ANSWER_VALUE;
	if (limit.soft > limit.hard)
		answer->value = -VAS_EINVAL;
	else if (limit.hard > vas_get_limit(vas->space, which).hard && !vas->may_raise)
		answer->value = -VAS_EPERM;
	else
		vas_set_limit(vas->space, which, limit);
}

static void answer_drop_cap(struct vas_target *vas, const struct call *call, struct answer *answer)
{
	uint32_t cap = cap_of_number(call->arg[0]);
	if (!cap) {
		answer_refuse(answer, "drop_cap() knows IPC_LOCK, SYS_RAWIO and SYS_ADMIN");
		return;
	}
	vas->now->capabilities &= ~cap;
	vas_set_capabilities(vas->space, vas->now->capabilities);
	answer->kind = ANSWER_VALUE;
}

static void answer_sysctl(struct vas_target *vas, const struct call *call, struct answer *answer)
{
	struct vas_settings *settings = vas_system_settings(vas->system);
	const struct {
		const char *name;
		uint64_t *value;
	} known[] = {
		{"vm.mmap_min_addr", &settings->mmap_min_addr},
		{"vm.max_map_count", &settings->max_map_count},
		{"vm.overcommit_kbytes", &settings->overcommit_kbytes},
		{"vm.admin_reserve_kbytes", &settings->admin_reserve_kbytes},
		{"vm.user_reserve_kbytes", &settings->user_reserve_kbytes},
		{"vm.nr_hugepages", &settings->hugepages[0]},
	};
	answer->kind = ANSWER_VALUE;
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (strcmp(call->text, known[i].name) == 0) {
			*known[i].value = call->arg[0];
			return;
		}
	}
	if (strcmp(call->text, "vm.overcommit_memory") == 0) {
		/* what the machine has committed says nothing about a machine in another mode */
		if (settings->overcommit_memory != call->arg[0])
			settings->committed_elsewhere = 0;
		settings->overcommit_memory = (uint32_t)call->arg[0];
	} else if (strcmp(call->text, "vm.overcommit_ratio") == 0) {
		settings->overcommit_ratio = (uint32_t)call->arg[0];
	} else {
		answer_refuse(answer, "vas has no sysctl %.100s", call->text);
	}
}

/* ---- Processes ------------------------------------------------------------------------------- */

/* Gives a process its turn. */
static bool turn(struct vas_target *vas, unsigned process)
{
	if (process >= CALL_PROCESSES || !vas->process[process])
		return false;
	vas->now = vas->process[process];
	vas->space = vas->now->space;
	return true;
}

/* Takes the space over, also when there is no memory for the process. */
static bool process_begin(struct vas_target *vas, struct vas *space, uint32_t capabilities)
{
	struct vas_process *process = calloc(1, sizeof(*process));
	if (!process) {
		fprintf(stderr, "vas: out of memory\n");
		vas_destroy(space);
		return false;
	}
	process->space = space;
	process->capabilities = capabilities;
	vas->process[++vas->processes] = process;
	return true;
}

static void process_end(struct vas_target *vas, unsigned number)
{
	struct vas_process *process = vas->process[number];
	if (!process)
		return;
	descriptors_close(process);
	vas_destroy(process->space);
	free(process);
	vas->process[number] = NULL;
}

static bool answer_fork(struct vas_target *vas, struct answer *answer)
{
	struct vas *child;
	if (vas->processes + 1 == CALL_PROCESSES) {
		target_refuse_fork(answer);
		return true;
	}
	answer->kind = ANSWER_VALUE;
	answer->value = vas_fork(vas->space, &child);
	if (answer->value < 0)
		return true;
	if (!process_begin(vas, child, vas->now->capabilities))
		return false;
	descriptors_fork(vas->now, vas->process[vas->processes]);
	answer->value = vas->processes;
	return true;
}

/* ---- Calls ----------------------------------------------------------------------------------- */

/* What descriptors mean is the target's, and a status is its sum. */
static int64_t make_call(struct vas_target *vas, const struct call *call)
{
	const uint64_t *arg = call->arg;
	if (call_is_of_space(call->name))
		return call_make(vas->space, call,
		                 call->name == CALL_MMAP ? descriptor_file(vas, arg[4]) : NULL);
	switch (call->name) {
	case CALL_MEMFD_CREATE:
		return descriptor_memfd(vas, call->text, arg[0]);
	case CALL_OPEN:
		return descriptor_open(vas, call->text, arg[0]);
	case CALL_FTRUNCATE:
		return descriptor_truncate(vas, arg[0], arg[1]);
	case CALL_CLOSE:
		return descriptor_close(vas, arg[0]);
	case CALL_STATUS:
		return status_kb(vas, call->text);
	case CALL_PRESENT:
		return vas_present(vas->space, arg[0]);
	default:
		return -VAS_ENOSYS;
	}
}

static bool vas_target_call(struct target *target, const struct call *call, struct answer *answer)
{
	struct vas_target *vas = target_of(target);
	*answer = (struct answer){0};
	if (!turn(vas, call_process(call))) {
		target_refuse_speaker(call, answer);
		return true;
	}
	if (target_refuses(target, call, answer))
		return true;
	switch (call->name) {
	case CALL_FORK:
		return answer_fork(vas, answer);
	case CALL_EXIT:
		process_end(vas, call_process(call));
		answer->kind = ANSWER_VALUE;
		return true;
	case CALL_MINCORE:
		return answer_mincore(vas, call, answer);
	case CALL_FLAGS:
		return answer_flags(vas, call->arg[0], answer);
	case CALL_MAPS:
		return answer_maps(vas, answer);
	case CALL_SETRLIMIT:
		answer_setrlimit(vas, call, answer);
		return true;
	case CALL_DROP_CAP:
		answer_drop_cap(vas, call, answer);
		return true;
	case CALL_SYSCTL:
		answer_sysctl(vas, call, answer);
		return true;
	case CALL_LOAD:
	case CALL_STORE:
	case CALL_FETCH:
	case CALL_TOUCH:
		answer_access(vas, call, answer);
		return true;
	default:
		answer->kind = ANSWER_VALUE;
		answer->value = make_call(vas, call);
		return true;
	}
}

/* ---- Its life -------------------------------------------------------------------------------- */

static bool take_memory(struct vas_target *vas)
{
	for (uint64_t len = MEMORY_LEN; len >= MEMORY_LEAST; len /= 2) {
		void *memory = mmap(NULL, len, PROT_READ | PROT_WRITE,
		                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		if (memory == MAP_FAILED)
			continue;
		vas->memory = memory;
		vas->memory_len = len;
		return true;
	}
	fprintf(stderr, "vas: cannot reserve memory: %s\n", strerror(errno));
	return false;
}

static bool make_space(struct vas_target *vas, const struct machine *machine,
                       const struct vas_params *params)
{
	const struct vas_config config = {
		.linux_version = machine->version,
		.format = machine->format->format,
		.software = machine->software,
		.port = {.memory = vas->memory, .memory_len = vas->memory_len, .zeroed = true},
		.settings = machine->settings,
		.task_size = machine->task_size,
		.window = machine->window,
		.exec_reads = machine->exec_reads,
		.heap_apart = machine->heap_apart,
	};
	struct vas *space = NULL;
	int64_t result = vas_system_create(&config, &vas->system);
	if (result == 0)
		result = vas_create(vas->system, params, &space);
	if (result < 0)
		fprintf(stderr, "vas: a space cannot be made: %s\n", errno_name(-result));
	return result == 0 && process_begin(vas, space, params->capabilities) && turn(vas, 1);
}

/* One line of the start map. Only private file mappings occur there: the stub's page. */
static bool import_line(struct vas_target *vas, const char *line)
{
	struct vas_region region = {0};
	struct vas_file_info info = {.mode = VAS_FILE_READ | VAS_FILE_WRITE | VAS_FILE_SHMEM};
	char perms[8], path[256];
	int fields = sscanf(line,
	                    "%" SCNx64 "-%" SCNx64 " %7s %" SCNx64 " %x:%x %" SCNu64 " %255[^\n]",
	                    &region.start, &region.end, perms, &region.offset, &info.major,
	                    &info.minor, &info.inode, path);
	if (fields == 8 && strcmp(path, "[vsyscall]") == 0)
		return true; /* it is no vma */
	if (fields != 8 || strlen(perms) != 4 || perms[3] != 'p') {
		fprintf(stderr, "vas: the start map has a line that is no private file mapping\n");
		return false;
	}
	region.flags = VAS_VM_MAYREAD | VAS_VM_MAYWRITE | VAS_VM_MAYEXEC |
	               (perms[0] == 'r' ? VAS_VM_READ : 0) | (perms[1] == 'w' ? VAS_VM_WRITE : 0) |
	               (perms[2] == 'x' ? VAS_VM_EXEC : 0);
	info.path = path;
	/* A machine just booted numbers its inodes as low as vas does those of shared memory. */
	info.inode += (uint64_t)1 << 33;
	region.file = descriptor_plain_file(vas, &info, region.end - region.start);
	if (!region.file)
		return false;
	int64_t result = vas_import(vas->space, &region);
	vas_file_put(region.file);
	if (result < 0)
		fprintf(stderr, "vas: the start map cannot be imported: %s\n", errno_name(-result));
	return result == 0;
}

static bool import_maps(struct vas_target *vas, const char *maps)
{
	for (const char *line = maps; *line; line += strcspn(line, "\n") + 1)
		if (!import_line(vas, line))
			return false;
	return true;
}

/* Raising a hard limit takes CAP_SYS_RESOURCE, on the kernel side this process's own. */
static bool has_sys_resource(void)
{
	char line[128];
	uint64_t caps = ~(uint64_t)0;
	FILE *stream = fopen("/proc/self/status", "re");
	if (!stream)
		return true;
	while (fgets(line, sizeof(line), stream))
		if (sscanf(line, "CapEff: %" SCNx64, &caps) == 1)
			break;
	(void)fclose(stream);
	return caps >> 24 & 1;
}

static void vas_target_destroy(struct target *target)
{
	struct vas_target *vas = target_of(target);
	for (unsigned i = 1; i < CALL_PROCESSES; i++)
		process_end(vas, i);
	descriptors_forget(vas);
	if (vas->memory)
		(void)munmap(vas->memory, vas->memory_len);
	descriptors_free(vas);
	free(vas);
}

struct target *target_vas_create(const struct machine *machine, struct target *like)
{
	static const struct target_ops ops = {"vas", vas_target_call, vas_target_maps,
	                                      vas_target_status, vas_target_destroy};
	const uint64_t page = machine->format->page_size, stub = stub_addr(page);
	char maps[128];
	struct target_start start = {.maps = NULL};
	struct vas_target *vas = calloc(1, sizeof(*vas));
	if (!vas) {
		fprintf(stderr, "vas: out of memory\n");
		return NULL;
	}
	vas_params_default(&start.params);
	start.params.start_brk = stub + page;
	start.params.start_stack = machine->window - STACK_BELOW;
	start.params.data_len = page;
	(void)snprintf(maps, sizeof(maps),
	               "%08" PRIx64 "-%08" PRIx64 " r-xp 00000000 00:01 1  %s\n", stub, stub + page,
	               STUB_PATH);
	if (like)
		start = *target_kernel_start(like);
	vas->target.ops = &ops;
	vas->target.page_size = page;
	vas->may_raise = !like || has_sys_resource();
	vas->machine = machine;
	if (take_memory(vas) && make_space(vas, machine, &start.params) && descriptors_start(vas) &&
	    import_maps(vas, like ? start.maps : maps))
		return &vas->target;
	vas_target_destroy(&vas->target);
	return NULL;
}

struct vas *target_vas_process(struct target *target, unsigned process)
{
	struct vas_target *vas = target_of(target);
	bool there = process < CALL_PROCESSES && vas->process[process];
	return there ? vas->process[process]->space : NULL;
}

struct vas *target_vas_space(struct target *target)
{
	return target_vas_process(target, 1);
}

static struct vas_process *process_of(struct target *target, unsigned number)
{
	return number < CALL_PROCESSES ? target_of(target)->process[number] : NULL;
}

uint32_t target_vas_capabilities(struct target *target, unsigned process)
{
	return process_of(target, process) ? process_of(target, process)->capabilities : 0;
}

const struct vas_file_info *target_vas_file(struct target *target, unsigned process,
                                            uint64_t number)
{
	const struct vas_process *of = process_of(target, process);
	uint32_t index = (uint32_t)number;
	return of && index < DESCRIPTORS && of->descriptor[index]
	               ? vas_file_info(of->descriptor[index]->file)
	               : NULL;
}

const char *target_vas_check_spaces(struct target *target)
{
	const char *wrong = NULL;
	for (unsigned i = 1; !wrong && i <= target_of(target)->processes; i++)
		if (target_of(target)->process[i])
			wrong = vas_check(target_of(target)->process[i]->space);
	return wrong;
}

const char *target_vas_check(struct target *target)
{
	const char *wrong = target_vas_check_spaces(target);
	return wrong ? wrong : vas_audit(target_of(target)->system);
}
