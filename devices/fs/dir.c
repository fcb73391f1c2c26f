/* SPDX-License-Identifier: BSD-3-Clause */
/* A directory of the host as a tree: its life. See dir_internal.h for how it works. */
#define _GNU_SOURCE /* statx, name_to_handle_at */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#include "dir_internal.h"
#include "fuse_wire.h"

#define FD_MIN 32u
#define FD_MAX (1u << 20)

static void dir_limits(struct fs_tree *tree, struct fs_tree_limits *limits)
{
	struct dir *dir = dir_of(tree);

	*limits = (struct fs_tree_limits){
		.init_flags = FUSE_POSIX_LOCKS | FUSE_FLOCK_LOCKS | FUSE_ATOMIC_O_TRUNC |
			      FUSE_DONT_MASK | FUSE_AUTO_INVAL_DATA | FUSE_DO_READDIRPLUS |
			      FUSE_READDIRPLUS_AUTO | FUSE_HANDLE_KILLPRIV_V2 | FUSE_SETXATTR_EXT |
			      FUSE_DIRECT_IO_ALLOW_MMAP,
		.time_gran = 1,
		.read_only = dir_read_only(dir),
		.statx_mask = STATX_BASIC_STATS | STATX_BTIME,
	};
	if (dir->has_acl)
		limits->init_flags |= FUSE_POSIX_ACL;
	if (dir->privileged)
		limits->init_flags |= FUSE_CREATE_SUPP_GROUP;
	if (dir->privileged && !(dir->flags & FS_DIR_NO_XATTR))
		limits->init_flags |= FUSE_SECURITY_CTX;
}

static void dir_start(struct fs_tree *tree, uint64_t init_flags)
{
	dir_of(tree)->session_flags = init_flags;
}

static void close_handles(struct dir *dir)
{
	struct dir_handle *handle;
	uint64_t id = 0;

	while ((handle = fs_ids_next(&dir->handles, &id)) != NULL) {
		fs_ids_remove(&dir->handles, id);
		dir_listing_destroy(handle->listing);
		close(handle->fd);
		free(handle);
	}
}

static void dir_reset(struct fs_tree *tree)
{
	struct dir *dir = dir_of(tree);

	close_handles(dir);
	dir_close_now(dir);
	dir_nodes_reset(dir);
	dir->root->opens = 0;
	dir->session_flags = 0;
}

static void close_fd(int fd)
{
	if (fd >= 0)
		close(fd);
}

static void dir_destroy(struct fs_tree *tree)
{
	struct dir *dir = dir_of(tree);

	close_handles(dir);
	dir_close_now(dir);
	dir_nodes_finish(dir);
	close_fd(dir->root_fd);
	close_fd(dir->mount_fd);
	close_fd(dir->proc_fd);
	pthread_rwlock_destroy(&dir->names);
	pthread_mutex_destroy(&dir->lock);
	pthread_mutex_destroy(&dir->locking);
	free(dir);
}

static const struct fs_tree_ops dir_ops = {
	.name = "dir",
	.limits = dir_limits,
	.start = dir_start,
	.reset = dir_reset,
	.forget = dir_forget,
	.lookup = dir_lookup,
	.getattr = dir_getattr,
	.setattr = dir_setattr,
	.readlink = dir_readlink,
	.symlink = dir_symlink,
	.mknod = dir_mknod,
	.mkdir = dir_mkdir,
	.unlink = dir_unlink,
	.rmdir = dir_rmdir,
	.rename = dir_rename,
	.link = dir_link,
	.open = dir_open,
	.read = dir_read,
	.write = dir_write,
	.statfs = dir_statfs,
	.release = dir_release,
	.fsync = dir_fsync,
	.setxattr = dir_setxattr,
	.getxattr = dir_getxattr,
	.listxattr = dir_listxattr,
	.removexattr = dir_removexattr,
	.flush = dir_flush,
	.opendir = dir_opendir,
	.readdir = dir_readdir,
	.readdirplus = dir_readdirplus,
	.releasedir = dir_releasedir,
	.fsyncdir = dir_fsyncdir,
	.getlk = dir_getlk,
	.setlk = dir_setlk,
	.access = dir_access,
	.create = dir_create,
	.tmpfile = dir_tmpfile,
	.fallocate = dir_fallocate,
	.lseek = dir_lseek,
	.copy_file_range = dir_copy_file_range,
	.syncfs = dir_syncfs,
	.statx = dir_statx_op,
	.cancel = dir_cancel,
	.destroy = dir_destroy,
};

/* /proc as the kernel makes it, not a directory of that name. */
static int open_proc(int *fd)
{
	struct statfs fs;

	*fd = open("/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (*fd < 0 || fstatfs(*fd, &fs) < 0)
		return -errno;
	return fs.f_type == PROC_SUPER_MAGIC ? 0 : -ENOSYS;
}

static bool can_openat2(const struct dir *dir)
{
	struct dir tried = {.has_openat2 = true};
	int fd;

	if (dir->flags & FS_DIR_NO_OPENAT2)
		return false;
	fd = dir_open_below(&tried, dir->root_fd, ".");
	close_fd(fd);
	return fd >= 0;
}

static bool can_open_handles(const struct dir *dir)
{
	struct {
		struct file_handle head;
		unsigned char rest[MAX_HANDLE_SZ];
	} handle = {.head.handle_bytes = MAX_HANDLE_SZ};
	int mount, fd;

	if ((dir->flags & FS_DIR_NO_HANDLES) || dir->mount_fd < 0 ||
	    name_to_handle_at(dir->root_fd, "", &handle.head, &mount, AT_EMPTY_PATH) < 0)
		return false;
	fd = open_by_handle_at(dir->mount_fd, &handle.head, O_PATH | O_CLOEXEC);
	close_fd(fd);
	return fd >= 0;
}

static bool knows_acls(const struct dir *dir)
{
	if (dir->flags & FS_DIR_NO_XATTR)
		return false;
	return getxattr(dir_proc_path(dir->root_fd).path, "system.posix_acl_access", NULL, 0) >=
		       0 ||
	       errno == ENODATA;
}

static unsigned default_fd_max(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur / 2 > FD_MAX)
		return FD_MAX;
	return limit.rlim_cur / 2 > FD_MIN ? (unsigned)(limit.rlim_cur / 2) : FD_MIN;
}

/* ns since 1970; 0: it is no overlay. */
static uint64_t overlay_since(const struct dir *dir)
{
	struct statfs fs;
	struct timespec now;

	if (fstatfs(dir->root_fd, &fs) < 0 || fs.f_type != OVERLAYFS_SUPER_MAGIC)
		return 0;
	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

static int open_root(struct dir *dir, const char *path)
{
	struct statx sx;

	dir->root_fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir->root_fd < 0)
		return -errno;
	if (statx(dir->root_fd, "", AT_EMPTY_PATH, DIR_STATX_MASK, &sx) < 0)
		return -errno;
	dir->mount_id = sx.stx_mnt_id;
	/* Through the descriptor, so that both are the same. A directory that is not readable can be shared too. */
	dir->mount_fd = openat(dir->root_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return open_proc(&dir->proc_fd);
}

static int init(struct dir *dir, const char *path, const struct fs_tree_dir_options *options)
{
	int error;

	dir->ops = dir_ops;
	dir->base.ops = &dir->ops;
	dir->flags = options->flags;
	dir->fd_max = options->fd_max ? options->fd_max : default_fd_max();
	dir->entry_valid = options->entry_valid;
	dir->attr_valid = options->attr_valid;
	dir->root_fd = dir->mount_fd = dir->proc_fd = -1;
	pthread_mutex_init(&dir->lock, NULL);
	pthread_mutex_init(&dir->locking, NULL);
	dir_names_init(dir);
	if (dir_exclusive(dir))
		dir_names_lock_ops(&dir->ops);
	dir->closing_max = dir->fd_max / 16 < DIR_CLOSING_MAX ? dir->fd_max / 16 : DIR_CLOSING_MAX;
	if (dir->fd_max < FD_MIN)
		return -EINVAL;
	error = open_root(dir, path);
	if (error)
		return error;
	dir->overlay_since = overlay_since(dir);
	dir->has_openat2 = can_openat2(dir);
	dir->has_handles = can_open_handles(dir);
	dir->has_acl = knows_acls(dir);
	dir_cred_init(dir);
	return dir_nodes_init(dir);
}

int fs_tree_dir_create(struct fs_tree **tree, const char *path,
		       const struct fs_tree_dir_options *options)
{
	static const struct fs_tree_dir_options defaults;
	struct dir *dir = calloc(1, sizeof(*dir));
	int error;

	if (dir == NULL)
		return -ENOMEM;
	error = init(dir, path, options ? options : &defaults);
	if (error) {
		dir_destroy(&dir->base);
		return error;
	}
	*tree = &dir->base;
	return 0;
}
