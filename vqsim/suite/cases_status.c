/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The device status (virtio 1.3, 2.1).
 */
#include <endian.h>
#include <string.h>

#include <linux/virtio_config.h>

#include "cases_internal.h"

#define RING_MAX 2048u /* bytes of a ring of the matrix that are compared, at most */

#define ACK         VIRTIO_CONFIG_S_ACKNOWLEDGE
#define DRIVER      (ACK | VIRTIO_CONFIG_S_DRIVER)
#define FEATURES_OK (DRIVER | VIRTIO_CONFIG_S_FEATURES_OK)
#define DRIVER_OK   (FEATURES_OK | VIRTIO_CONFIG_S_DRIVER_OK)

static uint8_t status_of(const struct vqsim_suite *s)
{
	return virtio_transport_status(&s->guest.link.transport);
}

static void write_status(struct vqsim_suite *s, uint8_t status)
{
	virtio_transport_write_status(&s->guest.link.transport, status);
}

/* Everything that a device without patience could take for a reason to begin. */
static void tempt(struct vqsim_suite *s)
{
	struct vqsim_link *link = &s->guest.link;
	const struct virtio_device_ops *ops = s->device->ops;

	vqsim_link_kick(link, cases_first(s), 0);
	vqsim_link_run(link, cases_first(s), 1);
	virtio_transport_features(&link->transport);
	virtio_transport_config_generation(&link->transport);
	for (uint32_t at = 0; ops->config_size && at < ops->config_size(s->device); at++)
		vqsim_suite_config_field(s, at, 1);
}

/* What the device may write to in a ring: the Device Area, and packed the descriptors too. */
static uint32_t copy_ring(struct vqsim_suite *s, uint8_t to[2 * RING_MAX])
{
	const struct vqsim_driver *driver = &s->guest.queues[cases_first(s)];
	uint32_t size = driver->setup.size, area = driver->is_packed ? 4 : 6 + 8 * size;

	memcpy(to, vqsim_memory_at(&s->memory, driver->setup.device_gpa, area), area);
	memcpy(to + area, vqsim_memory_at(&s->memory, driver->setup.desc_gpa, 16 * size),
	       16 * size);
	return area + 16 * size;
}

static void before_driver_ok(struct vqsim_suite *s)
{
	uint8_t before[2 * RING_MAX], after[2 * RING_MAX];
	struct vqsim_suite_io io;
	uint64_t heard;
	uint32_t size;

	/* A first life, after which a device that forgets nothing knows where to look. */
	vqsim_suite_up(s);
	vqsim_suite_good_request(s, cases_first(s));
	vqsim_suite_prepare(s, 0);
	heard = s->guest.link.queues[cases_first(s)].notifications;
	vqsim_suite_io_init(s, &io, 512);
	vqsim_suite_io_add(s, cases_first(s), &io);
	vqsim_guest_publish(&s->guest, cases_first(s));
	size = copy_ring(s, before);
	tempt(s);
	copy_ring(s, after);
	SUITE_EXPECT_CLAUSE(s, "STATUS-D-02",
			    s->guest.link.queues[cases_first(s)].notifications == heard,
			    "no used-buffer notification comes before DRIVER_OK");
	SUITE_EXPECT_CLAUSE(s, "STATUS-D-01", memcmp(before, after, size) == 0,
			    "the ring stays as it is before DRIVER_OK");
	SUITE_EXPECT_CLAUSE(s, "STATUS-D-01", *io.status == VQSIM_BLK_STATUS_UNSET,
			    "the buffers stay as they are before DRIVER_OK");
	vqsim_suite_driver_ok(s);
	vqsim_suite_settle(s, cases_first(s));
	vqsim_suite_io_reap(s, cases_first(s));
	vqsim_suite_io_check(s, &io);
}

/* A head outside the ring; packed: a list that never ends. */
static void corrupt(struct vqsim_driver *driver)
{
	if (!driver->is_packed) {
		driver->ring.avail->ring[0] = htole16(driver->setup.size);
		return;
	}
	for (uint16_t i = 0; i < driver->setup.size; i++)
		driver->packed.desc[i] = (struct vring_packed_desc){
			.addr = driver->packed.desc[0].addr,
			.len = htole32(16),
			.flags = htole16(VRING_DESC_F_NEXT | 1u << VRING_PACKED_DESC_F_AVAIL),
		};
}

/* Two descriptors that lead to each other. */
static void loop(struct vqsim_driver *driver)
{
	if (driver->is_packed) {
		corrupt(driver);
		return;
	}
	for (uint16_t i = 0; i < 2; i++) {
		driver->ring.desc[i].flags = htole16(VRING_DESC_F_NEXT);
		driver->ring.desc[i].next = htole16(!i);
	}
	driver->ring.avail->ring[0] = 0;
}

static void expect_needs_reset(struct vqsim_suite *s, void (*break_it)(struct vqsim_driver *))
{
	struct vqsim_suite_io io;
	uint64_t heard;

	vqsim_suite_up(s);
	heard = s->guest.link.config_notifications;
	vqsim_suite_io_init(s, &io, 512);
	vqsim_suite_io_add(s, cases_first(s), &io);
	vqsim_driver_publish(&s->guest.queues[cases_first(s)]);
	break_it(&s->guest.queues[cases_first(s)]);
	vqsim_guest_kick(&s->guest, cases_first(s));
	for (unsigned i = 0; i < 4; i++)
		vqsim_link_run(&s->guest.link, cases_first(s), 4);
	SUITE_EXPECT_CLAUSE(s, "STATUS-D-03", vqsim_guest_needs_reset(&s->guest),
			    "a device with a ring that is broken asks for a reset");
	SUITE_EXPECT_CLAUSE(s, "STATUS-D-04", s->guest.link.config_notifications > heard,
			    "DEVICE_NEEDS_RESET is announced");
}

static void needs_reset(struct vqsim_suite *s)
{
	expect_needs_reset(s, corrupt);
	expect_needs_reset(s, loop);
	vqsim_suite_up(s);
	vqsim_suite_good_request(s, cases_first(s));
}

static void fresh(struct vqsim_suite *s)
{
	SUITE_EXPECT(s, status_of(s) == 0, "the status of a fresh device is 0 (it is 0x%02x)",
		     status_of(s));
}

static void reads_back(struct vqsim_suite *s)
{
	static const uint8_t steps[] = {ACK, DRIVER, FEATURES_OK, DRIVER_OK,
					DRIVER_OK | VIRTIO_CONFIG_S_FAILED};
	struct vqsim_guest_config config = vqsim_suite_config(s);

	vqsim_guest_reset(&s->guest);
	for (unsigned i = 0; i < sizeof(steps); i++) {
		if (steps[i] == FEATURES_OK)
			virtio_transport_set_features(&s->guest.link.transport,
						      (config.features & s->offered) |
							      VIRTIO_FEATURE(VIRTIO_F_VERSION_1));
		write_status(s, steps[i]);
		SUITE_EXPECT(s, status_of(s) == steps[i],
			     "the status reads back as 0x%02x (it reads 0x%02x)", steps[i],
			     status_of(s));
	}
}

const struct vqsim_case vqsim_cases_status[] = {
	{.name = "status_before_driver_ok",
	 .clauses = "STATUS-D-01 STATUS-D-02",
	 .run = before_driver_ok},
	{.name = "status_needs_reset", .clauses = "STATUS-D-03 STATUS-D-04", .run = needs_reset},
	{.name = "status_fresh", .clauses = "STATUS-DX-01", .scope = VQSIM_ONCE, .run = fresh},
	{.name = "status_reads_back",
	 .clauses = "STATUS-DX-02",
	 .scope = VQSIM_EACH_FORMAT,
	 .run = reads_back},
	{.name = NULL},
};
