/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How descriptors hang together: next in a split ring, and indirect tables of both formats
 * (virtio 1.3, 2.7.5.3 and 2.8.7).
 *
 * A case adds a request, and changes what the driver has written before the device may see it.
 */
#include <endian.h>
#include <string.h>

#include "cases_internal.h"

#define DATA     512u
#define ELEMENTS 6u
#define INDIRECT VIRTIO_FEATURE(VIRTIO_RING_F_INDIRECT_DESC)
#define IN_ORDER VIRTIO_FEATURE(VIRTIO_F_IN_ORDER)

/* Nothing is there. */
#define HOLE UINT64_C(0xffff00000000)

#define TABLE_MAX VQSIM_SUITE_ELEMENTS_MAX

static struct vring_desc *split_table(const struct vqsim_suite *s, const struct vqsim_suite_io *io)
{
	return vqsim_memory_at(&s->memory, io->table_gpa, TABLE_MAX * sizeof(struct vring_desc));
}

static struct vring_packed_desc *packed_table(const struct vqsim_suite *s,
					      const struct vqsim_suite_io *io)
{
	return vqsim_memory_at(&s->memory, io->table_gpa,
			       TABLE_MAX * sizeof(struct vring_packed_desc));
}

/* The last descriptor in the ring of what was added last. */
static struct vring_desc *split_last(struct vqsim_suite *s, const struct vqsim_suite_io *io)
{
	struct vqsim_driver *driver = cases_driver(s);

	return &driver->ring.desc[driver->slots[io->head].last];
}

static struct vring_packed_desc *packed_last(struct vqsim_suite *s)
{
	struct vqsim_driver *driver = cases_driver(s);
	uint32_t at = driver->avail_index ? driver->avail_index : driver->setup.size;

	return &driver->packed.desc[at - 1];
}

/* Say where the table of what was added last is, and how large. */
static void point_at(struct vqsim_suite *s, const struct vqsim_suite_io *io, uint64_t gpa,
		     uint32_t entries)
{
	if (s->point.packed) {
		packed_last(s)->addr = htole64(gpa);
		packed_last(s)->len = htole32(entries * 16);
	} else {
		split_last(s, io)->addr = htole64(gpa);
		split_last(s, io)->len = htole32(entries * 16);
	}
}

/* An io of ELEMENTS elements, that many of them before the table. */
static void lay(struct vqsim_suite *s, struct vqsim_suite_io *io, uint16_t direct)
{
	static const uint32_t readable[] = {4, 8}, writable[] = {100, 300};

	vqsim_suite_io_reset(s, io);
	vqsim_suite_io_cut(io, readable, 2, writable, 2);
	io->direct = direct;
}

static void add(struct vqsim_suite *s, struct vqsim_suite_io *io, uint16_t direct)
{
	lay(s, io, direct);
	vqsim_suite_io_add(s, cases_queue(s), io);
}

/* A wild next where there is none: of a buffer, and of what points to a table. */
static void next_means_nothing(struct vqsim_suite *s)
{
	const uint16_t size = s->point.queue_size;
	const uint16_t wild[] = {0, 1, size - 1u, size, size + 1u, 0x8000, 0xffff};
	struct vqsim_suite_io io;

	vqsim_suite_up(s);
	vqsim_suite_io_init(s, &io, DATA);
	for (unsigned i = 0; i < sizeof(wild) / sizeof(wild[0]); i++) {
		for (uint16_t n = s->point.indirect ? 0 : ELEMENTS; n <= ELEMENTS; n++) {
			add(s, &io, n);
			split_last(s, &io)->next = htole16(wild[i]);
			if (n < ELEMENTS)
				split_table(s, &io)[ELEMENTS - n - 1].next = htole16(wild[i]);
			vqsim_suite_io_serve(s, cases_queue(s), &io);
		}
	}
}

/* The flags of a head that is not published yet are kept by the driver. */
static void set_write(struct vqsim_suite *s, const struct vqsim_suite_io *io)
{
	if (s->point.packed)
		cases_driver(s)->head_flags |= VRING_DESC_F_WRITE;
	else
		split_last(s, io)->flags |= htole16(VRING_DESC_F_WRITE);
}

static void write_on_pointer(struct vqsim_suite *s)
{
	uint16_t most = s->point.packed ? 0 : 2;
	struct vqsim_suite_io io;

	vqsim_suite_up(s);
	for (uint16_t direct = 0; direct <= most; direct++) {
		vqsim_suite_io_init(s, &io, DATA);
		for (unsigned set = 0; set < 2; set++) {
			add(s, &io, direct);
			if (set)
				set_write(s, &io);
			vqsim_suite_io_serve(s, cases_queue(s), &io);
		}
	}
}

static void after_direct(struct vqsim_suite *s)
{
	struct vqsim_suite_io io;

	vqsim_suite_up(s);
	vqsim_suite_io_init(s, &io, DATA);
	for (unsigned i = 0; i < 2u * s->point.queue_size; i++) {
		add(s, &io, i % ELEMENTS);
		vqsim_suite_io_serve(s, cases_queue(s), &io);
	}
}

/* Where element number i of a chain stands in a table of size entries: entry 0 first. */
static unsigned place_of(unsigned order, unsigned i, unsigned size)
{
	switch (order) {
	case 0:
		return i;
	case 1:
		return i ? size - i : 0;
	case 2:
		return i ? ((i - 1) ^ 1) + 1 : 0;
	default:
		return 2 * i;
	}
}

/* Nobody may look at it. */
static const struct vring_desc junk = {
	.addr = UINT64_MAX,
	.len = UINT32_MAX,
	.flags = UINT16_MAX,
	.next = UINT16_MAX,
};

/* Move the entries of a table to other places, with junk between and behind them. */
static void scatter(struct vqsim_suite *s, const struct vqsim_suite_io *io, unsigned order,
		    unsigned size)
{
	struct vring_desc *table = split_table(s, io), entries[ELEMENTS];
	unsigned count = io->count - io->direct;

	memcpy(entries, table, count * sizeof(entries[0]));
	for (unsigned i = 0; i < size; i++)
		table[i] = junk;
	for (unsigned i = 0; i < count; i++) {
		if (i + 1 < count)
			entries[i].next = htole16((uint16_t)place_of(order, i + 1, size));
		table[place_of(order, i, size)] = entries[i];
	}
	point_at(s, io, io->table_gpa, size);
}

/* Tables smaller and larger than the ring. */
static void table_goes_by_next(struct vqsim_suite *s)
{
	const unsigned sizes[] = {2 * ELEMENTS, s->point.queue_size + 5u};
	struct vqsim_suite_io io;

	vqsim_suite_up(s);
	vqsim_suite_io_init(s, &io, DATA);
	for (unsigned i = 0; i < 2; i++) {
		for (unsigned order = 0; order < 4; order++) {
			for (uint16_t direct = 0; direct < 3; direct++) {
				add(s, &io, direct);
				scatter(s, &io, order, sizes[i]);
				vqsim_suite_io_serve(s, cases_queue(s), &io);
			}
		}
	}
}

/* A chain that leaves its table: of entries behind it nothing may be used. */
struct leave {
	uint32_t entries; /* that the table is said to have */
	uint16_t from;    /* this entry leaves it */
	uint16_t to;
	uint16_t copy; /* what stands there: this entry */
};

static const struct leave leaves[] = {
	{1, 0, 1, 1}, {2, 1, 2, 2},      {3, 1, 3, 2},      {3, 1, 5, 2},  {3, 1, 4, 2},
	{5, 1, 7, 2}, {5, 1, 0x8002, 2}, {3, 1, 0xffff, 2}, {4, 1, 18, 2},
};

static void leave_table(struct vqsim_suite *s, const struct leave *leave)
{
	enum virtio_progress progress;
	struct vring_desc *table;
	struct vqsim_suite_io io;

	vqsim_suite_up(s);
	vqsim_suite_io_init(s, &io, DATA);
	io.direct = 0;
	vqsim_suite_io_add(s, cases_queue(s), &io);
	table = split_table(s, &io);
	table[leave->from].next = htole16(leave->to);
	if (leave->to < TABLE_MAX)
		table[leave->to] = table[leave->copy];
	point_at(s, &io, io.table_gpa, leave->entries);
	progress = vqsim_suite_work(s, cases_queue(s));
	SUITE_EXPECT(s, *io.status == VQSIM_BLK_STATUS_UNSET,
		     "next %u leads nowhere in a table of %u entries (the status is %u)", leave->to,
		     leave->entries, *io.status);
	vqsim_suite_judge(s, cases_queue(s), progress);
	vqsim_suite_io_reap(s, cases_queue(s));
	vqsim_suite_still_good(s);
}

/* The table at this place, where the last word of it may be the last of a region. */
static void serve_table_at(struct vqsim_suite *s, uint64_t gpa)
{
	struct vqsim_suite_io io;
	const uint8_t *from;

	vqsim_suite_io_init(s, &io, DATA);
	add(s, &io, 0);
	from = vqsim_memory_at(&s->memory, io.table_gpa, ELEMENTS * 16);
	for (unsigned i = 0; i < ELEMENTS * 16; i++)
		*(uint8_t *)vqsim_memory_at(&s->memory, gpa + i, 1) = from[i];
	point_at(s, &io, gpa, ELEMENTS);
	vqsim_suite_io_serve(s, cases_queue(s), &io);
}

static void table_at_borders(struct vqsim_suite *s)
{
	const struct vqsim_region *apart = &s->memory.mappings[VQSIM_SUITE_APART].range;
	uint64_t border = s->memory.mappings[VQSIM_SUITE_NEXT].range.gpa;

	vqsim_suite_up(s);
	serve_table_at(s, apart->gpa + apart->size - ELEMENTS * 16);
	for (unsigned before = 0; before <= ELEMENTS; before++)
		serve_table_at(s, border - before * 16);
}

static void table_is_bounded(struct vqsim_suite *s)
{
	table_at_borders(s);
	for (unsigned i = 0; i < sizeof(leaves) / sizeof(leaves[0]); i++)
		leave_table(s, &leaves[i]);
}

/* What means nothing in an entry of a packed ring's table, with WRITE left as it is. */
static const struct {
	uint16_t flags, id;
} meaningless[] = {
	{0, 0xffff},
	{VRING_DESC_F_NEXT, 0},
	{VRING_DESC_F_INDIRECT, 0},
	{1u << VRING_PACKED_DESC_F_AVAIL, 1},
	{1u << VRING_PACKED_DESC_F_USED, 2},
	{1u << VRING_PACKED_DESC_F_AVAIL | 1u << VRING_PACKED_DESC_F_USED, 3},
	{0x7f78, 0},
	{0xffff & ~VRING_DESC_F_WRITE, 0x8001},
};

/* spare: stands behind the table and looks as if it went on. */
static void add_array(struct vqsim_suite *s, struct vqsim_suite_io *io, unsigned kind,
		      uint64_t spare)
{
	struct vring_packed_desc *table = packed_table(s, io);

	add(s, io, 0);
	table[ELEMENTS] = (struct vring_packed_desc){
		htole64(spare), htole32(16), 0, htole16(VRING_DESC_F_WRITE | VRING_DESC_F_NEXT)};
	for (unsigned i = 0; i < ELEMENTS; i++) {
		table[i].flags |= htole16(meaningless[kind].flags);
		table[i].id = htole16(meaningless[kind].id);
	}
}

static void table_is_array(struct vqsim_suite *s)
{
	static const uint8_t zeroes[16];
	struct vqsim_suite_io io;
	const uint8_t *bytes;
	uint64_t spare;

	vqsim_suite_up(s);
	spare = vqsim_memory_alloc(&s->memory, 16, 16);
	bytes = vqsim_memory_at(&s->memory, spare, 16);
	vqsim_suite_io_init(s, &io, DATA);
	for (unsigned i = 0; i < sizeof(meaningless) / sizeof(meaningless[0]); i++) {
		add_array(s, &io, i, spare);
		vqsim_suite_io_serve(s, cases_queue(s), &io);
		SUITE_EXPECT(s, memcmp(bytes, zeroes, sizeof(zeroes)) == 0,
			     "a table of %u entries ends with the last of them", ELEMENTS);
	}
	table_at_borders(s);
}

const struct vqsim_case vqsim_cases_table[] = {
	{.name = "chain_next_means_nothing",
	 .clauses = "SPLIT-DX-06",
	 .formats = VQSIM_SPLIT,
	 .run = next_means_nothing},
	{.name = "table_write_on_pointer",
	 .clauses = "SPLIT-D-07 PACKED-DX-10",
	 .needs = INDIRECT,
	 .run = write_on_pointer},
	{.name = "table_after_direct",
	 .clauses = "SPLIT-D-08",
	 .bugs = "RING-07",
	 .formats = VQSIM_SPLIT,
	 .needs = INDIRECT,
	 .run = after_direct},
	/* With IN_ORDER the driver does not do so (2.7.5.2). */
	{.name = "table_goes_by_next",
	 .clauses = "SPLIT-DX-07",
	 .bugs = "CHAIN-14 CHAIN-22",
	 .formats = VQSIM_SPLIT,
	 .needs = INDIRECT,
	 .without = IN_ORDER,
	 .run = table_goes_by_next},
	{.name = "table_is_bounded",
	 .clauses = "SPLIT-DX-08",
	 .bugs = "CHAIN-16 CHAIN-19 CHAIN-22 MEM-02",
	 .formats = VQSIM_SPLIT,
	 .needs = INDIRECT,
	 .run = table_is_bounded},
	{.name = "table_is_array",
	 .clauses = "PACKED-DX-09",
	 .bugs = "RING-17",
	 .formats = VQSIM_PACKED,
	 .needs = INDIRECT,
	 .run = table_is_array},
	{.name = NULL},
};
