/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The parts of the sandbox. Not for its users.
 *
 * Threads: as sandbox.h.
 */
#ifndef DEVICES_SERVE_SANDBOX_INTERNAL_H
#define DEVICES_SERVE_SANDBOX_INTERNAL_H

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Where the served directory is in the new mounts. */
#define SANDBOX_DIRECTORY "/tree"

/*
 * In a mount namespace of this process's own: leave nothing but directory (may be NULL), as
 * SANDBOX_DIRECTORY, and this process's /proc/self/fd. Returns 0; -errno: nothing changed.
 */
int sandbox_enter_mounts(const char *directory, bool read_only);

/*
 * Without mounts of its own: leave nothing but the files below directory to be opened or changed.
 * No new privileges have been asked for. Returns 0; -ENOSYS: this kernel cannot; or -errno.
 */
int sandbox_keep_files(const char *directory, bool read_only);

/* All but those that files need, or all; for good. Returns 0 or -errno. */
int sandbox_drop_capabilities(bool files);

/* No system calls but those that serving needs, with or without those that name files. 0 or -errno. */
int sandbox_bar_calls(bool files);

#ifdef __cplusplus
}
#endif

#endif
