/* posix.c - files of the host behind the mappings of a space, and reports as text.
 *
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/sysmacros.h>
#endif

#include "filesystem.h"
#include "vas/posix.h"

/* Kept until the object goes: files point to it. */
struct host_path {
	struct host_path *next;
	char text[];
};

/* What a POSIX object stands for: its ctx. */
struct host_file {
	int fd;       /* for reading */
	int write_fd; /* -1 until somebody opens it for writing */
	uint64_t page_size;
	dev_t dev;
	ino_t ino;
	struct host_path *paths; /* pushed without a lock: threads may open at once */
	vas_posix_lost *lost;
	void *lost_ctx;
};

/* What the host's calls answer, in Linux's numbers, whatever the host's own are. */
static const struct {
	int host;
	int64_t linux_number;
} errnos[] = {
	{EPERM, 1},   {ENOENT, 2},  {EINTR, 4},   {EIO, 5},        {ENXIO, 6},    {EBADF, 9},
	{EAGAIN, 11}, {ENOMEM, 12}, {EACCES, 13}, {EFAULT, 14},    {EBUSY, 16},   {ENODEV, 19},
	{EISDIR, 21}, {EINVAL, 22}, {ENFILE, 23}, {EMFILE, 24},    {ETXTBSY, 26}, {EFBIG, 27},
	{ENOSPC, 28}, {ESPIPE, 29}, {EROFS, 30},  {EOVERFLOW, 75}, {EDQUOT, 122},
};

#define NERRNOS (sizeof(errnos) / sizeof(errnos[0]))

/* EIO: an error without a name here. */
static int64_t host_error(void)
{
	for (size_t i = 0; i < NERRNOS; i++) {
		if (errnos[i].host == errno)
			return -errnos[i].linux_number;
	}
	return -VAS_EIO;
}

/* The host's words for an errno of Linux. */
static const char *error_words(int64_t err)
{
	for (size_t i = 0; i < NERRNOS; i++) {
		if (errnos[i].linux_number == -err)
			return strerror(errnos[i].host);
	}
	return strerror(EIO);
}

/* ---- Pages ----------------------------------------------------------------------------------- */

static int64_t read_page(void *ctx, uint64_t index, void *page)
{
	const struct host_file *host = ctx;
	uint64_t done = 0;

	while (done < host->page_size) {
		ssize_t n = pread(host->fd, (char *)page + done, host->page_size - done,
		                  (off_t)(index * host->page_size + done));

		if (n == 0) /* the end: zeros from here on, as the page is */
			break;
		if (n < 0 && errno != EINTR)
			return host_error();
		done += n > 0 ? (uint64_t)n : 0;
	}
	return 0;
}

/* How many bytes of the page lie in the file: it never grows by being written back. */
static int64_t bytes_in_file(int fd, uint64_t offset, uint64_t page_size)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return host_error();
	if (st.st_size < 0 || (uint64_t)st.st_size <= offset)
		return 0;
	return (uint64_t)st.st_size - offset < page_size ? st.st_size - (int64_t)offset
	                                                 : (int64_t)page_size;
}

static int64_t write_page(void *ctx, uint64_t index, const void *page)
{
	struct host_file *host = ctx;
	int fd = __atomic_load_n(&host->write_fd, __ATOMIC_ACQUIRE);
	uint64_t offset = index * host->page_size;
	int64_t done = 0, len = fd < 0 ? -VAS_EBADF : bytes_in_file(fd, offset, host->page_size);

	while (done < len) {
		ssize_t n = pwrite(fd, (const char *)page + done, (size_t)(len - done),
		                   (off_t)offset + (off_t)done);

		if (n == 0)
			return -VAS_EIO;
		if (n < 0 && errno != EINTR)
			return host_error();
		done += n > 0 ? n : 0;
	}
	return len < 0 ? len : 0;
}

static void lose_page(void *ctx, uint64_t index, const void *page, int64_t err)
{
	const struct host_file *host = ctx;
	uint64_t offset = index * host->page_size;

	if (host->lost)
		host->lost(host->lost_ctx, offset, page, (size_t)host->page_size, err);
	else
		fprintf(stderr, "vas: %s: lost %llu bytes at %llu: %s\n",
		        host->paths ? host->paths->text : "a file",
		        (unsigned long long)host->page_size, (unsigned long long)offset,
		        error_words(err));
}

static void release(void *ctx)
{
	struct host_file *host = ctx;

	while (host->paths) {
		struct host_path *path = host->paths;

		host->paths = path->next;
		free(path);
	}
	if (host->write_fd >= 0)
		(void)close(host->write_fd);
	(void)close(host->fd);
	free(host);
}

static const struct vas_object_ops host_ops = {
	.read_page = read_page,
	.write_page = write_page,
	.release = release,
	.lose_page = lose_page,
};

/* ---- Objects --------------------------------------------------------------------------------- */

static int duplicate(int fd)
{
	return fcntl(fd, F_DUPFD_CLOEXEC, 0);
}

int64_t vas_posix_object(struct vas_system *system, int fd, struct vas_object **object)
{
	int flags = fcntl(fd, F_GETFL);
	struct host_file *host;
	struct stat st;
	int64_t err;

	if (flags < 0 || fstat(fd, &st) < 0)
		return host_error();
	if (!S_ISREG(st.st_mode))
		return -VAS_ENODEV;
	if ((flags & O_ACCMODE) == O_WRONLY)
		return -VAS_EACCES;
	host = calloc(1, sizeof(*host));
	if (!host)
		return -VAS_ENOMEM;
	host->page_size = vas_system_page_size(system);
	host->dev = st.st_dev;
	host->ino = st.st_ino;
	host->write_fd = -1;
	host->fd = duplicate(fd);
	err = host->fd < 0 ? host_error() : 0;
	if (!err)
		err = vas_object_create(system, &host_ops, host, (uint64_t)st.st_size, object);
	if (err) {
		if (host->fd >= 0)
			(void)close(host->fd);
		free(host);
	}
	return err;
}

int64_t vas_posix_follow(struct vas_object *object)
{
	const struct host_file *host = vas_object_ctx(object);
	struct stat st;

	if (fstat(host->fd, &st) < 0)
		return host_error();
	return vas_object_resize(object, (uint64_t)st.st_size);
}

void vas_posix_on_loss(struct vas_object *object, vas_posix_lost *lost, void *ctx)
{
	struct host_file *host = vas_object_ctx(object);

	host->lost = lost;
	host->lost_ctx = ctx;
}

/* ---- Files ----------------------------------------------------------------------------------- */

/* The name of fd as maps shows it: kept with the object, each name once. NULL: no memory. */
static const char *keep_path(struct host_file *host, int fd)
{
	struct host_path *first = __atomic_load_n(&host->paths, __ATOMIC_ACQUIRE), *path;
	char link[64], text[4097];
	ssize_t len;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	len = readlink(link, text, sizeof(text) - 1);
	text[len < 0 ? 0 : len] = '\0';
	for (path = first; path; path = path->next) {
		if (strcmp(path->text, text) == 0)
			return path->text;
	}
	path = malloc(sizeof(*path) + strlen(text) + 1);
	if (!path)
		return NULL;
	memcpy(path->text, text, strlen(text) + 1);
	do {
		path->next = first;
	} while (!__atomic_compare_exchange_n(&host->paths, &first, path, false, __ATOMIC_RELEASE,
	                                      __ATOMIC_ACQUIRE));
	return path->text;
}

/* What the file's filesystem means for its mappings. */
static uint32_t filesystem_mode(int fd)
{
	const struct filesystem *fs = vas_host_filesystem(fd);
	uint32_t mode = vas_host_noexec(fd) ? VAS_FILE_NOEXEC : 0;

	if (fs)
		mode |= (fs->aligns ? VAS_FILE_THP_ALIGN : 0) | (fs->memory ? VAS_FILE_SHMEM : 0);
	return mode;
}

/* From now on pages can be written back. */
static int64_t become_writable(struct host_file *host, int fd)
{
	int copy, none = -1;

	if (__atomic_load_n(&host->write_fd, __ATOMIC_ACQUIRE) >= 0)
		return 0;
	copy = duplicate(fd);
	if (copy < 0)
		return host_error();
	if (!__atomic_compare_exchange_n(&host->write_fd, &none, copy, false, __ATOMIC_RELEASE,
	                                 __ATOMIC_ACQUIRE))
		(void)close(copy); /* another thread was faster */
	return 0;
}

int64_t vas_posix_file(struct vas_object *object, int fd, struct vas_file **file)
{
	struct host_file *host = vas_object_ctx(object);
	struct vas_file_info info = {0};
	int flags = fcntl(fd, F_GETFL);
	struct stat st;
	int64_t err = 0;

	if (flags < 0 || fstat(fd, &st) < 0)
		return host_error();
	if (st.st_dev != host->dev || st.st_ino != host->ino)
		return -VAS_EINVAL;
	info.mode = filesystem_mode(fd);
	info.mode |= (flags & O_ACCMODE) != O_WRONLY ? VAS_FILE_READ : 0;
	info.mode |= (flags & O_ACCMODE) != O_RDONLY ? VAS_FILE_WRITE : 0;
	info.major = major(st.st_dev);
	info.minor = minor(st.st_dev);
	info.inode = st.st_ino;
	info.path = keep_path(host, fd);
	if (!info.path)
		return -VAS_ENOMEM;
	if (info.mode & VAS_FILE_WRITE)
		err = become_writable(host, fd);
	return err ? err : vas_file_open(object, &info, file);
}

int64_t vas_posix_open(struct vas_system *system, int fd, struct vas_file **file)
{
	struct vas_object *object;
	int64_t err = vas_posix_object(system, fd, &object);

	if (err)
		return err;
	err = vas_posix_file(object, fd, file);
	vas_object_put(object);
	return err;
}

/* ---- Reports --------------------------------------------------------------------------------- */

void vas_posix_print(void *file, const char *text, size_t len)
{
	(void)fwrite(text, 1, len, file);
}

char *vas_posix_text(struct vas *space, vas_report *report)
{
	char *text = NULL;
	size_t len;
	FILE *stream = open_memstream(&text, &len);
	bool failed;

	if (!stream)
		return NULL;
	report(space, vas_posix_print, stream);
	failed = ferror(stream);
	if (fclose(stream) == 0 && !failed)
		return text;
	free(text);
	return NULL;
}
