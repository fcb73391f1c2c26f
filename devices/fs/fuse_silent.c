/* SPDX-License-Identifier: BSD-3-Clause */
/* Messages without a reply: they are used with length 0 whatever is in them. */
#include <errno.h>

#include "fuse_internal.h"

/* What is copied of a BATCH_FORGET at a time. */
#define BATCH 32u

static void forget(struct fuse_message *message, uint64_t node, uint64_t count)
{
	struct fs_tree *tree = fuse_session_of(message->queue)->tree;

	tree->ops->forget(tree, node, count);
}

FUSE_DECODER(forget)
{
	if (message->in.size > 0)
		return -EINVAL;
	forget(message, message->call.node, args->forget.nlookup);
	return 0;
}

/* A count that does not fit the size says that one of them is wrong: nothing is forgotten. */
FUSE_DECODER(batch_forget)
{
	struct fuse_forget_one batch[BATCH];
	uint64_t left = args->batch_forget.count;

	if (left * sizeof(batch[0]) != message->in.size)
		return -EINVAL;
	while (left > 0) {
		size_t count = left < BATCH ? left : BATCH;
		size_t size = iov_window_read(&message->in, batch, count * sizeof(batch[0]));

		iov_window_advance(&message->in, size);
		for (size_t i = 0; i < count; i++) {
			if (message->swapped)
				fuse_swap(&batch[i], sizeof(batch[i]), "qq");
			forget(message, batch[i].nodeid, batch[i].nlookup);
		}
		left -= count;
	}
	return 0;
}

/*
 * A call that the tree has not ended is told to end, once: a tree that goes on all the same is not
 * asked again. No other can be: it is answered already, or in a queue, or on its way into
 * the tree on another thread. For these FUSE has the reply EAGAIN, on which the guest sends
 * the INTERRUPT again, at once, if it still wants to; it has to give room for it.
 */
FUSE_DECODER(interrupt)
{
	if (message->in.size > 0)
		return -EINVAL;
	if (!fuse_cancel_unique(fuse_session_of(message->queue), args->interrupt.unique))
		fuse_send_error(message, -EAGAIN);
	return 0;
}
