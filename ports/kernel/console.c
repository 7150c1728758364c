/* console.c - the serial line as a terminal: lines are edited and echoed until Enter is pressed.
 *
 * SPDX-License-Identifier: MIT */
#include "kernel.h"

enum { ICANON = 2, ECHO = 8, ISIG = 1 };
enum {
	TCGETS = 0x5401,
	TCSETS,
	TCSETSW,
	TCSETSF,
	TIOCGPGRP = 0x540f,
	TIOCSPGRP,
	TIOCGWINSZ = 0x5413,
	FIONREAD = 0x541b
};

static struct {
	char bytes[1024];
	size_t len, lines; /* what can be read: whole lines, or all of it if they are not edited */
	int foreground;
} line = {.foreground = 1};
static struct {
	uint32_t in, out, control, local;
	uint8_t discipline, chars[19];
} modes = {0x500, 5, 0xbf, 0x8a3b, 0, {3, 28, 127, 21, 4}};

bool console_at_start = true;

void console_put(char c)
{
	arch_putc(c);
	console_at_start = c == '\n';
}

static void echo(char c)
{
	if (modes.local & ECHO)
		console_put(c);
}

static void interrupt(void)
{
	for (struct process *p = processes; p; p = p->next)
		if (p->pgid == line.foreground)
			signal_process(p, SIGINT);
}

static void type(char c)
{
	if (c == '\r')
		c = '\n';
	if (modes.local & ISIG && c == 3) {
		interrupt();
		return;
	}
	if (modes.local & ICANON && (c == 127 || c == 8)) {
		if (line.len > line.lines) {
			line.len--;
			echo('\b'), echo(' '), echo('\b');
		}
		return;
	}
	if (line.len == sizeof(line.bytes))
		return;
	line.bytes[line.len++] = c;
	if (c == '\n')
		echo('\r');
	if (c != 4)
		echo(c);
	if (!(modes.local & ICANON) || c == '\n' || c == 4)
		line.lines = line.len;
	if (line.lines)
		wake(&line);
}

/* Under the big lock, by the first CPU's clock. */
void console_poll(void)
{
	int c;

	while ((c = arch_getc()) >= 0)
		type((char)c);
}

bool console_is_ready(void)
{
	return line.lines > 0;
}

int64_t console_read(uint64_t to, size_t len, bool wait)
{
	size_t n = 0;

	while (line.lines == 0) {
		if (!wait)
			return -EAGAIN;
		if (interrupted())
			return -ERESTART;
		sleep_on(&line);
	}
	while (n < line.lines && n < len && line.bytes[n] != 4 &&
	       (n == 0 || line.bytes[n - 1] != '\n'))
		n++;
	if (copy_out(to, line.bytes, n))
		return -EFAULT;
	const size_t gone = n < line.lines && line.bytes[n] == 4 && n == 0 ? 1 : n;
	memmove(line.bytes, line.bytes + gone, line.len - gone);
	line.len -= gone;
	line.lines -= gone;
	return (int64_t)n;
}

int64_t console_write(uint64_t from, size_t len)
{
	char part[128];

	for (size_t done = 0; done < len; done += sizeof(part)) {
		const size_t n = len - done < sizeof(part) ? len - done : sizeof(part);

		if (copy_in(part, from + done, n))
			return done ? (int64_t)done : -EFAULT;
		for (size_t i = 0; i < n; i++)
			console_put(part[i]);
	}
	return (int64_t)len;
}

int64_t console_control(uint64_t what, uint64_t arg)
{
	const uint16_t window[4] = {24, 80};
	int32_t n;

	switch (what) {
	case TCGETS:
		return copy_out(arg, &modes, 36);
	case TCSETS:
	case TCSETSW:
	case TCSETSF:
		return copy_in(&modes, arg, 36);
	case TIOCGWINSZ:
		return copy_out(arg, window, sizeof(window));
	case TIOCGPGRP:
		return copy_out(arg, &line.foreground, 4);
	case TIOCSPGRP:
		return copy_in(&line.foreground, arg, 4);
	case FIONREAD:
		n = (int32_t)line.lines;
		return copy_out(arg, &n, sizeof(n));
	}
	return -ENOTTY;
}
