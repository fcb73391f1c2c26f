/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Bytes to operations and back (vqsim/trace.h). An input is
 *
 *     operation *            to the end or FUZZ_OPS_MAX; missing bytes are 0
 *
 * and each operation one byte that chooses a form, then the fields of that form.
 * What the bytes choose depends on the target, which has a dialect of its own: most of them
 * choose what a driver that obeys the rules does, few break a rule. Every input begins with
 * the fields of a bring-up.
 *
 * Integers are little-endian and taken modulo their range. A wide value is one byte that
 * chooses an interesting constant, or FUZZ_LITERAL and then 8 bytes.
 */
#ifndef FUZZ_SUPPORT_DECODE_H
#define FUZZ_SUPPORT_DECODE_H

#include <stddef.h>
#include <stdint.h>

#include "vqsim/trace.h"

/* Longer runs find little that shorter ones do not, and cost more. */
#define FUZZ_OPS_MAX 128u

#define FUZZ_LITERAL 0xffu

struct fuzz_dialect;

extern const struct fuzz_dialect fuzz_split;   /* ring_split and blk */
extern const struct fuzz_dialect fuzz_packed;  /* ring_packed */
extern const struct fuzz_dialect fuzz_session; /* session */

/* Returns the number of operations written to ops, which has room for FUZZ_OPS_MAX. */
unsigned fuzz_decode(const struct fuzz_dialect *dialect, const uint8_t *data, size_t size,
		     struct vqsim_op *ops);

/*
 * The bytes that decode to these operations, the first of which is VQSIM_OP_UP.
 * Returns their number, at most room, or 0: they do not fit, or the dialect cannot say one of them.
 */
size_t fuzz_encode(const struct fuzz_dialect *dialect, const struct vqsim_op *ops, unsigned count,
		   uint8_t *data, size_t room);

#endif
