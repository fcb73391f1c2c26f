/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the targets share: a player, made once, that runs one input after the other.
 */
#ifndef FUZZ_SUPPORT_ROUND_H
#define FUZZ_SUPPORT_ROUND_H

#include <stddef.h>
#include <stdint.h>

#include "decode.h"
#include "vqsim/trace.h"

/*
 * Decode and run. A violation ends the process: it is printed with the operations that
 * led to it. Without memory for a state the process ends too.
 */
void fuzz_round(struct vqsim_player *player, const struct fuzz_dialect *dialect,
		const uint8_t *data, size_t size);

/*
 * What makes a violation of the input that runs now happen again, and a name for it. To be told the
 * referee of every input before it runs.
 */
void fuzz_introduce(struct vqsim_referee *referee);

/* For making the state: end the process, saying what failed, if error is not 0. */
void fuzz_must(const char *what, int error);

#endif
