/* process_model_internal.h - what the parts of the process model share.
 *
 * They call each other in a circle, on purpose: process_model.c takes the events of a log and hands
 * each to its part (a call, a map to compare, what is known of written memory), and each part
 * reports differences, finds objects and files by what that one keeps. All are about one model.
 *
 * SPDX-License-Identifier: MIT */
#ifndef VAS_CLI_PROCESS_MODEL_INTERNAL_H
#define VAS_CLI_PROCESS_MODEL_INTERNAL_H

#include "check/model/process_model.h"
#include "target/text.h"

struct object {
	struct object *next;
	uint32_t major, minor;
	uint64_t inode, size; /* bytes */
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

/* Where memory has turned out to be written since the last call: in what order is not known. */
#define RECENT 16

struct space {
	struct vas *vas;
	struct vas_params params;
	unsigned processes;
	bool adrift, stopped;
	bool differs; /* adrift because a difference was found */
	uint64_t calls, since; /* made on it; of these since the map was compared */
	uint64_t recent[RECENT]; /* a ring */
	unsigned nrecent;        /* that were entered */
	struct call last;
	struct answer last_answer;
	uint64_t last_number; /* of its event */
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
	uint64_t *unsure; /* identities that may be others; a hash table, 0: free */
	size_t nunsure, unsure_room;
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

/* The last call as the program made it; malloc'ed. */
char *model_last_call(const struct model *model, const struct space *space, bool answer);

/* Enters a difference in the report; `kernel` and `vas` NULL if it is one of maps. Takes no
 * ownership. `maps` may be NULL: RESYNC will supply it. */
void model_difference(struct model *model, struct process *process, const char *kernel,
                      const char *vas, const char *maps);

/* What differs comes from what could not be known: RESYNC will tell how it is. */
void model_not_known(struct model *model, struct process *process);

/* process_model_identity.c: which identities could not be known for certain. */
void model_mark(struct model *model, uint64_t identity);
bool model_is_marked(const struct model *model, uint64_t identity);
void model_mark_at(struct model *model, struct vas *vas, uint64_t addr);
void model_mark_grown(struct model *model, struct vas *vas, uint64_t addr);
void model_mark_child(struct model *model, struct vas *parent, struct vas *child);
/* Memory at the address has just got its identity. */
void model_written(struct model *model, struct space *space, uint64_t addr);
/* Whether two maps differ only in which neighbours are one, each time of ones of which that could
 * not be known. `vas`: whose map `own` is. */
bool model_joins_unknown(struct model *model, struct vas *vas, const struct map_lines *kernel,
                         const struct map_lines *own);
bool model_reaches_unknown(struct model *model, struct vas *vas, uint64_t start, uint64_t end);
const struct object *model_object(const struct model *model, const struct vas_file *file);

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
