/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Property: whatever a frontend says to the vhost-user server, in whatever pieces and with whatever
 * descriptors, whatever stands in its rings, and even if its memory file shrinks, each reply is one,
 * nothing of the frontend is held when it is gone, and the next one is served.
 */
#include "support/counters.h"
#include "support/vhost_player.h"

static struct fuzz_vhost_player player;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc, (void)argv;
	fuzz_vhost_player_init(&player);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	fuzz_vhost_play(&player, data, size, fuzz_verbose);
	fuzz_requests_completed = player.completed;
	fuzz_resets = player.gone;
	return 0;
}

void fuzz_finish(void)
{
	fuzz_vhost_player_finish(&player);
}
