/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>

#include "async.h"

static void make_requests(struct async *async)
{
	for (unsigned i = 0; i < ASYNC_REQUESTS; i++)
		assert_int_equal(
			vqsim_blk_request_init(&async->bench->blk, &async->requests[i], ASYNC_ROOM),
			0);
}

static void drop_requests(struct async *async)
{
	for (unsigned i = 0; i < ASYNC_REQUESTS; i++)
		vqsim_blk_request_finish(&async->requests[i]);
}

static struct async *create(void (*limit)(struct blk_limits *limits), bool packed)
{
	struct async *async = calloc(1, sizeof(*async));

	assert_non_null(async);
	async->faults = vqsim_faults_create(bench_store_create(BENCH_DISK_SECTORS));
	assert_non_null(async->faults);
	async->faults->limit = limit;
	async->bench = bench_create(&(struct bench_options){
		.device = BENCH_BLK,
		.packed = packed,
		.queue_size = 128,
		.store = &async->faults->base,
	});
	/* What the bench did to learn the disk is no part of the test. */
	async->faults->taken = async->faults->submits = 0;
	make_requests(async);
	return async;
}

struct async *async_create(void (*limit)(struct blk_limits *limits))
{
	return create(limit, false);
}

struct async *async_create_packed(void (*limit)(struct blk_limits *limits))
{
	return create(limit, true);
}

void async_destroy(struct async *async)
{
	async->faults->let_go = VQSIM_FAULTS_ALL;
	drop_requests(async);
	bench_destroy(async->bench);
	free(async);
}

void async_up(struct async *async)
{
	drop_requests(async);
	bench_up(async->bench);
	make_requests(async);
}

void async_hold(struct async *async)
{
	async->faults->hold = true;
	async->faults->let_go = 0;
}

void async_let_go(struct async *async, uint32_t count)
{
	async->faults->let_go = count;
}

void async_add(struct async *async, unsigned index, uint32_t type, uint64_t sector, uint32_t size)
{
	struct vqsim_blk_request *request = &async->requests[index];

	request->type = type;
	request->sector = sector;
	request->data_size = size;
	if (type == VIRTIO_BLK_T_OUT)
		memset(request->out_data, (int)(0x80 + index), size);
	assert_true(vqsim_blk_submit(&async->bench->blk, 0, request) >= 0);
}

void async_reads(struct async *async, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		async_add(async, i, VIRTIO_BLK_T_IN, 8u * i, 1024);
	vqsim_guest_publish(&async->bench->guest, 0);
}

enum virtio_progress async_run(struct async *async)
{
	vqsim_guest_publish(&async->bench->guest, 0);
	return vqsim_guest_run(&async->bench->guest, 0);
}

unsigned async_reap(struct async *async, int status)
{
	struct vqsim_blk_request *request;
	unsigned count = 0;

	for (; (request = vqsim_blk_reap(&async->bench->blk, 0)) != NULL; count++)
		assert_int_equal(request->status, status);
	return count;
}
