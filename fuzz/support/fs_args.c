/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE /* RENAME_*, O_* */
#include "fs_args.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>

/* From here on a choice is a wrong one. */
#define WRONG 0xf0u

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define LONG_50  "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn"
#define LONG_250 LONG_50 LONG_50 LONG_50 LONG_50 LONG_50

static const char *const names[] = {"a", "b", "c", "dir", "link"};

static const char *const wrong_names[] = {
	"",   ".",        "..", "a/b",  "../canary", LONG_250 "12345", LONG_250 "123456",
	"/",  "\xff\xfe", "a/", "/etc", " ",         "dir/../a",       "a\nb",
	"\\", "canary",
};

static const char *const targets[] = {
	"a", "dir", "../canary", "/", "..", "/proc/self/root", "dir/a", "link",
};

static const char *const xattr_names[] = {
	"user.a",
	"user.b",
	"user.c",
	"trusted.t",
	"security.capability",
	"system.posix_acl_access",
	"system.posix_acl_default",
	"security.selinux",
	"user.",
	"x",
	"user." LONG_250,
	"user." LONG_250 "123",
};

static const uint64_t values[] = {
	0,
	1,
	10,
	100,
	4095,
	4096,
	4097,
	8192,
	12288,
	65536,
	7,
	16,
	24,
	32,
	512,
	64 * 1024 - 1,
	64 * 1024 + 1,
	1 << 20,
	INT32_MAX,
	UINT32_MAX,
	UINT64_C(1) << 32,
	UINT64_C(1) << 42,
	INT64_MAX - 4096,
	INT64_MAX - 1,
	INT64_MAX,
	UINT64_C(1) << 63,
	UINT64_MAX - 4095,
	UINT64_MAX - 1,
	UINT64_MAX,
};

static const uint32_t open_flags[] = {
	O_RDWR,
	O_RDONLY,
	O_WRONLY,
	O_RDWR | O_APPEND,
	O_RDWR | O_TRUNC,
	O_RDWR | O_EXCL,
	O_RDONLY | O_DIRECTORY,
	O_RDONLY | O_NOFOLLOW,
	O_WRONLY | O_TRUNC | O_APPEND,
	O_RDWR | O_NONBLOCK,
	O_RDONLY | O_NOATIME,
	O_RDWR | O_DIRECT,
	O_RDWR | O_SYNC,
	O_RDONLY | O_PATH,
	O_RDWR | O_CREAT | O_EXCL,
	O_RDWR | O_TRUNC | O_EXCL,
};

static const uint32_t modes[] = {
	0644,
	0755,
	0600,
	0777,
	0,
	04755,
	02755,
	01777,
	S_IFREG | 0644,
	S_IFIFO | 0600,
	S_IFSOCK | 0600,
	S_IFCHR | 0600,
	S_IFBLK | 0600,
	S_IFDIR | 0755,
	S_IFLNK | 0777,
	UINT32_MAX,
};

static const uint32_t fallocate_modes[] = {
	0,
	FALLOC_FL_KEEP_SIZE,
	FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE,
	FALLOC_FL_ZERO_RANGE,
	FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE,
	FALLOC_FL_COLLAPSE_RANGE,
	FALLOC_FL_INSERT_RANGE,
	UINT32_MAX,
};

static const uint32_t minors[] = {45, 44, 38, 37, 36, 35, 31, 28, 27, 26, 46, 0, UINT32_MAX};

/* Flags of INIT: all, few, none. */
static const uint64_t init_flags[] = {
	~FUSE_INIT_RESERVED,
	FUSE_BIG_WRITES | FUSE_POSIX_LOCKS | FUSE_FLOCK_LOCKS | FUSE_DO_READDIRPLUS,
	0,
	~(FUSE_INIT_RESERVED | FUSE_WRITEBACK_CACHE | FUSE_ATOMIC_O_TRUNC | FUSE_NO_OPEN_SUPPORT),
	~(FUSE_INIT_RESERVED | FUSE_EXPORT_SUPPORT | FUSE_HANDLE_KILLPRIV_V2 | FUSE_SETXATTR_EXT),
	FUSE_INIT_EXT | FUSE_SETXATTR_EXT | FUSE_WRITEBACK_CACHE | FUSE_EXPORT_SUPPORT,
	UINT64_MAX,
};

static uint8_t data[FUZZ_FS_DATA + 256];

static const uint8_t *pattern(uint8_t from)
{
	for (unsigned i = 0; data[1] == 0 && i < sizeof(data); i++)
		data[i] = (uint8_t)(i ^ i >> 8);
	return data + from;
}

uint64_t fuzz_fs_size(uint8_t choice)
{
	return values[choice % COUNT(values)];
}

uint64_t fuzz_fs_node(const struct fuzz_fs_seen *seen, uint8_t choice)
{
	static const uint64_t wrong[] = {0, 2, 3, UINT64_MAX, UINT64_C(1) << 32, UINT64_C(1) << 63};
	uint64_t node;

	if (choice >= WRONG && choice % 8 < COUNT(wrong))
		return wrong[choice % 8];
	node = choice % 16 ? seen->nodes[choice % 16 - 1] : FUSE_ROOT_ID;
	/* Perhaps of another generation, or never given out. */
	return choice >= WRONG ? node + (UINT64_C(1) << 32) : node ? node : FUSE_ROOT_ID;
}

/* A handle; perhaps with the node of another one, or wrong. */
static struct vqsim_fs_file handle_of(const struct fuzz_fs_seen *seen, uint8_t choice)
{
	struct vqsim_fs_file file = seen->handles[choice % FUZZ_FS_HANDLES];

	if (choice >= WRONG)
		file.handle += choice % 2 ? 1 : UINT64_C(1) << 32;
	else if (choice >= 0xc0)
		file.node = seen->handles[(choice + 1) % FUZZ_FS_HANDLES].node;
	return file;
}

static const char *name_of(uint8_t choice)
{
	if (choice >= WRONG)
		return wrong_names[choice % 16 % COUNT(wrong_names)];
	return names[choice % COUNT(names)];
}

static bool has_handle(uint32_t opcode)
{
	switch (opcode) {
	case FUSE_READ:
	case FUSE_WRITE:
	case FUSE_RELEASE:
	case FUSE_FSYNC:
	case FUSE_FLUSH:
	case FUSE_READDIR:
	case FUSE_READDIRPLUS:
	case FUSE_RELEASEDIR:
	case FUSE_FSYNCDIR:
	case FUSE_GETLK:
	case FUSE_SETLK:
	case FUSE_SETLKW:
	case FUSE_FALLOCATE:
	case FUSE_LSEEK:
	case FUSE_COPY_FILE_RANGE:
	case FUSE_COPY_FILE_RANGE_64:
		return true;
	default:
		return false;
	}
}

static void fill_setattr(const struct fuzz_fs_op *op, const struct vqsim_fs_args *args,
			 struct fuzz_fs_room *room)
{
	room->set = (struct fuse_setattr_in){
		.valid = op->mask | (uint32_t)(op->fuse_flags & 0x1f) << 8,
		.fh = args->handle,
		.size = fuzz_fs_size(op->offset),
		.lock_owner = op->value,
		.atime = op->value,
		.mtime = fuzz_fs_size(op->value),
		.ctime = op->value,
		.atimensec = op->value,
		.mode = modes[op->mode % COUNT(modes)],
		.uid = op->value % 3 ? 1000 : 0,
		.gid = op->value % 5 ? 1000 : 0,
	};
}

static void fill_init(const struct fuzz_fs_op *op, struct fuzz_fs_room *room)
{
	uint64_t flags = init_flags[op->flags % COUNT(init_flags)];

	room->init = (struct fuse_init_in){
		.major = op->value >= WRONG ? op->value % 16 : FUSE_KERNEL_VERSION,
		.minor = minors[op->mask % COUNT(minors)],
		.flags = (uint32_t)flags,
		.flags2 = (uint32_t)(flags >> 32),
	};
}

static void fill_lock(const struct fuzz_fs_op *op, struct vqsim_fs_args *args)
{
	static const uint32_t types[] = {F_RDLCK, F_WRLCK, F_UNLCK, F_WRLCK, 77};
	uint64_t start = fuzz_fs_size(op->offset);

	args->lock = (struct fuse_file_lock){
		.start = start,
		.end = op->size % 2 ? INT64_MAX : start + fuzz_fs_size(op->size) / 2,
		.type = types[op->mode % COUNT(types)],
		.pid = op->owner,
	};
	args->fuse_flags = op->fuse_flags % 4 == 1 ? FUSE_LK_FLOCK : op->fuse_flags & 0xfe;
}

static void fill_forgets(const struct fuzz_fs_op *op, const struct fuzz_fs_seen *seen,
			 struct vqsim_fs_args *args, struct fuzz_fs_room *room)
{
	args->count = op->value % (COUNT(room->forgets) + 1);
	for (unsigned i = 0; i < COUNT(room->forgets); i++)
		room->forgets[i] = (struct fuse_forget_one){
			.nodeid = fuzz_fs_node(seen, (uint8_t)(op->node + i)),
			.nlookup = op->value >= WRONG ? UINT64_MAX : 1 + op->value / 64u,
		};
}

/* What data a request carries, or has room for, must fit into its memory. */
static uint64_t data_size(uint8_t choice)
{
	uint64_t size = fuzz_fs_size(choice);

	return size < FUZZ_FS_DATA ? size : FUZZ_FS_DATA;
}

static void fill_special(const struct fuzz_fs_op *op, const struct fuzz_fs_seen *seen,
			 struct vqsim_fs_args *args, struct fuzz_fs_room *room)
{
	switch (op->opcode) {
	case FUSE_FORGET:
		args->count = op->value >= WRONG ? UINT64_MAX : 1 + op->value / 64u;
		break;
	case FUSE_BATCH_FORGET:
		fill_forgets(op, seen, args, room);
		break;
	case FUSE_SETATTR:
		fill_setattr(op, args, room);
		break;
	case FUSE_INIT:
		fill_init(op, room);
		break;
	case FUSE_SYMLINK:
		args->target = targets[op->new_name % COUNT(targets)];
		break;
	case FUSE_GETLK:
	case FUSE_SETLK:
	case FUSE_SETLKW:
		fill_lock(op, args);
		break;
	case FUSE_INTERRUPT:
		args->unique = seen->unique_count ? seen->uniques[op->value % seen->unique_count]
						  : op->value;
		break;
	case FUSE_FALLOCATE:
		args->flags = fallocate_modes[op->mode % COUNT(fallocate_modes)];
		args->size = fuzz_fs_size(op->size);
		break;
	case FUSE_COPY_FILE_RANGE:
	case FUSE_COPY_FILE_RANGE_64:
		args->size = fuzz_fs_size(op->size);
		args->target_offset = fuzz_fs_size(op->value);
		args->flags = op->value >= WRONG;
		break;
	case FUSE_GETXATTR:
	case FUSE_REMOVEXATTR:
		args->name = xattr_names[op->name % COUNT(xattr_names)];
		break;
	case FUSE_SETXATTR:
		args->name = xattr_names[op->name % COUNT(xattr_names)];
		args->flags = op->flags % 4;
		break;
	case FUSE_READLINK:
		args->size = op->node >= 0xc0 ? op->node % 8 : FUZZ_FS_DATA;
		break;
	case FUSE_RENAME2:
		args->flags = op->flags % 8;
		break;
	case FUSE_MKNOD:
		args->rdev = op->value;
		break;
	case FUSE_TMPFILE:
		args->name = NULL;
		break;
	case FUSE_STATX:
		args->mask = op->mask | op->mask << 8;
		break;
	default:
		break;
	}
}

struct vqsim_fs_args fuzz_fs_args(const struct fuzz_fs_op *op, const struct fuzz_fs_seen *seen,
				  struct fuzz_fs_room *room)
{
	struct vqsim_fs_file file = handle_of(seen, op->handle);
	struct vqsim_fs_file target = handle_of(seen, op->target);
	struct vqsim_fs_args args = {
		.opcode = op->opcode,
		.flags = has_handle(op->opcode) ? file.flags
						: open_flags[op->flags % COUNT(open_flags)],
		.fuse_flags = op->fuse_flags,
		.mask = op->mask,
		.node = has_handle(op->opcode) ? file.node : fuzz_fs_node(seen, op->node),
		.handle = file.handle,
		.name = name_of(op->name),
		.new_parent = fuzz_fs_node(seen, op->other),
		.new_name = name_of(op->new_name),
		.mode = modes[op->mode % COUNT(modes)],
		.whence = op->mask,
		.offset = fuzz_fs_size(op->offset),
		.size = data_size(op->size),
		.data = pattern(op->value),
		.lock_owner = op->owner % 4,
		.target_node = target.node,
		.target_handle = target.handle,
		.set = &room->set,
		.forgets = room->forgets,
		.init = &room->init,
	};

	fill_special(op, seen, &args, room);
	return args;
}

/* Replies */

static void see_node(struct fuzz_fs_seen *seen, uint64_t node)
{
	if (node <= FUSE_ROOT_ID)
		return;
	for (unsigned i = 0; i < FUZZ_FS_NODES; i++)
		if (seen->nodes[i] == node)
			return;
	seen->nodes[seen->node_count++ % FUZZ_FS_NODES] = node;
}

static void see_handle(struct fuzz_fs_seen *seen, const struct vqsim_fs_request *request,
		       uint64_t node)
{
	seen->handles[seen->handle_count++ % FUZZ_FS_HANDLES] = (struct vqsim_fs_file){
		.node = node, .handle = request->result.handle, .flags = request->args.flags};
}

static void see_dirents(struct fuzz_fs_seen *seen, const struct vqsim_fs *fs,
			const struct vqsim_fs_request *request)
{
	struct vqsim_fs_dirents dirents = vqsim_fs_dirents_of(fs, request);
	struct vqsim_fs_dirent dirent;

	while (vqsim_fs_dirents_next(&dirents, &dirent))
		see_node(seen, dirent.entry.nodeid);
}

void fuzz_fs_see(struct fuzz_fs_seen *seen, const struct vqsim_fs *fs,
		 const struct vqsim_fs_request *request)
{
	switch (request->args.opcode) {
	case FUSE_LOOKUP:
	case FUSE_SYMLINK:
	case FUSE_MKNOD:
	case FUSE_MKDIR:
	case FUSE_LINK:
		see_node(seen, request->result.entry.nodeid);
		break;
	case FUSE_CREATE:
	case FUSE_TMPFILE:
		see_node(seen, request->result.entry.nodeid);
		see_handle(seen, request, request->result.entry.nodeid);
		break;
	case FUSE_OPEN:
	case FUSE_OPENDIR:
		see_handle(seen, request, request->args.node);
		break;
	case FUSE_READDIRPLUS:
		see_dirents(seen, fs, request);
		break;
	default:
		break;
	}
}
