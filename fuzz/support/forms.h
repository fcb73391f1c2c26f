/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How operations stand in the input of a target: which first byte chooses which operation,
 * and the fields that follow. A table that inputs of a corpus were made for keeps its order and its
 * weights: with others they mean something else.
 */
#ifndef FUZZ_SUPPORT_FORMS_H
#define FUZZ_SUPPORT_FORMS_H

#include "vqsim/trace.h"

enum field_kind {
	NO_FIELD,
	QUEUE,
	WHAT,
	LAYOUT,
	PLACE,
	AT,
	COUNT,
	READABLE,
	WRITABLE,
	BYTES,           /* size of a chain */
	DATA,            /* size of a block request */
	RING_SIZE,       /* a power of two */
	ANY_RING_SIZE,   /* mostly a power of two */
	FEATURES,        /* of the first eight */
	ALL_FEATURES,    /* of all that are known here */
	PACKED_FEATURES, /* the same, and RING_PACKED always */
	BYTES_VALUE,
	SECTOR,
	VALUE,
	SMALL_VALUE,
	TINY_VALUE, /* one byte */
	TINY_SIZE,
};

#define FIELDS_MAX 9

/* Not an operation but three: publish, run, reap. So most inputs complete what they ask for. */
#define ROUND_TRIP VQSIM_OP_COUNT

/* How one operation stands in an input. Forms of one code differ in their fields. */
struct form {
	enum vqsim_op_code code;
	unsigned weight; /* how many values of the first byte choose it */
	unsigned whats;  /* range of the field WHAT */
	enum field_kind fields[FIELDS_MAX];
};

struct fuzz_dialect {
	struct form up;           /* of the bring-up that every input begins with */
	const struct form *forms; /* their weights add up to 256 */
	unsigned count;
};

#endif
