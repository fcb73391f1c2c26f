/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Notifications, in both directions: those that the device sent, against what the
 * driver asked for before the run, and what the device asks the driver for when it
 * has nothing left to do.
 */
#include <endian.h>

#include "referee_internal.h"

/* Bits of the flags of an event area (2.8.14). */
#define EVENT_FLAGS  0x3u
#define EVENT_OFFSET 0x7fffu

/* At least one notification, if there is a chain that it can be for, and one a chain at most. */
static void check_wanted(const struct referee_run *run, bool wanted)
{
	uint64_t most = wanted ? run->added : 0;

	if (wanted && run->added && !run->notified && !run->referee->needs_reset)
		vqsim_referee_violation(run->referee, VQSIM_RULE_NOTIFY_MISSING, run->queue,
					"%u entries used, no notification", run->added);
	if (run->notified > most)
		vqsim_referee_violation(run->referee, VQSIM_RULE_NOTIFY_EXCESS, run->queue,
					"%llu notifications for %u entries, driver's flags %u",
					(unsigned long long)run->notified, run->added,
					run->q->before.flags);
}

/* The same where the driver named an entry; where: what moved past it or not, in words. */
static void check_event(const struct referee_run *run, bool needed, uint64_t before, uint64_t now)
{
	uint64_t most = needed ? run->added : 0;

	if (needed && !run->notified && !run->referee->needs_reset)
		vqsim_referee_violation(run->referee, VQSIM_RULE_EVENT_MISSING, run->queue,
					"used went from %llu to %llu, event %u, no notification",
					(unsigned long long)before, (unsigned long long)now,
					run->q->before.event);
	if (run->notified > most)
		vqsim_referee_violation(run->referee, VQSIM_RULE_EVENT_EXCESS, run->queue,
					"%llu notifications, used went from %llu to %llu, event %u",
					(unsigned long long)run->notified,
					(unsigned long long)before, (unsigned long long)now,
					run->q->before.event);
}

/* Needed if used_event lies in [used_before, used_seen) (2.7.7.2). */
static void check_used_event(const struct referee_run *run)
{
	uint16_t now = run->q->used_seen;
	uint16_t passed = now - run->q->before.event - 1;

	check_event(run, passed < run->added, run->used_before, now);
}

void referee_split_notified(const struct referee_run *run)
{
	uint16_t flags = le16toh(run->q->used->flags);
	uint16_t most = referee_event_idx(run->referee) ? 0 : VRING_USED_F_NO_NOTIFY;

	if (flags > most)
		vqsim_referee_violation(run->referee, VQSIM_RULE_USED_FLAGS, run->queue,
					"used flags %u", flags);
	if (run->q->ruined)
		return;
	if (referee_event_idx(run->referee))
		check_used_event(run);
	else
		check_wanted(run, !(run->q->before.flags & VRING_AVAIL_F_NO_INTERRUPT));
}

void referee_split_at_rest(const struct referee_run *run)
{
	const struct vqsim_referee_queue *q = run->q;
	uint16_t event = le16toh(*q->avail_event);
	uint16_t flags = le16toh(q->used->flags);

	if (referee_event_idx(run->referee) && event != q->avail_seen)
		vqsim_referee_violation(run->referee, VQSIM_RULE_KICK_LOST, run->queue,
					"idle at available index %u with avail_event %u",
					q->avail_seen, event);
	if (!referee_event_idx(run->referee) && (flags & VRING_USED_F_NO_NOTIFY))
		vqsim_referee_violation(run->referee, VQSIM_RULE_KICK_LOST, run->queue,
					"idle with used flags %u", flags);
}

/*
 * Needed if the slot with that wrap counter was passed, be it the slot of a used
 * descriptor or one that was skipped (2.8.10). Positions repeat after two laps.
 */
bool referee_packed_event_passed(const struct vqsim_referee_queue *q, uint64_t from, uint64_t slots)
{
	uint32_t laps = 2u * q->setup.size;
	uint32_t event = q->before.event & EVENT_OFFSET;

	if (!(q->before.event >> 15))
		event += q->setup.size;
	return (event + laps - from % laps) % laps < slots;
}

static void check_packed_event(const struct referee_run *run)
{
	const struct vqsim_referee_queue *q = run->q;
	uint32_t laps = 2u * q->setup.size;
	uint64_t used = q->packed.used.position - run->used_before;

	if ((q->before.event & EVENT_OFFSET) >= q->setup.size)
		return; /* no slot: the driver's mistake */
	check_event(run, referee_packed_event_passed(q, run->used_before, used),
		    run->used_before % laps, q->packed.used.position % laps);
}

static void check_device_area(const struct referee_run *run, uint16_t flags)
{
	if (flags & ~EVENT_FLAGS)
		vqsim_referee_violation(run->referee, VQSIM_RULE_PACKED_RESERVED, run->queue,
					"flags of the device area 0x%x", flags);
	if ((flags & EVENT_FLAGS) == 3 || ((flags & EVENT_FLAGS) == VRING_PACKED_EVENT_FLAG_DESC &&
					   !referee_event_idx(run->referee)))
		vqsim_referee_violation(run->referee, VQSIM_RULE_PACKED_EVENT, run->queue,
					"flags of the device area %u", flags & EVENT_FLAGS);
}

void referee_packed_notified(const struct referee_run *run)
{
	check_device_area(run, le16toh(run->q->packed.device->flags));
	if (run->q->ruined)
		return;
	switch (run->q->before.flags) {
	case VRING_PACKED_EVENT_FLAG_ENABLE:
	case VRING_PACKED_EVENT_FLAG_DISABLE:
		check_wanted(run, run->q->before.flags == VRING_PACKED_EVENT_FLAG_ENABLE);
		break;
	case VRING_PACKED_EVENT_FLAG_DESC:
		if (referee_event_idx(run->referee))
			check_packed_event(run);
		break;
	default:
		break; /* the driver's mistake: whatever the device does is right */
	}
}

void referee_packed_at_rest(const struct referee_run *run)
{
	const struct vqsim_referee_queue *q = run->q;
	uint16_t flags = le16toh(q->packed.device->flags) & EVENT_FLAGS;
	uint16_t event = le16toh(q->packed.device->off_wrap);
	uint16_t slot = q->packed.avail.slot;
	bool wrap = q->packed.avail.wrap;

	if (flags == VRING_PACKED_EVENT_FLAG_DISABLE)
		vqsim_referee_violation(run->referee, VQSIM_RULE_KICK_LOST, run->queue,
					"idle with flags 1 in the device area");
	if (flags == VRING_PACKED_EVENT_FLAG_DESC && event != (slot | wrap << 15))
		vqsim_referee_violation(run->referee, VQSIM_RULE_KICK_LOST, run->queue,
					"idle before slot %u, wrap %u, and waits for slot %u, "
					"wrap %u",
					slot, wrap, event & EVENT_OFFSET, event >> 15);
}
