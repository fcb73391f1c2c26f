/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Equal files, written, read, compared and removed through the file-system device; and, to
 * set beside it, the same by plain system calls in the same directory of this host.
 *
 * Threads: one.
 */
#ifndef VQSIM_CLI_FS_FILES_H
#define VQSIM_CLI_FS_FILES_H

#include "../guest_fs.h"

#ifdef __cplusplus
extern "C" {
#endif

enum fs_files_phase {
	FS_FILES_WRITE,  /* CREATE, WRITE, RELEASE: openat, pwrite, close */
	FS_FILES_READ,   /* LOOKUP, OPEN, READ, RELEASE: fstatat, openat, pread, close */
	FS_FILES_REMOVE, /* UNLINK: unlinkat */
	FS_FILES_PHASES
};

extern const char *const fs_files_phase_names[FS_FILES_PHASES];

struct fs_files {
	struct vqsim_fs *fs;
	const char *path; /* of the tree's root on this host; NULL: no plain system calls */
	uint64_t count;
	uint64_t size;
	uint32_t block; /* the most that one READ or WRITE has */

	/* What came of it. */
	uint64_t bytes; /* read and written through the device */
	uint64_t device[FS_FILES_PHASES], plain[FS_FILES_PHASES]; /* ns */
	const char *wrong;                                        /* after an error: in what */

	/* Private. */
	uint8_t *pattern, *buffer;
	uint64_t node; /* of the directory with the files */
	int fd;        /* of that of the plain system calls */
};

/*
 * Do it all, with the members above "What came of it" set and the rest zero.
 * Returns 0 or a negative errno; -EILSEQ: what was read differs.
 */
int fs_files_run(struct fs_files *files);

#ifdef __cplusplus
}
#endif

#endif
