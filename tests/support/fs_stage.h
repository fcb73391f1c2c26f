/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A file-system device on a session that a test steers (fs_script.h), and a handful of
 * requests to have in flight on it. They go below the client, which would find that they are no FUSE.
 *
 * Threads: one.
 */
#ifndef TESTS_SUPPORT_FS_STAGE_H
#define TESTS_SUPPORT_FS_STAGE_H

#include "fs_bench.h"
#include "fs_script.h"

#define STAGE_REQUESTS 5u

/* A message and its room. */
#define STAGE_MESSAGE 100u
#define STAGE_REPLY   60u

struct stage {
	struct fs_script *script;
	struct fs_bench *bench;
	struct vqsim_fs_request requests[STAGE_REQUESTS];
};

struct stage stage_up(bool packed, uint16_t request_queues);
void stage_down(struct stage *stage);

/* Reset, and up again with other requests. */
void stage_up_again(struct stage *stage);

#define FOR_BOTH_FORMATS(stage, queues)                                                \
	for (unsigned format_ = 0; format_ < 2; format_++)                             \
		for (struct stage stage = stage_up(format_ == 1, queues); stage.bench; \
		     stage_down(&stage), stage.bench = NULL)

/* The bytes of message number index; no reply of fs_script to it has a header that makes sense. */
uint8_t stage_byte(unsigned index, unsigned at);

/* Lay a message of STAGE_MESSAGE bytes into a queue; the first count of them, with STAGE_REPLY, published. */
void stage_show(struct stage *stage, uint16_t queue, unsigned index, uint32_t out_size);
void stage_show_all(struct stage *stage, uint16_t queue, unsigned count);

/* The index of the request that came back, with the right answer and length; -1: none. */
int stage_back(struct stage *stage, uint16_t queue, uint32_t len);

/* All of them go through, in order. */
void stage_serve_all(struct stage *stage, uint16_t queue);

#endif
