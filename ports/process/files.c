/* files.c - descriptors as the books know them.
 *
 * SPDX-License-Identifier: MIT */
#include "process.h"

static struct process_file **bucket_of(uint64_t device, uint64_t inode)
{
	return &the_process->files->buckets[(inode ^ device * 31) % PROCESS_BUCKETS];
}

static struct process_file *file_alloc(void)
{
	struct process_files *files = the_process->files;
	struct process_file *file = files->free;

	if (file)
		files->free = file->next;
	else if (files->nfiles < PROCESS_FILES)
		file = &files->files[files->nfiles++];
	return file;
}

/* Nothing maps it any more. */
static void file_release(void *ctx)
{
	struct process_file *file = ctx, **at = bucket_of(file->device, file->inode);

	while (*at && *at != file)
		at = &(*at)->next;
	if (*at)
		*at = file->next;
	if (file->fd >= 0)
		host_close(file->fd);
	file->next = the_process->files->free;
	the_process->files->free = file;
}

static const struct vas_object_ops file_ops = {.release = file_release};

/* Makes the books' file of what *file says; its descriptor is closed if that fails. */
static int64_t file_make(const struct process_file *what, uint64_t size, struct vas_file **out)
{
	struct vas_file_info info = {
		.mode = what->mode,
		.major = (uint32_t)(what->device >> 32),
		.minor = (uint32_t)what->device,
		.inode = what->inode,
	};
	struct process_file *file = file_alloc();
	struct vas_object *object;
	int64_t err;

	if (!file) {
		if (what->fd >= 0)
			host_close(what->fd);
		return -VAS_ENOMEM;
	}
	*file = *what;
	file->next = NULL;
	err = vas_object_create(the_process->system, &file_ops, file, size, &object);
	if (err) {
		file_release(file);
		return err;
	}
	err = vas_file_open(object, &info, &file->file);
	if (!err) {
		struct process_file **bucket = bucket_of(file->device, file->inode);

		file->next = *bucket;
		*bucket = file;
		*out = file->file;
	}
	vas_object_put(object); /* the file holds it; or it goes, and its release with it */
	return err;
}

int64_t process_file_open(int fd, struct vas_file **out)
{
	struct process_file what = {.fd = -1};
	struct host_file host;
	int64_t err = host_identify(fd, &host);

	if (err)
		return err;
	for (struct process_file *file = *bucket_of(host.device, host.inode); file;
	     file = file->next) {
		if (file->device == host.device && file->inode == host.inode &&
		    file->mode == host.mode) {
			vas_file_get(file->file);
			*out = file->file;
			return 0;
		}
	}
	what.device = host.device;
	what.inode = host.inode;
	what.mode = host.mode;
	if (the_process->portable) {
		int64_t copy = host_duplicate(fd);

		if (copy < 0)
			return copy;
		what.fd = (int)copy;
	}
	return file_make(&what, host.size, out);
}

int64_t process_file_shared(uint64_t len, struct vas_file **out, int *fd)
{
	struct process_file what = {.mode = VAS_FILE_READ | VAS_FILE_WRITE | VAS_FILE_SHMEM};
	int64_t copy = host_shared_memory(len);

	if (copy < 0)
		return copy;
	what.fd = *fd = (int)copy;
	what.device = UINT64_MAX; /* no host file is like it: it is never found again */
	what.inode = ++the_process->files->numbers;
	return file_make(&what, len, out);
}

int process_file_fd(const struct vas_file *file)
{
	const struct vas_object *object = file ? vas_file_object(file) : NULL;
	const struct process_file *mine = object ? vas_object_ctx(object) : NULL;

	return mine ? mine->fd : -1;
}
