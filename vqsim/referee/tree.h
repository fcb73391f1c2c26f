/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A model of a file system: what every reply of a file-system device must say. It listens to
 * a driver (guest_fs.h), predicts the result of each request from those before it, and
 * records a violation where the reply says something else.
 *
 * The model is exact where POSIX and Linux are: errors, types, modes, owners, links, sizes,
 * which times change, bytes, names, targets, extended attributes, locks, and which node id
 * and inode number stand for which file. Where they leave freedom the options say so. What
 * the model cannot know (a directory that was there before, a file that two requests changed at
 * the same time) is learned from the next reply that tells.
 *
 * Threads: one.
 */
#ifndef VQSIM_REFEREE_TREE_H
#define VQSIM_REFEREE_TREE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "referee.h"
#include "../guest_fs.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What a file system may do its own way. */
enum vqsim_tree_freedom {
	VQSIM_TREE_COARSE_CLOCK = 1, /* two changes may have the same time, or change places */
	VQSIM_TREE_DIR_NLINK = 2,    /* links of a directory do not count its directories */
	VQSIM_TREE_HOST_POLICY = 4,  /* may refuse more: EPERM of link, EACCES of create (sysctl) */
	VQSIM_TREE_NO_XATTR = 8,     /* EOPNOTSUPP for extended attributes */
	VQSIM_TREE_TRUSTING = 16,    /* the guest has checked permissions; errors of it are free */
	VQSIM_TREE_LATE_LISTINGS =
		32,                  /* a listing may show a name that was removed since it began */
	VQSIM_TREE_FREE_ATIME = 128, /* somebody else reads too */
	VQSIM_TREE_IDS_LINGER = 64,  /* a node id that was forgotten may still be answered */
	VQSIM_TREE_SIZE_LIMIT = 256, /* EFBIG, from a size on that is its own */
};

struct vqsim_tree_options {
	unsigned freedom; /* enum vqsim_tree_freedom */
	bool unknown;     /* the root may have content already; otherwise it is empty */
};

struct model_node;
struct model_name;
struct model_handle;
struct model_step;
struct model_objection;

#define VQSIM_TREE_STEPS     16u
#define VQSIM_TREE_GROUP_MAX 6u

struct vqsim_tree {
	struct vqsim_referee *referee;
	struct vqsim_tree_options options;
	uint64_t judged;  /* replies that were predicted */
	uint64_t learned; /* replies that could not be */
	uint64_t wrong;   /* violations */

	/* Private. */
	struct vqsim_fs *fs;
	struct model_node *root;
	struct model_node **nodes; /* all that have an id, by id */
	struct model_name **names; /* by directory and name */
	size_t node_room, node_count, name_room, name_count;
	struct model_node *all;
	struct model_handle *handles;
	struct model_step *in_flight, *spare;
	struct model_step *group[VQSIM_TREE_GROUP_MAX]; /* that are over, in this order */
	unsigned group_count;
	uint32_t forgets;                  /* in flight */
	uint64_t moment;                   /* counts requests that went or came back */
	struct model_objection *objection; /* while an order is tried: where what is wrong goes */
	uint64_t clock; /* counts requests that came back and may have changed something */
	struct {
		int64_t sec;
		uint32_t nsec;
	} latest; /* of the times of change that were seen */
	char steps[VQSIM_TREE_STEPS][160];
	uint64_t step_count;
	bool stray_handles; /* there are handles of files that are not known */
	bool stray_ids; /* and ids, of what was done by an id that a FORGET gave back meanwhile */
	bool no_memory; /* nothing is judged any more */
};

/* options may be NULL: no freedom, an empty root. Returns 0 or -ENOMEM. */
int vqsim_tree_init(struct vqsim_tree *tree, struct vqsim_referee *referee,
		    const struct vqsim_tree_options *options);

/* A zeroed one can be finished. */
void vqsim_tree_finish(struct vqsim_tree *tree);

/*
 * Listen to fs, whose next session is a new one for the file system as it stands. To be told after
 * each vqsim_fs_init, before INIT.
 */
void vqsim_tree_watch(struct vqsim_tree *tree, struct vqsim_fs *fs);

/* The last requests and their results, the newest last. */
void vqsim_tree_print(const struct vqsim_tree *tree, FILE *out);

/* What stands at a path from the root ("" is the root), for those who compare with something else. */
struct vqsim_tree_file {
	bool attr_known, data_known, names_known;
	uint32_t mode, nlink, uid, gid, rdev;
	uint64_t size;
	const char *target; /* of a link */
	const void *file;   /* the same for all names of one file */
};

/* Called for each name below a directory, "" being the root; file as vqsim_tree_data wants it. */
typedef void vqsim_tree_visit(void *opaque, const char *path, const struct vqsim_tree_file *file);

void vqsim_tree_walk(const struct vqsim_tree *tree, vqsim_tree_visit *visit, void *opaque);

/* Bytes of a file that was visited. Returns false: they are not known. */
bool vqsim_tree_data(const void *file, uint64_t offset, void *to, uint64_t size);

#ifdef __cplusplus
}
#endif

#endif
