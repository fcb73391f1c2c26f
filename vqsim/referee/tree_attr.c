/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Attributes that a reply tells, against those that must be. A time is what was seen last, or
 * not before a moment: the latest time of change that any reply told before it was changed.
 */
#include <errno.h>
#include <inttypes.h>
#include <sys/stat.h>
#include <linux/stat.h>

#include "tree_internal.h"

int model_stamp_compare(struct model_stamp a, struct model_stamp b)
{
	if (a.sec != b.sec)
		return a.sec < b.sec ? -1 : 1;
	return a.nsec == b.nsec ? 0 : a.nsec < b.nsec ? -1 : 1;
}

static struct model_stamp latest(const struct vqsim_tree *tree)
{
	return (struct model_stamp){tree->latest.sec, tree->latest.nsec};
}

void model_moved(struct model_step *s, struct model_node *node, enum model_which which)
{
	struct model_time *time = &node->times[which];

	time->when = MODEL_MOVED;
	time->since = latest(s->tree);
}

void model_may(struct model_step *s, struct model_node *node, enum model_which which)
{
	struct model_time *time = &node->times[which];

	if (time->when != MODEL_STILL)
		return;
	time->when = MODEL_MAY;
	time->since = latest(s->tree);
}

void model_dir_changed(struct model_step *s, struct model_node *dir)
{
	model_moved(s, dir, MODEL_MTIME);
	model_moved(s, dir, MODEL_CTIME);
}

void model_written(struct model_step *s, struct model_node *node, bool kill)
{
	if (kill)
		model_kill_priv(s, node);
	model_moved(s, node, MODEL_MTIME);
	model_moved(s, node, MODEL_CTIME);
}

/* What a clock that counts ticks may be behind one that does not: some hosts have both. */
#define TICK 20000000u

static struct model_stamp before(struct model_stamp stamp)
{
	if (stamp.nsec >= TICK)
		return (struct model_stamp){stamp.sec, stamp.nsec - TICK};
	return (struct model_stamp){stamp.sec - 1, stamp.nsec + 1000000000u - TICK};
}

static bool moved_enough(const struct vqsim_tree *tree, const struct model_time *time,
			 struct model_stamp seen)
{
	if (tree->options.freedom & VQSIM_TREE_COARSE_CLOCK)
		return model_stamp_compare(seen, before(time->since)) >= 0;
	return model_stamp_compare(seen, time->since) > 0;
}

static void check_time(struct model_step *s, struct model_node *node, enum model_which which,
		       struct model_stamp seen)
{
	static const char *const names[] = {"access", "modification", "change"};
	struct model_time *time = &node->times[which];
	bool still = time->when != MODEL_UNSEEN && model_stamp_compare(seen, time->value) == 0;
	bool moved = time->when != MODEL_UNSEEN && moved_enough(s->tree, time, seen);

	if (time->when == MODEL_STILL && !still)
		model_wrong(s, VQSIM_RULE_TREE_TIME,
			    "time of %s %" PRId64 ".%09" PRIu32 " and not %" PRId64 ".%09" PRIu32
			    " as before",
			    names[which], seen.sec, seen.nsec, time->value.sec, time->value.nsec);
	if ((time->when == MODEL_MOVED && !moved) || (time->when == MODEL_MAY && !moved && !still))
		model_wrong(s, VQSIM_RULE_TREE_TIME,
			    "time of %s %" PRId64 ".%09" PRIu32
			    ", but it was changed after %" PRId64 ".%09" PRIu32,
			    names[which], seen.sec, seen.nsec, time->since.sec, time->since.nsec);
	time->when = MODEL_STILL;
	time->value = seen;
}

static void check_times(struct model_step *s, struct model_node *node, const struct fuse_attr *attr)
{
	const struct model_stamp changed = {(int64_t)attr->ctime, attr->ctimensec};
	enum model_when when = node->times[MODEL_CTIME].when;

	if (s->tree->options.freedom & VQSIM_TREE_FREE_ATIME)
		node->times[MODEL_ATIME].when = MODEL_UNSEEN;
	check_time(s, node, MODEL_ATIME,
		   (struct model_stamp){(int64_t)attr->atime, attr->atimensec});
	check_time(s, node, MODEL_MTIME,
		   (struct model_stamp){(int64_t)attr->mtime, attr->mtimensec});
	check_time(s, node, MODEL_CTIME, changed);
	/* Others may have been set by somebody to any time. */
	if ((when == MODEL_MOVED || when == MODEL_MAY) &&
	    model_stamp_compare(changed, latest(s->tree)) > 0) {
		s->tree->latest.sec = changed.sec;
		s->tree->latest.nsec = changed.nsec;
	}
}

/* What was told is so from now on, lest one fault be reported with every reply. */
static void check_value(struct model_step *s, const char *name, uint64_t want, uint64_t got)
{
	if (want != got)
		model_wrong(s, VQSIM_RULE_TREE_ATTR, "%s %" PRIu64 " and not %" PRIu64, name, got,
			    want);
}

static void check_mode(struct model_step *s, const struct model_node *node, uint32_t mode)
{
	if (node->mode != mode)
		model_wrong(s, VQSIM_RULE_TREE_ATTR, "mode 0%" PRIo32 " and not 0%" PRIo32, mode,
			    node->mode);
}

static bool counts_links(const struct model_step *s, const struct model_node *node)
{
	return !S_ISDIR(node->mode) || !(s->tree->options.freedom & VQSIM_TREE_DIR_NLINK);
}

static void check_known(struct model_step *s, struct model_node *node, const struct fuse_attr *attr)
{
	check_mode(s, node, attr->mode);
	check_value(s, "uid", node->uid, attr->uid);
	check_value(s, "gid", node->gid, attr->gid);
	if (counts_links(s, node))
		check_value(s, "links", node->nlink, attr->nlink);
	if (S_ISREG(node->mode) || S_ISLNK(node->mode))
		check_value(s, "size", node->size, attr->size);
	if (S_ISCHR(node->mode) || S_ISBLK(node->mode))
		check_value(s, "device", node->rdev, attr->rdev);
}

static void learn(struct model_node *node, const struct fuse_attr *attr)
{
	/* Where it has grown unseen there may be anything. */
	bool grown = S_ISREG(node->mode) && !node->attr_known && attr->size > node->size;

	node->attr_known = true;
	node->mode = attr->mode;
	node->nlink = attr->nlink;
	node->uid = attr->uid;
	node->gid = attr->gid;
	node->rdev = attr->rdev;
	if (node->size != attr->size && S_ISREG(node->mode))
		model_set_size(node, attr->size);
	node->size = attr->size;
	if (grown)
		model_data_vague(node);
}

static void check_ino(struct model_step *s, struct model_node *node, uint64_t ino)
{
	if (node->ino_known)
		check_value(s, "inode", node->ino, ino);
	node->ino = ino;
	node->ino_known = true;
}

void model_check_attr(struct model_step *s, struct model_node *node, const struct fuse_attr *attr)
{
	if (s->blind)
		return;
	if ((node->mode & S_IFMT) != (attr->mode & S_IFMT)) {
		model_wrong(s, VQSIM_RULE_TREE_IDENTITY,
			    "a file of type 0%o turned into one of 0%o", node->mode & S_IFMT,
			    attr->mode & S_IFMT);
		return;
	}
	check_ino(s, node, attr->ino);
	if (node->attr_known)
		check_known(s, node, attr);
	else
		s->tree->learned++;
	check_times(s, node, attr);
	learn(node, attr);
}

static int node_or_handle(const struct model_step *s, bool by_handle, uint64_t id,
			  struct model_node **node)
{
	struct model_handle *handle;
	int error;

	if (!by_handle)
		return model_need(s, s->args->node, node);
	error = model_need_handle(s, s->args->node, id, &handle);
	if (error == 0)
		*node = handle->node;
	return error;
}

static int getattr_node(const struct model_step *s, struct model_node **node)
{
	return node_or_handle(s, s->args->fuse_flags & FUSE_GETATTR_FH, s->args->handle, node);
}

int model_predict_getattr(struct model_step *s)
{
	struct model_node *node;

	return getattr_node(s, &node);
}

void model_apply_getattr(struct model_step *s)
{
	struct model_node *node;

	if (getattr_node(s, &node) == 0)
		model_check_attr(s, node, &s->result->attr);
}

int model_predict_statx(struct model_step *s)
{
	return model_predict_getattr(s);
}

/* What stat(2) has of it. */
void model_apply_statx(struct model_step *s)
{
	const struct fuse_statx *x = &s->result->statx;
	const struct fuse_attr attr = {
		.ino = x->ino,
		.size = x->size,
		.atime = (uint64_t)x->atime.tv_sec,
		.mtime = (uint64_t)x->mtime.tv_sec,
		.ctime = (uint64_t)x->ctime.tv_sec,
		.atimensec = x->atime.tv_nsec,
		.mtimensec = x->mtime.tv_nsec,
		.ctimensec = x->ctime.tv_nsec,
		.mode = x->mode,
		.nlink = x->nlink,
		.uid = x->uid,
		.gid = x->gid,
		.rdev = (x->rdev_minor & 0xff) | (x->rdev_major & 0xfff) << 8 |
			(x->rdev_minor & 0xfff00) << 12,
	};
	struct model_node *node;

	if ((x->mask & STATX_BASIC_STATS) == STATX_BASIC_STATS && getattr_node(s, &node) == 0)
		model_check_attr(s, node, &attr);
}

int model_predict_node(struct model_step *s)
{
	struct model_node *node;

	return model_need(s, s->args->node, &node);
}

void model_apply_node(struct model_step *s)
{
	(void)s;
}
