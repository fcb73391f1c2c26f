/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Every case of the suite can fail: it catches a subject that is wrong on purpose, and lets
 * pass what the standard permits. One test for each row of the tables, and one for each case
 * that must have one.
 */
#include <stdio.h>
#include <stdlib.h>

#include "tests/support/bench.h"
#include "tests/support/suite_wrong.h"

#define TEST_NAME 160u

struct names {
	char (*name)[TEST_NAME];
	struct CMUnitTest *tests;
	size_t count;
};

static void judge_row(void **state)
{
	struct suite_verdict verdict;

	suite_wrong_try(*state, &verdict);
	if (!verdict.right)
		fail_msg("%s", verdict.words);
}

static void judge_case(void **state)
{
	const struct vqsim_case *test = *state;

	for (unsigned t = 0; suite_wrong_tables[t]; t++)
		for (const struct vqsim_wrong *row = suite_wrong_tables[t]; row->test; row++)
			if (strcmp(row->test, test->name) == 0)
				return;
	fail_msg("%s: no wrong subject shows that it can fail", test->name);
}

static void add(struct names *names, CMUnitTestFunction run, const void *state, const char *first,
		const char *second)
{
	char *name;

	names->name = realloc(names->name, (names->count + 1) * sizeof(*names->name));
	names->tests = realloc(names->tests, (names->count + 1) * sizeof(*names->tests));
	if (!names->name || !names->tests)
		abort();
	name = names->name[names->count];
	snprintf(name, TEST_NAME, "%s %s", first, second);
	names->tests[names->count++] =
		(struct CMUnitTest){.test_func = run, .initial_state = (void *)state};
}

static const char *words_of(const struct vqsim_wrong *row)
{
	return row->wrong ? row->wrong : row->clause ? row->clause : "wrong";
}

static void collect(struct names *names)
{
	for (unsigned t = 0; suite_wrong_tables[t]; t++)
		for (const struct vqsim_wrong *row = suite_wrong_tables[t]; row->test; row++)
			add(names, judge_row, row, row->test, words_of(row));
	for (unsigned t = 0; vqsim_case_tables[t]; t++)
		for (const struct vqsim_case *test = vqsim_case_tables[t]; test->name; test++)
			add(names, judge_case, test, test->name, "has a wrong subject");
	for (size_t i = 0; i < names->count; i++)
		names->tests[i].name = names->name[i];
}

int main(void)
{
	struct names names = {.count = 0};
	int failed;

	collect(&names);
	failed = bench_run("suite_proof", names.tests, names.count);
	free(names.tests);
	free(names.name);
	return failed;
}
