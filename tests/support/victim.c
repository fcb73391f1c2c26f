/* SPDX-License-Identifier: BSD-3-Clause */
#include <endian.h>
#include <stdio.h>
#include <stdlib.h>

#include "victim.h"

#define DATA_SIZE  1024u
#define TABLE_SIZE (16u * VICTIM_ELEMENTS_MAX)

static const char *const shape_names[] = {"null in", "null out", "blk in", "blk out"};

/* One test: a row on a shape. */
struct trial {
	const struct victim_group *group;
	const struct victim_row *row;
	enum victim_shape shape;
	bool warm; /* and with EVENT_IDX */
	char name[120];
	struct bench *bench; /* while it runs */
};

/* Descriptors */

void victim_set(struct vring_desc *desc, uint64_t gpa, uint32_t len, uint16_t flags, uint16_t next)
{
	*desc = (struct vring_desc){htole64(gpa), htole32(len), htole16(flags), htole16(next)};
}

void victim_set_gpa(struct vring_desc *desc, uint64_t gpa)
{
	desc->addr = htole64(gpa);
}

void victim_set_len(struct vring_desc *desc, uint32_t len)
{
	desc->len = htole32(len);
}

void victim_set_next(struct vring_desc *desc, uint16_t next)
{
	victim_add_flags(desc, VRING_DESC_F_NEXT);
	desc->next = htole16(next);
}

void victim_add_flags(struct vring_desc *desc, uint16_t flags)
{
	desc->flags |= htole16(flags);
}

void victim_drop_flags(struct vring_desc *desc, uint16_t flags)
{
	desc->flags &= htole16((uint16_t)~flags);
}

static uint16_t flags_of(const struct vring_desc *desc)
{
	return le16toh(desc->flags);
}

/* Laying out */

bool victim_is_in(const struct victim *v)
{
	return v->shape == VICTIM_NULL_IN || v->shape == VICTIM_BLK_IN;
}

static bool is_blk(const struct victim *v)
{
	return v->shape == VICTIM_BLK_IN || v->shape == VICTIM_BLK_OUT;
}

static void append(struct victim *v, uint64_t gpa, uint32_t len, bool write)
{
	assert_true(v->count < VICTIM_ELEMENTS_MAX);
	v->elements[v->count++] = (struct vqsim_element){gpa, len, write};
}

void victim_cut_data(struct victim *v, uint16_t pieces)
{
	uint32_t each = v->data_size / pieces;

	v->count = 0;
	append(v, v->header_gpa, 16, false);
	for (uint16_t i = 0; i + 1 < pieces; i++)
		append(v, v->data_gpa + i * each, each, victim_is_in(v));
	append(v, v->data_gpa + (pieces - 1u) * each, v->data_size - (pieces - 1u) * each,
	       victim_is_in(v));
	append(v, v->status_gpa, 1, true);
}

/* What an OUT writes: nothing that the disk held before. */
static uint8_t out_byte(uint32_t i)
{
	return (uint8_t)(bench_disk_byte(VICTIM_SECTOR * 512u + i) ^ 0x5a);
}

static void fill_buffers(struct victim *v)
{
	struct virtio_blk_outhdr header = {
		.type = htole32(victim_is_in(v) ? VIRTIO_BLK_T_IN : VIRTIO_BLK_T_OUT),
		.sector = htole64(VICTIM_SECTOR),
	};
	uint8_t *data = malloc(v->data_size + 1);

	assert_non_null(data);
	for (uint32_t i = 0; i < v->data_size; i++)
		data[i] = victim_is_in(v) ? VICTIM_PREFILL : out_byte(i);
	bench_write(v->bench, v->data_gpa, data, v->data_size);
	bench_write(v->bench, v->header_gpa, &header, sizeof(header));
	bench_fill(v->bench, v->status_gpa, VICTIM_PREFILL, 1);
	free(data);
}

/* Where the descriptors of the chain stand, by the links that the driver wrote. */
static void find_descriptors(struct victim *v)
{
	struct vring_desc *desc = &v->driver->ring.desc[v->head];
	uint8_t *table = vqsim_memory_find(&v->bench->memory, v->table_gpa, 16);

	for (uint16_t i = 0; i < v->count; i++) {
		if (v->indirect && i >= v->direct) {
			v->pointer = desc;
			v->desc[i] = (void *)(table + 16u * (i - v->direct));
			continue;
		}
		v->desc[i] = desc;
		if (flags_of(desc) & VRING_DESC_F_NEXT)
			desc = &v->driver->ring.desc[le16toh(desc->next)];
	}
}

/*
 * A request without data in the same places: a device may remember where they are,
 * and look less closely the second time.
 */
static void warm_up(struct victim *v)
{
	const struct vqsim_element elements[] = {{v->header_gpa, 16, false},
						 {v->status_gpa, 1, true}};
	struct vqsim_chain chain = {elements, 2, 2, 0};
	struct vqsim_used used;

	fill_buffers(v);
	assert_true(vqsim_guest_add(&v->bench->guest, 0, &chain, v) >= 0);
	vqsim_guest_publish(&v->bench->guest, 0);
	vqsim_guest_settle(&v->bench->guest, 0);
	assert_int_equal(vqsim_guest_reap(&v->bench->guest, 0, &used), VQSIM_REAP_USED);
}

static void lay_out(struct victim *v, const struct victim_row *row)
{
	struct vqsim_memory *memory = &v->bench->memory;
	struct vqsim_chain chain = {.elements = v->elements};
	int head;

	v->header_gpa = vqsim_memory_alloc(memory, 16, 16);
	v->data_gpa = vqsim_memory_alloc(memory, DATA_SIZE, 16);
	v->status_gpa = vqsim_memory_alloc(memory, 1, 1);
	v->table_gpa = vqsim_memory_alloc(memory, TABLE_SIZE, 16);
	v->data_size = DATA_SIZE;
	if (row->place)
		row->place(v);
	if (v->count == 0)
		victim_cut_data(v, 1);
	if (v->warm)
		warm_up(v);
	fill_buffers(v);
	chain.count = v->count;
	chain.direct = v->indirect ? v->direct : v->count;
	chain.table_gpa = v->table_gpa;
	head = vqsim_guest_add(&v->bench->guest, 0, &chain, v);
	assert_true(head >= 0);
	v->head = (uint16_t)head;
	find_descriptors(v);
	if (row->breakit)
		row->breakit(v);
}

/* Judging */

/* The device may write what is marked so in the descriptors as they are now. */
static void allow_writable(struct victim *v)
{
	for (uint16_t i = 0; i < v->count && v->count < BENCH_ALLOWED_MAX - 4; i++)
		if (flags_of(v->desc[i]) & VRING_DESC_F_WRITE)
			bench_allow(v->bench, le64toh(v->desc[i]->addr), le32toh(v->desc[i]->len));
	if (v->count >= BENCH_ALLOWED_MAX - 4 && victim_is_in(v))
		bench_allow(v->bench, v->data_gpa, v->data_size);
	bench_allow(v->bench, v->status_gpa, v->count >= BENCH_ALLOWED_MAX - 4);
	bench_allow_rings(v->bench);
}

static uint8_t status_of(const struct victim *v)
{
	uint8_t status;

	bench_read(v->bench, v->status_gpa, &status, 1);
	return status;
}

static void check_data(const struct victim *v)
{
	uint8_t *got = malloc(v->data_size + 1), *expected = malloc(v->data_size + 1);

	assert_non_null(got);
	assert_non_null(expected);
	for (uint32_t i = 0; i < v->data_size; i++)
		expected[i] = !victim_is_in(v) ? out_byte(i)
			      : is_blk(v)      ? bench_disk_byte(VICTIM_SECTOR * 512u + i)
					       : (uint8_t)(VIRTIO_BLK_T_IN + i);
	if (v->shape == VICTIM_BLK_OUT)
		bench_disk_read(v->bench, VICTIM_SECTOR * 512u, got, v->data_size);
	else
		bench_read(v->bench, v->data_gpa, got, v->data_size);
	assert_memory_equal(got, expected, v->data_size);
	free(got);
	free(expected);
}

static void judge_used(struct victim *v, enum victim_demand demand, uint32_t len)
{
	if (demand == VICTIM_LEGAL) {
		assert_int_equal(status_of(v), 0);
		assert_int_equal(len, victim_is_in(v) ? v->data_size + 1 : 1);
		check_data(v);
	} else if (demand != VICTIM_MALFORMED) {
		assert_in_range(status_of(v), demand == VICTIM_REFUSED, VIRTIO_BLK_S_UNSUPP);
	}
}

/*
 * Take back what the device used; the driver skips entries that name no chain.
 * Returns how many there were; *len is that of the victim's.
 */
static unsigned reap(struct victim *v, bool *found, uint32_t *len)
{
	enum vqsim_reap reaped;
	struct vqsim_used used;
	unsigned count = 0;

	*found = false;
	while ((reaped = vqsim_guest_reap(&v->bench->guest, 0, &used)) != VQSIM_REAP_NOTHING) {
		count++;
		if (reaped == VQSIM_REAP_BOGUS || used.token != v)
			continue;
		*found = true;
		*len = used.len;
	}
	return count;
}

/* Used, or the device says that it needs a reset, and not silently (2.1.2). */
static void judge(struct victim *v, enum victim_demand demand, uint64_t config_notifications)
{
	bool needs_reset = vqsim_guest_needs_reset(&v->bench->guest);
	uint32_t len = 0;
	bool found;
	unsigned used = reap(v, &found, &len);

	if (demand != VICTIM_MALFORMED) {
		assert_false(needs_reset);
		assert_true(found);
		judge_used(v, demand, len);
	} else {
		assert_true(used > 0 || needs_reset);
	}
	assert_int_equal(v->bench->guest.link.config_notifications,
			 config_notifications + needs_reset);
}

static void run(struct victim *v, const struct victim_row *row)
{
	uint64_t config_notifications = v->bench->guest.link.config_notifications;

	bench_snapshot(v->bench);
	allow_writable(v);
	bench_allow(v->bench, v->driver->setup.driver_gpa, 4 + 2u * v->driver->setup.size);
	vqsim_guest_publish(&v->bench->guest, 0);
	vqsim_guest_kick(&v->bench->guest, 0);
	vqsim_guest_settle(&v->bench->guest, 0);
	bench_compare(v->bench);
	bench_check(v->bench);
	judge(v, row->demand, config_notifications);
}

/* The model did not see the request of the victim: tell it what was written. */
static void tell_model(struct victim *v)
{
	uint8_t *data;

	if (!v->bench->store)
		return;
	data = malloc(BENCH_DISK_SECTORS * 512u);
	assert_non_null(data);
	bench_disk_read(v->bench, 0, data, BENCH_DISK_SECTORS * 512u);
	vqsim_disk_know(&v->bench->disk, 0, data, BENCH_DISK_SECTORS * 512u);
	free(data);
}

/* Tests */

static int setup(void **state)
{
	struct trial *trial = *state;
	const struct bench_options options = {
		.device = trial->shape == VICTIM_BLK_IN || trial->shape == VICTIM_BLK_OUT
				  ? BENCH_BLK
				  : BENCH_NULL,
		.queue_size = trial->group->queue_size,
		.without = trial->group->without |
			   (trial->warm ? 0 : VIRTIO_FEATURE(VIRTIO_RING_F_EVENT_IDX)),
	};

	trial->bench = bench_create(&options);
	return 0;
}

static int teardown(void **state)
{
	struct trial *trial = *state;

	bench_destroy(trial->bench);
	return 0;
}

static void test(void **state)
{
	const struct trial *trial = *state;
	struct victim v = {
		.bench = trial->bench,
		.driver = &trial->bench->guest.queues[0],
		.shape = trial->shape,
		.indirect = trial->group->indirect,
		.warm = trial->warm,
	};

	v.elements = calloc(VICTIM_ELEMENTS_MAX, sizeof(*v.elements));
	v.desc = calloc(VICTIM_ELEMENTS_MAX, sizeof(*v.desc));
	assert_non_null(v.elements);
	assert_non_null(v.desc);
	lay_out(&v, trial->row);
	run(&v, trial->row);
	tell_model(&v);
	bench_good_for_all(trial->bench);
	free(v.elements);
	free(v.desc);
}

int victim_run(const struct victim_group *group)
{
	size_t total = group->count * VICTIM_SHAPES * 2;
	struct CMUnitTest *tests = calloc(total, sizeof(*tests));
	struct trial *trials = calloc(total, sizeof(*trials));
	int failed;

	if (!tests || !trials)
		abort();
	for (size_t i = 0; i < total; i++) {
		struct trial *trial = &trials[i];

		trial->group = group;
		trial->row = &group->rows[i / (VICTIM_SHAPES * 2)];
		trial->shape = i / 2 % VICTIM_SHAPES;
		trial->warm = i % 2;
		snprintf(trial->name, sizeof(trial->name), "%s (%s%s)", trial->row->name,
			 shape_names[trial->shape], trial->warm ? ", warm" : "");
		tests[i] = (struct CMUnitTest){trial->name, test, setup, teardown, trial};
	}
	failed = bench_run(group->name, tests, total);
	free(tests);
	free(trials);
	return failed;
}
