/* library.c - what a compiler expects of a C library, printing, and the kernel's own small memory.
 *
 * SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include "kernel.h"

void *memcpy(void *restrict to, const void *restrict from, size_t len)
{
	uint8_t *t = to;
	const uint8_t *f = from;

	if ((((uintptr_t)t | (uintptr_t)f) & 7) == 0)
		for (; len >= 8; len -= 8, t += 8, f += 8)
			*(uint64_t *)(void *)t = *(const uint64_t *)(const void *)f;
	while (len--)
		*t++ = *f++;
	return to;
}

void *memmove(void *to, const void *from, size_t len)
{
	uint8_t *t = to;
	const uint8_t *f = from;

	if (t <= f || t >= f + len)
		return memcpy(to, from, len);
	while (len--)
		t[len] = f[len];
	return to;
}

void *memset(void *to, int byte, size_t len)
{
	uint8_t *t = to;
	uint64_t word = (uint8_t)byte * (uint64_t)0x0101010101010101;

	for (; len && ((uintptr_t)t & 7); len--)
		*t++ = (uint8_t)byte;
	for (; len >= 8; len -= 8, t += 8)
		*(uint64_t *)(void *)t = word;
	while (len--)
		*t++ = (uint8_t)byte;
	return to;
}

int memcmp(const void *a, const void *b, size_t len)
{
	const uint8_t *x = a, *y = b;

	for (; len--; x++, y++)
		if (*x != *y)
			return *x - *y;
	return 0;
}

size_t strlen(const char *s)
{
	size_t len = 0;

	while (s[len])
		len++;
	return len;
}

int strcmp(const char *a, const char *b)
{
	while (*a && *a == *b)
		a++, b++;
	return (uint8_t)*a - (uint8_t)*b;
}

int strncmp(const char *a, const char *b, size_t len)
{
	for (; len; len--, a++, b++)
		if (*a != *b || !*a)
			return (uint8_t)*a - (uint8_t)*b;
	return 0;
}

char *strchr(const char *s, int c)
{
	for (;; s++) {
		if (*s == (char)c)
			return (char *)(uintptr_t)s;
		if (!*s)
			return NULL;
	}
}

/* ---- Text ------------------------------------------------------------------------------------ */

struct writer {
	char *to;
	size_t size, len;
};

static void put(struct writer *w, char c)
{
	if (w->len + 1 < w->size)
		w->to[w->len] = c;
	w->len++;
}

static void put_number(struct writer *w, uint64_t n, unsigned base, int width, char fill)
{
	char digits[24];
	int len = 0;

	do {
		digits[len++] = "0123456789abcdef"[n % base];
		n /= base;
	} while (n);
	for (; width > len; width--)
		put(w, fill);
	while (len)
		put(w, digits[--len]);
}

static void put_string(struct writer *w, const char *s, int width)
{
	int len = 0;

	for (; s && s[len]; len++)
		put(w, s[len]);
	for (; len < width; len++)
		put(w, ' ');
}

/* %d %u %x %o %s %c with l, a width, a leading 0. Returns the length without the final NUL. */
size_t format_text(char *to, size_t size, const char *format, va_list args)
{
	struct writer w = {to, size, 0};

	for (; *format; format++) {
		if (*format != '%') {
			put(&w, *format);
			continue;
		}
		char fill = *++format == '0' ? '0' : ' ';
		int width = 0;
		bool wide = false;
		for (; *format >= '0' && *format <= '9'; format++)
			width = width * 10 + (*format - '0');
		for (; *format == 'l'; format++)
			wide = true;
		if (*format == 's') {
			put_string(&w, va_arg(args, const char *), width);
		} else if (*format == 'c') {
			put(&w, (char)va_arg(args, int));
		} else if (*format == 'd') {
			int64_t n = wide ? va_arg(args, long) : va_arg(args, int);

			if (n < 0)
				put(&w, '-');
			put_number(&w, n < 0 ? -(uint64_t)n : (uint64_t)n, 10, width, fill);
		} else if (*format == 'u' || *format == 'x' || *format == 'o') {
			uint64_t n = wide ? va_arg(args, unsigned long) : va_arg(args, unsigned);

			put_number(&w, n,
			           *format == 'u'   ? 10
			           : *format == 'x' ? 16
			                            : 8,
			           width, fill);
		} else {
			put(&w, *format);
		}
	}
	if (size)
		to[w.len < size ? w.len : size - 1] = 0;
	return w.len;
}

void print(const char *format, ...)
{
	char line[256];
	va_list args;

	va_start(args, format);
	format_text(line, sizeof(line), format, args);
	va_end(args);
	for (const char *c = line; *c; c++)
		console_put(*c);
}

void text_add(struct text *out, const char *bytes, size_t len)
{
	if (out->len + len > out->size) {
		size_t size = (out->len + len) * 2 + 256;
		char *grown = kmalloc(size);

		if (!grown)
			return; /* a report cut short, as by a reader with a small buffer */
		memcpy(grown, out->bytes, out->len);
		kfree(out->bytes);
		out->bytes = grown;
		out->size = size;
	}
	memcpy(out->bytes + out->len, bytes, len);
	out->len += len;
}

void text_print(struct text *out, const char *format, ...)
{
	char line[256];
	va_list args;

	va_start(args, format);
	size_t len = format_text(line, sizeof(line), format, args);
	va_end(args);
	text_add(out, line, len < sizeof(line) ? len : sizeof(line) - 1);
}

/* ---- The kernel's own memory: blocks of powers of two, never given back to anyone ------------ */

#define BLOCK_MIN 5 /* 32 bytes, 16 of them the head */
#define BLOCK_KINDS 24

struct block {
	struct block *next; /* free */
	uint64_t kind;
};

static struct block *blocks[BLOCK_KINDS];
static uint64_t arena, arena_end, arena_used;
static uint32_t arena_lock;

void kmalloc_init(uint64_t start, uint64_t end)
{
	arena = start;
	arena_end = end;
}

static struct block *block_take(unsigned kind)
{
	const uint64_t size = (uint64_t)1 << (kind + BLOCK_MIN);
	struct block *b = blocks[kind];

	if (b) {
		blocks[kind] = b->next;
		return b;
	}
	if (arena_end - arena < size)
		return NULL;
	b = direct_map(arena);
	arena += size;
	return b;
}

void *kmalloc(size_t len)
{
	unsigned kind = 0;

	while (((uint64_t)1 << (kind + BLOCK_MIN)) < len + sizeof(struct block))
		if (++kind == BLOCK_KINDS)
			return NULL;
	while (__atomic_exchange_n(&arena_lock, 1, __ATOMIC_ACQUIRE))
		cpu_relax();
	struct block *b = block_take(kind);
	if (b)
		arena_used += (uint64_t)1 << (kind + BLOCK_MIN);
	__atomic_store_n(&arena_lock, 0, __ATOMIC_RELEASE);
	if (!b)
		return NULL;
	memset(b, 0, (size_t)1 << (kind + BLOCK_MIN));
	b->kind = kind;
	return b + 1;
}

void kfree(void *block)
{
	struct block *b = (struct block *)block - 1;

	if (!block)
		return;
	while (__atomic_exchange_n(&arena_lock, 1, __ATOMIC_ACQUIRE))
		cpu_relax();
	b->next = blocks[b->kind];
	blocks[b->kind] = b;
	arena_used -= (uint64_t)1 << (b->kind + BLOCK_MIN);
	__atomic_store_n(&arena_lock, 0, __ATOMIC_RELEASE);
}

uint64_t kmalloc_used(void)
{
	return arena_used;
}
