/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Contents of directories. Offsets are those of the host's file system, so a listing can
 * be continued from any that was told, by another handle too; what has been read ahead is
 * used if the guest goes on where it stopped. Two calls on one handle take turns.
 */
#define _GNU_SOURCE /* statx, getdents64 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "dir_internal.h"

#define AHEAD 32768u

struct dir_listing {
	pthread_mutex_t lock;
	uint64_t offset; /* of what is at start; no such one: nothing was read ahead */
	size_t start, end;
	_Alignas(8) char ahead[AHEAD];
};

/* What getdents64 fills ahead with. */
struct host_dirent {
	uint64_t ino;
	int64_t next;
	uint16_t size;
	uint8_t type;
	char name[];
};

int dir_listing_create(struct dir_listing **listing)
{
	*listing = malloc(sizeof(**listing));
	if (*listing == NULL)
		return -ENOMEM;
	pthread_mutex_init(&(*listing)->lock, NULL);
	(*listing)->offset = 0;
	(*listing)->start = (*listing)->end = 0;
	return 0;
}

void dir_listing_destroy(struct dir_listing *listing)
{
	if (listing != NULL)
		pthread_mutex_destroy(&listing->lock);
	free(listing);
}

int dir_opendir(struct fs_tree *tree, struct fs_call *call)
{
	struct dir *dir = dir_of(tree);
	struct dir_hold hold;
	int fd, error = dir_handle_room(dir);

	if (!error)
		error = dir_hold(dir, call->node, &hold);
	if (error)
		return error;
	error = -ENOTDIR;
	if (hold.node->ident.type == S_IFDIR) {
		fd = dir_open_node(dir, &hold, O_RDONLY);
		error = fd < 0 ? fd
			       : dir_handle_open(dir, hold.node, fd, O_RDONLY, &call->new_handle);
	}
	dir_drop(dir, &hold);
	call->handle_flags = 0;
	return error;
}

int dir_releasedir(struct fs_tree *tree, struct fs_call *call)
{
	return dir_handle_close(dir_of(tree), call, true);
}

int dir_fsyncdir(struct fs_tree *tree, struct fs_call *call)
{
	struct dir *dir = dir_of(tree);
	struct dir_handle *handle = dir_handle_get(dir, call, true);
	int error;

	if (handle == NULL)
		return -EBADF;
	error = call->flags & FS_DATASYNC ? fdatasync(handle->fd) : fsync(handle->fd);
	error = error < 0 ? -errno : 0;
	dir_handle_put(dir, handle);
	return error;
}

/* The entry at listing->offset stays to be read from. Returns 0, 1 at the end, -errno. */
static int fill(int fd, struct dir_listing *listing)
{
	long size;

	if (listing->start < listing->end)
		return 0;
	size = syscall(SYS_getdents64, fd, listing->ahead, (size_t)AHEAD);
	if (size < 0)
		return -errno;
	listing->start = 0;
	listing->end = (size_t)size;
	return size == 0;
}

/* 0 begins anew: what is new in the directory is seen. */
static int seek(int fd, struct dir_listing *listing, uint64_t offset)
{
	if (offset == listing->offset && offset != 0)
		return 0;
	listing->start = listing->end = 0;
	listing->offset = offset;
	return lseek(fd, (off_t)offset, SEEK_SET) < 0 ? -errno : 0;
}

/*
 * What is no longer there, or cannot be looked up, is an entry without attributes: so are "." and
 * "..", and names that are longer than a guest may say, which some file systems have.
 */
static int look_up(struct dir *dir, const struct dir_handle *handle, const char *name,
		   struct fs_entry *entry)
{
	struct dir_seen seen = {.fd = -1};

	*entry = (struct fs_entry){.node = 0};
	if (dir_check_name(name) != 0 || dir_statx(dir, handle->fd, name, &seen.sx) != 0)
		return 0;
	return dir_node_enter(dir, handle->node, name, &seen, entry);
}

static bool give(struct dir *dir, const struct dir_handle *handle, struct fs_call *call,
		 const struct host_dirent *host, const struct fs_entry *entry)
{
	struct fs_dirent dirent = {
		.ino = host->ino,
		.next = (uint64_t)host->next,
		.type = host->type,
		.name_size = (uint32_t)strlen(host->name),
		.name = host->name,
	};

	/* What is above the shared directory is nobody's business. */
	if (handle->node == dir->root && strcmp(host->name, "..") == 0)
		dirent.ino = dir->root->ident.ino;
	if (dirent.name_size > FS_NAME_MAX || call->add(call, &dirent, entry))
		return true;
	if (entry != NULL && entry->node != 0)
		dir_forget(&dir->base, entry->node, 1);
	return false;
}

static int list(struct dir *dir, struct dir_handle *handle, struct fs_call *call, bool plus)
{
	struct dir_listing *listing = handle->listing;
	int error = seek(handle->fd, listing, call->offset);
	bool taken = false;

	while (!error && (error = fill(handle->fd, listing)) == 0) {
		const struct host_dirent *host = (void *)(listing->ahead + listing->start);
		struct fs_entry entry;

		if (plus)
			error = look_up(dir, handle, host->name, &entry);
		if (error || !give(dir, handle, call, host, plus ? &entry : NULL))
			break;
		taken = true;
		listing->start += host->size;
		listing->offset = (uint64_t)host->next;
	}
	return taken || error > 0 ? 0 : error;
}

static int read_directory(struct fs_tree *tree, struct fs_call *call, bool plus)
{
	struct dir *dir = dir_of(tree);
	struct dir_handle *handle = dir_handle_get(dir, call, true);
	int error;

	if (handle == NULL)
		return -EBADF;
	pthread_mutex_lock(&handle->listing->lock);
	error = list(dir, handle, call, plus);
	pthread_mutex_unlock(&handle->listing->lock);
	dir_handle_put(dir, handle);
	return error;
}

int dir_readdir(struct fs_tree *tree, struct fs_call *call)
{
	return read_directory(tree, call, false);
}

int dir_readdirplus(struct fs_tree *tree, struct fs_call *call)
{
	return read_directory(tree, call, true);
}
