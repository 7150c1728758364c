/* mremap.c - the man pages' functions, with names of their own (vas/process.h).
 *
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "errnos.h"
#include "process.h"

/* Where memory goes: far from where any system puts what nobody placed, and from the shadow memory
 * of sanitizers. The heap comes first, with room of its own. */
#define HEAP_START ((uint64_t)0x200000000000)
#define PLACE_LOW ((uint64_t)0x210000000000)
#define PLACE_HIGH ((uint64_t)0x300000000000)

/* For the books: room for as many vmas as Linux allows. Untouched, it costs nothing. */
#define BOOKS_MOST ((uint64_t)32 << 20)
#define BOOKS_LEAST ((uint64_t)1 << 20)

#define OLDEST VAS_LINUX(2, 6, 0)

/* ---- Beginning, and the lock ----------------------------------------------------------------- */

/* Of the thread that forks; guarded by the lock. A signal's handler must not find it taken by the
 * thread that it interrupts. */
static struct host_signals fork_signals;

static void before_fork(void)
{
	struct host_signals signals;

	host_block_signals(&signals);
	process_lock();
	fork_signals = signals;
}

static void after_fork(void)
{
	struct host_signals signals = fork_signals;

	process_unlock();
	host_restore_signals(&signals);
}

/* Without memory for a child's books the parent's are the child's: what differs is who is locked,
 * and what MADV_DONTFORK has left out. */
static void after_fork_in_child(void)
{
	(void)process_become_child();
	after_fork();
}

static uint64_t map_books(uint64_t *len)
{
	int64_t addr = -VAS_ENOMEM;

	for (*len = BOOKS_MOST; addr < 0 && *len >= BOOKS_LEAST; *len /= 2)
		addr = host_mmap(0, *len, VAS_PROT_READ | VAS_PROT_WRITE,
		                 VAS_MAP_PRIVATE | VAS_MAP_ANONYMOUS | VAS_MAP_NORESERVE, -1, 0);
	*len *= 2;
	return addr < 0 ? 0 : (uint64_t)addr;
}

/* With the lock held. */
static int64_t begin(const struct vas_process_options *options)
{
	struct process_setup setup = {
		.version = options->linux_version ? options->linux_version : host_linux_version(),
		.portable = options->portable || host_linux_version() == 0,
	};
	uint64_t books = map_books(&setup.memory_len);
	int64_t err;

	if (!books)
		return -VAS_ENOMEM;
	setup.memory = (void *)(uintptr_t)books;
	vas_params_default(&setup.params);
	setup.params.start_brk = HEAP_START;
	setup.params.place_low = PLACE_LOW;
	setup.params.place_high = setup.params.mmap_base = PLACE_HIGH;
	setup.own_low = HEAP_START;
	setup.own_high = PLACE_HIGH;
	err = process_begin(&setup);
	if (err)
		host_munmap(books, setup.memory_len);
	else
		host_at_fork(before_fork, after_fork, after_fork_in_child);
	return err;
}

/* ---- The environment ------------------------------------------------------------------------- */

static bool read_number(const char **at, const char *end, uint32_t most, uint32_t *number)
{
	const char *first = *at;

	*number = 0;
	for (; *at < end && **at >= '0' && **at <= '9' && *number <= most; (*at)++)
		*number = *number * 10 + (uint32_t)(**at - '0');
	return *at > first && *number <= most;
}

/* "6.17" or "6.1.190" */
static bool read_version(const char *at, const char *end, uint32_t *version)
{
	uint32_t major, minor, patch = VAS_LINUX_LAST;

	if (!read_number(&at, end, 255, &major) || at == end || *at++ != '.' ||
	    !read_number(&at, end, 255, &minor))
		return false;
	if (at < end && (*at++ != '.' || !read_number(&at, end, 65535, &patch)))
		return false;
	*version = VAS_LINUX(major, minor, patch);
	return at == end && *version >= OLDEST;
}

static bool read_word(const char *word, size_t len, struct vas_process_options *options)
{
	static const char portable_word[] = "portable", linux_word[] = "linux=";
	const size_t before = sizeof(linux_word) - 1;

	if (len == sizeof(portable_word) - 1 && memcmp(word, portable_word, len) == 0) {
		options->portable = true;
		return true;
	}
	return len > before && memcmp(word, linux_word, before) == 0 &&
	       read_version(word + before, word + len, &options->linux_version);
}

static void complain(const char *word, size_t len)
{
	static const char before[] = "vas process: VAS_PROCESS takes portable and "
				     "linux=VERSION (2.6 or later), with a comma between, not: ";

	if (write(STDERR_FILENO, before, sizeof(before) - 1) < 0 ||
	    write(STDERR_FILENO, word, len) < 0 || write(STDERR_FILENO, "\n", 1) < 0)
		return; /* there is nobody to be told */
}

/* VAS_PROCESS="portable,linux=6.17". A program that is not served as it was wished to be would show
 * nothing: so nothing is served, and one line says why. */
static bool read_environment(struct vas_process_options *options)
{
	static bool refused;
	const char *text = getenv("VAS_PROCESS");

	while (text && *text && !refused) {
		size_t len = strcspn(text, ",");

		refused = !read_word(text, len, options);
		if (refused)
			complain(text, len);
		text += len + (text[len] == ',');
	}
	return !refused;
}

/* ---- Every call ------------------------------------------------------------------------------ */

static int64_t enter(struct host_signals *signals)
{
	struct vas_process_options options = {0};

	host_block_signals(signals);
	process_lock();
	if (the_process->begun)
		return 0;
	return read_environment(&options) ? begin(&options) : -VAS_EINVAL;
}

static void leave(const struct host_signals *signals)
{
	process_unlock();
	host_restore_signals(signals);
}

int vas_process_begin(const struct vas_process_options *options)
{
	struct host_signals signals;
	int64_t err = 0;

	host_block_signals(&signals);
	process_lock();
	if (the_process->begun)
		err = -VAS_EBUSY;
	else if (options->linux_version && options->linux_version < OLDEST)
		err = -VAS_EINVAL;
	else
		err = begin(options);
	leave(&signals);
	if (err)
		errno = errno_to_host(-err);
	return err ? -1 : 0;
}

/* ---- Answers --------------------------------------------------------------------------------- */

static int as_int(int64_t answer)
{
	if (answer >= 0)
		return (int)answer;
	errno = errno_to_host(-answer);
	return -1;
}

static void *as_pointer(int64_t answer)
{
	if (answer >= 0)
		return (void *)(uintptr_t)answer;
	errno = errno_to_host(-answer);
	return MAP_FAILED;
}

static uint64_t number(const volatile void *pointer)
{
	return (uint64_t)(uintptr_t)pointer;
}

/* One call, as the result of an expression under the lock. */
#define SERVED(call)                              \
	({                                        \
		struct host_signals signals;      \
		int64_t answer = enter(&signals); \
		if (!answer)                      \
			answer = (call);          \
		leave(&signals);                  \
		answer;                           \
	})

/* ---- The calls ------------------------------------------------------------------------------- */

void *vas_mmap_host(void *addr, size_t len, int prot, int flags, int fd, off_t offset)
{
	return as_pointer(SERVED(process_mmap(number(addr), len, (uint64_t)prot, (unsigned)flags,
	                                      fd, (uint64_t)offset)));
}

int vas_munmap_host(void *addr, size_t len)
{
	return as_int(SERVED(process_munmap(number(addr), len)));
}

void *vas_mremap_host(void *old_address, size_t old_size, size_t new_size, int flags, ...)
{
	uint64_t new_address = 0;

	if (flags & (MREMAP_FIXED | MREMAP_DONTUNMAP)) {
		va_list list;

		va_start(list, flags);
		new_address = number(va_arg(list, void *));
		va_end(list);
	}
	return as_pointer(SERVED(process_mremap(number(old_address), old_size, new_size,
	                                        (unsigned)flags, new_address)));
}

int vas_mprotect_host(void *addr, size_t len, int prot)
{
	return as_int(SERVED(process_mprotect(number(addr), len, (unsigned)prot)));
}

int vas_madvise_host(void *addr, size_t len, int advice)
{
	return as_int(SERVED(process_advise(number(addr), len, (unsigned)advice)));
}

int vas_mlock_host(const void *addr, size_t len)
{
	return as_int(SERVED(process_mlock(number(addr), len, 0)));
}

int vas_mlock2_host(const void *addr, size_t len, unsigned flags)
{
	return as_int(SERVED(process_mlock(number(addr), len, flags)));
}

int vas_munlock_host(const void *addr, size_t len)
{
	return as_int(SERVED(process_munlock(number(addr), len)));
}

int vas_mlockall_host(int flags)
{
	return as_int(SERVED(process_mlockall((unsigned)flags)));
}

int vas_munlockall_host(void)
{
	return as_int(SERVED(process_munlockall()));
}

int vas_msync_host(void *addr, size_t len, int flags)
{
	return as_int(SERVED(process_msync(number(addr), len, (unsigned)flags)));
}

int vas_mincore_host(void *addr, size_t len, unsigned char *vec)
{
	return as_int(SERVED(process_mincore(number(addr), len, number(vec))));
}

int vas_brk_host(void *addr)
{
	int64_t end = SERVED(process_brk(number(addr)));

	return as_int(end >= 0 && (uint64_t)end == number(addr) ? 0 : -VAS_ENOMEM);
}

/* Moves the break by so much, and tells where it was. */
static int64_t move_break(intptr_t increment)
{
	uint64_t old = (uint64_t)process_brk(0), new = old + (uint64_t)(int64_t)increment;

	if (increment < 0 ? new > old : new < old)
		return -VAS_ENOMEM;
	if (increment != 0 && (uint64_t)process_brk(new) != new)
		return -VAS_ENOMEM;
	return (int64_t)old;
}

void *vas_sbrk_host(intptr_t increment)
{
	return as_pointer(SERVED(move_break(increment)));
}

/* ---- Looking --------------------------------------------------------------------------------- */

static int64_t copy_stats(struct vas_process_stats *stats)
{
	*stats = *the_process->stats;
	return 0;
}

void vas_process_stats(struct vas_process_stats *stats)
{
	if (SERVED(copy_stats(stats)) != 0)
		*stats = (struct vas_process_stats){0};
}

static int64_t set_fail_after(int64_t n)
{
	the_process->fail_after = n < 0 ? -1 : n;
	return 0;
}

void vas_process_fail_after(int64_t n)
{
	(void)SERVED(set_fail_after(n));
}

static int64_t check(const char **words)
{
	*words = vas_check(the_process->space);
	return 0;
}

const char *vas_process_check(void)
{
	const char *words = "the books have not begun: no memory";

	(void)SERVED(check(&words));
	return words;
}
