/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE /* O_TMPFILE, statx */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "tree_script.h"

#define FILES_MAX 64u

static char bytes[70000];

/* --- a step on the tree --- */

static int64_t tree_write_step(struct tree_client *client, const struct script_step *step)
{
	struct tree_file file;
	int64_t r = tree_open(client, step->path, O_WRONLY | step->x, 0, &file);

	if (r != 0)
		return r;
	r = tree_pwrite(client, &file, bytes, step->y, 0);
	tree_close(client, &file);
	return r < 0 ? r : 0;
}

static int64_t tree_open_step(struct tree_client *client, const struct script_step *step,
			      uint32_t flags, uint32_t mode)
{
	struct tree_file file;
	int64_t r = tree_open(client, step->path, flags, mode, &file);

	return r != 0 ? r : tree_close(client, &file);
}

static int64_t tree_ftruncate_step(struct tree_client *client, const struct script_step *step)
{
	struct tree_file file;
	int64_t r = tree_open(client, step->path, step->y, 0, &file);

	if (r != 0)
		return r;
	tree_begin(client, file.node)->handle = file.handle;
	client->call.flags = FS_HAS_HANDLE;
	client->call.set = FS_SET_SIZE | FS_SET_MTIME_NOW;
	client->call.attr.stx_size = step->x;
	r = tree_run(client, client->tree->ops->setattr);
	tree_close(client, &file);
	return r;
}

static int64_t tree_tmpfile_step(struct tree_client *client, const struct script_step *step)
{
	const char *name;
	struct tree_file file = {.flags = 0};
	uint64_t dir, parent;
	int64_t r = tree_walk(client, step->path, &dir);

	if (r != 0)
		return r;
	tree_begin(client, dir)->mode = S_IFREG | step->y;
	client->call.open_flags = O_TMPFILE | step->x;
	r = tree_run(client, client->tree->ops->tmpfile);
	tree_forget(client, dir, 1);
	if (r != 0)
		return r;
	file.node = client->call.entry.node;
	file.handle = client->call.new_handle;
	assert_int_equal(tree_walk_parent(client, step->other, &parent, &name), 0);
	tree_begin(client, file.node)->new_parent = parent;
	client->call.new_name = name;
	r = tree_run(client, client->tree->ops->link);
	tree_forget(client, file.node, r == 0);
	tree_forget(client, parent, 1);
	tree_close(client, &file);
	return r;
}

static int64_t tree_set_step(struct tree_client *client, const struct script_step *step)
{
	struct statx attr = {.stx_mode = (uint16_t)step->x};
	uint32_t set = FS_SET_MODE;

	if (step->what == CHOWN) {
		attr.stx_uid = step->x;
		attr.stx_gid = step->y;
		set = (step->x != KEEP ? FS_SET_UID : 0) | (step->y != KEEP ? FS_SET_GID : 0);
	} else if (step->what == TRUNCATE) {
		attr.stx_size = step->x;
		set = FS_SET_SIZE;
	} else if (step->what == UTIMES) {
		attr.stx_atime.tv_sec = step->x;
		attr.stx_mtime.tv_sec = step->y;
		set = step->x == NOW ? FS_SET_ATIME_NOW : step->x != KEEP ? FS_SET_ATIME : 0;
		set |= step->y == NOW ? FS_SET_MTIME_NOW : step->y != KEEP ? FS_SET_MTIME : 0;
	}
	return tree_setattr(client, step->path, set, &attr);
}

static int64_t tree_name_step(struct tree_client *client, const struct script_step *step)
{
	switch (step->what) {
	case MKDIR:
		return tree_mkdir(client, step->path, step->x);
	case RMDIR:
		return tree_rmdir(client, step->path);
	case MKNOD:
		return tree_mknod(client, step->path, step->x, step->y >> 8, step->y & 255);
	case SYMLINK:
		return tree_symlink(client, step->other, step->path);
	case LINK:
		return tree_link(client, step->path, step->other);
	case UNLINK:
		return tree_unlink(client, step->path);
	default:
		return tree_rename(client, step->path, step->other, step->x);
	}
}

static int64_t tree_attr_step(struct tree_client *client, const struct script_step *step)
{
	struct statx attr;

	switch (step->what) {
	case ACCESS:
		return tree_access(client, step->path, step->x);
	case SETXATTR:
		return tree_setxattr(client, step->path, step->other, bytes, step->y, step->x);
	case GETXATTR:
		return tree_getxattr(client, step->path, step->other, bytes, step->x);
	case LISTXATTR:
		return tree_listxattr(client, step->path, bytes, step->x);
	case REMOVEXATTR:
		return tree_removexattr(client, step->path, step->other);
	case READLINK:
		return tree_readlink(client, step->path, bytes, sizeof(bytes));
	case STAT:
		return tree_stat(client, step->path, &attr);
	default:
		return tree_set_step(client, step);
	}
}

int64_t script_step_on_tree(struct tree_client *client, const struct script_step *step)
{
	client->uid = (const uint32_t[]){0, ANN_UID, BOB_UID, CAT_UID}[step->who];
	client->gid = (const uint32_t[]){0, ANN_GID, BOB_GID, ANN_GID}[step->who];
	client->group_count = step->who == ANN;
	client->groups[0] = 50;
	switch (step->what) {
	case MKDIR ... RMDIR:
	case MKNOD ... RENAME:
		return tree_name_step(client, step);
	case CREATE:
		return tree_open_step(client, step, O_CREAT | step->x, step->y);
	case OPEN:
		return tree_open_step(client, step, step->x, 0);
	case OPENDIR:
		return tree_open_step(client, step, O_DIRECTORY, 0);
	case FTRUNCATE:
		return tree_ftruncate_step(client, step);
	case WRITE:
		return tree_write_step(client, step);
	case TMPFILE:
		return tree_tmpfile_step(client, step);
	default:
		return tree_attr_step(client, step);
	}
}

/* --- what a tree or a directory contains --- */

struct picture {
	unsigned count;
	struct picture_file {
		char path[256];
		struct statx attr;
	} file[FILES_MAX];
};

static struct picture_file *add_file(struct picture *picture, const char *path)
{
	struct picture_file *file = &picture->file[picture->count++];

	assert_true(picture->count <= FILES_MAX && strlen(path) < sizeof(file->path));
	strcpy(file->path, path);
	return file;
}

static int by_path(const void *a, const void *b)
{
	return strcmp(((const struct picture_file *)a)->path,
		      ((const struct picture_file *)b)->path);
}

static void sort_files(struct picture *picture)
{
	qsort(picture->file, picture->count, sizeof(picture->file[0]), by_path);
}

static struct picture *drawn;

static int see_host_file(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	/* "./x" is "x"; the directory itself is "". */
	struct picture_file *file = add_file(drawn, path[1] == '/' ? path + 2 : "");

	(void)st, (void)type, (void)ftw;
	return statx(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, &file->attr);
}

static void draw_host(struct picture *picture)
{
	picture->count = 0;
	drawn = picture;
	assert_int_equal(nftw(".", see_host_file, 8, FTW_PHYS), 0);
	sort_files(picture);
}

static void draw_tree_at(struct tree_client *client, struct picture *picture, const char *path)
{
	struct picture_file *file = add_file(picture, path);
	struct tree_names *names;
	struct tree_file dir;

	assert_int_equal(tree_stat(client, path, &file->attr), 0);
	if (!S_ISDIR(file->attr.stx_mode))
		return;
	names = calloc(1, sizeof(*names));
	assert_int_equal(tree_open(client, path, O_DIRECTORY, 0, &dir), 0);
	assert_int_equal(tree_readdir(client, &dir, 0, 32, names), 0);
	assert_true(names->count < 30);
	assert_int_equal(tree_close(client, &dir), 0);
	for (unsigned i = 0; i < names->count; i++) {
		char below[256];

		assert_true(snprintf(below, sizeof(below), "%s%s%s", path, path[0] ? "/" : "",
				     names->entry[i].name) < (int)sizeof(below));
		draw_tree_at(client, picture, below);
	}
	free(names);
}

static void draw_tree(struct tree_client *client, struct picture *picture)
{
	client->uid = client->gid = client->group_count = 0;
	picture->count = 0;
	draw_tree_at(client, picture, "");
	sort_files(picture);
}

static bool same_time(const struct statx_timestamp *a, const struct statx_timestamp *b)
{
	return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

/* The same file in the picture before, wherever it was. */
static const struct picture_file *earlier(const struct picture *before, const struct statx *attr)
{
	for (unsigned i = 0; i < before->count; i++)
		if (before->file[i].attr.stx_ino == attr->stx_ino)
			return &before->file[i];
	return NULL;
}

/* One line of text, without what is each file system's own affair. */
static void describe(char *text, size_t size, const struct picture_file *file,
		     const struct picture *before)
{
	const struct statx *a = &file->attr;
	const struct picture_file *old = earlier(before, a);

	snprintf(text, size, "%s: mode %o nlink %u uid %u gid %u size %" PRIu64 " dev %u:%u%s%s",
		 file->path, a->stx_mode, a->stx_nlink, a->stx_uid, a->stx_gid,
		 S_ISDIR(a->stx_mode) ? 0 : (uint64_t)a->stx_size, a->stx_rdev_major,
		 a->stx_rdev_minor,
		 old != NULL && !same_time(&old->attr.stx_mtime, &a->stx_mtime) ? " mtime" : "",
		 old != NULL && !same_time(&old->attr.stx_ctime, &a->stx_ctime) ? " ctime" : "");
}

static void describe_step(char *text, size_t size, const struct script_step *step, size_t i)
{
	snprintf(text, size, "step %zu (who %d does %d to %s, %s, %#x, %#x)", i, step->who,
		 step->what, step->path, step->other != NULL ? step->other : "", step->x, step->y);
}

static void compare(const char *step, const struct picture tree[2], const struct picture host[2])
{
	const unsigned count = tree[1].count < host[1].count ? host[1].count : tree[1].count;

	for (unsigned i = 0; i < count; i++) {
		char on_tree[512] = "(nothing)", on_host[512] = "(nothing)";

		if (i < tree[1].count)
			describe(on_tree, sizeof(on_tree), &tree[1].file[i], &tree[0]);
		if (i < host[1].count)
			describe(on_host, sizeof(on_host), &host[1].file[i], &host[0]);
		if (strcmp(on_tree, on_host) != 0)
			fail_msg("after %s\n  tree %s\n  host %s", step, on_tree, on_host);
	}
}

/* --- the scripts --- */

static int remove_file(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

/* Kernels before 6.13 tell times by the tick; then each step must wait for the next one. */
static void wait_for_a_tick(void)
{
	const struct timespec tick = {.tv_nsec = 12 * 1000 * 1000};

	nanosleep(&tick, NULL);
}

static bool times_are_coarse(void)
{
	struct stat a, b;

	assert_int_equal(stat(".", &a), 0);
	assert_int_equal(chmod(".", 0755), 0);
	assert_int_equal(stat(".", &a), 0);
	assert_int_equal(chmod(".", 0755), 0);
	assert_int_equal(stat(".", &b), 0);
	return a.st_ctim.tv_sec == b.st_ctim.tv_sec && a.st_ctim.tv_nsec == b.st_ctim.tv_nsec;
}

static void run_tree_alone(struct tree_client *client, const struct script_step *steps,
			   size_t count)
{
	for (size_t i = 0; i < count; i++) {
		int64_t r = script_step_on_tree(client, &steps[i]);

		if (r != steps[i].want)
			fail_msg("step %zu: %d, not %d", i, (int)r, steps[i].want);
	}
}

/* A step on both sides; returns the result that they have in common. */
static int64_t run_both(struct tree_client *client, const struct script_step *step, size_t i)
{
	static struct picture tree[2], host[2];
	int64_t r, on_host;
	char text[256];

	describe_step(text, sizeof(text), step, i);
	if (i == 0) {
		draw_tree(client, &tree[1]);
		draw_host(&host[1]);
	}
	tree[0] = tree[1];
	host[0] = host[1];
	r = script_step_on_tree(client, step);
	on_host = script_step_on_host(step);
	if (r != on_host)
		fail_msg("%s: tree %d, host %d", text, (int)r, (int)on_host);
	draw_tree(client, &tree[1]);
	draw_host(&host[1]);
	compare(text, tree, host);
	return r;
}

/* A new directory of the host, which becomes the working directory. */
struct place {
	char path[PATH_MAX], was[PATH_MAX];
	mode_t mask;
	bool coarse;
};

static void enter_place(struct place *place)
{
	const char *tmp = getenv("TMPDIR");

	snprintf(place->path, sizeof(place->path), "%s/tree_script.XXXXXX",
		 tmp != NULL ? tmp : "/tmp");
	assert_non_null(getcwd(place->was, sizeof(place->was)));
	assert_non_null(mkdtemp(place->path));
	assert_int_equal(chdir(place->path), 0);
	assert_int_equal(chmod(".", 0755), 0);
	place->mask = umask(022);
	place->coarse = times_are_coarse();
}

static void leave_place(const struct place *place)
{
	umask(place->mask);
	assert_int_equal(chdir(place->was), 0);
	assert_int_equal(nftw(place->path, remove_file, 8, FTW_PHYS | FTW_DEPTH), 0);
}

void script_run_beside_host(struct fs_tree *tree, void (*next)(struct script_step *, void *),
			    void *opaque, size_t count)
{
	struct tree_client client = {.tree = tree, .umask = 022};
	struct place place;

	enter_place(&place);
	for (size_t i = 0; i < count; i++) {
		struct script_step step = {.who = ROOT};

		next(&step, opaque);
		if (place.coarse)
			wait_for_a_tick();
		run_both(&client, &step, i);
	}
	leave_place(&place);
}

/* Whether this process is what the host calls ROOT; in a container it may not set trusted.*. */
static bool host_has_root(const struct script_step *steps, size_t count)
{
	bool is_admin = prctl(PR_CAPBSET_READ, CAP_SYS_ADMIN, 0, 0, 0) == 1;

	if (geteuid() != 0)
		return false;
	for (size_t i = 0; i < count && !is_admin; i++)
		if (steps[i].other && strncmp(steps[i].other, "trusted.", 8) == 0)
			return false;
	return true;
}

void script_run(struct fs_tree *tree, const struct script_step *steps, size_t count)
{
	struct tree_client client = {.tree = tree, .umask = 022};
	struct place place;

	if (!host_has_root(steps, count)) {
		run_tree_alone(&client, steps, count);
		return;
	}
	enter_place(&place);
	for (size_t i = 0; i < count; i++) {
		int64_t r;

		if (place.coarse)
			wait_for_a_tick();
		r = run_both(&client, &steps[i], i);
		if (r != steps[i].want)
			fail_msg("step %zu: %d, not %d", i, (int)r, steps[i].want);
	}
	leave_place(&place);
}
