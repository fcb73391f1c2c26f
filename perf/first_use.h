/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How long it takes from the start of a process until a device in it has
 * answered its first request: what every unit test and every run of a command
 * pays. Measured over a real fork and exec of this program.
 *
 * Threads: one.
 */
#ifndef PERF_FIRST_USE_H
#define PERF_FIRST_USE_H

#include "subject.h"

/* The argument that makes main call perf_first_use_child. */
#define PERF_FIRST_USE_CHILD "first-use-child"

/* The median of runs runs, in milliseconds; ends the process if a child fails. */
double perf_first_use(const struct perf_subject *subject, unsigned runs);

/* The child: answer one request, write the time to standard output. Returns the exit status. */
int perf_first_use_child(const struct perf_subject *subject);

#endif
