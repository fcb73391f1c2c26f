/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Chains with an indirect table (virtio 1.3, 2.7.5.3), well formed and not. Each
 * row runs against the null device and the block device in both directions.
 * The comment above a row names the bugs it stands for.
 */
#include <endian.h>

#include "tests/support/victim.h"

static struct vring_desc *table_of(struct victim *v)
{
	return vqsim_memory_at(&v->bench->memory, v->table_gpa, 16);
}

static struct vring_desc *last(struct victim *v)
{
	return v->desc[v->count - 1];
}

/* Lay out */

static void one_direct(struct victim *v)
{
	v->direct = 1;
}

static void two_direct(struct victim *v)
{
	v->direct = 2;
}

static void five_entries(struct victim *v)
{
	victim_cut_data(v, 3);
}

static void table_larger_than_the_ring(struct victim *v)
{
	victim_cut_data(v, 38);
}

static void one_direct_and_a_large_table(struct victim *v)
{
	v->direct = 1;
	victim_cut_data(v, 38);
}

static void table_of_1024(struct victim *v)
{
	victim_cut_data(v, 1022);
}

/* Change what was laid out, in ways that mean the same */

static void pointer_is_writable(struct victim *v)
{
	victim_add_flags(v->pointer, VRING_DESC_F_WRITE);
}

static void pointer_has_a_wild_next(struct victim *v)
{
	v->pointer->next = htole16(0xffff);
}

/* Entry 0 first, then 4, 2, 3, 1: the order of the links, not of the table. */
static void permute(struct victim *v)
{
	static const uint16_t places[] = {0, 4, 2, 3, 1};
	struct vring_desc *table = table_of(v), was[5];

	memcpy(was, table, sizeof(was));
	for (uint16_t i = 0; i < COUNT_OF(was); i++) {
		table[places[i]] = was[i];
		if (i + 1u < COUNT_OF(was))
			victim_set_next(&table[places[i]], places[i + 1]);
		v->desc[i] = &table[places[i]];
	}
}

static void unused_entries_behind(struct victim *v)
{
	struct vring_desc *table = table_of(v);

	victim_set_len(v->pointer, 16 * 8);
	for (uint16_t i = v->count; i < 8; i++)
		victim_set(&table[i], UINT64_MAX, UINT32_MAX, VRING_DESC_F_INDIRECT, 0xffff);
}

static void last_entry_has_a_wild_next(struct victim *v)
{
	last(v)->next = htole16(0xffff);
}

/* The table at another address; with places for descriptors outside of our sight. */
static void move_table(struct victim *v, uint64_t gpa)
{
	bench_write(v->bench, gpa, table_of(v), 16u * v->count);
	victim_set_gpa(v->pointer, gpa);
}

static void odd_address(struct victim *v)
{
	move_table(v, vqsim_memory_alloc(&v->bench->memory, 16u * v->count + 8, 16) + 3);
}

static void over_a_border(struct victim *v)
{
	move_table(v, bench_end(v->bench, BENCH_LOW) - 16);
}

static void over_a_border_inside_an_entry(struct victim *v)
{
	move_table(v, bench_end(v->bench, BENCH_LOW) - 21);
}

static void up_to_the_last_byte(struct victim *v)
{
	move_table(v, bench_end(v->bench, BENCH_APART) - 16u * v->count);
}

/* Break it */

static void last_entry_cut_off(struct victim *v)
{
	uint64_t gpa = bench_end(v->bench, BENCH_APART) - 16u * v->count + 1;

	bench_write(v->bench, gpa, table_of(v), 16u * v->count - 1);
	victim_set_gpa(v->pointer, gpa);
}

static void next_behind_the_table(struct victim *v)
{
	/* What stands there would go on well. */
	table_of(v)[v->count] = *last(v);
	victim_set_next(last(v), v->count);
}

static void next_modulo_the_ring(struct victim *v)
{
	victim_set_next(v->desc[0], (uint16_t)(v->driver->setup.size + 1));
}

static void table_cut_short(struct victim *v)
{
	victim_set_len(v->pointer, 16u * (v->count - 1u));
}

static void last_entry_names_itself(struct victim *v)
{
	victim_set_next(last(v), (uint16_t)(v->count - v->direct - 1));
}

static void nested_with_next(struct victim *v)
{
	victim_add_flags(v->desc[0], VRING_DESC_F_INDIRECT);
}

/* 1025 entries, the last ones empty so that sizes say nothing. */
static void one_entry_more_than_1024(struct victim *v)
{
	victim_cut_data(v, 1023);
}

/* All of the table is writable and has no bytes. */
static void fill_with_empty_writable(struct victim *v)
{
	victim_cut_data(v, 1);
	v->elements[42] = v->elements[2];
	for (uint16_t i = 2; i < 42; i++)
		v->elements[i] = (struct vqsim_element){UINT64_MAX - i, 0, true};
	v->count = 43;
}

/* The driver writes a table where it is not allowed to: its memory is only data then. */
static void pointer_without_the_feature(struct victim *v)
{
	struct vring_desc *table = table_of(v);

	for (uint16_t i = 0; i < v->count; i++)
		table[i] = *v->desc[i];
	victim_set(&v->driver->ring.desc[v->head], v->table_gpa, 16u * v->count,
		   VRING_DESC_F_INDIRECT, 0);
}

static const struct victim_row legal[] = {
	{"table", NULL, NULL, VICTIM_LEGAL},
	/* CHAIN-19: SPDK 024e0e9095, tables of 3 and 5 entries are no power of two. */
	{"table of five entries", five_entries, NULL, VICTIM_LEGAL},
	/* SPLIT-D-08: CHAIN-22: OpenVMM f9af2c13d, direct descriptors before the table. */
	{"one direct descriptor, then a table", one_direct, NULL, VICTIM_LEGAL},
	{"two direct descriptors, then a table", two_direct, NULL, VICTIM_LEGAL},
	/* CHAIN-22: OpenVMM f9af2c13d, a table larger than the ring. */
	{"table larger than the ring", table_larger_than_the_ring, NULL, VICTIM_LEGAL},
	/* CHAIN-14: Linux dbd29e075228, direct descriptors and more entries than the ring. */
	{"direct descriptor, then a large table", one_direct_and_a_large_table, NULL, VICTIM_LEGAL},
	/* CHAIN-01: CVE-2011-2212, as many entries as the device allows. */
	{"table of 1024 entries", table_of_1024, NULL, VICTIM_LEGAL},
	/* SPLIT-D-07: WRITE on the pointing descriptor is ignored. */
	{"WRITE on the pointer to the table", NULL, pointer_is_writable, VICTIM_LEGAL},
	{"wild next on the pointer without NEXT", NULL, pointer_has_a_wild_next, VICTIM_LEGAL},
	/* SPLIT-DX-07: next is followed, unused entries are not looked at. */
	{"entries in another order", five_entries, permute, VICTIM_LEGAL},
	{"unused entries behind the chain", NULL, unused_entries_behind, VICTIM_LEGAL},
	{"wild next in the last entry", NULL, last_entry_has_a_wild_next, VICTIM_LEGAL},
	{"table at an odd address", NULL, odd_address, VICTIM_LEGAL},
	/* MEM-01: CVE-2018-1059; MEM-02: QEMU 293084a719, a table over two regions. */
	{"table over a border", NULL, over_a_border, VICTIM_LEGAL},
	{"table over a border inside an entry", NULL, over_a_border_inside_an_entry, VICTIM_LEGAL},
	/* MEM-08: cloud-hypervisor 1eb4ebe3d and others, up to the last byte. */
	{"table up to the last byte of a region", NULL, up_to_the_last_byte, VICTIM_LEGAL},
	/* LEN-10: CVE-2019-14835, empty writable descriptors (see also split_memory_test). */
	{"table full of empty writable descriptors", fill_with_empty_writable, NULL, VICTIM_LEGAL},
};

static const struct victim_row malformed[] = {
	{"last entry one byte past the end", NULL, last_entry_cut_off, VICTIM_MALFORMED},
	{"NEXT on the last of five entries", five_entries, next_behind_the_table, VICTIM_MALFORMED},
	{"next right modulo the ring", NULL, next_modulo_the_ring, VICTIM_MALFORMED},
	/* CHAIN-16: CVE-2020-14378, a short table whose links go on. */
	{"table shorter than its chain", NULL, table_cut_short, VICTIM_MALFORMED},
	{"loop behind direct descriptors", one_direct, last_entry_names_itself, VICTIM_MALFORMED},
	{"INDIRECT and NEXT inside a table", NULL, nested_with_next, VICTIM_MALFORMED},
	/* CHAIN-01: CVE-2011-2212, one entry more than the device allows. */
	{"chain of 1025 entries", one_entry_more_than_1024, NULL, VICTIM_MALFORMED},
};

static const struct victim_row forbidden[] = {
	/* SPLIT-G-06: a table without the feature. */
	{"table without INDIRECT_DESC", NULL, pointer_without_the_feature, VICTIM_MALFORMED},
};

int main(void)
{
	static const struct victim_group groups[] = {
		{.name = "split indirect, legal",
		 .rows = legal,
		 .count = COUNT_OF(legal),
		 .indirect = true},
		{.name = "split indirect, malformed",
		 .rows = malformed,
		 .count = COUNT_OF(malformed),
		 .indirect = true},
		{.name = "split indirect, not negotiated",
		 .rows = forbidden,
		 .count = COUNT_OF(forbidden),
		 .without = VIRTIO_FEATURE(VIRTIO_RING_F_INDIRECT_DESC)},
	};
	int failed = 0;

	for (size_t i = 0; i < COUNT_OF(groups); i++)
		failed += victim_run(&groups[i]);
	return failed;
}
