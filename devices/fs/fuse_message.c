/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A message from its header to its reply:
 *
 *   header -> INIT, DESTROY: fuse_init.c
 *          -> opcode known, room for the reply, arguments: fuse_table.c, fuse_decode.c
 *          -> the tree -> reply, or fuse_later.c
 *
 * Nothing on this path allocates, takes a lock or copies file data.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fuse_internal.h"

/* Another message of the pool is needed for the first time. */
static void grow(struct fuse_queue *queue)
{
	struct fuse_message *message = &queue->pool[queue->used++];

	message->queue = queue;
	message->call.add = fuse_add_dirent;
	message->call.done = fuse_later_done;
	fuse_push(message);
}

/* Pages of messages that are never in flight at the same time cost nothing. */
int fuse_pool_create(struct fuse_queue *queue, uint16_t depth)
{
	queue->pool = calloc(depth, sizeof(*queue->pool));
	if (!queue->pool)
		return -ENOMEM;
	queue->depth = depth;
	grow(queue);
	return 0;
}

struct fuse_message *fuse_pop(struct fuse_queue *queue)
{
	struct fuse_message *message = queue->free;

	queue->free = message->next;
	if (!queue->free && queue->used < queue->depth)
		grow(queue);
	return message;
}

void fuse_push(struct fuse_message *message)
{
	message->next = message->queue->free;
	message->queue->free = message;
}

void fuse_finish(struct fuse_message *message, int result)
{
	struct fuse_reply reply;

	/* An entry that was given to the guest cannot be taken back. */
	if (result < 0 && message->op->reply == fuse_reply_dirents &&
	    message->call.data.size < message->dirents)
		result = 0;
	if (result != 0)
		fuse_send_error(message, result);
	else
		message->op->reply(message, &reply);
}

/* Copy size bytes of what is left of the message. */
static inline void take(struct fuse_message *message, void *to, size_t size)
{
	struct iov_window *in = &message->in;
	size_t piece = in->iov->iov_len - in->skip;

	if (size <= piece)
		memcpy(to, (const uint8_t *)in->iov->iov_base + in->skip, size);
	else
		iov_window_read(in, to, size);
	if (size < piece || size == in->size) {
		in->skip += size;
		in->size -= size;
	} else {
		iov_window_advance(in, size);
	}
	/* The guest may change the original: the compiler must not go back to it. */
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
}

/*
 * Which byte order a message has. INIT's opcode says it, and then the session; if there is
 * none, the size tells which order makes sense, so that the error can be read.
 */
static bool is_swapped(const struct fuse_session *session, const struct fuse_in_header *header,
		       uint32_t phase, size_t size)
{
	if (header->opcode == FUSE_INIT)
		return false;
	if (header->opcode == FUSE_INIT_BSWAP_RESERVED)
		return true;
	if (phase == FUSE_RUNNING)
		return session->swapped;
	return header->len > size && __builtin_bswap32(header->len) <= size;
}

/* Returns false: there is not even a header, and nothing to answer to. */
static bool take_header(struct fuse_message *message, struct fs_request *request, uint32_t phase,
			struct fuse_in_header *header)
{
	struct fs_call *call = &message->call;

	if (request->in.size < sizeof(*header))
		return false;
	message->request = request;
	message->in = request->in;
	take(message, header, sizeof(*header));
	message->swapped =
		is_swapped(fuse_session_of(message->queue), header, phase, request->in.size);
	if (message->swapped)
		fuse_swap(header, sizeof(*header), FUSE_LAYOUT_IN_HEADER);
	message->unique = header->unique;
	call->op = header->opcode;
	call->flags = 0;
	call->node = header->nodeid;
	call->uid = header->uid;
	call->gid = header->gid;
	call->pid = header->pid;
	call->group_count = 0;
	return true;
}

/* Take the message's end off what is left: what the header does not count, and the extensions. */
static int cut_tail(struct fuse_message *message, const struct fuse_in_header *header)
{
	size_t ext = (size_t)header->total_extlen * 8;
	size_t size = message->in.size;

	if (header->len < sizeof(*header) || header->len - sizeof(*header) > size)
		return -EINVAL;
	size = header->len - sizeof(*header);
	message->in.size = size;
	message->ext.size = 0;
	message->flags = fuse_session_of(message->queue)->flags;
	if (ext == 0 || fuse_session_of(message->queue)->minor < FUSE_MINOR_EXT)
		return 0;
	if (ext > size)
		return -EINVAL;
	message->ext = iov_window_part(&message->in, size - ext, ext);
	message->in.size = size - ext;
	return 0;
}

static int decode(struct fuse_message *message)
{
	const struct fuse_op *op = message->op;
	size_t size = op->args_size;
	union fuse_args args;
	int error;

	if (message->call.op == FUSE_SETXATTR && !fuse_negotiated(message, FUSE_SETXATTR_EXT))
		size = FUSE_COMPAT_SETXATTR_IN_SIZE;
	if (message->in.size < size)
		return -EINVAL;
	if (size > 0) {
		take(message, &args, size);
		if (message->swapped)
			fuse_swap(&args, size, op->args_layout);
	}
	message->text_at = 0;
	message->text_end = 0;
	error = op->decode(message, &args);
	if (!error && fuse_anything_left(message))
		error = -EINVAL;
	return error;
}

/* What could not be reported is not carried out. */
static bool has_room(const struct fuse_message *message)
{
	return message->request->out.size >=
	       sizeof(struct fuse_out_header) + message->op->reply_size;
}

static int prepare(struct fuse_message *message, bool known)
{
	if (!known || message->op->minor > fuse_session_of(message->queue)->minor)
		return -ENOSYS;
	return has_room(message) ? decode(message) : -EIO;
}

static enum fs_submit call_tree(struct fuse_message *message)
{
	struct fuse_session *session = fuse_session_of(message->queue);
	fs_tree_op *member = session->members[message->call.op];
	int result = prepare(message, member != NULL);

	if (result) {
		fuse_send_error(message, result);
		return FS_DONE;
	}
	result = member(session->tree, &message->call);
	if (result == FS_LATER) {
		fuse_later(fuse_pop(message->queue));
		return FS_QUEUED;
	}
	fuse_finish(message, result);
	return FS_DONE;
}

/* What must not go to the tree, nor to another phase. */
static int check(const struct fuse_message *message, uint32_t phase)
{
	const struct fuse_op *op = message->op;
	unsigned flags = op ? op->flags : 0;

	if (message->queue->kind == FS_QUEUE_HIPRIO && !(flags & FUSE_OP_SILENT))
		return -EINVAL;
	if (phase != FUSE_RUNNING)
		return flags & FUSE_OP_CHANGE && phase == FUSE_NO_SESSION ? 0 : -EIO;
	return op ? 0 : -ENOSYS;
}

static const struct fuse_op *op_of(uint32_t opcode)
{
	const struct fuse_op *op = &fuse_ops_table[opcode < FUSE_OPCODES ? opcode : 0];

	return op->decode || op->flags ? op : NULL;
}

static void handle_silent(struct fuse_message *message, const struct fuse_in_header *header,
			  uint32_t phase)
{
	if (message->op->decode && !check(message, phase) && !cut_tail(message, header))
		decode(message);
}

static enum fs_submit handle(struct fuse_message *message, const struct fuse_in_header *header,
			     uint32_t phase)
{
	int error;

	message->op = op_of(header->opcode);
	if (message->op && message->op->flags & FUSE_OP_SILENT) {
		handle_silent(message, header, phase);
		return FS_DONE;
	}
	error = check(message, phase);
	if (!error)
		error = cut_tail(message, header);
	if (!error && message->op->flags & FUSE_OP_CHANGE) {
		if (has_room(message))
			return fuse_change(message, header->opcode);
		error = -EIO;
	}
	if (!error)
		return call_tree(message);
	fuse_send_error(message, error);
	return FS_DONE;
}

enum fs_submit fuse_submit(struct fs_session_queue *base, struct fs_request *request)
{
	struct fuse_queue *queue = (struct fuse_queue *)base;
	struct fuse_message *message = queue->free;
	struct fuse_in_header header;
	enum fs_submit submit = FS_DONE;
	uint32_t phase = fuse_enter(queue);

	assert(message);
	request->reply_size = 0;
	if (take_header(message, request, phase, &header))
		submit = handle(message, &header, phase);
	fuse_leave(queue);
	return submit;
}
