/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * FS_DIR_EXCLUSIVE: names are only what this tree makes of them, so where a node is (parent and
 * name) is true as long as the tree itself keeps both in step. That is what dir->names is for:
 *
 *   alone      what changes names, and tells the nodes
 *   together   what uses them: to look one up, to find the way back to a node, to open a file
 *
 * So nothing can have the name of a regular file's node but that file, and opening it by
 * name opens no special file, whatever other queues of the guest do meanwhile. Without the promise
 * there is no such lock: it would not keep the host out.
 *
 * What has a handle needs no name. FORGET takes none either, so it does not wait here.
 */
#define _GNU_SOURCE /* PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP */
#include "dir_internal.h"

void dir_names_init(struct dir *dir)
{
	pthread_rwlockattr_t attr;

	pthread_rwlockattr_init(&attr);
	/* Queues that look up all the time must not keep a rename waiting. No operation calls another one. */
	pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	pthread_rwlock_init(&dir->names, &attr);
	pthread_rwlockattr_destroy(&attr);
}

static int together(struct fs_tree *tree, struct fs_call *call, fs_tree_op *op)
{
	struct dir *dir = dir_of(tree);
	int result;

	pthread_rwlock_rdlock(&dir->names);
	result = op(tree, call);
	pthread_rwlock_unlock(&dir->names);
	return result;
}

static int alone(struct fs_tree *tree, struct fs_call *call, fs_tree_op *op)
{
	struct dir *dir = dir_of(tree);
	int result;

	pthread_rwlock_wrlock(&dir->names);
	result = op(tree, call);
	pthread_rwlock_unlock(&dir->names);
	return result;
}

#define LOCKED(how, op)                                                   \
	static int how##_##op(struct fs_tree *tree, struct fs_call *call) \
	{                                                                 \
		return how(tree, call, dir_##op);                         \
	}

LOCKED(together, lookup)
LOCKED(together, getattr)
LOCKED(together, setattr)
LOCKED(together, readlink)
LOCKED(alone, symlink)
LOCKED(alone, mknod)
LOCKED(alone, mkdir)
LOCKED(alone, unlink)
LOCKED(alone, rmdir)
LOCKED(alone, rename)
LOCKED(alone, link)
LOCKED(together, open)
LOCKED(together, setxattr)
LOCKED(together, getxattr)
LOCKED(together, listxattr)
LOCKED(together, removexattr)
LOCKED(together, opendir)
LOCKED(together, readdirplus)
LOCKED(together, access)
LOCKED(alone, create)
LOCKED(together, tmpfile)
LOCKED(together, statx_op)

void dir_names_lock_ops(struct fs_tree_ops *ops)
{
	ops->lookup = together_lookup;
	ops->getattr = together_getattr;
	ops->setattr = together_setattr;
	ops->readlink = together_readlink;
	ops->symlink = alone_symlink;
	ops->mknod = alone_mknod;
	ops->mkdir = alone_mkdir;
	ops->unlink = alone_unlink;
	ops->rmdir = alone_rmdir;
	ops->rename = alone_rename;
	ops->link = alone_link;
	ops->open = together_open;
	ops->setxattr = together_setxattr;
	ops->getxattr = together_getxattr;
	ops->listxattr = together_listxattr;
	ops->removexattr = together_removexattr;
	ops->opendir = together_opendir;
	ops->readdirplus = together_readdirplus;
	ops->access = together_access;
	ops->create = alone_create;
	ops->tmpfile = together_tmpfile;
	ops->statx = together_statx_op;
}
