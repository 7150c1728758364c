/* tracer_parts.c - calls that come to one or more others on vas: attaching and detaching System V
 * segments, and advice by another process or for several ranges.
 *
 * What they answer is not compared where they fail; where they succeed, each part is a call.
 *
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <string.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "check/tracer/tracer_internal.h"

#define RANGES_MAX 1024 /* UIO_MAXIOV */

/* ---- Segments -------------------------------------------------------------------------------- */

void parts_attach(struct tracer *tracer, struct task *task, uint64_t addr)
{
	const uint64_t *arg = task->args;
	bool reads = arg[2] & SHM_RDONLY, placed = arg[1] != 0;
	struct map_line line;
	if (!proc_line_at(tracer, task->mm, addr, &line) || line.start != addr)
		line.name = "";
	uint32_t id = file_of_segment(tracer, task, &line, reads);
	if (!id) {
		image_adopt(tracer, task, "shmat of huge pages");
		return;
	}
	task->call = (struct call){
		.name = CALL_MMAP,
		.nargs = 6,
		.arg = {placed ? addr : 0, line.end - line.start,
	                VAS_PROT_READ | (reads ? 0 : VAS_PROT_WRITE) |
	                        (arg[2] & SHM_EXEC ? VAS_PROT_EXEC : 0),
	                VAS_MAP_SHARED | (!placed              ? 0
	                                  : arg[2] & SHM_REMAP ? VAS_MAP_FIXED
	                                                       : VAS_MAP_FIXED_NOREPLACE),
	                id, 0}};
	call_same(tracer, task, (int64_t)addr);
}

/* Whether the mapping is of the segment that begins at `addr`; then its file is `file`. */
static bool is_of_segment(const struct vas_region *region, uint64_t addr,
                          const struct vas_file **file)
{
	if (!region->file || strncmp(vas_file_info(region->file)->path, "/SYSV", 5) != 0 ||
	    region->start - addr != region->offset || (*file && region->file != *file))
		return false;
	*file = region->file;
	return true;
}

void parts_detach(struct tracer *tracer, struct task *task)
{
	struct vas *vas = model_space(tracer->model, task->proc->pid);
	uint64_t addr = task->args[0];
	const struct vas_file *file = NULL;
	struct vas_region region;
	for (uint64_t at = addr; vas && vas_next_region(vas, at, &region); at = region.end) {
		if (region.start < addr || !is_of_segment(&region, addr, &file))
			continue;
		task->call = (struct call){.name = CALL_MUNMAP,
		                           .nargs = 2,
		                           .arg = {region.start, region.end - region.start}};
		call_emit(tracer, task, &task->call, 0);
		if (model_adrift(tracer->model, task->proc->pid))
			break;
	}
	tracer->files_dirty = true;
	call_after(tracer, task);
}

/* ---- Advice ---------------------------------------------------------------------------------- */

struct task *parts_advised(struct tracer *tracer, const struct task *task)
{
	char name[32];
	uint64_t pid = 0;
	snprintf(name, sizeof(name), "fdinfo/%d", (int)task->args[0]);
	struct task *other = proc_field(task->tid, name, "Pid", 10, &pid)
	                             ? task_find(tracer, (pid_t)pid)
	                             : NULL;
	return other && other->proc && other->mm->followed ? other : NULL;
}

static size_t read_ranges(const struct task *task, struct iovec ranges[RANGES_MAX])
{
	size_t n = task->args[2] < RANGES_MAX ? (size_t)task->args[2] : RANGES_MAX;
	struct iovec mine = {ranges, n * sizeof(*ranges)};
	struct iovec theirs = {(void *)(uintptr_t)task->args[1], n * sizeof(*ranges)};
	ssize_t got = n ? process_vm_readv(task->tid, &mine, 1, &theirs, 1, 0) : 0;
	return got < 0 ? 0 : (size_t)got / sizeof(*ranges);
}

void parts_advise_look(struct tracer *tracer, struct task *task)
{
	struct iovec ranges[RANGES_MAX];
	struct task *other = parts_advised(tracer, task);
	size_t n = other ? read_ranges(task, ranges) : 0;
	for (size_t i = 0; i < n; i++)
		touch_near(tracer, other, (uint64_t)(uintptr_t)ranges[i].iov_base,
		           ranges[i].iov_len);
}

/* `done`: bytes, of the first ranges. A range of which only a part was done tells by its length how
 * much. */
void parts_advise(struct tracer *tracer, struct task *task, uint64_t done)
{
	struct iovec ranges[RANGES_MAX];
	struct task *other = parts_advised(tracer, task);
	size_t n = other ? read_ranges(task, ranges) : 0;
	for (size_t i = 0; i < n && done; i++) {
		uint64_t len = ranges[i].iov_len < done ? ranges[i].iov_len : done;
		other->call = (struct call){.name = CALL_MADVISE,
		                            .nargs = 3,
		                            .arg = {(uint64_t)(uintptr_t)ranges[i].iov_base, len,
		                                    (uint32_t)task->args[3]}};
		call_emit(tracer, other, &other->call, 0);
		done -= len;
	}
	if (other)
		call_after(tracer, other);
}
