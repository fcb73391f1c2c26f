/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the device may touch, as the referee tells it to those who see every access:
 * memcheck (handed.c) and AddressSanitizer (loans_internal.h). Rings are exposed while
 * their queue is live, tables and buffers from the look at which their chain became
 * available until the run in which it was used.
 *
 * What a malformed chain names is exposed as far as it exists: a lenient device may touch it.
 * Of a queue that is ruined nobody knows what the device sees in it, so it may touch all.
 */
#include <stdio.h>

#include "referee_internal.h"

static void lend(struct vqsim_referee *referee, uint32_t *list, uint64_t gpa, uint64_t size,
		 const struct vqsim_loan_purpose *purpose)
{
	if (referee->loans)
		*list = vqsim_loans_lend(referee->loans, *list, gpa, size, purpose);
}

void referee_expose_ring(struct vqsim_referee *referee, const struct vqsim_referee_queue *q,
			 const char *what, uint64_t gpa, uint64_t size)
{
	const struct vqsim_loan_purpose purpose = {
		.queue = (uint16_t)(q - referee->queues), .name = -1, .what = what};
	uint32_t list = 0;

	if (gpa < referee->rings_from)
		referee->rings_from = gpa;
	if (gpa + size > referee->rings_to)
		referee->rings_to = gpa + size;
	referee_define(referee, gpa, size, true);
	lend(referee, &list, gpa, size, &purpose);
}

void referee_expose_table(struct referee_exposed *exposed, uint64_t gpa, uint64_t size)
{
	const struct vqsim_loan_purpose purpose = {exposed->queue, exposed->name, "indirect table"};

	referee_define(exposed->referee, gpa, size, true);
	lend(exposed->referee, &exposed->loan, gpa, size, &purpose);
}

/*
 * A writable buffer of a malformed chain may reach over rings and over what others may read:
 * that stays defined.
 */
void referee_expose_buffer(struct referee_exposed *exposed, uint64_t gpa, uint64_t size, bool write)
{
	const struct vqsim_loan_purpose purpose = {exposed->queue, exposed->name,
						   write ? "writable buffer" : "readable buffer"};

	if (!write || !exposed->malformed)
		referee_define(exposed->referee, gpa, size, !write);
	lend(exposed->referee, &exposed->loan, gpa, size, &purpose);
}

void referee_expose_ruined(struct vqsim_referee *referee, struct vqsim_referee_queue *q)
{
	if (!q->ruined || q->all_exposed || !referee->loans)
		return;
	q->all_exposed = true;
	vqsim_loans_lend_all(referee->loans, (uint16_t)(q - referee->queues));
}

void referee_withdraw(struct vqsim_referee *referee, struct referee_chain *chain)
{
	if (referee->loans)
		vqsim_loans_end(referee->loans, chain->loan, VQSIM_LOAN_USED);
	chain->loan = 0;
}

void referee_withdraw_queue(struct vqsim_referee *referee, uint16_t queue)
{
	if (referee->loans)
		vqsim_loans_end_queue(referee->loans, queue, VQSIM_LOAN_QUEUE_RESET);
}

void referee_withdraw_all(struct vqsim_referee *referee)
{
	if (referee->loans)
		vqsim_loans_end_all(referee->loans, VQSIM_LOAN_RESET);
}

static void name_near(const struct vqsim_stray *stray, char *out, size_t size)
{
	static const char *const ends[] = {
		[VQSIM_LOAN_LASTS] = "",
		[VQSIM_LOAN_USED] = ", which was used already",
		[VQSIM_LOAN_QUEUE_RESET] = ", which was reset",
		[VQSIM_LOAN_RESET] = ", before the device was reset",
	};
	char name[32] = "";

	if (stray->near.name >= 0)
		snprintf(name, sizeof(name), " of id %lld", (long long)stray->near.name);
	snprintf(out, size, "the %s%s of queue %u%s", stray->near.what, name, stray->near.queue,
		 ends[stray->end]);
}

static enum vqsim_rule rule_of(const struct vqsim_referee *referee, const struct vqsim_stray *stray)
{
	if (referee->queue_count == 0 || referee->in_reset ||
	    (stray->has_near && stray->end == VQSIM_LOAN_RESET))
		return VQSIM_RULE_AFTER_RESET;
	if (stray->has_near && stray->end == VQSIM_LOAN_QUEUE_RESET)
		return VQSIM_RULE_QUEUE_RESET_USED;
	return VQSIM_RULE_FOOTPRINT;
}

/* The process is about to end: nobody but the standard error is left to tell. */
static void stray_seen(void *opaque, const struct vqsim_stray *stray)
{
	struct vqsim_referee *referee = opaque;
	const char *access = stray->write ? "write" : "read";
	unsigned long long gpa = stray->gpa, off;
	const char *where = "in";
	char near[112];

	referee->sink = NULL;
	if (!stray->has_near) {
		vqsim_referee_violation(referee, rule_of(referee, stray), 0,
					"%s of %llu bytes at gpa 0x%llx: nothing is exposed",
					access, (unsigned long long)stray->size, gpa);
		return;
	}
	name_near(stray, near, sizeof(near));
	off = stray->gpa - stray->near_gpa;
	if (stray->gpa < stray->near_gpa) {
		off = stray->near_gpa - stray->gpa;
		where = "before";
	} else if (off >= stray->near_size) {
		off -= stray->near_size;
		where = "behind";
	}
	vqsim_referee_violation(referee, rule_of(referee, stray), stray->near.queue,
				"%s of %llu bytes at gpa 0x%llx, %llu bytes %s %s", access,
				(unsigned long long)stray->size, gpa, off, where, near);
}

void referee_watch_strays(struct vqsim_referee *referee)
{
	if (referee->memory)
		referee->loans = vqsim_loans_create(referee->memory, stray_seen, referee);
}

void vqsim_referee_let_stray(struct vqsim_referee *referee)
{
	vqsim_loans_destroy(referee->loans);
	referee->loans = NULL;
}
