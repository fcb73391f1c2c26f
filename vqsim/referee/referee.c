/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The referee without the ring format: the life of a device and of its queues,
 * rest and progress. The two readings of a ring are behind struct referee_ring_ops.
 *
 * The device runs between before_run and ran and at no other time, so what the
 * suppression fields said at before_run is what it had to obey, and everything
 * between two calls of ran is one batch: old and new used index of the formula
 * of 2.7.7.2 are those of the last ran and of this one.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "referee_internal.h"

#include "../../devices/transport.h"

#define BUFFER_IDS 0x10000u

#define PREFILL 0xa5

int vqsim_referee_init(struct vqsim_referee *referee, struct vqsim_memory *memory)
{
	*referee = (struct vqsim_referee){
		.memory = memory,
		.marked_slot = -1,
		.prefill = PREFILL,
		.memcheck = referee_under_memcheck(),
	};
	referee_watch_strays(referee);
	return 0;
}

static void queue_finish(struct vqsim_referee_queue *q)
{
	free(q->order);
	free(q->chains);
	free(q->avail_heads);
	free(q->used_heads);
	free(q->used_copy);
	free(q->known);
	free(q->nodes);
	free(q->node_next);
	free(q->by_id);
	free(q->lengths);
	memset(q, 0, sizeof(*q));
}

void vqsim_referee_finish(struct vqsim_referee *referee)
{
	vqsim_referee_let_stray(referee);
	for (uint16_t i = 0; i < referee->queue_room; i++)
		queue_finish(&referee->queues[i]);
	free(referee->queues);
	*referee = (struct vqsim_referee){0};
}

static bool reserve_split(struct vqsim_referee_queue *q, uint16_t size)
{
	q->avail_heads = calloc(size, sizeof(*q->avail_heads));
	q->used_heads = calloc(size, sizeof(*q->used_heads));
	q->used_copy = calloc(size, sizeof(*q->used_copy));
	return q->avail_heads && q->used_heads && q->used_copy;
}

static bool reserve_packed(struct vqsim_referee_queue *q, uint16_t size)
{
	q->known = calloc(size, sizeof(*q->known));
	q->nodes = calloc(size, sizeof(*q->nodes));
	q->node_next = calloc(size, sizeof(*q->node_next));
	q->lengths = calloc(size, sizeof(*q->lengths));
	q->by_id = calloc(BUFFER_IDS, sizeof(*q->by_id));
	return q->known && q->nodes && q->node_next && q->lengths && q->by_id;
}

/* Room for a ring of size elements. Returns 0 or -ENOMEM. */
static int queue_reserve(struct vqsim_referee_queue *q, uint16_t size, bool packed)
{
	uint64_t notifications = q->notifications;

	if (q->room >= size && q->room_packed == packed)
		return 0;
	queue_finish(q);
	q->notifications = notifications;
	q->order = calloc(size, sizeof(*q->order));
	q->chains = calloc(size, sizeof(*q->chains));
	if (!q->order || !q->chains)
		return -ENOMEM;
	if (packed ? !reserve_packed(q, size) : !reserve_split(q, size))
		return -ENOMEM;
	q->room = size;
	q->room_packed = packed;
	return 0;
}

/* Room for count queues; what is known of those that are there stays. */
static int reserve(struct vqsim_referee *referee, uint16_t count)
{
	struct vqsim_referee_queue *queues;

	if (referee->queue_room >= count)
		return 0;
	queues = realloc(referee->queues, count * sizeof(*queues));
	if (!queues)
		return -ENOMEM;
	memset(queues + referee->queue_room, 0,
	       (size_t)(count - referee->queue_room) * sizeof(*queues));
	referee->queues = queues;
	referee->queue_room = count;
	return 0;
}

void vqsim_referee_taken_over(struct vqsim_referee *referee)
{
	referee->config_notifications = referee->config_announced = 0;
	referee->late_notifications = 0;
	for (uint16_t i = 0; i < referee->queue_room; i++)
		referee->queues[i].notifications = 0;
}

static int queue_set_up(struct vqsim_referee *referee, struct vqsim_referee_queue *q,
			const struct virtio_queue_setup *setup)
{
	bool packed = referee_feature(referee, VIRTIO_F_RING_PACKED);

	q->ops = packed ? &referee_packed_ops : &referee_split_ops;
	if (queue_reserve(q, setup->size, packed) < 0)
		return -ENOMEM;
	q->ops = packed ? &referee_packed_ops : &referee_split_ops;
	q->setup = *setup;
	q->outstanding = 0;
	q->malformed = 0;
	q->order_first = 0;
	q->in_reset = q->all_exposed = q->laid_over = false;
	memset(q->parts, 0, sizeof(q->parts));
	q->ops->set_up(referee, q);
	referee_expose_ruined(referee, q);
	return 0;
}

int vqsim_referee_set_up(struct vqsim_referee *referee, uint64_t features,
			 const struct virtio_queue_setup *setups, uint16_t count)
{
	referee->step++;
	referee_note(referee, REFEREE_NOTE_SET_UP, 0, count, features);
	referee->queue_count = 0;
	referee->rings_from = UINT64_MAX;
	referee->rings_to = 0;
	if (reserve(referee, count) < 0)
		return -ENOMEM;
	referee->features = features;
	referee->needs_reset = false;
	referee->reset_excused = false;
	referee->in_reset = false;
	referee_withdraw_all(referee);
	for (uint16_t i = 0; i < count; i++)
		if (queue_set_up(referee, &referee->queues[i], &setups[i]) < 0)
			return -ENOMEM;
	referee->queue_count = count;
	return 0;
}

/* One more step. Returns the queue, or NULL: there is no ring to look at. */
static struct vqsim_referee_queue *step(struct vqsim_referee *referee, uint16_t queue)
{
	struct vqsim_referee_queue *q;

	referee->step++;
	if (queue >= referee->queue_count || referee->in_reset)
		return NULL;
	q = &referee->queues[queue];
	return q->readable && !q->in_reset ? q : NULL;
}

/*
 * Counters go on over a reset, and what came during the reset is known as a sum
 * only: so that much may be new on any of the queues.
 */
static void check_early_notify(struct vqsim_referee *referee, uint16_t queue, uint64_t seen,
			       uint64_t notifications)
{
	uint64_t fresh = notifications >= seen ? notifications - seen : notifications;

	if (fresh <= referee->late_notifications) {
		referee->late_notifications -= fresh;
		return;
	}
	vqsim_referee_violation(referee, VQSIM_RULE_EARLY_NOTIFY, queue,
				"%llu notifications before DRIVER_OK", (unsigned long long)fresh);
}

void vqsim_referee_before_driver_ok(struct vqsim_referee *referee, uint16_t queue,
				    uint64_t notifications)
{
	struct vqsim_referee_queue *q = step(referee, queue);

	if (!q)
		return;
	check_early_notify(referee, queue, q->notifications, notifications);
	q->notifications = notifications;
	if (q->ops->used_early(referee, q))
		vqsim_referee_violation(referee, VQSIM_RULE_EARLY_USE, queue,
					"a used entry before DRIVER_OK");
}

void vqsim_referee_publishing(struct vqsim_referee *referee, uint16_t queue, uint16_t head_flags)
{
	struct vqsim_referee_queue *q = step(referee, queue);

	/* Of a split ring nothing is lost: whoever uses a chain leaves its descriptors alone. */
	if (!q || q->ops != &referee_packed_ops)
		return;
	q->packed.is_coming = true;
	q->packed.coming_slot = q->packed.avail.slot;
	q->packed.coming_flags = head_flags;
	q->ops->look(referee, q, queue);
	q->packed.is_coming = false;
}

void vqsim_referee_published(struct vqsim_referee *referee, uint16_t queue)
{
	struct vqsim_referee_queue *q = step(referee, queue);

	if (!q)
		return;
	q->ops->look(referee, q, queue);
	referee_expose_ruined(referee, q);
}

void vqsim_referee_expect_len(struct vqsim_referee *referee, uint16_t queue, uint16_t head,
			      uint32_t len)
{
	struct vqsim_referee_queue *q = step(referee, queue);

	if (q)
		q->ops->expect(referee, q, head, len);
}

void vqsim_referee_before_run(struct vqsim_referee *referee, uint16_t queue)
{
	struct vqsim_referee_queue *q = step(referee, queue);

	if (!q)
		return;
	q->ops->look(referee, q, queue);
	q->ops->before_run(referee, q);
	referee_expose_ruined(referee, q);
	q->runs++;
}

/* The first look at a status with DEVICE_NEEDS_RESET (2.1.2). */
static void check_needs_reset(const struct referee_run *run, uint64_t config_notifications)
{
	struct vqsim_referee *referee = run->referee;

	if (!(run->status & VIRTIO_STATUS_NEEDS_RESET) || referee->needs_reset)
		return;
	referee->needs_reset = true;
	for (uint16_t i = 0; i < referee->queue_count && !referee->reset_excused; i++)
		referee->reset_excused =
			!referee->queues[i].in_reset &&
			referee->queues[i].ops->spoilt(referee, &referee->queues[i]);
	if (!referee->reset_excused)
		vqsim_referee_violation(referee, VQSIM_RULE_NEEDLESS_RESET, run->queue,
					"DEVICE_NEEDS_RESET, and the driver broke no rule");
	if ((run->status & VIRTIO_CONFIG_S_DRIVER_OK) &&
	    config_notifications == referee->config_notifications)
		vqsim_referee_violation(referee, VQSIM_RULE_RESET_SILENT, run->queue,
					"no config-change notification (%llu so far)",
					(unsigned long long)config_notifications);
}

/*
 * Chains that the device, idle, did not use. A malformed one may keep the
 * others from being served, so it alone is named.
 */
static void report_lost(const struct referee_run *run)
{
	struct vqsim_referee_queue *q = run->q;
	uint32_t lost = 0, first = 0;

	for (uint32_t head = 0; head < q->setup.size; head++) {
		struct referee_chain *chain = &q->chains[head];

		if (chain->state != REFEREE_CHAIN_AVAILABLE || chain->reported ||
		    (q->malformed && !chain->malformed))
			continue;
		chain->reported = true;
		if (lost++ == 0)
			first = referee_feature(run->referee, VIRTIO_F_RING_PACKED) ? chain->id
										    : head;
	}
	if (lost)
		vqsim_referee_violation(run->referee, VQSIM_RULE_CHAIN_LOST, run->queue,
					"idle with %u %schains not used, one has id %u", lost,
					q->malformed ? "malformed " : "", first);
}

/* An idle queue has used everything and asks for a kick for the next chain. */
static void check_rest(const struct referee_run *run)
{
	if (run->referee->needs_reset || run->q->ruined)
		return;
	if (run->q->outstanding)
		report_lost(run);
	else
		run->q->ops->at_rest(run);
}

static void check_early_run(const struct referee_run *run)
{
	if (run->added)
		vqsim_referee_violation(run->referee, VQSIM_RULE_EARLY_USE, run->queue,
					"%u entries used, status 0x%x", run->added, run->status);
	if (run->notified)
		vqsim_referee_violation(run->referee, VQSIM_RULE_EARLY_NOTIFY, run->queue,
					"%llu notifications, status 0x%x",
					(unsigned long long)run->notified, run->status);
}

static void check_live_run(const struct referee_run *run)
{
	run->q->ops->notified(run);
	if (run->progress == VIRTIO_IDLE)
		check_rest(run);
	else if (run->progress == VIRTIO_WORK_LEFT)
		vqsim_referee_violation(run->referee, VQSIM_RULE_PROGRESS, run->queue,
					"work left after all the calls that a kick may need");
}

/* Notifications of a queue that is not there any more. */
static void check_dead_run(struct vqsim_referee *referee, uint16_t queue, uint64_t notifications)
{
	struct vqsim_referee_queue *q;

	if (referee->in_reset || queue >= referee->queue_count)
		return;
	q = &referee->queues[queue];
	if (!q->in_reset || notifications == q->reset_notifications)
		return;
	vqsim_referee_violation(referee, VQSIM_RULE_QUEUE_RESET_NOTIFY, queue,
				"%llu notifications after the queue was reset",
				(unsigned long long)(notifications - q->reset_notifications));
	q->reset_notifications = notifications;
}

void vqsim_referee_ran(struct vqsim_referee *referee, uint16_t queue, enum virtio_progress progress,
		       uint64_t notifications, uint8_t status, uint64_t config_notifications)
{
	struct vqsim_referee_queue *q = step(referee, queue);
	struct referee_run run = {referee, q, .queue = queue, .status = status,
				  .progress = progress};

	if (!q) {
		check_dead_run(referee, queue, notifications);
		return;
	}
	run.notified = notifications - q->notifications;
	q->notifications = notifications;
	referee_note(referee, REFEREE_NOTE_RAN, queue, progress, run.notified);
	q->ops->used(&run);
	q->ops->untouched(&run);
	referee_expose_ruined(referee, q);
	check_needs_reset(&run, config_notifications);
	referee->config_notifications = config_notifications;
	if (status & VIRTIO_CONFIG_S_DRIVER_OK)
		check_live_run(&run);
	else
		check_early_run(&run);
}

void vqsim_referee_reaped(struct vqsim_referee *referee, uint16_t queue)
{
	struct vqsim_referee_queue *q = step(referee, queue);

	if (!q || q->ruined)
		return;
	referee_note(referee, REFEREE_NOTE_REAPED, queue, 0, 0);
	q->ops->reaped(q);
}

static uint64_t queue_hash(struct vqsim_referee *referee, struct vqsim_referee_queue *q,
			   bool buffers)
{
	return q->readable ? q->ops->hash(referee, q, buffers) : 0;
}

static uint64_t rings_hash(struct vqsim_referee *referee)
{
	uint64_t hash = 0;

	for (uint16_t i = 0; i < referee->queue_count; i++)
		if (!referee->queues[i].in_reset)
			hash = hash * 31 + queue_hash(referee, &referee->queues[i], true);
	return hash;
}

void vqsim_referee_was_reset(struct vqsim_referee *referee, uint64_t notifications)
{
	uint64_t known = 0;

	referee->step++;
	for (uint16_t i = 0; i < referee->queue_room; i++)
		known += referee->queues[i].notifications;
	referee_note(referee, REFEREE_NOTE_RESET, 0, notifications, 0);
	referee->in_reset = true;
	referee->status = 0;
	referee->offer_known = referee->config_live = false;
	referee->late_notifications = notifications > known ? notifications - known : 0;
	referee->reset_notifications = notifications;
	referee->reset_hash = rings_hash(referee);
	referee_withdraw_all(referee);
}

void vqsim_referee_after_reset(struct vqsim_referee *referee, uint64_t notifications)
{
	referee->step++;
	if (!referee->in_reset)
		return;
	referee->in_reset = false;
	if (notifications != referee->reset_notifications)
		vqsim_referee_violation(
			referee, VQSIM_RULE_AFTER_RESET, 0,
			"%llu notifications after the status read 0",
			(unsigned long long)(notifications - referee->reset_notifications));
	if (rings_hash(referee) != referee->reset_hash)
		vqsim_referee_violation(referee, VQSIM_RULE_AFTER_RESET, 0,
					"a ring or a buffer changed after the status read 0");
	referee->queue_count = 0;
}

void vqsim_referee_queue_was_reset(struct vqsim_referee *referee, uint16_t queue,
				   uint64_t notifications)
{
	struct vqsim_referee_queue *q = step(referee, queue);

	referee_withdraw_queue(referee, queue);
	if (!q)
		return;
	referee_note(referee, REFEREE_NOTE_QUEUE_RESET, queue, notifications, 0);
	q->notifications = notifications; /* what came during the reset is allowed */
	q->reset_notifications = notifications;
	q->reset_hash = queue_hash(referee, q, false);
	q->in_reset = true;
}

void vqsim_referee_queue_after_reset(struct vqsim_referee *referee, uint16_t queue,
				     uint64_t notifications)
{
	struct vqsim_referee_queue *q;

	referee->step++;
	check_dead_run(referee, queue, notifications);
	if (referee->in_reset || queue >= referee->queue_count)
		return;
	q = &referee->queues[queue];
	if (!q->in_reset || !q->readable)
		return;
	q->notifications = notifications;
	if (!q->laid_over && queue_hash(referee, q, false) != q->reset_hash)
		vqsim_referee_violation(referee, VQSIM_RULE_QUEUE_RESET_USED, queue,
					"the ring changed after the queue was reset");
	q->readable = false;
}

int vqsim_referee_queue_set_up(struct vqsim_referee *referee, uint16_t queue,
			       const struct virtio_queue_setup *setup)
{
	referee->step++;
	if (queue >= referee->queue_count || referee->in_reset)
		return 0;
	referee_note(referee, REFEREE_NOTE_QUEUE_SET_UP, queue, setup->size, 0);
	referee_withdraw_queue(referee, queue);
	return queue_set_up(referee, &referee->queues[queue], setup);
}

bool vqsim_referee_queue_void(const struct vqsim_referee *referee, uint16_t queue)
{
	return queue < referee->queue_count && referee->queues[queue].voided;
}
