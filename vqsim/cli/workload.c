/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The slots are a window that slides over the requests of a phase:
 *
 *        retired                 submitted
 *           |  D  .  D  .  .  D  |
 *           '-- in flight, some done --'
 *
 * Request i uses slot i % slot_count and so queue i % queue_count. A slot is
 * free again only when all before it are retired, so that what is read comes out
 * in order, also into a pipe.
 */
#include "workload.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <fcntl.h>
#include <unistd.h>

#define MIX_REQUESTS UINT64_C(10000)

const struct workload_type_text workload_types[WORKLOAD_TYPE_COUNT] = {
	[WORKLOAD_IN] = {"in", VIRTIO_BLK_T_IN},
	[WORKLOAD_OUT] = {"out", VIRTIO_BLK_T_OUT},
	[WORKLOAD_FLUSH] = {"flush", VIRTIO_BLK_T_FLUSH},
	[WORKLOAD_GET_ID] = {"get_id", VIRTIO_BLK_T_GET_ID},
	[WORKLOAD_DISCARD] = {"discard", VIRTIO_BLK_T_DISCARD},
	[WORKLOAD_WRITE_ZEROES] = {"write_zeroes", VIRTIO_BLK_T_WRITE_ZEROES},
};

bool workload_has(const struct workload *w, unsigned bit)
{
	return (w->session->features & VIRTIO_FEATURE(bit)) != 0;
}

struct workload_count workload_total(const struct workload *w)
{
	struct workload_count total = {0};
	unsigned i;

	for (i = 0; i < WORKLOAD_TYPE_COUNT; i++) {
		total.requests += w->counts[i].requests;
		total.bytes += w->counts[i].bytes;
		total.errors += w->counts[i].errors;
	}
	return total;
}

static void fail(struct workload *w, const char *what, int error)
{
	if (!w->failed)
		cli_complain("%s: %s", what, strerror(error));
	w->failed = true;
}

/* The index'th block of the disk; the last one may be shorter. */
static uint64_t disk_blocks(const struct workload *w)
{
	return (w->session->size + w->options->block_size - 1) / w->options->block_size;
}

/* Past the end of the disk it begins again. */
static void set_block(struct workload *w, struct workload_slot *slot, enum workload_type type,
		      uint64_t index)
{
	uint64_t offset = index % disk_blocks(w) * w->options->block_size;
	uint64_t left = w->session->size - offset;
	uint32_t size = left < w->options->block_size ? (uint32_t)left : w->options->block_size;

	slot->type = type;
	slot->request.sector = offset / VQSIM_DISK_SECTOR;
	slot->request.data_size = size;
	slot->request.indirect = w->options->indirect != RUN_INDIRECT_NEVER;
}

static void prepare_read(struct workload *w, struct workload_slot *slot, uint64_t index)
{
	set_block(w, slot, WORKLOAD_IN, index);
}

static void write_out(struct workload *w, const uint8_t *data, size_t size)
{
	ssize_t n;

	while (size > 0 && !w->failed) {
		n = write(w->session->to_fd, data, size);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			fail(w, "cannot write what was read", errno);
			return;
		}
		data += n;
		size -= (size_t)n;
	}
}

static void retire_read(struct workload *w, struct workload_slot *slot, uint64_t index)
{
	(void)index;
	if (w->session->to_fd >= 0)
		write_out(w, slot->request.in_data, slot->request.data_size);
}

static void fill_from_file(struct workload *w, uint8_t *data, size_t size, uint64_t offset)
{
	ssize_t n;

	while (size > 0) {
		n = pread(w->session->from_fd, data, size, (off_t)offset);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			fail(w, "cannot read --from", n < 0 ? errno : EIO);
			return;
		}
		data += n;
		size -= (size_t)n;
		offset += (uint64_t)n;
	}
}

static void prepare_write(struct workload *w, struct workload_slot *slot, uint64_t index)
{
	struct vqsim_blk_request *r = &slot->request;

	set_block(w, slot, WORKLOAD_OUT, index);
	if (w->session->from_fd >= 0)
		fill_from_file(w, r->out_data, r->data_size, r->sector * VQSIM_DISK_SECTOR);
	else
		random_pattern(r->out_data, r->data_size, w->options->seed, r->sector);
}

static void prepare_flush(struct workload *w, struct workload_slot *slot, uint64_t index)
{
	(void)index;
	slot->type = WORKLOAD_FLUSH;
	slot->request.sector = 0;
	slot->request.data_size = 0;
	slot->request.indirect = w->options->indirect != RUN_INDIRECT_NEVER;
}

static struct workload_slot *slot_of(struct workload *w, uint64_t index)
{
	return &w->slots[index % w->slot_count];
}

static uint16_t queue_of(const struct workload *w, uint64_t index)
{
	return (uint16_t)(index % w->slot_count % w->options->queue_count);
}

/* Returns false: the ring has no room for it now; what was prepared stays prepared. */
static bool submit_one(struct workload *w, const struct workload_phase *phase)
{
	struct workload_slot *slot = slot_of(w, w->submitted);

	if (!slot->prepared) {
		slot->request.done = false;
		phase->prepare(w, slot, w->submitted);
		slot->request.type = workload_types[slot->type].type;
		slot->prepared = true;
	}
	if (w->failed ||
	    vqsim_blk_submit(&w->session->blk, queue_of(w, w->submitted), &slot->request) < 0)
		return false;
	slot->prepared = false;
	w->submitted++;
	return true;
}

/* The driver may do so at any time (2.7.7); the referee judges what was due until now. */
static void vary_notifications(struct workload *w)
{
	struct session *s = w->session;
	uint16_t queue;

	for (queue = 0; queue < w->options->queue_count; queue++) {
		if (random_below(&w->random, 8) != 0)
			continue;
		vqsim_referee_before_run(&s->referee, queue);
		vqsim_driver_set_notify(&s->guest.queues[queue], random_below(&w->random, 2) == 0
									 ? VQSIM_NOTIFY_ALWAYS
									 : VQSIM_NOTIFY_NEVER);
	}
}

static void submit_all(struct workload *w, const struct workload_phase *phase)
{
	uint64_t room = w->slot_count;
	uint16_t queue;

	if (phase->bursts) {
		room = 1 + random_below(&w->random, room);
		vary_notifications(w);
	}
	while (w->submitted < phase->count && w->submitted - w->retired < room) {
		if (!submit_one(w, phase))
			break;
	}
	for (queue = 0; queue < w->options->queue_count; queue++)
		vqsim_guest_publish(&w->session->guest, queue);
}

/* Let the device work on all queues. Returns whether an answer came. */
static bool run_queues(struct workload *w, bool *waiting)
{
	struct session *s = w->session;
	bool answered = false;
	uint16_t queue;

	*waiting = false;
	for (queue = 0; queue < w->options->queue_count; queue++) {
		if (vqsim_guest_run(&s->guest, queue) == VIRTIO_WAITING)
			*waiting = true;
		while (vqsim_blk_reap(&s->blk, queue) != NULL)
			answered = true;
	}
	return answered;
}

static void count(struct workload *w, struct workload_slot *slot)
{
	struct workload_count *c = &w->counts[slot->type];

	c->requests++;
	if (slot->request.status == VIRTIO_BLK_S_OK) {
		if (slot->type == WORKLOAD_IN || slot->type == WORKLOAD_OUT)
			c->bytes += slot->request.data_size;
		return;
	}
	if (workload_total(w).errors == 0)
		cli_complain("request %s of sector %" PRIu64 ", %" PRIu32
			     " bytes was answered with status %u",
			     workload_types[slot->type].name, slot->request.sector,
			     slot->request.data_size, slot->request.status);
	c->errors++;
}

static void retire_all(struct workload *w, const struct workload_phase *phase)
{
	struct workload_slot *slot;

	while (w->retired < w->submitted) {
		slot = slot_of(w, w->retired);
		if (!slot->request.done)
			return;
		count(w, slot);
		if (phase->retire != NULL && slot->request.status == VIRTIO_BLK_S_OK)
			phase->retire(w, slot, w->retired);
		w->retired++;
	}
}

/* No answer came in a whole round. Returns whether to go on. */
static bool wait_for_device(struct workload *w, bool waiting)
{
	struct session *s = w->session;
	uint16_t queue;

	if (vqsim_guest_needs_reset(&s->guest)) {
		cli_complain("the device asked for a reset after %" PRIu64 " requests",
			     w->retired_before + w->retired);
		return false;
	}
	if (!waiting) {
		cli_complain("the device went idle with %" PRIu64 " requests unanswered",
			     w->submitted - w->retired);
		return false;
	}
	for (queue = 0; queue < w->options->queue_count; queue++)
		vqsim_link_wait(&s->guest.link, queue);
	return true;
}

static bool run_phase(struct workload *w, const struct workload_phase *phase)
{
	bool waiting;

	w->submitted = 0;
	w->retired = 0;
	while (w->retired < phase->count) {
		submit_all(w, phase);
		if (!run_queues(w, &waiting) && !wait_for_device(w, waiting))
			w->failed = true;
		retire_all(w, phase);
		if (w->failed)
			return false;
		progress_show(&w->progress, w->retired_before + w->retired);
	}
	w->retired_before += w->retired;
	return true;
}

static uint64_t block_count(const struct workload *w)
{
	if (w->options->workload == RUN_MIX || w->options->requests == 0)
		return disk_blocks(w);
	return w->options->requests;
}

/* Fills phases (room for 4) and returns their number. */
static unsigned plan(const struct workload *w, struct workload_phase *phases)
{
	uint64_t blocks = block_count(w);
	const struct workload_phase read = {
		.count = blocks, .prepare = prepare_read, .retire = retire_read};
	const struct workload_phase write = {.count = blocks, .prepare = prepare_write};
	const struct workload_phase flush = {.count = w->limits.flush, .prepare = prepare_flush};
	struct workload_phase mix = {.prepare = mix_prepare, .bursts = true};
	unsigned n = 0;

	mix.count = w->options->requests == 0 ? MIX_REQUESTS : w->options->requests;
	switch (w->options->workload) {
	case RUN_READ:
		phases[n++] = read;
		break;
	case RUN_MIX: /* the first read tells the model what the disk holds */
		phases[n++] = read;
		phases[n++] = mix;
		phases[n++] = flush;
		phases[n++] = read;
		break;
	case RUN_WRITE:
	case RUN_VERIFY:
		phases[n++] = write;
		phases[n++] = flush;
		if (w->options->workload == RUN_VERIFY)
			phases[n++] = read;
		break;
	}
	return n;
}

/*
 * All was flushed: what the host sees in the file is what must survive. This
 * looks past the device, which a read through the ring does not.
 */
static void check_file(struct workload *w)
{
	struct session *s = w->session;
	int fd = open(w->options->file_path, O_RDONLY | O_CLOEXEC);
	uint8_t *image;

	if (fd < 0) {
		fail(w, "cannot open the image again", errno);
		return;
	}
	image = mmap(NULL, s->size, PROT_READ, MAP_SHARED, fd, 0);
	if (image == MAP_FAILED) {
		fail(w, "cannot map the image", errno);
	} else {
		vqsim_disk_check_durable(&s->disk, image);
		munmap(image, s->size);
	}
	close(fd);
}

static int make_slots(struct workload *w)
{
	uint32_t i;
	int err;

	w->slot_count = (uint32_t)w->options->depth * w->options->queue_count;
	w->slots = calloc(w->slot_count, sizeof(w->slots[0]));
	if (w->slots == NULL)
		return -ENOMEM;
	for (i = 0; i < w->slot_count; i++) {
		err = vqsim_blk_request_init(&w->session->blk, &w->slots[i].request,
					     w->options->block_size);
		if (err != 0)
			return err;
	}
	return 0;
}

static void free_slots(struct workload *w)
{
	uint32_t i;

	for (i = 0; w->slots != NULL && i < w->slot_count; i++)
		vqsim_blk_request_finish(&w->slots[i].request);
	free(w->slots);
	w->slots = NULL;
}

static void run_phases(struct workload *w)
{
	struct workload_phase phases[4];
	unsigned i, n = plan(w, phases);
	uint64_t total = 0, start;

	for (i = 0; i < n; i++)
		total += phases[i].count;
	progress_start(&w->progress, options_workload_name(w->options->workload), total,
		       w->options->quiet);
	start = progress_now();
	for (i = 0; i < n; i++) {
		if (!run_phase(w, &phases[i]))
			break;
	}
	w->nanoseconds = progress_now() - start;
	progress_finish(&w->progress);
}

/* A reset is part of the run: the referee looks at what the device does after it. */
static void finish(struct workload *w)
{
	struct vqsim_guest *guest = &w->session->guest;
	uint16_t queue;

	for (queue = 0; queue < guest->queue_count; queue++) {
		w->kicks += guest->link.queues[queue].kicks;
		w->interrupts += guest->link.queues[queue].notifications;
	}
	if (!w->failed && w->session->modelled && w->options->file_path != NULL)
		check_file(w);
	vqsim_guest_reset(guest);
	free_slots(w);
}

enum cli_exit workload_run(struct workload *w, struct session *session)
{
	int err;

	*w = (struct workload){.session = session, .options = session->options};
	random_init(&w->random, w->options->seed);
	mix_init(w);
	err = make_slots(w);
	if (err != 0)
		fail(w, "cannot make the requests", -err);
	else
		run_phases(w);
	finish(w);
	return w->failed || workload_total(w).errors > 0 ? CLI_FAILED : CLI_OK;
}
