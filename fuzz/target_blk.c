/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Property: whatever a driver asks of the block device on a ram store, in whatever framing, it is
 * answered by a status; reads return what a model disk says; what is outside of the disk, not a
 * whole number of sectors or not understood changes nothing; broken chains are answered or lead
 * to DEVICE_NEEDS_RESET; and what the property of ring_split says of rings holds.
 */
#include "devices/blk/blk.h"
#include "support/counters.h"
#include "support/round.h"

/* Small, so that its ends are near and a fresh disk for each input is cheap. */
#define DISK_SIZE 32768u

static struct vqsim_player player;
static struct virtio_device *device;
static struct blk_store *store;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	const struct blk_options options = {
		.queue_count = VQSIM_PLAYER_QUEUES,
		.queue_size_max = VQSIM_PLAYER_QUEUE_SIZE,
		.id = "fuzz",
	};

	(void)argc, (void)argv;
	fuzz_must("store", blk_store_ram_create(&store, DISK_SIZE));
	fuzz_must("block device", blk_create(&device, &options, store));
	fuzz_must("player", vqsim_player_init(&player, device, store));
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	fuzz_round(&player, &fuzz_split, data, size);
	return 0;
}

void fuzz_finish(void)
{
	vqsim_player_finish(&player);
	device->ops->destroy(device);
	store->ops->destroy(store);
}
