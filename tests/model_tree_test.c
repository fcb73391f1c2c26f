/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The model of a file system against devices that are wrong in one reply: a guest does the same
 * things each time, one reply is bent, and the referee names the rule and says what was wrong. With
 * no reply bent nothing is said.
 */
#define _GNU_SOURCE /* SEEK_DATA */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/bench.h"
#include "tests/support/fs_bench.h"
#include "tests/support/wrong_fs.h"

#define ROOT FUSE_ROOT_ID

#define HEADER   ((uint32_t)sizeof(struct fuse_out_header))
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define ATTR(m) \
	(uint32_t) offsetof(struct fuse_attr_out, attr.m), sizeof(((struct fuse_attr *)0)->m)
#define ENTRY(m) \
	(uint32_t) offsetof(struct fuse_entry_out, m), sizeof(((struct fuse_entry_out *)0)->m)
/* Behind the dots, which take 32 bytes each. */
#define DIRENT(m) \
	64 + (uint32_t)offsetof(struct fuse_dirent, m), sizeof(((struct fuse_dirent *)0)->m)
#define LOCK(m) \
	(uint32_t) offsetof(struct fuse_lk_out, lk.m), sizeof(((struct fuse_file_lock *)0)->m)

/* The reply to the request of this opcode and number becomes wrong: */
struct row {
	uint32_t opcode;
	unsigned number; /* 1: the first */
	enum { POKE, ERROR, CUT } how;
	uint32_t at, size; /* POKE: of the payload; CUT: bytes less */
	int64_t value;     /* POKE: is added; ERROR: the errno, 0: it went well */
	enum vqsim_rule rule;
	const char *words; /* of what is said */
};

#define FAILS(opcode, number, error, words)                                      \
	{                                                                        \
		opcode, number, ERROR, 0, 0, error, VQSIM_RULE_TREE_ERROR, words \
	}

static const struct row rows[] = {
	FAILS(FUSE_MKDIR, 1, -EEXIST, "File exists, and not success"),
	FAILS(FUSE_UNLINK, 1, -ENOENT, "No such file or directory, and not success"),
	FAILS(FUSE_RMDIR, 1, 0, "success, and not Directory not empty"),
	FAILS(FUSE_RMDIR, 1, -EBUSY, "and not Directory not empty"),
	FAILS(FUSE_RENAME2, 1, 0, "success, and not File exists"),
	FAILS(FUSE_RENAME2, 2, -EINVAL, "Invalid argument, and not success"),
	FAILS(FUSE_LOOKUP, 1, -ESTALE, "Stale file handle, and not No such file"),
	FAILS(FUSE_LOOKUP, 2, -ENOENT, "No such file or directory, and not success"),
	FAILS(FUSE_WRITE, 1, -EFBIG, "File too large, and not success"),
	FAILS(FUSE_WRITE, 1, -EINTR, "Interrupted system call, and not success"),
	FAILS(FUSE_READ, 2, -EBADF, "Bad file descriptor, and not success"),
	FAILS(FUSE_SETATTR, 1, -EPERM, "Operation not permitted, and not success"),
	FAILS(FUSE_SETXATTR, 2, 0, "success, and not No data available"),
	FAILS(FUSE_SETLK, 2, 0, "success, and not Resource temporarily unavailable"),
	FAILS(FUSE_SETLK, 1, -EAGAIN, "and not success"),
	FAILS(FUSE_ACCESS, 1, 0, "success, and not Permission denied"),
	FAILS(FUSE_RELEASE, 1, -EBADF, "Bad file descriptor, and not success"),
	FAILS(FUSE_UNLINK, 1, -ENOSPC, "No space left on device, and not success"),
	FAILS(FUSE_OPEN, 1, -ESTALE, "Stale file handle, and not success"),
	FAILS(FUSE_FALLOCATE, 1, -EINVAL, "Invalid argument, and not success"),

	{FUSE_MKDIR, 1, POKE, ENTRY(attr.mode), 1, VQSIM_RULE_TREE_ATTR,
	 "mode 040756 and not 040755"},
	{FUSE_CREATE, 1, POKE, ENTRY(attr.uid), 1, VQSIM_RULE_TREE_ATTR, "uid 1 and not 0"},
	{FUSE_MKNOD, 1, POKE, ENTRY(attr.gid), 7, VQSIM_RULE_TREE_ATTR, "gid 7 and not 0"},
	{FUSE_LINK, 1, POKE, ENTRY(attr.nlink), -1, VQSIM_RULE_TREE_ATTR, "links 1 and not 2"},
	{FUSE_GETATTR, 2, POKE, ATTR(size), 1, VQSIM_RULE_TREE_ATTR, "size 101 and not 100"},
	{FUSE_GETATTR, 2, POKE, ATTR(ino), 1, VQSIM_RULE_TREE_ATTR, "inode"},
	{FUSE_SETATTR, 1, POKE, ATTR(size), 90, VQSIM_RULE_TREE_ATTR, "size 100 and not 10"},
	{FUSE_GETATTR, 3, POKE, ATTR(nlink), 1, VQSIM_RULE_TREE_ATTR, "links 4 and not 3"},

	{FUSE_LOOKUP, 2, POKE, ENTRY(attr.mtime), -1, VQSIM_RULE_TREE_TIME,
	 "but it was changed after"},
	{FUSE_GETATTR, 2, POKE, ATTR(atime), 9, VQSIM_RULE_TREE_TIME, "as before"},
	{FUSE_GETATTR, 2, POKE, ATTR(ctime), 1, VQSIM_RULE_TREE_TIME, "time of change"},
	{FUSE_SETATTR, 1, POKE, ATTR(ctime), -1, VQSIM_RULE_TREE_TIME, "time of change"},

	{FUSE_LOOKUP, 2, POKE, ENTRY(nodeid), 1, VQSIM_RULE_TREE_IDENTITY, "is looked up as"},
	{FUSE_LOOKUP, 2, POKE, ENTRY(attr.mode), S_IFDIR - S_IFREG, VQSIM_RULE_TREE_IDENTITY,
	 "a file of type 0100000 turned into one of 040000"},
	{FUSE_SYMLINK, 1, POKE, ENTRY(nodeid), -1, VQSIM_RULE_TREE_IDENTITY,
	 "stands for another file already"},
	{FUSE_OPEN, 1, POKE, 0, 8, -1, VQSIM_RULE_TREE_IDENTITY, "is open already"},

	{FUSE_READDIR, 1, POKE, 64 + sizeof(struct fuse_dirent), 1, 1, VQSIM_RULE_TREE_NAMES,
	 "is listed, but is not there"},
	{FUSE_READDIR, 1, POKE, DIRENT(ino), 1, VQSIM_RULE_TREE_NAMES, "another inode"},
	{FUSE_READDIR, 1, POKE, DIRENT(type), 2, VQSIM_RULE_TREE_NAMES, "another type"},
	{FUSE_READDIR, 1, CUT, 0, 1000, 0, VQSIM_RULE_TREE_NAMES, "is there, but was not listed"},

	{FUSE_READ, 1, POKE, 50, 1, 1, VQSIM_RULE_TREE_DATA, "byte 50 is 0x33 and not 0x32"},
	{FUSE_READ, 1, CUT, 0, 1, 0, VQSIM_RULE_TREE_DATA, "99 bytes and not 100"},
	{FUSE_READ, 2, CUT, 0, 10, 0, VQSIM_RULE_TREE_DATA, "0 bytes and not 10"},
	{FUSE_WRITE, 1, POKE, 0, 4, -100, VQSIM_RULE_TREE_DATA,
	 "nothing was written, and no error"},
	{FUSE_READLINK, 1, POKE, 0, 1, 1, VQSIM_RULE_TREE_DATA,
	 "target \"uarget\" and not \"target\""},
	{FUSE_READLINK, 1, CUT, 0, 2, 0, VQSIM_RULE_TREE_DATA, "target \"targ\" and not"},
	{FUSE_LSEEK, 1, POKE, 0, 8, 200, VQSIM_RULE_TREE_DATA,
	 "which cannot be in a file of 100 bytes"},
	{FUSE_COPY_FILE_RANGE, 1, POKE, 0, 4, -10, VQSIM_RULE_TREE_DATA,
	 "0 bytes of 10 were copied"},

	{FUSE_GETXATTR, 1, POKE, 0, 1, 1, VQSIM_RULE_TREE_XATTR, "another value than was set"},
	{FUSE_GETXATTR, 1, CUT, 0, 1, 0, VQSIM_RULE_TREE_XATTR, "a value of 4 bytes and not 5"},
	{FUSE_LISTXATTR, 1, POKE, 5, 1, 1, VQSIM_RULE_TREE_XATTR,
	 "\"user.b\" is listed, but was not set"},
	{FUSE_LISTXATTR, 1, CUT, 0, 7, 0, VQSIM_RULE_TREE_XATTR, "names of 0 bytes in user."},

	{FUSE_GETLK, 1, POKE, LOCK(type), F_UNLCK - F_WRLCK, VQSIM_RULE_TREE_LOCK,
	 "another one is in the way"},
	{FUSE_GETLK, 1, POKE, LOCK(end), 1, VQSIM_RULE_TREE_LOCK, "on [0, 10]"},
	{FUSE_GETLK, 2, POKE, LOCK(type), F_RDLCK - F_UNLCK, VQSIM_RULE_TREE_LOCK,
	 "none is in the way"},
};

/* --- a device that is wrong --- */

static const struct row *bent; /* NULL: none */
static unsigned seen;          /* requests of its opcode */

static void poke(const struct fs_request *request)
{
	struct iov_window at = iov_window_part(&request->out, HEADER + bent->at, bent->size);
	uint64_t value = 0;

	assert_true(request->reply_size >= HEADER + bent->at + bent->size);
	iov_window_read(&at, &value, bent->size);
	value += (uint64_t)bent->value;
	iov_window_write(&at, &value, bent->size);
}

static void answer(const struct fs_request *request, uint32_t len, int error)
{
	struct fuse_out_header header = wrong_fs_answer(request);

	header.len = len;
	header.error = error;
	wrong_fs_put(request, &header);
}

static enum fs_submit submit(struct wrong_fs_queue *queue, struct fs_request *request)
{
	uint32_t opcode = wrong_fs_header(request).opcode;
	enum fs_submit result = wrong_fs_forward(queue, request);

	if (!bent || opcode != bent->opcode || ++seen != bent->number)
		return result;
	if (bent->how == POKE) {
		poke(request);
	} else if (bent->how == ERROR) {
		request->reply_size = HEADER;
		answer(request, HEADER, (int)bent->value);
	} else {
		uint32_t room = (uint32_t)request->reply_size - HEADER;

		request->reply_size -= bent->size < room ? bent->size : room;
		answer(request, (uint32_t)request->reply_size, 0);
	}
	return result;
}

static const struct wrong_fs_bend bend = {submit};

struct stage {
	struct fs_tree *tree;
	struct fs_bench *bench;
	struct vqsim_tree model;
};

static void stage_up(struct stage *stage, const struct row *row)
{
	struct fs_session *fuse;

	bent = row;
	seen = 0;
	assert_int_equal(fs_tree_ram_create(&stage->tree, NULL), 0);
	assert_int_equal(fuse_session_create(&fuse, NULL, stage->tree), 0);
	stage->bench = fs_bench_create(
		&(struct fs_bench_options){.session = wrong_fs_create(fuse, &bend)});
	assert_int_equal(vqsim_tree_init(&stage->model, &stage->bench->referee, NULL), 0);
	vqsim_tree_watch(&stage->model, &stage->bench->fs);
	assert_int_equal(vqsim_fs_begin(&stage->bench->fs, FS_BENCH_MINOR, FS_BENCH_FLAGS), 0);
}

static void stage_down(struct stage *stage)
{
	vqsim_tree_finish(&stage->model);
	stage->bench->fs.on_submit = stage->bench->fs.on_done = NULL;
	stage->bench->referee.violations = 0;
	fs_bench_down(stage->bench);
	fs_bench_destroy(stage->bench);
	stage->tree->ops->destroy(stage->tree);
}

/* --- what the guest does, whatever comes of it --- */

static void make_some(struct vqsim_fs *fs, struct fuse_entry_out *dir, struct vqsim_fs_file *file)
{
	static const uint8_t digits[100] =
		"0123456789012345678901234567890123456789012345678901234567890123456789"
		"012345678901234567890123456789";
	static uint8_t bytes[100];
	struct fuse_entry_out entry;
	struct fuse_attr attr;

	memcpy(bytes, digits, sizeof(bytes));
	bytes[50] = '2';
	vqsim_fs_getattr(fs, ROOT, NULL, &attr);
	vqsim_fs_mkdir(fs, ROOT, "dir", 0755, dir);
	vqsim_fs_create(fs, ROOT, "file", O_RDWR, 0644, file);
	vqsim_fs_write(fs, file, 0, bytes, sizeof(bytes));
	vqsim_fs_symlink(fs, ROOT, "link", "target", &entry);
	vqsim_fs_readlink(fs, entry.nodeid, (char *)bytes, 100);
	vqsim_fs_lookup(fs, ROOT, "nothing", &entry);
	vqsim_fs_lookup(fs, ROOT, "file", &entry);
}

static void ask_file(struct vqsim_fs *fs, const struct vqsim_fs_file *file)
{
	struct vqsim_fs_file other = {.handle = 0};
	uint8_t bytes[128];
	struct fuse_attr attr;

	vqsim_fs_getattr(fs, file->node, NULL, &attr);
	vqsim_fs_read(fs, file, 0, bytes, 100);
	vqsim_fs_lseek(fs, file, 0, SEEK_HOLE);
	vqsim_fs_open(fs, file->node, O_RDWR, &other);
	vqsim_fs_copy_file_range(fs, file, 0, &other, 90, 10);
	vqsim_fs_setattr(fs, file->node, &(struct fuse_setattr_in){.valid = FATTR_SIZE, .size = 10},
			 &attr);
	vqsim_fs_read(fs, &other, 0, bytes, 100);
	vqsim_fs_fallocate(fs, &other, 0, 0, 4096);
	vqsim_fs_release(fs, &other);
}

static void ask_more(struct vqsim_fs *fs, const struct vqsim_fs_file *file)
{
	struct fuse_file_lock lock = {.end = 9, .type = F_WRLCK, .pid = 1};
	struct fuse_file_lock above = {.start = 50, .end = 60, .type = F_WRLCK, .pid = 2};
	uint8_t bytes[128];

	vqsim_fs_setlk(fs, file, 1, &lock, 0);
	vqsim_fs_setlk(fs, file, 2, &lock, 0);
	vqsim_fs_getlk(fs, file, 2, &lock);
	vqsim_fs_getlk(fs, file, 2, &above);
	vqsim_fs_setxattr(fs, file->node, "user.a", "value", 5, 0);
	vqsim_fs_setxattr(fs, file->node, "user.b", "value", 5, 2 /* XATTR_REPLACE */);
	vqsim_fs_getxattr(fs, file->node, "user.a", bytes, sizeof(bytes));
	vqsim_fs_listxattr(fs, file->node, (char *)bytes, sizeof(bytes));
	fs->uid = fs->gid = 1000;
	vqsim_fs_access(fs, file->node, W_OK);
	fs->uid = fs->gid = 0;
}

static void list(struct vqsim_fs *fs, uint64_t node)
{
	struct vqsim_fs_dirents dirents;
	struct vqsim_fs_file file;
	uint8_t bytes[1024];

	if (vqsim_fs_opendir(fs, node, &file) != 0)
		return;
	vqsim_fs_readdir(fs, &file, 0, bytes, sizeof(bytes), &dirents);
	vqsim_fs_readdir(fs, &file, 3, bytes, sizeof(bytes), &dirents);
	vqsim_fs_releasedir(fs, &file);
}

static void change_names(struct vqsim_fs *fs, uint64_t dir, const struct vqsim_fs_file *file)
{
	struct fuse_entry_out entry;
	struct fuse_attr attr;

	vqsim_fs_mknod(fs, dir, "pipe", S_IFIFO | 0600, 0, &entry);
	vqsim_fs_rmdir(fs, ROOT, "dir");
	list(fs, dir);
	vqsim_fs_link(fs, file->node, dir, "hard", &entry);
	vqsim_fs_rename2(fs, ROOT, "link", dir, "hard", 1 /* RENAME_NOREPLACE */);
	vqsim_fs_rename2(fs, ROOT, "link", dir, "hard", 2 /* RENAME_EXCHANGE */);
	vqsim_fs_getattr(fs, ROOT, NULL, &attr);
	vqsim_fs_getattr(fs, dir, NULL, &attr);
	vqsim_fs_unlink(fs, dir, "pipe");
	vqsim_fs_getattr(fs, file->node, file, &attr);
}

static void work(struct vqsim_fs *fs)
{
	struct vqsim_fs_file file = {.node = 0};
	struct fuse_entry_out dir = {.nodeid = 0};

	make_some(fs, &dir, &file);
	ask_file(fs, &file);
	ask_more(fs, &file);
	change_names(fs, dir.nodeid, &file);
	vqsim_fs_release(fs, &file);
}

static void a_right_device_passes(void **state)
{
	struct stage stage;

	(void)state;
	stage_up(&stage, NULL);
	work(&stage.bench->fs);
	first_violation_fail(&stage.bench->first, stage.bench->referee.violations);
	assert_int_equal(stage.model.learned, 1); /* the root */
	assert_true(stage.model.judged >= 40);
	stage_down(&stage);
}

static void each_rule_is_checked(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct stage stage;
		const struct vqsim_violation *first;

		stage_up(&stage, &rows[i]);
		work(&stage.bench->fs);
		first = &stage.bench->referee.first;
		if (stage.bench->referee.violations == 0)
			fail_msg("row %zu (\"%s\"): nothing is said", i, rows[i].words);
		if (first->rule != rows[i].rule || !strstr(first->detail, rows[i].words))
			fail_msg("row %zu (\"%s\"): %s: %s", i, rows[i].words, first->clause,
				 first->detail);
		stage_down(&stage);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_right_device_passes),
		cmocka_unit_test(each_rule_is_checked),
	};

	return cmocka_run_group_tests_name("model_tree", tests, NULL, NULL);
}
