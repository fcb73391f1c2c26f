/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the parts of the model of a file system know of each other. Private to vqsim/referee.
 *
 *   tree.c         requests as they go and come: who predicts, who checks
 *   tree_group.c   requests in flight at once: in which order they may have happened
 *   tree_keep.c    a request and its reply, kept until that is known
 *   tree_copy.c    copies of the whole model, to try an order on
 *   tree_digest.c  whether two of them know the same
 *   tree_ops.c     the operations by opcode
 *   tree_fault.c   requests that are wrong whatever the files are
 *   tree_node.c    nodes, their ids, handles, and what is known of them
 *   tree_name.c    names in directories
 *   tree_attr.c    attributes and times: what a reply says against what must be
 *   tree_access.c  who may do what
 *   tree_make.c, tree_remove.c, tree_set.c, tree_open.c, tree_data.c, tree_space.c, tree_xattr.c,
 *   tree_lock.c, tree_list.c   the operations
 *   tree_walk.c    for those who compare
 *   tree_say.c     steps in words
 *
 * An operation is a pair: predict says what must come back and changes nothing; apply, if
 * the device said yes, does the same in the model and checks the rest of the reply. predict returns
 * 0, a negative errno, or MODEL_ANY: the model does not know.
 *
 * Threads: one.
 */
#ifndef VQSIM_REFEREE_TREE_INTERNAL_H
#define VQSIM_REFEREE_TREE_INTERNAL_H

#include "tree.h"

#define MODEL_ANY       1
#define MODEL_ANY_ERROR 2 /* it must fail */

#define MODEL_PAGE_SIZE  4096u
#define MODEL_PAGES_MAX  (UINT64_C(1) << 14) /* of a file; what is behind is not known */
#define MODEL_TOUCH_MAX  5u
#define MODEL_OFFSET_MAX (UINT64_MAX >> 1)

struct model_stamp {
	int64_t sec;
	uint32_t nsec;
};

/* What the next look must see. */
enum model_when {
	MODEL_STILL, /* value */
	MODEL_MAY,   /* value, or not before since */
	MODEL_MOVED, /* not before since */
	MODEL_UNSEEN,
};

struct model_time {
	enum model_when when;
	struct model_stamp value, since;
};

enum model_which { MODEL_ATIME, MODEL_MTIME, MODEL_CTIME, MODEL_TIMES };

struct model_xattr {
	struct model_xattr *next;
	char *name;
	uint8_t *value;
	uint32_t size;
};

struct model_lock {
	struct model_lock *next;
	uint64_t owner;
	struct fuse_file_lock lock;
};

struct model_name {
	struct model_name *next_in_hash;
	struct model_name *next, **at; /* in the directory */
	struct model_node *dir, *node;
	uint64_t born; /* the clock when it came */
	char text[];
};

/* What of a file a request may be about. Locks are apart: who waits for one keeps nothing else up. */
enum model_part { MODEL_FILE, MODEL_LOCKS, MODEL_PARTS };

/* A name that was removed while somebody listed the directory. */
struct model_gone {
	struct model_gone *next;
	uint64_t when;
	char text[];
};

struct model_node {
	struct model_node *next_by_id, *next_of_all, **at_of_all;
	uint64_t id; /* 0: none now */
	uint64_t lookups;
	uint64_t names; /* that the model knows */
	uint32_t opens, pins;

	/* Type alone is always known. */
	bool attr_known, ino_known;
	uint64_t ino, size;
	uint32_t mode, nlink, uid, gid, rdev;
	struct model_time times[MODEL_TIMES];

	/* A directory. */
	struct model_node *parent;
	struct model_name *children;
	struct model_gone *gone;
	uint64_t child_count;
	bool complete; /* there are no other names */
	bool dead;     /* was removed */

	/* A file: pages, NULL for zeroes. */
	uint8_t **pages;
	uint64_t page_room;
	bool linkable; /* TMPFILE without O_EXCL */

	char *target;
	struct model_xattr *xattrs;
	bool xattrs_complete; /* of user. */
	bool other_xattrs;    /* there may be some in other name spaces */
	struct model_lock *posix, *flock;
	bool locks_known;

	/* Requests in flight, and the moment at which the last one that changed it came back. */
	struct {
		uint32_t readers, writers;
		uint64_t written;
	} use[MODEL_PARTS];

	struct model_node *twin; /* while the model is copied: the same node in the copy */
};

/* Of a listing: names that were given since it began. */
struct model_seen {
	struct model_seen *next;
	char text[];
};

struct model_handle {
	struct model_handle *next;
	struct model_node *node;
	uint64_t node_id, handle;
	uint32_t flags;
	bool dir;
	bool whole;      /* the listing went from the beginning without a jump */
	uint64_t began;  /* clock */
	uint64_t offset; /* where it goes on */
	struct model_seen *seen;
};

/* What is left of a request when its slot may be used again. */
struct model_kept {
	struct vqsim_fs_args args;
	struct vqsim_fs_result result;
	struct fuse_setattr_in set;
	uint8_t *message, *data; /* of the request and of the reply */
	char *name, *new_name, *target;
	struct fuse_forget_one *forgets;
};

struct model_step {
	struct model_step *next;
	struct vqsim_tree *tree;
	const struct vqsim_fs_args *args;
	const struct vqsim_fs_result *result;
	const struct vqsim_fs_request *request; /* NULL when it is kept */
	const uint8_t *data;                    /* that WRITE or SETXATTR brought */
	const struct model_op *op;
	uint16_t queue;
	uint32_t uid, gid, umask, group_count;
	const uint32_t *groups;
	bool had_handle;       /* open when the request went */
	bool blind;            /* another request came in between: nothing is checked */
	uint64_t began, ended; /* moments */
	unsigned touched_count;
	struct model_node *touched[MODEL_TOUCH_MAX];
	struct model_kept kept;
};

/* What is wrong in an order that is tried. */
struct model_objection {
	bool made;
	enum vqsim_rule rule;
	char words[176];
};

enum model_use {
	MODEL_READS_FILE = 1 << MODEL_FILE,
	MODEL_READS_LOCKS = 1 << MODEL_LOCKS,
	MODEL_WRITES_FILE = 4 << MODEL_FILE,
	MODEL_WRITES_LOCKS = 4 << MODEL_LOCKS,
	MODEL_NEEDS_ROOM = 16, /* ENOSPC */
};

struct model_op {
	int (*predict)(struct model_step *step);
	void (*apply)(struct model_step *step);
	int (*fault)(const struct model_step *step); /* or NULL */
	unsigned use;                                /* enum model_use */
};

/* NULL: nothing is known of the opcode. */
const struct model_op *model_op_of(uint32_t opcode);

/* What the step reads or writes of the nodes that it is about. */
bool model_reads(const struct model_step *s, enum model_part part);
bool model_writes(const struct model_step *s, enum model_part part);

/* Whether the error got may come in place of what was predicted. */
bool model_is_free(const struct model_step *s, int want, int got);

#define MODEL_OP(name)                                  \
	int model_predict_##name(struct model_step *s); \
	void model_apply_##name(struct model_step *s)

MODEL_OP(lookup);
MODEL_OP(getattr);
MODEL_OP(setattr);
MODEL_OP(readlink);
MODEL_OP(symlink);
MODEL_OP(mknod);
MODEL_OP(mkdir);
MODEL_OP(unlink);
MODEL_OP(rmdir);
MODEL_OP(rename);
MODEL_OP(link);
MODEL_OP(open);
MODEL_OP(read);
MODEL_OP(write);
MODEL_OP(release);
MODEL_OP(fsync);
MODEL_OP(fsyncdir);
MODEL_OP(setxattr);
MODEL_OP(getxattr);
MODEL_OP(listxattr);
MODEL_OP(removexattr);
MODEL_OP(flush);
MODEL_OP(opendir);
MODEL_OP(readdir);
MODEL_OP(releasedir);
MODEL_OP(getlk);
MODEL_OP(setlk);
MODEL_OP(access);
MODEL_OP(create);
MODEL_OP(tmpfile);
MODEL_OP(fallocate);
MODEL_OP(lseek);
MODEL_OP(copy_file_range);
MODEL_OP(statx);
MODEL_OP(node);
MODEL_OP(forget);

/* tree_fault.c: 0, or what is wrong with the request itself. */
int model_fault_name(const struct model_step *s);
int model_fault_lookup(const struct model_step *s);
int model_fault_new_name(const struct model_step *s);
int model_fault_rename(const struct model_step *s);
int model_fault_symlink(const struct model_step *s);
int model_fault_mknod(const struct model_step *s);
int model_fault_setattr(const struct model_step *s);
int model_fault_open(const struct model_step *s);
int model_fault_create(const struct model_step *s);
int model_fault_read(const struct model_step *s);
int model_fault_write(const struct model_step *s);
int model_fault_fallocate(const struct model_step *s);
int model_fault_lseek(const struct model_step *s);
int model_fault_copy(const struct model_step *s);
int model_fault_lock(const struct model_step *s);
int model_fault_access(const struct model_step *s);
int model_fault_setxattr(const struct model_step *s);
int model_fault_xattr(const struct model_step *s);

/* --- requests in flight at once --- */

/* Whether what the step is about is used by others in flight, or was changed since it began. */
bool model_met_others(const struct model_step *s);
/* Check the reply of a step and carry it out in the model. */
void model_take(struct model_step *s);
void model_touch(struct model_step *s);
void model_untouch(struct model_step *s);
/* The step is over, but its place in time is not known. */
void model_group_add(struct vqsim_tree *tree, struct model_step *s);
bool model_group_has_room(const struct vqsim_tree *tree);
/* Find the order, if all is there to find it. */
void model_group_close(struct vqsim_tree *tree);
/* It cannot be found: what the group is about is not known from now on. */
void model_group_give_up(struct vqsim_tree *tree);
void model_step_free(struct vqsim_tree *tree, struct model_step *s);
/* A change whose place in time is not known: what may have become of the names. */
void model_unsure_names(struct model_step *s);
/* The message and the reply are no longer needed. Returns false: no memory. */
bool model_keep(struct model_step *s);
void model_kept_free(struct model_step *s);

/* Small enough to be copied for every order that is tried. */
bool model_small(const struct vqsim_tree *tree);
/* Returns false: no memory; to is to be finished in any case. */
bool model_copy(struct vqsim_tree *to, const struct vqsim_tree *from);
/* Of all that the model knows. */
uint64_t model_digest(const struct vqsim_tree *tree);
/* Take over what the copy knows; the copy is empty then. */
void model_adopt(struct vqsim_tree *tree, struct vqsim_tree *copy);
/* All but steps. */
void model_finish(struct vqsim_tree *tree);

/* A lock that the step waits for is held by somebody else. */
bool model_must_wait(struct model_step *s);
/* What may become of the locks of a file if the step comes between others in flight. */
void model_flock_submitted(struct model_step *s);

/*
 * On a host a change of several things at once takes several calls. Returns whether some of them may
 * have been made.
 */
bool model_setattr_failed(struct model_step *s);

/* Record a violation. */
void model_wrong(struct model_step *s, enum vqsim_rule rule, const char *format, ...)
	__attribute__((format(printf, 3, 4), cold));

/* --- nodes --- */

struct model_node *model_node_new(struct vqsim_tree *tree, uint32_t mode);
struct model_node *model_node_of(const struct vqsim_tree *tree, uint64_t id);
/* Free it if nothing refers to it. */
void model_node_put(struct vqsim_tree *tree, struct model_node *node);
void model_node_free(struct vqsim_tree *tree, struct model_node *node);
void model_node_set_id(struct vqsim_tree *tree, struct model_node *node, uint64_t id);
void model_forget(struct vqsim_tree *tree, uint64_t id, uint64_t count);
/* Nothing but its type is known any more. */
void model_vague(struct model_node *node);
/* What was changed or opened by an id that was forgotten, but lingers, may be any file. */
void model_after_stale_id(struct model_step *s);
/* On a host without a descriptor left, a file that has no name is not found again: ESTALE. */
bool model_may_be_lost(const struct model_step *s);
/* All look-ups and handles end. */
void model_new_session(struct vqsim_tree *tree);

/* ESTALE. */
int model_need(const struct model_step *s, uint64_t id, struct model_node **node);
/* And ENOTDIR. */
int model_need_dir(const struct model_step *s, uint64_t id, struct model_node **dir);

struct model_handle *model_handle_of(const struct vqsim_tree *tree, uint64_t node, uint64_t handle);
/* EBADF, or ESTALE. */
int model_need_handle(const struct model_step *s, uint64_t node, uint64_t id,
		      struct model_handle **handle);
int model_need_file(const struct model_step *s, uint64_t node, uint64_t id,
		    struct model_handle **handle);
void model_handle_new(struct model_step *s, struct model_node *node, bool dir);
void model_handle_free(struct vqsim_tree *tree, struct model_handle *handle);
void model_listing_begin(struct model_handle *handle, uint64_t clock);

/* The node that an entry can be of, whatever its name. NULL: none that is known. */
struct model_node *model_entry_known(const struct vqsim_tree *tree,
				     const struct fuse_entry_out *entry);
/* A look-up came back with entry: count it. *node: what the model takes it for, or NULL: not known before. */
void model_entry(struct model_step *s, const struct fuse_entry_out *entry,
		 struct model_node **node);

/* --- names --- */

/* Returns 0; or what the decoder of names says. */
int model_check_name(const char *name, bool dots);
struct model_name *model_name_get(const struct vqsim_tree *tree, const struct model_node *dir,
				  const char *name);
/* -> *name: NULL if it is not there. Returns 0; MODEL_ANY: it may be. */
int model_find(const struct model_step *s, const struct model_node *dir, const char *text,
	       struct model_name **name);
void model_name_add(struct vqsim_tree *tree, struct model_node *dir, const char *text,
		    struct model_node *node);
void model_name_remove(struct vqsim_tree *tree, struct model_name *name);
/* The name stands for another file from now on. */
void model_name_set(struct vqsim_tree *tree, struct model_name *name, struct model_node *node);
/* One name less of a node: its links and time of change. */
void model_unnamed(struct model_step *s, struct model_node *node);
/* All of them: it has no other. */
bool model_knows_names(const struct vqsim_tree *tree, const struct model_node *node);
/* A name that is not known went, or changed its place: whoever may have had it is another now. */
void model_unnamed_somebody(struct model_step *s);
/* It was removed; or where it is has been forgotten, and then it may have been. */
bool model_may_be_dead(const struct vqsim_tree *tree, const struct model_node *dir);
void model_gone_free(struct model_node *dir);

/* --- attributes --- */

int model_stamp_compare(struct model_stamp a, struct model_stamp b);
void model_check_attr(struct model_step *s, struct model_node *node, const struct fuse_attr *attr);
void model_moved(struct model_step *s, struct model_node *node, enum model_which which);
void model_may(struct model_step *s, struct model_node *node, enum model_which which);
void model_dir_changed(struct model_step *s, struct model_node *dir);
void model_written(struct model_step *s, struct model_node *node, bool kill);

/* --- access --- */

bool model_owner(const struct model_step *s, const struct model_node *node);
bool model_in_group(const struct model_step *s, uint32_t gid);
/* 0; -EACCES; MODEL_ANY. mask of R_OK, W_OK, X_OK. */
int model_permission(const struct model_step *s, const struct model_node *node, uint32_t mask);
int model_may_create(const struct model_step *s, const struct model_node *dir);
int model_may_delete(const struct model_step *s, const struct model_node *dir,
		     const struct model_node *node, bool as_dir);
/* The error of who has no right, or MODEL_ANY if the guest was to look at that. */
int model_denied(const struct model_step *s, int error);
/* Whether suid and sgid are the guest's business; then they are not known from now on. */
bool model_special_bits_free(const struct model_step *s, struct model_node *node);
/* Whoever the caller is. */
void model_drop_privileges(const struct model_step *s, struct model_node *node);
/* Because the guest says so. */
void model_told_to_drop(const struct model_step *s, struct model_node *node);
void model_kill_priv(const struct model_step *s, struct model_node *node);

/* open with flags of a node; and what O_TRUNC does. */
int model_predict_open_of(const struct model_step *s, const struct model_node *node);
void model_opened(struct model_step *s, struct model_node *node);

/* --- data --- */

/* NULL: zeroes; model_unknown_page. */
extern uint8_t model_unknown_page[];
uint8_t *model_page(const struct model_node *node, uint64_t page);
void model_bytes_set(struct model_step *s, struct model_node *node, uint64_t offset,
		     const uint8_t *data, uint64_t size);
void model_bytes_zero(struct model_node *node, uint64_t offset, uint64_t size);
void model_set_size(struct model_node *node, uint64_t size);
/* What is in pages that the range touches is not known any more. */
void model_bytes_vague(struct model_node *node, uint64_t offset, uint64_t size);
void model_data_vague(struct model_node *node);
void model_pages_free(struct model_node *node);
/* Whether all bytes of the range are zero as far as is known. */
bool model_zero(const struct model_node *node, uint64_t offset, uint64_t end);
/* The first byte that is not as data says, or size. */
uint64_t model_difference(const struct model_node *node, uint64_t offset, const uint8_t *data,
			  uint64_t size);

/* Files come without extended attributes of the host. */
bool model_only_user_xattrs(const struct vqsim_tree *tree);
void model_xattrs_free(struct model_node *node);
void model_locks_free(struct model_node *node);
void model_flock_drop(struct model_node *node, uint64_t owner);

/* --- words --- */

void model_say(const struct model_step *s, char *out, size_t size);

#endif
