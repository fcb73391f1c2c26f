/* SPDX-License-Identifier: BSD-3-Clause */
#include "decode.h"
#include "forms.h"

#define CHAIN_FIELDS                                                                      \
	{                                                                                 \
		QUEUE, WHAT, LAYOUT, PLACE, COUNT, READABLE, WRITABLE, BYTES, BYTES_VALUE \
	}
#define BLK_FIELDS                                                               \
	{                                                                        \
		QUEUE, WHAT, LAYOUT, AT, COUNT, READABLE, WRITABLE, DATA, SECTOR \
	}
#define BREAK_FIELDS                           \
	{                                      \
		QUEUE, WHAT, LAYOUT, AT, VALUE \
	}

#define CHAIN_WHATS (VQSIM_BLK_KIND_COUNT + 1)

/* Split rings; the last 26 values break a rule, take memory away or change the device. */
static const struct form split_forms[] = {
	{VQSIM_OP_CHAIN, 50, CHAIN_WHATS, CHAIN_FIELDS},
	{VQSIM_OP_BLK, 50, VQSIM_BLK_KIND_COUNT, BLK_FIELDS},
	{ROUND_TRIP, 50, 0, {QUEUE}},
	{VQSIM_OP_PUBLISH, 20, 0, {QUEUE}},
	{VQSIM_OP_RUN, 20, 0, {QUEUE}},
	{VQSIM_OP_REAP, 20, 0, {QUEUE}},
	{VQSIM_OP_KICK, 5, 0, {QUEUE}},
	{VQSIM_OP_NOTIFY, 8, 2, {QUEUE, WHAT}},
	{VQSIM_OP_USED_EVENT, 7, 0, {QUEUE, SMALL_VALUE}},

	{VQSIM_OP_BREAK, 14, VQSIM_BREAK_COUNT, BREAK_FIELDS},
	{VQSIM_OP_RESET, 2, 0, {NO_FIELD}},
	{VQSIM_OP_UP, 3, 0, {FEATURES, RING_SIZE, COUNT}},
	{VQSIM_OP_HIDE, 2, 0, {AT}},
	{VQSIM_OP_EXPOSE, 1, 0, {AT}},
	{VQSIM_OP_CAPACITY, 2, 0, {SMALL_VALUE}},
	{VQSIM_OP_WRITEBACK, 2, 0, {SMALL_VALUE}},
};

/* Packed rings: the same, and with what a packed ring is to survive beside breakages. */
static const struct form packed_forms[] = {
	{VQSIM_OP_CHAIN, 55, CHAIN_WHATS, CHAIN_FIELDS},
	{ROUND_TRIP, 50, 0, {QUEUE}},
	{VQSIM_OP_PUBLISH, 25, 0, {QUEUE}},
	{VQSIM_OP_RUN, 25, 0, {QUEUE}},
	{VQSIM_OP_REAP, 25, 0, {QUEUE}},
	{VQSIM_OP_KICK, 8, 2, {QUEUE, WHAT, VALUE}},
	{VQSIM_OP_NOTIFY, 12, 2, {QUEUE, WHAT}},
	{VQSIM_OP_USED_EVENT, 14, 0, {QUEUE, SMALL_VALUE}},
	{VQSIM_OP_QUEUE_RESET, 3, 0, {QUEUE}},
	{VQSIM_OP_QUEUE_ENABLE, 3, 0, {QUEUE, ANY_RING_SIZE}},
	{VQSIM_OP_UP, 10, 0, {PACKED_FEATURES, ANY_RING_SIZE, COUNT}},

	{VQSIM_OP_BREAK, 12, VQSIM_BREAK_COUNT, BREAK_FIELDS},
	{VQSIM_OP_BREAKAGE, 7, 0, {QUEUE, TINY_VALUE}},
	{VQSIM_OP_RESET, 2, 0, {NO_FIELD}},
	{VQSIM_OP_HIDE, 2, 0, {AT}},
	{VQSIM_OP_EXPOSE, 1, 0, {AT}},
	{VQSIM_OP_REPLACE, 2, 0, {NO_FIELD}},
};

/* Much that changes under requests that are in flight; little that is broken. */
static const struct form session_forms[] = {
	{VQSIM_OP_CHAIN, 30, CHAIN_WHATS, CHAIN_FIELDS},
	{VQSIM_OP_BLK, 40, VQSIM_BLK_KIND_COUNT, BLK_FIELDS},
	{ROUND_TRIP, 36, 0, {QUEUE}},
	{VQSIM_OP_PUBLISH, 16, 0, {QUEUE}},
	{VQSIM_OP_RUN, 18, 0, {QUEUE}},
	{VQSIM_OP_REAP, 16, 0, {QUEUE}},
	{VQSIM_OP_KICK, 3, 2, {QUEUE, WHAT, VALUE}},
	{VQSIM_OP_NOTIFY, 4, 2, {QUEUE, WHAT}},
	{VQSIM_OP_USED_EVENT, 3, 0, {QUEUE, SMALL_VALUE}},
	{VQSIM_OP_UP, 8, 0, {ALL_FEATURES, ANY_RING_SIZE, COUNT}},
	{VQSIM_OP_RESET, 3, 0, {NO_FIELD}},
	{VQSIM_OP_DRIVER, 4, 0, {NO_FIELD}},
	{VQSIM_OP_QUEUE_RESET, 9, 0, {QUEUE}},
	{VQSIM_OP_QUEUE_ENABLE, 10, 0, {QUEUE, ANY_RING_SIZE}},
	{VQSIM_OP_HIDE, 5, 0, {AT}},
	{VQSIM_OP_EXPOSE, 6, 0, {AT}},
	{VQSIM_OP_REPLACE, 6, 0, {NO_FIELD}},
	{VQSIM_OP_HOLD, 9, 3, {WHAT}},
	{VQSIM_OP_LET_GO, 9, 0, {TINY_VALUE}},
	{VQSIM_OP_RELEASE, 6, 0, {AT}},
	{VQSIM_OP_FAIL, 5, 0, {TINY_VALUE, DATA}},
	{VQSIM_OP_CONFIG, 3, 0, {COUNT, TINY_SIZE, VALUE}},
	{VQSIM_OP_WRITEBACK, 2, 0, {SMALL_VALUE}},
	{VQSIM_OP_CAPACITY, 2, 0, {SMALL_VALUE}},
	{VQSIM_OP_BREAK, 2, VQSIM_BREAK_COUNT, BREAK_FIELDS},
	{VQSIM_OP_BREAKAGE, 1, 0, {QUEUE, TINY_VALUE}},
};

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

const struct fuzz_dialect fuzz_split = {
	.up = {VQSIM_OP_UP, 0, 0, {FEATURES, RING_SIZE, COUNT}},
	.forms = split_forms,
	.count = COUNT_OF(split_forms),
};

const struct fuzz_dialect fuzz_packed = {
	.up = {VQSIM_OP_UP, 0, 0, {PACKED_FEATURES, ANY_RING_SIZE, COUNT}},
	.forms = packed_forms,
	.count = COUNT_OF(packed_forms),
};

const struct fuzz_dialect fuzz_session = {
	.up = {VQSIM_OP_UP, 0, 0, {ALL_FEATURES, ANY_RING_SIZE, COUNT}},
	.forms = session_forms,
	.count = COUNT_OF(session_forms),
};
