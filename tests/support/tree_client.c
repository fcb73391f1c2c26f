/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE /* O_DIRECTORY */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tree_client.h"

#define OPS(client) ((client)->tree->ops)

static void call_done(struct fs_call *call, int result)
{
	struct tree_client *client =
		(struct tree_client *)((char *)call - offsetof(struct tree_client, call));

	client->done_result = result;
	client->done_count++;
}

struct fs_call *tree_begin(struct tree_client *client, uint64_t node)
{
	client->call = (struct fs_call){
		.node = node,
		.uid = client->uid,
		.gid = client->gid,
		.pid = 1,
		.group_count = client->group_count,
		.groups = client->groups,
		.umask = client->umask,
		.done = call_done,
	};
	return &client->call;
}

void tree_data(struct tree_client *client, void *bytes, size_t size)
{
	client->iov = (struct iovec){bytes, size};
	client->call.data = iov_window(&client->iov, 1, 0, size);
	client->call.size = size;
}

int tree_run(struct tree_client *client, fs_tree_op *op)
{
	assert_non_null(op);
	return op(client->tree, &client->call);
}

int tree_run_name(struct tree_client *client, fs_tree_op *op, uint64_t node, const char *name)
{
	tree_begin(client, node)->name = name;
	return tree_run(client, op);
}

void tree_forget(struct tree_client *client, uint64_t node, uint64_t count)
{
	OPS(client)->forget(client->tree, node, count);
}

/* One name of a path, which moves on behind it. */
static void next_name(const char **path, char name[FS_NAME_MAX + 1])
{
	size_t size = strcspn(*path, "/");

	assert_true(size <= FS_NAME_MAX);
	memcpy(name, *path, size);
	name[size] = '\0';
	*path += size + ((*path)[size] == '/');
}

int tree_walk(struct tree_client *client, const char *path, uint64_t *node)
{
	uint64_t at = FS_ROOT;

	while (*path != '\0') {
		char name[FS_NAME_MAX + 1];
		int error;

		next_name(&path, name);
		error = tree_run_name(client, OPS(client)->lookup, at, name);
		tree_forget(client, at, 1);
		if (error != 0)
			return error;
		at = client->call.entry.node;
	}
	*node = at;
	return 0;
}

int tree_walk_parent(struct tree_client *client, const char *path, uint64_t *node,
		     const char **name)
{
	const char *slash = strrchr(path, '/');
	char parent[1024] = "";

	*name = slash != NULL ? slash + 1 : path;
	if (slash != NULL) {
		assert_true((size_t)(slash - path) < sizeof(parent));
		memcpy(parent, path, (size_t)(slash - path));
		parent[slash - path] = '\0';
	}
	return tree_walk(client, parent, node);
}

/* Walk to path, run with what set_up put into the call, forget. */
static int run_path(struct tree_client *client, const char *path, fs_tree_op *op,
		    const struct fs_call *with)
{
	uint64_t node;
	int error = tree_walk(client, path, &node);

	if (error != 0)
		return error;
	tree_begin(client, node);
	client->call.flags = with->flags;
	client->call.name = with->name;
	client->call.set = with->set;
	client->call.attr = with->attr;
	client->call.access = with->access;
	client->call.data = with->data;
	client->call.size = with->data.size;
	client->call.xattr_flags = with->xattr_flags;
	error = tree_run(client, op);
	tree_forget(client, node, 1);
	return error;
}

/* The same for an operation on a name in a directory. */
static int run_name(struct tree_client *client, const char *path, fs_tree_op *op,
		    const struct fs_call *with)
{
	const char *name;
	uint64_t node;
	int error = tree_walk_parent(client, path, &node, &name);

	if (error != 0)
		return error;
	tree_begin(client, node)->name = name;
	client->call.mode = with->mode;
	client->call.open_flags = with->open_flags;
	client->call.target = with->target;
	client->call.rdev_major = with->rdev_major;
	client->call.rdev_minor = with->rdev_minor;
	error = tree_run(client, op);
	tree_forget(client, node, 1);
	return error;
}

/* One that makes a name: its look-up is taken back. */
static int run_make(struct tree_client *client, const char *path, fs_tree_op *op,
		    const struct fs_call *with)
{
	int error = run_name(client, path, op, with);

	if (error == 0)
		tree_forget(client, client->call.entry.node, 1);
	return error;
}

/* What is gone by now is none. */
static bool is_dir(struct tree_client *client, uint64_t node)
{
	tree_begin(client, node);
	return tree_run(client, OPS(client)->getattr) == 0 &&
	       S_ISDIR(client->call.entry.attr.stx_mode);
}

/* Directories are opened by opendir, as a guest does it. */
static int open_existing(struct tree_client *client, const char *path, uint32_t flags,
			 struct tree_file *file)
{
	int error = tree_walk(client, path, &file->node);

	if (error != 0)
		return error;
	if (!(flags & (O_TRUNC | O_ACCMODE)) && is_dir(client, file->node))
		file->flags = flags |= O_DIRECTORY;
	tree_begin(client, file->node)->open_flags = flags;
	error = tree_run(client, flags & O_DIRECTORY ? OPS(client)->opendir : OPS(client)->open);
	file->handle = client->call.new_handle;
	if (error != 0)
		tree_forget(client, file->node, 1);
	return error;
}

int tree_open(struct tree_client *client, const char *path, uint32_t flags, uint32_t mode,
	      struct tree_file *file)
{
	const struct fs_call with = {.mode = S_IFREG | mode, .open_flags = flags};
	int error;

	file->flags = flags;
	if (!(flags & O_CREAT))
		return open_existing(client, path, flags, file);
	error = run_name(client, path, OPS(client)->create, &with);
	file->node = client->call.entry.node;
	file->handle = client->call.new_handle;
	return error;
}

int tree_close(struct tree_client *client, struct tree_file *file)
{
	int error;

	tree_begin(client, file->node)->handle = file->handle;
	error = tree_run(client, file->flags & O_DIRECTORY ? OPS(client)->releasedir
							   : OPS(client)->release);
	tree_forget(client, file->node, 1);
	return error;
}

static int64_t transfer(struct tree_client *client, const struct tree_file *file, fs_tree_op *op,
			void *bytes, size_t size, uint64_t offset)
{
	int error;

	tree_begin(client, file->node)->handle = file->handle;
	client->call.open_flags = file->flags;
	client->call.offset = offset;
	tree_data(client, bytes, size);
	error = tree_run(client, op);
	return error != 0 ? error : (int64_t)client->call.count;
}

int64_t tree_pread(struct tree_client *client, const struct tree_file *file, void *bytes,
		   size_t size, uint64_t offset)
{
	return transfer(client, file, OPS(client)->read, bytes, size, offset);
}

int64_t tree_pwrite(struct tree_client *client, const struct tree_file *file, const void *bytes,
		    size_t size, uint64_t offset)
{
	return transfer(client, file, OPS(client)->write, (void *)(uintptr_t)bytes, size, offset);
}

int tree_mkdir(struct tree_client *client, const char *path, uint32_t mode)
{
	return run_make(client, path, OPS(client)->mkdir, &(struct fs_call){.mode = mode});
}

int tree_mknod(struct tree_client *client, const char *path, uint32_t mode, uint32_t major,
	       uint32_t minor)
{
	return run_make(client, path, OPS(client)->mknod,
			&(struct fs_call){.mode = mode, .rdev_major = major, .rdev_minor = minor});
}

int tree_symlink(struct tree_client *client, const char *target, const char *path)
{
	return run_make(client, path, OPS(client)->symlink, &(struct fs_call){.target = target});
}

/* Two paths: the second names a place in a directory. */
static int run_two(struct tree_client *client, fs_tree_op *op, uint64_t node, const char *name,
		   const char *new_path, uint32_t flags)
{
	const char *new_name;
	uint64_t parent;
	int error = tree_walk_parent(client, new_path, &parent, &new_name);

	if (error != 0)
		return error;
	tree_begin(client, node)->name = name;
	client->call.new_parent = parent;
	client->call.new_name = new_name;
	client->call.rename_flags = flags;
	error = tree_run(client, op);
	tree_forget(client, parent, 1);
	return error;
}

int tree_link(struct tree_client *client, const char *path, const char *new_path)
{
	uint64_t node;
	int error = tree_walk(client, path, &node);

	if (error != 0)
		return error;
	error = run_two(client, OPS(client)->link, node, NULL, new_path, 0);
	tree_forget(client, node, error == 0 ? 2 : 1);
	return error;
}

/* As a walk to a name says it before the walk to another one begins. */
static int may_search(struct tree_client *client, uint64_t node)
{
	if (!is_dir(client, node))
		return -ENOTDIR;
	tree_begin(client, node)->access = X_OK;
	return tree_run(client, OPS(client)->access);
}

int tree_rename(struct tree_client *client, const char *path, const char *new_path, uint32_t flags)
{
	const char *name;
	uint64_t node;
	int error = tree_walk_parent(client, path, &node, &name);

	if (error != 0)
		return error;
	error = may_search(client, node);
	if (error == 0)
		error = run_two(client, OPS(client)->rename, node, name, new_path, flags);
	tree_forget(client, node, 1);
	return error;
}

int tree_unlink(struct tree_client *client, const char *path)
{
	return run_name(client, path, OPS(client)->unlink, &(struct fs_call){.mode = 0});
}

int tree_rmdir(struct tree_client *client, const char *path)
{
	return run_name(client, path, OPS(client)->rmdir, &(struct fs_call){.mode = 0});
}

int tree_stat(struct tree_client *client, const char *path, struct statx *attr)
{
	int error = run_path(client, path, OPS(client)->getattr, &(struct fs_call){.flags = 0});

	*attr = client->call.entry.attr;
	return error;
}

int tree_setattr(struct tree_client *client, const char *path, uint32_t set,
		 const struct statx *attr)
{
	return run_path(client, path, OPS(client)->setattr,
			&(struct fs_call){.set = set, .attr = *attr});
}

int tree_access(struct tree_client *client, const char *path, uint32_t access)
{
	return run_path(client, path, OPS(client)->access, &(struct fs_call){.access = access});
}

static int64_t run_xattr(struct tree_client *client, const char *path, fs_tree_op *op,
			 const char *name, void *bytes, size_t size, uint32_t flags)
{
	const struct iovec iov = {bytes, size};
	const struct fs_call with = {
		.name = name, .data = iov_window(&iov, 1, 0, size), .xattr_flags = flags};
	int error = run_path(client, path, op, &with);

	return error != 0 ? error : (int64_t)client->call.count;
}

int tree_setxattr(struct tree_client *client, const char *path, const char *name, const void *value,
		  size_t size, uint32_t flags)
{
	return (int)run_xattr(client, path, OPS(client)->setxattr, name, (void *)(uintptr_t)value,
			      size, flags);
}

int64_t tree_getxattr(struct tree_client *client, const char *path, const char *name, void *value,
		      size_t size)
{
	return run_xattr(client, path, OPS(client)->getxattr, name, value, size, 0);
}

int64_t tree_listxattr(struct tree_client *client, const char *path, void *list, size_t size)
{
	return run_xattr(client, path, OPS(client)->listxattr, NULL, list, size, 0);
}

int tree_removexattr(struct tree_client *client, const char *path, const char *name)
{
	return (int)run_xattr(client, path, OPS(client)->removexattr, name, NULL, 0, 0);
}

int64_t tree_readlink(struct tree_client *client, const char *path, char *target, size_t size)
{
	return run_xattr(client, path, OPS(client)->readlink, NULL, target, size, 0);
}

/* A listing that is being taken; the call is its first member. */
struct listing {
	struct fs_call call;
	struct tree_names *names;
	unsigned max, taken;
};

static bool add_name(struct fs_call *call, const struct fs_dirent *dirent,
		     const struct fs_entry *entry)
{
	struct listing *listing = (struct listing *)call;
	struct tree_names *names = listing->names;

	(void)entry;
	if (listing->taken == listing->max)
		return false;
	listing->taken++;
	names->last = dirent->next;
	if (dirent->name[0] == '.' && (dirent->name_size == 1 || dirent->name[1] == '.'))
		return true;
	memcpy(names->entry[names->count].name, dirent->name, dirent->name_size);
	names->entry[names->count].name[dirent->name_size] = '\0';
	names->entry[names->count].ino = dirent->ino;
	names->entry[names->count].next = dirent->next;
	names->entry[names->count].type = dirent->type;
	names->count++;
	return true;
}

int tree_readdir(struct tree_client *client, const struct tree_file *dir, uint64_t offset,
		 unsigned max, struct tree_names *names)
{
	struct listing listing = {.names = names, .max = max < 32 ? max : 32};

	names->count = 0;
	names->last = offset;
	listing.call = *tree_begin(client, dir->node);
	listing.call.handle = dir->handle;
	listing.call.offset = offset;
	listing.call.add = add_name;
	return OPS(client)->readdir(client->tree, &listing.call);
}
