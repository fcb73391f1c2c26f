/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE /* RENAME_*, SEEK_*, O_* */
#include <fcntl.h>
#include <inttypes.h>
#include <linux/falloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "devices/fs/fuse_wire.h"
#include "fs_steps.h"

#define PICK(from, table) ((table)[draw(from) % (sizeof(table) / sizeof((table)[0]))])

static uint64_t draw(uint64_t *state)
{
	uint64_t x = *state;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	*state = x;
	return x >> 11;
}

/* How often each comes; names and data most. */
static const uint8_t weights[DO_WHATS] = {
	[DO_LOOKUP] = 60,  [DO_FORGET] = 4,      [DO_STALE] = 2,       [DO_GETATTR] = 25,
	[DO_FGETATTR] = 8, [DO_STATX] = 4,       [DO_CHMOD] = 12,      [DO_CHOWN] = 8,
	[DO_TRUNCATE] = 8, [DO_FTRUNCATE] = 6,   [DO_UTIMENS] = 8,     [DO_READLINK] = 6,
	[DO_ACCESS] = 5,   [DO_SYMLINK] = 8,     [DO_MKNOD] = 10,      [DO_MKDIR] = 22,
	[DO_UNLINK] = 12,  [DO_RMDIR] = 9,       [DO_RENAME] = 45,     [DO_LINK] = 18,
	[DO_OPEN] = 30,    [DO_CREATE] = 40,     [DO_TMPFILE] = 4,     [DO_RELEASE] = 6,
	[DO_READ] = 40,    [DO_WRITE] = 40,      [DO_FALLOCATE] = 10,  [DO_LSEEK] = 8,
	[DO_COPY] = 10,    [DO_FSYNC] = 1,       [DO_FLUSH] = 2,       [DO_SETXATTR] = 10,
	[DO_GETXATTR] = 8, [DO_LISTXATTR] = 5,   [DO_REMOVEXATTR] = 4, [DO_OPENDIR] = 16,
	[DO_READDIR] = 16, [DO_READDIRPLUS] = 8, [DO_REWIND] = 3,      [DO_RELEASEDIR] = 4,
	[DO_GETLK] = 10,   [DO_SETLK] = 24,      [DO_FLOCK] = 20,      [DO_STATFS] = 1,
	[DO_SETLKW] = 10,  [DO_LIST] = 14,
};

static enum fs_what draw_what(uint64_t *from)
{
	unsigned total = 0, number, what = 0;

	for (unsigned i = 0; i < DO_WHATS; i++)
		total += weights[i];
	number = (unsigned)(draw(from) % total);
	while (number >= weights[what])
		number -= weights[what++];
	return what;
}

static uint32_t draw_mode(uint64_t *from)
{
	static const uint32_t modes[] = {0777,  0777,  0755,  0755,  0700,  0666, 0644, 0600, 0,
					 04755, 02755, 02777, 06777, 01777, 0070, 0007, 02745};

	return PICK(from, modes);
}

static uint32_t draw_open(uint64_t *from)
{
	static const uint32_t flags[] = {O_RDONLY, O_RDONLY, O_WRONLY, O_RDWR, O_RDWR, O_RDWR};
	uint32_t more = (uint32_t)(draw(from) % 16);

	return PICK(from, flags) | (uint32_t)(more == 0   ? O_APPEND
					      : more == 1 ? O_TRUNC
					      : more == 2 ? O_NOATIME
							  : 0);
}

static void draw_range(struct fs_step *step, uint64_t *from)
{
	static const uint16_t offsets[] = {0,    0,    0,    1,     100,   4095, 4096,
					   4097, 8190, 8192, 12288, 20000, 40960};
	static const uint16_t sizes[] = {0, 1, 2, 7, 100, 4095, 4096, 4097, 9000, 16384};

	step->offset = PICK(from, offsets);
	step->size = PICK(from, sizes);
}

static void draw_node(struct fs_step *step, uint64_t *from)
{
	static const uint32_t types[] = {S_IFREG, S_IFREG, S_IFIFO, S_IFSOCK, S_IFCHR};
	static const uint32_t times[] = {FATTR_ATIME, FATTR_MTIME, FATTR_ATIME | FATTR_MTIME,
					 FATTR_ATIME_NOW | FATTR_MTIME_NOW, FATTR_MTIME_NOW};

	if (step->what == DO_MKNOD)
		step->mode |= PICK(from, types);
	if (step->what == DO_ACCESS)
		step->mode &= 7;
	if (step->what == DO_CHOWN)
		step->flags = (uint32_t)draw(from) % 3;
	if (step->what == DO_UTIMENS)
		step->flags = PICK(from, times);
}

static uint32_t draw_rename(uint64_t *from)
{
	static const uint32_t flags[] = {0,
					 0,
					 0,
					 0,
					 0,
					 0,
					 RENAME_NOREPLACE,
					 RENAME_NOREPLACE,
					 RENAME_EXCHANGE,
					 RENAME_EXCHANGE,
					 RENAME_EXCHANGE,
					 RENAME_WHITEOUT,
					 RENAME_WHITEOUT | RENAME_NOREPLACE,
					 RENAME_WHITEOUT | RENAME_EXCHANGE,
					 RENAME_NOREPLACE | RENAME_EXCHANGE};

	return PICK(from, flags);
}

static void draw_file(struct fs_step *step, uint64_t *from)
{
	static const uint32_t modes[] = {0,
					 FALLOC_FL_KEEP_SIZE,
					 FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE,
					 FALLOC_FL_ZERO_RANGE,
					 FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE,
					 FALLOC_FL_PUNCH_HOLE,
					 FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE};
	static const uint32_t types[] = {F_RDLCK, F_WRLCK, F_UNLCK};

	if (step->what == DO_OPEN || step->what == DO_CREATE || step->what == DO_TMPFILE)
		step->flags = draw_open(from);
	if (step->what == DO_CREATE && draw(from) % 4 == 0)
		step->flags |= O_EXCL;
	if (step->what == DO_TMPFILE)
		step->flags = (uint32_t)(O_RDWR | (draw(from) % 4 == 0 ? O_EXCL : 0));
	if (step->what == DO_FALLOCATE)
		step->flags = PICK(from, modes);
	if (step->what == DO_LSEEK)
		step->flags = draw(from) % 2 ? SEEK_DATA : SEEK_HOLE;
	if (step->what >= DO_GETLK && step->what <= DO_SETLKW) {
		step->mode = PICK(from, types);
		step->offset = draw(from) % 5 * 10;
		step->size = draw(from) % 5 * 10; /* 0: to the end */
	}
}

static void draw_xattr(struct fs_step *step, uint64_t *from)
{
	static const uint32_t flags[] = {0, 0, XATTR_CREATE, XATTR_REPLACE};
	static const uint16_t sizes[] = {0, 1, 5, 40, 300};

	if (step->what != DO_SETXATTR && step->what != DO_GETXATTR && step->what != DO_LISTXATTR)
		return;
	step->flags = PICK(from, flags);
	step->size = PICK(from, sizes);
}

static uint8_t draw_slot(uint64_t *from, bool dir)
{
	if (draw(from) % 8 == 0)
		return (uint8_t)(draw(from) % FS_NODES);
	return (uint8_t)(draw(from) % (FS_NODES / 2) + (dir ? 0 : FS_NODES / 2));
}

/* What has a name in n[a]. */
static bool is_in_dir(enum fs_what what)
{
	return what == DO_LOOKUP || what == DO_OPENDIR || what == DO_LIST || what == DO_TMPFILE ||
	       what == DO_CREATE || (what >= DO_SYMLINK && what <= DO_RENAME);
}

/* Most calls are about what is likely to be there. */
static void draw_slots(struct fs_step *step, uint64_t *from)
{
	bool any = step->what == DO_GETATTR || step->what == DO_CHMOD || step->what == DO_CHOWN;

	step->a = draw_slot(from, is_in_dir(step->what) || (any && draw(from) % 2));
	if (is_in_dir(step->what) && draw(from) % 3 == 0)
		step->a = 0;
	step->b = draw_slot(from, true);
	step->c = draw_slot(from,
			    step->what == DO_MKDIR || (step->what == DO_LOOKUP && draw(from) % 2));
	if (step->c == 0)
		step->c = 1;
}

static void draw_step(struct fs_step *step, uint64_t *from, unsigned callers)
{
	static const uint16_t rooms[] = {200, 400, 1024, 4096, 16384};

	*step = (struct fs_step){.what = draw_what(from)};
	/* root goes everywhere, so most of the calls are its. */
	step->who = (uint8_t)(draw(from) % 3 == 0 ? draw(from) % callers : 0);
	draw_slots(step, from);
	step->name = (uint8_t)(draw(from) % 64 < 60 ? draw(from) % 5 : 5 + draw(from) % 2);
	step->other = (uint8_t)(draw(from) % 64 < 62 ? draw(from) % 5 : 5 + draw(from) % 2);
	step->x = (uint32_t)draw(from) % 251;
	step->mode = draw_mode(from);
	draw_range(step, from);
	draw_node(step, from);
	draw_file(step, from);
	draw_xattr(step, from);
	if (step->what == DO_RENAME)
		step->flags = draw_rename(from);
	if (step->what == DO_READDIR || step->what == DO_READDIRPLUS || step->what == DO_LIST)
		step->size = PICK(from, rooms);
}

void fs_steps_draw(struct fs_step *steps, size_t count, uint64_t seed, unsigned callers)
{
	uint64_t from = (seed + 1) * UINT64_C(0x9e3779b97f4a7c15);

	for (unsigned i = 0; i < 8; i++)
		draw(&from);
	for (size_t i = 0; i < count; i++)
		draw_step(&steps[i], &from, callers);
	/* Others than root may do something only if root lets them. */
	if (count > 1)
		steps[0] = (struct fs_step){.what = DO_GETATTR};
	if (count > 1)
		steps[1] = (struct fs_step){.what = DO_CHMOD, .mode = seed % 3 ? 0777 : 01777};
}

const char *fs_step_name(unsigned number)
{
	static const char *const names[] = {"a", "b", "c", "d", "e"};
	static char longest[256], longer[257];

	memset(longest, 'l', 255);
	memset(longer, 'l', 256);
	if (number < 5)
		return names[number];
	return number == 5 ? longest : longer;
}

const char *fs_step_xattr(unsigned number)
{
	static const char *const names[] = {"user.a", "user.b", "user.long-name", "user.",
					    "user.e"};

	return names[number % 5];
}

const char *fs_step_target(unsigned number)
{
	static const char *const targets[] = {"a", "b/c", "../d", "nowhere", "/etc/passwd"};

	return targets[number % 5];
}

void fs_step_bytes(const struct fs_step *step, uint8_t *to)
{
	for (uint64_t i = 0; i < step->size; i++)
		to[i] = (uint8_t)(step->x + (i + step->offset) * 7 + 1);
}

/* Whether without the steps from at on, count of them, the fault is still there. */
static bool try_without(const struct fs_step *steps, size_t all, size_t at, size_t count,
			struct fs_step *part, fs_steps_try *fails, void *opaque)
{
	memcpy(part, steps, at * sizeof(*part));
	memcpy(part + at, steps + at + count, (all - at - count) * sizeof(*part));
	return fails(opaque, part, all - count);
}

size_t fs_steps_shrink(struct fs_step *steps, size_t count, fs_steps_try *fails, void *opaque)
{
	struct fs_step *part = malloc(count * sizeof(*part));

	if (!part)
		return count;
	for (size_t piece = count / 2; piece > 0;) {
		bool shorter = false;

		for (size_t at = 0; at + piece <= count;) {
			if (!try_without(steps, count, at, piece, part, fails, opaque)) {
				at += piece;
				continue;
			}
			count -= piece;
			memcpy(steps, part, count * sizeof(*part));
			shorter = true;
		}
		if (piece > 1 || !shorter)
			piece /= 2;
	}
	free(part);
	return count;
}
