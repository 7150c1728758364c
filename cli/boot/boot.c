/* boot.c - `vas boot`: runs a program on the kernel port, under QEMU.
 *
 * The kernel says at the end "kernel: exit WORD N" on a line of its own: that line, not QEMU's exit
 * status, is what is believed, and it is not shown.
 *
 * SPDX-License-Identifier: MIT */
#include <elf.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "boot/pack.h"
#include "cli.h"

#define EXIT_NO_END 125 /* the machine stopped without telling how the program ended */

/* How the last line begins; `token` is in it, which the program cannot know. */
static char mark[64], token[20];

struct options {
	const char *arch, *disk, *walk;
	unsigned cpus, memory, seconds, levels;
	bool check, count;
	const char *file[64]; /* FROM=NAME */
	unsigned nfiles;
};

enum { ARCH, SMP, MEMORY, LEVELS, FILES, DISK, CHECK, COUNT, WALK, TIMEOUT };

static const struct command_option options_known[] = {
	[ARCH] = {"arch", .words = "x86_64 aarch64 riscv64",
	          .help = "the machine (default: what PROGRAM is for)"},
	[SMP] = {"smp", .value = "N", .help = "CPUs, 1 to 8 (default: 1)"},
	[MEMORY] = {"memory", .value = "MIB", .help = "memory, 96 to 3072 (default: 256)"},
	[LEVELS] = {"levels", .value = "N",
	            .help = "RISC-V: at most 3, 4 or 5 levels of page tables (Sv39, Sv48, Sv57)"},
	[FILES] = {"file", .value = "FROM[=NAME]", .many = true, .file = true,
	           .help = "one more file in the machine (more than once, if you like)"},
	[DISK] = {"disk", .value = "IMAGE", .file = true,
	          .help = "a disk, /dev/vda; what is written to it stays in IMAGE"},
	[CHECK] = {"check",
	           .help = "verify vas's invariants after each system call and every frame "
	                   "at the end, and say which calls were not there"},
	[COUNT] = {"count", .help = "the machine's clock counts instructions, a nanosecond each"},
	[WALK] =
		{"walk", .value = "SOCKET", .file = true,
	         .help = "at the program's end show each page that vas's walk finds, then hold the "
	                 "machine, with QEMU's monitor at SOCKET"},
	[TIMEOUT] = {"timeout", .value = "SECONDS",
	             .help = "stop the machine after that time (default: 0, never)"},
	{0},
};

static const struct arch {
	const char *name;
	uint16_t machine;
	const char *qemu, *package;
	const char *archive; /* where the kernel looks for it */
	const char *argv[20];
} archs[] = {
	/* clang-format off */
	{"x86_64", EM_X86_64, "qemu-system-x86_64", "qemu-system-x86", "0x4000000",
	 {"-M", "microvm,x-option-roms=off,pit=off,pic=off,rtc=off,acpi=off", "-cpu", "max",
	  "-no-user-config", "-device", "isa-debug-exit,iobase=0xf4,iosize=4", "-global",
	  "virtio-mmio.force-legacy=false"}},
	{"riscv64", EM_RISCV, "qemu-system-riscv64", "qemu-system-misc", "0x84000000",
	 {"-M", "virt", "-cpu", "rv64", "-bios", "none", "-global",
	  "virtio-mmio.force-legacy=false"}},
	{"aarch64", EM_AARCH64, "qemu-system-aarch64", "qemu-system-arm", "0x44000000",
	 {"-M", "virt", "-cpu", "cortex-a72", "-semihosting-config", "enable=on,target=native",
	  "-global", "virtio-mmio.force-legacy=false"}},
	/* clang-format on */
};

static const struct arch *arch_find(const char *name, uint16_t machine)
{
	for (size_t i = 0; i < sizeof(archs) / sizeof(archs[0]); i++)
		if (name ? strcmp(archs[i].name, name) == 0 : archs[i].machine == machine)
			return &archs[i];
	return NULL;
}

/* ---- What is needed, and where it is --------------------------------------------------------- */

/* PROGRAM as the shell would find it; false: it does not. */
static bool program_find(const char *name, char path[512])
{
	const char *dirs = getenv("PATH");

	snprintf(path, 512, "%s", name);
	if (strchr(name, '/'))
		return access(path, R_OK) == 0;
	while (dirs && *dirs) {
		const size_t len = strcspn(dirs, ":");

		snprintf(path, 512, "%.*s/%s", (int)len, dirs, name);
		if (access(path, X_OK) == 0)
			return true;
		dirs += len + (dirs[len] == ':');
	}
	return false;
}

/* Beside the program `vas` itself: in its build directory, or as it is installed. */
static bool kernel_find(const struct arch *arch, char path[700])
{
	static const char *const places[] = {"", "/../lib/vas", "/.."};
	char self[512] = "";
	char *slash;

	if (readlink("/proc/self/exe", self, sizeof(self) - 1) < 0)
		self[0] = 0;
	slash = strrchr(self, '/');
	if (slash)
		*slash = 0;
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		snprintf(path, 700, "%s%s/kernel/%s/vas-kernel", self, places[i], arch->name);
		if (access(path, R_OK) == 0)
			return true;
	}
	fprintf(stderr,
	        "vas boot: there is no kernel for %s: 'make kernel' builds it (clang, lld)\n",
	        arch->name);
	return false;
}

/* ---- The archive ----------------------------------------------------------------------------- */

static bool words_pack(struct pack *pack, const struct options *o, const char *name, char **argv)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);
	bool done;

	if (!out)
		return false;
	fprintf(out, "%u\n%u\n%d\n%lld\n%s\n/%s\n", o->memory, o->cpus,
	        o->check | (o->walk ? 2 : 0), (long long)time(NULL), token, name);
	for (char **arg = argv; *arg; arg++) {
		if (strchr(*arg, '\n')) {
			fprintf(stderr,
			        "vas boot: an argument with a line break cannot be passed\n");
			fclose(out);
			free(text);
			return false;
		}
		fprintf(out, "%s\n", *arg);
	}
	fclose(out);
	done = pack_bytes(pack, ".boot", S_IFREG | 0400, text, len);
	free(text);
	return done;
}

static bool files_pack(struct pack *pack, const struct options *o)
{
	for (unsigned i = 0; i < o->nfiles; i++) {
		const char *equals = strchr(o->file[i], '=');
		const char *name = equals ? equals + 1 : o->file[i];
		char from[PATH_MAX];

		(void)snprintf(from, sizeof(from), "%.*s", (int)strcspn(o->file[i], "="),
		               o->file[i]);
		while (*name == '/')
			name++;
		if (!(pack_machine(from) == pack->machine ? pack_program(pack, from, name)
		                                          : pack_file(pack, from, name)))
			return false;
	}
	return true;
}

/* busybox by all its names. */
static bool busybox_pack(struct pack *pack, const char *from)
{
	static const char *const names[] = {
		"sh",   "ash",   "cat",   "ls",    "echo", "head",  "tail",  "grep", "sed",
		"wc",   "ps",    "mkdir", "rm",    "cp",   "touch", "sleep", "dd",   "hexdump",
		"free", "uname", "true",  "false", "env",  "seq",   "sort",  "cut",  "tr",
		"test", "pwd",   "kill",  "vi",    "expr", "awk",   "od",    "time"};
	char link[64];

	if (!pack_program(pack, from, "bin/busybox"))
		return false;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(link, sizeof(link), "bin/%s", names[i]);
		if (!pack_bytes(pack, link, S_IFLNK | 0777, "busybox", 7))
			return false;
	}
	return true;
}

static bool archive_write(FILE *out, const struct arch *arch, const struct options *o,
                          const char *program, char **argv)
{
	struct pack pack = {.out = out, .machine = arch->machine};
	const char *last = strrchr(program, '/');
	const bool shell = strcmp(last ? last + 1 : program, "busybox") == 0;
	char name[256];

	snprintf(name, sizeof(name), "bin/%s", shell ? "sh" : last ? last + 1 : program);
	if (!words_pack(&pack, o, name, argv))
		return false;
	if (!(shell ? busybox_pack(&pack, program) : pack_program(&pack, program, name)))
		return false;
	return files_pack(&pack, o) && pack_end(&pack);
}

/* ---- The machine ----------------------------------------------------------------------------- */

static void qemu_exec(const struct arch *arch, const struct options *o, const char *kernel,
                      const char *archive)
{
	const char *argv[64] = {arch->qemu,   "-accel",  "tcg",   "-nodefaults", "-display", "none",
	                        "-no-reboot", "-serial", "stdio", "-kernel",     kernel};
	char memory[16], cpus[16], loader[300], levels[100], drive[600], monitor[160];
	unsigned n = 11;

	for (unsigned i = 0; arch->argv[i]; i++)
		argv[n++] = arch->argv[i];
	snprintf(memory, sizeof(memory), "%u", o->memory);
	snprintf(cpus, sizeof(cpus), "%u", o->cpus);
	snprintf(loader, sizeof(loader), "loader,file=%s,addr=%s,force-raw=on", archive,
	         arch->archive);
	argv[n++] = "-m", argv[n++] = memory, argv[n++] = "-smp", argv[n++] = cpus;
	argv[n++] = "-device", argv[n++] = loader;
	if (o->levels) {
		snprintf(levels, sizeof(levels), "loader,addr=0x83fff000,data=%u,data-len=8",
		         o->levels);
		argv[n++] = "-device", argv[n++] = levels;
	}
	if (o->walk) {
		snprintf(monitor, sizeof(monitor), "unix:%s,server=on,wait=off", o->walk);
		argv[n++] = "-monitor", argv[n++] = monitor;
	}
	if (o->count)
		argv[n++] = "-icount", argv[n++] = "shift=0";
	if (o->disk) {
		snprintf(drive, sizeof(drive), "if=none,id=disk,format=raw,file=%s", o->disk);
		argv[n++] = "-drive", argv[n++] = drive;
		argv[n++] = "-device", argv[n++] = "virtio-blk-device,drive=disk";
	}
	execvp(arch->qemu, (char **)(uintptr_t)argv);
	if (errno == ENOENT)
		fprintf(stderr, "vas boot: %s is not there: install %s\n", arch->qemu,
		        arch->package);
	else
		fprintf(stderr, "vas boot: %s: %s\n", arch->qemu, strerror(errno));
	_exit(EXIT_SKIPPED);
}

/* What the machine prints is passed on, but for its last line. */
struct output {
	char held[sizeof(mark) + 8]; /* what may be the beginning of that line */
	size_t n;
	bool inside; /* a line that is another */
	int status;  /* it told; -1: not yet */
};

static void output_byte(struct output *o, char byte)
{
	const size_t whole = strlen(mark);

	if (!o->inside &&
	    (o->n < whole ? byte == mark[o->n]
	                  : byte >= '0' && byte <= '9' && o->n < sizeof(o->held) - 1)) {
		o->held[o->n++] = byte;
		return;
	}
	if (o->n > whole && byte == '\n') {
		o->held[o->n] = 0;
		o->status = (int)strtol(o->held + whole, NULL, 10);
		return;
	}
	fwrite(o->held, 1, o->n, stdout);
	o->n = 0;
	o->inside = byte != '\n';
	fputc(byte, stdout);
}

static int output_pass(int in)
{
	struct output output = {.status = -1};
	char bytes[4096];
	ssize_t n;

	while (output.status < 0 && (n = read(in, bytes, sizeof(bytes))) > 0) {
		for (ssize_t i = 0; i < n && output.status < 0; i++)
			output_byte(&output, bytes[i]);
		fflush(stdout);
	}
	if (output.status < 0)
		fwrite(output.held, 1, output.n, stdout);
	fflush(stdout);
	return output.status;
}

/* What is not typed at a terminal is fed through a pipe, so that its end can be told: Ctrl-D. */
static pid_t input_feed(int *fd, const int output[2])
{
	int ends[2];
	pid_t pid;

	*fd = -1;
	if (isatty(STDIN_FILENO) || pipe(ends))
		return -1;
	pid = fork();
	if (pid == 0) {
		char bytes[512];
		ssize_t n;

		close(ends[0]);
		close(output[0]);
		close(output[1]);
		while ((n = read(STDIN_FILENO, bytes, sizeof(bytes))) > 0)
			if (write(ends[1], bytes, (size_t)n) != n)
				_exit(0);
		if (write(ends[1], "\4", 1) == 1)
			pause(); /* an end of the pipe would stop QEMU's console */
		_exit(0);
	}
	close(ends[1]);
	*fd = ends[0];
	return pid;
}

static volatile sig_atomic_t machine; /* QEMU's process */

static void machine_stop(int signo)
{
	(void)signo;
	if (machine > 0)
		kill(machine, SIGTERM);
}

static int run(const struct arch *arch, const struct options *o, const char *kernel,
               const char *archive)
{
	int ends[2], in, status = 0, told;
	pid_t feeder, pid;

	if (pipe(ends)) {
		perror("vas boot: pipe");
		return EXIT_DIFFERENT;
	}
	feeder = input_feed(&in, ends);
	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		dup2(ends[1], STDOUT_FILENO);
		if (in >= 0)
			dup2(in, STDIN_FILENO);
		close(ends[0]);
		close(ends[1]);
		qemu_exec(arch, o, kernel, archive);
	}
	machine = pid;
	close(ends[1]);
	if (in >= 0)
		close(in);
	signal(SIGALRM, machine_stop);
	signal(SIGINT, machine_stop);
	signal(SIGTERM, machine_stop);
	alarm(o->seconds);
	told = output_pass(ends[0]);
	alarm(told >= 0 ? 5 : o->seconds); /* it is about to end by itself */
	waitpid(pid, &status, 0);
	if (feeder > 0) {
		kill(feeder, SIGKILL);
		waitpid(feeder, NULL, 0);
	}
	if (told >= 0)
		return told;
	if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SKIPPED)
		return EXIT_SKIPPED;
	if (o->walk && WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return EXIT_SAME; /* who held the monitor has let it go */
	fprintf(stderr, "vas boot: the machine stopped without telling how the program ended\n");
	return EXIT_NO_END;
}

/* ---- The command line ------------------------------------------------------------------------ */

static bool number(unsigned option, const char *text, unsigned least, unsigned most, unsigned *n)
{
	uint64_t value;

	if (!command_number(options_known[option].name, text, least, most, &value))
		return false;
	*n = (unsigned)value;
	return true;
}

static bool take_option(void *into, unsigned option, const char *value)
{
	struct options *o = into;

	switch (option) {
	case ARCH:
		o->arch = value;
		return true;
	case SMP:
		return number(option, value, 1, 8, &o->cpus);
	case MEMORY:
		return number(option, value, 96, 3072, &o->memory);
	case LEVELS:
		return number(option, value, 3, 5, &o->levels);
	case TIMEOUT:
		return number(option, value, 0, 86400, &o->seconds);
	case DISK:
		o->disk = value;
		return true;
	case CHECK:
		o->check = true;
		return true;
	case COUNT:
		o->count = true;
		return true;
	case WALK:
		o->walk = value;
		if (!strchr(value, ',') && strlen(value) <= 100)
			return true;
		command_error("--walk takes a path without commas, of at most 100 bytes");
		return false;
	default:
		if (o->nfiles == sizeof(o->file) / sizeof(o->file[0])) {
			command_error("--file is given more than %u times", o->nfiles);
			return false;
		}
		o->file[o->nfiles++] = value;
		return true;
	}
}

static int boot(const struct options *o, const char *program, char **argv)
{
	const uint16_t kind = pack_machine(program);
	const struct arch *arch = arch_find(o->arch, kind);
	char kernel[700], archive[] = "/tmp/vas-boot-XXXXXX";
	int fd, result = EXIT_USAGE;
	uint64_t secret;
	FILE *out;

	if (!arch || arch->machine != kind) {
		fprintf(stderr, "vas boot: %s is no program for %s\n", program,
		        o->arch ? o->arch : "x86_64, aarch64 or riscv64");
		return EXIT_USAGE;
	}
	if (!kernel_find(arch, kernel))
		return EXIT_SKIPPED;
	if (getrandom(&secret, sizeof(secret), 0) != (ssize_t)sizeof(secret))
		secret = (uint64_t)time(NULL);
	snprintf(token, sizeof(token), "%016llx", (unsigned long long)secret);
	snprintf(mark, sizeof(mark), "kernel: exit %s ", token);
	fd = mkstemp(archive);
	out = fd < 0 ? NULL : fdopen(fd, "wb");
	if (!out) {
		perror("vas boot: a file in /tmp");
		return EXIT_DIFFERENT;
	}
	if (archive_write(out, arch, o, program, argv))
		result = run(arch, o, kernel, archive);
	unlink(archive);
	return result;
}

static int boot_program(int argc, char **argv)
{
	struct options o = {.cpus = 1, .memory = 256};
	char program[512];
	int first;
	int status = command_parse(&command_boot, argc, argv, take_option, &o, &first);

	if (status != COMMAND_GO_ON)
		return status;
	const bool shell = strcmp(argv[first], "sh") == 0;
	if (!program_find(shell ? "busybox" : argv[first], program)) {
		command_error("%s: no such program%s", argv[first],
		              shell ? ": install busybox-static" : "");
		return shell ? EXIT_SKIPPED : EXIT_USAGE;
	}
	return boot(&o, program, argv + first);
}

const struct command command_boot = {
	.name = "boot",
	.what = "runs a program on a small kernel of vas's, under QEMU",
	.synopsis = "PROGRAM [ARGUMENT]...",
	.text = "Boots a small kernel whose memory management is vas, under QEMU, with PROGRAM "
		"(for "
		"Linux: static or dynamic, x86-64, AArch64 or RISC-V 64) as its first process. "
		"PROGRAM 'sh' is busybox's shell.",
	.status = "N PROGRAM's own, or 128 and the signal's number if one killed it\n"
		  "125 the machine ended without telling one\n2 wrong usage\n"
		  "77 QEMU or the kernel is not there",
	.operand = "PROGRAM",
	.least = 1,
	.program = true,
	.options = options_known,
	.run = boot_program,
};
