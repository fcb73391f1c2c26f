/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A reply into a result; and what must hold of every reply, whatever the tree behind the
 * device. What breaks a rule is recorded and taken for an error EIO, so that nothing of it is used.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "guest_fs_internal.h"

static __attribute__((format(printf, 3, 4), cold)) bool
wrong(const struct vqsim_fs_request *request, enum vqsim_rule rule, const char *format, ...)
{
	struct vqsim_referee *referee = request->fs->guest->referee;
	char detail[128];
	va_list args;

	if (!referee)
		return false;
	va_start(args, format);
	vsnprintf(detail, sizeof(detail), format, args);
	va_end(args);
	vqsim_referee_violation(referee, rule, request->queue,
				"opcode %" PRIu32 ", unique %" PRIu64 ": %s", request->args.opcode,
				request->unique, detail);
	return false;
}

/* The payload of a good reply */

static void get(const struct vqsim_fs_request *request, void *to, size_t size, const char *layout)
{
	fs_wire(to, request->out + FS_OUT_HEADER, size, layout, request->fs->swapped);
}

#define GET(request, structure, layout) get(request, &(structure), sizeof(structure), layout)

static bool is_lookup(uint32_t opcode)
{
	return opcode == FUSE_LOOKUP;
}

/* Only LOOKUP can say in an entry that there is none. */
static bool entry_sane(const struct vqsim_fs_request *request, const struct fuse_entry_out *entry)
{
	if (entry->nodeid == 0)
		return is_lookup(request->args.opcode);
	return fs_attr_sane(&entry->attr);
}

static void count_lookup(struct vqsim_fs *fs, uint64_t node)
{
	if (node != 0 && !fs_ledger_add(&fs->lookups, node, 0))
		fs->no_memory = true;
}

static void count_handle(struct vqsim_fs *fs, uint64_t node, uint64_t handle)
{
	if (!fs_ledger_add(&fs->handles, node, handle))
		fs->no_memory = true;
}

static bool take_entry(struct vqsim_fs *fs, struct vqsim_fs_request *request)
{
	struct fuse_entry_out *entry = &request->result.entry;

	GET(request, *entry, FS_WIRE_ENTRY);
	if (!entry_sane(request, entry))
		return wrong(request, VQSIM_RULE_FS_PAYLOAD, "node %" PRIu64 " with mode 0%" PRIo32,
			     entry->nodeid, entry->attr.mode);
	count_lookup(fs, entry->nodeid);
	return true;
}

static void fill_open(struct vqsim_fs_request *request, uint64_t node,
		      const struct fuse_open_out *open)
{
	request->result.handle = open->fh;
	request->result.open_flags = open->open_flags;
	count_handle(request->fs, node, open->fh);
}

static bool take_create(struct vqsim_fs *fs, struct vqsim_fs_request *request)
{
	struct fuse_open_out open;

	if (!take_entry(fs, request))
		return false;
	fs_wire(&open, request->out + FS_OUT_HEADER + sizeof(struct fuse_entry_out), sizeof(open),
		FS_WIRE_OPEN, fs->swapped);
	fill_open(request, request->result.entry.nodeid, &open);
	return true;
}

static bool take_attr(struct vqsim_fs *fs, struct vqsim_fs_request *request)
{
	struct fuse_attr_out out;

	(void)fs;
	GET(request, out, "844" FS_WIRE_ATTR);
	request->result.attr = out.attr;
	if (!fs_attr_sane(&out.attr))
		return wrong(request, VQSIM_RULE_FS_PAYLOAD, "attributes with mode 0%" PRIo32,
			     out.attr.mode);
	return true;
}

static bool take_open(struct vqsim_fs *fs, struct vqsim_fs_request *request)
{
	struct fuse_open_out open;

	(void)fs;
	GET(request, open, FS_WIRE_OPEN);
	fill_open(request, request->args.node, &open);
	return true;
}

/* More than was asked for cannot have been done. */
static bool count_sane(const struct vqsim_fs_request *request)
{
	if (request->result.count > request->args.size)
		return wrong(request, VQSIM_RULE_FS_PAYLOAD, "%" PRIu64 " bytes of %" PRIu64,
			     request->result.count, request->args.size);
	return true;
}

static bool take_write(struct vqsim_fs *fs, struct vqsim_fs_request *request)
{
	struct fuse_write_out out;

	(void)fs;
	GET(request, out, "44");
	request->result.count = out.size;
	return count_sane(request);
}

static bool take_copy(struct vqsim_fs *fs, struct vqsim_fs_request *request)
{
	(void)fs;
	GET(request, request->result.count, "8");
	return count_sane(request);
}

static bool take_lseek(struct vqsim_fs *fs, struct vqsim_fs_request *request)
{
	(void)fs;
	GET(request, request->result.count, "8");
	return true;
}

static bool take_statfs(struct vqsim_fs *fs, struct vqsim_fs_request *request)
{
	(void)fs;
	GET(request, request->result.statfs,
	    "88888444"
	    "4444444");
	return true;
}

static bool take_lock(struct vqsim_fs *fs, struct vqsim_fs_request *request)
{
	(void)fs;
	GET(request, request->result.lock, FS_WIRE_LOCK);
	return true;
}

static bool take_statx(struct vqsim_fs *fs, struct vqsim_fs_request *request)
{
	struct fuse_statx_out out;

	(void)fs;
	GET(request, out,
	    "84488"
	    "448444228888"
	    "844844844844"
	    "444488888888888888");
	request->result.statx = out.stat;
	return true;
}

static bool take_init(struct vqsim_fs *fs, struct vqsim_fs_request *request)
{
	struct fuse_init_out *init = &request->result.init;

	GET(request, *init, FS_WIRE_INIT_OUT);
	fs_ledger_finish(&fs->lookups);
	fs_ledger_finish(&fs->handles);
	fs->minor = 0;
	/* A lower major than was asked for is to be asked for again: there is no session yet. */
	if (init->major != FUSE_KERNEL_VERSION || request->args.init->major != init->major)
		return true;
	fs->minor = init->minor;
	if (init->minor > request->args.init->minor)
		fs->minor = request->args.init->minor;
	fs->flags = init->flags;
	if (init->flags & FUSE_INIT_EXT)
		fs->flags |= (uint64_t)init->flags2 << 32;
	fs->max_write = init->max_write;
	return true;
}

static bool take_data(struct vqsim_fs *fs, struct vqsim_fs_request *request)
{
	(void)fs;
	request->result.data = request->out + FS_OUT_HEADER;
	request->result.count = request->used_len - FS_OUT_HEADER;
	return count_sane(request);
}

static bool take_xattr(struct vqsim_fs *fs, struct vqsim_fs_request *request)
{
	struct fuse_getxattr_out out;

	if (request->args.size > 0)
		return take_data(fs, request);
	GET(request, out, "44");
	request->result.count = out.size;
	return true;
}

static bool take_dirents(struct vqsim_fs *fs, struct vqsim_fs_request *request)
{
	struct vqsim_fs_dirents dirents;
	struct vqsim_fs_dirent dirent;

	take_data(fs, request);
	dirents = vqsim_fs_dirents_of(fs, request);
	while (vqsim_fs_dirents_next(&dirents, &dirent)) {
		if (!fs_dirent_sane(&dirent))
			return wrong(request, VQSIM_RULE_FS_PAYLOAD,
				     "entry \"%.40s\" of type %" PRIu32 ", next %" PRIu64,
				     dirent.name, dirent.type, dirent.next);
		/* "." and ".." are not looked up (FUSE says so of READDIRPLUS). */
		if (strcmp(dirent.name, ".") != 0 && strcmp(dirent.name, "..") != 0)
			count_lookup(fs, dirent.entry.nodeid);
	}
	if (dirents.left > 0)
		return wrong(request, VQSIM_RULE_FS_PAYLOAD, "the last %zu bytes are no entry",
			     dirents.left);
	return true;
}

static bool take_empty(struct vqsim_fs *fs, struct vqsim_fs_request *request)
{
	if (request->args.opcode != FUSE_DESTROY)
		return true;
	fs_ledger_finish(&fs->lookups);
	fs_ledger_finish(&fs->handles);
	fs->minor = 0;
	return true;
}

/* Where the size varies its function looks at it. */
static const struct {
	bool varies;
	bool (*take)(struct vqsim_fs *fs, struct vqsim_fs_request *request);
} takers[] = {
	[FS_REPLY_UNKNOWN] = {true, take_data},         [FS_REPLY_EMPTY] = {false, take_empty},
	[FS_REPLY_ENTRY] = {false, take_entry},         [FS_REPLY_CREATE] = {false, take_create},
	[FS_REPLY_ATTR] = {false, take_attr},           [FS_REPLY_OPEN] = {false, take_open},
	[FS_REPLY_WRITE] = {false, take_write},         [FS_REPLY_LSEEK] = {false, take_lseek},
	[FS_REPLY_COPY] = {false, take_copy},           [FS_REPLY_STATFS] = {false, take_statfs},
	[FS_REPLY_LOCK] = {false, take_lock},           [FS_REPLY_STATX] = {false, take_statx},
	[FS_REPLY_INIT] = {false, take_init},           [FS_REPLY_DATA] = {true, take_data},
	[FS_REPLY_XATTR] = {true, take_xattr},          [FS_REPLY_DIRENTS] = {true, take_dirents},
	[FS_REPLY_DIRENTS_PLUS] = {true, take_dirents},
};

/* Returns false: it is not what the opcode asks for. */
static bool take_payload(struct vqsim_fs *fs, struct vqsim_fs_request *request)
{
	enum fs_reply reply = fs_reply_of(request->args.opcode);
	uint32_t exact = FS_OUT_HEADER + (uint32_t)fs_reply_size(&request->args);
	bool varies;

	/* An INTERRUPT that went well is not answered. */
	if (reply == FS_REPLY_INTERRUPT)
		return wrong(request, VQSIM_RULE_FS_SILENT, "it was answered with error 0");
	varies = takers[reply].varies && !(reply == FS_REPLY_XATTR && request->args.size == 0);
	if (!varies && request->used_len != exact)
		return wrong(request, VQSIM_RULE_FS_PAYLOAD,
			     "%" PRIu32 " bytes of reply and not %" PRIu32, request->used_len,
			     exact);
	return takers[reply].take(fs, request);
}

/* The header of a reply */

/* What a message says of itself comes back byte by byte. */
static bool unique_right(const struct vqsim_fs_request *request)
{
	const size_t in_at = offsetof(struct fuse_in_header, unique);

	if (request->in_size < in_at + 8)
		return request->raw; /* it had none */
	return memcmp(request->in + in_at, request->out + offsetof(struct fuse_out_header, unique),
		      8) == 0;
}

/* In the order of the guest; a raw message may have the other one. */
static bool header_take(const struct vqsim_fs_request *request, struct fuse_out_header *header)
{
	bool swapped = request->fs->swapped;

	fs_wire(header, request->out, sizeof(*header), FS_WIRE_OUT_HEADER, swapped);
	if (request->raw && header->len != request->used_len)
		fs_wire(header, request->out, sizeof(*header), FS_WIRE_OUT_HEADER, !swapped);
	return header->len == request->used_len;
}

static bool check_header(const struct vqsim_fs_request *request, struct fuse_out_header *header)
{
	if (request->used_len < FS_OUT_HEADER)
		return wrong(request, VQSIM_RULE_FS_REPLY, "a reply of %" PRIu32 " bytes",
			     request->used_len);
	if (!header_take(request, header))
		return wrong(request, VQSIM_RULE_FS_REPLY,
			     "length %" PRIu32 " in the header of %" PRIu32 " bytes", header->len,
			     request->used_len);
	if (!unique_right(request))
		return wrong(request, VQSIM_RULE_FS_REPLY, "unique %" PRIu64 " in the header",
			     header->unique);
	if (header->error > 0 || header->error <= -FS_ERRNO_END)
		return wrong(request, VQSIM_RULE_FS_REPLY, "error %" PRId32, header->error);
	if (header->error != 0 && header->len != FS_OUT_HEADER)
		return wrong(request, VQSIM_RULE_FS_REPLY,
			     "error %" PRId32 " with %" PRIu32 " bytes", header->error,
			     header->len);
	return true;
}

/* Returns whether a reply may be missing: what is not one for every device is not answered. */
static bool may_be_silent(const struct vqsim_fs_request *request)
{
	return request->raw || fs_reply_of(request->args.opcode) == FS_REPLY_INTERRUPT ||
	       request->out_size < FS_OUT_HEADER;
}

static bool check_silence(const struct vqsim_fs_request *request)
{
	if (request->used_len > 0)
		return wrong(request, VQSIM_RULE_FS_SILENT, "it was used with length %" PRIu32,
			     request->used_len);
	return true;
}

/* The device says that there is no such handle, or that it does not understand. */
static bool is_refusal(int error)
{
	return error == -EBADF || error == -ESTALE || error == -EINVAL;
}

/* As with close(2), any other error comes from what was still to be done: the handle has gone. */
static void count_release(struct vqsim_fs *fs, const struct vqsim_fs_request *request)
{
	const struct vqsim_fs_args *args = &request->args;

	if ((args->opcode == FUSE_RELEASE || args->opcode == FUSE_RELEASEDIR) &&
	    !is_refusal(request->result.error))
		fs_ledger_take(&fs->handles, args->node, args->handle, 1);
}

static bool take_reply(struct vqsim_fs *fs, struct vqsim_fs_request *request)
{
	struct fuse_out_header header;

	if (request->out_size == 0 ||
	    (!request->raw && fs_reply_of(request->args.opcode) == FS_REPLY_NONE))
		return check_silence(request);
	if (request->used_len == 0)
		return may_be_silent(request) ||
		       wrong(request, VQSIM_RULE_FS_REPLY, "there is no reply");
	if (!check_header(request, &header))
		return false;
	request->result.error = header.error;
	if (request->raw) {
		request->result.data = request->out + FS_OUT_HEADER;
		request->result.count = request->used_len - FS_OUT_HEADER;
		return true;
	}
	return header.error != 0 || take_payload(fs, request);
}

void fs_take(struct vqsim_fs *fs, struct vqsim_fs_request *request)
{
	memset(&request->result, 0, offsetof(struct vqsim_fs_result, entry));
	if (!take_reply(fs, request))
		request->result.error = -EIO;
	if (!request->raw)
		count_release(fs, request);
}
