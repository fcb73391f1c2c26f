/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the two directions of a copy share. Private to fs_copy.
 *
 * Threads: one.
 */
#ifndef VQSIM_CLI_FS_COPY_INTERNAL_H
#define VQSIM_CLI_FS_COPY_INTERNAL_H

#include "fs_copy.h"

/* Note what failed, innermost name first. Returns error. */
int fs_copy_failed(struct fs_copy *copy, const char *what, const char *name, int error);

#endif
