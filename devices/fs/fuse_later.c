/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Calls that are not over when the operation returns.
 *
 *   submit: FS_LATER -> waiting --.
 *                                 +-- both, and nobody is cancelling --> over list of its queue
 *   done, on any thread -> over --'                                            |
 *                                                    poll of the queue: reply, done
 *
 * done may come before submit knows that it will come. A message leaves the list of
 * those that wait only when nobody is inside the tree's cancel with it, so the call
 * stays valid for whoever is. Everything is under the lock of the session, which nobody holds
 * while he calls the tree; no message that is answered at once comes here.
 */
#include <errno.h>
#include <unistd.h>

#include "fuse_internal.h"

void fuse_wake(struct fuse_queue *queue)
{
	uint64_t one = 1;
	ssize_t size = write(queue->event_fd, &one, sizeof(one));

	(void)size; /* it fails only if the counter is full: the descriptor is readable then */
}

static void quieten(struct fuse_queue *queue)
{
	uint64_t count;
	ssize_t size = read(queue->event_fd, &count, sizeof(count));

	(void)size; /* nobody woke the queue since */
}

static void unlink_waiting(struct fuse_message *message)
{
	*message->at_waiting = message->next_waiting;
	if (message->next_waiting)
		message->next_waiting->at_waiting = message->at_waiting;
	message->waiting = false;
}

/* Hand a message over to its queue if nothing holds it here any more. */
static void settle(struct fuse_session *session, struct fuse_message *message)
{
	struct fuse_queue *queue = message->queue;

	if (!message->over || !message->waiting || message->pins > 0)
		return;
	unlink_waiting(message);
	message->next = NULL;
	__atomic_store_n(queue->over_end, message, __ATOMIC_RELEASE);
	queue->over_end = &message->next;
	fuse_wake(queue);
	if (!session->waiting && session->changer)
		fuse_wake(session->changer->queue);
}

void fuse_later_done(struct fs_call *call, int result)
{
	struct fuse_message *message = (struct fuse_message *)call;
	struct fuse_session *session = fuse_session_of(message->queue);

	pthread_mutex_lock(&session->lock);
	message->result = result;
	message->over = true;
	settle(session, message);
	pthread_mutex_unlock(&session->lock);
}

void fuse_later(struct fuse_message *message)
{
	struct fuse_session *session = fuse_session_of(message->queue);

	pthread_mutex_lock(&session->lock);
	message->waiting = true;
	message->next_waiting = session->waiting;
	message->at_waiting = &session->waiting;
	if (session->waiting)
		session->waiting->at_waiting = &message->next_waiting;
	session->waiting = message;
	settle(session, message);
	pthread_mutex_unlock(&session->lock);
}

/* Which calls to cancel. */
struct choice {
	const struct fuse_queue *queue; /* NULL: of any */
	const uint64_t *unique;         /* NULL: any */
};

static bool chosen(const struct fuse_message *message, const struct choice *choice)
{
	return !message->over && !message->cancelled &&
	       (!choice->queue || message->queue == choice->queue) &&
	       (!choice->unique || message->unique == *choice->unique);
}

static struct fuse_message *choose(struct fuse_session *session, const struct choice *choice)
{
	struct fuse_message *message = session->waiting;

	while (message && !chosen(message, choice))
		message = message->next_waiting;
	return message;
}

/* The tree may call done from its cancel, so it is called without the lock. */
static unsigned cancel(struct fuse_session *session, const struct choice *choice)
{
	struct fs_tree *tree = session->tree;
	struct fuse_message *message;
	unsigned count = 0;

	if (!tree->ops->cancel)
		return 0;
	pthread_mutex_lock(&session->lock);
	for (; (message = choose(session, choice)) != NULL; count++) {
		message->cancelled = true;
		message->pins++;
		pthread_mutex_unlock(&session->lock);
		tree->ops->cancel(tree, &message->call);
		pthread_mutex_lock(&session->lock);
		message->pins--;
		settle(session, message);
	}
	pthread_mutex_unlock(&session->lock);
	return count;
}

unsigned fuse_cancel_queue(struct fuse_session *session, const struct fuse_queue *queue)
{
	return cancel(session, &(struct choice){.queue = queue});
}

static bool waits(struct fuse_session *session, uint64_t unique)
{
	const struct fuse_message *message;

	pthread_mutex_lock(&session->lock);
	message = session->waiting;
	while (message && message->unique != unique)
		message = message->next_waiting;
	pthread_mutex_unlock(&session->lock);
	return message != NULL;
}

bool fuse_cancel_unique(struct fuse_session *session, uint64_t unique)
{
	return cancel(session, &(struct choice){.unique = &unique}) > 0 || waits(session, unique);
}

static struct fuse_message *take_over(struct fuse_session *session, struct fuse_queue *queue)
{
	struct fuse_message *list;

	pthread_mutex_lock(&session->lock);
	quieten(queue);
	list = queue->over;
	__atomic_store_n(&queue->over, NULL, __ATOMIC_RELAXED);
	queue->over_end = &queue->over;
	pthread_mutex_unlock(&session->lock);
	return list;
}

static unsigned answer(struct fuse_message *list)
{
	unsigned count = 0;

	for (; list; count++) {
		struct fuse_message *message = list;
		struct fs_request *request = message->request;

		list = message->next;
		fuse_finish(message, message->result);
		message->over = false;
		message->cancelled = false;
		fuse_push(message);
		request->done(request);
	}
	return count;
}

unsigned fuse_poll(struct fs_session_queue *base)
{
	struct fuse_queue *queue = (struct fuse_queue *)base;
	struct fuse_session *session = fuse_session_of(queue);
	struct fs_tree *tree = session->tree;
	unsigned count = 0;

	if (tree->ops->poll)
		tree->ops->poll(tree);
	if (__atomic_load_n(&queue->over, __ATOMIC_ACQUIRE) || queue->changing)
		count = answer(take_over(session, queue));
	if (queue->changing && fuse_change_retry(queue->changing)) {
		struct fuse_message *message = queue->changing;
		struct fs_request *request = message->request;

		queue->changing = NULL;
		fuse_push(message);
		request->done(request);
		count++;
	}
	return count;
}
