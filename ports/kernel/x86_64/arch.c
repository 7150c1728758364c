/* arch.c - x86-64: descriptors, the local APIC, the clock, traps, signal frames.
 *
 * References: Intel SDM volume 3A (descriptors, APIC, paging); the System V ABI for x86-64.
 *
 * SPDX-License-Identifier: MIT */
#include "kernel.h"
#include "signal_frame.h"

#define KERNEL_VIRTUAL 0xffffffff80000000u
#define TRAMPOLINE 0x8000u
#define APIC 0xfee00000u
enum {
	APIC_EOI = 0xb0,
	APIC_SPURIOUS = 0xf0,
	APIC_ICR = 0x300,
	APIC_ICR_TO = 0x310,
	APIC_TIMER = 0x320,
	APIC_COUNT = 0x380,
	APIC_NOW = 0x390,
	APIC_DIVIDE = 0x3e0
};
enum { VECTOR_FAULT = 14, VECTOR_TIMER = 32, VECTOR_KICK = 33, VECTOR_SPURIOUS = 47 };
#define TICK 10000000u /* APIC counts in 10 ms: QEMU's run at 1 GHz */
enum {
	MSR_STAR = 0xc0000081,
	MSR_LSTAR,
	MSR_CSTAR,
	MSR_FMASK,
	MSR_FS = 0xc0000100,
	MSR_GS,
	MSR_KERNEL_GS
};

extern uint64_t boot_root[512], boot_other_stack;
extern uint8_t trampoline[], trampoline_end[], trap_entries[], syscall_entry[];
bool arch_has_pcid;
const uint64_t *const arch_root_words = boot_root;
static struct {
	uint64_t low, high;
} idt[48];
static uint64_t tsc_start, tsc_per_ms;

static inline void outb(uint16_t port, uint8_t byte)
{
	__asm__ volatile("outb %0, %1" ::"a"(byte), "Nd"(port));
}

static inline uint8_t inb(uint16_t port)
{
	uint8_t byte;

	__asm__ volatile("inb %1, %0" : "=a"(byte) : "Nd"(port));
	return byte;
}

static inline void wrmsr(uint32_t msr, uint64_t value)
{
	__asm__ volatile("wrmsr" ::"c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32)));
}

static inline uint64_t rdtsc(void)
{
	uint32_t low, high;

	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
	return (uint64_t)high << 32 | low;
}

static volatile uint32_t *apic(unsigned reg)
{
	return (volatile uint32_t *)((uint8_t *)direct_map(APIC) + reg);
}

void arch_putc(char c)
{
	while (!(inb(0x3fd) & 0x20))
		;
	outb(0x3f8, (uint8_t)c);
}

int arch_getc(void)
{
	return inb(0x3fd) & 1 ? inb(0x3f8) : -1;
}

_Noreturn void arch_stop(int status)
{
	__asm__ volatile("outl %0, %1" ::"a"((uint32_t)status), "Nd"((uint16_t)0xf4));
	for (;;)
		__asm__ volatile("cli; hlt");
}

uint64_t arch_clock(void)
{
	return (rdtsc() - tsc_start) * 1000 / tsc_per_ms * 1000;
}

static void clock_init(void)
{
	*apic(APIC_COUNT) = ~0u;
	tsc_start = rdtsc();
	while (~0u - *apic(APIC_NOW) < TICK / 10)
		;
	tsc_per_ms = rdtsc() - tsc_start;
}

static void idt_init(void)
{
	for (unsigned i = 0; i < ARRAY_LEN(idt); i++) {
		uint64_t entry = (uint64_t)(uintptr_t)trap_entries + i * 16;

		idt[i].low = (entry & 0xffff) | 0x10u << 16 | (entry >> 16 & 0xffff) << 48 |
		             (uint64_t)(i == 3 ? 0xee : 0x8e) << 40;
		idt[i].high = entry >> 32;
	}
}

static void descriptors_load(struct cpu *cpu)
{
	struct {
		uint16_t size;
		uint64_t at;
	} __attribute__((packed)) gdtr = {sizeof(cpu->arch.gdt) - 1, (uintptr_t)cpu->arch.gdt},
				  idtr = {sizeof(idt) - 1, (uintptr_t)idt};
	uint64_t tss = (uintptr_t)cpu->arch.tss;

	cpu->arch.gdt[2] = 0x00209a0000000000; /* 0x10: kernel code; user: 0x33 */
	cpu->arch.gdt[3] = 0x0000920000000000;
	cpu->arch.gdt[5] = 0x0000f20000000000;
	cpu->arch.gdt[6] = 0x0020fa0000000000;
	cpu->arch.gdt[8] = 103 | (tss & 0xffffff) << 16 | (uint64_t)0x89 << 40 |
	                   (tss >> 24 & 0xff) << 56;
	cpu->arch.gdt[9] = tss >> 32;
	cpu->arch.tss[25] = 104u << 16; /* no map of ports */
	__asm__ volatile("lgdt %0; lidt %1" ::"m"(gdtr), "m"(idtr));
	__asm__ volatile(
		"pushq $0x10; leaq 1f(%%rip), %%rax; pushq %%rax; lretq; 1:\n\t"
		"movl $0x18, %%eax; movl %%eax, %%ss; xorl %%eax, %%eax\n\t"
		"movl %%eax, %%ds; movl %%eax, %%es; movl %%eax, %%fs; movl %%eax, %%gs\n\t"
		"movl $0x40, %%eax; ltr %%ax" ::
			: "rax", "memory");
}

static void pcid_init(void)
{
	uint32_t a = 1, b, c = 0, d;
	uint64_t cr4;

	__asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
	arch_has_pcid = c >> 17 & 1;
	if (!arch_has_pcid)
		return;
	__asm__ volatile("movq %%cr4, %0; orq $0x20000, %0; movq %0, %%cr4" : "=r"(cr4));
}

void arch_cpu_init(struct cpu *cpu)
{
	if (cpu->id == 0)
		idt_init();
	descriptors_load(cpu);
	cpu->arch.self = (uintptr_t)cpu;
	wrmsr(MSR_GS, (uintptr_t)cpu);
	wrmsr(MSR_KERNEL_GS, 0);
	wrmsr(MSR_STAR, (uint64_t)0x10 << 32);
	wrmsr(MSR_LSTAR, (uintptr_t)syscall_entry);
	wrmsr(MSR_FMASK, 0x47700);
	arch_load(0, 0);
	pcid_init();
	*apic(APIC_SPURIOUS) = 0x100 | VECTOR_SPURIOUS;
	*apic(APIC_DIVIDE) = 11; /* by 1 */
	if (cpu->id == 0)
		clock_init();
	*apic(APIC_TIMER) = VECTOR_TIMER | 1u << 17;
	*apic(APIC_COUNT) = TICK;
}

static void apic_send(unsigned id, uint32_t what)
{
	*apic(APIC_ICR_TO) = id << 24;
	*apic(APIC_ICR) = what;
	while (*apic(APIC_ICR) & 0x1000)
		cpu_relax();
}

void arch_interrupt(struct cpu *cpu)
{
	apic_send(cpu->id, 0x4000 | VECTOR_KICK);
}

bool arch_start_cpu(struct cpu *cpu)
{
	uint64_t until;

	memcpy(direct_map(TRAMPOLINE), trampoline, (size_t)(trampoline_end - trampoline));
	boot_other_stack = (uintptr_t)(cpu->stack + KERNEL_STACK);
	apic_send(cpu->id, 0x4500);
	apic_send(cpu->id, 0x4600 | TRAMPOLINE >> 12);
	for (until = arch_clock() + 1000000000; arch_clock() < until; cpu_relax())
		if (__atomic_load_n(&cpu->arch.self, __ATOMIC_ACQUIRE))
			return true;
	return false;
}

void arch_idle(void)
{
	__asm__ volatile("sti; hlt; cli" ::: "memory");
}

void arch_load(uint64_t root, uint32_t asid)
{
	struct cpu *cpu = this_cpu();
	uint64_t cr3 = root ? root : (uintptr_t)boot_root - KERNEL_VIRTUAL;

	cpu->arch.root = cr3;
	if (arch_has_pcid && root)
		cr3 |= asid | (asid ? (uint64_t)1 << 63 : 0);
	__asm__ volatile("movq %0, %%cr3" ::"r"(cr3) : "memory");
}

/* Loading the root without bit 63 forgets what bears its tag. */
void arch_flush(uint32_t asid)
{
	uint64_t cr3 = this_cpu()->arch.root | (arch_has_pcid ? asid : 0);

	__asm__ volatile("movq %0, %%cr3" ::"r"(cr3) : "memory");
}

bool arch_flush_everywhere(uint32_t asid, const struct vas_invalidation *what)
{
	(void)asid;
	return !what->taken; /* who has not heard of a right faults, and asks again */
}

bool arch_sync_code(void)
{
	return true; /* caches of instructions see all writes */
}

void arch_save(struct thread *t)
{
	__asm__ volatile("fxsave %0" : "=m"(t->arch.fpu));
}

void arch_restore(struct thread *t)
{
	struct cpu *cpu = this_cpu();
	uint64_t top = (uintptr_t)(t->stack + KERNEL_STACK);

	cpu->arch.kernel_stack = top;
	cpu->arch.tss[1] = (uint32_t)top;
	cpu->arch.tss[2] = (uint32_t)(top >> 32);
	wrmsr(MSR_FS, t->arch.fs);
	wrmsr(MSR_KERNEL_GS, t->arch.gs);
	__asm__ volatile("fxrstor %0" ::"m"(t->arch.fpu));
}

void arch_set_tls(struct thread *t, struct regs *r, uint64_t tls)
{
	(void)r;
	t->arch.fs = tls;
	if (t == current())
		wrmsr(MSR_FS, tls);
}

void *arch_new_context(struct regs *regs, void (*entry)(void))
{
	uint64_t *sp = (uint64_t *)(void *)regs;

	*--sp = 0;
	*--sp = (uintptr_t)entry;
	for (unsigned i = 0; i < 6; i++)
		*--sp = 0;
	return sp;
}

void arch_user_regs(struct regs *r, uint64_t pc, uint64_t sp)
{
	struct thread *t = current();

	*r = (struct regs){.rip = pc, .rsp = sp, .cs = 0x33, .ss = 0x2b, .rflags = 0x202};
	t->arch = (struct arch_thread){0};
	memcpy(t->arch.fpu, &(uint16_t){0x37f}, 2);
	memcpy(t->arch.fpu + 24, &(uint32_t){0x1f80}, 4);
	arch_restore(t);
}

/* ---- Traps ----------------------------------------------------------------------------------- */

static void exception(struct regs *r)
{
	static const struct {
		uint8_t signo;
		int16_t code;
	} signals[] = {[0] = {SIGFPE, 1},     [1] = {SIGTRAP, 1}, [3] = {SIGTRAP, 0x80},
	               [4] = {SIGSEGV, 0x80}, [6] = {SIGILL, 2},  [13] = {SIGSEGV, 0x80},
	               [16] = {SIGFPE, 2},    [17] = {SIGBUS, 1}, [19] = {SIGFPE, 7}};
	unsigned n = (unsigned)r->vector;

	if (n < ARRAY_LEN(signals) && signals[n].signo)
		user_trap(r, signals[n].signo, signals[n].code,
		          signals[n].code == 0x80 || signals[n].signo == SIGTRAP ? 0 : r->rip);
	else
		panic("an exception that no user can cause");
}

void trap(struct regs *r);
void trap(struct regs *r)
{
	const bool user = r->cs & 3;
	uint64_t addr;

	if (user)
		__atomic_store_n(&this_cpu()->in_user, 0, __ATOMIC_SEQ_CST);
	switch (r->vector) {
	case VECTOR_FAULT:
		__asm__ volatile("movq %%cr2, %0" : "=r"(addr));
		if (!user) {
			print("kernel: fault at %lx, pc %lx\n", (unsigned long)addr,
			      (unsigned long)r->rip);
			panic("a page fault of the kernel's own");
		}
		user_fault(r, addr, r->error & 16 ? VAS_EXEC : r->error & 2 ? VAS_WRITE : VAS_READ);
		break;
	case VECTOR_TIMER:
		*apic(APIC_EOI) = 0;
		clock_tick();
		break;
	case VECTOR_KICK:
		*apic(APIC_EOI) = 0;
		break;
	case VECTOR_SPURIOUS:
		break;
	default:
		if (!user) {
			print("kernel: vector %lu, pc %lx\n", (unsigned long)r->vector,
			      (unsigned long)r->rip);
			panic("an exception of the kernel's own");
		}
		exception(r);
	}
	if (user)
		user_leave(r);
}

void trap_syscall(struct regs *r);
void trap_syscall(struct regs *r)
{
	__atomic_store_n(&this_cpu()->in_user, 0, __ATOMIC_SEQ_CST);
	syscall(r);
	user_leave(r);
}

/* ---- Signals --------------------------------------------------------------------------------- */

struct frame {
	uint64_t restorer;
	struct {
		uint64_t flags, link;
		struct frame_stack stack;
		uint64_t r8, r9, r10, r11, r12, r13, r14, r15, rdi, rsi, rbp, rbx, rdx, rax, rcx,
			rsp;
		uint64_t rip, rflags;
		uint16_t cs, gs, fs, ss;
		uint64_t error, vector, old_mask, cr2, fpu, reserved[8];
		uint64_t mask;
	} context;
	uint8_t info[128];
};

int64_t arch_push_signal(struct regs *r, const struct signal_action *action, uint64_t sp,
                         const struct signal_info *info, uint64_t mask)
{
	struct thread *t = current();
	struct frame f = {.restorer = action->restorer};
	const uint64_t below = sp == r->rsp ? 128 : 0; /* the red zone */
	uint64_t fpu = (sp - below - sizeof(t->arch.fpu)) & ~(uint64_t)63;
	uint64_t at = ((fpu - sizeof(f)) & ~(uint64_t)15) - 8;

	arch_save(t);
	frame_stack(&f.context.stack);
	frame_info(f.info, info);
#define PUT(reg) f.context.reg = r->reg
	PUT(r8), PUT(r9), PUT(r10), PUT(r11), PUT(r12), PUT(r13), PUT(r14), PUT(r15), PUT(rdi),
		PUT(rsi);
	PUT(rbp), PUT(rbx), PUT(rdx), PUT(rax), PUT(rcx), PUT(rsp), PUT(rip), PUT(rflags),
		PUT(error);
	f.context.cs = 0x33;
	f.context.ss = 0x2b;
	f.context.vector = r->vector;
	f.context.cr2 = info->addr;
	f.context.fpu = fpu;
	f.context.mask = mask;
	if (copy_out(fpu, t->arch.fpu, sizeof(t->arch.fpu)) || copy_out(at, &f, sizeof(f)))
		return -EFAULT;
	r->rip = action->handler;
	r->rsp = at;
	r->rdi = (uint64_t)info->signo;
	r->rsi = at + offsetof(struct frame, info);
	r->rdx = at + offsetof(struct frame, context);
	r->rax = 0;
	r->rflags &= ~(uint64_t)0x500;
	return 0;
}

int64_t arch_pop_signal(struct regs *r, uint64_t *mask)
{
	struct thread *t = current();
	struct frame f;
	uint32_t mxcsr;

	if (copy_in(&f, r->rsp - 8, sizeof(f)))
		return -EFAULT;
	if (f.context.fpu && copy_in(t->arch.fpu, f.context.fpu, sizeof(t->arch.fpu)))
		return -EFAULT;
	memcpy(&mxcsr, t->arch.fpu + 24, 4);
	mxcsr &= 0xffff; /* what is reserved must be 0 */
	memcpy(t->arch.fpu + 24, &mxcsr, 4);
#define GET(reg) r->reg = f.context.reg
	GET(r8), GET(r9), GET(r10), GET(r11), GET(r12), GET(r13), GET(r14), GET(r15), GET(rdi),
		GET(rsi);
	GET(rbp), GET(rbx), GET(rdx), GET(rax), GET(rcx), GET(rsp);
	r->rflags = (f.context.rflags & 0x40dd5) | 0x202;
	r->rip = f.context.rip < (uint64_t)1 << 47 ? f.context.rip : 0;
	*mask = f.context.mask;
	arch_restore(t);
	return 0;
}

size_t arch_stat(const struct node *n, void *out)
{
	struct {
		uint64_t dev, ino, nlink;
		uint32_t mode, uid, gid, pad;
		uint64_t rdev, size, blksize, blocks, times[6], unused[3];
	} stat = {.dev = 1,
	          .ino = n->inode,
	          .nlink = n->links,
	          .mode = n->mode,
	          .size = n->size,
	          .blksize = PAGE,
	          .blocks = (n->size + 511) / 512};

	memcpy(out, &stat, sizeof(stat));
	return sizeof(stat);
}
