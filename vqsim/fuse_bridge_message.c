/* SPDX-License-Identifier: BSD-3-Clause */
/* A message of the kernel as a request of the guest's driver. */
#include <string.h>

#include "fuse_bridge_internal.h"

/* The writable part of the chain. */
static uint32_t reply_room(const struct vqsim_fs_request *request, const struct vqsim_fs_args *args)
{
	uint64_t size = (uint64_t)FS_OUT_HEADER + fs_reply_size(args);

	if (fs_reply_of(args->opcode) == FS_REPLY_NONE)
		return 0;
	return size < request->out_room ? (uint32_t)size : request->out_room;
}

/* As a driver would lay them out: header, arguments, and the data of a WRITE by itself. */
static void frame(struct vqsim_fs_request *request, uint32_t opcode)
{
	static const uint32_t cuts[] = {FS_IN_HEADER, sizeof(struct fuse_write_in)};

	if (opcode != FUSE_WRITE)
		return;
	request->readable_cuts = cuts;
	request->readable_cut_count = 2;
}

bool fuse_bridge_prepare(struct vqsim_fs *fs, struct vqsim_fuse_bridge_slot *slot, size_t size)
{
	struct vqsim_fs_request *request = &slot->request;
	struct vqsim_fs_args args;

	if (size < FS_IN_HEADER)
		return false;
	memcpy(&slot->header, request->in, sizeof(slot->header));
	if (slot->header.len != size)
		return false;
	fuse_bridge_args(fs, slot, &args);
	vqsim_fs_make_raw(fs, request, NULL, (uint32_t)size, reply_room(request, &args));
	frame(request, args.opcode);
	/* Made by the kernel, but known as well as if it had been made here: it is checked so. */
	request->raw = false;
	request->args = args;
	request->unique = slot->header.unique;
	request->indirect = true;
	return true;
}
