/* exec.c - execve(2): from an ELF file to a space of vas in which it can run.
 *
 * The new space is complete before the old one is let go, so what fails leaves the caller as it
 * was. Where things lie is what Linux does without randomisation.
 *
 * References: elf(5), execve(2), the System V ABI (process initialisation), getauxval(3).
 *
 * SPDX-License-Identifier: MIT */
#include "kernel.h"

enum { ET_EXEC = 2, ET_DYN = 3, PT_LOAD = 1, PT_INTERP = 3, PT_PHDR = 6 };
enum {
	AT_NULL,
	AT_PHDR = 3,
	AT_PHENT,
	AT_PHNUM,
	AT_PAGESZ,
	AT_BASE,
	AT_FLAGS,
	AT_ENTRY,
	AT_UID = 11,
	AT_EUID,
	AT_GID,
	AT_EGID,
	AT_PLATFORM,
	AT_HWCAP,
	AT_CLKTCK,
	AT_SECURE = 23,
	AT_RANDOM = 25,
	AT_EXECFN = 31
};
#define MAX_HEADERS 32
#define STACK_LEN (34 * PAGE) /* at first; it grows */
#define STRINGS_MAX (128 * 1024)
#define MAX_STRINGS 1024

struct elf_header {
	uint8_t ident[16];
	uint16_t type, machine;
	uint32_t version;
	uint64_t entry, phoff, shoff;
	uint32_t flags;
	uint16_t ehsize, phentsize, phnum, rest[3];
};

struct elf_segment {
	uint32_t type, flags;
	uint64_t offset, vaddr, paddr, filesz, memsz, align;
};

struct image {
	struct file *file;
	struct elf_header head;
	struct elf_segment segment[MAX_HEADERS];
	uint64_t bias, start, end; /* of what is loaded, bias included */
	char interpreter[128];
};

/* What becomes the words and strings of the first stack. */
struct strings {
	char *bytes;
	size_t len;
	unsigned argc, envc;
};

static int64_t image_read(struct image *im, const char *path)
{
	int64_t err;
	struct node *n = node_find(current()->process->cwd, path, true, &err);

	if (!n)
		return err;
	if (n->kind != NODE_FILE)
		return -EACCES;
	if (!(n->mode & 0111))
		return -EACCES;
	err = file_open(n, 0, &im->file);
	if (err)
		return err;
	struct elf_header *h = &im->head;
	if (node_read(n, 0, h, sizeof(*h)) != (int64_t)sizeof(*h) ||
	    memcmp(h->ident, "\177ELF\2\1", 6) || h->machine != ARCH_ELF ||
	    (h->type != ET_EXEC && h->type != ET_DYN) || h->phnum > MAX_HEADERS ||
	    h->phentsize != sizeof(struct elf_segment))
		return -ENOEXEC;
	const size_t len = h->phnum * sizeof(im->segment[0]);
	if (node_read(n, h->phoff, im->segment, len) != (int64_t)len)
		return -ENOEXEC;
	im->start = ~(uint64_t)0;
	for (unsigned i = 0; i < h->phnum; i++) {
		const struct elf_segment *s = &im->segment[i];

		if (s->type == PT_INTERP) {
			if (s->filesz >= sizeof(im->interpreter) ||
			    node_read(n, s->offset, im->interpreter, s->filesz) !=
			            (int64_t)s->filesz)
				return -ENOEXEC;
		}
		if (s->type != PT_LOAD)
			continue;
		if (s->filesz > s->memsz || s->vaddr + s->memsz < s->vaddr ||
		    s->vaddr + s->memsz >> 47 || (s->vaddr - s->offset) % PAGE)
			return -ENOEXEC;
		if (s->vaddr < im->start)
			im->start = s->vaddr - s->vaddr % PAGE;
		if (s->vaddr + s->memsz > im->end)
			im->end = s->vaddr + s->memsz;
	}
	return im->end ? 0 : -ENOEXEC;
}

static void image_move(struct image *im, uint64_t bias)
{
	im->bias = bias;
	im->start += bias;
	im->end += bias;
}

static uint64_t prot_of(const struct elf_segment *s)
{
	return (s->flags & 4 ? VAS_PROT_READ : 0) | (s->flags & 2 ? VAS_PROT_WRITE : 0) |
	       (s->flags & 1 ? VAS_PROT_EXEC : 0);
}

/* The file's part of a segment, the rest of its last page as zeros, and pages of zeros after it. */
static int64_t segment_load(struct image *im, struct vas *space, const struct elf_segment *s)
{
	const uint64_t fixed = VAS_MAP_PRIVATE | VAS_MAP_FIXED;
	const uint64_t at = im->bias + s->vaddr, page = at - at % PAGE;
	const uint64_t file_end = at + s->filesz, end = (at + s->memsz + PAGE - 1) & ~(PAGE - 1);
	const uint64_t file_page_end = s->filesz ? (file_end + PAGE - 1) & ~(PAGE - 1) : page;
	static const uint8_t zeros[4096];
	int64_t err = 0;

	if (s->filesz) {
		struct vas_file *mapped = file_mapping(im->file, &err);

		if (mapped)
			err = vas_mmap(space, page, file_page_end - page, prot_of(s), fixed, mapped,
			               s->offset - s->vaddr % PAGE);
		if (err < 0)
			return err;
		if (s->memsz > s->filesz && file_end % PAGE && s->flags & 2)
			err = vas_write(space, file_end, zeros, PAGE - file_end % PAGE, NULL);
		if (err < 0)
			return err;
	}
	if (end > file_page_end)
		err = vas_mmap(space, file_page_end, end - file_page_end, prot_of(s),
		               fixed | VAS_MAP_ANONYMOUS, NULL, 0);
	return err < 0 ? err : 0;
}

static int64_t image_load(struct image *im, struct vas *space)
{
	for (unsigned i = 0; i < im->head.phnum; i++) {
		int64_t err = im->segment[i].type == PT_LOAD
		                      ? segment_load(im, space, &im->segment[i])
		                      : 0;

		if (err)
			return err;
	}
	return 0;
}

/* Linux puts an interpreter where mmap puts what has no address. */
static int64_t interpreter_load(struct image *im, struct vas *space)
{
	const uint64_t len = (im->end - im->start + PAGE - 1) & ~(PAGE - 1);
	int64_t base = vas_mmap(space, 0, len, VAS_PROT_NONE, VAS_MAP_PRIVATE | VAS_MAP_ANONYMOUS,
	                        NULL, 0);

	if (base < 0)
		return base;
	vas_munmap(space, (uint64_t)base, len);
	image_move(im, (uint64_t)base - im->start);
	return image_load(im, space);
}

/* ---- The first stack ------------------------------------------------------------------------- */

static int64_t push(struct vas *space, uint64_t *sp, const void *bytes, size_t len)
{
	*sp -= len;
	return vas_write(space, *sp, bytes, len, NULL);
}

static uint64_t program_headers(const struct image *im)
{
	for (unsigned i = 0; i < im->head.phnum; i++)
		if (im->segment[i].type == PT_PHDR)
			return im->bias + im->segment[i].vaddr;
	return im->start + im->head.phoff;
}

static int64_t stack_fill(struct vas *space, const struct image *program,
                          const struct image *interpreter, const struct strings *strings,
                          const char *path, uint64_t *sp)
{
	static uint64_t words[MAX_STRINGS + 64]; /* the big lock is held */
	unsigned n = 0;
	uint64_t random[2] = {arch_clock(), ~arch_clock()}, name, platform, random_at, at;

	if (push(space, sp, &(uint64_t){0}, 8) || push(space, sp, path, strlen(path) + 1))
		return -ENOMEM;
	name = *sp;
	if (push(space, sp, strings->bytes, strings->len))
		return -ENOMEM;
	at = *sp;
	if (push(space, sp, ARCH_MACHINE, sizeof(ARCH_MACHINE)))
		return -ENOMEM;
	platform = *sp;
	if (push(space, sp, random, sizeof(random)))
		return -ENOMEM;
	random_at = *sp;
	words[n++] = strings->argc;
	for (unsigned i = 0; i < strings->argc + strings->envc; i++) {
		if (i == strings->argc)
			words[n++] = 0;
		words[n++] = at;
		while (strings->bytes[at - *sp - (platform - *sp) - sizeof(ARCH_MACHINE)])
			at++;
		at++;
	}
	if (!strings->envc)
		words[n++] = 0;
	words[n++] = 0;
	const uint64_t aux[][2] = {
		{AT_HWCAP, ARCH_HWCAP},
		{AT_PAGESZ, PAGE},
		{AT_CLKTCK, 100},
		{AT_PHDR, program_headers(program)},
		{AT_PHENT, sizeof(struct elf_segment)},
		{AT_PHNUM, program->head.phnum},
		{AT_BASE, interpreter ? interpreter->bias : 0},
		{AT_FLAGS, 0},
		{AT_ENTRY, program->bias + program->head.entry},
		{AT_UID, 0},
		{AT_EUID, 0},
		{AT_GID, 0},
		{AT_EGID, 0},
		{AT_SECURE, 0},
		{AT_RANDOM, random_at},
		{AT_EXECFN, name},
		{AT_PLATFORM, platform},
		{AT_NULL, 0},
	};
	memcpy(words + n, aux, sizeof(aux));
	n += sizeof(aux) / 8;
	*sp = ((*sp - n * 8) & ~(uint64_t)15) + n * 8;
	return push(space, sp, words, n * 8);
}

static int64_t trampoline_map(struct vas *space)
{
	static struct node *page;
	static struct file *file;
	int64_t err = 0;

	if (!ARCH_NEEDS_TRAMPOLINE)
		return 0;
	if (!page) {
		page = node_create(root_dir, "[vdso]", NODE_FILE, 0100555);
		if (!page || file_open(page, 0, &file) ||
		    node_write(page, 0, arch_sigreturn, arch_sigreturn_len) < 0)
			return -ENOMEM;
	}
	struct vas_file *mapped = file_mapping(file, &err);
	if (mapped)
		err = vas_mmap(space, ARCH_SIGRETURN, PAGE, VAS_PROT_READ | VAS_PROT_EXEC,
		               VAS_MAP_PRIVATE | VAS_MAP_FIXED, mapped, 0);
	return err < 0 ? err : 0;
}

static int64_t space_build(struct image *program, struct image *interpreter,
                           const struct strings *strings, const char *path, struct mm **mm,
                           uint64_t *sp)
{
	struct vas_params params;
	int64_t err;

	vas_params_default(&params);
	if (current()->process->mm)
		for (unsigned i = 0; i < VAS_NRLIMITS; i++)
			params.limit[i] = vas_get_limit(current()->process->mm->space,
			                                (enum vas_rlimit)i);
	if (program->head.type == ET_DYN)
		image_move(program, ARCH_PIE_BASE - program->start);
	params.start_brk = (program->end + PAGE - 1) & ~(PAGE - 1);
	params.start_stack = ARCH_STACK_TOP - PAGE;
	err = mm_create(&params, mm);
	if (err)
		return err;
	struct vas *space = (*mm)->space;
	err = vas_mmap(space, ARCH_STACK_TOP - STACK_LEN, STACK_LEN, VAS_PROT_READ | VAS_PROT_WRITE,
	               VAS_MAP_PRIVATE | VAS_MAP_ANONYMOUS | VAS_MAP_FIXED | VAS_MAP_GROWSDOWN,
	               NULL, 0);
	if (err >= 0)
		err = image_load(program, space);
	if (!err && interpreter)
		err = interpreter_load(interpreter, space);
	if (!err)
		err = trampoline_map(space);
	*sp = ARCH_STACK_TOP;
	if (!err)
		err = stack_fill(space, program, interpreter, strings, path, sp);
	if (err) {
		mm_put(*mm);
		return err < 0 ? err : -ENOMEM;
	}
	(*mm)->executable = program->file;
	program->file->users++;
	return 0;
}

/* From here on nothing fails. */
static void become(struct mm *mm, const char *path, uint64_t pc, uint64_t sp)
{
	struct thread *t = current();
	struct process *p = t->process;
	struct mm *old = p->mm;
	const char *name = path;

	for (const char *c = path; *c; c++)
		if (*c == '/')
			name = c + 1;
	memset(p->name, 0, sizeof(p->name));
	memcpy(p->name, name, strlen(name) < 15 ? strlen(name) : 15);
	p->mm = mm;
	mm_load(mm);
	if (old)
		mm_put(old);
	for (int fd = 0; fd < MAX_FILES; fd++)
		if (p->close_on_exec >> fd & 1)
			fd_close(fd);
	p->close_on_exec = 0;
	for (unsigned i = 1; i <= NSIG; i++)
		if (p->action[i].handler != 1)
			p->action[i] = (struct signal_action){0};
	t->altstack_len = t->clear_tid = 0;
	t->tid = p->pid;
	if (p->vforked) {
		p->vforked = false;
		wake(&p->vforked);
	}
	arch_user_regs(t->regs, pc, sp);
}

static int64_t exec_elf(const char *path, const struct strings *strings, struct image *program,
                        struct image *interpreter)
{
	struct image *loader = NULL;
	struct mm *mm;
	uint64_t sp;
	int64_t err = image_read(program, path);

	if (!err && program->interpreter[0]) {
		loader = interpreter;
		err = image_read(loader, program->interpreter);
		if (!err && loader->head.type != ET_DYN)
			err = -ENOEXEC;
	}
	if (!err)
		err = space_build(program, loader, strings, path, &mm, &sp);
	if (!err)
		become(mm, path,
		       (loader ? loader : program)->bias + (loader ? loader : program)->head.entry,
		       sp);
	return err;
}

/* Under the big lock. `strings` are argv, then envp, one after the other. */
static int64_t exec_strings(const char *path, const struct strings *strings)
{
	struct image *images = kmalloc(2 * sizeof(*images));
	int64_t err;

	if (!images)
		return -ENOMEM;
	err = exec_elf(path, strings, &images[0], &images[1]);
	for (unsigned i = 0; i < 2; i++)
		if (images[i].file)
			file_put(images[i].file);
	kfree(images);
	return err;
}

int64_t exec_first(const char *path, char **argv, char **envp)
{
	struct strings strings = {.bytes = kmalloc(STRINGS_MAX)};

	for (; argv[strings.argc]; strings.argc++) {
		memcpy(strings.bytes + strings.len, argv[strings.argc],
		       strlen(argv[strings.argc]) + 1);
		strings.len += strlen(argv[strings.argc]) + 1;
	}
	for (; envp[strings.envc]; strings.envc++) {
		memcpy(strings.bytes + strings.len, envp[strings.envc],
		       strlen(envp[strings.envc]) + 1);
		strings.len += strlen(envp[strings.envc]) + 1;
	}
	int64_t err = exec_strings(path, &strings);
	kfree(strings.bytes);
	return err;
}

static int64_t strings_in(struct strings *s, uint64_t list, unsigned *count)
{
	for (; list; list += 8) {
		uint64_t at;
		int64_t len;

		if (copy_in(&at, list, 8))
			return -EFAULT;
		if (!at)
			break;
		len = copy_string(s->bytes + s->len, at, STRINGS_MAX - s->len);
		if (len == -ENAMETOOLONG || s->argc + s->envc == MAX_STRINGS)
			return -E2BIG;
		if (len < 0)
			return len;
		s->len += (size_t)len + 1;
		++*count;
	}
	return 0;
}

/* "#!interpreter argument": the strings become those of the interpreter. */
static int64_t script(char path[256], struct strings *s)
{
	char line[256] = "", *word = line + 2, *argument, *end;
	int64_t err;

	big_lock();
	struct node *n = node_find(current()->process->cwd, path, true, &err);
	const int64_t got = n && n->kind == NODE_FILE ? node_read(n, 0, line, sizeof(line) - 1) : 0;
	big_unlock();
	if (got < 3 || line[0] != '#' || line[1] != '!')
		return 0;
	end = strchr(line, '\n');
	if (!end)
		return -ENOEXEC;
	*end = 0;
	while (*word == ' ')
		word++;
	argument = strchr(word, ' ');
	if (argument)
		*argument++ = 0;
	const size_t first = strlen(s->bytes) + 1;
	const char *words[3] = {word, argument, path};
	char *rest = kmalloc(s->len + 1);
	if (!rest)
		return -ENOMEM;
	const size_t rest_len = s->len - (s->argc ? first : 0);
	memcpy(rest, s->bytes + (s->argc ? first : 0), rest_len);
	s->len = 0;
	s->argc += (argument ? 3u : 2u) - (s->argc ? 1 : 0);
	for (unsigned i = 0; i < 3; i++)
		if (words[i]) {
			memcpy(s->bytes + s->len, words[i], strlen(words[i]) + 1);
			s->len += strlen(words[i]) + 1;
		}
	err = s->len + rest_len > STRINGS_MAX ? -E2BIG : 0;
	if (!err)
		memcpy(s->bytes + s->len, rest, rest_len);
	s->len += rest_len;
	kfree(rest);
	memmove(path, word, strlen(word) + 1);
	return err;
}

SYSCALL(execve)
{
	char path[256];
	struct strings strings = {.bytes = kmalloc(STRINGS_MAX)};
	int64_t err = copy_string(path, a[0], sizeof(path));

	if (!strings.bytes)
		return -ENOMEM;
	if (err >= 0)
		err = strings_in(&strings, a[1], &strings.argc);
	if (!err)
		err = strings_in(&strings, a[2], &strings.envc);
	if (!err)
		err = script(path, &strings);
	if (!err) {
		process_kill_others();
		big_lock();
		err = exec_strings(path, &strings);
		big_unlock();
	}
	kfree(strings.bytes);
	return err ? err : REGS_ARE_SET;
}
