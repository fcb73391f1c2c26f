/* SPDX-License-Identifier: BSD-3-Clause */
/* File systems (virtio 1.3, 5.11.6): messages and their replies. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

#include <linux/virtio_ids.h>

#include "cases_internal.h"

#define ROOT       FUSE_ROOT_ID
#define HEADER     ((uint32_t)sizeof(struct fuse_in_header))
#define OUT_HEADER ((uint32_t)sizeof(struct fuse_out_header))

/* Framings by chance after the systematic ones. */
#define CHANCE 20u

static void begin(struct vqsim_suite *s)
{
	vqsim_suite_up(s);
	vqsim_suite_fs_begin(s);
}

static void still_works(struct vqsim_suite *s, const char *what)
{
	int error = vqsim_fs_getattr(&s->fs, ROOT, NULL, NULL);

	SUITE_EXPECT(s, error == 0, "GETATTR of the root works after %s (error %d)", what, error);
}

static void make_file(struct vqsim_suite *s, struct vqsim_fs_file *file)
{
	SUITE_EXPECT(s, vqsim_fs_create(&s->fs, ROOT, "file", O_RDWR, 0600, file) == 0, "a file");
}

/* Data */

static void move_data(struct vqsim_suite *s, const struct vqsim_fs_file *file, const char *when)
{
	char data[7];

	SUITE_EXPECT(s, vqsim_fs_write(&s->fs, file, 3, when, 6) == 6, "WRITE works %s", when);
	SUITE_EXPECT(s, vqsim_fs_read(&s->fs, file, 3, data, 7) == 6 && memcmp(data, when, 6) == 0,
		     "READ gives what was written %s", when);
}

/* A message that the client knows nothing of: its error, or 0 if there was no reply. */
static int send_raw(struct vqsim_suite *s, struct vqsim_fs_request *request, const void *message,
		    uint32_t size, uint32_t room)
{
	int error;

	vqsim_fs_make_raw(&s->fs, request, message, size, room);
	error = vqsim_fs_do(&s->fs, 1, request);
	SUITE_EXPECT(s, error != VQSIM_FS_LOST,
		     "a message of %" PRIu32 " bytes with room for %" PRIu32 " comes back", size,
		     room);
	return error;
}

static struct fuse_in_header header_of(uint32_t opcode, uint32_t size, uint64_t node)
{
	return (struct fuse_in_header){
		.len = size, .opcode = opcode, .unique = 0x1234, .nodeid = node};
}

static void without_dax(struct vqsim_suite *s)
{
	struct {
		struct fuse_in_header header;
		uint64_t args[5]; /* handle, offset, len, flags, offset in the window */
	} map = {header_of(FUSE_SETUPMAPPING, sizeof(map), 0), {0, 0, 4096, 3, 0}};
	struct vqsim_fs_file file;

	begin(s);
	make_file(s, &file);
	move_data(s, &file, "before a mapping");
	map.header.nodeid = file.node;
	map.args[0] = file.handle;
	send_raw(s, vqsim_suite_fs_request(s), &map, sizeof(map), OUT_HEADER);
	move_data(s, &file, "during a mapping");
	map.header.opcode = FUSE_REMOVEMAPPING;
	send_raw(s, vqsim_suite_fs_request(s), &map, sizeof(map), OUT_HEADER);
	move_data(s, &file, "after a mapping");
	SUITE_EXPECT(s, vqsim_fs_release(&s->fs, &file) == 0, "the end of a file");
}

static void durable(struct vqsim_suite *s)
{
	struct vqsim_fs_file file;

	SUITE_NEEDS_HOOK(s, unsynced);
	begin(s);
	make_file(s, &file);
	for (unsigned data_only = 0; data_only < 2; data_only++) {
		move_data(s, &file, "unsynced data");
		SUITE_EXPECT(s, vqsim_fs_fsync(&s->fs, &file, data_only) == 0, "FSYNC succeeds");
		SUITE_EXPECT(s, s->subject->ops->unsynced(s->instance) == 0,
			     "what was written before an FSYNC is durable when it is used");
	}
}

/* Framing */

static void start_walk(const struct vqsim_suite *s, struct vqsim_layout_walk *walk,
		       const struct vqsim_fs_request *request)
{
	vqsim_layout_start(walk, &(struct vqsim_layout_request){
					 .readable_gpa = request->in_gpa,
					 .readable_size = request->in_size,
					 .writable_gpa = request->out_gpa,
					 .writable_size = request->out_size,
					 .table_gpa = s->point.indirect ? request->table_gpa : 0,
					 .queue_size = s->point.queue_size,
					 .mixed = !s->point.packed,
					 .random_count = CHANCE,
					 .seed = 1,
				 });
}

/* Alike in everything but the header, where unique differs. */
static void walk_layouts(struct vqsim_suite *s, struct vqsim_fs_request *request,
			 const struct vqsim_fs_args *args)
{
	struct vqsim_layout_walk walk;
	struct vqsim_chain chain;
	uint8_t first[256];
	bool again = false;

	vqsim_fs_make(&s->fs, request, args);
	start_walk(s, &walk, request);
	while (vqsim_layout_next(&walk, &chain)) {
		vqsim_fs_make(&s->fs, request, args);
		SUITE_EXPECT(s, vqsim_fs_submit_chain(&s->fs, 1, request, &chain) >= 0, "room");
		vqsim_suite_settle(s, 1);
		vqsim_fs_reap(&s->fs, 1);
		SUITE_EXPECT(s, request->done && request->result.error == 0,
			     "opcode %" PRIu32 " in %u pieces gets its reply (error %d)",
			     args->opcode, chain.count, request->result.error);
		if (!again)
			memcpy(first, request->out + OUT_HEADER, request->used_len - OUT_HEADER);
		SUITE_EXPECT(s,
			     memcmp(first, request->out + OUT_HEADER,
				    request->used_len - OUT_HEADER) == 0,
			     "opcode %" PRIu32 " in %u pieces gets the same reply", args->opcode,
			     chain.count);
		again = true;
	}
}

static void framing(struct vqsim_suite *s)
{
	struct vqsim_fs_request *request;
	struct vqsim_fs_file file;

	begin(s);
	make_file(s, &file);
	request = vqsim_suite_fs_request(s);
	walk_layouts(s, request,
		     &(struct vqsim_fs_args){.opcode = FUSE_GETATTR, .node = file.node});
	SUITE_EXPECT(s, vqsim_fs_write(&s->fs, &file, 0, "0123456789", 10) == 10, "WRITE works");
	walk_layouts(s, request,
		     &(struct vqsim_fs_args){.opcode = FUSE_READ,
					     .node = file.node,
					     .handle = file.handle,
					     .offset = 1,
					     .size = 9});
	walk_layouts(s, request,
		     &(struct vqsim_fs_args){.opcode = FUSE_WRITE,
					     .node = file.node,
					     .handle = file.handle,
					     .size = 10,
					     .data = "abcdefghij"});
}

/* Replies */

/* The client checks each reply; here they are of every kind. */
static void replies(struct vqsim_suite *s)
{
	struct vqsim_fs_dirents dirents;
	struct vqsim_fs_file file, dir;
	uint8_t data[512];

	begin(s);
	make_file(s, &file);
	SUITE_EXPECT(s, vqsim_fs_read(&s->fs, &file, 0, data, 100) == 0, "READ at the end");
	SUITE_EXPECT(s, vqsim_fs_write(&s->fs, &file, 0, "abc", 3) == 3, "WRITE works");
	SUITE_EXPECT(s, vqsim_fs_read(&s->fs, &file, 1, data, 100) == 2, "READ stops at the end");
	SUITE_EXPECT(s, vqsim_fs_lookup(&s->fs, ROOT, "none", NULL) <= 0, "LOOKUP of nothing");
	SUITE_EXPECT(s, vqsim_fs_getattr(&s->fs, file.node + 1000, NULL, NULL) < 0,
		     "a node that nobody knows gets an error");
	SUITE_EXPECT(s, vqsim_fs_statfs(&s->fs, ROOT, NULL) == 0, "STATFS works");
	SUITE_EXPECT(s, vqsim_fs_opendir(&s->fs, ROOT, &dir) == 0, "OPENDIR works");
	SUITE_EXPECT(s, vqsim_fs_readdir(&s->fs, &dir, 0, data, sizeof(data), &dirents) > 0,
		     "READDIR gives entries");
	SUITE_EXPECT(s, vqsim_fs_releasedir(&s->fs, &dir) == 0, "RELEASEDIR works");
	SUITE_EXPECT(s, vqsim_fs_unlink(&s->fs, ROOT, "none") < 0, "UNLINK of nothing");
	SUITE_EXPECT(s, vqsim_fs_release(&s->fs, &file) == 0, "RELEASE works");
	SUITE_EXPECT(s, vqsim_fs_call(&s->fs, &(struct vqsim_fs_args){.opcode = 4000}, NULL) < 0,
		     "an opcode that nobody knows gets an error");
	still_works(s, "all of that");
}

static void send_silent(struct vqsim_suite *s, uint16_t queue, const void *message, uint32_t size,
			uint32_t room)
{
	struct vqsim_fs_request *request = vqsim_suite_fs_request(s);

	vqsim_fs_make_raw(&s->fs, request, message, size, room);
	SUITE_EXPECT(s, vqsim_fs_do(&s->fs, queue, request) == 0 && request->used_len == 0,
		     "opcode %" PRIu32 " with room for %" PRIu32 " bytes is used with length 0",
		     ((const struct fuse_in_header *)message)->opcode, room);
}

static void no_reply(struct vqsim_suite *s)
{
	struct {
		struct fuse_in_header header;
		uint64_t count;
	} forget = {header_of(FUSE_FORGET, sizeof(forget), 0), 1};
	struct {
		struct fuse_in_header header;
		struct fuse_batch_forget_in in;
		struct fuse_forget_one one;
	} batch = {header_of(FUSE_BATCH_FORGET, sizeof(batch), 0), {.count = 1}, {0, 1}};
	struct fuse_entry_out entry;

	for (uint32_t room = 0; room <= 64; room += 16) {
		begin(s);
		SUITE_EXPECT(s,
			     vqsim_fs_lookup(&s->fs, ROOT, "dir", &entry) == 0 ||
				     vqsim_fs_mkdir(&s->fs, ROOT, "dir", 0700, &entry) == 0,
			     "a directory");
		SUITE_EXPECT(s, vqsim_fs_lookup(&s->fs, ROOT, "dir", NULL) == 0, "two look-ups");
		forget.header.nodeid = batch.one.nodeid = entry.nodeid;
		send_silent(s, VQSIM_FS_HIPRIO, &forget, sizeof(forget), room);
		send_silent(s, VQSIM_FS_HIPRIO, &batch, sizeof(batch), room);
		/* One that names nothing is silent as well. */
		send_silent(s, VQSIM_FS_HIPRIO, &forget, sizeof(forget), room);
		still_works(s, "FORGET");
	}
}

/* What is malformed */

/* Used with length 0, or an error. */
static void expect_refused(struct vqsim_suite *s, const struct vqsim_fs_request *request,
			   const char *what)
{
	SUITE_EXPECT(s, request->used_len == 0 || request->result.error < 0,
		     "%s gets an error or no reply (it got %" PRIu32 " bytes)", what,
		     request->used_len);
}

static void wrong_lengths(struct vqsim_suite *s, struct vqsim_fs_request *request)
{
	static const uint32_t lengths[] = {0, 1, 39, 41, 1000, 0x7fffffff, 0xffffffff};
	struct fuse_in_header header = header_of(FUSE_STATFS, HEADER, ROOT);

	for (unsigned i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		header.len = lengths[i];
		send_raw(s, request, &header, HEADER, 200);
		expect_refused(s, request, "a length that is wrong");
	}
	header.len = HEADER;
	for (uint32_t size = 1; size < HEADER; size += 3) {
		send_raw(s, request, &header, size, 200);
		expect_refused(s, request, "a header that is cut short");
	}
	still_works(s, "wrong lengths");
}

/* Opcodes with at least so many bytes of arguments, or a name: fewer are none. */
static void short_args(struct vqsim_suite *s, struct vqsim_fs_request *request)
{
	static const struct {
		uint32_t opcode, least;
	} shorts[] = {
		{FUSE_LOOKUP, 2},   {FUSE_GETATTR, 16}, {FUSE_SETATTR, 88},   {FUSE_SYMLINK, 4},
		{FUSE_MKNOD, 18},   {FUSE_MKDIR, 10},   {FUSE_UNLINK, 2},     {FUSE_RENAME, 12},
		{FUSE_LINK, 10},    {FUSE_OPEN, 8},     {FUSE_READ, 40},      {FUSE_WRITE, 40},
		{FUSE_RELEASE, 24}, {FUSE_FSYNC, 16},   {FUSE_GETXATTR, 10},  {FUSE_FLUSH, 24},
		{FUSE_OPENDIR, 8},  {FUSE_READDIR, 40}, {FUSE_SETLK, 48},     {FUSE_ACCESS, 8},
		{FUSE_CREATE, 18},  {FUSE_INIT, 16},    {FUSE_FALLOCATE, 32}, {FUSE_LSEEK, 24},
	};
	struct {
		struct fuse_in_header header;
		uint8_t args[88];
	} message;

	for (unsigned i = 0; i < sizeof(shorts) / sizeof(shorts[0]); i++) {
		for (uint32_t size = 0; size < shorts[i].least; size += size < 8 ? 1 : 7) {
			message.header = header_of(shorts[i].opcode, HEADER + size, ROOT);
			memset(message.args, 'x', sizeof(message.args));
			send_raw(s, request, &message, HEADER + size, 200);
			expect_refused(s, request, "a message that is cut short");
		}
		still_works(s, "a message that was cut short");
	}
}

static void no_room(struct vqsim_suite *s, struct vqsim_fs_request *request)
{
	const struct fuse_in_header header = header_of(FUSE_STATFS, HEADER, ROOT);

	for (uint32_t room = 0; room < OUT_HEADER + sizeof(struct fuse_statfs_out); room++) {
		send_raw(s, request, &header, HEADER, room);
		expect_refused(s, request, "a message without room for its reply");
	}
	still_works(s, "replies without room");
}

static void strange_opcodes(struct vqsim_suite *s, struct vqsim_fs_request *request)
{
	static const uint32_t opcodes[] = {0, 7, 19, 99, 2016, 4096, 1048576, 0x80000000, ~0u};
	struct fuse_in_header header;

	for (unsigned i = 0; i < sizeof(opcodes) / sizeof(opcodes[0]); i++) {
		header = header_of(opcodes[i], HEADER, ROOT);
		send_raw(s, request, &header, HEADER, 200);
		expect_refused(s, request, "an opcode that does not exist");
	}
	still_works(s, "strange opcodes");
}

static void malformed(struct vqsim_suite *s)
{
	struct vqsim_fs_request *request;

	begin(s);
	request = vqsim_suite_fs_request(s);
	wrong_lengths(s, request);
	short_args(s, request);
	no_room(s, request);
	strange_opcodes(s, request);
}

#define FS .device_id = VIRTIO_ID_FS

const struct vqsim_case vqsim_cases_fs_messages[] = {
	{.name = "fs_without_dax", .clauses = "FS-D-07", FS, .run = without_dax},
	{.name = "fs_durable",
	 .clauses = "FS-DX-14",
	 .scope = VQSIM_EACH_FORMAT,
	 FS,
	 .run = durable},
	{.name = "fs_framing",
	 .clauses = "FS-DX-04",
	 .bugs = "FS-22 FS-23",
	 .scope = VQSIM_EACH_FORMAT,
	 .needs = VIRTIO_FEATURE(VIRTIO_RING_F_INDIRECT_DESC),
	 FS,
	 .run = framing},
	{.name = "fs_replies", .clauses = "FS-DX-05 FS-DX-04", FS, .run = replies},
	{.name = "fs_no_reply", .clauses = "FS-DX-06", .bugs = "FS-37", FS, .run = no_reply},
	{.name = "fs_malformed",
	 .clauses = "FS-DX-10",
	 .bugs = "FS-01 FS-28 RING-32",
	 .scope = VQSIM_EACH_FORMAT,
	 FS,
	 .run = malformed},
	{.name = NULL},
};
