/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A directory to share, and beside it a canary that nobody who has only the directory may touch.
 * Both are gone when the process exits. What fails ends the process.
 */
#ifndef FUZZ_SUPPORT_FS_SCRATCH_H
#define FUZZ_SUPPORT_FS_SCRATCH_H

#include <stdbool.h>

/* Make it below $TMPDIR or /tmp. One a process. */
void fuzz_scratch_make(void);

/* Of the directory. Empty it first: owner, mode and attributes are those of a new one. */
const char *fuzz_scratch_renew(void);

/* Whether the canary is as it was made: content, times, links, owner, mode; and nothing else is beside it. */
bool fuzz_scratch_canary_intact(void);

/* The lowest free descriptor: the same again if all that were opened since have been closed. */
int fuzz_scratch_free_fd(void);

#endif
