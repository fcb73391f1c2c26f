/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Rings that go round, for longer than any of their counters: more than 3 x 65536 requests
 * in a row on one ring, on small, odd and largest sizes. A request is a chain of one to three
 * descriptors, direct as long as it fits, and the ring is filled to a depth that changes, so that
 * every chain meets every place of the ring. RING-07: DPDK d4cc4c65df, tables among them;
 * RING-13: QEMU 2d9a31b3c2, RING-22: DPDK 3ad55b8e94, lists in batches of every size.
 */
#include <stdio.h>

#include "tests/support/bench.h"

#define REQUESTS       (3u * 65536u + 4096u)
#define MEMORY_SIZE    (2u << 20)
#define QUEUE_SIZE_MAX 32768u

/* How the ring is used. */
struct style {
	const char *name;
	bool packed;
	uint64_t features;
};

#define PACKED   VIRTIO_FEATURE(VIRTIO_F_RING_PACKED)
#define EVENTS   VIRTIO_FEATURE(VIRTIO_RING_F_EVENT_IDX)
#define IN_ORDER VIRTIO_FEATURE(VIRTIO_F_IN_ORDER)

static const struct style styles[] = {
	{"split", false, 0},
	{"split, EVENT_IDX", false, EVENTS},
	{"split, IN_ORDER", false, EVENTS | IN_ORDER},
	{"packed", true, PACKED},
	{"packed, EVENT_IDX", true, PACKED | EVENTS},
	{"packed, IN_ORDER", true, PACKED | EVENTS | IN_ORDER},
};

struct fixture {
	const struct style *style;
	uint16_t size;
	char name[64];

	struct vqsim_memory memory;
	struct vqsim_referee referee;
	struct virtio_device *device;
	struct vqsim_guest guest;
	uint64_t gpa;
	uint64_t table_gpa; /* one for each length of a chain, every 64 bytes */
	uint32_t served;
	uint32_t random;
};

static uint32_t random_below(struct fixture *f, uint32_t limit)
{
	f->random = f->random * 1664525 + 1013904223;
	return (f->random >> 8) % limit;
}

/* Header, status, and perhaps a byte of data, alike for all: what is tested is the ring. */
static int add(struct fixture *f, uint16_t count)
{
	const struct vqsim_element elements[] = {
		{f->gpa, NULL_HEADER_SIZE, false},
		{f->gpa + 32, 1, true},
		{f->gpa + 33, 1, true},
	};
	bool direct = count <= f->size && random_below(f, 8) != 0;
	struct vqsim_chain chain = {elements, count, direct ? count : 0,
				    f->table_gpa + 64u * count};
	int head = vqsim_guest_add(&f->guest, 0, &chain, f);

	if (head >= 0)
		vqsim_referee_expect_len(&f->referee, 0, (uint16_t)head, count - 1u);
	return head;
}

/* At most limit chains, or as many as fit. Returns how many. */
static uint32_t fill(struct fixture *f, uint32_t limit)
{
	uint32_t count = 0;

	while (count < limit && add(f, (uint16_t)(1 + random_below(f, 3))) >= 0)
		count++;
	return count;
}

static void serve(struct fixture *f, uint32_t count)
{
	struct vqsim_used used;

	vqsim_guest_publish(&f->guest, 0);
	assert_int_equal(vqsim_guest_run(&f->guest, 0), VIRTIO_IDLE);
	for (uint32_t i = 0; i < count; i++)
		assert_int_equal(vqsim_guest_reap(&f->guest, 0, &used), VQSIM_REAP_USED);
	assert_int_equal(vqsim_guest_reap(&f->guest, 0, &used), VQSIM_REAP_NOTHING);
	f->served += count;
}

static void every_counter_goes_round_three_times(void **state)
{
	struct fixture *f = *state;
	uint32_t deepest = 0;

	while (f->served < REQUESTS) {
		/* One in sixteen batches is as deep as the ring. */
		uint32_t limit = random_below(f, 16) ? 1 + random_below(f, 64) : f->size;
		uint32_t count = fill(f, limit);

		assert_true(count > 0);
		deepest = count > deepest ? count : deepest;
		serve(f, count);
	}
	assert_true(deepest > f->size / 4u);
	assert_int_equal(f->referee.violations, 0);
}

static int setup(void **state)
{
	static const struct vqsim_region region = {0x100000, MEMORY_SIZE};
	struct fixture *f = *state;
	const struct vqsim_guest_config config = {
		.features = f->style->features | VIRTIO_FEATURE(VIRTIO_RING_F_INDIRECT_DESC),
		.queue_size = f->size,
	};

	assert_int_equal(vqsim_memory_init(&f->memory, &region, 1), 0);
	assert_int_equal(vqsim_referee_init(&f->referee, &f->memory), 0);
	assert_int_equal(null_create(&f->device, 1, QUEUE_SIZE_MAX, NULL_FILL), 0);
	assert_int_equal(vqsim_guest_init(&f->guest, &f->memory, f->device, &f->referee), 0);
	f->gpa = vqsim_memory_alloc(&f->memory, 64, 16);
	f->table_gpa = vqsim_memory_alloc(&f->memory, 64 * 4, 16);
	assert_int_equal(vqsim_guest_bring_up(&f->guest, &config), VQSIM_UP);
	f->random = f->size;
	f->served = 0;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	bool intact = vqsim_memory_check(&f->memory, NULL) == NULL;

	vqsim_guest_finish(&f->guest);
	f->device->ops->destroy(f->device);
	vqsim_referee_finish(&f->referee);
	vqsim_memory_finish(&f->memory);
	assert_true(intact);
	return 0;
}

static bool is_offered(const struct style *style)
{
	for (unsigned bit = 0; bit < 64; bit++)
		if ((style->features >> bit & 1) && !bench_offers(BENCH_NULL, bit))
			return false;
	return true;
}

int main(void)
{
	/* A split ring has a power of two. */
	static const uint16_t sizes[2][5] = {{1, 2, 256, 32768}, {1, 2, 3, 256, 32768}};
	static struct fixture fixtures[COUNT_OF(styles) * 5];
	struct CMUnitTest tests[COUNT_OF(fixtures)];
	size_t count = 0;

	for (size_t i = 0; i < COUNT_OF(fixtures); i++) {
		struct fixture *f = &fixtures[count];

		f->style = &styles[i / 5];
		f->size = sizes[f->style->packed][i % 5];
		if (f->size == 0 || !is_offered(f->style))
			continue;
		snprintf(f->name, sizeof(f->name), "%s, size %u", f->style->name, f->size);
		tests[count++] = (struct CMUnitTest){f->name, every_counter_goes_round_three_times,
						     setup, teardown, f};
	}
	return bench_run("wrap", tests, count);
}
