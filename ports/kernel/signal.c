/* signal.c - signals: who gets them, what happens then, and the frames' common parts.
 *
 * References: signal(7), sigaction(2), sigaltstack(2).
 *
 * SPDX-License-Identifier: MIT */
#include "kernel.h"
#include "signal_frame.h"

#define BIT(signo) ((uint64_t)1 << ((signo) - 1))
#define NEVER_BLOCKED (BIT(SIGKILL) | BIT(SIGSTOP))
#define IGNORED_BY_DEFAULT (BIT(SIGCHLD) | BIT(SIGCONT) | BIT(SIGURG) | BIT(SIGWINCH))
#define DUMPED                                                                            \
	(BIT(3) | BIT(SIGILL) | BIT(SIGTRAP) | BIT(SIGABRT) | BIT(SIGBUS) | BIT(SIGFPE) | \
	 BIT(SIGSEGV))
enum {
	SA_SIGINFO = 4,
	SA_ONSTACK = 0x08000000,
	SA_RESTART = 0x10000000,
	SA_NODEFER = 0x40000000,
	SA_RESETHAND = (int)0x80000000
};
enum { SIG_DFL, SIG_IGN };
enum { SS_ONSTACK = 1, SS_DISABLE = 2 };

static bool is_ignored(const struct process *p, int signo)
{
	const uint64_t handler = p->action[signo].handler;

	return handler == SIG_IGN || (handler == SIG_DFL && IGNORED_BY_DEFAULT & BIT(signo));
}

bool signal_is_waiting(const struct thread *t)
{
	return ((t->pending | t->process->pending) & ~t->blocked) != 0;
}

/* Under the big lock, as all that follows. */
void signal_process(struct process *p, int signo)
{
	if (p->zombie || p->exiting || (is_ignored(p, signo) && signo != SIGKILL))
		return;
	p->pending |= BIT(signo);
	for (struct thread *t = p->threads; t; t = t->next_of_process)
		if (!(t->blocked & BIT(signo)) || signo == SIGKILL) {
			thread_wake(t);
			break;
		}
}

void signal_thread(struct thread *t, int signo, const struct signal_info *info)
{
	if (is_ignored(t->process, signo) && !info)
		return;
	t->pending |= BIT(signo);
	if (info)
		t->fault = *info;
	if (!(t->blocked & BIT(signo)))
		thread_wake(t);
}

/* An instruction of the running thread caused it: it cannot be put off. */
void user_trap(struct regs *regs, int signo, int code, uint64_t addr)
{
	struct thread *t = current();
	const struct signal_info info = {.signo = signo, .code = code, .addr = addr};

	(void)regs;
	big_lock();
	if (t->blocked & BIT(signo) || is_ignored(t->process, signo)) {
		t->process->action[signo].handler = SIG_DFL;
		t->blocked &= ~BIT(signo);
	}
	signal_thread(t, signo, &info);
	big_unlock();
}

/* Takes the next signal of the running thread; 0: there is none. */
static int take(struct thread *t, struct signal_info *info)
{
	struct process *p = t->process;
	uint64_t which = (t->pending | p->pending) & ~t->blocked;
	const uint64_t faults = t->pending & DUMPED & ~t->blocked;
	int signo;

	if (!which)
		return 0;
	signo = __builtin_ctzll(faults ? faults : which) + 1;
	*info = (struct signal_info){.signo = signo, .pid = p->pid};
	if (t->pending & BIT(signo) && t->fault.signo == signo) {
		*info = t->fault;
		t->fault.signo = 0;
	} else if (signo == SIGCHLD) {
		*info = p->child_info;
	}
	if (t->pending & BIT(signo))
		t->pending &= ~BIT(signo);
	else
		p->pending &= ~BIT(signo);
	return signo;
}

static uint64_t stack_for(const struct thread *t, const struct regs *regs, uint64_t flags)
{
	const uint64_t sp = regs_sp(regs);

	if (!(flags & SA_ONSTACK) || !t->altstack_len || t->altstack_flags & SS_DISABLE)
		return sp;
	if (sp - t->altstack <= t->altstack_len)
		return sp;
	return t->altstack + t->altstack_len;
}

static void enter_handler(struct regs *regs, const struct signal_info *info)
{
	struct thread *t = current();
	struct signal_action *action = &t->process->action[info->signo];
	const struct signal_action now = *action;
	const uint64_t mask = t->restore_blocked ? t->saved_blocked : t->blocked;

	t->restore_blocked = false;
	if (now.flags & (uint32_t)SA_RESETHAND)
		action->handler = SIG_DFL;
	big_unlock();
	if (arch_push_signal(regs, &now, stack_for(t, regs, now.flags), info, mask))
		process_exit(SIGSEGV); /* there is no stack to tell it on */
	big_lock();
	t->blocked |= now.mask | (now.flags & SA_NODEFER ? 0 : BIT(info->signo));
	t->blocked &= ~NEVER_BLOCKED;
}

void signal_deliver(struct regs *regs)
{
	struct thread *t = current();
	struct process *p = t->process;
	struct signal_info info;

	big_lock();
	int signo = take(t, &info);
	if (t->restart) {
		/* What slept was interrupted: the handler runs first, or the call is made again. */
		t->restart = false;
		if (!signo || is_ignored(p, signo) || p->action[signo].flags & SA_RESTART)
			syscall_again(regs);
	}
	if (!signo) {
		if (t->restore_blocked)
			t->blocked = t->saved_blocked;
		t->restore_blocked = false;
	} else if (p->action[signo].handler > SIG_IGN && signo != SIGKILL) {
		enter_handler(regs, &info);
	} else if (signo == SIGKILL || !is_ignored(p, signo)) {
		big_unlock();
		if (p->pid == 1 || boot_checks)
			print("kernel: process %d (%s): signal %d at %lx, pc %lx\n", p->pid,
			      p->name, signo, (unsigned long)info.addr,
			      (unsigned long)regs_pc(regs));
		process_exit(signo);
	}
	big_unlock();
}

void frame_stack(struct frame_stack *stack)
{
	const struct thread *t = current();

	*stack = (struct frame_stack){t->altstack, t->altstack_len ? 0 : SS_DISABLE, 0,
	                              t->altstack_len};
}

void frame_info(uint8_t out[128], const struct signal_info *info)
{
	int32_t words[32] = {info->signo, 0, info->code};

	if (info->addr || info->code > 0) {
		memcpy(&words[4], &info->addr, 8);
		if (info->signo == SIGCHLD) {
			words[4] = info->pid;
			words[5] = 0;
			words[6] = info->status;
		}
	} else {
		words[4] = info->pid;
	}
	memcpy(out, words, 128);
}

/* ---- The calls ------------------------------------------------------------------------------- */

SYSCALL(rt_sigaction)
{
	const unsigned words = ARCH_HAS_RESTORER ? 4 : 3;
	const int signo = (int)a[0];
	struct process *p = current()->process;
	uint64_t word[4] = {0};

	if (signo < 1 || signo > NSIG || a[3] != 8)
		return -EINVAL;
	if (a[1] && (copy_in(word, a[1], words * 8) || signo == SIGKILL || signo == SIGSTOP))
		return signo == SIGKILL || signo == SIGSTOP ? -EINVAL : -EFAULT;
	big_lock();
	struct signal_action old = p->action[signo];
	if (a[1]) {
		p->action[signo] = (struct signal_action){word[0], word[1],
		                                          ARCH_HAS_RESTORER ? word[2] : 0,
		                                          word[words - 1] & ~NEVER_BLOCKED};
		if (is_ignored(p, signo))
			p->pending &= ~BIT(signo);
	}
	big_unlock();
	if (a[2]) {
		const uint64_t out[4] = {old.handler, old.flags,
		                         ARCH_HAS_RESTORER ? old.restorer : old.mask, old.mask};

		return copy_out(a[2], out, words * 8);
	}
	return 0;
}

SYSCALL(rt_sigprocmask)
{
	struct thread *t = current();
	const uint64_t old = t->blocked;
	uint64_t set;

	if (a[3] != 8)
		return -EINVAL;
	if (a[1]) {
		if (copy_in(&set, a[1], 8))
			return -EFAULT;
		if (a[0] > 2)
			return -EINVAL;
		set = a[0] == 0 ? old | set : a[0] == 1 ? old & ~set : set;
		t->blocked = set & ~NEVER_BLOCKED;
	}
	return a[2] ? copy_out(a[2], &old, 8) : 0;
}

SYSCALL(rt_sigreturn)
{
	struct thread *t = current();
	uint64_t mask;

	(void)a;
	if (arch_pop_signal(t->regs, &mask))
		process_exit(SIGSEGV);
	t->blocked = mask & ~NEVER_BLOCKED;
	return REGS_ARE_SET;
}

SYSCALL(rt_sigpending)
{
	struct thread *t = current();
	const uint64_t set = (t->pending | t->process->pending) & t->blocked;

	return copy_out(a[0], &set, 8);
}

SYSCALL(rt_sigsuspend)
{
	struct thread *t = current();
	uint64_t set;

	if (copy_in(&set, a[0], 8))
		return -EFAULT;
	big_lock();
	t->saved_blocked = t->blocked;
	t->restore_blocked = true;
	t->blocked = set & ~NEVER_BLOCKED;
	while (!interrupted())
		sleep_on(t);
	big_unlock();
	return -EINTR;
}

SYSCALL(pause)
{
	(void)a;
	big_lock();
	while (!interrupted())
		sleep_on(current());
	big_unlock();
	return -EINTR;
}

SYSCALL(rt_sigtimedwait)
{
	struct thread *t = current();
	struct signal_info info;
	uint64_t set, until = 0;
	int64_t time[2];
	int signo;

	if (copy_in(&set, a[0], 8) || (a[2] && copy_in(time, a[2], sizeof(time))))
		return -EFAULT;
	if (a[2])
		until = arch_clock() + (uint64_t)time[0] * 1000000000 + (uint64_t)time[1] + 1;
	big_lock();
	const uint64_t blocked = t->blocked;
	t->blocked = ~set & ~NEVER_BLOCKED;
	while (!signal_is_waiting(t) && !t->killed && sleep_until(t, until))
		;
	signo = take(t, &info);
	t->blocked = blocked;
	big_unlock();
	if (signo && a[1]) {
		uint8_t out[128];

		frame_info(out, &info);
		if (copy_out(a[1], out, sizeof(out)))
			return -EFAULT;
	}
	return signo ? signo : -EAGAIN;
}

SYSCALL(sigaltstack)
{
	struct thread *t = current();
	struct frame_stack new, old;
	const bool on = t->altstack_len && regs_sp(t->regs) - t->altstack <= t->altstack_len;

	frame_stack(&old);
	if (on)
		old.flags = SS_ONSTACK;
	if (a[0]) {
		if (copy_in(&new, a[0], sizeof(new)))
			return -EFAULT;
		if (on)
			return -EPERM;
		if (!(new.flags & SS_DISABLE) && new.size < 2048)
			return -ENOMEM;
		t->altstack = new.sp;
		t->altstack_len = new.flags & SS_DISABLE ? 0 : new.size;
		t->altstack_flags = new.flags;
	}
	return a[1] ? copy_out(a[1], &old, sizeof(old)) : 0;
}

/* Signal 0 only asks whether there is anybody. */
static int64_t kill_process(struct process *p, int signo)
{
	if (signo)
		signal_process(p, signo);
	return 0;
}

SYSCALL(kill)
{
	const int pid = (int)a[0], signo = (int)a[1];
	int64_t result = -ESRCH;

	if (signo < 0 || signo > NSIG)
		return -EINVAL;
	big_lock();
	for (struct process *p = processes; p; p = p->next)
		if (pid > 0     ? p->pid == pid
		    : pid == -1 ? p->pid > 1 && p != current()->process
		                : p->pgid == (pid ? -pid : current()->process->pgid))
			result = kill_process(p, signo);
	big_unlock();
	return result;
}

static int64_t kill_thread(int pid, int tid, int signo)
{
	int64_t result = -ESRCH;

	if (signo < 0 || signo > NSIG)
		return -EINVAL;
	big_lock();
	for (struct process *p = processes; p; p = p->next)
		for (struct thread *t = p->threads; t; t = t->next_of_process)
			if (t->tid == tid && (!pid || p->pid == pid)) {
				const struct signal_info info = {
					.signo = signo, .code = -6, .pid = current()->process->pid};
				if (signo && !is_ignored(p, signo))
					signal_thread(t, signo, &info);
				result = 0;
			}
	big_unlock();
	return result;
}

SYSCALL(tgkill)
{
	return kill_thread((int)a[0], (int)a[1], (int)a[2]);
}

SYSCALL(tkill)
{
	return kill_thread(0, (int)a[0], (int)a[1]);
}
