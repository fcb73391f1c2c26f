/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where buffers may lie and where not: borders of regions, holes, the end of
 * addresses (virtio 1.3, 2.7.5). Each row runs against the null device and the
 * block device in both directions. The comment above a row names the bugs it
 * stands for.
 */
#include <endian.h>

#include "tests/support/victim.h"

static uint64_t end(struct victim *v, enum bench_region region)
{
	return bench_end(v->bench, region);
}

/* Legal places */

static void data_over_a_border(struct victim *v)
{
	v->data_gpa = end(v, BENCH_LOW) - 500;
}

static void header_over_a_border(struct victim *v)
{
	v->header_gpa = end(v, BENCH_LOW) - 5;
}

static void all_over_one_border(struct victim *v)
{
	v->header_gpa = end(v, BENCH_LOW) - 16 - 100;
	v->data_gpa = end(v, BENCH_LOW) - 100;
	v->status_gpa = v->data_gpa + v->data_size;
}

static void data_ends_with_a_region(struct victim *v)
{
	v->data_gpa = end(v, BENCH_APART) - v->data_size;
}

static void status_is_the_last_byte(struct victim *v)
{
	v->status_gpa = end(v, BENCH_APART) - 1;
}

static void status_is_the_last_byte_of_all(struct victim *v)
{
	v->status_gpa = end(v, BENCH_TOP) - 1;
	v->data_gpa = end(v, BENCH_TOP) - 1 - v->data_size;
}

static void header_ends_with_a_region(struct victim *v)
{
	v->header_gpa = end(v, BENCH_APART) - 16;
}

static void empty_data_at_0(struct victim *v)
{
	v->data_gpa = 0;
	v->data_size = 0;
}

static void status_starts_a_region(struct victim *v)
{
	v->status_gpa = end(v, BENCH_LOW);
}

static void nothing_is_aligned(struct victim *v)
{
	v->header_gpa = end(v, BENCH_NEXT) - 4093;
	v->data_gpa = v->header_gpa + 16;
	v->status_gpa = v->data_gpa + v->data_size;
}

/* As many descriptors as the queue has, and each crosses the border, over the same bytes. */
static void every_descriptor_crosses(struct victim *v)
{
	v->data_gpa = end(v, BENCH_LOW) - 512;
	victim_cut_data(v, 14);
	for (uint16_t i = 1; i + 1 < v->count; i++) {
		v->elements[i].gpa = end(v, BENCH_LOW) - 36;
		v->elements[i].len = 73;
	}
	/* 13 pieces of 73 bytes and one of 75 make 1024. */
	v->elements[v->count - 2].len = 75;
}

static void empty_descriptor_nowhere(struct victim *v)
{
	victim_cut_data(v, 1);
	v->elements[3] = v->elements[2];
	v->elements[2] = (struct vqsim_element){end(v, BENCH_APART), 0, victim_is_in(v)};
	v->count++;
}

/* Everything in one region, whose end the last buffer of each direction then crosses. */
static void all_in_one_region(struct victim *v)
{
	v->header_gpa = end(v, BENCH_APART) - 4096;
	v->data_gpa = end(v, BENCH_APART) - 2048;
	v->status_gpa = end(v, BENCH_APART) - 1;
}

/* Places where no memory is */

static void set_data(struct victim *v, uint64_t gpa, uint32_t len)
{
	victim_set_gpa(v->desc[1], gpa);
	victim_set_len(v->desc[1], len);
}

static void data_into_a_hole(struct victim *v)
{
	set_data(v, end(v, BENCH_NEXT) - 512, 1024);
}

static void data_in_a_hole(struct victim *v)
{
	set_data(v, end(v, BENCH_NEXT) + 8192, 1024);
}

static void data_one_byte_past(struct victim *v)
{
	set_data(v, end(v, BENCH_APART) - 1023, 1024);
}

static void data_over_a_hole(struct victim *v)
{
	set_data(v, end(v, BENCH_NEXT) - 512, UINT32_C(0x3fff0000));
}

static void data_of_4_gib(struct victim *v)
{
	set_data(v, v->data_gpa, UINT32_MAX);
}

static void data_around_the_end(struct victim *v)
{
	set_data(v, UINT64_C(0xfffffffffffff000), 0x2000);
}

static void data_from_memory_around_the_end(struct victim *v)
{
	set_data(v, end(v, BENCH_TOP) - 0x1000, 0x3000);
}

static void data_up_to_2_64(struct victim *v)
{
	set_data(v, UINT64_MAX - 1023, 1024);
}

static void header_past_the_end(struct victim *v)
{
	victim_set_gpa(v->desc[0], end(v, BENCH_APART) - 15);
}

static void status_past_the_end(struct victim *v)
{
	victim_set_gpa(v->desc[v->count - 1], end(v, BENCH_APART));
}

static void status_of_two_bytes_past_the_end(struct victim *v)
{
	victim_set_gpa(v->desc[v->count - 1], end(v, BENCH_APART) - 1);
	victim_set_len(v->desc[v->count - 1], 2);
}

static void status_at_the_last_address(struct victim *v)
{
	victim_set_gpa(v->desc[v->count - 1], UINT64_MAX);
}

static void everything_nowhere(struct victim *v)
{
	for (uint16_t i = 0; i < v->count; i++)
		victim_set_gpa(v->desc[i], end(v, BENCH_NEXT) + 4096u * i);
}

static void one_more_byte_of_data(struct victim *v)
{
	set_data(v, end(v, BENCH_APART) - 1024, 1025);
}

static void one_more_byte_of_status(struct victim *v)
{
	victim_set_len(v->desc[v->count - 1], 2);
}

static void much_more_status(struct victim *v)
{
	victim_set_len(v->desc[v->count - 1], UINT32_MAX);
}

static void one_byte_at_the_end_of_memory(struct victim *v)
{
	v->header_gpa = end(v, BENCH_TOP) - 16;
	victim_cut_data(v, 1);
	v->elements[0].gpa = end(v, BENCH_TOP) - 1;
	v->elements[0].len = 1;
	if (!victim_is_in(v))
		v->elements[1].len = 0;
}

static void buffer_past_the_end_behind_a_header(struct victim *v)
{
	set_data(v, end(v, BENCH_TOP) - 64, 65536);
}

static const struct victim_row legal[] = {
	/* MEM-01: CVE-2018-1059, neighbours for the guest only. */
	{"data over a border", data_over_a_border, NULL, VICTIM_LEGAL},
	/* LEN-07: DPDK 8eac207d49, a header that straddles two regions. */
	{"header over a border", header_over_a_border, NULL, VICTIM_LEGAL},
	/* MEM-02: QEMU 293084a719. */
	{"header, data and status around a border", all_over_one_border, NULL, VICTIM_LEGAL},
	/* CHAIN-13: QEMU 37ef70be6a, every descriptor of a full chain straddles a border. */
	{"every descriptor over a border", every_descriptor_crosses, NULL, VICTIM_USED},
	/* MEM-08: cloud-hypervisor 1eb4ebe3d, Firecracker 5b99f414e, rust-vmm 5633160. */
	{"data up to the last byte of a region", data_ends_with_a_region, NULL, VICTIM_LEGAL},
	{"status on the last byte of a region", status_is_the_last_byte, NULL, VICTIM_LEGAL},
	{"status on the last byte of memory", status_is_the_last_byte_of_all, NULL, VICTIM_LEGAL},
	{"header up to the last byte of a region", header_ends_with_a_region, NULL, VICTIM_LEGAL},
	{"status on the first byte of a region", status_starts_a_region, NULL, VICTIM_LEGAL},
	{"nothing aligned", nothing_is_aligned, NULL, VICTIM_LEGAL},
	/* MEM-22: vm-memory f6dc77e, an empty buffer at the end of a region. */
	{"empty buffer behind the end of a region", empty_descriptor_nowhere, NULL, VICTIM_LEGAL},
	{"empty buffer at address 0", empty_data_at_0, NULL, VICTIM_LEGAL},
	/* LEN-14: SPDK 97e82c0c06, one byte at the end of the last region. */
	{"request of one byte at the end of memory", one_byte_at_the_end_of_memory, NULL,
	 VICTIM_REFUSED},
};

static const struct victim_row malformed[] = {
	/* LEN-01: CVE-2019-18960, a header and then a buffer past the end of memory. */
	{"buffer past the end of memory", NULL, buffer_past_the_end_behind_a_header,
	 VICTIM_MALFORMED},
	{"data from memory into a hole", NULL, data_into_a_hole, VICTIM_MALFORMED},
	{"data in a hole", NULL, data_in_a_hole, VICTIM_MALFORMED},
	{"data one byte past a region", NULL, data_one_byte_past, VICTIM_MALFORMED},
	{"data over a hole into memory", NULL, data_over_a_hole, VICTIM_MALFORMED},
	/* MEM-11: CVE-2016-7422, more bytes than can be mapped. */
	{"data of 4 GiB", NULL, data_of_4_gib, VICTIM_MALFORMED},
	/* MEM-10: OpenVMM 547661407, c3df92315, an address that wraps into low memory. */
	{"data around the end of addresses", NULL, data_around_the_end, VICTIM_MALFORMED},
	{"data from memory around the end", NULL, data_from_memory_around_the_end,
	 VICTIM_MALFORMED},
	{"data up to 2^64", NULL, data_up_to_2_64, VICTIM_MALFORMED},
	{"header past the end of a region", NULL, header_past_the_end, VICTIM_MALFORMED},
	/* BLK-14: cloud-hypervisor bc6acb842, rust-vmm 672c9b8, no byte behind the status. */
	{"status past the end of a region", NULL, status_past_the_end, VICTIM_MALFORMED},
	{"status of two bytes half outside", NULL, status_of_two_bytes_past_the_end,
	 VICTIM_MALFORMED},
	{"one byte of data past the region of all", all_in_one_region, one_more_byte_of_data,
	 VICTIM_MALFORMED},
	{"one byte of status past the region of all", all_in_one_region, one_more_byte_of_status,
	 VICTIM_MALFORMED},
	{"4 GiB of status past the region of all", all_in_one_region, much_more_status,
	 VICTIM_MALFORMED},
	{"status at the last address", NULL, status_at_the_last_address, VICTIM_MALFORMED},
	{"nothing in memory", NULL, everything_nowhere, VICTIM_MALFORMED},
};

int main(void)
{
	static const struct victim_group groups[] = {
		{.name = "split memory, legal", .rows = legal, .count = COUNT_OF(legal)},
		{.name = "split memory, legal, indirect",
		 .rows = legal,
		 .count = COUNT_OF(legal),
		 .indirect = true},
		{.name = "split memory, malformed",
		 .rows = malformed,
		 .count = COUNT_OF(malformed)},
		{.name = "split memory, malformed, indirect",
		 .rows = malformed,
		 .count = COUNT_OF(malformed),
		 .indirect = true},
	};
	int failed = 0;

	for (size_t i = 0; i < COUNT_OF(groups); i++)
		failed += victim_run(&groups[i]);
	return failed;
}
