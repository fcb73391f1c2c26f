/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One million files in one tree, all of them known to the guest at the same time: what that costs
 * in descriptors and memory, and whether each is still itself. Through driver, rings, device
 * and decoder.
 *
 *	million ram
 *	million DIRECTORY [UID]    as that user; makes the files first if there are none
 *
 * Reports in TAP. ci/million.sh says under which limits it runs.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "tests/support/dir_share.h"
#include "tests/support/fs_bench.h"

#define DIRS  1000u
#define FILES 1000u /* of each */
#define ALL   (DIRS * FILES)
#define WITH \
	500u /* every so many has contents, the others only a size, so that they need no disk */
#define SAMPLE   50000u
#define OPENED   5000u
#define AT_ONCE  100u
#define FD_MAX   512u /* what a dir tree takes of a limit of 1024 */
#define NODE_MAX 512u /* bytes that a node may cost, names and tables included */

static const char *path; /* NULL: ram */
static struct fs_bench *bench;
static uint64_t dirs[DIRS], nodes[ALL];
static unsigned fds_before;
static size_t used_before;

/* Of all the process, but what the guest notes for itself. */
static size_t bytes_used(void)
{
	struct mallinfo2 info = mallinfo2();

	return info.uordblks + info.hblkhd -
	       (bench ? bench->fs.lookups.room * sizeof(struct vqsim_fs_count) : 0);
}

static uint64_t draw(uint64_t *state)
{
	*state = *state * UINT64_C(6364136223846793005) + 1442695040888963407u;
	return *state >> 33;
}

static uint64_t size_of(uint32_t file)
{
	return file % WITH == 0 ? 8 : file + 1;
}

static const char *name_of(const char *kind, uint32_t number)
{
	static char name[32];

	snprintf(name, sizeof(name), "%s%u", kind, (unsigned)number);
	return name;
}

/* --- the files --- */

static void make_file(uint64_t dir, uint32_t file)
{
	struct vqsim_fs *fs = &bench->fs;
	struct fuse_setattr_in set = {.valid = FATTR_SIZE, .size = size_of(file)};
	struct vqsim_fs_file made;
	char text[16];

	assert_int_equal(vqsim_fs_create(fs, dir, name_of("file", file), O_RDWR, 0644, &made), 0);
	snprintf(text, sizeof(text), "%8u", (unsigned)file);
	if (file % WITH == 0)
		assert_int_equal(vqsim_fs_write(fs, &made, 0, text, 8), 8);
	else
		assert_int_equal(vqsim_fs_setattr(fs, made.node, &set, NULL), 0);
	assert_int_equal(vqsim_fs_release(fs, &made), 0);
	assert_int_equal(vqsim_fs_forget(fs, made.node, 1), 0);
}

static void they_are_made(void **state)
{
	struct fuse_entry_out entry;

	(void)state;
	if (vqsim_fs_lookup(&bench->fs, FUSE_ROOT_ID, name_of("dir", DIRS - 1), &entry) == 0) {
		vqsim_fs_forget(&bench->fs, entry.nodeid, 1);
		skip();
	}
	for (uint32_t d = 0; d < DIRS; d++) {
		assert_int_equal(
			vqsim_fs_mkdir(&bench->fs, FUSE_ROOT_ID, name_of("dir", d), 0755, &entry),
			0);
		for (uint32_t f = d * FILES; f < (d + 1) * FILES; f++)
			make_file(entry.nodeid, f);
		vqsim_fs_forget(&bench->fs, entry.nodeid, 1);
	}
	assert_int_equal(vqsim_fs_lookups_total(&bench->fs), 0);
}

static void check_fds(void)
{
	if (path)
		assert_true(share_fd_count() <= fds_before + FD_MAX);
}

static void look_up(uint32_t file)
{
	struct fuse_entry_out entry;

	assert_int_equal(
		vqsim_fs_lookup(&bench->fs, dirs[file / FILES], name_of("file", file), &entry), 0);
	assert_int_equal(entry.attr.size, size_of(file));
	nodes[file] = entry.nodeid;
}

static void all_are_known_at_the_same_time(void **state)
{
	struct fuse_entry_out entry;

	(void)state;
	for (uint32_t d = 0; d < DIRS; d++) {
		assert_int_equal(
			vqsim_fs_lookup(&bench->fs, FUSE_ROOT_ID, name_of("dir", d), &entry), 0);
		dirs[d] = entry.nodeid;
	}
	for (uint32_t file = 0; file < ALL; file++) {
		look_up(file);
		if (file % FILES == 0)
			check_fds();
	}
	check_fds();
	assert_int_equal(vqsim_fs_lookups_total(&bench->fs), ALL + DIRS);
}

/* In memory it is the file itself. */
static void a_node_costs_little(void **state)
{
	size_t bytes = (bytes_used() - used_before) / ALL;

	(void)state;
	print_message("# %zu bytes for each node, %u descriptors\n", bytes,
		      share_fd_count() - fds_before);
	assert_in_range(bytes, 0, NODE_MAX);
}

/* In an order that no cache likes. */
static void each_has_its_attributes(void **state)
{
	uint64_t seed = 1;

	(void)state;
	for (unsigned i = 0; i < SAMPLE; i++) {
		uint32_t file = (uint32_t)(draw(&seed) % ALL);
		struct fuse_attr attr;

		assert_int_equal(vqsim_fs_getattr(&bench->fs, nodes[file], NULL, &attr), 0);
		assert_int_equal(attr.size, size_of(file));
	}
	check_fds();
}

static void open_one(uint32_t file, struct vqsim_fs_file *opened)
{
	char text[16] = "", want[16];

	assert_int_equal(vqsim_fs_open(&bench->fs, nodes[file], O_RDONLY, opened), 0);
	snprintf(want, sizeof(want), "%8u", (unsigned)file);
	assert_int_equal(vqsim_fs_read(&bench->fs, opened, 0, text, 8),
			 size_of(file) < 8 ? size_of(file) : 8);
	if (file % WITH == 0)
		assert_string_equal(text, want);
}

static void each_can_be_opened(void **state)
{
	struct vqsim_fs_file opened[AT_ONCE];
	uint64_t seed = 2;

	(void)state;
	for (unsigned i = 0; i < OPENED; i++) {
		uint32_t file = (uint32_t)(draw(&seed) % ALL);

		if (i >= AT_ONCE)
			assert_int_equal(vqsim_fs_release(&bench->fs, &opened[i % AT_ONCE]), 0);
		open_one(i % 2 ? file : file / WITH * WITH, &opened[i % AT_ONCE]);
	}
	check_fds();
	for (unsigned i = 0; i < AT_ONCE; i++)
		assert_int_equal(vqsim_fs_release(&bench->fs, &opened[i]), 0);
	assert_int_equal(vqsim_fs_handles_total(&bench->fs), 0);
}

static void what_is_forgotten_is_gone(void **state)
{
	uint64_t seed = 3;

	(void)state;
	assert_int_equal(vqsim_fs_forget_all(&bench->fs), 0);
	assert_int_equal(vqsim_fs_lookups_total(&bench->fs), 0);
	for (unsigned i = 0; i < SAMPLE / 10; i++) {
		uint32_t file = (uint32_t)(draw(&seed) % ALL);

		assert_int_equal(vqsim_fs_getattr(&bench->fs, nodes[file], NULL, NULL), -ESTALE);
	}
	/* The table of ids stays. */
	if (path)
		assert_in_range(bytes_used() - used_before, 0, ALL * 48);
	check_fds();
}

static int set_up(void **state)
{
	struct fs_bench_options options = {.queue_size = 128};

	(void)state;
	fds_before = share_fd_count();
	assert_int_equal(path ? fs_tree_dir_create(&options.tree, path, NULL)
			      : fs_tree_ram_create(&options.tree, NULL),
			 0);
	bench = fs_bench_create(&options);
	used_before = bytes_used();
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	fs_bench_destroy(bench);
	return 0;
}

static int usage(void)
{
	fprintf(stderr, "usage: million ram|DIRECTORY [UID]\n");
	return 2;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(they_are_made),
		cmocka_unit_test(all_are_known_at_the_same_time),
		cmocka_unit_test(a_node_costs_little),
		cmocka_unit_test(each_has_its_attributes),
		cmocka_unit_test(each_can_be_opened),
		cmocka_unit_test(what_is_forgotten_is_gone),
	};

	uid_t uid = argc == 3 ? (uid_t)strtoul(argv[2], NULL, 10) : geteuid();

	if (argc != 2 && argc != 3)
		return usage();
	if (uid != geteuid() && (setgroups(0, NULL) != 0 || setgid(uid) != 0 || setuid(uid) != 0)) {
		perror("million: setuid");
		return 1;
	}
	path = strcmp(argv[1], "ram") != 0 ? argv[1] : NULL;
	return cmocka_run_group_tests_name("million", tests, set_up, tear_down);
}
