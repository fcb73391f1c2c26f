/* SPDX-License-Identifier: BSD-3-Clause */
/* File systems (virtio 1.3, 5.11): configuration, queues and sessions. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

#include <linux/virtio_fs.h>
#include <linux/virtio_ids.h>

#include "cases_internal.h"

#define ROOT   FUSE_ROOT_ID
#define ROUNDS 100u

/* The newest minor that is known here. */
#define NEWEST 45u

/* Locks that wait on each request queue, and what interrupts the first of them. */
#define WAITERS 3u

/* Configuration */

static void num_request_queues(struct vqsim_suite *s)
{
	uint64_t count = vqsim_suite_config_field(
		s, offsetof(struct virtio_fs_config, num_request_queues), 4);
	uint16_t has = s->guest.link.transport.queue_count;

	SUITE_EXPECT(s, count >= 1, "num_request_queues is at least 1");
	SUITE_EXPECT(s, has >= count + 1,
		     "a queue for each of %" PRIu64 " and hiprio (there are %u)", count, has);
}

/* The field, byte for byte: the tag, and NUL up to its end. */
static void expect_tag(struct vqsim_suite *s, const char *tag)
{
	uint8_t expected[sizeof(((struct virtio_fs_config *)0)->tag)] = {0};

	memcpy(expected, tag, strlen(tag));
	for (uint32_t i = 0; i < sizeof(expected); i++) {
		uint64_t byte = vqsim_suite_config_field(s, i, 1);

		SUITE_EXPECT(s, byte == expected[i],
			     "byte %" PRIu32 " of the tag \"%s\" is 0x%02x (it is 0x%02" PRIx64 ")",
			     i, tag, expected[i], byte);
	}
}

static void tag(struct vqsim_suite *s)
{
	static const char *const tags[] = {
		"x",
		"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80",
		"tag of 35 bytes, which are not enough",
		"tag of 36 bytes, which fill the field",
	};
	char cut[37];

	for (unsigned i = 0; i < sizeof(tags) / sizeof(tags[0]); i++) {
		size_t size = i < 2 ? strlen(tags[i]) : 33 + i;
		const struct vqsim_subject_options options = {.tag = cut};

		memcpy(cut, tags[i], size);
		cut[size] = '\0';
		vqsim_suite_remake(s, &options);
		expect_tag(s, cut);
	}
}

/* Queues */

/* Without a reply. Returns whether it was used before the device was given up. */
static bool serve_hiprio(struct vqsim_suite *s, struct vqsim_fs_request *request)
{
	SUITE_EXPECT(s, vqsim_fs_submit(&s->fs, VQSIM_FS_HIPRIO, request) >= 0, "room on hiprio");
	vqsim_guest_publish(&s->guest, VQSIM_FS_HIPRIO);
	for (unsigned i = 0; i < ROUNDS && !request->done; i++) {
		vqsim_guest_run(&s->guest, VQSIM_FS_HIPRIO);
		vqsim_fs_reap(&s->fs, VQSIM_FS_HIPRIO);
	}
	return request->done;
}

static bool forget_on_hiprio(struct vqsim_suite *s, uint64_t node, uint64_t count)
{
	struct vqsim_fs_request *request = vqsim_suite_fs_request(s);

	vqsim_fs_make(&s->fs, request,
		      &(struct vqsim_fs_args){.opcode = FUSE_FORGET, .node = node, .count = count});
	return serve_hiprio(s, request);
}

static void queue_order(struct vqsim_suite *s)
{
	struct fuse_entry_out entry;

	vqsim_suite_up(s);
	/* On the first request queue, as every call that waits. */
	vqsim_suite_fs_begin(s);
	SUITE_EXPECT(s, vqsim_fs_mkdir(&s->fs, ROOT, "dir", 0700, &entry) == 0, "a directory");
	SUITE_EXPECT(s, forget_on_hiprio(s, entry.nodeid, 1), "FORGET is used on hiprio");
}

static void make_lock(struct vqsim_suite *s, struct vqsim_fs_request *request,
		      const struct vqsim_fs_file *file)
{
	vqsim_fs_make(&s->fs, request,
		      &(struct vqsim_fs_args){.opcode = FUSE_SETLKW,
					      .node = file->node,
					      .handle = file->handle,
					      .lock_owner = 2,
					      .lock = {.end = 9, .type = F_WRLCK, .pid = 2}});
}

/* Each request queue gets locks that wait for one that is held. Returns the first of them. */
static struct vqsim_fs_request *block_all(struct vqsim_suite *s, const struct vqsim_fs_file *file)
{
	struct vqsim_fs_request *request, *first = NULL;

	for (uint16_t queue = 1; queue < s->guest.queue_count; queue++) {
		for (unsigned i = 0; i < WAITERS; i++) {
			request = vqsim_suite_fs_request(s);
			first = first ? first : request;
			make_lock(s, request, file);
			SUITE_EXPECT(s, vqsim_fs_submit(&s->fs, queue, request) >= 0,
				     "room for %u locks on queue %u", WAITERS, queue);
		}
		vqsim_guest_publish(&s->guest, queue);
		vqsim_guest_run(&s->guest, queue);
		SUITE_EXPECT(s, !vqsim_fs_reap(&s->fs, queue),
			     "a lock that another owner holds is waited for");
	}
	return first;
}

static void interrupt_on_hiprio(struct vqsim_suite *s, const struct vqsim_fs_request *victim)
{
	struct vqsim_fs_request *request = vqsim_suite_fs_request(s);

	vqsim_fs_make(&s->fs, request,
		      &(struct vqsim_fs_args){.opcode = FUSE_INTERRUPT, .unique = victim->unique});
	SUITE_EXPECT(s, serve_hiprio(s, request), "INTERRUPT is used while request queues wait");
}

static void hiprio_moves(struct vqsim_suite *s)
{
	const struct fuse_file_lock held = {.end = 9, .type = F_WRLCK, .pid = 1};
	const struct fuse_file_lock open = {.end = 9, .type = F_UNLCK, .pid = 1};
	struct vqsim_fs_file file;

	vqsim_suite_up(s);
	vqsim_suite_fs_begin(s);
	if (!(s->fs.flags & FUSE_POSIX_LOCKS))
		vqsim_suite_not_observable(s, "no request of this device waits");
	SUITE_EXPECT(s, vqsim_fs_create(&s->fs, ROOT, "file", O_RDWR, 0600, &file) == 0, "a file");
	SUITE_EXPECT(s, vqsim_fs_setlk(&s->fs, &file, 1, &held, 0) == 0, "a lock");
	interrupt_on_hiprio(s, block_all(s, &file));
	SUITE_EXPECT(s, forget_on_hiprio(s, file.node, 1),
		     "FORGET is used while request queues wait");
	SUITE_EXPECT(s, vqsim_fs_setlk(&s->fs, &file, 1, &open, 0) == 0, "the unlock passes");
	for (uint16_t queue = 1; queue < s->guest.queue_count; queue++) {
		vqsim_suite_settle(s, queue);
		while (vqsim_fs_reap(&s->fs, queue))
			;
		SUITE_EXPECT(s, s->guest.queues[queue].in_flight == 0,
			     "what waited on queue %u comes back", queue);
	}
}

/* Sessions */

static int getattr_on(struct vqsim_suite *s, uint16_t queue)
{
	int error;

	s->fs.queue = queue;
	error = vqsim_fs_getattr(&s->fs, ROOT, NULL, NULL);
	s->fs.queue = 1;
	SUITE_EXPECT(s, error != VQSIM_FS_LOST, "a request on queue %u comes back", queue);
	return error;
}

static void one_session(struct vqsim_suite *s)
{
	struct fuse_entry_out entry;

	vqsim_suite_up(s);
	for (uint16_t queue = 1; queue < s->guest.queue_count; queue++)
		SUITE_EXPECT(s, getattr_on(s, queue) < 0,
			     "before INIT a request gets an error on queue %u", queue);
	vqsim_suite_fs_begin(s);
	SUITE_EXPECT(s, vqsim_fs_mkdir(&s->fs, ROOT, "dir", 0700, NULL) == 0, "a directory");
	for (uint16_t queue = 1; queue < s->guest.queue_count; queue++) {
		SUITE_EXPECT(s, getattr_on(s, queue) == 0, "the session goes for queue %u", queue);
		s->fs.queue = queue;
		SUITE_EXPECT(s, vqsim_fs_lookup(&s->fs, ROOT, "dir", &entry) == 0,
			     "what one queue made is found on queue %u", queue);
		s->fs.queue = 1;
	}
}

/* Structures go back and forth: a size, a time and an offset that no other order has. */
static void use_session(struct vqsim_suite *s)
{
	struct fuse_setattr_in set = {.valid = FATTR_SIZE | FATTR_MTIME, .size = 0x1234};
	struct vqsim_fs_file file;
	struct fuse_attr attr;

	set.mtime = 0x01020304;
	SUITE_EXPECT(s, vqsim_fs_create(&s->fs, ROOT, "file", O_RDWR, 0640, &file) == 0,
		     "a file in a session of the other byte order");
	SUITE_EXPECT(s,
		     vqsim_fs_setattr(&s->fs, file.node, &set, &attr) == 0 && attr.size == 0x1234 &&
			     attr.mtime == 0x01020304,
		     "attributes travel in the order of the session");
	SUITE_EXPECT(s,
		     vqsim_fs_write(&s->fs, &file, 0x10, "abc", 3) == 3 &&
			     vqsim_fs_read(&s->fs, &file, 0x11, NULL, 2) == 2,
		     "offsets and counts travel in the order of the session");
	SUITE_EXPECT(s, vqsim_fs_release(&s->fs, &file) == 0, "the end of a file");
}

static void byte_order(struct vqsim_suite *s)
{
	int error;

	vqsim_suite_up(s);
	s->fs.swapped = true;
	error = vqsim_fs_begin(&s->fs, 45, FUSE_BIG_WRITES);
	if (error == 0) {
		SUITE_EXPECT(s, s->fs.minor > 0, "INIT is answered in the order that it has");
		use_session(s);
	}
	s->fs.swapped = false;
	vqsim_suite_fs_begin(s);
	SUITE_EXPECT(s, vqsim_fs_getattr(&s->fs, ROOT, NULL, NULL) == 0,
		     "a session of the own byte order after one of the other");
}

static void second_init(struct vqsim_suite *s)
{
	struct vqsim_fs_file file;
	int error;

	vqsim_suite_up(s);
	vqsim_suite_fs_begin(s);
	SUITE_EXPECT(s, vqsim_fs_create(&s->fs, ROOT, "file", O_RDWR, 0600, &file) == 0, "a file");
	vqsim_suite_fs_begin(s);
	error = vqsim_fs_getattr(&s->fs, file.node, NULL, NULL);
	SUITE_EXPECT(s, error < 0, "a node of the session before is not known any more");
	SUITE_EXPECT(s, vqsim_fs_read(&s->fs, &file, 0, NULL, 1) < 0,
		     "a handle of the session before is not known any more");
	SUITE_EXPECT(s, vqsim_fs_getattr(&s->fs, ROOT, NULL, NULL) == 0, "the new session works");
	SUITE_EXPECT(s, vqsim_fs_lookup(&s->fs, ROOT, "file", NULL) == 0,
		     "the file is still there");
}

/* Every minor, and whether flags beyond 31 are told. */
static void inits(struct vqsim_suite *s)
{
	uint64_t flags[] = {0, FUSE_BIG_WRITES | FUSE_SETXATTR_EXT,
			    FUSE_BIG_WRITES | FUSE_INIT_EXT | FUSE_SECURITY_CTX |
				    FUSE_CREATE_SUPP_GROUP};

	vqsim_suite_up(s);
	for (uint32_t minor = 0; minor <= NEWEST + 1; minor++) {
		for (unsigned i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
			int error = vqsim_fs_begin(&s->fs, minor, flags[i]);

			SUITE_EXPECT(s, error != VQSIM_FS_LOST, "INIT 7.%" PRIu32 " comes back",
				     minor);
			if (error)
				continue;
			SUITE_EXPECT(s, (s->fs.flags & ~flags[i]) == 0,
				     "flags that were not asked for (0x%" PRIx64 ") are not agreed",
				     s->fs.flags & ~flags[i]);
			SUITE_EXPECT(
				s, vqsim_fs_setxattr(&s->fs, ROOT, "user.a", "b", 1, 0) != -EINVAL,
				"SETXATTR of 7.%" PRIu32 " is understood", minor);
			SUITE_EXPECT(s, vqsim_fs_getattr(&s->fs, ROOT, NULL, NULL) == 0,
				     "a session of 7.%" PRIu32 " works", minor);
		}
	}
}

#define FS .device_id = VIRTIO_ID_FS

const struct vqsim_case vqsim_cases_fs[] = {
	{.name = "fs_num_request_queues",
	 .clauses = "FS-D-01",
	 .scope = VQSIM_ONCE,
	 FS,
	 .run = num_request_queues},
	{.name = "fs_tag", .clauses = "FS-DX-02", .scope = VQSIM_ONCE, FS, .run = tag},
	{.name = "fs_queue_order", .clauses = "FS-DX-01", FS, .run = queue_order},
	{.name = "fs_hiprio_moves",
	 .clauses = "FS-D-03",
	 .bugs = "FS-44 RING-29",
	 FS,
	 .run = hiprio_moves},
	{.name = "fs_one_session", .clauses = "FS-DX-03", FS, .run = one_session},
	{.name = "fs_byte_order",
	 .clauses = "FS-DX-08",
	 .scope = VQSIM_EACH_FORMAT,
	 FS,
	 .run = byte_order},
	{.name = "fs_second_init",
	 .clauses = "FS-DX-09",
	 .scope = VQSIM_EACH_FORMAT,
	 FS,
	 .run = second_init},
	{.name = "fs_inits",
	 .clauses = "FS-DX-03",
	 .bugs = "FS-25 FS-26",
	 .scope = VQSIM_EACH_FORMAT,
	 FS,
	 .run = inits},
	{.name = NULL},
};
