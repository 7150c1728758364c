/* kernel.h - a small kernel whose memory management is vas: what its files share.
 *
 * The kernel never maps anything into a user's half of an address space itself and never follows a
 * user's pointer: it asks vas (embed.c). All memory of the machine is at direct_map(physical).
 *
 * Interrupts are off wherever the kernel runs, but for a CPU that has nothing to do. One lock, the
 * big one, guards processes, threads, files and pipes; vas has its own, so page faults and memory
 * calls run without it, on all CPUs at once. A thread that waits for something sleeps on its
 * address, as in the oldest Unixes, and gives up the big lock meanwhile.
 *
 * SPDX-License-Identifier: MIT */
#ifndef KERNEL_H
#define KERNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "vas/vas.h"
#include "arch.h"
#include "calls.h"

#define PAGE ((uint64_t)4096)
#define MAX_CPUS 8
#define MAX_FILES 64      /* descriptors of a process */
#define KERNEL_STACK 16384 /* bytes; vas needs 2.5 KiB of it at most */
#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

enum {
	EPERM = 1, ENOENT = 2, ESRCH = 3, EINTR = 4, EIO = 5, E2BIG = 7, ENOEXEC = 8, EBADF = 9,
	ECHILD = 10, EAGAIN = 11, ENOMEM = 12, EACCES = 13, EFAULT = 14, EEXIST = 17, ENOTDIR = 20,
	EISDIR = 21, EINVAL = 22, EMFILE = 24, ENOTTY = 25, ETXTBSY = 26, EFBIG = 27, ESPIPE = 29,
	EPIPE = 32, ERANGE = 34, ENAMETOOLONG = 36, ENOSYS = 38, ENOTEMPTY = 39, ELOOP = 40,
	ETIMEDOUT = 110,
	ERESTART = 512, /* ours: again after the signal, or EINTR */
};

enum {
	SIGHUP = 1, SIGINT = 2, SIGILL = 4, SIGTRAP = 5, SIGABRT = 6, SIGBUS = 7, SIGFPE = 8,
	SIGKILL = 9, SIGSEGV = 11, SIGPIPE = 13, SIGALRM = 14, SIGTERM = 15, SIGCHLD = 17,
	SIGCONT = 18, SIGSTOP = 19, SIGURG = 23, SIGWINCH = 28, NSIG = 64,
};

struct text;
struct file;
struct node;
struct process;
struct thread;
struct cpu;

/* ---- Address spaces (embed.c) ---------------------------------------------------------------- */

/* A space as CPUs see it. `stale` has a bit for each CPU that may hold old translations of it: the
 * CPU flushes them before it goes to user mode in this space. */
struct mm {
	struct vas *space;
	uint32_t users; /* processes; under the big lock */
	uint32_t asid;  /* tag of its translations; 0: none left, they are flushed at each switch */
	uint32_t cpus;  /* that have run it */
	uint32_t stale; /* subset of cpus */
	struct file *executable;
};

void memory_init(uint64_t start, uint64_t end);
int64_t mm_create(const struct vas_params *params, struct mm **mm);
int64_t mm_fork(struct mm *parent, struct mm **child);
void mm_put(struct mm *mm);
void mm_load(struct mm *mm);   /* on this CPU; NULL: the kernel's own half alone */
bool mm_ready(struct mm *mm);  /* whether this CPU may go to user mode; if not, it has flushed */
void mm_sync_code(struct mm *mm); /* code was written: no CPU runs the old */
_Noreturn void memory_walk(struct mm *mm); /* what the MMU should see, to the console */
void memory_report(void);      /* to the console; what the system's audit says */
extern struct vas_system *vas_of_kernel;

/* Copies from and to the running process. 0 or -EFAULT. */
int64_t copy_in(void *to, uint64_t addr, size_t len);
int64_t copy_out(uint64_t addr, const void *from, size_t len);
int64_t copy_string(char *to, uint64_t addr, size_t max); /* its length; -ENAMETOOLONG, -EFAULT */

/* ---- Threads and processes (process.c) ------------------------------------------------------- */

struct signal_action {
	uint64_t handler, flags, restorer, mask;
};

struct signal_info {
	int32_t signo, code;
	int32_t pid, status; /* of SIGCHLD, kill */
	uint64_t addr;
};

struct process {
	struct process *next; /* of all */
	int pid, pgid, sid;
	struct process *parent;
	struct thread *threads;
	unsigned nthreads;
	struct mm *mm;
	struct file *file[MAX_FILES];
	uint64_t close_on_exec; /* a bit for each descriptor */
	struct node *cwd;
	struct signal_action action[NSIG + 1];
	uint64_t pending; /* signals for any of its threads */
	struct signal_info child_info;
	uint64_t alarm_at, alarm_every; /* nanoseconds; 0: none */
	struct vas_limit limit[16];
	char name[16];
	bool zombie, exiting;
	int exit_status; /* as wait4 gives it */
	bool vforked;    /* its parent waits until it execs or ends */
};

enum thread_state { THREAD_READY, THREAD_RUNNING, THREAD_SLEEPING, THREAD_DEAD };

struct thread {
	struct thread *next_ready, *next_of_process;
	struct process *process;
	int tid;
	enum thread_state state;
	const void *channel;   /* what it sleeps on */
	uint64_t wake_at;      /* nanoseconds; 0: not by time */
	bool timed_out;
	uint8_t *stack;        /* the kernel's; its user registers lie at the top */
	void *context;         /* stack pointer while it does not run */
	struct regs *regs;
	struct arch_thread arch;
	uint64_t blocked, saved_blocked, pending;
	bool restore_blocked;
	struct signal_info fault; /* of a signal that an instruction caused */
	uint64_t altstack, altstack_len;
	uint32_t altstack_flags;
	uint64_t clear_tid;
	uint64_t futex, futex_space; /* what it waits for: an address, and whose */
	uint32_t futex_bits;         /* 0: it was woken */
	bool killed, restart;
};

struct cpu {
	struct arch_cpu arch; /* first: entry code knows where things are in it */
	unsigned id;
	struct thread *thread;
	struct mm *mm;
	uint32_t in_user; /* it runs user code, with mm's translations */
	uint32_t idling, reschedule;
	void *idle;       /* stack pointer of its scheduler */
	uint8_t stack[KERNEL_STACK] __attribute__((aligned(16)));
};
extern struct cpu cpus[MAX_CPUS];
extern unsigned ncpus;

static inline struct thread *current(void)
{
	return this_cpu()->thread;
}

void big_lock(void);
void big_unlock(void);
_Noreturn void schedule(void); /* a CPU's life */
void yield(void);
void sleep_on(const void *channel);
bool sleep_until(const void *channel, uint64_t when); /* false: the time has come */
void wake(const void *channel);
bool interrupted(void); /* the thread has a signal to take */
struct thread *thread_create(struct process *p);
struct process *process_create(struct process *parent);
struct process *process_find(int pid);
_Noreturn void thread_exit(void);
_Noreturn void process_exit(int status); /* as wait4 will tell it */
void thread_ready(struct thread *t);
void thread_wake(struct thread *t); /* out of whatever it waits for */
void process_kill_others(void); /* of the current process, before exec */
void user_fault(struct regs *regs, uint64_t addr, enum vas_access access);
void user_trap(struct regs *regs, int signo, int code, uint64_t addr);
void user_leave(struct regs *regs); /* the last thing before user mode */
void clock_tick(void);
void futex_wake(uint64_t addr);
extern struct process *processes;

/* ---- Signals (signal.c) ---------------------------------------------------------------------- */

void signal_process(struct process *p, int signo);
void signal_thread(struct thread *t, int signo, const struct signal_info *info);
void signal_deliver(struct regs *regs);
bool signal_is_waiting(const struct thread *t);

/* ---- Files (files.c, proc.c, block.c) -------------------------------------------------------- */

enum node_kind {
	NODE_DIR, NODE_FILE, NODE_LINK, NODE_CONSOLE, NODE_NULL, NODE_ZERO, NODE_PROC, NODE_DISK
};

struct node {
	struct node *next, *children, *parent;
	char *name;
	enum node_kind kind;
	uint32_t mode, inode, links;
	uint32_t users;            /* open files, and processes whose directory it is */
	uint64_t size;
	const uint8_t *data;       /* in the boot archive: a file's first bytes, a link's text */
	uint64_t data_len;
	struct vas_object *object; /* a file's pages, from its first use on */
	struct vas_file *all;      /* the object, open for reading and writing */
	void (*show)(struct process *p, struct text *out); /* NODE_PROC */
	int pid;                   /* in /proc: whose */
};

struct pipe {
	uint8_t bytes[65536 - 64];
	uint32_t start, len, readers, writers;
};

struct file {
	uint32_t users, flags;
	struct node *node;
	struct pipe *pipe;
	uint64_t at;
	char *path;
	struct vas_file *mapped; /* for mmap, from its first use on */
	struct text *text;       /* what a file of /proc said when it was opened */
};

enum { O_ACCESS = 3, O_CREAT = 0100, O_EXCL = 0200, O_TRUNC = 01000, O_APPEND = 02000,
       O_NONBLOCK = 04000, O_CLOEXEC = 02000000 };

struct text { /* grows */
	char *bytes;
	size_t len, size;
};
void text_add(struct text *out, const char *bytes, size_t len);
void text_print(struct text *out, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* All under the big lock. */
void files_init(const uint8_t *archive);
int64_t files_sync(void); /* what was written to the disk is on it */
struct node *node_find(struct node *from, const char *path, bool follow, int64_t *err);
struct node *node_create(struct node *dir, const char *name, enum node_kind kind, uint32_t mode);
void node_free(struct node *n);
int64_t node_read(struct node *n, uint64_t at, void *to, size_t len);
int64_t node_write(struct node *n, uint64_t at, const void *from, size_t len);
struct file *file_get(int fd); /* takes a reference; NULL: no such descriptor */
int64_t file_open(struct node *n, uint32_t flags, struct file **file);
void file_put(struct file *file);
struct vas_file *file_mapping(struct file *file, int64_t *err);
void node_path(const struct node *n, struct text *out);
void proc_init(void);
struct node *proc_find(const char *name, size_t len);
int64_t proc_pagemap(int pid, uint64_t at, uint64_t to, size_t len);
/* The node that a directory's descriptor and a path of the process's mean; the big lock is held
 * when it returns, whatever it returns. */
enum { AT_FDCWD = -100 };
struct node *path_find(int64_t fd, uint64_t addr, bool follow, char path[256], int64_t *err);
int64_t fd_install(struct file *file, int lowest, bool cloexec);
int64_t fd_close(int fd);
int64_t pipe_read(struct file *file, uint64_t to, size_t len);
int64_t pipe_write(struct file *file, uint64_t from, size_t len);
void pipe_close(struct file *file);
int64_t console_read(uint64_t to, size_t len, bool wait);
int64_t console_write(uint64_t from, size_t len);
bool console_is_ready(void);
int64_t console_control(uint64_t what, uint64_t arg);
bool disk_init(void);
uint64_t disk_size(void);
int64_t disk_io(uint64_t index, void *page, bool write);
void console_poll(void);
void console_put(char c);
extern bool console_at_start; /* of a line */
extern struct node *root_dir;

/* ---- exec.c, syscall.c, sysmem.c ------------------------------------------------------------- */

int64_t exec_first(const char *path, char **argv, char **envp);
void syscall(struct regs *regs);
void syscall_report(void);
#define REGS_ARE_SET INT64_MIN /* a call's answer: there is none, user mode goes on elsewhere */

/* ---- library.c, main.c ----------------------------------------------------------------------- */

void *memcpy(void *restrict to, const void *restrict from, size_t len);
void *memmove(void *to, const void *from, size_t len);
void *memset(void *to, int byte, size_t len);
int memcmp(const void *a, const void *b, size_t len);
size_t strlen(const char *s);
int strcmp(const char *a, const char *b);
int strncmp(const char *a, const char *b, size_t len);
char *strchr(const char *s, int c);

void print(const char *format, ...) __attribute__((format(printf, 1, 2)));
size_t format_text(char *to, size_t size, const char *format, __builtin_va_list args);
_Noreturn void panic(const char *what);
_Noreturn void machine_stop(int status);
void *kmalloc(size_t len); /* zeroed; NULL: none left */
void kfree(void *block);
void kmalloc_init(uint64_t start, uint64_t end); /* physical */
uint64_t kmalloc_used(void);
void cpu_main(void);
extern unsigned boot_cpus;
extern uint64_t boot_time; /* nanoseconds since 1970 when the machine started */
extern bool boot_checks; /* vas_check after each call */
extern bool boot_walks;  /* memory_walk when the first process ends */

static inline void *direct_map(uint64_t phys)
{
	return (void *)(uintptr_t)(DIRECT_MAP + phys);
}

static inline uint64_t phys_of(const void *direct)
{
	return (uint64_t)(uintptr_t)direct - DIRECT_MAP;
}

#endif
