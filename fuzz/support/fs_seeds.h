/* SPDX-License-Identifier: BSD-3-Clause */
/* The seeds of the target fs: one list of operations for each thing that a session is made of. */
#ifndef FUZZ_SUPPORT_FS_SEEDS_H
#define FUZZ_SUPPORT_FS_SEEDS_H

#include "fs_ops.h"

struct fuzz_fs_seed {
	const char *name;
	const struct fuzz_fs_op *ops;
	unsigned count;
};

extern const struct fuzz_fs_seed fuzz_fs_seeds[];
extern const unsigned fuzz_fs_seed_count;

#endif
