/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the parts of the FUSE decoder know of each other. Internal to devices/fs.
 *
 *   fuse.c          life of session and queues
 *   fuse_message.c  a message from header to reply
 *   fuse_table.c    what there is to know of each opcode
 *   fuse_decode.c, fuse_decode_handle.c   arguments of a message into a call on the tree
 *   fuse_silent.c   messages without a reply
 *   fuse_names.c    names, link targets and extensions of a message
 *   fuse_reply.c    results of a call into a reply;   fuse_dirent.c  directory entries
 *   fuse_order.c    the other byte order
 *   fuse_init.c     INIT and DESTROY: one session after the other
 *   fuse_later.c    calls that the tree ends later: hand-over, cancelling, INTERRUPT
 *
 * Threads: a queue and its messages belong to the thread that calls on the queue, but
 * for what is marked "lock" below.
 */
#ifndef DEVICES_FS_FUSE_INTERNAL_H
#define DEVICES_FS_FUSE_INTERNAL_H

#include <pthread.h>

#include "fuse.h"
#include "fuse_wire.h"

#define FUSE_OPCODES  (FUSE_COPY_FILE_RANGE_64 + 1u)
#define FUSE_TEXT_MAX (FS_NAME_MAX + 1 + FS_PATH_MAX + 1) /* the longest: SYMLINK's */
#define FUSE_EXT_MAX  4096u

/* The end of the last byte that a file can have. */
#define FUSE_OFFSET_MAX ((uint64_t)INT64_MAX)

/* The last minors that these need. */
#define FUSE_MINOR_MIN 27u /* as other servers; older ones have other layouts */
#define FUSE_MINOR_EXT 38u /* total_extlen was padding before */

/* What a session is in. Read by every message, changed by fuse_init.c. */
enum fuse_phase {
	FUSE_NO_SESSION,
	FUSE_RUNNING,
	FUSE_ENDING, /* INIT or DESTROY waits until the tree is quiet */
};

/* The fixed arguments of a message, wherever they end. */
union fuse_args {
	struct fuse_forget_in forget;
	struct fuse_batch_forget_in batch_forget;
	struct fuse_getattr_in getattr;
	struct fuse_setattr_in setattr;
	struct fuse_mknod_in mknod;
	struct fuse_mkdir_in mkdir;
	struct fuse_rename_in rename;
	struct fuse_rename2_in rename2;
	struct fuse_link_in link;
	struct fuse_open_in open;
	struct fuse_create_in create;
	struct fuse_release_in release;
	struct fuse_flush_in flush;
	struct fuse_read_in read;
	struct fuse_write_in write;
	struct fuse_fsync_in fsync;
	struct fuse_setxattr_in setxattr;
	struct fuse_getxattr_in getxattr;
	struct fuse_lk_in lk;
	struct fuse_access_in access;
	struct fuse_interrupt_in interrupt;
	struct fuse_fallocate_in fallocate;
	struct fuse_lseek_in lseek;
	struct fuse_copy_file_range_in copy;
	struct fuse_statx_in statx;
};

/* A reply but for the data that the tree puts behind it. */
struct fuse_reply {
	struct fuse_out_header header;
	union {
		struct fuse_entry_out entry;
		struct {
			struct fuse_entry_out entry;
			struct fuse_open_out open;
		} create;
		struct fuse_attr_out attr;
		struct fuse_open_out open;
		struct fuse_write_out write;
		struct fuse_statfs_out statfs;
		struct fuse_getxattr_out getxattr;
		struct fuse_lk_out lk;
		struct fuse_init_out init;
		struct fuse_lseek_out lseek;
		struct fuse_copy_file_range_out copy;
		struct fuse_statx_out statx;
	};
};

/* A message from its submit to its reply. */
struct fuse_message {
	struct fs_call call; /* first, so that the tree's call-backs find the message */
	struct fuse_queue *queue;
	struct fs_request *request;
	const struct fuse_op *op;
	uint64_t unique;
	uint64_t flags;       /* of the session */
	bool swapped;         /* the guest has the other byte order */
	bool refused;         /* READDIR: an entry found no room */
	struct iov_window in; /* what has not been decoded yet */
	struct iov_window ext;
	size_t dirents; /* READDIR: bytes that call.data had at first */

	/* Pools and hand-over. */
	struct fuse_message *next;

	/* Calls for which the tree said FS_LATER, all under the lock. */
	struct fuse_message *next_waiting, **at_waiting;
	int result;
	bool over;      /* done was called */
	bool waiting;   /* submit knows that it was FS_LATER; in the list of the session */
	bool cancelled; /* the tree has been told, or is being told */
	unsigned pins;  /* threads that are telling it */

	/* INIT and DESTROY that wait for the tree. */
	struct fuse_init_in init;

	/* Copies of what the guest wrote. */
	uint32_t groups[FS_GROUPS_MAX];
	size_t text_at, text_end;
	char text[FUSE_TEXT_MAX];
	_Alignas(8) uint8_t extensions[FUSE_EXT_MAX];
};

struct fuse_queue {
	struct fs_session_queue base;
	enum fs_queue_kind kind;

	/*
	 * A thread is in the tree for this queue. Written before the phase is read; who
	 * changes the phase reads it afterwards (both sequentially consistent): one of
	 * the two sees the other.
	 */
	_Alignas(64) bool inside;

	struct fuse_message *free; /* the last one used first: it is in the cache */
	struct fuse_message *pool;
	uint16_t depth, used;          /* messages in the pool, and those that were ever in use */
	struct fuse_message *changing; /* INIT or DESTROY that waits for the tree */
	int event_fd;
	int poll_fd;

	/* lock: */
	struct fuse_message
		*over; /* to be answered; read without the lock to see if there is one */
	struct fuse_message **over_end;
	struct fuse_queue *next;
};

struct fuse_session {
	struct fs_session base;
	struct fs_tree *tree;
	struct fuse_options options;
	struct fs_tree_limits limits;
	fs_tree_op *members[FUSE_OPCODES];

	/* Of the session that runs: constant in it. */
	uint32_t minor;
	uint64_t flags;
	bool swapped;

	uint32_t phase; /* atomic; enum fuse_phase */

	/* Of queues, calls that are not over at once, and changes of the phase; a leaf. */
	pthread_mutex_t lock;
	struct fuse_queue *queues;
	struct fuse_message *waiting;
	struct fuse_message *changer;
	bool started; /* the tree */
};

enum fuse_op_flags {
	FUSE_OP_SILENT = 1, /* no reply, even to an error; may come on hiprio */
	FUSE_OP_CHANGE = 2, /* INIT and DESTROY, which have no call */
};

/* What there is to know of an opcode. */
struct fuse_op {
	uint8_t minor; /* the first that has it */
	uint8_t flags;
	uint16_t args_size;  /* fixed arguments; 8 less for SETXATTR without its extension */
	uint16_t reply_size; /* the least that a good reply needs, without the header */
	const char *args_layout;

	/*
	 * Fill the call from the arguments and from message->in, taking what belongs to the
	 * message from it; or do all there is to do, if SILENT. NULL: not known.
	 */
	int (*decode)(struct fuse_message *message, const union fuse_args *args);

	/* Send a reply to a call that went well. */
	void (*reply)(struct fuse_message *message, struct fuse_reply *reply);
};

extern const struct fuse_op fuse_ops_table[FUSE_OPCODES];

static inline struct fuse_session *fuse_session_of(const struct fuse_queue *queue)
{
	return (struct fuse_session *)queue->base.session;
}

static inline bool fuse_negotiated(const struct fuse_message *message, uint64_t flag)
{
	return message->flags & flag;
}

/* The thread goes into the tree, or does not (see inside): returns the phase. */
static inline uint32_t fuse_enter(struct fuse_queue *queue)
{
	__atomic_store_n(&queue->inside, true, __ATOMIC_SEQ_CST);
	return __atomic_load_n(&fuse_session_of(queue)->phase, __ATOMIC_SEQ_CST);
}

static inline void fuse_leave(struct fuse_queue *queue)
{
	__atomic_store_n(&queue->inside, false, __ATOMIC_RELEASE);
}

/*
 * fuse_order.c: turn round the integers of a structure of size bytes. layout has a letter
 * for each: b 1 byte, w 2 bytes, d 4, q 8.
 */
void fuse_swap(void *structure, size_t size, const char *layout);

#define FUSE_LAYOUT_IN_HEADER  "ddqqdddww"
#define FUSE_LAYOUT_OUT_HEADER "ddq"
#define FUSE_LAYOUT_ATTR       "qqqqqqdddddddddd"
#define FUSE_LAYOUT_ENTRY      "qqqqdd" FUSE_LAYOUT_ATTR
#define FUSE_LAYOUT_OPEN_OUT   "qdd"
#define FUSE_LAYOUT_DIRENT     "qqdd"
#define FUSE_LAYOUT_INIT_IN    "dddddddddddddddd"
#define FUSE_LAYOUT_INIT_OUT   "ddddwwddwwddwwwwwwwwwwww"
#define FUSE_LAYOUT_EXT        "dd"

/*
 * fuse_names.c. Each copies what it needs the first time, and returns 0 or what is wrong.
 * A name of a file, which may be "." or ".." if dots.
 */
int fuse_take_name(struct fuse_message *message, bool dots, const char **name);
int fuse_take_xattr_name(struct fuse_message *message, const char **name);
/* Any text of at most max bytes: not empty, ended by a NUL. */
int fuse_take_text(struct fuse_message *message, size_t max, const char **text);
/* The extensions: groups and label of the call. */
int fuse_take_extensions(struct fuse_message *message);
/* Whether something follows that no member of the message accounts for. */
bool fuse_anything_left(const struct fuse_message *message);

/* fuse_reply.c: payload of size bytes is in reply, data_size bytes of data behind it. */
void fuse_send(struct fuse_message *message, struct fuse_reply *reply, size_t size,
	       const char *layout);
void fuse_send_data(struct fuse_message *message, struct fuse_reply *reply, size_t data_size);
void fuse_send_error(struct fuse_message *message, int error);
void fuse_fill_entry(const struct fuse_message *message, struct fuse_entry_out *out,
		     const struct fs_entry *entry);

/* Replies of the table. */
void fuse_reply_empty(struct fuse_message *message, struct fuse_reply *reply);
void fuse_reply_entry(struct fuse_message *message, struct fuse_reply *reply);
void fuse_reply_attr(struct fuse_message *message, struct fuse_reply *reply);
void fuse_reply_statx(struct fuse_message *message, struct fuse_reply *reply);
void fuse_reply_open(struct fuse_message *message, struct fuse_reply *reply);
void fuse_reply_create(struct fuse_message *message, struct fuse_reply *reply);
void fuse_reply_data(struct fuse_message *message, struct fuse_reply *reply);
void fuse_reply_xattr(struct fuse_message *message, struct fuse_reply *reply);
void fuse_reply_write(struct fuse_message *message, struct fuse_reply *reply);
void fuse_reply_copy_64(struct fuse_message *message, struct fuse_reply *reply);
void fuse_reply_lseek(struct fuse_message *message, struct fuse_reply *reply);
void fuse_reply_statfs(struct fuse_message *message, struct fuse_reply *reply);
void fuse_reply_lock(struct fuse_message *message, struct fuse_reply *reply);
void fuse_reply_dirents(struct fuse_message *message, struct fuse_reply *reply);

/* fuse_dirent.c: fs_call's add. */
bool fuse_add_dirent(struct fs_call *call, const struct fs_dirent *dirent,
		     const struct fs_entry *entry);

/* fuse_message.c */
enum fs_submit fuse_submit(struct fs_session_queue *base, struct fs_request *request);
/* Answer a message whose call is over. */
void fuse_finish(struct fuse_message *message, int result);
/* The pool: queue->free is the message that is being submitted, until it is taken from there. */
int fuse_pool_create(struct fuse_queue *queue, uint16_t depth);
struct fuse_message *fuse_pop(struct fuse_queue *queue);
void fuse_push(struct fuse_message *message);

/* fuse_init.c. The message is queue->free; FS_QUEUED: it was taken from there. */
enum fs_submit fuse_change(struct fuse_message *message, uint32_t opcode);
/* Try again. True: the message was answered. */
bool fuse_change_retry(struct fuse_message *message);

/* fuse_later.c */
/* fs_call's done. */
void fuse_later_done(struct fs_call *call, int result);
/* The tree said FS_LATER. */
void fuse_later(struct fuse_message *message);
/* Tell the tree to end calls of a queue or of all (NULL). Returns how many. */
unsigned fuse_cancel_queue(struct fuse_session *session, const struct fuse_queue *queue);
/* The same, by unique. Returns whether there is such a call: the tree has been told, now or before. */
bool fuse_cancel_unique(struct fuse_session *session, uint64_t unique);
/* Make poll_fd readable. lock */
void fuse_wake(struct fuse_queue *queue);
unsigned fuse_poll(struct fs_session_queue *base);

/* fuse_decode.c: data is the window behind the header of the reply: size bytes, or what there is. */
void fuse_give_room(struct fuse_message *message, uint64_t size);
/* Name and extensions of a new file. */
int fuse_decode_new(struct fuse_message *message, uint32_t mode, uint32_t umask);

/* Decoders of the table: fuse_decode.c, fuse_decode_handle.c, fuse_silent.c. */
#define FUSE_DECODER(name) \
	int fuse_decode_##name(struct fuse_message *message, const union fuse_args *args)

FUSE_DECODER(nothing);
FUSE_DECODER(name);
FUSE_DECODER(forget);
FUSE_DECODER(batch_forget);
FUSE_DECODER(interrupt);
FUSE_DECODER(lookup);
FUSE_DECODER(getattr);
FUSE_DECODER(setattr);
FUSE_DECODER(readlink);
FUSE_DECODER(symlink);
FUSE_DECODER(mknod);
FUSE_DECODER(mkdir);
FUSE_DECODER(rename);
FUSE_DECODER(rename2);
FUSE_DECODER(link);
FUSE_DECODER(open);
FUSE_DECODER(create);
FUSE_DECODER(tmpfile);
FUSE_DECODER(release);
FUSE_DECODER(flush);
FUSE_DECODER(fsync);
FUSE_DECODER(read);
FUSE_DECODER(write);
FUSE_DECODER(readdir);
FUSE_DECODER(setxattr);
FUSE_DECODER(getxattr);
FUSE_DECODER(listxattr);
FUSE_DECODER(removexattr);
FUSE_DECODER(lock);
FUSE_DECODER(access);
FUSE_DECODER(fallocate);
FUSE_DECODER(lseek);
FUSE_DECODER(copy_file_range);
FUSE_DECODER(statx);

#endif
