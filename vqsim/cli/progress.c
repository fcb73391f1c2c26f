/* SPDX-License-Identifier: BSD-3-Clause */
#include "progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define SECOND    UINT64_C(1000000000)
#define BAR_WIDTH 40

#define BAR_DELAY  SECOND
#define BAR_PERIOD (SECOND / 10)
#define LINE_DELAY (10 * SECOND)

uint64_t progress_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * SECOND + (uint64_t)now.tv_nsec;
}

void progress_start(struct progress *progress, const char *label, uint64_t total, bool quiet)
{
	*progress = (struct progress){.label = label, .total = total, .quiet = quiet};
	progress->terminal = isatty(STDERR_FILENO);
	progress->start = progress_now();
	progress->next = progress->start + (progress->terminal ? BAR_DELAY : LINE_DELAY);
}

static void draw_bar(struct progress *progress, uint64_t done, uint64_t seconds)
{
	static const char full[BAR_WIDTH + 1] = "########################################";
	int width = (int)((double)done / (double)progress->total * BAR_WIDTH);

	fprintf(stderr, "\r%s [%-*.*s] %3d%% %" PRIu64 " s ", progress->label, BAR_WIDTH, width,
		full, width * 100 / BAR_WIDTH, seconds);
	fflush(stderr);
	progress->drawn = true;
}

void progress_show(struct progress *progress, uint64_t done)
{
	uint64_t now, seconds;

	if (progress->quiet)
		return;
	now = progress_now();
	if (now < progress->next)
		return;
	seconds = (now - progress->start) / SECOND;
	progress->next = now + (progress->terminal ? BAR_PERIOD : LINE_DELAY);
	if (progress->terminal)
		draw_bar(progress, done, seconds);
	else
		fprintf(stderr, "%s: %" PRIu64 " of %" PRIu64 " requests, %" PRIu64 " s\n",
			progress->label, done, progress->total, seconds);
}

void progress_finish(struct progress *progress)
{
	if (progress->drawn)
		fprintf(stderr, "\r\033[K");
	progress->drawn = false;
}
