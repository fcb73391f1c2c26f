/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A process in the sandbox (devices/serve/sandbox.h) that does one thing, and how it ends.
 *
 * Failures end the cmocka test. Threads: one.
 */
#ifndef TESTS_SUPPORT_WALLED_H
#define TESTS_SUPPORT_WALLED_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "devices/serve/sandbox.h"

/* What it does; the result is its exit status. directory: where the shared one is, or NULL. */
typedef int walled_act(const char *directory);

/* Added to the number of the signal that ended it. */
#define WALLED_SIGNAL 1000

/* It could not be made, or opened before it was sealed. */
#define WALLED_FAILED 200

struct walled {
	const char *directory; /* of the host; NULL: none */
	bool read_only;
	bool nobody;        /* be an ordinary user; only root can */
	walled_act *before; /* in the sandbox, before it is sealed; may be NULL */
	walled_act *act;

	unsigned parts; /* enum sandbox_part: what held */
};

/* Its exit status, or WALLED_SIGNAL + number. */
int walled_run(struct walled *walled);

/* Make it from this process, which is its parent then and never returns. */
__attribute__((noreturn)) void walled_be_parent(struct walled *walled);

/* A new directory that everybody may change, below TMPDIR; path has room for 64 bytes. */
void walled_make_directory(char *path);
void walled_remove_directory(const char *path);

/* Whether this build has a sanitizer, whose run-time may open files. */
bool walled_sanitized(void);

#endif
