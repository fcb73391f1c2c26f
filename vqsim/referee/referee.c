/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The referee without the ring format: the life of a device, notifications,
 * rest and progress, and the record of violations.
 *
 * The device runs between before_run and ran and at no other time, so what the
 * suppression fields said at before_run is what it had to obey, and everything
 * between two calls of ran is one batch: old and new used index of the formula
 * of 2.7.7.2 are those of the last ran and of this one.
 */
#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <linux/virtio_config.h>

#include "referee_internal.h"

#include "../../devices/transport.h"

#define VIOLATIONS_PRINTED 16u

/* What one queue did in one run. */
struct run {
	struct vqsim_referee *referee;
	struct vqsim_referee_queue *q;
	uint16_t queue;
	uint8_t status;
	enum virtio_progress progress;
	uint16_t used_before;
	uint16_t added;    /* used entries */
	uint64_t notified; /* notifications */
};

int vqsim_referee_init(struct vqsim_referee *referee, struct vqsim_memory *memory)
{
	*referee = (struct vqsim_referee){.memory = memory};
	return 0;
}

static void queue_finish(struct vqsim_referee_queue *q)
{
	free(q->chains);
	free(q->avail_heads);
	free(q->used_heads);
}

void vqsim_referee_finish(struct vqsim_referee *referee)
{
	for (uint16_t i = 0; i < referee->queue_room; i++)
		queue_finish(&referee->queues[i]);
	free(referee->queues);
	*referee = (struct vqsim_referee){0};
}

static void print_violation(const struct vqsim_referee *referee, const struct vqsim_violation *v)
{
	if (referee->violations == VIOLATIONS_PRINTED + 1)
		fputs("violation: more follow, not printed\n", stderr);
	if (referee->violations > VIOLATIONS_PRINTED)
		return;
	fprintf(stderr, "violation %s: %s; queue %u, step %llu: %s\n", vqsim_rules[v->rule].clause,
		vqsim_rules[v->rule].text, v->queue, (unsigned long long)v->step, v->detail);
}

void vqsim_referee_violation(struct vqsim_referee *referee, enum vqsim_rule rule, uint16_t queue,
			     const char *detail, ...)
{
	struct vqsim_violation v = {.rule = rule, .queue = queue, .step = referee->step};
	va_list args;

	assert(rule < VQSIM_RULE_COUNT);
	va_start(args, detail);
	vsnprintf(v.detail, sizeof(v.detail), detail, args);
	va_end(args);
	referee->counts[rule]++;
	if (referee->violations++ == 0)
		referee->first = v;
	if (referee->sink)
		referee->sink(referee->opaque, &v);
	else
		print_violation(referee, &v);
}

/* Room for the chains of size descriptors. Returns 0 or -ENOMEM. */
static int queue_reserve(struct vqsim_referee_queue *q, uint16_t size)
{
	if (q->room >= size)
		return 0;
	queue_finish(q);
	q->room = 0;
	q->chains = calloc(size, sizeof(*q->chains));
	q->avail_heads = calloc(size, sizeof(*q->avail_heads));
	q->used_heads = calloc(size, sizeof(*q->used_heads));
	if (!q->chains || !q->avail_heads || !q->used_heads)
		return -ENOMEM;
	q->room = size;
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

int vqsim_referee_set_up(struct vqsim_referee *referee, uint64_t features,
			 const struct virtio_queue_setup *setups, uint16_t count)
{
	referee->step++;
	referee->queue_count = 0;
	if (reserve(referee, count) < 0)
		return -ENOMEM;
	referee->features = features;
	referee->needs_reset = false;
	referee->reset_excused = false;
	referee->in_reset = false;
	for (uint16_t i = 0; i < count; i++) {
		if (queue_reserve(&referee->queues[i], setups[i].size) < 0)
			return -ENOMEM;
		referee->queues[i].setup = setups[i];
		referee_split_set_up(referee, &referee->queues[i]);
	}
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
	return q->avail && q->used ? q : NULL;
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
	if (le16toh(q->used->idx) != q->used_seen)
		vqsim_referee_violation(referee, VQSIM_RULE_EARLY_USE, queue,
					"used idx is %u before DRIVER_OK", le16toh(q->used->idx));
	q->used_seen = q->reaped = le16toh(q->used->idx);
}

void vqsim_referee_published(struct vqsim_referee *referee, uint16_t queue)
{
	struct vqsim_referee_queue *q = step(referee, queue);

	if (q)
		referee_split_look(referee, q);
}

void vqsim_referee_expect_len(struct vqsim_referee *referee, uint16_t queue, uint16_t head,
			      uint32_t len)
{
	struct vqsim_referee_queue *q = step(referee, queue);

	if (q)
		referee_split_expect(referee, q, head, len);
}

void vqsim_referee_before_run(struct vqsim_referee *referee, uint16_t queue)
{
	struct vqsim_referee_queue *q = step(referee, queue);

	if (!q)
		return;
	referee_split_look(referee, q);
	q->before = referee_split_words(q);
}

/* Used-buffer notifications without EVENT_IDX (2.7.7.2). */
static void check_flags(const struct run *run)
{
	bool wanted = !(run->q->before.flags & VRING_AVAIL_F_NO_INTERRUPT);
	uint64_t most = wanted ? run->added : 0;

	if (wanted && run->added && !run->notified && !run->referee->needs_reset)
		vqsim_referee_violation(run->referee, VQSIM_RULE_NOTIFY_MISSING, run->queue,
					"%u entries used, no notification", run->added);
	if (run->notified > most)
		vqsim_referee_violation(run->referee, VQSIM_RULE_NOTIFY_EXCESS, run->queue,
					"%llu notifications for %u entries, avail flags %u",
					(unsigned long long)run->notified, run->added,
					run->q->before.flags);
}

/* The same with EVENT_IDX: needed if used_event lies in [used_before, used_seen). */
static void check_events(const struct run *run)
{
	uint16_t event = run->q->before.used_event;
	bool needed = (uint16_t)(run->q->used_seen - event - 1) < run->added;
	uint64_t most = needed ? run->added : 0;

	if (needed && !run->notified && !run->referee->needs_reset)
		vqsim_referee_violation(
			run->referee, VQSIM_RULE_EVENT_MISSING, run->queue,
			"used idx went from %u to %u, used_event %u, no notification",
			run->used_before, run->q->used_seen, event);
	if (run->notified > most)
		vqsim_referee_violation(
			run->referee, VQSIM_RULE_EVENT_EXCESS, run->queue,
			"%llu notifications, used idx went from %u to %u, used_event %u",
			(unsigned long long)run->notified, run->used_before, run->q->used_seen,
			event);
}

static void check_used_flags(const struct run *run)
{
	uint16_t flags = le16toh(run->q->used->flags);
	uint16_t most = referee_event_idx(run->referee) ? 0 : VRING_USED_F_NO_NOTIFY;

	if (flags > most)
		vqsim_referee_violation(run->referee, VQSIM_RULE_USED_FLAGS, run->queue,
					"used flags %u", flags);
}

/* The first look at a status with DEVICE_NEEDS_RESET (2.1.2). */
static void check_needs_reset(const struct run *run, uint64_t config_notifications)
{
	struct vqsim_referee *referee = run->referee;

	if (!(run->status & VIRTIO_STATUS_NEEDS_RESET) || referee->needs_reset)
		return;
	referee->needs_reset = true;
	for (uint16_t i = 0; i < referee->queue_count && !referee->reset_excused; i++)
		referee->reset_excused = referee_split_spoilt(referee, &referee->queues[i]);
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
static void report_lost(const struct run *run)
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
			first = head;
	}
	if (lost)
		vqsim_referee_violation(run->referee, VQSIM_RULE_CHAIN_LOST, run->queue,
					"idle with %u %schains not used, one has head %u", lost,
					q->malformed ? "malformed " : "", first);
}

/* An idle queue has used everything and asks for a kick for the next chain. */
static void check_rest(const struct run *run)
{
	const struct vqsim_referee_queue *q = run->q;
	uint16_t event = le16toh(*q->avail_event);
	uint16_t flags = le16toh(q->used->flags);

	if (run->referee->needs_reset || q->ruined)
		return;
	if (q->outstanding) {
		report_lost(run);
		return;
	}
	if (referee_event_idx(run->referee) && event != q->avail_seen)
		vqsim_referee_violation(run->referee, VQSIM_RULE_KICK_LOST, run->queue,
					"idle at available index %u with avail_event %u",
					q->avail_seen, event);
	if (!referee_event_idx(run->referee) && (flags & VRING_USED_F_NO_NOTIFY))
		vqsim_referee_violation(run->referee, VQSIM_RULE_KICK_LOST, run->queue,
					"idle with used flags %u", flags);
}

static void check_early_run(const struct run *run)
{
	if (run->added)
		vqsim_referee_violation(run->referee, VQSIM_RULE_EARLY_USE, run->queue,
					"%u entries used, status 0x%x", run->added, run->status);
	if (run->notified)
		vqsim_referee_violation(run->referee, VQSIM_RULE_EARLY_NOTIFY, run->queue,
					"%llu notifications, status 0x%x",
					(unsigned long long)run->notified, run->status);
}

static void check_live_run(const struct run *run)
{
	check_used_flags(run);
	if (!run->q->ruined && referee_event_idx(run->referee))
		check_events(run);
	else if (!run->q->ruined)
		check_flags(run);
	if (run->progress == VIRTIO_IDLE)
		check_rest(run);
	else if (run->progress == VIRTIO_WORK_LEFT)
		vqsim_referee_violation(run->referee, VQSIM_RULE_PROGRESS, run->queue,
					"work left after all the calls that a kick may need");
}

void vqsim_referee_ran(struct vqsim_referee *referee, uint16_t queue, enum virtio_progress progress,
		       uint64_t notifications, uint8_t status, uint64_t config_notifications)
{
	struct vqsim_referee_queue *q = step(referee, queue);
	struct run run = {referee, q, .queue = queue, .status = status, .progress = progress};

	if (!q)
		return;
	run.used_before = q->used_seen;
	referee_split_used(referee, q, queue);
	run.added = q->used_seen - run.used_before;
	run.notified = notifications - q->notifications;
	q->notifications = notifications;

	referee_split_untouched(referee, q, queue);
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
	uint16_t head = REFEREE_NO_HEAD;

	if (!q || q->ruined)
		return;
	/* Entries that name no chain are of no interest to the driver either. */
	while (head == REFEREE_NO_HEAD && q->reaped != q->used_seen)
		head = q->used_heads[q->reaped++ & (q->setup.size - 1)];
	if (head != REFEREE_NO_HEAD && q->chains[head].state == REFEREE_CHAIN_USED)
		q->chains[head].state = REFEREE_CHAIN_FREE;
}

static uint64_t rings_hash(const struct vqsim_referee *referee)
{
	uint64_t hash = 0;

	for (uint16_t i = 0; i < referee->queue_count; i++)
		hash = hash * 31 + referee_split_hash(&referee->queues[i]);
	return hash;
}

void vqsim_referee_was_reset(struct vqsim_referee *referee, uint64_t notifications)
{
	uint64_t known = 0;

	referee->step++;
	for (uint16_t i = 0; i < referee->queue_room; i++)
		known += referee->queues[i].notifications;
	referee->in_reset = true;
	referee->late_notifications = notifications > known ? notifications - known : 0;
	referee->reset_notifications = notifications;
	referee->reset_hash = rings_hash(referee);
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
					"a used ring changed after the status read 0");
	referee->queue_count = 0;
}

bool vqsim_referee_queue_void(const struct vqsim_referee *referee, uint16_t queue)
{
	return queue < referee->queue_count && referee->queues[queue].voided;
}
