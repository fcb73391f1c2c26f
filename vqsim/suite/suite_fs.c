/* SPDX-License-Identifier: BSD-3-Clause */
/* The client of a file-system device, for cases. */
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>

#include "suite_internal.h"

#define DATA_ROOM (16u << 10)

/* The file that ios read. */
#define PATTERN "pattern"
#define STEP    4096u

/* All that a client could want but what takes more than it has (notifications, a DAX window). */
#define INIT_MINOR 45u
#define INIT_FLAGS                                                                                 \
	(FUSE_ASYNC_READ | FUSE_POSIX_LOCKS | FUSE_ATOMIC_O_TRUNC | FUSE_BIG_WRITES |              \
	 FUSE_FLOCK_LOCKS | FUSE_DO_READDIRPLUS | FUSE_PARALLEL_DIROPS | FUSE_HANDLE_KILLPRIV_V2 | \
	 FUSE_MAX_PAGES | FUSE_INIT_EXT)

void suite_fs_down(struct vqsim_suite *suite)
{
	while (suite->fs_requests) {
		struct vqsim_suite_fs_request *request = suite->fs_requests;

		suite->fs_requests = request->next;
		vqsim_fs_request_finish(&request->request);
		free(request);
	}
	vqsim_fs_finish(&suite->fs);
	suite->has_pattern = false;
}

void suite_fs_up(struct vqsim_suite *suite)
{
	suite_fs_down(suite);
	SUITE_EXPECT_CLAUSE(suite, VQSIM_SUITE_BRING_UP,
			    vqsim_fs_init(&suite->fs, &suite->guest, DATA_ROOM) == 0,
			    "a client (the host is out of memory)");
	suite->fs.indirect = suite->point.indirect;
	suite->fs.whole = true; /* some rings are very small */
	if (suite->has_tree)
		vqsim_tree_watch(&suite->tree, &suite->fs);
}

void vqsim_suite_fs_begin(struct vqsim_suite *suite)
{
	int error = vqsim_fs_begin(&suite->fs, INIT_MINOR, INIT_FLAGS);

	SUITE_EXPECT(suite, error == 0 && suite->fs.minor > 0,
		     "INIT begins a session (error %d, minor %" PRIu32 ")", error, suite->fs.minor);
}

static void write_pattern(struct vqsim_suite *suite)
{
	uint8_t data[STEP];

	for (uint32_t at = 0; at < VQSIM_SUITE_PATTERN_SIZE; at += STEP) {
		vqsim_suite_pattern_fill(at, data, STEP);
		SUITE_EXPECT(suite,
			     vqsim_fs_write(&suite->fs, &suite->pattern, at, data, STEP) == STEP,
			     "%u bytes are written at %" PRIu32, STEP, at);
	}
}

/* The rings of a case are fresh, also that of a session that had nowhere else to begin. */
static void freshen(struct vqsim_suite *suite)
{
	uint16_t queue = vqsim_suite_queue(suite, 0);

	if (suite->fs_queues == SUITE_FS_QUEUES)
		return;
	if (!vqsim_suite_has(suite, VIRTIO_TRANSPORT_F_RING_RESET))
		vqsim_suite_not_observable(suite, "the one request queue is not fresh");
	vqsim_guest_queue_reset(&suite->guest, queue);
	SUITE_EXPECT_CLAUSE(
		suite, VQSIM_SUITE_BRING_UP,
		vqsim_guest_queue_enable(&suite->guest, queue, suite->point.queue_size) == VQSIM_UP,
		"the one request queue is enabled again when the session has begun");
}

void suite_fs_open_pattern(struct vqsim_suite *suite)
{
	struct vqsim_fs *fs = &suite->fs;
	struct fuse_entry_out entry;
	int error;

	if (suite->has_pattern)
		return;
	/* Of ios, which read, the model does not hear. */
	suite->tree.options.freedom |= VQSIM_TREE_FREE_ATIME;
	vqsim_suite_fs_begin(suite);
	error = vqsim_fs_lookup(fs, FUSE_ROOT_ID, PATTERN, &entry);
	if (error == 0 && entry.nodeid != 0) {
		error = vqsim_fs_open(fs, entry.nodeid, O_RDONLY, &suite->pattern);
	} else {
		error = vqsim_fs_create(fs, FUSE_ROOT_ID, PATTERN, O_RDWR, 0600, &suite->pattern);
		if (error == 0)
			write_pattern(suite);
	}
	SUITE_EXPECT(suite, error == 0, "a file to read (error %d)", error);
	suite->has_pattern = true;
	freshen(suite);
}

struct vqsim_fs_request *vqsim_suite_fs_request(struct vqsim_suite *suite)
{
	struct vqsim_suite_fs_request *request = calloc(1, sizeof(*request));

	if (!request || vqsim_fs_request_init(&suite->fs, &request->request, 0) != 0) {
		free(request);
		SUITE_EXPECT(suite, false, "room for a request (the host is out of memory)");
		return NULL;
	}
	request->next = suite->fs_requests;
	suite->fs_requests = request;
	request->request.indirect = suite->point.indirect;
	return &request->request;
}
