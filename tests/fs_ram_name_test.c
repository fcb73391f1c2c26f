/* SPDX-License-Identifier: BSD-3-Clause */
/* Names of the tree in memory, each step beside the same one on a directory of the host. */
#define _GNU_SOURCE /* RENAME_ */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/tree_script.h"

static int setup(void **state)
{
	return fs_tree_ram_create((struct fs_tree **)state, NULL);
}

static int teardown(void **state)
{
	struct fs_tree *tree = *state;

	tree->ops->destroy(tree);
	return 0;
}

static void names_are_made(void **state)
{
	static const struct script_step steps[] = {
		{ROOT, MKDIR, "d", NULL, 0755, 0, 0},
		{ROOT, MKDIR, "d", NULL, 0755, 0, -EEXIST},
		{ROOT, MKDIR, "d/e", NULL, 07777, 0, 0},
		{ROOT, MKDIR, "none/e", NULL, 0755, 0, -ENOENT},
		{ROOT, CREATE, "d/f", NULL, O_RDWR, 06777, 0},
		{ROOT, CREATE, "d/f", NULL, O_RDWR, 0600, 0},
		{ROOT, CREATE, "d/f", NULL, O_RDWR | O_EXCL, 0600, -EEXIST},
		{ROOT, CREATE, "d/e", NULL, O_RDWR, 0600, -EISDIR},
		{ROOT, CREATE, "d/f/g", NULL, O_RDWR, 0600, -ENOTDIR},
		{ROOT, MKNOD, "d/p", NULL, S_IFIFO | 0666, 0, 0},
		{ROOT, MKNOD, "d/s", NULL, S_IFSOCK | 0666, 0, 0},
		{ROOT, MKNOD, "d/c", NULL, S_IFCHR | 0600, 0x0103, 0},
		{ROOT, MKNOD, "d/b", NULL, S_IFBLK | 0600, 0x0701, 0},
		{ROOT, MKNOD, "d/r", NULL, 0640, 0, 0},
		{ROOT, MKNOD, "d/r", NULL, 0640, 0, -EEXIST},
		{ROOT, MKNOD, "d/x", NULL, S_IFDIR | 0755, 0, -EPERM},
		{ROOT, MKNOD, "d/x", NULL, S_IFLNK | 0777, 0, -EINVAL},
		{ROOT, SYMLINK, "d/l", "somewhere/else", 0, 0, 0},
		{ROOT, SYMLINK, "d/l", "x", 0, 0, -EEXIST},
		{ROOT, SYMLINK, "d/m", "", 0, 0, -ENOENT},
		{ROOT, READLINK, "d/l", NULL, 0, 0, 14},
		{ROOT, READLINK, "d/f", NULL, 0, 0, -EINVAL},
		{ROOT, OPEN, "d/l", NULL, O_RDONLY, 0, -ELOOP},
		{ROOT, CREATE, "d/l", NULL, O_RDONLY, 0600, -ELOOP},
		{ROOT, OPEN, "d/s", NULL, O_RDONLY, 0, -ENXIO},
		{ROOT, OPEN, "d/e", NULL, O_WRONLY, 0, -EISDIR},
		{ROOT, OPENDIR, "d/f", NULL, 0, 0, -ENOTDIR},
		{ROOT, OPENDIR, "d/e", NULL, 0, 0, 0},
		{ROOT, STAT, "d/nothing", NULL, 0, 0, -ENOENT},
		{ROOT, STAT, "d/f/nothing", NULL, 0, 0, -ENOTDIR},
	};

	SCRIPT_RUN(*state, steps);
}

static void links_and_what_goes(void **state)
{
	static const struct script_step steps[] = {
		{ROOT, MKDIR, "d", NULL, 0755, 0, 0},
		{ROOT, MKDIR, "d/e", NULL, 0755, 0, 0},
		{ROOT, CREATE, "f", NULL, O_RDWR, 0644, 0},
		{ROOT, LINK, "f", "d/g", 0, 0, 0},
		{ROOT, LINK, "f", "d/g", 0, 0, -EEXIST},
		{ROOT, LINK, "d", "x", 0, 0, -EPERM},
		{ROOT, LINK, "nothing", "x", 0, 0, -ENOENT},
		{ROOT, SYMLINK, "l", "f", 0, 0, 0},
		{ROOT, LINK, "l", "d/l", 0, 0, 0},
		{ROOT, WRITE, "d/g", NULL, 0, 100, 0},
		{ROOT, UNLINK, "f", NULL, 0, 0, 0},
		{ROOT, UNLINK, "f", NULL, 0, 0, -ENOENT},
		{ROOT, UNLINK, "d", NULL, 0, 0, -EISDIR},
		{ROOT, RMDIR, "d/g", NULL, 0, 0, -ENOTDIR},
		{ROOT, RMDIR, "d", NULL, 0, 0, -ENOTEMPTY},
		{ROOT, RMDIR, "l", NULL, 0, 0, -ENOTDIR},
		{ROOT, UNLINK, "d/g", NULL, 0, 0, 0},
		{ROOT, UNLINK, "d/l", NULL, 0, 0, 0},
		{ROOT, RMDIR, "d/e", NULL, 0, 0, 0},
		{ROOT, RMDIR, "d", NULL, 0, 0, 0},
		{ROOT, RMDIR, "d", NULL, 0, 0, -ENOENT},
		{ROOT, MKDIR, "t", NULL, 0755, 0, 0},
		{ROOT, TMPFILE, "t", "t/named", O_RDWR, 0640, 0},
		{ROOT, TMPFILE, "t", "t/never", O_RDWR | O_EXCL, 0640, -ENOENT},
		{ROOT, TMPFILE, "t", "t/named", O_RDWR, 0640, -EEXIST},
		{ROOT, LINK, "t/named", "t/again", 0, 0, 0},
	};

	SCRIPT_RUN(*state, steps);
}

/* f and g are files, d and e directories with a file and nothing in them. */
#define MAKE_FOUR                                                                               \
	{ROOT, CREATE, "f", NULL, O_RDWR, 0644, 0}, {ROOT, CREATE, "g", NULL, O_RDWR, 0600, 0}, \
		{ROOT, MKDIR, "d", NULL, 0755, 0, 0},                                           \
		{ROOT, CREATE, "d/i", NULL, O_RDWR, 0600, 0},                                   \
	{                                                                                       \
		ROOT, MKDIR, "e", NULL, 0700, 0, 0                                              \
	}

static void rename_moves_and_replaces(void **state)
{
	static const struct script_step steps[] = {
		MAKE_FOUR,
		{ROOT, RENAME, "nothing", "h", 0, 0, -ENOENT},
		{ROOT, RENAME, "f", "h", 0, 0, 0},
		{ROOT, RENAME, "h", "g", 0, 0, 0},
		{ROOT, RENAME, "g", "e/f", 0, 0, 0},
		{ROOT, RENAME, "e/f", "d/i", 0, 0, 0},
		{ROOT, RENAME, "d", "d", 0, 0, 0},
		{ROOT, RENAME, "e", "d", 0, 0, -ENOTEMPTY},
		{ROOT, RENAME, "d/i", "e", 0, 0, -EISDIR},
		{ROOT, RENAME, "e", "d/i", 0, 0, -ENOTDIR},
		{ROOT, RENAME, "d", "e", 0, 0, 0},
		{ROOT, MKDIR, "e/below", NULL, 0755, 0, 0},
		{ROOT, MKDIR, "e/below/more", NULL, 0755, 0, 0},
		{ROOT, RENAME, "e", "e/below/x", 0, 0, -EINVAL},
		{ROOT, RENAME, "e", "e/x", 0, 0, -EINVAL},
		{ROOT, RENAME, "e/below/more", "e", 0, 0, -ENOTEMPTY},
		{ROOT, RENAME, "e/below", "b", 0, 0, 0},
		{ROOT, RENAME, "b/more", "e/more", 0, 0, 0},
		{ROOT, MKDIR, "into", NULL, 0755, 0, 0},
		{ROOT, RENAME, "e/more", "into", 0, 0, 0},
		{ROOT, LINK, "e/i", "twin", 0, 0, 0},
		{ROOT, RENAME, "twin", "e/i", 0, 0, 0},
		{ROOT, STAT, "twin", NULL, 0, 0, 0},
		{ROOT, SYMLINK, "l", "e", 0, 0, 0},
		{ROOT, RENAME, "l", "e/l", 0, 0, 0},
		{ROOT, RENAME, "e/l", "e/i", 0, 0, 0},
	};

	SCRIPT_RUN(*state, steps);
}

static void rename_with_flags(void **state)
{
	static const struct script_step steps[] = {
		MAKE_FOUR,
		{ROOT, RENAME, "f", "g", RENAME_NOREPLACE, 0, -EEXIST},
		{ROOT, RENAME, "f", "f", RENAME_NOREPLACE, 0, -EEXIST},
		{ROOT, RENAME, "f", "h", RENAME_NOREPLACE, 0, 0},
		{ROOT, RENAME, "h", "nothing", RENAME_EXCHANGE, 0, -ENOENT},
		{ROOT, RENAME, "h", "g", RENAME_EXCHANGE, 0, 0},
		{ROOT, RENAME, "h", "d", RENAME_EXCHANGE, 0, 0},
		{ROOT, RENAME, "h/i", "e", RENAME_EXCHANGE, 0, 0},
		{ROOT, RENAME, "h/i", "g", RENAME_EXCHANGE | RENAME_NOREPLACE, 0, -EINVAL},
		{ROOT, RENAME, "h/i", "g", RENAME_EXCHANGE | RENAME_WHITEOUT, 0, -EINVAL},
		{ROOT, RENAME, "h/i", "g", 8, 0, -EINVAL},
		{ROOT, RENAME, "h", "h/i", RENAME_EXCHANGE, 0, -EINVAL},
		{ROOT, RENAME, "h/i", "h", RENAME_EXCHANGE, 0, -EINVAL},
		{ROOT, MKDIR, "k", NULL, 0755, 0, 0},
		{ROOT, RENAME, "h/i", "k", RENAME_EXCHANGE, 0, 0},
		{ROOT, RENAME, "g", "white", RENAME_WHITEOUT, 0, 0},
		{ROOT, RENAME, "white", "e", RENAME_WHITEOUT, 0, 0},
		{ROOT, RENAME, "e", "h/w", RENAME_WHITEOUT | RENAME_NOREPLACE, 0, 0},
		{ROOT, RENAME, "h/i", "moved", RENAME_WHITEOUT, 0, 0},
		{ROOT, UNLINK, "g", NULL, 0, 0, 0},
	};

	SCRIPT_RUN(*state, steps);
}

static void who_may_make_and_remove(void **state)
{
	static const struct script_step steps[] = {
		{ROOT, MKDIR, "t", NULL, 0755, 0, 0},
		{ROOT, CHMOD, "t", NULL, 01777, 0, 0},
		{ROOT, MKDIR, "closed", NULL, 0755, 0, 0},
		{ROOT, CREATE, "closed/f", NULL, O_RDWR, 0666, 0},
		{ANN, CREATE, "t/ann", NULL, O_RDWR | O_EXCL, 0644, 0},
		{ANN, MKDIR, "t/dir", NULL, 0755, 0, 0},
		{ANN, CREATE, "closed/x", NULL, O_RDWR, 0644, -EACCES},
		{ANN, CREATE, "closed/f", NULL, O_RDONLY, 0644, 0},
		{ANN, CREATE, "closed/f", NULL, O_RDONLY | O_EXCL, 0644, -EEXIST},
		{ANN, MKDIR, "closed/x", NULL, 0755, 0, -EACCES},
		{ANN, MKDIR, "closed/f", NULL, 0755, 0, -EEXIST},
		{ANN, SYMLINK, "closed/x", "y", 0, 0, -EACCES},
		{ANN, UNLINK, "closed/f", NULL, 0, 0, -EACCES},
		{ANN, UNLINK, "closed/none", NULL, 0, 0, -ENOENT},
		{ANN, RMDIR, "closed/f", NULL, 0, 0, -EACCES},
		{ANN, RENAME, "closed/f", "t/f", 0, 0, -EACCES},
		{ANN, RENAME, "t/ann", "closed/g", 0, 0, -EACCES},
		{ANN, MKNOD, "t/c", NULL, S_IFCHR | 0600, 0x0103, -EPERM},
		{ANN, MKNOD, "t/b", NULL, S_IFBLK | 0600, 0, -EPERM},
		{ANN, MKNOD, "closed/c", NULL, S_IFCHR | 0600, 0x0103, -EACCES},
		{ANN, MKNOD, "closed/c", NULL, S_IFDIR | 0600, 0, -EPERM},
		{ANN, MKNOD, "t/w", NULL, S_IFCHR, 0, 0},
		{ANN, MKNOD, "t/p", NULL, S_IFIFO | 0622, 0, 0},
		{BOB, UNLINK, "t/ann", NULL, 0, 0, -EPERM},
		{BOB, RMDIR, "t/dir", NULL, 0, 0, -EPERM},
		{BOB, UNLINK, "t/dir", NULL, 0, 0, -EPERM},
		{BOB, RENAME, "t/ann", "t/bob", 0, 0, -EPERM},
		{BOB, MKNOD, "t/bob", NULL, S_IFREG | 0666, 0, 0},
		{BOB, RENAME, "t/bob", "t/ann", 0, 0, -EPERM},
		{BOB, RENAME, "t/bob", "t/ann", RENAME_EXCHANGE, 0, -EPERM},
		{BOB, RENAME, "t/bob", "t/bob2", 0, 0, 0},
		{ROOT, CHOWN, "t", NULL, BOB_UID, KEEP, 0},
		{BOB, UNLINK, "t/ann", NULL, 0, 0, 0},
		{ANN, CREATE, "t/f", NULL, O_RDWR, 0644, 0},
		{ANN, LINK, "t/f", "t/f2", 0, 0, 0},
		{ANN, LINK, "t/f", "closed/g", 0, 0, -EACCES},
		{ROOT, CHMOD, "t", NULL, 0777, 0, 0},
		{BOB, MKDIR, "t/mine", NULL, 0755, 0, 0},
		{ANN, RENAME, "t/mine", "t/dir/mine", 0, 0, -EACCES},
		{ANN, RENAME, "t/mine", "t/hers", 0, 0, 0},
		{ANN, RENAME, "t/dir", "t/hers", RENAME_EXCHANGE, 0, 0},
		{ANN, TMPFILE, "closed", "t/x", O_RDWR, 0600, -EACCES},
		{ANN, RENAME, "t/bob2", "t/w2", RENAME_WHITEOUT, 0, 0},
	};

	SCRIPT_RUN(*state, steps);
}

static void directories_give_their_group(void **state)
{
	static const struct script_step steps[] = {
		{ROOT, MKDIR, "g", NULL, 0777, 0, 0},
		{ROOT, CHOWN, "g", NULL, KEEP, BOB_GID, 0},
		{ROOT, CHMOD, "g", NULL, 02777, 0, 0},
		{ANN, MKDIR, "g/d", NULL, 0755, 0, 0},
		{ANN, CREATE, "g/f", NULL, O_RDWR, 02755, 0},
		{ANN, CREATE, "g/no_x", NULL, O_RDWR, 02644, 0},
		{ANN, MKNOD, "g/n", NULL, S_IFREG | 02775, 0, 0},
		{ANN, SYMLINK, "g/l", "x", 0, 0, 0},
		{BOB, CREATE, "g/bob", NULL, O_RDWR, 02755, 0},
		{ROOT, CREATE, "g/root", NULL, O_RDWR, 02755, 0},
		{ROOT, TMPFILE, "g", "g/tmp", O_RDWR, 02775, 0},
		{ANN, RENAME, "g/f", "g/moved", RENAME_WHITEOUT, 0, 0},
		{ROOT, MKDIR, "plain", NULL, 0777, 0, 0},
		{ROOT, CHMOD, "plain", NULL, 0777, 0, 0},
		{ANN, CREATE, "plain/f", NULL, O_RDWR, 02755, 0},
	};

	SCRIPT_RUN(*state, steps);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(names_are_made, setup, teardown),
		cmocka_unit_test_setup_teardown(links_and_what_goes, setup, teardown),
		cmocka_unit_test_setup_teardown(rename_moves_and_replaces, setup, teardown),
		cmocka_unit_test_setup_teardown(rename_with_flags, setup, teardown),
		cmocka_unit_test_setup_teardown(who_may_make_and_remove, setup, teardown),
		cmocka_unit_test_setup_teardown(directories_give_their_group, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
