/* process.c - the calls of this process: vas decides, its hooks (realize.c) carry out.
 *
 * Memory goes into a part of the address space where nobody maps who was not told to, so that what
 * vas takes for free nearly always is; where it is not (the host has something there that the books
 * do not know), a hook says so, the range is written down as nobody's and the call made again.
 *
 * SPDX-License-Identifier: MIT */
#include "process.h"

/* Above this length what nobody placed gets room to grow: below, room would cost more page tables
 * than the memory has. Neighbours that room keeps apart count against the map limit. */
#define ROOMY_FROM ((uint64_t)128 * 1024)

/* How often a call is made again past something foreign. */
enum { FOREIGN_TRIES = 64 };

static struct process_files first_files;
static struct process first = {.fd = -1, .fail_after = -1, .files = &first_files};
struct process *the_process = &first;

/* ---- The lock -------------------------------------------------------------------------------- */

void process_lock(void)
{
	while (__atomic_exchange_n(&the_process->lock, 1, __ATOMIC_ACQUIRE))
		host_yield();
}

void process_unlock(void)
{
	__atomic_store_n(&the_process->lock, 0, __ATOMIC_RELEASE);
}

/* ---- Beginning ------------------------------------------------------------------------------- */

int64_t process_begin(const struct process_setup *setup)
{
	struct process *p = the_process;
	uint64_t page_size = host_page_size();
	struct vas_config config = {
		.linux_version = setup->version,
		.format = page_size == 4096    ? &vas_format_x86_64
	                  : page_size == 16384 ? &vas_format_aarch64_16k
	                                       : NULL,
		.port = {.memory = setup->memory,
	                 .memory_len = setup->memory_len,
	                 .zeroed = true,
	                 .pages = &process_pages},
	};
	int64_t err;

	if (!config.format || sizeof(void *) < sizeof(uint64_t))
		return -VAS_ENOSYS;
	vas_settings_default(&config.settings, UINT64_MAX >> 16);
	/* Limits are the host's, who refuses at the last step; so is the map limit. */
	config.settings.overcommit_memory = 1;
	config.settings.max_map_count = UINT32_MAX;
	/* An advice that only Linux has is unknown to a kernel without huge pages and KSM. */
	config.settings.thp = config.settings.ksm = !setup->portable;
	err = vas_system_create(&config, &p->system);
	if (!err)
		err = vas_create(p->system, &setup->params, &p->space);
	if (err)
		return err;
	p->page_size = page_size;
	p->portable = setup->portable;
	p->complete = setup->complete;
	p->own_low = setup->own_low;
	p->own_high = setup->own_high;
	p->stats = setup->stats ? setup->stats : &p->own_stats;
	p->begun = true;
	return 0;
}

bool process_become_child(void)
{
	struct process *p = the_process;
	struct vas *child;

	if (!p->begun)
		return true;
	if (vas_fork(p->space, &child) != 0)
		return false;
	vas_destroy(p->space);
	p->space = child;
	return true;
}

/* ---- What every call does -------------------------------------------------------------------- */

static uint64_t pages_of(uint64_t len)
{
	uint64_t mask = the_process->page_size - 1;

	return (len + mask) & ~mask;
}

/* Whether any of [addr, addr + len) is in the books. */
static bool is_known(uint64_t addr, uint64_t len)
{
	struct vas_region region;
	uint64_t end = addr + pages_of(len);

	if (end <= addr)
		end = addr + 1;
	return vas_next_region(the_process->space, addr, &region) && region.start < end;
}

static bool is_served(uint64_t addr, uint64_t len)
{
	const struct process *p = the_process;

	return p->complete || (addr >= p->own_low && addr < p->own_high) || is_known(addr, len);
}

static int64_t pass(int64_t answer)
{
	process_count(&the_process->stats->passed, 1);
	return answer;
}

static void begin_call(uint64_t len)
{
	struct process *p = the_process;

	process_count(&p->stats->calls, 1);
	vas_system_settings(p->system)->placement = len >= ROOMY_FROM ? VAS_PLACE_ROOMY
	                                                              : VAS_PLACE_LINUX;
	p->found_foreign = p->left_over = false;
}

/* Writes down that [start, end), where the books have nothing, is nobody's: never chosen. */
static bool note_foreign(uint64_t start, uint64_t end)
{
	return process_note(start, end, VAS_VM_READ | VAS_VM_WRITE);
}

bool process_note(uint64_t start, uint64_t end, uint64_t flags)
{
	const struct vas_region region = {
		.start = start,
		.end = end,
		.name = flags & VAS_VM_MAYSHARE ? "[shared]" : NULL, /* of what file is not known */
		.flags = flags | VAS_VM_OPAQUE | VAS_VM_MAYREAD | VAS_VM_MAYWRITE | VAS_VM_MAYEXEC,
	};

	return vas_import(the_process->space, &region) == 0;
}

bool process_forget(uint64_t start, uint64_t end)
{
	int64_t err;

	the_process->muted = true;
	err = vas_munmap(the_process->space, start, end - start);
	the_process->muted = false;
	return err == 0;
}

static int64_t end_call(int64_t result)
{
	struct process *p = the_process;
	struct vas_status status;

	if (p->left_over)
		note_foreign(p->left_start, p->left_end);
	vas_get_status(p->space, &status);
	p->stats->size = status.size * p->page_size;
	if (p->stats->size > p->stats->peak)
		p->stats->peak = p->stats->size;
	return result;
}

/* Whether to make the call again: its hook found something that is written down now. */
static bool is_to_be_made_again(int64_t result, unsigned *tries)
{
	struct process *p = the_process;

	if (result != -VAS_EEXIST || !p->found_foreign || (*tries)++ == FOREIGN_TRIES)
		return false;
	p->found_foreign = false;
	return note_foreign(p->foreign_start, p->foreign_end);
}

int64_t process_foreign(uint64_t start, uint64_t end)
{
	the_process->found_foreign = true;
	the_process->foreign_start = start;
	the_process->foreign_end = end;
	return -VAS_EEXIST;
}

int64_t process_fault_injected(void)
{
	struct process *p = the_process;

	if (p->fail_after < 0)
		return 0;
	return p->fail_after-- == 0 ? -VAS_ENOMEM : 0;
}

/* ---- mmap ------------------------------------------------------------------------------------ */

/* The host maps it, wherever that is; the books note that something is there. */
static int64_t map_unserved(uint64_t addr, uint64_t len, uint64_t prot, uint64_t flags, int fd,
                            uint64_t offset)
{
	int64_t answer = host_mmap(addr, len, prot, flags, fd, offset);

	if (answer < 0)
		return pass(answer);
	if (is_known((uint64_t)answer, len))
		process_forget((uint64_t)answer, (uint64_t)answer + pages_of(len));
	process_note((uint64_t)answer, (uint64_t)answer + pages_of(len),
	             prot & (VAS_VM_READ | VAS_VM_WRITE | VAS_VM_EXEC));
	return pass(answer);
}

/* What the host has at a hint sends the mapping elsewhere; what it has at an address that vas chose
 * is noted, and another chosen. */
static int64_t map_file(uint64_t addr, uint64_t len, uint64_t prot, uint64_t flags,
                        struct vas_file *file, uint64_t offset)
{
	struct process *p = the_process;
	unsigned tries = 0;
	int64_t result;

	result = vas_mmap(p->space, addr, len, prot, flags, file, offset);
	if (result == -VAS_EEXIST && p->found_foreign && addr) {
		p->found_foreign = false;
		result = vas_mmap(p->space, 0, len, prot, flags, file, offset);
	}
	while (is_to_be_made_again(result, &tries))
		result = vas_mmap(p->space, 0, len, prot, flags, file, offset);
	return result;
}

int64_t process_mmap(uint64_t addr, uint64_t len, uint64_t prot, uint64_t flags, int fd,
                     uint64_t offset)
{
	struct process *p = the_process;
	bool anonymous = flags & VAS_MAP_ANONYMOUS;
	struct vas_file *file = NULL;
	int64_t result = 0;

	if (flags & (VAS_MAP_HUGETLB | VAS_MAP_GROWSDOWN))
		return map_unserved(addr, len, prot, flags, fd, offset);
	begin_call(len);
	p->fd = anonymous ? -1 : fd;
	if (!anonymous) {
		result = process_file_open(fd, &file);
		if (result == -VAS_EBADF)
			result = 0; /* vas says so, in its turn */
	} else if (p->portable && (flags & VAS_MAP_TYPE) == VAS_MAP_SHARED && len > 0) {
		result = process_file_shared(pages_of(len), &file, &p->fd);
		flags &= ~(uint64_t)VAS_MAP_ANONYMOUS;
		offset = 0;
	}
	if (!result)
		result = map_file(addr, len, prot, flags, file, offset);
	if (file)
		vas_file_put(file);
	p->fd = -1;
	return end_call(result);
}

/* ---- The others ------------------------------------------------------------------------------ */

int64_t process_munmap(uint64_t addr, uint64_t len)
{
	if (!is_served(addr, len))
		return pass(host_munmap(addr, len));
	begin_call(0);
	return end_call(vas_munmap(the_process->space, addr, len));
}

/* Where nobody can move it: the arguments may be wrong, else there is no room for it elsewhere. */
static int64_t remap_unserved(uint64_t old_addr, uint64_t old_len, uint64_t new_len, uint64_t flags,
                              uint64_t new_addr)
{
	int64_t answer = -VAS_ENOMEM;

	if (!the_process->portable)
		return pass(host_mremap(old_addr, old_len, new_len, flags, new_addr));
	/* It is not in the books: with right arguments that is what they say. */
	if (!(flags & VAS_MREMAP_FIXED))
		answer = vas_mremap(the_process->space, old_addr, old_len, new_len, flags,
		                    new_addr);
	return pass(answer == -VAS_EFAULT ? -VAS_ENOMEM : answer);
}

int64_t process_mremap(uint64_t old_addr, uint64_t old_len, uint64_t new_len, uint64_t flags,
                       uint64_t new_addr)
{
	unsigned tries = 0;
	int64_t result;

	if (!is_served(old_addr, old_len ? old_len : 1))
		return remap_unserved(old_addr, old_len, new_len, flags, new_addr);
	begin_call(new_len);
	process_count(&the_process->stats->mremaps, 1);
	do
		result = vas_mremap(the_process->space, old_addr, old_len, new_len, flags,
		                    new_addr);
	while (is_to_be_made_again(result, &tries));
	return end_call(result);
}

int64_t process_mprotect(uint64_t addr, uint64_t len, uint64_t prot)
{
	if (!is_served(addr, len))
		return pass(host_mprotect(addr, len, prot));
	begin_call(0);
	return end_call(vas_mprotect(the_process->space, addr, len, prot));
}

int64_t process_advise(uint64_t addr, uint64_t len, uint64_t advice)
{
	if (!is_served(addr, len))
		return pass(host_madvise(addr, len, advice));
	begin_call(0);
	return end_call(vas_madvise(the_process->space, addr, len, advice));
}

int64_t process_mlock(uint64_t addr, uint64_t len, uint64_t flags)
{
	struct vas *space = the_process->space;

	if (!is_served(addr, len))
		return pass(host_mlock(addr, len, flags & VAS_MLOCK_ONFAULT));
	begin_call(0);
	return end_call(flags ? vas_mlock2(space, addr, len, flags) : vas_mlock(space, addr, len));
}

int64_t process_munlock(uint64_t addr, uint64_t len)
{
	if (!is_served(addr, len))
		return pass(host_munlock(addr, len));
	begin_call(0);
	return end_call(vas_munlock(the_process->space, addr, len));
}

/* All of the process is locked by the host; the books follow. */
int64_t process_mlockall(uint64_t flags)
{
	int64_t result;

	begin_call(0);
	result = host_mlockall(flags);
	if (!result) {
		the_process->muted = true;
		result = vas_mlockall(the_process->space, flags);
		the_process->muted = false;
	}
	return end_call(result);
}

int64_t process_munlockall(void)
{
	int64_t result;

	begin_call(0);
	result = host_munlockall();
	if (!result) {
		the_process->muted = true;
		result = vas_munlockall(the_process->space);
		the_process->muted = false;
	}
	return end_call(result);
}

int64_t process_msync(uint64_t addr, uint64_t len, uint64_t flags)
{
	int64_t result;

	if (!is_served(addr, len))
		return pass(host_msync(addr, len, flags));
	begin_call(0);
	result = vas_msync(the_process->space, addr, len, flags);
	return end_call(result ? result : host_msync(addr, len, flags));
}

/* Only the host knows which pages are in memory. */
int64_t process_mincore(uint64_t addr, uint64_t len, uint64_t vec)
{
	return pass(host_mincore(addr, len, vec));
}

int64_t process_mseal(uint64_t addr, uint64_t len, uint64_t flags)
{
	begin_call(0);
	return end_call(vas_mseal(the_process->space, addr, len, flags));
}

int64_t process_brk(uint64_t brk)
{
	begin_call(0);
	return end_call(vas_brk(the_process->space, brk));
}
