/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a file-system device keeps its files in. A tree implements fs_tree_ops; the
 * FUSE decoder (fuse.c) calls it. A tree knows nodes, names and handles, nothing of
 * messages, byte orders or rings. A wrapper that delays, fails or logs is a tree
 * that forwards to another one.
 *
 * Nodes. A node id names a file for as long as the caller has looked it up: each
 * fs_entry in a result with node != 0 counts one look-up, forget takes any number of
 * them back. Id FS_ROOT is always there and is not counted. A node whose last name is
 * gone lives on while it is looked up or open. Handles come from open, opendir, create
 * and tmpfile and end with release and releasedir. Ids and handles in a call come
 * from the guest: a tree answers one that it never gave out with ESTALE (nodes) or
 * EBADF (handles, a directory's for a file's or of another node included).
 *
 * Names have been checked: 1 to FS_NAME_MAX bytes, no '/', no NUL, neither "." nor
 * "..", except where a member says otherwise. They and all arguments are copies that
 * the guest cannot change; data windows are its memory.
 *
 * Every operation is a function of one type: arguments and results are in the call.
 * It returns 0: done, every result that it names is set; a negative errno: the answer
 * to the guest (any value of errno(3) below 512), nothing changed; FS_LATER: call->done
 * will be called once with such a result; the call stays valid until then. A member
 * that is NULL is answered with ENOSYS. Arguments that a member does not name mean nothing.
 *
 * Threads: operations may run at the same time on several threads; each call is one
 * thread's until it is done. done may be called on any thread, at any time after the
 * operation began; not while the tree holds a lock that one of its members takes.
 * start, reset and destroy come when no call is in flight; forget does not come then
 * either, but poll may.
 */
#ifndef DEVICES_FS_TREE_H
#define DEVICES_FS_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/statvfs.h>

#include <linux/stat.h> /* struct statx */

#include "../iov.h"

#ifdef __cplusplus
extern "C" {
#endif

#define FS_TREE_API_MAJOR 0
#define FS_TREE_API_MINOR 1

#define FS_ROOT       UINT64_C(1)
#define FS_NAME_MAX   255u
#define FS_PATH_MAX   4095u /* of a link's target */
#define FS_XATTR_MAX  65536u
#define FS_GROUPS_MAX 32u

/* What an operation returns if it is not over yet. */
#define FS_LATER 1

struct fs_tree;
struct fs_call;

/*
 * A file as a look-up shows it. attr.stx_mask says which fields are valid (statx(2)); all that
 * stat(2) has must be. STATX_ATTR_MOUNT_ROOT in attr.stx_attributes of a directory tells a guest
 * that agreed to FUSE_SUBMOUNTS that another file system begins there.
 */
struct fs_entry {
	uint64_t node; /* 0, with READDIRPLUS only: the entry was not looked up */
	uint64_t generation;
	struct statx attr;
	uint64_t entry_valid, attr_valid; /* how long the guest may keep it: ns */
};

/* One entry of a directory. */
struct fs_dirent {
	uint64_t ino;
	uint64_t next; /* offset that continues behind it; never 0 */
	uint32_t type; /* DT_* of readdir(3) */
	uint32_t name_size;
	const char *name; /* no NUL needed */
};

/* A lock on bytes, inclusive; or on the file as a whole, if flock. */
struct fs_lock {
	uint64_t start, end; /* UINT64_MAX >> 1: to the end of the file */
	uint32_t type;       /* F_RDLCK, F_WRLCK, F_UNLCK of the host */
	uint32_t pid;
};

/* Which fields of attr setattr sets. */
enum fs_setattr {
	FS_SET_MODE = 1,
	FS_SET_UID = 2,
	FS_SET_GID = 4,
	FS_SET_SIZE = 8,
	FS_SET_ATIME = 16,
	FS_SET_MTIME = 32,
	FS_SET_ATIME_NOW = 64, /* and FS_SET_ATIME is not set then */
	FS_SET_MTIME_NOW = 128,
	FS_SET_CTIME = 256,
	FS_SET_KILL_PRIV = 512, /* take suid, sgid and capabilities away, as a write would */
};

/* call->flags of operations other than setattr. */
enum fs_call_flags {
	FS_HAS_HANDLE = 1,     /* getattr, setattr, statx: handle is meant, not only node */
	FS_KILL_PRIV = 2,      /* open with O_TRUNC, create, write: as FS_SET_KILL_PRIV */
	FS_DATASYNC = 4,       /* fsync, fsyncdir */
	FS_FLOCK = 8,          /* getlk, setlk: the file as a whole */
	FS_LOCK_WAIT = 16,     /* setlk: wait for it; returns FS_LATER until then */
	FS_FLOCK_UNLOCK = 32,  /* release: drop the flock of lock_owner */
	FS_ACL_KILL_SGID = 64, /* setxattr of an access ACL: take sgid away */
	FS_WRITE_CACHE = 128,  /* write, read: from the guest's page cache: nobody in particular */
};

/*
 * One operation. Above result: set by the caller, constant until it is done. The tree
 * may use tree_private meanwhile.
 */
struct fs_call {
	uint32_t
		op; /* the guest's opcode, FUSE_* of fuse_wire.h: says which member (fs_tree_op_of) */
	uint32_t flags;
	uint64_t node;
	uint64_t handle;
	const char *name;

	/* On whose behalf. */
	uint32_t uid, gid, pid;
	uint32_t group_count; /* supplementary, if the guest told */
	const uint32_t *groups;

	/* What else the member takes; each says which it uses. */
	uint64_t new_parent; /* rename, link */
	const char *new_name;
	const char *target;    /* symlink */
	uint32_t mode;         /* with the type bits */
	uint32_t umask;        /* to be applied to mode, unless a default ACL takes its place */
	uint32_t open_flags;   /* O_* of the host; read, write, release: those of the handle now */
	uint32_t rename_flags; /* RENAME_* of the host */
	uint32_t rdev_major, rdev_minor;
	uint64_t lock_owner; /* 0 if read, write and setattr name none */
	struct fs_lock lock;
	uint32_t set;      /* enum fs_setattr */
	struct statx attr; /* its values */
	uint64_t offset;
	uint64_t size;           /* bytes; of data, if it has any */
	struct iov_window data;  /* guest memory: read fills it, write takes from it */
	uint32_t access;         /* R_OK, W_OK, X_OK */
	uint32_t xattr_flags;    /* XATTR_CREATE, XATTR_REPLACE */
	uint32_t fallocate_mode; /* of the host */
	uint32_t whence;
	uint64_t target_node, target_handle, target_offset; /* copy_file_range: where to */
	uint32_t statx_mask, statx_flags;

	/* symlink, mknod, mkdir, create, tmpfile: an xattr that the new file has from the start. */
	const char *label_name; /* NULL: none */
	const void *label;
	uint32_t label_size;

	/* readdir: give one entry to the guest. entry: readdirplus only, else NULL. False: no room left,
	 * the entry was not taken (nor its look-up). */
	bool (*add)(struct fs_call *call, const struct fs_dirent *dirent,
		    const struct fs_entry *entry);

	/* Called if the operation returned FS_LATER. */
	void (*done)(struct fs_call *call, int result);

	/* Results. */
	struct fs_entry entry; /* lookup, mknod, ..., getattr and setattr: attr and attr_valid */
	uint64_t new_handle;   /* open, opendir, create, tmpfile */
	uint32_t handle_flags; /* FOPEN_* of fuse_wire.h for it */
	uint64_t count;        /* bytes: read, write, getxattr, ...; lseek: the offset */
	struct statvfs statvfs;

	void *tree_private;
};

typedef int fs_tree_op(struct fs_tree *tree, struct fs_call *call);

/* What a session may count on. */
struct fs_tree_limits {
	uint64_t
		init_flags; /* FUSE INIT flags that the tree can keep (fuse_wire.h), of those that are a tree's matter */
	uint32_t time_gran;  /* ns */
	bool read_only;      /* every change fails with EROFS */
	uint64_t statx_mask; /* of statx that it fills */
};

/*
 * "node" below is call->node. Results are named behind the arrow. All have
 * uid, gid, pid and groups; a tree that is told to obey them checks as the host's
 * kernel would for such a caller.
 */
struct fs_tree_ops {
	/* Short name for messages ("ram"). Mandatory. */
	const char *name;

	/* Fill *limits. Mandatory. Constant. */
	void (*limits)(struct fs_tree *tree, struct fs_tree_limits *limits);

	/* A session begins with these INIT flags, a subset of limits'. Mandatory. */
	void (*start)(struct fs_tree *tree, uint64_t init_flags);

	/* The session is over: no look-up, handle or lock is left. Mandatory. */
	void (*reset)(struct fs_tree *tree);

	/* Take count look-ups of node back, at most those there are. Never waits. Mandatory. */
	void (*forget)(struct fs_tree *tree, uint64_t node, uint64_t count);

	/* name in directory node; "." and ".." only with FUSE_EXPORT_SUPPORT -> entry. Mandatory. */
	fs_tree_op *lookup;

	/* node; or handle, with FS_HAS_HANDLE -> entry.attr, attr_valid. Mandatory. */
	fs_tree_op *getattr;

	/* The same, with set and attr; FS_SET_KILL_PRIV -> entry.attr, attr_valid. */
	fs_tree_op *setattr;

	/* The target of link node goes to data, without a NUL -> count. ENAMETOOLONG: data is too small. */
	fs_tree_op *readlink;

	/* name in node, target -> entry. */
	fs_tree_op *symlink;

	/* name in node, mode with its type (S_IFREG if the guest gave none), umask, rdev -> entry. */
	fs_tree_op *mknod;

	/* name in node, mode, umask -> entry. */
	fs_tree_op *mkdir;

	/* name in node, which is no directory. */
	fs_tree_op *unlink;

	/* name in node, which is an empty directory. */
	fs_tree_op *rmdir;

	/* name in node becomes new_name in new_parent; rename_flags. */
	fs_tree_op *rename;

	/* node gets another name: new_name in new_parent -> entry. */
	fs_tree_op *link;

	/* node; open_flags, without O_CREAT and O_EXCL; FS_KILL_PRIV -> new_handle, handle_flags. */
	fs_tree_op *open;

	/* handle of node, offset, data -> count: less than data.size only at the end of the file. */
	fs_tree_op *read;

	/* The same; FS_KILL_PRIV -> count. */
	fs_tree_op *write;

	/* node -> statvfs. */
	fs_tree_op *statfs;

	/* handle of node is gone; lock_owner, FS_FLOCK_UNLOCK. Its result is told, but it always ends. */
	fs_tree_op *release;

	/* handle of node; FS_DATASYNC. What was written before is durable. */
	fs_tree_op *fsync;

	/*
	 * name (an xattr's: any bytes but NUL); the value is in data, at most FS_XATTR_MAX bytes:
	 * what is to be judged must be copied first; xattr_flags, FS_ACL_KILL_SGID.
	 */
	fs_tree_op *setxattr;

	/* name; data, or its size 0: only ask how large -> count. ERANGE: data is too small. */
	fs_tree_op *getxattr;

	/* The names, each with its NUL, as getxattr gives a value -> count. */
	fs_tree_op *listxattr;

	/* name. */
	fs_tree_op *removexattr;

	/* A descriptor of handle was closed: POSIX locks of lock_owner end. */
	fs_tree_op *flush;

	/* Directory node; open_flags -> new_handle, handle_flags. */
	fs_tree_op *opendir;

	/*
	 * Entries of handle from offset (0 or a dirent's next) on, by add, until it says no
	 * or the end. readdirplus looks each up but "." and "..", for which entry.node is 0.
	 * After add took an entry the result counts as 0.
	 */
	fs_tree_op *readdir;

	/* The same, with look-ups. */
	fs_tree_op *readdirplus;

	/* As release, of a directory's handle. */
	fs_tree_op *releasedir;

	/* As fsync: the names in it are durable. */
	fs_tree_op *fsyncdir;

	/* handle, lock, lock_owner -> lock: the first in the way, or type F_UNLCK. */
	fs_tree_op *getlk;

	/* The same; FS_LOCK_WAIT, FS_FLOCK. EAGAIN: held by another owner. */
	fs_tree_op *setlk;

	/* node, access. */
	fs_tree_op *access;

	/* name in node, mode, umask, open_flags with O_CREAT, O_EXCL -> entry, new_handle, handle_flags. */
	fs_tree_op *create;

	/* A file without a name (there is no call->name) in the directory node; as create. */
	fs_tree_op *tmpfile;

	/* handle, fallocate_mode, offset, size. */
	fs_tree_op *fallocate;

	/* handle, offset, whence (SEEK_DATA, SEEK_HOLE; others do not come) -> count. */
	fs_tree_op *lseek;

	/* handle of node, offset, size to target_* -> count. */
	fs_tree_op *copy_file_range;

	/* The file system of node. */
	fs_tree_op *syncfs;

	/* node or handle, statx_mask, statx_flags -> entry.attr, attr_valid. */
	fs_tree_op *statx;

	/*
	 * A call for which FS_LATER was said is to end soon, with EINTR if it has done
	 * nothing yet. It may be over already: done was called, or is being called on
	 * another thread; the call is valid in any case until cancel returns. May be NULL:
	 * nothing ever waits for another call.
	 */
	void (*cancel)(struct fs_tree *tree, struct fs_call *call);

	/* Call done for calls that are over, without waiting. May be NULL: only operations end others. */
	unsigned (*poll)(struct fs_tree *tree);

	/* Readable when poll has something to do. May be NULL; -1: none. */
	int (*poll_fd)(struct fs_tree *tree);

	/* Free the tree. Mandatory. */
	void (*destroy)(struct fs_tree *tree);
};

/* The common head of every tree: a tree embeds it as its first member. */
struct fs_tree {
	const struct fs_tree_ops *ops;
};

/*
 * The member that call->op is for, which may be NULL; NULL too if it is no tree's matter.
 * For wrappers, which forward all in one way.
 */
fs_tree_op *fs_tree_op_of(const struct fs_tree_ops *ops, uint32_t op);

/* A tree in memory; see ram.c for its clock, which counts calls unless a real one is given. */
struct fs_tree_ram_options {
	uint64_t size_max; /* bytes of pages, xattrs and link targets; 0: 1 GiB */
	uint64_t node_max; /* files, and names beyond the first of each; 0: 1 << 20 */
	uint64_t (*clock)(
		void *opaque); /* ns since 1970; NULL: one more microsecond a call, from a fixed start */
	void *opaque;
	bool read_only;
	bool trust_guest; /* the guest has checked permissions: it knows all groups of its callers */
	uint64_t entry_valid,
		attr_valid; /* ns that the guest may keep names and attributes; default 0 */
};

/* Returns 0; -ENOMEM. options may be NULL. */
int fs_tree_ram_create(struct fs_tree **tree, const struct fs_tree_ram_options *options);

enum fs_tree_dir_flags {
	FS_DIR_READ_ONLY = 1,
	FS_DIR_NO_HANDLES = 2, /* never file handles, though the kernel and privileges allow them */
	FS_DIR_NO_OPENAT2 = 4, /* walk component by component, as on a kernel without openat2 */
	FS_DIR_NO_XATTR = 8,
	FS_DIR_OWN_CREDENTIALS = 16, /* all is done as this process, whoever the caller is */

	/*
	 * The owner of the directory promises that nobody else moves, removes or replaces a name
	 * below it while the tree lives. Files are opened by their names then, which is cheaper;
	 * names change one at a time. If the promise is broken, nothing outside is opened and
	 * no file is taken for another one all the same, but what was moved may be
	 * ESTALE, and a special file may be open for a moment, without a byte of it being read.
	 * New names, contents and attributes may be changed by others as without it. A few files that
	 * were open for reading only stay open on the host after their release, until there are
	 * 16 of them or a name is removed.
	 */
	FS_DIR_EXCLUSIVE = 32,
};

struct fs_tree_dir_options {
	unsigned flags;
	unsigned
		fd_max; /* descriptors that the tree may hold, 32 at least; 0: half of RLIMIT_NOFILE */
	uint64_t entry_valid,
		attr_valid; /* ns that the guest may keep names and attributes; default 0 */
};

/*
 * The tree below a directory of the host. Nothing outside of it is opened, read or
 * changed, whatever links, mounts and renames do; what is mounted in it is not part of
 * the tree (EXDEV). A file is told from another one by its inode and time of birth: one that the
 * host replaces within the tick of the clock in which it was made, and that gets the same inode
 * number, can be taken for the old one. Needs /proc. options may be NULL.
 * Returns 0; -ENOTDIR; -ENOMEM; or what open(2) said.
 */
int fs_tree_dir_create(struct fs_tree **tree, const char *path,
		       const struct fs_tree_dir_options *options);

#ifdef __cplusplus
}
#endif

#endif
