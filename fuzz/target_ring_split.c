/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Property: whatever a driver does to split rings of the null device, every chain that obeys the
 * standard is used once, with the right length and content, and every notification comes that is
 * due and no other; what does not obey is used or answered by DEVICE_NEEDS_RESET; no byte is
 * touched that was not exposed; a device that does not need a reset serves the next good
 * request, and after a reset any device does.
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
	fuzz_round(&player, &fuzz_split, data, size);
	return 0;
}

void fuzz_finish(void)
{
	vqsim_player_finish(&player);
	device->ops->destroy(device);
}
