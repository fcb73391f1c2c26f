/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE /* close_range */
#include "cli.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "serve_device.h"
#include "serve_guard.h"
#include "serve_socket.h"
#include "../../devices/serve/sandbox.h"
#include "../../devices/serve/vhost_user.h"

/* Of one frontend: who sends more that is wrong is not to fill a disk with it. */
#define COMPLAINTS_MAX 20u

struct serving {
	const struct serve_options *options;
	struct serve_socket socket;
	struct serve_device device;
	struct vhost_user_server *server;
	sigset_t before;     /* the signals that were held back at first */
	unsigned complaints; /* atomic: events come from any thread */
};

static struct serving *handled; /* by the signal handlers */

static void handle_end(int number)
{
	int error = errno;

	(void)number;
	vhost_user_server_stop(handled->server);
	errno = error;
}

static void handle_resize(int number)
{
	(void)number;
	serve_device_look_again(&handled->device);
}

static void take_signals(struct serving *s)
{
	struct sigaction end = {.sa_handler = handle_end, .sa_flags = SA_RESTART};
	struct sigaction resize = {.sa_handler = handle_resize, .sa_flags = SA_RESTART};

	handled = s;
	sigaction(SIGINT, &end, NULL);
	sigaction(SIGTERM, &end, NULL);
	sigaction(SIGHUP, &resize, NULL);
	sigprocmask(SIG_SETMASK, &s->before, NULL);
}

/* Behind this the handlers have nothing to handle. */
static void drop_signals(void)
{
	sigset_t before;

	serve_guard_hold_signals(&before);
}

/* Events */

static void complain_of(struct serving *s, const char *what, const char *text)
{
	unsigned count = __atomic_fetch_add(&s->complaints, 1, __ATOMIC_RELAXED);

	if (count < COMPLAINTS_MAX)
		printf("%s: %s\n", what, text);
	else if (count == COMPLAINTS_MAX)
		printf("%s: and more of this frontend, which is not shown\n", what);
}

static void take_event(void *opaque, enum vhost_user_event event, const char *text)
{
	struct serving *s = opaque;

	switch (event) {
	case VHOST_USER_CONNECTED:
		__atomic_store_n(&s->complaints, 0, __ATOMIC_RELAXED);
		printf("connected\n");
		break;
	case VHOST_USER_DISCONNECTED:
		printf("disconnected\n");
		if (s->options->once)
			vhost_user_server_stop(s->server);
		break;
	case VHOST_USER_REFUSED:
		complain_of(s, "refused", text);
		break;
	case VHOST_USER_BROKEN:
		complain_of(s, "broken", text);
		break;
	}
}

/* Serving */

static void print_place(const struct serve_options *o)
{
	if (o->store)
		printf("serving blk:%s on ", o->store);
	else
		printf("serving fs:%s as %s on ", o->tree, o->tag);
	if (o->socket)
		printf("%s\n", o->socket);
	else
		printf("fd %d\n", o->fd);
}

static enum cli_exit create_server(struct serving *s)
{
	const struct vhost_user_options options = {
		.hidden_features = s->options->hidden_features,
		.poll = s->options->poll,
		.event = take_event,
		.opaque = s,
	};
	int error = vhost_user_server_create(&s->server, s->device.device, s->socket.fd, &options);

	if (error == 0)
		return CLI_OK;
	cli_complain("cannot serve: %s", strerror(-error));
	return CLI_FAILED;
}

/* The device is there, and walls if there are to be any. */
static enum cli_exit serve(struct serving *s)
{
	enum cli_exit status = create_server(s), synced;
	int error;

	if (status != CLI_OK)
		return status;
	take_signals(s);
	print_place(s->options);
	error = vhost_user_server_run(s->server);
	drop_signals();
	if (error) {
		cli_complain("the socket failed: %s", strerror(-error));
		status = CLI_FAILED;
	}
	vhost_user_server_destroy(s->server);
	synced = serve_device_sync(&s->device);
	return status == CLI_OK ? synced : status;
}

static enum cli_exit serve_open(struct serving *s)
{
	enum cli_exit status = serve_device_create(&s->device, s->options->path);

	return status == CLI_OK ? serve(s) : status;
}

static enum cli_exit no_sandbox(int error)
{
	cli_complain("cannot make a sandbox: %s; give --no-sandbox to do without",
		     strerror(-error));
	return CLI_FAILED;
}

static enum cli_exit seal(struct sandbox *sandbox)
{
	int error = sandbox_seal(sandbox);
	char text[256];

	if (error)
		return no_sandbox(error);
	sandbox_tell(sandbox, text, sizeof(text));
	printf("sandbox: %s\n", text);
	return CLI_OK;
}

static enum cli_exit serve_walled(struct serving *s, struct sandbox *sandbox)
{
	const char *directory;
	int error = sandbox_isolate(sandbox, &directory);
	enum cli_exit status;

	if (error) {
		cli_complain("cannot serve '%s': %s", s->options->tree, strerror(-error));
		return CLI_BAD;
	}
	status = serve_device_create(&s->device, directory);
	if (status == CLI_OK)
		status = seal(sandbox);
	return status == CLI_OK ? serve(s) : status;
}

/* The way out of a sandbox; main and what was registered with atexit are not for it. */
static __attribute__((noreturn)) void leave(struct serving *s, enum cli_exit status)
{
	serve_device_close(&s->device);
	if (fflush(stdout) != 0 && status == CLI_OK)
		status = CLI_FAILED;
	_exit(status);
}

static int serve_in_sandbox(struct serving *s)
{
	struct sandbox sandbox = {
		.directory = s->options->tree ? s->options->path : NULL,
		.read_only = s->options->read_only,
	};
	pid_t child = sandbox_fork(&sandbox);

	if (child == 0)
		leave(s, serve_walled(s, &sandbox));
	if (child > 0)
		return serve_guard_watch(child);
	return no_sandbox((int)child);
}

/* A directory that whoever starts this has open would be a way out of the sandbox. */
static void close_inherited(int kept)
{
	unsigned first = 3;

	if (kept > 3)
		close_range(first, (unsigned)kept - 1, 0);
	if (kept >= 3)
		first = (unsigned)kept + 1;
	close_range(first, ~0u, 0);
}

static int serve_options_given(const struct serve_options *options)
{
	struct serving s = {.options = options, .socket = {.fd = -1}};
	int status;

	if (!options->no_sandbox)
		close_inherited(options->fd);
	setvbuf(stdout, NULL, _IOLBF, 0);
	status = serve_device_open(&s.device, options);
	if (status == CLI_OK)
		status = serve_socket_open(&s.socket, options->socket, options->fd);
	if (status == CLI_OK) {
		serve_guard_hold_signals(&s.before);
		status = options->no_sandbox ? (int)serve_open(&s) : serve_in_sandbox(&s);
	}
	serve_socket_leave(&s.socket);
	serve_device_close(&s.device);
	return status;
}

static int run(enum parse_result (*parse)(struct serve_options *, int, char **), int argc,
	       char **argv)
{
	struct serve_options options;

	switch (parse(&options, argc, argv)) {
	case PARSE_HELP:
		return CLI_OK;
	case PARSE_BAD:
		return CLI_BAD;
	case PARSE_RUN:
		break;
	}
	return serve_options_given(&options);
}

int cli_serve_blk(int argc, char **argv)
{
	return run(serve_blk_options_parse, argc, argv);
}

int cli_serve_fs(int argc, char **argv)
{
	return run(serve_fs_options_parse, argc, argv);
}
