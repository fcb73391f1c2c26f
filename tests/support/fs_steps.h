/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Lists of calls on a file system, drawn from a seed. Calls name files by slots, which hold what
 * earlier calls found: a call whose slot is empty does nothing, so that any part of a list is a
 * list, and a list that shows a fault can be made short.
 *
 * Threads: one.
 */
#ifndef TESTS_SUPPORT_FS_STEPS_H
#define TESTS_SUPPORT_FS_STEPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FS_NODES   10u /* slot 0 is the root; the first half is for directories, mostly */
#define FS_FILES   4u
#define FS_LISTS   2u
#define FS_CALLERS 4u /* 0 is root */

/* n[]: nodes, f[]: open files, d[]: open directories. */
enum fs_what {
	DO_LOOKUP,      /* n[c] = lookup(n[a], name) */
	DO_FORGET,      /* n[c] */
	DO_STALE,       /* getattr of the node that was forgotten last */
	DO_GETATTR,     /* n[a] */
	DO_FGETATTR,    /* f[b] */
	DO_STATX,       /* n[a] */
	DO_CHMOD,       /* n[a], mode */
	DO_CHOWN,       /* n[a], x: caller whose ids it gets; KEEP_UID, KEEP_GID in flags */
	DO_TRUNCATE,    /* n[a], size */
	DO_FTRUNCATE,   /* f[b], size */
	DO_UTIMENS,     /* n[a], x: seconds, flags: FATTR_* */
	DO_READLINK,    /* n[a] */
	DO_ACCESS,      /* n[a], mode */
	DO_SYMLINK,     /* n[c] = symlink(n[a], name), x: target */
	DO_MKNOD,       /* n[c] = mknod(n[a], name, mode) */
	DO_MKDIR,       /* n[c] = mkdir(n[a], name, mode) */
	DO_UNLINK,      /* n[a], name */
	DO_RMDIR,       /* n[a], name */
	DO_RENAME,      /* n[a], name, n[b], other, flags */
	DO_LINK,        /* n[a] becomes other in n[b] */
	DO_OPEN,        /* f[b] = open(n[a], flags) */
	DO_CREATE,      /* n[c], f[b] = create(n[a], name, flags, mode) */
	DO_TMPFILE,     /* n[c], f[b] = tmpfile(n[a], flags, mode) */
	DO_RELEASE,     /* f[b] */
	DO_READ,        /* f[b], offset, size */
	DO_WRITE,       /* f[b], offset, size, x: what */
	DO_FALLOCATE,   /* f[b], flags, offset, size */
	DO_LSEEK,       /* f[b], offset, flags: whence */
	DO_COPY,        /* f[b], offset, f[a], x: offset, size */
	DO_FSYNC,       /* f[b] */
	DO_FLUSH,       /* f[b], x: owner */
	DO_SETXATTR,    /* n[a], name, x: value, size, flags */
	DO_GETXATTR,    /* n[a], name, size */
	DO_LISTXATTR,   /* n[a], size */
	DO_REMOVEXATTR, /* n[a], name */
	DO_OPENDIR,     /* d[b] = opendir(n[a]) */
	DO_READDIR,     /* d[b]: the next, size */
	DO_READDIRPLUS, /* d[b]: the next, size */
	DO_REWIND,      /* d[b] */
	DO_RELEASEDIR,  /* d[b] */
	DO_LIST,        /* n[a], size of each reply; x: with look-ups if odd */
	DO_GETLK,       /* f[b], x: owner, offset, size, mode: type */
	DO_SETLK,       /* f[b], x: owner, offset, size, mode: type */
	DO_FLOCK,       /* f[b], x: owner, mode: type */
	DO_SETLKW,      /* as DO_SETLK; interrupted if it waits */
	DO_STATFS,      /* n[a] */
	DO_WHATS
};

#define KEEP_UID 1u
#define KEEP_GID 2u

struct fs_step {
	enum fs_what what;
	uint8_t who; /* 0 to FS_CALLERS - 1 */
	uint8_t a, b, c;
	uint8_t name, other; /* of fs_step_name */
	uint32_t flags, mode, x;
	uint64_t offset, size;
};

/* callers: of how many; 1: all is done by caller 0. */
void fs_steps_draw(struct fs_step *steps, size_t count, uint64_t seed, unsigned callers);

/* "a" to "e", and one of the longest that may be and one longer. */
const char *fs_step_name(unsigned number);
const char *fs_step_xattr(unsigned number);
const char *fs_step_target(unsigned number);
void fs_step_bytes(const struct fs_step *step, uint8_t *to);

/* A call of C. */
void fs_step_say(const struct fs_step *step, char *out, size_t size);

/*
 * Whether a part of a list still shows the fault. Returns how many steps are left, at the
 * front of steps, of which none can be left out.
 */
typedef bool fs_steps_try(void *opaque, const struct fs_step *steps, size_t count);
size_t fs_steps_shrink(struct fs_step *steps, size_t count, fs_steps_try *fails, void *opaque);

#endif
