/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The names of the feature bits that `--features` takes and the report prints.
 *
 * Threads: constants.
 */
#ifndef VQSIM_CLI_FEATURES_H
#define VQSIM_CLI_FEATURES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct feature_name {
	const char *name;
	unsigned bit;
};

/* In the order of the bits; ends with a NULL name. */
extern const struct feature_name feature_names[];

/*
 * A list such as "all,-event_idx" or "flush,mq": from left to right, `all` sets
 * every bit but RING_PACKED and IN_ORDER, `none` clears every bit, NAME sets and -NAME clears one. A list
 * that begins with -NAME begins with all. VERSION_1 is always in the result.
 * Returns false after a complaint.
 */
bool features_parse(const char *list, uint64_t *features);

#ifdef __cplusplus
}
#endif

#endif
