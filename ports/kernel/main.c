/* main.c - from the boot code to the first process.
 *
 * The boot archive lies at ARCH_ARCHIVE. Its file ".boot" says, a word a line: memory in MiB, CPUs,
 * whether to check (1) and to show the first process's walk at its end (2), the time, a word for
 * the last line, which no program knows, the program's path, then its arguments (from argv[0] on).
 *
 * SPDX-License-Identifier: MIT */
#include "kernel.h"

unsigned boot_cpus = 1;
bool boot_checks, boot_walks;
uint64_t boot_time;
static uint64_t boot_memory = 128;
static char *boot_argv[64], *boot_program = "/init", *boot_token = "";
static struct cpu *starting;
extern char kernel_end[];

_Noreturn void panic(const char *what)
{
	print("kernel: panic: %s\n", what);
	arch_stop(127);
}

_Noreturn void vas_kernel_panic(const char *file, int line, const char *what);
_Noreturn void vas_kernel_panic(const char *file, int line, const char *what)
{
	print("kernel: vas %s:%d: ", file, line);
	panic(what);
}

/* The first process has ended: so does the machine. Under the big lock. */
_Noreturn void machine_stop(int status)
{
	if (files_sync())
		print("kernel: the disk could not be written\n");
	if (boot_checks) {
		memory_report();
		syscall_report();
	}
	print("%skernel: exit %s %d\n", console_at_start ? "" : "\n", boot_token, status);
	arch_stop(status);
}

static uint64_t number(const char *s)
{
	uint64_t n = 0;

	while (*s >= '0' && *s <= '9')
		n = n * 10 + (uint64_t)(*s++ - '0');
	return n;
}

static void read_boot_words(char *text)
{
	unsigned n = 0, argc = 0;

	for (char *word = text, *end; *word; word = end + 1, n++) {
		end = strchr(word, '\n');
		if (!*end)
			break;
		*end = 0;
		if (n == 0)
			boot_memory = number(word);
		else if (n == 1)
			boot_cpus = (unsigned)number(word);
		else if (n == 2)
			boot_checks = number(word) & 1, boot_walks = number(word) & 2;
		else if (n == 3)
			boot_time = number(word) * 1000000000;
		else if (n == 4)
			boot_token = word;
		else if (n == 5)
			boot_program = word;
		else if (argc < ARRAY_LEN(boot_argv) - 1)
			boot_argv[argc++] = word;
	}
}

/* The archive's first file is .boot: it is needed before there is memory. */
static uint64_t archive_look(const uint8_t *at)
{
	static char text[8192];
	const uint8_t *start = at;

	while (!memcmp(at, "070701", 6)) {
		uint32_t len = 0, name_len = 0;

		for (unsigned i = 0; i < 8; i++) {
			len = len << 4 |
			      (uint32_t)(at[54 + i] <= '9' ? at[54 + i] - '0'
			                                   : (at[54 + i] | 32) - 'a' + 10);
			name_len = name_len << 4 |
			           (uint32_t)(at[94 + i] <= '9' ? at[94 + i] - '0'
			                                        : (at[94 + i] | 32) - 'a' + 10);
		}
		const uint8_t *data = at + ((110 + name_len + 3) & ~3u);
		if (!strcmp((const char *)at + 110, ".boot") && len < sizeof(text)) {
			memcpy(text, data, len);
			read_boot_words(text);
		}
		at = data + ((len + 3) & ~3u);
		if (!strcmp((const char *)at + 110, "TRAILER!!!"))
			break;
	}
	return (uint64_t)(at - start) + 256;
}

static struct thread *first_thread(void)
{
	struct process *p = process_create(NULL);
	struct thread *t = p ? thread_create(p) : NULL;

	if (!t)
		panic("no memory for the first process");
	p->cwd = root_dir;
	root_dir->users++;
	for (unsigned i = 0; i < ARRAY_LEN(p->limit); i++)
		p->limit[i] = (struct vas_limit){VAS_RLIM_INFINITY, VAS_RLIM_INFINITY};
	p->limit[7] = (struct vas_limit){MAX_FILES, MAX_FILES};
	for (unsigned i = 0; i < 3; i++) {
		int64_t err;

		if (file_open(node_find(root_dir, "/dev/console", true, &err), 2, &p->file[i]))
			panic("no console");
	}
	return t;
}

/* A CPU that the first one has started. */
void cpu_main(void)
{
	struct cpu *cpu = starting;

	arch_cpu_init(cpu);
	schedule();
}

static void start_cpus(void)
{
	for (unsigned i = 1; i < boot_cpus && i < MAX_CPUS; i++) {
		cpus[i].id = i;
		starting = &cpus[i];
		ncpus = i + 1;
		if (!arch_start_cpu(&cpus[i])) {
			ncpus = i;
			return;
		}
	}
}

void kernel_main(void);
void kernel_main(void)
{
	static char *envp[] = {"PATH=/bin:/usr/bin", "HOME=/", "TERM=dumb", NULL};
	const uint8_t *archive = direct_map(ARCH_ARCHIVE);
	const uint64_t archive_end = ARCH_ARCHIVE + archive_look(archive);
	const uint64_t end = ARCH_RAM_BASE + (boot_memory << 20),
		       low = ARCH_KERNEL_PHYS(kernel_end);
	uint64_t start = (archive_end + 0x1fffff) & ~(uint64_t)0x1fffff;

	if (end <= start + (8 << 20))
		panic("too little memory for this archive");
	arch_cpu_init(&cpus[0]);
	kmalloc_init((low + PAGE - 1) & ~(PAGE - 1), ARCH_ARCHIVE);
	memory_init(start, end);
	files_init(archive);
	start_cpus();
	struct thread *t = first_thread();
	/* The first exec runs on this stack, as the thread that it makes. */
	struct cpu *cpu = this_cpu();
	cpu->thread = t;
	int64_t err = exec_first(boot_program, boot_argv, envp);
	if (err) {
		print("kernel: %s: error %ld\n", boot_program, (long)-err);
		arch_stop(126);
	}
	arch_save(t);
	mm_load(NULL);
	cpu->thread = NULL;
	thread_ready(t);
	schedule();
}
