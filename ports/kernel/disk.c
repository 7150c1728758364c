/* disk.c - a virtio block device behind QEMU's memory-mapped transport.
 *
 * Reference: Virtual I/O Device (VIRTIO) Version 1.1, 2.6 (split virtqueues), 4.2 (MMIO), 5.2.
 *
 * SPDX-License-Identifier: MIT */
#include "kernel.h"

enum {
	MAGIC = 0x000,
	VERSION = 0x004,
	DEVICE = 0x008,
	FEATURES_SELECT = 0x024,
	FEATURES = 0x020,
	DEVICE_FEATURES_SELECT = 0x014,
	QUEUE_SELECT = 0x030,
	QUEUE_SIZE = 0x038,
	QUEUE_READY = 0x044,
	NOTIFY = 0x050,
	STATUS = 0x070,
	QUEUE_TABLE = 0x080,
	QUEUE_AVAILABLE = 0x090,
	QUEUE_USED = 0x0a0,
	CAPACITY = 0x100
};
enum { TABLE_NEXT = 1, TABLE_WRITE = 2 };
#define QUEUE 4u

static struct {
	struct {
		uint64_t at;
		uint32_t len;
		uint16_t flags, next;
	} table[QUEUE];
	uint16_t available[2 + QUEUE + 1];
	struct {
		uint16_t flags, index;
		struct {
			uint32_t id, len;
		} ring[QUEUE];
	} used __attribute__((aligned(8)));
	struct {
		uint32_t type, reserved;
		uint64_t sector;
	} request;
	uint8_t status;
	uint8_t page[4096] __attribute__((aligned(4096)));
} *q;
static volatile uint32_t *base;
static uint64_t sectors;
static uint32_t disk_lock;

static void set(unsigned reg, uint64_t value)
{
	base[reg / 4] = (uint32_t)value;
}

static void set64(unsigned reg, const void *memory)
{
	set(reg, phys_of(memory));
	set(reg + 4, phys_of(memory) >> 32);
}

static bool device_init(void)
{
	set(STATUS, 0);
	set(STATUS, 1 | 2); /* seen, has a driver */
	set(DEVICE_FEATURES_SELECT, 1);
	set(FEATURES_SELECT, 1);
	set(FEATURES, 1); /* VIRTIO_F_VERSION_1 */
	set(FEATURES_SELECT, 0);
	set(FEATURES, 0);
	set(STATUS, 1 | 2 | 8);
	if (!(base[STATUS / 4] & 8))
		return false;
	q = kmalloc(sizeof(*q) + 4096);
	if (!q)
		return false;
	q = (void *)(((uintptr_t)q + 4095) & ~(uintptr_t)4095);
	set(QUEUE_SELECT, 0);
	set(QUEUE_SIZE, QUEUE);
	set64(QUEUE_TABLE, q->table);
	set64(QUEUE_AVAILABLE, q->available);
	set64(QUEUE_USED, &q->used);
	set(QUEUE_READY, 1);
	set(STATUS, 1 | 2 | 4 | 8);
	sectors = base[CAPACITY / 4] | (uint64_t)base[CAPACITY / 4 + 1] << 32;
	return true;
}

bool disk_init(void)
{
	for (unsigned i = 0; i < ARCH_VIRTIO_COUNT; i++) {
		base = (volatile uint32_t *)direct_map(ARCH_VIRTIO + i * ARCH_VIRTIO_STEP);
		if (base[MAGIC / 4] == 0x74726976 && base[VERSION / 4] == 2 &&
		    base[DEVICE / 4] == 2)
			return device_init();
	}
	return false;
}

uint64_t disk_size(void)
{
	return sectors * 512;
}

static void describe(unsigned i, void *memory, uint32_t len, uint16_t flags)
{
	q->table[i].at = phys_of(memory);
	q->table[i].len = len;
	q->table[i].flags = flags;
	q->table[i].next = (uint16_t)(i + 1);
}

/* Reads or writes a page, what lies behind the disk's end as zeros. vas calls it with a space
 * locked, so it polls the device. */
int64_t disk_io(uint64_t index, void *page, bool write)
{
	uint64_t left = disk_size() - index * PAGE;
	const uint32_t len = index * PAGE >= disk_size() ? 0
	                                                 : (uint32_t)(left < PAGE ? left : PAGE);
	int64_t err;

	if (len == 0)
		return 0;
	while (__atomic_exchange_n(&disk_lock, 1, __ATOMIC_ACQUIRE))
		cpu_relax();
	q->request.type = write;
	q->request.sector = index * (PAGE / 512);
	q->status = 255;
	if (write)
		memcpy(q->page, page, len);
	describe(0, &q->request, sizeof(q->request), TABLE_NEXT);
	describe(1, q->page, len, (uint16_t)(TABLE_NEXT | (write ? 0 : TABLE_WRITE)));
	describe(2, &q->status, 1, TABLE_WRITE);
	q->available[2 + q->available[1] % QUEUE] = 0;
	__atomic_store_n(&q->available[1], (uint16_t)(q->available[1] + 1), __ATOMIC_RELEASE);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	set(NOTIFY, 0);
	while (__atomic_load_n(&q->used.index, __ATOMIC_ACQUIRE) != q->available[1])
		cpu_relax();
	if (!write)
		memcpy(page, q->page, len);
	err = q->status ? -VAS_EIO : 0;
	__atomic_store_n(&disk_lock, 0, __ATOMIC_RELEASE);
	return err;
}
