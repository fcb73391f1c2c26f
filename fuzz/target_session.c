/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Property: requests on several queues of either format, whatever changes under them: resets of the
 * device and of a queue, other features, sizes and formats, another driver, a memory map that loses
 * and gets regions, writes to the config space, a store that is late, reorders and fails. What
 * the properties of ring_split and blk say holds; one request fails for each operation that the
 * store fails; and nothing is held of memory that is gone once nothing is in flight.
 *
 * The first byte chooses the device: the null device, or the block device on a store with faults.
 */
#include <errno.h>

#include "devices/blk/blk.h"
#include "devices/null/null.h"
#include "support/counters.h"
#include "support/round.h"

#define DISK_SIZE 32768u

enum { NULL_DEVICE, BLOCK_DEVICE, DEVICES };

static struct vqsim_player players[DEVICES];
static struct virtio_device *devices[DEVICES];
static struct vqsim_faults *faults;

static void block_device_init(void)
{
	const struct blk_options options = {
		.queue_count = VQSIM_PLAYER_QUEUES,
		.queue_size_max = VQSIM_PLAYER_QUEUE_SIZE,
		.id = "session",
	};
	struct blk_store *ram;

	fuzz_must("store", blk_store_ram_create(&ram, DISK_SIZE));
	faults = vqsim_faults_create(ram);
	fuzz_must("store with faults", faults ? 0 : -ENOMEM);
	fuzz_must("block device", blk_create(&devices[BLOCK_DEVICE], &options, &faults->base));
	fuzz_must("player",
		  vqsim_player_init_faults(&players[BLOCK_DEVICE], devices[BLOCK_DEVICE], faults));
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc, (void)argv;
	fuzz_must("null device", null_create(&devices[NULL_DEVICE], VQSIM_PLAYER_QUEUES,
					     VQSIM_PLAYER_QUEUE_SIZE, NULL_FILL));
	fuzz_must("player", vqsim_player_init(&players[NULL_DEVICE], devices[NULL_DEVICE], NULL));
	block_device_init();
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size > 0)
		fuzz_round(&players[data[0] % DEVICES], &fuzz_session, data + 1, size - 1);
	return 0;
}

void fuzz_finish(void)
{
	for (unsigned i = 0; i < DEVICES; i++) {
		vqsim_player_finish(&players[i]);
		devices[i]->ops->destroy(devices[i]);
	}
	faults->base.ops->destroy(&faults->base);
}
