/* SPDX-License-Identifier: BSD-3-Clause */
#include "fs_seeds.h"

#include "devices/fs/fuse_wire.h"

/* Choices that fs_args.c and the player know; nodes and handles count from the first reply on. */
#define ROOT      0
#define WRONG     0xf0
#define NAME_DIR  3
#define NAME_LINK 4
#define SIZE_100  3
#define SIZE_4096 5
#define SIZE_8K   7
#define WRITABLE  0
#define READ_ONLY 1
#define PACKED    4
#define INDIRECT  1
#define RESETS    8

/* Not functions: initializers of struct fuzz_fs_op. */
#define UP(bits, ...)                                                              \
	{                                                                          \
		.code = FUZZ_FS_UP, .fuse_flags = (bits), .size = 2, ##__VA_ARGS__ \
	}
#define DO(name, ...)                                                         \
	{                                                                     \
		.code = FUZZ_FS_REQUEST, .opcode = FUSE_##name, ##__VA_ARGS__ \
	}
#define CONTROL(name, ...)                            \
	{                                             \
		.code = FUZZ_FS_##name, ##__VA_ARGS__ \
	}

static const struct fuzz_fs_op files[] = {
	UP(INDIRECT),
	DO(CREATE, .name = 0),
	DO(WRITE, .offset = SIZE_100, .size = SIZE_4096, .value = 7),
	DO(READ, .size = SIZE_4096),
	DO(LSEEK, .mask = 3),
	DO(FALLOCATE, .mode = 2, .size = SIZE_4096),
	DO(COPY_FILE_RANGE, .size = SIZE_100, .value = SIZE_8K),
	DO(COPY_FILE_RANGE_64, .size = SIZE_100, .value = SIZE_8K),
	DO(SETATTR, .node = 1, .mask = 8 | 1, .offset = SIZE_100),
	DO(FSYNC),
	DO(FLUSH, .owner = 1),
	DO(OPEN, .node = 1, .flags = READ_ONLY),
	DO(UNLINK, .name = 0),
	DO(GETATTR, .node = 1, .fuse_flags = 1),
	DO(RELEASE),
	DO(RELEASE, .handle = 1),
	DO(FORGET, .node = 1),
};

static const struct fuzz_fs_op names[] = {
	UP(PACKED),
	DO(MKDIR, .name = NAME_DIR, .mode = 1),
	DO(MKNOD, .node = 1, .name = 0, .mode = 9),
	DO(SYMLINK, .name = NAME_LINK, .new_name = 2),
	DO(READLINK, .node = 3),
	DO(LINK, .node = 2, .new_name = 1),
	DO(RENAME, .name = 1, .other = 1, .new_name = 2),
	DO(RENAME2, .name = NAME_LINK, .other = 1, .new_name = 0, .flags = 2),
	DO(RENAME2, .name = NAME_LINK, .new_name = 1, .flags = 1),
	DO(LOOKUP, .node = 1, .name = 2),
	DO(LOOKUP, .name = WRONG + 2),
	DO(RMDIR, .name = NAME_DIR),
	DO(UNLINK, .node = 1, .name = 0),
	DO(ACCESS, .node = 1, .mask = 7),
	DO(BATCH_FORGET, .node = 1, .value = 3),
};

static const struct fuzz_fs_op listings[] = {
	UP(0),
	DO(MKDIR, .name = NAME_DIR, .mode = 1),
	DO(MKNOD, .name = 0, .mode = 8),
	DO(MKNOD, .name = 1, .mode = 10),
	DO(OPENDIR, .flags = READ_ONLY),
	DO(READDIR, .size = SIZE_4096),
	DO(READDIR, .offset = 2, .size = SIZE_100),
	DO(READDIRPLUS, .size = SIZE_4096),
	DO(UNLINK, .name = 0),
	DO(READDIRPLUS, .offset = 1, .size = 14),
	DO(FSYNCDIR, .fuse_flags = 1),
	DO(RELEASEDIR),
	DO(STATFS),
	DO(SYNCFS),
	DO(STATX, .mask = 0xff),
};

static const struct fuzz_fs_op attributes[] = {
	UP(INDIRECT),
	DO(CREATE, .name = 0),
	DO(SETXATTR, .node = 1, .name = 0, .size = SIZE_100),
	DO(GETXATTR, .node = 1, .name = 0),
	DO(GETXATTR, .node = 1, .name = 0, .size = SIZE_4096),
	DO(LISTXATTR, .node = 1, .size = SIZE_4096),
	DO(REMOVEXATTR, .node = 1, .name = 0),
	CONTROL(CALLER, .other = 5, .mode = 022, .value = 2),
	DO(SETATTR, .node = 1, .mask = 6, .value = 1),
	DO(SETATTR, .mask = 0x31, .mode = 5, .value = 9),
	DO(TMPFILE, .mode = 2),
	DO(WRITE, .handle = 1, .size = SIZE_100),
	DO(RELEASE, .handle = 1),
};

static const struct fuzz_fs_op locks[] = {
	UP(0),
	DO(CREATE, .name = 0),
	DO(SETLK, .mode = 1, .size = 1, .owner = 1),
	DO(GETLK, .mode = 1, .size = 1, .owner = 2),
	DO(SETLKW, .mode = 1, .size = 1, .owner = 2),
	DO(SETLKW, .mode = 0, .size = 1, .owner = 3),
	DO(INTERRUPT, .value = 1),
	DO(SETLK, .mode = 2, .size = 1, .owner = 1),
	DO(SETLK, .mode = 1, .size = 1, .fuse_flags = 1, .owner = 1),
	DO(SETLKW, .mode = 1, .size = 1, .fuse_flags = 1, .owner = 2),
	DO(RELEASE, .fuse_flags = 2, .owner = 1),
};

static const struct fuzz_fs_op lives[] = {
	UP(RESETS, .other = 1),
	DO(CREATE, .name = 0),
	DO(INIT, .mask = 8, .flags = 1),
	DO(WRITE, .size = SIZE_100),
	DO(LOOKUP, .name = 0),
	DO(DESTROY),
	DO(GETATTR),
	DO(INIT, .value = WRONG + 8),
	DO(INIT),
	DO(CREATE, .name = 1),
	CONTROL(QUEUE_RESET, .value = 1),
	DO(GETATTR, .node = 1),
	UP(PACKED, .mask = 5),
	DO(LOOKUP, .name = 1),
};

static const struct fuzz_fs_op together[] = {
	UP(INDIRECT | 2),
	CONTROL(FRAMING, .flags = 0x52),
	CONTROL(LATER, .value = 1),
	DO(MKDIR, .name = NAME_DIR, .mode = 1),
	DO(LOOKUP, .name = NAME_DIR),
	CONTROL(FRAMING, .flags = 0x9b, .value = 1),
	DO(CREATE, .name = 0),
	DO(UNLINK, .name = 0),
	DO(FORGET, .node = 1),
	CONTROL(WORK),
	CONTROL(FRAMING, .flags = 9, .value = 2),
	DO(LOOKUP, .name = 0),
	CONTROL(LATER),
	DO(WRITE, .size = SIZE_4096),
	CONTROL(FRAMING, .value = 3),
	DO(FORGET, .node = 2),
};

/* A name that is replaced, one of several of a file that goes, two that change places. */
static const struct fuzz_fs_op renames[] = {
	UP(INDIRECT),
	DO(CREATE, .name = 0),
	DO(CREATE, .name = 1),
	DO(LINK, .node = 2, .new_name = 2),
	DO(RENAME, .name = 0, .new_name = 1),
	DO(GETATTR, .node = 2),
	DO(UNLINK, .name = 1),
	DO(LOOKUP, .name = 1),
	DO(MKDIR, .name = NAME_DIR, .mode = 1),
	DO(MKDIR, .name = NAME_LINK, .mode = 1),
	DO(RENAME, .name = NAME_DIR, .new_name = NAME_LINK),
	DO(RENAME2, .name = NAME_LINK, .new_name = 2, .flags = 2),
	DO(LINK, .node = 2, .new_name = 0),
	DO(UNLINK, .name = 2),
	DO(UNLINK, .name = 0),
};

/* Ends of files within a page and across pages, and what is there when they grow again. */
static const struct fuzz_fs_op cuts[] = {
	UP(PACKED),
	DO(CREATE, .name = 0),
	DO(WRITE, .size = SIZE_4096, .value = 1),
	DO(WRITE, .offset = SIZE_4096, .size = SIZE_4096, .value = 9),
	DO(SETATTR, .node = 1, .mask = 8, .offset = SIZE_100),
	DO(SETATTR, .node = 1, .mask = 8, .offset = SIZE_8K),
	DO(READ, .size = SIZE_4096),
	DO(SETATTR, .node = 1, .mask = 8, .offset = 2),
	DO(FALLOCATE, .mode = 1, .offset = SIZE_4096, .size = SIZE_4096),
	DO(FALLOCATE, .mode = 3, .offset = 2, .size = SIZE_100),
	DO(OPEN, .node = 1, .flags = 3),
	DO(WRITE, .handle = 1, .size = SIZE_100, .value = 3),
	DO(OPEN, .node = 1, .flags = 4),
	DO(WRITE, .handle = 1, .size = SIZE_100, .value = 3),
	DO(GETATTR, .node = 1),
	DO(COPY_FILE_RANGE, .target = 2, .size = SIZE_100, .value = SIZE_8K),
	DO(GETATTR, .node = 1),
	DO(LSEEK, .mask = 4),
};

/* A listing in pieces, in which names come and go. */
static const struct fuzz_fs_op pieces[] = {
	UP(0),
	DO(MKNOD, .name = 0, .mode = 8),
	DO(MKNOD, .name = 1, .mode = 9),
	DO(MKNOD, .name = 2, .mode = 10),
	DO(SYMLINK, .name = NAME_LINK, .new_name = 1),
	DO(OPENDIR, .flags = READ_ONLY),
	DO(READDIR, .size = 14),
	DO(READDIR, .offset = 1, .size = 14),
	DO(UNLINK, .name = 1),
	DO(READDIRPLUS, .offset = 2, .size = 14),
	DO(MKDIR, .name = NAME_DIR, .mode = 1),
	DO(READDIR, .offset = 3, .size = SIZE_4096),
	DO(READDIR, .size = SIZE_4096),
	DO(READDIR, .offset = 5, .size = SIZE_4096),
	DO(RELEASEDIR),
};

/* A lock that is cut in two, joined, changed; another owner's beside it. */
static const struct fuzz_fs_op lock_parts[] = {
	UP(0),
	DO(CREATE, .name = 0),
	DO(SETLK, .mode = 1, .size = SIZE_4096 + 1, .owner = 1),
	DO(SETLK, .mode = 2, .offset = 2, .size = 2, .owner = 1),
	DO(GETLK, .mode = 1, .size = 1, .owner = 2),
	DO(GETLK, .mode = 1, .offset = SIZE_100, .size = 1, .owner = 2),
	DO(SETLK, .mode = 0, .offset = 1, .size = SIZE_100, .owner = 1),
	DO(SETLK, .mode = 1, .offset = 2, .size = 0, .owner = 2),
	DO(SETLKW, .mode = 1, .offset = 2, .size = SIZE_100, .owner = 3),
	DO(FLUSH, .owner = 1),
	DO(FLUSH, .owner = 2),
	DO(RELEASE, .owner = 3),
};

/* Extended attributes that must be there, or must not; of a directory, and those of others. */
static const struct fuzz_fs_op labels[] = {
	UP(INDIRECT),
	DO(CREATE, .name = 0),
	DO(SETXATTR, .node = 1, .name = 1, .size = SIZE_100, .flags = 2),
	DO(SETXATTR, .node = 1, .name = 1, .size = SIZE_100, .flags = 1),
	DO(SETXATTR, .node = 1, .name = 1, .size = 1, .flags = 1),
	DO(SETXATTR, .node = 1, .name = 1, .size = 2, .flags = 2),
	DO(SETXATTR, .name = 2, .size = SIZE_4096),
	CONTROL(CALLER, .other = 5),
	DO(SETXATTR, .node = 1, .name = 0, .size = SIZE_100),
	DO(GETXATTR, .node = 1, .name = 1, .size = 1),
	DO(LISTXATTR, .node = 1, .size = 10),
	DO(ACCESS, .node = 1, .mask = 2),
};

static const uint8_t names_without_end[] = {'d', 'i', 'r'};
static const uint8_t batch[] = {255, 255, 255, 255, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0};

static const struct fuzz_fs_op malformed[] = {
	UP(0),
	CONTROL(BEND, .mask = 1, .value = 3),
	DO(CREATE, .name = 0),
	CONTROL(BEND, .mask = 4, .value = 16),
	DO(LOOKUP, .name = 0),
	CONTROL(BEND, .mask = 10),
	DO(MKDIR, .name = NAME_DIR, .mode = 1),
	CONTROL(BEND, .mask = 8, .value = 9),
	DO(MKNOD, .name = 1, .mode = 8),
	CONTROL(RAW, .mask = FUSE_LOOKUP, .size = 6, .count = 3, .bytes = names_without_end),
	CONTROL(RAW, .mask = FUSE_BATCH_FORGET, .count = 16, .bytes = batch),
	CONTROL(RAW, .mask = 255, .size = 3, .count = 16, .bytes = batch),
	DO(BMAP),
	DO(LOOKUP, .node = WRONG, .name = 0),
	DO(READ, .handle = WRONG, .size = SIZE_100),
};

#define SEED(array)                                             \
	{                                                       \
#array, array, sizeof(array) / sizeof(array[0]) \
	}

const struct fuzz_fs_seed fuzz_fs_seeds[] = {
	SEED(files),  SEED(names),      SEED(listings),  SEED(attributes), SEED(locks),
	SEED(lives),  SEED(together),   SEED(malformed), SEED(renames),    SEED(cuts),
	SEED(pieces), SEED(lock_parts), SEED(labels),
};

const unsigned fuzz_fs_seed_count = sizeof(fuzz_fs_seeds) / sizeof(fuzz_fs_seeds[0]);
