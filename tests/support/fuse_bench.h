/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The FUSE decoder on a fake_tree, fed with messages as bytes. Each piece of a message
 * lies in memory of its own, of just its size; what is behind the reply must stay as it was.
 *
 * Failures end the cmocka test. Threads: one.
 */
#ifndef TESTS_SUPPORT_FUSE_BENCH_H
#define TESTS_SUPPORT_FUSE_BENCH_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "devices/fs/fuse.h"
#include "fake_tree.h"

#define FUSE_BENCH_QUEUES 3u
#define FUSE_BENCH_DEPTH  8u
#define FUSE_BENCH_PIECES 512u

enum {
	HIPRIO,
	REQUESTS,
	MORE_REQUESTS,
};

/* A message. A zeroed member means the default. */
struct fuse_bytes {
	uint32_t opcode;
	uint64_t node;
	const void *body; /* arguments, in the byte order of the guest */
	size_t size;
	uint16_t extlen;             /* total_extlen */
	uint64_t unique;             /* default: a new one */
	uint32_t len;                /* what the header says; default: the true one */
	size_t more;                 /* readable bytes behind the message */
	size_t room;                 /* writable bytes; default 512 */
	bool no_room;                /* none at all */
	size_t in_first, in_piece;   /* bytes of the first piece, and of each that follows */
	size_t out_first, out_piece; /* default: all */
};

/* One that was sent. */
struct fuse_sent {
	struct fs_request request;
	enum fs_submit submit;
	unsigned done; /* calls of done */
	uint64_t unique;
	size_t room;
	struct iovec in[FUSE_BENCH_PIECES], out[FUSE_BENCH_PIECES];
	size_t in_count, out_count;
};

struct fuse_bench {
	struct fake_tree *tree;
	struct fs_session *session;
	struct fs_session_queue *queues[FUSE_BENCH_QUEUES];
	bool big; /* the guest is big-endian; default: as the host is */
	uint64_t unique;

	/* The last reply, and what its header says in the order of the host. */
	uint8_t reply[16384];
	size_t reply_size;
	int error;
};

/* tree may be NULL. No INIT. */
struct fuse_bench *fuse_bench_create(const struct fuse_options *options, struct fake_tree *tree);

/* Asserts that nothing is in flight; the tree must have been reset as often as it was started. */
void fuse_bench_destroy(struct fuse_bench *bench);

/* INIT 7.45 with all flags, or others. */
void fuse_bench_init(struct fuse_bench *bench);
void fuse_bench_init_as(struct fuse_bench *bench, uint32_t minor, uint64_t flags);

/* Send a message that stays with the session, perhaps. */
struct fuse_sent *fuse_bench_send(struct fuse_bench *bench, unsigned queue,
				  const struct fuse_bytes *bytes);

/* Look at its reply, which must be sound, and free it. */
void fuse_bench_take(struct fuse_bench *bench, struct fuse_sent *sent);

/* Both: it must be answered at once, on REQUESTS, or on HIPRIO if it belongs there. Returns error. */
int fuse_bench_do(struct fuse_bench *bench, const struct fuse_bytes *bytes);

/* The same with STATFS. */
int fuse_bench_ask(struct fuse_bench *bench);

/* Send a message (NULL: STATFS) that the tree holds, and later look at its reply. */
struct fuse_sent *fuse_bench_hold(struct fuse_bench *bench, unsigned queue,
				  const struct fuse_bytes *bytes);
void fuse_bench_take_error(struct fuse_bench *bench, struct fuse_sent *sent, int error);

/* Send an INIT, without flags. */
struct fuse_sent *fuse_bench_send_init(struct fuse_bench *bench, unsigned queue);

/* Poll a queue. Returns how many were done. */
unsigned fuse_bench_poll(struct fuse_bench *bench, unsigned queue);
/* Whether the descriptor of a queue says that there is something to poll. */
bool fuse_bench_readable(struct fuse_bench *bench, unsigned queue);

/* Integers in the guest's order. */
uint32_t fuse_bench_u32(const struct fuse_bench *bench, uint32_t value);
uint64_t fuse_bench_u64(const struct fuse_bench *bench, uint64_t value);

#endif
