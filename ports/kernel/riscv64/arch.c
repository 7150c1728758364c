/* arch.c - RISC-V 64: paging mode, clock, interrupts between harts, traps, signal frames.
 *
 * References: the RISC-V privileged architecture (satp, Sv39 to Sv57, Sstc); QEMU's virt machine.
 *
 * SPDX-License-Identifier: MIT */
#include "kernel.h"
#include "signal_frame.h"

#define KERNEL_VIRTUAL 0xffffffffc0000000u
#define CLINT 0x2000000u
#define UART 0x10000000u
#define TEST_DEVICE 0x100000u
#define LEVELS_AT 0x83fff000u /* `vas boot --levels` writes it there; else it is 0 */
#define TICK 100000u          /* of 10 MHz: 10 ms */
enum { PTE_KERNEL = 0xef };   /* valid, all rights, global, accessed, dirty */
enum { SSTATUS_FS = 0x6000, SSTATUS_SPIE = 0x20, SIE_ALL = 0x22 };

uint64_t arch_direct_map, arch_stack_top;
const struct vas_format *arch_format;
uint32_t arch_asids;
extern uint64_t boot_satp, boot_other[8];
static uint64_t kernel_root[512] __attribute__((aligned(4096)));
static uint64_t lower[4][512] __attribute__((aligned(4096)));
static unsigned lower_used, levels;
const uint64_t *const arch_root_words = kernel_root;
/* li a7, 139; ecall */
const uint32_t arch_sigreturn[2] = {0x08b00893, 0x00000073};

void fpu_save(uint64_t *f);
void fpu_load(const uint64_t *f);

#define READ(csr, to) __asm__ volatile("csrr %0, " csr : "=r"(to))
#define WRITE(csr, from) __asm__ volatile("csrw " csr ", %0" ::"r"((uint64_t)(from)) : "memory")

/* ---- Before there is paging, at physical addresses ------------------------------------------- */

static void map_gib(uint64_t addr, uint64_t phys)
{
	uint64_t *table = kernel_root;

	for (unsigned level = levels - 1; level > 2; level--) {
		uint64_t *word = &table[addr >> (12 + 9 * level) & 511];

		if (!*word)
			*word = (uint64_t)(uintptr_t)lower[lower_used++] >> 12 << 10 | 1;
		table = (uint64_t *)(uintptr_t)(*word >> 10 << 12);
	}
	table[addr >> 30 & 511] = phys >> 12 << 10 | PTE_KERNEL;
}

/* The best mode that the hardware has: 8 GiB at the start of the upper half, the kernel at its end.
 * Returns the word for satp. */
uint64_t build_tables(void);
uint64_t build_tables(void)
{
	const uint64_t most = *(const volatile uint64_t *)LEVELS_AT;

	for (levels = most >= 3 && most <= 5 ? (unsigned)most : 5; levels >= 3; levels--) {
		const uint64_t satp = (uint64_t)(levels + 5) << 60 |
		                      (uint64_t)(uintptr_t)kernel_root >> 12;
		uint64_t got, tags = satp | (uint64_t)0xffff << 44;

		memset(kernel_root, 0, sizeof(kernel_root));
		memset(lower, 0, sizeof(lower));
		lower_used = 0;
		arch_direct_map = ~(uint64_t)0 << (12 + 9 * levels - 1);
		for (uint64_t at = 0; at < (uint64_t)8 << 30; at += 1 << 30) {
			map_gib(arch_direct_map + at, at);
			map_gib(at, at); /* until the kernel has gone to its own half */
		}
		map_gib(KERNEL_VIRTUAL, ARCH_RAM_BASE);
		WRITE("satp", satp);
		READ("satp", got);
		if (got == satp) {
			WRITE("satp", tags);
			READ("satp", tags);
			WRITE("satp", 0);
			arch_asids = (uint32_t)(tags >> 44 & 0xffff) + 1;
			boot_satp = satp;
			return satp;
		}
	}
	return 0;
}

/* ---- The machine ----------------------------------------------------------------------------- */

static volatile uint8_t *uart(unsigned reg)
{
	return (volatile uint8_t *)direct_map(UART + reg);
}

void arch_putc(char c)
{
	while (!(*uart(5) & 0x20))
		;
	*uart(0) = (uint8_t)c;
}

int arch_getc(void)
{
	return *uart(5) & 1 ? *uart(0) : -1;
}

_Noreturn void arch_stop(int status)
{
	*(volatile uint32_t *)direct_map(TEST_DEVICE) = (uint32_t)status << 16 | 0x3333;
	for (;;)
		__asm__ volatile("wfi");
}

static uint64_t time_now(void)
{
	uint64_t time;

	READ("time", time);
	return time;
}

uint64_t arch_clock(void)
{
	return time_now() * 100;
}

static void timer_set(void)
{
	WRITE("0x14d", time_now() + TICK); /* stimecmp */
}

void arch_cpu_init(struct cpu *cpu)
{
	__asm__ volatile("mv tp, %0" ::"r"(cpu));
	if (cpu->id == 0) {
		arch_format = levels == 5   ? &vas_format_riscv_sv57
		              : levels == 4 ? &vas_format_riscv_sv48
		                            : &vas_format_riscv_sv39;
		arch_stack_top = (uint64_t)1 << (levels == 3 ? 38 : 47);
		memset(kernel_root, 0, sizeof(kernel_root) / 2);
	}
	arch_load(0, 0);
	__atomic_store_n(&cpu->arch.started, 1, __ATOMIC_RELEASE);
	timer_set();
	WRITE("sie", SIE_ALL);
}

bool arch_start_cpu(struct cpu *cpu)
{
	const uint64_t until = arch_clock() + 1000000000;

	__atomic_store_n(&boot_other[cpu->id], (uintptr_t)(cpu->stack + KERNEL_STACK),
	                 __ATOMIC_SEQ_CST);
	while (arch_clock() < until)
		if (__atomic_load_n(&cpu->arch.started, __ATOMIC_ACQUIRE))
			return true;
	return false;
}

void arch_interrupt(struct cpu *cpu)
{
	((volatile uint32_t *)direct_map(CLINT))[cpu->id] = 1;
}

void arch_idle(void)
{
	__asm__ volatile("wfi; csrsi sstatus, 2; nop; csrci sstatus, 2" ::: "memory");
}

/* `satp` changes what is walked; what bears the new tag, or is global, stays valid. The code that
 * another hart has put into memory is fetched anew. */
void arch_load(uint64_t root, uint32_t asid)
{
	const uint64_t phys = root ? root : (uintptr_t)kernel_root - KERNEL_VIRTUAL + ARCH_RAM_BASE;
	struct cpu *cpu = this_cpu();

	cpu->arch.root = phys;
	cpu->arch.asid = asid;
	WRITE("satp", (uint64_t)(levels + 5) << 60 | (uint64_t)asid << 44 | phys >> 12);
	__asm__ volatile("fence.i" ::: "memory");
}

/* Without an address, so that upper entries go too. */
void arch_flush(uint32_t asid)
{
	__asm__ volatile("sfence.vma zero, %0; fence.i" ::"r"((uint64_t)asid) : "memory");
}

bool arch_flush_everywhere(uint32_t asid, const struct vas_invalidation *what)
{
	return false;
}

bool arch_sync_code(void)
{
	__asm__ volatile("fence.i" ::: "memory");
	return false;
}

void arch_save(struct thread *t)
{
	fpu_save(t->arch.f);
}

void arch_restore(struct thread *t)
{
	this_cpu()->arch.kernel_stack = (uintptr_t)(t->stack + KERNEL_STACK);
	fpu_load(t->arch.f);
}

void arch_set_tls(struct thread *t, struct regs *r, uint64_t tls)
{
	r->x[4] = tls;
}

void *arch_new_context(struct regs *regs, void (*entry)(void))
{
	uint64_t *sp = (uint64_t *)(void *)regs - 14;

	memset(sp, 0, 14 * 8);
	sp[0] = (uintptr_t)entry;
	return sp;
}

void arch_user_regs(struct regs *r, uint64_t pc, uint64_t sp)
{
	struct thread *t = current();

	*r = (struct regs){.pc = pc, .status = SSTATUS_FS | SSTATUS_SPIE};
	r->x[2] = sp;
	t->arch = (struct arch_thread){{0}, 0};
	arch_restore(t);
}

/* ---- Traps ----------------------------------------------------------------------------------- */

/* This hart may remember that there was nothing. */
static void page_fault(struct regs *r, enum vas_access access)
{
	user_fault(r, r->value, access);
	__asm__ volatile("sfence.vma %0, zero" ::"r"(r->value) : "memory");
}

static void user_exception(struct regs *r)
{
	switch (r->cause) {
	case 8:
		r->pc += 4;
		syscall(r);
		break;
	case 12:
		page_fault(r, VAS_EXEC);
		break;
	case 13:
		page_fault(r, VAS_READ);
		break;
	case 15:
		page_fault(r, VAS_WRITE);
		break;
	case 3:
		user_trap(r, SIGTRAP, 1, r->pc);
		break;
	case 0:
	case 4:
	case 6:
		user_trap(r, SIGBUS, 1, r->value);
		break;
	case 1:
	case 5:
	case 7:
		user_trap(r, SIGSEGV, 2, r->value);
		break;
	default:
		user_trap(r, SIGILL, 1, r->pc);
		break;
	}
}

void trap(struct regs *r);
void trap(struct regs *r)
{
	const bool user = !(r->status & 0x100);

	if (user)
		__atomic_store_n(&this_cpu()->in_user, 0, __ATOMIC_SEQ_CST);
	if (r->cause >> 63) {
		if ((r->cause & 63) == 5) {
			timer_set();
			clock_tick();
		} else {
			__asm__ volatile("csrc sip, %0" ::"r"((uint64_t)2));
		}
	} else if (user) {
		user_exception(r);
	} else {
		print("kernel: cause %lu, value %lx, pc %lx\n", (unsigned long)r->cause,
		      (unsigned long)r->value, (unsigned long)r->pc);
		panic("an exception of the kernel's own");
	}
	if (user)
		user_leave(r);
}

/* ---- Signals --------------------------------------------------------------------------------- */

struct frame {
	uint8_t info[128];
	uint64_t flags, link;
	struct frame_stack stack;
	uint64_t mask;
	uint8_t unused[120 + 8]; /* the registers are 16-byte aligned */
	uint64_t regs[32];       /* pc, then x1 to x31 */
	uint64_t f[32];
	uint32_t fcsr, pad;
	uint64_t rest[33]; /* a quad-precision state would be here */
};

int64_t arch_push_signal(struct regs *r, const struct signal_action *action, uint64_t sp,
                         const struct signal_info *info, uint64_t mask)
{
	struct thread *t = current();
	struct frame f = {.mask = mask};
	const uint64_t at = (sp - sizeof(f)) & ~(uint64_t)15;

	arch_save(t);
	frame_stack(&f.stack);
	frame_info(f.info, info);
	memcpy(f.regs, r->x, sizeof(f.regs));
	f.regs[0] = r->pc;
	memcpy(f.f, t->arch.f, sizeof(f.f));
	f.fcsr = t->arch.fcsr;
	if (copy_out(at, &f, sizeof(f)))
		return -EFAULT;
	r->x[1] = ARCH_SIGRETURN;
	r->x[2] = at;
	r->x[10] = (uint64_t)info->signo;
	r->x[11] = at;
	r->x[12] = at + offsetof(struct frame, flags);
	r->pc = action->handler;
	return 0;
}

int64_t arch_pop_signal(struct regs *r, uint64_t *mask)
{
	struct thread *t = current();
	struct frame f;

	if (copy_in(&f, r->x[2], sizeof(f)))
		return -EFAULT;
	r->pc = f.regs[0];
	memcpy(r->x + 1, f.regs + 1, 31 * 8);
	memcpy(t->arch.f, f.f, sizeof(f.f));
	t->arch.fcsr = f.fcsr & 255;
	*mask = f.mask;
	arch_restore(t);
	return 0;
}
