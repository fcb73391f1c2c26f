/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Our own file-system devices as subjects:
 *
 *     fs - wrap_session (if the subject is to be wrong) - fuse - tree: ram or dir
 *
 * The table of the tree is replaced by a copy in which write, fsync and syncfs are seen:
 * nothing else of the tree notices.
 */
#define _GNU_SOURCE /* FTW_* */
#include <errno.h>
#include <ftw.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "subject_internal.h"
#include "../../devices/fs/fs.h"
#include "../../devices/fs/fuse.h"

#define FDS_MAX 16 /* that the removal of a directory may hold */

struct instance {
	struct virtio_device *device;
	struct fs_session *session; /* the outermost */
	struct fs_tree *tree;

	/* Invariant: tree->ops is &seen, if there is a tree. */
	struct fs_tree_ops seen;
	const struct fs_tree_ops *ops;
	unsigned unsynced;

	char scratch[32]; /* the directory of a dir tree; "": none */
};

static struct instance *instance_of(const struct fs_tree *tree)
{
	return (struct instance *)((uintptr_t)tree->ops - offsetof(struct instance, seen));
}

static int seen_write(struct fs_tree *tree, struct fs_call *call)
{
	struct instance *instance = instance_of(tree);

	instance->unsynced++;
	return instance->ops->write(tree, call);
}

/* One file at a time is written by the cases. */
static int seen_fsync(struct fs_tree *tree, struct fs_call *call)
{
	struct instance *instance = instance_of(tree);
	int result = instance->ops->fsync(tree, call);

	if (result == 0)
		instance->unsynced = 0;
	return result;
}

static void see(struct instance *instance)
{
	instance->ops = instance->tree->ops;
	instance->seen = *instance->ops;
	if (instance->ops->write)
		instance->seen.write = seen_write;
	if (instance->ops->fsync)
		instance->seen.fsync = seen_fsync;
	instance->tree->ops = &instance->seen;
}

static int remove_one(const char *path, const struct stat *stat, int type, struct FTW *ftw)
{
	(void)stat;
	(void)type;
	(void)ftw;
	return remove(path);
}

static void destroy(void *opaque)
{
	struct instance *instance = opaque;

	if (instance->device)
		instance->device->ops->destroy(instance->device);
	if (instance->session)
		instance->session->ops->destroy(instance->session);
	if (instance->tree)
		instance->tree->ops->destroy(instance->tree);
	if (instance->scratch[0])
		nftw(instance->scratch, remove_one, FDS_MAX, FTW_DEPTH | FTW_PHYS);
	free(instance);
}

static int make_session(const struct vqsim_subject *subject, struct instance *instance)
{
	struct fs_session *wrapped;
	int error = fuse_session_create(&instance->session, NULL, instance->tree);

	if (error || !subject->wrap_session)
		return error;
	wrapped = subject->wrap_session(instance->session, subject->how);
	if (!wrapped)
		return -ENOMEM;
	instance->session = wrapped;
	return 0;
}

static int make_device(const struct vqsim_subject *subject,
		       const struct vqsim_subject_options *options, struct instance *instance)
{
	const struct fs_options fs = {
		.tag = options->tag ? options->tag : "vqsim",
		/* One more than was asked for: the session is begun on it. */
		.request_queue_count = (options->queue_count ? options->queue_count : 1) + 1,
		.queue_size_max = options->queue_size_max,
	};
	struct virtio_device *wrapped;
	int error = fs_create(&instance->device, &fs, instance->session);

	if (error || !subject->wrap_device)
		return error;
	wrapped = subject->wrap_device(instance->device, subject->how);
	if (!wrapped)
		return -ENOMEM;
	instance->device = wrapped;
	return 0;
}

static int create_with(const struct vqsim_subject *subject,
		       const struct vqsim_subject_options *options, struct virtio_device **device,
		       void **opaque, int (*make_tree)(struct instance *))
{
	struct instance *instance = calloc(1, sizeof(*instance));
	int error;

	if (!instance)
		return -ENOMEM;
	error = make_tree(instance);
	if (!error) {
		see(instance);
		error = make_session(subject, instance);
	}
	if (!error)
		error = make_device(subject, options, instance);
	if (error) {
		destroy(instance);
		return error;
	}
	*device = instance->device;
	*opaque = instance;
	return 0;
}

static int make_ram(struct instance *instance)
{
	return fs_tree_ram_create(&instance->tree, NULL);
}

static int make_dir(struct instance *instance)
{
	strcpy(instance->scratch, "/tmp/vqsim-fs-XXXXXX");
	if (!mkdtemp(instance->scratch)) {
		instance->scratch[0] = '\0';
		return -errno;
	}
	return fs_tree_dir_create(&instance->tree, instance->scratch, NULL);
}

static int create_ram(const struct vqsim_subject *subject,
		      const struct vqsim_subject_options *options, struct virtio_device **device,
		      void **instance)
{
	return create_with(subject, options, device, instance, make_ram);
}

static int create_dir(const struct vqsim_subject *subject,
		      const struct vqsim_subject_options *options, struct virtio_device **device,
		      void **instance)
{
	return create_with(subject, options, device, instance, make_dir);
}

static unsigned unsynced(void *instance)
{
	return ((struct instance *)instance)->unsynced;
}

static void ram_facts(void *instance, struct vqsim_subject_facts *facts)
{
	static const struct vqsim_tree_options exact = {0};

	(void)instance;
	facts->tree = &exact;
}

/* What is the host's own way of the file system below. */
static void dir_facts(void *instance, struct vqsim_subject_facts *facts)
{
	static const struct vqsim_tree_options host = {
		.freedom = VQSIM_TREE_COARSE_CLOCK | VQSIM_TREE_DIR_NLINK | VQSIM_TREE_HOST_POLICY |
			   VQSIM_TREE_NO_XATTR | VQSIM_TREE_TRUSTING | VQSIM_TREE_LATE_LISTINGS |
			   VQSIM_TREE_FREE_ATIME | VQSIM_TREE_IDS_LINGER | VQSIM_TREE_SIZE_LIMIT,
	};

	(void)instance;
	/* What an ordinary user makes is his own, whoever asked for it. */
	facts->tree = geteuid() == 0 ? &host : NULL;
}

static const struct vqsim_subject_ops ram_ops = {
	.create = create_ram,
	.destroy = destroy,
	.facts = ram_facts,
	.unsynced = unsynced,
};

static const struct vqsim_subject_ops dir_ops = {
	.create = create_dir,
	.destroy = destroy,
	.facts = dir_facts,
	.unsynced = unsynced,
};

const struct vqsim_subject_ops *vqsim_subject_fs(const char *name)
{
	if (strcmp(name, "fs:ram") == 0)
		return &ram_ops;
	return strcmp(name, "fs:dir") == 0 ? &dir_ops : NULL;
}
