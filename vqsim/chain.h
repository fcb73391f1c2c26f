/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One descriptor chain as data: what a driver is about to write into a ring, in
 * terms that do not depend on the ring's format. A chain may break the rules of
 * the standard; the driver writes it as it is.
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

#ifdef __cplusplus
}
#endif

#endif
