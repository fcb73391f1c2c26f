/* SPDX-License-Identifier: BSD-3-Clause */
#include <inttypes.h>
#include <string.h>

#include "misuse_internal.h"
#include "schedule.h"

/* Steps that are possible at one time, at the most. */
#define OPTIONS_MAX 256u

enum step {
	STEP_ADD,     /* what: slot */
	STEP_PUBLISH, /* what: queue */
	STEP_KICK,    /* what: queue */
	STEP_RUN,     /* what: queue */
	STEP_RELEASE, /* what: number of the operation */
	STEP_REAP,    /* what: queue */
	STEP_RESET,
};

struct option {
	enum step step;
	uint32_t what;
};

struct options {
	unsigned count;
	struct option options[OPTIONS_MAX];
};

/* Choices */

void vqsim_schedule_seed(struct vqsim_schedule *schedule, uint64_t seed)
{
	memset(schedule, 0, sizeof(*schedule));
	schedule->random = seed;
}

void vqsim_schedule_all(struct vqsim_schedule *schedule)
{
	memset(schedule, 0, sizeof(*schedule));
	schedule->all = true;
}

/* The last choice that has not been made in every way is made in the next one. */
bool vqsim_schedule_again(struct vqsim_schedule *schedule)
{
	schedule->depth = schedule->at;
	schedule->at = 0;
	while (schedule->depth > 0) {
		unsigned last = schedule->depth - 1;

		if (++schedule->taken[last] < schedule->counts[last])
			return true;
		schedule->depth = last;
	}
	return false;
}

static unsigned choose_path(struct vqsim_schedule *schedule, unsigned count)
{
	unsigned at = schedule->at++;

	if (at == VQSIM_SCHEDULE_DEPTH_MAX)
		vqsim_misuse(__func__, "more than %u choices in one run", at);
	if (at == schedule->depth) {
		schedule->taken[at] = 0;
		schedule->counts[at] = (uint16_t)count;
		schedule->depth++;
	}
	if (schedule->counts[at] != count)
		vqsim_misuse(__func__, "choice %u was of %u and is of %u", at, schedule->counts[at],
			     count);
	return schedule->taken[at];
}

unsigned vqsim_schedule_choose(struct vqsim_schedule *schedule, unsigned count)
{
	if (count == 1)
		return 0;
	if (schedule->all)
		return choose_path(schedule, count);
	schedule->random =
		schedule->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (unsigned)((schedule->random >> 33) % count);
}

/* What is possible */

static void option(struct options *options, enum step step, uint32_t what)
{
	if (options->count == OPTIONS_MAX)
		return;
	options->options[options->count++] = (struct option){step, what};
}

static uint16_t queue_of(const struct vqsim_play *play, unsigned slot)
{
	return (uint16_t)(slot % play->queue_count);
}

static bool is_free(const struct vqsim_play *play, unsigned slot)
{
	uint64_t place = (uint64_t)play->uses[slot] * play->slots + slot;

	return !play->requests[slot].blk && place < play->total;
}

static void list_adds(const struct vqsim_play *play, struct options *options)
{
	bool listed[VQSIM_PLAY_QUEUES] = {false};

	/* Free slots of one queue are alike. */
	for (unsigned slot = 0; slot < play->slots; slot++) {
		uint16_t queue = queue_of(play, slot);

		if (!is_free(play, slot) || play->full[queue] || listed[queue])
			continue;
		listed[queue] = true;
		option(options, STEP_ADD, slot);
	}
}

static void list_queue(const struct vqsim_play *play, uint16_t queue, struct options *options)
{
	if (play->unpublished[queue])
		option(options, STEP_PUBLISH, queue);
	if (play->due[queue] || play->idle_steps)
		option(options, STEP_RUN, queue);
	if (play->ready[queue] || play->idle_steps)
		option(options, STEP_REAP, queue);
	if (play->idle_steps)
		option(options, STEP_KICK, queue);
}

static bool is_over(const struct vqsim_play *play)
{
	for (uint16_t queue = 0; queue < play->queue_count; queue++)
		if (play->unpublished[queue] || play->out[queue])
			return false;
	return play->added == play->total;
}

static void list(const struct vqsim_play *play, struct options *options)
{
	uint32_t number;

	options->count = 0;
	list_adds(play, options);
	for (uint16_t queue = 0; queue < play->queue_count; queue++)
		list_queue(play, queue, options);
	for (uint32_t i = 0; (number = vqsim_faults_held(play->faults, i)) != 0; i++)
		option(options, STEP_RELEASE, number);
	if (play->resets_done < play->resets && play->added > 0)
		option(options, STEP_RESET, 0);
}

/* Steps. Each writes its line of the log when it is done. */

#define LOG(play, ...)                                     \
	do {                                               \
		if ((play)->log)                           \
			fprintf((play)->log, __VA_ARGS__); \
	} while (0)

static void step_add(struct vqsim_play *play, unsigned slot)
{
	struct vqsim_blk_request *request = &play->requests[slot];
	uint16_t queue = queue_of(play, slot);
	int head;

	play->fill(play->opaque, request, play->added);
	head = vqsim_blk_submit(&play->blk, queue, request);
	LOG(play,
	    "add queue %u: request %" PRIu32 " type %" PRIu32 " sector %" PRIu64 " bytes %" PRIu32
	    ": head %d\n",
	    queue, play->added, request->type, request->sector, request->data_size, head);
	play->full[queue] = head < 0;
	if (head < 0)
		return;
	play->numbers[slot] = play->added++;
	play->uses[slot]++;
	play->unpublished[queue]++;
}

static void step_publish(struct vqsim_play *play, uint16_t queue)
{
	bool kicked = vqsim_guest_publish(play->guest, queue);

	LOG(play, "publish queue %u: %u, %s\n", queue, play->unpublished[queue],
	    kicked ? "kicked" : "no kick");
	play->out[queue] = (uint16_t)(play->out[queue] + play->unpublished[queue]);
	play->unpublished[queue] = 0;
	play->due[queue] = true;
}

static void step_run(struct vqsim_play *play, struct vqsim_schedule *schedule, uint16_t queue)
{
	static const uint32_t budgets[] = {256, 1, 2, 5};
	static const char *const names[] = {"idle", "work left", "waiting"};
	struct vqsim_link *link = &play->guest->link;
	struct vqsim_faults *faults = play->faults;
	uint64_t notifications = link->queues[queue].notifications;
	uint32_t taken = faults->taken, held = faults->held;
	enum virtio_progress progress;

	/* How much at a time is only a matter of chance: it does not change what is possible. */
	link->budget = budgets[schedule->all ? 0 : vqsim_schedule_choose(schedule, 4)];
	progress = vqsim_guest_run(play->guest, queue);
	for (uint32_t number = taken + 1; number <= faults->taken; number++)
		play->owner[number % sizeof(play->owner)] = (uint8_t)queue;
	play->due[queue] = progress == VIRTIO_WORK_LEFT;
	if (!faults->hold || faults->taken - taken + held != faults->held)
		play->ready[queue] = true;
	LOG(play,
	    "run queue %u: budget %" PRIu32 ", %s, took %" PRIu32 ", held %" PRIu32
	    ", notified %" PRIu64 "\n",
	    queue, link->budget, names[progress], faults->taken - taken, faults->held,
	    link->queues[queue].notifications - notifications);
}

static void step_release(struct vqsim_play *play, uint32_t number)
{
	vqsim_faults_release(play->faults, number);
	play->due[play->owner[number % sizeof(play->owner)]] = true;
	LOG(play, "release operation %" PRIu32 "\n", number);
}

static uint32_t sum_of(const struct vqsim_blk_request *request)
{
	uint32_t sum = UINT32_C(2166136261);

	if (request->type != VIRTIO_BLK_T_IN && request->type != VIRTIO_BLK_T_GET_ID)
		return 0;
	for (uint32_t i = 0; i < request->data_size; i++)
		sum = (sum ^ request->in_data[i]) * UINT32_C(16777619);
	return sum;
}

static void step_reap(struct vqsim_play *play, uint16_t queue)
{
	struct vqsim_blk_request *request;
	unsigned count = 0;

	for (; (request = vqsim_blk_reap(&play->blk, queue)) != NULL; count++) {
		LOG(play,
		    "reap queue %u: request %" PRIu32 " status %u len %" PRIu32 " data %08" PRIx32
		    "\n",
		    queue, play->numbers[request - play->requests], request->status,
		    request->used_len, sum_of(request));
		play->completed++;
		play->out[queue]--;
	}
	if (count == 0)
		LOG(play, "reap queue %u: nothing\n", queue);
	play->ready[queue] = play->full[queue] = false;
}

/* A guest's memory goes with its reset, so the requests are made anew. */
static void requests_make(struct vqsim_play *play)
{
	for (unsigned i = 0; i < play->slots; i++)
		if (vqsim_blk_request_init(&play->blk, &play->requests[i], play->data_room) != 0)
			vqsim_misuse(__func__, "no memory");
}

static void requests_drop(struct vqsim_play *play)
{
	for (unsigned i = 0; i < play->slots; i++) {
		play->lost += play->requests[i].blk != NULL;
		vqsim_blk_request_finish(&play->requests[i]);
	}
}

static void bring_up(struct vqsim_play *play)
{
	enum vqsim_bring_up result = vqsim_guest_bring_up(play->guest, &play->config);

	if (result != VQSIM_UP || play->guest->queue_count > VQSIM_PLAY_QUEUES)
		vqsim_misuse(__func__, "bring-up said %d, with %u queues", result,
			     play->guest->queue_count);
	play->queue_count = play->guest->queue_count;
	vqsim_blk_init(&play->blk, play->guest, play->disk);
	requests_make(play);
	memset(play->unpublished, 0, sizeof(play->unpublished));
	memset(play->out, 0, sizeof(play->out));
	memset(play->full, 0, sizeof(play->full));
	memset(play->due, 0, sizeof(play->due));
	memset(play->ready, 0, sizeof(play->ready));
}

/* The device waits for its store, and the store for us. */
static void step_reset(struct vqsim_play *play)
{
	uint32_t let_go = play->faults->let_go, lost = play->lost;

	play->faults->let_go = VQSIM_FAULTS_ALL;
	requests_drop(play);
	play->resets_done++;
	bring_up(play);
	play->faults->let_go = let_go;
	LOG(play, "reset: %" PRIu32 " requests lost\n", play->lost - lost);
}

static void take(struct vqsim_play *play, struct vqsim_schedule *schedule,
		 const struct option *chosen)
{
	switch (chosen->step) {
	case STEP_ADD:
		step_add(play, chosen->what);
		break;
	case STEP_PUBLISH:
		step_publish(play, (uint16_t)chosen->what);
		break;
	case STEP_KICK:
		vqsim_guest_kick(play->guest, (uint16_t)chosen->what);
		LOG(play, "kick queue %" PRIu32 "\n", chosen->what);
		break;
	case STEP_RUN:
		step_run(play, schedule, (uint16_t)chosen->what);
		break;
	case STEP_RELEASE:
		step_release(play, chosen->what);
		break;
	case STEP_REAP:
		step_reap(play, (uint16_t)chosen->what);
		break;
	case STEP_RESET:
		step_reset(play);
		break;
	}
	play->steps++;
}

void vqsim_play_run(struct vqsim_play *play, struct vqsim_schedule *schedule)
{
	struct options options;

	if (play->slots == 0 || play->slots > VQSIM_PLAY_SLOTS)
		vqsim_misuse(__func__, "%u slots", play->slots);
	play->steps = play->added = play->completed = play->lost = play->resets_done = 0;
	play->stuck = false;
	memset(play->uses, 0, sizeof(play->uses));
	bring_up(play);
	while (!is_over(play) && !play->stuck) {
		list(play, &options);
		play->stuck = options.count == 0 || vqsim_guest_needs_reset(play->guest);
		if (!play->stuck)
			take(play, schedule,
			     &options.options[vqsim_schedule_choose(schedule, options.count)]);
	}
	requests_drop(play);
}
