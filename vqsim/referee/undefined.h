/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Bytes that are handed to the driver and that nobody wrote: stale memory of the
 * host, or what the driver's own buffer held before. The same steps are run twice
 * with different prefills; whatever the device claims to have written must be
 * the same:
 *
 *     struct vqsim_undefined undefined;
 *
 *     vqsim_undefined_init(&undefined);
 *     for (run = 0; run < 2; run++) {
 *             ... new device, memory, guest, referee ...
 *             vqsim_undefined_start(&undefined, &referee);
 *             ... steps; drivers fill writable memory with referee.prefill ...
 *     }
 *     vqsim_undefined_finish(&undefined);
 *
 * Heap of the host is not seen that way if it holds the same in both runs: what
 * runs under valgrind's memcheck is checked by the referee without any of this.
 *
 * Threads: one.
 */
#ifndef VQSIM_REFEREE_UNDEFINED_H
#define VQSIM_REFEREE_UNDEFINED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../version.h"

#ifdef __cplusplus
extern "C" {
#endif

struct vqsim_referee;

struct vqsim_undefined {
	unsigned runs;  /* started */
	uint8_t *bytes; /* what the first run was handed, in order */
	size_t size;
	size_t room;
	size_t position; /* in the second run */
	bool diverged;   /* the second run was handed something else altogether; or out of memory */
};

void vqsim_undefined_init(struct vqsim_undefined *undefined);

/* A zeroed one can be finished. */
void vqsim_undefined_finish(struct vqsim_undefined *undefined);

/* The next run begins, watched by referee, whose prefill and undefined are set. */
void vqsim_undefined_start(struct vqsim_undefined *undefined, struct vqsim_referee *referee);

/*
 * The device claims to have written these bytes; the referee calls it for each used
 * chain. Returns the number of leading bytes that are as in the first run: size if
 * there is no difference.
 */
size_t vqsim_undefined_take(struct vqsim_undefined *undefined, const void *bytes, size_t size);

#ifdef __cplusplus
}
#endif

#endif
