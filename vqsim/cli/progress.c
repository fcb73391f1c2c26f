/* SPDX-License-Identifier: BSD-3-Clause */
#include "progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <sys/ioctl.h>
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

/* As wide as the terminal leaves it beside the label and the figures, which want 20 columns. */
static int bar_width(void)
{
	struct winsize size;
	int width = BAR_WIDTH;

	if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
		width = size.ws_col - 20;
	if (width < 0)
		return 0;
	return width < BAR_WIDTH ? width : BAR_WIDTH;
}

static void draw_bar(struct progress *progress, uint64_t done, uint64_t seconds)
{
	static const char full[BAR_WIDTH + 1] = "########################################";
	double part = (double)done / (double)progress->total;
	int room = bar_width(), width = (int)(part * room);

	fprintf(stderr, "\r%s [%-*.*s] %3d%% %" PRIu64 " s ", progress->label, room, width, full,
		(int)(part * 100), seconds);
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
