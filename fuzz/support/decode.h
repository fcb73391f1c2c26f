/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Bytes to operations and back (vqsim/trace.h). An input is
 *
 *     operation *            to the end or FUZZ_OPS_MAX; missing bytes are 0
 *
 * and each operation one byte that chooses a form, then the fields of that form.
 * Bytes below FUZZ_RARE choose what a driver that obeys the rules does; the few
 * above break a rule, take memory away or change the device. Every input begins with
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

#define FUZZ_RARE    230u
#define FUZZ_LITERAL 0xffu

/* Returns the number of operations written to ops, which has room for FUZZ_OPS_MAX. */
unsigned fuzz_decode(const uint8_t *data, size_t size, struct vqsim_op *ops);

/*
 * The bytes that decode to these operations, the first of which is VQSIM_OP_UP.
 * Returns their number, at most room, or 0: they do not fit, or one has a field out of range.
 */
size_t fuzz_encode(const struct vqsim_op *ops, unsigned count, uint8_t *data, size_t room);

#endif
