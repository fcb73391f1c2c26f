/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Requests as they go and come. One that nothing else overlapped in time, as far as the files
 * it is about are concerned, is predicted when its reply comes. Those that did wait for each other
 * (tree_group.c), or, where that costs too much, leave what they are about unknown until a reply
 * tells. Of each file are counted
 *
 *     readers, writers   requests in flight now that look at it, that change it
 *     written            the moment at which the last change came back that was not followed
 *
 * apart for its locks, so that who waits for a lock keeps nothing else up. A FORGET takes
 * effect when it is sent: the guest does not use what it gives back, and look-ups only add up.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tree_internal.h"

/* --- as they go --- */

static void count_use(struct model_step *s, struct model_node *node, int by)
{
	for (unsigned part = 0; part < MODEL_PARTS; part++) {
		node->use[part].readers += (uint32_t)(model_reads(s, part) ? by : 0);
		node->use[part].writers += (uint32_t)(model_writes(s, part) ? by : 0);
	}
}

static void touch(struct model_step *s, struct model_node *node)
{
	for (unsigned i = 0; i < s->touched_count; i++)
		if (s->touched[i] == node)
			return;
	if (!node || s->touched_count == MODEL_TOUCH_MAX)
		return;
	s->touched[s->touched_count++] = node;
	node->pins++;
	count_use(s, node, 1);
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

void model_touch(struct model_step *s)
{
	const struct model_handle *handle;

	if (!s->op)
		return;
	touch_name(s, s->args->node, is_xattr(s->args->opcode) ? NULL : s->args->name);
	if (s->args->new_name)
		touch_name(s, s->args->new_parent, s->args->new_name);
	if (s->args->target_node)
		touch(s, model_node_of(s->tree, s->args->target_node));
	handle = model_handle_of(s->tree, s->args->node, s->args->handle);
	if (handle)
		touch(s, handle->node);
}

void model_untouch(struct model_step *s)
{
	bool lost = s->op && s->blind && model_writes(s, MODEL_FILE);

	if (lost && s->touched_count > 0)
		model_unsure_names(s);
	for (unsigned i = 0; i < s->touched_count; i++) {
		struct model_node *node = s->touched[i];

		node->pins--;
		count_use(s, node, -1);
		for (unsigned part = 0; part < MODEL_PARTS; part++)
			if (s->blind && model_writes(s, part))
				node->use[part].written = s->tree->moment;
		if (lost)
			model_vague(node);
		if (s->blind && model_writes(s, MODEL_LOCKS))
			node->locks_known = false;
		model_node_put(s->tree, node);
	}
	s->touched_count = 0;
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

void model_step_free(struct vqsim_tree *tree, struct model_step *s)
{
	model_kept_free(s);
	s->next = tree->spare;
	tree->spare = s;
}

/* Only who makes a file says which other groups he is in. */
static bool tells_groups(const struct vqsim_fs_request *request)
{
	switch (request->args.opcode) {
	case FUSE_CREATE:
	case FUSE_TMPFILE:
	case FUSE_MKNOD:
	case FUSE_MKDIR:
	case FUSE_SYMLINK:
		return request->fs->flags & FUSE_CREATE_SUPP_GROUP;
	default:
		return false;
	}
}

static struct model_step *step_of(struct vqsim_tree *tree, const struct vqsim_fs_request *request)
{
	const struct vqsim_fs *fs = tree->fs;
	struct model_step *step = step_new(tree);

	if (!step)
		return NULL;
	*step = (struct model_step){
		.tree = tree,
		.request = request,
		.args = &request->args,
		.op = model_op_of(request->args.opcode),
		.queue = request->queue,
		.uid = fs->uid,
		.gid = fs->gid,
		.umask = fs->umask,
		.group_count = tells_groups(request) ? fs->group_count : 0,
		.groups = fs->groups,
		.began = ++tree->moment,
	};
	/* Outside of a session it is to fail, which is no affair of files. */
	step->blind = fs->minor == 0;
	return step;
}

static bool is_forget(const struct model_step *s)
{
	return s->args->opcode == FUSE_FORGET || s->args->opcode == FUSE_BATCH_FORGET;
}

/* Behind all that has come back, and that is perhaps what it gives back. */
static void take_forget(struct vqsim_tree *tree, struct model_step *s)
{
	static const struct vqsim_fs_result good;

	s->result = &good;
	s->ended = tree->moment;
	tree->forgets++;
	if (tree->group_count > 0 && model_group_has_room(tree) && model_keep(s)) {
		model_group_add(tree, s);
		model_group_close(tree);
		return;
	}
	model_group_give_up(tree);
	model_take(s);
	model_step_free(tree, s);
}

static void on_submit(void *opaque, struct vqsim_fs_request *request)
{
	struct vqsim_tree *tree = opaque;
	struct model_step *step;

	if (request->raw || tree->no_memory)
		return;
	step = step_of(tree, request);
	if (!step)
		return;
	if (is_forget(step)) {
		take_forget(tree, step);
		return;
	}
	step->had_handle = model_handle_of(tree, step->args->node, step->args->handle);
	step->next = tree->in_flight;
	tree->in_flight = step;
	model_flock_submitted(step);
	model_touch(step);
}

/* --- as they come --- */

static bool used_by_others(const struct model_step *s, const struct model_node *node,
			   enum model_part part)
{
	bool reads = model_reads(s, part), writes = model_writes(s, part);

	if (!reads && !writes)
		return false;
	return node->use[part].writers > writes || node->use[part].written > s->began ||
	       (writes && node->use[part].readers > reads);
}

bool model_met_others(const struct model_step *s)
{
	for (unsigned i = 0; i < s->touched_count; i++)
		for (unsigned part = 0; part < MODEL_PARTS; part++)
			if (used_by_others(s, s->touched[i], part))
				return true;
	return false;
}

/* LOOKUP may say in a good reply that there is nothing. */
static int error_of(const struct model_step *s)
{
	bool nothing = s->args->opcode == FUSE_LOOKUP && s->result->entry.nodeid == 0;

	return s->result->error == 0 && nothing ? -ENOENT : s->result->error;
}

static bool is_right(const struct model_step *s, int want, int got)
{
	return got == want || want == MODEL_ANY || (want == MODEL_ANY_ERROR && got != 0) ||
	       model_is_free(s, want, got);
}

static const char *words_of(int error)
{
	if (error == MODEL_ANY_ERROR)
		return "an error";
	return error ? strerror(-error) : "success";
}

/* Returns what was predicted of the files. */
static int judge(struct model_step *s)
{
	int fault = s->op->fault ? s->op->fault(s) : 0;
	int want = s->op->predict(s), got = error_of(s);

	/* A FORGET that is on its way may be late. What is made by such an id is not followed. */
	if (want == -ESTALE && s->tree->forgets > 0) {
		want = MODEL_ANY;
		s->tree->stray_ids |= got == 0;
	}
	if (got == -ESTALE && model_may_be_lost(s)) {
		want = MODEL_ANY;
		fault = 0;
	}
	if (s->blind || (want == MODEL_ANY && !fault)) {
		s->tree->learned++;
		return want;
	}
	s->tree->judged++;
	if (fault ? got != fault && !model_is_free(s, fault, got) &&
			    (got == 0 || want == 0 || !is_right(s, want, got))
		  : !is_right(s, want, got))
		model_wrong(s, VQSIM_RULE_TREE_ERROR, "%s, and not %s", words_of(got),
			    words_of(fault ? fault : want));
	return want;
}

/*
 * A handle ends with its release whatever the error, as with close(2): unless there was none
 * that the request could mean.
 */
static bool is_closed(const struct model_step *s, int want)
{
	return want == 0 && (s->args->opcode == FUSE_RELEASE || s->args->opcode == FUSE_RELEASEDIR);
}

/* A flock that is to be changed and cannot be is lost (flock(2)). */
static bool is_lock(const struct model_step *s)
{
	return s->args->opcode == FUSE_SETLK || s->args->opcode == FUSE_SETLKW;
}

void model_take(struct model_step *s)
{
	int want = judge(s);
	bool good = error_of(s) == 0;

	if (good || is_closed(s, want))
		s->op->apply(s);
	if (good || is_lock(s) || (s->args->opcode == FUSE_SETATTR && model_setattr_failed(s)))
		model_after_stale_id(s);
	if (model_writes(s, MODEL_FILE))
		s->tree->clock++;
}

/* Its place among others is not known: see whether it can be found. */
static bool wait_for_others(struct vqsim_tree *tree, struct model_step *s)
{
	if (s->blind || !model_group_has_room(tree) || !model_keep(s))
		return false;
	model_untouch(s);
	model_group_add(tree, s);
	return true;
}

static void come_back(struct vqsim_tree *tree, struct model_step *s)
{
	bool others = tree->group_count > 0 || model_met_others(s);

	if (others && wait_for_others(tree, s)) {
		model_group_close(tree);
		return;
	}
	model_group_give_up(tree);
	s->blind |= others;
	model_take(s);
	model_untouch(s);
	model_step_free(tree, s);
}

static bool starts_over(const struct model_step *s)
{
	return s->args->opcode == FUSE_INIT || s->args->opcode == FUSE_DESTROY;
}

/* What is still in flight is the old session's. */
static void start_over(struct vqsim_tree *tree)
{
	model_group_give_up(tree);
	for (struct model_step *s = tree->in_flight; s; s = s->next)
		s->blind = true;
	model_new_session(tree);
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

/* WRITE and SETXATTR have it at the end of the message. */
static const uint8_t *data_of(const struct vqsim_fs_request *request)
{
	bool brings = request->args.opcode == FUSE_WRITE || request->args.opcode == FUSE_SETXATTR;

	return brings ? request->in + request->in_size - request->args.size : NULL;
}

static void on_done(void *opaque, struct vqsim_fs_request *request)
{
	struct vqsim_tree *tree = opaque;
	struct model_step *s = take_out(tree, request);

	if (!s) {
		tree->forgets -= tree->forgets > 0 && !request->raw;
		return;
	}
	s->result = &request->result;
	s->data = data_of(request);
	s->ended = ++tree->moment;
	remember(s);
	if (s->op) {
		come_back(tree, s);
		return;
	}
	if (starts_over(s) && s->result->error == 0)
		start_over(tree);
	model_step_free(tree, s);
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
	tree->root->other_xattrs = !model_only_user_xattrs(tree);
	tree->root->locks_known = true;
	tree->root->lookups = 1;
	model_new_session(tree);
	return tree->no_memory ? -ENOMEM : 0;
}

static void steps_free(struct model_step *step)
{
	while (step) {
		struct model_step *next = step->next;

		model_kept_free(step);
		free(step);
		step = next;
	}
}

void model_finish(struct vqsim_tree *tree)
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
	free(tree->nodes);
	free(tree->names);
}

void vqsim_tree_finish(struct vqsim_tree *tree)
{
	for (unsigned i = 0; i < tree->group_count; i++)
		model_step_free(tree, tree->group[i]);
	model_finish(tree);
	steps_free(tree->in_flight);
	steps_free(tree->spare);
	memset(tree, 0, sizeof(*tree));
}

/* Requests of an earlier driver will not come back. */
static void lose_flight(struct vqsim_tree *tree)
{
	while (tree->in_flight) {
		struct model_step *lost = tree->in_flight;

		tree->in_flight = lost->next;
		lost->blind = true;
		model_untouch(lost);
		model_step_free(tree, lost);
	}
	tree->forgets = 0;
}

void vqsim_tree_watch(struct vqsim_tree *tree, struct vqsim_fs *fs)
{
	if (tree->fs)
		model_group_give_up(tree);
	lose_flight(tree);
	tree->fs = fs;
	fs->on_submit = on_submit;
	fs->on_done = on_done;
	fs->opaque = tree;
	model_new_session(tree);
}
