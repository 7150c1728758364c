/* calls.c - the functions of vas/process.h as a program uses them, in each realization: contents
 * move along, errors are the man page's, the n-th refusal of the host's loses nothing, threads and
 * fork.
 *
 * usage: calls [portable]      exit status 0: all as it should be; else the first line that is not
 *
 * In the portable realization a seccomp filter kills the process if anybody calls mremap.
 *
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pages.h"
#include "vas/process.h"
#include "vas/vas.h"

#define CHECK_FAILS(call, error) CHECK((errno = 0, (call)) == MAP_FAILED && errno == (error))
#define CHECK_SOUND() CHECK(vas_process_check() == NULL)

static bool portable;

static char *map(size_t npages)
{
	char *p = vas_mmap_host(NULL, npages * PAGE, RW, ANON, -1, 0);

	CHECK(p != MAP_FAILED);
	return p;
}

/* ---- What moves ------------------------------------------------------------------------------ */

static void grows_in_place_where_there_is_room(void)
{
	struct vas_process_stats before, after;
	char *p = map(64), *q = p;

	fill(p, 64, 100001);
	vas_process_stats(&before);
	for (size_t n = 64; n < 512; n += 7)
		CHECK((q = vas_mremap_host(q, n * PAGE, (n + 7) * PAGE, MREMAP_MAYMOVE)) == p);
	CHECK(holds(q, 64, 100001) && holds(q + 64 * PAGE, 448, 0));
	vas_process_stats(&after);
	CHECK(after.moves == before.moves);
	CHECK(vas_munmap_host(p, 512 * PAGE) == 0);
}

static void moves_with_its_contents(void)
{
	char *p = map(8), *target = map(32), *q;

	fill(p, 8, 200001);
	q = vas_mremap_host(p, 8 * PAGE, 12 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, target);
	CHECK(q == target && holds(q, 8, 200001) && holds(q + 8 * PAGE, 4, 0));
	CHECK_FAILS(vas_mremap_host(p, 8 * PAGE, 8 * PAGE, MREMAP_MAYMOVE), EFAULT);
	CHECK(vas_munmap_host(target, 32 * PAGE) == 0);
	CHECK_SOUND();
}

static void moves_large_memory(void)
{
	const size_t npages = 3000;
	char *p = map(npages), *target = map(npages + 16), *q;
	struct vas_process_stats stats;

	fill(p, npages, 300001);
	q = vas_mremap_host(p, npages * PAGE, npages * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED,
	                    target + 5 * PAGE);
	CHECK(q == target + 5 * PAGE && holds(q, npages, 300001));
	vas_process_stats(&stats);
	CHECK(portable ? stats.bytes_copied >= npages * PAGE : stats.pages_moved >= npages);
	CHECK(vas_munmap_host(target, (npages + 16) * PAGE) == 0);
}

static void leaves_the_source_mapped(void)
{
	char *p = map(6), *q;

	fill(p, 6, 400001);
	q = vas_mremap_host(p + PAGE, 4 * PAGE, 4 * PAGE, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, NULL);
	CHECK(q != MAP_FAILED && q != p + PAGE);
	CHECK(*page_word(q) == 400002);
	CHECK(holds(p + PAGE, 4, 0) && *page_word(p) == 400001);
	fill(p, 6, 500001);
	CHECK(*page_word(q) == 400002);
	CHECK(vas_munmap_host(p, 6 * PAGE) == 0 && vas_munmap_host(q, 4 * PAGE) == 0);
}

static void shows_shared_memory_twice(void)
{
	char *p = vas_mmap_host(NULL, 4 * PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0), *q, *r;

	CHECK(p != MAP_FAILED);
	fill(p, 4, 600001);
	q = vas_mremap_host(p, 0, 4 * PAGE, MREMAP_MAYMOVE);
	CHECK(q != MAP_FAILED && q != p && holds(q, 4, 600001));
	fill(q, 4, 700001);
	CHECK(holds(p, 4, 700001));
	r = vas_mremap_host(p, 4 * PAGE, 4 * PAGE, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, NULL);
	CHECK(r != MAP_FAILED && holds(r, 4, 700001) && holds(p, 4, 700001));
	CHECK_FAILS(vas_mremap_host(map(1), 0, PAGE, MREMAP_MAYMOVE), EINVAL);
	CHECK(vas_munmap_host(p, 4 * PAGE) == 0 && vas_munmap_host(q, 4 * PAGE) == 0);
	CHECK(vas_munmap_host(r, 4 * PAGE) == 0);
}

static int temporary_file(size_t npages)
{
	char name[] = "/tmp/vas-process-XXXXXX";
	int fd = mkstemp(name);

	CHECK(fd >= 0 && unlink(name) == 0 && ftruncate(fd, (off_t)(npages * PAGE)) == 0);
	for (size_t i = 0; i < npages; i++) {
		size_t is = 800000u + i + 1;

		CHECK(pwrite(fd, &is, sizeof(is), (off_t)(i * PAGE + 8)) == sizeof(is));
	}
	return fd;
}

static void moves_files(void)
{
	int fd = temporary_file(8);
	char *p = vas_mmap_host(NULL, 6 * PAGE, RW, MAP_PRIVATE, fd, 0), *target = map(40), *q;
	char *s = vas_mmap_host(NULL, 2 * PAGE, RW, MAP_SHARED, fd, (off_t)(2 * PAGE));
	size_t is;

	CHECK(p != MAP_FAILED && s != MAP_FAILED && holds(p, 6, 800001));
	*page_word(p + PAGE) = 77;
	q = vas_mremap_host(p, 6 * PAGE, 8 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, target);
	CHECK(q == target && *page_word(q + PAGE) == 77);
	*page_word(q + PAGE) = 800002;
	CHECK(holds(q, 8, 800001));
	q = vas_mremap_host(s, 2 * PAGE, 4 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED,
	                    target + 10 * PAGE);
	CHECK(q == target + 10 * PAGE);
	CHECK(*page_word(q + 3 * PAGE) == 800006);
	*page_word(q) = 99;
	CHECK(vas_msync_host(q, 4 * PAGE, MS_SYNC) == 0);
	CHECK(pread(fd, &is, sizeof(is), (off_t)(2 * PAGE + 8)) == sizeof(is) && is == 99);
	CHECK(vas_munmap_host(target, 40 * PAGE) == 0 && close(fd) == 0);
}

static void moves_several_at_once(void)
{
	char *p = map(12), *target = map(16), *q;

	fill(p, 12, 900001);
	CHECK(vas_munmap_host(p + 4 * PAGE, PAGE) == 0);
	CHECK(vas_mprotect_host(p + 6 * PAGE, 2 * PAGE, PROT_READ) == 0);
	q = vas_mremap_host(p, 12 * PAGE, 12 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, target);
	CHECK(q == target);
	CHECK(holds(q, 4, 900001) && *page_word(q + 7 * PAGE) == 900008);
	CHECK(*page_word(q + 11 * PAGE) == 900012);
	CHECK(vas_mprotect_host(q + 6 * PAGE, 2 * PAGE, PROT_NONE) == 0);
	q = vas_mremap_host(q + 6 * PAGE, 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, p);
	CHECK(q == p && vas_mprotect_host(q, 2 * PAGE, PROT_READ) == 0);
	CHECK(*page_word(q + PAGE) == 900008);
	CHECK(vas_munmap_host(p, 2 * PAGE) == 0 && vas_munmap_host(target, 16 * PAGE) == 0);
	CHECK_SOUND();
}

/* ---- The others ------------------------------------------------------------------------------ */

static void answers_as_the_man_page_says(void)
{
	char *p = map(4);

	CHECK_FAILS(vas_mremap_host(p + 1, PAGE, PAGE, MREMAP_MAYMOVE), EINVAL);
	CHECK_FAILS(vas_mremap_host(p, PAGE, 0, MREMAP_MAYMOVE), EINVAL);
	CHECK_FAILS(vas_mremap_host(p, PAGE, PAGE, MREMAP_FIXED, p + 8 * PAGE), EINVAL);
	CHECK_FAILS(vas_mremap_host(p, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, p), EINVAL);
	CHECK_FAILS(vas_mremap_host(p, PAGE, PAGE, 8, NULL), EINVAL);
	CHECK_FAILS(vas_mremap_host(p, 5 * PAGE, 6 * PAGE, MREMAP_MAYMOVE), EFAULT);
	CHECK_FAILS(vas_mmap_host(NULL, 0, RW, ANON, -1, 0), EINVAL);
	CHECK_FAILS(vas_mmap_host(NULL, PAGE, RW, MAP_PRIVATE, -1, 0), EBADF);
	CHECK_FAILS(vas_mmap_host(p, PAGE, RW, ANON | MAP_FIXED_NOREPLACE, -1, 0), EEXIST);
	CHECK(vas_munmap_host(p + 1, PAGE) == -1 && errno == EINVAL);
	CHECK(vas_mprotect_host(p, 5 * PAGE, PROT_READ) == -1 && errno == ENOMEM);
	CHECK(vas_mprotect_host(p, 4 * PAGE, RW) == 0);
	CHECK(vas_madvise_host(p, PAGE, 12345) == -1 && errno == EINVAL);
	CHECK(vas_munmap_host(p, 4 * PAGE) == 0);
}

static void advises_locks_and_breaks(void)
{
	char *p = map(4), *heap = vas_sbrk_host(0), *end;

	fill(p, 4, 100001);
	CHECK(vas_madvise_host(p, 2 * PAGE, MADV_DONTNEED) == 0 && holds(p, 2, 0));
	CHECK(*page_word(p + 3 * PAGE) == 100004);
	CHECK(vas_mlock_host(p, 2 * PAGE) == 0 && vas_munlock_host(p, 2 * PAGE) == 0);
	CHECK(vas_madvise_host(p, 4 * PAGE, MADV_WILLNEED) == 0);
	CHECK(vas_munmap_host(p, 4 * PAGE) == 0);
	CHECK(heap != MAP_FAILED && vas_sbrk_host(5 * 4096 + 1) == heap);
	memset(heap, 1, 5 * PAGE + 1);
	end = vas_sbrk_host(0);
	CHECK(end == heap + 5 * PAGE + 1 && vas_brk_host(heap) == 0 && vas_sbrk_host(0) == heap);
	CHECK(vas_brk_host((void *)16) == -1 && errno == ENOMEM);
}

/* What was not mapped here is the host's. */
static void passes_through_what_is_not_its_own(void)
{
	char *p = mmap(NULL, 4 * PAGE, RW, ANON, -1, 0);
	struct vas_process_stats before, after;

	vas_process_stats(&before);
	fill(p, 4, 100001);
	CHECK(vas_mprotect_host(p, PAGE, PROT_READ) == 0 && vas_munmap_host(p, 4 * PAGE) == 0);
	vas_process_stats(&after);
	CHECK(after.passed == before.passed + 2 && after.calls == before.calls);
}

/* ---- Written while it moves ------------------------------------------------------------------ */

static struct {
	volatile uint64_t *cell;   /* being written, */
	volatile uint64_t written; /* so far */
	sigjmp_buf fault;
} writer;

static void to_end_of_writer(int signo)
{
	(void)signo;
	siglongjmp(writer.fault, 1);
}

static void *write_until_it_faults(void *arg)
{
	if (sigsetjmp(writer.fault, 1))
		return NULL;
	for (uint64_t n = 1;; n++) {
		*writer.cell = n;
		writer.written = n;
	}
	return arg;
}

/* What another thread has written before it faulted has moved along. */
static void loses_no_write_of_another_thread(void)
{
	const struct sigaction faults = {.sa_handler = to_end_of_writer};
	const size_t npages = 1500; /* more than one chunk of copying */
	struct sigaction before;

	CHECK(sigaction(SIGSEGV, &faults, &before) == 0);
	for (unsigned round = 0; round < 20; round++) {
		char *p = map(npages), *target = map(npages), *q;
		size_t cell = round * (npages - 1) / 19 * PAGE;
		pthread_t thread;

		fill(p, npages, 100001);
		writer.cell = (volatile uint64_t *)(void *)(p + cell);
		writer.written = 0;
		CHECK(pthread_create(&thread, NULL, write_until_it_faults, NULL) == 0);
		while (writer.written < 1000)
			;
		q = vas_mremap_host(p, npages * PAGE, npages * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED,
		                    target);
		CHECK(q == target && pthread_join(thread, NULL) == 0 && holds(q, npages, 100001));
		/* It may have faulted between the write and the note of it. */
		CHECK(*(uint64_t *)(void *)(q + cell) - writer.written <= 1);
		CHECK(vas_munmap_host(q, npages * PAGE) == 0);
	}
	CHECK(sigaction(SIGSEGV, &before, NULL) == 0);
}

/* ---- The host refuses ------------------------------------------------------------------------ */

struct scene {
	char *p, *other;
	size_t npages;
};

/* One remapping of the scene's memory; where it is now, or MAP_FAILED. */
typedef char *remapping(const struct scene *scene);

static char *grow_moving(const struct scene *s)
{
	return vas_mremap_host(s->p, s->npages * PAGE, (s->npages + 3) * PAGE, MREMAP_MAYMOVE);
}

static char *move_to_other(const struct scene *s)
{
	return vas_mremap_host(s->p, s->npages * PAGE, s->npages * PAGE,
	                       MREMAP_MAYMOVE | MREMAP_FIXED, s->other);
}

static char *keep_source(const struct scene *s)
{
	return vas_mremap_host(s->p, s->npages * PAGE, s->npages * PAGE,
	                       MREMAP_MAYMOVE | MREMAP_DONTUNMAP, NULL);
}

static void set_scene(struct scene *s, int prot)
{
	s->npages = 700; /* more than one chunk of copying */
	s->p = map(s->npages + 1);
	s->other = map(s->npages + 3);
	fill(s->p, s->npages, 500001);
	/* Nothing may grow in place. */
	CHECK(vas_mprotect_host(s->p + s->npages * PAGE, PAGE, PROT_NONE) == 0);
	CHECK(vas_mprotect_host(s->p, s->npages * PAGE, prot) == 0);
}

static void clear_scene(const struct scene *s, char *now)
{
	CHECK(vas_munmap_host(s->p, (s->npages + 1) * PAGE) == 0);
	CHECK(vas_munmap_host(s->other, (s->npages + 3) * PAGE) == 0);
	CHECK(vas_munmap_host(now, (s->npages + 3) * PAGE) == 0);
	CHECK_SOUND();
}

/* The n-th call of the host's fails, for each n there is: the call answers ENOMEM and the data are
 * where they were, or it succeeds and they are where it says. */
static unsigned refuse_each(remapping *remap, int prot)
{
	unsigned refused = 0;

	for (int64_t n = 0;; n++) {
		struct vas_process_stats before, after;
		struct scene s;
		char *now;

		set_scene(&s, prot);
		vas_process_stats(&before);
		vas_process_fail_after(n);
		now = remap(&s);
		CHECK(now != MAP_FAILED || errno == ENOMEM);
		refused += now == MAP_FAILED;
		vas_process_fail_after(-1);
		vas_process_stats(&after);
		if (now == MAP_FAILED) {
			now = s.p;
			CHECK(prot != RW || (s.p[0] = 0, true));
		}
		CHECK(vas_mprotect_host(now, s.npages * PAGE, PROT_READ) == 0);
		CHECK(holds(now, s.npages, 500001));
		clear_scene(&s, now);
		if (n > 40)
			return refused;
	}
}

static void loses_nothing_when_the_host_refuses(void)
{
	CHECK(refuse_each(grow_moving, RW) >= 2);
	CHECK(refuse_each(grow_moving, PROT_READ) >= 2);
	CHECK(refuse_each(grow_moving, PROT_NONE) >= 2);
	CHECK(refuse_each(move_to_other, RW) >= 2);
	CHECK(refuse_each(move_to_other, PROT_NONE) >= 2);
	CHECK(refuse_each(keep_source, RW) >= 2);
}

/* A call on six pages, of which the host's n-th call fails: 0 or -1, as the call answers. */
typedef int refused_call(char *p, int fd);

static int map_over(char *p, int fd)
{
	(void)fd;
	return vas_mmap_host(p + PAGE, 2 * PAGE, RW, ANON | MAP_FIXED, -1, 0) == MAP_FAILED ? -1
	                                                                                    : 0;
}

static int map_file_over(char *p, int fd)
{
	return vas_mmap_host(p, 3 * PAGE, RW, MAP_SHARED | MAP_FIXED, fd, 0) == MAP_FAILED ? -1 : 0;
}

static int map_elsewhere(char *p, int fd)
{
	char *q = vas_mmap_host(NULL, 2 * PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, fd, 0);

	if (q == MAP_FAILED)
		return -1;
	CHECK(q < p || q >= p + 6 * PAGE);
	return vas_munmap_host(q, 2 * PAGE);
}

static int unmap_inside(char *p, int fd)
{
	(void)fd;
	return vas_munmap_host(p + PAGE, 3 * PAGE);
}

static int protect_some(char *p, int fd)
{
	(void)fd;
	return vas_mprotect_host(p, 5 * PAGE, PROT_READ);
}

static int discard_some(char *p, int fd)
{
	(void)fd;
	return vas_madvise_host(p, 3 * PAGE, MADV_DONTNEED);
}

static int lock_some(char *p, int fd)
{
	(void)fd;
	return vas_mlock_host(p, 4 * PAGE);
}

/* What was refused has changed no byte, and the books are the host's: all can be read, made
 * writable and unmapped. (mprotect, mlock, madvise of several vmas keep what they have done, as on
 * Linux.) */
static void refuse_call(refused_call *call)
{
	int fd = temporary_file(8);
	unsigned refused = 0;

	for (int64_t n = 0; n < 8; n++) {
		char *p = map(6);
		int result;

		fill(p, 6, 400001);
		CHECK(vas_mprotect_host(p + 3 * PAGE, PAGE, PROT_READ) == 0);
		vas_process_fail_after(n);
		result = call(p, fd);
		CHECK(result == 0 || errno == ENOMEM);
		vas_process_fail_after(-1);
		refused += result != 0;
		if (result)
			CHECK(vas_mprotect_host(p, 6 * PAGE, RW) == 0 && holds(p, 6, 400001));
		CHECK(vas_munmap_host(p, 6 * PAGE) == 0);
		CHECK(mmap(p, 6 * PAGE, RW, ANON | MAP_FIXED_NOREPLACE, -1, 0) == p);
		CHECK(munmap(p, 6 * PAGE) == 0);
		CHECK_SOUND();
	}
	CHECK(refused > 0 && refused < 8 && close(fd) == 0);
}

static void changes_nothing_when_the_host_refuses(void)
{
	refuse_call(map_over);
	refuse_call(map_file_over);
	refuse_call(map_elsewhere);
	refuse_call(unmap_inside);
	refuse_call(protect_some);
	refuse_call(discard_some);
	refuse_call(lock_some);
}

/* Files: what was written to a private mapping, and to the file, is where the answer says. */
static void refuse_files(int type)
{
	unsigned refused = 0;

	for (int64_t n = 0; n < 12; n++) {
		int fd = temporary_file(8);
		char *p = vas_mmap_host(NULL, 6 * PAGE, RW, type, fd, 0), *target = map(8), *q;

		CHECK(p != MAP_FAILED && close(fd) == 0);
		fill(p, 4, 300001);
		vas_process_fail_after(n);
		q = vas_mremap_host(p, 6 * PAGE, 7 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, target);
		CHECK(q == target || (q == MAP_FAILED && errno == ENOMEM));
		vas_process_fail_after(-1);
		refused += q == MAP_FAILED;
		q = q == MAP_FAILED ? p : q;
		CHECK(holds(q, 4, 300001) && *page_word(q + 5 * PAGE) == 800006);
		*(q + 5 * PAGE) = 1;
		CHECK(vas_munmap_host(q, 6 * PAGE) == 0);
		CHECK(vas_munmap_host(target, 8 * PAGE) == 0);
		CHECK_SOUND();
	}
	CHECK(refused > 0 && refused < 12);
}

static void loses_no_file_when_the_host_refuses(void)
{
	refuse_files(MAP_PRIVATE);
	refuse_files(MAP_SHARED);
}

/* ---- Killed ---------------------------------------------------------------------------------- */

static void map_and_move_for_ever(void)
{
	for (;;) {
		char *p = vas_mmap_host(NULL, 4 * PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
		char *q = vas_mremap_host(p, 4 * PAGE, 4 * PAGE, MREMAP_MAYMOVE | MREMAP_DONTUNMAP,
		                          NULL);

		CHECK(vas_munmap_host(p, 4 * PAGE) == 0 && vas_munmap_host(q, 4 * PAGE) == 0);
	}
}

/* Nor is there anything while the process lives: a name would be there for a moment at most, and
 * the next call takes away what a killed process has left. */
static void leaves_nothing_behind_when_killed(void)
{
	DIR *directory;
	char *p;

	for (unsigned i = 0; i < 40; i++) {
		pid_t pid = fork();
		int status;

		CHECK(pid >= 0);
		if (pid == 0)
			map_and_move_for_ever();
		usleep(200 * i);
		CHECK(kill(pid, SIGKILL) == 0 && waitpid(pid, &status, 0) == pid);
		CHECK(WIFSIGNALED(status));
	}
	p = vas_mmap_host(NULL, PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(p != MAP_FAILED && vas_munmap_host(p, PAGE) == 0);
	directory = opendir("/dev/shm");
	for (struct dirent *entry; directory && (entry = readdir(directory));)
		CHECK(strncmp(entry->d_name, "vas-", 4) != 0);
	if (directory)
		closedir(directory);
}

/* ---- Fork, threads, signals ------------------------------------------------------------------ */

static void forks(void)
{
	char *p = map(64);
	int status;
	pid_t pid;

	fill(p, 64, 100001);
	pid = fork();
	CHECK(pid >= 0);
	if (pid == 0) {
		char *q = vas_mremap_host(p, 64 * PAGE, 128 * PAGE, MREMAP_MAYMOVE);

		CHECK(q != MAP_FAILED && holds(q, 64, 100001));
		fill(q, 128, 200001);
		CHECK(vas_munmap_host(q, 128 * PAGE) == 0);
		CHECK_SOUND();
		_exit(0);
	}
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	CHECK(holds(p, 64, 100001) && vas_munmap_host(p, 64 * PAGE) == 0);
}

static void *churn(void *arg)
{
	size_t series = (size_t)(uintptr_t)arg;

	for (unsigned i = 0; i < 300; i++) {
		size_t n = 1 + (i * 7 + series) % 50;
		char *p = map(n), *q;

		fill(p, n, series * 100000);
		q = vas_mremap_host(p, n * PAGE, (n + 20) * PAGE, MREMAP_MAYMOVE);
		CHECK(q != MAP_FAILED && holds(q, n, series * 100000) &&
		      holds(q + n * PAGE, 20, 0));
		CHECK(vas_munmap_host(q, (n + 20) * PAGE) == 0);
		if (i % 100 == 50) {
			pid_t pid = fork();
			int status;

			CHECK(pid >= 0);
			if (pid == 0) {
				map(3);
				_exit(vas_process_check() ? 1 : 0);
			}
			CHECK(waitpid(pid, &status, 0) == pid && status == 0);
		}
	}
	return NULL;
}

/* A handler that maps does not meet its own thread's lock. */
static void handler(int signo)
{
	int before = errno;
	char *p = vas_mmap_host(NULL, PAGE, RW, ANON, -1, 0);

	(void)signo;
	if (p == MAP_FAILED || vas_munmap_host(p, PAGE) != 0)
		_exit(3);
	errno = before;
}

static void serves_threads_and_signals(void)
{
	const struct itimerval often = {{0, 300}, {0, 300}}, never = {{0, 0}, {0, 0}};
	struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART};
	pthread_t threads[4];

	CHECK(sigaction(SIGALRM, &action, NULL) == 0);
	CHECK(setitimer(ITIMER_REAL, &often, NULL) == 0);
	for (uintptr_t i = 0; i < 4; i++)
		CHECK(pthread_create(&threads[i], NULL, churn, (void *)(i + 1)) == 0);
	for (unsigned i = 0; i < 4; i++)
		CHECK(pthread_join(threads[i], NULL) == 0);
	CHECK(setitimer(ITIMER_REAL, &never, NULL) == 0);
	CHECK_SOUND();
}

/* The host's limit refuses, and nothing has changed. */
static void respects_limits(void)
{
	pid_t pid = fork();
	int status;

	CHECK(pid >= 0);
	if (pid == 0) {
		struct rlimit limit = {(rlim_t)1 << 30, (rlim_t)1 << 30};
		char *p = map(100);

		fill(p, 100, 100001);
		CHECK(setrlimit(RLIMIT_AS, &limit) == 0);
		CHECK_FAILS(vas_mremap_host(p, 100 * PAGE, (size_t)2 << 30, MREMAP_MAYMOVE),
		            ENOMEM);
		CHECK_FAILS(vas_mmap_host(NULL, (size_t)2 << 30, RW, ANON, -1, 0), ENOMEM);
		CHECK(holds(p, 100, 100001));
		CHECK_SOUND();
		_exit(0);
	}
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
}

/* ---- No mremap ------------------------------------------------------------------------------- */

static void forbid_mremap(void)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mremap, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {.len = 4, .filter = filter};

	CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0);
}

int main(int argc, char **argv)
{
	struct vas_process_options options = {.linux_version = VAS_LINUX(6, 18)};

	portable = argc > 1 && strcmp(argv[1], "portable") == 0;
	options.portable = portable;
	CHECK(vas_process_begin(&options) == 0);
	CHECK(vas_process_begin(&options) == -1 && errno == EBUSY);
	if (portable)
		forbid_mremap();
	grows_in_place_where_there_is_room();
	moves_with_its_contents();
	moves_large_memory();
	leaves_the_source_mapped();
	shows_shared_memory_twice();
	moves_files();
	moves_several_at_once();
	answers_as_the_man_page_says();
	advises_locks_and_breaks();
	passes_through_what_is_not_its_own();
	loses_no_write_of_another_thread();
	loses_nothing_when_the_host_refuses();
	changes_nothing_when_the_host_refuses();
	loses_no_file_when_the_host_refuses();
	leaves_nothing_behind_when_killed();
	forks();
	serves_threads_and_signals();
	respects_limits();
	return 0;
}
