/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a frontend of the vhost-user server does, as an input of the fuzzer: operations of 16
 * bytes each, one behind the other.
 */
#ifndef FUZZ_SUPPORT_VHOST_OPS_H
#define FUZZ_SUPPORT_VHOST_OPS_H

#include <stddef.h>
#include <stdint.h>

enum fuzz_vhost_code {
	FUZZ_VHOST_SET_UP,  /* memory and a ring that runs, as flags say */
	FUZZ_VHOST_MESSAGE, /* a message that is right but for what width, size and fd say */
	FUZZ_VHOST_BYTES,   /* at bytes of value on the socket */
	FUZZ_VHOST_EXPOSE,  /* a block request in a ring, and a kick */
	FUZZ_VHOST_POKE,    /* width bytes of value somewhere in the memory */
	FUZZ_VHOST_RUN,     /* progress on a ring, for at chains */
	FUZZ_VHOST_CUT,     /* the memory file has at KiB from here on */
	FUZZ_VHOST_RESIZE,  /* the disk has at + 1 sectors */
	FUZZ_VHOST_GONE,    /* another frontend, with a memory file of its own */
	FUZZ_VHOST_CODES,
};

/* Of SET_UP. */
enum fuzz_vhost_set_up {
	FUZZ_VHOST_PACKED = 1,
	FUZZ_VHOST_EVENT_IDX = 2,
	FUZZ_VHOST_INDIRECT = 4,
	FUZZ_VHOST_IN_ORDER = 8,
	FUZZ_VHOST_LOG = 16,
	FUZZ_VHOST_STATUS = 32,
	FUZZ_VHOST_INFLIGHT = 64,
};

/* Descriptors of MESSAGE and BYTES: a kind in the low 4 bits, how many more than right above. */
enum fuzz_vhost_fd {
	FUZZ_VHOST_FD_RIGHT, /* the kind that the request is for */
	FUZZ_VHOST_FD_NONE,
	FUZZ_VHOST_FD_MEMORY,
	FUZZ_VHOST_FD_COUNTER,
	FUZZ_VHOST_FD_PIPE,
	FUZZ_VHOST_FD_SOCKET,
	FUZZ_VHOST_FD_NULL,
	FUZZ_VHOST_FD_FOLDER,
	FUZZ_VHOST_FD_AREAS, /* of the last GET_INFLIGHT_FD */
	FUZZ_VHOST_FD_KINDS,
};

/* Each byte string is an operation: what is out of range is taken modulo. */
struct fuzz_vhost_op {
	uint8_t code;
	uint8_t request;
	uint8_t fd;
	uint8_t flags; /* SET_UP; MESSAGE: of the header, those that are other than right */
	uint8_t ring;
	int8_t size;   /* MESSAGE: bytes more than right */
	uint8_t at;    /* MESSAGE: of the payload, where value goes */
	uint8_t width; /* bytes of value that go there; 0: none */
	uint64_t value;
};

/* Some that are known to get far, for the corpus. */
struct fuzz_vhost_seed {
	const char *name;
	const struct fuzz_vhost_op *ops;
	unsigned count;
};

extern const struct fuzz_vhost_seed fuzz_vhost_seeds[];
extern const unsigned fuzz_vhost_seed_count;

#endif
