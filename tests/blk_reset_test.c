/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reset of a block device with several queues: some have requests in flight, others
 * are idle, and until all of them are done every one may be asked for progress. And two
 * drivers, one after the other, of which the first was never able to reset.
 */
#include "tests/support/bench.h"
#include "vqsim/faults.h"

#define QUEUES 3u

/* What stands on each queue when the driver writes 0. */
enum load {
	NOTHING,
	HELD,    /* the store has a request */
	REFUSED, /* the store was too busy for a request */
	STOPPED, /* the queue was stopped before */
};

struct fixture {
	struct bench *bench;
	struct vqsim_faults *faults;
	struct vqsim_blk_request requests[QUEUES];
};

static int setup(void **state)
{
	static struct fixture f;

	f = (struct fixture){.faults = vqsim_faults_create(bench_store_create(BENCH_DISK_SECTORS))};
	assert_non_null(f.faults);
	f.bench = bench_create(&(struct bench_options){
		.device = BENCH_BLK, .blk = {.queue_count = QUEUES}, .store = &f.faults->base});
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	f->faults->let_go = VQSIM_FAULTS_ALL;
	bench_destroy(f->bench);
	return 0;
}

static struct virtio_transport *transport_of(struct fixture *f)
{
	return &f->bench->guest.link.transport;
}

static void submit(struct fixture *f, uint16_t queue)
{
	struct vqsim_blk_request *request = &f->requests[queue];

	assert_int_equal(vqsim_blk_request_init(&f->bench->blk, request, 512), 0);
	request->type = VIRTIO_BLK_T_IN;
	request->sector = queue;
	request->data_size = 512;
	assert_true(vqsim_blk_submit(&f->bench->blk, queue, request) >= 0);
	vqsim_guest_publish(&f->bench->guest, queue);
	assert_int_equal(vqsim_guest_run(&f->bench->guest, queue), VIRTIO_WAITING);
}

static void put_load(struct fixture *f, uint16_t queue, enum load load)
{
	switch (load) {
	case NOTHING:
		break;
	case HELD:
		submit(f, queue);
		break;
	case REFUSED:
		f->faults->busy_at = f->faults->submits + 1;
		submit(f, queue);
		break;
	case STOPPED:
		assert_int_equal(virtio_transport_stop_queue(transport_of(f), queue, NULL),
				 VIRTIO_DONE);
		break;
	}
}

/* Every live queue is asked, as the contract of reset says. */
static void progress_on_all(struct fixture *f)
{
	for (uint16_t i = 0; i < QUEUES; i++)
		vqsim_link_run(&f->bench->guest.link, i, 1);
}

/* The driver waits for the status to read 0; then the device is as good as new. */
static void reset_with(struct fixture *f, const enum load *loads)
{
	bool pending = false;

	f->faults->hold = true;
	f->faults->let_go = 0;
	for (uint16_t i = 0; i < QUEUES; i++) {
		put_load(f, i, loads[i]);
		pending |= loads[i] == HELD || loads[i] == REFUSED;
	}
	virtio_transport_write_status(transport_of(f), 0);
	for (unsigned i = 0; i < 3 && pending; i++) {
		assert_int_not_equal(virtio_transport_status(transport_of(f)), 0);
		progress_on_all(f);
		assert_int_equal(virtio_transport_continue(transport_of(f)), VIRTIO_PENDING);
	}
	f->faults->let_go = VQSIM_FAULTS_ALL;
	vqsim_guest_reset(&f->bench->guest);
	assert_int_equal(virtio_transport_status(transport_of(f)), 0);
	assert_int_equal(f->faults->held, 0);
	assert_int_equal(f->faults->queues, 0);
	for (uint16_t i = 0; i < QUEUES; i++)
		vqsim_blk_request_finish(&f->requests[i]);
	f->faults->hold = false;
	bench_up(f->bench);
	bench_good_request(f->bench);
}

static void reset_waits_for_the_queues_in_flight_and_spares_the_idle(void **state)
{
	static const enum load rows[][QUEUES] = {
		{HELD, NOTHING, NOTHING}, {NOTHING, HELD, NOTHING}, {NOTHING, NOTHING, HELD},
		{HELD, NOTHING, HELD},    {NOTHING, HELD, HELD},    {HELD, HELD, HELD},
		{REFUSED, NOTHING, HELD}, {HELD, NOTHING, REFUSED}, {NOTHING, NOTHING, NOTHING},
		{STOPPED, HELD, NOTHING}, {HELD, NOTHING, STOPPED}, {NOTHING, STOPPED, NOTHING},
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++)
		reset_with(*state, rows[i]);
}

/* A queue that came to its end first neither takes new chains nor is closed while it waits. */
static void queue_that_is_done_waits_for_the_others(void **state)
{
	struct fixture *f = *state;
	uint32_t taken;

	f->faults->hold = true;
	f->faults->let_go = 0;
	submit(f, 0);
	submit(f, 2);
	assert_true(vqsim_faults_release(f->faults, vqsim_faults_held(f->faults, 0)));
	virtio_transport_write_status(transport_of(f), 0);
	progress_on_all(f);
	assert_int_equal(virtio_transport_continue(transport_of(f)), VIRTIO_PENDING);
	assert_int_equal(f->faults->held, 1);

	/* The driver does not know yet, and exposes more: nobody looks. */
	taken = f->faults->taken;
	vqsim_blk_request_finish(&f->requests[0]);
	f->requests[0] = (struct vqsim_blk_request){0};
	assert_int_equal(vqsim_blk_request_init(&f->bench->blk, &f->requests[1], 512), 0);
	f->requests[1].type = VIRTIO_BLK_T_IN;
	f->requests[1].data_size = 512;
	assert_true(vqsim_blk_submit(&f->bench->blk, 1, &f->requests[1]) >= 0);
	vqsim_driver_publish(&f->bench->guest.queues[1]);
	progress_on_all(f);
	assert_int_equal(f->faults->taken, taken);
	assert_int_equal(f->faults->queues, QUEUES);

	f->faults->let_go = VQSIM_FAULTS_ALL;
	vqsim_guest_reset(&f->bench->guest);
	assert_int_equal(f->faults->queues, 0);
	vqsim_blk_request_finish(&f->requests[1]);
	vqsim_blk_request_finish(&f->requests[2]);
	f->faults->hold = false;
	bench_up(f->bench);
	bench_good_request(f->bench);
}

/* Two drivers in sequence */

#define PACKED   VIRTIO_FEATURE(VIRTIO_F_RING_PACKED)
#define IN_ORDER VIRTIO_FEATURE(VIRTIO_F_IN_ORDER)
#define SECTOR   512u
#define LEFT     5u /* requests that the first one leaves behind */
#define MARK     0xd1

/* How far each of them got; its number is its sector. */
enum left {
	DONE_NOT_REAPED,
	WRITE_TAKEN,
	READ_TAKEN,
	EXPOSED,
	NOT_EXPOSED,
};

static void add(struct fixture *f, struct vqsim_blk_request *left, enum left number, uint16_t queue)
{
	struct vqsim_blk_request *request = &left[number];

	assert_int_equal(vqsim_blk_request_init(&f->bench->blk, request, SECTOR), 0);
	request->type = number == READ_TAKEN ? VIRTIO_BLK_T_IN : VIRTIO_BLK_T_OUT;
	request->sector = number;
	request->data_size = SECTOR;
	memset(request->out_data, MARK, SECTOR);
	assert_true(vqsim_blk_submit(&f->bench->blk, queue, request) >= 0);
}

/* The first driver is gone from one moment to the next. */
static void die_mid_flight(struct fixture *f, struct vqsim_blk_request *left)
{
	struct vqsim_guest *guest = &f->bench->guest;

	add(f, left, DONE_NOT_REAPED, 1);
	vqsim_guest_publish(guest, 1);
	assert_int_equal(vqsim_guest_run(guest, 1), VIRTIO_IDLE);
	f->faults->hold = true;
	f->faults->let_go = 0;
	add(f, left, WRITE_TAKEN, 0);
	add(f, left, READ_TAKEN, 0);
	vqsim_guest_publish(guest, 0);
	assert_int_equal(vqsim_guest_run(guest, 0), VIRTIO_WAITING);
	add(f, left, EXPOSED, 0);
	vqsim_guest_publish(guest, 0);
	add(f, left, NOT_EXPOSED, 2);
}

/* What the second one does first: it finds a status that it did not write. */
static void take_over(struct fixture *f, struct vqsim_blk_request *left)
{
	assert_true(virtio_transport_status(transport_of(f)) & VIRTIO_CONFIG_S_DRIVER_OK);
	virtio_transport_write_status(transport_of(f), 0);
	progress_on_all(f);
	assert_int_not_equal(virtio_transport_status(transport_of(f)), 0);
	f->faults->let_go = VQSIM_FAULTS_ALL;
	vqsim_guest_reset(&f->bench->guest);
	assert_int_equal(f->faults->held, 0);
	for (unsigned i = 0; i < LEFT; i++)
		vqsim_blk_request_finish(&left[i]);
	f->faults->hold = false;
}

/* The model knows what each sector may hold now; what was not taken was not carried out. */
static void read_everything(struct fixture *f)
{
	struct vqsim_blk_request request;

	assert_int_equal(vqsim_blk_request_init(&f->bench->blk, &request, SECTOR), 0);
	request.type = VIRTIO_BLK_T_IN;
	request.data_size = SECTOR;
	for (uint64_t sector = 0; sector < BENCH_DISK_SECTORS; sector++) {
		request.sector = sector;
		assert_int_equal(vqsim_blk_do(&f->bench->blk, 0, &request), VIRTIO_BLK_S_OK);
		for (unsigned i = 0; sector >= READ_TAKEN && i < SECTOR; i++)
			assert_int_equal(request.in_data[i], bench_disk_byte(sector * SECTOR + i));
	}
	vqsim_blk_request_finish(&request);
}

/* From every format of the ring to every format, with another size and other queues. */
static void second_driver_finds_a_device_that_the_first_left_busy(void **state)
{
	static const uint64_t formats[] = {0, PACKED, IN_ORDER, PACKED | IN_ORDER};

	for (unsigned i = 0; i < COUNT_OF(formats) * COUNT_OF(formats); i++) {
		struct vqsim_blk_request left[LEFT] = {0};
		struct fixture *f = *state;
		struct vqsim_guest_config *config = &f->bench->config;

		config->features |= formats[i % COUNT_OF(formats)];
		bench_up(f->bench);
		die_mid_flight(f, left);
		take_over(f, left);
		config->features &= ~(PACKED | IN_ORDER);
		config->features |= formats[i / COUNT_OF(formats)];
		config->queue_size = 4;
		config->queue_count = 1;
		bench_up(f->bench);
		assert_int_equal(f->bench->guest.features & (PACKED | IN_ORDER),
				 formats[i / COUNT_OF(formats)]);
		read_everything(f);
		bench_good_request(f->bench);
		teardown(state);
		setup(state);
	}
}

#define WITH(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH(reset_waits_for_the_queues_in_flight_and_spares_the_idle),
		WITH(queue_that_is_done_waits_for_the_others),
		WITH(second_driver_finds_a_device_that_the_first_left_busy),
	};

	return cmocka_run_group_tests_name("blk reset", tests, NULL, NULL);
}
