/* machine.c - how the running kernel is set up, read or found out by asking.
 *
 * Questions that no file answers are put to a forked child, so that this process's own memory is
 * not changed.
 *
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "target/target.h"

#include <errno.h>
#ifdef __aarch64__
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

static bool read_version(struct machine *machine)
{
	struct utsname name;
	if (uname(&name) < 0) {
		fprintf(stderr, "vas: uname: %s\n", strerror(errno));
		return false;
	}
	if (strcmp(name.sysname, "Linux") != 0 ||
	    !version_of_machine(name.release, &machine->version)) {
		fprintf(stderr, "vas: this is %s %s, not Linux\n", name.sysname, name.release);
		return false;
	}
	machine->vas_verified = version_is_judged(machine->version);
	(void)snprintf(machine->release, sizeof(machine->release), "%.63s", name.release);
	return true;
}

static bool read_number(const char *path, uint64_t *value)
{
	unsigned long long number;
	FILE *stream = fopen(path, "re");
	bool good = stream && fscanf(stream, "%llu", &number) == 1;
	if (good)
		*value = number;
	else
		fprintf(stderr, "vas: %s: %s\n", path, stream ? "not a number" : strerror(errno));
	if (stream)
		(void)fclose(stream);
	return good;
}

static bool read_sysctls(struct vas_settings *settings)
{
	uint64_t memory = 0, ratio = 0;
	if (!read_number("/proc/sys/vm/mmap_min_addr", &settings->mmap_min_addr) ||
	    !read_number("/proc/sys/vm/max_map_count", &settings->max_map_count) ||
	    !read_number("/proc/sys/vm/overcommit_memory", &memory) ||
	    !read_number("/proc/sys/vm/overcommit_ratio", &ratio) ||
	    !read_number("/proc/sys/vm/overcommit_kbytes", &settings->overcommit_kbytes) ||
	    !read_number("/proc/sys/vm/admin_reserve_kbytes", &settings->admin_reserve_kbytes) ||
	    !read_number("/proc/sys/vm/user_reserve_kbytes", &settings->user_reserve_kbytes))
		return false;
	settings->overcommit_memory = (uint32_t)memory;
	settings->overcommit_ratio = (uint32_t)ratio;
	return true;
}

static bool read_meminfo(struct vas_settings *settings)
{
	char line[128];
	unsigned long long kb;
	const unsigned long long page_kb = (unsigned long long)sysconf(_SC_PAGESIZE) / 1024;
	FILE *stream = fopen("/proc/meminfo", "re");
	if (!stream) {
		fprintf(stderr, "vas: /proc/meminfo: %s\n", strerror(errno));
		return false;
	}
	while (fgets(line, sizeof(line), stream)) {
		if (sscanf(line, "MemTotal: %llu kB", &kb) == 1)
			settings->ram_pages = kb / page_kb;
		else if (sscanf(line, "SwapTotal: %llu kB", &kb) == 1)
			settings->swap_pages = kb / page_kb;
		else if (sscanf(line, "Committed_AS: %llu kB", &kb) == 1)
			settings->committed_elsewhere = kb / page_kb;
	}
	(void)fclose(stream);
	return true;
}

/* "always [madvise] never": the word in brackets; "" if the kernel has no such file. */
static void read_choice(const char *path, char *word, size_t size)
{
	char text[128] = "", *start, *end;
	FILE *stream = fopen(path, "re");
	word[0] = '\0';
	if (!stream)
		return;
	if (fgets(text, sizeof(text), stream) && (start = strchr(text, '[')) &&
	    (end = strchr(start, ']')))
		(void)snprintf(word, size, "%.*s", (int)(end - start - 1), start + 1);
	(void)fclose(stream);
}

static bool has_parameter(const char *name)
{
	char text[4096] = "";
	FILE *stream = fopen("/proc/cmdline", "re");
	if (!stream)
		return false;
	size_t len = fread(text, 1, sizeof(text) - 1, stream);
	(void)fclose(stream);
	text[len] = '\0';
	return strstr(text, name) != NULL;
}

/* ---- Questions put to the kernel ------------------------------------------------------------- */

struct found {
	uint64_t lowest;    /* where a hint of one page lands: the real floor of address choice */
	uint64_t task_size; /* 0: not found */
	bool anon_vma_name, memory_failure, exec_reads;
};

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif

/* Whether a page can be at `addr`: one that may not be is refused with ENOMEM. */
static bool may_be_at(uint64_t addr, size_t page)
{
	const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE;
	void *there = mmap((void *)(uintptr_t)addr, page, PROT_NONE, flags, -1, 0);
	if (there == MAP_FAILED)
		return errno == EEXIST;
	(void)munmap(there, page);
	return (uint64_t)(uintptr_t)there == addr; /* before Linux 4.17 it was a mere hint */
}

/* A power of two; x86-64 leaves out the last page. */
static uint64_t find_task_size(size_t page)
{
	for (unsigned bits = 57; bits > 30; bits--) {
		uint64_t end = (uint64_t)1 << bits;
		if (may_be_at(end - page, page))
			return end;
		if (may_be_at(end - 2 * page, page))
			return end - page;
	}
	return 0;
}

/* Whether the kernel may read in our name what we may only execute. */
static bool may_read_code(size_t page)
{
	int ends[2];
	void *code = mmap(NULL, page, PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return code != MAP_FAILED && pipe(ends) == 0 && write(ends[1], code, 1) == 1;
}

static void ask(struct found *found)
{
	const int flags = MAP_PRIVATE | MAP_ANONYMOUS;
	const size_t size = (size_t)sysconf(_SC_PAGESIZE);
	void *low = mmap((void *)(uintptr_t)size, size, PROT_READ | PROT_WRITE, flags, -1, 0);
	void *page = mmap(NULL, size, PROT_READ | PROT_WRITE, flags, -1, 0);
	found->task_size = find_task_size(size);
	found->exec_reads = may_read_code(size);
	if (low != MAP_FAILED)
		found->lowest = (uint64_t)(uintptr_t)low;
	if (page == MAP_FAILED)
		return;
	/* 0x53564d41 is PR_SET_VMA, 0 its PR_SET_VMA_ANON_NAME */
	found->anon_vma_name = prctl(0x53564d41, 0, page, size, "vas") == 0;
	/* MADV_HWPOISON of nothing does nothing, but an unknown advice is refused even then;
	 * where it is known, EPERM says so too */
	found->memory_failure = madvise(page, 0, VAS_MADV_HWPOISON) == 0 || errno == EPERM;
}

/* The child answers through a pipe. */
static bool ask_kernel(struct found *found)
{
	int ends[2], status;
	if (pipe(ends) < 0) {
		fprintf(stderr, "vas: pipe: %s\n", strerror(errno));
		return false;
	}
	pid_t pid = fork();
	if (pid == 0) {
		ask(found);
		_exit(write(ends[1], found, sizeof(*found)) == (ssize_t)sizeof(*found) ? 0 : 1);
	}
	(void)close(ends[1]);
	ssize_t n = pid < 0 ? -1 : read(ends[0], found, sizeof(*found));
	(void)close(ends[0]);
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (n == (ssize_t)sizeof(*found))
		return true;
	fprintf(stderr, "vas: cannot ask the kernel in a child process\n");
	return false;
}

uint32_t thp_number(const char *word)
{
	return strcmp(word, "always") == 0    ? VAS_THP_ALWAYS
	       : strcmp(word, "madvise") == 0 ? VAS_THP_MADVISE
	                                      : VAS_THP_NEVER;
}

static bool zero_page_used(void)
{
	static const char path[] = "/sys/kernel/mm/transparent_hugepage/use_zero_page";
	uint64_t used = 1;
	return access(path, R_OK) < 0 || !read_number(path, &used) || used;
}

bool shmem_is_huge(const char *word)
{
	return strcmp(word, "always") == 0 || strcmp(word, "within_size") == 0 ||
	       strcmp(word, "advise") == 0 || strcmp(word, "force") == 0;
}

/* Each size has a word of its own, that may be to inherit the one for all; two of those for all
 * override the sizes'. */
static void read_shmem_sizes(struct machine *machine)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE) / 1024;
	const char *all = machine->shmem_thp;
	char path[96], word[16];
	if (strcmp(all, "deny") == 0 || strcmp(all, "force") == 0)
		return;
	for (unsigned i = 1; i < 20; i++) {
		(void)snprintf(path, sizeof(path),
		               "/sys/kernel/mm/transparent_hugepage/hugepages-%llukB/shmem_enabled",
		               (unsigned long long)page << i);
		read_choice(path, word, sizeof(word));
		if (shmem_is_huge(word) || (strcmp(word, "inherit") == 0 && shmem_is_huge(all)))
			machine->settings.shmem_sizes |= 1u << i;
	}
}

/* Whether the mount on that device was made with huge=..., as mountinfo has it. */
static bool mount_is_huge(dev_t dev)
{
	char line[1024], *at;
	unsigned major_number, minor_number;
	bool huge = false;
	FILE *stream = fopen("/proc/self/mountinfo", "re");
	while (stream && fgets(line, sizeof(line), stream)) {
		if (sscanf(line, "%*u %*u %u:%u ", &major_number, &minor_number) != 2 ||
		    major_number != major(dev) || minor_number != minor(dev) ||
		    !(at = strstr(line, "huge=")))
			continue;
		at += strlen("huge=");
		at[strcspn(at, ", \n")] = '\0';
		huge = shmem_is_huge(at);
	}
	if (stream)
		(void)fclose(stream);
	return huge;
}

/* Memory files and the like lie on a mount of the kernel's own, on which the first device's number
 * is. */
bool machine_aligns_memory(const struct machine *machine, dev_t dev)
{
	if (strcmp(machine->shmem_thp, "deny") == 0)
		return false;
	if (strcmp(machine->shmem_thp, "force") == 0 || dev == makedev(0, 1))
		return machine->settings.shmem_thp;
	return mount_is_huge(dev);
}

/* Each level of tables has as many entries as words fit into a page. */
uint64_t machine_huge_size(const struct machine *machine, unsigned index)
{
	const uint64_t page = machine->format->page_size, entries = page / sizeof(uint64_t);
	return index == 0 ? page * entries : page * entries * entries;
}

static bool take_format(struct machine *machine, const struct found *found)
{
	const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	if (machine_find_format(machine, page, found->task_size)) {
		machine->exec_reads = found->exec_reads;
#ifdef __aarch64__
		machine->heap_apart = !(getauxval(AT_HWCAP2) & HWCAP2_MTE);
#endif
		return true;
	}
	fprintf(stderr,
	        "vas: this kernel has pages of %llu bytes and addresses below 0x%llx: vas has no "
	        "such format\n",
	        (unsigned long long)page, (unsigned long long)found->task_size);
	return false;
}

/* What the pools of huge pages have to give: free, and promised to nobody. What can be made beyond
 * that is not modelled. */
static void read_pools(const struct machine *machine, struct vas_settings *settings)
{
	char path[96];
	for (int i = 0; i < 2; i++) {
		const unsigned long long kb = machine_huge_size(machine, (unsigned)i) / 1024;
		uint64_t unused = 0, promised = 0;
		(void)snprintf(path, sizeof(path),
		               "/sys/kernel/mm/hugepages/hugepages-%llukB/free_hugepages", kb);
		if (access(path, R_OK) < 0 || !read_number(path, &unused))
			continue;
		(void)snprintf(path, sizeof(path),
		               "/sys/kernel/mm/hugepages/hugepages-%llukB/resv_hugepages", kb);
		if (read_number(path, &promised) && promised <= unused)
			settings->hugepages[i] = unused - promised;
	}
}

/* QEMU's own processor names itself so. */
static bool is_emulated(void)
{
	char line[256];
	bool found = false;
	FILE *stream = fopen("/proc/cpuinfo", "re");
	while (stream && !found && fgets(line, sizeof(line), stream))
		found = strncmp(line, "model name", 10) == 0 && strstr(line, "QEMU TCG") != NULL;
	if (stream)
		(void)fclose(stream);
	return found;
}

bool machine_read(struct machine *machine)
{
	struct found found = {0};
	struct vas_settings *settings = &machine->settings;
	memset(machine, 0, sizeof(*machine));
	vas_settings_default(settings, 0);
	if (!read_version(machine) || !read_sysctls(settings) || !read_meminfo(settings) ||
	    !ask_kernel(&found))
		return false;
	if (!take_format(machine, &found))
		return false;
	read_pools(machine, settings);
	settings->lsm_mmap_min_addr = found.lowest > settings->mmap_min_addr ? found.lowest : 0;
	settings->anon_vma_name = found.anon_vma_name;
	settings->memory_failure = found.memory_failure;
	settings->ksm = access("/sys/kernel/mm/ksm", F_OK) == 0;
	settings->ignore_rlimit_data = has_parameter("ignore_rlimit_data");
	read_choice("/sys/kernel/mm/transparent_hugepage/enabled", machine->thp,
	            sizeof(machine->thp));
	read_choice("/sys/kernel/mm/transparent_hugepage/shmem_enabled", machine->shmem_thp,
	            sizeof(machine->shmem_thp));
	settings->thp = machine->thp[0] != '\0';
	settings->shmem_thp = shmem_is_huge(machine->shmem_thp);
	read_shmem_sizes(machine);
	settings->thp_enabled = thp_number(machine->thp);
	settings->thp_zero_page = zero_page_used();
	machine->emulated = is_emulated();
	settings->leak_locked = true; /* who is compared with a kernel imitates its mistakes, too */
	return true;
}

/* The commit charge of others and the pools of huge pages change by themselves all the time. */
char *machine_changes(const struct machine *before)
{
	struct machine now;
	char *text = NULL;
	size_t size = 0;
	FILE *out = machine_read(&now) ? open_memstream(&text, &size) : NULL;
	const struct vas_settings *a = &before->settings, *b = &now.settings;
	const struct {
		const char *name;
		uint64_t before, now;
	} numbers[] = {
		{"vm.mmap_min_addr", a->mmap_min_addr, b->mmap_min_addr},
		{"vm.max_map_count", a->max_map_count, b->max_map_count},
		{"vm.overcommit_memory", a->overcommit_memory, b->overcommit_memory},
		{"vm.overcommit_ratio", a->overcommit_ratio, b->overcommit_ratio},
		{"vm.overcommit_kbytes", a->overcommit_kbytes, b->overcommit_kbytes},
		{"vm.admin_reserve_kbytes", a->admin_reserve_kbytes, b->admin_reserve_kbytes},
		{"vm.user_reserve_kbytes", a->user_reserve_kbytes, b->user_reserve_kbytes},
		{"pages of swap", a->swap_pages, b->swap_pages},
		{"sizes of shmem_enabled", a->shmem_sizes, b->shmem_sizes},
	};
	if (!out)
		return NULL;
	const char *comma = "";
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		if (numbers[i].before == numbers[i].now)
			continue;
		fprintf(out, "%s%s %llu -> %llu", comma, numbers[i].name,
		        (unsigned long long)numbers[i].before, (unsigned long long)numbers[i].now);
		comma = ", ";
	}
	if (strcmp(before->thp, now.thp) != 0) {
		fprintf(out, "%stransparent_hugepage/enabled %s -> %s", comma, before->thp,
		        now.thp);
		comma = ", ";
	}
	if (a->thp_zero_page != b->thp_zero_page) {
		fprintf(out, "%stransparent_hugepage/use_zero_page %d -> %d", comma,
		        a->thp_zero_page, b->thp_zero_page);
		comma = ", ";
	}
	if (strcmp(before->shmem_thp, now.shmem_thp) != 0)
		fprintf(out, "%stransparent_hugepage/shmem_enabled %s -> %s", comma,
		        before->shmem_thp, now.shmem_thp);
	if (fclose(out) == 0 && size)
		return text;
	free(text);
	return NULL;
}
