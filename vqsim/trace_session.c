/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What changes under the requests: queues that are reset and enabled again, the memory map, the
 * driver, the config space, and the moods of the store.
 *
 * A reset of a queue or of the device is over only when the store has let go of what it holds, so
 * that a player that wants one lets everything go. While something broken is out nothing is held:
 * a publish is followed by the run at once, and that is to be the end of it.
 */
#include <endian.h>
#include <stddef.h>
#include <string.h>

#include "misuse_internal.h"
#include "trace_internal.h"

/* Each ring takes memory until the device is reset; so many fit into that of a player. */
#define ENABLES_MAX 8u

#define CONFIG_WRITE_MAX 8u

static bool negotiated(const struct vqsim_player *player, unsigned bit)
{
	return player->guest.features & VIRTIO_FEATURE(bit);
}

void player_queue_reset(struct vqsim_player *player, uint16_t queue)
{
	uint32_t let_go;

	if (!player_live(player, queue) || !negotiated(player, VIRTIO_TRANSPORT_F_RING_RESET))
		return;
	let_go = player_let_all_go(player);
	vqsim_guest_queue_reset(&player->guest, queue);
	player_hold_again(player, let_go);
	player->skewed &= ~(1u << queue);
	player->counts.queue_resets++;
	player_chain_lose(player, queue);
	if (player->store)
		player_blk_lose(player, queue);
}

/* The ring goes into the first region: a driver that hides its rings is left for other operations. */
void player_queue_enable(struct vqsim_player *player, uint16_t queue, uint32_t size)
{
	bool too_large = size == 0 || size > VQSIM_PLAYER_QUEUE_SIZE;

	if (player_live(player, queue) || player->enables == ENABLES_MAX)
		return;
	player->enables++;
	if (!player->memory.mappings[0].exposed)
		vqsim_memory_expose(&player->memory, 0);
	vqsim_guest_queue_enable(&player->guest, queue,
				 (uint16_t)(too_large ? VQSIM_PLAYER_QUEUE_SIZE : size));
}

void player_replace_map(struct vqsim_player *player)
{
	vqsim_memory_replace(&player->memory);
}

void player_change_driver(struct vqsim_player *player)
{
	struct virtio_device *device = player->guest.link.device;

	player_go_down(player);
	vqsim_guest_finish(&player->guest);
	/* Without memory there is no state to go on from; a fuzzer sees an end, not a finding. */
	if (vqsim_guest_init(&player->guest, &player->memory, device, &player->referee) != 0)
		vqsim_misuse(__func__, "the host is out of memory");
}

static bool in_flight(const struct vqsim_player *player)
{
	for (uint16_t i = 0; i < player->guest.queue_count; i++)
		if (player_live(player, i) && player->guest.queues[i].in_flight)
			return true;
	return player->faults && player->faults->held > 0;
}

/* Every live queue has run since the last change, or the device is reset. */
void player_check_map(struct vqsim_player *player)
{
	if (in_flight(player))
		return;
	for (unsigned i = 0; i < player->memory.count; i++)
		if (!vqsim_memory_released(&player->memory, i))
			vqsim_referee_violation(
				&player->referee, VQSIM_RULE_FOOTPRINT, 0,
				"nothing is in flight, and region %u of an earlier memory map "
				"is still held",
				i);
}

static bool same_config(struct vqsim_player *player, const uint8_t *before, uint32_t size)
{
	uint8_t after[VQSIM_REFEREE_CONFIG];

	virtio_transport_config_read(&player->guest.link.transport, 0, after, size);
	return memcmp(before, after, size) == 0;
}

/* A field that can be written has an operation of its own: here none is to change. */
static bool writable_config(const struct vqsim_player *player, uint32_t offset, uint32_t size)
{
	uint32_t field = offsetof(struct virtio_blk_config, wce);

	return player->store && offset <= field && field - offset < size;
}

void player_config_write(struct vqsim_player *player, const struct vqsim_op *op)
{
	struct virtio_device *device = player->guest.link.device;
	uint8_t before[VQSIM_REFEREE_CONFIG];
	uint64_t value = htole64(op->value);
	uint32_t bytes = 1 + op->size % CONFIG_WRITE_MAX;
	uint32_t size = device->ops->config_size ? device->ops->config_size(device) : 0;

	if (size > sizeof(before))
		size = sizeof(before);
	if (writable_config(player, op->count, bytes))
		return;
	if (size > 0)
		virtio_transport_config_read(&player->guest.link.transport, 0, before, size);
	virtio_transport_config_write(&player->guest.link.transport, op->count, &value, bytes);
	if (size > 0 && !same_config(player, before, size))
		vqsim_referee_violation(&player->referee, VQSIM_RULE_CONFIG_NOTIFY, 0,
					"a write of %u bytes at %u changed the config space", bytes,
					op->count);
}

static void hold(struct vqsim_faults *faults, uint8_t what)
{
	faults->hold = what > 0;
	faults->newest_first = what == 2;
	faults->let_go = what > 0 ? 0 : VQSIM_FAULTS_ALL;
}

static void let_go(struct vqsim_faults *faults, uint64_t count)
{
	/* What is not held does not wait: operations to come are not let go in advance. */
	if (faults->hold)
		faults->let_go = count < faults->held ? (uint32_t)count : faults->held;
}

static void fail(struct vqsim_faults *faults, const struct vqsim_op *op)
{
	faults->fail_at = faults->taken + 1 + (uint32_t)(op->value & 0xff);
	faults->part = op->size;
}

void player_faults(struct vqsim_player *player, const struct vqsim_op *op)
{
	struct vqsim_faults *faults = player->faults;

	if (!faults || player->dirty)
		return;
	switch (op->code) {
	case VQSIM_OP_HOLD:
		hold(faults, op->what % 3);
		break;
	case VQSIM_OP_LET_GO:
		let_go(faults, op->value);
		break;
	case VQSIM_OP_RELEASE:
		if (faults->held > 0)
			vqsim_faults_release(faults,
					     vqsim_faults_held(faults, op->at % faults->held));
		break;
	default:
		fail(faults, op);
		break;
	}
}

void player_calm(struct vqsim_player *player)
{
	if (!player->faults)
		return;
	hold(player->faults, 0);
	player->faults->fail_at = 0;
}

uint32_t player_let_all_go(struct vqsim_player *player)
{
	uint32_t before;

	if (!player->faults)
		return 0;
	before = player->faults->let_go;
	player->faults->let_go = VQSIM_FAULTS_ALL;
	return before;
}

void player_hold_again(struct vqsim_player *player, uint32_t let_go_before)
{
	if (player->faults)
		player->faults->let_go = let_go_before;
}

void player_faults_reset(struct vqsim_player *player)
{
	struct vqsim_faults *faults = player->faults;

	if (!faults)
		return;
	player_calm(player);
	faults->part = 0;
	faults->submits = faults->taken = faults->failed = faults->busy = 0;
	player->failures_known = player->errors = 0;
	player->errors_unknown = false;
}
