/* SPDX-License-Identifier: BSD-3-Clause */
#include "fake_tree.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* What of a call is written down, beside node and caller. */
enum field {
	NAME = 1,
	NEW_NAME = 2,
	TARGET = 4,
	MODE = 8,
	RDEV = 0x10,
	HANDLE = 0x20,
	FLAGS = 0x40,
	OPEN_FLAGS = 0x80,
	RANGE = 0x100,
	DATA = 0x200, /* the bytes that the guest gives */
	OWNER = 0x400,
	LOCK = 0x800,
	ATTR = 0x1000,
	ACCESS = 0x2000,
	XATTR = 0x4000,
	COPY = 0x8000,
	STATX = 0x10000,
	NEW = 0x20000, /* label and groups */
	ROOM = 0x40000,
	OFFSET = 0x80000,
};

static const struct {
	const char *name;
	uint32_t fields;
} operations[] = {
	[FUSE_LOOKUP] = {"lookup", NAME},
	[FUSE_GETATTR] = {"getattr", HANDLE | FLAGS},
	[FUSE_SETATTR] = {"setattr", HANDLE | FLAGS | ATTR | OWNER},
	[FUSE_READLINK] = {"readlink", ROOM},
	[FUSE_SYMLINK] = {"symlink", NAME | TARGET | NEW},
	[FUSE_MKNOD] = {"mknod", NAME | MODE | RDEV | NEW},
	[FUSE_MKDIR] = {"mkdir", NAME | MODE | NEW},
	[FUSE_UNLINK] = {"unlink", NAME},
	[FUSE_RMDIR] = {"rmdir", NAME},
	[FUSE_RENAME] = {"rename", NAME | NEW_NAME},
	[FUSE_LINK] = {"link", NEW_NAME},
	[FUSE_OPEN] = {"open", OPEN_FLAGS | FLAGS},
	[FUSE_READ] = {"read", HANDLE | RANGE | ROOM | OPEN_FLAGS | OWNER | FLAGS},
	[FUSE_WRITE] = {"write", HANDLE | RANGE | DATA | OPEN_FLAGS | OWNER | FLAGS},
	[FUSE_STATFS] = {"statfs", 0},
	[FUSE_RELEASE] = {"release", HANDLE | OPEN_FLAGS | OWNER | FLAGS},
	[FUSE_FSYNC] = {"fsync", HANDLE | FLAGS},
	[FUSE_SETXATTR] = {"setxattr", NAME | DATA | XATTR | FLAGS},
	[FUSE_GETXATTR] = {"getxattr", NAME | ROOM},
	[FUSE_LISTXATTR] = {"listxattr", ROOM},
	[FUSE_REMOVEXATTR] = {"removexattr", NAME},
	[FUSE_FLUSH] = {"flush", HANDLE | OWNER},
	[FUSE_OPENDIR] = {"opendir", OPEN_FLAGS | FLAGS},
	[FUSE_READDIR] = {"readdir", HANDLE | OFFSET},
	[FUSE_RELEASEDIR] = {"releasedir", HANDLE | OPEN_FLAGS | OWNER | FLAGS},
	[FUSE_FSYNCDIR] = {"fsyncdir", HANDLE | FLAGS},
	[FUSE_GETLK] = {"getlk", HANDLE | OWNER | LOCK | FLAGS},
	[FUSE_SETLK] = {"setlk", HANDLE | OWNER | LOCK | FLAGS},
	[FUSE_SETLKW] = {"setlkw", HANDLE | OWNER | LOCK | FLAGS},
	[FUSE_ACCESS] = {"access", ACCESS},
	[FUSE_CREATE] = {"create", NAME | MODE | OPEN_FLAGS | FLAGS | NEW},
	[FUSE_FALLOCATE] = {"fallocate", HANDLE | RANGE | MODE},
	[FUSE_READDIRPLUS] = {"readdirplus", HANDLE | OFFSET},
	[FUSE_RENAME2] = {"rename2", NAME | NEW_NAME},
	[FUSE_LSEEK] = {"lseek", HANDLE | OFFSET},
	[FUSE_COPY_FILE_RANGE] = {"copy_file_range", HANDLE | RANGE | COPY},
	[FUSE_SYNCFS] = {"syncfs", 0},
	[FUSE_TMPFILE] = {"tmpfile", MODE | OPEN_FLAGS | FLAGS | NEW},
	[FUSE_STATX] = {"statx", HANDLE | FLAGS | STATX},
	[FUSE_COPY_FILE_RANGE_64] = {"copy_file_range_64", HANDLE | RANGE | COPY},
};

/* A line that grows. */
struct line {
	char *at;
	size_t left;
	uint32_t fields;
};

__attribute__((format(printf, 3, 4))) static void put(struct line *line, uint32_t field,
						      const char *format, ...)
{
	va_list arguments;
	int size;

	if (field != 0 && !(line->fields & field))
		return;
	va_start(arguments, format);
	size = vsnprintf(line->at, line->left, format, arguments);
	va_end(arguments);
	assert(size >= 0 && (size_t)size < line->left);
	line->at += size;
	line->left -= (size_t)size;
}

static void put_bytes(struct line *line, const char *what, const void *bytes, size_t size)
{
	put(line, 0, " %s=%.*s", what, (int)size, (const char *)bytes);
}

static void put_data(struct line *line, const struct fs_call *call)
{
	char data[256];
	size_t size = iov_window_read(&call->data, data, sizeof(data));

	assert(call->data.size == call->size);
	put_bytes(line, "data", data, size);
}

static void put_attr(struct line *line, const struct fs_call *call)
{
	const struct statx *attr = &call->attr;

	put(line, ATTR, " set=%x mode=%o uid=%x gid=%x size=%" PRIx64, call->set, attr->stx_mode,
	    attr->stx_uid, attr->stx_gid, (uint64_t)attr->stx_size);
	put(line, ATTR, " atime=%" PRIx64 ".%x", (uint64_t)attr->stx_atime.tv_sec,
	    attr->stx_atime.tv_nsec);
	put(line, ATTR, " mtime=%" PRIx64 ".%x", (uint64_t)attr->stx_mtime.tv_sec,
	    attr->stx_mtime.tv_nsec);
	put(line, ATTR, " ctime=%" PRIx64 ".%x", (uint64_t)attr->stx_ctime.tv_sec,
	    attr->stx_ctime.tv_nsec);
}

static void put_new(struct line *line, const struct fs_call *call)
{
	if (!(line->fields & NEW))
		return;
	for (uint32_t i = 0; i < call->group_count; i++)
		put(line, 0, " group=%x", call->groups[i]);
	if (call->label_name) {
		put(line, 0, " label=%s", call->label_name);
		put_bytes(line, "value", call->label, call->label_size);
	}
}

static void put_numbers(struct line *line, const struct fs_call *call)
{
	put(line, MODE, " mode=%o umask=%o",
	    call->op == FUSE_FALLOCATE ? call->fallocate_mode : call->mode,
	    call->op == FUSE_FALLOCATE ? 0 : call->umask);
	put(line, RDEV, " rdev=%x:%x", call->rdev_major, call->rdev_minor);
	put(line, HANDLE, " handle=%" PRIx64, call->handle);
	put(line, FLAGS, " flags=%x", call->flags);
	put(line, OPEN_FLAGS, " open=%o", call->open_flags);
	put(line, RANGE, " offset=%" PRIx64 " size=%" PRIx64, call->offset, call->size);
	put(line, OFFSET, " offset=%" PRIx64, call->offset);
	put(line, OWNER, " owner=%" PRIx64, call->lock_owner);
	put(line, LOCK, " lock=%u %" PRIx64 "-%" PRIx64 " %x", call->lock.type, call->lock.start,
	    call->lock.end, call->lock.pid);
	put(line, ACCESS, " access=%x", call->access);
	put(line, XATTR, " how=%x", call->xattr_flags);
	put(line, COPY, " to=%" PRIx64 ":%" PRIx64 ":%" PRIx64, call->target_node,
	    call->target_handle, call->target_offset);
	put(line, STATX, " mask=%x how=%x", call->statx_mask, call->statx_flags);
	put(line, ROOM, " room=%zx", call->data.size);
}

static struct line new_line(struct fake_tree *tree)
{
	assert(tree->line_count < FAKE_TREE_LINES);
	return (struct line){tree->lines[tree->line_count++], sizeof(tree->lines[0]), 0};
}

static void write_down(struct fake_tree *tree, const struct fs_call *call)
{
	struct line line = new_line(tree);

	line.fields = operations[call->op].fields;
	put(&line, 0, "%s %" PRIx64 " by %x:%x:%x", operations[call->op].name, call->node,
	    call->uid, call->gid, call->pid);
	if (line.fields & NAME)
		put(&line, 0, " name=%s", call->name);
	if (line.fields & NEW_NAME) {
		put(&line, 0, " new=%" PRIx64 "/%s", call->new_parent, call->new_name);
		if (call->op != FUSE_LINK)
			put(&line, 0, " how=%x", call->rename_flags);
	}
	if (line.fields & TARGET)
		put(&line, 0, " target=%s", call->target);
	put_numbers(&line, call);
	put_attr(&line, call);
	put_new(&line, call);
	if (line.fields & DATA)
		put_data(&line, call);
}

static const struct statx attr = {
	.stx_mask = 0x17ff,
	.stx_blksize = 0x31323334,
	.stx_attributes = 0x4142434445460000 | STATX_ATTR_APPEND,
	.stx_nlink = 0x51525354,
	.stx_uid = 0x55565758,
	.stx_gid = 0x61626364,
	.stx_mode = 0x81a4,
	.stx_ino = 0x7172737475767778,
	.stx_size = 0x0182838485868788,
	.stx_blocks = 0x0192939495969798,
	.stx_attributes_mask = 0xa1a2a3a4a5a6a7a8,
	.stx_atime = {.tv_sec = -2, .tv_nsec = 0x01020304},
	.stx_btime = {.tv_sec = 0xb1b2b3b4, .tv_nsec = 0x05060708},
	.stx_ctime = {.tv_sec = 0xc1c2c3c4, .tv_nsec = 0x090a0b0c},
	.stx_mtime = {.tv_sec = 0xd1d2d3d4, .tv_nsec = 0x0d0e0f10},
	.stx_rdev_major = 0x0abc,
	.stx_rdev_minor = 0x000def12,
	.stx_dev_major = 0xe1e2e3e4,
	.stx_dev_minor = 0xe5e6e7e8,
};

static void fill_results(struct fake_tree *tree, struct fs_call *call)
{
	call->entry = (struct fs_entry){
		.node = FAKE_NODE,
		.generation = UINT64_C(0x191a1b1c1d1e1f20),
		.attr = attr,
		.entry_valid = UINT64_C(3000000007),
		.attr_valid = UINT64_C(5000000009),
	};
	if (tree->mount_root) {
		call->entry.attr.stx_mode = S_IFDIR;
		call->entry.attr.stx_attributes = STATX_ATTR_MOUNT_ROOT;
	}
	call->new_handle = FAKE_HANDLE;
	call->handle_flags = FOPEN_KEEP_CACHE | FOPEN_NOFLUSH;
	call->count = tree->count;
	call->statvfs = (struct statvfs){
		.f_bsize = 0x11121314,
		.f_frsize = 0x15161718,
		.f_blocks = 0x2122232425262728,
		.f_bfree = 0x3132333435363738,
		.f_bavail = 0x4142434445464748,
		.f_files = 0x5152535455565758,
		.f_ffree = 0x6162636465666768,
		.f_namemax = 255,
	};
	call->lock = (struct fs_lock){0x71, 0x7172737475767778, 1, 0x79};
	if (tree->data && operations[call->op].fields & ROOM)
		iov_window_write(&call->data, tree->data, strlen(tree->data));
}

static void add_dirents(struct fake_tree *tree, struct fs_call *call)
{
	for (; tree->added < tree->dirent_count; tree->added++) {
		const struct fake_dirent *from = &tree->dirents[tree->added];
		struct fs_dirent dirent = {from->ino, from->next, from->type,
					   (uint32_t)strlen(from->name), from->name};

		fill_results(tree, call);
		call->entry.node = from->node;
		if (!call->add(call, &dirent, call->op == FUSE_READDIRPLUS ? &call->entry : NULL))
			return;
	}
}

static void meanwhile(struct fake_tree *tree)
{
	void (*during)(void *opaque) = tree->during;

	tree->during = NULL;
	if (during)
		during(tree->opaque);
}

static int operate(struct fs_tree *base, struct fs_call *call)
{
	struct fake_tree *tree = (struct fake_tree *)base;

	write_down(tree, call);
	meanwhile(tree);
	if (tree->eager)
		call->done(call, -EEXIST);
	else if (tree->result == FS_LATER)
		tree->held[tree->held_count++] = call;
	else if (call->op == FUSE_READDIR || call->op == FUSE_READDIRPLUS)
		add_dirents(tree, call);
	else if (tree->result == 0)
		fill_results(tree, call);
	assert(tree->held_count < FAKE_TREE_HELD);
	return tree->eager ? FS_LATER : tree->result;
}

static void limits(struct fs_tree *base, struct fs_tree_limits *to)
{
	*to = ((struct fake_tree *)base)->limits;
}

static void start(struct fs_tree *base, uint64_t init_flags)
{
	struct fake_tree *tree = (struct fake_tree *)base;

	assert(tree->held_count == 0);
	tree->starts++;
	tree->init_flags = init_flags;
}

static void reset(struct fs_tree *base)
{
	struct fake_tree *tree = (struct fake_tree *)base;

	assert(tree->held_count == 0);
	tree->resets++;
}

static void forget(struct fs_tree *base, uint64_t node, uint64_t count)
{
	struct line line = new_line((struct fake_tree *)base);

	put(&line, 0, "forget %" PRIx64 " %" PRIx64, node, count);
}

/* Take the call out of those that are held. False: it is not there. */
static bool let_go(struct fake_tree *tree, const struct fs_call *call)
{
	for (unsigned i = 0; i < tree->held_count; i++) {
		if (tree->held[i] != call)
			continue;
		tree->held_count--;
		memmove(&tree->held[i], &tree->held[i + 1],
			(tree->held_count - i) * sizeof(tree->held[0]));
		return true;
	}
	return false;
}

static void cancel(struct fs_tree *base, struct fs_call *call)
{
	struct fake_tree *tree = (struct fake_tree *)base;

	tree->cancels++;
	if (!tree->deaf && let_go(tree, call))
		call->done(call, -EINTR);
	meanwhile(tree);
}

void fake_tree_end(struct fake_tree *tree, int result)
{
	struct fs_call *call = tree->held[0];

	assert(tree->held_count > 0);
	let_go(tree, call);
	if (call->op == FUSE_READDIR || call->op == FUSE_READDIRPLUS)
		add_dirents(tree, call);
	else
		fill_results(tree, call);
	call->done(call, result);
}

static void destroy(struct fs_tree *base)
{
	free(base);
}

const char *fake_tree_last(struct fake_tree *tree)
{
	unsigned count = tree->line_count;

	tree->line_count = 0;
	return count > 0 ? tree->lines[count - 1] : "";
}

struct fake_tree *fake_tree_create(void)
{
	struct fake_tree *tree = calloc(1, sizeof(*tree));

	assert(tree);
	tree->ops = (struct fs_tree_ops){
		.name = "fake",
		.limits = limits,
		.start = start,
		.reset = reset,
		.forget = forget,
		.lookup = operate,
		.getattr = operate,
		.setattr = operate,
		.readlink = operate,
		.symlink = operate,
		.mknod = operate,
		.mkdir = operate,
		.unlink = operate,
		.rmdir = operate,
		.rename = operate,
		.link = operate,
		.open = operate,
		.read = operate,
		.write = operate,
		.statfs = operate,
		.release = operate,
		.fsync = operate,
		.setxattr = operate,
		.getxattr = operate,
		.listxattr = operate,
		.removexattr = operate,
		.flush = operate,
		.opendir = operate,
		.readdir = operate,
		.readdirplus = operate,
		.releasedir = operate,
		.fsyncdir = operate,
		.getlk = operate,
		.setlk = operate,
		.access = operate,
		.create = operate,
		.tmpfile = operate,
		.fallocate = operate,
		.lseek = operate,
		.copy_file_range = operate,
		.syncfs = operate,
		.statx = operate,
		.cancel = cancel,
		.destroy = destroy,
	};
	tree->base.ops = &tree->ops;
	tree->limits.init_flags = UINT64_MAX;
	tree->limits.time_gran = 1000;
	return tree;
}
