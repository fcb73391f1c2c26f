/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Descriptors of the tree on a host directory: there are never more than were allowed, however
 * many files the guest knows and holds; and a file without one is found again, as
 * long as the guest's own doing left it somewhere.
 */
#define _GNU_SOURCE /* RENAME_EXCHANGE, O_TMPFILE */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "tests/support/dir_share.h"

#define FD_MAX 32u

static const unsigned ways[] = {
	0,
	FS_DIR_NO_HANDLES,
	FS_DIR_NO_OPENAT2,
	FS_DIR_EXCLUSIVE,
	FS_DIR_EXCLUSIVE | FS_DIR_NO_HANDLES,
};

#define WAYS (sizeof(ways) / sizeof(ways[0]))

static struct dir_share share;
static unsigned fds_before;

static void serve(unsigned way)
{
	const struct fs_tree_dir_options options = {.flags = ways[way], .fd_max = FD_MAX};

	share_serve(&share, &options);
}

static void begin(unsigned way)
{
	share_begin(&share);
	fds_before = share_fd_count();
	serve(way);
}

static void end(void)
{
	share.client.tree->ops->destroy(share.client.tree);
	share.client.tree = NULL;
	assert_int_equal(share_fd_count(), fds_before);
	share_end(&share);
}

#define OPS (share.client.tree->ops)

static void check_fds(void)
{
	assert_true(share_fd_count() <= fds_before + FD_MAX);
}

static int open_node(uint64_t node, uint64_t *handle)
{
	int error;

	tree_begin(&share.client, node)->open_flags = O_RDWR;
	error = tree_run(&share.client, OPS->open);
	*handle = share.client.call.new_handle;
	return error;
}

static void close_node(uint64_t node, uint64_t handle)
{
	tree_begin(&share.client, node)->handle = handle;
	assert_int_equal(tree_run(&share.client, OPS->release), 0);
}

/* What the node's file says: it holds a number. -errno */
static int number_in(uint64_t node)
{
	char text[16] = "";
	uint64_t handle;
	int number = -1, error = open_node(node, &handle);

	if (error)
		return error;
	tree_begin(&share.client, node)->handle = handle;
	tree_data(&share.client, text, sizeof(text) - 1);
	assert_int_equal(tree_run(&share.client, OPS->read), 0);
	assert_int_equal(sscanf(text, "%d", &number), 1);
	close_node(node, handle);
	return number;
}

static int status_of(uint64_t node)
{
	tree_begin(&share.client, node);
	return tree_run(&share.client, OPS->getattr);
}

static void make_number(const char *path, int number)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", number);
	share_write(path, text);
}

/* Other directories take all descriptors but those in use. */
static void flush_cache(void)
{
	for (unsigned i = 0; i < FD_MAX; i++) {
		char path[32];
		uint64_t node;

		snprintf(path, sizeof(path), "share/cold%u", i);
		mkdir(path, 0755);
		assert_int_equal(tree_walk(&share.client, path + strlen("share/"), &node), 0);
		assert_int_equal(tree_run_name(&share.client, OPS->lookup, node, "x"), -ENOENT);
	}
	check_fds();
}

#define DIRS  50
#define FILES 100
#define ALL   (DIRS * FILES)

static void path_of(int i, char path[64])
{
	snprintf(path, 64, "share/d%d/f%d", i / FILES, i % FILES);
}

static void make_many(void)
{
	char path[64];

	for (int i = 0; i < ALL; i++) {
		if (i % FILES == 0) {
			snprintf(path, sizeof(path), "share/d%d", i / FILES);
			assert_int_equal(mkdir(path, 0755), 0);
		}
		path_of(i, path);
		make_number(path, i);
	}
}

/* In an order that no cache likes. */
static void use_many(uint64_t node[ALL])
{
	char path[64];

	for (int i = 0; i < ALL; i++) {
		path_of(i, path);
		assert_int_equal(tree_walk(&share.client, path + strlen("share/"), &node[i]), 0);
	}
	check_fds();
	for (int i = 0, at = 0; i < ALL / 2; i++, at = (at + 7919) % ALL) {
		assert_int_equal(number_in(node[at]), at);
		if (i % 1000 == 0)
			check_fds();
	}
	check_fds();
}

static void any_number_of_files_needs_few_descriptors(void **state)
{
	static uint64_t node[ALL];
	struct rlimit few = {128, 128}, was;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
	few.rlim_max = was.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	share_begin_large(&share);
	fds_before = share_fd_count();
	make_many();
	serve(0);
	use_many(node);
	serve(1);
	use_many(node);
	end();
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
}

/* FS-11: no more than were allowed, and what needs no handle goes on. */
static void handles_have_a_limit_and_look_ups_have_not(void **state)
{
	(void)state;
	for (unsigned way = 0; way < WAYS; way++) {
		uint64_t node, below, handle[FD_MAX];
		unsigned count = 0;

		begin(way);
		assert_int_equal(tree_mkdir(&share.client, "d", 0755), 0);
		make_number("share/d/f", 7);
		flush_cache();
		assert_int_equal(tree_walk(&share.client, "d/f", &node), 0);
		while (count < FD_MAX && open_node(node, &handle[count]) == 0)
			count++;
		assert_in_range(count, FD_MAX / 2, FD_MAX - 1);
		assert_int_equal(open_node(node, &handle[count]), -ENFILE);
		assert_int_equal(tree_open(&share.client, "d/n", O_CREAT | O_RDWR, 0644,
					   &(struct tree_file){0}),
				 -ENFILE);
		assert_int_equal(access("share/d/n", F_OK), -1);
		check_fds();
		flush_cache();
		assert_int_equal(tree_walk(&share.client, "d/f", &below), 0);
		assert_int_equal(tree_mkdir(&share.client, "d/more", 0755), 0);
		assert_int_equal(status_of(node), 0);
		close_node(node, handle[--count]);
		assert_int_equal(number_in(node), 7);
		while (count > 0)
			close_node(node, handle[--count]);
		end();
	}
}

static void a_name_that_the_guest_removes_leaves_the_file(void **state)
{
	(void)state;
	for (unsigned way = 0; way < WAYS; way++) {
		uint64_t removed, replaced, directory;

		begin(way);
		make_number("share/removed", 1);
		make_number("share/replaced", 2);
		make_number("share/by", 3);
		assert_int_equal(mkdir("share/directory", 0755), 0);
		assert_int_equal(tree_walk(&share.client, "removed", &removed), 0);
		assert_int_equal(tree_walk(&share.client, "replaced", &replaced), 0);
		assert_int_equal(tree_walk(&share.client, "directory", &directory), 0);
		assert_int_equal(tree_unlink(&share.client, "removed"), 0);
		assert_int_equal(tree_rename(&share.client, "by", "replaced", 0), 0);
		assert_int_equal(tree_rmdir(&share.client, "directory"), 0);
		make_number("share/removed", 4);
		flush_cache();
		assert_int_equal(number_in(removed), 1);
		assert_int_equal(number_in(replaced), 2);
		assert_int_equal(status_of(directory), 0);
		assert_int_equal(share.client.call.entry.attr.stx_nlink, 0);
		tree_forget(&share.client, removed, 1);
		assert_int_equal(status_of(removed), -ESTALE);
		end();
	}
}

static void of_too_many_removed_files_the_oldest_are_lost(void **state)
{
	enum { MANY = 4 * FD_MAX };
	(void)state;
	for (unsigned way = 0; way < 2; way++) {
		uint64_t node[MANY];
		unsigned found = 0;

		begin(way);
		for (int i = 0; i < MANY; i++) {
			make_number("share/f", i);
			assert_int_equal(tree_walk(&share.client, "f", &node[i]), 0);
			assert_int_equal(tree_unlink(&share.client, "f"), 0);
		}
		check_fds();
		for (int i = MANY; i-- > 0;) {
			int number = number_in(node[i]);

			assert_true(number == i || number == -ESTALE);
			found += number == i;
		}
		assert_in_range(found, FD_MAX / 4, FD_MAX);
		assert_int_equal(number_in(node[MANY - 1]), MANY - 1);
		end();
	}
}

static void what_the_guest_renames_is_found_again(void **state)
{
	(void)state;
	for (unsigned way = 0; way < WAYS; way++) {
		struct tree_client *client = &share.client;
		uint64_t file, deep, other;

		begin(way);
		assert_int_equal(mkdir("share/a", 0755) + mkdir("share/b", 0755), 0);
		assert_int_equal(mkdir("share/a/c", 0755), 0);
		make_number("share/a/f", 1);
		make_number("share/a/c/deep", 2);
		make_number("share/b/other", 3);
		assert_int_equal(tree_walk(client, "a/f", &file), 0);
		assert_int_equal(tree_walk(client, "a/c/deep", &deep), 0);
		assert_int_equal(tree_walk(client, "b/other", &other), 0);
		assert_int_equal(tree_rename(client, "a/f", "b/g", 0), 0);
		flush_cache();
		assert_int_equal(number_in(file), 1);
		assert_int_equal(tree_rename(client, "a/c", "b/c2", 0), 0);
		assert_int_equal(tree_rename(client, "b", "a/b2", 0), 0);
		flush_cache();
		assert_int_equal(number_in(file), 1);
		assert_int_equal(number_in(deep), 2);
		assert_int_equal(number_in(other), 3);
		assert_int_equal(tree_rename(client, "a/b2/g", "a/b2/other", RENAME_EXCHANGE), 0);
		assert_int_equal(tree_rename(client, "a", "z", RENAME_NOREPLACE), 0);
		flush_cache();
		assert_int_equal(number_in(file), 1);
		assert_int_equal(number_in(other), 3);
		assert_int_equal(number_in(deep), 2);
		end();
	}
}

static void one_of_several_names_is_enough(void **state)
{
	(void)state;
	for (unsigned way = 0; way < WAYS; way++) {
		uint64_t node, same;

		begin(way);
		make_number("share/f", 1);
		assert_int_equal(tree_walk(&share.client, "f", &node), 0);
		assert_int_equal(tree_link(&share.client, "f", "g"), 0);
		assert_int_equal(tree_unlink(&share.client, "g"), 0);
		flush_cache();
		assert_int_equal(number_in(node), 1);
		assert_int_equal(tree_link(&share.client, "f", "g"), 0);
		assert_int_equal(tree_unlink(&share.client, "f"), 0);
		flush_cache();
		assert_int_equal(number_in(node), 1);
		assert_int_equal(tree_walk(&share.client, "g", &same), 0);
		assert_int_equal(same, node);
		assert_int_equal(number_in(node), 1);
		end();
	}
}

/* The host's doing: its file is found, or nothing is, but never another one. */
static void what_the_host_renames_is_found_or_stale(void **state)
{
	(void)state;
	for (unsigned way = 0; way < WAYS; way++) {
		uint64_t file, dir, same;
		int number;

		begin(way);
		assert_int_equal(mkdir("share/d", 0755), 0);
		make_number("share/d/f", 1);
		assert_int_equal(tree_walk(&share.client, "d", &dir), 0);
		assert_int_equal(tree_walk(&share.client, "d/f", &file), 0);
		assert_int_equal(rename("share/d/f", "share/d/g"), 0);
		make_number("share/d/f", 2);
		flush_cache();
		number = number_in(file);
		assert_true(number == 1 || number == -ESTALE);
		/* Seen under its new name, it is the same node. */
		assert_int_equal(tree_walk(&share.client, "d/g", &same), 0);
		assert_int_equal(same, file);
		assert_int_equal(number_in(file), 1);
		end();
	}
}

/* Deeper than a path of the host can be long. */
static void directories_may_be_deep(void **state)
{
	enum { DEPTH = 2 * FD_MAX };
	char name[100] = "";

	(void)state;
	for (unsigned way = 0; way < WAYS; way++) {
		uint64_t node[DEPTH + 1] = {FS_ROOT};

		begin(way);
		memset(name, 'n', sizeof(name) - 1);
		for (int i = 0; i < DEPTH; i++) {
			tree_begin(&share.client, node[i])->name = name;
			share.client.call.mode = 0755;
			assert_int_equal(tree_run(&share.client, OPS->mkdir), 0);
			node[i + 1] = share.client.call.entry.node;
		}
		flush_cache();
		assert_int_equal(status_of(node[DEPTH]), 0);
		flush_cache();
		assert_int_equal(tree_run_name(&share.client, OPS->lookup, node[DEPTH], "x"),
				 -ENOENT);
		check_fds();
		for (int i = DEPTH; i-- > 0;)
			assert_int_equal(tree_run_name(&share.client, OPS->rmdir, node[i], name),
					 0);
		end();
	}
}

static void files_without_names_stay_while_they_are_held(void **state)
{
	(void)state;
	for (unsigned way = 0; way < WAYS; way++) {
		struct fs_call *call;
		uint64_t node, handle;

		begin(way);
		call = tree_begin(&share.client, FS_ROOT);
		call->mode = 0600;
		call->open_flags = O_RDWR;
		assert_int_equal(tree_run(&share.client, OPS->tmpfile), 0);
		node = share.client.call.entry.node;
		handle = share.client.call.new_handle;
		tree_begin(&share.client, node)->handle = handle;
		tree_data(&share.client, "5", 1);
		assert_int_equal(tree_run(&share.client, OPS->write), 0);
		close_node(node, handle);
		flush_cache();
		assert_int_equal(number_in(node), 5);
		tree_begin(&share.client, node)->new_parent = FS_ROOT;
		share.client.call.new_name = "named";
		assert_int_equal(tree_run(&share.client, OPS->link), 0);
		assert_int_equal(share.client.call.entry.node, node);
		flush_cache();
		assert_int_equal(number_in(node), 5);
		end();
	}
}

/* With more of them several are closed at a time: those that wait count too. */
static void what_waits_to_be_closed_is_counted(void **state)
{
	enum { MANY = 512 };
	const struct fs_tree_dir_options options = {.fd_max = MANY};
	unsigned most = 0;

	(void)state;
	share_begin(&share);
	fds_before = share_fd_count();
	share_serve(&share, &options);
	for (unsigned i = 0; i < MANY + 50; i++) {
		unsigned count;
		char path[32];
		uint64_t node;

		snprintf(path, sizeof(path), "share/f%u", i);
		make_number(path, (int)i);
		assert_int_equal(tree_walk(&share.client, path + strlen("share/"), &node), 0);
		count = i > MANY - 50 ? share_fd_count() : 0;
		most = count > most ? count : most;
	}
	assert_in_range(most, fds_before + MANY - 20, fds_before + MANY);
	end();
}

/* Of the process, whoever has them all. */
static void without_descriptors_names_can_be_looked_up(void **state)
{
	struct rlimit none = {0, 0}, was;
	uint64_t node;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
	none.rlim_max = was.rlim_max;
	for (unsigned way = 0; way < WAYS; way++) {
		begin(way);
		make_number("share/f", 1);
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
		assert_int_equal(tree_walk(&share.client, "f", &node), 0);
		assert_int_equal(status_of(node), 0);
		assert_int_equal(number_in(node), -EMFILE);
		assert_int_equal(tree_mkdir(&share.client, "d", 0755), -EMFILE);
		assert_int_equal(access("share/d", F_OK), -1);
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
		assert_int_equal(number_in(node), 1);
		end();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(any_number_of_files_needs_few_descriptors),
		cmocka_unit_test(handles_have_a_limit_and_look_ups_have_not),
		cmocka_unit_test(a_name_that_the_guest_removes_leaves_the_file),
		cmocka_unit_test(of_too_many_removed_files_the_oldest_are_lost),
		cmocka_unit_test(what_the_guest_renames_is_found_again),
		cmocka_unit_test(one_of_several_names_is_enough),
		cmocka_unit_test(what_the_host_renames_is_found_or_stale),
		cmocka_unit_test(directories_may_be_deep),
		cmocka_unit_test(files_without_names_stay_while_they_are_held),
		cmocka_unit_test(what_waits_to_be_closed_is_counted),
		cmocka_unit_test(without_descriptors_names_can_be_looked_up),
	};

	return SHARE_RUN(tests);
}
