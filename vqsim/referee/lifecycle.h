/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The referee's model of status, features and config space: what a guest tells of
 * its accesses, and what they must have returned. A guest that tells nothing is
 * not checked.
 *
 * Threads: one.
 */
#ifndef VQSIM_REFEREE_LIFECYCLE_H
#define VQSIM_REFEREE_LIFECYCLE_H

#include "referee.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The status of a device that nobody has written to: it is 0. */
void vqsim_referee_status_fresh(struct vqsim_referee *referee, uint8_t status);

/*
 * The driver wrote a value to the status (0 or with more bits than before) and read it
 * back when the device was done. FEATURES_OK may be refused, and DRIVER_OK without
 * it; DEVICE_NEEDS_RESET is the device's own.
 */
void vqsim_referee_status_written(struct vqsim_referee *referee, uint8_t written, uint8_t status);

/* The offered features were read: between two resets the offer is one and the same. */
void vqsim_referee_offered(struct vqsim_referee *referee, uint64_t features);

/*
 * FEATURES_OK was written with these features and stuck or not. What stuck once
 * sticks after every reset, for as long as it is offered.
 */
void vqsim_referee_features_written(struct vqsim_referee *referee, uint64_t features, bool stuck);

/*
 * Part of the config space was read, with the same generation before and behind.
 * config_notifications is the count so far. Bytes past the first 256 are not remembered.
 */
void vqsim_referee_config_read(struct vqsim_referee *referee, uint32_t offset, const void *bytes,
			       uint32_t size, uint32_t generation, uint64_t config_notifications);

/* The driver wrote to part of the config space, or did what may change it: forget that part. */
void vqsim_referee_config_written(struct vqsim_referee *referee, uint32_t offset, uint32_t size);

#ifdef __cplusplus
}
#endif

#endif
