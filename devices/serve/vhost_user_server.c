/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Threads and sockets round a session. One thread, that of vhost_user_server_run, takes messages;
 * each queue that the device has got once is served by a thread of its own, a worker, until the
 * frontend is gone.
 *
 * A worker holds the lock of its queue while it calls the session, and gives it up to wait. The
 * message thread takes all the locks for whatever it does with the session. A worker with much to
 * do would hardly ever leave room for that: so it queues up at the gate, which the message thread
 * holds while it wants the locks.
 *
 *     worker                              message thread
 *     if wanted: lock and unlock gate     lock gate, wanted = true
 *     lock own queue                      lock all queues
 *     work                                work
 *     unlock                              unlock all, wanted = false, unlock gate
 *
 * Every change is followed by a wake-up of all workers, because each waits for descriptors that
 * the change may have replaced. Between the choice of a descriptor and the wait for it, it may have
 * been closed: then the wait is for nothing, or for something else, and ends by the wake-up.
 */
#define _GNU_SOURCE

#include "vhost_user_internal.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

/* Chains in one call of progress; the message thread waits for so many at the most. */
#define BUDGET 64u

struct worker {
	pthread_mutex_t lock;
	struct vhost_user_server *server;
	pthread_t thread;
	bool running;
	bool quit;
	int wake_fd;
	uint16_t index;
};

struct vhost_user_server {
	struct vhost_user_session session;
	struct vhost_user_options options;
	struct vhost_user_receiver receiver;
	struct worker *workers; /* one for each queue of the session */
	unsigned worker_count;  /* with a lock and an eventfd */
	pthread_mutex_t gate;
	bool wanted;
	bool stopping;
	int listen_fd;
	int news_fd; /* stop, or something of the session is due */
	int socket;  /* of the frontend, -1: none */
};

static void raise_fd(int fd)
{
	const uint64_t one = 1;
	ssize_t size = write(fd, &one, sizeof(one));

	/* A counter that is full is readable. */
	(void)size;
}

static void lower_fd(int fd)
{
	uint64_t count;
	ssize_t size = read(fd, &count, sizeof(count));

	(void)size;
}

static bool stopping(const struct vhost_user_server *server)
{
	return __atomic_load_n(&server->stopping, __ATOMIC_ACQUIRE);
}

static void news(void *opaque)
{
	const struct vhost_user_server *server = opaque;

	raise_fd(server->news_fd);
}

static void event(void *opaque, enum vhost_user_event what, const char *text)
{
	const struct vhost_user_server *server = opaque;

	if (server->options.event)
		server->options.event(server->options.opaque, what, text);
}

/* Workers */

/* What a worker waits for when there is nothing to do. */
struct waiting {
	int kick_fd;
	int progress_fd;
};

/* One turn of a queue. */
static enum virtio_progress work(struct worker *worker, struct waiting *waiting)
{
	struct vhost_user_server *server = worker->server;
	struct vhost_user_session *session = &server->session;
	const struct virtio_device_ops *ops = session->device->ops;
	enum virtio_progress progress = VIRTIO_IDLE;
	bool live = virtio_transport_queue_live(&session->transport, worker->index);

	*waiting = (struct waiting){-1, -1};
	if (!live)
		return VIRTIO_IDLE;
	progress = vhost_user_queue_run(session, worker->index, BUDGET);
	waiting->kick_fd = session->queues[worker->index].kick_fd;
	if (progress == VIRTIO_WAITING && ops->progress_fd)
		waiting->progress_fd = ops->progress_fd(session->device, worker->index);
	/* Who cannot be waited for is looked at again. */
	if ((progress == VIRTIO_WAITING && waiting->progress_fd < 0) || waiting->kick_fd < 0 ||
	    server->options.poll)
		progress = VIRTIO_WORK_LEFT;
	return progress;
}

static void wait_for_work(const struct worker *worker, const struct waiting *waiting)
{
	struct pollfd fds[] = {
		{.fd = worker->wake_fd, .events = POLLIN},
		{.fd = waiting->kick_fd, .events = POLLIN},
		{.fd = waiting->progress_fd, .events = POLLIN},
	};

	poll(fds, 3, -1);
	if (fds[0].revents)
		lower_fd(worker->wake_fd);
}

static void *worker_main(void *opaque)
{
	struct worker *worker = opaque;
	struct vhost_user_server *server = worker->server;
	enum virtio_progress progress;
	struct waiting waiting;
	bool quit;

	do {
		if (__atomic_load_n(&server->wanted, __ATOMIC_RELAXED)) {
			pthread_mutex_lock(&server->gate);
			pthread_mutex_unlock(&server->gate);
		}
		pthread_mutex_lock(&worker->lock);
		quit = worker->quit;
		progress = quit ? VIRTIO_WORK_LEFT : work(worker, &waiting);
		pthread_mutex_unlock(&worker->lock);
		if (progress != VIRTIO_WORK_LEFT)
			wait_for_work(worker, &waiting);
	} while (!quit);
	return NULL;
}

/* From here to go no worker is at work. */
static void hold(struct vhost_user_server *server)
{
	pthread_mutex_lock(&server->gate);
	__atomic_store_n(&server->wanted, true, __ATOMIC_RELAXED);
	for (unsigned i = 0; i < server->worker_count; i++)
		pthread_mutex_lock(&server->workers[i].lock);
}

/* A queue that is live for the first time gets its worker. Returns whether it has one. */
static bool have_worker(struct worker *worker)
{
	if (!worker->running)
		worker->running = pthread_create(&worker->thread, NULL, worker_main, worker) == 0;
	return worker->running;
}

static void go(struct vhost_user_server *server)
{
	struct virtio_transport *transport = &server->session.transport;

	for (unsigned i = 0; i < server->worker_count; i++) {
		struct worker *worker = &server->workers[i];

		if (virtio_transport_queue_live(transport, worker->index) && !have_worker(worker))
			server->session.device->transport_ops->needs_reset(
				server->session.device->transport);
		if (worker->running)
			raise_fd(worker->wake_fd);
		pthread_mutex_unlock(&worker->lock);
	}
	__atomic_store_n(&server->wanted, false, __ATOMIC_RELAXED);
	pthread_mutex_unlock(&server->gate);
}

static void end_workers(struct vhost_user_server *server)
{
	hold(server);
	for (unsigned i = 0; i < server->worker_count; i++)
		server->workers[i].quit = true;
	go(server);
	for (unsigned i = 0; i < server->worker_count; i++) {
		struct worker *worker = &server->workers[i];

		if (worker->running)
			pthread_join(worker->thread, NULL);
		worker->running = false;
		worker->quit = false;
	}
}

/* Frontends */

/* Returns whether the connection goes on. */
static bool answer(struct vhost_user_server *server)
{
	struct vhost_user_message reply;
	enum vhost_user_answer answer;
	int error = 0;

	hold(server);
	answer = vhost_user_session_take(&server->session, &server->receiver.message, &reply);
	vhost_user_session_flush(&server->session);
	go(server);
	if (answer == VHOST_USER_REPLIED) {
		error = vhost_user_send(server->socket, &reply);
		vhost_user_close_fds(&reply);
	}
	if (error)
		event(server, VHOST_USER_REFUSED, "a frontend that does not read its replies");
	return answer != VHOST_USER_HANG_UP && !error;
}

/* The socket is readable. Returns whether the connection goes on. */
static bool take_message(struct vhost_user_server *server)
{
	switch (vhost_user_receive(&server->receiver, server->socket)) {
	case VHOST_USER_RECEIVED:
		return answer(server);
	case VHOST_USER_LATER:
		return true;
	case VHOST_USER_MALFORMED:
		event(server, VHOST_USER_REFUSED, "a message that is none");
		return false;
	case VHOST_USER_CLOSED:
		break;
	}
	return false;
}

/* Something happened that is no message. Returns whether the connection goes on. */
static bool take_news(struct vhost_user_server *server, bool device)
{
	struct vhost_user_session *session = &server->session;
	bool lost;

	hold(server);
	if (device)
		session->device->ops->event(session->device);
	vhost_user_session_flush(session);
	lost = __atomic_load_n(&session->memory_lost, __ATOMIC_RELAXED);
	go(server);
	if (lost)
		event(server, VHOST_USER_BROKEN, "the frontend has cut the file of its memory");
	return !lost;
}

static int device_event_fd(const struct vhost_user_server *server)
{
	struct virtio_device *device = server->session.device;

	return device->ops->event_fd ? device->ops->event_fd(device) : -1;
}

/* Returns whether the connection goes on. */
static bool serve_once(struct vhost_user_server *server)
{
	struct pollfd fds[] = {
		{.fd = server->news_fd, .events = POLLIN},
		{.fd = device_event_fd(server), .events = POLLIN},
		{.fd = server->socket, .events = POLLIN},
		{.fd = -1, .events = POLLOUT},
	};

	if (__atomic_load_n(&server->session.config_due, __ATOMIC_RELAXED))
		fds[3].fd = server->session.backend_fd;
	if (poll(fds, 4, -1) < 0)
		return errno == EINTR;
	if (fds[0].revents)
		lower_fd(server->news_fd);
	if ((fds[0].revents | fds[1].revents | fds[3].revents) &&
	    !take_news(server, fds[1].revents))
		return false;
	return !fds[2].revents || take_message(server);
}

static void serve(struct vhost_user_server *server)
{
	event(server, VHOST_USER_CONNECTED, "a frontend has connected");
	while (!stopping(server) && serve_once(server))
		;
	/* Whatever workers have taken is finished in the close. */
	end_workers(server);
	vhost_user_session_close(&server->session);
	vhost_user_receiver_drop(&server->receiver);
	close(server->socket);
	server->socket = -1;
	event(server, VHOST_USER_DISCONNECTED, "the frontend is gone");
}

/* Wait for the next frontend. Returns 0, also if there is none yet, or -errno. */
static int wait_for_frontend(struct vhost_user_server *server)
{
	struct pollfd fds[] = {
		{.fd = server->news_fd, .events = POLLIN},
		{.fd = device_event_fd(server), .events = POLLIN},
		{.fd = server->listen_fd, .events = POLLIN},
	};

	if (poll(fds, 3, -1) < 0)
		return errno == EINTR ? 0 : -errno;
	if (fds[0].revents)
		lower_fd(server->news_fd);
	if (fds[1].revents)
		server->session.device->ops->event(server->session.device);
	if (!fds[2].revents || stopping(server))
		return 0;
	server->socket = accept4(server->listen_fd, NULL, NULL, SOCK_CLOEXEC);
	if (server->socket < 0 && errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
		return -errno;
	return 0;
}

int vhost_user_server_run(struct vhost_user_server *server)
{
	int error = 0;

	while (!stopping(server) && !error) {
		error = wait_for_frontend(server);
		if (server->socket >= 0)
			serve(server);
	}
	return error;
}

void vhost_user_server_stop(struct vhost_user_server *server)
{
	int error = errno;

	__atomic_store_n(&server->stopping, true, __ATOMIC_RELEASE);
	raise_fd(server->news_fd);
	errno = error;
}

/* Life */

static int create_workers(struct vhost_user_server *server)
{
	uint16_t count = server->session.queue_count;

	server->workers = calloc(count, sizeof(*server->workers));
	if (!server->workers)
		return -ENOMEM;
	for (; server->worker_count < count; server->worker_count++) {
		struct worker *worker = &server->workers[server->worker_count];

		worker->server = server;
		worker->index = (uint16_t)server->worker_count;
		worker->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (worker->wake_fd < 0)
			return -errno;
		pthread_mutex_init(&worker->lock, NULL);
	}
	return 0;
}

/* A pipe whose other end is closed is an error of a write, not the end of the process. */
static void ignore_broken_pipes(void)
{
	struct sigaction present;

	if (sigaction(SIGPIPE, NULL, &present) == 0 && present.sa_handler == SIG_DFL)
		signal(SIGPIPE, SIG_IGN);
}

static int init(struct vhost_user_server *server, struct virtio_device *device)
{
	const struct vhost_user_hooks hooks = {
		.news = news,
		.event = event,
		.opaque = server,
	};
	int error;

	server->news_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (server->news_fd < 0)
		return -errno;
	error = vhost_user_session_init(&server->session, device, server->options.hidden_features,
					&hooks);
	return error ? error : create_workers(server);
}

int vhost_user_server_create(struct vhost_user_server **made, struct virtio_device *device,
			     int listen_fd, const struct vhost_user_options *options)
{
	struct vhost_user_server *server = calloc(1, sizeof(*server));
	int error;

	if (!server)
		return -ENOMEM;
	ignore_broken_pipes();
	server->options = *options;
	server->listen_fd = listen_fd;
	server->socket = -1;
	pthread_mutex_init(&server->gate, NULL);
	error = vhost_user_unblock(listen_fd) ? init(server, device) : -EBADF;
	if (error) {
		vhost_user_server_destroy(server);
		return error;
	}
	*made = server;
	return 0;
}

void vhost_user_server_destroy(struct vhost_user_server *server)
{
	if (!server)
		return;
	vhost_user_session_finish(&server->session);
	while (server->worker_count > 0) {
		struct worker *worker = &server->workers[--server->worker_count];

		close(worker->wake_fd);
		pthread_mutex_destroy(&worker->lock);
	}
	free(server->workers);
	if (server->news_fd > 0)
		close(server->news_fd);
	pthread_mutex_destroy(&server->gate);
	free(server);
}
