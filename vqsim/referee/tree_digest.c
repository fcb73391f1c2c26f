/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A sum over all that the model knows, the same for two models that know the same: in no order, and
 * with nodes that stand for themselves by id or inode number. Of times that have only a
 * lower bound the bound is left out.
 */
#include <string.h>

#include "tree_internal.h"

static uint64_t mix(uint64_t sum, uint64_t value)
{
	sum = (sum ^ value) * UINT64_C(0x9e3779b97f4a7c15);
	return sum ^ sum >> 29;
}

static uint64_t mix_bytes(uint64_t sum, const void *data, size_t size)
{
	const uint8_t *bytes = data;

	for (size_t i = 0; i < size; i++)
		sum = mix(sum, bytes[i]);
	return mix(sum, size);
}

static uint64_t key_of(const struct model_node *node)
{
	if (!node)
		return 0;
	return node->id ? mix(1, node->id) : node->ino_known ? mix(2, node->ino) : 3;
}

static uint64_t of_pages(const struct model_node *node)
{
	static const uint8_t zeros[MODEL_PAGE_SIZE];
	uint64_t sum = 0;

	for (uint64_t i = 0; i < node->page_room; i++) {
		const uint8_t *page = node->pages[i];

		if (page == model_unknown_page)
			sum += mix(4, i);
		else if (page && memcmp(page, zeros, sizeof(zeros)) != 0)
			sum += mix_bytes(mix(5, i), page, MODEL_PAGE_SIZE);
	}
	return sum;
}

static uint64_t of_locks(uint64_t kind, const struct model_lock *lock)
{
	uint64_t sum = 0;

	for (; lock; lock = lock->next)
		sum += mix(mix(mix(mix(mix(kind, lock->owner), lock->lock.start), lock->lock.end),
			       lock->lock.type),
			   lock->lock.pid);
	return sum;
}

static uint64_t of_xattrs(const struct model_xattr *xattr)
{
	uint64_t sum = 0;

	for (; xattr; xattr = xattr->next)
		sum += mix_bytes(mix_bytes(6, xattr->name, strlen(xattr->name)), xattr->value,
				 xattr->size);
	return sum;
}

static uint64_t of_times(const struct model_node *node)
{
	uint64_t sum = 7;

	for (unsigned i = 0; i < MODEL_TIMES; i++) {
		const struct model_time *time = &node->times[i];

		sum = mix(sum, time->when);
		if (time->when == MODEL_STILL || time->when == MODEL_MAY)
			sum = mix(mix(sum, (uint64_t)time->value.sec), time->value.nsec);
	}
	return sum;
}

static uint64_t of_attr(const struct model_node *node)
{
	const uint64_t values[] = {
		node->ino_known ? node->ino : 0,
		node->attr_known,
		node->size,
		node->mode,
		node->nlink,
		node->uid,
		node->gid,
		node->rdev,
		node->lookups,
		node->complete,
		node->dead,
		node->linkable,
		node->xattrs_complete,
		node->other_xattrs,
		node->locks_known,
		key_of(node->parent),
	};
	uint64_t sum = of_times(node);

	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
		sum = mix(sum, values[i]);
	return node->target ? mix_bytes(sum, node->target, strlen(node->target)) : sum;
}

static uint64_t of_names(const struct model_node *dir)
{
	uint64_t sum = 0;

	for (const struct model_name *name = dir->children; name; name = name->next)
		sum += mix(mix_bytes(key_of(dir), name->text, strlen(name->text)),
			   key_of(name->node));
	return sum;
}

static uint64_t of_handle(const struct model_handle *handle)
{
	uint64_t sum = mix(mix(mix(8, handle->node_id), handle->handle), handle->flags), seen = 0;

	for (const struct model_seen *name = handle->seen; name; name = name->next)
		seen += mix_bytes(9, name->text, strlen(name->text));
	return mix(mix(mix(sum, handle->whole), handle->offset), seen);
}

uint64_t model_digest(const struct vqsim_tree *tree)
{
	uint64_t sum = 0;

	for (const struct model_node *node = tree->all; node; node = node->next_of_all) {
		uint64_t own = mix(key_of(node), of_attr(node));

		own = mix(own, of_pages(node) + of_names(node));
		own = mix(own, of_locks(10, node->posix) + of_locks(11, node->flock));
		sum += mix(own, of_xattrs(node->xattrs));
	}
	for (const struct model_handle *handle = tree->handles; handle; handle = handle->next)
		sum += of_handle(handle);
	return sum;
}
