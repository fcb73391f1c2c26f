/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The file-system device between chains and a session that a test steers (fs_script.h): what
 * is in a message does not matter here.
 */
#include <endian.h>
#include <errno.h>

#include "tests/support/bench.h"
#include "tests/support/fs_stage.h"

/* Configuration */

static void check_tag(const char *tag)
{
	struct fs_bench *bench = fs_bench_create(&(struct fs_bench_options){
		.session = &fs_script_create()->base, .tag = tag, .request_queues = 3});
	uint8_t config[40], expected[36] = {0};
	struct virtio_device *device = bench->device;
	uint32_t queues;

	memcpy(expected, tag, strlen(tag));
	assert_int_equal(device->ops->config_size(device), sizeof(config));
	assert_int_equal(device->ops->config_read(device, 0, config, sizeof(config)), 0);
	assert_memory_equal(config, expected, sizeof(expected));
	memcpy(&queues, config + 36, sizeof(queues));
	assert_int_equal(le32toh(queues), 3);
	assert_int_equal(device->ops->queue_count(device), 4);
	assert_null(device->ops->config_write);
	fs_bench_destroy(bench);
}

static void the_tag_fills_its_field_or_is_padded(void **state)
{
	(void)state;
	check_tag("x");
	check_tag("12345678901234567890123456789012345");
	check_tag("123456789012345678901234567890123456");
	check_tag("\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80");
}

static void options_that_cannot_be_are_refused(void **state)
{
	static const struct fs_options impossible[] = {
		{.tag = NULL},
		{.tag = ""},
		{.tag = "1234567890123456789012345678901234567"},
		{.tag = "\xc3"},             /* cut short */
		{.tag = "\xc0\x80"},         /* longer than need be */
		{.tag = "\xed\xa0\x80"},     /* a surrogate */
		{.tag = "\xf4\x90\x80\x80"}, /* above 0x10ffff */
		{.tag = "\x80"},
		{.tag = "x", .queue_size_max = 3},
		{.tag = "x", .queue_size_max = 65535},
		{.tag = "x", .request_queue_count = 65535},
	};
	struct fs_script *script = fs_script_create();
	struct virtio_device *device;

	(void)state;
	for (unsigned i = 0; i < COUNT_OF(impossible); i++)
		assert_int_equal(fs_create(&device, &impossible[i], &script->base), -EINVAL);
	script->base.ops->destroy(&script->base);
}

/* A lock that waits could not be passed by the unlock that it waits for. */
static void in_order_is_not_offered(void **state)
{
	struct stage stage = stage_up(false, 1);
	uint64_t features = stage.bench->device->ops->features(stage.bench->device);

	(void)state;
	assert_false(features & VIRTIO_FEATURE(VIRTIO_F_IN_ORDER));
	assert_true(features & VIRTIO_FEATURE(VIRTIO_F_RING_PACKED));
	assert_int_equal(features & 1, 0); /* no NOTIFICATION */
	assert_int_equal(stage.bench->device->ops->device_id, 26);
	stage_down(&stage);
}

/* Chains */

static void check_layouts(struct stage *stage, bool packed)
{
	struct vqsim_fs_request *request = &stage->requests[0];
	static struct vqsim_layout_walk walk;
	struct vqsim_chain chain;
	unsigned count = 0;

	vqsim_layout_start(&walk, &(struct vqsim_layout_request){
					  .readable_gpa = request->in_gpa,
					  .writable_gpa = request->out_gpa,
					  .readable_size = 44,
					  .writable_size = 24,
					  .queue_size = 64,
					  .table_gpa = request->table_gpa,
					  .mixed = !packed,
					  .random_count = 50,
					  .seed = 1,
				  });
	for (unsigned i = 0; i < 44; i++)
		request->in[i] = stage_byte(0, i);
	for (; vqsim_layout_next(&walk, &chain); count++) {
		memset(request->out, 0xa5, 25);
		assert_true(vqsim_guest_add(&stage->bench->guest, 1, &chain, request) >= 0);
		vqsim_guest_publish(&stage->bench->guest, 1);
		assert_int_equal(vqsim_guest_run(&stage->bench->guest, 1), VIRTIO_IDLE);
		assert_int_equal(stage_back(stage, 1, 24), 0);
		assert_int_equal(stage->script->last_in, 44);
		assert_int_equal(stage->script->last_out, 24);
	}
	assert_true(count > 1000);
}

static void every_framing_gets_the_same_reply(void **state)
{
	(void)state;
	FOR_BOTH_FORMATS(stage, 1)
	check_layouts(&stage, format_ == 1);
}

static void a_message_that_wants_no_reply_has_length_0(void **state)
{
	(void)state;
	FOR_BOTH_FORMATS(stage, 1)
	{
		for (uint16_t queue = 0; queue < 2; queue++) {
			stage_show(&stage, queue, 1, 0);
			vqsim_guest_publish(&stage.bench->guest, queue);
			assert_int_equal(vqsim_guest_run(&stage.bench->guest, queue), VIRTIO_IDLE);
			assert_int_equal(stage_back(&stage, queue, 0), 1);
			assert_int_equal(stage.script->last_out, 0);
		}
	}
}

static void a_chain_without_a_message_reaches_the_session(void **state)
{
	(void)state;
	FOR_BOTH_FORMATS(stage, 1)
	{
		const struct vqsim_element element = {stage.requests[0].out_gpa, 16, true};
		const struct vqsim_chain chain = {&element, 1, 1, 0};

		memset(stage.requests[0].out, 0xa5, 17);
		assert_true(vqsim_guest_add(&stage.bench->guest, 1, &chain, &stage.requests[0]) >=
			    0);
		vqsim_guest_publish(&stage.bench->guest, 1);
		vqsim_guest_run(&stage.bench->guest, 1);
		assert_int_equal(stage_back(&stage, 1, 0), 0);
		assert_int_equal(stage.script->last_in, 0);
		assert_int_equal(stage.script->submits, 1);
	}
}

/* Later */

static void replies_come_in_the_order_of_the_session(void **state)
{
	(void)state;
	FOR_BOTH_FORMATS(stage, 1)
	{
		struct fs_script_queue *queue = fs_script_queue_at(stage.script, false, 0);

		stage.script->hold = true;
		stage_show_all(&stage, 1, STAGE_REQUESTS);
		assert_int_equal(vqsim_guest_run(&stage.bench->guest, 1), VIRTIO_WAITING);
		assert_int_equal(stage_back(&stage, 1, STAGE_REPLY), -1);
		queue->let_go = 2;
		assert_int_equal(vqsim_guest_run(&stage.bench->guest, 1), VIRTIO_WAITING);
		assert_int_equal(stage_back(&stage, 1, STAGE_REPLY), 4);
		assert_int_equal(stage_back(&stage, 1, STAGE_REPLY), 3);
		queue->let_go = 3;
		queue->let_go_oldest = true;
		assert_int_equal(vqsim_guest_run(&stage.bench->guest, 1), VIRTIO_IDLE);
		for (int i = 0; i < 3; i++)
			assert_int_equal(stage_back(&stage, 1, STAGE_REPLY), i);
	}
}

/* What was refused goes first, and nothing is taken behind it. */
static void a_busy_session_gets_requests_again_in_order(void **state)
{
	(void)state;
	FOR_BOTH_FORMATS(stage, 1)
	{
		struct fs_script *script = stage.script;

		script->limited = true;
		script->accept = 2;
		stage_show_all(&stage, 1, STAGE_REQUESTS);
		assert_int_equal(vqsim_guest_run(&stage.bench->guest, 1), VIRTIO_WAITING);
		assert_int_equal(script->submits, 2);
		assert_int_equal(script->busy, 1);
		assert_int_equal(vqsim_guest_run(&stage.bench->guest, 1), VIRTIO_WAITING);
		assert_int_equal(script->busy, 2);
		script->accept = 1;
		assert_int_equal(vqsim_guest_run(&stage.bench->guest, 1), VIRTIO_WAITING);
		assert_int_equal(script->submits, 3);
		script->limited = false;
		assert_int_equal(vqsim_guest_run(&stage.bench->guest, 1), VIRTIO_IDLE);
		for (int i = 0; i < (int)STAGE_REQUESTS; i++)
			assert_int_equal(stage_back(&stage, 1, STAGE_REPLY), i);
	}
}

static void hiprio_goes_on_while_request_queues_are_blocked(void **state)
{
	(void)state;
	FOR_BOTH_FORMATS(stage, 2)
	{
		stage.script->hold = true;
		for (uint16_t queue = 1; queue < 3; queue++) {
			stage_show(&stage, queue, queue, STAGE_REPLY);
			vqsim_guest_publish(&stage.bench->guest, queue);
			assert_int_equal(vqsim_guest_run(&stage.bench->guest, queue),
					 VIRTIO_WAITING);
		}
		stage_show(&stage, 0, 0, 0);
		vqsim_guest_publish(&stage.bench->guest, 0);
		assert_int_equal(vqsim_guest_run(&stage.bench->guest, 0), VIRTIO_IDLE);
		assert_int_equal(stage_back(&stage, 0, 0), 0);
		for (uint16_t queue = 1; queue < 3; queue++) {
			fs_script_queue_at(stage.script, false, queue - 1u)->let_go = 1;
			assert_int_equal(vqsim_guest_run(&stage.bench->guest, queue), VIRTIO_IDLE);
			assert_int_equal(stage_back(&stage, queue, STAGE_REPLY), queue);
		}
	}
}

static void each_queue_has_a_session_queue_of_its_kind_and_depth(void **state)
{
	(void)state;
	FOR_BOTH_FORMATS(stage, 2)
	{
		assert_int_equal(stage.script->open_count, 3);
		assert_int_equal(fs_script_queue_at(stage.script, true, 0)->depth, 64);
		assert_int_equal(fs_script_queue_at(stage.script, false, 1)->depth, 64);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_tag_fills_its_field_or_is_padded),
		cmocka_unit_test(options_that_cannot_be_are_refused),
		cmocka_unit_test(in_order_is_not_offered),
		cmocka_unit_test(every_framing_gets_the_same_reply),
		cmocka_unit_test(a_message_that_wants_no_reply_has_length_0),
		cmocka_unit_test(a_chain_without_a_message_reaches_the_session),
		cmocka_unit_test(replies_come_in_the_order_of_the_session),
		cmocka_unit_test(a_busy_session_gets_requests_again_in_order),
		cmocka_unit_test(hiprio_goes_on_while_request_queues_are_blocked),
		cmocka_unit_test(each_queue_has_a_session_queue_of_its_kind_and_depth),
	};

	return cmocka_run_group_tests_name("fs_device", tests, NULL, NULL);
}
