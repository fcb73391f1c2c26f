/* SPDX-License-Identifier: BSD-3-Clause */
#include <endian.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "bench.h"

#define QUEUE_SIZE_DEFAULT 16u

static const struct vqsim_region regions[] = {
	[BENCH_LOW] = {0, 512 << 10},
	[BENCH_NEXT] = {512 << 10, 256 << 10},
	[BENCH_APART] = {UINT64_C(1) << 30, 64 << 10},
	[BENCH_TOP] = {UINT64_C(0xffffffffffff0000), 60 << 10},
};

static const struct vqsim_region regions_with_huge[] = {
	[BENCH_LOW] = {0, 512 << 10},
	[BENCH_NEXT] = {512 << 10, 256 << 10},
	[BENCH_APART] = {UINT64_C(1) << 30, 64 << 10},
	[BENCH_HUGE] = {UINT64_C(1) << 40, (UINT64_C(1) << 32) + 4096},
};

/* Stores */

uint8_t bench_disk_byte(uint64_t offset)
{
	return (uint8_t)(offset * 7 + (offset >> 9) * 31 + 1);
}

struct waited {
	struct blk_io io; /* first, so that it is found from there */
	bool done;
};

static void note_done(struct blk_io *io)
{
	((struct waited *)io)->done = true;
}

int bench_store_do(struct blk_store *store, enum blk_op op, uint64_t offset, void *data,
		   uint64_t size)
{
	struct blk_store_queue *queue = store->ops->queue_open(store, 1);
	struct iovec iov = {data, size};
	struct waited waited = {
		.io = {.op = op, .offset = offset, .size = size, .done = note_done}};

	assert_non_null(queue);
	if (data)
		waited.io.data = (struct iov_window){&iov, 1, 0, size};
	if (store->ops->submit(queue, &waited.io) == BLK_QUEUED)
		while (!waited.done)
			assert_true(store->ops->poll(queue) > 0);
	store->ops->queue_close(queue);
	return waited.io.result;
}

struct blk_store *bench_store_create(uint64_t sectors)
{
	uint64_t size = sectors * VQSIM_DISK_SECTOR;
	uint8_t *data = malloc(size);
	struct blk_store *store;

	assert_non_null(data);
	for (uint64_t i = 0; i < size; i++)
		data[i] = bench_disk_byte(i);
	assert_int_equal(blk_store_ram_create(&store, size), 0);
	assert_int_equal(bench_store_do(store, BLK_OP_WRITE, 0, data, size), 0);
	free(data);
	return store;
}

void bench_disk_read(const struct bench *bench, uint64_t offset, void *to, uint64_t size)
{
	assert_int_equal(bench_store_do(bench->store, BLK_OP_READ, offset, to, size), 0);
}

/* The model knows what the store holds. */
static void disk_learn(struct bench *bench)
{
	struct blk_limits limits;
	uint8_t *data;

	bench->store->ops->limits(bench->store, &limits);
	data = malloc(limits.size);
	assert_non_null(data);
	assert_int_equal(vqsim_disk_init(&bench->disk, &bench->referee, limits.size), 0);
	bench_disk_read(bench, 0, data, limits.size);
	vqsim_disk_know(&bench->disk, 0, data, limits.size);
	free(data);
}

/* Making and taking down */

static void note_violation(void *opaque, const struct vqsim_violation *v)
{
	struct bench *bench = opaque;

	first_violation_keep(&bench->first, &bench->referee, v);
}

static void device_create(struct bench *bench, const struct bench_options *options)
{
	if (options->device == BENCH_NULL) {
		assert_int_equal(null_create(&bench->device, 1, 1024, NULL_FILL), 0);
		return;
	}
	bench->store = options->store ? options->store : bench_store_create(BENCH_DISK_SECTORS);
	assert_int_equal(blk_create(&bench->device, &options->blk, bench->store), 0);
	disk_learn(bench);
}

/* Most tests write to a split ring, so the other formats are taken by those that ask. */
static uint64_t features_of(const struct bench_options *options)
{
	uint64_t features = ~options->without;

	if (!options->packed)
		features &= ~VIRTIO_FEATURE(VIRTIO_F_RING_PACKED);
	if (!options->in_order)
		features &= ~VIRTIO_FEATURE(VIRTIO_F_IN_ORDER);
	return features;
}

struct bench *bench_create(const struct bench_options *options)
{
	const struct vqsim_region *map = options->huge ? regions_with_huge : regions;
	struct bench *bench = calloc(1, sizeof(*bench));

	assert_non_null(bench);
	assert_int_equal(vqsim_memory_init(&bench->memory, map, COUNT_OF(regions)), 0);
	assert_int_equal(vqsim_referee_init(&bench->referee, &bench->memory), 0);
	bench->referee.sink = note_violation;
	bench->referee.opaque = bench;
	device_create(bench, options);
	assert_int_equal(
		vqsim_guest_init(&bench->guest, &bench->memory, bench->device, &bench->referee), 0);
	bench->config = (struct vqsim_guest_config){
		.features = features_of(options),
		.queue_count = options->queue_count,
		.queue_size = options->queue_size ? options->queue_size : QUEUE_SIZE_DEFAULT,
	};
	if (!options->down)
		bench_up(bench);
	return bench;
}

bool bench_offers(enum bench_device device, unsigned feature)
{
	struct bench *bench = bench_create(&(struct bench_options){.device = device, .down = true});
	uint64_t features = bench->device->ops->features(bench->device);

	bench_destroy(bench);
	return features & VIRTIO_FEATURE(feature);
}

static void free_all(struct bench *bench)
{
	vqsim_guest_finish(&bench->guest);
	bench->device->ops->destroy(bench->device);
	if (bench->store)
		bench->store->ops->destroy(bench->store);
	vqsim_disk_finish(&bench->disk);
	vqsim_referee_finish(&bench->referee);
	vqsim_memory_finish(&bench->memory);
	for (unsigned i = 0; i < BENCH_REGIONS; i++)
		free(bench->snapshot[i]);
	free(bench);
}

void bench_destroy(struct bench *bench)
{
	struct first_violation first;
	unsigned in_flight = 0, maps;
	uint64_t violations;
	uint64_t bad = 0;
	bool intact = vqsim_memory_check(&bench->memory, &bad) == NULL;

	for (uint16_t i = 0; i < bench->guest.queue_count; i++)
		if (!vqsim_guest_needs_reset(&bench->guest) &&
		    !vqsim_referee_queue_void(&bench->referee, i))
			in_flight += bench->guest.queues[i].in_flight;
	vqsim_guest_reset(&bench->guest);
	maps = bench->memory.guest.map->refs;
	violations = bench->referee.violations;
	first = bench->first;
	free_all(bench);

	first_violation_fail(&first, violations);
	if (!intact)
		fail_msg("a canary changed at 0x%" PRIx64, bad);
	assert_int_equal(in_flight, 0);
	assert_int_equal(maps, 1);
}

/* Bringing up */

void bench_start_driver(struct bench *bench)
{
	if (bench->store)
		vqsim_blk_init(&bench->blk, &bench->guest, &bench->disk);
}

void bench_up(struct bench *bench)
{
	assert_int_equal(vqsim_guest_bring_up(&bench->guest, &bench->config), VQSIM_UP);
	bench_start_driver(bench);
}

/* Where the driver writes the ring. */
static void place_ring(struct bench *bench, struct vqsim_driver *driver,
		       const struct virtio_queue_setup *setup)
{
	struct vqsim_memory *memory = &bench->memory;
	struct vqsim_split_ring *ring = &driver->ring;
	uint16_t size = setup->size;
	uint16_t avail_index = setup->resume.avail_index, used_index = setup->resume.used_index;
	void *desc = vqsim_memory_find(memory, setup->desc_gpa, 16u * size);
	void *avail = vqsim_memory_find(memory, setup->driver_gpa, 6 + 2u * size);
	void *used = vqsim_memory_find(memory, setup->device_gpa, 6 + 8u * size);

	ring->desc = desc ? desc : ring->desc;
	ring->avail = avail ? avail : ring->avail;
	ring->used = used ? used : ring->used;
	ring->used_event = &ring->avail->ring[size];
	ring->avail_event = (__virtio16 *)&ring->used->ring[size];
	memset(ring->avail, 0, 6 + 2u * size);
	memset(ring->used, 0, 6 + 8u * size);
	ring->avail->idx = htole16(avail_index);
	ring->used->idx = htole16(used_index);
	*ring->used_event = htole16(used_index);
	driver->setup = *setup;
	driver->avail_index = driver->published_index = driver->kicked_index = avail_index;
	driver->used_index = used_index;
}

/* The reset comes first because it gives memory back. */
struct virtio_queue_setup bench_ring(struct bench *bench, uint16_t size, uint16_t index)
{
	vqsim_guest_reset(&bench->guest);
	return (struct virtio_queue_setup){
		.size = size,
		.desc_gpa = vqsim_memory_alloc(&bench->memory, 16u * size, 16),
		.driver_gpa = vqsim_memory_alloc(&bench->memory, 6 + 2u * size, 2),
		.device_gpa = vqsim_memory_alloc(&bench->memory, 6 + 8u * size, 4),
		.resume = {index, index, true, true},
	};
}

void bench_set_up_at(struct bench *bench, const struct virtio_queue_setup *setup)
{
	struct vqsim_guest *guest = &bench->guest;
	struct vqsim_driver *driver = &guest->queues[0];

	assert_int_equal(vqsim_guest_negotiate(guest, bench->config.features), VQSIM_UP);
	guest->mark = vqsim_memory_mark(&bench->memory);
	assert_int_equal(vqsim_driver_init(driver, &bench->memory, setup->size, guest->features),
			 0);
	place_ring(bench, driver, setup);
	assert_int_equal(virtio_transport_enable_queue(&guest->link.transport, 0, setup), 0);
	assert_int_equal(vqsim_referee_set_up(&bench->referee, guest->features, setup, 1), 0);
	guest->queue_count = 1;
}

bool bench_driver_ok(struct bench *bench)
{
	struct vqsim_guest *guest = &bench->guest;
	struct virtio_transport *transport = &guest->link.transport;

	vqsim_referee_before_driver_ok(&bench->referee, 0, guest->link.queues[0].notifications);
	virtio_transport_write_status(transport, virtio_transport_status(transport) |
							 VIRTIO_CONFIG_S_DRIVER_OK);
	if (vqsim_guest_needs_reset(guest))
		return false;
	bench_start_driver(bench);
	return true;
}

/* Memory */

uint64_t bench_end(const struct bench *bench, enum bench_region region)
{
	const struct vqsim_region *range = &bench->memory.mappings[region].range;

	return range->gpa + range->size;
}

enum direction {
	READ,
	WRITE,
};

/* Region by region; size is in bytes and the whole range must be there. */
static void transfer(const struct bench *bench, uint64_t gpa, uint8_t *data, uint64_t size,
		     enum direction direction)
{
	for (unsigned i = 0; i < bench->memory.count; i++) {
		const struct vqsim_mapping *m = &bench->memory.mappings[i];
		uint64_t offset = gpa - m->range.gpa, piece;

		if (offset >= m->range.size || size == 0)
			continue;
		piece = m->range.size - offset < size ? m->range.size - offset : size;
		if (direction == READ)
			memcpy(data, m->driver + offset, piece);
		else
			memcpy(m->driver + offset, data, piece);
		gpa += piece;
		data += piece;
		size -= piece;
	}
	assert_int_equal(size, 0);
}

void bench_read(const struct bench *bench, uint64_t gpa, void *to, uint64_t size)
{
	transfer(bench, gpa, to, size, READ);
}

void bench_write(const struct bench *bench, uint64_t gpa, const void *from, uint64_t size)
{
	transfer(bench, gpa, (uint8_t *)(uintptr_t)from, size, WRITE);
}

void bench_fill(const struct bench *bench, uint64_t gpa, uint8_t value, uint64_t size)
{
	uint8_t *data = malloc(size + 1);

	assert_non_null(data);
	memset(data, value, size);
	bench_write(bench, gpa, data, size);
	free(data);
}

void bench_snapshot(struct bench *bench)
{
	bench->allowed_count = 0;
	for (unsigned i = 0; i < bench->memory.count; i++) {
		const struct vqsim_mapping *m = &bench->memory.mappings[i];

		if (m->range.size > UINT32_MAX)
			continue;
		if (!bench->snapshot[i])
			bench->snapshot[i] = malloc(m->range.size);
		assert_non_null(bench->snapshot[i]);
		memcpy(bench->snapshot[i], m->driver, m->range.size);
	}
}

void bench_allow(struct bench *bench, uint64_t gpa, uint64_t size)
{
	assert_true(bench->allowed_count < BENCH_ALLOWED_MAX);
	bench->allowed[bench->allowed_count++] = (struct vqsim_region){gpa, size};
}

void bench_allow_rings(struct bench *bench)
{
	for (uint16_t i = 0; i < bench->guest.queue_count; i++) {
		const struct virtio_queue_setup *setup = &bench->guest.queues[i].setup;

		bench_allow(bench, setup->device_gpa, 6 + 8u * setup->size);
	}
}

static bool is_allowed(const struct bench *bench, uint64_t gpa)
{
	for (unsigned i = 0; i < bench->allowed_count; i++)
		if (gpa - bench->allowed[i].gpa < bench->allowed[i].size)
			return true;
	return false;
}

void bench_compare(struct bench *bench)
{
	for (unsigned i = 0; i < bench->memory.count; i++) {
		const struct vqsim_mapping *m = &bench->memory.mappings[i];
		const uint8_t *was = bench->snapshot[i];

		if (!was || memcmp(was, m->driver, m->range.size) == 0)
			continue;
		for (uint64_t at = 0; at < m->range.size; at++)
			if (was[at] != m->driver[at] && !is_allowed(bench, m->range.gpa + at))
				fail_msg("stray byte at 0x%" PRIx64, m->range.gpa + at);
	}
}

void bench_check(struct bench *bench)
{
	uint64_t bad = 0;

	first_violation_fail(&bench->first, bench->referee.violations);
	if (vqsim_memory_check(&bench->memory, &bad))
		fail_msg("a canary changed at 0x%" PRIx64, bad);
}

/* Good requests */

static void good_null_request(struct bench *bench)
{
	struct vqsim_memory_mark mark = vqsim_memory_mark(&bench->memory);
	uint64_t header = vqsim_memory_alloc(&bench->memory, NULL_HEADER_SIZE, 16);
	uint64_t data = vqsim_memory_alloc(&bench->memory, 512, 16);
	uint64_t status = vqsim_memory_alloc(&bench->memory, 1, 1);
	const struct vqsim_element elements[] = {
		{header, NULL_HEADER_SIZE, false}, {data, 512, true}, {status, 1, true}};
	struct vqsim_chain chain = {elements, 3, 3, 0};
	uint8_t expected[512], got[512], answer;
	struct vqsim_used used;

	for (unsigned i = 0; i < sizeof(expected); i++)
		expected[i] = (uint8_t)(0x3c + i);
	bench_fill(bench, header, 0x3c, NULL_HEADER_SIZE);
	bench_fill(bench, status, 0xff, 1);
	assert_true(vqsim_guest_add(&bench->guest, 0, &chain, bench) >= 0);
	vqsim_guest_publish(&bench->guest, 0);
	assert_int_equal(vqsim_guest_run(&bench->guest, 0), VIRTIO_IDLE);
	assert_int_equal(vqsim_guest_reap(&bench->guest, 0, &used), VQSIM_REAP_USED);
	assert_int_equal(used.len, 513);
	bench_read(bench, data, got, sizeof(got));
	bench_read(bench, status, &answer, 1);
	assert_memory_equal(got, expected, sizeof(got));
	assert_int_equal(answer, NULL_STATUS_OK);
	bench_check(bench);
	vqsim_memory_rewind(&bench->memory, &mark);
}

static void good_blk_request(struct bench *bench)
{
	struct vqsim_memory_mark mark = vqsim_memory_mark(&bench->memory);
	struct vqsim_blk_request request;

	assert_int_equal(vqsim_blk_request_init(&bench->blk, &request, 1024), 0);
	request.type = VIRTIO_BLK_T_OUT;
	request.sector = 40;
	request.data_size = 1024;
	memset(request.out_data, (int)bench->referee.step, 1024);
	assert_int_equal(vqsim_blk_do(&bench->blk, 0, &request), VIRTIO_BLK_S_OK);
	request.type = VIRTIO_BLK_T_IN;
	assert_int_equal(vqsim_blk_do(&bench->blk, 0, &request), VIRTIO_BLK_S_OK);
	assert_memory_equal(request.in_data, request.out_data, 1024);
	vqsim_blk_request_finish(&request);
	bench_check(bench);
	vqsim_memory_rewind(&bench->memory, &mark);
}

void bench_good_request(struct bench *bench)
{
	if (bench->store)
		good_blk_request(bench);
	else
		good_null_request(bench);
}

void bench_good_for_all(struct bench *bench)
{
	if (!vqsim_guest_needs_reset(&bench->guest))
		bench_good_request(bench);
	bench_check(bench);
	bench_up(bench);
	bench_good_request(bench);
}

int bench_run(const char *group, struct CMUnitTest *tests, size_t count)
{
	return _cmocka_run_group_tests(group, tests, count, NULL, NULL);
}
