/* file.c - open files: of the embedder's objects, of memory that nobody else can open, and names.
 *
 * A file holds a reference on its object, a vma one on its file. What is behind an object, and
 * where it is mapped, is not known here.
 *
 * SPDX-License-Identifier: MIT */
#include "space/object.h"
#include "space/space.h"

struct vas_file *file_named(struct vas_system *system, struct slab_cache *slab,
                            const struct vas_file_info *info)
{
	struct vas_file *file = slab_alloc(slab, sizeof(*file));

	if (!file)
		return NULL;
	file->system = system;
	file->info = *info;
	if (!file->info.path)
		file->info.path = "";
	file->refs = 1;
	return file;
}

static struct vas_file *open_file(struct vas_object *object, struct slab_cache *slab,
                                  const struct vas_file_info *info)
{
	struct vas_file *file = file_named(object->system, slab, info);

	if (!file)
		return NULL;
	ref_get(object->system, &object->refs);
	file->object = object;
	return file;
}

int64_t vas_file_open(struct vas_object *object, const struct vas_file_info *info,
                      struct vas_file **out)
{
	struct vas_file *file = open_file(object, &object->system->slab, info);

	if (!file)
		return -VAS_ENOMEM;
	*out = file;
	return 0;
}

void file_get(struct vas_file *file)
{
	ref_get(file->system, &file->refs);
}

bool file_has_users(const struct vas_file *file)
{
	return __atomic_load_n(&file->refs, __ATOMIC_RELAXED) > 0;
}

void vas_file_put(struct vas_file *file)
{
	struct vas_object *object = file->object;

	if (!ref_put(file->system, &file->refs))
		return;
	slab_free(&file->system->frames, file);
	if (object)
		vas_object_put(object);
}

void vas_file_get(struct vas_file *file)
{
	file_get(file);
}

uint32_t vas_file_references(const struct vas_file *file)
{
	return (uint32_t)__atomic_load_n(&file->refs, __ATOMIC_RELAXED);
}

struct vas_object *vas_file_object(const struct vas_file *file)
{
	return file->object;
}

const struct vas_file_info *vas_file_info(const struct vas_file *file)
{
	return &file->info;
}

/* A file of its own object, which nobody else can open. */
static struct vas_file *make_private_file(struct vas_system *system, struct slab_cache *slab,
                                          const struct vas_file_info *info, uint64_t size)
{
	struct vas_object *object = object_make(system, slab, NULL, NULL, size);
	struct vas_file *file;

	if (!object)
		return NULL;
	file = open_file(object, slab, info);
	vas_object_put(object);
	return file;
}

struct vas_file *file_hugetlb(struct vas_system *system, struct slab_cache *slab, unsigned level,
                              uint64_t len)
{
	const struct vas_file_info info = {
		.mode = VAS_FILE_READ | VAS_FILE_WRITE,
		.minor = 0x11,
		.inode = system_next(system, &system->inodes),
		.path = "/anon_hugepage (deleted)",
	};
	struct vas_file *file = make_private_file(system, slab, &info, len);

	if (file)
		file->object->level = level;
	return file;
}

struct vas_file *file_shared_anon(struct vas_system *system, struct slab_cache *slab,
                                  uint64_t npages)
{
	const struct vas_file_info info = {
		.mode = VAS_FILE_READ | VAS_FILE_WRITE | VAS_FILE_SHMEM |
	                (system->settings.shmem_thp ? VAS_FILE_THP_ALIGN : 0),
		.minor = 1,
		.inode = system_next(system, &system->inodes),
		.path = "/dev/zero (deleted)",
	};

	return make_private_file(system, slab, &info, npages << system->frames.page_shift);
}
