/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Copies of whole directories between this host and a tree behind the file-system device:
 * directories, files and symbolic links with their modes and times of change, and with
 * their owners if this process may set them.
 *
 * Threads: one.
 */
#ifndef VQSIM_CLI_FS_COPY_H
#define VQSIM_CLI_FS_COPY_H

#include "../guest_fs.h"

#ifdef __cplusplus
extern "C" {
#endif

struct fs_copy {
	struct vqsim_fs *fs;
	uint8_t *buffer;
	uint32_t size;   /* of it: the most that one READ or WRITE has */
	uint64_t files;  /* of all kinds, so far */
	uint64_t bytes;  /* of data */
	char wrong[512]; /* after an error: the path, and what was done to it */
};

/* size is at most the data_room of fs. Returns 0 or -ENOMEM. */
int fs_copy_init(struct fs_copy *copy, struct vqsim_fs *fs, uint32_t size);
void fs_copy_finish(struct fs_copy *copy);

/* What is in the directory of this host goes into the root of the tree. Returns 0 or a negative errno. */
int fs_copy_put(struct fs_copy *copy, const char *path);

/* What is in the root of the tree goes into the directory of this host. */
int fs_copy_get(struct fs_copy *copy, const char *path);

#ifdef __cplusplus
}
#endif

#endif
