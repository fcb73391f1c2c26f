/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "fs_player.h"

uint64_t fs_outcome_hash(const uint8_t *data, uint64_t size)
{
	uint64_t sum = size;

	for (uint64_t i = 0; i < size; i++)
		sum = (sum ^ data[i]) * UINT64_C(0x100000001b3);
	return sum;
}

uint64_t fs_outcome_name(const char *name, uint32_t size, uint32_t type)
{
	return fs_outcome_hash((const uint8_t *)name, size) * (type + 1);
}

uint64_t fs_outcome_times(const struct fs_step *s, const uint64_t atime[2], const uint64_t mtime[2])
{
	uint64_t hash = 0;

	if (s->flags & FATTR_ATIME)
		hash += fs_outcome_hash((const uint8_t *)atime, 2 * sizeof(atime[0]));
	if (s->flags & FATTR_MTIME)
		hash += 2 * fs_outcome_hash((const uint8_t *)mtime, 2 * sizeof(mtime[0]));
	return hash;
}

/* What a guest tells of callers who cannot keep suid and sgid of what they change. */
static uint32_t kills(const struct fs_player *p, uint32_t flag)
{
	return p->fs->uid != 0 && p->fs->flags & FUSE_HANDLE_KILLPRIV_V2 ? flag : 0;
}

static void take_attr(struct fs_outcome *out, const struct fuse_attr *attr)
{
	if (out->value != 0)
		return;
	out->has_attr = true;
	out->mode = attr->mode;
	out->nlink = attr->nlink;
	out->uid = attr->uid;
	out->gid = attr->gid;
	out->size = S_ISDIR(attr->mode) ? 0 : attr->size;
}

static void take_data(const struct fs_player *p, struct fs_outcome *out)
{
	if (out->value > 0)
		out->hash = fs_outcome_hash(p->buffer, (uint64_t)out->value);
}

static void forget(struct fs_player *p, unsigned slot)
{
	if (p->nodes[slot] == 0)
		return;
	vqsim_fs_forget(p->fs, p->nodes[slot], 1);
	p->stale = p->nodes[slot];
	p->nodes[slot] = 0;
}

/* A look-up goes into a slot. */
static void keep(struct fs_player *p, unsigned slot, uint64_t node)
{
	forget(p, slot);
	p->nodes[slot] = node;
}

static void release(struct fs_player *p, struct vqsim_fs_file *file, bool dir)
{
	if (file->node == 0)
		return;
	if (dir)
		vqsim_fs_releasedir(p->fs, file);
	else
		vqsim_fs_release(p->fs, file);
	file->node = 0;
}

/* The last close by somebody who may have a flock. */
static void close_file(struct fs_player *p, const struct fs_step *s, struct vqsim_fs_file *file)
{
	const struct vqsim_fs_args args = {
		.opcode = FUSE_RELEASE,
		.node = file->node,
		.handle = file->handle,
		.flags = file->flags,
		.fuse_flags = FUSE_RELEASE_FLOCK_UNLOCK,
		.lock_owner = fs_step_owner(s),
	};

	vqsim_fs_call(p->fs, &args, NULL);
	file->node = 0;
}

static void keep_entry(struct fs_player *p, const struct fs_step *s, struct fs_outcome *out,
		       const struct fuse_entry_out *entry)
{
	take_attr(out, &entry->attr);
	if (out->value == 0)
		keep(p, s->c, entry->nodeid);
}

static void make_step(struct fs_player *p, const struct fs_step *s, struct fs_outcome *out)
{
	struct fuse_entry_out entry = {.nodeid = 0};
	const char *name = fs_step_name(s->name);
	uint64_t dir = p->nodes[s->a];

	if (s->what == DO_LOOKUP)
		out->value = vqsim_fs_lookup(p->fs, dir, name, &entry);
	else if (s->what == DO_SYMLINK)
		out->value = vqsim_fs_symlink(p->fs, dir, name, fs_step_target(s->x), &entry);
	else if (s->what == DO_MKDIR)
		out->value = vqsim_fs_mkdir(p->fs, dir, name, s->mode, &entry);
	else
		out->value = vqsim_fs_mknod(p->fs, dir, name, s->mode,
					    S_ISCHR(s->mode) && s->x % 2 ? 0x103 : 0, &entry);
	keep_entry(p, s, out, &entry);
}

static void link_step(struct fs_player *p, const struct fs_step *s, struct fs_outcome *out)
{
	struct fuse_entry_out entry;

	out->done = p->nodes[s->b] != 0;
	if (!out->done)
		return;
	out->value = vqsim_fs_link(p->fs, p->nodes[s->a], p->nodes[s->b], fs_step_name(s->other),
				   &entry);
	take_attr(out, &entry.attr);
	if (out->value == 0)
		vqsim_fs_forget(p->fs, entry.nodeid, 1);
}

static void name_step(struct fs_player *p, const struct fs_step *s, struct fs_outcome *out)
{
	const char *name = fs_step_name(s->name), *other = fs_step_name(s->other);
	uint64_t dir = p->nodes[s->a], to = p->nodes[s->b];

	if (s->what == DO_UNLINK) {
		out->value = vqsim_fs_unlink(p->fs, dir, name);
	} else if (s->what == DO_RMDIR) {
		out->value = vqsim_fs_rmdir(p->fs, dir, name);
	} else {
		out->done = to != 0;
		if (out->done && s->flags)
			out->value = vqsim_fs_rename2(p->fs, dir, name, to, other, s->flags);
		else if (out->done)
			out->value = vqsim_fs_rename(p->fs, dir, name, to, other);
	}
}

static void set_step(struct fs_player *p, const struct fs_step *s, struct fs_outcome *out)
{
	struct fuse_setattr_in set = {.size = s->size, .mode = s->mode};
	struct fuse_attr attr;

	set.valid = s->what == DO_CHMOD ? FATTR_MODE : s->what == DO_TRUNCATE ? FATTR_SIZE : 0;
	if (s->what == DO_CHOWN) {
		set.valid = (s->flags & KEEP_UID ? 0 : FATTR_UID) |
			    (s->flags & KEEP_GID ? 0 : FATTR_GID);
		set.uid = p->callers[s->x % FS_CALLERS].uid;
		set.gid = p->callers[s->x % FS_CALLERS].gid;
	}
	if (s->what == DO_UTIMENS) {
		set.valid = s->flags;
		set.atime = s->x;
		set.mtime = s->x + 1000;
		set.atimensec = set.mtimensec = s->mode;
	}
	if (s->what == DO_TRUNCATE)
		set.valid |= kills(p, FATTR_KILL_SUIDGID);
	out->value = vqsim_fs_setattr(p->fs, p->nodes[s->a], &set, &attr);
	take_attr(out, &attr);
	if (out->value == 0 && s->what == DO_UTIMENS)
		out->hash = fs_outcome_times(s, (uint64_t[]){attr.atime, attr.atimensec},
					     (uint64_t[]){attr.mtime, attr.mtimensec});
}

static void node_step(struct fs_player *p, const struct fs_step *s, struct fs_outcome *out)
{
	uint64_t node = p->nodes[s->a];
	struct fuse_statx statx;
	struct fuse_attr attr;

	if (s->what == DO_GETATTR) {
		out->value = vqsim_fs_getattr(p->fs, node, NULL, &attr);
		take_attr(out, &attr);
	} else if (s->what == DO_STATX) {
		out->value = vqsim_fs_statx(p->fs, node, 0x7ff, &statx);
	} else if (s->what == DO_READLINK) {
		out->value = vqsim_fs_readlink(p->fs, node, (char *)p->buffer, 4096);
		take_data(p, out);
	} else if (s->what == DO_ACCESS) {
		out->value = vqsim_fs_access(p->fs, node, s->mode);
	} else {
		out->value = vqsim_fs_statfs(p->fs, node, NULL);
	}
}

static void xattr_step(struct fs_player *p, const struct fs_step *s, struct fs_outcome *out)
{
	const char *name = fs_step_xattr(s->name);
	uint64_t node = p->nodes[s->a];

	if (s->what == DO_SETXATTR) {
		fs_step_bytes(s, p->buffer);
		out->value = vqsim_fs_setxattr(p->fs, node, name, p->buffer, (uint32_t)s->size,
					       s->flags);
	} else if (s->what == DO_GETXATTR) {
		out->value = vqsim_fs_getxattr(p->fs, node, name, p->buffer, (uint32_t)s->size);
		if (s->size > 0)
			take_data(p, out);
	} else if (s->what == DO_LISTXATTR) {
		out->value = vqsim_fs_listxattr(p->fs, node, (char *)p->buffer, (uint32_t)s->size);
	} else {
		out->value = vqsim_fs_removexattr(p->fs, node, name);
	}
}

/* OPEN and CREATE of this caller. */
static int open_it(struct fs_player *p, const struct fs_step *s, struct vqsim_fs_file *file)
{
	const struct vqsim_fs_args args = {
		.opcode = s->what == DO_OPEN ? FUSE_OPEN : FUSE_CREATE,
		.node = p->nodes[s->a],
		.name = fs_step_name(s->name),
		.flags = s->flags,
		.fuse_flags = s->flags & O_TRUNC ? kills(p, FUSE_OPEN_KILL_SUIDGID) : 0,
		.mode = s->mode,
	};
	struct vqsim_fs_result result;
	int error = vqsim_fs_call(p->fs, &args, &result);

	if (error == 0)
		*file = (struct vqsim_fs_file){
			.node = s->what == DO_OPEN ? args.node : result.entry.nodeid,
			.handle = result.handle,
			.flags = s->flags,
			.open_flags = result.open_flags,
		};
	return error;
}

/* What opens a file: without a look-up, with one of a name, with one of none. */
static void open_step(struct fs_player *p, const struct fs_step *s, struct fs_outcome *out)
{
	struct vqsim_fs_file *slot = &p->files[s->b % FS_FILES], file = {.node = 0};
	uint64_t node = p->nodes[s->a];

	release(p, slot, false);
	if (s->what != DO_TMPFILE)
		out->value = open_it(p, s, &file);
	else
		out->value = vqsim_fs_tmpfile(p->fs, node, s->flags, s->mode, &file);
	if (out->value != 0)
		return;
	*slot = file;
	if (s->what != DO_OPEN)
		keep(p, s->c, file.node);
}

static int64_t write_it(struct fs_player *p, const struct fs_step *s,
			const struct vqsim_fs_file *file)
{
	const struct vqsim_fs_args args = {
		.opcode = FUSE_WRITE,
		.node = file->node,
		.handle = file->handle,
		.flags = file->flags,
		.fuse_flags = kills(p, FUSE_WRITE_KILL_SUIDGID),
		.offset = s->offset,
		.data = p->buffer,
		.size = s->size,
	};
	struct vqsim_fs_result result;
	int error;

	fs_step_bytes(s, p->buffer);
	error = vqsim_fs_call(p->fs, &args, &result);
	return error ? error : (int64_t)result.count;
}

static void bytes_step(struct fs_player *p, const struct fs_step *s, struct fs_outcome *out)
{
	const struct vqsim_fs_file *file = &p->files[s->b % FS_FILES];
	const struct vqsim_fs_file *target = &p->files[s->a % FS_FILES];

	if (s->what == DO_READ) {
		out->value = vqsim_fs_read(p->fs, file, s->offset, p->buffer, (uint32_t)s->size);
		take_data(p, out);
	} else if (s->what == DO_WRITE) {
		out->value = write_it(p, s, file);
	} else if (s->what == DO_FALLOCATE) {
		out->value = vqsim_fs_fallocate(p->fs, file, s->flags, s->offset, s->size);
	} else if (s->what == DO_LSEEK) {
		out->value = vqsim_fs_lseek(p->fs, file, s->offset, s->flags);
	} else {
		out->done = target->node != 0;
		if (out->done)
			out->value = vqsim_fs_copy_file_range(p->fs, file, s->offset, target,
							      s->x * UINT64_C(100), s->size);
	}
}

static void file_step(struct fs_player *p, const struct fs_step *s, struct fs_outcome *out)
{
	struct vqsim_fs_file *file = &p->files[s->b % FS_FILES];
	struct fuse_setattr_in set = {.valid = FATTR_SIZE | FATTR_FH | kills(p, FATTR_KILL_SUIDGID),
				      .size = s->size,
				      .fh = file->handle};
	struct fuse_attr attr;

	out->done = file->node != 0;
	if (!out->done)
		return;
	if (s->what == DO_FGETATTR) {
		out->value = vqsim_fs_getattr(p->fs, file->node, file, &attr);
		take_attr(out, &attr);
	} else if (s->what == DO_FTRUNCATE) {
		out->value = vqsim_fs_setattr(p->fs, file->node, &set, &attr);
		take_attr(out, &attr);
	} else if (s->what == DO_FSYNC) {
		out->value = vqsim_fs_fsync(p->fs, file, s->x % 2);
	} else if (s->what == DO_FLUSH) {
		out->value = vqsim_fs_flush(p->fs, file, fs_step_owner(s));
	} else if (s->what == DO_RELEASE) {
		close_file(p, s, file);
	} else if (s->what >= DO_GETLK) {
		fs_player_lock(p, s, out);
	} else {
		bytes_step(p, s, out);
	}
}

static void list_step(struct fs_player *p, const struct fs_step *s, struct fs_outcome *out)
{
	struct vqsim_fs_file *list = &p->lists[s->b % FS_LISTS];
	uint64_t *next = &p->next[s->b % FS_LISTS];
	bool plus = s->what == DO_READDIRPLUS;
	struct vqsim_fs_dirents dirents;
	struct vqsim_fs_dirent dirent;

	out->value =
		plus ? vqsim_fs_readdirplus(p->fs, list, *next, p->buffer, (uint32_t)s->size,
					    &dirents)
		     : vqsim_fs_readdir(p->fs, list, *next, p->buffer, (uint32_t)s->size, &dirents);
	if (out->value <= 0)
		return;
	while (vqsim_fs_dirents_next(&dirents, &dirent)) {
		*next = dirent.next;
		if (plus && dirent.entry.nodeid != 0)
			vqsim_fs_forget(p->fs, dirent.entry.nodeid, 1);
	}
}

static void dir_step(struct fs_player *p, const struct fs_step *s, struct fs_outcome *out)
{
	struct vqsim_fs_file *list = &p->lists[s->b % FS_LISTS], made = {.node = 0};

	if (s->what == DO_OPENDIR) {
		out->done = p->nodes[s->a] != 0;
		if (!out->done)
			return;
		release(p, list, true);
		out->value = vqsim_fs_opendir(p->fs, p->nodes[s->a], &made);
		if (out->value == 0)
			*list = made;
		p->next[s->b % FS_LISTS] = 0;
		return;
	}
	out->done = list->node != 0;
	if (!out->done)
		return;
	if (s->what == DO_REWIND)
		p->next[s->b % FS_LISTS] = 0;
	else if (s->what == DO_RELEASEDIR)
		release(p, list, true);
	else
		list_step(p, s, out);
}

static void stale_step(struct fs_player *p, struct fs_outcome *out)
{
	struct fuse_attr attr;

	out->done = p->stale != 0;
	if (out->done)
		out->value = vqsim_fs_getattr(p->fs, p->stale, NULL, &attr);
}

typedef void play(struct fs_player *p, const struct fs_step *s, struct fs_outcome *out);

/* What is about n[a], by what it does. */
static play *const on_node[DO_WHATS] = {
	[DO_LOOKUP] = make_step,     [DO_GETATTR] = node_step,      [DO_STATX] = node_step,
	[DO_CHMOD] = set_step,       [DO_CHOWN] = set_step,         [DO_TRUNCATE] = set_step,
	[DO_UTIMENS] = set_step,     [DO_READLINK] = node_step,     [DO_ACCESS] = node_step,
	[DO_SYMLINK] = make_step,    [DO_MKNOD] = make_step,        [DO_MKDIR] = make_step,
	[DO_UNLINK] = name_step,     [DO_RMDIR] = name_step,        [DO_RENAME] = name_step,
	[DO_LINK] = link_step,       [DO_OPEN] = open_step,         [DO_CREATE] = open_step,
	[DO_TMPFILE] = open_step,    [DO_SETXATTR] = xattr_step,    [DO_GETXATTR] = xattr_step,
	[DO_LISTXATTR] = xattr_step, [DO_REMOVEXATTR] = xattr_step, [DO_STATFS] = node_step,
	[DO_LIST] = fs_player_names,
};

void fs_player_step(struct fs_player *p, const struct fs_step *s, struct fs_outcome *out)
{
	*out = (struct fs_outcome){.done = true};
	p->fs->uid = p->callers[s->who].uid;
	p->fs->gid = p->callers[s->who].gid;
	p->fs->umask = p->callers[s->who].umask;
	/* Only messages of what is made tell of it, and so nothing else may count on it. */
	p->fs->groups = &p->callers[s->who].group;
	p->fs->group_count = fs_step_makes(s) && p->callers[s->who].group != 0;
	if (on_node[s->what]) {
		out->done = p->nodes[s->a] != 0;
		if (out->done)
			on_node[s->what](p, s, out);
	} else if (s->what == DO_FORGET) {
		forget(p, s->c);
	} else if (s->what == DO_STALE) {
		stale_step(p, out);
	} else if (s->what >= DO_OPENDIR && s->what <= DO_RELEASEDIR) {
		dir_step(p, s, out);
	} else {
		file_step(p, s, out);
	}
}

void fs_player_refused(struct fs_player *p, const struct fs_step *s)
{
	if (s->what == DO_OPEN || s->what == DO_CREATE || s->what == DO_TMPFILE)
		release(p, &p->files[s->b % FS_FILES], false);
}

void fs_player_init(struct fs_player *p, struct vqsim_fs *fs, const struct fs_caller *callers)
{
	memset(p, 0, sizeof(*p));
	p->fs = fs;
	p->callers = callers;
	p->nodes[0] = FUSE_ROOT_ID;
}

unsigned fs_player_finish(struct fs_player *p)
{
	struct fuse_attr attr;
	unsigned left = 0;

	for (unsigned i = 0; i < FS_FILES; i++)
		release(p, &p->files[i], false);
	for (unsigned i = 0; i < FS_LISTS; i++)
		release(p, &p->lists[i], true);
	vqsim_fs_request_finish(&p->waiter);
	vqsim_fs_forget_all(p->fs);
	for (unsigned i = 1; i < FS_NODES; i++)
		left += p->nodes[i] && vqsim_fs_getattr(p->fs, p->nodes[i], NULL, &attr) != -ESTALE;
	return left;
}
