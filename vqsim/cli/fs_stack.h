/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A file-system device and the guest that drives it, put together: tree, FUSE decoder and
 * device on one side, guest memory, guest and driver on the other, the referee between, with a
 * model of the files if nobody else changes them.
 *
 * Threads: one.
 */
#ifndef VQSIM_CLI_FS_STACK_H
#define VQSIM_CLI_FS_STACK_H

#include "cli.h"
#include "remote_device.h"
#include "../guest_fs.h"
#include "../referee/tree.h"
#include "../../devices/fs/fuse.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The most that a WRITE has. */
#define FS_STACK_MAX_WRITE (UINT32_C(1) << 20)

struct fs_stack_options {
	const char *tree; /* as given */
	const char *path; /* NULL: a tree in memory */
	const char *tag;
	uint64_t features;
	uint64_t hidden_flags; /* of INIT */
	uint64_t memory;       /* bytes of guest memory beside rings and driver */
	uint32_t data_room;    /* of the driver's own request */
	uint16_t queue_count;  /* for requests */
	uint16_t queue_size;
	bool read_only;
	bool exclusive; /* nobody else changes the directory */
	bool no_referee;
	const struct remote_device_words
		*remote; /* instead of a tree: what is elsewhere; or NULL */
};

struct fs_stack {
	struct fs_tree *tree;
	struct fs_session *session;
	struct virtio_device *device;
	struct remote_device remote;
	struct vqsim_memory memory;
	struct vqsim_referee referee;
	struct vqsim_guest guest;
	struct vqsim_fs fs;
	struct vqsim_tree model; /* referee NULL: none */
};

/* "dir:PATH" or "ram" as a tree. Returns false after a complaint. *path: NULL for ram. */
bool fs_stack_parse_tree(const char *word, const char **path);

/* A tag of a length that the config space has room for, kept in *tag. False after a complaint. */
bool fs_stack_parse_tag(const char *word, const char **tag);

/* A tree in memory, or below path, whose names nobody else changes if exclusive. Returns 0 or -errno. */
int fs_stack_create_tree(struct fs_tree **tree, const char *path, bool read_only, bool exclusive);

/*
 * Bring the device up; no session has begun. A complaint has been printed if the result
 * is not CLI_OK. fs_stack_close is due in any case.
 */
enum cli_exit fs_stack_open(struct fs_stack *stack, const struct fs_stack_options *options);

/* Ends the session, if there is one. The referee's counts stay. A zeroed stack can be closed. */
void fs_stack_close(struct fs_stack *stack);

#ifdef __cplusplus
}
#endif

#endif
