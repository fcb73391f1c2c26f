/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE
#include "vhost_stage.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define WAIT_SECONDS 20

static void count_event(void *opaque, enum vhost_user_event event, const char *text)
{
	struct vhost_stage *stage = opaque;

	pthread_mutex_lock(&stage->lock);
	stage->events.count[event]++;
	if (event == VHOST_USER_REFUSED)
		snprintf(stage->events.refused, sizeof(stage->events.refused), "%s", text);
	pthread_cond_broadcast(&stage->changed);
	pthread_mutex_unlock(&stage->lock);
}

static void count_news(void *opaque)
{
	struct vhost_stage *stage = opaque;

	stage->news++;
}

static void init(struct vhost_stage *stage, struct blk_store *store)
{
	memset(stage, 0, sizeof(*stage));
	stage->socket = -1;
	stage->listen_fd = -1;
	signal(SIGPIPE, SIG_IGN);
	pthread_mutex_init(&stage->lock, NULL);
	pthread_cond_init(&stage->changed, NULL);
	stage->store = store;
	if (!store)
		assert_int_equal(
			blk_store_ram_create(&stage->store, STAGE_SECTORS * BLK_SECTOR_SIZE), 0);
	assert_int_equal(blk_create(&stage->device,
				    &(struct blk_options){.queue_count = PEER_QUEUES},
				    stage->store),
			 0);
}

void vhost_stage_by_hand(struct vhost_stage *stage, struct blk_store *store)
{
	int pair[2];

	init(stage, store);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	stage->socket = pair[0];
	assert_int_equal(vhost_user_session_init(&stage->session, stage->device, 0,
						 &(struct vhost_user_hooks){.news = count_news,
									    .event = count_event,
									    .opaque = stage}),
			 0);
	peer_init(&stage->peer, pair[1]);
	stage->peer.pump = vhost_stage_pump;
	stage->peer.opaque = stage;
}

static void hang_up(struct vhost_stage *stage)
{
	vhost_user_receiver_drop(&stage->receiver);
	vhost_user_session_close(&stage->session);
	close(stage->socket);
	stage->socket = -1;
}

/* Returns whether there may be more. */
static bool take_message(struct vhost_stage *stage)
{
	struct vhost_user_message reply;

	switch (vhost_user_receive(&stage->receiver, stage->socket)) {
	case VHOST_USER_LATER:
		return false;
	case VHOST_USER_CLOSED:
	case VHOST_USER_MALFORMED:
		hang_up(stage);
		return false;
	case VHOST_USER_RECEIVED:
		break;
	}
	switch (vhost_user_session_take(&stage->session, &stage->receiver.message, &reply)) {
	case VHOST_USER_REPLIED:
		assert_int_equal(vhost_user_send(stage->socket, &reply), 0);
		vhost_user_close_fds(&reply);
		return true;
	case VHOST_USER_HANG_UP:
		hang_up(stage);
		return false;
	case VHOST_USER_SILENT:
		break;
	}
	return true;
}

void vhost_stage_pump(void *opaque)
{
	struct vhost_stage *stage = opaque;

	while (stage->socket >= 0 && take_message(stage))
		;
	for (uint16_t i = 0; i < PEER_QUEUES; i++) {
		vhost_user_queue_kick(&stage->session, i);
		while (vhost_user_queue_run(&stage->session, i, 4) != VIRTIO_IDLE)
			;
	}
	vhost_user_session_flush(&stage->session);
}

static void *run_server(void *opaque)
{
	struct vhost_stage *stage = opaque;

	return (void *)(intptr_t)vhost_user_server_run(stage->server);
}

void vhost_stage_serve(struct vhost_stage *stage, const struct vhost_user_options *options,
		       struct blk_store *store)
{
	struct vhost_user_options with = *options;
	/* An address of the kernel's choice, in no directory. */
	const struct sockaddr_un any = {.sun_family = AF_UNIX};

	init(stage, store);
	with.event = count_event;
	with.opaque = stage;
	stage->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(stage->listen_fd, (const struct sockaddr *)&any, sizeof(sa_family_t)),
			 0);
	assert_int_equal(listen(stage->listen_fd, 8), 0);
	assert_int_equal(
		vhost_user_server_create(&stage->server, stage->device, stage->listen_fd, &with),
		0);
	assert_int_equal(pthread_create(&stage->thread, NULL, run_server, stage), 0);
}

void vhost_stage_connect(struct vhost_stage *stage, struct vhost_peer *peer)
{
	struct sockaddr_un address;
	socklen_t size = sizeof(address);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(getsockname(stage->listen_fd, (struct sockaddr *)&address, &size), 0);
	assert_int_equal(connect(fd, (const struct sockaddr *)&address, size), 0);
	peer_init(peer, fd);
}

void vhost_stage_serve_peer(struct vhost_stage *stage, struct vhost_peer *peer)
{
	vhost_stage_serve(stage, &(struct vhost_user_options){0}, NULL);
	vhost_stage_connect(stage, peer);
	peer_set_up(peer);
}

void vhost_stage_assert_serves(struct vhost_stage *stage)
{
	struct vhost_peer peer;

	vhost_stage_connect(stage, &peer);
	peer_set_up(&peer);
	peer_read_sector(&peer, 0);
	peer_finish(&peer);
}

unsigned vhost_stage_count(struct vhost_stage *stage, enum vhost_user_event event)
{
	unsigned count;

	pthread_mutex_lock(&stage->lock);
	count = stage->events.count[event];
	pthread_mutex_unlock(&stage->lock);
	return count;
}

void vhost_stage_wait(struct vhost_stage *stage, enum vhost_user_event event, unsigned count)
{
	struct timespec end;
	int error = 0;

	clock_gettime(CLOCK_REALTIME, &end);
	end.tv_sec += WAIT_SECONDS;
	pthread_mutex_lock(&stage->lock);
	while (stage->events.count[event] < count && error != ETIMEDOUT)
		error = pthread_cond_timedwait(&stage->changed, &stage->lock, &end);
	pthread_mutex_unlock(&stage->lock);
	assert_int_equal(error, 0);
}

void vhost_stage_finish(struct vhost_stage *stage)
{
	void *result = NULL;

	peer_finish(&stage->peer);
	vhost_user_receiver_drop(&stage->receiver);
	vhost_user_session_finish(&stage->session);
	if (stage->server) {
		vhost_user_server_stop(stage->server);
		assert_int_equal(pthread_join(stage->thread, &result), 0);
		assert_ptr_equal(result, NULL);
		vhost_user_server_destroy(stage->server);
	}
	if (stage->socket >= 0)
		close(stage->socket);
	if (stage->listen_fd >= 0)
		close(stage->listen_fd);
	stage->device->ops->destroy(stage->device);
	stage->store->ops->destroy(stage->store);
	pthread_cond_destroy(&stage->changed);
	pthread_mutex_destroy(&stage->lock);
	memset(stage, 0, sizeof(*stage));
}
