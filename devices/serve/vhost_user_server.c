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
 *
 * A hostile frontend can make a worker wait while it has the lock (vhost_user_descriptor.c). It is
 * left in peace until the message thread needs the lock, which has a timer for its own calls.
 */
#define _GNU_SOURCE

#include "vhost_user_internal.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/*
 * Chains in one call of progress; the message thread waits for so many at the most. And as many are
 * used at once: the driver goes on with them while the device works on the next.
 */
#define BUDGET 16u

/* Until the next attempt to take a frontend, when descriptors or memory are short. */
#define SHORTAGE_MS 100

/* A sleep that is shorter has cost more than it saved, with the way there and back. */
#define ALERT_NS 50000u

struct worker {
	pthread_mutex_t lock;
	struct vhost_user_server *server;
	pthread_t thread;
	bool running;
	bool quit;
	bool kicked; /* its descriptor is readable */
	bool alert;  /* the last sleep was short */
	struct vhost_user_waiter waiter;
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
	struct vhost_user_waiter waiter; /* the message thread */
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

/* Whether the queue can be left alone until a descriptor of *waiting is readable. */
static bool can_wait(const struct worker *worker, enum virtio_progress progress,
		     struct waiting *waiting)
{
	const struct vhost_user_server *server = worker->server;
	struct virtio_device *device = server->session.device;
	const struct vhost_user_queue *queue = &server->session.queues[worker->index];

	waiting->kick_fd = queue->kick_fd;
	if (progress == VIRTIO_WAITING) {
		if (device->ops->progress_fd)
			waiting->progress_fd = device->ops->progress_fd(device, worker->index);
		/* Who cannot be waited for is looked at again. */
		if (waiting->progress_fd < 0)
			return false;
	}
	return progress != VIRTIO_WORK_LEFT && !queue->polled && !server->options.poll;
}

/* One turn of a queue. Returns whether to wait then. */
static bool work(struct worker *worker, struct waiting *waiting)
{
	struct vhost_user_session *session = &worker->server->session;
	enum virtio_progress progress;

	*waiting = (struct waiting){-1, -1};
	if (worker->kicked)
		vhost_user_queue_kick(session, worker->index);
	worker->kicked = false;
	progress = vhost_user_queue_run(session, worker->index, BUDGET);
	return !virtio_transport_queue_live(&session->transport, worker->index) ||
	       can_wait(worker, progress, waiting);
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Returns whether a descriptor is readable before it would have been worth to sleep. */
static bool stay_awake(struct pollfd *fds, nfds_t count, uint64_t start)
{
	do {
		if (poll(fds, count, 0) != 0)
			return true;
		/* The frontend may have but this processor. */
		sched_yield();
	} while (now_ns() - start < ALERT_NS);
	return false;
}

/*
 * To be woken from a sleep is dear, for whoever wakes too. So after a short sleep the worker
 * stays awake the next time, as long as such a sleep lasts; after one in vain it sleeps at once.
 */
static void wait_a_while(struct worker *worker, struct pollfd *fds, nfds_t count)
{
	uint64_t start = now_ns();

	if (!worker->alert || !stay_awake(fds, count, start))
		poll(fds, count, -1);
	/* Where others want the processor too, a yield takes as long as their turns. */
	worker->alert = now_ns() - start < ALERT_NS;
}

static void wait_for_work(struct worker *worker, const struct waiting *waiting)
{
	struct pollfd fds[] = {
		{.fd = worker->wake_fd, .events = POLLIN},
		{.fd = waiting->kick_fd, .events = POLLIN},
		{.fd = waiting->progress_fd, .events = POLLIN},
	};

	wait_a_while(worker, fds, 3);
	if (fds[0].revents)
		lower_fd(worker->wake_fd);
	worker->kicked = fds[1].revents;
}

static void *worker_main(void *opaque)
{
	struct worker *worker = opaque;
	struct vhost_user_server *server = worker->server;
	struct waiting waiting;
	bool idle, quit;

	vhost_user_waiter_init(&worker->waiter, false);
	do {
		if (__atomic_load_n(&server->wanted, __ATOMIC_RELAXED)) {
			pthread_mutex_lock(&server->gate);
			pthread_mutex_unlock(&server->gate);
		}
		pthread_mutex_lock(&worker->lock);
		quit = worker->quit;
		idle = !quit && work(worker, &waiting);
		pthread_mutex_unlock(&worker->lock);
		if (idle)
			wait_for_work(worker, &waiting);
	} while (!quit);
	vhost_user_waiter_finish(&worker->waiter);
	return NULL;
}

/* Take the lock of a worker, who may be waiting for the frontend with it. */
static void lock_worker(struct worker *worker)
{
	struct timespec until;

	for (;;) {
		clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_nsec += VHOST_USER_PATIENCE_NS;
		until.tv_sec += until.tv_nsec / 1000000000;
		until.tv_nsec %= 1000000000;
		if (pthread_mutex_clocklock(&worker->lock, CLOCK_MONOTONIC, &until) == 0)
			return;
		vhost_user_interrupt(&worker->waiter);
	}
}

/* From here to go no worker is at work. */
static void hold(struct vhost_user_server *server)
{
	pthread_mutex_lock(&server->gate);
	__atomic_store_n(&server->wanted, true, __ATOMIC_RELAXED);
	for (unsigned i = 0; i < server->worker_count; i++)
		lock_worker(&server->workers[i]);
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
	vhost_user_close(server->socket);
	server->socket = -1;
	event(server, VHOST_USER_DISCONNECTED, "the frontend is gone");
}

/* A shortage, which passes: the frontend waits, and so do we. Returns whether it is one. */
static bool shortage(const struct vhost_user_server *server, int error)
{
	struct pollfd stop = {.fd = server->news_fd, .events = POLLIN};

	if (error != EMFILE && error != ENFILE && error != ENOBUFS && error != ENOMEM)
		return false;
	poll(&stop, 1, SHORTAGE_MS);
	return true;
}

/* Returns 0, also if the frontend has gone again, or -errno. */
static int accept_frontend(struct vhost_user_server *server)
{
	server->socket = accept4(server->listen_fd, NULL, NULL, SOCK_CLOEXEC);
	if (server->socket >= 0 || errno == EAGAIN || errno == EINTR || errno == ECONNABORTED)
		return 0;
	return shortage(server, errno) ? 0 : -errno;
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
	return fds[2].revents && !stopping(server) ? accept_frontend(server) : 0;
}

int vhost_user_server_run(struct vhost_user_server *server)
{
	int error = vhost_user_waiter_init(&server->waiter, true);

	if (error)
		return error;
	while (!stopping(server) && !error) {
		error = wait_for_frontend(server);
		if (server->socket >= 0)
			serve(server);
	}
	vhost_user_waiter_finish(&server->waiter);
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
	if (options)
		server->options = *options;
	server->listen_fd = listen_fd;
	server->news_fd = -1;
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
	if (server->news_fd >= 0)
		close(server->news_fd);
	pthread_mutex_destroy(&server->gate);
	free(server);
}
