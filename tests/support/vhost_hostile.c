/* SPDX-License-Identifier: BSD-3-Clause */
#include "vhost_hostile.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static unsigned count_fds(void)
{
	DIR *folder = opendir("/proc/self/fd");
	unsigned count = 0;

	assert_non_null(folder);
	while (readdir(folder))
		count++;
	closedir(folder);
	return count;
}

static unsigned count_memory_maps(void)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	unsigned count = 0;
	char line[512];

	assert_non_null(maps);
	while (fgets(line, sizeof(line), maps))
		count += strstr(line, "/memfd:") != NULL;
	fclose(maps);
	return count;
}

static void serve_a_good_one(struct hostile *h)
{
	struct vhost_peer peer;

	vhost_stage_connect(&h->stage, &peer);
	peer_set_up(&peer);
	peer_read_sector(&peer, 0);
	peer_finish(&peer);
	vhost_stage_wait(&h->stage, VHOST_USER_DISCONNECTED, ++h->frontends);
}

void hostile_begin(struct hostile *h)
{
	memset(h, 0, sizeof(*h));
	vhost_stage_serve(&h->stage, &(struct vhost_user_options){0}, NULL);
	serve_a_good_one(h);
	h->fds = count_fds();
	h->maps = count_memory_maps();
}

void hostile_connect(struct hostile *h)
{
	vhost_stage_connect(&h->stage, &h->peer);
}

void hostile_negotiate(struct hostile *h, bool acknowledge)
{
	uint64_t protocol;

	hostile_connect(h);
	protocol = peer_ask(&h->peer, VHOST_USER_GET_PROTOCOL_FEATURES);
	if (!acknowledge)
		protocol &= ~PEER_PROTOCOL(REPLY_ACK);
	/* Without STATUS the ring of peer_start_ring runs at once. */
	peer_negotiate(&h->peer, 0, protocol & ~PEER_PROTOCOL(STATUS));
}

bool hostile_answers(struct hostile *h)
{
	const struct peer_message question = {.request = VHOST_USER_GET_FEATURES};
	struct peer_reply reply;

	if (!peer_send(&h->peer, &question))
		return false;
	/* Acknowledgements of what was said before come first. */
	do {
		if (peer_receive(&h->peer, &reply) == PEER_CLOSED)
			return false;
		if (reply.fd >= 0)
			close(reply.fd);
	} while (reply.header.request != VHOST_USER_GET_FEATURES);
	return true;
}

void hostile_leave(struct hostile *h)
{
	peer_finish(&h->peer);
	vhost_stage_wait(&h->stage, VHOST_USER_DISCONNECTED, ++h->frontends);
	serve_a_good_one(h);
	assert_int_equal(count_fds(), h->fds);
	assert_int_equal(count_memory_maps(), h->maps);
}

void hostile_end(struct hostile *h)
{
	vhost_stage_finish(&h->stage);
}
