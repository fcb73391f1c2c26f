/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A tree without files: it writes each call down in one line, and answers as it was told.
 * Its results are the same for all calls, and each field of them is different.
 *
 * Threads: one for each fake_tree, but for calls that are held: see fake_tree_end.
 */
#ifndef TESTS_SUPPORT_FAKE_TREE_H
#define TESTS_SUPPORT_FAKE_TREE_H

#include "devices/fs/fuse_wire.h"
#include "devices/fs/tree.h"

#define FAKE_TREE_LINES 64u
#define FAKE_TREE_HELD  16u

/* What every answer has. attr is in fake_tree.c, in the order of struct statx. */
#define FAKE_NODE   UINT64_C(0x1112131415161718)
#define FAKE_HANDLE UINT64_C(0x2122232425262728)

/* An entry to add to a directory; node 0: not looked up. */
struct fake_dirent {
	const char *name;
	uint32_t type;
	uint64_t ino, next, node;
};

struct fake_tree {
	struct fs_tree base;
	struct fs_tree_ops ops; /* members may be taken away before the session is made */
	struct fs_tree_limits limits;

	/* What to answer. */
	int result;       /* or FS_LATER: the call is held */
	uint64_t count;   /* of answers that have one */
	const char *data; /* goes to the window of calls that read; NULL: nothing */
	const struct fake_dirent *dirents;
	unsigned dirent_count;
	void (*during)(void *opaque); /* called once, inside of the next operation or cancel */
	void *opaque;
	bool mount_root; /* entries and attributes are those of a directory on which something is mounted */
	bool deaf;  /* cancel does nothing */
	bool eager; /* a call that is held is done before its operation returns, with EEXIST */

	/* What happened. */
	char lines[FAKE_TREE_LINES][4352];
	unsigned line_count;
	unsigned starts, resets, cancels;
	uint64_t init_flags;
	struct fs_call *held[FAKE_TREE_HELD];
	unsigned held_count;
	unsigned added; /* entries that add took */
};

struct fake_tree *fake_tree_create(void);

/* The last line, or "" if there is none since the last look. */
const char *fake_tree_last(struct fake_tree *tree);

/* End a call that is held, the first one, with results or an error. Any thread, if it is the only one. */
void fake_tree_end(struct fake_tree *tree, int result);

#endif
