/* SPDX-License-Identifier: BSD-3-Clause */
#include "fs_stage.h"

static void make_requests(struct stage *stage)
{
	for (unsigned i = 0; i < STAGE_REQUESTS; i++)
		assert_int_equal(vqsim_fs_request_init(&stage->bench->fs, &stage->requests[i], 0),
				 0);
}

static void drop_requests(struct stage *stage)
{
	for (unsigned i = 0; i < STAGE_REQUESTS; i++)
		vqsim_fs_request_finish(&stage->requests[i]);
}

struct stage stage_up(bool packed, uint16_t request_queues)
{
	struct stage stage = {.script = fs_script_create()};

	stage.bench = fs_bench_create(&(struct fs_bench_options){
		.session = &stage.script->base,
		.request_queues = request_queues,
		.packed = packed,
		.data_room = 4096,
	});
	make_requests(&stage);
	return stage;
}

void stage_down(struct stage *stage)
{
	drop_requests(stage);
	fs_bench_destroy(stage->bench);
}

void stage_up_again(struct stage *stage)
{
	drop_requests(stage);
	fs_bench_up(stage->bench);
	make_requests(stage);
}

uint8_t stage_byte(unsigned index, unsigned at)
{
	return (uint8_t)(index * 41 + at * 3);
}

void stage_show(struct stage *stage, uint16_t queue, unsigned index, uint32_t out_size)
{
	struct vqsim_fs_request *request = &stage->requests[index];
	const struct vqsim_element elements[] = {
		{request->in_gpa, STAGE_MESSAGE, false},
		{request->out_gpa, out_size, true},
	};
	const struct vqsim_chain chain = {elements, out_size ? 2 : 1, out_size ? 2 : 1, 0};

	for (unsigned i = 0; i < STAGE_MESSAGE; i++)
		request->in[i] = stage_byte(index, i);
	memset(request->out, 0xa5, out_size + 1);
	assert_true(vqsim_guest_add(&stage->bench->guest, queue, &chain, request) >= 0);
}

void stage_show_all(struct stage *stage, uint16_t queue, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		stage_show(stage, queue, i, STAGE_REPLY);
	vqsim_guest_publish(&stage->bench->guest, queue);
}

int stage_back(struct stage *stage, uint16_t queue, uint32_t len)
{
	struct vqsim_used used;
	enum vqsim_reap reap = vqsim_guest_reap(&stage->bench->guest, queue, &used);
	unsigned index;

	if (reap == VQSIM_REAP_NOTHING)
		return -1;
	assert_int_equal(reap, VQSIM_REAP_USED);
	index = (unsigned)((struct vqsim_fs_request *)used.token - stage->requests);
	assert_true(index < STAGE_REQUESTS);
	assert_int_equal(used.len, len);
	for (unsigned i = 0; i < len; i++)
		assert_int_equal(stage->requests[index].out[i], (uint8_t)~stage_byte(index, i));
	assert_int_equal(stage->requests[index].out[len], 0xa5);
	return (int)index;
}

void stage_serve_all(struct stage *stage, uint16_t queue)
{
	stage_show_all(stage, queue, STAGE_REQUESTS);
	assert_int_equal(vqsim_guest_run(&stage->bench->guest, queue), VIRTIO_IDLE);
	for (unsigned i = 0; i < STAGE_REQUESTS; i++)
		assert_int_equal(stage_back(stage, queue, STAGE_REPLY), i);
	assert_int_equal(stage_back(stage, queue, STAGE_REPLY), -1);
}
