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

static uint16_t index_of(struct victim *v, const struct vring_desc *desc)
{
	return (uint16_t)(desc - v->driver->ring.desc);
}

/* next */

static void header_next_is_size(struct victim *v)
{
	victim_set_next(header(v), v->driver->setup.size);
}

static void header_next_is_largest(struct victim *v)
{
	victim_set_next(header(v), 0xffff);
}

static void data_next_aliases(struct victim *v)
{
	victim_set_next(data(v), (uint16_t)(v->driver->setup.size + index_of(v, status(v))));
}

static void last_next_is_size(struct victim *v)
{
	victim_set_next(status(v), v->driver->setup.size);
}

static void last_next_unused_and_wild(struct victim *v)
{
	status(v)->next = htole16(0xfffe);
}

static void last_next_unused_names_the_head(struct victim *v)
{
	status(v)->next = htole16(v->head);
}

/* Loops */

static void header_names_itself(struct victim *v)
{
	victim_set_len(header(v), 0);
	victim_set_next(header(v), v->head);
}

static void status_names_itself(struct victim *v)
{
	victim_set_len(status(v), 0);
	victim_set_next(status(v), index_of(v, status(v)));
}

static void status_names_itself_with_a_byte(struct victim *v)
{
	victim_set_next(status(v), index_of(v, status(v)));
}

static void all_empty_and_round(struct victim *v)
{
	for (uint16_t i = 0; i < v->count; i++) {
		victim_set_len(v->desc[i], 0);
		victim_drop_flags(v->desc[i], VRING_DESC_F_WRITE);
	}
	victim_set_next(status(v), v->head);
}

static void status_and_data_name_each_other(struct victim *v)
{
	if (!victim_is_in(v))
		victim_add_flags(data(v), VRING_DESC_F_WRITE);
	victim_set_next(status(v), index_of(v, data(v)));
}

static void huge_and_round(struct victim *v)
{
	victim_add_flags(data(v), VRING_DESC_F_WRITE);
	victim_set_len(data(v), UINT32_MAX);
	victim_set_next(data(v), index_of(v, data(v)));
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

static void data_after_the_status_is_readable(struct victim *v)
{
	uint16_t old = index_of(v, header(v));

	victim_drop_flags(status(v), VRING_DESC_F_NEXT);
	victim_set_next(status(v), old);
	victim_drop_flags(header(v), VRING_DESC_F_NEXT);
	/* The chain now starts with what can be written. */
	*victim_slot(v, 0) = htole16(index_of(v, data(v)));
	victim_add_flags(data(v), VRING_DESC_F_WRITE);
}

static void status_is_readable(struct victim *v)
{
	victim_drop_flags(status(v), VRING_DESC_F_WRITE);
}

static void all_is_readable(struct victim *v)
{
	victim_drop_flags(data(v), VRING_DESC_F_WRITE);
	victim_drop_flags(status(v), VRING_DESC_F_WRITE);
}

static void header_is_writable(struct victim *v)
{
	victim_add_flags(header(v), VRING_DESC_F_WRITE);
}

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
	/* CHAIN-07: DPDK c687b0b635, next one past the table. */
	{"next one past the table", NULL, header_next_is_size, VICTIM_MALFORMED},
	/* CHAIN-07: DPDK c687b0b635, the largest next. */
	{"next far past the table", NULL, header_next_is_largest, VICTIM_MALFORMED},
	/* CHAIN-22: OpenVMM f9af2c13d, next that would be right modulo the size. */
	{"next right modulo the size", NULL, data_next_aliases, VICTIM_MALFORMED},
	/* CHAIN-25: CVE-2021-29631; CHAIN-26: GHSL-2021-056, GHSL-2021-057, a chain that fails to
	 * parse after its last good descriptor. */
	{"next of the last leaves the table", NULL, last_next_is_size, VICTIM_MALFORMED},
	/* SPLIT-DX-06: next means nothing without NEXT. */
	{"wild next without NEXT", NULL, last_next_unused_and_wild, VICTIM_LEGAL},
	{"next of the head without NEXT", NULL, last_next_unused_names_the_head, VICTIM_LEGAL},

	/* CHAIN-04: DPDK a436f53ebf, cc7301908c, a readable self-loop without bytes. */
	{"empty readable descriptor names itself", NULL, header_names_itself, VICTIM_MALFORMED},
	/* CHAIN-04: DPDK a436f53ebf, cc7301908c, a writable self-loop without bytes. */
	{"empty writable descriptor names itself", NULL, status_names_itself, VICTIM_MALFORMED},
	/* CHAIN-23: OpenVMM e375025c7, a cycle, then a reset. */
	{"last descriptor names itself", NULL, status_names_itself_with_a_byte, VICTIM_MALFORMED},
	/* CHAIN-05: DPDK 450539b47e, c7e7244b82, a loop of empty descriptors in the ring. */
	{"loop of empty descriptors", NULL, all_empty_and_round, VICTIM_MALFORMED},
	{"two descriptors name each other", NULL, status_and_data_name_each_other,
	 VICTIM_MALFORMED},
	/* CHAIN-20: rust-vmm 27740a5, a loop of the largest length. */
	{"loop of descriptors of 4 GiB", NULL, huge_and_round, VICTIM_MALFORMED},

	/* CHAIN-08: DPDK b7aabd7a87, exactly queue size descriptors. */
	{"chain of exactly the queue size", pieces_fill_the_queue, NULL, VICTIM_LEGAL},
	/* CHAIN-17: DPDK 729199397f, 3 x 32 KiB. */
	{"data of more than 64 KiB", three_large_pieces, NULL, VICTIM_LEGAL},
	/* CHAIN-02: CVE-2016-6490; MEM-22: vm-memory f6dc77e, an empty buffer anywhere. */
	{"empty descriptor amid the data", empty_piece_in_the_data, NULL, VICTIM_LEGAL},
	{"empty descriptors first and last", empty_piece_before_and_behind, NULL, VICTIM_LEGAL},

	/* CHAIN-29: cloud-hypervisor 48123669b, 521b15bda, yc-libvhost 88beae5, 5ca54bf. */
	{"readable after writable", NULL, data_after_the_status_is_readable, VICTIM_MALFORMED},
	{"status that only can be read", NULL, status_is_readable, VICTIM_MALFORMED},
	{"nothing to write to", NULL, all_is_readable, VICTIM_MALFORMED},
	{"header that can be written", NULL, header_is_writable, VICTIM_MALFORMED},
	{"nothing to read", NULL, all_is_writable, VICTIM_REFUSED},
	/* LEN-17: CVE-2020-14629, CVE-2025-61759, a chain too short for its answer. */
	{"header and nothing else", NULL, only_the_header, VICTIM_MALFORMED},

	/* LEN-05: CVE-2022-2132, DPDK 71bd0cc536, dc1516e260, the header in three pieces. */
	{"header in three descriptors", header_in_three_pieces, NULL, VICTIM_LEGAL},
	/* LEN-05: CVE-2022-2132, a chain shorter than the header; LEN-17: CVE-2020-14629. */
	{"header one byte short", NULL, header_short_by_one, VICTIM_REFUSED},
	{"header of one byte", NULL, header_of_one_byte, VICTIM_REFUSED},
	{"empty header", NULL, header_empty, VICTIM_REFUSED},
	/* LEN-05: CVE-2022-2132, exactly the header and no data. */
	{"header without data", NULL, header_only_readable, VICTIM_USED},
	/* LEN-13: OpenBSD 0759b25c59, header and status of 64 KiB. */
	{"header of 64 KiB", NULL, header_of_64k, VICTIM_USED},
	{"status of 64 KiB", NULL, status_of_64k, VICTIM_USED},
	/* BLK-34: QEMU ee17e84830; LEN-11: cloud-hypervisor 778c9f53d, parts in one descriptor. */
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
