/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Extended attributes: user., trusted. and security., under Linux's rules for each. There
 * are no ACLs: system. is refused, as by a file system that was mounted without.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "ram_internal.h"

struct ram_xattr {
	struct ram_xattr *next;
	uint32_t name_size; /* with its NUL */
	uint32_t value_size;
	char bytes[]; /* name, value */
};

enum kind {
	USER,
	TRUSTED,
	SECURITY,
	SYSTEM,
	UNKNOWN,
};

static const char *const prefixes[] = {
	[USER] = "user.",     [TRUSTED] = "trusted.", [SECURITY] = "security.",
	[SYSTEM] = "system.", [UNKNOWN] = "",
};

static enum kind kind_of(const char *name)
{
	enum kind kind = USER;

	while (strncmp(name, prefixes[kind], strlen(prefixes[kind])) != 0)
		kind++;
	return kind;
}

/* user. describes what a file contains, so what has no content has none. */
static int may_user(const struct ram *ram, const struct fs_call *call, const struct ram_node *node,
		    bool change)
{
	if (!S_ISREG(node->mode) && !S_ISDIR(node->mode))
		return change ? -EPERM : -ENODATA;
	if (change && S_ISDIR(node->mode) && node->mode & S_ISVTX && !ram_owner(ram, call, node))
		return -EPERM;
	return ram_permission(ram, call, node, change ? W_OK : R_OK);
}

static int check(const struct ram *ram, const struct fs_call *call, const struct ram_node *node,
		 bool change)
{
	enum kind kind = kind_of(call->name);
	int error = 0;

	if (change && ram->options.read_only)
		return -EROFS;
	if (strlen(call->name) > FS_NAME_MAX || call->name[0] == '\0')
		return -ERANGE;
	if (kind == TRUSTED && !ram_privileged(ram, call))
		return change ? -EPERM : -ENODATA;
	if (kind == USER)
		error = may_user(ram, call, node, change);
	if (kind == SECURITY && change && !ram_privileged(ram, call))
		error = -EPERM;
	if (kind == UNKNOWN)
		error = ram_permission(ram, call, node, change ? W_OK : R_OK);
	if (error == 0 && (kind == SYSTEM || kind == UNKNOWN))
		error = -EOPNOTSUPP;
	if (error == 0 && call->name[strlen(prefixes[kind])] == '\0')
		error = -EINVAL;
	return error;
}

/* The node of the call, of whose xattr name it may speak. */
static int begin(const struct ram *ram, const struct fs_call *call, bool change,
		 struct ram_node **node)
{
	*node = ram_node_of(ram, call->node);
	return *node != NULL ? check(ram, call, *node, change) : -ESTALE;
}

/* Where the xattr of that name is, or would be added. */
static struct ram_xattr **find(struct ram_node *node, const char *name)
{
	struct ram_xattr **at = &node->xattrs;

	while (*at != NULL && strcmp((*at)->bytes, name) != 0)
		at = &(*at)->next;
	return at;
}

static uint64_t cost(const struct ram_xattr *xattr)
{
	return sizeof(*xattr) + xattr->name_size + xattr->value_size;
}

static void take_out(struct ram *ram, struct ram_xattr **at)
{
	struct ram_xattr *xattr = *at;

	*at = xattr->next;
	ram_discharge(ram, cost(xattr));
	free(xattr);
}

/* With the name, and room for the value. */
static int make(struct ram *ram, const char *name, size_t value_size, struct ram_xattr **xattr)
{
	size_t name_size = strlen(name) + 1;
	struct ram_xattr *made = malloc(sizeof(*made) + name_size + value_size);

	if (made == NULL)
		return -ENOMEM;
	made->name_size = (uint32_t)name_size;
	made->value_size = (uint32_t)value_size;
	memcpy(made->bytes, name, name_size);
	if (ram_charge(ram, cost(made)) != 0) {
		free(made);
		return -ENOSPC;
	}
	*xattr = made;
	return 0;
}

/* At the place that find gave: the old one goes. */
static void put(struct ram *ram, struct ram_xattr **at, struct ram_xattr *xattr)
{
	if (*at != NULL)
		take_out(ram, at);
	xattr->next = *at;
	*at = xattr;
}

static size_t list_size(const struct ram_node *node)
{
	size_t size = 0;

	for (const struct ram_xattr *x = node->xattrs; x != NULL; x = x->next)
		size += x->name_size;
	return size;
}

static int check_set(struct ram_node *node, const struct fs_call *call)
{
	bool there = *find(node, call->name) != NULL;

	if (call->xattr_flags & XATTR_CREATE && there)
		return -EEXIST;
	if (call->xattr_flags & XATTR_REPLACE && !there)
		return -ENODATA;
	/* A list of all names must fit into the largest that can be asked for. */
	if (!there && list_size(node) + strlen(call->name) + 1 > FS_XATTR_MAX)
		return -ENOSPC;
	return 0;
}

int ram_setxattr(struct ram *ram, struct fs_call *call)
{
	struct ram_xattr *xattr;
	struct ram_node *node;
	int error;

	if (call->xattr_flags & ~(uint32_t)(XATTR_CREATE | XATTR_REPLACE))
		return -EINVAL;
	if (call->data.size > FS_XATTR_MAX)
		return -E2BIG;
	error = begin(ram, call, true, &node);
	if (error == 0)
		error = check_set(node, call);
	if (error == 0)
		error = make(ram, call->name, call->data.size, &xattr);
	if (error != 0)
		return error;
	iov_window_read(&call->data, xattr->bytes + xattr->name_size, xattr->value_size);
	put(ram, find(node, call->name), xattr);
	ram_touch(ram, node, RAM_CTIME);
	return 0;
}

int ram_getxattr(struct ram *ram, struct fs_call *call)
{
	const struct ram_xattr *xattr;
	struct ram_node *node;
	int error = begin(ram, call, false, &node);

	if (error != 0)
		return error;
	xattr = *find(node, call->name);
	if (xattr == NULL)
		return -ENODATA;
	call->count = xattr->value_size;
	if (call->data.size == 0)
		return 0;
	if (call->data.size < xattr->value_size)
		return -ERANGE;
	iov_window_write(&call->data, xattr->bytes + xattr->name_size, xattr->value_size);
	return 0;
}

int ram_listxattr(struct ram *ram, struct fs_call *call)
{
	const struct ram_node *node = ram_node_of(ram, call->node);
	struct iov_window data = call->data;

	if (node == NULL)
		return -ESTALE;
	call->count = 0;
	for (const struct ram_xattr *x = node->xattrs; x != NULL; x = x->next) {
		if (kind_of(x->bytes) == TRUSTED && !ram_privileged(ram, call))
			continue;
		call->count += x->name_size;
		if (call->data.size == 0)
			continue;
		if (data.size < x->name_size)
			return -ERANGE;
		iov_window_write(&data, x->bytes, x->name_size);
		iov_window_advance(&data, x->name_size);
	}
	return 0;
}

int ram_removexattr(struct ram *ram, struct fs_call *call)
{
	struct ram_node *node;
	int error = begin(ram, call, true, &node);

	if (error != 0)
		return error;
	if (*find(node, call->name) == NULL)
		return -ENODATA;
	take_out(ram, find(node, call->name));
	ram_touch(ram, node, RAM_CTIME);
	return 0;
}

int ram_xattr_label(struct ram *ram, struct ram_node *node, const struct fs_call *call)
{
	struct ram_xattr *xattr;
	int error = make(ram, call->label_name, call->label_size, &xattr);

	if (error != 0)
		return error;
	memcpy(xattr->bytes + xattr->name_size, call->label, call->label_size);
	put(ram, find(node, call->label_name), xattr);
	return 0;
}

void ram_xattr_drop(struct ram *ram, struct ram_node *node, const char *name)
{
	struct ram_xattr **at = find(node, name);

	if (*at != NULL)
		take_out(ram, at);
}

void ram_xattr_free(struct ram *ram, struct ram_node *node)
{
	while (node->xattrs != NULL)
		take_out(ram, &node->xattrs);
}
