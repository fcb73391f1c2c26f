/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Requests as they go and come. One that nothing else overlapped in time, as far as the files
 * it is about are concerned, is predicted:
 *
 *     writers   requests in flight now that change the file
 *     written   the clock right after the last of them came back
 *
 * so a request that began at clock t had a file to itself if no other change is in flight
 * and none came back since (written <= t). What two changes at once leave is not
 * known until a reply tells. Whoever forgets a node while it is asked about breaks FUSE's
 * rules.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tree_internal.h"

/* --- as they go --- */

static void touch(struct model_step *s, struct model_node *node)
{
	for (unsigned i = 0; i < s->touched_count; i++)
		if (s->touched[i] == node)
			return;
	if (!node || s->touched_count == MODEL_TOUCH_MAX)
		return;
	s->touched[s->touched_count++] = node;
	node->pins++;
	if (s->op->changes)
		node->writers++;
}

static void touch_name(struct model_step *s, uint64_t parent, const char *text)
{
	struct model_node *dir = model_node_of(s->tree, parent);
	struct model_name *name = dir && text ? model_name_get(s->tree, dir, text) : NULL;

	touch(s, dir);
	touch(s, name ? name->node : NULL);
}

static bool is_xattr(uint32_t opcode)
{
	return opcode == FUSE_SETXATTR || opcode == FUSE_GETXATTR || opcode == FUSE_REMOVEXATTR;
}

static void touch_all(struct model_step *s)
{
	const struct model_handle *handle;

	touch_name(s, s->args->node, is_xattr(s->args->opcode) ? NULL : s->args->name);
	if (s->args->new_name)
		touch_name(s, s->args->new_parent, s->args->new_name);
	if (s->args->target_node)
		touch(s, model_node_of(s->tree, s->args->target_node));
	handle = model_handle_of(s->tree, s->args->node, s->args->handle);
	if (handle)
		touch(s, handle->node);
}

static struct model_step *step_new(struct vqsim_tree *tree)
{
	struct model_step *step = tree->spare;

	if (step)
		tree->spare = step->next;
	else
		step = malloc(sizeof(*step));
	if (!step)
		tree->no_memory = true;
	return step;
}

static void forget(struct vqsim_tree *tree, const struct vqsim_fs_args *args)
{
	if (args->opcode == FUSE_FORGET)
		model_forget(tree, args->node, args->count);
	else
		for (uint64_t i = 0; i < args->count; i++)
			model_forget(tree, args->forgets[i].nodeid, args->forgets[i].nlookup);
}

static void on_submit(void *opaque, struct vqsim_fs_request *request)
{
	struct vqsim_tree *tree = opaque;
	const struct vqsim_fs *fs = tree->fs;
	struct model_step *step;

	if (request->raw || tree->no_memory)
		return;
	if (request->args.opcode == FUSE_FORGET || request->args.opcode == FUSE_BATCH_FORGET) {
		forget(tree, &request->args);
		return;
	}
	step = step_new(tree);
	if (!step)
		return;
	*step = (struct model_step){
		.next = tree->in_flight,
		.tree = tree,
		.request = request,
		.args = &request->args,
		.op = model_op_of(request->args.opcode),
		.uid = fs->uid,
		.gid = fs->gid,
		.umask = fs->umask,
		.group_count = fs->flags & FUSE_CREATE_SUPP_GROUP ? fs->group_count : 0,
		.groups = fs->groups,
		.started = tree->clock,
	};
	tree->in_flight = step;
	if (step->op)
		touch_all(step);
}

/* --- as they come --- */

/* Whether nothing overlapped the step that changes what it is about. */
static bool had_alone(const struct model_step *s)
{
	for (unsigned i = 0; i < s->touched_count; i++) {
		const struct model_node *node = s->touched[i];

		if (node->writers > s->op->changes || node->written > s->started)
			return false;
	}
	return true;
}

static void untouch(struct model_step *s)
{
	for (unsigned i = 0; i < s->touched_count; i++) {
		struct model_node *node = s->touched[i];

		node->pins--;
		if (s->op->changes) {
			node->writers--;
			node->written = s->tree->clock;
		}
		if (s->op->changes && s->blind)
			model_vague(node);
		model_node_put(s->tree, node);
	}
}

/* LOOKUP may say in a good reply that there is nothing. */
static int error_of(const struct model_step *s)
{
	bool nothing = s->args->opcode == FUSE_LOOKUP && s->result->entry.nodeid == 0;

	return s->result->error == 0 && nothing ? -ENOENT : s->result->error;
}

static void judge(struct model_step *s)
{
	int want = s->op->predict(s), got = error_of(s);
	bool refused = want == MODEL_ANY_ERROR;

	if (want == MODEL_ANY || s->blind) {
		s->tree->learned++;
		return;
	}
	s->tree->judged++;
	if (got == want || (refused && got != 0) || model_is_free(s, want, got))
		return;
	model_wrong(s, VQSIM_RULE_TREE_ERROR, "%s, and not %s", got ? strerror(-got) : "success",
		    refused ? "an error"
		    : want  ? strerror(-want)
			    : "success");
}

static bool starts_over(const struct model_step *s)
{
	return s->args->opcode == FUSE_INIT || s->args->opcode == FUSE_DESTROY;
}

static void take(struct model_step *s)
{
	bool released = s->args->opcode == FUSE_RELEASE || s->args->opcode == FUSE_RELEASEDIR;

	if (s->op->changes)
		s->blind = !had_alone(s);
	judge(s);
	if (error_of(s) == 0 || released)
		s->op->apply(s);
	if (s->op->changes)
		s->tree->clock++;
}

static struct model_step *take_out(struct vqsim_tree *tree, const struct vqsim_fs_request *request)
{
	struct model_step **at = &tree->in_flight, *step;

	while (*at && (*at)->request != request)
		at = &(*at)->next;
	step = *at;
	if (step)
		*at = step->next;
	return step;
}

static void remember(struct model_step *s)
{
	struct vqsim_tree *tree = s->tree;

	model_say(s, tree->steps[tree->step_count++ % VQSIM_TREE_STEPS], sizeof(tree->steps[0]));
}

static void on_done(void *opaque, struct vqsim_fs_request *request)
{
	struct vqsim_tree *tree = opaque;
	struct model_step *s = take_out(tree, request);

	if (!s)
		return;
	s->result = &request->result;
	remember(s);
	if (s->op) {
		s->blind = !had_alone(s);
		take(s);
		untouch(s);
	} else if (starts_over(s) && s->result->error == 0) {
		model_new_session(tree);
	}
	s->next = tree->spare;
	tree->spare = s;
}

/* --- the model --- */

int vqsim_tree_init(struct vqsim_tree *tree, struct vqsim_referee *referee,
		    const struct vqsim_tree_options *options)
{
	*tree = (struct vqsim_tree){.referee = referee};
	if (options)
		tree->options = *options;
	tree->root = model_node_new(tree, S_IFDIR);
	if (!tree->root)
		return -ENOMEM;
	tree->root->parent = tree->root;
	tree->root->complete = !tree->options.unknown;
	tree->root->xattrs_complete = !tree->options.unknown;
	tree->root->locks_known = true;
	tree->root->lookups = 1;
	model_new_session(tree);
	return tree->no_memory ? -ENOMEM : 0;
}

static void steps_free(struct model_step *step)
{
	while (step) {
		struct model_step *next = step->next;

		free(step);
		step = next;
	}
}

void vqsim_tree_finish(struct vqsim_tree *tree)
{
	while (tree->handles)
		model_handle_free(tree, tree->handles);
	for (struct model_node *node = tree->all; node; node = node->next_of_all)
		node->pins++;
	for (struct model_node *node = tree->all; node; node = node->next_of_all)
		while (node->children)
			model_name_remove(tree, node->children);
	while (tree->all)
		model_node_free(tree, tree->all);
	steps_free(tree->in_flight);
	steps_free(tree->spare);
	free(tree->nodes);
	free(tree->names);
	memset(tree, 0, sizeof(*tree));
}

void vqsim_tree_watch(struct vqsim_tree *tree, struct vqsim_fs *fs)
{
	while (tree->in_flight) {
		struct model_step *lost = tree->in_flight;

		tree->in_flight = lost->next;
		lost->blind = true;
		if (lost->op)
			untouch(lost);
		free(lost);
	}
	tree->fs = fs;
	fs->on_submit = on_submit;
	fs->on_done = on_done;
	fs->opaque = tree;
	model_new_session(tree);
}
