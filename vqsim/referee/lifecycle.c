/* SPDX-License-Identifier: BSD-3-Clause */
#include "lifecycle.h"

#include <string.h>

#include "referee_internal.h"

#include "../../devices/transport.h"

/* Bits that need not read back as they were written. */
#define STATUS_REFUSABLE (VIRTIO_CONFIG_S_FEATURES_OK | VIRTIO_CONFIG_S_DRIVER_OK)

void vqsim_referee_status_fresh(struct vqsim_referee *referee, uint8_t status)
{
	referee->step++;
	referee->status = status;
	if (status != 0)
		vqsim_referee_violation(referee, VQSIM_RULE_STATUS_FRESH, 0, "it reads 0x%x",
					status);
}

void vqsim_referee_status_written(struct vqsim_referee *referee, uint8_t written, uint8_t status)
{
	uint8_t wanted = written ? referee->status | written : 0;
	uint8_t missing = wanted & ~status, extra = status & ~wanted;

	referee->step++;
	referee_note(referee, REFEREE_NOTE_STATUS, 0, written, status);
	missing &= ~STATUS_REFUSABLE | referee->status;
	if (written)
		extra &= ~VIRTIO_STATUS_NEEDS_RESET;
	else
		referee->offer_known = referee->config_live = false;
	if (missing || extra || (status & STATUS_REFUSABLE) == VIRTIO_CONFIG_S_DRIVER_OK)
		vqsim_referee_violation(referee, VQSIM_RULE_STATUS_BITS, 0,
					"0x%x written over 0x%x, it reads 0x%x", written,
					referee->status, status);
	referee->status = status;
}

void vqsim_referee_offered(struct vqsim_referee *referee, uint64_t features)
{
	referee->step++;
	if (referee->offer_known && features != referee->offer)
		vqsim_referee_violation(
			referee, VQSIM_RULE_FEATURES_OFFER, 0, "the offer was 0x%llx and is 0x%llx",
			(unsigned long long)referee->offer, (unsigned long long)features);
	referee->offer = features;
	referee->offer_known = true;
}

void vqsim_referee_features_written(struct vqsim_referee *referee, uint64_t features, bool stuck)
{
	uint64_t foreign = referee->offer_known ? features & ~referee->offer : 0;

	referee->step++;
	referee_note(referee, REFEREE_NOTE_FEATURES, 0, features, stuck);
	if (stuck && foreign)
		vqsim_referee_violation(referee, VQSIM_RULE_FEATURES_ACCEPTED, 0,
					"0x%llx was not offered", (unsigned long long)foreign);
	if (!stuck && !foreign && referee->accepted_known && features == referee->accepted)
		vqsim_referee_violation(referee, VQSIM_RULE_FEATURES_REFUSED, 0,
					"0x%llx stuck before", (unsigned long long)features);
	if (stuck) {
		referee->accepted = features;
		referee->accepted_known = true;
	}
}

/* The first byte that differs from what was read before, or size. */
static uint32_t first_change(const struct vqsim_referee *referee, uint32_t offset,
			     const uint8_t *bytes, uint32_t size)
{
	uint32_t i = 0;

	while (i < size &&
	       (!referee->config_known[offset + i] || referee->config[offset + i] == bytes[i]))
		i++;
	return i;
}

static void check_config(struct vqsim_referee *referee, uint32_t at, uint32_t generation,
			 uint64_t config_notifications)
{
	if (generation == referee->config_generation)
		vqsim_referee_violation(referee, VQSIM_RULE_CONFIG_GENERATION, 0,
					"byte %u differs, the generation is still %u", at,
					generation);
	if (referee->config_live && (referee->status & VIRTIO_CONFIG_S_DRIVER_OK) &&
	    config_notifications == referee->config_announced)
		vqsim_referee_violation(referee, VQSIM_RULE_CONFIG_NOTIFY, 0,
					"byte %u differs, no config-change notification came", at);
}

void vqsim_referee_config_read(struct vqsim_referee *referee, uint32_t offset, const void *bytes,
			       uint32_t size, uint32_t generation, uint64_t config_notifications)
{
	uint32_t change;

	referee->step++;
	referee_note(referee, REFEREE_NOTE_CONFIG, 0, size, generation);
	if (offset >= VQSIM_REFEREE_CONFIG)
		return;
	if (size > VQSIM_REFEREE_CONFIG - offset)
		size = VQSIM_REFEREE_CONFIG - offset;
	change = first_change(referee, offset, bytes, size);
	if (change < size)
		check_config(referee, offset + change, generation, config_notifications);
	/* What else was remembered is of an older generation, and may have changed too. */
	if (generation != referee->config_generation)
		memset(referee->config_known, 0, sizeof(referee->config_known));
	memcpy(referee->config + offset, bytes, size);
	memset(referee->config_known + offset, 1, size);
	referee->config_generation = generation;
	referee->config_announced = config_notifications;
	referee->config_live = referee->status & VIRTIO_CONFIG_S_DRIVER_OK;
}

void vqsim_referee_config_written(struct vqsim_referee *referee, uint32_t offset, uint32_t size)
{
	referee->step++;
	if (offset >= VQSIM_REFEREE_CONFIG)
		return;
	if (size > VQSIM_REFEREE_CONFIG - offset)
		size = VQSIM_REFEREE_CONFIG - offset;
	memset(referee->config_known + offset, 0, size);
}
