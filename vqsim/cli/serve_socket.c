/* SPDX-License-Identifier: BSD-3-Clause */
#include "serve_socket.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* Frontends that wait for their turn. */
#define BACKLOG 8

#define DYING_TURNS   25u
#define DYING_TURN_MS 20

static enum cli_exit fail(const char *path)
{
	cli_complain("cannot listen on '%s': %s", path, strerror(errno));
	return CLI_BAD;
}

static bool fill_address(struct sockaddr_un *address, const char *path)
{
	size_t size = strlen(path);

	if (size == 0 || size >= sizeof(address->sun_path)) {
		cli_complain("--socket cannot be '%s'; give a path of 1 to %zu bytes", path,
			     sizeof(address->sun_path) - 1);
		return false;
	}
	*address = (struct sockaddr_un){.sun_family = AF_UNIX};
	memcpy(address->sun_path, path, size);
	return true;
}

/*
 * Whether somebody has it open. The question is put as another type of socket: a server would
 * take a connection for a frontend.
 */
static bool is_live(const struct sockaddr_un *address)
{
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool live;

	if (fd < 0)
		return true;
	live = connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0 ||
	       errno != ECONNREFUSED;
	close(fd);
	return live;
}

/* A server that was killed may take a moment to be gone. */
static bool stays_live(const struct sockaddr_un *address)
{
	for (unsigned i = 0; i < DYING_TURNS; i++) {
		if (!is_live(address))
			return false;
		poll(NULL, 0, DYING_TURN_MS);
	}
	return true;
}

/* A socket that a server left behind goes, anything else stays. */
static enum cli_exit make_way(const struct sockaddr_un *address)
{
	const char *path = address->sun_path;
	struct stat st;

	if (lstat(path, &st) < 0)
		return errno == ENOENT ? CLI_OK : fail(path);
	if (!S_ISSOCK(st.st_mode)) {
		cli_complain("'%s' exists and is not a socket; give another path", path);
		return CLI_BAD;
	}
	if (stays_live(address)) {
		cli_complain("somebody listens on '%s'; give another path", path);
		return CLI_BAD;
	}
	return unlink(path) < 0 ? fail(path) : CLI_OK;
}

static enum cli_exit listen_on_path(struct serve_socket *s, const char *path)
{
	struct sockaddr_un address;
	enum cli_exit status;
	struct stat st;

	if (!fill_address(&address, path))
		return CLI_BAD;
	status = make_way(&address);
	if (status != CLI_OK)
		return status;
	s->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (s->fd < 0 || bind(s->fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ||
	    lstat(path, &st) < 0)
		return fail(path);
	s->path = path;
	s->dev = st.st_dev;
	s->ino = st.st_ino;
	return listen(s->fd, BACKLOG) < 0 ? fail(path) : CLI_OK;
}

static bool has_option(int fd, int option, int expected)
{
	socklen_t size = sizeof(int);
	int value;

	return getsockopt(fd, SOL_SOCKET, option, &value, &size) == 0 && value == expected;
}

static enum cli_exit take_inherited(struct serve_socket *s, int fd)
{
	if (!has_option(fd, SO_DOMAIN, AF_UNIX) || !has_option(fd, SO_TYPE, SOCK_STREAM) ||
	    !has_option(fd, SO_ACCEPTCONN, 1)) {
		cli_complain("--fd %d is not a unix stream socket that listens", fd);
		return CLI_BAD;
	}
	s->fd = fd;
	return CLI_OK;
}

enum cli_exit serve_socket_open(struct serve_socket *s, const char *path, int fd)
{
	*s = (struct serve_socket){.fd = -1};
	return path ? listen_on_path(s, path) : take_inherited(s, fd);
}

static bool is_ours(const struct serve_socket *s)
{
	struct stat st;

	return lstat(s->path, &st) == 0 && st.st_dev == s->dev && st.st_ino == s->ino;
}

void serve_socket_leave(const struct serve_socket *s)
{
	if (s->path && is_ours(s))
		unlink(s->path);
}
