/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The rules that all transports share (virtio 1.3, 2.1 to 2.6, 3.1), against a
 * device that only notes what it is asked. A device is free to be slow: stop and
 * reset of this one take as many calls as a test says.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "devices/transport.h"
#include "devices/virtqueue.h"

enum {
	ACK = VIRTIO_CONFIG_S_ACKNOWLEDGE,
	DRIVER = VIRTIO_CONFIG_S_DRIVER,
	FEATURES_OK = VIRTIO_CONFIG_S_FEATURES_OK,
	DRIVER_OK = VIRTIO_CONFIG_S_DRIVER_OK,
	FAILED = VIRTIO_CONFIG_S_FAILED,
	NEEDS_RESET = VIRTIO_STATUS_NEEDS_RESET,
};

#define V1     VIRTIO_FEATURE(VIRTIO_F_VERSION_1)
#define OPTION VIRTIO_FEATURE(3)
#define UNWISE VIRTIO_FEATURE(4)

struct device {
	struct virtio_device dev;
	struct virtio_transport transport;
	uint64_t features;
	unsigned starts, config_changes, needs_resets;
	int start_error;
	int slow_calls; /* how often stop and reset say VIRTIO_PENDING */
	uint8_t config[8];
};

static struct device *device_of(struct virtio_device *dev)
{
	return (struct device *)dev;
}

static uint64_t features(struct virtio_device *dev)
{
	(void)dev;
	return V1 | OPTION | UNWISE;
}

static int set_features(struct virtio_device *dev, uint64_t choice)
{
	if (choice & UNWISE)
		return -EINVAL;
	device_of(dev)->features = choice;
	return 0;
}

static uint16_t queue_count(struct virtio_device *dev)
{
	(void)dev;
	return 2;
}

static uint16_t queue_size_max(struct virtio_device *dev, uint16_t index)
{
	(void)dev;
	return index == 0 ? 256 : 16;
}

static uint32_t config_size(struct virtio_device *dev)
{
	return sizeof(device_of(dev)->config);
}

static int config_read(struct virtio_device *dev, uint32_t offset, void *buf, uint32_t size)
{
	memcpy(buf, device_of(dev)->config + offset, size);
	return 0;
}

static int config_write(struct virtio_device *dev, uint32_t offset, const void *buf, uint32_t size)
{
	memcpy(device_of(dev)->config + offset, buf, size);
	return 0;
}

static int queue_start(struct virtio_device *dev, uint16_t index,
		       const struct virtio_queue_setup *setup)
{
	(void)index;
	(void)setup;
	device_of(dev)->starts++;
	return device_of(dev)->start_error;
}

static enum virtio_completion take_time(struct device *device)
{
	return device->slow_calls-- > 0 ? VIRTIO_PENDING : VIRTIO_DONE;
}

static enum virtio_completion queue_stop(struct virtio_device *dev, uint16_t index,
					 struct virtio_queue_state *state)
{
	(void)index;
	*state = (struct virtio_queue_state){.avail_index = 7, .used_index = 7};
	return take_time(device_of(dev));
}

static enum virtio_completion reset(struct virtio_device *dev)
{
	return take_time(device_of(dev));
}

static const struct virtio_device_ops device_ops = {
	.name = "note",
	.features = features,
	.set_features = set_features,
	.queue_count = queue_count,
	.queue_size_max = queue_size_max,
	.config_size = config_size,
	.config_read = config_read,
	.config_write = config_write,
	.queue_start = queue_start,
	.queue_stop = queue_stop,
	.reset = reset,
};

static void needs_reset(void *transport)
{
	struct device *device = transport;

	device->needs_resets++;
	if (virtio_transport_needs_reset(&device->transport))
		device->config_changes++;
}

static const struct virtio_transport_ops transport_ops = {.needs_reset = needs_reset};

static int set_up(void **state)
{
	static struct device device;

	memset(&device, 0, sizeof(device));
	device.dev.ops = &device_ops;
	virtio_device_attach(&device.dev, &transport_ops, &device, NULL);
	*state = &device;
	return virtio_transport_init(&device.transport, &device.dev, 0, 0);
}

static int tear_down(void **state)
{
	virtio_transport_finish(&((struct device *)*state)->transport);
	return 0;
}

static const struct virtio_queue_setup possible = {
	.size = 16,
	.desc_gpa = 0x1000,
	.driver_gpa = 0x2000,
	.device_gpa = 0x3000,
};

static uint8_t status(struct device *d)
{
	return virtio_transport_status(&d->transport);
}

static void write_status(struct device *d, uint8_t value)
{
	virtio_transport_write_status(&d->transport, value);
}

static void negotiate(struct device *d, uint64_t choice)
{
	write_status(d, ACK);
	write_status(d, ACK | DRIVER);
	assert_int_equal(virtio_transport_set_features(&d->transport, choice), 0);
	write_status(d, ACK | DRIVER | FEATURES_OK);
}

static void go(struct device *d)
{
	negotiate(d, V1);
	assert_int_equal(virtio_transport_enable_queue(&d->transport, 0, &possible), 0);
	write_status(d, ACK | DRIVER | FEATURES_OK | DRIVER_OK);
	assert_int_equal(status(d), ACK | DRIVER | FEATURES_OK | DRIVER_OK);
}

/* STATUS-DX-01, STATUS-DX-02 */
static void status_is_zero_at_first_and_reads_back_what_was_written(void **state)
{
	struct device *d = *state;

	assert_int_equal(status(d), 0);
	write_status(d, ACK);
	assert_int_equal(status(d), ACK);
	write_status(d, ACK | DRIVER);
	assert_int_equal(status(d), ACK | DRIVER);
	write_status(d, ACK | DRIVER | FAILED);
	assert_int_equal(status(d), ACK | DRIVER | FAILED);
}

/* STATUS-G-02 is the driver's duty; a driver that breaks it changes nothing. */
static void status_bits_go_away_by_reset_alone(void **state)
{
	struct device *d = *state;

	write_status(d, ACK | DRIVER);
	write_status(d, DRIVER);
	assert_int_equal(status(d), ACK | DRIVER);
	write_status(d, ACK | NEEDS_RESET);
	assert_int_equal(status(d), ACK | DRIVER);
	write_status(d, 0);
	assert_int_equal(status(d), 0);
}

/* FEAT-D-03 */
static void features_ok_stays_clear_for_what_cannot_be_accepted(void **state)
{
	struct device *d = *state;
	static const uint64_t bad[] = {
		OPTION,                  /* without VERSION_1 */
		V1 | VIRTIO_FEATURE(5),  /* not offered */
		V1 | VIRTIO_FEATURE(63), /* not even defined */
		V1 | UNWISE,             /* refused by the device */
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		negotiate(d, bad[i]);
		assert_int_equal(status(d), ACK | DRIVER);
		write_status(d, ACK | DRIVER | DRIVER_OK);
		assert_int_equal(status(d), ACK | DRIVER);
	}
	/* A driver may try again without a reset in between. */
	negotiate(d, V1 | OPTION);
	assert_int_equal(status(d), ACK | DRIVER | FEATURES_OK);
	assert_true(d->features == (V1 | OPTION));
}

static void hidden_features_are_neither_shown_nor_accepted(void **state)
{
	struct device *d = *state;

	d->transport.hidden_features = OPTION;
	assert_true(virtio_transport_features(&d->transport) == (V1 | UNWISE));
	negotiate(d, V1 | OPTION);
	assert_int_equal(status(d), ACK | DRIVER);
}

static void features_that_the_transport_requires_must_be_taken(void **state)
{
	struct device *d = *state;

	d->transport.required_features = V1 | OPTION;
	negotiate(d, V1);
	assert_int_equal(status(d), ACK | DRIVER);
	negotiate(d, V1 | OPTION);
	assert_int_equal(status(d), ACK | DRIVER | FEATURES_OK);
}

/* FEAT-DX-01 */
static void features_are_fixed_from_features_ok_to_reset(void **state)
{
	struct device *d = *state;

	negotiate(d, V1);
	assert_int_equal(virtio_transport_set_features(&d->transport, V1 | OPTION), -EBUSY);
	assert_true(d->features == V1);
	write_status(d, 0);
	negotiate(d, V1 | OPTION);
	assert_true(d->features == (V1 | OPTION));
}

static void features_ok_needs_driver(void **state)
{
	struct device *d = *state;

	assert_int_equal(virtio_transport_set_features(&d->transport, V1), 0);
	write_status(d, ACK | FEATURES_OK);
	assert_int_equal(status(d), ACK);
}

/* CONF-20: rust-vmm b47a799, a queue of no entries. */
static void impossible_rings_are_refused(void **state)
{
	struct device *d = *state;
	static const struct virtio_queue_setup bad[] = {
		{.size = 0, .desc_gpa = 0x1000, .driver_gpa = 0x2000, .device_gpa = 0x3000},
		{.size = 3, .desc_gpa = 0x1000, .driver_gpa = 0x2000, .device_gpa = 0x3000},
		{.size = 512, .desc_gpa = 0x1000, .driver_gpa = 0x2000, .device_gpa = 0x3000},
		{.size = 16, .desc_gpa = 0x1008, .driver_gpa = 0x2000, .device_gpa = 0x3000},
		{.size = 16, .desc_gpa = 0x1000, .driver_gpa = 0x2001, .device_gpa = 0x3000},
		{.size = 16, .desc_gpa = 0x1000, .driver_gpa = 0x2000, .device_gpa = 0x3002},
		{.size = 16, .desc_gpa = -16, .driver_gpa = 0x2000, .device_gpa = 0x3000},
		{.size = 16, .desc_gpa = 0x1000, .driver_gpa = -2, .device_gpa = 0x3000},
		{.size = 16, .desc_gpa = 0x1000, .driver_gpa = 0x2000, .device_gpa = -4},
	};

	negotiate(d, V1);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(virtio_transport_enable_queue(&d->transport, 0, &bad[i]), -EINVAL);
	assert_int_equal(virtio_transport_enable_queue(&d->transport, 2, &possible), -EINVAL);
	assert_int_equal(virtio_transport_enable_queue(&d->transport, 0xffff, &possible), -EINVAL);
}

/* The features of a transport are shown, taken, and none of the device's business. */
static void packed_ring_has_any_size_and_areas_on_4(void **state)
{
	const uint64_t packed = VIRTIO_FEATURE(VIRTIO_F_RING_PACKED);
	struct virtio_queue_setup setup = {.size = 7, .desc_gpa = 16, .driver_gpa = 2};
	struct device *d = *state;

	d->transport.own_features = packed;
	negotiate(d, V1 | packed);
	assert_true(d->features == V1);
	assert_int_equal(virtio_transport_enable_queue(&d->transport, 0, &setup), -EINVAL);
	setup.driver_gpa = UINT64_MAX - 7;
	assert_int_equal(virtio_transport_enable_queue(&d->transport, 0, &setup), 0);
}

/* LIFE-10: QEMU db812c4073, addresses that come before the features. */
static void queue_is_set_up_once_and_after_features_ok(void **state)
{
	struct device *d = *state;

	assert_int_equal(virtio_transport_enable_queue(&d->transport, 0, &possible), -EBUSY);
	negotiate(d, V1);
	assert_int_equal(virtio_transport_enable_queue(&d->transport, 0, &possible), 0);
	assert_int_equal(virtio_transport_enable_queue(&d->transport, 0, &possible), -EBUSY);
	assert_int_equal(d->starts, 0);
	write_status(d, ACK | DRIVER | FEATURES_OK | DRIVER_OK);
	assert_int_equal(d->starts, 1);
	assert_int_equal(virtio_transport_enable_queue(&d->transport, 0, &possible), -EBUSY);
}

static void queue_that_is_enabled_late_starts_at_once(void **state)
{
	struct device *d = *state;

	go(d);
	assert_true(virtio_transport_queue_live(&d->transport, 0));
	assert_false(virtio_transport_queue_live(&d->transport, 1));
	assert_false(virtio_transport_queue_live(&d->transport, 2));
	assert_int_equal(virtio_transport_enable_queue(&d->transport, 1, &possible), 0);
	assert_int_equal(d->starts, 2);
	assert_true(virtio_transport_queue_live(&d->transport, 1));
}

/* STATUS-D-03, STATUS-D-04 */
static void queue_that_cannot_start_makes_the_device_need_a_reset(void **state)
{
	struct device *d = *state;

	d->start_error = -EFAULT;
	negotiate(d, V1);
	assert_int_equal(virtio_transport_enable_queue(&d->transport, 0, &possible), 0);
	write_status(d, ACK | DRIVER | FEATURES_OK | DRIVER_OK);
	assert_int_equal(status(d), ACK | DRIVER | FEATURES_OK | DRIVER_OK | NEEDS_RESET);
	assert_int_equal(d->config_changes, 1);
	assert_false(virtio_transport_queue_live(&d->transport, 0));
	assert_int_equal(virtio_transport_enable_queue(&d->transport, 1, &possible), -EBUSY);
}

static void needs_reset_is_announced_once_and_only_to_a_driver_that_is_there(void **state)
{
	struct device *d = *state;

	write_status(d, ACK);
	assert_false(virtio_transport_needs_reset(&d->transport));
	assert_int_equal(status(d), ACK | NEEDS_RESET);
	write_status(d, 0);
	go(d);
	assert_true(virtio_transport_needs_reset(&d->transport));
	assert_false(virtio_transport_needs_reset(&d->transport));
}

/* RESET-D-01, RESET-DX-01 */
static void status_stays_until_a_slow_reset_is_done(void **state)
{
	struct device *d = *state;

	go(d);
	d->slow_calls = 2;
	write_status(d, 0);
	assert_int_not_equal(status(d), 0);
	/* What the driver writes meanwhile is lost. */
	write_status(d, ACK | DRIVER | FAILED);
	assert_int_equal(virtio_transport_enable_queue(&d->transport, 1, &possible), -EBUSY);
	assert_int_equal(virtio_transport_continue(&d->transport), VIRTIO_PENDING);
	assert_int_equal(status(d) & FAILED, 0);
	assert_int_equal(virtio_transport_continue(&d->transport), VIRTIO_DONE);
	assert_int_equal(status(d), 0);
	assert_false(virtio_transport_queue_live(&d->transport, 0));
	go(d);
}

static void stopped_queue_says_where_it_stood(void **state)
{
	struct device *d = *state;
	struct virtio_queue_state at = {0};

	go(d);
	d->slow_calls = 1;
	assert_int_equal(virtio_transport_stop_queue(&d->transport, 0, &at), VIRTIO_PENDING);
	assert_true(virtio_transport_queue_live(&d->transport, 0));
	assert_int_equal(virtio_transport_stop_queue(&d->transport, 0, &at), VIRTIO_DONE);
	assert_int_equal(at.avail_index, 7);
	assert_false(virtio_transport_queue_live(&d->transport, 0));
	/* It may be enabled again. */
	assert_int_equal(virtio_transport_enable_queue(&d->transport, 0, &possible), 0);
}

static void queue_that_never_ran_stops_where_it_would_have_started(void **state)
{
	struct device *d = *state;
	struct virtio_queue_setup setup = possible;
	struct virtio_queue_state at = {0};

	negotiate(d, V1);
	assert_int_equal(virtio_transport_stop_queue(&d->transport, 0, &at), VIRTIO_DONE);
	assert_int_equal(at.avail_index, 0);
	assert_true(at.avail_wrap && at.used_wrap);
	setup.resume.avail_index = 3;
	assert_int_equal(virtio_transport_enable_queue(&d->transport, 0, &setup), 0);
	assert_int_equal(virtio_transport_stop_queue(&d->transport, 0, &at), VIRTIO_DONE);
	assert_int_equal(at.avail_index, 3);
	assert_int_equal(virtio_transport_stop_queue(&d->transport, 0, NULL), VIRTIO_DONE);
}

/* CONF-07: Firecracker afd05d6d3, e07fa35fb, an offset at the end of its range. */
static void config_access_outside_is_refused(void **state)
{
	struct device *d = *state;
	static const struct {
		uint32_t offset, size;
		int result;
	} rows[] = {
		{0, 8, 0},         {7, 1, 0},       {0, 9, -EINVAL},     {8, 1, -EINVAL},
		{0, 0, -EINVAL},   {7, 2, -EINVAL}, {4, 5, -EINVAL},     {-1u, 2, -EINVAL},
		{2, -1u, -EINVAL}, {8, 0, -EINVAL}, {-1u, -1u, -EINVAL},
	};
	uint8_t bytes[16] = {1, 2, 3, 4, 5, 6, 7, 8};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(virtio_transport_config_write(&d->transport, rows[i].offset, bytes,
							       rows[i].size),
				 rows[i].result);
		assert_int_equal(virtio_transport_config_read(&d->transport, rows[i].offset, bytes,
							      rows[i].size),
				 rows[i].result);
	}
}

static void device_without_config_space_has_none(void **state)
{
	struct device *d = *state;
	struct virtio_device_ops ops = device_ops;
	uint8_t byte = 0;

	d->dev.ops = &ops;
	assert_int_equal(virtio_transport_config_generation(&d->transport), 0);
	ops.config_write = NULL;
	assert_int_equal(virtio_transport_config_write(&d->transport, 0, &byte, 1), -EPERM);
	ops.config_size = NULL;
	assert_int_equal(virtio_transport_config_read(&d->transport, 0, &byte, 1), -EINVAL);
	d->dev.ops = &device_ops;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(status_is_zero_at_first_and_reads_back_what_was_written),
		TEST(status_bits_go_away_by_reset_alone),
		TEST(features_ok_stays_clear_for_what_cannot_be_accepted),
		TEST(hidden_features_are_neither_shown_nor_accepted),
		TEST(features_that_the_transport_requires_must_be_taken),
		TEST(features_are_fixed_from_features_ok_to_reset),
		TEST(features_ok_needs_driver),
		TEST(impossible_rings_are_refused),
		TEST(packed_ring_has_any_size_and_areas_on_4),
		TEST(queue_is_set_up_once_and_after_features_ok),
		TEST(queue_that_is_enabled_late_starts_at_once),
		TEST(queue_that_cannot_start_makes_the_device_need_a_reset),
		TEST(needs_reset_is_announced_once_and_only_to_a_driver_that_is_there),
		TEST(status_stays_until_a_slow_reset_is_done),
		TEST(stopped_queue_says_where_it_stood),
		TEST(queue_that_never_ran_stops_where_it_would_have_started),
		TEST(config_access_outside_is_refused),
		TEST(device_without_config_space_has_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
