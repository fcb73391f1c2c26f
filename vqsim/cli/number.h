/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Numbers of a command line.
 *
 * Threads: no state.
 */
#ifndef VQSIM_CLI_NUMBER_H
#define VQSIM_CLI_NUMBER_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What a number may be. */
struct number_spec {
	const char *option; /* for the complaint */
	uint64_t min, max;
	bool suffix; /* K, M, G and T multiply by powers of 1024 */
};

/* Digits and at most one suffix; false for anything else, also for what does not fit. */
bool number_read(const char *text, bool suffix, uint64_t *number);

/* The same, within limits; false after a complaint. */
bool number_parse(const struct number_spec *spec, const char *text, uint64_t *number);

#ifdef __cplusplus
}
#endif

#endif
