/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the system's <linux/fuse.h> says of FUSE: sizes, offsets, numbers.
 *
 * Threads: constant data.
 */
#ifndef TESTS_SUPPORT_FUSE_LAYOUT_H
#define TESTS_SUPPORT_FUSE_LAYOUT_H

#include <stddef.h>
#include <stdint.h>

struct fuse_layout {
	const char *what;
	uint64_t value;
	uint64_t size; /* of a field; else 0 */
};

extern const struct fuse_layout fuse_layout_linux[];
extern const size_t fuse_layout_count;

/* Rows of fuse_layout.inc. */
#define FUSE_LAYOUT_STRUCT(name) {#name, sizeof(struct name), 0},
#define FUSE_LAYOUT_FIELD(parent, name) \
	{#parent "." #name, offsetof(struct parent, name), sizeof(((struct parent *)NULL)->name)},
#define FUSE_LAYOUT_NUMBER(name) {#name, name, 0},

#endif
