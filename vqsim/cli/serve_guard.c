/* SPDX-License-Identifier: BSD-3-Clause */
#include "serve_guard.h"

#include <errno.h>
#include <string.h>
#include <sys/wait.h>

#include "cli.h"

static void fill(sigset_t *set)
{
	sigemptyset(set);
	sigaddset(set, SIGINT);
	sigaddset(set, SIGTERM);
	sigaddset(set, SIGHUP);
	sigaddset(set, SIGCHLD);
}

void serve_guard_hold_signals(sigset_t *before)
{
	sigset_t set;

	fill(&set);
	sigprocmask(SIG_BLOCK, &set, before);
}

static int judge(int status)
{
	if (WIFEXITED(status))
		return WEXITSTATUS(status);
	if (WTERMSIG(status) == SIGSYS)
		cli_complain("the server was ended by its sandbox: it made a system call that is "
			     "not on the list");
	else
		cli_complain("the server was ended by signal %d (%s)", WTERMSIG(status),
			     strsignal(WTERMSIG(status)));
	return CLI_FAILED;
}

int serve_guard_watch(pid_t child)
{
	int number, status;
	sigset_t set;

	fill(&set);
	for (;;) {
		if (waitpid(child, &status, WNOHANG) == child)
			return judge(status);
		if (sigwait(&set, &number) == 0 && number != SIGCHLD)
			kill(child, number);
	}
}
