/* log_read.c - lines of a log back to events.
 *
 * Strict: what log_write.c would not have written is an error with its line and column. Any bytes
 * may come in; nothing is trusted, and nothing is kept outside struct log_reader.
 *
 * SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "check/log/log.h"
#include "target/calls.h"

struct log_reader {
	const char *text, *end; /* what is left */
	char *line;             /* the line being read, terminated */
	size_t line_room;
	unsigned number; /* of that line */
	const char *at;  /* where in it */
	struct log_error *error;
	char *names, *names_at; /* decoded strings: together never longer than the log */
	struct map_lines lines;
	struct machine machine;
	uint32_t files; /* ids 1..files have been introduced */
	bool begun;
};

struct log_reader *log_open(const char *text, size_t len)
{
	struct log_reader *reader = calloc(1, sizeof(*reader));
	char *names = malloc(len + 1);
	if (!reader || !names) {
		free(reader);
		free(names);
		return NULL;
	}
	reader->text = text;
	reader->end = text + len;
	reader->names = reader->names_at = names;
	return reader;
}

void log_close(struct log_reader *reader)
{
	map_lines_free(&reader->lines);
	free(reader->names);
	free(reader->line);
	free(reader);
}

unsigned log_line(const struct log_reader *reader)
{
	return reader->number;
}

__attribute__((format(printf, 2, 3))) static bool fail(struct log_reader *reader,
                                                       const char *format, ...)
{
	va_list args;
	reader->error->line = reader->number ? reader->number : 1; /* of an empty log, too */
	reader->error->column = reader->at ? (unsigned)(reader->at - reader->line) + 1 : 1;
	va_start(args, format);
	vsnprintf(reader->error->message, sizeof(reader->error->message), format, args);
	va_end(args);
	return false;
}

/* Copies the next line to reader->line. 1, 0 at the end, -1. */
static int next_line(struct log_reader *reader)
{
	size_t left = (size_t)(reader->end - reader->text);
	if (left == 0)
		return 0;
	const char *newline = memchr(reader->text, '\n', left);
	size_t len = newline ? (size_t)(newline - reader->text) : left;
	if (len + 1 > reader->line_room) {
		char *line = realloc(reader->line, len * 2 + 1);
		if (!line) {
			fail(reader, "no memory for a line of %zu bytes", len);
			return -1;
		}
		reader->line = line;
		reader->line_room = len * 2 + 1;
	}
	memcpy(reader->line, reader->text, len);
	reader->line[len] = '\0';
	reader->number++;
	reader->at = reader->line + strlen(reader->line);
	if (reader->at != reader->line + len || !newline) {
		fail(reader, newline ? "a NUL byte" : "the last line is not complete");
		return -1;
	}
	reader->at = reader->line;
	reader->text = newline + 1;
	return 1;
}

/* ---- Pieces of a line: each takes one and moves on, or fails --------------------------------- */

static bool accept(struct log_reader *reader, const char *word)
{
	size_t len = strlen(word);
	if (strncmp(reader->at, word, len) != 0)
		return false;
	reader->at += len;
	return true;
}

static bool expect(struct log_reader *reader, const char *word)
{
	return accept(reader, word) || fail(reader, "expected '%s'", word);
}

static bool expect_end(struct log_reader *reader)
{
	return *reader->at == '\0' || fail(reader, "expected the end of the line");
}

/* Digits of `base`, at most `max`. */
static bool take_number(struct log_reader *reader, unsigned base, uint64_t max, uint64_t *value)
{
	const char *p = reader->at;
	*value = 0;
	for (;; p++) {
		unsigned digit = *p >= '0' && *p <= '9'   ? (unsigned)(*p - '0')
		                 : *p >= 'a' && *p <= 'f' ? (unsigned)(*p - 'a' + 10)
		                                          : 16;
		if (digit >= base)
			break;
		if (*value > (max - digit) / base)
			return fail(reader, "the number is too large");
		*value = *value * base + digit;
	}
	if (p == reader->at)
		return fail(reader, "expected a %snumber", base == 16 ? "hexadecimal " : "");
	reader->at = p;
	return true;
}

/* " key=" and a number; with 0x in front it is hexadecimal. */
static bool take_key(struct log_reader *reader, const char *key, uint64_t max, uint64_t *value)
{
	return expect(reader, key) &&
	       take_number(reader, accept(reader, "0x") ? 16 : 10, max, value);
}

static bool take_key32(struct log_reader *reader, const char *key, uint32_t *value)
{
	uint64_t wide = 0;
	bool good = take_key(reader, key, UINT32_MAX, &wide);
	*value = (uint32_t)wide;
	return good;
}

static bool take_key_bool(struct log_reader *reader, const char *key, bool *value)
{
	uint64_t wide = 0;
	bool good = take_key(reader, key, 1, &wide);
	*value = wide != 0;
	return good;
}

static bool take_pid(struct log_reader *reader, int32_t *pid)
{
	uint64_t value = 0;
	if (!take_number(reader, 10, INT32_MAX, &value))
		return false;
	if (value == 0)
		return fail(reader, "0 is not a process");
	*pid = (int32_t)value;
	return true;
}

static bool take_escape(struct log_reader *reader, char *to)
{
	const char *p = reader->at + 1;
	if (*p == '"' || *p == '\\') {
		*to = *p;
		reader->at += 2;
		return true;
	}
	unsigned value = 0;
	for (int i = 0; i < 3; i++, p++) {
		if (*p < '0' || *p > '7')
			return fail(reader, "a \\ is followed by \", \\ or three octal digits");
		value = value * 8 + (unsigned)(*p - '0');
	}
	if (value == 0 || value > 0xff)
		return fail(reader, "\\%03o is not a character", value);
	*to = (char)(unsigned char)value;
	reader->at += 4;
	return true;
}

static bool take_quoted(struct log_reader *reader, const char **text)
{
	char *to = reader->names_at;
	*text = to;
	if (!expect(reader, "\""))
		return false;
	while (*reader->at != '"') {
		if (*reader->at == '\0')
			return fail(reader, "the string has no end");
		if (*reader->at == '\\') {
			if (!take_escape(reader, to))
				return false;
			to++;
		} else {
			*to++ = *reader->at++;
		}
	}
	reader->at++;
	*to++ = '\0';
	reader->names_at = to;
	return true;
}

static bool take_device(struct log_reader *reader, uint32_t *major, uint32_t *minor)
{
	uint64_t value = 0;
	if (!take_number(reader, 16, UINT32_MAX, &value) || !expect(reader, ":"))
		return false;
	*major = (uint32_t)value;
	if (!take_number(reader, 16, UINT32_MAX, &value))
		return false;
	*minor = (uint32_t)value;
	return true;
}

static bool take_file_id(struct log_reader *reader, uint32_t *id)
{
	const char *start = reader->at;
	uint64_t value = 0;
	if (!take_number(reader, 10, UINT32_MAX, &value))
		return false;
	if (value == 0 || value > reader->files) {
		reader->at = start;
		return fail(reader, "no file of that number has been introduced");
	}
	*id = (uint32_t)value;
	return true;
}

/* ---- Lines of a map -------------------------------------------------------------------------- */

static bool take_perms(struct log_reader *reader, char perms[5])
{
	static const char letters[4][3] = {"r-", "w-", "x-", "ps"};
	for (int i = 0; i < 4; i++) {
		char c = reader->at[0];
		if (c != letters[i][0] && c != letters[i][1])
			return fail(reader, "expected '%c' or '%c'", letters[i][0], letters[i][1]);
		perms[i] = c;
		reader->at++;
	}
	perms[4] = '\0';
	return true;
}

/* The part in {}: VmFlags, then special, opaque, policy. */
static bool take_flags(struct log_reader *reader, struct map_line *line)
{
	size_t all = strcspn(reader->at, "}"), len = 0;
	if (reader->at[all] != '}')
		return fail(reader, "expected '}'");
	while (len + 2 <= all && (len + 2 == all || reader->at[len + 2] == ' '))
		len += len + 2 == all ? 2 : 3;
	if (!vmflags_parse(reader->at, len, true, &line->flags))
		return fail(reader, "not the words of VmFlags");
	reader->at += len;
	if (len && len < all)
		reader->at--;
	if (accept(reader, " special"))
		line->flags |= VAS_VM_SPECIAL;
	if (accept(reader, " opaque"))
		line->flags |= VAS_VM_OPAQUE;
	if (accept(reader, " policy"))
		line->flags |= VAS_VM_POLICY;
	line->has_flags = true;
	return expect(reader, "}");
}

static bool take_vma(struct log_reader *reader, struct map_line *line)
{
	if (!take_number(reader, 16, UINT64_MAX, &line->start) || !expect(reader, "-") ||
	    !take_number(reader, 16, UINT64_MAX, &line->end) || !expect(reader, " ") ||
	    !take_perms(reader, line->perms) || !expect(reader, " ") ||
	    !take_number(reader, 16, UINT64_MAX, &line->offset) || !expect(reader, " ") ||
	    !take_device(reader, &line->major, &line->minor) || !expect(reader, " ") ||
	    !take_number(reader, 10, UINT64_MAX, &line->inode) || !expect(reader, " ") ||
	    !take_quoted(reader, &line->name))
		return false;
	if (accept(reader, " {") && !take_flags(reader, line))
		return false;
	if (accept(reader, " file=") && !take_file_id(reader, &line->file))
		return false;
	line->touched = accept(reader, " touched");
	return expect_end(reader);
}

/* " vmas=N", the end of the line, and N lines that say "PID vma ...". */
static bool take_lines(struct log_reader *reader, struct event *event)
{
	uint64_t n = 0;
	char prefix[32];
	snprintf(prefix, sizeof(prefix), "%d vma ", event->pid);
	if (!take_key(reader, " vmas=", UINT32_MAX, &n) || !expect_end(reader))
		return false;
	reader->lines.n = 0;
	for (uint64_t i = 0; i < n; i++) {
		int got = next_line(reader);
		if (got <= 0)
			return got == 0 ? fail(reader, "the map has %zu of %zu lines", (size_t)i,
			                       (size_t)n)
			                : false;
		struct map_line *line = map_lines_add(&reader->lines);
		if (!line)
			return fail(reader, "no memory for a map of %zu lines", (size_t)n);
		if (!expect(reader, prefix) || !take_vma(reader, line))
			return false;
	}
	event->lines = reader->lines;
	return true;
}

/* ---- Events ---------------------------------------------------------------------------------- */

static bool take_word(struct log_reader *reader, const char *key, char *to, size_t size)
{
	const char *text = "";
	if (!expect(reader, key) || !take_quoted(reader, &text))
		return false;
	if (strlen(text) >= size)
		return fail(reader, "longer than %zu characters", size - 1);
	memcpy(to, text, strlen(text) + 1);
	return true;
}

static bool take_version(struct log_reader *reader, uint32_t *version)
{
	uint64_t major = 0, minor = 0, level = VAS_LINUX_LAST;
	if (!take_key(reader, " version=", 0xff, &major) || !expect(reader, ".") ||
	    !take_number(reader, 10, 0xff, &minor))
		return false;
	if (reader->at[0] == '.' &&
	    (!expect(reader, ".") || !take_number(reader, 10, VAS_LINUX_LAST, &level)))
		return false;
	*version = VAS_LINUX(major, minor, level);
	return true;
}

/* The last key, which is there if it is not 0; and what a word means. */
static bool take_shmem(struct log_reader *reader, struct machine *m)
{
	static const char key[] = " shmem_sizes=";
	m->settings.shmem_thp = shmem_is_huge(m->shmem_thp);
	m->settings.shmem_sizes = 0;
	return strncmp(reader->at, key, strlen(key)) != 0 ||
	       take_key32(reader, key, &m->settings.shmem_sizes);
}

/* Logs from before there were others do not mention it. */
static bool take_format(struct log_reader *reader, struct machine *machine)
{
	char name[32] = "x86_64";
	const struct machine_format *format;
	uint64_t task_size = 0;
	if (reader->at[0] == ' ') {
		size_t len = strcspn(reader->at + 1, " ");
		if (!expect(reader, " format=") || len >= sizeof(name))
			return false;
		len = strcspn(reader->at, " ");
		(void)snprintf(name, sizeof(name), "%.*s", (int)len, reader->at);
		reader->at += len;
		if (!take_key(reader, " task_size=", UINT64_MAX, &task_size) ||
		    !take_key_bool(reader, " exec_reads=", &machine->exec_reads) ||
		    !take_key_bool(reader, " heap_apart=", &machine->heap_apart))
			return false;
	}
	format = machine_format_find(name);
	if (!format)
		return fail(reader, "expected the name of a format");
	machine_set_format(machine, format);
	if (task_size > format->task_size &&
	    !machine_find_format(machine, format->page_size, task_size))
		return fail(reader, "the format has no such TASK_SIZE");
	if (task_size && task_size < format->task_size)
		machine->task_size = machine->window = task_size;
	return true;
}

static bool take_machine(struct log_reader *reader, struct event *event)
{
	struct machine *m = &reader->machine;
	struct vas_settings *s = &m->settings;
	event->kind = EVENT_MACHINE;
	event->machine = m;
	return take_word(reader, " release=", m->release, sizeof(m->release)) &&
	       take_word(reader, " thp=", m->thp, sizeof(m->thp)) &&
	       take_word(reader, " shmem_thp=", m->shmem_thp, sizeof(m->shmem_thp)) &&
	       take_version(reader, &m->version) &&
	       take_key_bool(reader, " verified=", &m->vas_verified) &&
	       take_key(reader, " mmap_min_addr=", UINT64_MAX, &s->mmap_min_addr) &&
	       take_key(reader, " lsm_mmap_min_addr=", UINT64_MAX, &s->lsm_mmap_min_addr) &&
	       take_key(reader, " max_map_count=", UINT64_MAX, &s->max_map_count) &&
	       take_key(reader, " ram_pages=", UINT64_MAX, &s->ram_pages) &&
	       take_key(reader, " swap_pages=", UINT64_MAX, &s->swap_pages) &&
	       take_key32(reader, " overcommit_memory=", &s->overcommit_memory) &&
	       take_key32(reader, " overcommit_ratio=", &s->overcommit_ratio) &&
	       take_key(reader, " overcommit_kbytes=", UINT64_MAX, &s->overcommit_kbytes) &&
	       take_key(reader, " admin_reserve_kbytes=", UINT64_MAX, &s->admin_reserve_kbytes) &&
	       take_key(reader, " user_reserve_kbytes=", UINT64_MAX, &s->user_reserve_kbytes) &&
	       take_key(reader, " committed_elsewhere=", UINT64_MAX, &s->committed_elsewhere) &&
	       take_key_bool(reader, " thp_built_in=", &s->thp) &&
	       take_key_bool(reader, " ignore_rlimit_data=", &s->ignore_rlimit_data) &&
	       take_key_bool(reader, " anon_vma_name=", &s->anon_vma_name) &&
	       take_key_bool(reader, " ksm=", &s->ksm) &&
	       take_key_bool(reader, " memory_failure=", &s->memory_failure) &&
	       take_shmem(reader, m) && take_format(reader, m) && expect_end(reader);
}

static bool take_file(struct log_reader *reader, struct event *event)
{
	struct vas_file_info *info = &event->info;
	uint64_t id = 0;
	event->kind = EVENT_FILE;
	if (!take_number(reader, 10, UINT32_MAX, &id))
		return false;
	if (id != (uint64_t)reader->files + 1)
		return fail(reader, "expected file %u", reader->files + 1);
	event->id = ++reader->files;
	return take_key32(reader, " mode=", &info->mode) && expect(reader, " dev=") &&
	       take_device(reader, &info->major, &info->minor) &&
	       take_key(reader, " ino=", UINT64_MAX, &info->inode) &&
	       take_key(reader, " size=", INT64_MAX, &event->number) && expect(reader, " name=") &&
	       take_quoted(reader, &info->path) && expect_end(reader);
}

static bool take_resize(struct log_reader *reader, struct event *event)
{
	event->kind = EVENT_RESIZE;
	return take_file_id(reader, &event->id) && expect(reader, " ") &&
	       take_number(reader, 10, INT64_MAX, &event->number) && expect_end(reader);
}

static bool take_limit(struct log_reader *reader, const char *key, struct vas_limit *limit)
{
	return take_key(reader, key, UINT64_MAX, &limit->soft) && expect(reader, ":0x") &&
	       take_number(reader, 16, UINT64_MAX, &limit->hard);
}

/* Keys that are there if one is not 0. */
static bool take_prctl(struct log_reader *reader, struct vas_params *params)
{
	static const char key[] = " mdwe=";
	return strncmp(reader->at, key, strlen(key)) != 0 ||
	       (take_key32(reader, key, &params->mdwe) &&
	        take_key_bool(reader, " merges=", &params->merges_all));
}

static bool take_image(struct log_reader *reader, struct event *event)
{
	struct vas_params *p = &event->params;
	return take_quoted(reader, &event->text) &&
	       take_key(reader, " mmap_base=", UINT64_MAX, &p->mmap_base) &&
	       take_key(reader, " legacy_base=", UINT64_MAX, &p->legacy_base) &&
	       take_key_bool(reader, " legacy=", &p->legacy) &&
	       take_key(reader, " start_brk=", UINT64_MAX, &p->start_brk) &&
	       take_key(reader, " brk=", UINT64_MAX, &p->brk) &&
	       take_key(reader, " data_len=", UINT64_MAX, &p->data_len) &&
	       take_key(reader, " start_stack=", UINT64_MAX, &p->start_stack) &&
	       take_key32(reader, " caps=", &p->capabilities) &&
	       take_limit(reader, " as=", &p->limit[VAS_RLIMIT_AS]) &&
	       take_limit(reader, " data=", &p->limit[VAS_RLIMIT_DATA]) &&
	       take_limit(reader, " stack=", &p->limit[VAS_RLIMIT_STACK]) &&
	       take_limit(reader, " memlock=", &p->limit[VAS_RLIMIT_MEMLOCK]) &&
	       take_prctl(reader, p) && take_lines(reader, event);
}

static bool take_digest(struct log_reader *reader, struct event *event)
{
	uint64_t lines = 0;
	if (!take_number(reader, 10, UINT32_MAX, &lines) || !expect(reader, " 0x") ||
	    !take_number(reader, 16, UINT64_MAX, &event->number))
		return false;
	event->id = (uint32_t)lines;
	return expect_end(reader);
}

/* Of all calls only those that the writer makes: on memory, with the answer given. */
static bool take_call(struct log_reader *reader, struct event *event)
{
	struct parse_error parse = {0, ""};
	event->kind = EVENT_CALL;
	if (accept(reader, "fd=")) { /* logs from before it was written have none */
		if (!take_number(reader, 10, INT32_MAX, &event->number) || !expect(reader, " "))
			return false;
		event->number++;
	}
	const char *start = reader->at;
	if (!call_parse(start, &event->call, &event->answer, &parse)) {
		reader->at = start + (parse.column ? parse.column - 1 : 0);
		return fail(reader, "%s", parse.message);
	}
	enum answer_kind kind = event->answer.kind;
	answer_free(&event->answer);
	event->answer.kind = kind;
	if (!call_is_of_space(event->call.name) && event->call.name != CALL_TOUCH &&
	    event->call.name != CALL_SETRLIMIT)
		return fail(reader, "not a call that a log may have");
	if (kind != ANSWER_VALUE)
		return fail(reader, "the call has no answer");
	if (event->number && event->call.name != CALL_MMAP)
		return fail(reader, "only mmap has a descriptor");
	uint64_t file = event->call.arg[4];
	if (event->call.name == CALL_MMAP && (int64_t)file > 0 && file > reader->files)
		return fail(reader, "file %u has not been introduced", (unsigned)file);
	return true;
}

static bool take_new_brk(struct log_reader *reader, struct event *event)
{
	return !accept(reader, " brk=0x") || take_number(reader, 16, UINT64_MAX, &event->number);
}

static bool take_process_event(struct log_reader *reader, struct event *event)
{
	static const struct {
		const char *verb;
		enum event_kind kind;
	} verbs[] = {{"image ", EVENT_IMAGE},   {"fork ", EVENT_FORK},      {"share ", EVENT_SHARE},
	             {"thread ", EVENT_THREAD}, {"grow 0x", EVENT_GROW},    {"caps 0x", EVENT_CAPS},
	             {"maps", EVENT_MAPS},      {"digest ", EVENT_DIGEST},  {"adopt ", EVENT_ADOPT},
	             {"resync", EVENT_RESYNC},  {"note ", EVENT_NOTE},      {"stop ", EVENT_STOP},
	             {"exit", EVENT_EXIT},      {"unsure 0x", EVENT_UNSURE}};
	size_t i = 0, n = sizeof(verbs) / sizeof(verbs[0]);
	if (!take_pid(reader, &event->pid) || !expect(reader, " "))
		return false;
	while (i < n && !accept(reader, verbs[i].verb))
		i++;
	if (i == n)
		return take_call(reader, event);
	event->kind = verbs[i].kind;
	switch (event->kind) {
	case EVENT_IMAGE:
		return take_image(reader, event);
	case EVENT_FORK:
	case EVENT_SHARE:
	case EVENT_THREAD:
		return take_pid(reader, &event->child) && expect_end(reader);
	case EVENT_GROW:
	case EVENT_UNSURE:
		return take_number(reader, 16, UINT64_MAX, &event->number) && expect_end(reader);
	case EVENT_CAPS:
		return take_number(reader, 16, UINT32_MAX, &event->number) && expect_end(reader);
	case EVENT_DIGEST:
		return take_digest(reader, event);
	case EVENT_ADOPT:
		return take_quoted(reader, &event->text) && take_new_brk(reader, event) &&
		       take_lines(reader, event);
	case EVENT_RESYNC:
		return take_key(reader, " brk=", UINT64_MAX, &event->number) &&
		       take_lines(reader, event);
	case EVENT_MAPS:
		return take_lines(reader, event);
	case EVENT_NOTE:
	case EVENT_STOP:
		return take_quoted(reader, &event->text) && expect_end(reader);
	default:
		return expect_end(reader);
	}
}

static bool take_event(struct log_reader *reader, struct event *event)
{
	if (!reader->begun) {
		reader->begun = true;
		uint64_t version = 0;
		if (!expect(reader, "vas-log ") || !take_number(reader, 10, 1000000, &version))
			return false;
		if (version != LOG_VERSION)
			return fail(reader, "this vas reads version %d of the format", LOG_VERSION);
		if (!expect_end(reader))
			return false;
		int got = next_line(reader);
		if (got <= 0)
			return got == 0 ? fail(reader, "expected 'machine'") : false;
		return expect(reader, "machine") && take_machine(reader, event);
	}
	if (accept(reader, "file "))
		return take_file(reader, event);
	if (accept(reader, "resize "))
		return take_resize(reader, event);
	if (accept(reader, "close ")) {
		event->kind = EVENT_CLOSE;
		return take_file_id(reader, &event->id) && expect_end(reader);
	}
	return take_process_event(reader, event);
}

int log_next(struct log_reader *reader, struct event *event, struct log_error *error)
{
	reader->error = error;
	int got = next_line(reader);
	if (got < 0)
		return -1;
	if (got == 0 && !reader->begun)
		fail(reader, "the log is empty");
	if (got == 0)
		return reader->begun ? 0 : -1;
	memset(event, 0, sizeof(*event));
	return take_event(reader, event) ? 1 : -1;
}
