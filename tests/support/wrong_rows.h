/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The usual initialisers of a struct vqsim_wrong.
 *
 * Threads: constants.
 */
#ifndef TESTS_SUPPORT_WRONG_ROWS_H
#define TESTS_SUPPORT_WRONG_ROWS_H

#include "wrong_blk.h"
#include "wrong_ring.h"
#include "wrong_store.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A block device whose answers, or whose requests, go through a hook (wrong_blk.h). */
#define AFTER(hook)                                                         \
	.wrap_device = wrong_wrap_create, .how = &(const struct wrong_bend) \
	{                                                                   \
		.ops = {.progress = wrong_blk_progress},                    \
		.how = &(const struct wrong_blk_hooks){.after = hook},      \
	}

#define BEFORE(hook)                                                        \
	.wrap_device = wrong_wrap_create, .how = &(const struct wrong_bend) \
	{                                                                   \
		.ops = {.progress = wrong_blk_progress},                    \
		.how = &(const struct wrong_blk_hooks){.before = hook},     \
	}

/* A store whose operations go through a hook. */
#define STORE(hook)                                                               \
	.wrap_store = wrong_store_create, .how = &(const struct wrong_store_bend) \
	{                                                                         \
		hook                                                              \
	}

/* A device whose used entries go through a hook (wrong_ring.h); the rest as BENT. */
#define RING(hook, ...)                                                     \
	.wrap_device = wrong_wrap_create, .how = &(const struct wrong_bend) \
	{                                                                   \
		.ops = {.progress = wrong_ring_progress, __VA_ARGS__},      \
		.how = &(const struct wrong_ring_hook){hook},               \
	}

/* A device with some members of its table replaced. */
#define BENT(...)                                                           \
	.wrap_device = wrong_wrap_create, .how = &(const struct wrong_bend) \
	{                                                                   \
		.ops = {__VA_ARGS__},                                       \
	}

#ifdef __cplusplus
}
#endif

#endif
