/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The version of the simulator and of its headers (vqsim/). What is marked 0.x
 * may change with each MINOR.
 *
 * Threads: constants.
 */
#ifndef VQSIM_VERSION_H
#define VQSIM_VERSION_H

#ifdef __cplusplus
extern "C" {
#endif

#define VQSIM_VERSION_MAJOR 0
#define VQSIM_VERSION_MINOR 1
#define VQSIM_VERSION_PATCH 0
#define VQSIM_VERSION       "0.1.0"

#ifdef __cplusplus
}
#endif

#endif
