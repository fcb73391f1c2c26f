/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a run was and what came of it, as a table for people or as one JSON
 * object for programs.
 *
 * Threads: one.
 */
#ifndef VQSIM_CLI_REPORT_H
#define VQSIM_CLI_REPORT_H

#include <stdio.h>

#include "workload.h"

#ifdef __cplusplus
extern "C" {
#endif

void report_table(FILE *out, const struct workload *w);
void report_json(FILE *out, const struct workload *w);

#ifdef __cplusplus
}
#endif

#endif
