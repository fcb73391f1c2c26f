/* SPDX-License-Identifier: BSD-3-Clause */
#include "fuse_layout.h"

#include <linux/fuse.h>

#define STRUCT FUSE_LAYOUT_STRUCT
#define FIELD  FUSE_LAYOUT_FIELD
#define NUMBER FUSE_LAYOUT_NUMBER

const struct fuse_layout fuse_layout_linux[] = {
#include "fuse_layout.inc"
};

const size_t fuse_layout_count = sizeof(fuse_layout_linux) / sizeof(fuse_layout_linux[0]);
