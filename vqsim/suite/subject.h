/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the conformance suite tests: something that makes devices, as many and as
 * often as the suite asks for, and lets it reach behind them where that is possible.
 *
 * A subject of your own needs create and destroy. Each hook that is absent costs
 * some cases, which then report "not observable".
 *
 * Threads: one.
 */
#ifndef VQSIM_SUITE_SUBJECT_H
#define VQSIM_SUITE_SUBJECT_H

#include <stdbool.h>
#include <stdint.h>

#include "../remote.h"
#include "../version.h"
#include "../referee/tree.h"
#include "../../devices/blk/store.h"
#include "../../devices/device.h"
#include "../../devices/fs/session.h"
#include "../../devices/fs/tree.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What a case wants of a device. A zeroed member means the subject's default. */
struct vqsim_subject_options {
	uint16_t queue_count;    /* default 1; fs: request queues beside the first */
	uint16_t queue_size_max; /* default 1024 */
	uint64_t size;           /* blk: bytes, a multiple of 512 */
	uint32_t block_size;     /* blk: logical block */
	const char *id;          /* blk: answer to GET_ID, at most 20 bytes; NULL: any */
	bool read_only;          /* blk */
	const char *tag;         /* fs; NULL: any */
};

/* What is known of a device from outside of it. */
struct vqsim_subject_facts {
	bool fills;      /* null: the data of a request is filled (NULL_FILL) */
	bool deallocate; /* blk: WRITE_ZEROES can ever give space back */
	bool lifetime;   /* blk: the storage has metrics of its wear */
	bool forgets;    /* blk: nothing that is written is kept; all reads as zero */

	/*
	 * fs: its files are as POSIX has them but for these freedoms, there are none at first, and only its
	 * driver changes them: the model of a tree predicts every reply. NULL: that is not known, and replies are
	 * held to the protocol alone.
	 */
	const struct vqsim_tree_options *tree;
};

/* One operation that reached the store behind a block device. */
struct vqsim_store_entry {
	enum blk_op op;
	unsigned flags; /* BLK_IO_* */
	uint64_t offset, size;
	unsigned segments; /* pieces of guest memory */
};

struct vqsim_subject;

/*
 * instance is what create made. Hooks come when no call on any queue is running;
 * they return 0 or a negative errno unless they say something else.
 */
struct vqsim_subject_ops {
	/*
	 * Make a fresh device, not attached to anything. Mandatory.
	 * Returns 0 with *device and *instance set; -ENOTSUP: not with these options, the case is
	 * "not observable"; another negative errno: the case fails.
	 */
	int (*create)(const struct vqsim_subject *subject,
		      const struct vqsim_subject_options *options, struct virtio_device **device,
		      void **instance);

	/* Free both; the device was reset and detached. Mandatory. */
	void (*destroy)(void *instance);

	/* Fill *facts, which is zeroed. May be NULL: zeroes. */
	void (*facts)(void *instance, struct vqsim_subject_facts *facts);

	/* Give the disk another size, a multiple of 512. May be NULL. */
	int (*resize)(void *instance, uint64_t size);

	/* Change whether WRITE_ZEROES may give space back, while the device runs. May be NULL. */
	int (*set_may_unmap)(void *instance, bool may_unmap);

	/* Read or write the backing store behind the device's back. May be NULL, together. */
	int (*peek)(void *instance, uint64_t offset, void *to, uint64_t size);
	/* The same, the other way: what is written is durable. */
	int (*poke)(void *instance, uint64_t offset, const void *from, uint64_t size);

	/*
	 * From now on operations of the store wait until they are released; with false the waiting
	 * ones are released too, and nothing waits any more. May be NULL, together with release.
	 */
	void (*hold)(void *instance, bool hold);
	/* Let the next progress complete count waiting operations, the newest first or the oldest. */
	void (*release)(void *instance, unsigned count, bool newest_first);

	/* How many operations wait. NULL if and only if hold is. */
	unsigned (*held)(void *instance);

	/* The next operation of the store fails with this negative errno. May be NULL. */
	void (*fail_next)(void *instance, int error);

	/*
	 * The operations that the store took since create, in order: the first max of them. May be NULL.
	 * Returns how many there were, which may be more than max.
	 */
	unsigned (*log)(void *instance, struct vqsim_store_entry *entries, unsigned max);

	/* What a loss of power would leave now: size bytes from the start of the disk. May be NULL. */
	int (*power_cut)(void *instance, void *image, uint64_t size);

	/* fs: how many writes the tree was not told to make durable since. May be NULL. */
	unsigned (*unsynced)(void *instance);

	/*
	 * What is wrong with the backend that no clause of the standard speaks of (it died, it does
	 * not answer), as a sentence; NULL: nothing. May be NULL.
	 */
	const char *(*fault)(void *instance);

	/*
	 * Let pass whatever the device may do by itself, unasked, and be heard of. May be NULL: it does nothing
	 * between two calls.
	 */
	void (*linger)(void *instance);

	/* The status byte that the device itself keeps. Negative: none. May be NULL: the transport's is it. */
	int (*own_status)(void *instance);
};

struct vqsim_subject {
	const char *name; /* as a user writes it: "blk:ram" */
	const struct vqsim_subject_ops *ops;
	void *opaque; /* the subject's own */

	/*
	 * How to make it wrong on purpose: what stands between the device and the suite, or
	 * between the store or the session and the device; NULL: nothing. Each takes over what is inside and
	 * frees it with itself, and must look like it (device_id, limits). NULL: no memory.
	 */
	struct virtio_device *(*wrap_device)(struct virtio_device *inner, const void *how);
	struct blk_store *(*wrap_store)(struct blk_store *inner, const void *how);
	struct fs_session *(*wrap_session)(struct fs_session *inner, const void *how);
	const void *how;

	/*
	 * The device is in another process and its transport is ours: cases that ask what only that
	 * transport answers, or what happens between two looks, are "not observable".
	 */
	bool elsewhere;
	bool no_config; /* elsewhere, and its config space is made up by our transport */
	bool no_status; /* elsewhere, and it keeps no status byte */
	bool no_answer; /* elsewhere, and whether it accepts features cannot be known */
};

/*
 * Our own devices by the name that `vqsim check --device` takes: null, null:bare (no NULL_FILL),
 * blk:ram, blk:ram:SIZE (bytes; K, M, G), blk:file:PATH, fs:ram, fs:dir (a scratch directory).
 * name must live as long as the subject.
 * The file is written to.
 * Returns 0; -EINVAL: no such subject, or a size that cannot be; -EFBIG: too large for the suite.
 */
int vqsim_subject_init(struct vqsim_subject *subject, const char *name);

/*
 * Somebody else's device behind a vhost-user socket: "vhost-user:PATH", with ",blk" or ",fs" at
 * its end where the backend does not show what it is, or ",zero": a disk that forgets. command: see vqsim_remote_server_create;
 * NULL: there is somebody who listens. What the disk holds is overwritten.
 * Returns 0; -errno as vqsim_remote_create, with what went wrong in text (may be NULL).
 */
int vqsim_subject_remote_init(struct vqsim_subject *subject, const char *name, const char *command,
			      char text[VQSIM_REMOTE_TEXT]);

/* Whether it is the name of such a one. */
bool vqsim_subject_is_remote(const char *name);

/* A zeroed subject can be finished. */
void vqsim_subject_finish(struct vqsim_subject *subject);

#ifdef __cplusplus
}
#endif

#endif
