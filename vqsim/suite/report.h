/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What came of a run of the suite, for people and for programs: a table, TAP 13, a
 * JUnit XML document.
 *
 *     struct vqsim_report report = {.device = "blk:ram", .out = stdout};
 *
 *     vqsim_suite_run(&subject, &filter, vqsim_report_add, &report, &totals);
 *     vqsim_report_end(&report);
 *     vqsim_report_finish(&report);
 *
 * Threads: one.
 */
#ifndef VQSIM_SUITE_REPORT_H
#define VQSIM_SUITE_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "suite.h"

#ifdef __cplusplus
extern "C" {
#endif

enum vqsim_report_style {
	VQSIM_REPORT_TABLE = 0, /* a line for each case, as soon as it is over, and a summary */
	VQSIM_REPORT_FAILURES,  /* only the lines of cases that failed */
	VQSIM_REPORT_TAP,       /* TAP 13, a test for each case at each point */
};

/* The caller sets the first three members; the rest is zero. */
struct vqsim_report {
	const char *device; /* as a user writes it */
	FILE *out;
	enum vqsim_report_style style;

	/* All that was reported so far, with reports of their own. */
	struct vqsim_outcome *outcomes;
	size_t count;
	struct vqsim_totals totals;
	bool no_memory; /* some outcomes are not kept, and not printed */

	/* Private. */
	size_t room;
	size_t shown; /* of the outcomes, in the table */
};

/* A vqsim_reporter, for a struct vqsim_report. */
void vqsim_report_add(void *report, const struct vqsim_outcome *outcome);

/* After the last outcome: what is left to print, with the summary. */
void vqsim_report_end(struct vqsim_report *report);

/* One JUnit XML document with all outcomes, valid whatever bytes the texts have. */
void vqsim_report_junit(const struct vqsim_report *report, FILE *out);

/* Free the outcomes. A zeroed report can be finished. */
void vqsim_report_finish(struct vqsim_report *report);

#ifdef __cplusplus
}
#endif

#endif
