/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Requests in flight at once, about the same files. A device may do them in any order that ends none
 * before another began that had come back by then:
 *
 *     A |-------|            B before A, or A before B;
 *     B    |--------|        C after both
 *     C              |---|
 *
 * So those that came back wait in a group until nothing is in flight any more that may have happened
 * among them. Then orders are tried on copies of the model. One in which every reply is right
 * excuses the device; if there is none it is blamed for what was wrong in the order that went
 * furthest. If orders that are right leave different files, those files are not known until a
 * reply tells.
 *
 * A large model, or a group that does not end, is not worth the copies: then nothing is
 * checked of these requests, and what they are about is not known either.
 */
#include <stdlib.h>
#include <string.h>

#include "tree_internal.h"

/* Orders are many; those that are right are found soon. */
#define COPIES_MAX 400u

struct search {
	struct vqsim_tree *tree;
	unsigned copies;
	bool found, ambiguous, no_memory;
	uint64_t digest;
	struct vqsim_tree outcome;
	struct model_objection deepest;
	unsigned depth; /* steps that went well before it */
};

static void look(struct search *x, const struct vqsim_tree *state, unsigned taken);

static bool may_be_next(const struct search *x, unsigned taken, unsigned at)
{
	const struct vqsim_tree *tree = x->tree;

	for (unsigned i = 0; i < tree->group_count; i++)
		if (!(taken >> i & 1) && tree->group[i]->ended < tree->group[at]->began)
			return false;
	return !(taken >> at & 1);
}

static void object(struct search *x, const struct model_objection *objection, unsigned taken)
{
	unsigned depth = (unsigned)__builtin_popcount(taken) + 1;

	if (depth <= x->depth)
		return;
	x->depth = depth;
	x->deepest = *objection;
}

/* The step at a place in the group comes next. */
static void try_next(struct search *x, const struct vqsim_tree *state, unsigned taken, unsigned at)
{
	struct model_step *s = x->tree->group[at];
	struct model_objection objection = {.made = false};
	struct vqsim_tree next;

	x->copies++;
	if (model_copy(&next, state)) {
		next.objection = &objection;
		s->tree = &next;
		s->blind = false;
		model_take(s);
		if (objection.made)
			object(x, &objection, taken);
		else
			look(x, &next, taken | 1u << at);
	}
	x->no_memory |= next.no_memory;
	model_finish(&next);
}

/* Every step has its place. */
static void settle(struct search *x, const struct vqsim_tree *state)
{
	uint64_t digest = model_digest(state);

	if (x->found) {
		x->ambiguous |= digest != x->digest;
		return;
	}
	x->found = true;
	x->digest = digest;
	x->no_memory |= !model_copy(&x->outcome, state);
}

static bool is_over(const struct search *x)
{
	return x->ambiguous || x->no_memory || x->copies >= COPIES_MAX;
}

static void look(struct search *x, const struct vqsim_tree *state, unsigned taken)
{
	if (taken == (1u << x->tree->group_count) - 1) {
		settle(x, state);
		return;
	}
	for (unsigned i = 0; i < x->tree->group_count && !is_over(x); i++)
		if (may_be_next(x, taken, i))
			try_next(x, state, taken, i);
}

/* --- what comes of it --- */

static void empty(struct vqsim_tree *tree)
{
	for (unsigned i = 0; i < tree->group_count; i++)
		model_step_free(tree, tree->group[i]);
	tree->group_count = 0;
}

/* What steps in flight touch is found anew: names and nodes are others now. */
static void untouch_flight(struct vqsim_tree *tree)
{
	for (struct model_step *s = tree->in_flight; s; s = s->next)
		model_untouch(s);
}

static void touch_flight(struct vqsim_tree *tree)
{
	for (struct model_step *s = tree->in_flight; s; s = s->next)
		model_touch(s);
}

/* It changed something, at a time that is not known. */
static void make_unsure(struct vqsim_tree *tree, struct model_step *s)
{
	s->tree = tree;
	model_touch(s);
	s->blind = true;
	model_untouch(s);
}

void model_group_give_up(struct vqsim_tree *tree)
{
	if (tree->group_count == 0)
		return;
	untouch_flight(tree);
	for (unsigned i = 0; i < tree->group_count; i++) {
		struct model_step *s = tree->group[i];

		s->tree = tree;
		s->blind = true;
		model_touch(s);
		model_take(s);
		model_untouch(s);
	}
	for (struct model_step *s = tree->in_flight; s; s = s->next)
		s->blind = true;
	touch_flight(tree);
	empty(tree);
}

/* The bound of a time that changed may be that of another order. */
static void lower_bounds(struct vqsim_tree *tree, struct model_stamp before)
{
	for (struct model_node *node = tree->all; node; node = node->next_of_all)
		for (unsigned i = 0; i < MODEL_TIMES; i++)
			if (model_stamp_compare(node->times[i].since, before) > 0)
				node->times[i].since = before;
}

static void adopt(struct search *x)
{
	struct vqsim_tree *tree = x->tree;
	const struct model_stamp before = {tree->latest.sec, tree->latest.nsec};

	untouch_flight(tree);
	model_adopt(tree, &x->outcome);
	lower_bounds(tree, before);
	for (unsigned i = 0; x->ambiguous && i < tree->group_count; i++)
		make_unsure(tree, tree->group[i]);
	touch_flight(tree);
	empty(tree);
}

static void blame(struct search *x)
{
	struct vqsim_tree *tree = x->tree;
	unsigned count = tree->group_count;

	tree->wrong++;
	vqsim_referee_violation(tree->referee, x->deepest.rule, tree->group[count - 1]->queue,
				"%s%s", count > 1 ? "in no order with those in flight: " : "",
				x->deepest.words);
	if (!tree->referee->sink && tree->wrong == 1)
		vqsim_tree_print(tree, stderr);
	model_group_give_up(tree);
}

static bool is_wait(const struct model_step *s)
{
	return s->args->opcode == FUSE_SETLKW;
}

/* Something in flight may have happened before the group ended. */
static bool is_open(const struct vqsim_tree *tree)
{
	uint64_t ended = tree->group[tree->group_count - 1]->ended;

	for (const struct model_step *s = tree->in_flight; s; s = s->next)
		if (s->began < ended && !is_wait(s))
			return true;
	return false;
}

/* A lock that nobody is in the way of any more may have been given. */
static bool may_have_got_it(struct search *x)
{
	bool may = false;

	for (struct model_step *s = x->tree->in_flight; s && !may; s = s->next) {
		if (!is_wait(s))
			continue;
		s->tree = &x->outcome;
		may = !model_must_wait(s);
		s->tree = x->tree;
	}
	return may;
}

void model_group_close(struct vqsim_tree *tree)
{
	struct search x = {.tree = tree};

	if (tree->group_count == 0 || is_open(tree))
		return;
	look(&x, tree, 0);
	x.ambiguous |= x.copies >= COPIES_MAX;
	if (x.no_memory || (!x.found && x.ambiguous))
		model_group_give_up(tree);
	else if (!x.found)
		blame(&x);
	else if (!may_have_got_it(&x))
		adopt(&x);
	if (x.found)
		model_finish(&x.outcome);
	for (unsigned i = 0; i < tree->group_count; i++)
		tree->group[i]->tree = tree;
}

bool model_group_has_room(const struct vqsim_tree *tree)
{
	return tree->group_count < VQSIM_TREE_GROUP_MAX && model_small(tree);
}

void model_group_add(struct vqsim_tree *tree, struct model_step *s)
{
	tree->group[tree->group_count++] = s;
}
