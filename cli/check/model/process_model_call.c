/* process_model_call.c - one call made on vas, its answer compared with the kernel's.
 *
 * Owns which answers are taken over because only the kernel can know them (places that it draws,
 * huge pages that others take): such a call is made on vas so that it agrees, and the summary says
 * so.
 *
 * SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check/model/process_model_internal.h"
#include "strace/rights.h"
#include "target/calls.h"

/* Frames that vas needs to be able to answer at all; fewer, and its ENOMEM is no finding. */
#define FRAMES_LOW 256

#define POOL_PAGES ((uint64_t)1 << 40) /* more than any machine has */

static bool memory_low(const struct model *model)
{
	uint64_t total, left;
	vas_system_frames(model->system, &total, &left);
	return left < FRAMES_LOW;
}

static void remember(struct process *process, const struct event *event)
{
	struct space *space = process->space;
	space->last = event->call;
	space->last_answer = event->answer;
	space->last_number = event->number;
	space->calls++;
	space->nrecent = 0;
	space->since += event->call.name != CALL_MSYNC && event->call.name != CALL_MINCORE;
}

/* Where the fifth argument of a printed mmap begins, or NULL. */
static char *find_descriptor(char *text)
{
	for (int i = 0; text && i < 4; i++) {
		text = strchr(text, ',');
		text = text ? text + 2 : NULL;
	}
	return text;
}

/* Events and logs number the open files; the program knows a descriptor, and people a path. */
char *model_last_call(const struct model *model, const struct space *space, bool answer)
{
	const struct call *call = &space->last;
	uint64_t id = call->arg[4];
	char text[1024];
	call_print(text, sizeof(text), call, answer ? &space->last_answer : NULL);
	char *descriptor = call->name == CALL_MMAP ? find_descriptor(text) : NULL;
	char *rest = descriptor ? strchr(descriptor, ',') : NULL;
	if (!rest)
		return strdup(text);
	const char *path = (int64_t)id > 0 && id <= model->nfiles ? model->files[id - 1]->path
	                                                          : NULL;
	struct text whole = {NULL, 0, 0};
	char number[32] = "";
	if (space->last_number)
		snprintf(number, sizeof(number), "%d", (int)(space->last_number - 1));
	else if (!path)
		snprintf(number, sizeof(number), "%.*s", (int)(rest - descriptor), descriptor);
	text_clear(&whole);
	text_sink(&whole, text, (size_t)(descriptor - text));
	text_sink(&whole, number, strlen(number));
	if (path) {
		text_sink(&whole, "<", 1);
		text_sink(&whole, path, strlen(path));
		text_sink(&whole, ">", 1);
	}
	text_sink(&whole, rest, strlen(rest));
	return whole.at;
}

/* NULL: it is not kept. */
static struct difference *difference_new(struct model *model, struct report *report)
{
	size_t n = report->nfound;
	if (n >= (model->keeps_all ? DIFFERENCES_MAX : 1))
		return NULL;
	struct difference *found = realloc(report->found, (n + 1) * sizeof(*found));
	if (!found)
		return NULL;
	report->found = found;
	report->nfound++;
	found[n] = (struct difference){.number = report->calls};
	return &found[n];
}

void model_difference(struct model *model, struct process *process, const char *kernel,
                      const char *vas, const char *maps)
{
	struct space *space = process->space;
	space->adrift = space->differs = true;
	process->report->differences++;
	struct difference *new = difference_new(model, process->report);
	if (!new)
		return;
	new->since = kernel ? 0 : space->since;
	new->call = space->calls ? model_last_call(model, space, !kernel) : strdup("the start");
	new->kernel = kernel ? strdup(kernel) : NULL;
	new->vas = vas ? strdup(vas) : NULL;
	new->maps = maps ? strdup(maps) : NULL;
}

void model_not_known(struct model *model, struct process *process)
{
	process->space->adrift = true;
	model_count(model, process->report, "whether neighbours are one could not be known", true);
}

/* Under MCL_ONFAULT nothing is populated, whatever mmap was told. */
static bool locks_on_fault(struct vas *vas, uint64_t addr)
{
	struct vas_region region;
	return vas_next_region(vas, addr, &region) && (region.flags & VAS_VM_LOCKONFAULT);
}

/* Linux populates; for vas it is enough to know that the mapping was written, which is what
 * populating private writable memory amounts to. So a program that maps gigabytes costs no memory
 * twice. Errors of populating do not show in mmap's answer. */
static int64_t make_mmap(struct space *space, const struct call *call, struct vas_file *file)
{
	struct call plain = *call;
	uint64_t flags = call->arg[3];
	bool populate = (flags & VAS_MAP_POPULATE) && !(flags & VAS_MAP_NONBLOCK);
	bool private = (flags & VAS_MAP_TYPE) == VAS_MAP_PRIVATE;
	plain.arg[3] &= ~(uint64_t)VAS_MAP_POPULATE;
	int64_t addr = call_make(space->vas, &plain, file);
	if (addr >= 0 && populate && private && (call->arg[2] & VAS_PROT_WRITE) &&
	    !locks_on_fault(space->vas, (uint64_t)addr))
		vas_fault(space->vas, (uint64_t)addr, VAS_WRITE, NULL);
	return addr;
}

/* Linux starts the search of MAP_32BIT at a random place (unless randomisation is off): its answer
 * is taken over, and the summary says so. */
static bool is_random(const struct call *call, const struct answer *answer)
{
	uint64_t fixed = VAS_MAP_FIXED | VAS_MAP_FIXED_NOREPLACE;
	return call->name == CALL_MMAP && (call->arg[3] & VAS_MAP_32BIT) &&
	       !(call->arg[3] & fixed) && answer->value >= 0;
}

/* The flag with which vas maps at the address that Linux has chosen. Where that is free, MAP_FIXED
 * replaces nothing, and MAP_SHARED_VALIDATE knows it. */
static uint64_t place_at(const struct process *process, const struct call *call)
{
	struct vas_region region;
	bool taken = vas_next_region(process->space->vas, call->arg[0], &region) &&
	             region.start < call->arg[0] + call->arg[1];
	return taken ? VAS_MAP_FIXED_NOREPLACE : VAS_MAP_FIXED;
}

static int64_t set_limit(struct space *space, const struct call *call)
{
	enum vas_rlimit which;
	if (!limit_find(call->arg[0], &which))
		return 0; /* vas's do not depend on it */
	space->params.limit[which] = (struct vas_limit){call->arg[1], call->arg[2]};
	vas_set_limit(space->vas, which, space->params.limit[which]);
	return 0;
}

/* How many pages the huge page pool has to give only the kernel knows, whose other users come and
 * go: its answer says whether there were enough. */
static void set_pool(struct model *model, const struct call *call, int64_t answer)
{
	struct vas_settings *settings = vas_system_settings(model->system);
	bool empty = call->name == CALL_MMAP && (call->arg[3] & VAS_MAP_HUGETLB) &&
	             answer == -VAS_ENOMEM;
	settings->hugepages[0] = settings->hugepages[1] = empty ? 0 : POOL_PAGES;
}

/* Kept for a space that is made anew. */
static int64_t make_prctl(struct space *space, const struct call *call)
{
	int64_t result = call_make(space->vas, call, NULL);
	if (result == 0 && call->arg[0] == VAS_PR_SET_MDWE)
		space->params.mdwe = (uint32_t)call->arg[1];
	else if (result == 0)
		space->params.merges_all = call->arg[1] != 0;
	return result;
}

static int64_t make(struct model *model, struct space *space, const struct call *call)
{
	struct vas_file *file = NULL;
	if (call->name == CALL_SETRLIMIT)
		return set_limit(space, call);
	if (!call_is_of_space(call->name))
		return -VAS_ENOSYS;
	if (call->name == CALL_PRCTL)
		return make_prctl(space, call);
	if (call->name != CALL_MMAP)
		return call_make(space->vas, call, NULL);
	if ((int64_t)call->arg[4] > 0 && call->arg[4] <= model->nfiles)
		file = model->files[call->arg[4] - 1]->vas;
	return make_mmap(space, call, file);
}

/* The answer depends on what is in memory, which vas does not know. */
static bool is_unpredictable(const struct call *call)
{
	if (call->name != CALL_MADVISE)
		return false;
	uint64_t advice = call->arg[2];
	return advice == VAS_MADV_COLLAPSE || advice == VAS_MADV_HWPOISON ||
	       advice == VAS_MADV_SOFT_OFFLINE;
}

/* Whether an opaque mapping (a device) can be populated only its driver knows. */
static bool populates_opaque(struct space *space, const struct call *call)
{
	uint64_t start = call->arg[0], end = call->arg[0] + call->arg[1];
	struct vas_region region;
	if (call->name == CALL_MLOCKALL)
		start = 0, end = UINT64_MAX;
	else if (call->name == CALL_MADVISE ? call->arg[2] != VAS_MADV_POPULATE_READ &&
	                                              call->arg[2] != VAS_MADV_POPULATE_WRITE
	                                    : call->name != CALL_MLOCK && call->name != CALL_MLOCK2)
		return false;
	for (; vas_next_region(space->vas, start, &region) && region.start < end;
	     start = region.end)
		if (region.flags & VAS_VM_OPAQUE)
			return true;
	return false;
}

/* Whether the answer may be another because neighbours are one in Linux and two here, or the other
 * way round, which the maps have not yet shown. */
static bool depends_on_unknown(struct model *model, struct space *space, const struct call *call)
{
	uint64_t len = call->arg[1] > call->arg[2] ? call->arg[1] : call->arg[2];
	return call->name == CALL_MREMAP && space->since > 1 &&
	       model_reaches_unknown(model, space->vas, call->arg[0], call->arg[0] + len);
}

static bool out_of_memory(char why[MODEL_WHY])
{
	snprintf(why, MODEL_WHY, "vas's memory is used up");
	return false;
}

/* A page was written that vas has not yet seen written. */
static bool touch(struct model *model, struct process *process, uint64_t addr, char why[MODEL_WHY])
{
	struct vas_signal signal = {0, 0, 0};
	struct vas_region region;
	struct vas *vas = process->space->vas;
	if (vas_next_region(vas, addr, &region) && region.start <= addr && region.touched)
		return true;
	int64_t error = vas_fault(vas, addr, VAS_WRITE, &signal);
	if (error == -VAS_ENOMEM && memory_low(model))
		return out_of_memory(why);
	if (error == 0) {
		model_written(model, process->space, addr);
		return true;
	}
	struct answer answer = {.kind = signal.signo ? ANSWER_SIGNAL : ANSWER_VALUE,
	                        .value = error,
	                        .signal = signal};
	struct call call = {.name = CALL_TOUCH, .nargs = 1, .arg = {addr}};
	char text[128];
	answer_print(text, sizeof(text), &call, &answer);
	process->space->last = call;
	process->space->calls += process->space->calls == 0;
	model_difference(model, process, "0", text, NULL);
	return true;
}

/* A vma grows before its rights are looked at: even a fault that ends in a signal lets it. Whether
 * vas has let it too, shows in the map that is compared next. */
bool model_grow(struct model *model, struct process *process, const struct event *event,
                char why[MODEL_WHY])
{
	struct vas *vas = process->space->vas;
	struct vas_region region;
	if (!vas_next_region(vas, event->number, &region) || region.start <= event->number)
		return true;
	enum vas_access access = region.flags & VAS_VM_WRITE ? VAS_WRITE : VAS_READ;
	int64_t error = vas_fault(vas, event->number, access, NULL);
	model_mark_grown(model, vas, event->number);
	return error != -VAS_ENOMEM || !memory_low(model) || out_of_memory(why);
}

bool model_call(struct model *model, struct process *process, const struct event *event,
                char why[MODEL_WHY])
{
	struct call call = event->call;
	struct answer mine = {.kind = ANSWER_VALUE};
	if (call.name == CALL_TOUCH)
		return touch(model, process, call.arg[0], why);
	remember(process, event);
	if (is_unpredictable(&call)) {
		model_count(model, process->report, "answer depends on what is in memory", false);
		return true;
	}
	bool opaque = populates_opaque(process->space, &call);
	if (is_random(&call, &event->answer)) {
		model_count(model, process->report, "random address of MAP_32BIT", true);
		call.arg[0] = (uint64_t)event->answer.value;
		call.arg[3] = (call.arg[3] & ~(uint64_t)VAS_MAP_32BIT) | place_at(process, &call);
	}
	bool unknown = depends_on_unknown(model, process->space, &call);
	set_pool(model, &call, event->answer.value);
	mine.value = make(model, process->space, &call);
	if (mine.value == event->answer.value)
		return true;
	if (opaque) {
		model_count(model, process->report, "answer depends on opaque memory", false);
		return true;
	}
	if (mine.value == -VAS_ENOMEM && memory_low(model))
		return out_of_memory(why);
	if (unknown) {
		model_not_known(model, process);
		return true;
	}
	char kernel[128], vas[128];
	answer_print(kernel, sizeof(kernel), &event->call, &event->answer);
	answer_print(vas, sizeof(vas), &event->call, &mine);
	if (call.name == CALL_BRK) /* RESYNC goes on from the kernel's break */
		process->space->params.brk = (uint64_t)event->answer.value;
	model_difference(model, process, kernel, vas, NULL);
	return true;
}
