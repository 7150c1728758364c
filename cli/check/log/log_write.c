/* log_write.c - events as lines of a log.
 *
 * Each function here has its counterpart in log_read.c; a change of one is a change of both, and of
 * LOG_VERSION and docs/check.md.
 *
 * SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <string.h>

#include "check/log/log.h"

static void put_quoted(FILE *file, const char *text)
{
	putc('"', file);
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;
		if (c == '"' || c == '\\')
			fprintf(file, "\\%c", c);
		else if (c < ' ' || c > '~')
			fprintf(file, "\\%03o", c);
		else
			putc(c, file);
	}
	putc('"', file);
}

/* The last part of a path, so that a log tells nothing about the machine it comes from. Names that
 * the kernel gives ([stack], /dev/zero, /memfd:x, /SYSV00000000) say nothing and stay. */
static void put_name(const struct log_writer *writer, const char *name)
{
	static const char *const kernels[] = {"/dev/zero", "/memfd:", "/SYSV", "/anon_hugepage",
	                                      "/["};
	const char *slash = strrchr(name, '/');
	bool whole = writer->full_paths || name[0] != '/';
	for (size_t i = 0; i < sizeof(kernels) / sizeof(kernels[0]); i++)
		whole = whole || strncmp(name, kernels[i], strlen(kernels[i])) == 0;
	put_quoted(writer->file, whole || !slash ? name : slash + 1);
}

/* VmFlags, and in words what VmFlags does not show. */
static void put_flags(FILE *file, uint64_t flags)
{
	static const struct {
		uint64_t flag;
		const char *word;
	} extra[] = {
		{VAS_VM_SPECIAL, "special"}, {VAS_VM_OPAQUE, "opaque"}, {VAS_VM_POLICY, "policy"}};
	char text[VAS_VMFLAGS_MAX] = "";
	vas_vmflags(&(struct vas_region){.flags = flags}, text);
	size_t len = strlen(text);
	while (len && text[len - 1] == ' ')
		text[--len] = '\0';
	fprintf(file, " {%s", text);
	for (size_t i = 0; i < sizeof(extra) / sizeof(extra[0]); i++)
		if (flags & extra[i].flag)
			fprintf(file, " %s", extra[i].word);
	putc('}', file);
}

static void put_lines(const struct log_writer *writer, const struct event *event)
{
	for (size_t i = 0; i < event->lines.n; i++) {
		const struct map_line *line = &event->lines.line[i];
		fprintf(writer->file,
		        "%" PRId32 " vma %" PRIx64 "-%" PRIx64 " %s %08" PRIx64
		        " %02x:%02x %" PRIu64 " ",
		        event->pid, line->start, line->end, line->perms, line->offset, line->major,
		        line->minor, line->inode);
		put_name(writer, line->name);
		if (line->has_flags)
			put_flags(writer->file, line->flags);
		if (line->file)
			fprintf(writer->file, " file=%" PRIu32, line->file);
		if (line->touched)
			fputs(" touched", writer->file);
		putc('\n', writer->file);
	}
}

static void put_machine(FILE *file, const struct machine *machine)
{
	const struct vas_settings *s = &machine->settings;
	char version[VERSION_TEXT];
	fputs("machine release=", file);
	put_quoted(file, machine->release);
	fputs(" thp=", file);
	put_quoted(file, machine->thp);
	fputs(" shmem_thp=", file);
	put_quoted(file, machine->shmem_thp);
	fprintf(file,
	        " version=%s verified=%d mmap_min_addr=%" PRIu64 " lsm_mmap_min_addr=%" PRIu64
	        " max_map_count=%" PRIu64 " ram_pages=%" PRIu64 " swap_pages=%" PRIu64
	        " overcommit_memory=%" PRIu32 " overcommit_ratio=%" PRIu32
	        " overcommit_kbytes=%" PRIu64,
	        version_text(machine->version, version), machine->vas_verified, s->mmap_min_addr,
	        s->lsm_mmap_min_addr, s->max_map_count, s->ram_pages, s->swap_pages,
	        s->overcommit_memory, s->overcommit_ratio, s->overcommit_kbytes);
	fprintf(file,
	        " admin_reserve_kbytes=%" PRIu64 " user_reserve_kbytes=%" PRIu64
	        " committed_elsewhere=%" PRIu64 " thp_built_in=%d ignore_rlimit_data=%d"
	        " anon_vma_name=%d ksm=%d memory_failure=%d",
	        s->admin_reserve_kbytes, s->user_reserve_kbytes, s->committed_elsewhere, s->thp,
	        s->ignore_rlimit_data, s->anon_vma_name, s->ksm, s->memory_failure);
	if (s->shmem_sizes)
		fprintf(file, " shmem_sizes=%" PRIu32, s->shmem_sizes);
	fprintf(file, " format=%s task_size=%" PRIu64 " exec_reads=%d heap_apart=%d\n",
	        machine->format->name, machine->task_size, machine->exec_reads,
	        machine->heap_apart);
}

static void put_file(const struct log_writer *writer, const struct event *event)
{
	const struct vas_file_info *info = &event->info;
	fprintf(writer->file,
	        "file %" PRIu32 " mode=0x%x dev=%02x:%02x ino=%" PRIu64 " size=%" PRIu64, event->id,
	        info->mode, info->major, info->minor, info->inode, event->number);
	fputs(" name=", writer->file);
	put_name(writer, info->path ? info->path : "");
	putc('\n', writer->file);
}

static void put_limit(FILE *file, const char *name, struct vas_limit limit)
{
	fprintf(file, " %s=0x%" PRIx64 ":0x%" PRIx64, name, limit.soft, limit.hard);
}

static void put_image(const struct log_writer *writer, const struct event *event)
{
	const struct vas_params *p = &event->params;
	FILE *file = writer->file;
	fprintf(file, "%" PRId32 " image ", event->pid);
	put_quoted(file, event->text);
	fprintf(file, " mmap_base=0x%" PRIx64 " legacy_base=0x%" PRIx64 " legacy=%d", p->mmap_base,
	        p->legacy_base, p->legacy);
	fprintf(file, " start_brk=0x%" PRIx64 " brk=0x%" PRIx64 " data_len=%" PRIu64, p->start_brk,
	        p->brk, p->data_len);
	fprintf(file, " start_stack=0x%" PRIx64 " caps=0x%x", p->start_stack, p->capabilities);
	put_limit(file, "as", p->limit[VAS_RLIMIT_AS]);
	put_limit(file, "data", p->limit[VAS_RLIMIT_DATA]);
	put_limit(file, "stack", p->limit[VAS_RLIMIT_STACK]);
	put_limit(file, "memlock", p->limit[VAS_RLIMIT_MEMLOCK]);
	if (p->mdwe || p->merges_all)
		fprintf(file, " mdwe=%" PRIu32 " merges=%d", p->mdwe, p->merges_all);
	fprintf(file, " vmas=%zu\n", event->lines.n);
	put_lines(writer, event);
}

static void put_call(FILE *file, const struct event *event)
{
	char text[1024];
	call_print(text, sizeof(text), &event->call, &event->answer);
	fprintf(file, "%" PRId32 " ", event->pid);
	if (event->number)
		fprintf(file, "fd=%" PRIu64 " ", event->number - 1);
	fprintf(file, "%s\n", text);
}

static void put_text(FILE *file, const struct event *event, const char *verb)
{
	fprintf(file, "%" PRId32 " %s ", event->pid, verb);
	put_quoted(file, event->text);
	putc('\n', file);
}

static void put_map(const struct log_writer *writer, const struct event *event)
{
	FILE *file = writer->file;
	fprintf(file, "%" PRId32, event->pid);
	if (event->kind == EVENT_ADOPT) {
		fputs(" adopt ", file);
		put_quoted(file, event->text);
		if (event->number)
			fprintf(file, " brk=0x%" PRIx64, event->number);
	} else if (event->kind == EVENT_RESYNC) {
		fprintf(file, " resync brk=0x%" PRIx64, event->number);
	} else {
		fputs(" maps", file);
	}
	fprintf(file, " vmas=%zu\n", event->lines.n);
	put_lines(writer, event);
}

void log_begin(struct log_writer *writer)
{
	fprintf(writer->file, "vas-log %d\n", LOG_VERSION);
}

void log_write(struct log_writer *writer, const struct event *event)
{
	FILE *file = writer->file;
	int pid = event->pid;
	switch (event->kind) {
	case EVENT_MACHINE:
		put_machine(file, event->machine);
		break;
	case EVENT_FILE:
		put_file(writer, event);
		break;
	case EVENT_RESIZE:
		fprintf(file, "resize %" PRIu32 " %" PRIu64 "\n", event->id, event->number);
		break;
	case EVENT_CLOSE:
		fprintf(file, "close %" PRIu32 "\n", event->id);
		break;
	case EVENT_IMAGE:
		put_image(writer, event);
		break;
	case EVENT_FORK:
		fprintf(file, "%d fork %d\n", pid, event->child);
		break;
	case EVENT_SHARE:
		fprintf(file, "%d share %d\n", pid, event->child);
		break;
	case EVENT_THREAD:
		fprintf(file, "%d thread %d\n", pid, event->child);
		break;
	case EVENT_CALL:
		put_call(file, event);
		break;
	case EVENT_GROW:
		fprintf(file, "%d grow 0x%" PRIx64 "\n", pid, event->number);
		break;
	case EVENT_UNSURE:
		fprintf(file, "%d unsure 0x%" PRIx64 "\n", pid, event->number);
		break;
	case EVENT_CAPS:
		fprintf(file, "%d caps 0x%" PRIx64 "\n", pid, event->number);
		break;
	case EVENT_MAPS:
	case EVENT_ADOPT:
	case EVENT_RESYNC:
		put_map(writer, event);
		break;
	case EVENT_DIGEST:
		fprintf(file, "%d digest %" PRIu32 " 0x%016" PRIx64 "\n", pid, event->id,
		        event->number);
		break;
	case EVENT_NOTE:
		put_text(file, event, "note");
		break;
	case EVENT_STOP:
		put_text(file, event, "stop");
		break;
	case EVENT_EXIT:
		fprintf(file, "%d exit\n", pid);
		break;
	case EVENT_KINDS:
		break;
	}
}
