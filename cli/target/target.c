/* target.c - what the two targets share: which calls neither makes, and maps that compare.
 *
 * Owns what makes two maps comparable: the stub's lines go, blanks become one, files are numbered
 * in the order in which they are seen.
 *
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "target/target.h"

#include <ctype.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "target/stub.h"

void answer_refuse(struct answer *answer, const char *format, ...)
{
	va_list args;
	char text[200];
	va_start(args, format);
	(void)vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	*answer = (struct answer){.kind = ANSWER_REFUSED, .text = strdup(text)};
	if (!answer->text)
		abort(); /* the tool cannot go on without 200 bytes, and has nothing to clean up */
}

void target_refuse_speaker(const struct call *call, struct answer *answer)
{
	answer_refuse(answer, "there is no process %u", call_process(call));
}

void target_refuse_fork(struct answer *answer)
{
	answer_refuse(answer, "a script has at most %u processes", CALL_PROCESSES - 1);
}

/* ---- The stub page --------------------------------------------------------------------------- */

/* Whether the pages of [addr, addr+len) include the stub's. What wraps around, Linux refuses. */
static bool touches_stub(uint64_t page, uint64_t addr, uint64_t len)
{
	uint64_t start = addr & ~(page - 1), end = addr + len + page - 1;
	return end >= addr && len <= end && start < stub_addr(page) + page &&
	       (end & ~(page - 1)) > stub_addr(page);
}

static bool mremap_touches_stub(uint64_t page, const struct call *call)
{
	uint64_t old_len = call->arg[1] ? call->arg[1] : 1;
	if (old_len > ~(uint64_t)0 - page)
		old_len = 1; /* rounds to 0, which means one page too */
	return touches_stub(page, call->arg[0], old_len) ||
	       ((call->arg[3] & VAS_MREMAP_FIXED) &&
	        touches_stub(page, call->arg[4], call->arg[2]));
}

static bool call_touches_stub(uint64_t page, const struct call *call)
{
	switch (call->name) {
	case CALL_MMAP:
		return (call->arg[3] & VAS_MAP_FIXED) &&
		       touches_stub(page, call->arg[0], call->arg[1]);
	case CALL_MREMAP:
		return mremap_touches_stub(page, call);
	case CALL_MUNMAP:
	case CALL_MPROTECT:
	case CALL_MADVISE:
	case CALL_MLOCK:
	case CALL_MLOCK2:
	case CALL_MUNLOCK:
	case CALL_MSYNC:
	case CALL_MINCORE:
	case CALL_MSEAL:
		return touches_stub(page, call->arg[0], call->arg[1]);
	case CALL_LOAD:
	case CALL_STORE:
	case CALL_FETCH:
	case CALL_TOUCH:
	case CALL_FLAGS:
	case CALL_PRESENT:
		return touches_stub(page, call->arg[0], 1);
	default:
		return false;
	}
}

/* ---- Paths ----------------------------------------------------------------------------------- */

static bool scratch_path(const char *path)
{
	size_t dir = strlen(SCRATCH_DIR);
	if (strncmp(path, SCRATCH_DIR, dir) != 0 || path[dir] == '.' || path[dir] == '\0')
		return false;
	for (const char *c = path + dir; *c; c++)
		if (!isalnum((unsigned char)*c) && *c != '.' && *c != '-' && *c != '_')
			return false;
	return true;
}

static bool fd_path(const char *path)
{
	static const char dir[] = "/proc/self/fd/";
	size_t digits = strspn(path, "0123456789");
	if (strncmp(path, dir, strlen(dir)) != 0)
		return false;
	digits = strspn(path + strlen(dir), "0123456789");
	return digits > 0 && digits < 6 && path[strlen(dir) + digits] == '\0';
}

static bool may_open(const struct call *call)
{
	const uint64_t changes = O_CREAT | O_TRUNC | O_ACCMODE;
	const uint64_t harmless = O_ACCMODE | O_CREAT | O_EXCL | O_TRUNC | O_APPEND | O_CLOEXEC;
	struct stat info;
	if (call->arg[0] & ~harmless)
		return false;
	if (scratch_path(call->text) || fd_path(call->text))
		return true;
	return call->text[0] == '/' && (call->arg[0] & changes) == 0 &&
	       stat(call->text, &info) == 0 && S_ISREG(info.st_mode);
}

bool target_refuses(const struct target *target, const struct call *call, struct answer *answer)
{
	if (call_touches_stub(target->page_size, call))
		answer_refuse(answer, "the page at 0x%llx is the target's own",
		              (unsigned long long)stub_addr(target->page_size));
	else if (call->name == CALL_OPEN && !may_open(call))
		answer_refuse(answer, "open() takes " SCRATCH_DIR
		                      "NAME, /proc/self/fd/N or an existing file "
		                      "O_RDONLY, and no rare flags");
	else if (call->name == CALL_MINCORE && call->nargs < 3)
		answer_refuse(answer, "mincore() needs an address for its vector");
	else if (call->name == CALL_MEMFD_CREATE && (call->arg[0] & MFD_HUGETLB))
		answer_refuse(answer, "memory files of huge pages are not covered");
	else if (call->name == CALL_EXIT && call_process(call) == 1)
		answer_refuse(answer, "the first process stays to the end");
	else if (call->name == CALL_CLOSE && call->arg[0] < 3)
		answer_refuse(answer, "descriptors 0 to 2 stay open");
	else
		return false;
	return true;
}

/* ---- Maps ------------------------------------------------------------------------------------ */

#define MAX_INODES 256 /* more different temporary files than this compare by their inodes */

struct line {
	const char *text;
	size_t len, inode, path; /* offsets: of "MAJ:MIN INODE", and of the path (len: none) */
};

/* "start-end rwxp offset maj:min inode   path" */
static void split_line(struct line *line, const char *text, size_t len)
{
	size_t at = 0;
	line->text = text;
	line->len = len;
	for (int field = 0; field < 5; field++) {
		if (field == 3)
			line->inode = at;
		while (at < len && text[at] != ' ')
			at++;
		while (at < len && text[at] == ' ')
			at++;
	}
	line->path = at;
}

static bool path_is(const struct line *line, const char *prefix)
{
	size_t len = strlen(prefix);
	return line->len - line->path >= len && memcmp(line->text + line->path, prefix, len) == 0;
}

static bool is_temporary(const struct line *line)
{
	static const char deleted[] = " (deleted)";
	size_t tail = sizeof(deleted) - 1, path_len = line->len - line->path;
	return path_is(line, "/memfd:") || path_is(line, "/dev/zero") || path_is(line, "/SYSV") ||
	       path_is(line, SCRATCH_DIR) ||
	       (path_len > tail && memcmp(line->text + line->len - tail, deleted, tail) == 0);
}

struct inodes {
	struct {
		const char *text;
		size_t len;
	} seen[MAX_INODES];
	size_t count;
};

/* The ordinal of "MAJ:MIN INODE" among those seen; 0: too many. */
static size_t ordinal_of(struct inodes *inodes, const char *text, size_t len)
{
	while (len && text[len - 1] == ' ')
		len--;
	for (size_t i = 0; i < inodes->count; i++)
		if (inodes->seen[i].len == len && memcmp(inodes->seen[i].text, text, len) == 0)
			return i + 1;
	if (inodes->count == MAX_INODES)
		return 0;
	inodes->seen[inodes->count].text = text;
	inodes->seen[inodes->count].len = len;
	return ++inodes->count;
}

static void write_canonical(FILE *out, struct inodes *inodes, const char *text, size_t len)
{
	enum { PATH_COLUMN = 73 }; /* where /proc/PID/maps starts the path */
	struct line line;
	split_line(&line, text, len);
	size_t ordinal = is_temporary(&line)
	                         ? ordinal_of(inodes, text + line.inode, line.path - line.inode)
	                         : 0;
	if (path_is(&line, "[vsyscall]"))
		return;
	if (!ordinal) {
		fprintf(out, "%.*s\n", (int)len, text);
		return;
	}
	int n = fprintf(out, "%.*s00:01 %zu ", (int)line.inode, text, ordinal);
	fprintf(out, "%*s%.*s\n", n < PATH_COLUMN ? PATH_COLUMN - n : 0, "", (int)(len - line.path),
	        text + line.path);
}

char *maps_canonical(const char *maps)
{
	char *canonical = NULL;
	size_t size = 0;
	struct inodes inodes = {.count = 0};
	FILE *out = open_memstream(&canonical, &size);
	if (!out)
		return NULL;
	for (const char *at = maps; *at;) {
		size_t len = strcspn(at, "\n");
		write_canonical(out, &inodes, at, len);
		at += len + (at[len] == '\n');
	}
	if (fclose(out) == 0)
		return canonical;
	free(canonical);
	return NULL;
}

static void squeeze_line(FILE *out, const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (text[i] != ' ' || (i + 1 < len && text[i + 1] != ' '))
			(void)fputc(text[i], out);
	(void)fputc('\n', out);
}

static bool ends_in_stub(const char *line, size_t len)
{
	const size_t path = sizeof(STUB_PATH) - 1;
	return len > path && memcmp(line + len - path, STUB_PATH, path) == 0;
}

/* The lines of `maps`, runs of blanks made one, without the stub's. */
static char *squeeze(const char *maps)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);
	if (!out)
		return NULL;
	for (const char *at = maps; *at;) {
		size_t len = strcspn(at, "\n");
		if (!ends_in_stub(at, len))
			squeeze_line(out, at, len);
		at += len + (at[len] == '\n');
	}
	if (fclose(out) == 0)
		return text;
	free(text);
	return NULL;
}

char *maps_answer(const char *maps)
{
	char *without_stub = squeeze(maps);
	char *canonical = without_stub ? maps_canonical(without_stub) : NULL;
	char *answer = canonical ? squeeze(canonical) : NULL; /* numbering has padded it again */
	free(without_stub);
	free(canonical);
	return answer;
}

/* ---- VmFlags --------------------------------------------------------------------------------- */

size_t vmflags_canonical(char to[VAS_VMFLAGS_MAX], const char *flags, size_t len)
{
	size_t at = 0;
	for (size_t i = 0; i + 1 < len && at + 3 < VAS_VMFLAGS_MAX; i += 3) {
		const char *word = flags + i;
		if (strncmp(word, "sd", 2) == 0)
			continue;
		if (strncmp(word, "??", 2) == 0)
			word = "lf";
		if (at > 0)
			to[at++] = ' ';
		to[at++] = word[0];
		to[at++] = word[1];
	}
	to[at] = '\0';
	return at;
}
