/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Arguments into a message:
 *
 *     in_header: 40 | arguments of the opcode | name NUL | name NUL | data or extensions
 */
#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "guest_fs_internal.h"
#include "misuse_internal.h"

#define EXT_MINOR 38u /* the first that has total_extlen */

/* A message that grows. */
struct maker {
	const struct vqsim_fs *fs;
	struct vqsim_fs_request *request;
	uint32_t at;
	uint32_t ext_at; /* where the extensions begin; 0: there are none */
};

/* Turned round, integer by integer. */
static void swap(uint8_t *out, const uint8_t *in, const char *layout, const uint8_t *end)
{
	for (; out < end; layout++) {
		unsigned size = (unsigned)(*layout - '0');

		assert(*layout);
		for (unsigned i = 0; i < size; i++)
			out[i] = in[size - 1 - i];
		out += size;
		in += size;
	}
}

void fs_wire(void *to, const void *from, size_t size, const char *layout, bool swapped)
{
	if (swapped)
		swap(to, from, layout, (uint8_t *)to + size);
	else
		memcpy(to, from, size);
}

/* size bytes more of the message. */
static uint8_t *more(struct maker *m, uint64_t size)
{
	uint8_t *place = m->request->in + m->at;

	if (size > m->request->in_room - m->at)
		vqsim_misuse("vqsim_fs_make", "a message of more than %" PRIu32 " bytes",
			     m->request->in_room);
	m->at += (uint32_t)size;
	return place;
}

static void put(struct maker *m, const void *structure, size_t size, const char *layout)
{
	fs_wire(more(m, size), structure, size, layout, m->fs->swapped);
}

#define PUT(m, structure, layout) put(m, &(structure), sizeof(structure), layout)

static void put_bytes(struct maker *m, const void *bytes, size_t size)
{
	uint8_t *place = more(m, size);

	if (bytes && size > 0)
		memcpy(place, bytes, size);
}

static void put_name(struct maker *m, const char *name)
{
	if (!name)
		vqsim_misuse("vqsim_fs_make", "opcode %" PRIu32 " without a name",
			     m->request->args.opcode);
	put_bytes(m, name, strlen(name) + 1);
}

/* Extensions: each up to a multiple of 8 bytes, which its header counts. */

static void end_ext(struct maker *m, uint32_t start)
{
	uint32_t pad = -(m->at - start) & 7;

	memset(more(m, pad), 0, pad);
}

static void put_groups(struct maker *m)
{
	const struct vqsim_fs *fs = m->fs;
	uint32_t size = (uint32_t)sizeof(struct fuse_ext_header) + 4 + 4 * fs->group_count;
	const struct fuse_ext_header header = {(size + 7) & ~7u, FUSE_EXT_GROUPS};
	uint32_t start = m->at;

	PUT(m, header, "44");
	PUT(m, fs->group_count, "4");
	for (uint32_t i = 0; i < fs->group_count; i++)
		PUT(m, fs->groups[i], "4");
	end_ext(m, start);
}

static void put_label(struct maker *m)
{
	const struct vqsim_fs_args *a = &m->request->args;
	size_t name_size = strlen(a->label_name) + 1;
	uint32_t size = (uint32_t)(sizeof(struct fuse_secctx_header) + sizeof(struct fuse_secctx) +
				   name_size + a->label_size);
	const struct fuse_secctx_header header = {(size + 7) & ~7u, 1};
	const struct fuse_secctx context = {a->label_size, 0};
	uint32_t start = m->at;

	PUT(m, header, "44");
	PUT(m, context, "44");
	put_bytes(m, a->label_name, name_size);
	put_bytes(m, a->label, a->label_size);
	end_ext(m, start);
}

static void put_extensions(struct maker *m)
{
	uint32_t start = m->at;

	if (m->fs->minor < EXT_MINOR)
		return;
	if ((m->fs->flags & FUSE_SECURITY_CTX) && m->request->args.label_name)
		put_label(m);
	if ((m->fs->flags & FUSE_CREATE_SUPP_GROUP) && m->fs->group_count > 0)
		put_groups(m);
	if (m->at > start)
		m->ext_at = start;
}

/* A new file: its name and extensions. */
static void put_new(struct maker *m, const char *name)
{
	put_name(m, name);
	put_extensions(m);
}

/* One for each form of arguments. */

typedef void make(struct maker *m, const struct vqsim_fs_args *a);

static void make_name(struct maker *m, const struct vqsim_fs_args *a)
{
	put_name(m, a->name);
}

static void make_init(struct maker *m, const struct vqsim_fs_args *a)
{
	bool is_short = a->init->major == FUSE_KERNEL_VERSION && a->init->minor < 36;

	put(m, a->init, is_short ? FUSE_COMPAT_INIT_IN_SIZE : sizeof(*a->init), FS_WIRE_INIT_IN);
}

static void make_forget(struct maker *m, const struct vqsim_fs_args *a)
{
	PUT(m, a->count, "8");
}

static void make_batch_forget(struct maker *m, const struct vqsim_fs_args *a)
{
	const struct fuse_batch_forget_in in = {.count = (uint32_t)a->count};

	PUT(m, in, "44");
	for (uint64_t i = 0; i < a->count; i++)
		PUT(m, a->forgets[i], "88");
}

static void make_interrupt(struct maker *m, const struct vqsim_fs_args *a)
{
	PUT(m, a->unique, "8");
}

static void make_getattr(struct maker *m, const struct vqsim_fs_args *a)
{
	const struct fuse_getattr_in in = {.getattr_flags = a->fuse_flags, .fh = a->handle};

	PUT(m, in, "448");
}

static void make_statx(struct maker *m, const struct vqsim_fs_args *a)
{
	const struct fuse_statx_in in = {
		.getattr_flags = a->fuse_flags,
		.fh = a->handle,
		.sx_flags = a->flags,
		.sx_mask = a->mask,
	};

	PUT(m, in, "44844");
}

static void make_setattr(struct maker *m, const struct vqsim_fs_args *a)
{
	PUT(m, *a->set,
	    "44888888"
	    "44444444");
}

static void make_symlink(struct maker *m, const struct vqsim_fs_args *a)
{
	put_name(m, a->name);
	put_new(m, a->target);
}

static void make_mknod(struct maker *m, const struct vqsim_fs_args *a)
{
	const struct fuse_mknod_in in = {.mode = a->mode, .rdev = a->rdev, .umask = m->fs->umask};

	PUT(m, in, "4444");
	put_new(m, a->name);
}

static void make_mkdir(struct maker *m, const struct vqsim_fs_args *a)
{
	const struct fuse_mkdir_in in = {.mode = a->mode, .umask = m->fs->umask};

	PUT(m, in, "44");
	put_new(m, a->name);
}

static void make_create(struct maker *m, const struct vqsim_fs_args *a)
{
	const struct fuse_create_in in = {
		.flags = a->flags,
		.mode = a->mode,
		.umask = m->fs->umask,
		.open_flags = a->fuse_flags,
	};

	PUT(m, in, "4444");
	/* A file without a name is sent with one all the same. */
	put_new(m, a->name ? a->name : "/");
}

static void make_rename(struct maker *m, const struct vqsim_fs_args *a)
{
	PUT(m, a->new_parent, "8");
	put_name(m, a->name);
	put_name(m, a->new_name);
}

static void make_rename2(struct maker *m, const struct vqsim_fs_args *a)
{
	const struct fuse_rename2_in in = {.newdir = a->new_parent, .flags = a->flags};

	PUT(m, in, "844");
	put_name(m, a->name);
	put_name(m, a->new_name);
}

/* The header names the directory, and the arguments the file. */
static void make_link(struct maker *m, const struct vqsim_fs_args *a)
{
	PUT(m, a->node, "8");
	put_name(m, a->new_name);
}

static void make_open(struct maker *m, const struct vqsim_fs_args *a)
{
	const struct fuse_open_in in = {.flags = a->flags, .open_flags = a->fuse_flags};

	PUT(m, in, "44");
}

static void make_release(struct maker *m, const struct vqsim_fs_args *a)
{
	const struct fuse_release_in in = {
		.fh = a->handle,
		.flags = a->flags,
		.release_flags = a->fuse_flags,
		.lock_owner = a->lock_owner,
	};

	PUT(m, in, "8448");
}

static void make_flush(struct maker *m, const struct vqsim_fs_args *a)
{
	const struct fuse_flush_in in = {.fh = a->handle, .lock_owner = a->lock_owner};

	PUT(m, in, "8448");
}

static void make_fsync(struct maker *m, const struct vqsim_fs_args *a)
{
	const struct fuse_fsync_in in = {.fh = a->handle, .fsync_flags = a->fuse_flags};

	PUT(m, in, "844");
}

static void make_read(struct maker *m, const struct vqsim_fs_args *a)
{
	const struct fuse_read_in in = {
		.fh = a->handle,
		.offset = a->offset,
		.size = (uint32_t)a->size,
		.read_flags = a->fuse_flags,
		.lock_owner = a->lock_owner,
		.flags = a->flags,
	};

	PUT(m, in, "8844844");
}

/* Arguments of WRITE are those of READ. */
static void make_write(struct maker *m, const struct vqsim_fs_args *a)
{
	make_read(m, a);
	put_bytes(m, a->data, a->size);
}

static void make_setxattr(struct maker *m, const struct vqsim_fs_args *a)
{
	const struct fuse_setxattr_in in = {
		.size = (uint32_t)a->size,
		.flags = a->flags,
		.setxattr_flags = a->fuse_flags,
	};

	bool extended = m->fs->flags & FUSE_SETXATTR_EXT;

	put(m, &in, extended ? sizeof(in) : FUSE_COMPAT_SETXATTR_IN_SIZE, "4444");
	put_name(m, a->name);
	put_bytes(m, a->data, a->size);
}

static void make_listxattr(struct maker *m, const struct vqsim_fs_args *a)
{
	const struct fuse_getxattr_in in = {.size = (uint32_t)a->size};

	PUT(m, in, "44");
}

static void make_getxattr(struct maker *m, const struct vqsim_fs_args *a)
{
	make_listxattr(m, a);
	put_name(m, a->name);
}

static void make_lock(struct maker *m, const struct vqsim_fs_args *a)
{
	const struct fuse_lk_in in = {
		.fh = a->handle, .owner = a->lock_owner, .lk = a->lock, .lk_flags = a->fuse_flags};

	PUT(m, in, "88" FS_WIRE_LOCK "44");
}

static void make_access(struct maker *m, const struct vqsim_fs_args *a)
{
	const struct fuse_access_in in = {.mask = a->mask};

	PUT(m, in, "44");
}

static void make_fallocate(struct maker *m, const struct vqsim_fs_args *a)
{
	const struct fuse_fallocate_in in = {
		.fh = a->handle, .offset = a->offset, .length = a->size, .mode = a->flags};

	PUT(m, in, "88844");
}

static void make_lseek(struct maker *m, const struct vqsim_fs_args *a)
{
	const struct fuse_lseek_in in = {.fh = a->handle, .offset = a->offset, .whence = a->whence};

	PUT(m, in, "8844");
}

static void make_copy(struct maker *m, const struct vqsim_fs_args *a)
{
	const struct fuse_copy_file_range_in in = {
		.fh_in = a->handle,
		.off_in = a->offset,
		.nodeid_out = a->target_node,
		.fh_out = a->target_handle,
		.off_out = a->target_offset,
		.len = a->size,
		.flags = a->flags,
	};

	PUT(m, in, "8888888");
}

static void make_syncfs(struct maker *m, const struct vqsim_fs_args *a)
{
	const struct fuse_syncfs_in in = {0};

	(void)a;
	PUT(m, in, "8");
}

static const struct form {
	enum fs_reply reply;
	make *make; /* NULL: no arguments */
} forms[] = {
	[FUSE_LOOKUP] = {FS_REPLY_ENTRY, make_name},
	[FUSE_FORGET] = {FS_REPLY_NONE, make_forget},
	[FUSE_GETATTR] = {FS_REPLY_ATTR, make_getattr},
	[FUSE_SETATTR] = {FS_REPLY_ATTR, make_setattr},
	[FUSE_READLINK] = {FS_REPLY_DATA, NULL},
	[FUSE_SYMLINK] = {FS_REPLY_ENTRY, make_symlink},
	[FUSE_MKNOD] = {FS_REPLY_ENTRY, make_mknod},
	[FUSE_MKDIR] = {FS_REPLY_ENTRY, make_mkdir},
	[FUSE_UNLINK] = {FS_REPLY_EMPTY, make_name},
	[FUSE_RMDIR] = {FS_REPLY_EMPTY, make_name},
	[FUSE_RENAME] = {FS_REPLY_EMPTY, make_rename},
	[FUSE_LINK] = {FS_REPLY_ENTRY, make_link},
	[FUSE_OPEN] = {FS_REPLY_OPEN, make_open},
	[FUSE_READ] = {FS_REPLY_DATA, make_read},
	[FUSE_WRITE] = {FS_REPLY_WRITE, make_write},
	[FUSE_STATFS] = {FS_REPLY_STATFS, NULL},
	[FUSE_RELEASE] = {FS_REPLY_EMPTY, make_release},
	[FUSE_FSYNC] = {FS_REPLY_EMPTY, make_fsync},
	[FUSE_SETXATTR] = {FS_REPLY_EMPTY, make_setxattr},
	[FUSE_GETXATTR] = {FS_REPLY_XATTR, make_getxattr},
	[FUSE_LISTXATTR] = {FS_REPLY_XATTR, make_listxattr},
	[FUSE_REMOVEXATTR] = {FS_REPLY_EMPTY, make_name},
	[FUSE_FLUSH] = {FS_REPLY_EMPTY, make_flush},
	[FUSE_INIT] = {FS_REPLY_INIT, make_init},
	[FUSE_OPENDIR] = {FS_REPLY_OPEN, make_open},
	[FUSE_READDIR] = {FS_REPLY_DIRENTS, make_read},
	[FUSE_RELEASEDIR] = {FS_REPLY_EMPTY, make_release},
	[FUSE_FSYNCDIR] = {FS_REPLY_EMPTY, make_fsync},
	[FUSE_GETLK] = {FS_REPLY_LOCK, make_lock},
	[FUSE_SETLK] = {FS_REPLY_EMPTY, make_lock},
	[FUSE_SETLKW] = {FS_REPLY_EMPTY, make_lock},
	[FUSE_ACCESS] = {FS_REPLY_EMPTY, make_access},
	[FUSE_CREATE] = {FS_REPLY_CREATE, make_create},
	[FUSE_INTERRUPT] = {FS_REPLY_INTERRUPT, make_interrupt},
	[FUSE_DESTROY] = {FS_REPLY_EMPTY, NULL},
	[FUSE_BATCH_FORGET] = {FS_REPLY_NONE, make_batch_forget},
	[FUSE_FALLOCATE] = {FS_REPLY_EMPTY, make_fallocate},
	[FUSE_READDIRPLUS] = {FS_REPLY_DIRENTS_PLUS, make_read},
	[FUSE_RENAME2] = {FS_REPLY_EMPTY, make_rename2},
	[FUSE_LSEEK] = {FS_REPLY_LSEEK, make_lseek},
	[FUSE_COPY_FILE_RANGE] = {FS_REPLY_WRITE, make_copy},
	[FUSE_SYNCFS] = {FS_REPLY_EMPTY, make_syncfs},
	[FUSE_TMPFILE] = {FS_REPLY_CREATE, make_create},
	[FUSE_STATX] = {FS_REPLY_STATX, make_statx},
	[FUSE_COPY_FILE_RANGE_64] = {FS_REPLY_COPY, make_copy},
};

static const struct form *form_of(uint32_t opcode)
{
	return &forms[opcode < sizeof(forms) / sizeof(forms[0]) ? opcode : 0];
}

enum fs_reply fs_reply_of(uint32_t opcode)
{
	return form_of(opcode)->reply;
}

static const uint32_t reply_sizes[] = {
	[FS_REPLY_ENTRY] = sizeof(struct fuse_entry_out),
	[FS_REPLY_CREATE] = sizeof(struct fuse_entry_out) + sizeof(struct fuse_open_out),
	[FS_REPLY_ATTR] = sizeof(struct fuse_attr_out),
	[FS_REPLY_OPEN] = sizeof(struct fuse_open_out),
	[FS_REPLY_WRITE] = sizeof(struct fuse_write_out),
	[FS_REPLY_LSEEK] = sizeof(struct fuse_lseek_out),
	[FS_REPLY_COPY] = sizeof(struct fuse_copy_file_range_out),
	[FS_REPLY_STATFS] = sizeof(struct fuse_statfs_out),
	[FS_REPLY_LOCK] = sizeof(struct fuse_lk_out),
	[FS_REPLY_STATX] = sizeof(struct fuse_statx_out),
	[FS_REPLY_INIT] = sizeof(struct fuse_init_out),
	[FS_REPLY_DIRENTS_PLUS] = 0, /* the last */
};

uint64_t fs_reply_size(const struct vqsim_fs_args *args)
{
	enum fs_reply reply = fs_reply_of(args->opcode);

	switch (reply) {
	case FS_REPLY_UNKNOWN:
	case FS_REPLY_DATA:
	case FS_REPLY_DIRENTS:
	case FS_REPLY_DIRENTS_PLUS:
		return args->size;
	case FS_REPLY_XATTR:
		return args->size > 0 ? args->size : sizeof(struct fuse_getxattr_out);
	default:
		return reply_sizes[reply];
	}
}

static void check_args(const struct vqsim_fs_request *request, const struct vqsim_fs_args *args)
{
	uint64_t room = request->out_room - FS_OUT_HEADER;

	if (fs_reply_size(args) > room)
		vqsim_misuse("vqsim_fs_make", "%" PRIu64 " bytes to read, but room for %" PRIu64,
			     args->size, room);
	if ((args->opcode == FUSE_INIT && !args->init) ||
	    (args->opcode == FUSE_SETATTR && !args->set) ||
	    (args->opcode == FUSE_BATCH_FORGET && !args->forgets && args->count > 0))
		vqsim_misuse("vqsim_fs_make", "opcode %" PRIu32 " without its structure",
			     args->opcode);
}

static void put_header(const struct maker *m)
{
	const struct vqsim_fs *fs = m->fs;
	const struct vqsim_fs_args *args = &m->request->args;
	const struct fuse_in_header header = {
		.len = m->at,
		.opcode = args->opcode,
		.unique = m->request->unique,
		.nodeid = args->opcode == FUSE_LINK ? args->new_parent : args->node,
		.uid = fs->uid,
		.gid = fs->gid,
		.pid = fs->pid,
		.total_extlen = m->ext_at ? (uint16_t)((m->at - m->ext_at) / 8) : 0,
	};

	fs_wire(m->request->in, &header, sizeof(header), FS_WIRE_IN_HEADER, fs->swapped);
}

void vqsim_fs_make(struct vqsim_fs *fs, struct vqsim_fs_request *request,
		   const struct vqsim_fs_args *args)
{
	const struct form *form = form_of(args->opcode);
	struct maker m = {.fs = fs, .request = request, .at = FS_IN_HEADER};

	if (request->fs)
		vqsim_misuse(__func__, "the request is in flight");
	check_args(request, args);
	request->args = *args;
	request->raw = false;
	request->unique = fs->next_unique;
	fs->next_unique += 2; /* the lowest bit marks an INTERRUPT */
	if (form->make)
		form->make(&m, args);
	put_header(&m);
	request->in_size = m.at;
	request->out_size =
		form->reply == FS_REPLY_NONE ? 0 : FS_OUT_HEADER + (uint32_t)fs_reply_size(args);
	request->readable_cuts = request->writable_cuts = NULL;
}

uint8_t *vqsim_fs_data(struct vqsim_fs_request *request)
{
	return request->in + FS_IN_HEADER + sizeof(struct fuse_write_in);
}

void vqsim_fs_make_raw(struct vqsim_fs *fs, struct vqsim_fs_request *request, const void *message,
		       uint32_t size, uint32_t out_size)
{
	struct maker m = {.fs = fs, .request = request};

	if (request->fs)
		vqsim_misuse(__func__, "the request is in flight");
	if (out_size > request->out_room)
		vqsim_misuse(__func__, "%" PRIu32 " bytes for a reply, but room for %" PRIu32,
			     out_size, request->out_room);
	put_bytes(&m, message, size);
	memset(&request->args, 0, sizeof(request->args));
	request->raw = true;
	request->in_size = size;
	request->out_size = out_size;
	request->readable_cuts = request->writable_cuts = NULL;
}
