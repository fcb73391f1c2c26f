/* SPDX-License-Identifier: BSD-3-Clause */
#include "fuse_rows.h"

#include "devices/fs/fuse_wire.h"

/* An empty list is no array in C, so one byte more stands at the end of each. */
#define BYTES(...)                                       \
	(const uint8_t[]){__VA_ARGS__ __VA_OPT__(, ) 0}, \
		sizeof((const uint8_t[]){__VA_ARGS__ __VA_OPT__(, ) 0}) - 1
#define ROW(opcode, body, call, count, data, reply) {opcode, body, call, count, data, reply},
#define PART(value, bits)                           (uint8_t)((value) >> (bits)&0xff)

#define W(value) PART(value, 0), PART(value, 8)
#define D(value) PART(value, 0), PART(value, 8), PART(value, 16), PART(value, 24)
#define Q(value)                                                                  \
	D(UINT64_C(value)), PART(UINT64_C(value), 32), PART(UINT64_C(value), 40), \
		PART(UINT64_C(value), 48), PART(UINT64_C(value), 56)

const struct fuse_row fuse_rows_little[] = {
#include "fuse_messages.inc"
};

#undef W
#undef D
#undef Q
#define W(value) PART(value, 8), PART(value, 0)
#define D(value) PART(value, 24), PART(value, 16), PART(value, 8), PART(value, 0)
#define Q(value)                                                                         \
	PART(UINT64_C(value), 56), PART(UINT64_C(value), 48), PART(UINT64_C(value), 40), \
		PART(UINT64_C(value), 32), D(UINT64_C(value))

const struct fuse_row fuse_rows_big[] = {
#include "fuse_messages.inc"
};

const size_t fuse_rows_count = sizeof(fuse_rows_little) / sizeof(fuse_rows_little[0]);

int fuse_row_silent(const struct fuse_row *row)
{
	return row->opcode == FUSE_FORGET || row->opcode == FUSE_BATCH_FORGET;
}
