/* SPDX-License-Identifier: BSD-3-Clause */
#include "serve_device.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>

#include "fs_stack.h"
#include "store_word.h"
#include "../../devices/fs/fs.h"

static enum cli_exit look_at_directory(const char *path)
{
	struct stat st;
	int error = stat(path, &st) < 0 ? errno : S_ISDIR(st.st_mode) ? 0 : ENOTDIR;

	if (error == 0)
		return CLI_OK;
	cli_complain("tree '%s': %s; give a directory that exists", path, strerror(error));
	return CLI_BAD;
}

enum cli_exit serve_device_open(struct serve_device *d, const struct serve_options *options)
{
	*d = (struct serve_device){.options = options};
	if (options->store)
		return store_word_open(options->path, options->ram_size, !options->read_only,
				       "--read-only", &d->store);
	return options->path ? look_at_directory(options->path) : CLI_OK;
}

static int create_blk(struct serve_device *d)
{
	const struct serve_options *o = d->options;
	const struct blk_options options = {
		.queue_count = o->queue_count,
		.queue_size_max = o->queue_size,
		.id = o->id,
		.read_only = o->read_only,
		.hidden_features = o->hidden_features,
	};

	return blk_create(&d->device, &options, d->store);
}

static int create_fs(struct serve_device *d, const char *directory)
{
	const struct serve_options *o = d->options;
	const struct fuse_options fuse = {.max_write = FS_STACK_MAX_WRITE};
	const struct fs_options options = {
		.tag = o->tag,
		.request_queue_count = o->queue_count,
		.queue_size_max = o->queue_size,
	};
	int error = fs_stack_create_tree(&d->tree, directory, o->read_only, o->exclusive);

	if (!error)
		error = fuse_session_create(&d->session, &fuse, d->tree);
	return error ? error : fs_create(&d->device, &options, d->session);
}

enum cli_exit serve_device_create(struct serve_device *d, const char *directory)
{
	int error = d->store ? create_blk(d) : create_fs(d, directory);

	if (error == 0)
		return CLI_OK;
	cli_complain("cannot serve '%s': %s",
		     d->options->store ? d->options->store : d->options->tree, strerror(-error));
	return CLI_BAD;
}

void serve_device_look_again(struct serve_device *d)
{
	if (d->store)
		blk_look_again(d->device);
}

struct flush {
	struct blk_io io;
	bool done;
};

static void flush_done(struct blk_io *io)
{
	((struct flush *)io)->done = true;
}

static void wait_for(struct blk_store_queue *queue, const struct flush *flush)
{
	const struct blk_store_ops *ops = queue->store->ops;

	while (!flush->done) {
		struct pollfd fd = {.fd = ops->poll_fd ? ops->poll_fd(queue) : -1,
				    .events = POLLIN};

		if (fd.fd >= 0)
			poll(&fd, 1, -1);
		ops->poll(queue);
	}
}

static int flush_store(struct blk_store *store)
{
	struct flush flush = {.io = {.op = BLK_OP_FLUSH, .done = flush_done}};
	struct blk_store_queue *queue = store->ops->queue_open(store, 1);
	enum blk_submit submitted;

	if (!queue)
		return -ENOMEM;
	submitted = store->ops->submit(queue, &flush.io);
	if (store->ops->commit)
		store->ops->commit(queue);
	if (submitted == BLK_QUEUED)
		wait_for(queue, &flush);
	store->ops->queue_close(queue);
	return submitted == BLK_BUSY ? -EBUSY : flush.io.result;
}

/* What guests wrote to files is with the kernel, which this process's end is nothing to. */
enum cli_exit serve_device_sync(struct serve_device *d)
{
	int error;

	d->device->ops->destroy(d->device);
	d->device = NULL;
	error = d->store ? flush_store(d->store) : 0;
	if (error == 0)
		return CLI_OK;
	cli_complain("cannot sync '%s': %s; what was not flushed by a guest may be lost",
		     d->options->store, strerror(-error));
	return CLI_FAILED;
}

void serve_device_close(struct serve_device *d)
{
	if (d->device)
		d->device->ops->destroy(d->device);
	if (d->store)
		d->store->ops->destroy(d->store);
	if (d->session)
		d->session->ops->destroy(d->session);
	if (d->tree)
		d->tree->ops->destroy(d->tree);
	*d = (struct serve_device){.options = d->options};
}
