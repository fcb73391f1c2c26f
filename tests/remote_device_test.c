/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A disk in another process as a virtio_device: what the guest, the referee and the rules of the
 * contract get to see of it.
 */
#include <endian.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <linux/virtio_ids.h>

#include "tests/support/fake_backend.h"
#include "tests/support/served.h"
#include "vqsim/remote.h"

#define BLOCK   4096u
#define REGIONS 12u

/* A guest with a referee and a model disk, in as many regions as a test wants. */
struct stage {
	struct served served;
	struct vqsim_memory memory;
	struct virtio_device *device;
	struct vqsim_referee referee;
	struct vqsim_guest guest;
	struct vqsim_disk disk;
	struct vqsim_blk blk;
	struct vqsim_blk_request request;
};

static void stage_up(struct stage *stage, uint64_t features)
{
	const struct vqsim_guest_config config = {.features = features, .queue_size = 16};

	vqsim_blk_request_finish(&stage->request);
	assert_int_equal(vqsim_guest_bring_up(&stage->guest, &config), VQSIM_UP);
	vqsim_blk_init(&stage->blk, &stage->guest, &stage->disk);
	assert_int_equal(vqsim_blk_request_init(&stage->blk, &stage->request, BLOCK), 0);
}

static void stage_connect(struct stage *stage, unsigned region_count)
{
	const struct vqsim_remote_options options = {.path = "s", .patient = true};
	struct vqsim_region regions[REGIONS];

	for (unsigned i = 0; i < region_count; i++)
		regions[i] = (struct vqsim_region){.gpa = (i + 1) << 22, .size = 1 << 18};
	assert_int_equal(vqsim_memory_init(&stage->memory, regions, region_count), 0);
	assert_int_equal(vqsim_referee_init(&stage->referee, &stage->memory), 0);
	assert_int_equal(vqsim_remote_create(&stage->device, &options, NULL), 0);
	assert_int_equal(
		vqsim_guest_init(&stage->guest, &stage->memory, stage->device, &stage->referee), 0);
	assert_int_equal(vqsim_disk_init(&stage->disk, &stage->referee, 1 << 20), 0);
	memset(&stage->request, 0, sizeof(stage->request));
}

static void stage_down(struct stage *stage)
{
	vqsim_blk_request_finish(&stage->request);
	vqsim_guest_finish(&stage->guest);
	vqsim_disk_finish(&stage->disk);
	vqsim_referee_finish(&stage->referee);
	assert_null(vqsim_remote_fault(stage->device));
	stage->device->ops->destroy(stage->device);
	vqsim_memory_finish(&stage->memory);
}

#define SERVE_RAM(served) SERVED(served, "blk", "--store", "ram:1M", "--socket", "s")

static int do_one(struct stage *stage, uint32_t type, uint64_t sector, uint32_t size)
{
	stage->request.type = type;
	stage->request.sector = sector;
	stage->request.data_size = size;
	return vqsim_blk_do(&stage->blk, 0, &stage->request);
}

/* Writes and reads back; the model disk compares. */
static void use(struct stage *stage)
{
	for (unsigned i = 0; i < 40; i++) {
		memset(stage->request.out_data, (int)i + 1, BLOCK);
		assert_int_equal(do_one(stage, VIRTIO_BLK_T_OUT, i * 8, BLOCK), VIRTIO_BLK_S_OK);
	}
	for (unsigned i = 0; i < 40; i++)
		assert_int_equal(do_one(stage, VIRTIO_BLK_T_IN, i * 8, BLOCK), VIRTIO_BLK_S_OK);
	assert_int_equal(do_one(stage, VIRTIO_BLK_T_FLUSH, 0, 0), VIRTIO_BLK_S_OK);
}

static void every_ring_is_served(void **state)
{
	static const uint64_t rings[] = {
		0,
		VIRTIO_FEATURE(VIRTIO_RING_F_EVENT_IDX),
		VIRTIO_FEATURE(VIRTIO_F_RING_PACKED),
		VIRTIO_FEATURE(VIRTIO_F_RING_PACKED) | VIRTIO_FEATURE(VIRTIO_RING_F_EVENT_IDX),
		VIRTIO_FEATURE(VIRTIO_F_IN_ORDER),
	};
	struct stage stage;

	(void)state;
	SERVE_RAM(&stage.served);
	stage_connect(&stage, 2);
	assert_int_equal(stage.device->ops->device_id, VIRTIO_ID_BLOCK);
	for (unsigned i = 0; i < sizeof(rings) / sizeof(rings[0]); i++) {
		stage_up(&stage, VIRTIO_FEATURE(VIRTIO_BLK_F_FLUSH) | rings[i]);
		assert_int_equal(stage.guest.features & rings[i], rings[i]);
		use(&stage);
	}
	assert_int_equal(stage.referee.violations, 0);
	stage_down(&stage);
	served_end(&stage.served, SIGTERM);
}

/* Where a queue was stopped another life of it goes on. */
static void a_queue_is_reset(void **state)
{
	static const uint64_t formats[] = {0, VIRTIO_FEATURE(VIRTIO_F_RING_PACKED)};
	struct stage stage;

	(void)state;
	SERVE_RAM(&stage.served);
	stage_connect(&stage, 2);
	for (unsigned i = 0; i < 2; i++) {
		stage_up(&stage, formats[i] | VIRTIO_FEATURE(VIRTIO_TRANSPORT_F_RING_RESET) |
					 VIRTIO_FEATURE(VIRTIO_BLK_F_FLUSH));
		use(&stage);
		vqsim_guest_queue_reset(&stage.guest, 0);
		assert_int_equal(vqsim_guest_queue_enable(&stage.guest, 0, 32), VQSIM_UP);
		use(&stage);
	}
	assert_int_equal(stage.referee.violations, 0);
	stage_down(&stage);
	served_end(&stage.served, SIGTERM);
}

/* More regions than one message names; and one of them goes away and comes back. */
static void memory_of_many_regions(void **state)
{
	struct stage stage;

	(void)state;
	SERVE_RAM(&stage.served);
	stage_connect(&stage, REGIONS);
	stage_up(&stage, VIRTIO_FEATURE(VIRTIO_BLK_F_FLUSH));
	use(&stage);
	assert_int_equal(vqsim_memory_hide(&stage.memory, REGIONS - 1), 0);
	use(&stage);
	assert_int_equal(vqsim_memory_expose(&stage.memory, REGIONS - 1), 0);
	use(&stage);
	assert_int_equal(stage.referee.violations, 0);
	stage_down(&stage);
	served_end(&stage.served, SIGTERM);
}

static void settings_are_passed_on(void **state)
{
	struct stage stage;
	uint32_t before;
	uint8_t wce = 7;

	(void)state;
	SERVE_RAM(&stage.served);
	stage_connect(&stage, 1);
	stage_up(&stage,
		 VIRTIO_FEATURE(VIRTIO_BLK_F_FLUSH) | VIRTIO_FEATURE(VIRTIO_BLK_F_CONFIG_WCE));
	before = virtio_transport_config_generation(&stage.guest.link.transport);
	assert_int_equal(vqsim_blk_set_writeback(&stage.blk, false), 0);
	assert_int_equal(virtio_transport_config_read(&stage.guest.link.transport,
						      offsetof(struct virtio_blk_config, wce), &wce,
						      1),
			 0);
	assert_int_equal(wce, 0);
	assert_int_not_equal(virtio_transport_config_generation(&stage.guest.link.transport),
			     before);
	/* The capacity is not the driver's. */
	assert_int_equal(virtio_transport_config_write(&stage.guest.link.transport, 0, &wce, 1),
			 -EPERM);
	use(&stage);
	stage_down(&stage);
	served_end(&stage.served, SIGTERM);
}

/* A backend that is gone needs a reset, in which the next one is found. */
static void a_backend_goes_and_another_comes(void **state)
{
	struct stage stage;
	uint64_t capacity;

	(void)state;
	SERVE_RAM(&stage.served);
	stage_connect(&stage, 1);
	stage_up(&stage, VIRTIO_FEATURE(VIRTIO_BLK_F_FLUSH));
	use(&stage);
	served_end(&stage.served, SIGKILL);
	stage.referee.reset_excused = true;
	assert_int_equal(do_one(&stage, VIRTIO_BLK_T_IN, 0, BLOCK), -1);
	assert_true(vqsim_guest_needs_reset(&stage.guest));
	SERVE_RAM(&stage.served);
	vqsim_guest_reset(&stage.guest);
	assert_int_equal(virtio_transport_config_read(&stage.guest.link.transport, 0, &capacity,
						      sizeof(capacity)),
			 0);
	assert_int_equal(le64toh(capacity), 2048);
	vqsim_disk_finish(&stage.disk);
	assert_int_equal(vqsim_disk_init(&stage.disk, &stage.referee, 1 << 20), 0);
	stage_up(&stage, VIRTIO_FEATURE(VIRTIO_BLK_F_FLUSH));
	use(&stage);
	stage_down(&stage);
	served_end(&stage.served, SIGTERM);
}

/* --- who is at the other end -------------------------------------------------------------------- */

static int create(const char *path, const char *command, char text[VQSIM_REMOTE_TEXT])
{
	struct vqsim_remote_options options = {.path = path, .deadline = 3000};
	struct vqsim_remote_server *server = NULL;
	struct virtio_device *device;
	int error;

	if (command)
		assert_int_equal(vqsim_remote_server_create(&server, command), 0);
	options.server = server;
	error = vqsim_remote_create(&device, &options, text);
	if (error == 0)
		device->ops->destroy(device);
	vqsim_remote_server_destroy(server);
	return error;
}

static void nobody_is_there(void **state)
{
	unsigned fds = fake_backend_fds();
	char text[VQSIM_REMOTE_TEXT], longest[200];

	(void)state;
	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	assert_int_equal(create("none", NULL, text), -ENOENT);
	assert_string_equal(text, "nobody serves the socket: No such file or directory");
	assert_int_equal(create("image", NULL, text), -ECONNREFUSED);
	assert_int_equal(create(longest, NULL, text), -ENAMETOOLONG);
	assert_int_equal(create("none", "exit 3", text), -ECHILD);
	assert_int_equal(create("none", "kill -SEGV $$", text), -ECHILD);
	assert_int_equal(fake_backend_fds(), fds);
}

/* A command that ends with its frontend is started again for the next one. */
static void a_command_is_started_when_needed(void **state)
{
	struct vqsim_remote_server *server;
	struct vqsim_remote_options options = {.path = "t"};
	struct virtio_device *device;
	char command[400];

	(void)state;
	snprintf(command, sizeof(command),
		 "exec %s serve blk --store ram:1M --socket t --once >/dev/null 2>&1",
		 command_binary());
	assert_int_equal(vqsim_remote_server_create(&server, command), 0);
	options.server = server;
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(vqsim_remote_create(&device, &options, NULL), 0);
		device->ops->destroy(device);
	}
	assert_null(vqsim_remote_server_death(server, 0));
	vqsim_remote_server_destroy(server);
}

static void a_death_is_told_once(void **state)
{
	struct vqsim_remote_server *server;
	struct vqsim_remote_options options = {.path = "none", .deadline = 3000};
	struct virtio_device *device;

	(void)state;
	assert_int_equal(vqsim_remote_server_create(&server, "kill -SEGV $$"), 0);
	options.server = server;
	assert_int_equal(vqsim_remote_create(&device, &options, NULL), -ECHILD);
	assert_non_null(strstr(vqsim_remote_server_death(server, 0), "signal 11"));
	assert_null(vqsim_remote_server_death(server, 0));
	vqsim_remote_server_destroy(server);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_ring_is_served),
		cmocka_unit_test(a_queue_is_reset),
		cmocka_unit_test(memory_of_many_regions),
		cmocka_unit_test(settings_are_passed_on),
		cmocka_unit_test(a_backend_goes_and_another_comes),
		cmocka_unit_test(nobody_is_there),
		cmocka_unit_test(a_command_is_started_when_needed),
		cmocka_unit_test(a_death_is_told_once),
	};

	return cmocka_run_group_tests(tests, command_setup, command_teardown);
}
