/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the members of an operation stand for: mostly what a guest would ask for, sometimes what none
 * should.
 */
#ifndef FUZZ_SUPPORT_FS_ARGS_H
#define FUZZ_SUPPORT_FS_ARGS_H

#include "fs_ops.h"
#include "vqsim/guest_fs.h"

/* Room for data of a request. */
#define FUZZ_FS_DATA 4096u

#define FUZZ_FS_NODES   15u
#define FUZZ_FS_HANDLES 8u

/* What replies have named. */
struct fuzz_fs_seen {
	uint64_t nodes[FUZZ_FS_NODES];
	unsigned node_count; /* of all times: the oldest are forgotten */
	struct vqsim_fs_file handles[FUZZ_FS_HANDLES];
	unsigned handle_count;
	const uint64_t *uniques; /* of requests in flight */
	unsigned unique_count;
};

/* What the arguments of a request point to. */
struct fuzz_fs_room {
	struct fuse_setattr_in set;
	struct fuse_init_in init;
	struct fuse_forget_one forgets[4];
};

struct vqsim_fs_args fuzz_fs_args(const struct fuzz_fs_op *op, const struct fuzz_fs_seen *seen,
				  struct fuzz_fs_room *room);

/* What a reply that was good named. */
void fuzz_fs_see(struct fuzz_fs_seen *seen, const struct vqsim_fs *fs,
		 const struct vqsim_fs_request *request);

uint64_t fuzz_fs_node(const struct fuzz_fs_seen *seen, uint8_t choice);
uint64_t fuzz_fs_size(uint8_t choice);

#endif
