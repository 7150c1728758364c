/* fuzz_look.c - maps, counters and present pages of both sides, after each of millions of calls.
 *
 * Nothing is left out for speed: files stay open, texts are compared as they come and only made
 * canonical where they differ, and one ioctl answers for all pages of the process.
 *
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "fuzz/fuzz_look.h"
#include "target/pagemap_scan.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "target/compare.h"
#include "target/stub.h"

#define SPANS_AT_ONCE 512 /* of one scan */

static bool broke(const char *what)
{
	fprintf(stderr, "vas: fuzz: %s\n", what);
	return false;
}

/* ---- Texts ----------------------------------------------------------------------------------- */

static bool read_text(int fd, struct text *text)
{
	return text_read_maps(text, fd) ||
	       broke(errno ? strerror(errno) : "the kernel side's process has gone");
}

/* ---- Maps ------------------------------------------------------------------------------------ */

/* Which inode of the kernel side is which of the vas side, as far as seen in one map. */
struct inode_pairs {
	struct {
		const char *vas, *kernel;
		size_t vas_len, kernel_len;
	} pair[32];
	size_t count;
};

/* A line up to its inode, and its path. */
struct parts {
	size_t dev, path, len;
};

static struct parts parts_of(const char *line)
{
	struct parts parts = {0};
	size_t at = 0;
	for (int field = 0; field < 5; field++) {
		if (field == 3)
			parts.dev = at;
		at += strcspn(line + at, " \n");
		at += strspn(line + at, " ");
	}
	parts.path = at;
	parts.len = at + strcspn(line + at, "\n");
	return parts;
}

static bool same_text(const char *a, size_t a_len, const char *b, size_t b_len)
{
	return a_len == b_len && memcmp(a, b, a_len) == 0;
}

static bool same_inode(struct inode_pairs *pairs, const char *vas, size_t vas_len,
                       const char *kernel, size_t kernel_len)
{
	for (size_t i = 0; i < pairs->count; i++) {
		bool a = same_text(pairs->pair[i].vas, pairs->pair[i].vas_len, vas, vas_len);
		bool b = same_text(pairs->pair[i].kernel, pairs->pair[i].kernel_len, kernel,
		                   kernel_len);
		if (a || b)
			return a && b;
	}
	if (pairs->count == sizeof(pairs->pair) / sizeof(pairs->pair[0]))
		return false; /* the slow way decides */
	pairs->pair[pairs->count].vas = vas;
	pairs->pair[pairs->count].vas_len = vas_len;
	pairs->pair[pairs->count].kernel = kernel;
	pairs->pair[pairs->count++].kernel_len = kernel_len;
	return true;
}

static size_t trimmed(const char *text, size_t len)
{
	while (len && text[len - 1] == ' ')
		len--;
	return len;
}

static bool same_line(struct inode_pairs *pairs, const char *vas, const struct parts *a,
                      const char *kernel, const struct parts *b)
{
	if (!same_text(vas, a->dev, kernel, b->dev) ||
	    !same_text(vas + a->path, a->len - a->path, kernel + b->path, b->len - b->path))
		return false;
	return same_inode(pairs, vas + a->dev, trimmed(vas + a->dev, a->path - a->dev),
	                  kernel + b->dev, trimmed(kernel + b->dev, b->path - b->dev));
}

/* True is certain; false may yet turn out equal when both are canonical. */
static bool maps_same(const char *vas, const char *kernel)
{
	struct inode_pairs pairs = {.count = 0};
	while (*vas && *kernel) {
		const char *end = strchr(vas, '\n');
		if (!end)
			return false;
		size_t len = (size_t)(end - vas) + 1;
		if (strncmp(vas, kernel, len) == 0) { /* anonymous memory, as a rule */
			vas += len;
			kernel += len;
			continue;
		}
		struct parts a = parts_of(vas), b = parts_of(kernel);
		if (!same_line(&pairs, vas, &a, kernel, &b))
			return false;
		vas += a.len + (vas[a.len] == '\n');
		kernel += b.len + (kernel[b.len] == '\n');
	}
	return !*vas && (!*kernel || strncmp(kernel, "ffffffffff6", 11) == 0);
}

enum fuzz_seen fuzz_look_maps(struct fuzz_look *look, FILE *why)
{
	text_clear(&look->vas_maps);
	vas_maps(look->space, text_sink, &look->vas_maps);
	if (!read_text(look->maps, &look->kernel_maps))
		return SEEN_BROKEN;
	if (maps_same(look->vas_maps.at, look->kernel_maps.at))
		return SEEN_SAME;
	enum fuzz_seen seen = SEEN_BROKEN;
	char *vas = maps_canonical(look->vas_maps.at);
	char *kernel = maps_canonical(look->kernel_maps.at);
	if (vas && kernel)
		seen = strcmp(vas, kernel) == 0 ? SEEN_SAME : SEEN_DIFFERENT;
	if (seen == SEEN_DIFFERENT) {
		fprintf(why, "  the maps differ:\n");
		maps_diff(why, vas, kernel);
	}
	free(vas);
	free(kernel);
	return seen;
}

/* ---- Flags ----------------------------------------------------------------------------------- */

/* The next vma's VmFlags in smaps, from *at on; *at is then behind them. 0: no more. */
static size_t next_flags(const char **at, char flags[VAS_VMFLAGS_MAX])
{
	static const char field[] = "\nVmFlags: ";
	const char *found = strstr(*at, field);
	if (!found)
		return 0;
	found += strlen(field);
	*at = found + strcspn(found, "\n");
	return vmflags_canonical(flags, found, (size_t)(*at - found));
}

enum fuzz_seen fuzz_look_flags(struct fuzz_look *look, FILE *why, uint64_t *addr)
{
	struct vas_region region;
	if (!read_text(look->smaps, &look->kernel_maps))
		return SEEN_BROKEN;
	const char *at = look->kernel_maps.at;
	for (*addr = 0; vas_next_region(look->space, *addr, &region); *addr = region.end) {
		char vas[VAS_VMFLAGS_MAX], kernel[VAS_VMFLAGS_MAX];
		size_t vas_len = trimmed(vas, vas_vmflags(&region, vas));
		size_t len = next_flags(&at, kernel);
		if (region.start == stub_addr(vas_page_size(look->space)))
			continue; /* the kernel's has flags of how it was executed */
		if (same_text(vas, vas_len, kernel, len))
			continue;
		*addr = region.start;
		fprintf(why, "  VmFlags of 0x%" PRIx64 " differ: vas '%.*s', kernel '%.*s'\n",
		        *addr, (int)vas_len, vas, (int)len, kernel);
		return SEEN_DIFFERENT;
	}
	return SEEN_SAME;
}

/* ---- Counters -------------------------------------------------------------------------------- */

/* In kB. */
static uint64_t field(const char *text, const char *name)
{
	const char *at = strstr(text, name);
	return at ? strtoull(at + strlen(name), NULL, 10) : 0;
}

enum fuzz_seen fuzz_look_status(struct fuzz_look *look, FILE *why, unsigned *which)
{
	struct text *text = &look->kernel_status;
	const uint64_t kb = vas_page_size(look->space) / 1024;
	struct vas_status vas;
	if (!read_text(look->status, text))
		return SEEN_BROKEN;
	const char *from = strstr(text->at, "VmPeak:");
	if (!from)
		from = text->at;
	vas_get_status(look->space, &vas);
	const struct {
		const char *name;
		uint64_t vas, kernel;
	} counter[] = {
		{"VmSize", vas.size * kb, field(from, "VmSize:")},
		{"VmLck", vas.locked * kb, field(from, "VmLck:")},
		{"VmData", vas.data * kb, field(from, "VmData:")},
		{"VmStk", vas.stack * kb, field(from, "VmStk:")},
		{"VmExe + VmLib", vas.exec * kb, field(from, "VmExe:") + field(from, "VmLib:")},
	};
	for (unsigned i = 0; i < sizeof(counter) / sizeof(counter[0]); i++) {
		if (counter[i].vas == counter[i].kernel)
			continue;
		fprintf(why, "  %s differs: vas %" PRIu64 " kB, kernel %" PRIu64 " kB\n",
		        counter[i].name, counter[i].vas, counter[i].kernel);
		*which = i;
		return SEEN_DIFFERENT;
	}
	return SEEN_SAME;
}

/* ---- Present pages --------------------------------------------------------------------------- */

/* The stub's page is there whenever the kernel side has run, which says nothing. */
static bool add_span(struct fuzz_spans *spans, uint64_t page, uint64_t start, uint64_t end)
{
	const uint64_t stub = stub_addr(page);
	if (start <= stub && end > stub)
		return (start == stub || add_span(spans, page, start, stub)) &&
		       (end == stub + page || add_span(spans, page, stub + page, end));
	if (spans->count && spans->at[spans->count - 1].end == start) {
		spans->at[spans->count - 1].end = end;
		return true;
	}
	if (spans->count == spans->size) {
		size_t size = 2 * spans->size + 64;
		struct fuzz_span *at = realloc(spans->at, size * sizeof(*at));
		if (!at)
			return broke("out of memory");
		spans->at = at;
		spans->size = size;
	}
	spans->at[spans->count++] = (struct fuzz_span){start, end};
	return true;
}

/* The pages of [start, end) that vas has. */
static bool add_pages(struct fuzz_spans *spans, struct vas *space, uint64_t start, uint64_t end)
{
	uint64_t from, to;
	for (; start < end && vas_next_present(space, start, &from, &to) && from < end; start = to)
		if (!add_span(spans, vas_page_size(space), from, to < end ? to : end))
			return false;
	return true;
}

static bool vas_pages(struct fuzz_spans *spans, struct vas *space)
{
	spans->count = 0;
	return add_pages(spans, space, 0, vas_task_size(space));
}

static bool scan_pages(struct fuzz_look *look)
{
	struct scan_region range[SPANS_AT_ONCE];
	struct fuzz_spans *spans = &look->kernel_pages;
	const uint64_t page = vas_page_size(look->space);
	struct scan scan = {
		.size = sizeof(scan),
		.end = vas_task_size(look->space),
		.vec = (uintptr_t)range,
		.vec_len = SPANS_AT_ONCE,
		.category_mask = SCAN_PRESENT,
		.return_mask = SCAN_PRESENT,
	};
	spans->count = 0;
	while (scan.start < scan.end) {
		int n = ioctl(look->pagemap, SCAN, &scan);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			look->no_scan = errno == ENOTTY || errno == EINVAL;
			return look->no_scan || broke(strerror(errno));
		}
		for (int i = 0; i < n; i++)
			if (!add_span(spans, page, range[i].start, range[i].end))
				return false;
		scan.start = scan.walk_end;
	}
	return true;
}

/* Without the scan: the words of vmas of up to 2 MiB, and nothing of larger ones on either side. */
static bool read_pages(struct fuzz_look *look)
{
	struct vas *space = look->space;
	const uint64_t page = vas_page_size(space);
	struct vas_region region;
	uint64_t word[512];
	look->vas_pages.count = look->kernel_pages.count = 0;
	for (uint64_t addr = 0; vas_next_region(space, addr, &region); addr = region.end) {
		size_t count = (region.end - region.start) / page;
		ssize_t want = (ssize_t)(count * sizeof(word[0]));
		if (count > 512)
			continue;
		if (pread(look->pagemap, word, (size_t)want, (off_t)(region.start / page * 8)) !=
		    want)
			return broke("/proc/PID/pagemap cannot be read");
		for (size_t i = 0; i < count; i++)
			if (word[i] >> 63 &&
			    !add_span(&look->kernel_pages, page, region.start + i * page,
			              region.start + (i + 1) * page))
				return false;
		if (!add_pages(&look->vas_pages, space, region.start, region.end))
			return false;
	}
	return true;
}

/* The first page in which two lists differ; false if in none. */
static bool first_difference(const struct fuzz_spans *a, const struct fuzz_spans *b, uint64_t *addr)
{
	static const struct fuzz_span beyond = {~(uint64_t)0, ~(uint64_t)0};
	for (size_t i = 0; i < a->count || i < b->count; i++) {
		const struct fuzz_span *x = i < a->count ? &a->at[i] : &beyond;
		const struct fuzz_span *y = i < b->count ? &b->at[i] : &beyond;
		if (x->start != y->start)
			*addr = x->start < y->start ? x->start : y->start;
		else
			*addr = x->end < y->end ? x->end : y->end;
		if (x->start != y->start || x->end != y->end)
			return true;
	}
	return false;
}

static bool both_pages(struct fuzz_look *look)
{
	if (!look->no_scan && (!vas_pages(&look->vas_pages, look->space) || !scan_pages(look)))
		return false;
	return !look->no_scan || read_pages(look);
}

enum fuzz_seen fuzz_look_pages(struct fuzz_look *look, FILE *why, uint64_t *addr)
{
	struct vas *space = look->space;
	bool same = false;
	for (unsigned n = 0; n < 4 && !same; n++) {
		const struct timespec pause = {.tv_nsec = n * 1000000};
		if (n) /* the kernel may just be moving the page to another frame */
			(void)nanosleep(&pause, NULL);
		if (!both_pages(look))
			return SEEN_BROKEN;
		same = !first_difference(&look->vas_pages, &look->kernel_pages, addr);
	}
	if (same)
		return SEEN_SAME;
	bool here = vas_present(space, *addr);
	fprintf(why, "  the page at 0x%" PRIx64 " is %s on vas, %s on the kernel\n", *addr,
	        here ? "present" : "absent", here ? "absent" : "present");
	return SEEN_DIFFERENT;
}

/* ---- Open and close -------------------------------------------------------------------------- */

static int open_proc(int pid, const char *file)
{
	char path[64];
	(void)snprintf(path, sizeof(path), "/proc/%d/%s", pid, file);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		fprintf(stderr, "vas: %s: %s\n", path, strerror(errno));
	return fd;
}

bool fuzz_look_open(struct fuzz_look *look, struct target *vas, struct target *kernel,
                    unsigned process)
{
	int pid = target_kernel_process(kernel, process);
	look->space = target_vas_process(vas, process);
	look->maps = open_proc(pid, "maps");
	look->smaps = open_proc(pid, "smaps");
	look->status = open_proc(pid, "status");
	look->pagemap = open_proc(pid, "pagemap");
	if (look->maps >= 0 && look->smaps >= 0 && look->status >= 0 && look->pagemap >= 0)
		return true;
	fuzz_look_close(look);
	return false;
}

void fuzz_look_close(struct fuzz_look *look)
{
	if (!look->space)
		return;
	look->space = NULL;
	int *const fds[] = {&look->maps, &look->smaps, &look->status, &look->pagemap};
	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) {
		if (*fds[i] >= 0)
			(void)close(*fds[i]);
		*fds[i] = -1;
	}
}

void fuzz_look_free(struct fuzz_look *look)
{
	free(look->vas_maps.at);
	free(look->kernel_maps.at);
	free(look->kernel_status.at);
	free(look->vas_pages.at);
	free(look->kernel_pages.at);
}
