/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The driver's side of FUSE requests: GETATTR of the root in batches, as in load.h, or any
 * request alone. Split ring of 256, one memory region and one mapping of it, the referee off, no
 * notification wanted.
 *
 * A request is four descriptors, as Linux has it: header 40, arguments, room for header 16 and
 * for what follows it. Id, length, error and unique of each answer are checked.
 *
 * A failure ends the process with a message.
 *
 * Threads: one for each load.
 */
#ifndef PERF_FS_LOAD_H
#define PERF_FS_LOAD_H

#include "../devices/fs/fuse.h"
#include "../vqsim/guest_fs.h"

#define PERF_FS_REQUESTS 64u

/* One request; its memory is made once and used again. Pointers are into the driver's mapping. */
struct perf_fs_request {
	_Alignas(128) struct vqsim_element elements[4];
	struct vqsim_chain chain;
	struct fuse_in_header *in;
	void *args;
	struct fuse_out_header *out;
	void *payload; /* of the reply */
	uint32_t used_len;
};

struct perf_fs_load {
	struct perf_fs_request requests[PERF_FS_REQUESTS]; /* first: the cheapest to address */
	struct vqsim_memory memory;
	struct fs_tree *tree;
	struct fs_session *session;
	struct virtio_device *device;
	struct vqsim_guest guest;
	uint64_t unique;
};

/* A session on tree, which is taken over; data_size: bytes of guest memory for large replies. */
void perf_fs_load_init(struct perf_fs_load *load, struct fs_tree *tree, uint32_t data_size);
void perf_fs_load_finish(struct perf_fs_load *load);

/* A request with so many bytes of arguments, zeroed, and of payload in a good reply. */
void perf_fs_request_init(struct perf_fs_load *load, struct perf_fs_request *request,
			  uint32_t opcode, uint32_t args_size, uint32_t payload_size);

/* Send it and wait for the answer, which must be good and, if exact, of its full length. Returns bytes of payload. */
uint32_t perf_fs_wait(struct perf_fs_load *load, struct perf_fs_request *request, bool exact);

/* The same for count requests, 1..PERF_FS_REQUESTS, that are submitted together; answers are exact. */
void perf_fs_wait_all(struct perf_fs_load *load, struct perf_fs_request *requests, unsigned count);

/* At least so many GETATTR, in batches of batch (1..PERF_FS_REQUESTS). */
void perf_fs_getattr(struct perf_fs_load *load, unsigned batch, unsigned requests);

__attribute__((noreturn)) void perf_fs_die(const char *what, int error);

#endif
