/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Every case of the suite can fail, for each clause that it names: it catches a subject that is
 * wrong on purpose, and lets pass what the standard permits. One test for each row of the tables,
 * and one for each case whose clauses must all have one. The last ones are of rows that are no
 * proof.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/support/bench.h"
#include "tests/support/suite_wrong.h"
#include "tests/support/wrong_rows.h"

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

static int refuse(struct virtio_device *dev, uint16_t index, const struct virtio_queue_setup *setup)
{
	(void)dev;
	(void)index;
	(void)setup;
	return -EINVAL;
}

/* Found by the referee in every bring-up. */
static int notify_early(struct virtio_device *dev, uint64_t features)
{
	struct virtio_device *inner = wrong_wrap_inner(dev);

	dev->transport_ops->notify_used(dev->transport, 0);
	return inner->ops->set_features(inner, features);
}

static const struct vqsim_wrong no_proof[] = {
	{.test = "one_request", .clause = "SPLIT-DX-02", .wrong = "a device that is right"},
	{.test = "one_request",
	 BENT(.queue_start = refuse),
	 .clause = "SPLIT-DX-02",
	 .wrong = "a device that does not come up"},
	{.test = "status_before_driver_ok",
	 BENT(.set_features = notify_early),
	 .clause = "STATUS-D-02",
	 .wrong = "what any bring-up finds"},
	{.test = "one_request",
	 BENT(.queue_start = refuse),
	 .clause = "SPLIT-DX-02",
	 .tolerated = true,
	 .wrong = "a failure is not tolerated"},
	{.test = NULL},
};

static void judge_no_proof(void **state)
{
	struct suite_verdict verdict;

	suite_wrong_try(*state, &verdict);
	if (verdict.right)
		fail_msg("%s", verdict.words);
}

static bool has_row(const struct vqsim_case *test, const char *clause, bool tolerated)
{
	for (unsigned t = 0; suite_wrong_tables[t]; t++)
		for (const struct vqsim_wrong *row = suite_wrong_tables[t]; row->test; row++)
			if (suite_wrong_is_about(row, test, clause, tolerated))
				return true;
	return false;
}

/* Which of them prove something is for judge_row; what is a permission the ledger knows. */
static void judge_case(void **state)
{
	const struct vqsim_case *test = *state;
	const char *at = test->clauses;
	char clause[24];

	while (sscanf(at, "%23s", clause) == 1) {
		if (!has_row(test, clause, false) &&
		    !(has_row(test, clause, true) && has_row(test, NULL, false)))
			fail_msg("%s: no wrong subject shows that it can fail for %s", test->name,
				 clause);
		at += strspn(at, " ") + strlen(clause);
	}
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
			add(names, judge_case, test, test->name,
			    "has a wrong subject for each clause");
	for (const struct vqsim_wrong *row = no_proof; row->test; row++)
		add(names, judge_no_proof, row, "no proof:", words_of(row));
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
