/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the inputs of a target brought about since the start of the process. A corpus
 * that completes no request fuzzes nothing.
 */
#ifndef FUZZ_SUPPORT_COUNTERS_H
#define FUZZ_SUPPORT_COUNTERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

extern uint64_t fuzz_requests_completed; /* by the inputs, not by the oracle at their end */
extern uint64_t fuzz_resets;
extern bool fuzz_verbose; /* print the operations of each input before they are run */

extern const char *fuzz_input_name; /* for messages; NULL: libFuzzer names the input itself */

/* What libFuzzer calls. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

/* Let go of everything. Called by replay only: libFuzzer ends without a word. */
void fuzz_finish(void);

#endif
