/* pack.c - the boot archive: cpio, and what a dynamic program needs to start.
 *
 * Libraries are looked for where the host keeps those of the program's architecture. What a program
 * opens by itself later (dlopen, data) has to be named with --file.
 *
 * SPDX-License-Identifier: MIT */
#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "boot/pack.h"

static bool failed(const char *what, const char *why)
{
	fprintf(stderr, "vas boot: %s: %s\n", what, why);
	return false;
}

/* The whole file; NULL: *len says nothing, errno does. */
static char *file_read(const char *path, size_t *len)
{
	FILE *in = fopen(path, "rb");
	struct stat st;
	char *bytes = NULL;

	if (!in)
		return NULL;
	if (fstat(fileno(in), &st) || !S_ISREG(st.st_mode)) {
		errno = EINVAL;
	} else {
		*len = (size_t)st.st_size;
		bytes = malloc(*len + 1);
		if (bytes && fread(bytes, 1, *len, in) != *len) {
			free(bytes);
			bytes = NULL;
			errno = EIO;
		}
	}
	fclose(in);
	return bytes;
}

/* ---- cpio ------------------------------------------------------------------------------------ */

static bool was_seen(struct pack *pack, const char *name)
{
	for (unsigned i = 0; i < pack->nseen; i++)
		if (strcmp(pack->seen[i], name) == 0)
			return true;
	if (pack->nseen < sizeof(pack->seen) / sizeof(pack->seen[0]))
		pack->seen[pack->nseen++] = strdup(name);
	return false;
}

static void pad(FILE *out, size_t len)
{
	for (; len % 4; len++)
		fputc(0, out);
}

bool pack_bytes(struct pack *pack, const char *name, uint32_t mode, const void *bytes, size_t len)
{
	const size_t name_len = strlen(name) + 1;

	if (len >> 32)
		return failed(name, "larger than an archive can hold");
	fprintf(pack->out, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x",
	        ++pack->inode, mode, 0, 0, 1, 0, (unsigned)len, 0, 0, 0, 0, (unsigned)name_len, 0);
	fwrite(name, 1, name_len, pack->out);
	pad(pack->out, 110 + name_len);
	fwrite(bytes, 1, len, pack->out);
	pad(pack->out, len);
	return !ferror(pack->out) || failed(name, strerror(errno));
}

bool pack_file(struct pack *pack, const char *from, const char *name)
{
	struct stat st;
	size_t len;
	char *bytes;

	if (was_seen(pack, name))
		return true;
	bytes = file_read(from, &len);
	if (!bytes || stat(from, &st)) {
		free(bytes);
		return failed(from, strerror(errno));
	}
	bool done = pack_bytes(pack, name, S_IFREG | (st.st_mode & 0777), bytes, len);
	free(bytes);
	return done;
}

bool pack_end(struct pack *pack)
{
	bool done = pack_bytes(pack, "TRAILER!!!", 0, "", 0);

	for (unsigned i = 0; i < pack->nseen; i++)
		free(pack->seen[i]);
	return fclose(pack->out) == 0 && done;
}

/* ---- ELF ------------------------------------------------------------------------------------- */

struct elf {
	char *bytes;
	size_t len;
	const Elf64_Ehdr *head;
	const Elf64_Phdr *segment;
};

static bool elf_open(struct elf *elf, const char *path)
{
	const Elf64_Ehdr *head;

	elf->bytes = file_read(path, &elf->len);
	if (!elf->bytes)
		return false;
	head = elf->head = (const void *)elf->bytes;
	if (elf->len >= sizeof(*head) && memcmp(head->e_ident, ELFMAG, SELFMAG) == 0 &&
	    head->e_ident[EI_CLASS] == ELFCLASS64 && head->e_ident[EI_DATA] == ELFDATA2LSB &&
	    head->e_phentsize == sizeof(Elf64_Phdr) && head->e_phoff <= elf->len &&
	    head->e_phnum <= (elf->len - head->e_phoff) / sizeof(Elf64_Phdr)) {
		elf->segment = (const void *)(elf->bytes + head->e_phoff);
		return true;
	}
	free(elf->bytes);
	errno = ENOEXEC;
	return false;
}

uint16_t pack_machine(const char *path)
{
	struct elf elf;
	uint16_t machine;

	if (!elf_open(&elf, path))
		return 0;
	machine = elf.head->e_machine;
	free(elf.bytes);
	return machine;
}

static const Elf64_Phdr *segment_of(const struct elf *elf, uint32_t type)
{
	for (unsigned i = 0; i < elf->head->e_phnum; i++) {
		const Elf64_Phdr *s = &elf->segment[i];

		if (s->p_type == type && s->p_offset <= elf->len &&
		    s->p_filesz <= elf->len - s->p_offset)
			return s;
	}
	return NULL;
}

/* The string at an address of the program; NULL: it has none there. */
static const char *string_at(const struct elf *elf, uint64_t addr)
{
	for (unsigned i = 0; i < elf->head->e_phnum; i++) {
		const Elf64_Phdr *s = &elf->segment[i];
		const uint64_t at = addr - s->p_vaddr + s->p_offset;

		if (s->p_type == PT_LOAD && addr >= s->p_vaddr && addr - s->p_vaddr < s->p_filesz &&
		    at < elf->len && memchr(elf->bytes + at, 0, elf->len - at))
			return elf->bytes + at;
	}
	return NULL;
}

/* ---- Libraries ------------------------------------------------------------------------------- */

static const struct {
	uint16_t machine;
	const char *directory;
} places[] = {
	{EM_X86_64, "/lib/x86_64-linux-gnu"},
	{EM_X86_64, "/usr/lib/x86_64-linux-gnu"},
	{EM_X86_64, "/lib64"},
	{EM_X86_64, "/lib"},
	{EM_AARCH64, "/usr/aarch64-linux-gnu/lib"},
	{EM_AARCH64, "/lib/aarch64-linux-gnu"},
	{EM_RISCV, "/usr/riscv64-linux-gnu/lib"},
	{EM_RISCV, "/lib/riscv64-linux-gnu"},
};

static bool pack_elf(struct pack *pack, const char *from, const char *name);

static bool pack_library(struct pack *pack, const char *library)
{
	char from[512], name[300];

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		if (places[i].machine != pack->machine)
			continue;
		snprintf(from, sizeof(from), "%s/%s", places[i].directory, library);
		snprintf(name, sizeof(name), "lib/%s", library);
		if (pack_machine(from) == pack->machine)
			return pack_elf(pack, from, name);
	}
	return failed(library, "a library that the program needs is not found on this machine");
}

/* /lib64/ld-linux-x86-64.so.2 of a program is that file on the host, or one of that name. */
static bool pack_interpreter(struct pack *pack, const char *path)
{
	const char *last = strrchr(path, '/');
	char from[512];

	if (pack_machine(path) == pack->machine)
		return pack_file(pack, path, path + 1);
	for (size_t i = 0; last && i < sizeof(places) / sizeof(places[0]); i++) {
		if (places[i].machine != pack->machine)
			continue;
		snprintf(from, sizeof(from), "%s%s", places[i].directory, last);
		if (pack_machine(from) == pack->machine)
			return pack_file(pack, from, path + 1);
	}
	return failed(path, "the program's interpreter is not found on this machine");
}

static bool pack_needed(struct pack *pack, const struct elf *elf)
{
	const Elf64_Phdr *dynamic = segment_of(elf, PT_DYNAMIC);
	const Elf64_Dyn *entry = dynamic ? (const void *)(elf->bytes + dynamic->p_offset) : NULL;
	const size_t n = dynamic ? dynamic->p_filesz / sizeof(*entry) : 0;
	uint64_t strings = 0;

	for (size_t i = 0; i < n && entry[i].d_tag != DT_NULL; i++)
		if (entry[i].d_tag == DT_STRTAB)
			strings = entry[i].d_un.d_ptr;
	for (size_t i = 0; i < n && entry[i].d_tag != DT_NULL; i++) {
		const char *library;

		if (entry[i].d_tag != DT_NEEDED)
			continue;
		library = string_at(elf, strings + entry[i].d_un.d_val);
		if (library && !pack_library(pack, library))
			return false;
	}
	return true;
}

static bool pack_elf(struct pack *pack, const char *from, const char *name)
{
	const Elf64_Phdr *s;
	struct elf elf;
	bool done;

	for (unsigned i = 0; i < pack->nseen; i++)
		if (strcmp(pack->seen[i], name) == 0)
			return true;
	if (!pack_file(pack, from, name))
		return false;
	if (!elf_open(&elf, from))
		return failed(from, strerror(errno));
	done = pack_needed(pack, &elf);
	s = segment_of(&elf, PT_INTERP);
	if (done && s && s->p_filesz > 1 && elf.bytes[s->p_offset + s->p_filesz - 1] == 0)
		done = pack_interpreter(pack, elf.bytes + s->p_offset);
	free(elf.bytes);
	return done;
}

bool pack_program(struct pack *pack, const char *from, const char *name)
{
	return pack_elf(pack, from, name);
}
