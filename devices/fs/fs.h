/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The virtio file-system device (virtio 1.3, 5.11): queues of FUSE messages in front
 * of a session. Queue 0 is hiprio, request queues follow; NOTIFICATION and the DAX
 * window are not offered, nor is IN_ORDER, with which an unlock could not be used before the lock
 * that waits for it.
 *
 * Any framing of a message into descriptors. The used length is the size of the
 * reply. A chain without a writable part (FORGET) is used with length 0.
 *
 * Threads: as in device.h. The hiprio queue never waits for a request queue.
 */
#ifndef DEVICES_FS_FS_H
#define DEVICES_FS_FS_H

#include "../device.h"
#include "session.h"

#ifdef __cplusplus
extern "C" {
#endif

#define FS_API_MAJOR 0
#define FS_API_MINOR 1

#define FS_TAG_SIZE     36u
#define FS_HIPRIO_INDEX 0u

/* What an fs device is made with. A zeroed member means the default. */
struct fs_options {
	const char *tag;              /* UTF-8, 1..36 bytes; mandatory */
	uint16_t request_queue_count; /* default 1 */
	uint16_t queue_size_max;      /* a power of two; default 1024 */
};

/*
 * Make a device on a session, which is used until destroy and is not owned.
 * Returns 0; -EINVAL: an option is impossible; -ENOMEM.
 */
int fs_create(struct virtio_device **dev, const struct fs_options *options,
	      struct fs_session *session);

#ifdef __cplusplus
}
#endif

#endif
