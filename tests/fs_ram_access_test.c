/* SPDX-License-Identifier: BSD-3-Clause */
/* Who may do what in the tree in memory, each step beside the same one on the host. */
#define _GNU_SOURCE /* O_NOATIME */
#include <errno.h>
#include <fcntl.h>
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

static void rights_are_owner_s_group_s_or_others(void **state)
{
	static const struct script_step steps[] = {
		{ROOT, CREATE, "f", NULL, O_RDWR, 0600, 0},
		{ROOT, CHOWN, "f", NULL, ANN_UID, 50, 0},
		{ROOT, CHMOD, "f", NULL, 0460, 0, 0},
		{ANN, OPEN, "f", NULL, O_RDONLY, 0, 0},
		{ANN, OPEN, "f", NULL, O_WRONLY, 0, -EACCES},
		{ANN, OPEN, "f", NULL, O_RDWR, 0, -EACCES},
		{ANN, OPEN, "f", NULL, O_RDONLY | O_TRUNC, 0, -EACCES},
		{ANN, OPEN, "f", NULL, 3, 0, -EACCES},
		{CAT, OPEN, "f", NULL, O_RDONLY, 0, -EACCES},
		{ROOT, OPEN, "f", NULL, O_RDWR, 0, 0},
		{ROOT, CHOWN, "f", NULL, BOB_UID, 50, 0},
		{ANN, OPEN, "f", NULL, O_RDWR, 0, 0},
		{ROOT, CHMOD, "f", NULL, 0604, 0, 0},
		{ANN, OPEN, "f", NULL, O_RDONLY, 0, -EACCES},
		{CAT, OPEN, "f", NULL, O_RDONLY, 0, 0},
		{CAT, OPEN, "f", NULL, O_RDONLY | O_NOATIME, 0, -EPERM},
		{BOB, OPEN, "f", NULL, O_RDONLY | O_NOATIME, 0, 0},
		{CAT, ACCESS, "f", NULL, F_OK, 0, 0},
		{CAT, ACCESS, "f", NULL, R_OK, 0, 0},
		{CAT, ACCESS, "f", NULL, R_OK | W_OK, 0, -EACCES},
		{BOB, ACCESS, "f", NULL, R_OK | W_OK, 0, 0},
		{BOB, ACCESS, "f", NULL, X_OK, 0, -EACCES},
		{ROOT, ACCESS, "f", NULL, R_OK | W_OK, 0, 0},
		{ROOT, ACCESS, "f", NULL, X_OK, 0, -EACCES},
		{ROOT, CHMOD, "f", NULL, 0001, 0, 0},
		{ROOT, ACCESS, "f", NULL, X_OK, 0, 0},
		{BOB, ACCESS, "f", NULL, X_OK, 0, -EACCES},
		{BOB, STAT, "f", NULL, 0, 0, 0},
	};

	SCRIPT_RUN(*state, steps);
}

static void directories_are_searched_and_read(void **state)
{
	static const struct script_step steps[] = {
		{ROOT, MKDIR, "d", NULL, 0755, 0, 0},
		{ROOT, CREATE, "d/f", NULL, O_RDWR, 0666, 0},
		{ROOT, CHMOD, "d", NULL, 0744, 0, 0},
		{ANN, OPENDIR, "d", NULL, 0, 0, 0},
		{ANN, STAT, "d/f", NULL, 0, 0, -EACCES},
		{ANN, STAT, "d/none", NULL, 0, 0, -EACCES},
		{ANN, OPEN, "d/f", NULL, O_RDONLY, 0, -EACCES},
		{ANN, CREATE, "d/g", NULL, O_RDONLY, 0600, -EACCES},
		{ANN, UNLINK, "d/f", NULL, 0, 0, -EACCES},
		{ANN, RENAME, "d/f", "x", 0, 0, -EACCES},
		{ANN, TRUNCATE, "d/f", NULL, 0, 0, -EACCES},
		{ROOT, CHMOD, "d", NULL, 0711, 0, 0},
		{ANN, OPENDIR, "d", NULL, 0, 0, -EACCES},
		{ANN, STAT, "d/f", NULL, 0, 0, 0},
		{ANN, OPEN, "d/f", NULL, O_RDONLY, 0, 0},
		{ROOT, CHMOD, "d", NULL, 0000, 0, 0},
		{ROOT, OPENDIR, "d", NULL, 0, 0, 0},
		{ROOT, STAT, "d/f", NULL, 0, 0, 0},
		{ROOT, ACCESS, "d", NULL, X_OK, 0, 0},
		{ANN, ACCESS, "d", NULL, X_OK, 0, -EACCES},
	};

	SCRIPT_RUN(*state, steps);
}

static void chmod_is_the_owner_s(void **state)
{
	static const struct script_step steps[] = {
		{ROOT, CREATE, "f", NULL, O_RDWR, 0644, 0},
		{ANN, CHMOD, "f", NULL, 0666, 0, -EPERM},
		{ROOT, CHOWN, "f", NULL, ANN_UID, ANN_GID, 0},
		{ANN, CHMOD, "f", NULL, 06711, 0, 0},
		{CAT, CHMOD, "f", NULL, 0666, 0, -EPERM},
		{ROOT, CHOWN, "f", NULL, KEEP, 50, 0},
		{ANN, CHMOD, "f", NULL, 06711, 0, 0},
		{ROOT, CHOWN, "f", NULL, KEEP, BOB_GID, 0},
		{ANN, CHMOD, "f", NULL, 06711, 0, 0},
		{ROOT, CHMOD, "f", NULL, 07777, 0, 0},
		{ROOT, MKDIR, "d", NULL, 0755, 0, 0},
		{ROOT, CHOWN, "d", NULL, ANN_UID, BOB_GID, 0},
		{ANN, CHMOD, "d", NULL, 07777, 0, 0},
	};

	SCRIPT_RUN(*state, steps);
}

static void chown_is_root_s_but_for_groups(void **state)
{
	static const struct script_step steps[] = {
		{ROOT, CREATE, "f", NULL, O_RDWR, 0644, 0},
		{ROOT, CHOWN, "f", NULL, ANN_UID, ANN_GID, 0},
		{ANN, CHOWN, "f", NULL, BOB_UID, KEEP, -EPERM},
		{ANN, CHOWN, "f", NULL, ANN_UID, KEEP, 0},
		{ANN, CHOWN, "f", NULL, KEEP, 50, 0},
		{ANN, CHOWN, "f", NULL, KEEP, 50, 0},
		{ANN, CHOWN, "f", NULL, KEEP, BOB_GID, -EPERM},
		{ANN, CHOWN, "f", NULL, ANN_UID, ANN_GID, 0},
		{CAT, CHOWN, "f", NULL, KEEP, ANN_GID, -EPERM},
		{CAT, CHOWN, "f", NULL, CAT_UID, KEEP, -EPERM},
		{ROOT, CHOWN, "f", NULL, BOB_UID, BOB_GID, 0},
		{ROOT, SYMLINK, "l", "x", 0, 0, 0},
		{ROOT, CHOWN, "l", NULL, ANN_UID, KEEP, 0},
		{BOB, CHOWN, "l", NULL, BOB_UID, KEEP, -EPERM},
	};

	SCRIPT_RUN(*state, steps);
}

static void chown_takes_suid_and_sgid_away(void **state)
{
	static const struct script_step steps[] = {
		{ROOT, CREATE, "f", NULL, O_RDWR, 0644, 0},
		{ROOT, CHOWN, "f", NULL, ANN_UID, ANN_GID, 0},
		{ROOT, CHMOD, "f", NULL, 06755, 0, 0},
		{ANN, CHOWN, "f", NULL, KEEP, 50, 0},
		{ROOT, CHMOD, "f", NULL, 06755, 0, 0},
		{ROOT, CHOWN, "f", NULL, ANN_UID, KEEP, 0},
		{ROOT, CHMOD, "f", NULL, 06644, 0, 0},
		{ROOT, CHOWN, "f", NULL, KEEP, ANN_GID, 0},
		{ROOT, CHMOD, "f", NULL, 06644, 0, 0},
		{ANN, CHOWN, "f", NULL, KEEP, 50, 0},
		{ROOT, CHOWN, "f", NULL, KEEP, BOB_GID, 0},
		{ROOT, CHMOD, "f", NULL, 06644, 0, 0},
		{ANN, CHOWN, "f", NULL, KEEP, 50, 0},
		{ROOT, MKDIR, "d", NULL, 0755, 0, 0},
		{ROOT, CHMOD, "d", NULL, 07755, 0, 0},
		{ROOT, CHOWN, "d", NULL, ANN_UID, ANN_GID, 0},
	};

	SCRIPT_RUN(*state, steps);
}

static void writing_takes_suid_and_sgid_away(void **state)
{
	static const struct script_step steps[] = {
		{ROOT, CREATE, "f", NULL, O_RDWR, 0644, 0},
		{ROOT, CHMOD, "f", NULL, 06777, 0, 0},
		{ROOT, WRITE, "f", NULL, 0, 10, 0},
		{ROOT, TRUNCATE, "f", NULL, 5, 0, 0},
		{ANN, WRITE, "f", NULL, 0, 0, 0},
		{ANN, WRITE, "f", NULL, 0, 10, 0},
		{ROOT, CHMOD, "f", NULL, 06777, 0, 0},
		{ANN, TRUNCATE, "f", NULL, 5, 0, 0},
		{ROOT, CHMOD, "f", NULL, 06777, 0, 0},
		{ANN, FTRUNCATE, "f", NULL, 7, O_RDWR, 0},
		{ROOT, CHMOD, "f", NULL, 06777, 0, 0},
		{ANN, OPEN, "f", NULL, O_WRONLY | O_TRUNC, 0, 0},
		{ROOT, CHMOD, "f", NULL, 06766, 0, 0},
		{ANN, WRITE, "f", NULL, 0, 10, 0},
		{ROOT, CHOWN, "f", NULL, KEEP, 50, 0},
		{ROOT, CHMOD, "f", NULL, 06766, 0, 0},
		{ANN, WRITE, "f", NULL, 0, 10, 0},
		{ROOT, CHOWN, "f", NULL, ANN_UID, KEEP, 0},
		{ROOT, CHMOD, "f", NULL, 06777, 0, 0},
		{ANN, WRITE, "f", NULL, 0, 10, 0},
	};

	SCRIPT_RUN(*state, steps);
}

static void truncate_and_what_it_refuses(void **state)
{
	static const struct script_step steps[] = {
		{ROOT, CREATE, "f", NULL, O_RDWR, 0644, 0},
		{ROOT, MKDIR, "d", NULL, 0755, 0, 0},
		{ROOT, MKNOD, "p", NULL, S_IFIFO | 0666, 0, 0},
		{ROOT, TRUNCATE, "f", NULL, 1000, 0, 0},
		{ROOT, TRUNCATE, "f", NULL, 10, 0, 0},
		{ROOT, TRUNCATE, "f", NULL, 10, 0, 0},
		{ROOT, TRUNCATE, "d", NULL, 10, 0, -EISDIR},
		{ROOT, TRUNCATE, "p", NULL, 10, 0, -EINVAL},
		{ANN, TRUNCATE, "f", NULL, 10, 0, -EACCES},
		{ROOT, FTRUNCATE, "f", NULL, 20, O_WRONLY, 0},
		{ROOT, FTRUNCATE, "f", NULL, 20, O_WRONLY, 0},
		{ROOT, FTRUNCATE, "f", NULL, 20, O_RDONLY, -EINVAL},
	};

	SCRIPT_RUN(*state, steps);
}

static void times_are_the_owner_s_or_now(void **state)
{
	static const struct script_step steps[] = {
		{ROOT, CREATE, "f", NULL, O_RDWR, 0644, 0},
		{ROOT, CHOWN, "f", NULL, ANN_UID, ANN_GID, 0},
		{ANN, UTIMES, "f", NULL, 1000, 2000, 0},
		{ANN, UTIMES, "f", NULL, KEEP, 3000, 0},
		{ANN, UTIMES, "f", NULL, NOW, KEEP, 0},
		{BOB, UTIMES, "f", NULL, NOW, NOW, -EACCES},
		{BOB, UTIMES, "f", NULL, 1, 1, -EPERM},
		{BOB, UTIMES, "f", NULL, NOW, KEEP, -EPERM},
		{ROOT, CHMOD, "f", NULL, 0666, 0, 0},
		{BOB, UTIMES, "f", NULL, NOW, NOW, 0},
		{BOB, UTIMES, "f", NULL, NOW, KEEP, -EPERM},
		{BOB, UTIMES, "f", NULL, KEEP, NOW, -EPERM},
		{BOB, UTIMES, "f", NULL, 1, NOW, -EPERM},
		{BOB, UTIMES, "f", NULL, 1, 1, -EPERM},
		{ROOT, SYMLINK, "l", "x", 0, 0, 0},
		{ROOT, UTIMES, "l", NULL, 5, 6, 0},
	};

	SCRIPT_RUN(*state, steps);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(rights_are_owner_s_group_s_or_others, setup,
						teardown),
		cmocka_unit_test_setup_teardown(directories_are_searched_and_read, setup, teardown),
		cmocka_unit_test_setup_teardown(chmod_is_the_owner_s, setup, teardown),
		cmocka_unit_test_setup_teardown(chown_is_root_s_but_for_groups, setup, teardown),
		cmocka_unit_test_setup_teardown(chown_takes_suid_and_sgid_away, setup, teardown),
		cmocka_unit_test_setup_teardown(writing_takes_suid_and_sgid_away, setup, teardown),
		cmocka_unit_test_setup_teardown(truncate_and_what_it_refuses, setup, teardown),
		cmocka_unit_test_setup_teardown(times_are_the_owner_s_or_now, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
