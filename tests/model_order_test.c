/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Requests in flight at once, done in every order and answered in every order: the model finds an
 * order in which all replies are right, and blames the device if there is none. Afterwards it
 * knows what is there, or knows that it does not.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "tests/support/bench.h"
#include "tests/support/fs_bench.h"
#include "tests/support/shuffle_fs.h"

#define ROOT FUSE_ROOT_ID
#define MANY 3u
#define ALL  6u /* orders of that many */

static const uint8_t orders[ALL][MANY] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
					  {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};

struct stage {
	struct fs_tree *tree;
	struct shuffle_fs *shuffle;
	struct fs_bench *bench;
	struct vqsim_tree model;
	struct vqsim_fs_request requests[MANY];
	struct vqsim_fs_file file, other; /* the same file; the second is open to write */
};

static void stage_up(struct stage *stage)
{
	struct fs_session *fuse;
	struct fuse_attr attr;

	memset(stage, 0, sizeof(*stage));
	assert_int_equal(fs_tree_ram_create(&stage->tree, NULL), 0);
	assert_int_equal(fuse_session_create(&fuse, NULL, stage->tree), 0);
	stage->shuffle = shuffle_fs_create(fuse);
	stage->bench = fs_bench_create(
		&(struct fs_bench_options){.session = &stage->shuffle->base, .data_room = 4096});
	assert_int_equal(vqsim_tree_init(&stage->model, &stage->bench->referee, NULL), 0);
	vqsim_tree_watch(&stage->model, &stage->bench->fs);
	assert_int_equal(vqsim_fs_begin(&stage->bench->fs, FS_BENCH_MINOR, FS_BENCH_FLAGS), 0);
	assert_int_equal(vqsim_fs_getattr(&stage->bench->fs, ROOT, NULL, &attr), 0);
	assert_int_equal(
		vqsim_fs_create(&stage->bench->fs, ROOT, "file", O_RDWR, 0644, &stage->file), 0);
	assert_int_equal(vqsim_fs_write(&stage->bench->fs, &stage->file, 0, "....", 4), 4);
	for (unsigned i = 0; i < MANY; i++)
		assert_int_equal(
			vqsim_fs_request_init(&stage->bench->fs, &stage->requests[i], 4096), 0);
}

static void stage_down(struct stage *stage)
{
	vqsim_tree_finish(&stage->model);
	stage->bench->fs.on_submit = stage->bench->fs.on_done = NULL;
	for (unsigned i = 0; i < MANY; i++)
		vqsim_fs_request_finish(&stage->requests[i]);
	fs_bench_down(stage->bench);
	fs_bench_destroy(stage->bench);
	stage->tree->ops->destroy(stage->tree);
}

/* All of them at once: done in one order, answered in another. */
static void together(struct stage *stage, const struct vqsim_fs_args *args, const uint8_t *work,
		     const uint8_t *replies)
{
	struct vqsim_fs *fs = &stage->bench->fs;
	unsigned back = 0;

	shuffle_fs_hold(stage->shuffle, work, replies, MANY);
	for (unsigned i = 0; i < MANY; i++) {
		vqsim_fs_make(fs, &stage->requests[i], &args[i]);
		assert_true(vqsim_fs_submit(fs, 1, &stage->requests[i]) >= 0);
	}
	vqsim_guest_publish(fs->guest, 1);
	for (unsigned rounds = 0; rounds < 10 && back < MANY; rounds++) {
		vqsim_guest_run(fs->guest, 1);
		while (vqsim_fs_reap(fs, 1))
			back++;
	}
	assert_int_equal(back, MANY);
}

/* What is looked at afterwards, one by one. */
static void look(struct stage *stage)
{
	struct vqsim_fs *fs = &stage->bench->fs;
	struct fuse_entry_out entry;
	struct fuse_attr attr;
	uint8_t bytes[64];

	vqsim_fs_read(fs, &stage->file, 0, bytes, sizeof(bytes));
	vqsim_fs_getattr(fs, stage->file.node, &stage->file, &attr);
	vqsim_fs_lookup(fs, ROOT, "file", &entry);
	vqsim_fs_lookup(fs, ROOT, "new", &entry);
	vqsim_fs_getattr(fs, ROOT, NULL, &attr);
}

typedef void script(const struct stage *stage, struct vqsim_fs_args *args);

static void writes_and_a_read(const struct stage *stage, struct vqsim_fs_args *args)
{
	const struct vqsim_fs_args on_file = {
		.node = stage->file.node, .handle = stage->file.handle, .size = 4};

	args[0] = args[1] = args[2] = on_file;
	args[0].opcode = args[1].opcode = FUSE_WRITE;
	args[0].data = "aaaa";
	args[1].data = "bbbb";
	args[2].opcode = FUSE_READ;
}

static void names(const struct stage *stage, struct vqsim_fs_args *args)
{
	(void)stage;
	args[0] = (struct vqsim_fs_args){
		.opcode = FUSE_MKDIR, .node = ROOT, .name = "new", .mode = 0755};
	args[1] = (struct vqsim_fs_args){.opcode = FUSE_RMDIR, .node = ROOT, .name = "new"};
	args[2] = (struct vqsim_fs_args){.opcode = FUSE_LOOKUP, .node = ROOT, .name = "new"};
}

static void sizes(const struct stage *stage, struct vqsim_fs_args *args)
{
	static const struct fuse_setattr_in shorter = {.valid = FATTR_SIZE, .size = 2};

	args[0] = (struct vqsim_fs_args){
		.opcode = FUSE_SETATTR, .node = stage->file.node, .set = &shorter};
	args[1] = (struct vqsim_fs_args){.opcode = FUSE_WRITE,
					 .node = stage->file.node,
					 .handle = stage->file.handle,
					 .offset = 4,
					 .size = 4,
					 .data = "tail"};
	args[2] = (struct vqsim_fs_args){.opcode = FUSE_GETATTR, .node = stage->file.node};
}

static void moves(const struct stage *stage, struct vqsim_fs_args *args)
{
	args[0] = (struct vqsim_fs_args){.opcode = FUSE_RENAME,
					 .node = ROOT,
					 .name = "file",
					 .new_parent = ROOT,
					 .new_name = "new"};
	args[1] = (struct vqsim_fs_args){.opcode = FUSE_UNLINK, .node = ROOT, .name = "file"};
	args[2] = (struct vqsim_fs_args){.opcode = FUSE_LINK,
					 .node = stage->file.node,
					 .new_parent = ROOT,
					 .new_name = "third"};
}

static void locks(const struct stage *stage, struct vqsim_fs_args *args)
{
	const struct vqsim_fs_args on_file = {
		.opcode = FUSE_SETLK,
		.node = stage->file.node,
		.handle = stage->file.handle,
		.lock = {.end = 9, .type = F_WRLCK, .pid = 1},
	};

	for (unsigned i = 0; i < MANY; i++) {
		args[i] = on_file;
		args[i].lock_owner = i + 1;
	}
	args[2].opcode = FUSE_GETLK;
}

static script *const scripts[] = {writes_and_a_read, names, sizes, moves, locks};

#define SCRIPTS (sizeof(scripts) / sizeof(scripts[0]))

static void every_order_is_right(void **state)
{
	(void)state;
	for (unsigned i = 0; i < SCRIPTS * ALL * ALL; i++) {
		struct vqsim_fs_args args[MANY];
		struct stage stage;

		stage_up(&stage);
		scripts[i / ALL / ALL](&stage, args);
		together(&stage, args, orders[i / ALL % ALL], orders[i % ALL]);
		assert_true(stage.model.judged >= 3 + MANY);
		look(&stage);
		stage_down(&stage);
	}
}

/* Bytes of a file that are neither those before nor those after any of them. */
static void a_reply_that_no_order_gives_is_blamed(void **state)
{
	(void)state;
	for (unsigned i = 0; i < ALL * ALL; i++) {
		struct vqsim_fs_args args[MANY];
		struct stage stage;

		stage_up(&stage);
		writes_and_a_read(&stage, args);
		stage.shuffle->spoil = 3; /* the third: a byte of it */
		together(&stage, args, orders[i / ALL], orders[i % ALL]);
		assert_int_equal(stage.bench->referee.violations, 1);
		assert_int_equal(stage.bench->referee.first.rule, VQSIM_RULE_TREE_DATA);
		assert_non_null(strstr(stage.bench->referee.first.detail, "in no order with"));
		stage.bench->referee.violations = 0;
		look(&stage);
		stage_down(&stage);
	}
}

/* A change that was told is not there afterwards. */
static void a_change_that_is_lost_is_blamed(void **state)
{
	(void)state;
	for (unsigned i = 0; i < ALL; i++) {
		struct vqsim_fs_args args[MANY];
		struct stage stage;

		stage_up(&stage);
		names(&stage, args);
		args[1].name = "other"; /* is not there */
		stage.shuffle->skip = 1;
		together(&stage, args, orders[i], orders[0]);
		look(&stage);
		assert_true(stage.bench->referee.violations > 0);
		stage.bench->referee.violations = 0;
		stage_down(&stage);
	}
}

/* One that began after another had come back cannot have been before it, whatever else is in flight. */
static void what_is_over_is_before_what_begins(void **state)
{
	struct vqsim_fs_args waits;
	struct fuse_entry_out entry;
	struct stage stage;
	struct vqsim_fs *fs;

	(void)state;
	stage_up(&stage);
	fs = &stage.bench->fs;
	waits = (struct vqsim_fs_args){.opcode = FUSE_LOOKUP, .node = ROOT, .name = "other"};
	shuffle_fs_hold(stage.shuffle, orders[0], orders[0], 1);
	stage.shuffle->keep = true;
	stage.shuffle->skip = 2; /* the MKDIR */
	vqsim_fs_make(fs, &stage.requests[0], &waits);
	assert_true(vqsim_fs_submit(fs, 1, &stage.requests[0]) >= 0);
	vqsim_guest_publish(fs->guest, 1);
	assert_int_equal(vqsim_fs_mkdir(fs, ROOT, "new", 0755, &entry), 0);
	assert_int_equal(vqsim_fs_lookup(fs, ROOT, "new", &entry), -ENOENT);
	assert_int_equal(stage.bench->referee.violations, 0);
	stage.shuffle->keep = false;
	vqsim_guest_run(fs->guest, 1);
	assert_non_null(vqsim_fs_reap(fs, 1));
	assert_int_equal(stage.bench->referee.violations, 1);
	assert_int_equal(stage.bench->referee.first.rule, VQSIM_RULE_TREE_ERROR);
	stage.bench->referee.violations = 0;
	stage_down(&stage);
}

/* Who waits for a lock keeps nothing else up, and gets it when it is free. */
static void a_lock_that_waits(void **state)
{
	struct vqsim_fs_args args[MANY];
	struct stage stage;
	struct fuse_attr attr;
	struct vqsim_fs *fs;

	(void)state;
	stage_up(&stage);
	fs = &stage.bench->fs;
	locks(&stage, args);
	args[1].opcode = FUSE_SETLKW;
	assert_int_equal(vqsim_fs_call(fs, &args[0], NULL), 0);
	stage.shuffle->late = true;
	vqsim_fs_make(fs, &stage.requests[1], &args[1]);
	assert_true(vqsim_fs_submit(fs, 1, &stage.requests[1]) >= 0);
	vqsim_guest_publish(fs->guest, 1);
	assert_int_equal(vqsim_fs_getattr(fs, stage.file.node, NULL, &attr), 0);
	assert_int_equal(vqsim_fs_write(fs, &stage.file, 0, "more", 4), 4);
	assert_int_equal(vqsim_fs_call(fs, &args[2], NULL), 0);
	assert_false(stage.requests[1].done);
	assert_int_equal(stage.model.learned, 1); /* the root */
	args[0].lock.type = F_UNLCK;
	assert_int_equal(vqsim_fs_call(fs, &args[0], NULL), 0);
	for (unsigned i = 0; i < 4 && !stage.requests[1].done; i++) {
		vqsim_guest_run(fs->guest, 1);
		vqsim_fs_reap(fs, 1);
	}
	assert_true(stage.requests[1].done);
	assert_int_equal(vqsim_fs_call(fs, &args[2], NULL), 0);
	assert_int_equal(fs->request.result.lock.pid, 1);
	assert_int_equal(stage.model.learned, 1);
	first_violation_fail(&stage.bench->first, stage.bench->referee.violations);
	stage_down(&stage);
}

/* To change a flock is to give it up first: who waits gets it, and the change fails. */
static void a_flock_that_is_changed_while_another_waits(void **state)
{
	struct vqsim_fs_args args[MANY];
	struct stage stage;
	struct vqsim_fs *fs;

	(void)state;
	stage_up(&stage);
	fs = &stage.bench->fs;
	locks(&stage, args);
	for (unsigned i = 0; i < MANY; i++)
		args[i].fuse_flags = FUSE_LK_FLOCK;
	assert_int_equal(vqsim_fs_call(fs, &args[0], NULL), 0);
	args[1].opcode = FUSE_SETLKW;
	stage.shuffle->late = true;
	vqsim_fs_make(fs, &stage.requests[1], &args[1]);
	assert_true(vqsim_fs_submit(fs, 1, &stage.requests[1]) >= 0);
	vqsim_guest_publish(fs->guest, 1);
	vqsim_guest_run(fs->guest, 1);
	args[0].lock.type = F_RDLCK;
	assert_int_equal(vqsim_fs_call(fs, &args[0], NULL), -EAGAIN);
	for (unsigned i = 0; i < 4 && !stage.requests[1].done; i++) {
		vqsim_guest_run(fs->guest, 1);
		vqsim_fs_reap(fs, 1);
	}
	assert_true(stage.requests[1].done);
	assert_int_equal(stage.requests[1].result.error, 0);
	first_violation_fail(&stage.bench->first, stage.bench->referee.violations);
	stage_down(&stage);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_order_is_right),
		cmocka_unit_test(a_reply_that_no_order_gives_is_blamed),
		cmocka_unit_test(a_change_that_is_lost_is_blamed),
		cmocka_unit_test(what_is_over_is_before_what_begins),
		cmocka_unit_test(a_lock_that_waits),
		cmocka_unit_test(a_flock_that_is_changed_while_another_waits),
	};

	return cmocka_run_group_tests_name("model_order", tests, NULL, NULL);
}
