/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The tables of cases, one for each topic. A new one is declared here and listed in
 * cases.c.
 *
 * Threads: constants.
 */
#ifndef VQSIM_SUITE_CASES_INTERNAL_H
#define VQSIM_SUITE_CASES_INTERNAL_H

#include "suite.h"

extern const struct vqsim_case vqsim_cases_smoke[];
extern const struct vqsim_case vqsim_cases_blk[];
extern const struct vqsim_case vqsim_cases_blk_ranges[];
extern const struct vqsim_case vqsim_cases_blk_durable[];
extern const struct vqsim_case vqsim_cases_blk_config[];
extern const struct vqsim_case vqsim_cases_status[];
extern const struct vqsim_case vqsim_cases_features[];
extern const struct vqsim_case vqsim_cases_reset[];
extern const struct vqsim_case vqsim_cases_config[];

#endif
