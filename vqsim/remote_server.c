/* SPDX-License-Identifier: BSD-3-Clause */
/* The process at the other end: finding it, and starting it where that is our task. */
#define _GNU_SOURCE

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "remote_internal.h"

/* Between two looks for somebody who listens, ms; and for a command to end. */
#define RETRY   3
#define END_MAX 2000

struct vqsim_remote_server {
	const char *command;
	pid_t pid;   /* of its shell and its process group; 0: it does not run */
	bool failed; /* it ended with a status other than 0 */
	bool told;   /* of its death */
	char death[VQSIM_REMOTE_TEXT];
};

static void nap(void)
{
	const struct timespec a_while = {.tv_nsec = RETRY * 1000000L};

	nanosleep(&a_while, NULL);
}

int vqsim_remote_server_create(struct vqsim_remote_server **server, const char *command)
{
	*server = calloc(1, sizeof(**server));
	if (!*server)
		return -ENOMEM;
	(*server)->command = command;
	(*server)->told = true;
	return 0;
}

/* A shell reports the death of its last command as a status above 128. */
static void note_end(struct vqsim_remote_server *server, int status)
{
	int signal = WIFSIGNALED(status)                              ? WTERMSIG(status)
		     : WIFEXITED(status) && WEXITSTATUS(status) > 128 ? WEXITSTATUS(status) - 128
								      : 0;

	server->pid = 0;
	server->failed = status != 0;
	server->told = signal == 0;
	if (signal)
		snprintf(server->death, sizeof(server->death), "the backend died of signal %d (%s)",
			 signal, strsignal(signal));
}

static bool runs(struct vqsim_remote_server *server)
{
	int status;

	if (server->pid && waitpid(server->pid, &status, WNOHANG) == server->pid)
		note_end(server, status);
	return server->pid != 0;
}

const char *vqsim_remote_server_death(struct vqsim_remote_server *server, unsigned patience)
{
	uint64_t until = remote_now() + patience;

	while (runs(server) && remote_now() < until)
		nap();
	if (server->told)
		return NULL;
	server->told = true;
	return server->death;
}

/* A group of its own: whatever the command starts ends with it. */
static void be_command(const char *command)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	dup2(null, STDIN_FILENO);
	dup2(STDERR_FILENO, STDOUT_FILENO);
	signal(SIGPIPE, SIG_DFL);
	signal(SIGXFSZ, SIG_DFL);
	execl("/bin/sh", "sh", "-c", command, (char *)NULL);
	_exit(127);
}

static void start(struct vqsim_remote_server *server)
{
	pid_t pid = fork();

	if (pid == 0)
		be_command(server->command);
	if (pid > 0) {
		setpgid(pid, pid);
		server->pid = pid;
	}
}

/* A death of this is none to be told of. */
void vqsim_remote_server_stop(struct vqsim_remote_server *server)
{
	uint64_t until = remote_now() + END_MAX;

	if (!runs(server))
		return;
	kill(-server->pid, SIGTERM);
	while (runs(server) && remote_now() < until)
		nap();
	if (runs(server)) {
		kill(-server->pid, SIGKILL);
		waitpid(server->pid, NULL, 0);
		server->pid = 0;
	}
	server->told = true;
}

void vqsim_remote_server_destroy(struct vqsim_remote_server *server)
{
	if (server)
		vqsim_remote_server_stop(server);
	free(server);
}

/* One try. Returns a socket or -errno. */
static int try_connect(const char *path, unsigned deadline)
{
	const struct timeval limit = {deadline / 1000, (suseconds_t)(deadline % 1000) * 1000};
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd, error;

	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	memcpy(address.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	/* It also limits connect, to somebody who listens and does not accept. */
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0)
		return fd;
	error = errno;
	close(fd);
	return error == EAGAIN ? -ETIMEDOUT : -error;
}

/* Nobody is there: the socket does not exist, or is left over. */
static bool nobody(int result)
{
	return result == -ENOENT || result == -ECONNREFUSED;
}

int remote_connect(const char *path, struct vqsim_remote_server *server, unsigned deadline,
		   bool patient)
{
	uint64_t until = remote_now() + deadline;
	int result = try_connect(path, deadline);
	bool started = false;

	while (nobody(result) && (server || patient) && remote_now() < until) {
		bool ended = server && !runs(server);

		if (ended && started && server->failed)
			return -ECHILD;
		if (ended && !started) {
			start(server);
			started = true;
		}
		nap();
		result = try_connect(path, deadline);
	}
	return result;
}
