/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the block device offers and says of itself (virtio 1.3, 5.2.3 to 5.2.5):
 * features, config space to the byte, capacity changes, queues.
 */
#include <endian.h>
#include <errno.h>
#include <stdlib.h>

#include "tests/support/bench.h"

#define BIT(name)   VIRTIO_FEATURE(VIRTIO_BLK_F_##name)
#define CONFIG_SIZE 60u
#define WRITEBACK   32u

static struct virtio_transport *transport_of(struct bench *bench)
{
	return &bench->guest.link.transport;
}

static uint64_t offer_of(const struct blk_options *options)
{
	struct bench *bench =
		bench_create(&(struct bench_options){.device = BENCH_BLK, .blk = *options});
	uint64_t offer = virtio_transport_features(transport_of(bench));

	bench_destroy(bench);
	return offer;
}

static uint8_t config_byte(struct bench *bench, uint32_t offset)
{
	uint8_t byte = 0xee;

	assert_int_equal(virtio_transport_config_read(transport_of(bench), offset, &byte, 1), 0);
	return byte;
}

/* Features */

/* BLK-D-01, BLK-D-02, BLK-D-24; BLK-29: QEMU 5f2585772f, cloud-hypervisor 5ae329305, crosvm
 * 8bb7fe525. */
static void offer_follows_the_options(void **state)
{
	static const struct {
		struct blk_options options;
		uint64_t with, without;
	} rows[] = {
		{{0}, BIT(FLUSH) | BIT(CONFIG_WCE) | BIT(SEG_MAX), BIT(RO) | BIT(MQ)},
		{{.read_only = true}, BIT(RO) | BIT(FLUSH), BIT(MQ)},
		{{.queue_count = 2}, BIT(MQ), BIT(RO)},
		{{.size_max = 4096}, BIT(SIZE_MAX), 0},
		{{.hidden_features = BIT(FLUSH)}, 0, BIT(FLUSH) | BIT(CONFIG_WCE)},
		{{.hidden_features = BIT(CONFIG_WCE)}, BIT(FLUSH), BIT(CONFIG_WCE)},
		{{.hidden_features = BIT(DISCARD)}, BIT(WRITE_ZEROES), BIT(DISCARD)},
	};
	/* BARRIER, GEOMETRY, SCSI, LIFETIME, SECURE_ERASE, ZONED. */
	const uint64_t never = 1u << 0 | 1u << 4 | 1u << 7 | 1u << 15 | 1u << 16 | 1u << 17;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		uint64_t offer = offer_of(&rows[i].options);

		assert_int_equal(offer & rows[i].with, rows[i].with);
		assert_int_equal(offer & (rows[i].without | never), 0);
		assert_true(offer & VIRTIO_FEATURE(VIRTIO_F_VERSION_1));
	}
}

static void impossible_options_are_refused(void **state)
{
	static const struct blk_options rows[] = {
		{.queue_size_max = 3},
		{.queue_size_max = 65535},
		{.block_size = 513},
		{.block_size = 256},
		{.block_size = 131072},
		{.seg_max = 1023},
		{.id = "0123456789abcdefghijk"},
	};
	struct blk_store *store = bench_store_create(8);
	struct virtio_device *device;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++)
		assert_int_equal(blk_create(&device, &rows[i], store), -EINVAL);
	store->ops->destroy(store);
}

/* Config space */

/* BLK-DX-02, BLK-D-04; CONF-14: QEMU a4f1542af5, 3a395142ba, 92e3c2a39e, the order of bytes. */
static void every_byte_of_the_config_is_right(void **state)
{
	static const struct {
		uint32_t offset, size;
		uint64_t value;
	} fields[] = {
		{0, 8, BENCH_DISK_SECTORS}, /* capacity */
		{8, 4, 65536},              /* size_max */
		{12, 4, 100},               /* seg_max */
		{20, 4, 4096},              /* blk_size */
		{26, 2, 1},                 /* min_io_size */
		{32, 1, 1},                 /* writeback */
		{34, 2, 3},                 /* num_queues */
		{36, 4, 1u << 22},          /* max_discard_sectors */
		{40, 4, 32},                /* max_discard_seg */
		{44, 4, 8},                 /* discard_sector_alignment: pages of ram */
		{48, 4, 1u << 22},          /* max_write_zeroes_sectors */
		{52, 4, 32},                /* max_write_zeroes_seg */
		{56, 1, 1},                 /* write_zeroes_may_unmap */
	};
	struct bench *bench = bench_create(&(struct bench_options){
		.device = BENCH_BLK,
		.blk = {.queue_count = 3, .seg_max = 100, .size_max = 65536, .block_size = 4096},
	});
	uint8_t expected[CONFIG_SIZE] = {0}, got[CONFIG_SIZE];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(fields); i++) {
		uint64_t value = htole64(fields[i].value);

		memcpy(expected + fields[i].offset, &value, fields[i].size);
	}
	assert_int_equal(bench->device->ops->config_size(bench->device), CONFIG_SIZE);
	for (uint32_t i = 0; i < CONFIG_SIZE; i++)
		got[i] = config_byte(bench, i);
	assert_memory_equal(got, expected, CONFIG_SIZE);
	for (uint32_t i = 0; i < CONFIG_SIZE; i++) {
		memset(got, 0, sizeof(got));
		assert_int_equal(
			virtio_transport_config_read(transport_of(bench), i, got, CONFIG_SIZE - i),
			0);
		assert_memory_equal(got, expected + i, CONFIG_SIZE - i);
	}
	bench_destroy(bench);
}

static void reads_past_the_config_are_refused(void **state)
{
	struct bench *bench = *state;
	uint8_t byte[8];

	assert_int_equal(virtio_transport_config_read(transport_of(bench), CONFIG_SIZE, byte, 1),
			 -EINVAL);
	assert_int_equal(
		virtio_transport_config_read(transport_of(bench), CONFIG_SIZE - 4, byte, 8),
		-EINVAL);
	assert_int_equal(virtio_transport_config_read(transport_of(bench), UINT32_MAX, byte, 2),
			 -EINVAL);
}

static int write_at(struct bench *bench, uint32_t offset, const void *data, uint32_t size)
{
	return virtio_transport_config_write(transport_of(bench), offset, data, size);
}

/* CONF-07: Firecracker afd05d6d3, e07fa35fb, 80fb45d04, cloud-hypervisor eabcd618b, the capacity. */
static void only_writeback_can_be_written(void **state)
{
	struct bench *bench = *state;
	uint8_t before[CONFIG_SIZE], after[CONFIG_SIZE], data[8] = {0};

	virtio_transport_config_read(transport_of(bench), 0, before, sizeof(before));
	for (uint32_t offset = 0; offset < CONFIG_SIZE; offset++)
		if (offset != WRITEBACK)
			assert_int_equal(write_at(bench, offset, data, 1), -EPERM);
	assert_int_equal(write_at(bench, 0, data, 8), -EPERM);
	assert_int_equal(write_at(bench, WRITEBACK, data, 4), -EPERM);
	assert_int_equal(write_at(bench, WRITEBACK - 1, data, 2), -EPERM);
	virtio_transport_config_read(transport_of(bench), 0, after, sizeof(after));
	assert_memory_equal(after, before, sizeof(after));
}

static void writeback_can_be_written(void **state)
{
	struct bench *bench = *state;
	uint32_t generation = virtio_transport_config_generation(transport_of(bench));

	assert_int_equal(config_byte(bench, WRITEBACK), 1);
	assert_int_equal(vqsim_blk_set_writeback(&bench->blk, false), 0);
	assert_int_equal(config_byte(bench, WRITEBACK), 0);
	assert_int_not_equal(virtio_transport_config_generation(transport_of(bench)), generation);
	for (unsigned value = 1; value < 256; value++) {
		uint8_t byte = (uint8_t)value;

		/* BLK-G-16 allows 0 and 1; what else comes must leave 0 or 1. */
		assert_int_equal(write_at(bench, WRITEBACK, &byte, 1), 0);
		assert_in_range(config_byte(bench, WRITEBACK), 0, 1);
	}
	/* The mode of one driver is not that of the next. */
	assert_int_equal(vqsim_blk_set_writeback(&bench->blk, false), 0);
	bench_up(bench);
	assert_int_equal(config_byte(bench, WRITEBACK), 1);
}

static void writeback_without_config_wce_is_read_only(void **state)
{
	struct bench *bench = bench_create(
		&(struct bench_options){.device = BENCH_BLK, .without = BIT(CONFIG_WCE)});

	(void)state;
	assert_int_equal(vqsim_blk_set_writeback(&bench->blk, false), -EPERM);
	assert_int_equal(config_byte(bench, WRITEBACK), 1);
	bench_destroy(bench);
}

/* BLK-D-03. */
static void writeback_starts_at_0_without_flush(void **state)
{
	struct bench *bench =
		bench_create(&(struct bench_options){.device = BENCH_BLK, .without = BIT(FLUSH)});

	(void)state;
	assert_true(bench->guest.features & BIT(CONFIG_WCE));
	assert_int_equal(config_byte(bench, WRITEBACK), 0);
	bench_destroy(bench);
}

/* Capacity */

static void resize(struct bench *bench, uint64_t sectors)
{
	assert_int_equal(bench->store->ops->resize(bench->store, sectors * 512), 0);
	blk_capacity_changed(bench->device);
}

/* BLK-D-05, BLK-D-06. */
static void capacity_change_is_told(void **state)
{
	struct bench *bench = *state;
	uint64_t told = bench->guest.link.config_notifications;
	uint32_t generation = virtio_transport_config_generation(transport_of(bench));

	resize(bench, BENCH_DISK_SECTORS / 2);
	assert_int_equal(bench->guest.link.config_notifications, told + 1);
	assert_int_not_equal(virtio_transport_config_generation(transport_of(bench)), generation);
	vqsim_blk_reread(&bench->blk);
	assert_int_equal(bench->blk.capacity, BENCH_DISK_SECTORS / 2);
	/* Nothing changed: nothing is told. */
	blk_capacity_changed(bench->device);
	assert_int_equal(bench->guest.link.config_notifications, told + 1);
	resize(bench, BENCH_DISK_SECTORS);
	assert_int_equal(bench->guest.link.config_notifications, told + 2);
}

static void capacity_change_moves_the_bound(void **state)
{
	struct bench *bench = *state;
	struct vqsim_blk_request request;

	assert_int_equal(vqsim_blk_request_init(&bench->blk, &request, 512), 0);
	request.type = VIRTIO_BLK_T_IN;
	request.data_size = 512;
	request.sector = 100;
	assert_int_equal(vqsim_blk_do(&bench->blk, 0, &request), VIRTIO_BLK_S_OK);
	resize(bench, 100);
	assert_int_equal(vqsim_blk_do(&bench->blk, 0, &request), VIRTIO_BLK_S_IOERR);
	request.sector = 99;
	assert_int_equal(vqsim_blk_do(&bench->blk, 0, &request), VIRTIO_BLK_S_OK);
	vqsim_blk_request_finish(&request);
}

/* A driver that is not there yet is told nothing; it reads the new value. */
static void capacity_change_before_the_driver(void **state)
{
	struct bench *bench = *state;
	uint64_t told;

	vqsim_guest_reset(&bench->guest);
	told = bench->guest.link.config_notifications;
	resize(bench, 64);
	assert_int_equal(bench->guest.link.config_notifications, told);
	bench_up(bench);
	assert_int_equal(bench->blk.capacity, 64);
}

/* Segments */

/* An IN of so many segments of 512 bytes, in the ring or through a table. */
static void read_segments(struct bench *bench, uint16_t count, bool indirect)
{
	uint32_t *cuts = calloc(count, sizeof(*cuts));
	struct vqsim_blk_request request;

	assert_non_null(cuts);
	for (uint16_t i = 0; i < count; i++)
		cuts[i] = 512;
	assert_int_equal(vqsim_blk_request_init(&bench->blk, &request, 512u * count), 0);
	request.type = VIRTIO_BLK_T_IN;
	request.data_size = 512u * count;
	request.writable_cuts = cuts;
	request.writable_cut_count = count;
	request.indirect = indirect;
	assert_int_equal(vqsim_blk_do(&bench->blk, 0, &request), VIRTIO_BLK_S_OK);
	assert_int_equal(request.used_len, 512u * count + 1);
	vqsim_blk_request_finish(&request);
	free(cuts);
}

static uint32_t seg_max_of(struct bench *bench)
{
	uint32_t seg_max = 0;

	assert_int_equal(virtio_transport_config_read(transport_of(bench), 12, &seg_max, 4), 0);
	return le32toh(seg_max);
}

/*
 * CONF-16: QEMU 1bf8a989a5, OpenVMM 33217159d, SPDK 9c6d4649eb, cf680fe47e, what is advertised
 * can be asked for: so many segments, a header and a status fit into the largest queue that the
 * device has, and through a table into any.
 */
static void as_many_segments_as_advertised(void **state)
{
	static const uint16_t sizes[] = {4, 16, 64, 128};

	(void)state;
	for (unsigned i = 0; i < 4 * COUNT_OF(sizes); i++) {
		uint16_t most = sizes[i / 4], size = i / 2 % 2 ? most : 4;
		struct bench *bench = bench_create(&(struct bench_options){
			.device = BENCH_BLK,
			.packed = i % 2,
			.queue_size = size,
			.blk = {.queue_size_max = most},
		});
		uint32_t count = seg_max_of(bench);

		assert_in_range(count, 1, most - 2u);
		read_segments(bench, (uint16_t)count, true);
		if (size == most)
			read_segments(bench, (uint16_t)count, false);
		bench_destroy(bench);
	}
}

/* Queues. BLK-DX-01. */
static void every_queue_serves(void **state)
{
	struct bench *bench = *state;
	struct vqsim_blk_request request[4];

	assert_int_equal(config_byte(bench, 34), 4);
	for (uint16_t q = 0; q < 4; q++) {
		assert_int_equal(vqsim_blk_request_init(&bench->blk, &request[q], 512), 0);
		request[q].type = VIRTIO_BLK_T_OUT;
		request[q].data_size = 512;
		request[q].sector = q;
		memset(request[q].out_data, q + 1, 512);
		assert_true(vqsim_blk_submit(&bench->blk, q, &request[q]) >= 0);
		vqsim_guest_publish(&bench->guest, q);
	}
	for (uint16_t q = 4; q-- > 0;) {
		vqsim_guest_settle(&bench->guest, q);
		assert_ptr_equal(vqsim_blk_reap(&bench->blk, q), &request[q]);
	}
	/* What one queue wrote, another one reads. */
	for (uint16_t q = 0; q < 4; q++) {
		request[q].type = VIRTIO_BLK_T_IN;
		assert_int_equal(vqsim_blk_do(&bench->blk, 3 - q, &request[q]), VIRTIO_BLK_S_OK);
		assert_memory_equal(request[q].in_data, request[q].out_data, 512);
		vqsim_blk_request_finish(&request[q]);
	}
}

static void queue_past_the_last_is_refused(void **state)
{
	struct bench *bench = *state;
	struct virtio_queue_setup setup = bench->guest.queues[0].setup;

	assert_int_equal(virtio_transport_enable_queue(transport_of(bench), 4, &setup), -EINVAL);
	assert_false(virtio_transport_queue_live(transport_of(bench), 4));
	/* CONF-02: CVE-2011-2512, numbers that are negative to somebody. */
	vqsim_link_kick(&bench->guest.link, 4, 4);
	vqsim_link_kick(&bench->guest.link, 0x7fff, 0x7fff);
	vqsim_link_kick(&bench->guest.link, 0x8000, 0x80000000);
	vqsim_link_kick(&bench->guest.link, 0xffff, 4);
	bench_good_request(bench);
}

/* CONF-17: QEMU 725fe5d10d, DPDK 7cc4f260bf, more queues than somebody once thought of. */
static void many_queues_serve(void **state)
{
	static const uint16_t counts[] = {65, 129, 257};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(counts); i++) {
		struct bench *bench = bench_create(&(struct bench_options){
			.device = BENCH_BLK, .queue_size = 4, .blk = {.queue_count = counts[i]}});
		struct vqsim_blk_request request;

		assert_int_equal(config_byte(bench, 34), counts[i] & 0xff);
		assert_int_equal(config_byte(bench, 35), counts[i] >> 8);
		assert_int_equal(vqsim_blk_request_init(&bench->blk, &request, 512), 0);
		request.type = VIRTIO_BLK_T_IN;
		request.data_size = 512;
		for (uint16_t q = 0; q < counts[i]; q++)
			assert_int_equal(vqsim_blk_do(&bench->blk, q, &request), VIRTIO_BLK_S_OK);
		vqsim_blk_request_finish(&request);
		bench_destroy(bench);
	}
}

/* LIFE-19: cloud-hypervisor 5aeb9f55d, propolis 957f5c45, 1df49a42, a driver may use fewer queues
 * than there are, and resets. */
static void one_queue_of_four_is_enough(void **state)
{
	struct bench *bench = bench_create(&(struct bench_options){
		.device = BENCH_BLK, .queue_count = 1, .blk = {.queue_count = 4}});

	(void)state;
	bench_good_for_all(bench);
	bench_destroy(bench);
}

static int setup(void **state)
{
	*state = bench_create(&(struct bench_options){.device = BENCH_BLK});
	return 0;
}

static int four_queues_setup(void **state)
{
	*state = bench_create(
		&(struct bench_options){.device = BENCH_BLK, .blk = {.queue_count = 4}});
	return 0;
}

static int teardown(void **state)
{
	bench_destroy(*state);
	return 0;
}

#define WITH(setup, test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(offer_follows_the_options),
		cmocka_unit_test(impossible_options_are_refused),
		cmocka_unit_test(every_byte_of_the_config_is_right),
		WITH(setup, reads_past_the_config_are_refused),
		WITH(setup, only_writeback_can_be_written),
		WITH(setup, writeback_can_be_written),
		cmocka_unit_test(writeback_without_config_wce_is_read_only),
		cmocka_unit_test(writeback_starts_at_0_without_flush),
		WITH(setup, capacity_change_is_told),
		WITH(setup, capacity_change_moves_the_bound),
		WITH(setup, capacity_change_before_the_driver),
		WITH(four_queues_setup, every_queue_serves),
		WITH(four_queues_setup, queue_past_the_last_is_refused),
		cmocka_unit_test(as_many_segments_as_advertised),
		cmocka_unit_test(many_queues_serve),
		cmocka_unit_test(one_queue_of_four_is_enough),
	};

	return cmocka_run_group_tests_name("blk config", tests, NULL, NULL);
}
