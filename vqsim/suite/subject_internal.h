/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Between subject.c and the kinds of subjects that have a file of their own.
 *
 * Threads: constants.
 */
#ifndef VQSIM_SUITE_SUBJECT_INTERNAL_H
#define VQSIM_SUITE_SUBJECT_INTERNAL_H

#include "subject.h"

/* The ops of a file-system device by its name; NULL: it is none. */
const struct vqsim_subject_ops *vqsim_subject_fs(const char *name);

/* Free what vqsim_subject_remote_init made. */
void vqsim_subject_remote_finish(struct vqsim_subject *subject);

#endif
