/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A tree in memory. It does what a local file system of Linux does, and the same calls
 * have the same results every time:
 *
 * - Time is what options.clock says. Without one, the tree's first call comes at 1 January
 *   2020, each call a microsecond after the one before.
 * - Reading changes the time of access as relatime does: only if it is not later than the last
 *   change, or a day old; never for a handle with O_NOATIME.
 * - Files are sparse, in pages of 4 KiB. size_max bounds the bytes of pages, xattrs and link
 *   targets, node_max files and names beyond the first of each: ENOSPC.
 * - st_ino counts up and is not used again. Listings have the order in which names came.
 * - Devices, fifos and sockets are nodes with nothing behind them: to open one is ENXIO.
 * - There are no ACLs, quotas, immutable files, or security modules.
 * - suid, sgid and capabilities go as Linux takes them when somebody other than root writes,
 *   or when the guest says so (FUSE_HANDLE_KILLPRIV_V2). The older FUSE_HANDLE_KILLPRIV is not
 *   offered: under it nobody tells what a write from a page cache must take away.
 * - A guest that cannot tell all groups of its callers must check permissions itself;
 *   options.trust_guest then keeps the tree from refusing what it allowed.
 *
 * Threads: one mutex over all, taken for the length of an operation, copies to and from
 * guest memory included. Nothing is called under it but options.clock and a call's add.
 */
#include <errno.h>
#include <stdlib.h>

#include "fuse_wire.h"
#include "ram_internal.h"

#define SIZE_MAX_DEFAULT  (UINT64_C(1) << 30)
#define NODE_MAX_DEFAULT  (UINT64_C(1) << 20)
#define NODE_MAX_POSSIBLE (UINT64_C(1) << 30)
#define FIRST_SECOND      INT64_C(1577836800)
#define TICK              1000u

static struct ram *to_ram(struct fs_tree *tree)
{
	return (struct ram *)tree;
}

/* --- the lock round every operation --- */

static inline void enter(struct ram *ram)
{
	pthread_mutex_lock(&ram->lock);
	if (ram->options.clock != NULL) {
		ram->now_known = false;
		return;
	}
	ram->now.tv_nsec += TICK;
	if (ram->now.tv_nsec >= 1000000000) {
		ram->now.tv_nsec -= 1000000000;
		ram->now.tv_sec++;
	}
}

/* Tell those whose locks came free. They may call the tree again. */
static void leave(struct ram *ram)
{
	while (ram->locks.ready != NULL) {
		int result;
		struct fs_call *ready = ram_call_ready(ram, &result);

		pthread_mutex_unlock(&ram->lock);
		ready->done(ready, result);
		pthread_mutex_lock(&ram->lock);
	}
	pthread_mutex_unlock(&ram->lock);
}

static inline int run(struct fs_tree *tree, struct fs_call *call, ram_op *op)
{
	struct ram *ram = to_ram(tree);
	int result;

	enter(ram);
	result = op(ram, call);
	leave(ram);
	return result;
}

#define LOCKED(name)                                                         \
	static int locked_##name(struct fs_tree *tree, struct fs_call *call) \
	{                                                                    \
		return run(tree, call, ram_##name);                          \
	}

LOCKED(lookup)
LOCKED(getattr)
LOCKED(setattr)
LOCKED(readlink)
LOCKED(symlink)
LOCKED(mknod)
LOCKED(mkdir)
LOCKED(unlink)
LOCKED(rmdir)
LOCKED(rename)
LOCKED(link)
LOCKED(open)
LOCKED(read)
LOCKED(write)
LOCKED(statfs)
LOCKED(release)
LOCKED(fsync)
LOCKED(setxattr)
LOCKED(getxattr)
LOCKED(listxattr)
LOCKED(removexattr)
LOCKED(flush)
LOCKED(opendir)
LOCKED(readdir)
LOCKED(readdirplus)
LOCKED(releasedir)
LOCKED(fsyncdir)
LOCKED(getlk)
LOCKED(setlk)
LOCKED(access)
LOCKED(create)
LOCKED(tmpfile)
LOCKED(fallocate)
LOCKED(lseek)
LOCKED(copy_file_range)
LOCKED(syncfs)
LOCKED(statx)

static void forget(struct fs_tree *tree, uint64_t id, uint64_t count)
{
	struct ram *ram = to_ram(tree);
	struct ram_node *node;

	pthread_mutex_lock(&ram->lock);
	node = ram_node_of(ram, id);
	if (node != NULL && node != ram->root) {
		node->lookups -= count < node->lookups ? count : node->lookups;
		ram_node_put(ram, node);
	}
	pthread_mutex_unlock(&ram->lock);
}

static void cancel(struct fs_tree *tree, struct fs_call *call)
{
	struct ram *ram = to_ram(tree);

	pthread_mutex_lock(&ram->lock);
	fs_locks_cancel(&ram->locks, call);
	leave(ram);
}

/* --- sessions --- */

static void tell_limits(struct fs_tree *tree, struct fs_tree_limits *limits)
{
	*limits = (struct fs_tree_limits){
		.init_flags = FUSE_POSIX_LOCKS | FUSE_ATOMIC_O_TRUNC | FUSE_EXPORT_SUPPORT |
			      FUSE_DONT_MASK | FUSE_FLOCK_LOCKS | FUSE_DO_READDIRPLUS |
			      FUSE_READDIRPLUS_AUTO | FUSE_WRITEBACK_CACHE | FUSE_CACHE_SYMLINKS |
			      FUSE_HANDLE_KILLPRIV_V2 | FUSE_SETXATTR_EXT | FUSE_SECURITY_CTX |
			      FUSE_CREATE_SUPP_GROUP | FUSE_DIRECT_IO_ALLOW_MMAP,
		.time_gran = 1,
		.read_only = to_ram(tree)->options.read_only,
		.statx_mask = STATX_BASIC_STATS | STATX_BTIME,
	};
}

static void start(struct fs_tree *tree, uint64_t init_flags)
{
	to_ram(tree)->init_flags = init_flags;
}

static void reset(struct fs_tree *tree)
{
	struct ram *ram = to_ram(tree);
	struct ram_handle *handle;
	struct ram_node *node;
	uint64_t id = 0;

	while ((handle = fs_ids_next(&ram->handles, &id)) != NULL)
		ram_handle_destroy(ram, handle);
	id = 0;
	while ((node = fs_ids_next(&ram->nodes, &id)) != NULL) {
		node->lookups = node == ram->root;
		ram_node_put(ram, node);
	}
	ram->init_flags = 0;
}

static void destroy(struct fs_tree *tree)
{
	struct ram *ram = to_ram(tree);
	struct ram_handle *handle;
	struct ram_node *node;
	uint64_t id = 0;

	while ((handle = fs_ids_next(&ram->handles, &id)) != NULL) {
		fs_ids_remove(&ram->handles, id);
		free(handle);
	}
	id = 0;
	while ((node = fs_ids_next(&ram->nodes, &id)) != NULL)
		ram_node_destroy(ram, node);
	fs_ids_finish(&ram->handles);
	fs_ids_finish(&ram->nodes);
	pthread_mutex_destroy(&ram->lock);
	free(ram);
}

static const struct fs_tree_ops ram_ops = {
	.name = "ram",
	.limits = tell_limits,
	.start = start,
	.reset = reset,
	.forget = forget,
	.lookup = locked_lookup,
	.getattr = locked_getattr,
	.setattr = locked_setattr,
	.readlink = locked_readlink,
	.symlink = locked_symlink,
	.mknod = locked_mknod,
	.mkdir = locked_mkdir,
	.unlink = locked_unlink,
	.rmdir = locked_rmdir,
	.rename = locked_rename,
	.link = locked_link,
	.open = locked_open,
	.read = locked_read,
	.write = locked_write,
	.statfs = locked_statfs,
	.release = locked_release,
	.fsync = locked_fsync,
	.setxattr = locked_setxattr,
	.getxattr = locked_getxattr,
	.listxattr = locked_listxattr,
	.removexattr = locked_removexattr,
	.flush = locked_flush,
	.opendir = locked_opendir,
	.readdir = locked_readdir,
	.readdirplus = locked_readdirplus,
	.releasedir = locked_releasedir,
	.fsyncdir = locked_fsyncdir,
	.getlk = locked_getlk,
	.setlk = locked_setlk,
	.access = locked_access,
	.create = locked_create,
	.tmpfile = locked_tmpfile,
	.fallocate = locked_fallocate,
	.lseek = locked_lseek,
	.copy_file_range = locked_copy_file_range,
	.syncfs = locked_syncfs,
	.statx = locked_statx,
	.cancel = cancel,
	.destroy = destroy,
};

static void set_options(struct ram *ram, const struct fs_tree_ram_options *options)
{
	if (options != NULL)
		ram->options = *options;
	if (ram->options.size_max == 0)
		ram->options.size_max = SIZE_MAX_DEFAULT;
	if (ram->options.node_max == 0)
		ram->options.node_max = NODE_MAX_DEFAULT;
	if (ram->options.node_max > NODE_MAX_POSSIBLE)
		ram->options.node_max = NODE_MAX_POSSIBLE;
	ram->now.tv_sec = FIRST_SECOND;
	ram->now_known = ram->options.clock == NULL;
	ram->locks.held_max = RAM_LOCK_MAX;
}

/* The first node, so that it becomes FS_ROOT. */
static int make_root(struct ram *ram)
{
	const struct fs_call nobody = {.uid = 0};
	int error = ram_node_create(ram, &nobody, S_IFDIR | 0755, &ram->root);

	if (error != 0)
		return error;
	ram->root->nlink = 2;
	ram->root->lookups = 1;
	ram->root->dir.parent = ram->root;
	return 0;
}

int fs_tree_ram_create(struct fs_tree **tree, const struct fs_tree_ram_options *options)
{
	struct ram *ram = calloc(1, sizeof(*ram));

	if (ram == NULL)
		return -ENOMEM;
	ram->base.ops = &ram_ops;
	pthread_mutex_init(&ram->lock, NULL);
	set_options(ram, options);
	fs_ids_init(&ram->nodes, (uint32_t)ram->options.node_max);
	fs_ids_init(&ram->handles, RAM_HANDLE_MAX);
	if (make_root(ram) != 0) {
		destroy(&ram->base);
		return -ENOMEM;
	}
	*tree = &ram->base;
	return 0;
}
