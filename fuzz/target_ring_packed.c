/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Property: what that of ring_split says of rings holds for packed ones of any size, with
 * descriptors, ids, wrap counters, event areas and tables of all kinds; a queue that was reset
 * serves again, and leaves the ring and the buffers alone that it had.
 */
#include "devices/null/null.h"
#include "support/counters.h"
#include "support/round.h"

static struct vqsim_player player;
static struct virtio_device *device;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc, (void)argv;
	fuzz_must("null device",
		  null_create(&device, VQSIM_PLAYER_QUEUES, VQSIM_PLAYER_QUEUE_SIZE, NULL_FILL));
	fuzz_must("player", vqsim_player_init(&player, device, NULL));
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	fuzz_round(&player, &fuzz_packed, data, size);
	return 0;
}

void fuzz_finish(void)
{
	vqsim_player_finish(&player);
	device->ops->destroy(device);
}
