/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The rows of fuse_messages.inc, in both byte orders.
 *
 * Threads: constant data.
 */
#ifndef TESTS_SUPPORT_FUSE_ROWS_H
#define TESTS_SUPPORT_FUSE_ROWS_H

#include <stddef.h>
#include <stdint.h>

/* Node and caller of every row, as fake_tree writes them. */
#define FUSE_ROWS_NODE UINT64_C(0x8182838485868788)
#define FUSE_ROWS_FROM "8182838485868788 by a1:a2:a3"

struct fuse_row {
	uint32_t opcode;
	const uint8_t *body;
	size_t size;
	const char *call;
	uint64_t count;
	const char *data;
	const uint8_t *reply;
	size_t reply_size;
};

extern const struct fuse_row fuse_rows_little[], fuse_rows_big[];
extern const size_t fuse_rows_count;

/* Whether a row has no reply at all. */
int fuse_row_silent(const struct fuse_row *row);

#endif
