/* posix.h - files of the host behind the mappings of a space, and reports as text: vas_host, for
 * hosted builds.
 *
 * An object reads and writes its pages with pread and pwrite. It is a cache of its own beside the
 * host's: make one object for each file and open it as often as you like, and all spaces see each
 * other's writes at once; the host's file, and so other processes, see them after msync,
 * vas_object_sync, or when the object goes. What others write to the file is seen in pages that are
 * read later.
 *
 * Answers are 0 or a negative Linux errno. What "waits:" means stands in vas.h; host calls wait for
 * the host.
 *
 * SPDX-License-Identifier: MIT */
#ifndef VAS_POSIX_H
#define VAS_POSIX_H

#include "vas/vas.h"

#ifdef __cplusplus
extern "C" {
#endif

/* An object over the regular file `fd`, as large as it is now; `fd` is duplicated and may go.
 * The caller holds one reference.
 * EBADF; EACCES: not open for reading; ENODEV: no regular file; EMFILE; ENOMEM.
 * A page that cannot be read is a SIGBUS. Writing never makes the file longer: bytes past its end
 * are dropped. */
int64_t vas_posix_object(struct vas_system *system, int fd, struct vas_object **object);
	/* waits: briefly */

/* Opens an object of vas_posix_object as `fd` is open: its access mode, device, inode and path as
 * maps shows them (of /proc/self/fd; "" where there is none). Pages are written back once a file
 * that is open for writing has been opened. The caller holds one reference on *file.
 * EBADF; EINVAL: `fd` is another file; EMFILE; ENOMEM. */
int64_t vas_posix_file(struct vas_object *object, int fd, struct vas_file **file);
	/* waits: briefly */

/* Both, for a file that is opened once: the object goes with *file. */
int64_t vas_posix_open(struct vas_system *system, int fd, struct vas_file **file);
	/* waits: briefly */

/* The file's size has changed (ftruncate): the object follows. Errors as fstat; ENOMEM. */
int64_t vas_posix_follow(struct vas_object *object); /* waits: object */

/* Who is told when the object goes and a page could not be written: `len` bytes at `offset`, and
 * why. Without, a line on stderr says so. */
typedef void vas_posix_lost(void *ctx, uint64_t offset, const void *bytes, size_t len, int64_t err);
void vas_posix_on_loss(struct vas_object *object, vas_posix_lost *lost, void *ctx);
	/* waits: no lock */

/* A sink whose ctx is a FILE *: vas_maps(space, vas_posix_print, stdout). */
void vas_posix_print(void *file, const char *text, size_t len); /* waits: no lock */

/* What a report (vas_maps, vas_smaps, vas_smaps_rollup, vas_status_text) says, as a string to be
 * freed with free(). NULL: no memory. */
typedef void vas_report(struct vas *space, vas_sink *out, void *ctx);
char *vas_posix_text(struct vas *space, vas_report *report); /* waits: owners */

#ifdef __cplusplus
}
#endif

#endif
