/* embed.c - vas in this kernel: all that a kernel has to write to have it.
 *
 * vas gets the machine's memory and one hook. A page fault is a vas_fault, a memory call a line in
 * sysmem.c, a user's pointer a vas_read or vas_write. What is left is this file: what a CPU may
 * still hold of a space that has changed.
 *
 * A CPU in kernel mode uses no translation of the user's half. So the hook waits only for CPUs that
 * are in user mode in this space: it interrupts them, and they flush on their way back. All others
 * find the bit in mm->stale when they next go there. Nobody ever has to wait for a CPU that is in
 * the kernel, whatever locks it holds: that is why port.wait has nothing to serve here.
 *
 * SPDX-License-Identifier: MIT */
#include "kernel.h"

#define ASIDS 256u

struct vas_system *vas_of_kernel;
static uint32_t asid_used[ASIDS / 32] = {1}; /* 0 is nobody's */

static void pause_cpu(void *ctx)
{
	(void)ctx;
	cpu_relax();
}

/* Setting the bit and reading in_user here, and setting in_user and reading the bit in user_leave,
 * are in that order for everybody: one of the two sees the other. */
static void make_stale(struct mm *mm)
{
	struct cpu *me = this_cpu();

	__atomic_fetch_or(&mm->stale, mm->cpus, __ATOMIC_SEQ_CST);
	for (unsigned i = 0; i < ncpus; i++) {
		struct cpu *cpu = &cpus[i];

		if (cpu == me || !__atomic_load_n(&cpu->in_user, __ATOMIC_SEQ_CST) || cpu->mm != mm)
			continue;
		arch_interrupt(cpu);
		while (__atomic_load_n(&cpu->in_user, __ATOMIC_SEQ_CST) && cpu->mm == mm &&
		       __atomic_load_n(&mm->stale, __ATOMIC_SEQ_CST) & 1u << i)
			cpu_relax();
	}
}

static void invalidate(void *ctx, struct vas *space, const struct vas_invalidation *what)
{
	struct mm *mm = vas_context(space);

	(void)ctx;
	__atomic_thread_fence(__ATOMIC_SEQ_CST); /* the tables' words are there before we look */
	if (!mm || !__atomic_load_n(&mm->cpus, __ATOMIC_SEQ_CST))
		return; /* no CPU has run it yet, or it ends: its tag's next user is stale */
	if (!arch_flush_everywhere(mm->asid, what))
		make_stale(mm);
}

void mm_sync_code(struct mm *mm)
{
	if (!arch_sync_code())
		make_stale(mm);
}

bool mm_ready(struct mm *mm)
{
	const uint32_t mine = 1u << this_cpu()->id;

	if (!(__atomic_load_n(&mm->stale, __ATOMIC_SEQ_CST) & mine))
		return true;
	__atomic_fetch_and(&mm->stale, ~mine, __ATOMIC_SEQ_CST);
	arch_flush(mm->asid);
	return false;
}

void mm_load(struct mm *mm)
{
	struct cpu *cpu = this_cpu();

	cpu->mm = mm;
	if (mm) {
		const uint32_t mine = 1u << cpu->id;

		__atomic_fetch_or(&mm->cpus, mine, __ATOMIC_SEQ_CST);
		arch_load(vas_root(mm->space), mm->asid);
		if (mm->asid == 0)
			__atomic_fetch_or(&mm->stale, mine, __ATOMIC_SEQ_CST);
	} else {
		arch_load(0, 0);
	}
}

/* [start, end) is memory that nobody uses. */
void memory_init(uint64_t start, uint64_t end)
{
	struct vas_config config = {
		.format = ARCH_FORMAT,
		.root_words = arch_root_words,
		.port = {.memory = direct_map(start),
	                 .memory_len = end - start,
	                 .phys = start,
	                 .threads = true,
	                 .wait = pause_cpu,
	                 .invalidate = invalidate},
	};

	vas_settings_default(&config.settings, (end - start) / PAGE);
	if (vas_system_create(&config, &vas_of_kernel))
		panic("vas_system_create");
}

/* Under the big lock. The flush of a tag's last user is left to its next: all CPUs are stale. */
static uint32_t asid_take(void)
{
	for (uint32_t asid = 1; asid < ASIDS && asid < ARCH_ASIDS; asid++)
		if (!(asid_used[asid / 32] & 1u << asid % 32)) {
			asid_used[asid / 32] |= 1u << asid % 32;
			return asid;
		}
	return 0;
}

static int64_t mm_adopt(struct vas *space, struct mm *mm)
{
	mm->space = space;
	mm->users = 1;
	mm->asid = asid_take();
	mm->stale = ~(uint32_t)0;
	vas_set_context(space, mm);
	return 0;
}

int64_t mm_create(const struct vas_params *params, struct mm **mm)
{
	struct vas *space;

	*mm = kmalloc(sizeof(**mm));
	if (!*mm)
		return -ENOMEM;
	if (vas_create(vas_of_kernel, params, &space)) {
		kfree(*mm);
		return -ENOMEM;
	}
	return mm_adopt(space, *mm);
}

int64_t mm_fork(struct mm *parent, struct mm **child)
{
	struct vas *space;

	*child = kmalloc(sizeof(**child));
	if (!*child)
		return -ENOMEM;
	if (vas_fork(parent->space, &space)) {
		kfree(*child);
		return -ENOMEM;
	}
	(*child)->executable = parent->executable;
	if (parent->executable)
		parent->executable->users++;
	return mm_adopt(space, *child);
}

/* Under the big lock; the last user's CPU has loaded another space. */
void mm_put(struct mm *mm)
{
	if (--mm->users > 0)
		return;
	vas_set_context(mm->space, NULL);
	vas_destroy(mm->space);
	if (mm->asid)
		asid_used[mm->asid / 32] &= ~(1u << mm->asid % 32);
	if (mm->executable)
		file_put(mm->executable);
	kfree(mm);
}

void user_fault(struct regs *regs, uint64_t addr, enum vas_access access)
{
	struct vas_signal signal = {0};
	int64_t err = vas_fault(this_cpu()->mm->space, addr, access, &signal);

	if (!err && access == VAS_EXEC)
		mm_sync_code(this_cpu()->mm);
	else if (err == -VAS_EFAULT)
		user_trap(regs, signal.signo, signal.code, signal.addr);
	else if (err == -VAS_ENOMEM)
		process_exit(SIGKILL); /* no frame is left: the one who asks for it goes */
}

int64_t copy_in(void *to, uint64_t addr, size_t len)
{
	return vas_read(this_cpu()->mm->space, to, addr, len, NULL) ? -EFAULT : 0;
}

int64_t copy_out(uint64_t addr, const void *from, size_t len)
{
	return vas_write(this_cpu()->mm->space, addr, from, len, NULL) ? -EFAULT : 0;
}

int64_t copy_string(char *to, uint64_t addr, size_t max)
{
	int64_t len = vas_read_string(this_cpu()->mm->space, to, addr, max, NULL);

	if (len < 0)
		return -EFAULT;
	return (size_t)len == max ? -ENAMETOOLONG : len;
}

/* What vas says the MMU sees of `mm`, a line a page, for a reader of QEMU's monitor; then the
 * machine stands still, with these tables loaded. */
_Noreturn void memory_walk(struct mm *mm)
{
	struct vas_walk_step step[VAS_LEVELS_MAX];
	struct vas_region region;
	uint64_t phys = 0;

	for (uint64_t at = 0; vas_next_region(mm->space, at, &region); at = region.end)
		for (at = region.start; at < region.end; at += PAGE) {
			const unsigned rights = vas_lookup(mm->space, at, &phys, NULL),
				       n = vas_walk(mm->space, at, step);

			if (n && rights) /* a page without rights is none to the MMU */
				print("walk: %lx %lx %lx %u\n", at, phys, step[n - 1].word, rights);
		}
	print("walk: the end\n");
	for (;;)
		arch_idle();
}

/* Every frame is back when the last process has ended: but for the pages that files hold. */
void memory_report(void)
{
	const char *what = vas_audit(vas_of_kernel);
	uint64_t total, left;

	vas_system_frames(vas_of_kernel, &total, &left);
	print("kernel: audit: %s; %lu of %lu frames free\n", what ? what : "clean",
	      (unsigned long)left, (unsigned long)total);
}
