/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How a mistake of the test itself ends: one line on standard error, then
 * abort. It is not for devices that break a rule, which is a recorded violation,
 * nor for failures of the host, which are negative errnos. Private to vqsim/.
 *
 * Threads: any.
 */
#ifndef VQSIM_MISUSE_INTERNAL_H
#define VQSIM_MISUSE_INTERNAL_H

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* function: __func__ of what was misused; format: what is wrong. */
static inline __attribute__((noreturn, cold, format(printf, 2, 3))) void
vqsim_misuse(const char *function, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	fprintf(stderr, "%s: ", function);
	vfprintf(stderr, format, arguments);
	fputc('\n', stderr);
	va_end(arguments);
	abort();
}

#endif
