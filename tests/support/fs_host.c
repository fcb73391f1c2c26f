/* SPDX-License-Identifier: BSD-3-Clause */
/* Steps by plain system calls. A node is an O_PATH descriptor: what needs a path has it in /proc. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cmocka.h>

#include "fs_player.h"

struct path {
	char text[40];
};

static struct path path_of(int fd)
{
	struct path path;

	snprintf(path.text, sizeof(path.text), "/proc/self/fd/%d", fd);
	return path;
}

static int64_t result(int64_t value)
{
	return value < 0 ? -errno : value;
}

static void become(const struct fs_host *h, const struct fs_step *s)
{
	if (!h->callers || s->who == 0)
		return;
	umask(h->callers[s->who].umask);
	assert_int_equal(setgroups(fs_step_makes(s) && h->callers[s->who].group != 0,
				   &h->callers[s->who].group),
			 0);
	assert_int_equal(setegid(h->callers[s->who].gid), 0);
	assert_int_equal(seteuid(h->callers[s->who].uid), 0);
}

static void become_root(const struct fs_host *h)
{
	if (!h->callers)
		return;
	assert_int_equal(seteuid(0), 0);
	assert_int_equal(setegid(0), 0);
	assert_int_equal(setgroups(0, NULL), 0);
	umask(0);
}

static void take_attr(struct fs_outcome *out, int fd)
{
	struct stat st;

	if (out->value != 0 || fstat(fd, &st) != 0)
		return;
	out->has_attr = true;
	out->mode = st.st_mode;
	out->nlink = (uint32_t)st.st_nlink;
	out->uid = st.st_uid;
	out->gid = st.st_gid;
	out->size = S_ISDIR(st.st_mode) ? 0 : (uint64_t)st.st_size;
}

static void take_data(const struct fs_host *h, struct fs_outcome *out)
{
	if (out->value > 0)
		out->hash = fs_outcome_hash(h->buffer, (uint64_t)out->value);
}

static void keep(int *slot, int fd)
{
	if (*slot >= 0)
		close(*slot);
	*slot = fd;
}

/* Called as root: whoever makes a file need not be able to look it up. */
static void keep_entry(struct fs_host *h, const struct fs_step *s, struct fs_outcome *out)
{
	int fd;

	become_root(h);
	if (out->value != 0)
		return;
	fd = openat(h->nodes[s->a], fs_step_name(s->name), O_PATH | O_NOFOLLOW | O_CLOEXEC);
	assert_true(fd >= 0);
	take_attr(out, fd);
	keep(&h->nodes[s->c], fd);
}

static void make_step(struct fs_host *h, const struct fs_step *s, struct fs_outcome *out)
{
	const char *name = fs_step_name(s->name);
	int dir = h->nodes[s->a], fd;

	if (s->what == DO_LOOKUP) {
		fd = openat(dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
		out->value = fd < 0 ? -errno : 0;
		if (fd < 0)
			return;
		take_attr(out, fd);
		keep(&h->nodes[s->c], fd);
		return;
	}
	if (s->what == DO_SYMLINK)
		out->value = result(symlinkat(fs_step_target(s->x), dir, name));
	else if (s->what == DO_MKDIR)
		out->value = result(mkdirat(dir, name, s->mode));
	else
		out->value = result(mknodat(dir, name, s->mode,
					    S_ISCHR(s->mode) && s->x % 2 ? makedev(1, 3) : 0));
	keep_entry(h, s, out);
}

static void name_step(struct fs_host *h, const struct fs_step *s, struct fs_outcome *out)
{
	const char *name = fs_step_name(s->name), *other = fs_step_name(s->other);
	int dir = h->nodes[s->a], to = h->nodes[s->b];
	struct path path = path_of(dir);

	out->done = (s->what != DO_RENAME && s->what != DO_LINK) || to >= 0;
	if (!out->done)
		return;
	if (s->what == DO_UNLINK) {
		out->value = result(unlinkat(dir, name, 0));
	} else if (s->what == DO_RMDIR) {
		out->value = result(unlinkat(dir, name, AT_REMOVEDIR));
	} else if (s->what == DO_RENAME) {
		out->value = result(renameat2(dir, name, to, other, s->flags));
	} else {
		out->value = result(linkat(AT_FDCWD, path.text, to, other, AT_SYMLINK_FOLLOW));
		take_attr(out, dir);
	}
}

static void take_times(const struct fs_step *s, struct fs_outcome *out, int fd)
{
	struct stat st;

	if (out->value != 0 || fstat(fd, &st) != 0)
		return;
	out->hash = fs_outcome_times(
		s, (uint64_t[]){(uint64_t)st.st_atim.tv_sec, (uint64_t)st.st_atim.tv_nsec},
		(uint64_t[]){(uint64_t)st.st_mtim.tv_sec, (uint64_t)st.st_mtim.tv_nsec});
}

/* All of a directory. */
static void names_step(struct fs_host *h, const struct fs_step *s, struct fs_outcome *out)
{
	struct path path = path_of(h->nodes[s->a]);
	int fd = open(path.text, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	const struct dirent *entry;

	out->value = dir ? 0 : -errno;
	while (dir && (entry = readdir(dir))) {
		out->value++;
		out->hash += fs_outcome_name(entry->d_name, (uint32_t)strlen(entry->d_name),
					     entry->d_type);
	}
	/* The C library does not tell what getdents(2) says of a directory that is gone. */
	if (dir && out->value == 0)
		out->value = -ENOENT;
	if (dir)
		closedir(dir);
}

static struct timespec time_of(const struct fs_step *s, uint32_t set, uint32_t now, uint32_t sec)
{
	if (s->flags & now)
		return (struct timespec){.tv_nsec = UTIME_NOW};
	if (s->flags & set)
		return (struct timespec){.tv_sec = sec, .tv_nsec = s->mode};
	return (struct timespec){.tv_nsec = UTIME_OMIT};
}

static void set_step(struct fs_host *h, const struct fs_step *s, struct fs_outcome *out)
{
	static const struct fs_caller self[FS_CALLERS];
	const struct fs_caller *to = &(h->callers ? h->callers : self)[s->x % FS_CALLERS];
	const struct timespec times[] = {time_of(s, FATTR_ATIME, FATTR_ATIME_NOW, s->x),
					 time_of(s, FATTR_MTIME, FATTR_MTIME_NOW, s->x + 1000)};
	int fd = h->nodes[s->a];
	struct path path = path_of(fd);

	if (s->what == DO_CHMOD)
		out->value = result(chmod(path.text, s->mode));
	else if (s->what == DO_TRUNCATE)
		out->value = result(truncate(path.text, (off_t)s->size));
	else if (s->what == DO_UTIMENS)
		out->value = result(utimensat(fd, "", times, AT_EMPTY_PATH));
	else
		out->value =
			result(fchownat(fd, "", s->flags & KEEP_UID ? (uid_t)-1 : to->uid,
					s->flags & KEEP_GID ? (gid_t)-1 : to->gid, AT_EMPTY_PATH));
	take_attr(out, fd);
	if (s->what == DO_UTIMENS)
		take_times(s, out, fd);
}

static void node_step(struct fs_host *h, const struct fs_step *s, struct fs_outcome *out)
{
	int fd = h->nodes[s->a];

	if (s->what == DO_GETATTR) {
		take_attr(out, fd);
	} else if (s->what == DO_READLINK) {
		out->value = result(readlinkat(fd, "", (char *)h->buffer, 4096));
		/* readlink(2) has it otherwise for an empty path of what is no link. */
		if (out->value == -ENOENT)
			out->value = -EINVAL;
		take_data(h, out);
	} else if (s->what == DO_ACCESS) {
		out->value = result(faccessat(fd, "", (int)s->mode, AT_EMPTY_PATH | AT_EACCESS));
	} else {
		out->done = false;
	}
}

static void xattr_step(struct fs_host *h, const struct fs_step *s, struct fs_outcome *out)
{
	struct path path = path_of(h->nodes[s->a]);
	const char *name = fs_step_xattr(s->name);

	if (s->what == DO_SETXATTR) {
		fs_step_bytes(s, h->buffer);
		out->value = result(setxattr(path.text, name, h->buffer, s->size, (int)s->flags));
	} else if (s->what == DO_GETXATTR) {
		out->value = result(getxattr(path.text, name, h->buffer, s->size));
		if (s->size > 0)
			take_data(h, out);
	} else if (s->what == DO_LISTXATTR) {
		out->value = result(listxattr(path.text, (char *)h->buffer, s->size));
	} else {
		out->value = result(removexattr(path.text, name));
	}
}

/*
 * To open what is neither a file nor a directory nor a link waits, or does worse. A directory can be
 * opened to be read, but by OPENDIR only.
 */
static bool is_special(const struct fs_host *h, const struct fs_step *s)
{
	const char *name = s->what == DO_CREATE ? fs_step_name(s->name) : "";
	struct stat st;

	if (fstatat(h->nodes[s->a], name, &st, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW) != 0)
		return false;
	if (S_ISDIR(st.st_mode))
		return s->what == DO_OPEN && (s->flags & (O_ACCMODE | O_TRUNC)) == 0;
	return !S_ISREG(st.st_mode) && !S_ISLNK(st.st_mode);
}

static int open_file(struct fs_host *h, const struct fs_step *s)
{
	int dir = h->nodes[s->a], flags = (int)s->flags | O_CLOEXEC;
	struct path path = path_of(dir);

	if (s->what == DO_OPEN)
		return open(path.text, flags);
	if (s->what == DO_CREATE)
		return openat(dir, fs_step_name(s->name), flags | O_CREAT | O_NOFOLLOW, s->mode);
	return open(path.text, flags | O_TMPFILE, s->mode);
}

static void open_step(struct fs_host *h, const struct fs_step *s, struct fs_outcome *out)
{
	int *slot = &h->files[s->b % FS_FILES], fd;
	struct path path;

	become_root(h);
	fs_host_closing(h, s->b % FS_FILES);
	keep(slot, -1);
	out->done = !is_special(h, s) || s->flags & O_EXCL;
	if (!out->done)
		return;
	become(h, s);
	fd = open_file(h, s);
	out->value = fd < 0 ? -errno : 0;
	become_root(h);
	keep(slot, fd);
	path = path_of(fd);
	if (fd >= 0 && s->what != DO_OPEN)
		keep(&h->nodes[s->c], open(path.text, O_PATH | O_CLOEXEC));
}

static void bytes_step(struct fs_host *h, const struct fs_step *s, struct fs_outcome *out)
{
	int fd = h->files[s->b % FS_FILES], target = h->files[s->a % FS_FILES];
	off64_t from = (off64_t)s->offset, to = (off64_t)s->x * 100;

	if (s->what == DO_READ) {
		out->value = result(pread(fd, h->buffer, s->size, from));
		take_data(h, out);
	} else if (s->what == DO_WRITE) {
		fs_step_bytes(s, h->buffer);
		out->value = result(pwrite(fd, h->buffer, s->size, from));
	} else if (s->what == DO_FALLOCATE) {
		out->value = result(fallocate(fd, (int)s->flags, from, (off_t)s->size));
	} else if (s->what == DO_LSEEK) {
		out->value = result(lseek(fd, from, (int)s->flags));
	} else {
		out->done = target >= 0;
		if (out->done)
			out->value = result(copy_file_range(fd, &from, target, &to, s->size, 0));
	}
}

static void file_step(struct fs_host *h, const struct fs_step *s, struct fs_outcome *out)
{
	int *slot = &h->files[s->b % FS_FILES];

	out->done = *slot >= 0;
	if (!out->done)
		return;
	if (s->what >= DO_GETLK || s->what == DO_FLUSH || s->what == DO_RELEASE) {
		become_root(h);
		fs_host_lock(h, s, out);
	}
	if (s->what == DO_FGETATTR) {
		take_attr(out, *slot);
	} else if (s->what == DO_FTRUNCATE) {
		out->value = result(ftruncate(*slot, (off_t)s->size));
		take_attr(out, *slot);
	} else if (s->what == DO_FSYNC) {
		out->value = result(s->x % 2 ? fdatasync(*slot) : fsync(*slot));
	} else if (s->what == DO_RELEASE) {
		fs_host_closing(h, s->b % FS_FILES);
		keep(slot, -1);
	} else if (s->what != DO_FLUSH && s->what < DO_GETLK) {
		bytes_step(h, s, out);
	}
}

typedef void play(struct fs_host *h, const struct fs_step *s, struct fs_outcome *out);

static play *const on_node[DO_WHATS] = {
	[DO_LOOKUP] = make_step,     [DO_GETATTR] = node_step,      [DO_STATX] = node_step,
	[DO_CHMOD] = set_step,       [DO_CHOWN] = set_step,         [DO_TRUNCATE] = set_step,
	[DO_UTIMENS] = set_step,     [DO_READLINK] = node_step,     [DO_ACCESS] = node_step,
	[DO_SYMLINK] = make_step,    [DO_MKNOD] = make_step,        [DO_MKDIR] = make_step,
	[DO_UNLINK] = name_step,     [DO_RMDIR] = name_step,        [DO_RENAME] = name_step,
	[DO_LINK] = name_step,       [DO_OPEN] = open_step,         [DO_CREATE] = open_step,
	[DO_TMPFILE] = open_step,    [DO_SETXATTR] = xattr_step,    [DO_GETXATTR] = xattr_step,
	[DO_LISTXATTR] = xattr_step, [DO_REMOVEXATTR] = xattr_step, [DO_STATFS] = node_step,
	[DO_LIST] = names_step,
};

void fs_host_step(struct fs_host *h, const struct fs_step *s, struct fs_outcome *out)
{
	*out = (struct fs_outcome){.done = true};
	become(h, s);
	if (on_node[s->what]) {
		out->done = h->nodes[s->a] >= 0;
		if (out->done)
			on_node[s->what](h, s, out);
	} else if (s->what == DO_FORGET) {
		keep(&h->nodes[s->c], -1);
	} else if (s->what == DO_STALE || (s->what >= DO_OPENDIR && s->what <= DO_RELEASEDIR)) {
		out->done = false;
	} else {
		file_step(h, s, out);
	}
	become_root(h);
}

void fs_host_init(struct fs_host *h, const char *dir, const struct fs_caller *callers)
{
	memset(h, 0, sizeof(*h));
	h->callers = callers;
	for (unsigned i = 0; i < FS_NODES; i++)
		h->nodes[i] = -1;
	for (unsigned i = 0; i < FS_FILES; i++)
		h->files[i] = -1;
	h->nodes[0] = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	assert_true(h->nodes[0] >= 0);
}

void fs_host_finish(struct fs_host *h)
{
	for (unsigned i = 0; i < FS_NODES; i++)
		keep(&h->nodes[i], -1);
	for (unsigned i = 0; i < FS_FILES; i++) {
		fs_host_closing(h, i);
		keep(&h->files[i], -1);
	}
}
