/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "fs_player_internal.h"

enum bend {
	BEND_LEN,         /* the header's len is off by value */
	BEND_SHORT,       /* value bytes are missing at the end */
	BEND_SHORT_KNOWN, /* the same, and the header knows */
	BEND_LONG,        /* value bytes more, and the header knows */
	BEND_OUT,         /* room for value bytes of reply */
	BEND_NO_OUT,      /* for none */
	BEND_BYTE,        /* byte number offset becomes value */
	BEND_BIT,         /* bit number value of byte number offset is turned */
	BEND_EXT,         /* total_extlen becomes value */
	BEND_OPCODE,      /* another opcode's message */
	BEND_UNENDED,     /* the last byte is no NUL */
	BENDS,
};

static void put_len(const struct fuzz_fs_player *player, struct vqsim_fs_request *request,
		    uint32_t len)
{
	if (player->fs.swapped)
		len = __builtin_bswap32(len);
	memcpy(request->in + offsetof(struct fuse_in_header, len), &len, sizeof(len));
}

static void put_u16(const struct fuzz_fs_player *player, uint8_t *at, uint16_t value)
{
	if (player->fs.swapped)
		value = __builtin_bswap16(value);
	memcpy(at, &value, sizeof(value));
}

static void damage(const struct fuzz_fs_player *player, struct vqsim_fs_request *request,
		   const struct fuzz_fs_op *op, uint32_t *size, uint32_t *out_size)
{
	uint32_t at = op->offset % request->in_size;
	uint32_t less = op->value % request->in_size;

	switch ((enum bend)(op->mask % BENDS)) {
	case BEND_LEN:
		put_len(player, request, request->in_size + (uint32_t)(int8_t)op->value);
		break;
	case BEND_SHORT:
		*size -= less;
		break;
	case BEND_SHORT_KNOWN:
		*size -= less;
		put_len(player, request, *size);
		break;
	case BEND_LONG:
		*size += op->value % 64u;
		put_len(player, request, *size);
		break;
	case BEND_OUT:
		*out_size = op->value;
		break;
	case BEND_NO_OUT:
		*out_size = 0;
		break;
	case BEND_BYTE:
		request->in[at] = op->value;
		break;
	case BEND_BIT:
		request->in[at] ^= (uint8_t)(1u << op->value % 8);
		break;
	case BEND_EXT:
		put_u16(player, request->in + offsetof(struct fuse_in_header, total_extlen),
			op->value);
		break;
	case BEND_OPCODE:
		request->in[offsetof(struct fuse_in_header, opcode) +
			    (player->fs.swapped ? 3 : 0)] = op->value;
		break;
	case BEND_UNENDED:
		request->in[request->in_size - 1] = 'x';
		break;
	case BENDS:
		break;
	}
}

void player_bend(struct fuzz_fs_player *player, struct vqsim_fs_request *request)
{
	uint32_t size = request->in_size, out_size = request->out_size;

	damage(player, request, &player->bend, &size, &out_size);
	player->bend.code = FUZZ_FS_REQUEST;
	vqsim_fs_make_raw(&player->fs, request, NULL, size, out_size);
}

/* Room for replies to messages of the input. */
static const uint32_t out_sizes[] = {0, 8, 16, 24, 120, 144, 160, 512, 4096};

/* A header that fits, before arguments that perhaps do not; mask 255: not even that. */
bool player_raw(struct fuzz_fs_player *player, struct vqsim_fs_request *request,
		const struct fuzz_fs_op *op)
{
	struct fuse_in_header header = {
		.len = (uint32_t)sizeof(header) + op->count,
		.opcode = op->mask % 64u,
		.unique = player->fs.next_unique,
		.nodeid = fuzz_fs_node(&player->seen, op->node),
	};
	uint8_t message[sizeof(header) + FUZZ_FS_BYTES_MAX];
	uint32_t head = op->mask == UINT8_MAX ? 0 : sizeof(header);
	uint32_t out_size = out_sizes[op->size % (sizeof(out_sizes) / sizeof(out_sizes[0]))];

	player->fs.next_unique += 2;
	memcpy(message, &header, head);
	if (op->count > 0)
		memcpy(message + head, op->bytes, op->count);
	if (head + op->count + out_size == 0)
		return false;
	vqsim_fs_make_raw(&player->fs, request, message, head + op->count, out_size);
	return true;
}
