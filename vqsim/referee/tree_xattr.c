/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Extended attributes in user. are predicted; others are the business of security modules, ACLs and
 * privileges, and free.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <linux/limits.h>
#include <unistd.h>

#include "tree_internal.h"

bool model_only_user_xattrs(const struct vqsim_tree *tree)
{
	return !tree->options.unknown && !(tree->options.freedom & VQSIM_TREE_HOST_POLICY);
}

static bool is_user(const char *name)
{
	return strncmp(name, "user.", 5) == 0;
}

static struct model_xattr **find(struct model_node *node, const char *name)
{
	struct model_xattr **at = &node->xattrs;

	while (*at && strcmp((*at)->name, name) != 0)
		at = &(*at)->next;
	return at;
}

static void drop(struct model_xattr **at)
{
	struct model_xattr *xattr = *at;

	*at = xattr->next;
	free(xattr->name);
	free(xattr->value);
	free(xattr);
}

void model_xattrs_free(struct model_node *node)
{
	while (node->xattrs)
		drop(&node->xattrs);
}

static int check_name(const char *name)
{
	if (!is_user(name))
		return MODEL_ANY;
	return name[5] == '\0' ? MODEL_ANY_ERROR : 0;
}

static int check(const struct model_step *s, bool change, struct model_node **node)
{
	int error = check_name(s->args->name);

	if (error == 0)
		error = model_need(s, s->args->node, node);
	if (error)
		return error;
	if (!(*node)->attr_known)
		return MODEL_ANY;
	if (!S_ISREG((*node)->mode) && !S_ISDIR((*node)->mode))
		return change ? -EPERM : -ENODATA;
	if (change && S_ISDIR((*node)->mode) && ((*node)->mode & S_ISVTX) && !model_owner(s, *node))
		return model_denied(s, -EPERM);
	error = model_permission(s, *node, change ? W_OK : R_OK);
	if (error)
		return error;
	return (*node)->xattrs_complete ? 0 : MODEL_ANY;
}

int model_predict_setxattr(struct model_step *s)
{
	struct model_node *node;
	int error;

	error = check(s, true, &node);
	if (error)
		return error;
	if (*find(node, s->args->name))
		return s->args->flags & XATTR_CREATE ? -EEXIST : 0;
	return s->args->flags & XATTR_REPLACE ? -ENODATA : 0;
}

static struct model_xattr *make(const char *name, const uint8_t *value, size_t size)
{
	struct model_xattr *xattr = calloc(1, sizeof(*xattr));

	if (!xattr)
		return NULL;
	xattr->name = strdup(name);
	xattr->value = malloc(size + 1);
	xattr->size = (uint32_t)size;
	if (!xattr->name || !xattr->value) {
		drop(&xattr);
		return NULL;
	}
	memcpy(xattr->value, value, size);
	return xattr;
}

static bool is_same(const struct model_xattr *xattr, const uint8_t *value, uint64_t size)
{
	return xattr->size == size && memcmp(xattr->value, value, size) == 0;
}

void model_apply_setxattr(struct model_step *s)
{
	struct model_xattr **at, *made;
	struct model_node *node;

	if (model_need(s, s->args->node, &node))
		return;
	if (!is_user(s->args->name)) {
		node->attr_known = false; /* an ACL changes the mode */
		node->other_xattrs = true;
		model_may(s, node, MODEL_CTIME);
		return;
	}
	at = find(node, s->args->name);
	/* What has the value already may be left alone. */
	if (*at && is_same(*at, s->data, s->args->size))
		model_may(s, node, MODEL_CTIME);
	else
		model_moved(s, node, MODEL_CTIME);
	if (*at)
		drop(at);
	made = make(s->args->name, s->data, s->args->size);
	if (!made) {
		s->tree->no_memory = true;
		return;
	}
	made->next = node->xattrs;
	node->xattrs = made;
}

int model_predict_getxattr(struct model_step *s)
{
	const struct model_xattr *xattr;
	struct model_node *node;
	int error = check(s, false, &node);

	if (error)
		return error;
	xattr = *find(node, s->args->name);
	if (!xattr)
		return -ENODATA;
	return s->args->size > 0 && s->args->size < xattr->size ? -ERANGE : 0;
}

void model_apply_getxattr(struct model_step *s)
{
	const struct model_xattr *xattr;
	struct model_node *node;

	if (s->blind || model_need(s, s->args->node, &node) || !is_user(s->args->name) ||
	    !node->xattrs_complete)
		return;
	xattr = *find(node, s->args->name);
	if (!xattr)
		return;
	if (s->result->count != xattr->size)
		model_wrong(s, VQSIM_RULE_TREE_XATTR,
			    "a value of %" PRIu64 " bytes and not %" PRIu32, s->result->count,
			    xattr->size);
	else if (s->args->size > 0 && memcmp(s->result->data, xattr->value, xattr->size) != 0)
		model_wrong(s, VQSIM_RULE_TREE_XATTR, "another value than was set");
}

/* Of user. */
static size_t list_size(const struct model_node *node)
{
	size_t size = 0;

	for (const struct model_xattr *x = node->xattrs; x; x = x->next)
		size += strlen(x->name) + 1;
	return size;
}

int model_predict_listxattr(struct model_step *s)
{
	struct model_node *node;
	int error = model_need(s, s->args->node, &node);

	if (error)
		return error;
	if (!node->xattrs_complete)
		return MODEL_ANY;
	if (s->args->size == 0)
		return 0;
	if (s->args->size < list_size(node))
		return -ERANGE;
	return node->other_xattrs ? MODEL_ANY : 0;
}

static void check_listed(struct model_step *s, struct model_node *node, const char *name)
{
	if (is_user(name) && !*find(node, name))
		model_wrong(s, VQSIM_RULE_TREE_XATTR, "\"%.80s\" is listed, but was not set", name);
}

void model_apply_listxattr(struct model_step *s)
{
	const char *at = (const char *)s->result->data;
	uint64_t left = s->result->count, listed = 0;
	struct model_node *node;

	if (s->blind || model_need(s, s->args->node, &node) || !node->xattrs_complete)
		return;
	if (s->args->size == 0)
		listed = left;
	while (s->args->size > 0 && left > 0) {
		size_t size = strnlen(at, left);

		if (size == left) {
			model_wrong(s, VQSIM_RULE_TREE_XATTR, "a list without a NUL at its end");
			return;
		}
		check_listed(s, node, at);
		listed += is_user(at) ? size + 1 : 0;
		at += size + 1;
		left -= size + 1;
	}
	if (s->args->size > 0 ? listed != list_size(node) : listed < list_size(node))
		model_wrong(s, VQSIM_RULE_TREE_XATTR,
			    "names of %" PRIu64 " bytes in user., but %zu were set", listed,
			    list_size(node));
}

int model_predict_removexattr(struct model_step *s)
{
	struct model_node *node;
	int error = check(s, true, &node);

	if (error)
		return error;
	return *find(node, s->args->name) ? 0 : -ENODATA;
}

void model_apply_removexattr(struct model_step *s)
{
	struct model_node *node;

	if (model_need(s, s->args->node, &node))
		return;
	model_moved(s, node, MODEL_CTIME);
	if (*find(node, s->args->name))
		drop(find(node, s->args->name));
}
