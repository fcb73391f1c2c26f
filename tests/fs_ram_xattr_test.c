/* SPDX-License-Identifier: BSD-3-Clause */
/* Extended attributes of the tree in memory: steps beside the host's, and what has no such twin. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
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

static void values_are_kept(void **state)
{
	static const struct script_step steps[] = {
		{ROOT, CREATE, "f", NULL, O_RDWR, 0644, 0},
		{ROOT, GETXATTR, "f", "user.a", 100, 0, -ENODATA},
		{ROOT, LISTXATTR, "f", NULL, 100, 0, 0},
		{ROOT, SETXATTR, "f", "user.a", 0, 10, 0},
		{ROOT, GETXATTR, "f", "user.a", 0, 0, 10},
		{ROOT, GETXATTR, "f", "user.a", 10, 0, 10},
		{ROOT, GETXATTR, "f", "user.a", 9, 0, -ERANGE},
		{ROOT, SETXATTR, "f", "user.a", XATTR_CREATE, 5, -EEXIST},
		{ROOT, SETXATTR, "f", "user.b", XATTR_REPLACE, 5, -ENODATA},
		{ROOT, SETXATTR, "f", "user.a", XATTR_REPLACE, 5, 0},
		{ROOT, SETXATTR, "f", "user.bcd", XATTR_CREATE, 0, 0},
		{ROOT, SETXATTR, "f", "user.a", 4, 5, -EINVAL},
		{ROOT, SETXATTR, "f", "user.c", XATTR_CREATE | XATTR_REPLACE, 5, -ENODATA},
		{ROOT, GETXATTR, "f", "user.bcd", 100, 0, 0},
		{ROOT, LISTXATTR, "f", NULL, 0, 0, 16},
		{ROOT, LISTXATTR, "f", NULL, 16, 0, 16},
		{ROOT, LISTXATTR, "f", NULL, 15, 0, -ERANGE},
		{ROOT, LISTXATTR, "f", NULL, 1, 0, -ERANGE},
		{ROOT, REMOVEXATTR, "f", "user.a", 0, 0, 0},
		{ROOT, REMOVEXATTR, "f", "user.a", 0, 0, -ENODATA},
		{ROOT, LISTXATTR, "f", NULL, 100, 0, 9},
		{ROOT, SETXATTR, "f", "user.big", 0, 65537, -E2BIG},
		{ROOT, SETXATTR, "f", "user.", 0, 5, -EINVAL},
		{ROOT, SETXATTR, "f", "nobody.x", 0, 5, -EOPNOTSUPP},
		{ROOT, SETXATTR, "f", "noprefix", 0, 5, -EOPNOTSUPP},
		{ROOT, GETXATTR, "f", "nobody.x", 5, 0, -EOPNOTSUPP},
		{ROOT, REMOVEXATTR, "f", "nobody.x", 0, 0, -EOPNOTSUPP},
	};

	SCRIPT_RUN(*state, steps);
}

static void each_kind_has_its_rules(void **state)
{
	static const struct script_step steps[] = {
		{ROOT, CREATE, "f", NULL, O_RDWR, 0644, 0},
		{ROOT, CHOWN, "f", NULL, ANN_UID, ANN_GID, 0},
		{ANN, SETXATTR, "f", "user.a", 0, 10, 0},
		{BOB, SETXATTR, "f", "user.a", 0, 10, -EACCES},
		{BOB, GETXATTR, "f", "user.a", 100, 0, 10},
		{BOB, REMOVEXATTR, "f", "user.a", 0, 0, -EACCES},
		{ROOT, CHMOD, "f", NULL, 0600, 0, 0},
		{BOB, GETXATTR, "f", "user.a", 100, 0, -EACCES},
		{BOB, LISTXATTR, "f", NULL, 100, 0, 7},
		{ANN, SETXATTR, "f", "trusted.t", 0, 10, -EPERM},
		{ROOT, SETXATTR, "f", "trusted.t", 0, 10, 0},
		{ANN, GETXATTR, "f", "trusted.t", 100, 0, -ENODATA},
		{ANN, REMOVEXATTR, "f", "trusted.t", 0, 0, -EPERM},
		{ROOT, GETXATTR, "f", "trusted.t", 100, 0, 10},
		{ANN, LISTXATTR, "f", NULL, 100, 0, 7},
		{ROOT, LISTXATTR, "f", NULL, 100, 0, 17},
		{ANN, SETXATTR, "f", "security.x", 0, 10, -EPERM},
		{ROOT, SETXATTR, "f", "security.x", 0, 10, 0},
		{BOB, GETXATTR, "f", "security.x", 100, 0, 10},
		{ANN, REMOVEXATTR, "f", "security.x", 0, 0, -EPERM},
		{BOB, SETXATTR, "f", "nobody.x", 0, 10, -EACCES},
		{ROOT, SETXATTR, "f", "trusted.", 0, 10, -EINVAL},
	};

	SCRIPT_RUN(*state, steps);
}

static void what_has_no_content_has_no_user_attributes(void **state)
{
	static const struct script_step steps[] = {
		{ROOT, SYMLINK, "l", "x", 0, 0, 0},
		{ROOT, MKNOD, "p", NULL, S_IFIFO | 0666, 0, 0},
		{ROOT, MKDIR, "d", NULL, 0755, 0, 0},
		{ROOT, CHMOD, "d", NULL, 01777, 0, 0},
		{ROOT, SETXATTR, "l", "user.a", 0, 10, -EPERM},
		{ROOT, GETXATTR, "l", "user.a", 10, 0, -ENODATA},
		{ROOT, SETXATTR, "p", "user.a", 0, 10, -EPERM},
		{ROOT, SETXATTR, "l", "trusted.a", 0, 10, 0},
		{ROOT, SETXATTR, "p", "trusted.a", 0, 10, 0},
		{ROOT, SETXATTR, "d", "user.a", 0, 10, 0},
		{ANN, SETXATTR, "d", "user.a", 0, 10, -EPERM},
		{ANN, GETXATTR, "d", "user.a", 10, 0, 10},
		{ROOT, CHMOD, "d", NULL, 0777, 0, 0},
		{ANN, SETXATTR, "d", "user.a", 0, 11, 0},
	};

	SCRIPT_RUN(*state, steps);
}

/* A value that setcap would give: revision 2, nothing effective. */
static const uint8_t caps[20] = {0, 0, 0, 2};

static void writing_takes_capabilities_away(void **state)
{
	struct tree_client client = {.tree = *state};
	struct tree_file file;
	uint8_t seen[20];

	assert_int_equal(tree_open(&client, "f", O_CREAT | O_RDWR, 0755, &file), 0);
	assert_int_equal(tree_setxattr(&client, "f", "security.capability", caps, sizeof(caps), 0),
			 0);
	assert_int_equal(tree_getxattr(&client, "f", "security.capability", seen, 20), 20);
	assert_memory_equal(seen, caps, sizeof(caps));
	assert_int_equal(tree_pwrite(&client, &file, "x", 1, 0), 1);
	assert_int_equal(tree_getxattr(&client, "f", "security.capability", seen, 20), -ENODATA);
	tree_close(&client, &file);
}

static void a_new_file_has_its_label_from_the_start(void **state)
{
	struct tree_client client = {.tree = *state};
	struct fs_call *call = tree_begin(&client, FS_ROOT);
	uint8_t seen[10] = {0};

	call->name = "f";
	call->mode = S_IFREG | 0600;
	call->label_name = "security.selinux";
	call->label = "a label";
	call->label_size = 7;
	assert_int_equal(tree_run(&client, client.tree->ops->mknod), 0);
	assert_int_equal(tree_getxattr(&client, "f", "security.selinux", seen, 10), 7);
	assert_string_equal((const char *)seen, "a label");
}

static void there_are_no_acls(void **state)
{
	struct tree_client client = {.tree = *state};

	assert_int_equal(tree_setxattr(&client, "", "system.posix_acl_access", caps, 20, 0),
			 -EOPNOTSUPP);
	assert_int_equal(tree_getxattr(&client, "", "system.posix_acl_access", NULL, 0),
			 -EOPNOTSUPP);
}

/* What one set can always be listed: the names of a file fit into 64 KiB. */
static void names_and_values_have_limits(void **state)
{
	static uint8_t value[FS_XATTR_MAX], list[FS_XATTR_MAX];
	struct tree_client client = {.tree = *state};
	char name[300] = "user.";
	unsigned count = 0;

	memset(name + 5, 'x', 250);
	for (int error = 0; error == 0; count++) {
		memcpy(name + 5, (char[]){(char)('a' + count / 26 % 26), (char)('a' + count % 26)},
		       2);
		error = tree_setxattr(&client, "", name, "", 0, 0);
		assert_true(error == 0 || error == -ENOSPC);
	}
	assert_int_equal(count, 257);
	assert_int_equal(tree_listxattr(&client, "", list, sizeof(list)), 256 * 256);
	memset(value, 7, sizeof(value));
	assert_int_equal(tree_setxattr(&client, "", "user.axxx", value, sizeof(value), 0), -ENOSPC);
	memcpy(name + 5, "aa", 2);
	assert_int_equal(tree_setxattr(&client, "", name, value, sizeof(value), 0), 0);
	assert_int_equal(tree_getxattr(&client, "", name, list, sizeof(list)), sizeof(list));
	assert_memory_equal(list, value, sizeof(list));
	name[255] = 'x';
	assert_int_equal(tree_getxattr(&client, "", name, list, sizeof(list)), -ERANGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(values_are_kept, setup, teardown),
		cmocka_unit_test_setup_teardown(each_kind_has_its_rules, setup, teardown),
		cmocka_unit_test_setup_teardown(what_has_no_content_has_no_user_attributes, setup,
						teardown),
		cmocka_unit_test_setup_teardown(writing_takes_capabilities_away, setup, teardown),
		cmocka_unit_test_setup_teardown(a_new_file_has_its_label_from_the_start, setup,
						teardown),
		cmocka_unit_test_setup_teardown(there_are_no_acls, setup, teardown),
		cmocka_unit_test_setup_teardown(names_and_values_have_limits, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
