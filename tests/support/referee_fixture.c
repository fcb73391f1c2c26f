/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "referee_fixture.h"

#include "devices/null/null.h"

static void forget(void *opaque, const struct vqsim_violation *violation)
{
	(void)opaque;
	(void)violation;
}

uint64_t fixture_rules_broken(const struct fixture *f)
{
	uint64_t rules = 0;

	for (unsigned i = 0; i < VQSIM_RULE_COUNT; i++)
		if (f->referee.counts[i])
			rules |= UINT64_C(1) << i;
	return rules;
}

/* Broken: the rule and nothing but it. */
void fixture_assert_broken(const struct fixture *f, uint64_t rules)
{
	if (f->referee.violations > 0 && fixture_rules_broken(f) != rules)
		vqsim_referee_print(&f->referee, &f->referee.first, stderr);
	assert_int_equal(fixture_rules_broken(f), rules);
}

/* Requests come first in memory: with a reset the guest gives back what came after bring-up. */
void fixture_make(struct fixture *f, struct virtio_device *device, uint64_t features)
{
	static const struct vqsim_region regions[] = {
		{FIXTURE_GPA, FIXTURE_EXTRA_GPA - FIXTURE_GPA},
		{FIXTURE_EXTRA_GPA, FIXTURE_END_GPA - FIXTURE_EXTRA_GPA},
	};
	struct vqsim_guest_config config = {.features = features, .queue_size = FIXTURE_QUEUE_SIZE};

	memset(f, 0, sizeof(*f));
	assert_non_null(device);
	f->device = device;
	assert_int_equal(vqsim_memory_init(&f->memory, regions, 2), 0);
	assert_int_equal(vqsim_referee_init(&f->referee, &f->memory), 0);
	f->referee.sink = forget;
	assert_int_equal(vqsim_guest_init(&f->guest, &f->memory, device, &f->referee), 0);
	for (unsigned i = 0; i < FIXTURE_REQUESTS; i++)
		f->requests[i] = (struct fixture_request){
			.header = vqsim_memory_alloc_in(&f->memory, 0, NULL_HEADER_SIZE, 16),
			.data = vqsim_memory_alloc_in(&f->memory, 0, FIXTURE_DATA_SIZE + 1, 16),
			.table = vqsim_memory_alloc_in(&f->memory, 0, FIXTURE_TABLE_SIZE, 16),
		};
	assert_int_equal(vqsim_guest_bring_up(&f->guest, &config), VQSIM_UP);
}

void fixture_make_wrong(struct fixture *f, enum wrong_fault fault, uint64_t features)
{
	fixture_make(f, wrong_device_create(fault), features);
	/* What is wrong often leaves bytes unwritten, which memcheck would report as well. */
	f->referee.memcheck = false;
	vqsim_referee_let_stray(&f->referee);
}

void fixture_make_null(struct fixture *f, uint64_t features)
{
	struct virtio_device *device = NULL;

	assert_int_equal(null_create(&device, 1, WRONG_DEVICE_QUEUE_SIZE_MAX, NULL_FILL), 0);
	fixture_make(f, device, features);
}

void fixture_finish(struct fixture *f)
{
	vqsim_guest_finish(&f->guest);
	f->device->ops->destroy(f->device);
	vqsim_referee_finish(&f->referee);
	vqsim_memory_finish(&f->memory);
}

struct vqsim_split_ring *fixture_ring(struct fixture *f)
{
	return &f->guest.queues[0].ring;
}

/* Add one request. Returns its head, or its buffer id. */
uint16_t fixture_add(struct fixture *f, unsigned index, bool indirect)
{
	const struct fixture_request *r = &f->requests[index];
	const struct vqsim_element elements[] = {
		{r->header, NULL_HEADER_SIZE, false},
		{r->data, FIXTURE_DATA_SIZE, true},
		{r->data + FIXTURE_DATA_SIZE, 1, true},
	};
	const struct vqsim_chain chain = {
		.elements = elements,
		.count = FIXTURE_CHAIN,
		.direct = indirect ? 0 : FIXTURE_CHAIN,
		.table_gpa = r->table,
	};
	int head = vqsim_guest_add(&f->guest, 0, &chain, &f->requests[index]);

	assert_true(head >= 0);
	vqsim_referee_expect_len(&f->referee, 0, (uint16_t)head, FIXTURE_DATA_SIZE + 1);
	return (uint16_t)head;
}

void fixture_run(struct fixture *f)
{
	struct vqsim_used used;

	vqsim_guest_publish(&f->guest, 0);
	vqsim_guest_run(&f->guest, 0);
	while (vqsim_guest_reap(&f->guest, 0, &used) != VQSIM_REAP_NOTHING)
		;
}
