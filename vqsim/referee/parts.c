/* SPDX-License-Identifier: BSD-3-Clause */
/* The canaries around the parts of a ring. */
#include <string.h>

#include "referee_internal.h"

void referee_part_set(const struct vqsim_memory *memory, struct referee_part *part,
		      const char *name, uint64_t gpa)
{
	*part = (struct referee_part){.name = name, .gpa = gpa};
	for (size_t i = 0; i < memory->allocation_count; i++)
		if (memory->allocations[i].gpa == gpa)
			part->size = memory->allocations[i].size;
	if (part->size == 0)
		return;
	part->before = vqsim_memory_at(memory, gpa - VQSIM_CANARY_SIZE, VQSIM_CANARY_SIZE);
	part->behind = vqsim_memory_at(memory, gpa + part->size, VQSIM_CANARY_SIZE);
	memcpy(part->canaries[0], part->before, VQSIM_CANARY_SIZE);
	memcpy(part->canaries[1], part->behind, VQSIM_CANARY_SIZE);
}

void referee_check_canaries(const struct referee_run *run)
{
	for (unsigned i = 0; i < REFEREE_PARTS; i++) {
		struct referee_part *part = &run->q->parts[i];
		uint64_t bad = 0;

		if (part->size == 0 ||
		    (memcmp(part->before, part->canaries[0], VQSIM_CANARY_SIZE) == 0 &&
		     memcmp(part->behind, part->canaries[1], VQSIM_CANARY_SIZE) == 0))
			continue;
		vqsim_memory_canary_intact(run->referee->memory, part->gpa, part->size, &bad);
		vqsim_referee_violation(run->referee, VQSIM_RULE_FOOTPRINT, run->queue,
					"byte at gpa 0x%llx beside the %s changed",
					(unsigned long long)bad, part->name);
		part->size = 0;
	}
}
