/* SPDX-License-Identifier: BSD-3-Clause */
#include <endian.h>
#include <string.h>

#include "trace_internal.h"
#include "../devices/blk/blk.h"

#define MAIN_SIZE_NULL 65536u
#define MAIN_SIZE_BLK  131072u

/* The queue of the request that must complete at the end. */
#define GOOD_QUEUE_SIZE 8u

static int parts_init(struct vqsim_player *player, struct virtio_device *device)
{
	const struct vqsim_region regions[] = {
		{PLAYER_MAIN_GPA, player->store ? MAIN_SIZE_BLK : MAIN_SIZE_NULL},
		{PLAYER_WEST_GPA, PLAYER_WEST_SIZE},
		{PLAYER_MIDDLE_GPA, PLAYER_MIDDLE_SIZE},
		{PLAYER_EAST_GPA, PLAYER_EAST_SIZE},
	};
	int error = vqsim_memory_init(&player->memory, regions, 4);

	if (error == 0)
		error = vqsim_referee_init(&player->referee, &player->memory);
	if (error == 0)
		error = vqsim_guest_init(&player->guest, &player->memory, device, &player->referee);
	if (error == 0 && player->store)
		error = player_blk_init(player);
	return error;
}

int vqsim_player_init(struct vqsim_player *player, struct virtio_device *device,
		      struct blk_store *store)
{
	int error;

	memset(player, 0, sizeof(*player));
	player->store = store;
	error = parts_init(player, device);
	if (error)
		vqsim_player_finish(player);
	return error;
}

static void go_down(struct vqsim_player *player)
{
	if (player->guest.queue_count > 0) {
		player->counts.resets++;
		player->counts.needs_reset += vqsim_guest_needs_reset(&player->guest);
	}
	vqsim_guest_reset(&player->guest);
	player_chain_forget(player);
	if (player->store)
		player_blk_forget(player);
	player->dirty = player->skewed = false;
}

void vqsim_player_finish(struct vqsim_player *player)
{
	if (player->guest.queues)
		go_down(player);
	vqsim_guest_finish(&player->guest);
	if (player->store)
		player_blk_finish(player);
	vqsim_referee_finish(&player->referee);
	vqsim_memory_finish(&player->memory);
	memset(player, 0, sizeof(*player));
}

void player_reap(struct vqsim_player *player, uint16_t queue)
{
	if (player_blk_busy(player))
		player_blk_reap(player, queue);
	else
		player_chain_reap(player, queue);
}

static void player_run(struct vqsim_player *player, uint16_t queue)
{
	vqsim_guest_run(&player->guest, queue);
	player->asked_for_reset |= vqsim_guest_needs_reset(&player->guest);
}

/* A broken chain is run at once (trace_break.c). */
void player_publish(struct vqsim_player *player, uint16_t queue)
{
	vqsim_guest_publish(&player->guest, queue);
	player_chain_published(player, queue);
	if (!player->dirty)
		return;
	player_run(player, queue);
	player_reap(player, queue);
}

void player_settle(struct vqsim_player *player)
{
	for (uint16_t i = 0; i < player->guest.queue_count; i++) {
		player_publish(player, i);
		player_run(player, i);
		player_reap(player, i);
	}
}

/* Free descriptors are the driver's to write: what was broken in them is gone. */
static void scrub(struct vqsim_driver *driver)
{
	memset(driver->ring.desc, 0, driver->setup.size * sizeof(*driver->ring.desc));
}

bool player_clean(struct vqsim_player *player)
{
	struct vqsim_guest *guest = &player->guest;

	if (!player->dirty && !player->raw)
		return true;
	player_settle(player);
	if (player->skewed || vqsim_guest_needs_reset(guest))
		return false;
	for (uint16_t i = 0; i < guest->queue_count; i++)
		if (guest->queues[i].in_flight || vqsim_referee_queue_void(&player->referee, i))
			return false;
	for (uint16_t i = 0; player->dirty && i < guest->queue_count; i++)
		scrub(&guest->queues[i]);
	if (player->store)
		player_blk_unspoil(player);
	player->dirty = false;
	return true;
}

static void hide(struct vqsim_player *player, unsigned index)
{
	if (player->memory.mappings[index].exposed)
		vqsim_memory_hide(&player->memory, index);
}

static void expose(struct vqsim_player *player, unsigned index)
{
	if (!player->memory.mappings[index].exposed)
		vqsim_memory_expose(&player->memory, index);
}

static bool bring_up(struct vqsim_player *player, const struct vqsim_op *op)
{
	uint16_t has = player->guest.link.transport.queue_count;
	struct vqsim_guest_config config = {
		/* What is broken is broken in split rings. */
		.features = op->value & ~VIRTIO_FEATURE(VIRTIO_F_RING_PACKED),
		.queue_count = op->count % (has + 1u),
		.queue_size = (uint16_t)op->size,
	};
	enum vqsim_bring_up result;

	if (op->size == 0 || op->size > VQSIM_PLAYER_QUEUE_SIZE)
		config.queue_size = VQSIM_PLAYER_QUEUE_SIZE;
	go_down(player);
	/* The rings are in it. */
	expose(player, 0);
	result = vqsim_guest_bring_up(&player->guest, &config);
	if (player->store && player->guest.queue_count > 0)
		player_blk_up(player);
	return result == VQSIM_UP;
}

static void set_used_event(struct vqsim_player *player, const struct vqsim_op *op)
{
	struct vqsim_driver *driver = &player->guest.queues[op->queue];

	*driver->ring.used_event = htole16((uint16_t)(driver->used_index + op->value));
}

static void set_notify(struct vqsim_player *player, const struct vqsim_op *op)
{
	vqsim_driver_set_notify(&player->guest.queues[op->queue],
				op->what % 2 ? VQSIM_NOTIFY_NEVER : VQSIM_NOTIFY_ALWAYS);
}

static void apply_anywhere(struct vqsim_player *player, const struct vqsim_op *op)
{
	switch (op->code) {
	case VQSIM_OP_UP:
		bring_up(player, op);
		break;
	case VQSIM_OP_RESET:
		go_down(player);
		break;
	case VQSIM_OP_HIDE:
		hide(player, op->at % player->memory.count);
		break;
	case VQSIM_OP_EXPOSE:
		expose(player, op->at % player->memory.count);
		break;
	default:
		break;
	}
}

static void apply_blk(struct vqsim_player *player, const struct vqsim_op *op)
{
	switch (op->code) {
	case VQSIM_OP_BLK:
		if (player_clean(player))
			player_blk_add(player, op);
		break;
	case VQSIM_OP_CAPACITY:
		player_blk_capacity(player, op->value);
		break;
	case VQSIM_OP_WRITEBACK:
		player_settle(player);
		player_blk_writeback(player, op->value & 1);
		break;
	default:
		break;
	}
}

static void apply_chain(struct vqsim_player *player, const struct vqsim_op *op)
{
	if (player_blk_busy(player))
		player_settle(player);
	player_chain_add(player, op);
}

static void apply_queue(struct vqsim_player *player, const struct vqsim_op *op)
{
	switch (op->code) {
	case VQSIM_OP_CHAIN:
		apply_chain(player, op);
		break;
	case VQSIM_OP_PUBLISH:
		player_publish(player, op->queue);
		break;
	case VQSIM_OP_KICK:
		vqsim_guest_kick(&player->guest, op->queue);
		break;
	case VQSIM_OP_RUN:
		player_run(player, op->queue);
		break;
	case VQSIM_OP_REAP:
		player_reap(player, op->queue);
		break;
	case VQSIM_OP_NOTIFY:
		set_notify(player, op);
		break;
	case VQSIM_OP_USED_EVENT:
		set_used_event(player, op);
		break;
	case VQSIM_OP_BREAK:
		player_break(player, op);
		break;
	default:
		apply_anywhere(player, op);
		break;
	}
}

static bool for_disk(enum vqsim_op_code code)
{
	return code == VQSIM_OP_BLK || code == VQSIM_OP_CAPACITY || code == VQSIM_OP_WRITEBACK;
}

static void apply(struct vqsim_player *player, const struct vqsim_op *op)
{
	struct vqsim_op ranged = *op;

	if (player->guest.queue_count > 0)
		ranged.queue = op->queue % player->guest.queue_count;
	if (ranged.queue >= player->guest.queue_count)
		apply_anywhere(player, &ranged);
	else if (for_disk(op->code) && player->store)
		apply_blk(player, &ranged);
	else
		apply_queue(player, &ranged);
}

/* Whether a request that the device must answer came back, and on a disk well. */
static bool good_request(struct vqsim_player *player, uint16_t queue)
{
	struct vqsim_op chain = {
		.code = VQSIM_OP_CHAIN,
		.queue = (uint8_t)queue,
		.readable = 1,
		.writable = 1,
		.value = 16,
		.size = 33,
	};
	struct vqsim_op read = {
		.code = VQSIM_OP_BLK,
		.queue = (uint8_t)queue,
		.what = VQSIM_BLK_IN,
		.size = 512,
	};
	struct vqsim_player_request *r = NULL;
	struct vqsim_player_slot *slot = NULL;

	if (player->store)
		r = player_blk_add(player, &read);
	else
		slot = player_chain_add(player, &chain);
	player_settle(player);
	if (r)
		return !r->busy && r->request.status == VIRTIO_BLK_S_OK;
	return slot && !slot->busy;
}

static void check_memory(struct vqsim_player *player)
{
	uint64_t bad = 0;

	if (vqsim_memory_check(&player->memory, &bad))
		vqsim_referee_violation(&player->referee, VQSIM_RULE_FOOTPRINT, 0,
					"byte at gpa 0x%llx beside a buffer changed",
					(unsigned long long)bad);
}

/* A device that is not broken serves everybody. A ring may be too small for a block request. */
static void check_still_serves(struct vqsim_player *player)
{
	for (unsigned i = 0; i < player->memory.count; i++)
		expose(player, i);
	if (player->guest.queue_count == 0)
		return;
	player_settle(player);
	check_memory(player);
	if (!player_clean(player) || vqsim_guest_needs_reset(&player->guest) ||
	    player->guest.queues[0].setup.size < 4)
		return;
	for (uint16_t i = 0; i < player->guest.queue_count; i++)
		if (!good_request(player, i))
			vqsim_referee_violation(&player->referee, VQSIM_RULE_PROGRESS, i,
						"a good request did not come back");
}

static void check_serves_again(struct vqsim_player *player)
{
	struct vqsim_op up = {
		.code = VQSIM_OP_UP,
		.value = UINT64_MAX,
		.size = GOOD_QUEUE_SIZE,
		.count = 1,
	};

	if (!bring_up(player, &up) || !good_request(player, 0))
		vqsim_referee_violation(&player->referee, VQSIM_RULE_PROGRESS, 0,
					"a good request after a reset did not come back");
	go_down(player);
}

uint64_t vqsim_trace_run(struct vqsim_player *player, const struct vqsim_op *ops, unsigned count)
{
	uint64_t before = player->referee.violations;
	struct vqsim_player_counts counts;

	/* Down already, but for the first run: nothing has been up yet. */
	vqsim_memory_reset(&player->memory);
	if (player->store)
		player_blk_start_run(player);
	player->asked_for_reset = false;
	for (unsigned i = 0; i < count; i++)
		apply(player, &ops[i]);
	counts = player->counts;
	check_still_serves(player);
	check_serves_again(player);
	player->counts = counts;
	return player->referee.violations - before;
}
