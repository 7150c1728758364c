/* tracer_internal.h - what the parts of the tracer share.
 *
 * A *task* is a thread, a *proc* a thread group, a *mm* an address space (shared by the tasks of a
 * proc, and for a while by a vfork child). Of the calls that change a mm, or whose answer depends
 * on it, one is in flight at a time: it has the mm's *turn*. Other tasks wait in their seccomp
 * stop, or the order of calls would be unknowable. What cannot be held back are page faults of
 * other threads: the stack may grow, and a page may become written, between two looks at the
 * kernel.
 *
 * The parts call each other in a circle, on purpose: the loop (tracer.c) hands each stop to the
 * part that knows that kind, and a part lets tasks go on, finds others, or ends a turn by what the
 * loop and its neighbours offer here. They are one state machine over one set of tasks, cut by what
 * has stopped; layers would only hide that one call's end may be another task's beginning.
 *
 * SPDX-License-Identifier: MIT */
#ifndef VAS_CLI_TRACER_INTERNAL_H
#define VAS_CLI_TRACER_INTERNAL_H

#include <sched.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "check/log/log.h"
#include "check/tracer/tracer.h"
#include "target/calls.h"
#include "target/text.h"

struct tracer;
struct task;

/* How a call is followed. */
enum follow {
	FOLLOW_SAME,  /* the same call on vas */
	FOLLOW_MMAP,  /* the same, once it is known what the descriptor means */
	FOLLOW_LOOK,  /* the same; changes no mapping */
	FOLLOW_SIZE,  /* ftruncate */
	FOLLOW_ATTACH, /* shmat, shmdt, process_madvise: as other calls on vas (tracer_parts.c) */
	FOLLOW_DETACH,
	FOLLOW_ADVISE,
	FOLLOW_ADOPT, /* vas has no such call: what it did is taken over from the kernel's map */
	FOLLOW_FORK,
	FOLLOW_EXEC,
	FOLLOW_LIMITS,
	FOLLOW_CAPS,
	FOLLOW_CPUS, /* does not concern memory; a program asks how many there are */
	FOLLOW_FILTER, /* the same: whether it is behind a seccomp filter */
	FOLLOW_PTRACE,
	FOLLOW_NOTE, /* does not change mappings, but the summary says it was there */
	FOLLOW_END,  /* if it succeeds the process is not followed any more */
	FOLLOW_PASS, /* of no consequence (after all) */
};

struct traced_call {
	long nr;
	const char *text;
	enum follow follow;
	enum call_name name; /* of FOLLOW_SAME, MMAP, LOOK */
	unsigned nargs;
};

/* An open file description that is mapped somewhere. */
struct kept_file {
	struct kept_file *next;    /* of the same bucket by id */
	struct kept_file *same_ino; /* and by inode */
	uint32_t id;
	int fd;    /* our own reference to it, or -1: known from a map only */
	dev_t dev; /* as fstat has it */
	ino_t ino;
	uint64_t size;
	uint64_t resizes; /* how often its size was seen to change, or may have */
};

/* What the descriptor of an mmap means. */
struct pending_file {
	struct kept_file *known; /* seen before, or NULL */
	int fd;                  /* else our reference, or -1: a bad descriptor */
	uint32_t mode;           /* VAS_FILE_* */
	bool single;             /* no other mapping will be of it, also by this descriptor */
	struct stat stat;
	char opaque[80]; /* why it cannot be modelled, or "" */
};

struct mm {
	pid_t tid;      /* the task it was looked at by last */
	unsigned refs;  /* tasks that point here, once more if they have or await the turn */
	unsigned tasks; /* of these, that have not begun to exit */
	unsigned procs;
	bool followed;
	int maps_fd, pagemap_fd; /* bound to the address space, whoever of its tasks lives */
	struct task *in_flight;
	struct task *queue, **queue_end;
	uint64_t brk;                         /* the kernel's */
	bool brk_guessed;                     /* it began in the middle: brk is a page's end */
	struct vas_limit limit[VAS_NRLIMITS]; /* that the model knows */
	uint32_t caps;
	uint32_t mdwe;         /* argument of PR_SET_MDWE */
	bool merges;           /* of PR_SET_MEMORY_MERGE */
	bool growsdown; /* has such vmas besides the stack */
	bool forked;    /* it began as a copy, not with an exec */
	int64_t credit; /* lines of map that may be read before more calls must come */
	size_t lines;   /* of its map, when last read */
};

struct proc {
	struct proc *next;
	pid_t pid;
	unsigned tasks;
	struct mm *mm;
	struct vas_limit limit[VAS_NRLIMITS];
};

enum task_state {
	TASK_HELD,    /* born, stopped; its creator has not told of it yet */
	TASK_AWAITED, /* known from its parent, its first stop has not come */
	TASK_RUNNING,
	TASK_QUEUED, /* in its seccomp stop, another call is in flight */
	TASK_CALLING,
};

/* What tracer_clone.c has taken out of a call that is under way. */
struct hidden_flag {
	uint64_t flags; /* as they were; 0: nothing is hidden */
	uint64_t at;    /* where in the task's memory (clone3), or 0: in the first argument */
};

/* Mappings near a call that had not been written when it began, while other threads run. */
#define OPEN_MAX 12
struct open_ranges {
	bool begins; /* the call has not begun: what is looked at is entered */
	unsigned n;
	struct {
		uint64_t start, end;
	} at[OPEN_MAX];
};

struct task {
	struct task *next, *queue_next;
	pid_t tid;
	enum task_state state;
	struct proc *proc; /* NULL: not followed yet */
	struct mm *mm;
	bool every_call; /* it has no filter: it stops at each call */
	bool at_terminal; /* in a call that writes to the terminal or reads from it */
	int left_with;   /* the signal with which it is let go of; -1: it has gone */
	bool at_exit;    /* its first stop was its last: killed before it ran */
	bool placed;     /* has chosen its CPUs itself, or has inherited such a choice */
	struct mm *turn; /* what it has the turn of or is queued for, mostly its mm; or NULL */
	uint32_t caps;
	const struct traced_call *traced;
	uint64_t args[6];
	uint64_t clone_flags; /* of a FOLLOW_FORK */
	enum follow follow;
	struct call call;
	struct pending_file file;
	struct open_ranges open;
	uint64_t resizes; /* of the files that the call concerns, when it began */
	struct hidden_flag hidden;
	struct task *stopper; /* a task of the program's that has attached to this one */
	bool frozen;          /* and this one is stopped for it */
	int frozen_by;        /* with this signal */
	struct task *awaits;  /* of a stopper: held until this one is frozen, */
	uint64_t status_at;   /* and where its status is to be written, or 0 */
};

/* The line that tells how far it is: tracer_progress.c. */
struct progress {
	int fd;      /* of the terminal; -1: nothing is shown */
	dev_t terminal; /* its device */
	bool shown;  /* it stands there now */
	bool inside; /* the program may have left the cursor inside a line */
	uint64_t shown_at;
};

#define TASK_BUCKETS 256
#define FILE_BUCKETS 4096

struct tracer {
	struct tracer_options options;
	uint64_t page_size, window; /* bytes; the machine's */
	struct model *model;
	struct log_writer log;
	bool attached; /* to a process that ran already */
	bool blind; /* the model gave up: everything is let through */
	struct task *tasks[TASK_BUCKETS];
	unsigned nheld; /* of them, in TASK_HELD */
	struct proc *procs;
	struct kept_file *files[FILE_BUCKETS];  /* by id */
	struct kept_file *inodes[FILE_BUCKETS]; /* and by inode */
	uint32_t file_ids;
	bool files_dirty;                  /* some file may be mapped no more */
	uint64_t policy_start, policy_end; /* range whose policy a call has just set or (policy */
	bool policy;                       /* false) taken away, during image_adopt */
	cpu_set_t cpus; /* those it had before it was kept on one; none: it is not */
	pid_t first;
	int first_status;
	uint64_t calls; /* so far */
	struct progress progress;
	struct event event;       /* scratch, large */
	struct map_lines lines;   /* the kernel's map, when last read */
	struct text text;         /* and what its names point into */
};

/* The borders of the page that holds an address, or touches it from below. */
static inline uint64_t page_down(const struct tracer *tracer, uint64_t addr)
{
	return addr & ~(tracer->page_size - 1);
}

static inline uint64_t page_up(const struct tracer *tracer, uint64_t addr)
{
	return page_down(tracer, addr + tracer->page_size - 1);
}

/* tracer.c */
void emit(struct tracer *tracer, const struct event *event);
struct task *task_find(struct tracer *tracer, pid_t tid);
void resume(struct task *task, int signal); /* to the next stop */
void resume_call(struct task *task);        /* to the call's end */
void resume_stopped(struct task *task, int signal); /* from PTRACE_EVENT_STOP with this signal */

void tracer_stopped(struct tracer *tracer, pid_t tid, int status);

/* tracer_attach.c */
bool attach_start(struct tracer *tracer, pid_t pid); /* false: a message has been printed */
bool attach_asked_to_end(void);
void attach_end(struct tracer *tracer); /* lets all go on without a tracer */

/* tracer_start.c */
/* Whether a call would stop a program that has the filter. */
bool start_wants(long nr, const uint64_t args[6]);
pid_t tracer_start(struct tracer *tracer, char **argv, int *report);

/* tracer_table.c: the calls that are traced. */
extern const struct traced_call traced_calls[];
extern const size_t traced_ncalls;
const struct traced_call *traced_find(long nr);
/* What the filter says with a stop. */
enum { FILTER_NATIVE = 0, FILTER_FOREIGN = 1, FILTER_TERMINAL = 2 };

/* tracer_progress.c */
#define TERMINAL_CALLS 6
extern const long terminal_calls[TERMINAL_CALLS]; /* that stop a program while progress is shown */
void progress_start(struct tracer *tracer);
void progress_show(struct tracer *tracer); /* if it is time and nobody is disturbed */
/* The call that a task is about to make, its arguments in task->args; true: it concerns the
 * terminal, and its end must be told by at_terminal = false. */
bool progress_call(struct tracer *tracer, struct task *task, uint64_t nr);
void progress_erase(struct tracer *tracer); /* before anything else is written */
void progress_end(struct tracer *tracer);

/* tracer_call.c: a call from its seccomp stop to its answer. */
void call_stop(struct tracer *tracer, struct task *task); /* it wants to begin */
void call_answer(struct tracer *tracer, struct task *task, int64_t value);
void call_done(struct tracer *tracer, struct task *task); /* its turn is over: the next one's */
void call_next(struct tracer *tracer, struct mm *mm);
void call_leave_queue(struct task *task);
void call_emit(struct tracer *tracer, struct task *task, const struct call *call, int64_t value);
void call_same(struct tracer *tracer, struct task *task, int64_t value); /* task->call on vas */
void call_after(struct tracer *tracer, struct task *task); /* maps compared, files let go of */

/* tracer_parts.c: calls that come to others on vas. */
void parts_attach(struct tracer *tracer, struct task *task, uint64_t addr);
void parts_detach(struct tracer *tracer, struct task *task);
struct task *parts_advised(struct tracer *tracer, const struct task *task); /* whom, or NULL */
void parts_advise_look(struct tracer *tracer, struct task *task);
void parts_advise(struct tracer *tracer, struct task *task, uint64_t done);

/* tracer_clone.c: CLONE_UNTRACED, hidden from the kernel at the call's seccomp stop. */
enum clone_end {
	CLONE_PLAIN,   /* not such a call: as it is */
	CLONE_HIDDEN,  /* to be resumed to its end, and restored there */
	CLONE_ESCAPES, /* the flag cannot be taken out: the child will be traced by nobody */
};
enum clone_end clone_hide(struct task *task, uint32_t arch, uint64_t nr);
void clone_inherit(const struct task *parent, struct task *child, bool shares);
void clone_restore(struct task *task); /* when the call is over: also in the child */

/* tracer_inner.c: a task that is to the others of its space what a tracer is. */
bool inner_takes(struct tracer *tracer, struct task *task, uint64_t nr); /* a call, at its start */
void inner_stopped(struct task *task, int signal); /* one that has a stopper */
void inner_gone(struct tracer *tracer, struct task *task);

/* tracer_life.c: birth, exec and death. */
bool life_start(struct tracer *tracer, pid_t tid);
void life_attach(struct tracer *tracer, pid_t pid, const pid_t *tids, size_t n); /* all stopped */
void life_first_stop(struct tracer *tracer, struct task *task, pid_t tid, int event);
void life_forked(struct tracer *tracer, struct task *parent, int event);
void life_exec(struct tracer *tracer, pid_t tid);
void life_exiting(struct tracer *tracer, struct task *task);
void life_gone(struct tracer *tracer, pid_t tid, int status);
void mm_put(struct mm *mm);
void life_stop_following(struct tracer *tracer, struct task *task, const char *why);

/* tracer_image.c: the kernel's view of an address space, as events. */
void image_emit(struct tracer *tracer, struct task *task);
/* The first brk of a process that was not followed from its start: then its break is known. */
#define ADOPT_BRK "the first brk"
void image_adopt(struct tracer *tracer, struct task *task, const char *why);
void image_resync(struct tracer *tracer, struct task *task);
void image_compare(struct tracer *tracer, struct task *task, bool last);
void image_growth(struct tracer *tracer, struct task *task);
void image_maybe_compare(struct tracer *tracer, struct task *task);
void image_compare_due(struct tracer *tracer, struct task *task); /* before it is copied */
void image_compare_last(struct tracer *tracer, struct task *task);
void image_forked(struct tracer *tracer, struct task *parent, struct task *child);

/* tracer_touch.c: which private mappings were written: around a call's range before it, beside its
 * result after it. */
void touch_near(struct tracer *tracer, struct task *task, uint64_t addr, uint64_t len);
/* Before a call's looks, and when it has ended; then: what of the memory near it was written
 * meanwhile. */
void touch_begin(struct task *task);
void touch_end(struct task *task);
void touch_window(struct tracer *tracer, struct task *task);
void touch_unsure(struct tracer *tracer, struct task *task, uint64_t page);
struct late_touch {
	uint64_t page[2]; /* 0: none */
};
void touch_result(struct tracer *tracer, struct task *task, uint64_t addr, uint64_t len,
                  struct late_touch *late);
void touch_late(struct tracer *tracer, struct task *task, const struct late_touch *late);
uint64_t touch_sizes(struct tracer *tracer, struct task *task, uint64_t start, uint64_t end);
void touch_all(struct tracer *tracer, struct task *task);
bool touch_find(const struct mm *mm, uint64_t start, uint64_t end, uint64_t *page);

/* tracer_file.c: open files. */
void file_resolve(struct tracer *tracer, struct task *task, int fd);
uint32_t file_define(struct tracer *tracer, struct task *task, int64_t answer);
uint32_t file_from_line(struct tracer *tracer, struct task *task, const struct map_line *line);
/* Of a segment that has just been attached; 0: of huge pages. */
uint32_t file_of_segment(struct tracer *tracer, struct task *task, const struct map_line *line,
                         bool read_only);
void file_forget(struct pending_file *file);
uint64_t file_update_size(struct tracer *tracer, uint32_t id); /* how often it has changed */
void file_resized(struct tracer *tracer, struct task *task, int fd); /* is about to be, or was */
void files_sweep(struct tracer *tracer);

/* tracer_proc.c: /proc. */
bool proc_open(struct mm *mm, pid_t tid);
void proc_close(struct mm *mm);
bool proc_maps(struct tracer *tracer, struct mm *mm); /* into tracer->lines */
bool proc_smaps(struct tracer *tracer, struct mm *mm);
bool proc_line_at(struct tracer *tracer, struct mm *mm, uint64_t addr, struct map_line *line);
struct proc_stat {
	uint64_t start_brk, start_stack, start_data, end_data;
};
bool proc_stat(pid_t tid, struct proc_stat *stat);
void proc_comm(pid_t tid, char *name, size_t size);
/* "field: value" in a file of /proc/TID. */
bool proc_field(pid_t tid, const char *file, const char *field, unsigned base, uint64_t *value);
bool proc_status(pid_t tid, const char *field, unsigned base, uint64_t *value);
uint64_t proc_personality(pid_t tid);
void proc_limits(struct proc *proc);
void proc_caps(struct task *task);

#endif
