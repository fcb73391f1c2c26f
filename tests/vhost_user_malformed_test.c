/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Every request in every way in which a message can be wrong as a message: its size, its
 * descriptors, its flags, its payload, where it is cut. Each is sent to a server that negotiated
 * everything, and to one that negotiated nothing.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "support/vhost_hostile.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

#define STATE  sizeof(struct vhost_user_vring_state)
#define ADDR   sizeof(struct vhost_user_vring_addr)
#define REGION sizeof(struct vhost_user_single_region)

/* Requests, with the size that is right and how many descriptors are. */
static const struct request {
	uint32_t number;
	uint32_t size;
	unsigned fds;
	const char *name;
} requests[] = {
	{VHOST_USER_GET_FEATURES, 0, 0, "GET_FEATURES"},
	{VHOST_USER_SET_FEATURES, 8, 0, "SET_FEATURES"},
	{VHOST_USER_SET_OWNER, 0, 0, "SET_OWNER"},
	{VHOST_USER_RESET_OWNER, 0, 0, "RESET_OWNER"},
	{VHOST_USER_SET_MEM_TABLE, 40, 1, "SET_MEM_TABLE"},
	{VHOST_USER_SET_LOG_BASE, 16, 1, "SET_LOG_BASE"},
	{VHOST_USER_SET_LOG_FD, 0, 1, "SET_LOG_FD"},
	{VHOST_USER_SET_VRING_NUM, STATE, 0, "SET_VRING_NUM"},
	{VHOST_USER_SET_VRING_ADDR, ADDR, 0, "SET_VRING_ADDR"},
	{VHOST_USER_SET_VRING_BASE, STATE, 0, "SET_VRING_BASE"},
	{VHOST_USER_GET_VRING_BASE, STATE, 0, "GET_VRING_BASE"},
	{VHOST_USER_SET_VRING_KICK, 8, 1, "SET_VRING_KICK"},
	{VHOST_USER_SET_VRING_CALL, 8, 1, "SET_VRING_CALL"},
	{VHOST_USER_SET_VRING_ERR, 8, 1, "SET_VRING_ERR"},
	{VHOST_USER_GET_PROTOCOL_FEATURES, 0, 0, "GET_PROTOCOL_FEATURES"},
	{VHOST_USER_SET_PROTOCOL_FEATURES, 8, 0, "SET_PROTOCOL_FEATURES"},
	{VHOST_USER_GET_QUEUE_NUM, 0, 0, "GET_QUEUE_NUM"},
	{VHOST_USER_SET_VRING_ENABLE, STATE, 0, "SET_VRING_ENABLE"},
	{VHOST_USER_SET_BACKEND_REQ_FD, 0, 1, "SET_BACKEND_REQ_FD"},
	{VHOST_USER_GET_CONFIG, 20, 0, "GET_CONFIG"},
	{VHOST_USER_SET_CONFIG, 20, 0, "SET_CONFIG"},
	{VHOST_USER_GET_INFLIGHT_FD, VHOST_USER_INFLIGHT_SIZE, 0, "GET_INFLIGHT_FD"},
	{VHOST_USER_SET_INFLIGHT_FD, VHOST_USER_INFLIGHT_SIZE, 1, "SET_INFLIGHT_FD"},
	{VHOST_USER_RESET_DEVICE, 0, 0, "RESET_DEVICE"},
	{VHOST_USER_VRING_KICK, STATE, 0, "VRING_KICK"},
	{VHOST_USER_GET_MAX_MEM_SLOTS, 0, 0, "GET_MAX_MEM_SLOTS"},
	{VHOST_USER_ADD_MEM_REG, REGION, 1, "ADD_MEM_REG"},
	{VHOST_USER_REM_MEM_REG, REGION, 0, "REM_MEM_REG"},
	{VHOST_USER_SET_STATUS, 8, 0, "SET_STATUS"},
	{VHOST_USER_GET_STATUS, 0, 0, "GET_STATUS"},
	{0, 0, 0, "request 0"},
	{VHOST_USER_REQUEST_MAX, 8, 0, "the last request"},
	{0xffffffff, 8, 1, "request 2^32 - 1"},
};

enum defect {
	NO_PAYLOAD,
	SHORTER,
	LONGER,
	TOO_LONG,
	MUCH_TOO_LONG,
	FAR_TOO_LONG,
	NO_FDS,
	ONE_FD_MORE,
	EIGHT_FDS,
	NINE_FDS,
	FORTY_FDS,
	FD_OF_NO_KIND,
	FDS_ON_SECOND_BYTE,
	FDS_ON_PAYLOAD,
	ALL_ONES,
	ALL_ZEROES,
	VERSION_0,
	VERSION_2,
	A_REPLY,
	UNKNOWN_FLAGS,
	BYTE_BY_BYTE,
	CUT_IN_HEADER,
	CUT_BEFORE_PAYLOAD,
	CUT_IN_PAYLOAD,
};

static const char *const defects[] = {
	[NO_PAYLOAD] = "no payload",
	[SHORTER] = "a byte less",
	[LONGER] = "a byte more",
	[TOO_LONG] = "a byte more than any payload",
	[MUCH_TOO_LONG] = "500 bytes",
	[FAR_TOO_LONG] = "a size of 2^32 - 1",
	[NO_FDS] = "no descriptor",
	[ONE_FD_MORE] = "one descriptor more",
	[EIGHT_FDS] = "8 descriptors",
	[NINE_FDS] = "9 descriptors",
	[FORTY_FDS] = "40 descriptors",
	[FD_OF_NO_KIND] = "a descriptor of a folder",
	[FDS_ON_SECOND_BYTE] = "descriptors with the second byte",
	[FDS_ON_PAYLOAD] = "descriptors with the payload",
	[ALL_ONES] = "payload of ones",
	[ALL_ZEROES] = "payload of zeroes",
	[VERSION_0] = "version 0",
	[VERSION_2] = "version 2",
	[A_REPLY] = "flag of a reply",
	[UNKNOWN_FLAGS] = "unknown flags",
	[BYTE_BY_BYTE] = "byte by byte",
	[CUT_IN_HEADER] = "closed in the header",
	[CUT_BEFORE_PAYLOAD] = "closed before the payload",
	[CUT_IN_PAYLOAD] = "closed in the payload",
};

struct sequence {
	const struct request *request;
	enum defect defect;
	char name[80];
};

/* A message as bytes, and what goes with it. */
struct parcel {
	struct vhost_user_header header;
	uint8_t payload[512];
	size_t size; /* of both, that are sent */
	int fd;      /* sent fd_count times */
	unsigned fd_count;
	size_t fds_at; /* with this byte */
};

static void bend_size(struct parcel *parcel, enum defect defect)
{
	uint32_t *size = &parcel->header.size;

	if (defect == NO_PAYLOAD)
		*size = 0;
	else if (defect == SHORTER)
		*size -= *size > 0;
	else if (defect == LONGER)
		*size += 1;
	else if (defect == TOO_LONG)
		*size = VHOST_USER_PAYLOAD_MAX + 1;
	else if (defect == MUCH_TOO_LONG)
		*size = 500;
	parcel->size = sizeof(parcel->header) + *size;
	if (defect == FAR_TOO_LONG)
		*size = UINT32_MAX;
	if (defect == CUT_IN_HEADER)
		parcel->size = 7;
	else if (defect == CUT_BEFORE_PAYLOAD)
		parcel->size = sizeof(parcel->header);
	else if (defect == CUT_IN_PAYLOAD)
		parcel->size -= *size / 2;
}

static void bend_fds(struct parcel *parcel, enum defect defect)
{
	switch (defect) {
	case NO_FDS:
		parcel->fd_count = 0;
		break;
	case ONE_FD_MORE:
		parcel->fd_count++;
		break;
	case EIGHT_FDS:
		parcel->fd_count = 8;
		break;
	case NINE_FDS:
		parcel->fd_count = 9;
		break;
	case FORTY_FDS:
		parcel->fd_count = 40;
		break;
	case FD_OF_NO_KIND:
	case FDS_ON_SECOND_BYTE:
	case FDS_ON_PAYLOAD:
		parcel->fd_count += parcel->fd_count == 0;
		parcel->fds_at = defect == FDS_ON_SECOND_BYTE ? 1
				 : defect == FDS_ON_PAYLOAD   ? sizeof(parcel->header)
							      : 0;
		break;
	default:
		break;
	}
}

static void bend_header(struct parcel *parcel, enum defect defect, bool need_reply)
{
	uint32_t *flags = &parcel->header.flags;

	*flags = VHOST_USER_VERSION | (need_reply ? VHOST_USER_NEED_REPLY : 0);
	if (defect == VERSION_0)
		*flags &= ~VHOST_USER_VERSION_MASK;
	else if (defect == VERSION_2)
		*flags = (*flags & ~VHOST_USER_VERSION_MASK) | 2;
	else if (defect == A_REPLY)
		*flags |= VHOST_USER_REPLY;
	else if (defect == UNKNOWN_FLAGS)
		*flags |= 0xfffffff0;
}

/* The server may have hung up in the middle: then nobody reads the rest. */
static void send_parcel(struct vhost_peer *peer, const struct parcel *parcel, bool byte_by_byte)
{
	const uint8_t *bytes = (const uint8_t *)&parcel->header;
	size_t at = 0, piece;
	int fds[64];

	for (unsigned i = 0; i < parcel->fd_count; i++)
		fds[i] = parcel->fd;
	while (at < parcel->size) {
		bool now = at == parcel->fds_at;

		piece = byte_by_byte          ? 1
			: at < parcel->fds_at ? parcel->fds_at - at
					      : parcel->size - at;
		if (piece > parcel->size - at)
			piece = parcel->size - at;
		if (!peer_send_bytes(peer, bytes + at, piece, fds, now ? parcel->fd_count : 0))
			return;
		at += piece;
	}
}

/*
 * After these nobody knows where the next message begins, or whose descriptors came. (Of two pieces
 * that were sent, the kernel may make one: then their second byte is not known as such.)
 */
static bool must_hang_up(const struct sequence *sequence)
{
	switch (sequence->defect) {
	case TOO_LONG:
	case MUCH_TOO_LONG:
	case NINE_FDS:
	case FORTY_FDS:
	case VERSION_0:
	case VERSION_2:
	case A_REPLY:
		return true;
	case FDS_ON_PAYLOAD:
		return sequence->request->size > 0;
	default:
		return false;
	}
}

static void play(struct hostile *h, const struct sequence *sequence, bool negotiated)
{
	struct parcel parcel = {.header.request = sequence->request->number,
				.header.size = sequence->request->size,
				.fd_count = sequence->request->fds};
	bool of_no_kind = sequence->defect == FD_OF_NO_KIND;
	int folder = open("/", O_PATH | O_CLOEXEC);

	if (negotiated)
		hostile_negotiate(h, true);
	else
		hostile_connect(h);
	if (sequence->defect == ALL_ONES)
		memset(parcel.payload, 0xff, sizeof(parcel.payload));
	parcel.fd = of_no_kind ? folder : h->peer.memory_fd;
	bend_size(&parcel, sequence->defect);
	bend_fds(&parcel, sequence->defect);
	bend_header(&parcel, sequence->defect, negotiated);
	send_parcel(&h->peer, &parcel, sequence->defect == BYTE_BY_BYTE);
	close(folder);
	if (sequence->defect < CUT_IN_HEADER && parcel.header.size < UINT32_MAX) {
		bool answers = hostile_answers(h);

		assert_false(answers && must_hang_up(sequence));
	}
	hostile_leave(h);
}

static struct hostile hostile;

static void test_sequence(void **state)
{
	const struct sequence *sequence = *state;

	play(&hostile, sequence, true);
	play(&hostile, sequence, false);
}

static int begin(void **state)
{
	(void)state;
	hostile_begin(&hostile);
	return 0;
}

static int end(void **state)
{
	(void)state;
	hostile_end(&hostile);
	return 0;
}

int main(void)
{
	static struct sequence sequences[COUNT_OF(requests) * COUNT_OF(defects)];
	static struct CMUnitTest tests[COUNT_OF(sequences)];

	for (size_t i = 0; i < COUNT_OF(sequences); i++) {
		struct sequence *sequence = &sequences[i];

		sequence->request = &requests[i / COUNT_OF(defects)];
		sequence->defect = (enum defect)(i % COUNT_OF(defects));
		snprintf(sequence->name, sizeof(sequence->name), "%s: %s", sequence->request->name,
			 defects[sequence->defect]);
		tests[i] = (struct CMUnitTest){sequence->name, test_sequence, NULL, NULL, sequence};
	}
	return cmocka_run_group_tests_name("vhost_user_malformed", tests, begin, end);
}
