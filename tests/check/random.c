/* random.c - random memory calls, to be run under `vas check`.
 *
 * usage: random SEED STEPS
 * Most calls fall into one small arena, so that they meet each other; some of what is mapped is
 * written, some comes from files, now and then the process goes on as its own child. What cannot be
 * known from outside is avoided: writes beyond the end of a private file mapping, and vmas that
 * grow while others are written (docs/check.md).
 *
 * SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096u
#define ARENA_PAGES 96u
#define MARGIN_PAGES 48u /* what calls that begin in the arena may reach behind it */
#define FILES 4
#define FILE_PAGES 64u
#define LONGEST_PAGES 200u /* no mapping reaches farther into a file */

static uint64_t state;
static char *arena;
static int files[FILES];

static unsigned rnd(unsigned n)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (unsigned)(state >> 20) % n;
}

static char *page(void)
{
	return arena + rnd(ARENA_PAGES) * PAGE;
}

static size_t len(void)
{
	return (1 + rnd(rnd(4) ? 6 : 40)) * PAGE - (rnd(8) ? 0 : rnd(PAGE));
}

static int prot(void)
{
	static const int prots[] = {PROT_NONE,
	                            PROT_READ,
	                            PROT_READ | PROT_WRITE,
	                            PROT_READ | PROT_WRITE,
	                            PROT_READ | PROT_EXEC,
	                            PROT_WRITE,
	                            PROT_READ | PROT_WRITE | PROT_EXEC};
	return prots[rnd(7)];
}

/* Writes what can be written: by a call that answers EFAULT where a store would be a signal. */
static void touch(char *at)
{
	static int null = -1;
	if (null < 0)
		null = open("/dev/zero", O_RDONLY);
	if (read(null, at, 1) < 0)
		return;
}

static void peek(char *at)
{
	static int pipe_fds[2] = {-1, -1};
	char byte;
	if (pipe_fds[0] < 0 && pipe(pipe_fds) != 0)
		exit(1);
	if (write(pipe_fds[1], at, 1) == 1 && read(pipe_fds[0], &byte, 1) != 1)
		exit(1);
}

static void map(void)
{
	static const int extra[] = {0,         0,          0,           MAP_NORESERVE, MAP_POPULATE,
	                            MAP_STACK, MAP_LOCKED, MAP_NONBLOCK};
	int flags = rnd(4) ? MAP_PRIVATE : MAP_SHARED, file = -1;
	char *at = rnd(5) ? page() : NULL;
	uint64_t offset = 0;
	if (at)
		flags |= rnd(6) ? MAP_FIXED : rnd(2) ? MAP_FIXED_NOREPLACE : 0;
	if (rnd(3)) {
		flags |= MAP_ANONYMOUS;
	} else {
		file = files[rnd(FILES)];
		offset = rnd(FILE_PAGES) * PAGE;
	}
	if (at && rnd(3) == 0 && file >= 0) /* where it continues what may be beside it */
		offset = (uint64_t)(at - arena) % (FILE_PAGES * PAGE);
	flags |= extra[rnd(8)];
	char *got = mmap(at, len(), prot(), flags, file, (off_t)offset);
	if (got != MAP_FAILED &&
	    (got < arena || got >= arena + (ARENA_PAGES + MARGIN_PAGES) * PAGE) && rnd(2))
		munmap(got, PAGE);
}

static void remap(void)
{
	static const int flags[] = {0,
	                            MREMAP_MAYMOVE,
	                            MREMAP_MAYMOVE,
	                            MREMAP_MAYMOVE | MREMAP_FIXED,
	                            MREMAP_MAYMOVE | MREMAP_FIXED,
	                            MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP,
	                            MREMAP_MAYMOVE | MREMAP_DONTUNMAP,
	                            MREMAP_FIXED};
	size_t old = rnd(20) ? len() : 0, new = rnd(2) ? old : len();
	mremap(page(), old, new, flags[rnd(8)], page());
}

static void advise(void)
{
	static const int advice[] = {MADV_NORMAL,
	                             MADV_RANDOM,
	                             MADV_SEQUENTIAL,
	                             MADV_WILLNEED,
	                             MADV_DONTNEED,
	                             MADV_FREE,
	                             MADV_REMOVE,
	                             MADV_DONTFORK,
	                             MADV_DOFORK,
	                             MADV_DONTDUMP,
	                             MADV_DODUMP,
	                             MADV_WIPEONFORK,
	                             MADV_KEEPONFORK,
	                             MADV_COLD,
	                             MADV_PAGEOUT,
	                             24,
	                             22,
	                             23,
	                             102,
	                             103,
	                             12,
	                             13,
	                             MADV_HUGEPAGE,
	                             MADV_NOHUGEPAGE,
	                             77};
	madvise(page(), len(), advice[rnd(sizeof(advice) / sizeof(advice[0]))]);
}

static void step(void)
{
	switch (rnd(24)) {
	case 0:
	case 1:
	case 2:
	case 3:
		map();
		break;
	case 4:
	case 5:
		munmap(page(), len());
		break;
	case 6:
	case 7:
	case 8:
		mprotect(page(), len(), prot());
		break;
	case 9:
	case 10:
	case 11:
	case 12:
		remap();
		break;
	case 13:
		advise();
		break;
	case 14:
		mlock(page(), len());
		break;
	case 15:
		munlock(page(), len());
		break;
	case 16:
		syscall(SYS_brk, (char *)sbrk(0) + (int)rnd(9 * PAGE) - (int)(3 * PAGE));
		break;
	case 17:
		msync(page(), len(), (int)rnd(8));
		break;
	case 18:
		syscall(SYS_mlock2, page(), len(), rnd(3));
		break;
	case 19:
		peek(page());
		break;
	default:
		touch(page());
		break;
	}
}

static void open_files(void)
{
	char name[] = "/tmp/vas-random-XXXXXX";
	int fd = mkstemp(name);
	if (fd < 0 || ftruncate(fd, (FILE_PAGES + LONGEST_PAGES) * PAGE) != 0)
		exit(1);
	files[0] = fd;
	files[1] = open(name, O_RDONLY); /* another description of the same file */
	unlink(name);
	files[2] = dup(fd); /* the same one */
	files[3] = (int)syscall(SYS_memfd_create, "random", 0u);
	if (ftruncate(files[3], (FILE_PAGES + LONGEST_PAGES) * PAGE) != 0)
		exit(1);
}

int main(int argc, char **argv)
{
	state = argc > 1 ? strtoull(argv[1], NULL, 0) * 0x9e3779b97f4a7c15u + 1 : 1;
	unsigned steps = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 0) : 1000;
	open_files();
	arena = mmap(NULL, (ARENA_PAGES + MARGIN_PAGES) * PAGE, PROT_NONE,
	             MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	for (unsigned i = 0; i < steps; i++) {
		if (rnd(200) == 0) {
			pid_t child = fork();
			if (child > 0) {
				int status;
				while (waitpid(child, &status, 0) < 0)
					;
				return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
			}
		}
		step();
	}
	return 0;
}
