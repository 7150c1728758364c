/* tracer_proc.c - reads /proc.
 *
 * maps and pagemap are opened once for an address space: the open file stays bound to it, whichever
 * of its threads ends first. What cannot be read because the process is gone reads as empty.
 *
 * SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "check/tracer/tracer_internal.h"
#include "strace/rights.h"

static int open_proc(pid_t tid, const char *name)
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/%s", (int)tid, name);
	return open(path, O_RDONLY | O_CLOEXEC);
}

bool proc_open(struct mm *mm, pid_t tid)
{
	mm->maps_fd = open_proc(tid, "maps");
	mm->pagemap_fd = open_proc(tid, "pagemap");
	return mm->maps_fd >= 0 && mm->pagemap_fd >= 0;
}

void proc_close(struct mm *mm)
{
	if (mm->maps_fd >= 0)
		close(mm->maps_fd);
	if (mm->pagemap_fd >= 0)
		close(mm->pagemap_fd);
	mm->maps_fd = mm->pagemap_fd = -1;
}

bool proc_maps(struct tracer *tracer, struct mm *mm)
{
	if (!text_read_maps(&tracer->text, mm->maps_fd) ||
	    !map_lines_parse(&tracer->lines, tracer->text.at))
		return false;
	mm->lines = tracer->lines.n;
	return true;
}

bool proc_smaps(struct tracer *tracer, struct mm *mm)
{
	int fd = open_proc(mm->tid, "smaps");
	bool good = fd >= 0 && text_read(&tracer->text, fd) &&
	            map_lines_parse(&tracer->lines, tracer->text.at);
	if (fd >= 0)
		close(fd);
	return good;
}

/* linux/fs.h of Linux 6.11: one line of maps without the others. */
struct procmap_query {
	uint64_t size, query_flags, query_addr;
	uint64_t start, end, flags, page_size, offset, inode;
	uint32_t major, minor, name_size, build_id_size;
	uint64_t name_addr, build_id_addr;
};
#define PROCMAP_QUERY _IOWR('f', 17, struct procmap_query)

/* 1: *line is the one that holds addr, its name in tracer->text; 0: there is none; -1: an older
 * kernel. */
static int query_line(struct tracer *tracer, const struct mm *mm, uint64_t addr,
                      struct map_line *line)
{
	enum { NAME_SIZE = 4096 };
	if (!text_reserve(&tracer->text, NAME_SIZE))
		return -1;
	struct procmap_query query = {.size = sizeof(query),
	                              .query_addr = addr,
	                              .name_size = NAME_SIZE,
	                              .name_addr = (uintptr_t)tracer->text.at};
	tracer->text.at[0] = '\0';
	if (ioctl(mm->maps_fd, PROCMAP_QUERY, &query) < 0)
		return errno == ENOENT || errno == ESRCH ? 0 : -1;
	*line = (struct map_line){.start = query.start,
	                          .end = query.end,
	                          .offset = query.offset,
	                          .major = query.major,
	                          .minor = query.minor,
	                          .inode = query.inode,
	                          .name = query.name_size ? tracer->text.at : ""};
	snprintf(line->perms, sizeof(line->perms), "%c%c%c%c", query.flags & 1 ? 'r' : '-',
	         query.flags & 2 ? 'w' : '-', query.flags & 4 ? 'x' : '-',
	         query.flags & 8 ? 's' : 'p');
	return 1;
}

bool proc_line_at(struct tracer *tracer, struct mm *mm, uint64_t addr, struct map_line *line)
{
	int found = query_line(tracer, mm, addr, line);
	if (found >= 0)
		return found > 0;
	if (!proc_maps(tracer, mm))
		return false;
	for (size_t i = 0; i < tracer->lines.n; i++) {
		*line = tracer->lines.line[i];
		if (line->start <= addr && addr < line->end)
			return true;
	}
	return false;
}

/* A small file into `text`; "" if it cannot be read. */
static void read_small(pid_t tid, const char *name, char *text, size_t size)
{
	int fd = open_proc(tid, name);
	size_t len = 0;
	while (fd >= 0 && len < size - 1) {
		ssize_t got = read(fd, text + len, size - 1 - len);
		if (got <= 0)
			break;
		len += (size_t)got;
	}
	if (fd >= 0)
		close(fd);
	text[len] = '\0';
}

bool proc_stat(pid_t tid, struct proc_stat *stat)
{
	char text[1024];
	uint64_t field[64] = {0};
	read_small(tid, "stat", text, sizeof(text));
	char *p = strrchr(text, ')'); /* the name in front may hold anything */
	unsigned n = 3;               /* proc(5) counts fields from 1; the state is the third */
	for (p = p ? strchr(p, ' ') : NULL; p && n < 64; p = strchr(p, ' ')) {
		p++;
		field[n++] = strtoull(p, NULL, 10);
	}
	*stat = (struct proc_stat){field[47], field[28], field[45], field[46]};
	return n > 47 && field[28] != 0;
}

void proc_comm(pid_t tid, char *name, size_t size)
{
	read_small(tid, "comm", name, size);
	name[strcspn(name, "\n")] = '\0';
}

bool proc_field(pid_t tid, const char *file, const char *field, unsigned base, uint64_t *value)
{
	char text[8192];
	size_t len = strlen(field);
	read_small(tid, file, text, sizeof(text));
	for (char *line = text; *line; line += strcspn(line, "\n") + 1) {
		if (strncmp(line, field, len) == 0 && line[len] == ':') {
			*value = strtoull(line + len + 1, NULL, (int)base);
			return true;
		}
		if (line[strcspn(line, "\n")] == '\0')
			break;
	}
	return false;
}

bool proc_status(pid_t tid, const char *field, unsigned base, uint64_t *value)
{
	return proc_field(tid, "status", field, base, value);
}

uint64_t proc_personality(pid_t tid)
{
	char text[32];
	read_small(tid, "personality", text, sizeof(text));
	return strtoull(text, NULL, 16);
}

static uint64_t parse_limit(const char **at)
{
	char *end;
	*at += strspn(*at, " ");
	if (strncmp(*at, "unlimited", 9) == 0) {
		*at += 9;
		return VAS_RLIM_INFINITY;
	}
	uint64_t value = strtoull(*at, &end, 10);
	*at = end;
	return value;
}

/* Not by prlimit(2): for a process that has changed its user that needs CAP_SYS_RESOURCE. */
void proc_limits(struct proc *proc)
{
	char text[4096];
	read_small(proc->pid, "limits", text, sizeof(text));
	for (unsigned i = 0; i < VAS_NRLIMITS; i++) {
		const char *at = strstr(text, limit_rows[i].proc);
		if (!at)
			continue;
		at += strlen(limit_rows[i].proc);
		proc->limit[i].soft = parse_limit(&at);
		proc->limit[i].hard = parse_limit(&at);
	}
}

void proc_caps(struct task *task)
{
	uint64_t effective;
	if (!proc_status(task->tid, "CapEff", 16, &effective))
		return;
	task->caps = caps_of_bits(effective);
}
