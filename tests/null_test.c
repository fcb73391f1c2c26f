/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The data of the null device (devices/null/null.h): with NULL_FILL its bytes count on from the
 * first byte of the header over all descriptors, however long the data is and wherever it is cut.
 */
#include "tests/support/bench.h"

/* More than two of the pieces that the device copies. */
#define DATA_MAX 9000u

#define PIECES 3u

static const struct request {
	const char *name;
	uint8_t first; /* byte of the header */
	uint32_t pieces[PIECES];
} requests[] = {
	{"status alone", 0x00, {1}},
	{"one byte", 0xff, {2}},
	{"4096 bytes, cut after the first", 0x80, {1, 4096}},
	{"4096 bytes, status apart", 0x01, {4096, 1}},
	{"4097 bytes, status apart", 0xff, {4097, 1}},
	{"cut beside the pieces of the copy", 0x7f, {4095, 3, 4095}},
	{"two pieces of the copy and more", 0xc3, {1, 8192, 257}},
	{"empty descriptor in the data", 0x10, {DATA_MAX, 0, 1}},
};

static void data_counts_on_from_the_header(void **state)
{
	const struct request *request = *state;
	struct bench *bench = bench_create(&(struct bench_options){.device = BENCH_NULL});
	uint64_t header = vqsim_memory_alloc(&bench->memory, NULL_HEADER_SIZE, 16);
	uint64_t data = vqsim_memory_alloc(&bench->memory, DATA_MAX + 1, 16);
	struct vqsim_element elements[1 + PIECES] = {{header, NULL_HEADER_SIZE, false}};
	struct vqsim_chain chain = {elements, 1 + PIECES, 1 + PIECES, 0};
	uint8_t got[DATA_MAX + 1], expected[DATA_MAX + 1];
	struct vqsim_used used;
	uint32_t size = 0;

	for (unsigned i = 0; i < PIECES; i++) {
		elements[1 + i] = (struct vqsim_element){data + size, request->pieces[i], true};
		size += request->pieces[i];
	}
	for (uint32_t i = 0; i < size; i++)
		expected[i] = (uint8_t)(request->first + i);
	expected[size - 1] = NULL_STATUS_OK;
	bench_fill(bench, data, 0xee, size);
	bench_fill(bench, header, (uint8_t)~request->first, NULL_HEADER_SIZE);
	bench_fill(bench, header, request->first, 1);

	assert_true(vqsim_guest_add(&bench->guest, 0, &chain, bench) >= 0);
	vqsim_guest_publish(&bench->guest, 0);
	assert_int_equal(vqsim_guest_run(&bench->guest, 0), VIRTIO_IDLE);
	assert_int_equal(vqsim_guest_reap(&bench->guest, 0, &used), VQSIM_REAP_USED);
	assert_int_equal(used.len, size);
	bench_read(bench, data, got, size);
	assert_memory_equal(got, expected, size);
	bench_destroy(bench);
}

int main(void)
{
	struct CMUnitTest tests[COUNT_OF(requests)];

	for (size_t i = 0; i < COUNT_OF(requests); i++)
		tests[i] = (struct CMUnitTest){requests[i].name, data_counts_on_from_the_header,
					       NULL, NULL, (void *)(uintptr_t)&requests[i]};
	return bench_run("null", tests, COUNT_OF(requests));
}
