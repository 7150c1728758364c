/* arch.h - x86-64, as QEMU's microvm is made: what the common part asks of it.
 *
 * SPDX-License-Identifier: MIT */
#ifndef ARCH_H
#define ARCH_H

#include <stdbool.h>
#include <stdint.h>

#define DIRECT_MAP 0xffff800000000000u
#define ARCH_FORMAT (&vas_format_x86_64)
#define ARCH_ASIDS (arch_has_pcid ? 4096u : 1u)
#define ARCH_RAM_BASE 0u
#define ARCH_ARCHIVE 0x4000000u /* where the boot archive lies */
#define ARCH_KERNEL_PHYS(symbol) ((uint64_t)(uintptr_t)(symbol) - 0xffffffff80000000u)
#define ARCH_STACK_TOP 0x7ffffffff000u
#define ARCH_SIGRETURN 0
#define arch_sigreturn "" /* programs bring their own */
#define arch_sigreturn_len 0
#define ARCH_VIRTIO 0xfeb00000u     /* QEMU's virtio-mmio transports */
#define ARCH_VIRTIO_STEP 512u
#define ARCH_VIRTIO_COUNT 8u
#define ARCH_MACHINE "x86_64"
#define ARCH_ELF 62
#define ARCH_HWCAP 0x0f8bfbffu /* CPUID 1, edx: what every x86-64 has */
#define ARCH_IS_X86 1
#define ARCH_HAS_RESTORER 1 /* struct sigaction has one */
#define ARCH_NEEDS_TRAMPOLINE 0
#define ARCH_PIE_BASE 0x555555554000u
#define ARCH_O_DIRECTORY 0200000u

extern bool arch_has_pcid;

/* What entry.S pushes, from the lowest address up. */
struct regs {
	uint64_t r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi;
	uint64_t vector; /* or the number of the system call */
	uint64_t error;
	uint64_t rip, cs, rflags, rsp, ss;
};

struct arch_thread {
	uint64_t fs, gs;
	uint8_t fpu[512] __attribute__((aligned(16)));
};

struct arch_cpu {
	uint64_t self;         /* 0: entry.S */
	uint64_t kernel_stack; /* 8: entry.S */
	uint64_t user_stack;   /* 16: entry.S */
	uint64_t root;         /* in CR3 */
	uint64_t gdt[10];
	uint32_t tss[26];
};

struct cpu;
struct thread;

static inline struct cpu *this_cpu(void)
{
	struct cpu *cpu;

	__asm__ volatile("movq %%gs:0, %0" : "=r"(cpu));
	return cpu;
}

static inline void cpu_relax(void)
{
	__asm__ volatile("pause" ::: "memory");
}

static inline uint64_t syscall_number(const struct regs *r)
{
	return r->vector;
}

static inline uint64_t syscall_arg(const struct regs *r, unsigned n)
{
	switch (n) {
	case 0: return r->rdi;
	case 1: return r->rsi;
	case 2: return r->rdx;
	case 3: return r->r10;
	case 4: return r->r8;
	default: return r->r9;
	}
}

static inline void syscall_return(struct regs *r, int64_t result)
{
	r->rax = (uint64_t)result;
}

/* Back to the instruction that made the call, to make it again. */
static inline void syscall_again(struct regs *r)
{
	r->rax = r->vector;
	r->rip -= 2;
}

static inline uint64_t regs_pc(const struct regs *r)
{
	return r->rip;
}

static inline uint64_t regs_sp(const struct regs *r)
{
	return r->rsp;
}

static inline void regs_set_sp(struct regs *r, uint64_t sp)
{
	r->rsp = sp;
}

#include "arch_common.h"

#endif
