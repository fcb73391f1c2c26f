/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a frontend passes to be notified with, or to notify. O_NONBLOCK is a state of what both ends
 * stand for: the frontend, which may have kept a descriptor of its own, can take it back at any time,
 * fill the counter, and so make the next call of ours wait. An eventfd cannot be asked not to
 * wait in any other way. So a call may wait, and whoever needs its thread interrupts it, by a signal
 * whose handler does nothing. The signal may come just before the call begins to wait: it is sent
 * again and again until the call is over. That is so for close(2) too, as a socket may take its
 * time, and for whatever else closes the last descriptor of one: descriptors on their way to us
 * are closed with the socket that they are in, or as they arrive, where there is no room for them.
 *
 * Only a hostile frontend makes a call wait: when it was interrupted, its descriptor is not used
 * again, so that each is waited for once. (One for errors is kept, and used once in the life of a
 * driver.)
 */
#define _GNU_SOURCE

#include "vhost_user_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

/* Ignored by default: a process is unlikely to have a use for it already. */
#define INTERRUPT SIGURG

/* What has no type is in no file system: an eventfd. Linux as a process has sockets. */
bool vhost_user_may_notify(int fd)
{
	struct stat info;

	return fstat(fd, &info) == 0 &&
	       ((info.st_mode & S_IFMT) == 0 || S_ISFIFO(info.st_mode) || S_ISSOCK(info.st_mode));
}

bool vhost_user_unblock(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	return flags >= 0 && fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0;
}

/* Of this thread; NULL: nobody interrupts it. */
static __thread struct vhost_user_waiter *own;

static void set_timer(const struct vhost_user_waiter *waiter, bool on)
{
	const struct timespec time = {.tv_nsec = on ? VHOST_USER_PATIENCE_NS : 0};
	const struct itimerspec often = {.it_interval = time, .it_value = time};

	timer_settime(waiter->timer, 0, &often, NULL);
}

/* Without a timer it is no system call: this is on the path of every request. */
static void set_waiting(bool waits)
{
	if (!own)
		return;
	__atomic_store_n(&own->waits, waits, __ATOMIC_RELEASE);
	if (own->has_timer)
		set_timer(own, waits);
}

static int result_of(const struct vhost_user_session *session, ssize_t size)
{
	int result = size < 0 ? -errno : (int)size;

	set_waiting(false);
	if (result == -EINTR)
		vhost_user_session_tell(session, VHOST_USER_REFUSED,
					"a descriptor that is made to block");
	return result;
}

int vhost_user_write(const struct vhost_user_session *session, int fd, const void *bytes,
		     size_t size)
{
	set_waiting(true);
	return result_of(session, write(fd, bytes, size));
}

int vhost_user_read(const struct vhost_user_session *session, int fd, void *bytes, size_t size)
{
	set_waiting(true);
	return result_of(session, read(fd, bytes, size));
}

void vhost_user_close(int fd)
{
	set_waiting(true);
	close(fd);
	set_waiting(false);
}

ssize_t vhost_user_recvmsg(int socket, struct msghdr *head)
{
	ssize_t size;

	set_waiting(true);
	size = recvmsg(socket, head, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (size < 0)
		size = -errno;
	set_waiting(false);
	return size;
}

/* Interruptions */

static void handle(int number)
{
	(void)number;
}

static void take_signal(void)
{
	struct sigaction action = {.sa_handler = handle};
	sigset_t set;

	sigemptyset(&action.sa_mask);
	sigaction(INTERRUPT, &action, NULL);
	sigemptyset(&set);
	sigaddset(&set, INTERRUPT);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

int vhost_user_waiter_init(struct vhost_user_waiter *waiter, bool timer)
{
	struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = INTERRUPT};

	waiter->thread = pthread_self();
	waiter->has_timer = false;
	event.sigev_notify_thread_id = gettid();
	if (timer && timer_create(CLOCK_MONOTONIC, &event, &waiter->timer) < 0)
		return -errno;
	waiter->has_timer = timer;
	take_signal();
	own = waiter;
	return 0;
}

void vhost_user_waiter_finish(struct vhost_user_waiter *waiter)
{
	own = NULL;
	if (waiter->has_timer)
		timer_delete(waiter->timer);
}

void vhost_user_interrupt(const struct vhost_user_waiter *waiter)
{
	if (__atomic_load_n(&waiter->waits, __ATOMIC_ACQUIRE))
		pthread_kill(waiter->thread, INTERRUPT);
}
