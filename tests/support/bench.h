/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A bench to test a device on: guest memory with every kind of border, the
 * referee, a device and a guest that drives it, made and taken down in one line.
 *
 *     gpa  0          512K       768K        1G     +64K      2^64-64K   -4K  2^64
 *          |   LOW    |   NEXT   |   hole    | APART |  hole  |   TOP    |hole|
 *
 * LOW and NEXT are neighbours for the guest and nowhere near each other in this
 * process. What bench_destroy asserts is the least that every test expects: no
 * violation, canaries intact, nothing in flight, no reference left to a memory map.
 *
 * Failures end the cmocka test. Threads: one.
 */
#ifndef TESTS_SUPPORT_BENCH_H
#define TESTS_SUPPORT_BENCH_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "first_violation.h"
#include "devices/blk/blk.h"
#include "devices/null/null.h"
#include "vqsim/guest.h"
#include "vqsim/guest_blk.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

enum bench_region {
	BENCH_LOW,
	BENCH_NEXT,
	BENCH_APART,
	BENCH_TOP,
	BENCH_HUGE = BENCH_TOP, /* 4 GiB and a page at 2^40 in its place, if asked for */
};

#define BENCH_REGIONS 4u

enum bench_device {
	BENCH_NULL,
	BENCH_BLK,
};

#define BENCH_DISK_SECTORS 256u
#define BENCH_ALLOWED_MAX  64u

/* A zeroed member means the default. */
struct bench_options {
	enum bench_device device;
	uint64_t without;     /* features that the driver does not take */
	bool packed;          /* take RING_PACKED */
	bool in_order;        /* take IN_ORDER */
	uint16_t queue_size;  /* default 16 */
	uint16_t queue_count; /* that the driver sets up; default: all the device has */
	struct blk_options blk;
	struct blk_store *store; /* taken over; default: ram with bench_disk_byte */
	bool down;               /* do not bring the device up */
	bool huge;               /* BENCH_HUGE and no BENCH_TOP */
};

struct bench {
	struct vqsim_memory memory;
	struct vqsim_referee referee;
	struct virtio_device *device;
	struct vqsim_guest guest;
	struct vqsim_guest_config config;

	/* Block device. */
	struct blk_store *store;
	struct vqsim_disk disk;
	struct vqsim_blk blk;

	/* Private. */
	struct first_violation first;
	uint8_t *snapshot[BENCH_REGIONS];
	struct vqsim_region allowed[BENCH_ALLOWED_MAX];
	unsigned allowed_count;
};

/* Whether a device of this kind, as bench_create makes it, offers a feature bit. */
bool bench_offers(enum bench_device device, unsigned feature);

struct bench *bench_create(const struct bench_options *options);
void bench_destroy(struct bench *bench);

/* Reset the device and bring it up again, as bench_create did. Asserts that it comes up. */
void bench_up(struct bench *bench);

/* The device was brought up by somebody else: the block driver starts on it. */
void bench_start_driver(struct bench *bench);

/*
 * The same in two steps, with a queue 0 that lies where the caller says. A
 * descriptor table that crosses regions stays in memory of the driver's own: the
 * test copies it from there (queues[0].ring.desc) to the guest. The available
 * and used ring may be outside of memory, if nothing is asked of the queue then.
 * bench_ring resets the device and allocates a ring to start from, which resumes at index.
 * bench_driver_ok returns whether the device is up; if not, it needs a reset.
 */
struct virtio_queue_setup bench_ring(struct bench *bench, uint16_t size, uint16_t index);
void bench_set_up_at(struct bench *bench, const struct virtio_queue_setup *setup);
bool bench_driver_ok(struct bench *bench);

/* The first address behind a region, and what lies in it. */
uint64_t bench_end(const struct bench *bench, enum bench_region region);

/* Guest memory over borders of regions, through the driver's mapping. */
void bench_read(const struct bench *bench, uint64_t gpa, void *to, uint64_t size);
void bench_write(const struct bench *bench, uint64_t gpa, const void *from, uint64_t size);
void bench_fill(const struct bench *bench, uint64_t gpa, uint8_t value, uint64_t size);

/*
 * Footprint to the byte: remember all of guest memory, say what may change (bytes
 * outside of it are of no interest), and compare.
 */
void bench_snapshot(struct bench *bench);
void bench_allow(struct bench *bench, uint64_t gpa, uint64_t size);
void bench_allow_rings(struct bench *bench);
void bench_compare(struct bench *bench);

/* So far: no violation, canaries intact. */
void bench_check(struct bench *bench);

/* A request that is right gets the right answer (blk: a write, and a read of it). */
void bench_good_request(struct bench *bench);

/* Good requests now, and after a reset. */
void bench_good_for_all(struct bench *bench);

/* What the disk holds at first, and what it holds now, behind the device's back. */
uint8_t bench_disk_byte(uint64_t offset);
void bench_disk_read(const struct bench *bench, uint64_t offset, void *to, uint64_t size);

/* Run one operation of a store to its end. Returns its result. */
int bench_store_do(struct blk_store *store, enum blk_op op, uint64_t offset, void *data,
		   uint64_t size);

/* A ram store that holds bench_disk_byte. */
struct blk_store *bench_store_create(uint64_t sectors);

/*
 * Run the tests of a table whose rows are made at run time: names and states
 * are the caller's, setup and teardown the same for all. Returns the failures.
 */
int bench_run(const char *group, struct CMUnitTest *tests, size_t count);

#endif
