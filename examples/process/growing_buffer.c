/* growing_buffer.c - a buffer that grows by mremap(2): a log is collected line by line, and not one
 * byte of it is copied when it becomes longer.
 *
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "vas/process.h"

struct buffer {
	char *bytes;
	size_t len, room;
};

static int buffer_open(struct buffer *buffer)
{
	buffer->len = 0;
	buffer->room = 4096;
	buffer->bytes = vas_mmap_host(NULL, buffer->room, PROT_READ | PROT_WRITE,
	                              MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return buffer->bytes == MAP_FAILED ? -1 : 0;
}

/* On failure the buffer is as it was. */
static int buffer_append(struct buffer *buffer, const void *bytes, size_t len)
{
	if (buffer->room - buffer->len < len) {
		size_t room = buffer->room;
		void *moved;

		while (room - buffer->len < len)
			room *= 2;
		moved = vas_mremap_host(buffer->bytes, buffer->room, room, MREMAP_MAYMOVE);
		if (moved == MAP_FAILED)
			return -1;
		buffer->bytes = moved;
		buffer->room = room;
	}
	memcpy(buffer->bytes + buffer->len, bytes, len);
	buffer->len += len;
	return 0;
}

static void buffer_close(struct buffer *buffer)
{
	vas_munmap_host(buffer->bytes, buffer->room);
}

int main(void)
{
	struct vas_process_stats stats;
	struct buffer log;
	char line[64];
	size_t total = 0;

	if (buffer_open(&log) != 0)
		return 1;
	for (unsigned i = 0; i < 500000; i++) {
		int len = snprintf(line, sizeof(line), "%07u: something happened\n", i);

		if (buffer_append(&log, line, (size_t)len) != 0)
			return 1;
		total += (size_t)len;
	}
	if (log.len != total || memcmp(log.bytes + log.len - 28, "0499999", 7) != 0)
		return 1;
	vas_process_stats(&stats);
	printf("%zu bytes in %zu; %llu moves\n", log.len, log.room,
	       (unsigned long long)stats.moves);
	buffer_close(&log);
	return stats.moves <= 4 ? 0 : 1;
}
