/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * On whose behalf the tree on a host directory acts: owners, groups and modes of new files, what
 * takes suid and sgid away, ACLs, and that the thread is itself again afterwards.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "devices/fs/fuse_wire.h"
#include "tests/support/dir_share.h"

#define ANN     1000u
#define FRIENDS 50u

static struct dir_share share;

static void begin(unsigned flags, uint64_t session_flags)
{
	const struct fs_tree_dir_options options = {.flags = flags};

	share_begin(&share);
	share_serve(&share, &options);
	share.client.tree->ops->start(share.client.tree, session_flags);
}

#define OPS (share.client.tree->ops)

static void be(uint32_t uid, uint32_t gid)
{
	share.client.uid = uid;
	share.client.gid = gid;
	share.client.group_count = 0;
}

/* What the kernel says of this thread's ids and capabilities, and this process's umask. */
static void who_am_i(char text[4096])
{
	FILE *file = fopen("/proc/thread-self/status", "re");
	char line[256];

	assert_non_null(file);
	text[0] = '\0';
	while (fgets(line, sizeof(line), file) != NULL)
		if (strstr("Umask Uid Gid Groups CapInh CapPrm CapEff", strtok(line, ":")) != NULL)
			strcat(text, strtok(NULL, ""));
	fclose(file);
}

static struct stat host_stat(const char *path)
{
	struct stat st;

	assert_int_equal(lstat(path, &st), 0);
	return st;
}

static void check_owner(const char *path, uint32_t uid, uint32_t gid)
{
	struct stat st = host_stat(path);

	assert_int_equal(st.st_uid, uid);
	assert_int_equal(st.st_gid, gid);
}

static void make_one_of_each(void)
{
	struct tree_client *client = &share.client;
	struct tree_file file;

	assert_int_equal(tree_mkdir(client, "d/dir", 0755), 0);
	assert_int_equal(tree_mknod(client, "d/fifo", S_IFIFO | 0644, 0, 0), 0);
	assert_int_equal(tree_symlink(client, "target", "d/link"), 0);
	assert_int_equal(tree_open(client, "d/file", O_CREAT | O_EXCL | O_RDWR, 0644, &file), 0);
	assert_int_equal(tree_close(client, &file), 0);
}

static void check_each(uint32_t uid, uint32_t gid)
{
	check_owner("share/d/dir", uid, gid);
	check_owner("share/d/fifo", uid, gid);
	check_owner("share/d/link", uid, gid);
	check_owner("share/d/file", uid, gid);
}

static void new_files_are_the_caller_s(void **state)
{
	char before[4096], after[4096];

	(void)state;
	share_need_root();
	begin(0, 0);
	assert_int_equal(tree_mkdir(&share.client, "d", 0777), 0);
	who_am_i(before);
	be(ANN, ANN + 1);
	make_one_of_each();
	check_each(ANN, ANN + 1);
	who_am_i(after);
	assert_string_equal(before, after);
	/* The guest has checked that Ann may, for it knows her groups. */
	assert_int_equal(chmod("share/d", 0755), 0);
	assert_int_equal(tree_mkdir(&share.client, "d/other", 0755), 0);
	share_end(&share);
}

static void with_own_credentials_they_are_this_process_s(void **state)
{
	(void)state;
	begin(FS_DIR_OWN_CREDENTIALS, 0);
	assert_int_equal(tree_mkdir(&share.client, "d", 0777), 0);
	be(ANN, ANN);
	make_one_of_each();
	check_each(geteuid(), getegid());
	share_end(&share);
}

/* An ordinary user cannot be another; root with what a guest made up is not root either. */
static void who_cannot_be_is_refused_or_is_oneself(void **state)
{
	char before[4096], after[4096];

	(void)state;
	begin(0, 0);
	assert_int_equal(tree_mkdir(&share.client, "d", 0777), 0);
	who_am_i(before);
	be(UINT32_MAX, ANN);
	assert_int_equal(tree_mkdir(&share.client, "d/x", 0755), geteuid() == 0 ? -EINVAL : 0);
	be(ANN, UINT32_MAX);
	assert_int_equal(tree_mkdir(&share.client, "d/y", 0755), geteuid() == 0 ? -EINVAL : 0);
	who_am_i(after);
	assert_string_equal(before, after);
	share_end(&share);
}

static void told_groups_count_and_others_do_not(void **state)
{
	(void)state;
	share_need_root();
	begin(0, FUSE_CREATE_SUPP_GROUP);
	assert_int_equal(tree_mkdir(&share.client, "d", 0770), 0);
	assert_int_equal(chown("share/d", 0, FRIENDS), 0);
	be(ANN, ANN);
	assert_int_equal(tree_mkdir(&share.client, "d/x", 0755), -EACCES);
	share.client.group_count = 1;
	share.client.groups[0] = FRIENDS;
	assert_int_equal(tree_mkdir(&share.client, "d/x", 0755), 0);
	check_owner("share/d/x", ANN, ANN);
	share_end(&share);
}

/* What the host makes of it for Ann herself. */
static uint32_t mode_made_by_ann(const char *path, uint32_t mode, uint32_t mask, bool member)
{
	gid_t friends = FRIENDS;
	pid_t child = fork();
	struct stat st;

	if (child == 0) {
		umask(mask);
		if (setgroups(member, &friends) < 0 || setgid(ANN) < 0 || setuid(ANN) < 0)
			_exit(1);
		_exit(open(path, O_CREAT | O_EXCL | O_RDWR, mode) < 0);
	}
	assert_int_equal(waitpid(child, NULL, 0), child);
	st = host_stat(path);
	assert_int_equal(unlink(path), 0);
	return st.st_mode;
}

/* FS-13: sgid is for members only, in a directory that gives its group to what is made in it. */
static void sgid_is_for_members(void **state)
{
	static const struct {
		uint32_t group, umask, mode;
		bool member;
	} cases[] = {
		{0, 0, 0755, false},
		{FRIENDS, 0, 02755, true},
		{0, 033, 0744, false}, /* though the umask leaves no program for the group */
		{FRIENDS, 033, 02744, true},
	};

	(void)state;
	share_need_root();
	begin(0, 0);
	assert_int_equal(mkdir("share/d", 0777), 0);
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct tree_file file;
		struct stat st;

		assert_int_equal(chown("share/d", 0, cases[i].group), 0);
		assert_int_equal(chmod("share/d", 02777), 0);
		be(ANN, ANN);
		share.client.umask = cases[i].umask;
		share.client.group_count = cases[i].member;
		share.client.groups[0] = FRIENDS;
		assert_int_equal(tree_open(&share.client, "d/f", O_CREAT | O_RDWR, 02755, &file),
				 0);
		assert_int_equal(tree_close(&share.client, &file), 0);
		st = host_stat("share/d/f");
		assert_int_equal(st.st_gid, cases[i].group);
		assert_int_equal(st.st_mode, S_IFREG | cases[i].mode);
		assert_int_equal(unlink("share/d/f"), 0);
		assert_int_equal(st.st_mode, mode_made_by_ann("share/d/f", 02755, cases[i].umask,
							      cases[i].member));
	}
	share_end(&share);
}

static uint32_t mode_of(const char *path)
{
	return host_stat(path).st_mode & 07777;
}

static void make_modes(uint32_t guest_umask)
{
	struct tree_client *client = &share.client;
	struct tree_file file;

	client->umask = guest_umask;
	assert_int_equal(tree_mkdir(client, "dir", 01777), 0);
	assert_int_equal(tree_mknod(client, "fifo", S_IFIFO | 0666, 0, 0), 0);
	assert_int_equal(tree_mknod(client, "reg", S_IFREG | 0666, 0, 0), 0);
	assert_int_equal(tree_open(client, "file", O_CREAT | O_RDWR, 04777, &file), 0);
	assert_int_equal(client->call.entry.attr.stx_mode, S_IFREG | (04777 & ~guest_umask));
	assert_int_equal(tree_close(client, &file), 0);
}

static void the_guest_s_umask_counts_and_this_process_s_does_not(void **state)
{
	static const mode_t masks[] = {0, 022, 077, 0777};

	(void)state;
	for (unsigned i = 0; i < 16; i++) {
		mode_t guest = masks[i % 4], own = masks[i / 4], was;

		begin(0, FUSE_DONT_MASK);
		was = umask(own);
		make_modes(guest);
		assert_int_equal(umask(was), own);
		assert_int_equal(mode_of("share/dir"), 01777 & ~guest);
		assert_int_equal(mode_of("share/fifo"), 0666 & ~guest);
		assert_int_equal(mode_of("share/reg"), 0666 & ~guest);
		assert_int_equal(mode_of("share/file"), 04777 & ~guest);
		chmod("share/dir", 0777);
		share_end(&share);
	}
}

/* An ACL as the kernel stores it: user rwx, user ANN, group, mask, other. */
static size_t make_acl(uint8_t acl[64], uint16_t named, uint16_t group, uint16_t other)
{
	const uint16_t entries[5][2] = {{1, 7}, {2, named}, {4, group}, {16, 7}, {32, other}};

	memcpy(acl, "\2\0\0\0", 4);
	for (unsigned i = 0; i < 5; i++) {
		uint8_t *at = acl + 4 + 8 * i;

		memset(at, 0xff, 8);
		at[0] = (uint8_t)entries[i][0];
		at[1] = at[3] = 0;
		at[2] = (uint8_t)entries[i][1];
		if (entries[i][0] == 2) {
			at[4] = ANN & 255;
			at[5] = ANN >> 8;
			at[6] = at[7] = 0;
		}
	}
	return 4 + 5 * 8;
}

static void a_default_acl_stands_in_for_the_umask(void **state)
{
	uint8_t acl[64];
	size_t size = make_acl(acl, 7, 5, 5);
	mode_t was;

	(void)state;
	begin(0, FUSE_DONT_MASK | FUSE_POSIX_ACL);
	if (setxattr("share", "system.posix_acl_default", acl, size, 0) != 0) {
		share_end(&share);
		skip();
	}
	share.client.umask = 077;
	was = umask(077);
	assert_int_equal(tree_mkdir(&share.client, "dir", 0775), 0);
	assert_int_equal(tree_mknod(&share.client, "file", S_IFREG | 0664, 0, 0), 0);
	umask(was);
	assert_int_equal(mode_of("share/dir"), 0775);
	assert_int_equal(mode_of("share/file"), 0664);
	assert_int_equal(getxattr("share/dir", "system.posix_acl_default", acl, sizeof(acl)), size);
	share_end(&share);
}

static void acls_are_for_guests_that_know_them(void **state)
{
	uint8_t acl[64], got[64];
	char names[256];
	size_t size = make_acl(acl, 6, 4, 0);

	(void)state;
	for (unsigned known = 0; known < 2; known++) {
		struct tree_client *client = &share.client;
		int64_t listed;

		begin(0, known ? FUSE_POSIX_ACL : 0);
		share_write("share/f", "");
		if (setxattr("share/f", "system.posix_acl_access", acl, size, 0) != 0) {
			share_end(&share);
			skip();
		}
		setxattr("share/f", "user.a", "v", 1, 0);
		listed = tree_listxattr(client, "f", names, sizeof(names));
		assert_true(listed > 0);
		assert_int_equal(memmem(names, (size_t)listed, "acl", 3) != NULL, known);
		assert_non_null(memmem(names, (size_t)listed, "user.a", 7));
		assert_int_equal(
			tree_getxattr(client, "f", "system.posix_acl_access", got, sizeof(got)),
			known ? (int64_t)size : -EOPNOTSUPP);
		assert_int_equal(
			tree_setxattr(client, "f", "system.posix_acl_access", acl, size, 0),
			known ? 0 : -EOPNOTSUPP);
		assert_int_equal(tree_removexattr(client, "f", "system.posix_acl_access"),
				 known ? 0 : -EOPNOTSUPP);
		share_end(&share);
	}
}

static void an_acl_takes_sgid_away_if_the_guest_says_so(void **state)
{
	static const struct {
		const char *name;
		bool kill, stays;
	} rows[] = {
		{"system.posix_acl_access", false, true},
		{"system.posix_acl_access", true, false},
		{"user.name", true, true}, /* is no ACL */
	};
	uint8_t acl[64];
	size_t size = make_acl(acl, 6, 4, 0);

	(void)state;
	share_need_root();
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint64_t node;

		begin(0, FUSE_POSIX_ACL | FUSE_SETXATTR_EXT);
		share_write("share/f", "");
		assert_int_equal(chmod("share/f", 02755), 0);
		assert_int_equal(tree_walk(&share.client, "f", &node), 0);
		tree_begin(&share.client, node)->name = rows[i].name;
		share.client.call.flags = rows[i].kill ? FS_ACL_KILL_SGID : 0;
		tree_data(&share.client, acl, size);
		assert_int_equal(tree_run(&share.client, OPS->setxattr), 0);
		assert_int_equal(mode_of("share/f") & S_ISGID, rows[i].stays ? S_ISGID : 0);
		share_end(&share);
	}
}

/* FS-14 */

enum how { WRITE, TRUNCATE, OPEN_TRUNCATE, CREATE_TRUNCATE, KILL_ONLY, HOWS };

static void change(enum how how, bool kill)
{
	struct tree_client *client = &share.client;
	uint64_t node, handle;

	assert_int_equal(tree_walk(client, "f", &node), 0);
	tree_begin(client, node);
	client->call.open_flags = O_WRONLY;
	client->call.set = (how == TRUNCATE ? FS_SET_SIZE : 0) | (kill ? FS_SET_KILL_PRIV : 0);
	if (how == TRUNCATE || how == KILL_ONLY) {
		assert_int_equal(tree_run(client, OPS->setattr), 0);
		return;
	}
	client->call.flags = kill ? FS_KILL_PRIV : 0;
	client->call.open_flags |= how == WRITE ? 0 : O_TRUNC;
	if (how == CREATE_TRUNCATE) {
		client->call.node = FS_ROOT;
		client->call.name = "f";
		assert_int_equal(tree_run(client, OPS->create), 0);
		return;
	}
	assert_int_equal(tree_run(client, OPS->open), 0);
	if (how != WRITE)
		return;
	handle = client->call.new_handle;
	tree_begin(client, node)->handle = handle;
	client->call.flags = kill ? FS_KILL_PRIV : 0;
	tree_data(client, "x", 1);
	assert_int_equal(tree_run(client, OPS->write), 0);
}

static void suid_and_sgid_go_when_the_guest_says_so(void **state)
{
	char before[4096], after[4096];

	(void)state;
	who_am_i(before);
	for (int how = 0; how < HOWS; how++) {
		for (unsigned kill = 0; kill < 2; kill++) {
			begin(0, FUSE_HANDLE_KILLPRIV_V2);
			share_write("share/f", "text");
			assert_int_equal(chmod("share/f", 06755), 0);
			change((enum how)how, kill);
			/* The kernel always does it to an ordinary user. */
			if (kill || geteuid() == 0)
				assert_int_equal(mode_of("share/f"), kill ? 0755 : 06755);
			share_end(&share);
		}
	}
	who_am_i(after);
	assert_string_equal(before, after);
}

static void access_is_asked_for_the_caller(void **state)
{
	struct tree_client *client = &share.client;

	(void)state;
	share_need_root();
	begin(0, 0);
	share_write("share/f", "");
	assert_int_equal(chmod("share/f", 0640) + chown("share/f", 1, FRIENDS), 0);
	assert_int_equal(tree_access(client, "f", R_OK | W_OK), 0);
	assert_int_equal(tree_access(client, "f", X_OK), -EACCES);
	be(1, 1);
	assert_int_equal(tree_access(client, "f", R_OK | W_OK), 0);
	be(ANN, ANN);
	assert_int_equal(tree_access(client, "f", R_OK), -EACCES);
	client->group_count = 1;
	client->groups[0] = FRIENDS;
	assert_int_equal(tree_access(client, "f", R_OK), 0);
	assert_int_equal(tree_access(client, "f", W_OK), -EACCES);
	assert_int_equal(tree_access(client, "f", 8), -EINVAL);
	share_end(&share);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(new_files_are_the_caller_s),
		cmocka_unit_test(with_own_credentials_they_are_this_process_s),
		cmocka_unit_test(who_cannot_be_is_refused_or_is_oneself),
		cmocka_unit_test(told_groups_count_and_others_do_not),
		cmocka_unit_test(sgid_is_for_members),
		cmocka_unit_test(the_guest_s_umask_counts_and_this_process_s_does_not),
		cmocka_unit_test(a_default_acl_stands_in_for_the_umask),
		cmocka_unit_test(acls_are_for_guests_that_know_them),
		cmocka_unit_test(an_acl_takes_sgid_away_if_the_guest_says_so),
		cmocka_unit_test(suid_and_sgid_go_when_the_guest_says_so),
		cmocka_unit_test(access_is_asked_for_the_caller),
	};

	return SHARE_RUN(tests);
}
