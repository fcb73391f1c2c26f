/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One descriptor chain as data: what a driver is about to write into a ring, in
 * terms that do not depend on the ring's format. A chain may break the rules of
 * the standard; the driver writes it as it is. And a walk over the legal chains of one
 * request: the same bytes in every framing.
 *
 * Threads: values.
 */
#ifndef VQSIM_CHAIN_H
#define VQSIM_CHAIN_H

#include <stdbool.h>
#include <stdint.h>

#include "version.h"

#ifdef __cplusplus
extern "C" {
#endif

/* One buffer of a chain. */
struct vqsim_element {
	uint64_t gpa;
	uint32_t len; /* bytes */
	bool write;   /* device-writable */
};

/*
 * Elements direct..count - 1 go through an indirect table at table_gpa (16 bytes
 * an element, the caller's guest memory); direct == count: no table.
 */
struct vqsim_chain {
	const struct vqsim_element *elements;
	uint16_t count; /* > 0 */
	uint16_t direct;
	uint64_t table_gpa;
};

/*
 * Cut a run of bytes [gpa, gpa + size) into elements at the given sizes; what the
 * sizes leave over becomes one last element. Sizes of 0 make empty elements.
 * Returns the number of elements written to out, at most max (it ends the process if more are
 * needed).
 */
unsigned vqsim_chain_cut(struct vqsim_element *out, unsigned max, uint64_t gpa, uint32_t size,
			 bool write, const uint32_t *sizes, unsigned size_count);

/* A walk cuts no run of bytes into more pieces than this. */
#define VQSIM_LAYOUT_PIECES_MAX   600u
#define VQSIM_LAYOUT_ELEMENTS_MAX 1204u

/*
 * A request as two runs of bytes, not both empty. A framing says nothing (2.7.4.1): a device
 * must answer alike however the runs are cut. A run that crosses the border of two regions makes
 * elements that do.
 */
struct vqsim_layout_request {
	uint64_t readable_gpa;
	uint64_t writable_gpa;
	uint32_t readable_size;
	uint32_t writable_size;
	uint16_t queue_size;   /* no chain is longer (2.7.5.3.1, 2.8.19) */
	uint64_t table_gpa;    /* room for a table of that many entries; 0: no tables */
	bool mixed;            /* elements before the one that points to the table: split only */
	uint32_t random_count; /* seeded framings after the systematic ones */
	uint32_t seed;
};

/*
 * The walk, in this order; each framing direct, through a table, and with 1, 2, 3 and all but one
 * elements before the table, as far as that is legal:
 *
 *  1. the readable run in every framing of the list below, the writable one whole;
 *  2. the other way round;
 *  3. both cut once, at every pair of points;
 *  4. random_count framings by chance.
 *
 * The list: whole; cut once, at every byte; cut twice, at every pair of points; empty elements
 * before, amid and behind; pieces of 1, 2, 4... bytes. The points of a run are all its bytes up
 * to VQSIM_LAYOUT_SMALL of them, and otherwise those near to its ends, to 8 and 16, and its middle.
 */
struct vqsim_layout_walk {
	struct vqsim_layout_request request;
	uint64_t framings; /* so far */
	uint64_t layouts;

	/* Private. */
	unsigned phase, form;
	uint32_t index; /* in the phase */
	uint64_t random;
	uint16_t count;
	struct vqsim_element elements[VQSIM_LAYOUT_ELEMENTS_MAX];
};

#define VQSIM_LAYOUT_SMALL 64u

void vqsim_layout_start(struct vqsim_layout_walk *walk, const struct vqsim_layout_request *request);

/* The next layout, valid until the call after this one. Returns false: that was all. */
bool vqsim_layout_next(struct vqsim_layout_walk *walk, struct vqsim_chain *chain);

#ifdef __cplusplus
}
#endif

#endif
