/* SPDX-License-Identifier: BSD-3-Clause */
#include "iov.h"

#include <assert.h>
#include <string.h>

static size_t smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

struct iov_window iov_window(const struct iovec *iov, size_t count, size_t offset, size_t size)
{
	while (count > 0 && offset >= iov->iov_len) {
		offset -= iov->iov_len;
		iov++;
		count--;
	}
	assert(count > 0 || (offset == 0 && size == 0));
	return (struct iov_window){.iov = iov, .count = count, .skip = offset, .size = size};
}

struct iov_window iov_window_part(const struct iov_window *window, size_t offset, size_t size)
{
	assert(offset <= window->size && size <= window->size - offset);
	return iov_window(window->iov, window->count, window->skip + offset, size);
}

/* The first piece of a window that lies in one element. */
static size_t first_piece(const struct iov_window *window, uint8_t **start)
{
	*start = (uint8_t *)window->iov->iov_base + window->skip;
	return smaller(window->iov->iov_len - window->skip, window->size);
}

void iov_window_advance(struct iov_window *window, size_t size)
{
	size = smaller(size, window->size);
	window->size -= size;
	window->skip += size;
	while (window->count > 0 && window->skip >= window->iov->iov_len) {
		window->skip -= window->iov->iov_len;
		window->iov++;
		window->count--;
	}
}

/* The first size bytes of a window, if there are any and they lie in one element; or NULL. */
static uint8_t *one_piece(const struct iov_window *window, size_t size)
{
	uint8_t *start;

	return size > 0 && size <= first_piece(window, &start) ? start : NULL;
}

size_t iov_window_read(const struct iov_window *window, void *buf, size_t size)
{
	struct iov_window rest;
	uint8_t *to = buf, *whole;

	size = smaller(window->size, size);
	whole = one_piece(window, size);
	if (whole) {
		memcpy(buf, whole, size);
		return size;
	}
	rest = *window;
	rest.size = size;
	while (rest.size > 0) {
		uint8_t *start;
		size_t piece = first_piece(&rest, &start);

		memcpy(to, start, piece);
		to += piece;
		iov_window_advance(&rest, piece);
	}
	return (size_t)(to - (uint8_t *)buf);
}

size_t iov_window_write(const struct iov_window *window, const void *buf, size_t size)
{
	const uint8_t *from = buf;
	struct iov_window rest;
	uint8_t *whole;

	size = smaller(window->size, size);
	whole = one_piece(window, size);
	if (whole) {
		memcpy(whole, buf, size);
		return size;
	}
	rest = *window;
	rest.size = size;
	while (rest.size > 0) {
		uint8_t *start;
		size_t piece = first_piece(&rest, &start);

		memcpy(start, from, piece);
		from += piece;
		iov_window_advance(&rest, piece);
	}
	return (size_t)(from - (const uint8_t *)buf);
}

size_t iov_window_export(const struct iov_window *window, struct iovec *out, size_t max,
			 size_t *size)
{
	struct iov_window rest = *window;
	size_t count = 0;

	assert(max > 0);
	while (rest.size > 0 && count < max) {
		uint8_t *start;
		size_t piece = first_piece(&rest, &start);

		out[count++] = (struct iovec){.iov_base = start, .iov_len = piece};
		iov_window_advance(&rest, piece);
	}
	*size = window->size - rest.size;
	return count;
}
