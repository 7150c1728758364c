/* tracer_file.c - what descriptors mean: which open file, on which filesystem.
 *
 * Only mappings of the same open file description merge. To recognise one when it comes again, a
 * reference to it is kept, as long as something maps it: then the mapping keeps it anyway, and ours
 * changes nothing for the program (a lock on the file is held no longer than without us).
 *
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "check/tracer/tracer_internal.h"
#include "filesystem.h"

#ifndef PIDFD_THREAD
#define PIDFD_THREAD O_EXCL /* Linux 6.9 */
#endif
#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010
#endif

/* ---- Descriptors that are files ------------------------------------------------------------- */

/* What an object of vas's is to be. VAS_FILE_SHMEM says there that MADV_REMOVE makes holes. */
static uint32_t mode_of(const struct tracer *tracer, const struct filesystem *fs, dev_t dev)
{
	bool aligns = fs->aligns ||
	              (fs->memory && machine_aligns_memory(model_machine(tracer->model), dev));
	return (aligns ? VAS_FILE_THP_ALIGN : 0) | (fs->memory || fs->punches ? VAS_FILE_SHMEM : 0);
}

static void link_text(int fd, char *text, size_t size)
{
	char path[32];
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	ssize_t len = readlink(path, text, size - 1);
	text[len < 0 ? 0 : len] = '\0';
}

static uint32_t access_mode(int fd)
{
	static const uint32_t modes[4] = {[O_RDONLY] = VAS_FILE_READ,
	                                  [O_WRONLY] = VAS_FILE_WRITE,
	                                  [O_RDWR] = VAS_FILE_READ | VAS_FILE_WRITE};
	return modes[fcntl(fd, F_GETFL) & O_ACCMODE];
}

static void classify_regular(const struct tracer *tracer, struct pending_file *file)
{
	const struct filesystem *fs = vas_host_filesystem(file->fd);
	struct statfs unknown = {.f_type = 0};
	int seals = fcntl(file->fd, F_GET_SEALS);
	if (!fs && fstatfs(file->fd, &unknown) == 0)
		snprintf(file->opaque, sizeof(file->opaque), "mmap on filesystem type 0x%lx",
		         (unsigned long)unknown.f_type);
	else if (!fs)
		snprintf(file->opaque, sizeof(file->opaque),
		         "mmap on a filesystem that says not "
		         "what it is");
	else if (seals > 0 && (seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE)))
		snprintf(file->opaque, sizeof(file->opaque), "mmap of a write-sealed memfd");
	else
		file->mode |= mode_of(tracer, fs, file->stat.st_dev);
	if (vas_host_noexec(file->fd))
		file->mode |= VAS_FILE_NOEXEC;
}

/* Descriptors that cannot be mapped, by their link in /proc/PID/fd. */
static bool is_unmappable(const struct pending_file *file, const char *link)
{
	static const char *const links[] = {"anon_inode:[eventfd]", "anon_inode:[eventpoll]",
	                                    "anon_inode:[timerfd]", "anon_inode:inotify",
	                                    "anon_inode:[pidfd]"};
	mode_t type = file->stat.st_mode & S_IFMT;
	if (type == S_IFDIR || type == S_IFIFO || type == S_IFSOCK || type == S_IFLNK)
		return true;
	for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++)
		if (strcmp(link, links[i]) == 0)
			return true;
	return false;
}

/* A shared mapping of /dev/zero is one of a file of its own, in memory and just as long. (If the
 * descriptor cannot write it is none, and a private mapping is none: those are anonymous memory
 * that has a name, offsets and an open file, which vas does not have.) */
static bool is_shared_zero(const struct task *task)
{
	const struct stat *stat = &task->file.stat;
	return S_ISCHR(stat->st_mode) && stat->st_rdev == makedev(1, 5) &&
	       task->traced->nr == SYS_mmap && (task->args[3] & VAS_MAP_SHARED) &&
	       access_mode(task->file.fd) == (VAS_FILE_READ | VAS_FILE_WRITE);
}

/* Linux places it as shared anonymous memory. Of sizes below 2 MiB vas has no flag for a file. */
static bool machine_aligns_zero(const struct machine *machine)
{
	const struct vas_settings *settings = &machine->settings;
	return settings->shmem_sizes ? settings->shmem_sizes >> 9 != 0 : settings->shmem_thp;
}

/* What a device or an anonymous inode does in its mmap only it knows. What has no path lies on a
 * mount of the kernel's own, from which nothing may be executed. */
static void classify(const struct tracer *tracer, struct task *task)
{
	struct pending_file *file = &task->file;
	char link[64];
	file->mode = access_mode(file->fd);
	link_text(file->fd, link, sizeof(link));
	if (S_ISREG(file->stat.st_mode)) {
		classify_regular(tracer, file);
	} else if (is_shared_zero(task)) {
		file->mode |= VAS_FILE_SHMEM | (machine_aligns_zero(model_machine(tracer->model))
		                                        ? VAS_FILE_THP_ALIGN
		                                        : 0);
		file->single = true;
		file->stat.st_size = (off_t)page_up(tracer, task->args[1]);
	} else if (is_unmappable(file, link)) {
		file->mode |= VAS_FILE_NOMAP | (link[0] == '/' ? 0 : VAS_FILE_NOEXEC);
	} else {
		snprintf(file->opaque, sizeof(file->opaque), "mmap of %s", link);
	}
}

/* ---- Descriptors ----------------------------------------------------------------------------- */

/* Our reference to what `fd` is in the task; -1 and errno. */
static int take_fd(struct task *task, int fd)
{
	int pidfd = (int)syscall(SYS_pidfd_open, task->tid, PIDFD_THREAD);
	if (pidfd < 0)
		pidfd = (int)syscall(SYS_pidfd_open, task->proc->pid, 0);
	if (pidfd < 0)
		return -1;
	int mine = (int)syscall(SYS_pidfd_getfd, pidfd, fd, 0);
	int error = errno;
	close(pidfd);
	errno = error;
	return mine;
}

static bool same_description(int a, int b)
{
	pid_t self = getpid();
	return syscall(SYS_kcmp, self, self, KCMP_FILE, a, b) == 0;
}

static struct kept_file **ino_bucket(struct tracer *tracer, ino_t ino)
{
	return &tracer->inodes[ino % FILE_BUCKETS];
}

static struct kept_file *find_kept(struct tracer *tracer, const struct pending_file *file)
{
	struct kept_file *kept = *ino_bucket(tracer, file->stat.st_ino);
	while (kept && (kept->fd < 0 || kept->ino != file->stat.st_ino ||
	                kept->dev != file->stat.st_dev || !same_description(kept->fd, file->fd)))
		kept = kept->same_ino;
	return kept;
}

void file_resolve(struct tracer *tracer, struct task *task, int fd)
{
	struct pending_file *file = &task->file;
	memset(file, 0, sizeof(*file));
	file->fd = fd < 0 ? -1 : take_fd(task, fd);
	if (file->fd < 0) {
		if (fd >= 0 && errno != EBADF)
			snprintf(file->opaque, sizeof(file->opaque), "mmap of a descriptor: %s",
			         strerror(errno));
		return;
	}
	if (fstat(file->fd, &file->stat) != 0 || (fcntl(file->fd, F_GETFL) & O_PATH)) {
		close(file->fd);
		file->fd = -1; /* O_PATH: for mmap a bad descriptor */
		return;
	}
	file->known = find_kept(tracer, file);
	if (file->known) {
		close(file->fd);
		file->fd = -1;
		return;
	}
	classify(tracer, task);
}

void file_forget(struct pending_file *file)
{
	if (file->fd >= 0)
		close(file->fd);
	file->fd = -1;
}

/* ---- Files as the model knows them ----------------------------------------------------------- */

static struct kept_file *keep(struct tracer *tracer, const struct event *event, int fd,
                              const struct stat *stat)
{
	struct kept_file *kept = calloc(1, sizeof(*kept));
	if (!kept) {
		fputs("vas: out of memory\n", stderr);
		exit(3);
	}
	kept->id = event->id;
	kept->fd = fd;
	kept->size = event->number;
	if (stat) {
		kept->dev = stat->st_dev;
		kept->ino = stat->st_ino;
	}
	kept->next = tracer->files[kept->id % FILE_BUCKETS];
	tracer->files[kept->id % FILE_BUCKETS] = kept;
	kept->same_ino = *ino_bucket(tracer, kept->ino);
	*ino_bucket(tracer, kept->ino) = kept;
	return kept;
}

static void update_size(struct tracer *tracer, struct kept_file *kept)
{
	struct stat stat;
	if (kept->fd < 0 || fstat(kept->fd, &stat) != 0 || (uint64_t)stat.st_size == kept->size)
		return;
	kept->size = (uint64_t)stat.st_size;
	kept->resizes++;
	struct event event = {.kind = EVENT_RESIZE, .id = kept->id, .number = kept->size};
	emit(tracer, &event);
}

uint64_t file_update_size(struct tracer *tracer, uint32_t id)
{
	struct kept_file *kept = tracer->files[id % FILE_BUCKETS];
	while (kept && kept->id != id)
		kept = kept->next;
	if (!id || !kept)
		return 0;
	update_size(tracer, kept);
	return kept->resizes;
}

/* Device, inode and name as maps shows them, which on some filesystems is not what fstat says. */
static void describe(struct tracer *tracer, struct task *task, int64_t answer,
                     struct vas_file_info *info, char *name, size_t size)
{
	struct map_line line;
	const struct stat *stat = &task->file.stat;
	if (answer >= 0 && proc_line_at(tracer, task->mm, (uint64_t)answer, &line)) {
		*info = (struct vas_file_info){
			.major = line.major, .minor = line.minor, .inode = line.inode};
		snprintf(name, size, "%s", line.name);
	} else {
		*info = (struct vas_file_info){.major = major(stat->st_dev),
		                               .minor = minor(stat->st_dev),
		                               .inode = stat->st_ino};
		link_text(task->file.fd, name, size);
	}
	info->path = name;
	info->mode = task->file.mode;
}

uint32_t file_define(struct tracer *tracer, struct task *task, int64_t answer)
{
	struct pending_file *file = &task->file;
	if (file->known) {
		update_size(tracer, file->known);
		return file->known->id;
	}
	if (file->fd < 0)
		return 0;
	char name[4096];
	struct event event = {.kind = EVENT_FILE,
	                      .id = ++tracer->file_ids,
	                      .number = (uint64_t)file->stat.st_size};
	describe(tracer, task, answer, &event.info, name, sizeof(name));
	if (!S_ISREG(file->stat.st_mode) && !file->single)
		event.number = 0;
	emit(tracer, &event);
	if (file->single) {
		file_forget(file);
		keep(tracer, &event, -1, NULL);
	} else {
		keep(tracer, &event, file->fd, &file->stat);
		file->fd = -1;
	}
	tracer->files_dirty |= answer < 0; /* then nothing maps it */
	return event.id;
}

/* Size and mode of what a line of the map shows. Without a size no access to the mapping could be
 * judged, so if it cannot be had the file counts as endless. */
static void inspect_line(struct tracer *tracer, struct task *task, const struct map_line *line,
                         struct event *event)
{
	char path[96];
	struct stat file;
	snprintf(path, sizeof(path), "/proc/%d/map_files/%llx-%llx", (int)task->tid,
	         (unsigned long long)line->start, (unsigned long long)line->end);
	const char *by = path;
	if (stat(by, &file) != 0) { /* not allowed, or no CONFIG_CHECKPOINT_RESTORE */
		by = line->name;
		if (stat(by, &file) != 0 || file.st_ino != line->inode)
			file.st_mode = 0;
	}
	event->info.mode = VAS_FILE_READ | VAS_FILE_WRITE;
	if (strncmp(line->name, "/SYSV", 5) == 0)
		event->info.mode |= VAS_FILE_OWN_AREA;
	event->number = S_ISREG(file.st_mode) ? (uint64_t)file.st_size : (uint64_t)1 << 40;
	const struct filesystem *fs = S_ISREG(file.st_mode) ? vas_host_filesystem_at(by) : NULL;
	if (fs)
		event->info.mode |= mode_of(tracer, fs, file.st_dev);
}

uint32_t file_from_line(struct tracer *tracer, struct task *task, const struct map_line *line)
{
	struct event event = {.kind = EVENT_FILE, .id = ++tracer->file_ids};
	event.info = (struct vas_file_info){.major = line->major,
	                                    .minor = line->minor,
	                                    .inode = line->inode,
	                                    .path = line->name};
	inspect_line(tracer, task, line, &event);
	emit(tracer, &event);
	keep(tracer, &event, -1, NULL);
	return event.id;
}

uint32_t file_of_segment(struct tracer *tracer, struct task *task, const struct map_line *line,
                         bool read_only)
{
	struct event event = {.kind = EVENT_FILE, .id = tracer->file_ids + 1};
	event.info = (struct vas_file_info){.major = line->major,
	                                    .minor = line->minor,
	                                    .inode = line->inode,
	                                    .path = line->name};
	if (strncmp(line->name, "/SYSV", 5) != 0)
		return 0;
	inspect_line(tracer, task, line, &event);
	if (!(event.info.mode & VAS_FILE_SHMEM))
		return 0;
	if (read_only)
		event.info.mode &= ~VAS_FILE_WRITE;
	tracer->file_ids++;
	emit(tracer, &event);
	keep(tracer, &event, -1, NULL);
	return event.id;
}

/* While it is being truncated, its size may change and change back between two looks. */
void file_resized(struct tracer *tracer, struct task *task, int fd)
{
	file_resolve(tracer, task, fd);
	const struct stat *stat = &task->file.stat; /* zero if the descriptor is bad */
	struct kept_file *kept = *ino_bucket(tracer, stat->st_ino);
	for (; kept && stat->st_ino; kept = kept->same_ino) {
		if (kept->ino != stat->st_ino || kept->dev != stat->st_dev)
			continue;
		update_size(tracer, kept);
		kept->resizes++;
	}
	file_forget(&task->file);
}

/* Lets go of files that nothing maps any more. */
void files_sweep(struct tracer *tracer)
{
	uint32_t ids[64];
	size_t n = model_unused_files(tracer->model, ids, 64);
	for (size_t i = 0; i < n; i++) {
		struct kept_file **at = &tracer->files[ids[i] % FILE_BUCKETS];
		while (*at && (*at)->id != ids[i])
			at = &(*at)->next;
		struct kept_file *kept = *at;
		if (!kept)
			continue;
		*at = kept->next;
		at = ino_bucket(tracer, kept->ino);
		while (*at != kept)
			at = &(*at)->same_ino;
		*at = kept->same_ino;
		if (kept->fd >= 0)
			close(kept->fd);
		free(kept);
		struct event event = {.kind = EVENT_CLOSE, .id = ids[i]};
		emit(tracer, &event);
	}
	tracer->files_dirty = n == 64; /* there may be more */
}
