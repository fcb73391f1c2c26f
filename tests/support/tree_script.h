/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A list of steps that a tree and a directory of the host are taken through together,
 * each step on behalf of somebody: their results must be the same, and what both then
 * contain: names, types, modes, owners, links, sizes, and which times have changed.
 *
 * The host's part needs root, to act as others. Without it only the tree runs, and its results
 * are compared with those that the list says.
 *
 * Threads: one.
 */
#ifndef TESTS_SUPPORT_TREE_SCRIPT_H
#define TESTS_SUPPORT_TREE_SCRIPT_H

#include "tree_client.h"

/* Ann is in group 50 besides; Cat is in Ann's group. */
enum script_who { ROOT, ANN, BOB, CAT };

#define ANN_UID 1000
#define BOB_UID 1001
#define CAT_UID 1002
#define ANN_GID 1000
#define BOB_GID 1001

enum script_what {
	MKDIR,       /* path, x: mode */
	RMDIR,       /* path */
	CREATE,      /* path, x: flags of open besides O_CREAT, y: mode */
	OPEN,        /* path, x: flags */
	OPENDIR,     /* path */
	MKNOD,       /* path, x: mode, y: device */
	SYMLINK,     /* path, other: target */
	LINK,        /* path gets the name other */
	UNLINK,      /* path */
	RENAME,      /* path becomes other, x: flags */
	CHMOD,       /* path, x: mode */
	CHOWN,       /* path, x: uid, y: gid; KEEP */
	TRUNCATE,    /* path, x: size */
	FTRUNCATE,   /* path, x: size, y: flags of open */
	WRITE,       /* path, x: flags of open besides O_WRONLY, y: bytes */
	UTIMES,      /* path, x: atime, y: mtime in seconds; NOW, KEEP */
	ACCESS,      /* path, x: R_OK ... */
	SETXATTR,    /* path, other: name, x: flags, y: bytes */
	GETXATTR,    /* path, other: name, x: room -> bytes */
	LISTXATTR,   /* path, x: room -> bytes */
	REMOVEXATTR, /* path, other: name */
	READLINK,    /* path -> bytes */
	TMPFILE,     /* path: directory, other: name for it, x: flags of open, y: mode */
	STAT,        /* path */
};

#define KEEP UINT32_MAX
#define NOW  (UINT32_MAX - 1)

struct script_step {
	enum script_who who;
	enum script_what what;
	const char *path, *other;
	uint32_t x, y;
	int want; /* 0, a negative errno, or what READLINK and its kin say */
};

/* Take tree through count steps, and a new directory below TMPDIR. The mask of both is 022. */
void script_run(struct fs_tree *tree, const struct script_step *steps, size_t count);

/*
 * The same with steps that next makes up, count of them; nothing is wanted of their results
 * but that they are the host's. Needs root.
 */
void script_run_beside_host(struct fs_tree *tree, void (*next)(struct script_step *, void *),
			    void *opaque, size_t count);

#define SCRIPT_RUN(tree, steps) script_run(tree, steps, sizeof(steps) / sizeof((steps)[0]))

/* One step; on the host in the working directory. */
int64_t script_step_on_tree(struct tree_client *client, const struct script_step *step);
int64_t script_step_on_host(const struct script_step *step);

#endif
