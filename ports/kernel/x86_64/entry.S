/* entry.S - x86-64: from QEMU's PVH start to C; traps, system calls, switching stacks.
 *
 * SPDX-License-Identifier: MIT */
#define KERNEL 0xffffffff80000000
#define PHYS(symbol) ((symbol) - KERNEL)

	.section .note.pvh, "a", @note
	.balign 4
	.long 4, 8, 18			/* XEN_ELFNOTE_PHYS32_ENTRY */
	.asciz "Xen"
	.quad PHYS(start)

/* ---- From 32-bit mode without paging to the kernel's half ------------------------------------ */

	.section .text.start, "ax"
	.code32
	.globl start
start:
	cli
	cld
	lgdt PHYS(boot_gdt_pointer)
	xorl %esi, %esi			/* the first CPU */
	jmp to_long_mode

/* The others come here from the trampoline, in 32-bit mode. */
start_other:
	movl $16, %eax
	movl %eax, %ds
	movl %eax, %ss
	movl $1, %esi
to_long_mode:
	movl %cr4, %eax
	orl $0x6a0, %eax		/* PAE, PGE, OSFXSR, OSXMMEXCPT */
	movl %eax, %cr4
	movl $PHYS(boot_root), %eax
	movl %eax, %cr3
	movl $0xc0000080, %ecx		/* EFER: SCE, LME, NXE */
	rdmsr
	orl $0x901, %eax
	wrmsr
	movl %cr0, %eax
	andl $~4, %eax			/* not EM */
	orl $0x80010022, %eax		/* PG, WP, NE, MP */
	movl %eax, %cr0
	ljmp $8, $PHYS(long_mode)
	.code64
long_mode:
	movabsq $high, %rax
	jmp *%rax
high:
	xorl %eax, %eax
	movl %eax, %ss
	testl %esi, %esi
	jnz 1f
	leaq boot_stack_end(%rip), %rsp
	call kernel_main
1:	movq boot_other_stack(%rip), %rsp
	call cpu_main

/* Where a CPU starts that was sent a startup message: real mode, at TRAMPOLINE. */
#define TRAMPOLINE 0x8000
	.code16
	.globl trampoline, trampoline_end
trampoline:
	cli
	xorw %ax, %ax
	movw %ax, %ds
	lgdtl TRAMPOLINE + (trampoline_gdt - trampoline)
	movl %cr0, %eax
	orb $1, %al
	movl %eax, %cr0
	ljmpl $24, $PHYS(start_other)
	.balign 4
trampoline_gdt:
	.word 31
	.long PHYS(boot_gdt)
trampoline_end:
	.code64

	.data
	.balign 8
boot_gdt:
	.quad 0
	.quad 0x00209a0000000000	/* 8: 64-bit code */
	.quad 0x00cf92000000ffff	/* 16: data */
	.quad 0x00cf9a000000ffff	/* 24: 32-bit code */
boot_gdt_pointer:
	.word 31
	.long PHYS(boot_gdt)
	.globl boot_other_stack
	.balign 8
boot_other_stack:
	.quad 0

/* 4 GiB of physical memory at 0 (until the first process), at DIRECT_MAP, and the kernel. */
	.balign 4096
	.globl boot_root
boot_root:
	.quad PHYS(boot_direct) + 3
	.fill 255, 8, 0
	.quad PHYS(boot_direct) + 3
	.fill 254, 8, 0
	.quad PHYS(boot_kernel) + 3
boot_direct:
	.quad PHYS(boot_gib) + 3, PHYS(boot_gib) + 0x1003
	.quad PHYS(boot_gib) + 0x2003, PHYS(boot_gib) + 0x3003
	.fill 508, 8, 0
boot_kernel:
	.fill 510, 8, 0
	.quad PHYS(boot_gib) + 3, 0
boot_gib:
	.set at, 0
	.rept 1536
	.quad at + 0x183		/* global, large, writable */
	.set at, at + 0x200000
	.endr
	.rept 512
	.quad at + 0x19b		/* devices: not cached */
	.set at, at + 0x200000
	.endr

	.bss
	.balign 16
	.fill 16384, 1, 0
boot_stack_end:

/* ---- Traps ----------------------------------------------------------------------------------- */

	.text
	.macro PUSH_ALL
	pushq %rdi
	pushq %rsi
	pushq %rdx
	pushq %rcx
	pushq %rax
	pushq %r8
	pushq %r9
	pushq %r10
	pushq %r11
	pushq %rbx
	pushq %rbp
	pushq %r12
	pushq %r13
	pushq %r14
	pushq %r15
	.endm

	.balign 16
	.globl trap_entries
trap_entries:				/* 16 bytes each */
	.set vector, 0
	.rept 48
	.balign 16
	.if !(vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21)
	pushq $0
	.endif
	pushq $vector
	jmp trap_common
	.set vector, vector + 1
	.endr

trap_common:
	testb $3, 24(%rsp)
	jz 1f
	swapgs
1:	PUSH_ALL
	cld
	movq %rsp, %rdi
	call trap
leave:
	popq %r15
	popq %r14
	popq %r13
	popq %r12
	popq %rbp
	popq %rbx
	popq %r11
	popq %r10
	popq %r9
	popq %r8
	popq %rax
	popq %rcx
	popq %rdx
	popq %rsi
	popq %rdi
	addq $16, %rsp
	testb $3, 8(%rsp)
	jz 1f
	swapgs
1:	iretq

	.globl syscall_entry
syscall_entry:
	swapgs
	movq %rsp, %gs:16
	movq %gs:8, %rsp
	pushq $0x2b
	pushq %gs:16
	pushq %r11
	pushq $0x33
	pushq %rcx
	pushq $0			/* no error */
	pushq %rax			/* the call's number */
	PUSH_ALL
	movq %rsp, %rdi
	call trap_syscall
	jmp leave

	.globl arch_to_user
arch_to_user:
	movq %rdi, %rsp
	jmp leave

	.globl arch_switch
arch_switch:
	pushq %rbx
	pushq %rbp
	pushq %r12
	pushq %r13
	pushq %r14
	pushq %r15
	movq %rsp, (%rdi)
	movq %rsi, %rsp
	popq %r15
	popq %r14
	popq %r13
	popq %r12
	popq %rbp
	popq %rbx
	ret

	.section .note.GNU-stack, "", @progbits
