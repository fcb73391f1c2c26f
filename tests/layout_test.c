/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A framing says nothing (virtio 1.3, 2.7.4.1): every legal layout of a block request has
 * the same answer. The walk is that of vqsim/chain.h.
 */
#include <endian.h>
#include <stdio.h>

#include "tests/support/bench.h"

#define SECTOR     8u
#define QUEUE_SIZE 1024u
#define RANDOM     400u

/* A request with everything that the standard says about its answer. */
struct request {
	const char *name;
	uint32_t type;
	uint64_t sector;
	uint32_t out_size; /* data of the driver */
	uint32_t in_size;  /* data of the device */
	uint32_t len;      /* used */
	uint8_t status;
};

static const struct request requests[] = {
	{"in", VIRTIO_BLK_T_IN, SECTOR, 0, 512, 513, VIRTIO_BLK_S_OK},
	{"out", VIRTIO_BLK_T_OUT, SECTOR, 512, 0, 1, VIRTIO_BLK_S_OK},
	{"flush", VIRTIO_BLK_T_FLUSH, 0, 0, 0, 1, VIRTIO_BLK_S_OK},
	{"get id", VIRTIO_BLK_T_GET_ID, 0, 0, 20, 21, VIRTIO_BLK_S_OK},
	{"discard", VIRTIO_BLK_T_DISCARD, 0, 32, 0, 1, VIRTIO_BLK_S_OK},
	{"write zeroes", VIRTIO_BLK_T_WRITE_ZEROES, 0, 32, 0, 1, VIRTIO_BLK_S_OK},
	{"in outside", VIRTIO_BLK_T_IN, BENCH_DISK_SECTORS, 0, 512, 0, VIRTIO_BLK_S_IOERR},
	{"out outside", VIRTIO_BLK_T_OUT, BENCH_DISK_SECTORS, 512, 0, 1, VIRTIO_BLK_S_IOERR},
	{"unknown", 0x7e, 0, 0, 8, 0, VIRTIO_BLK_S_UNSUPP},
};

/* Where the runs lie. */
enum place {
	INSIDE,
	READABLE_CROSSES,
	WRITABLE_CROSSES,
	PLACES,
};

enum ring {
	SPLIT,
	SPLIT_EVENT_IDX,
	SPLIT_IN_ORDER,
	PACKED,
	PACKED_EVENT_IDX,
	PACKED_IN_ORDER,
	RINGS,
};

struct fixture {
	const struct request *request;
	enum ring ring;
	char name[64];
	struct bench *bench;
	struct vqsim_layout_walk walk;
	uint8_t fill; /* of the disk and of the data, different each time */
};

static bool is_packed(const struct fixture *f)
{
	return f->ring >= PACKED;
}

static bool is_in_order(const struct fixture *f)
{
	return f->ring == SPLIT_IN_ORDER || f->ring == PACKED_IN_ORDER;
}

/* Half of the run on each side of the border, or anywhere. */
static uint64_t place_run(struct bench *bench, uint32_t size, bool crosses)
{
	if (crosses)
		return bench_end(bench, BENCH_LOW) - (size + 1) / 2;
	return vqsim_memory_alloc(&bench->memory, size, 8);
}

static void start_walk(struct fixture *f, enum place place)
{
	struct bench *bench = f->bench;
	uint32_t readable = 16 + f->request->out_size, writable = f->request->in_size + 1;
	struct vqsim_layout_request request = {
		.readable_gpa = place_run(bench, readable, place == READABLE_CROSSES),
		.readable_size = readable,
		.writable_gpa = place_run(bench, writable, place == WRITABLE_CROSSES),
		.writable_size = writable,
		.queue_size = QUEUE_SIZE,
		.table_gpa = vqsim_memory_alloc(&bench->memory, 16 * QUEUE_SIZE, 16),
		.mixed = !is_packed(f),
		.random_count = RANDOM,
		.seed = 1 + place,
	};

	vqsim_layout_start(&f->walk, &request);
}

/* What an OUT writes, or the one segment and the empty one of DISCARD and its kin. */
static void write_data(struct fixture *f, uint64_t gpa)
{
	struct virtio_blk_discard_write_zeroes segments[2] = {
		{htole64(SECTOR), htole32(1), 0},
		{htole64(SECTOR), 0, 0},
	};

	if (f->request->type == VIRTIO_BLK_T_OUT)
		bench_fill(f->bench, gpa, (uint8_t)~f->fill, f->request->out_size);
	else if (f->request->out_size > 0)
		bench_write(f->bench, gpa, segments, sizeof(segments));
}

static void prepare(struct fixture *f)
{
	const struct vqsim_layout_request *l = &f->walk.request;
	struct virtio_blk_outhdr header = {
		.type = htole32(f->request->type),
		.sector = htole64(f->request->sector),
	};
	uint8_t sector[512];

	f->fill = (uint8_t)(1 + f->walk.layouts % 251);
	memset(sector, f->fill, sizeof(sector));
	assert_int_equal(bench_store_do(f->bench->store, BLK_OP_WRITE, SECTOR * 512, sector, 512),
			 0);
	bench_write(f->bench, l->readable_gpa, &header, sizeof(header));
	write_data(f, l->readable_gpa + sizeof(header));
	bench_fill(f->bench, l->writable_gpa, 0xee, l->writable_size);
}

/* The whole answer: the byte that each byte of the data must be, and the status. */
static void check_answer(struct fixture *f, uint32_t len)
{
	const struct request *r = f->request;
	uint8_t got[513], expected[513];

	memset(expected, 0xee, sizeof(expected));
	if (r->type == VIRTIO_BLK_T_IN && r->status == VIRTIO_BLK_S_OK)
		memset(expected, f->fill, r->in_size);
	if (r->type == VIRTIO_BLK_T_GET_ID) {
		memset(expected, 0, r->in_size);
		memcpy(expected, "layouts", 7);
	}
	expected[r->in_size] = r->status;
	bench_read(f->bench, f->walk.request.writable_gpa, got, r->in_size + 1);
	assert_memory_equal(got, expected, r->in_size + 1);
	assert_int_equal(len, r->len);
}

static void check_disk(struct fixture *f)
{
	const struct request *r = f->request;
	uint8_t got[512], expected[512], byte = f->fill;

	if (r->type == VIRTIO_BLK_T_OUT && r->status == VIRTIO_BLK_S_OK)
		byte = (uint8_t)~f->fill;
	/* A ram store gives discarded space back, which then reads as zero. */
	if (r->type == VIRTIO_BLK_T_WRITE_ZEROES || r->type == VIRTIO_BLK_T_DISCARD)
		byte = 0;
	memset(expected, byte, sizeof(expected));
	bench_disk_read(f->bench, SECTOR * 512, got, sizeof(got));
	assert_memory_equal(got, expected, sizeof(got));
}

static void serve(struct fixture *f, const struct vqsim_chain *chain)
{
	struct vqsim_guest *guest = &f->bench->guest;
	struct vqsim_used used;

	assert_true(vqsim_guest_add(guest, 0, chain, f) >= 0);
	vqsim_guest_publish(guest, 0);
	assert_int_equal(vqsim_guest_run(guest, 0), VIRTIO_IDLE);
	assert_int_equal(vqsim_guest_reap(guest, 0, &used), VQSIM_REAP_USED);
	check_answer(f, used.len);
}

static void every_layout_has_the_same_answer(void **state)
{
	struct fixture *f = *state;
	uint64_t layouts = 0;

	for (enum place place = 0; place < PLACES; place++) {
		struct vqsim_memory_mark mark = vqsim_memory_mark(&f->bench->memory);
		struct vqsim_chain chain;

		start_walk(f, place);
		while (prepare(f), vqsim_layout_next(&f->walk, &chain)) {
			serve(f, &chain);
			check_disk(f);
		}
		bench_check(f->bench);
		layouts += f->walk.layouts;
		vqsim_memory_rewind(&f->bench->memory, &mark);
	}
	print_message("# %s: %llu layouts\n", f->name, (unsigned long long)layouts);
	assert_true(layouts > 3 * RANDOM);
}

static int setup(void **state)
{
	struct fixture *f = *state;
	bool event_idx = f->ring != SPLIT && f->ring != PACKED;
	const struct bench_options options = {
		.device = BENCH_BLK,
		.queue_size = QUEUE_SIZE,
		.packed = is_packed(f),
		.in_order = is_in_order(f),
		.without = event_idx ? 0 : VIRTIO_FEATURE(VIRTIO_RING_F_EVENT_IDX),
		.blk = {.id = "layouts"},
	};

	f->bench = bench_create(&options);
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	bench_destroy(f->bench);
	return 0;
}

/* What a walk must have met, counted on a request of a header and one byte. */
static void a_walk_is_complete_and_repeats(void **state)
{
	static struct vqsim_layout_walk walk;
	const struct vqsim_layout_request request = {
		.readable_gpa = 0x1000,
		.readable_size = 16,
		.writable_gpa = 0x2000,
		.writable_size = 1,
		.queue_size = 32,
		.table_gpa = 0x3000,
		.mixed = true,
		.random_count = 10,
		.seed = 1,
	};
	struct vqsim_chain chain;
	uint64_t sum[2] = {0, 0};

	(void)state;
	for (unsigned run = 0; run < 2; run++) {
		vqsim_layout_start(&walk, &request);
		while (vqsim_layout_next(&walk, &chain))
			for (unsigned i = 0; i < chain.count; i++)
				sum[run] = sum[run] * 31 + chain.elements[i].len + chain.direct;
	}
	assert_int_equal(sum[0], sum[1]);
	/*
	 * Readable: whole, 15 cut once, 105 cut twice, 5 with empty elements, pieces of 1, 2, 4
	 * and 8 bytes. Writable: 2 with an empty element. By chance: 10.
	 */
	assert_int_equal(walk.framings, 1 + 15 + 105 + 5 + 4 + 2 + 10);
}

static bool is_offered(const struct fixture *f)
{
	return (!is_packed(f) || bench_offers(BENCH_BLK, VIRTIO_F_RING_PACKED)) &&
	       (!is_in_order(f) || bench_offers(BENCH_BLK, VIRTIO_F_IN_ORDER));
}

int main(void)
{
	static const char *const ring_names[RINGS] = {
		"split",  "split, EVENT_IDX",  "split, IN_ORDER",
		"packed", "packed, EVENT_IDX", "packed, IN_ORDER",
	};
	static struct fixture fixtures[RINGS * COUNT_OF(requests)];
	struct CMUnitTest tests[COUNT_OF(fixtures) + 1] = {
		cmocka_unit_test(a_walk_is_complete_and_repeats)};
	size_t count = 1;

	for (size_t i = 0; i < COUNT_OF(fixtures); i++) {
		struct fixture *f = &fixtures[i];

		f->request = &requests[i % COUNT_OF(requests)];
		f->ring = i / COUNT_OF(requests);
		if (!is_offered(f))
			continue;
		snprintf(f->name, sizeof(f->name), "%s (%s)", f->request->name,
			 ring_names[f->ring]);
		tests[count++] = (struct CMUnitTest){f->name, every_layout_has_the_same_answer,
						     setup, teardown, f};
	}
	return bench_run("layouts", tests, count);
}
