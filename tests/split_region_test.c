/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Rings at the borders of memory, changes of the memory map, and the log of
 * pages that a device wrote.
 */
#include <endian.h>
#include <stdlib.h>

#include "tests/support/bench.h"

#define SIZE       16u
#define DESC_SIZE  (16u * SIZE)
#define AVAIL_SIZE (6 + 2 * SIZE)
#define USED_SIZE  (6 + 8 * SIZE)
#define PAGE       GUEST_DIRTY_PAGE_SIZE

/* One request of three descriptors, on either device. */
struct request {
	struct bench *bench;
	uint64_t header, data, status, table;
	uint32_t data_size;
};

static struct request request_of(struct bench *bench, uint32_t data_size)
{
	return (struct request){
		.bench = bench,
		.header = vqsim_memory_alloc(&bench->memory, 16, 16),
		.data = vqsim_memory_alloc(&bench->memory, data_size, PAGE),
		.status = vqsim_memory_alloc(&bench->memory, 1, 1),
		.table = vqsim_memory_alloc(&bench->memory, 64 * 16, 16),
		.data_size = data_size,
	};
}

static void expose(struct request *r, bool in)
{
	const struct vqsim_element elements[] = {
		{r->header, 16, false}, {r->data, r->data_size, in}, {r->status, 1, true}};
	struct vqsim_chain chain = {elements, 3, 3, 0};
	struct virtio_blk_outhdr header = {
		.type = htole32(in ? VIRTIO_BLK_T_IN : VIRTIO_BLK_T_OUT)};
	int head;

	bench_write(r->bench, r->header, &header, sizeof(header));
	head = vqsim_guest_add(&r->bench->guest, 0, &chain, r);
	assert_true(head >= 0);
	vqsim_referee_expect_len(&r->bench->referee, 0, (uint16_t)head, in ? r->data_size + 1 : 1);
}

static void run(struct bench *bench, unsigned count)
{
	struct vqsim_used used;

	vqsim_guest_publish(&bench->guest, 0);
	vqsim_guest_settle(&bench->guest, 0);
	for (unsigned i = 0; i < count; i++)
		assert_int_equal(vqsim_guest_reap(&bench->guest, 0, &used), VQSIM_REAP_USED);
}

/* Where a ring may lie */

enum part {
	DESC,
	AVAIL,
	USED,
};

static struct virtio_queue_setup ring_with(struct bench *bench, enum part part, uint64_t gpa)
{
	struct virtio_queue_setup setup = bench_ring(bench, SIZE, 0);
	uint64_t *const places[] = {&setup.desc_gpa, &setup.driver_gpa, &setup.device_gpa};

	*places[part] = gpa;
	return setup;
}

/* MEM-05: DPDK 5d9dc18e1b, 61ec8f58b0, a ring that ends with its region. */
static void ring_may_end_with_a_region(void **state)
{
	struct bench *bench = *state;
	static const uint64_t sizes[] = {DESC_SIZE, AVAIL_SIZE, USED_SIZE + 2};

	for (enum part part = DESC; part <= USED; part++) {
		uint64_t gpa = bench_end(bench, BENCH_APART) - sizes[part];
		struct virtio_queue_setup setup = ring_with(bench, part, gpa);

		bench_set_up_at(bench, &setup);
		assert_true(bench_driver_ok(bench));
		bench_good_request(bench);
		bench_good_request(bench);
	}
}

/* MEM-05: DPDK 5d9dc18e1b, 61ec8f58b0, used_event or the last entries lie outside. */
static void ring_past_its_region_is_refused(void **state)
{
	struct bench *bench = *state;
	static const struct {
		enum part part;
		uint64_t inside;
	} rows[] = {
		{DESC, DESC_SIZE - 16},  {DESC, 16}, {DESC, 0},
		{AVAIL, AVAIL_SIZE - 2}, {AVAIL, 4}, {AVAIL, 0},
		{USED, USED_SIZE - 2},   {USED, 4},  {USED, 0},
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		uint64_t gpa = bench_end(bench, BENCH_APART) - rows[i].inside;
		struct virtio_queue_setup setup = ring_with(bench, rows[i].part, gpa);
		uint64_t before = bench->guest.link.config_notifications;

		bench_set_up_at(bench, &setup);
		bench_snapshot(bench);
		assert_false(bench_driver_ok(bench));
		bench_compare(bench);
		assert_int_equal(bench->guest.link.config_notifications, before + 1);
		bench_up(bench);
		bench_good_request(bench);
	}
}

/* CHAIN-07: DPDK c687b0b635, behind the table stands what would go on well: nobody looks there. */
static void descriptor_behind_the_table_is_not_followed(void **state)
{
	struct bench *bench = *state;
	struct virtio_queue_setup setup = bench_ring(bench, SIZE, 0);
	uint64_t decoy = vqsim_memory_alloc(&bench->memory, 64, 16);
	struct vring_desc behind = {htole64(decoy), htole32(64), htole16(VRING_DESC_F_WRITE), 0};
	struct request r;

	setup.desc_gpa = vqsim_memory_alloc(&bench->memory, DESC_SIZE + 16, 16);
	for (unsigned readable = 1; readable <= 2; readable++) {
		const struct vqsim_element elements[] = {
			{decoy, 16, false}, {decoy, 0, false}, {decoy, 1, true}};
		struct vqsim_chain chain = {elements, 3, 3, 0};
		struct vring_desc *desc;

		bench_set_up_at(bench, &setup);
		assert_true(bench_driver_ok(bench));
		bench_good_request(bench);
		bench_write(bench, setup.desc_gpa + DESC_SIZE, &behind, sizeof(behind));
		assert_int_equal(vqsim_guest_add(&bench->guest, 0, &chain, bench), 0);
		/* The descriptors of a new ring are handed out in order. */
		desc = &bench->guest.queues[0].ring.desc[readable - 1];
		desc->flags = htole16(VRING_DESC_F_NEXT);
		desc->next = htole16(SIZE);
		vqsim_guest_publish(&bench->guest, 0);
		bench_snapshot(bench);
		bench_allow(bench, setup.device_gpa, USED_SIZE);
		run(bench, 0);
		bench_compare(bench);
		assert_true(vqsim_guest_needs_reset(&bench->guest));
	}
	bench_up(bench);
	r = request_of(bench, 512);
	expose(&r, true);
	run(bench, 1);
}

/* MEM-07: rust-vmm 3a70269, a descriptor table over two regions. */
static void descriptor_table_may_cross_regions(void **state)
{
	struct bench *bench = *state;
	static const uint64_t before[] = {16, 128, DESC_SIZE - 16};

	for (size_t i = 0; i < COUNT_OF(before); i++) {
		uint64_t gpa = bench_end(bench, BENCH_LOW) - before[i];
		struct virtio_queue_setup setup = ring_with(bench, DESC, gpa);

		bench_set_up_at(bench, &setup);
		assert_true(bench_driver_ok(bench));
		for (unsigned lap = 0; lap < SIZE; lap++) {
			struct vqsim_memory_mark mark = vqsim_memory_mark(&bench->memory);
			struct request r = request_of(bench, 512);

			expose(&r, true);
			bench_write(bench, gpa, bench->guest.queues[0].ring.desc, DESC_SIZE);
			run(bench, 1);
			bench_check(bench);
			vqsim_memory_rewind(&bench->memory, &mark);
		}
	}
}

/* Changes of the map */

/* What is hidden is no memory any more; the ring goes on when it is back. */
static void hidden_region_is_refused_and_comes_back(void **state)
{
	struct bench *bench = *state;
	struct request r = request_of(bench, 512);

	r.data = bench_end(bench, BENCH_APART) - 512;
	expose(&r, true);
	run(bench, 1);
	assert_int_equal(vqsim_memory_hide(&bench->memory, BENCH_APART), 0);
	expose(&r, true);
	vqsim_guest_publish(&bench->guest, 0);
	bench_snapshot(bench);
	bench_allow_rings(bench);
	run(bench, 0);
	bench_compare(bench);
	assert_true(vqsim_guest_needs_reset(&bench->guest));
	assert_int_equal(vqsim_memory_expose(&bench->memory, BENCH_APART), 0);
	bench_up(bench);
	expose(&r, true);
	run(bench, 1);
}

/* The ring itself goes away: the device touches nothing and asks for a reset. */
static void ring_that_is_hidden_asks_for_a_reset(void **state)
{
	struct bench *bench = *state;
	uint64_t gpa = bench_end(bench, BENCH_APART) - 256;
	struct virtio_queue_setup setup = ring_with(bench, USED, gpa);
	struct request r;

	bench_set_up_at(bench, &setup);
	assert_true(bench_driver_ok(bench));
	bench_good_request(bench);
	r = request_of(bench, 512);
	assert_int_equal(vqsim_memory_hide(&bench->memory, BENCH_APART), 0);
	expose(&r, true);
	vqsim_guest_publish(&bench->guest, 0);
	bench_snapshot(bench);
	run(bench, 0);
	bench_compare(bench);
	assert_true(vqsim_guest_needs_reset(&bench->guest));
	bench_up(bench);
	bench_good_request(bench);
	assert_int_equal(vqsim_memory_expose(&bench->memory, BENCH_APART), 0);
}

#define ROM_GPA  (UINT64_C(1) << 36)
#define ROM_SIZE 8192u

/* A region that devices may only read. The driver side does not know it. */
static uint8_t *add_rom(struct bench *bench)
{
	struct guest_region rom = {
		.gpa = ROM_GPA,
		.size = ROM_SIZE,
		.hva = aligned_alloc(4096, ROM_SIZE),
		.fd = -1,
		.access = GUEST_READ,
	};

	assert_non_null(rom.hva);
	memset(rom.hva, 0x66, ROM_SIZE);
	assert_int_equal(guest_memory_add(&bench->memory.guest, &rom), 0);
	return rom.hva;
}

static void remove_rom(struct bench *bench, uint8_t *rom)
{
	vqsim_guest_reset(&bench->guest);
	assert_int_equal(guest_memory_remove(&bench->memory.guest, ROM_GPA, ROM_SIZE), 0);
	for (unsigned i = 0; i < ROM_SIZE; i++)
		assert_int_equal(rom[i], 0x66);
	free(rom);
	bench_up(bench);
}

/* BLK-14: only what the driver offers to be written is written; a read-only region never is. */
static void read_only_memory_is_read_and_not_written(void **state)
{
	struct bench *bench = *state;
	uint8_t *rom = add_rom(bench);
	struct request r = request_of(bench, 512);

	r.data = ROM_GPA;
	expose(&r, false);
	run(bench, 1);
	assert_false(vqsim_guest_needs_reset(&bench->guest));
	expose(&r, true);
	run(bench, 0);
	assert_true(vqsim_guest_needs_reset(&bench->guest));
	remove_rom(bench, rom);
	bench_good_request(bench);
}

/* The dirty log */

struct log {
	uint8_t bits[32]; /* LOW and NEXT have 192 pages */
};

static void log_start(struct bench *bench, struct log *log, uint64_t size)
{
	memset(log, 0, sizeof(*log));
	bench->memory.guest.dirty_log = log->bits;
	bench->memory.guest.dirty_log_size = size;
}

static void log_stop(struct bench *bench)
{
	bench->memory.guest.dirty_log = NULL;
	bench->memory.guest.dirty_log_size = 0;
}

static bool is_dirty(const struct log *log, uint64_t gpa)
{
	return log->bits[gpa / PAGE / 8] & (1u << (gpa / PAGE % 8));
}

static void assert_dirty(const struct log *log, uint64_t gpa, uint64_t size)
{
	for (uint64_t page = gpa / PAGE; page <= (gpa + size - 1) / PAGE; page++)
		assert_true(is_dirty(log, page * PAGE));
}

/* MEM-19: QEMU 2a6cdd6d35, MEM-20: QEMU acbd487ddb, DPDK 4da3dd4885, QEMU 3cdf847329. */
static void log_has_every_page_that_was_written(void **state)
{
	struct bench *bench = *state;
	uint64_t used_ring = bench->guest.queues[0].setup.device_gpa;
	struct request r[4];
	struct log log;

	for (unsigned i = 0; i < COUNT_OF(r); i++)
		r[i] = request_of(bench, 3 * PAGE);
	/* One over the border of two regions, none aligned. */
	r[1].data = bench_end(bench, BENCH_LOW) - 5000;
	r[2].data += 512;
	r[2].data_size -= 1024;
	log_start(bench, &log, sizeof(log.bits));
	for (unsigned i = 0; i < COUNT_OF(r); i++)
		expose(&r[i], true);
	run(bench, COUNT_OF(r));
	for (unsigned i = 0; i < COUNT_OF(r); i++) {
		assert_dirty(&log, r[i].data, r[i].data_size);
		assert_dirty(&log, r[i].status, 1);
	}
	assert_dirty(&log, used_ring, USED_SIZE);
	assert_int_equal(log.bits[24], 0);
	log_stop(bench);
}

/* MEM-20: QEMU 3cdf847329, the write of avail_event counts too. */
static void log_has_the_event_of_an_idle_queue(void **state)
{
	struct bench *bench = *state;
	struct virtio_queue_setup setup = ring_with(bench, USED, 40 * PAGE - 4 - 8 * SIZE);
	struct log log;

	/* avail_event alone lies in page 40. */
	bench_set_up_at(bench, &setup);
	assert_true(bench_driver_ok(bench));
	log_start(bench, &log, sizeof(log.bits));
	bench_good_request(bench);
	assert_true(is_dirty(&log, 39 * PAGE));
	assert_true(is_dirty(&log, 40 * PAGE));
	log_stop(bench);
}

static void log_spares_what_was_only_read(void **state)
{
	struct bench *bench = *state;
	struct request r = request_of(bench, 3 * PAGE);
	struct log log;

	r.data = 64 * PAGE;
	log_start(bench, &log, sizeof(log.bits));
	expose(&r, false);
	run(bench, 1);
	for (unsigned i = 0; i < 3; i++)
		assert_false(is_dirty(&log, r.data + i * PAGE));
	assert_dirty(&log, r.status, 1);
	log_stop(bench);
}

/* LEN-10: CVE-2019-14835, a table full of writable descriptors without a byte. */
static void log_bears_a_chain_of_empty_descriptors(void **state)
{
	struct bench *bench = *state;
	struct request r = request_of(bench, 512);
	struct vqsim_element elements[64] = {{r.header, 16, false}};
	struct vqsim_chain chain = {elements, 64, 0, r.table};
	struct log *log = malloc(sizeof(*log));

	assert_non_null(log);
	for (unsigned i = 1; i < 63; i++)
		elements[i] = (struct vqsim_element){UINT64_MAX - i * PAGE, 0, true};
	elements[63] = (struct vqsim_element){r.status, 1, true};
	log_start(bench, log, sizeof(log->bits));
	assert_true(vqsim_guest_add(&bench->guest, 0, &chain, bench) >= 0);
	run(bench, 1);
	assert_dirty(log, r.status, 1);
	assert_int_equal(log->bits[31], 0);
	log_stop(bench);
	free(log);
}

/* LEN-10: CVE-2019-14835, pages that the log has no bit for. */
static void log_that_is_too_small_is_not_left(void **state)
{
	struct bench *bench = *state;
	struct request r = request_of(bench, 512);
	struct log log;

	r.data = bench_end(bench, BENCH_TOP) - 512;
	r.status = bench_end(bench, BENCH_LOW) - 1;
	log_start(bench, &log, 8);
	expose(&r, true);
	run(bench, 1);
	for (unsigned i = 8; i < sizeof(log.bits); i++)
		assert_int_equal(log.bits[i], 0);
	log_stop(bench);
}

/* CHAIN-20: rust-vmm 27740a5, good buffers whose lengths make more than 2^32. */
static void chain_of_more_than_4_gib_is_refused(void **state)
{
	struct bench *bench = bench_create(&(struct bench_options){.huge = true});
	uint64_t huge = bench_end(bench, BENCH_HUGE) - (UINT64_C(1) << 32) - PAGE;
	struct request r = request_of(bench, 512);
	const struct vqsim_element elements[] = {
		{huge, UINT32_MAX, false}, {huge, UINT32_MAX, false}, {r.status, 1, true}};
	struct vqsim_chain chain = {elements, 3, 3, 0};

	(void)state;
	assert_true(vqsim_guest_add(&bench->guest, 0, &chain, bench) >= 0);
	run(bench, 0);
	assert_true(vqsim_guest_needs_reset(&bench->guest));
	bench_good_for_all(bench);

	/* 2^32 - 1 readable bytes and one to write are the most there can be. */
	chain.elements = elements + 1;
	chain.count = chain.direct = 2;
	assert_true(vqsim_guest_add(&bench->guest, 0, &chain, bench) >= 0);
	run(bench, 1);
	bench_destroy(bench);
}

static int null_setup(void **state)
{
	*state = bench_create(&(struct bench_options){.device = BENCH_NULL});
	return 0;
}

static int blk_setup(void **state)
{
	*state = bench_create(&(struct bench_options){.device = BENCH_BLK});
	return 0;
}

static int plain_setup(void **state)
{
	*state = bench_create(&(struct bench_options){
		.device = BENCH_BLK, .without = VIRTIO_FEATURE(VIRTIO_RING_F_EVENT_IDX)});
	return 0;
}

static int teardown(void **state)
{
	bench_destroy(*state);
	return 0;
}

#define WITH(setup, test) cmocka_unit_test_setup_teardown(test, setup, teardown)

/* clang-format off */
#define EVERY_DEVICE(setup) \
	WITH(setup, ring_may_end_with_a_region), \
	WITH(setup, ring_past_its_region_is_refused), \
	WITH(setup, descriptor_behind_the_table_is_not_followed), \
	WITH(setup, descriptor_table_may_cross_regions), \
	WITH(setup, hidden_region_is_refused_and_comes_back), \
	WITH(setup, ring_that_is_hidden_asks_for_a_reset), \
	WITH(setup, read_only_memory_is_read_and_not_written), \
	WITH(setup, log_has_every_page_that_was_written), \
	WITH(setup, log_has_the_event_of_an_idle_queue), \
	WITH(setup, log_spares_what_was_only_read), \
	WITH(setup, log_bears_a_chain_of_empty_descriptors), \
	WITH(setup, log_that_is_too_small_is_not_left)
/* clang-format on */

int main(void)
{
	const struct CMUnitTest null[] = {
		EVERY_DEVICE(null_setup),
		cmocka_unit_test(chain_of_more_than_4_gib_is_refused),
	};
	const struct CMUnitTest blk[] = {
		EVERY_DEVICE(blk_setup),
		WITH(plain_setup, log_has_every_page_that_was_written),
		WITH(plain_setup, log_spares_what_was_only_read),
	};
	int failed = cmocka_run_group_tests_name("split regions, null", null, NULL, NULL);

	return failed + cmocka_run_group_tests_name("split regions, blk", blk, NULL, NULL);
}
