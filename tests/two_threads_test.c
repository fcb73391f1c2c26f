/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A driver and a device on a thread each, and each sleeps whenever the standard lets it
 * (virtio 1.3, 2.7.7, 2.7.10 and 2.8.10):
 *
 *     the device  after VIRTIO_IDLE, until a kick that vqsim_driver_publish asked for
 *     the driver  after it asked for notifications and found nothing, until notify_used
 *
 * A notification that is lost leaves both asleep: whoever sleeps for SLEEP_MAX seconds takes it
 * for that. Batches are small and come at random moments, so that a batch often meets a side
 * that is just falling asleep: there the fences of devices/split.c, devices/packed.c and the
 * two drivers decide. Wake-ups that came before a look at the ring are forgotten, so that none of
 * them makes up for one that is lost after it.
 *
 * NOTIF-02: QEMU 92045d80ba, kvmtool 66ba0ba, crosvm b9917a22a, a device that does not look again
 * when it has asked for kicks. A missing fence shows up here by chance only.
 */
#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <time.h>

#include "tests/support/bench.h"

#define REQUESTS  50000u
#define SLOTS     8u
#define RING_SIZE 32u
#define BATCH_MAX 3u
#define DATA_SIZE 512u
#define SECTORS   16u
#define UNTOUCHED 0xee
#define SLEEP_MAX 60 /* seconds */
#define SPINS_MAX 4096u
#define DOZE      8000u
#define BUDGET    64u

/* The header says IN to a block device, and is 16 bytes to the null device, which writes no data. */
struct request {
	uint64_t header, answer; /* data, and the status behind it */
	uint64_t sector;
	bool in_flight;
};

struct party {
	struct vqsim_memory memory;
	struct vqsim_driver driver;
	struct virtio_device *device;
	struct blk_store *store; /* NULL: the null device */
	sem_t kicked, notified;
	bool stop;      /* atomic */
	bool overslept; /* atomic: by the device */
	bool broken;    /* atomic: the device asked for a reset */
	struct request requests[SLOTS];
	uint8_t expected[SECTORS][DATA_SIZE];
	uint32_t submitted, done;
	uint32_t random;
	const char *failure; /* of the driver */

	/* How often each side really slept. */
	uint32_t driver_sleeps, device_sleeps;
};

static bool is_set(const bool *flag)
{
	return __atomic_load_n(flag, __ATOMIC_ACQUIRE);
}

static void set(bool *flag)
{
	__atomic_store_n(flag, true, __ATOMIC_RELEASE);
}

/*
 * Returns false: nobody woke us. For longer than the host needs to wake a thread, this one stays on
 * its processor: woken at once, it meets the other side in the middle of what that does next.
 */
static bool sleep_on(sem_t *semaphore)
{
	struct timespec until;

	for (unsigned i = 0; i < DOZE; i++)
		if (sem_trywait(semaphore) == 0)
			return true;
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += SLEEP_MAX;
	while (sem_timedwait(semaphore, &until) != 0)
		if (errno != EINTR)
			return false;
	return true;
}

/* Before a look at the ring, which sees all that these wake-ups were for. */
static void forget_wakeups(sem_t *semaphore)
{
	while (sem_trywait(semaphore) == 0)
		;
}

/* The device's side */

static void notify_used(void *transport, uint16_t index)
{
	struct party *p = transport;

	(void)index;
	sem_post(&p->notified);
}

static void config_changed(void *transport)
{
	(void)transport;
}

static void needs_reset(void *transport)
{
	struct party *p = transport;

	set(&p->broken);
	sem_post(&p->notified);
}

static const struct virtio_transport_ops transport_ops = {
	.notify_used = notify_used,
	.config_changed = config_changed,
	.needs_reset = needs_reset,
};

static void *serve(void *opaque)
{
	struct party *p = opaque;
	const struct virtio_device_ops *ops = p->device->ops;

	for (;;) {
		forget_wakeups(&p->kicked);
		if (is_set(&p->stop))
			break;
		if (ops->progress(p->device, 0, BUDGET) != VIRTIO_IDLE)
			continue;
		p->device_sleeps++;
		if (!sleep_on(&p->kicked)) {
			set(&p->overslept);
			sem_post(&p->notified);
			break;
		}
		/* On this thread, since calls for one queue are made one at a time. */
		if (ops->kick)
			ops->kick(p->device, 0, 0);
	}
	return NULL;
}

/* The driver's side */

static uint32_t random_below(struct party *p, uint32_t limit)
{
	p->random = p->random * 1664525 + 1013904223;
	return (uint32_t)(((uint64_t)p->random * limit) >> 32);
}

/* Anything from no time to some microseconds, the short ones as often as the long ones. */
static void dawdle(struct party *p)
{
	uint32_t spins = random_below(p, SPINS_MAX >> random_below(p, 10));

	while (spins-- > 0)
		__atomic_signal_fence(__ATOMIC_SEQ_CST);
}

static bool submit(struct party *p, struct request *r)
{
	struct virtio_blk_outhdr header = {.type = htole32(VIRTIO_BLK_T_IN)};
	const struct vqsim_element elements[] = {
		{r->header, sizeof(header), false},
		{r->answer, DATA_SIZE, true},
		{r->answer + DATA_SIZE, 1, true},
	};
	const struct vqsim_chain chain = {elements, COUNT_OF(elements), COUNT_OF(elements), 0};

	r->sector = random_below(p, SECTORS);
	header.sector = htole64(r->sector);
	memcpy(vqsim_memory_at(&p->memory, r->header, sizeof(header)), &header, sizeof(header));
	memset(vqsim_memory_at(&p->memory, r->answer, DATA_SIZE + 1), UNTOUCHED, DATA_SIZE + 1);
	if (vqsim_driver_add(&p->driver, &chain, r) < 0)
		return false;
	r->in_flight = true;
	p->submitted++;
	return true;
}

/* One batch into free slots, if there are any, and a kick if the device wants one. */
static void publish_batch(struct party *p)
{
	uint32_t left = 1 + random_below(p, BATCH_MAX);

	for (unsigned i = 0; i < SLOTS && left > 0 && p->submitted < REQUESTS; i++) {
		if (p->requests[i].in_flight)
			continue;
		if (!submit(p, &p->requests[i]))
			p->failure = "the ring is full";
		left--;
	}
	if (vqsim_driver_publish(&p->driver))
		sem_post(&p->kicked);
}

static bool answer_is_right(struct party *p, const struct request *r)
{
	const uint8_t *answer = vqsim_memory_at(&p->memory, r->answer, DATA_SIZE + 1);

	return memcmp(answer, p->expected[r->sector], DATA_SIZE) == 0 &&
	       answer[DATA_SIZE] == VIRTIO_BLK_S_OK;
}

/*
 * All that is there first, the answers afterwards: then there is no time between the used_event
 * of the last entry and the look that finds nothing.
 */
static void reap_all(struct party *p)
{
	enum vqsim_reap reap = VQSIM_REAP_NOTHING;
	struct vqsim_used used[SLOTS];
	unsigned count = 0;

	forget_wakeups(&p->notified);
	while (count < SLOTS &&
	       (reap = vqsim_driver_reap(&p->driver, &used[count])) == VQSIM_REAP_USED)
		count++;
	for (unsigned i = 0; i < count; i++) {
		struct request *r = used[i].token;

		if (used[i].len != (p->store ? DATA_SIZE + 1 : 0) || !answer_is_right(p, r))
			p->failure = "a wrong answer";
		r->in_flight = false;
		p->done++;
	}
	if (reap == VQSIM_REAP_BOGUS)
		p->failure = "a used entry that names nothing";
}

/*
 * Nothing was found. The first half of the requests is served without notifications while the
 * driver is awake, and it looks once more when it has asked for one; the second half with
 * notifications all the time, so that the last look of reap_all was that one.
 */
static void sleep_if_allowed(struct party *p)
{
	bool switches = p->done < REQUESTS / 2;

	if (p->driver.in_flight == 0 || is_set(&p->broken))
		return;
	if (p->driver.notify == VQSIM_NOTIFY_NEVER &&
	    vqsim_driver_set_notify(&p->driver, VQSIM_NOTIFY_ALWAYS))
		return;
	p->driver_sleeps++;
	if (is_set(&p->overslept) || !sleep_on(&p->notified) || is_set(&p->overslept))
		p->failure = "a notification is lost";
	else if (switches)
		vqsim_driver_set_notify(&p->driver, VQSIM_NOTIFY_NEVER);
}

static void drive(struct party *p)
{
	while (p->done < REQUESTS && !p->failure && !is_set(&p->broken)) {
		publish_batch(p);
		dawdle(p);
		if (random_below(p, 2))
			publish_batch(p);
		dawdle(p);
		reap_all(p);
		sleep_if_allowed(p);
	}
}

/* Making and taking down */

static void lay_out(struct party *p, uint64_t features)
{
	static const struct vqsim_region region = {0x10000, 256 << 10};

	assert_int_equal(vqsim_memory_init(&p->memory, &region, 1), 0);
	assert_int_equal(vqsim_driver_init(&p->driver, &p->memory, RING_SIZE, features), 0);
	for (unsigned i = 0; i < SLOTS; i++)
		p->requests[i] = (struct request){
			.header = vqsim_memory_alloc(&p->memory, 16, 16),
			.answer = vqsim_memory_alloc(&p->memory, DATA_SIZE + 1, 64),
		};
	assert_int_equal(sem_init(&p->kicked, 0, 0), 0);
	assert_int_equal(sem_init(&p->notified, 0, 0), 0);
	p->random = 1;
}

static void start(struct party *p, bool with_disk, uint64_t features)
{
	static const struct blk_options options = {0};

	if (with_disk) {
		p->store = bench_store_create(SECTORS);
		assert_int_equal(blk_create(&p->device, &options, p->store), 0);
	} else {
		assert_int_equal(null_create(&p->device, 1, RING_SIZE, 0), 0);
	}
	virtio_device_attach(p->device, &transport_ops, p, &p->memory.guest);
	assert_int_equal(p->device->ops->set_features(p->device, features), 0);
	assert_int_equal(p->device->ops->queue_start(p->device, 0, &p->driver.setup), 0);
	for (unsigned i = 0; i < SECTORS * DATA_SIZE; i++)
		p->expected[i / DATA_SIZE][i % DATA_SIZE] =
			with_disk ? bench_disk_byte(i) : UNTOUCHED;
}

static void finish(struct party *p)
{
	assert_int_equal(p->device->ops->reset(p->device), VIRTIO_DONE);
	p->device->ops->destroy(p->device);
	if (p->store)
		p->store->ops->destroy(p->store);
	vqsim_driver_finish(&p->driver);
	vqsim_memory_finish(&p->memory);
	sem_destroy(&p->kicked);
	sem_destroy(&p->notified);
}

/* What is needed to see whose notification it was. */
static void describe_ring(const struct party *p, char *words, size_t size)
{
	const struct vqsim_split_ring *ring = &p->driver.ring;
	const struct vqsim_packed_ring *packed = &p->driver.packed;

	if (p->driver.is_packed)
		snprintf(words, size,
			 "available position %" PRIu32 ", events of the device %04x/%u, of the "
			 "driver %04x/%u",
			 p->driver.avail_index, le16toh(packed->device->off_wrap),
			 le16toh(packed->device->flags), le16toh(packed->driver->off_wrap),
			 le16toh(packed->driver->flags));
	else
		snprintf(words, size,
			 "available index %u, avail_event %u, used index %u, used_event %u, "
			 "available flags %u",
			 le16toh(ring->avail->idx), le16toh(*ring->avail_event),
			 le16toh(ring->used->idx), le16toh(*ring->used_event),
			 le16toh(ring->avail->flags));
}

static void describe(const struct party *p, char *words, size_t size)
{
	char ring[200];

	describe_ring(p, ring, sizeof(ring));
	snprintf(words, size,
		 "%s after %" PRIu32 " of %u requests: %s; the driver has reaped up to %u, "
		 "%s overslept first",
		 p->failure, p->done, REQUESTS, ring, (uint16_t)p->driver.used_index,
		 is_set(&p->overslept) ? "the device" : "the driver");
}

static void serve_all(bool with_disk, uint64_t ring_features)
{
	uint64_t features = VIRTIO_FEATURE(VIRTIO_F_VERSION_1) | ring_features;
	struct party p = {0};
	char words[400] = "";
	pthread_t thread;

	lay_out(&p, features);
	start(&p, with_disk, features);
	vqsim_driver_set_notify(&p.driver, VQSIM_NOTIFY_NEVER);
	assert_int_equal(pthread_create(&thread, NULL, serve, &p), 0);
	drive(&p);
	set(&p.stop);
	sem_post(&p.kicked);
	pthread_join(thread, NULL);
	if (p.failure)
		describe(&p, words, sizeof(words));
	finish(&p);

	if (words[0])
		fail_msg("%s", words);
	assert_false(p.broken);
	assert_int_equal(p.done, REQUESTS);
	/* It proves something only if both sides did sleep. */
	assert_true(p.driver_sleeps > REQUESTS / 1000);
	assert_true(p.device_sleeps > REQUESTS / 1000);
}

#define EVENT_IDX VIRTIO_FEATURE(VIRTIO_RING_F_EVENT_IDX)
#define PACKED    VIRTIO_FEATURE(VIRTIO_F_RING_PACKED)

struct row {
	const char *name;
	bool with_disk;
	uint64_t features;
};

static struct row rows[] = {
	{"null, split, by flags", false, 0},
	{"null, split, by events", false, EVENT_IDX},
	{"blk, split, by flags", true, 0},
	{"blk, split, by events", true, EVENT_IDX},
	{"null, packed, by flags", false, PACKED},
	{"null, packed, by events", false, PACKED | EVENT_IDX},
	{"blk, packed, by flags", true, PACKED},
	{"blk, packed, by events", true, PACKED | EVENT_IDX},
};

static void each_wakes_the_other(void **state)
{
	const struct row *row = *state;

	serve_all(row->with_disk, row->features);
}

int main(void)
{
	struct CMUnitTest tests[COUNT_OF(rows)];

	for (size_t i = 0; i < COUNT_OF(rows); i++)
		tests[i] = (struct CMUnitTest){rows[i].name, each_wakes_the_other, NULL, NULL,
					       &rows[i]};
	return bench_run("two threads", tests, COUNT_OF(tests));
}
