/* calls.h - the system calls there are, and their numbers.
 *
 * A call takes its six arguments as the registers have them, and answers as Linux does: a
 * result, or a negative errno.
 *
 * SPDX-License-Identifier: MIT */
#ifndef CALLS_H
#define CALLS_H

#include <stdint.h>

#define SYSCALL(name) int64_t sys_##name(const uint64_t a[6])

/* name, number on x86-64, number on all newer architectures (-1: not there) */
#define CALLS(_) \
	_(read, 0, 63) _(write, 1, 64) _(open, 2, -1) _(close, 3, 57) _(stat, 4, -1) \
	_(fstat, 5, 80) _(lstat, 6, -1) _(poll, 7, -1) _(lseek, 8, 62) _(mmap, 9, 222) \
	_(mprotect, 10, 226) _(munmap, 11, 215) _(brk, 12, 214) _(rt_sigaction, 13, 134) \
	_(rt_sigprocmask, 14, 135) _(rt_sigreturn, 15, 139) _(ioctl, 16, 29) \
	_(pread64, 17, 67) _(pwrite64, 18, 68) _(readv, 19, 65) _(writev, 20, 66) \
	_(access, 21, -1) _(pipe, 22, -1) _(sched_yield, 24, 124) _(mremap, 25, 216) \
	_(msync, 26, 227) _(mincore, 27, 232) _(madvise, 28, 233) _(dup, 32, 23) \
	_(dup2, 33, -1) _(pause, 34, -1) _(nanosleep, 35, 101) _(alarm, 37, -1) \
	_(setitimer, 38, 103) _(getpid, 39, 172) _(clone, 56, 220) _(fork, 57, -1) \
	_(vfork, 58, -1) _(execve, 59, 221) _(exit, 60, 93) _(wait4, 61, 260) _(kill, 62, 129) \
	_(uname, 63, 160) _(fcntl, 72, 25) _(fsync, 74, 82) _(fdatasync, 75, 83) \
	_(sync, 162, 81) _(truncate, 76, 45) _(ftruncate, 77, 46) _(getcwd, 79, 17) \
	_(chdir, 80, 49) _(mkdir, 83, -1) _(unlink, 87, -1) _(readlink, 89, -1) \
	_(umask, 95, 166) _(gettimeofday, 96, 169) _(getrlimit, 97, 163) _(sysinfo, 99, 179) \
	_(getuid, 102, 174) _(getgid, 104, 176) _(geteuid, 107, 175) _(getegid, 108, 177) \
	_(setpgid, 109, 154) _(getppid, 110, 173) _(getpgrp, 111, -1) _(setsid, 112, 157) \
	_(getpgid, 121, 155) _(rt_sigpending, 127, 136) _(rt_sigtimedwait, 128, 137) \
	_(rt_sigsuspend, 130, 133) _(sigaltstack, 131, 132) _(mlock, 149, 228) \
	_(munlock, 150, 229) _(mlockall, 151, 230) _(munlockall, 152, 231) \
	_(arch_prctl, 158, -1) _(setrlimit, 160, 164) _(gettid, 186, 178) _(tkill, 200, 130) \
	_(futex, 202, 98) _(sched_getaffinity, 204, 123) _(getdents64, 217, 61) \
	_(set_tid_address, 218, 96) _(clock_gettime, 228, 113) _(clock_getres, 229, 114) \
	_(clock_nanosleep, 230, 115) _(exit_group, 231, 94) _(tgkill, 234, 131) \
	_(waitid, 247, 95) _(openat, 257, 56) _(mkdirat, 258, 34) _(newfstatat, 262, 79) \
	_(unlinkat, 263, 35) _(readlinkat, 267, 78) _(faccessat, 269, 48) _(ppoll, 271, 73) \
	_(dup3, 292, 24) _(pipe2, 293, 59) _(prlimit64, 302, 261) _(getrandom, 318, 278) \
	_(memfd_create, 319, 279) _(mlock2, 325, 284) _(faccessat2, 439, 439) \
	_(mseal, 462, 462) _(riscv_flush_icache, -1, 259)

#define DECLARE(name, x86, other) SYSCALL(name);
CALLS(DECLARE)
#undef DECLARE

#endif
