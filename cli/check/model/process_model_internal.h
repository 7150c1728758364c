/* process_model_internal.h - what the parts of the process model share.
 *
 * SPDX-License-Identifier: MIT */
#ifndef VAS_CLI_PROCESS_MODEL_INTERNAL_H
#define VAS_CLI_PROCESS_MODEL_INTERNAL_H

#include "check/model/process_model.h"
#include "target/text.h"

struct object {
	struct object *next;
	uint32_t major, minor;
	uint64_t inode;
	struct vas_object *vas;
	unsigned files; /* open files of it */
};

struct file {
	struct file *next, **at; /* of those not closed, and what points here */
	struct file *same_bucket; /* likewise */
	uint32_t id;
	struct vas_file *vas; /* NULL: closed */
	struct object *object;
	char *path;
};

struct space {
	struct vas *vas;
	struct vas_params params;
	unsigned processes;
	bool adrift, stopped;
	uint64_t calls, since; /* made on it; of these since the map was compared */
	struct call last;
	struct answer last_answer;
};

struct process {
	struct process *next;
	int32_t pid;
	struct space *space;
	struct report *report;
};

#define FILE_BUCKETS 4096

struct name {
	struct name *next;
	char text[];
};

struct model {
	struct machine machine;
	void *memory; /* vas's */
	struct vas_system *system;
	struct process *processes;
	struct object *objects[FILE_BUCKETS]; /* by inode */
	struct file **files; /* by id, from 1 */
	size_t nfiles, files_room;
	struct file *open; /* those not closed */
	struct file *bucket[FILE_BUCKETS]; /* and these by the address of their vas_file */
	struct report *reports, **reports_end;
	struct name *names;     /* strings kept for spaces and reports */
	struct map_lines lines; /* vas's map, when it is compared */
	const char *broken; /* why no event may come any more, or NULL */
	bool keeps_all;
	bool draws;
	struct shown_call shown; /* number 0: none is asked for */
	int32_t drawn; /* the process that is: the first */
	char *picture; /* of its space when it was looked at last */
	struct text text; /* behind lines */
};

/* process_model.c */
const char *model_keep(struct model *model, const char *text); /* a copy; dies if no memory */
void model_count(struct model *model, struct report *report, const char *text, bool adopted);

/* process_model_call.c: makes the event's call on vas and compares the answer. */
bool model_call(struct model *model, struct process *process, const struct event *event,
                char why[MODEL_WHY]);
bool model_grow(struct model *model, struct process *process, const struct event *event,
                char why[MODEL_WHY]);

/* Enters a difference in the report; `kernel` and `vas` NULL if it is one of maps. Takes no
 * ownership. `maps` may be NULL: RESYNC will supply it. */
void model_difference(struct model *model, struct process *process, const char *kernel,
                      const char *vas, const char *maps);

/* process_model_maps.c: whole maps, compared with the kernel's and taken over from it. */
void model_compare_maps(struct model *model, struct process *process, const struct event *event);
void model_compare_digest(struct model *model, struct process *process, const struct event *event);
/* Before and after a call that is to be shown. */
void model_show_before(struct vas *vas, struct map_lines *before, struct text *text);
void model_show_after(struct model *model, const struct process *process,
                      struct map_lines *before);
void model_start(struct model *model, struct process *process, const struct event *event);
void model_adopt(struct model *model, struct process *process, const struct event *event);
void model_resync(struct model *model, struct process *process, const struct event *event);

#endif
