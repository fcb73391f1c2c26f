/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A request that something is done to: it is laid into the ring as a driver
 * would, a row of a table then bends or breaks it, and what the device makes of
 * it is judged. Rows run against the null device and the block device, with data
 * in both directions; once on a queue that was never used, without EVENT_IDX, and
 * once with EVENT_IDX on a queue that served a request in the same regions before.
 * What is broken by changing a few fields is in vqsim/breakage.h; here is what needs a layout.
 *
 * Threads: one.
 */
#ifndef TESTS_SUPPORT_VICTIM_H
#define TESTS_SUPPORT_VICTIM_H

#include "bench.h"

#define VICTIM_ELEMENTS_MAX 1100u
#define VICTIM_SECTOR       8u
#define VICTIM_PREFILL      0xaa

enum victim_shape {
	VICTIM_NULL_IN,
	VICTIM_NULL_OUT,
	VICTIM_BLK_IN,
	VICTIM_BLK_OUT,
	VICTIM_SHAPES,
};

/* What is demanded of the device. */
enum victim_demand {
	VICTIM_LEGAL,     /* carried out: right data, status 0, exact used length */
	VICTIM_REFUSED,   /* used, with a status other than 0 that the standard knows */
	VICTIM_USED,      /* used, with a status that the standard knows */
	VICTIM_MALFORMED, /* used, or a reset is asked for */
};

struct victim {
	struct bench *bench;
	struct vqsim_driver *driver;
	enum victim_shape shape;

	/* What is laid out; place may change all of it. */
	uint64_t header_gpa, data_gpa, status_gpa, table_gpa;
	uint32_t data_size;             /* default 1024 */
	bool warm;                      /* the queue served a request before */
	bool indirect;                  /* of the row */
	uint16_t direct;                /* descriptors before the table, if indirect */
	struct vqsim_element *elements; /* default: header, data, status */
	uint16_t count;                 /* 0: the default */

	/* For breakit. */
	uint16_t head;
	struct vring_desc **desc;   /* of each element */
	struct vring_desc *pointer; /* what points to the table, NULL: there is none */
};

struct victim_row {
	const char *name;
	void (*place)(struct victim *v);   /* before it is laid out; may be NULL */
	void (*breakit)(struct victim *v); /* before it is published; may be NULL */
	enum victim_demand demand;
};

struct victim_group {
	const char *name;
	const struct victim_row *rows;
	size_t count;
	bool indirect;       /* the chain goes through a table */
	uint16_t queue_size; /* default 16 */
	uint64_t without;    /* features that the driver does not take */
};

/* Run all rows against all shapes, one cmocka test each. Returns the number of failures. */
int victim_run(const struct victim_group *group);

/* Whether the device writes the data. */
bool victim_is_in(const struct victim *v);

/* Replace the elements by header, data cut into count pieces, status. */
void victim_cut_data(struct victim *v, uint16_t pieces);

/* Change a descriptor; the bytes of the ring are little-endian. */
void victim_set(struct vring_desc *desc, uint64_t gpa, uint32_t len, uint16_t flags, uint16_t next);
void victim_set_gpa(struct vring_desc *desc, uint64_t gpa);
void victim_set_len(struct vring_desc *desc, uint32_t len);
void victim_set_next(struct vring_desc *desc, uint16_t next); /* and NEXT */
void victim_add_flags(struct vring_desc *desc, uint16_t flags);
void victim_drop_flags(struct vring_desc *desc, uint16_t flags);

#endif
