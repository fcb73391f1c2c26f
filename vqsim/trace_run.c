/* SPDX-License-Identifier: BSD-3-Clause */
#include <endian.h>
#include <string.h>

#include "trace_internal.h"
#include "../devices/blk/blk.h"

#define MAIN_SIZE_NULL 65536u
#define MAIN_SIZE_BLK  131072u

/* A device that waits for so long after its store has let everything go waits for ever. */
#define SETTLE_ROUNDS_MAX 1000u

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

static int init(struct vqsim_player *player, struct virtio_device *device)
{
	int error = parts_init(player, device);

	if (error)
		vqsim_player_finish(player);
	return error;
}

int vqsim_player_init(struct vqsim_player *player, struct virtio_device *device,
		      struct blk_store *store)
{
	memset(player, 0, sizeof(*player));
	player->store = store;
	return init(player, device);
}

int vqsim_player_init_faults(struct vqsim_player *player, struct virtio_device *device,
			     struct vqsim_faults *faults)
{
	memset(player, 0, sizeof(*player));
	player->store = &faults->base;
	player->faults = faults;
	return init(player, device);
}

bool player_live(const struct vqsim_player *player, uint16_t queue)
{
	return queue < player->guest.queue_count &&
	       !vqsim_guest_queue_is_reset(&player->guest, queue);
}

/* What is held in the store has to come back before a device can say that it is reset. */
void player_go_down(struct vqsim_player *player)
{
	uint32_t let_go = player_let_all_go(player);

	if (player->guest.queue_count > 0) {
		player->counts.resets++;
		player->counts.needs_reset += vqsim_guest_needs_reset(&player->guest);
	}
	vqsim_guest_reset(&player->guest);
	player_chain_forget(player);
	if (player->store)
		player_blk_forget(player);
	player_hold_again(player, let_go);
	player->dirty = false;
	player->skewed = 0;
	player->enables = 0;
}

void vqsim_player_finish(struct vqsim_player *player)
{
	if (player->guest.queues)
		player_go_down(player);
	vqsim_guest_finish(&player->guest);
	if (player->store)
		player_blk_finish(player);
	vqsim_referee_finish(&player->referee);
	vqsim_memory_finish(&player->memory);
	memset(player, 0, sizeof(*player));
}

void player_reap(struct vqsim_player *player, uint16_t queue)
{
	if (!player_live(player, queue))
		return;
	if (player_blk_busy(player))
		player_blk_reap(player, queue);
	else
		player_chain_reap(player, queue);
}

enum virtio_progress player_run(struct vqsim_player *player, uint16_t queue)
{
	enum virtio_progress progress;

	player_tame(player, queue, false);
	progress = vqsim_guest_run(&player->guest, queue);
	player->asked_for_reset |= vqsim_guest_needs_reset(&player->guest);
	return progress;
}

/* A broken chain is run at once (trace_break.c). */
void player_publish(struct vqsim_player *player, uint16_t queue)
{
	player_tame(player, queue, true);
	vqsim_guest_publish(&player->guest, queue);
	player_chain_published(player, queue);
	if (!player->dirty)
		return;
	player_run(player, queue);
	player_reap(player, queue);
}

/* Returns whether the device waits for its store. */
static bool settle_once(struct vqsim_player *player)
{
	bool waiting = false;

	for (uint16_t i = 0; i < player->guest.queue_count; i++) {
		if (!player_live(player, i))
			continue;
		player_publish(player, i);
		waiting |= player_run(player, i) == VIRTIO_WAITING;
		player_reap(player, i);
	}
	return waiting;
}

void player_settle(struct vqsim_player *player)
{
	uint32_t let_go = player_let_all_go(player);

	for (unsigned i = 0; settle_once(player); i++)
		if (i == SETTLE_ROUNDS_MAX) {
			vqsim_referee_violation(&player->referee, VQSIM_RULE_PROGRESS, 0,
						"waits for a store that has nothing to do");
			break;
		}
	player_hold_again(player, let_go);
	player_check_map(player);
	if (player->store)
		player_blk_account(player);
}

/*
 * Free descriptors are the driver's to write: what was broken in them is gone. In a packed ring
 * all look used, each for the lap in which it was passed.
 */
static void scrub(struct vqsim_driver *driver)
{
	uint16_t used = 1u << VRING_PACKED_DESC_F_AVAIL | 1u << VRING_PACKED_DESC_F_USED;

	if (!driver->is_packed) {
		memset(driver->ring.desc, 0, driver->setup.size * sizeof(*driver->ring.desc));
		return;
	}
	for (uint32_t i = 0; i < driver->setup.size; i++) {
		bool passed = (i < driver->avail_index) == driver->avail_wrap;

		driver->packed.desc[i] =
			(struct vring_packed_desc){.flags = htole16(passed ? used : 0)};
	}
}

static bool queue_clean(struct vqsim_player *player, uint16_t queue)
{
	return !player->guest.queues[queue].in_flight &&
	       !vqsim_referee_queue_void(&player->referee, queue);
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
		if (player_live(player, i) && !queue_clean(player, i))
			return false;
	for (uint16_t i = 0; player->dirty && i < guest->queue_count; i++)
		if (player_live(player, i))
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
		.features = op->value,
		.queue_count = op->count % (has + 1u),
		.queue_size = (uint16_t)op->size,
	};
	enum vqsim_bring_up result;

	if (op->size == 0 || op->size > VQSIM_PLAYER_QUEUE_SIZE)
		config.queue_size = VQSIM_PLAYER_QUEUE_SIZE;
	player_go_down(player);
	/* The rings are in it. */
	expose(player, 0);
	result = vqsim_guest_bring_up(&player->guest, &config);
	player->packed = player->guest.features & VIRTIO_FEATURE(VIRTIO_F_RING_PACKED);
	if (player->store && player->guest.queue_count > 0)
		player_blk_up(player);
	return result == VQSIM_UP;
}

/* The slot as many behind the next one to reap as value says; less than a lap. */
static void set_packed_event(struct vqsim_driver *driver, uint64_t value)
{
	uint32_t slot = (uint32_t)(driver->used_index + value % driver->setup.size);
	bool wrap = driver->used_wrap != (slot >= driver->setup.size);

	/* Without EVENT_IDX no driver may say DESC (2.8.10). */
	if (!(driver->features & VIRTIO_FEATURE(VIRTIO_RING_F_EVENT_IDX)))
		return;
	driver->packed.driver->off_wrap =
		htole16((uint16_t)(slot % driver->setup.size | (uint32_t)wrap << 15));
	driver->packed.driver->flags = htole16(VRING_PACKED_EVENT_FLAG_DESC);
}

static void set_used_event(struct vqsim_player *player, const struct vqsim_op *op)
{
	struct vqsim_driver *driver = &player->guest.queues[op->queue];

	if (driver->is_packed)
		set_packed_event(driver, op->value);
	else
		*driver->ring.used_event = htole16((uint16_t)(driver->used_index + op->value));
}

static void kick(struct vqsim_player *player, const struct vqsim_op *op)
{
	if (op->what % 2)
		vqsim_link_kick(&player->guest.link, op->queue, (uint32_t)op->value);
	else
		vqsim_guest_kick(&player->guest, op->queue);
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
		player_go_down(player);
		break;
	case VQSIM_OP_HIDE:
		hide(player, op->at % player->memory.count);
		break;
	case VQSIM_OP_EXPOSE:
		expose(player, op->at % player->memory.count);
		break;
	case VQSIM_OP_REPLACE:
		player_replace_map(player);
		break;
	case VQSIM_OP_DRIVER:
		player_change_driver(player);
		break;
	case VQSIM_OP_CONFIG:
		player_config_write(player, op);
		break;
	case VQSIM_OP_HOLD:
	case VQSIM_OP_LET_GO:
	case VQSIM_OP_RELEASE:
	case VQSIM_OP_FAIL:
		player_faults(player, op);
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

/* The queue is set up; it may be reset. */
static void apply_any_queue(struct vqsim_player *player, const struct vqsim_op *op)
{
	switch (op->code) {
	case VQSIM_OP_KICK:
		kick(player, op);
		break;
	case VQSIM_OP_RUN:
		player_run(player, op->queue);
		break;
	case VQSIM_OP_QUEUE_RESET:
		player_queue_reset(player, op->queue);
		break;
	case VQSIM_OP_QUEUE_ENABLE:
		player_queue_enable(player, op->queue, op->size);
		break;
	default:
		apply_anywhere(player, op);
		break;
	}
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
	case VQSIM_OP_BREAKAGE:
		player_breakage(player, op);
		break;
	default:
		apply_any_queue(player, op);
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
	else if (!player_live(player, ranged.queue))
		apply_any_queue(player, &ranged);
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
static void check_queue_serves(struct vqsim_player *player, uint16_t queue)
{
	if (!player_live(player, queue))
		player_queue_enable(player, queue, GOOD_QUEUE_SIZE);
	if (!player_live(player, queue) || player->guest.queues[queue].setup.size < 4)
		return;
	if (!good_request(player, queue))
		vqsim_referee_violation(&player->referee, VQSIM_RULE_PROGRESS, queue,
					"a good request did not come back");
}

static void check_still_serves(struct vqsim_player *player)
{
	player_calm(player);
	for (unsigned i = 0; i < player->memory.count; i++)
		expose(player, i);
	if (player->guest.queue_count == 0)
		return;
	player_settle(player);
	check_memory(player);
	if (!player_clean(player) || vqsim_guest_needs_reset(&player->guest))
		return;
	for (uint16_t i = 0; i < player->guest.queue_count; i++)
		check_queue_serves(player, i);
}

static void check_serves_again(struct vqsim_player *player)
{
	struct vqsim_op up = {
		.code = VQSIM_OP_UP,
		/* The format stays: memory of the referee for the other one would be made anew. */
		.value = player->packed ? UINT64_MAX : ~VIRTIO_FEATURE(VIRTIO_F_RING_PACKED),
		.size = GOOD_QUEUE_SIZE,
		.count = 1,
	};

	if (!bring_up(player, &up) || !good_request(player, 0))
		vqsim_referee_violation(&player->referee, VQSIM_RULE_PROGRESS, 0,
					"a good request after a reset did not come back");
	player_go_down(player);
	player_check_map(player);
}

uint64_t vqsim_trace_run(struct vqsim_player *player, const struct vqsim_op *ops, unsigned count)
{
	uint64_t before = player->referee.violations;
	struct vqsim_player_counts counts;

	/* Down already, but for the first run: nothing has been up yet. */
	vqsim_memory_reset(&player->memory);
	player_faults_reset(player);
	if (player->store)
		player_blk_start_run(player);
	player->packed = false;
	player->asked_for_reset = false;
	for (unsigned i = 0; i < count; i++)
		apply(player, &ops[i]);
	counts = player->counts;
	check_still_serves(player);
	check_serves_again(player);
	player->counts = counts;
	return player->referee.violations - before;
}
