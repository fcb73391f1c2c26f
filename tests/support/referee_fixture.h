/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A guest with one small queue, a device and a referee that reports to nobody but
 * the test, and requests of the shape that the null device takes.
 *
 * Threads: one.
 */
#ifndef TESTS_SUPPORT_REFEREE_FIXTURE_H
#define TESTS_SUPPORT_REFEREE_FIXTURE_H

#include <stdbool.h>
#include <stdint.h>

#include "tests/support/wrong_device.h"
#include "vqsim/guest.h"

#ifdef __cplusplus
extern "C" {
#endif

#define FIXTURE_QUEUE_SIZE 16u
#define FIXTURE_DATA_SIZE  64u
#define FIXTURE_REQUESTS   4u

/* Descriptors of a request, and bytes of its indirect table. */
#define FIXTURE_CHAIN      3u
#define FIXTURE_TABLE_SIZE (FIXTURE_CHAIN * sizeof(struct vring_desc))

/* Memory from which nothing is allocated, behind the rest; it can be hidden as region 1. */
#define FIXTURE_GPA       0x100000u
#define FIXTURE_EXTRA_GPA 0x140000u
#define FIXTURE_END_GPA   0x141000u

/* Feature sets for fixture_make. */
#define PLAIN    0
#define EVENT    VIRTIO_FEATURE(VIRTIO_RING_F_EVENT_IDX)
#define INDIRECT VIRTIO_FEATURE(VIRTIO_RING_F_INDIRECT_DESC)

/* A set of rules: RULE(USED_ID) | RULE(CHAIN_LOST). */
#define RULE(r) (UINT64_C(1) << VQSIM_RULE_##r)

/* Guest memory of one request: header, data with the status behind, indirect table. */
struct fixture_request {
	uint64_t header, data, table;
};

struct fixture {
	struct vqsim_memory memory;
	struct vqsim_referee referee;
	struct virtio_device *device;
	struct vqsim_guest guest;
	struct fixture_request requests[FIXTURE_REQUESTS];
};

/* Bring device up with these features; it is destroyed by fixture_finish. */
void fixture_make(struct fixture *f, struct virtio_device *device, uint64_t features);
void fixture_make_wrong(struct fixture *f, enum wrong_fault fault, uint64_t features);
void fixture_make_null(struct fixture *f, uint64_t features);
void fixture_finish(struct fixture *f);

struct vqsim_split_ring *fixture_ring(struct fixture *f);

/* Lay request number index into the ring and tell the referee its used length. Returns the head. */
uint16_t fixture_add(struct fixture *f, unsigned index, bool indirect);

/* Publish, run, and reap all there is. */
void fixture_run(struct fixture *f);

/* The rules that were broken so far. */
uint64_t fixture_rules_broken(const struct fixture *f);

/* Asserts that these rules were broken and no others. */
void fixture_assert_broken(const struct fixture *f, uint64_t rules);

#ifdef __cplusplus
}
#endif

#endif
