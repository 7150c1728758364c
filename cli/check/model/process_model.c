/* process_model.c - processes, their spaces and files, and where each event goes.
 *
 * Owns the list of processes with their spaces and open files, and says which function an event is
 * for. Who has made the event, a tracer or a log, is not known here.
 *
 * SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "check/model/process_model_internal.h"

/* Room for vas's frames: address space only, what is never touched costs nothing. vas needs a frame
 * for each vma that was written, and page tables; and whole ranges when a program locks memory. */
#define MEMORY_LEN ((uint64_t)8 << 30)

static void *must(void *memory)
{
	if (!memory) {
		fputs("vas: out of memory\n", stderr);
		exit(3);
	}
	return memory;
}

const char *model_keep(struct model *model, const char *text)
{
	size_t len = strlen(text) + 1;
	struct name *name = must(malloc(sizeof(*name) + len));
	memcpy(name->text, text, len);
	name->next = model->names;
	model->names = name;
	return name->text;
}

void model_count(struct model *model, struct report *report, const char *text, bool adopted)
{
	for (size_t i = 0; i < report->ncounted; i++) {
		struct counted *counted = &report->counted[i];
		if (counted->adopted == adopted && strcmp(counted->text, text) == 0) {
			counted->n++;
			return;
		}
	}
	size_t size = (report->ncounted + 1) * sizeof(*report->counted);
	report->counted = must(realloc(report->counted, size));
	report->counted[report->ncounted++] = (struct counted){model_keep(model, text), 1, adopted};
}

struct model *model_create(const struct machine *machine)
{
	struct model *model = must(calloc(1, sizeof(*model)));
	model->machine = *machine;
	model->reports_end = &model->reports;
	model->memory = mmap(NULL, MEMORY_LEN, PROT_READ | PROT_WRITE,
	                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (model->memory == MAP_FAILED) {
		perror("vas: mmap of vas's memory");
		free(model);
		return NULL;
	}
	struct vas_config config = {
		.linux_version = machine->version,
		.format = machine->format->format,
		.task_size = machine->task_size,
		.window = machine->window,
		.exec_reads = machine->exec_reads,
		.heap_apart = machine->heap_apart,
		.software = machine->software,
		.settings = machine->settings,
		.port = {.memory = model->memory, .memory_len = MEMORY_LEN, .zeroed = true}};
	int64_t error = vas_system_create(&config, &model->system);
	if (error) {
		fprintf(stderr, "vas: vas_system_create: error %d\n", (int)-error);
		munmap(model->memory, MEMORY_LEN);
		free(model);
		return NULL;
	}
	return model;
}

static void space_put(struct space *space)
{
	if (--space->processes)
		return;
	if (space->vas)
		vas_destroy(space->vas);
	free(space);
}

static void report_free(struct report *report)
{
	for (size_t i = 0; i < report->nfound; i++) {
		free(report->found[i].call);
		free(report->found[i].kernel);
		free(report->found[i].vas);
		free(report->found[i].maps);
	}
	free(report->found);
	free(report->counted);
	free(report);
}

void model_destroy(struct model *model)
{
	for (struct process *process = model->processes, *next; process; process = next) {
		next = process->next;
		space_put(process->space);
		free(process);
	}
	for (size_t i = 0; i < model->nfiles; i++) {
		free(model->files[i]->path);
		free(model->files[i]);
	}
	for (size_t i = 0; i < FILE_BUCKETS; i++) {
		for (struct object *object = model->objects[i], *next; object; object = next) {
			next = object->next;
			free(object);
		}
	}
	for (struct report *report = model->reports, *next; report; report = next) {
		next = report->next;
		report_free(report);
	}
	for (struct name *name = model->names, *next; name; name = next) {
		next = name->next;
		free(name);
	}
	map_lines_free(&model->lines);
	free(model->text.at);
	free(model->picture);
	free(model->shown.call);
	free(model->shown.maps);
	free(model->files);
	free(model->unsure);
	munmap(model->memory, MEMORY_LEN); /* vas's own things all lie in there */
	free(model);
}

void model_keep_all(struct model *model)
{
	model->keeps_all = true;
}

void model_show_call(struct model *model, uint64_t number)
{
	model->shown.number = number;
}

const struct shown_call *model_shown_call(const struct model *model)
{
	return model->shown.number ? &model->shown : NULL;
}

void model_draw(struct model *model)
{
	model->draws = true;
}

const char *model_picture(const struct model *model)
{
	return model->picture;
}

const struct machine *model_machine(const struct model *model)
{
	return &model->machine;
}

const struct report *model_reports(const struct model *model)
{
	return model->reports;
}

/* ---- Processes ------------------------------------------------------------------------------- */

/* Where the pointer to the process is, or the end of the list. What is found moves to the front:
 * the next event is likely to be of the same process. */
static struct process *process_find(struct model *model, int32_t pid)
{
	struct process **at = &model->processes;
	while (*at && (*at)->pid != pid)
		at = &(*at)->next;
	struct process *process = *at;
	if (process) {
		*at = process->next;
		process->next = model->processes;
		model->processes = process;
	}
	return process;
}

/* A number is only used again by way of a fork, so an image of a known one is that process's. */
static bool has_report(const struct model *model, int32_t pid)
{
	const struct report *report = model->reports;
	while (report && report->pid != pid)
		report = report->next;
	return report != NULL;
}

static struct report *report_new(struct model *model, int32_t pid, const char *name)
{
	struct report *report = must(calloc(1, sizeof(*report)));
	report->pid = pid;
	snprintf(report->name, sizeof(report->name), "%s", name);
	*model->reports_end = report;
	model->reports_end = &report->next;
	return report;
}

static struct process *process_new(struct model *model, int32_t pid, struct space *space,
                                   const char *name)
{
	struct process *process = must(calloc(1, sizeof(*process)));
	process->pid = pid;
	process->space = space;
	process->report = report_new(model, pid, name);
	process->next = model->processes;
	model->processes = process;
	space->processes++;
	return process;
}

static void process_end(struct model *model, struct process *process)
{
	process->report->adrift = process->space->adrift;
	space_put(process->space);
	model->processes = process->next; /* process_find has put it first */
	free(process);
}

static bool wrong(char why[MODEL_WHY], const char *what)
{
	snprintf(why, MODEL_WHY, "%s", what);
	return false;
}

static bool apply_image(struct model *model, const struct event *event, char why[MODEL_WHY])
{
	struct process *old = process_find(model, event->pid);
	if (old)
		process_end(model, old);
	struct space *space = must(calloc(1, sizeof(*space)));
	bool again = has_report(model, event->pid);
	struct process *process = process_new(model, event->pid, space, event->text);
	process->report->same_process = again;
	if (!model->drawn)
		model->drawn = event->pid;
	space->params = event->params;
	if (vas_create(model->system, &space->params, &space->vas) != 0) {
		space->vas = NULL;
		space->stopped = true;
		return wrong(why, "vas's memory is used up");
	}
	model_start(model, process, event);
	return true;
}

static bool apply_fork(struct model *model, struct process *parent, const struct event *event,
                       char why[MODEL_WHY])
{
	if (process_find(model, event->child))
		return wrong(why, "the child exists already");
	if (event->kind == EVENT_SHARE) {
		process_new(model, event->child, parent->space, parent->report->name)
			->report->forked = true;
		return true;
	}
	struct space *space = must(calloc(1, sizeof(*space)));
	struct process *child = process_new(model, event->child, space, parent->report->name);
	child->report->forked = true;
	space->params = parent->space->params;
	space->stopped = parent->space->stopped;
	space->adrift = parent->space->adrift;
	space->differs = parent->space->differs;
	if (space->stopped) {
		child->report->stopped = "its parent was not followed when it forked";
		return true;
	}
	int64_t error = vas_fork(parent->space->vas, &space->vas);
	if (error) {
		space->vas = NULL;
		space->stopped = true;
		child->report->stopped = "vas_fork failed";
		child->report->differences++;
		return true;
	}
	model_mark_child(model, parent->space->vas, space->vas);
	return true;
}

/* ---- Files ----------------------------------------------------------------------------------- */

/* The bytes of files do not matter here: every page of them is zeros. */
static int64_t read_zeros(void *ctx, uint64_t index, void *page)
{
	(void)ctx, (void)index, (void)page;
	return 0;
}

static const struct vas_object_ops zeros = {.read_page = read_zeros};

static struct object **object_bucket(struct model *model, uint64_t inode)
{
	return &model->objects[inode % FILE_BUCKETS];
}

static struct object *object_get(struct model *model, const struct event *event)
{
	const struct vas_file_info *info = &event->info;
	struct object **bucket = object_bucket(model, info->inode), *object = *bucket;
	while (object && (object->inode != info->inode || object->major != info->major ||
	                  object->minor != info->minor))
		object = object->next;
	if (object) {
		object->size = event->number;
		return vas_object_resize(object->vas, event->number) == 0 ? object : NULL;
	}
	object = must(calloc(1, sizeof(*object)));
	object->inode = info->inode;
	object->major = info->major;
	object->minor = info->minor;
	object->size = event->number;
	bool memory = info->mode & VAS_FILE_SHMEM; /* MADV_REMOVE wants one of vas's own */
	if (vas_object_create(model->system, memory ? NULL : &zeros, NULL, event->number,
	                      &object->vas) != 0) {
		free(object);
		return NULL;
	}
	object->next = *bucket;
	*bucket = object;
	return object;
}

static void object_put(struct model *model, struct object *object)
{
	struct object **at = object_bucket(model, object->inode);
	if (--object->files)
		return;
	while (*at != object)
		at = &(*at)->next;
	*at = object->next;
	vas_object_put(object->vas);
	free(object);
}

static struct file *file_new(struct model *model, struct object *object, const char *path)
{
	if (model->nfiles == model->files_room) {
		model->files_room = model->files_room ? model->files_room * 2 : 64;
		size_t size = model->files_room * sizeof(struct file *);
		model->files = must(realloc(model->files, size));
	}
	struct file *file = must(calloc(1, sizeof(*file)));
	model->files[model->nfiles++] = file;
	file->id = (uint32_t)model->nfiles;
	file->object = object;
	file->path = must(strdup(path));
	file->next = model->open;
	file->at = &model->open;
	if (file->next)
		file->next->at = &file->next;
	model->open = file;
	object->files++;
	return file;
}

static size_t bucket_number(const struct vas_file *vas)
{
	return (uintptr_t)vas / 32 % FILE_BUCKETS;
}

static struct file **bucket_of(struct model *model, const struct vas_file *vas)
{
	return &model->bucket[bucket_number(vas)];
}

static bool apply_file(struct model *model, const struct event *event, char why[MODEL_WHY])
{
	struct object *object = object_get(model, event);
	if (!object)
		return wrong(why, "vas's memory is used up");
	struct file *file = file_new(model, object, event->info.path);
	struct vas_file_info info = event->info;
	info.path = file->path;
	if (vas_file_open(object->vas, &info, &file->vas) != 0) {
		file->vas = NULL;
		return wrong(why, "vas's memory is used up");
	}
	file->same_bucket = *bucket_of(model, file->vas);
	*bucket_of(model, file->vas) = file;
	return true;
}

static bool apply_resize(struct model *model, const struct event *event, char why[MODEL_WHY])
{
	struct file *file = model->files[event->id - 1];
	if (!file->vas)
		return wrong(why, "the file has been closed");
	file->object->size = event->number;
	if (vas_object_resize(file->object->vas, event->number) != 0)
		return wrong(why, "vas's memory is used up");
	return true;
}

static bool apply_close(struct model *model, const struct event *event, char why[MODEL_WHY])
{
	struct file *file = model->files[event->id - 1], **at;
	if (!file->vas)
		return wrong(why, "the file has been closed");
	*file->at = file->next;
	if (file->next)
		file->next->at = file->at;
	at = bucket_of(model, file->vas);
	while (*at != file)
		at = &(*at)->same_bucket;
	*at = file->same_bucket;
	vas_file_put(file->vas);
	file->vas = NULL;
	object_put(model, file->object);
	return true;
}

static const struct file *file_of(const struct model *model, const struct vas_file *vas)
{
	const struct file *file = model->bucket[bucket_number(vas)];
	while (file && file->vas != vas)
		file = file->same_bucket;
	return file;
}

uint32_t model_file_id(struct model *model, const struct vas_file *vas)
{
	const struct file *file = file_of(model, vas);
	return file ? file->id : 0;
}

const struct object *model_object(const struct model *model, const struct vas_file *vas)
{
	const struct file *file = file_of(model, vas);
	return file ? file->object : NULL;
}

size_t model_unused_files(struct model *model, uint32_t *ids, size_t max)
{
	size_t n = 0;
	for (struct file *file = model->open; file && n < max; file = file->next)
		if (vas_file_references(file->vas) == 1) /* ours */
			ids[n++] = file->id;
	return n;
}

/* ---- Events ---------------------------------------------------------------------------------- */

struct vas *model_space(struct model *model, int32_t pid)
{
	struct process *process = process_find(model, pid);
	return process && !process->space->stopped ? process->space->vas : NULL;
}

bool model_known(struct model *model, int32_t pid)
{
	return process_find(model, pid) != NULL;
}

bool model_adrift(struct model *model, int32_t pid)
{
	struct process *process = process_find(model, pid);
	return process && process->space->adrift && !process->space->stopped;
}

/* Events of a process that is being followed. */
static bool apply_followed(struct model *model, struct process *process, const struct event *event,
                           char why[MODEL_WHY])
{
	switch (event->kind) {
	case EVENT_CALL:
		return model_call(model, process, event, why);
	case EVENT_GROW:
		return model_grow(model, process, event, why);
	case EVENT_UNSURE:
		model_mark_at(model, process->space->vas, event->number);
		return true;
	case EVENT_CAPS:
		process->space->params.capabilities = (uint32_t)event->number;
		vas_set_capabilities(process->space->vas, (uint32_t)event->number);
		return true;
	case EVENT_MAPS:
		model_compare_maps(model, process, event);
		return true;
	case EVENT_DIGEST:
		model_compare_digest(model, process, event);
		return true;
	case EVENT_ADOPT:
		model_adopt(model, process, event);
		return true;
	case EVENT_RESYNC:
		model_resync(model, process, event);
		return true;
	default:
		return true;
	}
}

static bool apply_shown(struct model *model, struct process *process, const struct event *event,
                        char why[MODEL_WHY])
{
	struct map_lines before = {NULL, 0, 0};
	struct text text = {NULL, 0, 0};
	model_show_before(process->space->vas, &before, &text);
	bool good = apply_followed(model, process, event, why);
	if (good)
		model_show_after(model, process, &before);
	map_lines_free(&before);
	free(text.at);
	return good;
}

static bool apply_process(struct model *model, const struct event *event, char why[MODEL_WHY])
{
	struct process *process = process_find(model, event->pid);
	if (!process) {
		snprintf(why, MODEL_WHY, "process %d has not been introduced", event->pid);
		return false;
	}
	switch (event->kind) {
	case EVENT_FORK:
	case EVENT_SHARE:
		return apply_fork(model, process, event, why);
	case EVENT_THREAD:
		process->report->threads++;
		return true;
	case EVENT_NOTE:
		model_count(model, process->report, event->text, false);
		return true;
	case EVENT_STOP:
		process->report->stopped = model_keep(model, event->text);
		process->space->stopped = true;
		return true;
	case EVENT_EXIT:
		process_end(model, process);
		return true;
	default:
		break;
	}
	bool call = event->kind == EVENT_CALL && event->call.name != CALL_TOUCH;
	process->report->calls += call;
	process->report->mremaps += call && event->call.name == CALL_MREMAP;
	if (process->space->stopped ||
	    (process->space->adrift && event->kind != EVENT_RESYNC && event->kind != EVENT_ADOPT)) {
		process->report->skipped += call;
		return true;
	}
	bool shown = call && process->pid == model->drawn && !model->shown.call &&
	             process->report->calls == model->shown.number;
	return shown ? apply_shown(model, process, event, why)
	             : apply_followed(model, process, event, why);
}

static bool apply(struct model *model, const struct event *event, char why[MODEL_WHY])
{
	switch (event->kind) {
	case EVENT_MACHINE:
		return wrong(why, "a second description of the machine");
	case EVENT_FILE:
		return apply_file(model, event, why);
	case EVENT_RESIZE:
		return apply_resize(model, event, why);
	case EVENT_CLOSE:
		return apply_close(model, event, why);
	case EVENT_IMAGE:
		return apply_image(model, event, why);
	default:
		return apply_process(model, event, why);
	}
}

bool model_apply(struct model *model, const struct event *event, char why[MODEL_WHY])
{
	if (apply(model, event, why))
		return true;
	model->broken = model_keep(model, why);
	return false;
}

const char *model_broken(const struct model *model)
{
	return model->broken;
}
