/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Nothing outside the shared directory is opened, read or changed: names that lead out,
 * links in every position, directories that are replaced between steps, mounts. Special
 * files are never opened. Each on every way of opening that the tree has.
 */
#define _GNU_SOURCE /* RENAME_EXCHANGE, O_DIRECTORY */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/dir_share.h"

static const unsigned ways[] = {
	0,
	FS_DIR_NO_OPENAT2,
	FS_DIR_NO_HANDLES,
	FS_DIR_NO_OPENAT2 | FS_DIR_NO_HANDLES,
	FS_DIR_EXCLUSIVE,
	FS_DIR_EXCLUSIVE | FS_DIR_NO_HANDLES,
};

#define WAYS (sizeof(ways) / sizeof(ways[0]))

static struct dir_share share;

static void begin(unsigned way)
{
	const struct fs_tree_dir_options options = {.flags = ways[way], .fd_max = 32};

	share_begin(&share);
	share_serve(&share, &options);
}

#define OPS (share.client.tree->ops)

/* Every operation that takes a name, on name in directory node. Returns how many succeeded. */
static unsigned attack(uint64_t node, const char *name)
{
	struct tree_client *client = &share.client;
	fs_tree_op *const named[] = {OPS->lookup, OPS->mknod,  OPS->mkdir, OPS->symlink,
				     OPS->create, OPS->unlink, OPS->rmdir};
	unsigned done = 0;

	for (unsigned i = 0; i < sizeof(named) / sizeof(named[0]); i++) {
		struct fs_call *call = tree_begin(client, node);

		call->name = name;
		call->mode = 0666;
		call->target = "target";
		call->open_flags = O_CREAT | O_RDWR | O_TRUNC;
		done += tree_run(client, named[i]) == 0;
		tree_begin(client, FS_ROOT)->name = i % 2 ? "victim" : name;
		client->call.new_parent = i % 2 ? node : FS_ROOT;
		client->call.node = i % 2 ? FS_ROOT : node;
		client->call.new_name = i % 2 ? name : "stolen";
		client->call.rename_flags = i >= 4 ? RENAME_EXCHANGE : 0;
		done += tree_run(client, OPS->rename) == 0;
	}
	return done;
}

static unsigned attack_link(uint64_t node, uint64_t parent, const char *name)
{
	tree_begin(&share.client, node)->new_parent = parent;
	share.client.call.new_name = name;
	return tree_run(&share.client, OPS->link) == 0;
}

static void names_that_lead_elsewhere_are_refused(void **state)
{
	static const char *const names[] = {
		"..",
		".",
		"",
		"/",
		"../outside/canary",
		"dir/../../outside/canary",
		"dir/file",
		"/etc/passwd",
		"../share",
		"dir/",
		"/dir",
	};

	(void)state;
	for (unsigned way = 0; way < WAYS; way++) {
		uint64_t dir, file;

		begin(way);
		assert_int_equal(tree_mkdir(&share.client, "dir", 0755), 0);
		assert_int_equal(tree_mknod(&share.client, "dir/file", S_IFREG | 0644, 0, 0), 0);
		assert_int_equal(tree_walk(&share.client, "dir", &dir), 0);
		assert_int_equal(tree_walk(&share.client, "dir/file", &file), 0);
		for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
			assert_int_equal(attack(dir, names[i]), 0);
			assert_int_equal(attack(FS_ROOT, names[i]), 0);
			assert_int_equal(attack_link(file, dir, names[i]), 0);
		}
		assert_int_equal(access("share/dir/file", F_OK), 0);
		share_end(&share);
	}
}

/* Whatever may be done with an inode that is a link, a device and so on. */
static void use_all(const char *path)
{
	static const struct statx attr = {.stx_size = 1};
	struct tree_client *client = &share.client;
	struct tree_file file;
	char bytes[64];

	for (unsigned i = 0; i < 4; i++) {
		const uint32_t flags[] = {O_RDONLY, O_WRONLY | O_TRUNC, O_RDWR, O_DIRECTORY};

		assert_true(tree_open(client, path, flags[i], 0, &file) < 0);
		assert_true(tree_open(client, path, O_CREAT | flags[i], 0644, &file) < 0);
	}
	assert_true(tree_setattr(client, path, FS_SET_SIZE, &attr) < 0);
	assert_int_equal(tree_setattr(client, path, FS_SET_ATIME_NOW | FS_SET_MTIME_NOW, &attr), 0);
	tree_setattr(client, path, FS_SET_MODE, &attr);
	tree_setxattr(client, path, "user.x", "v", 1, 0);
	tree_setxattr(client, path, "trusted.x", "v", 1, 0);
	tree_getxattr(client, path, "user.x", bytes, sizeof(bytes));
	tree_listxattr(client, path, bytes, sizeof(bytes));
	tree_removexattr(client, path, "user.x");
	tree_access(client, path, R_OK | W_OK);
}

static void links_are_never_followed(void **state)
{
	static const char *const links[] = {"absolute", "relative", "file", "loop", "magic"};
	char target[PATH_MAX + 16];

	(void)state;
	for (unsigned way = 0; way < WAYS; way++) {
		begin(way);
		snprintf(target, sizeof(target), "%s/outside", share.top);
		assert_int_equal(symlink(target, "share/absolute"), 0);
		assert_int_equal(symlink("../outside", "share/relative"), 0);
		assert_int_equal(symlink("../outside/canary", "share/file"), 0);
		assert_int_equal(symlink("loop", "share/loop"), 0);
		assert_int_equal(symlink("/proc/self/cwd/outside/canary", "share/magic"), 0);
		for (unsigned i = 0; i < sizeof(links) / sizeof(links[0]); i++) {
			uint64_t node;

			use_all(links[i]);
			assert_int_equal(tree_walk(&share.client, links[i], &node), 0);
			assert_int_equal(attack(node, "canary"), 0);
			assert_int_equal(attack(node, "new"), 0);
			/* Another name for the link, not for what it points to. */
			assert_int_equal(attack_link(node, FS_ROOT, "twin"), 1);
			assert_int_equal(tree_open(&share.client, "twin", O_RDONLY, 0,
						   &(struct tree_file){0}),
					 -ELOOP);
			assert_int_equal(tree_unlink(&share.client, "twin"), 0);
		}
		share_end(&share);
	}
}

static void special_files_are_never_opened(void **state)
{
	(void)state;
	for (unsigned way = 0; way < WAYS; way++) {
		static const char *const names[] = {"fifo", "socket", "device"};
		unsigned count = geteuid() == 0 ? 3 : 2;
		struct tree_client *client = &share.client;

		begin(way);
		assert_int_equal(tree_mknod(client, "fifo", S_IFIFO | 0666, 0, 0), 0);
		assert_int_equal(tree_mknod(client, "socket", S_IFSOCK | 0666, 0, 0), 0);
		assert_int_equal(tree_mknod(client, "device", S_IFCHR | 0666, 1, 3),
				 geteuid() == 0 ? 0 : -EPERM);
		for (unsigned i = 0; i < count; i++) {
			char path[32];
			int watch;

			snprintf(path, sizeof(path), "share/%s", names[i]);
			watch = share_watch(path);
			use_all(names[i]);
			assert_int_equal(share_seen(watch) & (IN_OPEN | IN_ACCESS | IN_MODIFY), 0);
			close(watch);
		}
		share_end(&share);
	}
}

/* So many directories are in use that no descriptor of another one is left in the cache. */
static void flush_cache(void)
{
	for (unsigned i = 0; i < 64; i++) {
		char path[32];
		uint64_t node;

		snprintf(path, sizeof(path), "cold%u", i);
		assert_int_equal(tree_mkdir(&share.client, path, 0755), 0);
		assert_int_equal(tree_walk(&share.client, path, &node), 0);
		assert_int_equal(tree_run_name(&share.client, OPS->lookup, node, "x"), -ENOENT);
	}
}

/* dir/below with a file, known to the guest; then the host does something to dir. */
static void know(uint64_t node[3])
{
	assert_int_equal(tree_mkdir(&share.client, "dir", 0755), 0);
	assert_int_equal(tree_mkdir(&share.client, "dir/below", 0755), 0);
	assert_int_equal(tree_mknod(&share.client, "dir/canary", S_IFREG | 0644, 0, 0), 0);
	assert_int_equal(tree_mknod(&share.client, "victim", S_IFREG | 0644, 0, 0), 0);
	assert_int_equal(tree_walk(&share.client, "dir", &node[0]), 0);
	assert_int_equal(tree_walk(&share.client, "dir/below", &node[1]), 0);
	assert_int_equal(tree_walk(&share.client, "dir/canary", &node[2]), 0);
	flush_cache();
}

static int open_node(uint64_t node)
{
	tree_begin(&share.client, node)->open_flags = O_RDWR | O_TRUNC;
	return tree_run(&share.client, OPS->open);
}

static void a_link_in_the_place_of_a_directory_is_not_followed(void **state)
{
	(void)state;
	for (unsigned way = 0; way < WAYS; way++) {
		uint64_t node[3];

		begin(way);
		know(node);
		assert_int_equal(rename("share/dir", "share/elsewhere"), 0);
		assert_int_equal(symlink("../outside", "share/dir"), 0);
		assert_int_equal(mkdir("outside/below", 0755), 0);
		share_seen(share.watch);
		attack(node[0], "canary");
		attack(node[1], "canary");
		open_node(node[2]);
		share_check_canary(&share);
		assert_int_equal(rmdir("outside/below"), 0);
		share_seen(share.watch);
		share_end(&share);
	}
}

static void what_the_host_moved_away_is_not_found(void **state)
{
	(void)state;
	for (unsigned way = 0; way < WAYS; way++) {
		uint64_t node[3];

		begin(way);
		know(node);
		assert_int_equal(rename("share/dir", "outside/dir"), 0);
		share_write("outside/dir/below/secret", "secret");
		share_seen(share.watch);
		assert_int_equal(attack(node[0], "canary"), 0);
		assert_int_equal(attack(node[0], "new"), 0);
		assert_int_equal(attack(node[1], "secret"), 0);
		assert_int_equal(open_node(node[2]), -ESTALE);
		assert_int_equal(access("outside/dir/canary", F_OK), 0);
		assert_int_equal(rename("outside/dir", "share/dir"), 0);
		share_seen(share.watch);
		/* It is back, so it is there again. */
		assert_int_equal(open_node(node[2]), 0);
		share_end(&share);
	}
}

static void another_file_of_the_same_name_is_not_taken_for_it(void **state)
{
	(void)state;
	for (unsigned way = 0; way < WAYS; way++) {
		uint64_t node[3];

		begin(way);
		know(node);
		assert_int_equal(rename("share/dir/canary", "outside/moved"), 0);
		share_write("share/dir/canary", "other");
		assert_int_equal(link("outside/moved", "outside/moved2"), 0);
		share_seen(share.watch);
		assert_int_equal(open_node(node[2]), -ESTALE);
		assert_int_equal(share_seen(share.watch), 0);
		assert_int_equal(unlink("outside/moved") + unlink("outside/moved2"), 0);
		share_seen(share.watch);
		share_end(&share);
	}
}

/* Over a directory and over a file; before and after the guest knows what is below. */
static void mounts_are_not_part_of_the_tree(void **state)
{
	(void)state;
	share_need_mounts();
	for (unsigned way = 0; way < WAYS; way++) {
		struct tree_client *client = &share.client;
		struct statx attr;
		uint64_t node[3];

		begin(way);
		know(node);
		assert_int_equal(mount("outside", "share/dir", NULL, MS_BIND, NULL), 0);
		assert_int_equal(mount("outside/canary", "share/victim", NULL, MS_BIND, NULL), 0);
		share_seen(share.watch);
		attack(node[0], "canary");
		attack(node[1], "canary");
		open_node(node[2]);
		assert_int_equal(tree_stat(client, "dir", &attr), -EXDEV);
		assert_int_equal(tree_stat(client, "victim", &attr), -EXDEV);
		assert_int_equal(tree_open(client, "victim", O_CREAT | O_RDWR | O_TRUNC, 0644,
					   &(struct tree_file){0}),
				 -EXDEV);
		share_check_canary(&share);
		assert_int_equal(umount("share/dir") + umount("share/victim"), 0);
		share_end(&share);
	}
}

static bool forbid_openat2(void)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat2, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {sizeof(filter) / sizeof(filter[0]), filter};

	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
	       prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0 &&
	       syscall(SYS_openat2, AT_FDCWD, ".", NULL, 0) < 0 && errno == ENOSYS;
}

/* Descriptors are given up, so that the way to the file is walked. No assertion: see below. */
static bool is_confined(void)
{
	const struct fs_tree_dir_options options = {.flags = FS_DIR_NO_HANDLES, .fd_max = 32};
	struct tree_client *client = &share.client;
	uint64_t node, other;

	if (fs_tree_dir_create(&client->tree, "share", &options) != 0 ||
	    tree_walk(client, "d/e/f", &node) != 0)
		return false;
	for (unsigned i = 0; i < 40; i++) {
		char name[16];

		snprintf(name, sizeof(name), "d%u", i);
		if (tree_mkdir(client, name, 0755) != 0 || tree_walk(client, name, &other) != 0)
			return false;
	}
	tree_begin(client, node);
	if (tree_run(client, OPS->open) != 0 || rename("share/d/e", "share/d/was") != 0 ||
	    symlink("../../outside", "share/d/e") != 0)
		return false;
	return tree_walk(client, "d/e/canary", &other) == -ENOTDIR;
}

/* In a process of its own, which the test's assertions would not end. */
static void a_kernel_without_openat2_will_do(void **state)
{
	int status;
	pid_t child;

	(void)state;
	share_begin(&share);
	assert_int_equal(mkdir("share/d", 0755) + mkdir("share/d/e", 0755), 0);
	share_write("share/d/e/f", "text");
	child = fork();
	if (child == 0)
		_exit(forbid_openat2() && is_confined() ? 0 : 1);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	share_end(&share);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_that_lead_elsewhere_are_refused),
		cmocka_unit_test(links_are_never_followed),
		cmocka_unit_test(special_files_are_never_opened),
		cmocka_unit_test(a_link_in_the_place_of_a_directory_is_not_followed),
		cmocka_unit_test(what_the_host_moved_away_is_not_found),
		cmocka_unit_test(another_file_of_the_same_name_is_not_taken_for_it),
		cmocka_unit_test(mounts_are_not_part_of_the_tree),
		cmocka_unit_test(a_kernel_without_openat2_will_do),
	};

	return SHARE_RUN(tests);
}
