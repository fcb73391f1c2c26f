/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the parts of the tree in memory know of each other. Internal to devices/fs.
 *
 *   ram.c         life, the table, the lock round every operation
 *   ram_node.c    nodes from their first name to their last reference; ids, handles, times
 *   ram_dir.c     the names in a directory;       ram_readdir.c  and how they are listed
 *   ram_pages.c   the pages of a file;            ram_data.c     reading and writing them
 *   ram_space.c   fallocate, lseek, copy_file_range
 *   ram_open.c    handles;                        ram_name.c     names made and removed
 *   ram_rename.c  rename;                         ram_access.c   who may do what
 *   ram_attr.c    attributes;                     ram_xattr.c    extended ones
 *   ram_lock.c    locks of guests (the work is in locks.c)
 *
 * Threads: one mutex, taken by ram.c round each operation; it is a leaf. Every function
 * below is called with it held.
 */
#ifndef DEVICES_FS_RAM_INTERNAL_H
#define DEVICES_FS_RAM_INTERNAL_H

#include <pthread.h>
#include <sys/stat.h>

#include "ids.h"
#include "locks.h"
#include "tree.h"

#define RAM_PAGE_SIZE  4096u
#define RAM_SIZE_MAX   ((uint64_t)INT64_MAX) /* of a file */
#define RAM_LINK_MAX   65000u                /* names of a file; directories may hold any number */
#define RAM_HANDLE_MAX (1u << 20)
#define RAM_LOCK_MAX   (1u << 18)

/* One name in a directory. */
struct ram_name {
	struct ram_node *node;
	uint32_t hash;
	uint32_t size;
	char text[];
};

struct ram_slot {
	uint64_t offset;       /* grows from slot to slot, is never used twice in one directory */
	struct ram_name *name; /* NULL: removed */
};

/* See ram_dir.c. */
struct ram_dir {
	struct ram_node *parent; /* the root's: itself; a removed directory's: NULL */
	struct ram_slot *slots;
	uint32_t used, room, count;
	uint32_t *index; /* NULL as long as there is little room */
	uint32_t filled; /* places of it that are not empty */
	uint64_t last_offset;
};

/* See ram_pages.c. */
struct ram_pages {
	void *root;
	unsigned height;
};

struct ram_xattr;

struct ram_node {
	uint64_t id;
	uint64_t lookups; /* the root has one that nobody takes back */
	uint64_t ino;     /* never used again */
	uint32_t opens;   /* handles, and calls that wait for a lock */
	uint32_t nlink;   /* with nlink, lookups and opens 0 the node ends */
	uint32_t mode, uid, gid;
	uint32_t rdev_major, rdev_minor;
	bool linkable; /* nlink is 0, but link may give it a name: O_TMPFILE */
	uint64_t size; /* bytes behind it are zero in every page */
	uint64_t page_count;
	struct statx_timestamp atime, btime, ctime, mtime;
	struct ram_xattr *xattrs;
	struct fs_locks locks;
	union {
		struct ram_pages pages; /* S_IFREG */
		struct ram_dir dir;     /* S_IFDIR */
		char *target;           /* S_IFLNK */
	};
};

struct ram_handle {
	uint64_t id;
	struct ram_node *node;
	uint32_t flags; /* O_* */
	bool dir;
	uint64_t end_offset; /* names behind it came after the listing began */
};

struct ram {
	struct fs_tree base;
	struct fs_tree_ram_options options;
	pthread_mutex_t lock;
	uint64_t init_flags; /* of the session */
	struct fs_ids nodes, handles;
	struct fs_lock_space locks;
	struct ram_node *root;
	uint64_t used_bytes; /* of options.size_max: pages, xattrs, targets of links */
	uint64_t used_names; /* of options.node_max: nodes, and names beyond a node's first */
	uint64_t last_ino;
	struct statx_timestamp now; /* of the call */
	bool now_known;
};

typedef int ram_op(struct ram *ram, struct fs_call *call);

/* --- ram_node.c --- */

/* Which times ram_touch sets. */
enum ram_times {
	RAM_ATIME = 1,
	RAM_MTIME = 2,
	RAM_CTIME = 4,
};

void ram_touch(struct ram *ram, struct ram_node *node, unsigned times);
/* A read, under the rule of relatime. */
void ram_touch_read(struct ram *ram, struct ram_node *node);
const struct statx_timestamp *ram_now(struct ram *ram);

/* A node that nothing refers to yet, with mode as it is -> *node. -ENOSPC, -ENOMEM. */
int ram_node_create(struct ram *ram, const struct fs_call *call, uint32_t mode,
		    struct ram_node **node);
/* End it whatever refers to it, ... */
void ram_node_destroy(struct ram *ram, struct ram_node *node);
/* ... or if nothing does any more. */
void ram_node_put(struct ram *ram, struct ram_node *node);

/* The node has one name more, one name less. */
int ram_node_named(struct ram *ram, struct ram_node *node);
void ram_node_unnamed(struct ram *ram, struct ram_node *node);

/* Room for bytes of data: 0 or -ENOSPC; and given back. */
int ram_charge(struct ram *ram, uint64_t bytes);
void ram_discharge(struct ram *ram, uint64_t bytes);

/* The node of an id that the guest may use. NULL: ESTALE. */
static inline struct ram_node *ram_node_of(const struct ram *ram, uint64_t id)
{
	struct ram_node *node = fs_ids_get(&ram->nodes, id);

	return node != NULL && node->lookups > 0 ? node : NULL;
}

/* call->node, a directory. Returns 0; -ESTALE; -ENOTDIR. */
int ram_dir_of(const struct ram *ram, uint64_t id, struct ram_node **dir);

/* call->handle of call->node; dir: of which kind. Returns 0; -EBADF; -ESTALE. */
int ram_handle_of(const struct ram *ram, const struct fs_call *call, bool dir,
		  struct ram_handle **handle);
/* Of any kind, and any numbers. */
int ram_any_handle(const struct ram *ram, uint64_t id, uint64_t node, struct ram_handle **handle);
/* call->node, or the node of call->handle if the call says so: *handle may become NULL. */
int ram_node_or_handle(const struct ram *ram, const struct fs_call *call, struct ram_node **node,
		       struct ram_handle **handle);

void ram_fill_attr(const struct ram_node *node, struct statx *attr);
/* Count a look-up and show it. */
void ram_fill_entry(const struct ram *ram, struct ram_node *node, struct fs_entry *entry);

/* --- ram_access.c: 0 or what is wrong --- */

bool ram_privileged(const struct ram *ram, const struct fs_call *call);
bool ram_owner(const struct ram *ram, const struct fs_call *call, const struct ram_node *node);
bool ram_in_group(const struct ram *ram, const struct fs_call *call, uint32_t gid);
/* mask of R_OK, W_OK, X_OK. */
int ram_permission(const struct ram *ram, const struct fs_call *call, const struct ram_node *node,
		   uint32_t mask);
/* A name may be made in dir; name of node, a directory or not, may go from dir. */
int ram_may_create(const struct ram *ram, const struct fs_call *call, const struct ram_node *dir);
int ram_may_delete(const struct ram *ram, const struct fs_call *call, const struct ram_node *dir,
		   const struct ram_node *node, bool as_dir);
/* Take suid, sgid and capabilities away, as Linux does when a file is written; forced: told to. */
void ram_kill_priv(struct ram *ram, const struct fs_call *call, struct ram_node *node, bool forced);
/* The same for a new owner. */
void ram_kill_priv_chown(struct ram *ram, const struct fs_call *call, struct ram_node *node);
/* mode of a new file in dir as the caller may have it. */
uint32_t ram_new_mode(const struct ram *ram, const struct fs_call *call, const struct ram_node *dir,
		      uint32_t mode);

/* --- ram_dir.c --- */

/* The node of a name. NULL: there is none. */
struct ram_node *ram_dir_get(const struct ram_node *dir, const char *name);
/* A name that is not there. Returns 0 or -ENOMEM. */
int ram_dir_add(struct ram_node *dir, const char *name, struct ram_node *node);
/* A name that is there gets another node, goes, or is spelt in another way (0 or -ENOMEM). */
void ram_dir_set(struct ram_node *dir, const char *name, struct ram_node *node);
void ram_dir_remove(struct ram_node *dir, const char *name);
int ram_dir_respell(struct ram_node *dir, const char *name, const char *new_name);
/* The first slot behind offset, used or removed. */
uint32_t ram_dir_seek(const struct ram_node *dir, uint64_t offset);
void ram_dir_free(struct ram_node *dir);

/* --- ram_pages.c --- */

/* NULL: a hole. */
uint8_t *ram_page_get(const struct ram_node *node, uint64_t page);
/* Its bytes are zero if it is new, but if whole: then the caller writes them all. -ENOSPC, -ENOMEM. */
int ram_page_make(struct ram *ram, struct ram_node *node, uint64_t page, bool whole,
		  uint8_t **bytes);
/* Pages first to last become a hole. */
void ram_pages_drop(struct ram *ram, struct ram_node *node, uint64_t first, uint64_t last);
/* The first page from *page on that is there -> *page. */
bool ram_pages_next(const struct ram_node *node, uint64_t *page);

/* --- ram_data.c --- */

void ram_set_size(struct ram *ram, struct ram_node *node, uint64_t size);
/* Bytes become zero, whole pages of them a hole. */
void ram_punch(struct ram *ram, struct ram_node *node, uint64_t offset, uint64_t size);
/* Bytes become zero; pages stay. */
void ram_zero(struct ram_node *node, uint64_t offset, uint64_t size);
/* 0 or -EBADF */
int ram_may_write(const struct ram_handle *handle);

/* --- ram_open.c --- */

/* A handle of an open that was allowed -> call->new_handle. -ENFILE, -ENOMEM. */
int ram_handle_create(struct ram *ram, struct fs_call *call, struct ram_node *node, bool dir);
void ram_handle_destroy(struct ram *ram, struct ram_handle *handle);
/* open, of a node that is known. */
int ram_open_node(struct ram *ram, struct fs_call *call, struct ram_node *node);

/* --- ram_xattr.c --- */

#define RAM_XATTR_CAPS "security.capability"

/* Without asking for permission. */
int ram_xattr_label(struct ram *ram, struct ram_node *node, const struct fs_call *call);
void ram_xattr_drop(struct ram *ram, struct ram_node *node, const char *name);
void ram_xattr_free(struct ram *ram, struct ram_node *node);

/* --- ram_lock.c --- */

/* A call that no longer waits -> *result. NULL: there is none. */
struct fs_call *ram_call_ready(struct ram *ram, int *result);

/* --- the operations --- */

ram_op ram_lookup, ram_getattr, ram_setattr, ram_readlink, ram_symlink, ram_mknod, ram_mkdir;
ram_op ram_unlink, ram_rmdir, ram_rename, ram_link, ram_open, ram_read, ram_write, ram_statfs;
ram_op ram_release, ram_fsync, ram_setxattr, ram_getxattr, ram_listxattr, ram_removexattr;
ram_op ram_flush, ram_opendir, ram_readdir, ram_readdirplus, ram_releasedir, ram_fsyncdir,
	ram_getlk, ram_setlk;
ram_op ram_access, ram_create, ram_tmpfile, ram_fallocate, ram_lseek, ram_copy_file_range;
ram_op ram_syncfs, ram_statx;

#endif
