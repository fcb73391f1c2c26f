/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A driver that changes what it handed over while the request is in flight. What the device has
 * read, it has copied: the store holds a request, or the first part of it, and meanwhile
 * everything that was read is overwritten: descriptors, table, the entry of the available ring,
 * header, ranges. The request ends as it was taken, byte by byte.
 *
 * That each byte is also read only once by whoever takes a request is not seen here.
 */
#include <endian.h>
#include <stdlib.h>

#include "tests/support/async.h"

#define SIZE     2048u
#define SECTOR   24u
#define SEGMENTS 3u
#define TABLE    (16u * 32)
#define PIECES   20u /* the header and the first bytes behind it */

enum {
	OK = VIRTIO_BLK_S_OK,
	IN = VIRTIO_BLK_T_IN,
	OUT = VIRTIO_BLK_T_OUT,
};

/* Bytes that are changed, and what they were. */
struct change {
	uint64_t gpa;
	uint32_t size;
	uint8_t *was;
};

struct fixture {
	struct async *async;
	struct change changes[64];
	unsigned count;
	uint16_t first; /* packed: slot of the first descriptor */
	bool in_pieces; /* header and status are cut into bytes */
};

static struct vqsim_driver *driver_of(struct fixture *f)
{
	return &f->async->bench->guest.queues[0];
}

/* With a limit, a transfer is more than one operation of the store. */
static void at_most_512(struct blk_limits *limits)
{
	limits->transfer_max = 512;
}

/* Changing and putting back */

enum pattern {
	ZEROES,
	ONES,
	INVERTED,
	PATTERNS,
};

static uint8_t changed(uint8_t byte, enum pattern pattern)
{
	return pattern == ZEROES ? 0 : pattern == ONES ? 0xff : (uint8_t)~byte;
}

static void change(struct fixture *f, uint64_t gpa, uint32_t size, enum pattern pattern)
{
	struct change *c = &f->changes[f->count++];
	uint8_t *bytes = vqsim_memory_at(&f->async->bench->memory, gpa, size);

	assert_true(f->count <= COUNT_OF(f->changes));
	*c = (struct change){gpa, size, malloc(size)};
	assert_non_null(c->was);
	memcpy(c->was, bytes, size);
	for (uint32_t i = 0; i < size; i++)
		bytes[i] = changed(bytes[i], pattern);
}

/* Of the used descriptor in the first slot of a packed ring only the address is the driver's. */
static void put_back(struct fixture *f)
{
	uint64_t used = driver_of(f)->setup.desc_gpa + 16u * f->first;

	for (unsigned i = 0; i < f->count; i++) {
		struct change *c = &f->changes[i];
		bool is_used = driver_of(f)->is_packed && c->gpa == used;

		bench_write(f->async->bench, c->gpa, c->was, is_used ? 8 : c->size);
		free(c->was);
	}
	f->count = 0;
}

/* The slots of a packed ring that the request has; the others are not taken yet. */
static void change_slots(struct fixture *f, enum pattern pattern)
{
	const struct vqsim_driver *driver = driver_of(f);
	uint16_t size = driver->setup.size;

	for (uint32_t slot = f->first; slot != driver->avail_index; slot = (slot + 1) % size)
		change(f, driver->setup.desc_gpa + 16u * slot, 16, pattern);
}

static void change_ring(struct fixture *f, enum pattern pattern)
{
	const struct virtio_queue_setup *s = &driver_of(f)->setup;

	if (driver_of(f)->is_packed) {
		change_slots(f, pattern);
		return;
	}
	change(f, s->desc_gpa, 16u * s->size, pattern);
	change(f, s->driver_gpa + 4, 2u * s->size, pattern);
}

/* The data of an OUT is read when the store writes it, and so may change (see below). */
static void change_all(struct fixture *f, enum pattern pattern)
{
	const struct vqsim_blk_request *r = &f->async->requests[0];

	change_ring(f, pattern);
	change(f, r->table_gpa, TABLE, pattern);
	change(f, r->out_gpa, r->type == OUT ? 16 : 16 + r->data_size, pattern);
}

/* Requests */

static void fill_segments(struct vqsim_blk_request *r)
{
	for (uint32_t i = 0; i < SEGMENTS; i++) {
		const struct virtio_blk_discard_write_zeroes segment = {
			.sector = htole64(8u * (i + 1)),
			.num_sectors = htole32(8),
		};

		memcpy(r->out_data + sizeof(segment) * i, &segment, sizeof(segment));
	}
}

static void lay_out(struct fixture *f, uint32_t type, bool indirect)
{
	static const uint32_t ones[PIECES] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
					      1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
	struct vqsim_blk_request *r = &f->async->requests[0];
	bool has_segments = type == VIRTIO_BLK_T_DISCARD || type == VIRTIO_BLK_T_WRITE_ZEROES;
	uint32_t size = has_segments ? 16 * SEGMENTS : type == VIRTIO_BLK_T_FLUSH ? 0 : SIZE;

	r->indirect = indirect;
	r->readable_cuts = r->writable_cuts = f->in_pieces ? ones : NULL;
	r->readable_cut_count = r->writable_cut_count = f->in_pieces ? PIECES : 0;
	if (has_segments)
		fill_segments(r);
	f->first = (uint16_t)driver_of(f)->avail_index;
	async_add(f->async, 0, type, SECTOR, size);
}

static void check(struct fixture *f, uint32_t type, bool indirect, enum pattern pattern)
{
	struct async *a = f->async;

	async_hold(a);
	lay_out(f, type, indirect);
	assert_int_equal(async_run(a), VIRTIO_WAITING);
	change_all(f, pattern);
	async_let_go(a, VQSIM_FAULTS_ALL);
	/* The referee would take the changes for the driver's word. */
	while (vqsim_link_run(&a->bench->guest.link, 0, 1) != VIRTIO_IDLE)
		;
	put_back(f);
	vqsim_guest_settle(&a->bench->guest, 0);
	assert_int_equal(async_reap(a, OK), 1);
	bench_check(a->bench);
}

/*
 * TOCTOU-02: CVE-2020-14375, a header or a link that changes after it was checked; TOCTOU-05: DPDK
 * 285e6b8b18, a header that changes between two parts of the request.
 */
static void request_ends_as_it_was_taken(void **state)
{
	static const uint32_t types[] = {IN, OUT, VIRTIO_BLK_T_FLUSH, VIRTIO_BLK_T_DISCARD,
					 VIRTIO_BLK_T_WRITE_ZEROES};
	struct fixture *f = *state;

	for (unsigned i = 0; i < 2 * PATTERNS * COUNT_OF(types) * 2; i++) {
		enum pattern pattern = i / 2 % PATTERNS;

		f->in_pieces = i % 2;
		check(f, types[i / 2 / PATTERNS % COUNT_OF(types)],
		      i >= 2 * PATTERNS * COUNT_OF(types), pattern);
	}
	f->async->faults->hold = false;
	bench_good_request(f->async->bench);
}

/* TOCTOU-08: Firecracker 0bc13fabf, each byte of the disk is the old one or the new one. */
static void data_may_change_while_it_is_written(void **state)
{
	struct fixture *f = *state;
	struct async *a = f->async;
	struct vqsim_blk_request *r = &a->requests[0];
	uint8_t was[SIZE], disk[SIZE];

	async_hold(a);
	lay_out(f, OUT, false);
	memcpy(was, r->out_data, SIZE);
	assert_int_equal(async_run(a), VIRTIO_WAITING);
	for (unsigned part = 0; part < 4; part++) {
		async_let_go(a, 1);
		vqsim_link_run(&a->bench->guest.link, 0, 1);
		for (unsigned i = 0; i < SIZE; i++)
			r->out_data[i] = changed(r->out_data[i], INVERTED);
	}
	async_let_go(a, VQSIM_FAULTS_ALL);
	while (vqsim_link_run(&a->bench->guest.link, 0, 1) != VIRTIO_IDLE)
		;
	bench_disk_read(a->bench, 512u * SECTOR, disk, SIZE);
	for (unsigned i = 0; i < SIZE; i++)
		assert_true(disk[i] == was[i] || disk[i] == changed(was[i], INVERTED));
	memcpy(r->out_data, was, SIZE);
	vqsim_guest_settle(&a->bench->guest, 0);
	assert_int_equal(async_reap(a, OK), 1);
	vqsim_disk_know(&a->bench->disk, 512u * SECTOR, disk, SIZE);
	a->faults->hold = false;
	bench_good_request(a->bench);
}

static void create(void **state, struct async *async)
{
	static struct fixture f;

	f = (struct fixture){.async = async};
	*state = &f;
}

static int setup(void **state)
{
	create(state, async_create(at_most_512));
	return 0;
}

static int packed_setup(void **state)
{
	create(state, async_create_packed(at_most_512));
	return 0;
}

static int teardown(void **state)
{
	async_destroy(((struct fixture *)*state)->async);
	return 0;
}

#define WITH(setup, test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH(setup, request_ends_as_it_was_taken),
		WITH(packed_setup, request_ends_as_it_was_taken),
		WITH(setup, data_may_change_while_it_is_written),
		WITH(packed_setup, data_may_change_while_it_is_written),
	};

	return cmocka_run_group_tests_name("in flight", tests, NULL, NULL);
}
