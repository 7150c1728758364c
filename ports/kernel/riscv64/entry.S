/* entry.S - RISC-V: from machine mode, where QEMU starts without firmware, to C; traps.
 *
 * SPDX-License-Identifier: MIT */
#define CLINT 0x2000000

	.section .text.start, "ax"
	.globl start
/* Every hart starts here at 0x80000000, in machine mode, without paging. */
start:
	csrr t0, mhartid
	li t1, 8
	bgeu t0, t1, park
	li t1, -1			/* all memory for supervisor mode */
	csrw pmpaddr0, t1
	li t1, 0x1f
	csrw pmpcfg0, t1
	li t1, 0xb1ff			/* the traps that users cause; not its own calls */
	csrw medeleg, t1
	li t1, 0x222
	csrw mideleg, t1
	li t1, 7
	csrw mcounteren, t1
	csrw scounteren, t1
	li t1, 1			/* stimecmp is there (Sstc) */
	slli t1, t1, 63
	csrs 0x30a, t1			/* menvcfg */
	la t1, machine_trap
	csrw mtvec, t1
	la t1, machine_scratch
	slli t2, t0, 6
	add t1, t1, t2
	csrw mscratch, t1
	li t2, CLINT
	slli t3, t0, 2
	add t2, t2, t3
	sd t2, 0(t1)			/* where this hart's interrupts are asked for */
	li t1, 8			/* software interrupts come here */
	csrw mie, t1
	li t1, 0x1800
	csrc mstatus, t1
	li t1, 0x2880			/* to supervisor mode; floating point on; MPIE */
	csrs mstatus, t1
	la t1, supervisor
	csrw mepc, t1
	mret
park:
	wfi
	j park

/* Another hart wants this one: hand it to supervisor mode. */
	.balign 4
machine_trap:
	csrrw t0, mscratch, t0
	sd t1, 8(t0)
	ld t1, 0(t0)
	sw zero, 0(t1)
	li t1, 2
	csrs mip, t1
	ld t1, 8(t0)
	csrrw t0, mscratch, t0
	mret

supervisor:
	mv s0, t0			/* the hart */
	mv s1, zero
	bnez s0, wait_for_start
	la sp, boot_stack_end
	call build_tables		/* the word for satp, or 0: no paging mode */
	j go_high
wait_for_start:				/* the first hart says when, and where */
	la t1, boot_other
	slli t2, s0, 3
	add t1, t1, t2
1:	fence
	ld s1, 0(t1)
	beqz s1, 1b
	la t1, boot_satp
	ld a0, 0(t1)
go_high:
	la t1, high
	la t3, boot_offset
	ld t3, 0(t3)
	add t1, t1, t3
	sfence.vma
	csrw satp, a0
	sfence.vma
	jr t1				/* until here physical addresses are mapped to themselves */
high:
	la t1, trap_entry
	csrw stvec, t1
	csrw sscratch, zero
	bnez s0, 2f
	la sp, boot_stack_end
	call kernel_main
2:	mv sp, s1
	call cpu_main

	.data
	.balign 64
machine_scratch:
	.fill 8 * 8, 8, 0
	.globl boot_other
boot_other:
	.fill 8, 8, 0
	.globl boot_satp, boot_offset
boot_satp:
	.quad 0
boot_offset:
	.quad 0xffffffffc0000000 - 0x80000000

	.bss
	.balign 16
	.fill 16384, 1, 0
boot_stack_end:

/* ---- Traps: sscratch is the CPU's record in user mode, 0 in the kernel ----------------------- */

	.text
	.macro EACH op, base
	.irp n, 1, 3, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
	\op x\n, \n * 8(\base)
	.endr
	.endm

	.balign 4
	.globl trap_entry
trap_entry:
	csrrw tp, sscratch, tp
	beqz tp, from_kernel
	sd sp, 8(tp)
	ld sp, 0(tp)
	addi sp, sp, -304
	EACH sd, sp
	ld t0, 8(tp)
	sd t0, 16(sp)
	csrrw t0, sscratch, zero	/* the user's tp */
	sd t0, 32(sp)
	j save
from_kernel:
	csrrw tp, sscratch, tp		/* as it was */
	addi sp, sp, -304
	EACH sd, sp
	sd tp, 32(sp)
	addi t0, sp, 304
	sd t0, 16(sp)
save:
	csrr t0, sepc
	sd t0, 256(sp)
	csrr t0, sstatus
	sd t0, 264(sp)
	csrr t0, scause
	sd t0, 272(sp)
	csrr t0, stval
	sd t0, 280(sp)
	sd a0, 288(sp)
	mv a0, sp
	call trap
	mv a0, sp

	.globl arch_to_user
arch_to_user:
	mv sp, a0
	ld t0, 264(sp)
	csrw sstatus, t0
	ld t1, 256(sp)
	csrw sepc, t1
	andi t0, t0, 0x100
	bnez t0, 1f			/* back to the kernel */
	csrw sscratch, tp
	ld tp, 32(sp)
1:	EACH ld, sp
	ld sp, 16(sp)
	sret

	.globl arch_switch
arch_switch:
	addi sp, sp, -112
	sd ra, 0(sp)
	sd s0, 8(sp)
	sd s1, 16(sp)
	sd s2, 24(sp)
	sd s3, 32(sp)
	sd s4, 40(sp)
	sd s5, 48(sp)
	sd s6, 56(sp)
	sd s7, 64(sp)
	sd s8, 72(sp)
	sd s9, 80(sp)
	sd s10, 88(sp)
	sd s11, 96(sp)
	sd sp, 0(a0)
	mv sp, a1
	ld ra, 0(sp)
	ld s0, 8(sp)
	ld s1, 16(sp)
	ld s2, 24(sp)
	ld s3, 32(sp)
	ld s4, 40(sp)
	ld s5, 48(sp)
	ld s6, 56(sp)
	ld s7, 64(sp)
	ld s8, 72(sp)
	ld s9, 80(sp)
	ld s10, 88(sp)
	ld s11, 96(sp)
	addi sp, sp, 112
	ret

/* ---- Floating point: all 32 registers and the control word ----------------------------------- */

	.globl fpu_save, fpu_load
fpu_save:
	.irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
	fsd f\n, \n * 8(a0)
	.endr
	frcsr t0
	sw t0, 256(a0)
	ret
fpu_load:
	.irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
	fld f\n, \n * 8(a0)
	.endr
	lw t0, 256(a0)
	fscsr t0
	ret
