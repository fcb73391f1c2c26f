/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a block device keeps its data in. A store implements blk_store_ops; the
 * block device (blk.c) calls it. A store knows bytes and offsets, nothing of
 * rings, sectors or features. A wrapper that delays, fails or logs is a store
 * that forwards to another one.
 *
 * Life: the store's constructor; limits at any time; one queue_open for each
 * virtqueue; submit, commit, poll on it; queue_close; destroy.
 *
 * Threads: calls that name the same blk_store_queue are serialised; different
 * queues may be used at the same time. limits may be called at any time.
 *
 * Errors: 0 or a negative errno.
 */
#ifndef DEVICES_BLK_STORE_H
#define DEVICES_BLK_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "../iov.h"

#ifdef __cplusplus
extern "C" {
#endif

#define BLK_STORE_API_MAJOR 0
#define BLK_STORE_API_MINOR 1

struct blk_store;

enum blk_op {
	BLK_OP_READ,         /* fill data from [offset, offset + size) */
	BLK_OP_WRITE,        /* store data there */
	BLK_OP_FLUSH,        /* make everything durable that completed before the submit */
	BLK_OP_DISCARD,      /* contents become undefined; space may be given back */
	BLK_OP_WRITE_ZEROES, /* contents become zero */
};

enum blk_io_flags {
	BLK_IO_FUA = 1,   /* WRITE, WRITE_ZEROES, DISCARD: durable when done */
	BLK_IO_UNMAP = 2, /* WRITE_ZEROES: space may be given back if it then reads as zero */
};

/*
 * One operation. The caller fills all but result and store_private and keeps the
 * structure and the memory of the window valid until the operation is done.
 * The range lies inside the size that limits reported; size is 0 for FLUSH only.
 */
struct blk_io {
	enum blk_op op;
	unsigned flags;
	uint64_t offset; /* bytes */
	uint64_t size;   /* bytes; data.size for READ and WRITE */
	struct iov_window data;

	/*
	 * Called by poll, on its thread, when an operation is done for which submit said
	 * BLK_QUEUED. It may submit again.
	 */
	void (*done)(struct blk_io *io);

	int result;          /* 0 or a negative errno: no byte of the answer can be trusted then */
	void *store_private; /* free for the store between submit and done */
};

enum blk_submit {
	BLK_SUBMITTED_DONE = 0, /* it is over, result is set, done is not called */
	BLK_QUEUED,             /* done will be called */
	BLK_BUSY,               /* not taken; submit it again after a done on this queue */
};

/* What a store can do. Sizes in bytes. */
struct blk_limits {
	uint64_t size;       /* of the store; may change */
	uint32_t block_size; /* logical block: offset and size of READ and WRITE are multiples */
	uint32_t physical_block_size; /* what it writes in one piece; a multiple of block_size */
	uint32_t memory_alignment;    /* of every segment of data; 1 if any will do */
	uint32_t transfer_max;        /* largest READ or WRITE, 0: no limit */
	uint32_t discard_granularity; /* 0: DISCARD is not supported */
	bool write_zeroes;            /* WRITE_ZEROES is supported */
	bool unmap;          /* WRITE_ZEROES with BLK_IO_UNMAP can give space back; may change */
	bool read_only;      /* WRITE, DISCARD and WRITE_ZEROES fail */
	bool volatile_cache; /* a WRITE without FUA may be lost before the next FLUSH */
};

/* A store's context for one virtqueue. A store embeds it as the first member of its own. */
struct blk_store_queue {
	struct blk_store *store;
};

struct blk_store_ops {
	/* Short name for messages ("ram"). Mandatory. */
	const char *name;

	/* Fill *limits. Mandatory. Only size and unmap may change between two calls. */
	void (*limits)(struct blk_store *store, struct blk_limits *limits);

	/*
	 * Give the store another size, a multiple of block_size. May be NULL: the
	 * size is fixed. No call on any queue is running, and no operation past the
	 * new end is with the store.
	 * Returns 0 or a negative errno: unchanged.
	 */
	int (*resize)(struct blk_store *store, uint64_t size);

	/* A context for a queue that keeps at most depth operations in flight. Mandatory. NULL: no memory. */
	struct blk_store_queue *(*queue_open)(struct blk_store *store, uint16_t depth);

	/* Free it; nothing is in flight. Mandatory. */
	void (*queue_close)(struct blk_store_queue *queue);

	/* Start an operation. Mandatory. A store may hold it back until commit. */
	enum blk_submit (*submit)(struct blk_store_queue *queue, struct blk_io *io);

	/* The end of a batch: start what was held back. May be NULL: submit holds nothing back. */
	void (*commit)(struct blk_store_queue *queue);

	/*
	 * Call done for operations that are over, without waiting. May be NULL: submit
	 * never says BLK_QUEUED. Returns how many.
	 */
	unsigned (*poll)(struct blk_store_queue *queue);

	/* Readable when poll has something to do. May be NULL: call poll again. -1: none for this queue. */
	int (*poll_fd)(struct blk_store_queue *queue);

	/* Free the store; all queues are closed. Mandatory. */
	void (*destroy)(struct blk_store *store);
};

/* The common head of every store: a store embeds it as its first member. */
struct blk_store {
	const struct blk_store_ops *ops;
};

/*
 * A store in memory, zeroed, of size bytes (a multiple of 512, > 0). Its writes are durable
 * for as long as it exists. Returns 0; -EINVAL; -ENOMEM.
 */
int blk_store_ram_create(struct blk_store **store, uint64_t size);

enum blk_file_flags {
	BLK_FILE_READ_ONLY = 1,
};

/*
 * A store in a regular file or block device that exists already. Holes stay holes; DISCARD and
 * WRITE_ZEROES punch new ones where the file system can.
 * Returns 0; -EINVAL: the size is 0 or not a multiple of 512; -EISDIR; -ENOTSUP: neither
 * file nor block device (it was not opened for reading or writing); otherwise what open(2)
 * said.
 */
int blk_store_file_create(struct blk_store **store, const char *path, unsigned flags);

#ifdef __cplusplus
}
#endif

#endif
