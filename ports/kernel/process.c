/* process.c - processes and threads: who runs, who sleeps, how they begin and end.
 *
 * All lists here belong to the big lock. A CPU that has nothing to do is in schedule(); a thread
 * gives its CPU up in sched(), holding the lock, and whoever runs next gives it back.
 *
 * SPDX-License-Identifier: MIT */
#include "kernel.h"

enum {
	CLONE_VM = 0x100,
	CLONE_VFORK = 0x4000,
	CLONE_THREAD = 0x10000,
	CLONE_SETTLS = 0x80000,
	CLONE_PARENT_SETTID = 0x100000,
	CLONE_CHILD_CLEARTID = 0x200000,
	CLONE_CHILD_SETTID = 0x1000000
};

struct cpu cpus[MAX_CPUS];
unsigned ncpus = 1;
struct process *processes;
static uint32_t lock;
static struct thread *ready, **ready_end = &ready;
static int last_id;

void big_lock(void)
{
	while (__atomic_exchange_n(&lock, 1, __ATOMIC_ACQUIRE))
		cpu_relax();
}

void big_unlock(void)
{
	__atomic_store_n(&lock, 0, __ATOMIC_RELEASE);
}

/* ---- Who runs -------------------------------------------------------------------------------- */

void thread_ready(struct thread *t)
{
	t->state = THREAD_READY;
	t->next_ready = NULL;
	*ready_end = t;
	ready_end = &t->next_ready;
	for (unsigned i = 0; i < ncpus; i++)
		if (cpus[i].idling && &cpus[i] != this_cpu()) {
			cpus[i].idling = 0;
			arch_interrupt(&cpus[i]);
			return;
		}
}

static struct thread *take_ready(void)
{
	struct thread *t = ready;

	if (t) {
		ready = t->next_ready;
		if (!ready)
			ready_end = &ready;
	}
	return t;
}

_Noreturn void schedule(void)
{
	struct cpu *cpu = this_cpu();

	big_lock();
	for (;;) {
		struct thread *t = take_ready();

		cpu->idling = !t;
		if (!t) {
			big_unlock();
			arch_idle();
			big_lock();
			continue;
		}
		t->state = THREAD_RUNNING;
		cpu->thread = t;
		mm_load(t->process->mm);
		arch_restore(t);
		arch_switch(&cpu->idle, t->context);
		mm_load(NULL);
		cpu->thread = NULL;
		if (t->state == THREAD_DEAD) {
			kfree(t->stack);
			kfree(t);
		}
	}
}

/* The lock is held, now and when it returns: maybe on another CPU. */
static void sched(void)
{
	struct thread *t = current();

	arch_save(t);
	arch_switch(&t->context, this_cpu()->idle);
}

void yield(void)
{
	big_lock();
	thread_ready(current());
	sched();
	big_unlock();
}

bool sleep_until(const void *channel, uint64_t when)
{
	struct thread *t = current();

	if (t->killed)
		return true;
	t->channel = channel;
	t->wake_at = when;
	t->timed_out = false;
	t->state = THREAD_SLEEPING;
	sched();
	t->channel = NULL;
	return !t->timed_out;
}

void sleep_on(const void *channel)
{
	sleep_until(channel, 0);
}

void thread_wake(struct thread *t)
{
	if (t->state == THREAD_SLEEPING)
		thread_ready(t);
	else if (t->state == THREAD_RUNNING && t != current())
		for (unsigned i = 0; i < ncpus; i++)
			if (cpus[i].thread == t)
				arch_interrupt(&cpus[i]);
}

void wake(const void *channel)
{
	for (struct process *p = processes; p; p = p->next)
		for (struct thread *t = p->threads; t; t = t->next_of_process)
			if (t->state == THREAD_SLEEPING && t->channel == channel)
				thread_ready(t);
}

bool interrupted(void)
{
	struct thread *t = current();

	return t->killed || signal_is_waiting(t);
}

/* 100 times a second on each CPU; the first looks after the clock for all. */
void clock_tick(void)
{
	const uint64_t now = arch_clock();

	this_cpu()->reschedule = 1;
	if (this_cpu()->id != 0)
		return;
	big_lock();
	for (struct process *p = processes; p; p = p->next) {
		for (struct thread *t = p->threads; t; t = t->next_of_process)
			if (t->state == THREAD_SLEEPING && t->wake_at && t->wake_at <= now) {
				t->timed_out = true;
				thread_ready(t);
			}
		if (p->alarm_at && p->alarm_at <= now) {
			p->alarm_at = p->alarm_every ? now + p->alarm_every : 0;
			signal_process(p, SIGALRM);
		}
	}
	console_poll();
	big_unlock();
}

void user_leave(struct regs *regs)
{
	for (;;) {
		struct thread *t = current();
		struct cpu *cpu = this_cpu();

		if (t->killed)
			thread_exit();
		if (signal_is_waiting(t) || t->restart) {
			signal_deliver(regs);
			continue;
		}
		if (cpu->reschedule) {
			cpu->reschedule = 0;
			if (ready) {
				yield();
				continue;
			}
		}
		__atomic_store_n(&cpu->in_user, 1, __ATOMIC_SEQ_CST);
		if (mm_ready(cpu->mm))
			return;
		__atomic_store_n(&cpu->in_user, 0, __ATOMIC_SEQ_CST);
	}
}

/* ---- How they begin -------------------------------------------------------------------------- */

static void thread_entry(void)
{
	struct thread *t = current();

	big_unlock();
	user_leave(t->regs);
	arch_to_user(t->regs);
}

struct thread *thread_create(struct process *p)
{
	struct thread *t = kmalloc(sizeof(*t));

	if (!t)
		return NULL;
	t->stack = kmalloc(KERNEL_STACK);
	if (!t->stack) {
		kfree(t);
		return NULL;
	}
	t->regs = (struct regs *)(void *)(t->stack + KERNEL_STACK) - 1;
	t->context = arch_new_context(t->regs, thread_entry);
	t->process = p;
	t->tid = p->threads ? ++last_id : p->pid;
	t->next_of_process = p->threads;
	p->threads = t;
	p->nthreads++;
	return t;
}

struct process *process_create(struct process *parent)
{
	struct process *p = kmalloc(sizeof(*p));

	if (!p)
		return NULL;
	if (parent) {
		*p = *parent;
		for (unsigned i = 0; i < MAX_FILES; i++)
			if (p->file[i])
				p->file[i]->users++;
	}
	p->pid = ++last_id;
	p->parent = parent;
	p->threads = NULL;
	p->nthreads = 0;
	p->mm = NULL;
	p->pending = p->alarm_at = 0;
	p->zombie = p->exiting = p->vforked = false;
	if (!parent)
		p->pgid = p->sid = p->pid;
	p->next = processes;
	processes = p;
	return p;
}

/* It never ran, or its parent has been told. */
static void process_free(struct process *p)
{
	struct process **at = &processes;

	while (*at != p)
		at = &(*at)->next;
	*at = p->next;
	kfree(p);
}

struct process *process_find(int pid)
{
	for (struct process *p = processes; p; p = p->next)
		if (p->pid == pid)
			return p;
	return NULL;
}

static void close_all(struct process *p)
{
	for (unsigned i = 0; i < MAX_FILES; i++)
		if (p->file[i]) {
			file_put(p->file[i]);
			p->file[i] = NULL;
		}
}

/* A new process with this mm; the running thread's copy runs in it. */
static struct thread *process_copy(struct mm *mm)
{
	struct process *p = process_create(current()->process);
	struct thread *t = p ? thread_create(p) : NULL;

	if (!t) {
		if (p) {
			close_all(p);
			process_free(p);
		}
		return NULL;
	}
	p->mm = mm;
	return t;
}

static struct thread *clone_thread(uint64_t flags, struct mm *copied)
{
	struct process *p = current()->process;
	struct thread *t;

	if (flags & CLONE_THREAD)
		return p->exiting ? NULL : thread_create(p);
	if (!copied)
		p->mm->users++;
	t = process_copy(copied ? copied : p->mm);
	if (!t)
		mm_put(copied ? copied : p->mm);
	return t;
}

static int64_t clone_finish(struct thread *t, const uint64_t flags, const uint64_t *a)
{
	struct thread *me = current();
	const int tid = t->tid;
	struct process *child = t->process;

	*t->regs = *me->regs;
	arch_save(me);
	t->arch = me->arch;
	t->blocked = me->blocked;
	if (!(flags & CLONE_VM)) {
		t->altstack = me->altstack;
		t->altstack_len = me->altstack_len;
		t->altstack_flags = me->altstack_flags;
	}
	syscall_return(t->regs, 0);
	if (a[1])
		regs_set_sp(t->regs, a[1]);
	if (flags & CLONE_SETTLS)
		arch_set_tls(t, t->regs, ARCH_IS_X86 ? a[4] : a[3]);
	const uint64_t child_tid = ARCH_IS_X86 ? a[3] : a[4];
	if (flags & CLONE_CHILD_CLEARTID)
		t->clear_tid = child_tid;
	if (flags & CLONE_PARENT_SETTID)
		copy_out(a[2], &tid, sizeof(tid));
	if (flags & CLONE_CHILD_SETTID)
		vas_write(child->mm->space, child_tid, &tid, sizeof(tid), NULL);
	child->vforked = flags & CLONE_VFORK;
	thread_ready(t);
	while (flags & CLONE_VFORK && process_find(tid) == child && child->vforked)
		sleep_on(&child->vforked);
	return tid;
}

SYSCALL(clone)
{
	const uint64_t flags = a[0];
	struct mm *copied = NULL;
	int64_t result = -EAGAIN;

	if (flags & CLONE_THREAD && !(flags & CLONE_VM))
		return -EINVAL;
	big_lock();
	if (!(flags & CLONE_VM)) {
		big_unlock(); /* copying a space takes long: others may work */
		result = mm_fork(current()->process->mm, &copied);
		big_lock();
	}
	struct thread *t = copied || flags & CLONE_VM ? clone_thread(flags, copied) : NULL;
	if (t)
		result = clone_finish(t, flags, a);
	big_unlock();
	return result;
}

SYSCALL(fork)
{
	(void)a;
	return sys_clone((const uint64_t[6]){SIGCHLD});
}

SYSCALL(vfork)
{
	(void)a;
	return sys_clone((const uint64_t[6]){CLONE_VM | CLONE_VFORK | SIGCHLD});
}

/* ---- How they end ---------------------------------------------------------------------------- */

static void tell_parent(struct process *p)
{
	struct process *parent = p->parent;

	p->zombie = true;
	if (!parent)
		return;
	parent->child_info = (struct signal_info){
		.signo = SIGCHLD,
		.code = p->exit_status & 127 ? 2 : 1,
		.pid = p->pid,
		.status = p->exit_status & 127 ? p->exit_status & 127 : p->exit_status >> 8};
	signal_process(parent, SIGCHLD);
	if (parent->action[SIGCHLD].handler == 1 || parent->action[SIGCHLD].flags & 2)
		process_free(p); /* ignored, or SA_NOCLDWAIT: nobody will ask */
	wake(parent);
}

static void process_end(struct process *p)
{
	struct mm *mm = p->mm;
	struct process *first = process_find(1);

	close_all(p);
	p->mm = NULL;
	mm_load(NULL);
	mm_put(mm);
	if (p->vforked) {
		p->vforked = false;
		wake(&p->vforked);
	}
	for (struct process *child = processes, *next; child; child = next) {
		next = child->next;
		if (child->parent != p)
			continue;
		child->parent = first == p ? NULL : first;
		if (child->zombie)
			tell_parent(child);
	}
	if (p == first)
		machine_stop(p->exit_status & 127 ? 128 + (p->exit_status & 127)
		                                  : p->exit_status >> 8);
	tell_parent(p);
}

_Noreturn void thread_exit(void)
{
	struct thread *t = current(), **at;
	struct process *p = t->process;

	if (t->clear_tid) {
		copy_out(t->clear_tid, &(uint32_t){0}, 4);
		futex_wake(t->clear_tid);
	}
	big_lock();
	for (at = &p->threads; *at != t; at = &(*at)->next_of_process)
		;
	*at = t->next_of_process;
	if (--p->nthreads == 0)
		process_end(p);
	else
		wake(&p->threads);
	t->state = THREAD_DEAD;
	sched();
	panic("a dead thread runs");
}

static void kill_threads(struct process *p)
{
	for (struct thread *t = p->threads; t; t = t->next_of_process)
		if (t != current()) {
			t->killed = true;
			thread_wake(t);
		}
}

_Noreturn void process_exit(int status)
{
	struct process *p = current()->process;

	if (boot_walks && p->pid == 1)
		memory_walk(p->mm);
	big_lock();
	if (!p->exiting) {
		p->exiting = true;
		p->exit_status = status;
		kill_threads(p);
	}
	big_unlock();
	thread_exit();
}

void process_kill_others(void)
{
	struct process *p = current()->process;

	big_lock();
	kill_threads(p);
	while (p->nthreads > 1 && !current()->killed)
		sleep_on(&p->threads);
	big_unlock();
}

SYSCALL(exit)
{
	struct process *p = current()->process;

	if (p->nthreads == 1)
		process_exit((int)(a[0] & 255) << 8);
	thread_exit();
}

SYSCALL(exit_group)
{
	process_exit((int)(a[0] & 255) << 8);
}

/* A child of p that `pid` means, as wait4 has it. */
static bool is_meant(const struct process *child, const struct process *p, int pid)
{
	if (child->parent != p)
		return false;
	return pid == -1 || (pid > 0 && child->pid == pid) ||
	       (pid == 0 && child->pgid == p->pgid) || (pid < -1 && child->pgid == -pid);
}

/* Sleeps until a child that is meant has ended; its pid, 0: none has and nobody waits. */
static int64_t wait_child(int pid, bool nohang, bool leave, int *status)
{
	struct process *p = current()->process;

	for (;;) {
		bool any = false;

		for (struct process *child = processes; child; child = child->next) {
			if (!is_meant(child, p, pid))
				continue;
			any = true;
			if (child->zombie) {
				const int found = child->pid;

				*status = child->exit_status;
				if (!leave)
					process_free(child);
				return found;
			}
		}
		if (!any)
			return -ECHILD;
		if (nohang)
			return 0;
		if (interrupted())
			return -ERESTART;
		sleep_on(p);
	}
}

SYSCALL(wait4)
{
	int status;

	big_lock();
	int64_t pid = wait_child((int)a[0], a[2] & 1, false, &status);
	big_unlock();
	if (pid > 0 && a[1] && copy_out(a[1], &status, sizeof(status)))
		return -EFAULT;
	return pid;
}

SYSCALL(waitid) /* P_ALL, P_PID, P_PGID with WEXITED */
{
	int status, pid = a[0] == 0 ? -1 : a[0] == 1 ? (int)a[1] : -(int)a[1];
	int32_t info[32] = {0};

	if (a[0] > 2 || !(a[3] & 4))
		return -EINVAL;
	big_lock();
	int64_t found = wait_child(pid, a[3] & 1, a[3] & 0x1000000, &status);
	big_unlock();
	if (found > 0) {
		info[0] = SIGCHLD;
		info[2] = status & 127 ? 2 : 1;
		info[4] = (int32_t)found;
		info[6] = status & 127 ? status & 127 : status >> 8;
	}
	if (found >= 0 && a[2] && copy_out(a[2], info, sizeof(info)))
		return -EFAULT;
	return found < 0 ? found : 0;
}
