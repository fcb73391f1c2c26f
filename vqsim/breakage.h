/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Named ways to break a chain or a ring, as a table: for which ring formats, what is changed in
 * guest memory, and which answers a device may give. And the loop around one of them: a request is
 * broken and judged, a good request follows, a reset, and a good request.
 *
 * A breakage changes a chain that the driver has published and the device has not seen, so
 * that it is the same for drivers that write the flags of a head late.
 *
 * Threads: one.
 */
#ifndef VQSIM_BREAKAGE_H
#define VQSIM_BREAKAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "guest.h"

#ifdef __cplusplus
extern "C" {
#endif

enum vqsim_ring_format {
	VQSIM_SPLIT = 1,
	VQSIM_PACKED = 2,
	VQSIM_BOTH = VQSIM_SPLIT | VQSIM_PACKED,
};

/* What a device may make of it. */
enum vqsim_answer {
	VQSIM_SERVES = 1,  /* used, with status 0 */
	VQSIM_FAILS = 2,   /* something is used, with another status or none */
	VQSIM_RESETS = 4,  /* DEVICE_NEEDS_RESET */
	VQSIM_IGNORES = 8, /* nothing is used: nothing was available */
	VQSIM_REFUSES = VQSIM_FAILS | VQSIM_RESETS,
	VQSIM_ANYTHING = 15,
};

/* What is changed. Elements are those of the chain, wherever their descriptors stand. */
enum vqsim_break_at {
	VQSIM_AT_END = 0, /* no more steps */
	VQSIM_AT_FIRST,
	VQSIM_AT_SECOND,
	VQSIM_AT_LAST,
	VQSIM_AT_POINTER, /* the descriptor that points to the table */
	VQSIM_AT_RING,
};

enum vqsim_break_field {
	VQSIM_FIELD_ADDR,
	VQSIM_FIELD_LEN,
	VQSIM_FIELD_FLAGS,
	VQSIM_FIELD_LINK, /* split: next; packed: the buffer id */

	/* With VQSIM_AT_RING. */
	VQSIM_FIELD_ENTRY, /* split: that names the chain in the available ring */
	VQSIM_FIELD_AFTER, /* split: the entry after that */
	VQSIM_FIELD_INDEX, /* split: of the available ring; the driver goes on from there */
	VQSIM_FIELD_EVENT, /* split: flags of the available ring; packed: the driver's events, 32 bits */
};

enum vqsim_break_how {
	VQSIM_SET,
	VQSIM_ADD,
	VQSIM_OR,
	VQSIM_CLEAR,
	VQSIM_XOR,
};

/* What is added to value. */
enum vqsim_break_base {
	VQSIM_BASE_0,
	VQSIM_BASE_SIZE,   /* of the queue */
	VQSIM_BASE_COUNT,  /* of the table's entries */
	VQSIM_BASE_SELF,   /* place of this descriptor in ring or table */
	VQSIM_BASE_HEAD,   /* place of the first descriptor in the ring */
	VQSIM_BASE_SECOND, /* place of the second element, in ring or table */
	VQSIM_BASE_HOLE,   /* an address with no memory behind it */
	VQSIM_BASE_EDGE,   /* the end of a region with nothing behind it */
	VQSIM_BASE_TABLE,  /* address of the table */
};

struct vqsim_break_step {
	enum vqsim_break_at at;
	enum vqsim_break_field field;
	enum vqsim_break_how how;
	enum vqsim_break_base base;
	uint64_t value;
};

#define VQSIM_BREAK_STEPS_MAX 5u

struct vqsim_breakage {
	const char *name;
	unsigned formats; /* enum vqsim_ring_format */
	bool table;       /* of a chain that goes through an indirect table */
	unsigned answers; /* enum vqsim_answer */
	struct vqsim_break_step steps[VQSIM_BREAK_STEPS_MAX];
};

extern const struct vqsim_breakage vqsim_breakages[];
extern const unsigned vqsim_breakage_count;

/* A published chain of three elements that is to be broken. */
struct vqsim_break_target {
	struct vqsim_driver *driver;
	uint16_t first;     /* place of its first descriptor in the ring */
	uint16_t count;     /* elements, at least 2 */
	uint64_t table_gpa; /* all elements are in a table there; 0: all are in the ring */
	uint64_t hole_gpa;
	uint64_t edge_gpa;
};

void vqsim_breakage_apply(const struct vqsim_breakage *breakage,
			  const struct vqsim_break_target *target);

/* The loop around a breakage: what it works on. None is owned. */
struct vqsim_break_ground {
	struct vqsim_guest *guest; /* up, with every chain reaped */
	struct vqsim_guest_config config;
	uint16_t queue;
	uint16_t first; /* place of the next descriptor in the ring; split: not looked at */
	const struct vqsim_element *elements;
	uint16_t count;     /* at least 2; the last byte of the last one is the status */
	uint64_t table_gpa; /* room for count entries */
	uint64_t hole_gpa;
	uint64_t edge_gpa;

	/* A good request to its end. Returns whether all was right. */
	bool (*good)(void *opaque);
	/* The guest was brought up again. May be NULL. */
	void (*up)(void *opaque);
	void *opaque;
};

struct vqsim_break_result {
	enum vqsim_answer answer; /* exactly one */
	bool good_before;         /* a good request before the reset, or none was possible */
	bool good_after;          /* and after it */
};

/* Whether a breakage is possible on this guest: its ring format, its features. */
bool vqsim_breakage_applies(const struct vqsim_breakage *breakage, const struct vqsim_guest *guest);

/*
 * Add a chain, break it, let the device work, take what comes back; a good request unless a
 * reset is due or the driver no longer knows where the device stands; a reset; a good request.
 */
struct vqsim_break_result vqsim_breakage_run(const struct vqsim_breakage *breakage,
					     const struct vqsim_break_ground *ground);

#ifdef __cplusplus
}
#endif

#endif
