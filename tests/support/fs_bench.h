/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A bench for file-system devices: memory, the referee, a session, a device and a guest with a
 * client on it, made and taken down in one line. What fs_bench_destroy asserts is the least that
 * every test expects: no violation, canaries intact, no reference left to a memory map, and
 * no look-up or handle left.
 *
 * Failures end the cmocka test. Threads: one.
 */
#ifndef TESTS_SUPPORT_FS_BENCH_H
#define TESTS_SUPPORT_FS_BENCH_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "first_violation.h"
#include "devices/fs/fs.h"
#include "devices/fs/fuse.h"
#include "vqsim/guest_fs.h"
#include "vqsim/referee/tree.h"

/* A zeroed member means the default. */
struct fs_bench_options {
	struct fs_session *session; /* taken over; default: fuse on tree */
	struct fs_tree *tree;       /* taken over; default: ram */
	struct fuse_options fuse;
	const char *tag;         /* default "bench" */
	uint16_t request_queues; /* default 1 */
	uint16_t queue_size;     /* default 64 */
	uint64_t without;        /* features that the driver does not take */
	bool packed;             /* take RING_PACKED */
	bool down;               /* do not bring the device up */
	bool no_session;         /* no INIT; always so if there is a session of the caller's */
	bool swapped;            /* the guest has the other byte order */
	unsigned freedom;   /* enum vqsim_tree_freedom of a tree of the caller's; 0: no model */
	uint32_t data_room; /* of the client; default: as vqsim_fs_init */
};

struct fs_bench {
	struct fs_bench_options options;
	struct vqsim_memory memory;
	struct vqsim_referee referee;
	struct fs_tree *tree; /* NULL: a session of the caller's */
	struct fs_session *session;
	struct virtio_device *device;
	struct vqsim_guest guest;
	struct vqsim_fs fs;
	struct vqsim_tree
		model; /* of the files, which begin as an empty root; referee NULL: none */
	struct first_violation first;
};

#define FS_BENCH_MINOR 45u
#define FS_BENCH_FLAGS (~UINT64_C(0) & ~FUSE_INIT_RESERVED)

struct fs_bench *fs_bench_create(const struct fs_bench_options *options);
void fs_bench_destroy(struct fs_bench *bench);

/* Reset the device and bring it up again, with a session unless the options say no. */
void fs_bench_up(struct fs_bench *bench);

/* Let go of the client before the device is reset: its requests may be in flight. Returns what was left. */
uint64_t fs_bench_down(struct fs_bench *bench);

#endif
