/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A disk as a command line names it: ram:SIZE or file:PATH.
 *
 * Threads: no state.
 */
#ifndef VQSIM_CLI_STORE_WORD_H
#define VQSIM_CLI_STORE_WORD_H

#include <stdbool.h>
#include <stdint.h>

#include "cli.h"
#include "../../devices/blk/store.h"

#ifdef __cplusplus
extern "C" {
#endif

/* *path: NULL for ram, and points into word otherwise. Returns false after a complaint. */
bool store_word_parse(const char *word, const char **path, uint64_t *ram_size);

/*
 * Open it; if it will not be written, so that nothing can change it. reading: the option that would
 * make do with an image that is read-only. A complaint has been printed if the result is not CLI_OK.
 */
enum cli_exit store_word_open(const char *path, uint64_t ram_size, bool writes, const char *reading,
			      struct blk_store **store);

#ifdef __cplusplus
}
#endif

#endif
