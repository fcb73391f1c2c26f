/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the parts of the host-directory tree know of each other. Internal to devices/fs.
 *
 *   dir.c         life of the tree          dir_node.c    nodes: identity, look-ups, names
 *   dir_fd.c      descriptors of nodes      dir_back.c    the way back to those without
 *   dir_open.c    confined opening          dir_handle.c  open files and directories
 *   dir_name.c    names: look-up, removal   dir_rename.c  names: rename, link
 *   dir_make.c    new files                 dir_attr.c    attributes
 *   dir_data.c    contents of files         dir_list.c    contents of directories
 *   dir_xattr.c   extended attributes       dir_lock.c    locks
 *   dir_cred.c    on whose behalf           dir_exclusive.c  when nobody else changes names
 *
 * A node is not a descriptor. It is known by what the host says of it (device, inode,
 * birth time, type: struct dir_ident). A look-up opens an O_PATH descriptor of a name below its
 * parent's and sees by that what it is; a listing, of which most names are never used, looks at
 * the names alone. Descriptors are a cache of at most fd_max, less the open handles. One that
 * is needed again is opened by the names that led to the node, from the nearest ancestor that
 * has one, or by its file handle, and is used only if it is the same inode; if not, the answer
 * is ESTALE. A node whose name the guest removes keeps its descriptor ("pinned") while others
 * can be given up.
 *
 * Nodes stay what they are when the host renames them. So what the host moves out of the shared
 * directory, or removes, while its descriptor is cached is in use until that is given up; it
 * is not found again then.
 *
 * Confinement. The only name that is ever resolved without openat2 below a directory of
 * the tree is a single component that is not followed, and neither opened for more than O_PATH
 * unless it is new. Mounts below the shared directory are not part of it: EXDEV.
 *
 * Special files are never opened, whoever moves them where at any moment: contents are not opened
 * by name, but through the O_PATH descriptor (/proc/self/fd) of an inode whose type was seen. A file
 * handle would do it a little faster, but also find what the host has moved elsewhere since.
 *
 * FS_DIR_EXCLUSIVE is the exception to much of this. A look-up looks at the name alone, and a regular file
 * without a descriptor is opened by its name, by openat2 with no mounts, and is used if it is the
 * inode. That it is no special file is known only because dir->names keeps this tree's own changes of
 * names out meanwhile, and because the owner of the directory promised that there are no others.
 *
 * Threads: "lock" is a leaf: nothing blocks while it is held. It protects what says so.
 */
#ifndef DEVICES_FS_DIR_INTERNAL_H
#define DEVICES_FS_DIR_INTERNAL_H

#include <pthread.h>
#include <sys/stat.h>

#include "ids.h"
#include "locks.h"
#include "tree.h"

struct file_handle;

/* What a file is, wherever it is. The mount is always the root's. */
struct dir_ident {
	uint64_t ino;
	uint64_t btime; /* ns; 0 if it is not known, see dir_ident_of */
	uint32_t dev;
	uint32_t type; /* S_IF* */
};

/* Room for most names, so that they cost no other line of the processor's cache. */
#define DIR_SHORT_NAME 16u

/*
 * All of it but ident is protected by dir->lock; locks by dir->locking. What most calls look at
 * comes first: of very many nodes none is in the processor's cache.
 */
struct dir_node {
	struct dir_ident ident;
	uint64_t id;
	uint64_t lookups;
	struct dir_node *next_in_bucket;
	struct dir_node *parent; /* with name: where it was seen last; holds a reference */
	char *name;              /* short_name or memory of its own */
	uint32_t refs;           /* calls, handles and children */
	uint32_t opens;          /* handles: the guest may name the node without a look-up */
	uint32_t fd_users;       /* calls that use fd */
	int fd : 31;
	bool pinned : 1; /* its name is gone: fd is the only way */
	char short_name[DIR_SHORT_NAME];
	struct fs_locks *locks;         /* NULL: never locked */
	struct file_handle *handle;     /* NULL: not asked for yet, or none */
	struct dir_node *newer, *older; /* in a list of descriptors, if fd >= 0 */
};

struct dir_list {
	struct dir_node *newest, *oldest;
};

/* Descriptors that nobody uses any more, to be closed in one call. */
#define DIR_CLOSING_MAX 16u

struct dir_closing {
	unsigned count;
	int fds[DIR_CLOSING_MAX];
};

struct dir {
	struct fs_tree base;
	struct fs_tree_ops ops; /* base's */
	unsigned flags;
	unsigned fd_max;
	uint64_t entry_valid, attr_valid;
	int root_fd;  /* O_PATH */
	int mount_fd; /* the same directory for open_by_handle_at, syncfs; -1: not readable */
	int proc_fd;  /* O_PATH on /proc/self/fd */
	uint64_t mount_id;
	bool has_openat2;
	bool has_handles;
	bool has_acl;
	uint64_t overlay_since; /* ns; 0: it is no overlay */
	uint64_t session_flags;

	/* See dir_cred.c. */
	bool privileged;
	bool drops_fsetid;
	uint32_t uid, gid;
	bool has_groups;

	pthread_mutex_t lock;
	struct fs_ids nodes;   /* lock */
	struct fs_ids handles; /* lock */
	struct dir_node **buckets;
	uint32_t bucket_count; /* lock; a power of two */
	uint32_t node_count;   /* lock */
	uint32_t fd_count;     /* lock: in lists */
	struct dir_list cached, pinned;
	struct dir_closing closing; /* lock */
	unsigned closing_max;       /* at least 1 */
	struct dir_node *root;

	pthread_rwlock_t names; /* see dir_exclusive.c; taken before the others */

	pthread_mutex_t locking; /* fs_locks; lock may be taken in it */
	struct fs_lock_space lock_space;
};

/* A node in use, and its O_PATH descriptor if that was asked for. */
struct dir_hold {
	struct dir_node *node;
	int fd; /* -1: none */
};

static inline struct dir *dir_of(struct fs_tree *tree)
{
	return (struct dir *)tree;
}

/* lock is held: does a name lead to it, as far as is known? */
static inline bool dir_has_name(const struct dir_node *node)
{
	return node->name != NULL && !node->pinned;
}

/* dir_open.c */

#define DIR_STATX_MASK (STATX_BASIC_STATS | STATX_BTIME | STATX_MNT_ID)

/* One name below a directory, or fd itself if name is "". Never follows. 0, -EXDEV for a mount, -errno. */
int dir_statx(const struct dir *dir, int fd, const char *name, struct statx *sx);

/* What statx says of an inode. */
struct dir_ident dir_ident_of(const struct dir *dir, const struct statx *sx);
/* Whether what is seen is what is known. */
bool dir_same(const struct dir_ident *known, const struct dir_ident *seen);

/* An O_PATH descriptor of a path of real names ("a/b/c") below fd. */
int dir_open_below(const struct dir *dir, int fd, const char *path);

/* An O_PATH descriptor of one name below parent, which may be a mount. */
int dir_open_name(int parent, const char *name);

/*
 * Open for its contents what one name below parent is: never a link or a mount, but a special file
 * is opened too, without waiting. Needs openat2.
 */
int dir_open_contents(int parent, const char *name, int flags);

/* Open the inode that an O_PATH descriptor stands for. It must be no special file. */
int dir_reopen(const struct dir *dir, int fd, int flags);

/* Its name below dir->proc_fd, or, with "/proc/self/fd/", for calls that know nothing else. */
struct dir_proc_name {
	char path[32];
};

struct dir_proc_name dir_proc_name(int fd);
struct dir_proc_name dir_proc_path(int fd);

/* dir_node.c */

int dir_nodes_init(struct dir *dir);
void dir_nodes_finish(struct dir *dir);

/* All nodes but the root are forgotten; there are no handles. */
void dir_nodes_reset(struct dir *dir);

/* A node that the guest knows -> a reference. Returns NULL if it does not. */
struct dir_node *dir_node_get(struct dir *dir, uint64_t id);
struct dir_node *dir_node_known(struct dir *dir, uint64_t id); /* lock is held */
void dir_node_put(struct dir *dir, struct dir_node *node);

/* The node of an inode, if the guest knows it: a reference. */
struct dir_node *dir_node_find(struct dir *dir, const struct statx *sx);

/* An inode as it was seen. */
struct dir_seen {
	struct statx sx;
	int fd; /* O_PATH; -1: none */
};

/*
 * Count a look-up of what was seen at name in parent (NULL: it has none) -> entry. The
 * descriptor is the node's then, or closed. 0; -ENOMEM.
 */
int dir_node_enter(struct dir *dir, struct dir_node *parent, const char *name,
		   const struct dir_seen *seen, struct fs_entry *entry);
void dir_forget(struct fs_tree *tree, uint64_t id, uint64_t count);

/* The node is at name in parent now, and no longer where it was. Without memory it is nowhere. */
void dir_node_moved(struct dir *dir, struct dir_node *node, struct dir_node *parent,
		    const char *name);

/* name in parent is gone, or means something else. */
void dir_node_unnamed(struct dir *dir, struct dir_node *node, const struct dir_node *parent,
		      const char *name);
bool dir_node_is_named(struct dir *dir, struct dir_node *node, const struct dir_node *parent,
		       const char *name);

/* lock is held: a reference is gone. The node is returned to be buried if it was the last one. */
struct dir_node *dir_unref(struct dir *dir, struct dir_node *node);
/* lock is not held. Free nodes that dir_unref returned. */
void dir_bury(struct dir_node *node);

void dir_fill_entry(const struct dir *dir, const struct statx *sx, struct fs_entry *entry);

/* dir_exclusive.c */

void dir_names_init(struct dir *dir);
/* Operations that have to do with names take dir->names. */
void dir_names_lock_ops(struct fs_tree_ops *ops);

/* dir_fd.c */

/* A node by id, and its descriptor if it has one: -ESTALE. Always with it: also why it cannot be opened. */
int dir_hold(struct dir *dir, uint64_t id, struct dir_hold *hold);
int dir_hold_fd(struct dir *dir, uint64_t id, struct dir_hold *hold);
void dir_drop(struct dir *dir, struct dir_hold *hold);

/* The descriptor of a node that is held already. */
int dir_need_fd(struct dir *dir, struct dir_hold *hold);

/* Give a descriptor to a node, which now owns it; pinned: it has no name. */
void dir_give_fd(struct dir *dir, struct dir_node *node, int fd, bool pinned);

/* Before a name goes: keep the inode reachable. Returns whether it was not so before; undo with unpin. */
bool dir_pin(struct dir *dir, struct dir_node *node);
void dir_unpin(struct dir *dir, struct dir_node *node);

/* Close descriptors until there is room, as far as any are unused. */
void dir_make_room(struct dir *dir);

/* lock is held. */
bool dir_is_full(const struct dir *dir);

/* lock is held. fd is closed together with others: with *now, as soon as the caller has that to close. */
void dir_close_later(struct dir *dir, int fd, struct dir_closing *now);
void dir_close_all(const struct dir_closing *closing);
/* Both in one; -1: nothing. */
void dir_discard(struct dir *dir, int fd);
/* What was to be closed later. Returns whether there was any. */
bool dir_close_now(struct dir *dir);

/* The process has no more descriptors, result says, and one that was unused is closed: try again. */
bool dir_give_up_one(struct dir *dir, int result);

/* lock is held: node has a descriptor. Returns one that is the caller's to close, or -1. */
int dir_install_fd(struct dir *dir, struct dir_node *node, int fd);

/* lock is held; node->fd >= 0. */
int dir_use_fd(struct dir *dir, struct dir_node *node);

/* lock is held. */
void dir_set_pinned(struct dir *dir, struct dir_node *node, bool pinned);
void dir_fd_forget(struct dir *dir, struct dir_node *node);

/* dir_back.c */

/* A new O_PATH descriptor; -ESTALE if there is no way; -EACCES: not for us; -EMFILE and its kin. */
int dir_way_back(struct dir *dir, struct dir_node *node);
/* For free(). NULL if the host has none for it. */
struct file_handle *dir_file_handle(int fd);

/* Attributes of a node now, by the cheapest way. */
int dir_node_statx(struct dir *dir, struct dir_hold *hold, struct statx *sx);

/* Contents of a node: flags of open(2), O_TRUNC apart. -ELOOP, -ENXIO: it has none. */
int dir_open_node(struct dir *dir, struct dir_hold *hold, int flags);

/* dir_cred.c */

struct dir_caps {
	uint32_t effective[2], permitted[2], inheritable[2];
};

/* What a thread was before it acted for a caller. */
struct dir_guard {
	bool ids, caps;
	struct dir_caps old;
	int group_count;
	uint32_t *groups;
};

void dir_cred_init(struct dir *dir);

/* Until leave this thread is call's caller. 0; -errno: it is not. lenient: but may read and write what it likes. */
int dir_cred_enter(const struct dir *dir, const struct fs_call *call, bool lenient,
		   struct dir_guard *guard);
/* May that caller make what runs as the group gid? */
bool dir_cred_has_group(const struct dir *dir, const struct fs_call *call, uint32_t gid);
/* Until leave this thread cannot keep suid, sgid and capabilities of what it writes. */
void dir_cred_kill_priv(const struct dir *dir, bool kill, struct dir_guard *guard);
void dir_cred_leave(const struct dir *dir, struct dir_guard *guard);

/* dir_handle.c */

struct dir_listing;

struct dir_handle {
	uint64_t id;
	struct dir_node *node;
	struct dir_listing *listing; /* a directory's */
	int fd;
	uint32_t users;
	bool writable;
};

/* A handle on fd, which it owns in any case; a reference to node is taken. */
int dir_handle_open(struct dir *dir, struct dir_node *node, int fd, int flags, uint64_t *id);
struct dir_handle *dir_handle_get(struct dir *dir, const struct fs_call *call, bool directory);
struct dir_handle *dir_handle_of(struct dir *dir, uint64_t id, uint64_t node, bool directory);
void dir_handle_put(struct dir *dir, struct dir_handle *handle);
int dir_handle_close(struct dir *dir, const struct fs_call *call, bool directory);
/* -ENFILE: as many are open as may be. */
int dir_handle_room(struct dir *dir);

/* dir_name.c */

/* 0; -EINVAL: no name, or one that leads elsewhere; -ENAMETOOLONG. */
int dir_check_name(const char *name);
/* The directory id with its descriptor, and name is one that can be in it. */
int dir_hold_parent(struct dir *dir, uint64_t id, const char *name, struct dir_hold *hold);
/* What name below parent is, with its descriptor. -EXDEV, -errno. */
int dir_see(struct dir *dir, int parent, const char *name, struct dir_seen *seen);
int dir_look_up(struct dir *dir, const struct dir_hold *parent, const char *name,
		struct fs_entry *entry);

/* What is known of an inode whose name goes. */
struct dir_removal {
	struct dir_node *node; /* a reference, or NULL */
	bool pinned;
};

void dir_before_removal(struct dir *dir, const struct dir_hold *parent, const char *name,
			const struct statx *sx, struct dir_removal *removal);
void dir_after_removal(struct dir *dir, const struct dir_hold *parent, const char *name,
		       struct dir_removal *removal, bool removed);

/* dir_data.c */

/* What remains of the guest's flags for an open of the host. */
int dir_host_flags(uint32_t open_flags);
int dir_truncate(const struct dir *dir, int fd, uint64_t size, bool kill_priv);
/* O_TRUNC of a node that is to be open with fd. */
int dir_truncate_opened(struct dir *dir, struct dir_hold *hold, int fd, const struct fs_call *call);

/* dir_list.c */

int dir_listing_create(struct dir_listing **listing);
void dir_listing_destroy(struct dir_listing *listing);

/* dir_lock.c */

/* The session is over. */
void dir_locks_clear(struct dir *dir, struct dir_node *node);

/* Has it a table of locks? One that is set at this moment belongs to a handle that is not closed yet. */
static inline bool dir_is_locked(const struct dir_node *node)
{
	return __atomic_load_n(&node->locks, __ATOMIC_ACQUIRE) != NULL;
}

/* A handle of node was closed by call. */
void dir_locks_closed(struct dir *dir, struct dir_node *node, const struct fs_call *call);

static inline bool dir_exclusive(const struct dir *dir)
{
	return dir->flags & FS_DIR_EXCLUSIVE;
}

static inline bool dir_opens_by_name(const struct dir *dir)
{
	return dir_exclusive(dir) && dir->has_openat2;
}

static inline bool dir_read_only(const struct dir *dir)
{
	return dir->flags & FS_DIR_READ_ONLY;
}

fs_tree_op dir_lookup, dir_getattr, dir_setattr, dir_readlink, dir_symlink, dir_mknod, dir_mkdir,
	dir_unlink, dir_rmdir, dir_rename, dir_link, dir_open, dir_read, dir_write, dir_statfs,
	dir_release, dir_fsync, dir_setxattr, dir_getxattr, dir_listxattr, dir_removexattr,
	dir_flush, dir_opendir, dir_readdir, dir_readdirplus, dir_releasedir, dir_fsyncdir,
	dir_getlk, dir_setlk, dir_access, dir_create, dir_tmpfile, dir_fallocate, dir_lseek,
	dir_copy_file_range, dir_syncfs, dir_statx_op;

void dir_cancel(struct fs_tree *tree, struct fs_call *call);

#endif
