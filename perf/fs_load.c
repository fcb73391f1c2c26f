/* SPDX-License-Identifier: BSD-3-Clause */
#include "fs_load.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../devices/fs/fs.h"
#include "load.h"

#define QUEUE      1u
#define QUEUE_SIZE 256u
#define UNSET      1 /* no answer has it as its error */

void perf_fs_die(const char *what, int error)
{
	fprintf(stderr, "perf_fs: %s%s%s\n", what, error ? ": " : "",
		error ? strerror(-error) : "");
	exit(1);
}

static void must(const char *what, int error)
{
	if (error)
		perf_fs_die(what, error);
}

void perf_fs_request_init(struct perf_fs_load *load, struct perf_fs_request *request,
			  uint32_t opcode, uint32_t args_size, uint32_t payload_size)
{
	const uint32_t in_size = sizeof(struct fuse_in_header) + args_size;
	const uint32_t head = sizeof(struct fuse_out_header);
	uint64_t in = vqsim_memory_alloc(&load->memory, in_size, 64);
	uint64_t out = vqsim_memory_alloc(&load->memory, head + payload_size, 64);
	unsigned count = 3 + (payload_size > 0);

	request->elements[0] = (struct vqsim_element){in, sizeof(struct fuse_in_header), false};
	request->elements[1] =
		(struct vqsim_element){in + sizeof(struct fuse_in_header), args_size, false};
	request->elements[2] = (struct vqsim_element){out, head, true};
	request->elements[3] = (struct vqsim_element){out + head, payload_size, true};
	request->chain =
		(struct vqsim_chain){request->elements, (uint16_t)count, (uint16_t)count, 0};
	request->in = vqsim_memory_at(&load->memory, in, in_size);
	request->args = request->in + 1;
	request->out = vqsim_memory_at(&load->memory, out, head + payload_size);
	request->payload = request->out + 1;
	request->used_len = head + payload_size;
	*request->in =
		(struct fuse_in_header){.len = in_size, .opcode = opcode, .nodeid = FUSE_ROOT_ID};
}

static void init_requests(struct perf_fs_load *load)
{
	for (unsigned i = 0; i < PERF_FS_REQUESTS; i++)
		perf_fs_request_init(load, &load->requests[i], FUSE_GETATTR,
				     sizeof(struct fuse_getattr_in), sizeof(struct fuse_attr_out));
}

static void begin_session(struct perf_fs_load *load)
{
	struct perf_fs_request init;
	struct fuse_init_in *in;

	perf_fs_request_init(load, &init, FUSE_INIT, sizeof(*in), sizeof(struct fuse_init_out));
	in = init.args;
	in->major = FUSE_KERNEL_VERSION;
	in->minor = FUSE_KERNEL_MINOR_VERSION;
	in->flags = (uint32_t)(FUSE_BIG_WRITES | FUSE_MAX_PAGES);
	perf_fs_wait(load, &init, true);
}

void perf_fs_load_init(struct perf_fs_load *load, struct fs_tree *tree, uint32_t data_size)
{
	const struct vqsim_region region = {
		.gpa = UINT64_C(1) << 30,
		.size = (UINT64_C(1) << 20) + (data_size + UINT64_C(4095)) / 4096 * 4096,
	};
	const struct vqsim_guest_config config = {.queue_size = QUEUE_SIZE};
	const struct fs_options options = {.tag = "perf"};

	memset(load, 0, sizeof(*load));
	load->tree = tree;
	must("session", fuse_session_create(&load->session, NULL, tree));
	must("device", fs_create(&load->device, &options, load->session));
	must("memory", vqsim_memory_init(&load->memory, &region, 1));
	must("memory", perf_one_mapping(&load->memory));
	must("guest", vqsim_guest_init(&load->guest, &load->memory, load->device, NULL));
	if (vqsim_guest_bring_up(&load->guest, &config) != VQSIM_UP)
		perf_fs_die("the device did not come up", 0);
	vqsim_driver_set_notify(&load->guest.queues[QUEUE], VQSIM_NOTIFY_NEVER);
	begin_session(load);
	init_requests(load);
}

void perf_fs_load_finish(struct perf_fs_load *load)
{
	vqsim_guest_finish(&load->guest);
	load->device->ops->destroy(load->device);
	load->session->ops->destroy(load->session);
	load->tree->ops->destroy(load->tree);
	vqsim_memory_finish(&load->memory);
}

static inline void check(const struct perf_fs_request *request, enum vqsim_reap reap,
			 const struct vqsim_used *used, bool exact)
{
	if (reap != VQSIM_REAP_USED)
		perf_fs_die("a request did not come back", 0);
	if (used->token != request || request->out->error != 0 ||
	    request->out->unique != request->in->unique || request->out->len != used->len ||
	    (exact && used->len != request->used_len))
		perf_fs_die("a wrong answer", 0);
}

static inline void submit(struct perf_fs_load *load, struct perf_fs_request *request)
{
	request->in->unique = load->unique += 2;
	request->out->error = UNSET;
	if (vqsim_driver_add(&load->guest.queues[QUEUE], &request->chain, request) < 0)
		perf_fs_die("the ring is full", 0);
}

uint32_t perf_fs_wait(struct perf_fs_load *load, struct perf_fs_request *request, bool exact)
{
	struct vqsim_driver *driver = &load->guest.queues[QUEUE];
	struct vqsim_used used;

	submit(load, request);
	vqsim_driver_publish(driver);
	perf_device_progress(load->device, QUEUE);
	check(request, vqsim_driver_reap(driver, &used), &used, exact);
	return used.len - (uint32_t)sizeof(*request->out);
}

void perf_fs_wait_all(struct perf_fs_load *load, struct perf_fs_request *requests, unsigned count)
{
	struct vqsim_driver *driver = &load->guest.queues[QUEUE];
	struct vqsim_used used;

	for (unsigned i = 0; i < count; i++)
		submit(load, &requests[i]);
	vqsim_driver_publish(driver);
	perf_device_progress(load->device, QUEUE);
	for (unsigned i = 0; i < count; i++)
		check(&requests[i], vqsim_driver_reap(driver, &used), &used, true);
}

static inline struct perf_fs_request *request_at(struct perf_fs_load *load, unsigned number)
{
	return &load->requests[number % PERF_FS_REQUESTS];
}

static void run_batch(struct perf_fs_load *load, unsigned first, unsigned end)
{
	struct vqsim_driver *driver = &load->guest.queues[QUEUE];
	struct vqsim_used used;

	for (unsigned i = first; i != end; i++)
		submit(load, request_at(load, i));
	vqsim_driver_publish(driver);
	perf_device_progress(load->device, QUEUE);
	for (unsigned i = first; i != end; i++)
		check(request_at(load, i), vqsim_driver_reap(driver, &used), &used, true);
}

void perf_fs_getattr(struct perf_fs_load *load, unsigned batch, unsigned requests)
{
	for (unsigned first = 0; first < requests; first += batch)
		run_batch(load, first, first + batch);
}
