/* proc.c - /proc: what vas says of a space, as Linux writes it.
 *
 * SPDX-License-Identifier: MIT */
#include "kernel.h"

static struct node *dir;

static void sink(void *ctx, const char *text, size_t len)
{
	text_add(ctx, text, len);
}

static void show_maps(struct process *p, struct text *out)
{
	vas_maps(p->mm->space, sink, out);
}

static void show_smaps(struct process *p, struct text *out)
{
	vas_smaps(p->mm->space, sink, out);
}

static void show_rollup(struct process *p, struct text *out)
{
	vas_smaps_rollup(p->mm->space, sink, out);
}

static void show_status(struct process *p, struct text *out)
{
	text_print(out, "Name:\t%s\nState:\t%s\nTgid:\t%d\nPid:\t%d\nPPid:\t%d\n", p->name,
	           "R (running)", p->pid, p->pid, p->parent ? p->parent->pid : 0);
	vas_status_text(p->mm->space, sink, out);
	text_print(out, "Threads:\t%u\n", p->nthreads);
}

static void show_statm(struct process *p, struct text *out)
{
	struct vas_status s;

	vas_get_status(p->mm->space, &s);
	text_print(out, "%lu 0 0 %lu 0 %lu 0\n", (unsigned long)s.size, (unsigned long)s.exec,
	           (unsigned long)(s.data + s.stack));
}

static void show_comm(struct process *p, struct text *out)
{
	text_print(out, "%s\n", p->name);
}

static void show_stat(struct process *p, struct text *out)
{
	struct vas_status s;

	vas_get_status(p->mm->space, &s);
	/* proc(5) has 52 fields; what this kernel does not count is 0. */
	text_print(out, "%d (%s) R %d %d %d 0 -1 0 0 0 0 0 0 0 0 0 20 0 %u 0 0 %lu 0 %lu", p->pid,
	           p->name, p->parent ? p->parent->pid : 0, p->pgid, p->sid, p->nthreads,
	           (unsigned long)(s.size * PAGE), (unsigned long)VAS_RLIM_INFINITY);
	for (unsigned field = 26; field <= 52; field++)
		text_add(out, " 0", 2);
	text_add(out, "\n", 1);
}

static void show_meminfo(struct process *p, struct text *out)
{
	uint64_t total, left;

	(void)p;
	vas_system_frames(vas_of_kernel, &total, &left);
	text_print(out,
	           "MemTotal: %15lu kB\nMemFree: %16lu kB\nMemAvailable: %11lu kB\nCommitted_AS: "
	           "%11lu kB\n",
	           (unsigned long)(total * 4), (unsigned long)(left * 4), (unsigned long)(left * 4),
	           (unsigned long)(vas_system_committed(vas_of_kernel) * 4));
}

/* Words of entries that are not present look like Linux's: vas_pagemap. */
int64_t proc_pagemap(int pid, uint64_t at, uint64_t to, size_t len)
{
	struct process *p = process_find(pid);
	size_t done = 0;

	if (at % 8 || len % 8)
		return -EINVAL;
	if (!p || !p->mm)
		return 0;
	while (done < len) {
		uint64_t words[64], n = (len - done) / 8;
		int64_t got;

		n = n < ARRAY_LEN(words) ? n : ARRAY_LEN(words);
		if ((at + done) / 8 >= vas_task_size(p->mm->space) / PAGE)
			break;
		got = vas_pagemap(p->mm->space, (at + done) / 8 * PAGE, n, words);
		if (got <= 0)
			break;
		if (copy_out(to + done, words, (size_t)got * 8))
			return -EFAULT;
		done += (size_t)got * 8;
	}
	return (int64_t)done;
}

static void add(struct node *where, int pid, const char *name, uint32_t mode,
                void (*show)(struct process *, struct text *))
{
	struct node *n = node_create(where, name, NODE_PROC, mode);

	if (n) {
		n->pid = pid;
		n->show = show;
	}
}

/* The directory of a process, made when somebody asks for it. */
static struct node *make(const char *name, int pid)
{
	struct node *n = node_create(dir, name, NODE_DIR, 0040555);

	if (!n)
		return NULL;
	n->pid = pid;
	add(n, pid, "maps", 0100444, show_maps);
	add(n, pid, "smaps", 0100444, show_smaps);
	add(n, pid, "smaps_rollup", 0100444, show_rollup);
	add(n, pid, "status", 0100444, show_status);
	add(n, pid, "statm", 0100444, show_statm);
	add(n, pid, "stat", 0100444, show_stat);
	add(n, pid, "comm", 0100444, show_comm);
	add(n, pid, "pagemap", 0100400, NULL);
	add(n, pid, "cmdline", 0100444, show_comm);
	add(n, pid, "exe", 0120777, NULL);
	return n;
}

static bool in_use(const struct node *n)
{
	for (const struct node *child = n->children; child; child = child->next)
		if (child->users)
			return true;
	return n->users != 0 || process_find(n->pid);
}

/* Directories of processes that are gone, and that nobody has open. */
static void clean(void)
{
	struct node **at = &dir->children;

	while (*at) {
		struct node *n = *at;

		if (n->kind != NODE_DIR || in_use(n)) {
			at = &n->next;
			continue;
		}
		*at = n->next;
		while (n->children) {
			struct node *child = n->children;

			n->children = child->next;
			node_free(child);
		}
		node_free(n);
	}
}

struct node *proc_find(const char *name, size_t len)
{
	char text[12] = "";
	int pid = 0;

	clean();
	if (len == 4 && !memcmp(name, "self", 4)) {
		pid = current()->process->pid;
	} else {
		if (len == 0 || len > 9)
			return NULL;
		for (size_t i = 0; i < len; i++) {
			if (name[i] < '0' || name[i] > '9')
				return NULL;
			pid = pid * 10 + (name[i] - '0');
		}
	}
	for (struct node *n = dir->children; n; n = n->next)
		if (n->kind == NODE_DIR && n->pid == pid)
			return n;
	struct process *p = process_find(pid);
	if (!p || p->zombie)
		return NULL;
	unsigned digits = 0;
	for (int rest = pid; rest; rest /= 10)
		digits++;
	for (int rest = pid; rest; rest /= 10)
		text[--digits] = (char)('0' + rest % 10);
	return make(text, pid);
}

void proc_init(void)
{
	dir = node_create(root_dir, "proc", NODE_DIR, 0040555);
	dir->pid = -1;
	add(dir, -2, "meminfo", 0100444, show_meminfo);
}
