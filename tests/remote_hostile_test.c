/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A backend that says what cannot be, says nothing, or goes away, at each message that a frontend
 * sends: it is told of, within the deadline, and nothing of it stays.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <linux/virtio_blk.h>
#include <linux/virtio_ids.h>

#include <cmocka.h>

#include "devices/serve/vhost_user_wire.h"
#include "tests/support/fake_backend.h"
#include "vqsim/guest.h"
#include "vqsim/remote.h"

/* Where an answer never comes; a machine that is busy takes its time for those that do. */
#define SHORT_DEADLINE 40u

/* How far a life with the backend came, and what was found wrong with it. */
struct life {
	int created; /* what vqsim_remote_create said */
	enum vqsim_bring_up up;
	bool faulty;
	char text[VQSIM_REMOTE_TEXT];
};

static void use(struct virtio_device *device, struct life *life)
{
	static const struct vqsim_region region = {.gpa = 1 << 20, .size = 1 << 20};
	const struct vqsim_guest_config config = {.queue_count = 1, .queue_size = 16};
	struct vqsim_memory memory;
	struct vqsim_guest guest;
	const char *fault;

	assert_int_equal(vqsim_memory_init(&memory, &region, 1), 0);
	assert_int_equal(vqsim_guest_init(&guest, &memory, device, NULL), 0);
	life->up = vqsim_guest_bring_up(&guest, &config);
	vqsim_guest_finish(&guest);
	fault = vqsim_remote_fault(device);
	life->faulty = fault != NULL;
	if (fault)
		strcpy(life->text, fault);
	device->ops->destroy(device);
	vqsim_memory_finish(&memory);
}

static struct life live_with(struct fake_backend *backend)
{
	const struct vqsim_remote_options options = {
		.path = backend->path,
		.deadline = backend->slip == FAKE_SILENT || backend->slip == FAKE_HALF
				    ? SHORT_DEADLINE
				    : 0,
	};
	unsigned fds = fake_backend_fds();
	struct life life = {.up = VQSIM_UP};
	struct virtio_device *device;

	fake_backend_start(backend);
	life.created = vqsim_remote_create(&device, &options, life.text);
	if (life.created == 0)
		use(device, &life);
	fake_backend_finish(backend);
	assert_int_equal(fake_backend_fds(), fds);
	return life;
}

static struct life slip_at(uint32_t request, enum fake_slip slip)
{
	struct fake_backend backend = {.request = request, .slip = slip};

	return live_with(&backend);
}

/* All that a frontend asks or tells before and while it uses a queue. */
static const uint32_t requests[] = {
	VHOST_USER_GET_FEATURES,     VHOST_USER_GET_PROTOCOL_FEATURES,
	VHOST_USER_GET_QUEUE_NUM,    VHOST_USER_SET_BACKEND_REQ_FD,
	VHOST_USER_SET_OWNER,        VHOST_USER_GET_CONFIG,
	VHOST_USER_SET_FEATURES,     VHOST_USER_SET_MEM_TABLE,
	VHOST_USER_SET_VRING_NUM,    VHOST_USER_SET_VRING_BASE,
	VHOST_USER_SET_VRING_ADDR,   VHOST_USER_SET_VRING_CALL,
	VHOST_USER_SET_VRING_ERR,    VHOST_USER_SET_VRING_KICK,
	VHOST_USER_SET_VRING_ENABLE, VHOST_USER_GET_VRING_BASE,
};

#define EACH_REQUEST(request)                                                                   \
	for (unsigned at = 0, request = requests[0]; at < sizeof(requests) / sizeof(*requests); \
	     at++, request = at < sizeof(requests) / sizeof(*requests) ? requests[at] : 0)

static void a_backend_that_does_no_wrong(void **state)
{
	struct life life = slip_at(0, FAKE_NONE);

	(void)state;
	assert_int_equal(life.created, 0);
	assert_int_equal(life.up, VQSIM_UP);
	assert_false(life.faulty);
}

/* An answer that cannot be is a fault, and the text says at which message. */
static void answers_that_cannot_be(void **state)
{
	static const enum fake_slip slips[] = {
		FAKE_OTHER_REQUEST, FAKE_NO_REPLY, FAKE_VERSION, FAKE_HUGE, FAKE_LONG, FAKE_FD,
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(slips) / sizeof(slips[0]); i++) {
		EACH_REQUEST(request)
		{
			struct life life = slip_at(request, slips[i]);

			/* A config space may be smaller than was asked for, and so is a longer one. */
			if (request == VHOST_USER_GET_CONFIG && slips[i] == FAKE_LONG)
				continue;
			assert_true(life.created == -EPROTO || life.faulty);
			assert_non_null(strstr(life.text, "the backend"));
		}
	}
}

static void answers_that_are_too_short(void **state)
{
	(void)state;
	EACH_REQUEST(request)
	{
		struct life life = slip_at(request, FAKE_SHORT);

		if (request != VHOST_USER_GET_CONFIG)
			assert_true(life.created == -EPROTO || life.faulty);
	}
}

static void no_answer_within_the_deadline(void **state)
{
	(void)state;
	EACH_REQUEST(request)
	{
		for (enum fake_slip slip = FAKE_SILENT; slip <= FAKE_HALF; slip++) {
			struct life life = slip_at(request, slip);

			assert_true(life.created == -ETIMEDOUT || life.faulty);
			assert_non_null(strstr(life.text, "does not answer"));
		}
	}
}

/* A backend may end: that is how it asks for a reset. But it cannot be used any more. */
static void a_connection_that_is_closed(void **state)
{
	(void)state;
	EACH_REQUEST(request)
	{
		struct life life = slip_at(request, FAKE_CLOSES);

		assert_false(life.faulty);
		if (request != VHOST_USER_GET_VRING_BASE)
			assert_true(life.created == -EPIPE || life.up != VQSIM_UP);
	}
}

static void messages_that_are_refused(void **state)
{
	(void)state;
	assert_int_equal(slip_at(VHOST_USER_SET_OWNER, FAKE_REFUSES).created, -EREMOTEIO);
	assert_int_equal(slip_at(VHOST_USER_SET_FEATURES, FAKE_REFUSES).up, VQSIM_REFUSED_FEATURES);
	for (uint32_t request = VHOST_USER_SET_VRING_NUM; request <= VHOST_USER_SET_VRING_BASE;
	     request++) {
		struct life life = slip_at(request, FAKE_REFUSES);

		assert_int_equal(life.created, 0);
		assert_int_equal(life.up, VQSIM_BROKEN);
		assert_false(life.faulty);
	}
}

/* What comes a second time is the answer to the next message, which it does not fit. */
static void an_answer_that_comes_twice(void **state)
{
	struct life life = slip_at(VHOST_USER_GET_FEATURES, FAKE_TWICE);

	(void)state;
	assert_int_equal(life.created, -EPROTO);
}

/* --- offers that cannot be, or are small ------------------------------------------------------- */

static void a_device_that_shows_nothing(void **state)
{
	struct fake_backend backend = {.features = VIRTIO_FEATURE(VIRTIO_F_VERSION_1)};

	(void)state;
	assert_int_equal(live_with(&backend).created, -ENODEV);
}

static void queue_counts(void **state)
{
	static const struct {
		uint64_t says;
		uint16_t wants;
		int result;
	} rows[] = {{UINT64_MAX, 4, 0}, {4, 4, 0}, {3, 4, -ENOTSUP}};

	(void)state;
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct fake_backend backend = {.queue_count = rows[i].says};
		struct vqsim_remote_options options = {.path = backend.path,
						       .queue_count = rows[i].wants};
		struct virtio_device *device;

		fake_backend_start(&backend);
		assert_int_equal(vqsim_remote_create(&device, &options, NULL), rows[i].result);
		if (rows[i].result == 0) {
			assert_in_range(device->ops->queue_count(device), rows[i].wants,
					VQSIM_REMOTE_QUEUES_MAX);
			device->ops->destroy(device);
		}
		fake_backend_finish(&backend);
	}
}

/* Devices of several ages have config spaces of several sizes, which no message tells. */
static void config_sizes(void **state)
{
	static const struct {
		uint32_t gives, size;
	} rows[] = {{256, sizeof(struct virtio_blk_config)}, {60, 60}, {59, 40}, {8, 8}, {7, 0}};

	(void)state;
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct fake_backend backend = {.config_size = rows[i].gives};
		struct vqsim_remote_options options = {.path = backend.path};
		struct virtio_device *device;

		fake_backend_start(&backend);
		assert_int_equal(vqsim_remote_create(&device, &options, NULL), 0);
		assert_int_equal(device->ops->device_id, VIRTIO_ID_BLOCK);
		assert_int_equal(device->ops->config_size(device), rows[i].size);
		device->ops->destroy(device);
		fake_backend_finish(&backend);
	}
}

/* Before anything drives it; a backend that goes away then is no reason to fall. */
static void a_config_space_is_read_early(void **state)
{
	struct fake_backend backend = {.slip = FAKE_NONE};
	struct vqsim_remote_options options = {.path = backend.path};
	struct virtio_device *device;
	uint64_t capacity;

	(void)state;
	fake_backend_start(&backend);
	assert_int_equal(vqsim_remote_create(&device, &options, NULL), 0);
	assert_int_equal(device->ops->config_read(device, 0, &capacity, sizeof(capacity)), 0);
	fake_backend_hang_up(&backend);
	assert_int_equal(device->ops->config_read(device, 0, &capacity, sizeof(capacity)), -EPIPE);
	assert_true(vqsim_remote_is_gone(device));
	assert_null(vqsim_remote_fault(device));
	device->ops->destroy(device);
	fake_backend_finish(&backend);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_backend_that_does_no_wrong),
		cmocka_unit_test(answers_that_cannot_be),
		cmocka_unit_test(answers_that_are_too_short),
		cmocka_unit_test(no_answer_within_the_deadline),
		cmocka_unit_test(a_connection_that_is_closed),
		cmocka_unit_test(messages_that_are_refused),
		cmocka_unit_test(an_answer_that_comes_twice),
		cmocka_unit_test(a_device_that_shows_nothing),
		cmocka_unit_test(queue_counts),
		cmocka_unit_test(config_sizes),
		cmocka_unit_test(a_config_space_is_read_early),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
