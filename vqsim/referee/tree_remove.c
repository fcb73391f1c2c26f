/* SPDX-License-Identifier: BSD-3-Clause */
/* Names that go, or change their place. Errors in the order in which Linux finds them. */
#define _GNU_SOURCE /* RENAME_* */
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tree_internal.h"

static int predict_remove(struct model_step *s, bool as_dir, struct model_name **name)
{
	struct model_node *dir;
	int error = model_need_dir(s, s->args->node, &dir);

	if (error == 0)
		error = model_permission(s, dir, X_OK);
	if (error == 0)
		error = model_find(s, dir, s->args->name, name);
	if (error)
		return error;
	return *name ? model_may_delete(s, dir, (*name)->node, as_dir) : -ENOENT;
}

static int check_empty(const struct model_node *dir)
{
	if (dir->child_count > 0)
		return -ENOTEMPTY;
	return dir->complete ? 0 : MODEL_ANY;
}

int model_predict_unlink(struct model_step *s)
{
	struct model_name *name;

	return predict_remove(s, false, &name);
}

int model_predict_rmdir(struct model_step *s)
{
	struct model_name *name;
	int error = predict_remove(s, true, &name);

	return error ? error : check_empty(name->node);
}

static void lose(struct model_step *s, struct model_name *name)
{
	if (!name)
		return;
	name->node->attr_known = false;
	model_may(s, name->node, MODEL_CTIME);
	model_name_remove(s->tree, name);
}

/* With a name nodes may go: it is looked for anew. */
static struct model_name *find_below_unknown(const struct vqsim_tree *tree)
{
	struct model_node *node = tree->all;

	while (node && (node->id != 0 || !node->children))
		node = node->next_of_all;
	return node ? node->children : NULL;
}

/* A directory was meant by an id that is not known: any that has none may be it. */
static void lose_below_unknown(struct model_step *s)
{
	struct model_name *name;

	model_unnamed_somebody(s);
	while ((name = find_below_unknown(s->tree)))
		lose(s, name);
}

static void apply_remove(struct model_step *s, bool as_dir)
{
	struct model_node *dir;
	struct model_name *name;

	if (model_need_dir(s, s->args->node, &dir)) {
		lose_below_unknown(s);
		return;
	}
	model_dir_changed(s, dir);
	if (as_dir && dir->nlink > 0)
		dir->nlink--;
	name = model_name_get(s->tree, dir, s->args->name);
	if (!name) {
		model_unnamed_somebody(s);
		return;
	}
	model_unnamed(s, name->node);
	model_name_remove(s->tree, name);
}

void model_apply_unlink(struct model_step *s)
{
	apply_remove(s, false);
}

void model_apply_rmdir(struct model_step *s)
{
	apply_remove(s, true);
}

/* --- rename --- */

struct move {
	struct model_node *from, *to;
	struct model_name *name, *target; /* NULL: not there */
	bool exchange, whiteout, noreplace;
};

static uint32_t flags_of(const struct model_step *s)
{
	return s->args->opcode == FUSE_RENAME2 ? s->args->flags : 0;
}

static int find(const struct model_step *s, struct move *m)
{
	int error = model_need_dir(s, s->args->node, &m->from);

	m->exchange = flags_of(s) & RENAME_EXCHANGE;
	m->whiteout = flags_of(s) & RENAME_WHITEOUT;
	m->noreplace = flags_of(s) & RENAME_NOREPLACE;
	m->name = m->target = NULL;
	if (error == 0)
		error = model_need_dir(s, s->args->new_parent, &m->to);
	if (error)
		return error;
	m->name = model_name_get(s->tree, m->from, s->args->name);
	m->target = model_name_get(s->tree, m->to, s->args->new_name);
	return 0;
}

static int check_there(const struct model_step *s, const struct move *m)
{
	int error = model_permission(s, m->from, X_OK);

	if (error == 0)
		error = model_permission(s, m->to, X_OK);
	if (error)
		return error;
	if ((!m->name && !m->from->complete) || (!m->target && !m->to->complete))
		return MODEL_ANY;
	if (!m->name)
		return -ENOENT;
	if (m->noreplace && m->target)
		return -EEXIST;
	return m->exchange && !m->target ? -ENOENT : 0;
}

/* error if node is dir or above it; MODEL_ANY: where dir is has been forgotten. */
static int check_above(const struct model_node *node, const struct model_node *dir, int error)
{
	while (dir != node && dir->parent && dir->parent != dir)
		dir = dir->parent;
	if (dir == node)
		return error;
	return dir->parent || dir->dead ? 0 : MODEL_ANY;
}

static bool is_dir(const struct model_name *name)
{
	return name && S_ISDIR(name->node->mode);
}

static int check_loops(const struct move *m)
{
	int error = 0;

	if (m->from == m->to)
		return 0;
	if (is_dir(m->name))
		error = check_above(m->name->node, m->to, -EINVAL);
	if (error == 0 && is_dir(m->target))
		error = check_above(m->target->node, m->from, m->exchange ? -EINVAL : -ENOTEMPTY);
	return error;
}

/* A directory that gets another parent is written. */
static int check_dotdot(const struct model_step *s, const struct move *m)
{
	int error = 0;

	if (m->from == m->to)
		return 0;
	if (is_dir(m->name))
		error = model_permission(s, m->name->node, W_OK);
	if (error == 0 && m->exchange && is_dir(m->target))
		error = model_permission(s, m->target->node, W_OK);
	return error;
}

static int check_rights(const struct model_step *s, const struct move *m)
{
	int error = model_may_delete(s, m->from, m->name->node, is_dir(m->name));

	if (error)
		return error;
	if (!m->target)
		error = model_may_create(s, m->to);
	else
		error = model_may_delete(s, m->to, m->target->node,
					 is_dir(m->exchange ? m->target : m->name));
	if (error == 0)
		error = check_dotdot(s, m);
	if (error == 0 && !m->exchange && is_dir(m->target))
		error = check_empty(m->target->node);
	return error;
}

int model_predict_rename(struct model_step *s)
{
	struct move m;
	int error = find(s, &m);

	if (error == 0)
		error = check_there(s, &m);
	if (error == 0)
		error = check_loops(&m);
	if (error || (m.target && m.target->node == m.name->node))
		return error;
	return check_rights(s, &m);
}

/* A directory went from one to the other. */
static void reparent(const struct model_node *node, struct model_node *from, struct model_node *to)
{
	if (!S_ISDIR(node->mode))
		return;
	from->nlink--;
	to->nlink++;
}

static void exchange(struct model_step *s, const struct move *m)
{
	struct model_node *node = m->name->node, *other = m->target->node;

	model_moved(s, node, MODEL_CTIME);
	model_moved(s, other, MODEL_CTIME);
	reparent(node, m->from, m->to);
	reparent(other, m->to, m->from);
	node->pins++;
	model_name_set(s->tree, m->name, other);
	model_name_set(s->tree, m->target, node);
	node->pins--;
}

/* The new name is perhaps one of the same file, which then has both. */
static bool may_be_nothing(const struct model_step *s, const struct move *m)
{
	return !m->to->complete && !model_knows_names(s->tree, m->name->node);
}

static void leave_whiteout(struct model_step *s, const struct move *m)
{
	struct model_node *whiteout = model_node_new(s->tree, S_IFCHR);

	if (!whiteout)
		return;
	whiteout->xattrs_complete = true;
	model_name_add(s->tree, m->from, s->args->name, whiteout);
}

static void move(struct model_step *s, const struct move *m)
{
	struct model_node *node = m->name->node;

	model_moved(s, node, MODEL_CTIME);
	if (m->target) {
		if (is_dir(m->target))
			m->to->nlink--;
		model_unnamed(s, m->target->node);
		model_name_remove(s->tree, m->target);
	} else if (!m->to->complete) {
		model_unnamed_somebody(s);
		m->to->attr_known &= !is_dir(m->name);
	}
	reparent(node, m->from, m->to);
	node->pins++;
	model_name_remove(s->tree, m->name);
	model_name_add(s->tree, m->to, s->args->new_name, node);
	node->pins--;
	if (m->whiteout)
		leave_whiteout(s, m);
}

/* Of one directory or of both the id is not known. */
static void move_by_stale_id(struct model_step *s)
{
	const struct vqsim_fs_args *args = s->args;
	struct model_node *from = model_node_of(s->tree, args->node);
	struct model_node *to = model_node_of(s->tree, args->new_parent);

	lose_below_unknown(s);
	if (from)
		lose(s, model_name_get(s->tree, from, args->name));
	if (to)
		lose(s, model_name_get(s->tree, to, args->new_name));
}

/* One of both is not known: what the old name stands for now is not either. */
static void move_unknown(struct model_step *s, const struct move *m)
{
	struct model_node *node = m->name ? m->name->node : NULL;

	if (node)
		node->pins++;
	model_unnamed_somebody(s);
	lose(s, m->name);
	lose(s, m->target);
	if (node) {
		model_name_add(s->tree, m->to, s->args->new_name, node);
		node->pins--;
	}
	m->to->complete = m->from->complete = false;
	m->to->attr_known = m->from->attr_known = false;
	/* Two names of one file stay as they are. */
	for (unsigned i = MODEL_MTIME; i < MODEL_TIMES; i++) {
		model_may(s, m->from, i);
		model_may(s, m->to, i);
	}
}

void model_apply_rename(struct model_step *s)
{
	struct move m;

	if (find(s, &m)) {
		move_by_stale_id(s);
		return;
	}
	if (m.name && m.target && m.name->node == m.target->node)
		return;
	if (!m.name || (!m.target && (m.exchange || may_be_nothing(s, &m)))) {
		move_unknown(s, &m);
		return;
	}
	model_dir_changed(s, m.from);
	model_dir_changed(s, m.to);
	if (m.exchange)
		exchange(s, &m);
	else
		move(s, &m);
}
