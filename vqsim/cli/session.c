/* SPDX-License-Identifier: BSD-3-Clause */
#include "session.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "command_line.h"
#include "session_remote.h"
#include "store_word.h"

/* The parts of a request slot besides its data: header, status, table, canaries, alignment. */
#define SLOT_EXTRA 16384u

/* For each element of a ring, and for the ring as a whole. */
#define RING_ELEMENT 32u
#define RING_EXTRA   16384u

#define REGION_LOW  UINT64_C(0x100000)
#define REGION_HIGH (UINT64_C(4) << 30)

/* A workload that only reads opens the image so that nothing can change it. */
static enum cli_exit open_store(struct session *session)
{
	const struct run_options *options = session->options;
	struct blk_limits limits;
	enum cli_exit status;

	if (options->remote.device != NULL)
		return session_remote_open(session);
	status = store_word_open(options->file_path, options->ram_size, options_writes(options),
				 "--workload read", &session->store);
	if (status != CLI_OK)
		return status;
	session->store->ops->limits(session->store, &limits);
	session->size = limits.size;
	session->block_size = limits.block_size;
	return CLI_OK;
}

static enum cli_exit check_sizes(struct session *session)
{
	const struct run_options *options = session->options;
	uint64_t blocks = (session->size + options->block_size - 1) / options->block_size;

	if (options->block_size % session->block_size != 0) {
		cli_complain("--block-size %" PRIu32 " does not fit this disk; give a multiple of "
			     "its block size, %" PRIu32,
			     options->block_size, session->block_size);
		return CLI_BAD;
	}
	if (options->to != NULL && options->requests > blocks) {
		cli_complain("--requests %" PRIu64 " is more than the disk has; with --to give at "
			     "most %" PRIu64,
			     options->requests, blocks);
		return CLI_BAD;
	}
	return CLI_OK;
}

static bool same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* Whether an existing path is the image. */
static bool is_image(const struct session *session, const struct stat *st)
{
	struct stat image;

	return session->options->file_path != NULL &&
	       stat(session->options->file_path, &image) == 0 && same_file(&image, st);
}

static enum cli_exit check_from(struct session *session)
{
	const char *path = session->options->from;
	struct stat st;
	off_t size;

	/* Without O_NONBLOCK a pipe that nobody writes would hold us here. */
	session->from_fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (session->from_fd < 0 || fstat(session->from_fd, &st) < 0) {
		cli_complain("cannot open --from '%s': %s; give a file that exists", path,
			     strerror(errno));
		return CLI_BAD;
	}
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode)) {
		cli_complain("--from '%s' is no regular file; give one as large as the disk", path);
		return CLI_BAD;
	}
	size = lseek(session->from_fd, 0, SEEK_END);
	if (size < 0 || (uint64_t)size != session->size) {
		cli_complain("--from '%s' has %lld bytes; the disk has %" PRIu64
			     ", give a file of that size",
			     path, (long long)size, session->size);
		return CLI_BAD;
	}
	if (is_image(session, &st)) {
		cli_complain("--from '%s' is the image itself; give another file", path);
		return CLI_BAD;
	}
	return CLI_OK;
}

static enum cli_exit check_to(const struct session *session)
{
	const char *path = session->options->to;
	struct stat st;

	if (strcmp(path, "-") == 0 || stat(path, &st) < 0)
		return CLI_OK;
	if (S_ISDIR(st.st_mode)) {
		cli_complain("--to '%s' is a directory; give a file", path);
		return CLI_BAD;
	}
	if (is_image(session, &st)) {
		cli_complain("--to '%s' is the image itself; give another file", path);
		return CLI_BAD;
	}
	return CLI_OK;
}

/* Creates or empties the file: nothing that is found wrong may come after it. */
static enum cli_exit open_to(struct session *session)
{
	const char *path = session->options->to;

	if (strcmp(path, "-") == 0)
		session->to_fd = dup(STDOUT_FILENO);
	else /* O_NONBLOCK: a fifo that nobody reads is an error and not a wait */
		session->to_fd =
			open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NONBLOCK | O_CLOEXEC, 0666);
	if (session->to_fd >= 0) {
		fcntl(session->to_fd, F_SETFL, fcntl(session->to_fd, F_GETFL) & ~O_NONBLOCK);
		return CLI_OK;
	}
	cli_complain("cannot write --to '%s': %s; give a file that can be written", path,
		     strerror(errno));
	return CLI_BAD;
}

static enum cli_exit check_files(struct session *session)
{
	enum cli_exit status = check_sizes(session);

	if (status == CLI_OK && session->options->from != NULL)
		status = check_from(session);
	if (status == CLI_OK && session->options->to != NULL)
		status = check_to(session);
	return status;
}

static uint64_t round_up(uint64_t value, uint64_t to)
{
	return (value + to - 1) / to * to;
}

/*
 * Two regions, one on each side of 4 GiB, so that addresses of both kinds are
 * used. Untouched memory costs nothing, so each could hold everything.
 */
static int make_memory(struct session *session)
{
	const struct run_options *o = session->options;
	uint64_t slot = UINT64_C(2) * o->block_size + SLOT_EXTRA;
	uint64_t ring = (uint64_t)o->queue_size * RING_ELEMENT + RING_EXTRA;
	uint64_t all = o->queue_count * (ring + o->depth * slot);
	uint64_t half = round_up(all / 2 + slot + ring, 4096);
	uint64_t high = round_up(REGION_LOW + half + REGION_LOW, REGION_HIGH);
	const struct vqsim_region regions[] = {
		{.gpa = REGION_LOW, .size = half},
		{.gpa = high, .size = half},
	};

	return vqsim_memory_init(&session->memory, regions, 2);
}

/* The device's limit is a power of two even if the ring is packed and smaller. */
static uint16_t queue_size_max(uint16_t size)
{
	uint16_t max = 1;

	while (max < size)
		max *= 2;
	return max;
}

static int make_device(struct session *session)
{
	const struct run_options *o = session->options;
	const struct blk_options options = {
		.queue_count = o->queue_count,
		.queue_size_max = queue_size_max(o->queue_size),
		.id = "vqsim",
		.read_only = o->read_only,
	};

	return blk_create(&session->device, &options, session->store);
}

static int make_parts(struct session *session)
{
	struct vqsim_referee *referee = session->options->no_referee ? NULL : &session->referee;
	int err = session->device != NULL ? 0 : make_device(session);

	if (err == 0)
		err = make_memory(session);
	if (err == 0 && referee != NULL)
		err = vqsim_referee_init(referee, &session->memory);
	session->referee.replay_hint = command_line();
	if (err == 0)
		err = vqsim_guest_init(&session->guest, &session->memory, session->device, referee);
	return err;
}

static enum cli_exit make_model(struct session *session)
{
	if (vqsim_disk_init(&session->disk, &session->referee, session->size) == 0) {
		session->modelled = true;
		return CLI_OK;
	}
	cli_complain("not enough memory for a model of a disk of %" PRIu64 " bytes; "
		     "give --workload read or write, or a smaller disk",
		     session->size);
	return CLI_BAD;
}

static enum cli_exit bring_up(struct session *session)
{
	const struct vqsim_guest_config config = {
		.features = session->options->features,
		.queue_count = session->options->queue_count,
		.queue_size = session->options->queue_size,
	};
	enum vqsim_bring_up up = vqsim_guest_bring_up(&session->guest, &config);

	if (up != VQSIM_UP) {
		cli_complain("the device %s; give other --features or --queue-size",
			     up == VQSIM_REFUSED_FEATURES ? "refuses these features"
			     : up == VQSIM_REFUSED_QUEUE  ? "refuses these queues"
							  : "asked for a reset at DRIVER_OK");
		return CLI_FAILED;
	}
	session->features = session->guest.features;
	vqsim_blk_init(&session->blk, &session->guest, session->modelled ? &session->disk : NULL);
	return CLI_OK;
}

enum cli_exit session_open(struct session *session, const struct run_options *options)
{
	enum cli_exit status;
	int err;

	*session = (struct session){.options = options, .from_fd = -1, .to_fd = -1};
	status = open_store(session);
	if (status == CLI_OK)
		status = check_files(session);
	if (status != CLI_OK)
		return status;
	err = make_parts(session);
	if (err != 0) {
		cli_complain("cannot set up the guest: %s; give less --depth, --queues or "
			     "--block-size",
			     strerror(-err));
		return CLI_BAD;
	}
	if (options_modelled(options))
		status = make_model(session);
	if (status == CLI_OK)
		status = bring_up(session);
	if (status == CLI_OK && options->to != NULL)
		status = open_to(session);
	return status;
}

static void close_fd(int fd)
{
	if (fd >= 0)
		close(fd);
}

void session_close(struct session *session)
{
	vqsim_guest_finish(&session->guest);
	vqsim_disk_finish(&session->disk);
	vqsim_referee_finish(&session->referee);
	if (session->device != NULL && session->device != session->remote.device)
		session->device->ops->destroy(session->device);
	remote_device_close(&session->remote);
	vqsim_memory_finish(&session->memory);
	if (session->store != NULL)
		session->store->ops->destroy(session->store);
	close_fd(session->from_fd);
	close_fd(session->to_fd);
}
