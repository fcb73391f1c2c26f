/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What survives a loss of power (virtio 1.3, 5.2.6.2), on a store with a cache
 * that is lost. The model disk says what must be there; a second look says that
 * what may be lost is really still in the cache, so that the store proves something.
 */
#include <endian.h>
#include <errno.h>

#include "tests/support/bench.h"
#include "vqsim/faults.h"

#define BIT(name) VIRTIO_FEATURE(VIRTIO_BLK_F_##name)
#define ROOM      4096u
#define SECTOR    64u

struct fixture {
	struct bench *bench;
	struct vqsim_faults *faults;
	struct vqsim_blk_request request;
};

/* One bench at a time. */
static struct fixture fixture_of(uint64_t without)
{
	struct fixture f = {.faults = vqsim_faults_create(bench_store_create(BENCH_DISK_SECTORS))};

	assert_non_null(f.faults);
	f.bench = bench_create(&(struct bench_options){
		.device = BENCH_BLK, .without = without, .store = &f.faults->base});
	assert_int_equal(vqsim_blk_request_init(&f.bench->blk, &f.request, ROOM), 0);
	return f;
}

static void finish(struct fixture *f)
{
	vqsim_blk_request_finish(&f->request);
	bench_destroy(f->bench);
}

static int ask(struct fixture *f, uint32_t type, uint64_t sector, uint32_t size)
{
	f->request.type = type;
	f->request.sector = sector;
	f->request.data_size = size;
	return vqsim_blk_do(&f->bench->blk, 0, &f->request);
}

static void write_sectors(struct fixture *f, uint64_t sector, uint8_t value)
{
	memset(f->request.out_data, value, 1024);
	assert_int_equal(ask(f, VIRTIO_BLK_T_OUT, sector, 1024), VIRTIO_BLK_S_OK);
}

static void zero_sectors(struct fixture *f, uint64_t sector)
{
	struct virtio_blk_discard_write_zeroes s = {htole64(sector), htole32(2), 0};

	memcpy(f->request.out_data, &s, sizeof(s));
	assert_int_equal(ask(f, VIRTIO_BLK_T_WRITE_ZEROES, 0, 16), VIRTIO_BLK_S_OK);
}

static void flush(struct fixture *f)
{
	assert_int_equal(ask(f, VIRTIO_BLK_T_FLUSH, 0, 0), VIRTIO_BLK_S_OK);
}

/* What must be durable is: the model's demand. */
static void check(struct fixture *f)
{
	assert_int_equal(vqsim_disk_check_durable(&f->bench->disk, f->faults->medium), 0);
}

static bool is_on_medium(struct fixture *f, uint64_t sector, uint8_t value)
{
	return f->faults->medium[sector * 512] == value &&
	       f->faults->medium[sector * 512 + 1023] == value;
}

/* BLK-D-19, BLK-D-20, BLK-D-21; BLK-29: QEMU 5f2585772f, cloud-hypervisor 5ae329305, crosvm
 * 8bb7fe525, all combinations of FLUSH and CONFIG_WCE. */
static void durability_follows_the_features(void **state)
{
	static const struct {
		uint64_t without;
		bool writes_through;
	} rows[] = {
		{0, false},
		{BIT(CONFIG_WCE), false},
		{BIT(FLUSH), true},
		{BIT(FLUSH) | BIT(CONFIG_WCE), true},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct fixture f = fixture_of(rows[i].without);

		assert_int_equal(f.bench->blk.write_through, rows[i].writes_through);
		write_sectors(&f, SECTOR, 0x11);
		check(&f);
		assert_int_equal(is_on_medium(&f, SECTOR, 0x11), rows[i].writes_through);
		flush(&f);
		check(&f);
		assert_true(is_on_medium(&f, SECTOR, 0x11));
		zero_sectors(&f, SECTOR);
		check(&f);
		assert_int_equal(is_on_medium(&f, SECTOR, 0), rows[i].writes_through);
		finish(&f);
	}
}

/* BLK-D-20: right after the switch to writethrough, and back. */
static void writeback_switches_at_once(void **state)
{
	struct fixture f = fixture_of(0);

	(void)state;
	write_sectors(&f, SECTOR, 0x21);
	assert_false(is_on_medium(&f, SECTOR, 0x21));
	assert_int_equal(vqsim_blk_set_writeback(&f.bench->blk, false), 0);
	write_sectors(&f, SECTOR + 8, 0x22);
	assert_true(is_on_medium(&f, SECTOR + 8, 0x22));
	check(&f);
	zero_sectors(&f, SECTOR + 8);
	assert_true(is_on_medium(&f, SECTOR + 8, 0));
	check(&f);
	assert_int_equal(vqsim_blk_set_writeback(&f.bench->blk, true), 0);
	write_sectors(&f, SECTOR + 16, 0x23);
	assert_false(is_on_medium(&f, SECTOR + 16, 0x23));
	flush(&f);
	assert_true(is_on_medium(&f, SECTOR + 16, 0x23));
	check(&f);
	finish(&f);
}

/* BLK-D-21: a FLUSH covers every write that came back before it, on any queue. */
static void flush_covers_all_that_came_back(void **state)
{
	struct fixture f = fixture_of(0);

	(void)state;
	for (uint8_t i = 0; i < 20; i++)
		write_sectors(&f, 4u * i, (uint8_t)(0x30 + i));
	flush(&f);
	write_sectors(&f, 100, 0x77);
	check(&f);
	for (uint8_t i = 0; i < 20; i++)
		assert_true(is_on_medium(&f, 4u * i, (uint8_t)(0x30 + i)));
	assert_false(is_on_medium(&f, 100, 0x77));
	finish(&f);
}

/* BLK-16: cloud-hypervisor 823ab99e0, FLUSH that was not negotiated. */
static void flush_is_served_without_the_feature(void **state)
{
	struct fixture f = fixture_of(BIT(FLUSH) | BIT(CONFIG_WCE));

	(void)state;
	flush(&f);
	assert_int_equal(f.faults->log[f.faults->taken - 1].op, BLK_OP_FLUSH);
	finish(&f);
}

/* A FLUSH has neither sector nor data; a driver that sends them is not punished (BLK-G-08, -09). */
static void flush_with_a_sector_is_a_flush(void **state)
{
	struct fixture f = fixture_of(0);

	(void)state;
	write_sectors(&f, SECTOR, 0x51);
	assert_int_equal(ask(&f, VIRTIO_BLK_T_FLUSH, UINT64_MAX, 0), VIRTIO_BLK_S_OK);
	assert_true(is_on_medium(&f, SECTOR, 0x51));
	check(&f);
	finish(&f);
}

/* BLK-28: QEMU 0534b1b227, 49c3c8dca7, a FLUSH that failed is not OK, and promises nothing. */
static void failed_flush_is_told(void **state)
{
	struct fixture f = fixture_of(0);

	(void)state;
	write_sectors(&f, SECTOR, 0x61);
	f.faults->fail_at = f.faults->taken + 1;
	assert_int_equal(ask(&f, VIRTIO_BLK_T_FLUSH, 0, 0), VIRTIO_BLK_S_IOERR);
	assert_int_equal(f.request.used_len, 1);
	assert_false(is_on_medium(&f, SECTOR, 0x61));
	flush(&f);
	assert_true(is_on_medium(&f, SECTOR, 0x61));
	check(&f);
	finish(&f);
}

/* The cache is the disk's, not the driver's: a reset loses nothing, and a FLUSH after it covers. */
static void flush_after_a_reset_covers_what_was_before(void **state)
{
	struct fixture f = fixture_of(0);

	(void)state;
	write_sectors(&f, SECTOR, 0x71);
	vqsim_blk_request_finish(&f.request);
	bench_up(f.bench);
	assert_int_equal(vqsim_blk_request_init(&f.bench->blk, &f.request, ROOM), 0);
	flush(&f);
	assert_true(is_on_medium(&f, SECTOR, 0x71));
	check(&f);
	finish(&f);
}

/* A write in flight while the FLUSH is sent need not be covered; one before it must be. */
static void flush_in_flight_covers_what_was_done(void **state)
{
	struct fixture f = fixture_of(0);
	struct vqsim_blk_request late;

	(void)state;
	assert_int_equal(vqsim_blk_request_init(&f.bench->blk, &late, 1024), 0);
	write_sectors(&f, SECTOR, 0x41);
	f.faults->hold = true;
	f.faults->let_go = 0;
	f.request.type = VIRTIO_BLK_T_FLUSH;
	f.request.data_size = 0;
	late.type = VIRTIO_BLK_T_OUT;
	late.sector = SECTOR + 4;
	late.data_size = 1024;
	memset(late.out_data, 0x42, 1024);
	assert_true(vqsim_blk_submit(&f.bench->blk, 0, &f.request) >= 0);
	assert_true(vqsim_blk_submit(&f.bench->blk, 0, &late) >= 0);
	vqsim_guest_publish(&f.bench->guest, 0);
	assert_int_equal(vqsim_guest_run(&f.bench->guest, 0), VIRTIO_WAITING);
	/* The write is done first. */
	f.faults->newest_first = true;
	f.faults->let_go = VQSIM_FAULTS_ALL;
	vqsim_guest_settle(&f.bench->guest, 0);
	assert_ptr_equal(vqsim_blk_reap(&f.bench->blk, 0), &late);
	assert_ptr_equal(vqsim_blk_reap(&f.bench->blk, 0), &f.request);
	assert_true(is_on_medium(&f, SECTOR, 0x41));
	check(&f);
	vqsim_blk_request_finish(&late);
	finish(&f);
}

/* A store without a cache is not asked for what it does anyway. */
static void drop_cache(struct blk_limits *limits)
{
	limits->volatile_cache = false;
}

static void store_without_a_cache_is_not_asked_for_fua(void **state)
{
	struct vqsim_faults *faults = vqsim_faults_create(bench_store_create(BENCH_DISK_SECTORS));
	struct fixture f = {.faults = faults};

	(void)state;
	assert_non_null(faults);
	faults->limit = drop_cache;
	f.bench = bench_create(&(struct bench_options){
		.device = BENCH_BLK, .without = BIT(FLUSH), .store = &faults->base});
	assert_int_equal(vqsim_blk_request_init(&f.bench->blk, &f.request, ROOM), 0);
	write_sectors(&f, SECTOR, 1);
	assert_int_equal(faults->log[faults->taken - 1].flags, 0);
	finish(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(durability_follows_the_features),
		cmocka_unit_test(writeback_switches_at_once),
		cmocka_unit_test(flush_covers_all_that_came_back),
		cmocka_unit_test(flush_is_served_without_the_feature),
		cmocka_unit_test(flush_with_a_sector_is_a_flush),
		cmocka_unit_test(failed_flush_is_told),
		cmocka_unit_test(flush_after_a_reset_covers_what_was_before),
		cmocka_unit_test(flush_in_flight_covers_what_was_done),
		cmocka_unit_test(store_without_a_cache_is_not_asked_for_fua),
	};

	return cmocka_run_group_tests_name("blk durability", tests, NULL, NULL);
}
