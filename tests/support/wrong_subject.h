/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Ops for wrong subjects that stand on blk:ram and differ in what the suite is told or can
 * do from behind.
 *
 * Threads: one.
 */
#ifndef TESTS_SUPPORT_WRONG_SUBJECT_H
#define TESTS_SUPPORT_WRONG_SUBJECT_H

#include "vqsim/suite/subject.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The disk can be written although it was asked to be read-only. Has peek and poke alone. */
extern const struct vqsim_subject_ops wrong_subject_writable;

/* The storage has metrics of its wear, as the facts say. */
extern const struct vqsim_subject_ops wrong_subject_worn;

#ifdef __cplusplus
}
#endif

#endif
