/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE
#include "fs_job.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "fs_load.h"

#define LARGE_SIZE   (UINT64_C(100) * 1000 * 1000)
#define REQUEST_SIZE (UINT32_C(1) << 20)
#define SMALL_FILES  10000u
#define SMALL_SIZE   1024u
#define NAME_SIZE    11u

/* A directory with the files, and the device that shares it. */
struct job {
	char path[64];
	int fd;
	struct perf_fs_load load;
	unsigned in_flight; /* files, each with a request of every kind */
	struct perf_fs_request lookup[PERF_FS_IN_FLIGHT], open[PERF_FS_IN_FLIGHT],
		read[PERF_FS_IN_FLIGHT], release[PERF_FS_IN_FLIGHT];
	int large_fd;
	char names[SMALL_FILES][NAME_SIZE];
};

static void must(const char *what, bool done)
{
	if (!done)
		perf_fs_die(what, -errno);
}

static void make_file(int dir, const char *name, uint64_t size)
{
	static uint8_t data[REQUEST_SIZE];
	int fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL, 0600);

	must(name, fd >= 0);
	memset(data, 0x5a, size < sizeof(data) ? (size_t)size : sizeof(data));
	while (size > 0) {
		size_t piece = size < sizeof(data) ? (size_t)size : sizeof(data);

		must(name, write(fd, data, piece) == (ssize_t)piece);
		size -= piece;
	}
	close(fd);
}

static void make_names(struct job *job)
{
	for (unsigned i = 0; i < SMALL_FILES; i++)
		snprintf(job->names[i], NAME_SIZE, "file-%05u", i);
}

static void init_requests(struct job *job, unsigned i, uint32_t read_size)
{
	struct perf_fs_load *load = &job->load;
	struct fuse_read_in *read;

	perf_fs_request_init(load, &job->lookup[i], FUSE_LOOKUP, NAME_SIZE,
			     sizeof(struct fuse_entry_out));
	perf_fs_request_init(load, &job->open[i], FUSE_OPEN, sizeof(struct fuse_open_in),
			     sizeof(struct fuse_open_out));
	perf_fs_request_init(load, &job->read[i], FUSE_READ, sizeof(*read), read_size);
	perf_fs_request_init(load, &job->release[i], FUSE_RELEASE, sizeof(struct fuse_release_in),
			     0);
	read = job->read[i].args;
	read->size = read_size;
}

static struct job *begin(uint32_t read_size, unsigned in_flight, unsigned flags)
{
	const struct fs_tree_dir_options options = {.flags = flags};
	const char *root = getenv("TMPDIR");
	struct job *job = aligned_alloc(_Alignof(struct job), sizeof(*job));
	struct fs_tree *tree;
	int error;

	must("memory", job);
	snprintf(job->path, sizeof(job->path), "%.40s/vqsim-perf-XXXXXX",
		 root && *root ? root : "/tmp");
	must(job->path, mkdtemp(job->path));
	job->fd = open(job->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	must(job->path, job->fd >= 0);
	error = fs_tree_dir_create(&tree, job->path, &options);
	if (error)
		perf_fs_die(job->path, error);
	perf_fs_load_init(&job->load, tree, read_size * in_flight);
	job->in_flight = in_flight;
	for (unsigned i = 0; i < in_flight; i++)
		init_requests(job, i, read_size);
	make_names(job);
	return job;
}

static void end(struct job *job)
{
	perf_fs_load_finish(&job->load);
	close(job->fd);
	must(job->path, rmdir(job->path) == 0);
	free(job);
}

/* Time of the processor: all work is this thread's, and what others do meanwhile is left out. */
static uint64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
	return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

/* One run each, in turn. */
static void run_pairs(struct job *job, void (*device)(struct job *), void (*plain)(struct job *),
		      struct perf_fs_pairs *pairs)
{
	device(job);
	plain(job);
	for (unsigned i = 0; i < PERF_FS_PAIRS; i++) {
		uint64_t start = now(), middle;

		(i % 2 ? plain : device)(job);
		middle = now();
		(i % 2 ? device : plain)(job);
		pairs->device[i] = (double)(i % 2 ? now() - middle : middle - start);
		pairs->plain[i] = (double)(i % 2 ? middle - start : now() - middle);
	}
}

/* One request for each file in flight: submitted together, then answered. */
static void wait_all(struct job *job, struct perf_fs_request *requests)
{
	perf_fs_wait_all(&job->load, requests, job->in_flight);
}

/* LOOKUP and OPEN of names, so that they can be read. */
static void open_files(struct job *job, const char (*names)[NAME_SIZE])
{
	for (unsigned i = 0; i < job->in_flight; i++)
		memcpy(job->lookup[i].args, names[i], NAME_SIZE);
	wait_all(job, job->lookup);
	for (unsigned i = 0; i < job->in_flight; i++) {
		const struct fuse_entry_out *entry = job->lookup[i].payload;

		job->open[i].in->nodeid = entry->nodeid;
		job->read[i].in->nodeid = entry->nodeid;
		job->release[i].in->nodeid = entry->nodeid;
	}
	wait_all(job, job->open);
	for (unsigned i = 0; i < job->in_flight; i++) {
		const struct fuse_open_out *open = job->open[i].payload;
		struct fuse_read_in *read = job->read[i].args;
		struct fuse_release_in *release = job->release[i].args;

		read->fh = release->fh = open->fh;
	}
}

/* The large file */

static void large_device(struct job *job)
{
	struct fuse_read_in *read = job->read[0].args;
	uint32_t size;

	read->offset = 0;
	while ((size = perf_fs_wait(&job->load, &job->read[0], false)) > 0)
		read->offset += size;
	if (read->offset != LARGE_SIZE)
		perf_fs_die("READ ends early", 0);
}

/* Where the device put it. */
static void large_plain(struct job *job)
{
	uint64_t offset = 0;
	ssize_t size;

	while ((size = pread(job->large_fd, job->read[0].payload, REQUEST_SIZE, (off_t)offset)) > 0)
		offset += (uint64_t)size;
	must("pread", size == 0 && offset == LARGE_SIZE);
}

void perf_fs_large(struct perf_fs_pairs *pairs)
{
	struct job *job = begin(REQUEST_SIZE, 1, 0);
	const char *name = job->names[0];

	make_file(job->fd, name, LARGE_SIZE);
	job->large_fd = openat(job->fd, name, O_RDONLY | O_CLOEXEC);
	must(name, job->large_fd >= 0);
	open_files(job, job->names);
	run_pairs(job, large_device, large_plain, pairs);
	wait_all(job, job->release);
	close(job->large_fd);
	must(name, unlinkat(job->fd, name, 0) == 0);
	end(job);
}

/* The small ones */

static void small_device(struct job *job)
{
	for (unsigned i = 0; i < SMALL_FILES; i += job->in_flight) {
		open_files(job, &job->names[i]);
		wait_all(job, job->read);
		wait_all(job, job->release);
	}
}

static void small_plain(struct job *job)
{
	struct stat status;

	for (unsigned i = 0; i < SMALL_FILES; i++) {
		const char *name = job->names[i];
		int fd;

		must(name, fstatat(job->fd, name, &status, AT_SYMLINK_NOFOLLOW) == 0);
		fd = openat(job->fd, name, O_RDONLY | O_CLOEXEC);
		must(name, fd >= 0);
		must(name, pread(fd, job->read[0].payload, SMALL_SIZE, 0) == SMALL_SIZE);
		close(fd);
	}
}

void perf_fs_small(struct perf_fs_pairs *pairs, unsigned in_flight, bool exclusive)
{
	struct job *job = begin(SMALL_SIZE, in_flight, exclusive ? FS_DIR_EXCLUSIVE : 0);

	for (unsigned i = 0; i < SMALL_FILES; i++)
		make_file(job->fd, job->names[i], SMALL_SIZE);
	run_pairs(job, small_device, small_plain, pairs);
	for (unsigned i = 0; i < SMALL_FILES; i++)
		must(job->names[i], unlinkat(job->fd, job->names[i], 0) == 0);
	end(job);
}
