/* SPDX-License-Identifier: BSD-3-Clause */
/* fuse_wire.h against the system's <linux/fuse.h>, and against the standard where that is older. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "devices/fs/fuse_wire.h"
#include "devices/fs/tree.h"
#include "tests/support/fuse_layout.h"

#define STRUCT FUSE_LAYOUT_STRUCT
#define FIELD  FUSE_LAYOUT_FIELD
#define NUMBER FUSE_LAYOUT_NUMBER

static const struct fuse_layout ours[] = {
#include "tests/support/fuse_layout.inc"
};

static void layouts_are_those_of_linux(void **state)
{
	(void)state;
	assert_int_equal(sizeof(ours) / sizeof(ours[0]), fuse_layout_count);
	for (size_t i = 0; i < fuse_layout_count; i++)
		if (ours[i].value != fuse_layout_linux[i].value ||
		    ours[i].size != fuse_layout_linux[i].size)
			fail_msg("%s: %ju (%ju), not %ju (%ju)", ours[i].what,
				 (uintmax_t)ours[i].value, (uintmax_t)ours[i].size,
				 (uintmax_t)fuse_layout_linux[i].value,
				 (uintmax_t)fuse_layout_linux[i].size);
}

/* What came after 7.38, or is larger in linux/fuse.h for its flexible array. */
static void newer_layouts_are_those_of_the_standard(void **state)
{
	(void)state;
	assert_int_equal(sizeof(struct fuse_statx_in), 24);
	assert_int_equal(sizeof(struct fuse_statx_out), 288);
	assert_int_equal(sizeof(struct fuse_statx), 256);
	assert_int_equal(sizeof(struct fuse_copy_file_range_out), 8);
	assert_int_equal(sizeof(struct fuse_dirent), 24);
	assert_int_equal(sizeof(struct fuse_direntplus), 152);
	assert_int_equal(sizeof(struct fuse_supp_groups), 4);
	assert_int_equal(offsetof(struct fuse_init_out, max_stack_depth), 36);
	assert_int_equal(offsetof(struct fuse_init_out, request_timeout), 40);
	assert_int_equal(FUSE_STATX, 52);
	assert_int_equal(FUSE_COPY_FILE_RANGE_64, 53);
	assert_int_equal(FUSE_EXT_GROUPS, 32);
	assert_int_equal(FUSE_CREATE_SUPP_GROUP, UINT64_C(1) << 34);
	assert_int_equal(FUSE_REQUEST_TIMEOUT, UINT64_C(1) << 42);
}

/* The kernel's own structure travels, with other names for its fields. */
static void statx_travels_as_the_kernel_has_it(void **state)
{
	(void)state;
	assert_int_equal(sizeof(struct fuse_statx), sizeof(struct statx));
#define SAME(a, b) assert_int_equal(offsetof(struct fuse_statx, a), offsetof(struct statx, b))
	SAME(mask, stx_mask);
	SAME(blksize, stx_blksize);
	SAME(attributes, stx_attributes);
	SAME(nlink, stx_nlink);
	SAME(uid, stx_uid);
	SAME(gid, stx_gid);
	SAME(mode, stx_mode);
	SAME(ino, stx_ino);
	SAME(size, stx_size);
	SAME(blocks, stx_blocks);
	SAME(attributes_mask, stx_attributes_mask);
	SAME(atime, stx_atime);
	SAME(btime, stx_btime);
	SAME(ctime, stx_ctime);
	SAME(mtime, stx_mtime);
	SAME(rdev_major, stx_rdev_major);
	SAME(rdev_minor, stx_rdev_minor);
	SAME(dev_major, stx_dev_major);
	SAME(dev_minor, stx_dev_minor);
}

#define MEMBERS                                     \
	M(FUSE_LOOKUP, lookup)                      \
	M(FUSE_GETATTR, getattr)                    \
	M(FUSE_SETATTR, setattr)                    \
	M(FUSE_READLINK, readlink)                  \
	M(FUSE_SYMLINK, symlink)                    \
	M(FUSE_MKNOD, mknod)                        \
	M(FUSE_MKDIR, mkdir)                        \
	M(FUSE_UNLINK, unlink)                      \
	M(FUSE_RMDIR, rmdir)                        \
	M(FUSE_RENAME, rename)                      \
	M(FUSE_RENAME2, rename)                     \
	M(FUSE_LINK, link)                          \
	M(FUSE_OPEN, open)                          \
	M(FUSE_READ, read)                          \
	M(FUSE_WRITE, write)                        \
	M(FUSE_STATFS, statfs)                      \
	M(FUSE_RELEASE, release)                    \
	M(FUSE_FSYNC, fsync)                        \
	M(FUSE_SETXATTR, setxattr)                  \
	M(FUSE_GETXATTR, getxattr)                  \
	M(FUSE_LISTXATTR, listxattr)                \
	M(FUSE_REMOVEXATTR, removexattr)            \
	M(FUSE_FLUSH, flush)                        \
	M(FUSE_OPENDIR, opendir)                    \
	M(FUSE_READDIR, readdir)                    \
	M(FUSE_READDIRPLUS, readdirplus)            \
	M(FUSE_RELEASEDIR, releasedir)              \
	M(FUSE_FSYNCDIR, fsyncdir)                  \
	M(FUSE_GETLK, getlk)                        \
	M(FUSE_SETLK, setlk)                        \
	M(FUSE_SETLKW, setlk)                       \
	M(FUSE_ACCESS, access)                      \
	M(FUSE_CREATE, create)                      \
	M(FUSE_TMPFILE, tmpfile)                    \
	M(FUSE_FALLOCATE, fallocate)                \
	M(FUSE_LSEEK, lseek)                        \
	M(FUSE_COPY_FILE_RANGE, copy_file_range)    \
	M(FUSE_COPY_FILE_RANGE_64, copy_file_range) \
	M(FUSE_SYNCFS, syncfs)                      \
	M(FUSE_STATX, statx)

#define M(opcode, member)                                                  \
	static int op_##opcode(struct fs_tree *tree, struct fs_call *call) \
	{                                                                  \
		(void)tree;                                                \
		(void)call;                                                \
		return opcode;                                             \
	}
MEMBERS
#undef M

/* Each opcode alone finds its member; the members of all others are absent. */
static void opcodes_find_their_members(void **state)
{
	(void)state;
#define M(opcode, member)                                                   \
	{                                                                   \
		const struct fs_tree_ops ops = {.member = op_##opcode};     \
		unsigned found = 0;                                         \
		for (uint32_t i = 0; i < 100; i++)                          \
			found += fs_tree_op_of(&ops, i) != NULL;            \
		assert_ptr_equal(fs_tree_op_of(&ops, opcode), op_##opcode); \
		assert_in_range(found, 1, 2);                               \
	}
	MEMBERS
#undef M
	assert_null(fs_tree_op_of(&(struct fs_tree_ops){.name = "x"}, UINT32_MAX));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(layouts_are_those_of_linux),
		cmocka_unit_test(newer_layouts_are_those_of_the_standard),
		cmocka_unit_test(statx_travels_as_the_kernel_has_it),
		cmocka_unit_test(opcodes_find_their_members),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
