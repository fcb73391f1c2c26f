/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the target fs does with its input: operations of a file-system guest, and the bytes
 * that stand for them. Members are one byte each and choose from what the player has: nodes and
 * handles that replies named, usual names and flags, and some of each that are wrong. So an
 * input is
 *
 *     members of FUZZ_FS_UP | operation *        missing bytes are 0
 *
 * and an operation one byte that chooses a form, then its members.
 */
#ifndef FUZZ_SUPPORT_FS_OPS_H
#define FUZZ_SUPPORT_FS_OPS_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Longer runs find little that shorter ones do not, and cost more. */
#define FUZZ_FS_OPS_MAX   96u
#define FUZZ_FS_BYTES_MAX 128u

enum fuzz_fs_code {
	FUZZ_FS_REQUEST, /* a FUSE request */
	FUZZ_FS_UP,      /* reset, bring up, INIT with minor, flags and byte order */
	FUZZ_FS_WORK,    /* let the device work, take what came back */
	FUZZ_FS_CALLER,  /* of the requests that follow: uid, groups, umask */
	FUZZ_FS_FRAMING, /* of the requests that follow: cuts, indirect, queue */
	FUZZ_FS_LATER,   /* the device does not work before FUZZ_FS_WORK, or does again */
	FUZZ_FS_BEND,    /* the next request is damaged: what, at, value */
	FUZZ_FS_RAW,     /* a message: header of value, and bytes of the input */
	FUZZ_FS_QUEUE_RESET,
};

struct fuzz_fs_op {
	uint8_t code; /* enum fuzz_fs_code */
	uint8_t opcode;
	uint8_t node, other;
	uint8_t handle, target;
	uint8_t name, new_name;
	uint8_t flags, fuse_flags;
	uint8_t mode, mask;
	uint8_t offset, size;
	uint8_t value, owner;
	uint8_t count; /* of bytes */
	const uint8_t *bytes;
};

/* Returns the number of operations written to ops, which has room for FUZZ_FS_OPS_MAX. */
unsigned fuzz_fs_decode(const uint8_t *data, size_t size, struct fuzz_fs_op *ops);

/*
 * The bytes for these operations, the first of which is FUZZ_FS_UP. Returns their number, or 0:
 * they do not fit, or have members that their forms lack.
 */
size_t fuzz_fs_encode(const struct fuzz_fs_op *ops, unsigned count, uint8_t *data, size_t room);

void fuzz_fs_print(FILE *out, const struct fuzz_fs_op *op);

#endif
