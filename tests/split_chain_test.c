/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Chains of the ring's own descriptor table, well formed and not (virtio 1.3,
 * 2.7.4 and 2.7.5). Each row runs against the null device and the block device in
 * both directions. The comment above a row names the bugs it stands for.
 */
#include <endian.h>

#include "tests/support/victim.h"

static struct vring_desc *header(struct victim *v)
{
	return v->desc[0];
}

static struct vring_desc *data(struct victim *v)
{
	return v->desc[1];
}

static struct vring_desc *status(struct victim *v)
{
	return v->desc[v->count - 1];
}

/* next */

static void last_next_unused_names_the_head(struct victim *v)
{
	status(v)->next = htole16(v->head);
}

/* Lengths of the chain */

static void pieces_fill_the_queue(struct victim *v)
{
	victim_cut_data(v, 14); /* with header and status: 16 */
}

static void three_large_pieces(struct victim *v)
{
	v->data_size = 3 * 32768;
	v->data_gpa = vqsim_memory_alloc(&v->bench->memory, v->data_size, 16);
	victim_cut_data(v, 3);
}

static void one_byte_pieces(struct victim *v)
{
	v->data_size = 512;
	victim_cut_data(v, 512);
}

static void empty_piece_in_the_data(struct victim *v)
{
	victim_cut_data(v, 2);
	v->elements[4] = v->elements[3];
	v->elements[3] = v->elements[2];
	v->elements[2].len = 0;
	v->elements[2].gpa = UINT64_MAX;
	v->count++;
}

static void empty_piece_before_and_behind(struct victim *v)
{
	const struct vqsim_element readable = {0, 0, false}, writable = {0, 0, true};

	victim_cut_data(v, 1);
	memmove(v->elements + 1, v->elements, 3 * sizeof(v->elements[0]));
	v->elements[0] = readable;
	v->elements[4] = writable;
	v->count = 5;
}

/* Directions */

static void all_is_writable(struct victim *v)
{
	victim_add_flags(header(v), VRING_DESC_F_WRITE);
	victim_add_flags(data(v), VRING_DESC_F_WRITE);
}

static void only_the_header(struct victim *v)
{
	victim_drop_flags(header(v), VRING_DESC_F_NEXT);
}

/* Headers */

static void header_in_three_pieces(struct victim *v)
{
	const struct vqsim_element whole[] = {
		{v->header_gpa, 1, false},      {v->header_gpa + 1, 12, false},
		{v->header_gpa + 13, 3, false}, {v->data_gpa, v->data_size, victim_is_in(v)},
		{v->status_gpa, 1, true},
	};

	memcpy(v->elements, whole, sizeof(whole));
	v->count = COUNT_OF(whole);
}

static void header_short_by_one(struct victim *v)
{
	victim_set_len(header(v), 15);
	if (!victim_is_in(v))
		victim_set_len(data(v), 0);
}

static void header_of_one_byte(struct victim *v)
{
	victim_set_len(header(v), 1);
	if (!victim_is_in(v))
		victim_set_len(data(v), 0);
}

static void header_empty(struct victim *v)
{
	victim_set_len(header(v), 0);
	if (!victim_is_in(v))
		victim_set_len(data(v), 0);
}

static void header_only_readable(struct victim *v)
{
	victim_set_len(data(v), 0);
}

static void header_of_64k(struct victim *v)
{
	victim_set_gpa(header(v), vqsim_memory_alloc(&v->bench->memory, 65536, 16));
	victim_set_len(header(v), 65536);
}

static void status_of_64k(struct victim *v)
{
	v->status_gpa = vqsim_memory_alloc(&v->bench->memory, 65536, 16);
	victim_set_gpa(status(v), v->status_gpa);
	victim_set_len(status(v), 65536);
	v->status_gpa += 65535;
}

static void data_and_status_in_one(struct victim *v)
{
	v->data_gpa = vqsim_memory_alloc(&v->bench->memory, v->data_size + 1, 16);
	v->status_gpa = v->data_gpa + v->data_size;
	victim_cut_data(v, 1);
	if (!victim_is_in(v))
		return;
	v->elements[1].len = v->data_size + 1;
	v->count = 2;
}

static void header_and_data_in_one(struct victim *v)
{
	v->header_gpa = vqsim_memory_alloc(&v->bench->memory, 16 + v->data_size, 16);
	v->data_gpa = v->header_gpa + 16;
	victim_cut_data(v, 1);
	if (victim_is_in(v))
		return;
	v->elements[0].len = 16 + v->data_size;
	v->elements[1] = v->elements[2];
	v->count = 2;
}

#define INDIRECT VIRTIO_FEATURE(VIRTIO_RING_F_INDIRECT_DESC)

static const struct victim_row rows[] = {
	{"next of the head without NEXT", NULL, last_next_unused_names_the_head, VICTIM_LEGAL},

	/* CHAIN-08: DPDK b7aabd7a87, exactly queue size descriptors. */
	{"chain of exactly the queue size", pieces_fill_the_queue, NULL, VICTIM_LEGAL},
	/* CHAIN-17: DPDK 729199397f, 3 x 32 KiB. */
	{"data of more than 64 KiB", three_large_pieces, NULL, VICTIM_LEGAL},
	/* CHAIN-02: CVE-2016-6490; MEM-22: vm-memory f6dc77e, an empty buffer anywhere. */
	{"empty descriptor amid the data", empty_piece_in_the_data, NULL, VICTIM_LEGAL},
	{"empty descriptors first and last", empty_piece_before_and_behind, NULL, VICTIM_LEGAL},

	{"nothing to read", NULL, all_is_writable, VICTIM_REFUSED},
	/* Like LEN-17: CVE-2020-14629, CVE-2025-61759 of net devices, no room for an answer. */
	{"header and nothing else", NULL, only_the_header, VICTIM_MALFORMED},

	/* LEN-05: CVE-2022-2132, DPDK 71bd0cc536, dc1516e260, the header in three pieces. */
	{"header in three descriptors", header_in_three_pieces, NULL, VICTIM_LEGAL},
	/* LEN-05: CVE-2022-2132, a chain shorter than the header; like LEN-17: CVE-2020-14629. */
	{"header one byte short", NULL, header_short_by_one, VICTIM_REFUSED},
	{"header of one byte", NULL, header_of_one_byte, VICTIM_REFUSED},
	{"empty header", NULL, header_empty, VICTIM_REFUSED},
	/* LEN-05: CVE-2022-2132, exactly the header and no data. */
	{"header without data", NULL, header_only_readable, VICTIM_USED},
	/* LEN-13: OpenBSD 0759b25c59, header and status of 64 KiB. */
	{"header of 64 KiB", NULL, header_of_64k, VICTIM_USED},
	{"status of 64 KiB", NULL, status_of_64k, VICTIM_USED},
	/* BLK-34: QEMU ee17e84830; like LEN-11: cloud-hypervisor 778c9f53d, parts in one. */
	{"data and status in one descriptor", data_and_status_in_one, NULL, VICTIM_LEGAL},
	{"header and data in one descriptor", header_and_data_in_one, NULL, VICTIM_LEGAL},
};

static const struct victim_row many[] = {
	/* CHAIN-25: CVE-2021-29631, more segments than a local array; CHAIN-28: QEMU 0fe7245d8b,
	 * cloud-hypervisor 2698cfed9, 52db3f865, 7b07c3a19, the payload in many pieces. */
	{"data in one-byte descriptors", one_byte_pieces, NULL, VICTIM_LEGAL},
};

static const struct victim_row plain[] = {
	/* LEN-16: QEMU d2adda34a9, an answer over a buffer that was filled before; BLK-14:
	 * cloud-hypervisor bc6acb842, rust-vmm 672c9b8, a status of one byte is one byte. */
	{"nothing special", NULL, NULL, VICTIM_LEGAL},
};

int main(void)
{
	static const struct victim_group groups[] = {
		{.name = "split chain", .rows = rows, .count = COUNT_OF(rows)},
		{.name = "split chain, large queue",
		 .rows = many,
		 .count = COUNT_OF(many),
		 .queue_size = 1024},
		{.name = "split chain without INDIRECT_DESC",
		 .rows = plain,
		 .count = COUNT_OF(plain),
		 .without = VIRTIO_FEATURE(VIRTIO_RING_F_INDIRECT_DESC)},
	};
	int failed = 0;

	for (size_t i = 0; i < COUNT_OF(groups); i++)
		failed += victim_run(&groups[i]);
	return failed;
}
