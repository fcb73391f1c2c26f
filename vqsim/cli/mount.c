/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mount_session.h"

/* What a shell says of a command that it cannot find or run. */
#define STATUS_NOT_RUN 127
#define STATUS_SIGNAL  128

enum stage {
	SERVING,
	LEAVING, /* the guard unmounts */
	GONE,
};

struct serving {
	struct mount_session *session;
	sigset_t before; /* the signals that were blocked at first */
	int signal_fd;
	enum stage stage;
	pid_t command; /* 0: none, or it has ended */
	int status;    /* of the command */
	int error;     /* of the guard or the bridge */
	struct pollfd *fds;
	unsigned fd_max;
};

static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGCHLD};

static int open_signals(struct serving *s)
{
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		sigaddset(&set, signals[i]);
	sigprocmask(SIG_BLOCK, &set, &s->before);
	s->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return s->signal_fd < 0 ? -errno : 0;
}

/* The command is as if this one had not been there. */
static __attribute__((noreturn)) void be_command(const struct serving *s, char *const *command)
{
	signal(SIGPIPE, SIG_DFL);
	signal(SIGXFSZ, SIG_DFL);
	sigprocmask(SIG_SETMASK, &s->before, NULL);
	execvp(command[0], command);
	cli_complain("cannot run '%s': %s", command[0], strerror(errno));
	_exit(STATUS_NOT_RUN);
}

static int start_command(struct serving *s)
{
	char *const *command = s->session->options->command;

	if (!command) {
		puts("mounted");
		fflush(stdout);
		return 0;
	}
	s->command = fork();
	if (s->command == 0)
		be_command(s, command);
	return s->command < 0 ? -errno : 0;
}

static void leave(struct serving *s)
{
	if (s->stage != SERVING)
		return;
	s->stage = LEAVING;
	mount_guard_unmount(&s->session->guard);
}

static void reap_command(struct serving *s)
{
	int status;

	if (s->command == 0 || waitpid(s->command, &status, WNOHANG) != s->command)
		return;
	s->command = 0;
	s->status = WIFEXITED(status) ? WEXITSTATUS(status) : STATUS_SIGNAL + WTERMSIG(status);
	leave(s);
}

/* A terminal sends its SIGINT to the command as well; other signals are passed on. */
static void take_signals(struct serving *s)
{
	struct signalfd_siginfo info;

	while (read(s->signal_fd, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo == SIGCHLD)
			reap_command(s);
		else if (s->command == 0)
			leave(s);
		else if (info.ssi_signo != SIGINT)
			kill(s->command, (int)info.ssi_signo);
	}
}

static void take_answer(struct serving *s)
{
	int error = mount_guard_answer(&s->session->guard);

	if (error == -EBUSY)
		cli_complain("files below '%s' are still in use; it was unmounted under them",
			     s->session->options->point);
	else if (error)
		cli_complain("cannot unmount '%s': %s", s->session->options->point,
			     strerror(-error));
	if (error)
		s->error = error;
	s->stage = GONE;
}

static void wait_for_work(struct serving *s)
{
	struct pollfd *guard, *own = s->fds;
	unsigned count;
	int timeout;

	count = vqsim_fuse_bridge_wait(&s->session->bridge, s->fds + 2, s->fd_max - 2, &timeout);
	own[0] = (struct pollfd){.fd = s->signal_fd, .events = POLLIN};
	guard = &own[1];
	*guard = (struct pollfd){.fd = s->session->guard.socket, .events = POLLIN};
	if (poll(s->fds, count + 2, timeout) < 0 && errno != EINTR)
		s->error = -errno;
	if (own[0].revents)
		take_signals(s);
	if (guard->revents)
		take_answer(s);
}

/* Until it is unmounted, by whoever it was. A bridge that is over has nothing to wait for. */
static void serve(struct serving *s)
{
	struct vqsim_fuse_bridge *bridge = &s->session->bridge;

	while (s->stage != GONE && s->error == 0) {
		vqsim_fuse_bridge_step(bridge);
		if (bridge->over)
			leave(s);
		wait_for_work(s);
	}
	if (bridge->error == 0)
		return;
	cli_complain("the device or /dev/fuse failed: %s", strerror(-bridge->error));
	s->error = bridge->error;
}

/* Standard output is the command's. */
static void report(const struct mount_session *session)
{
	FILE *out = session->options->command ? stderr : stdout;

	fprintf(out, "mount: %" PRIu64 " requests, %" PRIu64 " bytes, ", session->bridge.requests,
		session->bridge.bytes);
	if (session->stack.model.referee)
		fprintf(out, "%" PRIu64 " replies as predicted, ",
			session->stack.model.judged - session->stack.model.wrong);
	fprintf(out, "%" PRIu64 " violations\n", session->stack.referee.violations);
}

static int run(struct mount_session *session)
{
	struct serving s = {.session = session};

	s.fd_max = session->stack.guest.queue_count + 3u;
	s.fds = calloc(s.fd_max, sizeof(*s.fds));
	s.error = s.fds ? open_signals(&s) : -ENOMEM;
	if (!s.error)
		s.error = start_command(&s);
	if (s.error)
		cli_complain("cannot start: %s", strerror(-s.error));
	else
		serve(&s);
	free(s.fds);
	report(session);
	return s.error || session->stack.referee.violations > 0 ? CLI_FAILED : s.status;
}

int cli_mount(int argc, char **argv)
{
	struct mount_options options;
	struct mount_session session;
	int status;

	switch (mount_options_parse(&options, argc, argv)) {
	case PARSE_HELP:
		return CLI_OK;
	case PARSE_BAD:
		return CLI_BAD;
	case PARSE_RUN:
		break;
	}
	status = mount_session_open(&session, &options);
	if (status == CLI_OK)
		status = run(&session);
	mount_session_close(&session);
	return status;
}
