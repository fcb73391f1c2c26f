/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How far a run is, on standard error: a bar when a terminal watches and the run
 * takes more than a second, otherwise a plain line every ten seconds.
 *
 * Threads: one.
 */
#ifndef VQSIM_CLI_PROGRESS_H
#define VQSIM_CLI_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct progress {
	const char *label;
	uint64_t total; /* > 0 */
	uint64_t start; /* ns */
	uint64_t next;  /* ns; when to print again */
	bool quiet;
	bool terminal;
	bool drawn; /* a bar stands on the terminal's line */
};

/* Nanoseconds since some moment. */
uint64_t progress_now(void);

void progress_start(struct progress *progress, const char *label, uint64_t total, bool quiet);

/* done of total are done. Cheap enough for every round of a run. */
void progress_show(struct progress *progress, uint64_t done);

/* Take the bar off the terminal. */
void progress_finish(struct progress *progress);

#ifdef __cplusplus
}
#endif

#endif
