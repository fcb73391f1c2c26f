/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The table has a line for each case, which counts its points; TAP and JUnit have an
 * entry for each point.
 */
#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "report.h"

/* Points of one case whose failure is told in the table, the first of them in full. */
#define FAILURES_SHOWN 3u

/* Most lists of clauses are shorter. */
#define NAME_WIDTH 32

static bool has_point(const struct vqsim_outcome *outcome)
{
	return outcome->point.queue_count != 0;
}

/* "case" or "case split,direct,1x16". */
static void print_name(FILE *out, const struct vqsim_outcome *outcome)
{
	char point[VQSIM_POINT_NAME];

	vqsim_point_name(&outcome->point, point);
	fprintf(out, has_point(outcome) ? "%s %s" : "%s", outcome->test->name, point);
}

/* One line, whatever the device put into it. */
static void print_text(FILE *out, const char *text)
{
	for (; *text; text++)
		putc(iscntrl((unsigned char)*text) ? ' ' : *text, out);
}

/* Lines of a report, each behind an indent. */
static void print_lines(FILE *out, const char *indent, const char *text)
{
	for (size_t size; *text; text += size + (text[size] != '\0')) {
		size = strcspn(text, "\n");
		fputs(indent, out);
		for (size_t i = 0; i < size; i++)
			putc(iscntrl((unsigned char)text[i]) ? ' ' : text[i], out);
		putc('\n', out);
	}
}

static void print_failures(const struct vqsim_report *report, size_t first, size_t end)
{
	unsigned shown = 0;
	bool in_full = false;

	for (size_t i = first; i < end && shown < FAILURES_SHOWN; i++) {
		const struct vqsim_outcome *outcome = &report->outcomes[i];
		char point[VQSIM_POINT_NAME];

		if (outcome->result != VQSIM_FAILED)
			continue;
		vqsim_point_name(&outcome->point, point);
		fprintf(report->out, "    %s: %s: ", point, outcome->clause);
		print_text(report->out, outcome->text);
		putc('\n', report->out);
		shown++;
		if (outcome->report && !in_full)
			print_lines(report->out, "    ", outcome->report);
		in_full |= outcome->report != NULL;
	}
	fprintf(report->out, "    again: vqsim check --device %s --filter %s\n", report->device,
		report->outcomes[first].test->name);
}

/* The outcomes of one case are [first, end). */
static void print_case(const struct vqsim_report *report, size_t first, size_t end)
{
	const struct vqsim_outcome *outcome = &report->outcomes[first];
	unsigned counts[VQSIM_RESULT_COUNT] = {0};

	for (size_t i = first; i < end; i++)
		counts[report->outcomes[i].result]++;
	if (counts[VQSIM_FAILED] == 0 && report->style == VQSIM_REPORT_FAILURES)
		return;
	fprintf(report->out, "%-*s  ", NAME_WIDTH, outcome->test->name);
	if (counts[VQSIM_FAILED]) {
		fprintf(report->out, "FAILED at %u of %zu points\n", counts[VQSIM_FAILED],
			end - first);
		print_failures(report, first, end);
	} else if (outcome->result == VQSIM_PASSED) {
		fprintf(report->out, "passed at %-4u %s\n", counts[VQSIM_PASSED],
			outcome->test->clauses);
	} else {
		fprintf(report->out, "%s: ",
			outcome->result == VQSIM_NOT_APPLICABLE ? "not applicable"
								: "not observable");
		print_text(report->out, outcome->text);
		putc('\n', report->out);
	}
}

/* Everything up to end, of which the last case is complete. */
static void print_table(struct vqsim_report *report, size_t end)
{
	if (report->shown == end || report->style == VQSIM_REPORT_TAP)
		return;
	print_case(report, report->shown, end);
	fflush(report->out);
	report->shown = end;
}

/* A YAML string in double quotes. */
static void print_quoted(FILE *out, const char *text)
{
	putc('"', out);
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			putc('\\', out);
		putc(iscntrl((unsigned char)*text) ? ' ' : *text, out);
	}
	putc('"', out);
}

static void print_tap(const struct vqsim_report *report, const struct vqsim_outcome *outcome)
{
	size_t number = report->count;

	if (number == 1)
		fprintf(report->out, "TAP version 13\n");
	fprintf(report->out, "%sok %zu - ", outcome->result == VQSIM_FAILED ? "not " : "", number);
	print_name(report->out, outcome);
	if (outcome->result == VQSIM_NOT_APPLICABLE || outcome->result == VQSIM_NOT_OBSERVABLE) {
		fprintf(report->out, " # SKIP %s: ",
			outcome->result == VQSIM_NOT_APPLICABLE ? "not applicable"
								: "not observable");
		print_text(report->out, outcome->text);
	}
	putc('\n', report->out);
	if (outcome->result != VQSIM_FAILED)
		return;
	fprintf(report->out, "  ---\n  clause: %s\n  message: ", outcome->clause);
	print_quoted(report->out, outcome->text);
	putc('\n', report->out);
	if (outcome->report) {
		/* The indicator: lines begin with spaces of their own. */
		fputs("  report: |2\n", report->out);
		print_lines(report->out, "    ", outcome->report);
	}
	fputs("  ...\n", report->out);
}

/* A copy of an outcome that lasts. Returns whether there is memory for it. */
static bool keep(struct vqsim_report *report, const struct vqsim_outcome *outcome)
{
	char *text = outcome->report ? strdup(outcome->report) : NULL;

	if (outcome->report && !text)
		return false;
	if (report->count == report->room) {
		size_t room = report->room ? 2 * report->room : 1024;
		struct vqsim_outcome *grown = realloc(report->outcomes, room * sizeof(*grown));

		if (!grown) {
			free(text);
			return false;
		}
		report->outcomes = grown;
		report->room = room;
	}
	report->outcomes[report->count] = *outcome;
	report->outcomes[report->count++].report = text;
	return true;
}

void vqsim_report_add(void *opaque, const struct vqsim_outcome *outcome)
{
	struct vqsim_report *report = opaque;
	size_t last = report->count;

	if (last > 0 && report->outcomes[last - 1].test != outcome->test)
		print_table(report, last);
	if (!keep(report, outcome)) {
		report->no_memory = true;
		return;
	}
	report->totals.counts[outcome->result]++;
	if (report->style == VQSIM_REPORT_TAP)
		print_tap(report, outcome);
}

void vqsim_report_end(struct vqsim_report *report)
{
	const uint64_t *counts = report->totals.counts;

	print_table(report, report->count);
	if (report->style == VQSIM_REPORT_TAP)
		fprintf(report->out, "1..%zu\n", report->count);
	else if (report->style == VQSIM_REPORT_TABLE)
		fprintf(report->out,
			"%" PRIu64 " passed, %" PRIu64 " failed, %" PRIu64
			" not applicable, %" PRIu64 " not observable\n",
			counts[VQSIM_PASSED], counts[VQSIM_FAILED], counts[VQSIM_NOT_APPLICABLE],
			counts[VQSIM_NOT_OBSERVABLE]);
}

void vqsim_report_finish(struct vqsim_report *report)
{
	for (size_t i = 0; i < report->count; i++)
		free((char *)report->outcomes[i].report);
	free(report->outcomes);
	*report = (struct vqsim_report){.device = NULL};
}
