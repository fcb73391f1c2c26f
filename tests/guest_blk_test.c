/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the block driver notices in an answer (virtio 1.3, 5.2.6): a device that does
 * everything right, but for one mistake at a time.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "devices/virtqueue.h"
#include "vqsim/guest_blk.h"

#define SECTOR 512u
#define NONE   VQSIM_RULE_COUNT

/* The one mistake of the device. */
enum mistake {
	NO_MISTAKE,
	LEN_SHORT,
	LEN_LONG,
	LEN_OF_A_FAILURE, /* claims the data that it did not write */
	STATUS_FORGOTTEN,
	STATUS_INVENTED,
	STATUS_TWICE, /* once more behind its place */
	BESIDE_DATA,  /* before the writable bytes */
	HEADER_CHANGED,
	DATA_CHANGED, /* of a write */
};

struct device {
	struct virtio_device dev;
	struct virtqueue *vq;
	uint64_t features;
	enum mistake mistake;
	uint8_t status;
};

static struct device *device_of(struct virtio_device *dev)
{
	return (struct device *)dev;
}

static uint64_t features(struct virtio_device *dev)
{
	(void)dev;
	return VIRTQUEUE_FEATURES | VIRTIO_FEATURE(VIRTIO_BLK_F_FLUSH);
}

static int set_features(struct virtio_device *dev, uint64_t taken)
{
	device_of(dev)->features = taken;
	return 0;
}

static uint16_t one_queue(struct virtio_device *dev)
{
	(void)dev;
	return 1;
}

static uint16_t queue_size_max(struct virtio_device *dev, uint16_t index)
{
	(void)dev;
	(void)index;
	return 16;
}

static uint32_t config_size(struct virtio_device *dev)
{
	(void)dev;
	return 8;
}

static int config_read(struct virtio_device *dev, uint32_t offset, void *buf, uint32_t size)
{
	const uint8_t config[] = {8, 0, 0, 0, 1, 0, 0, 0};

	(void)dev;
	memcpy(buf, config + offset, size);
	return 0;
}

static int queue_start(struct virtio_device *dev, uint16_t index,
		       const struct virtio_queue_setup *setup)
{
	(void)index;
	return virtqueue_start(device_of(dev)->vq, setup, device_of(dev)->features);
}

static enum virtio_completion reset(struct virtio_device *dev)
{
	virtqueue_stop(device_of(dev)->vq, NULL);
	return VIRTIO_DONE;
}

/* What makes the mistakes possible: one contiguous run in each direction. */
static uint32_t answer(const struct device *device, const struct virtqueue_chain *chain)
{
	uint8_t *out = chain->iov[0].iov_base;
	uint8_t *in = chain->iov[chain->readable_count].iov_base;
	uint32_t data = (uint32_t)chain->writable_size - 1;
	bool ok = device->status == VIRTIO_BLK_S_OK;

	if (ok)
		memset(in, 0x11, data);
	if (device->mistake != STATUS_FORGOTTEN)
		in[data] = device->mistake == STATUS_INVENTED ? 0x55 : device->status;
	if (device->mistake == STATUS_TWICE)
		in[data + 1] = device->status;
	if (device->mistake == BESIDE_DATA)
		in[-1] = 0;
	if (device->mistake == HEADER_CHANGED)
		out[4] ^= 1;
	if (device->mistake == DATA_CHANGED)
		out[16 + 100] ^= 1;
	if (device->mistake == LEN_SHORT)
		return data;
	if (device->mistake == LEN_LONG)
		return data + 2;
	return ok || data == 0 || device->mistake == LEN_OF_A_FAILURE ? data + 1 : 0;
}

static enum virtio_progress progress(struct virtio_device *dev, uint16_t index, uint32_t budget)
{
	struct device *device = device_of(dev);
	struct virtqueue_chain *chain;

	(void)budget;
	do {
		while ((chain = virtqueue_pop(device->vq)) != NULL)
			virtqueue_push(device->vq, chain, answer(device, chain));
		if (virtqueue_publish(device->vq))
			dev->transport_ops->notify_used(dev->transport, index);
	} while (virtqueue_enable_kicks(device->vq));
	return VIRTIO_IDLE;
}

static const struct virtio_device_ops ops = {
	.name = "mistaken",
	.device_id = 2,
	.features = features,
	.set_features = set_features,
	.queue_count = one_queue,
	.queue_size_max = queue_size_max,
	.config_size = config_size,
	.config_read = config_read,
	.queue_start = queue_start,
	.reset = reset,
	.progress = progress,
};

struct fixture {
	struct vqsim_memory memory;
	struct vqsim_referee referee;
	struct vqsim_guest guest;
	struct vqsim_blk blk;
	struct vqsim_blk_request request;
	struct device device;
};

static void ignore(void *opaque, const struct vqsim_violation *violation)
{
	(void)opaque;
	(void)violation;
}

static int set_up(void **state)
{
	static const struct vqsim_region region = {.gpa = 0x1000, .size = 0x10000};
	static const struct vqsim_guest_config config = {.features = VQSIM_FEATURES_SPLIT};
	static struct fixture f;

	memset(&f, 0, sizeof(f));
	*state = &f;
	f.device.dev.ops = &ops;
	if (vqsim_memory_init(&f.memory, &region, 1) || vqsim_referee_init(&f.referee, &f.memory) ||
	    vqsim_guest_init(&f.guest, &f.memory, &f.device.dev, &f.referee))
		return -1;
	f.referee.sink = ignore;
	vqsim_referee_let_stray(&f.referee);
	f.device.vq = virtqueue_create(&f.device.dev);
	if (!f.device.vq || vqsim_guest_bring_up(&f.guest, &config) != VQSIM_UP)
		return -1;
	vqsim_blk_init(&f.blk, &f.guest, NULL);
	return vqsim_blk_request_init(&f.blk, &f.request, 4 * SECTOR);
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	vqsim_blk_request_finish(&f->request);
	vqsim_guest_finish(&f->guest);
	virtqueue_destroy(f->device.vq);
	vqsim_referee_finish(&f->referee);
	vqsim_memory_finish(&f->memory);
	return 0;
}

static int ask(struct fixture *f, uint32_t type, uint32_t data_size)
{
	f->request.type = type;
	f->request.data_size = data_size;
	return vqsim_blk_do(&f->blk, 0, &f->request);
}

static void the_capacity_is_read_in_two_halves(void **state)
{
	const struct fixture *f = *state;

	assert_true(f->blk.capacity == (UINT64_C(1) << 32) + 8);
}

static void a_right_answer_is_no_violation_whatever_the_request(void **state)
{
	static const struct {
		uint32_t type, data_size, len_ok, len_failed;
	} cases[] = {
		{VIRTIO_BLK_T_IN, 0, 1, 1},
		{VIRTIO_BLK_T_IN, SECTOR, SECTOR + 1, 0},
		{VIRTIO_BLK_T_IN, 4 * SECTOR, 4 * SECTOR + 1, 0},
		{VIRTIO_BLK_T_OUT, SECTOR, 1, 1},
		{VIRTIO_BLK_T_FLUSH, 0, 1, 1},
		{VIRTIO_BLK_T_GET_ID, 20, 21, 0},
		{VIRTIO_BLK_T_GET_ID, 7, 8, 0},
		{VIRTIO_BLK_T_WRITE_ZEROES, 16, 1, 1},
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		f->device.status = VIRTIO_BLK_S_OK;
		assert_int_equal(ask(f, cases[i].type, cases[i].data_size), VIRTIO_BLK_S_OK);
		assert_int_equal(f->request.used_len, cases[i].len_ok);
		f->device.status = VIRTIO_BLK_S_IOERR;
		assert_int_equal(ask(f, cases[i].type, cases[i].data_size), VIRTIO_BLK_S_IOERR);
		assert_int_equal(f->request.used_len, cases[i].len_failed);
	}
	assert_int_equal(f->referee.violations, 0);
	assert_int_equal(f->blk.requests, 16);
	assert_int_equal(f->blk.errors, 8);
	assert_int_equal(f->blk.bytes, 6 * SECTOR);
}

static void a_mistake_is_noticed_and_named(void **state)
{
	static const struct {
		enum mistake mistake;
		uint32_t type;
		uint8_t status;
		enum vqsim_rule rule;
	} cases[] = {
		{NO_MISTAKE, VIRTIO_BLK_T_IN, VIRTIO_BLK_S_OK, NONE},
		{LEN_SHORT, VIRTIO_BLK_T_IN, VIRTIO_BLK_S_OK, VQSIM_RULE_USED_LEN_EXACT},
		{LEN_LONG, VIRTIO_BLK_T_OUT, VIRTIO_BLK_S_OK, VQSIM_RULE_USED_LEN_EXACT},
		{LEN_SHORT, VIRTIO_BLK_T_OUT, VIRTIO_BLK_S_IOERR, VQSIM_RULE_USED_LEN_EXACT},
		{LEN_OF_A_FAILURE, VIRTIO_BLK_T_IN, VIRTIO_BLK_S_IOERR, VQSIM_RULE_USED_LEN},
		{STATUS_FORGOTTEN, VIRTIO_BLK_T_IN, VIRTIO_BLK_S_OK, VQSIM_RULE_STATUS},
		{STATUS_INVENTED, VIRTIO_BLK_T_IN, VIRTIO_BLK_S_OK, VQSIM_RULE_STATUS},
		{STATUS_TWICE, VIRTIO_BLK_T_IN, VIRTIO_BLK_S_OK, VQSIM_RULE_FOOTPRINT},
		{HEADER_CHANGED, VIRTIO_BLK_T_IN, VIRTIO_BLK_S_OK, VQSIM_RULE_READABLE_WRITTEN},
		{DATA_CHANGED, VIRTIO_BLK_T_OUT, VIRTIO_BLK_S_OK, VQSIM_RULE_READABLE_WRITTEN},
		{BESIDE_DATA, VIRTIO_BLK_T_IN, VIRTIO_BLK_S_OK, VQSIM_RULE_FOOTPRINT},
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint64_t before[VQSIM_RULE_COUNT];

		memcpy(before, f->referee.counts, sizeof(before));
		f->device.mistake = cases[i].mistake;
		f->device.status = cases[i].status;
		ask(f, cases[i].type, SECTOR);
		for (unsigned rule = 0; rule < VQSIM_RULE_COUNT; rule++)
			if ((f->referee.counts[rule] > before[rule]) && cases[i].rule == NONE)
				fail_msg("case %zu: %s", i, vqsim_rules[rule].text);
		if (cases[i].rule != NONE &&
		    f->referee.counts[cases[i].rule] == before[cases[i].rule])
			fail_msg("case %zu went by: %s", i, vqsim_rules[cases[i].rule].text);
	}
}

#define on_a_device(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		on_a_device(the_capacity_is_read_in_two_halves),
		on_a_device(a_right_answer_is_no_violation_whatever_the_request),
		on_a_device(a_mistake_is_noticed_and_named),
	};

	return cmocka_run_group_tests_name("guest blk", tests, NULL, NULL);
}
