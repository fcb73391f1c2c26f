/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>

#include "ram_internal.h"

#define DAY 86400

/* --- time --- */

const struct statx_timestamp *ram_now(struct ram *ram)
{
	if (!ram->now_known) {
		uint64_t now = ram->options.clock(ram->options.opaque);

		ram->now.tv_sec = (int64_t)(now / 1000000000);
		ram->now.tv_nsec = (uint32_t)(now % 1000000000);
		ram->now_known = true;
	}
	return &ram->now;
}

void ram_touch(struct ram *ram, struct ram_node *node, unsigned times)
{
	const struct statx_timestamp *now = ram_now(ram);

	if (times & RAM_ATIME)
		node->atime = *now;
	if (times & RAM_MTIME)
		node->mtime = *now;
	if (times & RAM_CTIME)
		node->ctime = *now;
}

static bool later(const struct statx_timestamp *a, const struct statx_timestamp *b)
{
	return a->tv_sec > b->tv_sec || (a->tv_sec == b->tv_sec && a->tv_nsec > b->tv_nsec);
}

void ram_touch_read(struct ram *ram, struct ram_node *node)
{
	if (ram->options.read_only)
		return;
	if (later(&node->atime, &node->mtime) && later(&node->atime, &node->ctime) &&
	    ram_now(ram)->tv_sec - node->atime.tv_sec < DAY)
		return;
	ram_touch(ram, node, RAM_ATIME);
}

/* --- what there is room for --- */

int ram_charge(struct ram *ram, uint64_t bytes)
{
	if (bytes > ram->options.size_max - ram->used_bytes)
		return -ENOSPC;
	ram->used_bytes += bytes;
	return 0;
}

void ram_discharge(struct ram *ram, uint64_t bytes)
{
	ram->used_bytes -= bytes;
}

static int charge_name(struct ram *ram)
{
	if (ram->used_names >= ram->options.node_max)
		return -ENOSPC;
	ram->used_names++;
	return 0;
}

/* --- nodes --- */

static void init_times(struct ram *ram, struct ram_node *node)
{
	ram_touch(ram, node, RAM_ATIME | RAM_MTIME | RAM_CTIME);
	node->btime = node->ctime;
}

int ram_node_create(struct ram *ram, const struct fs_call *call, uint32_t mode,
		    struct ram_node **node)
{
	struct ram_node *made;

	if (charge_name(ram) != 0)
		return -ENOSPC;
	made = calloc(1, sizeof(*made));
	if (made == NULL || fs_ids_add(&ram->nodes, made, &made->id) != 0) {
		free(made);
		ram->used_names--;
		return -ENOMEM;
	}
	made->ino = ++ram->last_ino;
	made->mode = mode;
	made->uid = call->uid;
	made->gid = call->gid;
	init_times(ram, made);
	*node = made;
	return 0;
}

static void free_content(struct ram *ram, struct ram_node *node)
{
	switch (node->mode & S_IFMT) {
	case S_IFREG:
		ram_pages_drop(ram, node, 0, UINT64_MAX);
		break;
	case S_IFDIR:
		ram_dir_free(node);
		break;
	case S_IFLNK:
		free(node->target);
		ram_discharge(ram, node->size);
		break;
	}
}

void ram_node_destroy(struct ram *ram, struct ram_node *node)
{
	free_content(ram, node);
	ram_xattr_free(ram, node);
	fs_locks_clear(&ram->locks, &node->locks);
	fs_ids_remove(&ram->nodes, node->id);
	ram->used_names--;
	free(node);
}

void ram_node_put(struct ram *ram, struct ram_node *node)
{
	/* Without a handle nobody can give locks back. */
	if (node->opens == 0)
		fs_locks_clear(&ram->locks, &node->locks);
	if (node->nlink == 0 && node->lookups == 0 && node->opens == 0)
		ram_node_destroy(ram, node);
}

int ram_node_named(struct ram *ram, struct ram_node *node)
{
	if (node->nlink > 0 && charge_name(ram) != 0)
		return -ENOSPC;
	node->nlink++;
	return 0;
}

void ram_node_unnamed(struct ram *ram, struct ram_node *node)
{
	/* A directory's own "." ends with its name. */
	node->nlink -= S_ISDIR(node->mode) ? 2 : 1;
	if (node->nlink > 0)
		ram->used_names--;
	ram_touch(ram, node, RAM_CTIME);
	ram_node_put(ram, node);
}

/* --- ids and handles --- */

int ram_dir_of(const struct ram *ram, uint64_t id, struct ram_node **dir)
{
	*dir = ram_node_of(ram, id);
	if (*dir == NULL)
		return -ESTALE;
	return S_ISDIR((*dir)->mode) ? 0 : -ENOTDIR;
}

int ram_any_handle(const struct ram *ram, uint64_t id, uint64_t node, struct ram_handle **handle)
{
	*handle = fs_ids_get(&ram->handles, id);
	if (*handle != NULL && (*handle)->node->id == node)
		return 0;
	return ram_node_of(ram, node) != NULL ? -EBADF : -ESTALE;
}

int ram_handle_of(const struct ram *ram, const struct fs_call *call, bool dir,
		  struct ram_handle **handle)
{
	int error = ram_any_handle(ram, call->handle, call->node, handle);

	return error == 0 && (*handle)->dir != dir ? -EBADF : error;
}

int ram_node_or_handle(const struct ram *ram, const struct fs_call *call, struct ram_node **node,
		       struct ram_handle **handle)
{
	int error;

	*handle = NULL;
	if (!(call->flags & FS_HAS_HANDLE)) {
		*node = ram_node_of(ram, call->node);
		return *node != NULL ? 0 : -ESTALE;
	}
	error = ram_any_handle(ram, call->handle, call->node, handle);
	if (error == 0)
		*node = (*handle)->node;
	return error;
}

/* --- what the guest sees --- */

void ram_fill_attr(const struct ram_node *node, struct statx *attr)
{
	attr->stx_mask = STATX_BASIC_STATS | STATX_BTIME;
	attr->stx_blksize = RAM_PAGE_SIZE;
	attr->stx_attributes = 0;
	attr->stx_nlink = node->nlink;
	attr->stx_uid = node->uid;
	attr->stx_gid = node->gid;
	attr->stx_mode = (uint16_t)node->mode;
	attr->stx_ino = node->ino;
	attr->stx_size = node->size;
	attr->stx_blocks = node->page_count * (RAM_PAGE_SIZE / 512);
	attr->stx_attributes_mask = 0;
	attr->stx_atime = node->atime;
	attr->stx_btime = node->btime;
	attr->stx_ctime = node->ctime;
	attr->stx_mtime = node->mtime;
	attr->stx_rdev_major = node->rdev_major;
	attr->stx_rdev_minor = node->rdev_minor;
	attr->stx_dev_major = 0;
	attr->stx_dev_minor = 0;
}

void ram_fill_entry(const struct ram *ram, struct ram_node *node, struct fs_entry *entry)
{
	node->lookups++;
	entry->node = node->id;
	entry->generation = 0; /* ids are never used again */
	entry->entry_valid = ram->options.entry_valid;
	entry->attr_valid = ram->options.attr_valid;
	ram_fill_attr(node, &entry->attr);
}
