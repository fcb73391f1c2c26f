/* SPDX-License-Identifier: BSD-3-Clause */
#include "first_use.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "load.h"
#include "sampler.h"

int perf_first_use_child(const struct perf_subject *subject)
{
	static struct perf_load load;
	uint64_t end;

	perf_load_init(&load, subject, false);
	perf_load_run(&load, 1, 1);
	end = perf_now();
	perf_load_finish(&load);
	return write(STDOUT_FILENO, &end, sizeof(end)) == sizeof(end) ? 0 : 1;
}

static __attribute__((noreturn)) void become_child(const struct perf_subject *subject, int out)
{
	if (dup2(out, STDOUT_FILENO) >= 0)
		execl("/proc/self/exe", "perf", PERF_FIRST_USE_CHILD, subject->name, (char *)NULL);
	_exit(1);
}

/* Milliseconds, or less than 0: the child failed. */
static double run_once(const struct perf_subject *subject)
{
	uint64_t start = perf_now(), end = 0;
	int ends[2], status = -1;
	ssize_t got;
	pid_t pid;

	if (pipe(ends) != 0)
		return -1;
	pid = fork();
	if (pid == 0)
		become_child(subject, ends[1]);
	close(ends[1]);
	got = pid > 0 ? read(ends[0], &end, sizeof(end)) : -1;
	close(ends[0]);
	if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0 || got != sizeof(end))
		return -1;
	return (double)(end - start) / 1e6;
}

double perf_first_use(const struct perf_subject *subject, unsigned runs)
{
	struct perf_sampler sampler = {0};

	for (unsigned i = 0; i < runs; i++) {
		double sample = run_once(subject);

		if (sample < 0) {
			fprintf(stderr, "perf: the process for the first use of %s failed\n",
				subject->name);
			exit(1);
		}
		perf_sampler_add(&sampler, sample);
	}
	return perf_sampler_median(&sampler);
}
