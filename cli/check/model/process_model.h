/* process_model.h - the followed processes as vas has them.
 *
 * Takes events (log_event.h), whoever made them, makes the same calls on vas and compares answers
 * and maps. After a difference a process is *adrift*: it takes no calls until a RESYNC brings the
 * kernel's map; so one difference is counted once, however much would follow from it.
 *
 * SPDX-License-Identifier: MIT */
#ifndef VAS_CLI_PROCESS_MODEL_H
#define VAS_CLI_PROCESS_MODEL_H

#include "check/log/log_event.h"

/* What is found for one process (one program it runs: an exec starts the next report). */
struct counted {
	const char *text;
	unsigned n;
	bool adopted; /* else a note */
};

struct difference {
	char *call;         /* "after mmap(...) = 0x..." or the call that differs */
	char *kernel, *vas; /* the answers, or NULL if the maps differ */
	char *maps;         /* lines around the place, "-" the kernel's, "+" vas's; or NULL */
	uint64_t number;    /* of the call, from 1 */
	uint64_t since;     /* calls since the maps were last compared; 0: compared after each */
};

struct report {
	struct report *next;
	int32_t pid;
	char name[32];
	bool forked;      /* it began with a fork, not with an exec */
	bool same_process; /* as an earlier report's, which this one's exec ended */
	uint64_t threads; /* begun in it, beside its first */
	uint64_t calls, mremaps, differences;
	uint64_t compared; /* how often the whole map was */
	uint64_t skipped;  /* calls not made because the process was adrift or stopped */
	bool adrift;       /* to the end */
	struct counted *counted;
	size_t ncounted;
	const char *stopped; /* why it is not followed any more, or NULL */
	struct difference *found; /* the first, or with model_keep_all the first DIFFERENCES_MAX */
	size_t nfound;
};
#define DIFFERENCES_MAX 1000

struct model;

/* NULL: no memory for it (a message has been printed). */
struct model *model_create(const struct machine *machine);
void model_destroy(struct model *model);

/* Takes one event. False: it cannot follow those before it, or vas's memory is used up; *why says
 * what is wrong, and no event may be given any more. */
#define MODEL_WHY 200
bool model_apply(struct model *model, const struct event *event, char why[MODEL_WHY]);

/* What was wrong with the event that no other may follow, or NULL. */
const char *model_broken(const struct model *model);

/* From now on every difference is kept, not only the first of each program. */
void model_keep_all(struct model *model);

/* Call `number` of the first program is shown: what it was, and the lines of the map around what it
 * changes. */
struct shown_call {
	uint64_t number;
	char *call, *maps; /* NULL: there was none; it changed nothing */
};
void model_show_call(struct model *model, uint64_t number);
const struct shown_call *model_shown_call(const struct model *model); /* NULL: not asked for */

/* From now on the space of the first process is drawn when it ends (or execs). */
void model_draw(struct model *model);
const char *model_picture(const struct model *model); /* NULL: none */

const struct machine *model_machine(const struct model *model);
const struct report *model_reports(const struct model *model);

/* The space of a process, or NULL if there is none or it is not followed. */
struct vas *model_space(struct model *model, int32_t pid);

/* Whether there is such a process. */
bool model_known(struct model *model, int32_t pid);

/* Whether a difference was found and no RESYNC has come yet. */
bool model_adrift(struct model *model, int32_t pid);

/* The number that events have given a file; 0: none (it is vas's own: shared anonymous memory). */
uint32_t model_file_id(struct model *model, const struct vas_file *file);

/* Numbers of up to `max` files that no space maps. */
size_t model_unused_files(struct model *model, uint32_t *ids, size_t max);

#endif
