/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What both readings of a ring do with a chain: when it becomes available, when it is used, and
 * in between the order of those that wait.
 */
#include "referee_internal.h"

void referee_void(struct vqsim_referee *referee, struct vqsim_referee_queue *q)
{
	q->ruined = true;
	q->voided = true;
	referee->reset_excused = true;
}

void referee_chain_available(struct vqsim_referee *referee, struct vqsim_referee_queue *q,
			     uint16_t queue, uint32_t name, struct referee_chain *chain,
			     const struct referee_walk *walk)
{
	chain->hash = walk->hash;
	chain->readable_hash = walk->readable_hash;
	chain->writable = walk->writable;
	chain->malformed = walk->malformed;
	chain->tables = walk->tables;
	chain->reported = false;
	chain->run = q->runs;
	chain->state = REFEREE_CHAIN_AVAILABLE;
	q->outstanding++;
	q->malformed += walk->malformed;
	referee->reset_excused |= walk->malformed;
	referee_note(referee, REFEREE_NOTE_AVAILABLE, queue, name, walk->writable);
}

void referee_check_len(struct vqsim_referee *referee, uint16_t queue, uint32_t name,
		       const struct referee_chain *chain, uint32_t len)
{
	if (len > chain->writable)
		vqsim_referee_violation(referee, VQSIM_RULE_USED_LEN, queue,
					"id %u: len %u, writable bytes %llu", name, len,
					(unsigned long long)chain->writable);
	else if (chain->expected && !chain->malformed && len != chain->expected_len)
		vqsim_referee_violation(referee, VQSIM_RULE_USED_LEN_EXACT, queue,
					"id %u: len %u, expected %u", name, len,
					chain->expected_len);
}

void referee_check_skipped(struct vqsim_referee *referee, uint16_t queue, uint32_t name,
			   const struct referee_chain *chain)
{
	referee_note(referee, REFEREE_NOTE_SKIPPED, queue, name, chain->writable);
	if (chain->expected && !chain->malformed && chain->expected_len != chain->writable)
		vqsim_referee_violation(
			referee, VQSIM_RULE_BATCH, queue,
			"id %u is skipped, which says that %llu bytes were written; expected %u",
			name, (unsigned long long)chain->writable, chain->expected_len);
}

void referee_order_push(struct vqsim_referee_queue *q, uint16_t index)
{
	q->order[(q->order_first + q->outstanding - 1u) % q->setup.size] = index;
}

uint16_t referee_order_pop(struct vqsim_referee_queue *q)
{
	uint16_t index = q->order[q->order_first];

	q->order_first = (q->order_first + 1u) % q->setup.size;
	return index;
}

uint16_t referee_order_batch(const struct vqsim_referee_queue *q, uint16_t index)
{
	uint16_t count = 1;

	while (q->order[(q->order_first + count - 1u) % q->setup.size] != index)
		count++;
	return count;
}
