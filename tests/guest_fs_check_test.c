/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the file-system driver checks of each reply: a session that a test writes answers wrongly
 * in one way, and the referee names the rule. And what is misuse.
 */
#include <errno.h>
#include <sys/stat.h>

#include "tests/support/aborts.h"
#include "tests/support/bench.h"
#include "tests/support/fs_bench.h"
#include "tests/support/fs_script.h"

#define ROOT FUSE_ROOT_ID
#define NONE VQSIM_RULE_COUNT

/* A reply as it is, byte by byte. */
struct reply {
	struct fuse_out_header header;
	union {
		struct fuse_entry_out entry;
		struct fuse_attr_out attr;
		struct fuse_write_out write;
		uint8_t bytes[256];
	};
};

#define OUT_HEADER sizeof(struct fuse_out_header)

/* A good reply of size bytes of payload to a request, to be made wrong. */
static struct reply good(const struct vqsim_fs_request *request, uint32_t size)
{
	return (struct reply){
		.header = {.len = (uint32_t)OUT_HEADER + size, .unique = request->unique}};
}

struct row {
	struct vqsim_fs_args args;
	uint32_t size; /* of the payload of the reply */
	void (*bend)(struct reply *reply);
	uint32_t used_less; /* used length, less than what the header says */
	enum vqsim_rule rule;
};

static void directory(struct reply *reply)
{
	reply->entry.nodeid = 2;
	reply->entry.attr.mode = S_IFDIR;
}

static void no_node(struct reply *reply)
{
	directory(reply);
	reply->entry.nodeid = 0;
}

static void no_type(struct reply *reply)
{
	directory(reply);
	reply->entry.attr.mode = 0644;
}

static void long_second(struct reply *reply)
{
	directory(reply);
	reply->entry.attr.mtimensec = 1000000000;
}

static void attr(struct reply *reply)
{
	reply->attr.attr.mode = S_IFREG;
}

static void other_len(struct reply *reply)
{
	attr(reply);
	reply->header.len--;
}

static void other_unique(struct reply *reply)
{
	attr(reply);
	reply->header.unique++;
}

static void positive(struct reply *reply)
{
	reply->header.error = ENOENT;
}

static void not_posix(struct reply *reply)
{
	reply->header.error = -512;
}

static void error(struct reply *reply)
{
	reply->header.error = -ENOENT;
}

static void wrote_4(struct reply *reply)
{
	reply->write.size = 4;
}

static void dirent(struct reply *reply, uint64_t next, const char *name, uint32_t name_size)
{
	const struct fuse_dirent head = {.ino = 1, .off = next, .namelen = name_size};

	memcpy(reply->bytes, &head, sizeof(head));
	memcpy(reply->bytes + sizeof(head), name, strlen(name));
}

static void entry(struct reply *reply)
{
	dirent(reply, 1, "name", 4);
}

static void entry_with_slash(struct reply *reply)
{
	dirent(reply, 1, "na/e", 4);
}

static void entry_with_nul(struct reply *reply)
{
	dirent(reply, 1, "nam", 4);
}

static void entry_without_name(struct reply *reply)
{
	dirent(reply, 1, "", 0);
}

static void entry_without_next(struct reply *reply)
{
	dirent(reply, 0, "name", 4);
}

static void entry_beyond(struct reply *reply)
{
	dirent(reply, 1, "name", 60);
}

#define MKDIR                                                   \
	{                                                       \
		.opcode = FUSE_MKDIR, .node = ROOT, .name = "d" \
	}
#define LOOKUP                                                   \
	{                                                        \
		.opcode = FUSE_LOOKUP, .node = ROOT, .name = "d" \
	}
#define GETATTR                                      \
	{                                            \
		.opcode = FUSE_GETATTR, .node = ROOT \
	}
#define WRITE                                                             \
	{                                                                 \
		.opcode = FUSE_WRITE, .node = 2, .size = 3, .data = "abc" \
	}
#define READ                                              \
	{                                                 \
		.opcode = FUSE_READ, .node = 2, .size = 8 \
	}
#define READDIR                                               \
	{                                                     \
		.opcode = FUSE_READDIR, .node = 2, .size = 64 \
	}
#define FLUSH                                   \
	{                                       \
		.opcode = FUSE_FLUSH, .node = 2 \
	}
#define ENTRY sizeof(struct fuse_entry_out)
#define ATTR  sizeof(struct fuse_attr_out)

static const struct row rows[] = {
	{MKDIR, ENTRY, directory, 0, NONE},
	{MKDIR, 0, error, 0, NONE},
	{MKDIR, ENTRY, no_node, 0, VQSIM_RULE_FS_PAYLOAD},
	{LOOKUP, ENTRY, no_node, 0, NONE},
	{MKDIR, ENTRY, no_type, 0, VQSIM_RULE_FS_PAYLOAD},
	{MKDIR, ENTRY, long_second, 0, VQSIM_RULE_FS_PAYLOAD},
	{MKDIR, ENTRY - 8, directory, 0, VQSIM_RULE_FS_PAYLOAD},
	{MKDIR, ENTRY, directory, 8, VQSIM_RULE_FS_REPLY},
	{MKDIR, ENTRY, error, 0, VQSIM_RULE_FS_REPLY},
	{GETATTR, ATTR, attr, 0, NONE},
	{GETATTR, ATTR, other_len, 0, VQSIM_RULE_FS_REPLY},
	{GETATTR, ATTR, other_unique, 0, VQSIM_RULE_FS_REPLY},
	{GETATTR, 0, positive, 0, VQSIM_RULE_FS_REPLY},
	{GETATTR, 0, not_posix, 0, VQSIM_RULE_FS_REPLY},
	{GETATTR, 0, error, OUT_HEADER, VQSIM_RULE_FS_REPLY},
	{GETATTR, 0, error, 1, VQSIM_RULE_FS_REPLY},
	{GETATTR, 0, attr, 0, VQSIM_RULE_FS_PAYLOAD},
	{WRITE, sizeof(struct fuse_write_out), wrote_4, 0, VQSIM_RULE_FS_PAYLOAD},
	{READ, 8, NULL, 0, NONE},
	{READ, 0, NULL, 0, NONE},
	{READDIR, 32, entry, 0, NONE},
	{READDIR, 31, entry, 0, VQSIM_RULE_FS_PAYLOAD},
	{READDIR, 32, entry_with_slash, 0, VQSIM_RULE_FS_PAYLOAD},
	{READDIR, 32, entry_with_nul, 0, VQSIM_RULE_FS_PAYLOAD},
	{READDIR, 24, entry_without_name, 0, VQSIM_RULE_FS_PAYLOAD},
	{READDIR, 32, entry_without_next, 0, VQSIM_RULE_FS_PAYLOAD},
	{READDIR, 64, entry_beyond, 0, VQSIM_RULE_FS_PAYLOAD},
	{FLUSH, 0, NULL, 0, NONE},
	{FLUSH, 0, NULL, OUT_HEADER, VQSIM_RULE_FS_REPLY},
};

/* A device that holds requests until the test has written their replies. */
struct pair {
	struct fs_script *script;
	struct fs_bench *bench;
};

static struct pair pair_up(void)
{
	struct pair pair = {.script = fs_script_create()};

	pair.bench = fs_bench_create(&(struct fs_bench_options){.session = &pair.script->base});
	pair.bench->fs.minor = 45;
	return pair;
}

/* Below the device: used with what stands in *reply. */
static void answer(struct pair *pair, const struct vqsim_fs_request *request, uint16_t queue,
		   const struct reply *reply, uint32_t used_len)
{
	pair->script->reply = reply;
	pair->script->reply_size = used_len;
	vqsim_guest_publish(&pair->bench->guest, queue);
	vqsim_guest_run(&pair->bench->guest, queue);
	while (!request->done)
		assert_non_null(vqsim_fs_reap(&pair->bench->fs, queue));
	pair->script->reply = NULL;
}

static void check_row(struct pair *pair, unsigned number)
{
	const struct row *row = &rows[number];
	struct vqsim_referee *referee = &pair->bench->referee;
	struct vqsim_fs *fs = &pair->bench->fs;
	struct vqsim_fs_request *request = &fs->request;
	struct reply reply;

	vqsim_fs_make(fs, request, &row->args);
	reply = good(request, row->size);
	if (row->bend)
		row->bend(&reply);
	assert_true(vqsim_fs_submit(fs, 1, request) >= 0);
	answer(pair, request, 1, &reply, (uint32_t)OUT_HEADER + row->size - row->used_less);
	if (referee->violations != (row->rule != NONE) ||
	    (row->rule != NONE && referee->counts[row->rule] != 1))
		fail_msg("row %u: %u violations, %s", number, (unsigned)referee->violations,
			 pair->bench->first.text);
	if (row->rule != NONE)
		assert_int_equal(request->result.error, -EIO);
}

static void each_rule_is_checked(void **state)
{
	(void)state;
	for (unsigned i = 0; i < COUNT_OF(rows); i++) {
		struct pair pair = pair_up();

		check_row(&pair, i);
		pair.bench->referee.violations = 0;
		fs_bench_down(pair.bench); /* wrong replies count look-ups as well */
		fs_bench_destroy(pair.bench);
	}
}

/* A message that must not be answered. */
static void a_forget_that_is_answered_is_a_violation(void **state)
{
	struct pair pair = pair_up();
	struct vqsim_fs *fs = &pair.bench->fs;
	struct fuse_in_header header = {.len = 48, .opcode = FUSE_FORGET, .unique = 7};
	struct reply reply = {.header = {.len = OUT_HEADER, .unique = 7}};
	uint8_t message[48] = {0};

	(void)state;
	memcpy(message, &header, sizeof(header));
	vqsim_fs_make_raw(fs, &fs->request, message, sizeof(message), 0);
	assert_true(vqsim_fs_submit(fs, 0, &fs->request) >= 0);
	answer(&pair, &fs->request, 0, &reply, 0);
	assert_int_equal(pair.bench->referee.violations, 0);
	vqsim_fs_make(fs, &fs->request,
		      &(struct vqsim_fs_args){.opcode = FUSE_INTERRUPT, .unique = 2});
	reply.header.unique = fs->request.unique;
	assert_true(vqsim_fs_submit(fs, 0, &fs->request) >= 0);
	answer(&pair, &fs->request, 0, &reply, OUT_HEADER);
	assert_int_equal(pair.bench->referee.counts[VQSIM_RULE_FS_SILENT], 1);
	reply.header.error = -EAGAIN;
	vqsim_fs_make(fs, &fs->request,
		      &(struct vqsim_fs_args){.opcode = FUSE_INTERRUPT, .unique = 2});
	reply.header.unique = fs->request.unique;
	assert_true(vqsim_fs_submit(fs, 0, &fs->request) >= 0);
	answer(&pair, &fs->request, 0, &reply, OUT_HEADER);
	assert_int_equal(pair.bench->referee.violations, 1);
	pair.bench->referee.violations = 0;
	fs_bench_destroy(pair.bench);
}

static void misuse_ends_the_process(void **state)
{
	struct pair pair = pair_up();
	struct vqsim_fs *fs = &pair.bench->fs;
	struct vqsim_fs_args args = GETATTR;
	static char name[9000];

	(void)state;
	vqsim_fs_make(fs, &fs->request, &args);
	assert_true(vqsim_fs_submit(fs, 1, &fs->request) >= 0);
	assert_aborts(vqsim_fs_submit(fs, 1, &fs->request));
	assert_aborts(vqsim_fs_make(fs, &fs->request, &args));
	assert_int_equal(vqsim_fs_call(fs, &args, NULL), VQSIM_FS_LOST);
	vqsim_fs_request_lose(&fs->request);
	args = (struct vqsim_fs_args){.opcode = FUSE_LOOKUP};
	assert_aborts(vqsim_fs_make(fs, &fs->request, &args));
	memset(name, 'n', sizeof(name) - 1);
	args.name = name;
	vqsim_fs_make(fs, &fs->request, &args); /* there is room for data */
	args = (struct vqsim_fs_args)READ;
	args.size = 1 << 20;
	assert_aborts(vqsim_fs_make(fs, &fs->request, &args));
	args = (struct vqsim_fs_args){.opcode = FUSE_SETATTR};
	assert_aborts(vqsim_fs_make(fs, &fs->request, &args));
	assert_aborts(vqsim_fs_make_raw(fs, &fs->request, name, 16, 1 << 20));
	fs_bench_destroy(pair.bench);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_rule_is_checked),
		cmocka_unit_test(a_forget_that_is_answered_is_a_violation),
		cmocka_unit_test(misuse_ends_the_process),
	};

	return cmocka_run_group_tests_name("guest_fs_check", tests, NULL, NULL);
}
