/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The conformance suite against our own devices: every case at every point of the
 * matrix is one test. What is not applicable or not observable is no test; the
 * ledger (ci/ledger.sh) has an eye on those.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/support/bench.h"
#include "vqsim/suite/suite.h"

#define TEST_NAME 128u

struct row {
	struct vqsim_outcome outcome;
	char name[TEST_NAME];
};

/* All outcomes of one subject. */
struct record {
	const char *subject;
	struct row *rows;
	size_t count, room;
};

static void add(void *opaque, const struct vqsim_outcome *outcome)
{
	char point[VQSIM_POINT_NAME] = "at no point";
	struct record *record = opaque;
	struct row *row;

	if (outcome->result == VQSIM_NOT_APPLICABLE || outcome->result == VQSIM_NOT_OBSERVABLE)
		return;
	if (record->count == record->room) {
		record->room = record->room ? 2 * record->room : 1024;
		record->rows = realloc(record->rows, record->room * sizeof(*record->rows));
		if (!record->rows)
			abort();
	}
	row = &record->rows[record->count++];
	row->outcome = *outcome;
	row->outcome.report = outcome->report ? strdup(outcome->report) : NULL;
	vqsim_point_name(&outcome->point, point);
	snprintf(row->name, sizeof(row->name), "%s %s %s", record->subject, outcome->test->name,
		 point);
}

static void judge(void **state)
{
	const struct row *row = *state;

	if (row->outcome.report)
		fputs(row->outcome.report, stderr);
	if (row->outcome.result == VQSIM_FAILED)
		fail_msg("%s: %s: %s", row->name, row->outcome.clause, row->outcome.text);
}

static int run_all(struct record *record)
{
	struct CMUnitTest *tests = calloc(record->count + 1, sizeof(*tests));
	int failed;

	if (!tests)
		abort();
	for (size_t i = 0; i < record->count; i++)
		tests[i] = (struct CMUnitTest){.name = record->rows[i].name,
					       .test_func = judge,
					       .initial_state = &record->rows[i]};
	failed = bench_run(record->subject, tests, record->count);
	free(tests);
	for (size_t i = 0; i < record->count; i++)
		free((char *)record->rows[i].outcome.report);
	free(record->rows);
	return failed;
}

/* label: what the tests are called after. pattern: of cases; NULL: all. */
static int check_cases(const char *name, const char *label, const char *pattern)
{
	struct record record = {.subject = label};
	struct vqsim_filter filter = {.pattern = pattern};
	struct vqsim_totals totals = {{0}};
	struct vqsim_subject subject;

	if (vqsim_subject_init(&subject, name) != 0 ||
	    vqsim_suite_run(&subject, &filter, add, &record, &totals) != 0) {
		printf("1..1\nnot ok 1 - %s cannot be made\n", name);
		return 1;
	}
	vqsim_subject_finish(&subject);
	return run_all(&record);
}

static int check_subject(const char *name, const char *label)
{
	return check_cases(name, label, NULL);
}

static int check_file(void)
{
	char name[] = "blk:file:/tmp/vqsim-suite-XXXXXX";
	char *path = name + sizeof("blk:file:") - 1;
	int fd = mkstemp(path), failed = 1;

	if (fd >= 0 && ftruncate(fd, VQSIM_SUITE_DISK_MIN) == 0)
		failed = check_subject(name, "blk:file");
	close(fd);
	unlink(path);
	return failed;
}

int main(void)
{
	int failed = check_subject("null", "null");

	failed += check_subject("null:bare", "null:bare");
	failed += check_subject("blk:ram", "blk:ram");
	failed += check_file();
	failed += check_subject("fs:ram", "fs:ram");
	/* Rings do not depend on the tree, and each case has a directory to make. */
	failed += check_cases("fs:dir", "fs:dir", "fs_*");
	return failed != 0;
}
