/* SPDX-License-Identifier: BSD-3-Clause */
#include <assert.h>
#include <string.h>

#include "fuse_internal.h"

static void turn(uint8_t *integer, size_t size)
{
	for (size_t i = 0; i < size / 2; i++) {
		uint8_t byte = integer[i];

		integer[i] = integer[size - 1 - i];
		integer[size - 1 - i] = byte;
	}
}

static size_t size_of(char letter)
{
	switch (letter) {
	case 'w':
		return 2;
	case 'd':
		return 4;
	case 'q':
		return 8;
	default:
		return 1;
	}
}

void fuse_swap(void *structure, size_t size, const char *layout)
{
	uint8_t *at = structure;

	for (; *layout && size > 0; layout++) {
		size_t integer = size_of(*layout);

		assert(integer <= size);
		turn(at, integer);
		at += integer;
		size -= integer;
	}
	assert(size == 0);
}
