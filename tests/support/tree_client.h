/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A caller of a tree (devices/fs/tree.h), for tests of trees on their own: makes calls,
 * by node or by path, and gives back the look-ups that it does not hand out.
 *
 * Paths are relative to the root, without "." and "..": "" is the root itself. Results
 * are 0 or a negative errno; what else there is lies in client->call.
 *
 * Threads: one.
 */
#ifndef TESTS_SUPPORT_TREE_CLIENT_H
#define TESTS_SUPPORT_TREE_CLIENT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "devices/fs/tree.h"

struct tree_client {
	struct fs_tree *tree;
	uint32_t uid, gid;
	uint32_t group_count;
	uint32_t groups[4];
	uint32_t umask;
	struct fs_call call; /* the last one */
	struct iovec iov;    /* of its data */
	int done_result;     /* of a call that came later */
	unsigned done_count;
};

/* A call for client->uid, gid and groups, with nothing else set. */
struct fs_call *tree_begin(struct tree_client *client, uint64_t node);

/* Give the call data. */
void tree_data(struct tree_client *client, void *bytes, size_t size);

/* Run client->call. */
int tree_run(struct tree_client *client, fs_tree_op *op);

/* Begin with node, name and run. */
int tree_run_name(struct tree_client *client, fs_tree_op *op, uint64_t node, const char *name);

void tree_forget(struct tree_client *client, uint64_t node, uint64_t count);

/* The node of a path, looked up once. */
int tree_walk(struct tree_client *client, const char *path, uint64_t *node);

/* The directory of a path, looked up once, and its last name. */
int tree_walk_parent(struct tree_client *client, const char *path, uint64_t *node,
		     const char **name);

/* As the system calls of that name; what is opened is O_NOFOLLOW, and a handle. */
struct tree_file {
	uint64_t node, handle;
	uint32_t flags;
};

int tree_open(struct tree_client *client, const char *path, uint32_t flags, uint32_t mode,
	      struct tree_file *file);
int tree_close(struct tree_client *client, struct tree_file *file);
/* Bytes, or a negative errno. */
int64_t tree_pread(struct tree_client *client, const struct tree_file *file, void *bytes,
		   size_t size, uint64_t offset);
int64_t tree_pwrite(struct tree_client *client, const struct tree_file *file, const void *bytes,
		    size_t size, uint64_t offset);
int tree_mkdir(struct tree_client *client, const char *path, uint32_t mode);
int tree_mknod(struct tree_client *client, const char *path, uint32_t mode, uint32_t major,
	       uint32_t minor);
int tree_symlink(struct tree_client *client, const char *target, const char *path);
int tree_link(struct tree_client *client, const char *path, const char *new_path);
int tree_unlink(struct tree_client *client, const char *path);
int tree_rmdir(struct tree_client *client, const char *path);
int tree_rename(struct tree_client *client, const char *path, const char *new_path, uint32_t flags);
int tree_stat(struct tree_client *client, const char *path, struct statx *attr);
int tree_setattr(struct tree_client *client, const char *path, uint32_t set,
		 const struct statx *attr);
int tree_access(struct tree_client *client, const char *path, uint32_t access);
int tree_setxattr(struct tree_client *client, const char *path, const char *name, const void *value,
		  size_t size, uint32_t flags);
int64_t tree_getxattr(struct tree_client *client, const char *path, const char *name, void *value,
		      size_t size);
int64_t tree_listxattr(struct tree_client *client, const char *path, void *list, size_t size);
int tree_removexattr(struct tree_client *client, const char *path, const char *name);
int64_t tree_readlink(struct tree_client *client, const char *path, char *target, size_t size);

/* Names in a directory but for dots, in the order of the tree. */
struct tree_names {
	unsigned count;
	uint64_t last; /* offset behind the last one */
	struct {
		char name[FS_NAME_MAX + 1];
		uint64_t ino, next;
		uint32_t type;
	} entry[32];
};

/* Of handle dir from offset on, at most max of them (up to 32; dots count). */
int tree_readdir(struct tree_client *client, const struct tree_file *dir, uint64_t offset,
		 unsigned max, struct tree_names *names);

#endif
