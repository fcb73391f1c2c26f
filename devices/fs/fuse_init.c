/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One session after the other. INIT and DESTROY end the one that there is: what waits in
 * the tree is cancelled, other messages are answered with EIO, and when the last call has
 * left the tree, the tree is reset. With INIT another session begins then.
 */
#include <endian.h>
#include <errno.h>
#include <string.h>

#include "fuse_internal.h"

#define PAGE 4096u

/* Without MAX_PAGES no request has more. */
#define PAGES_DEFAULT 32u

/* What is this decoder's own doing, or nobody's: the guest only tells that it can. */
#define OWN_FLAGS                                                                    \
	(FUSE_ASYNC_READ | FUSE_BIG_WRITES | FUSE_ASYNC_DIO | FUSE_PARALLEL_DIROPS | \
	 FUSE_MAX_PAGES | FUSE_INIT_EXT)

/* What depends on a tree; the rest needs more than a tree (notifications, a DAX window, ioctl). */
#define TREE_FLAGS                                                                               \
	(FUSE_POSIX_LOCKS | FUSE_ATOMIC_O_TRUNC | FUSE_EXPORT_SUPPORT | FUSE_DONT_MASK |         \
	 FUSE_FLOCK_LOCKS | FUSE_AUTO_INVAL_DATA | FUSE_DO_READDIRPLUS | FUSE_READDIRPLUS_AUTO | \
	 FUSE_WRITEBACK_CACHE | FUSE_NO_OPEN_SUPPORT | FUSE_HANDLE_KILLPRIV | FUSE_POSIX_ACL |   \
	 FUSE_CACHE_SYMLINKS | FUSE_NO_OPENDIR_SUPPORT | FUSE_EXPLICIT_INVAL_DATA |              \
	 FUSE_SUBMOUNTS | FUSE_HANDLE_KILLPRIV_V2 | FUSE_SETXATTR_EXT | FUSE_SECURITY_CTX |      \
	 FUSE_CREATE_SUPP_GROUP | FUSE_DIRECT_IO_ALLOW_MMAP | FUSE_NO_EXPORT_SUPPORT |           \
	 FUSE_ALLOW_IDMAP)

static uint64_t offered_flags(const struct fuse_session *session, uint32_t minor)
{
	const struct fs_tree_ops *tree = session->tree->ops;
	uint64_t flags = session->limits.init_flags & TREE_FLAGS;

	if (!tree->getlk || !tree->setlk)
		flags &= ~FUSE_POSIX_LOCKS;
	if (!tree->setlk)
		flags &= ~FUSE_FLOCK_LOCKS;
	if (!tree->readdirplus)
		flags &= ~(FUSE_DO_READDIRPLUS | FUSE_READDIRPLUS_AUTO);
	if (minor < FUSE_MINOR_EXT)
		flags &= ~(FUSE_SECURITY_CTX | FUSE_CREATE_SUPP_GROUP);
	return (flags | OWN_FLAGS) & ~session->options.hidden_flags;
}

/* Flags without those that they stand on. */
static uint64_t agreed_flags(const struct fuse_session *session, const struct fuse_init_in *in)
{
	uint64_t wanted = in->flags;
	uint64_t flags;

	if (in->flags & FUSE_INIT_EXT)
		wanted |= (uint64_t)in->flags2 << 32;
	flags = wanted & offered_flags(session, session->minor);
	if (!(flags & FUSE_INIT_EXT))
		flags &= UINT32_MAX;
	if (!(flags & FUSE_DO_READDIRPLUS))
		flags &= ~FUSE_READDIRPLUS_AUTO;
	return flags;
}

static uint32_t max_write(const struct fuse_session *session)
{
	uint32_t most = PAGES_DEFAULT * PAGE;

	if (!(session->flags & FUSE_BIG_WRITES))
		return PAGE;
	if ((session->flags & FUSE_MAX_PAGES) || session->options.max_write < most)
		most = session->options.max_write;
	return most;
}

static void fill_init(const struct fuse_session *session, const struct fuse_init_in *in,
		      struct fuse_init_out *out)
{
	uint16_t background = session->options.max_background;
	uint32_t write = max_write(session);

	*out = (struct fuse_init_out){
		.major = FUSE_KERNEL_VERSION,
		.minor = session->minor,
		.max_readahead = in->max_readahead,
		.flags = (uint32_t)session->flags,
		.flags2 = (uint32_t)(session->flags >> 32),
		.max_background = background,
		.congestion_threshold = (uint16_t)(background - background / 4),
		.max_write = write,
		.time_gran = session->limits.time_gran ? session->limits.time_gran : 1,
		.max_pages = 0,
	};
	if (session->flags & FUSE_MAX_PAGES)
		out->max_pages = (uint16_t)((write + PAGE - 1) / PAGE);
}

/* Returns whether a session runs now. */
static bool begin(struct fuse_session *session, struct fuse_message *message)
{
	const struct fuse_init_in *in = &message->init;
	struct fuse_reply reply;

	if (in->major < FUSE_KERNEL_VERSION ||
	    (in->major == FUSE_KERNEL_VERSION && in->minor < FUSE_MINOR_MIN)) {
		fuse_send_error(message, -EPROTO);
		return false;
	}
	if (in->major > FUSE_KERNEL_VERSION) {
		/* The guest is to say INIT again, with this major. */
		reply.init = (struct fuse_init_out){.major = FUSE_KERNEL_VERSION,
						    .minor = FUSE_KERNEL_MINOR_VERSION};
		fuse_send(message, &reply, sizeof(reply.init), FUSE_LAYOUT_INIT_OUT);
		return false;
	}
	session->minor =
		in->minor < FUSE_KERNEL_MINOR_VERSION ? in->minor : FUSE_KERNEL_MINOR_VERSION;
	session->swapped = message->swapped;
	session->flags = agreed_flags(session, in);
	session->tree->ops->start(session->tree, session->flags);
	session->started = true;
	fill_init(session, in, &reply.init);
	fuse_send(message, &reply, sizeof(reply.init), FUSE_LAYOUT_INIT_OUT);
	return true;
}

/*
 * No call is in the tree or on its way there, and none can come. A thread that is in the tree
 * for another queue wakes nobody when it leaves; the queue is polled again meanwhile.
 */
static bool is_quiet(struct fuse_session *session, struct fuse_queue *own)
{
	bool quiet = true;

	pthread_mutex_lock(&session->lock);
	for (struct fuse_queue *queue = session->queues; queue; queue = queue->next)
		if (queue != own && __atomic_load_n(&queue->inside, __ATOMIC_SEQ_CST))
			quiet = false;
	if (!quiet)
		fuse_wake(own);
	if (session->waiting)
		quiet = false;
	pthread_mutex_unlock(&session->lock);
	return quiet;
}

bool fuse_change_retry(struct fuse_message *message)
{
	struct fuse_session *session = fuse_session_of(message->queue);
	bool running = false;

	/* Again, for what a thread that was in the tree has left there since. */
	fuse_cancel_queue(session, NULL);
	if (!is_quiet(session, message->queue))
		return false;
	if (session->started)
		session->tree->ops->reset(session->tree);
	session->started = false;
	if (message->init.major > 0) {
		running = begin(session, message);
	} else {
		struct fuse_reply reply;

		fuse_reply_empty(message, &reply);
	}
	pthread_mutex_lock(&session->lock);
	session->changer = NULL;
	__atomic_store_n(&session->phase, running ? FUSE_RUNNING : FUSE_NO_SESSION,
			 __ATOMIC_RELEASE);
	pthread_mutex_unlock(&session->lock);
	return true;
}

/* Later versions may say more than is known here. DESTROY says nothing. */
static int take_init(struct fuse_message *message)
{
	struct fuse_init_in *in = &message->init;
	size_t size = iov_window_read(&message->in, in, sizeof(*in));

	if (size < FUSE_COMPAT_INIT_IN_SIZE)
		return -EINVAL;
	memset((uint8_t *)in + size, 0, sizeof(*in) - size);
	if (message->swapped)
		fuse_swap(in, sizeof(*in), FUSE_LAYOUT_INIT_IN);
	if (in->major == 0)
		return -EPROTO;
	if ((in->flags & FUSE_INIT_EXT) && size < FUSE_COMPAT_INIT_IN_SIZE + sizeof(in->flags2))
		return -EINVAL;
	return 0;
}

/* Returns 0, or an error if another queue changes the session just now. */
static int start_change(struct fuse_session *session, struct fuse_message *message)
{
	int error = 0;

	pthread_mutex_lock(&session->lock);
	if (session->changer) {
		error = -EIO;
	} else {
		session->changer = message;
		__atomic_store_n(&session->phase, FUSE_ENDING, __ATOMIC_SEQ_CST);
	}
	pthread_mutex_unlock(&session->lock);
	return error;
}

enum fs_submit fuse_change(struct fuse_message *message, uint32_t opcode)
{
	struct fuse_queue *queue = message->queue;
	struct fuse_session *session = fuse_session_of(queue);
	int error = 0;

	if (opcode == FUSE_INIT)
		error = take_init(message);
	else
		message->init.major = 0;
	if (!error && opcode == FUSE_DESTROY && message->in.size > 0)
		error = -EINVAL;
	if (!error)
		error = start_change(session, message);
	if (error) {
		fuse_send_error(message, error);
		return FS_DONE;
	}
	if (fuse_change_retry(message))
		return FS_DONE;
	queue->changing = fuse_pop(queue);
	return FS_QUEUED;
}
