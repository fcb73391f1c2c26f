/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Windows on arrays of struct iovec: the bytes of a request wherever the driver's
 * framing put them. A window never changes the array below it, so the array
 * stays what the ring said. Nothing here allocates.
 *
 * Threads: none of these functions has state.
 */
#ifndef DEVICES_IOV_H
#define DEVICES_IOV_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#ifdef __cplusplus
extern "C" {
#endif

#define IOV_API_MAJOR 0
#define IOV_API_MINOR 1

/*
 *   iov[0]           iov[1]     iov[2]
 *   |----|===========|==========|=====|------|
 *    skip \________ size bytes ______/
 *
 * skip is smaller than iov[0].iov_len unless size is 0; the elements hold at
 * least skip + size bytes.
 */
struct iov_window {
	const struct iovec *iov;
	size_t count; /* elements from iov that the window may touch */
	size_t skip;
	size_t size;
};

/*
 * The window of size bytes at offset of the elements.
 * offset + size must not exceed their sum; an assertion fails otherwise.
 */
struct iov_window iov_window(const struct iovec *iov, size_t count, size_t offset, size_t size);

/* The part of a window: size bytes at offset, under the same condition. */
struct iov_window iov_window_part(const struct iov_window *window, size_t offset, size_t size);

/* Copy the first size bytes (at most window->size) out of or into the window. Return the count. */
size_t iov_window_read(const struct iov_window *window, void *buf, size_t size);
size_t iov_window_write(const struct iov_window *window, const void *buf, size_t size);

/*
 * The elements of the window as an array for readv and its kin: at most max
 * elements (> 0), written to out; fewer bytes than the window has if they do not
 * suffice. Sets *size to the bytes covered. Returns the number of elements.
 */
size_t iov_window_export(const struct iov_window *window, struct iovec *out, size_t max,
			 size_t *size);

/* Take the first size bytes (at most window->size) off the window. */
void iov_window_advance(struct iov_window *window, size_t size);

#ifdef __cplusplus
}
#endif

#endif
