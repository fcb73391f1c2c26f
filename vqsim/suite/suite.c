/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The runner. A case at a point gets everything anew: memory, referee, device,
 * guest, model disk. Nothing that it leaves behind reaches the next one.
 */
#include <errno.h>
#include <fnmatch.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "suite_internal.h"

#define MEBIBYTE (UINT64_C(1) << 20)

/* No larger than the cases need: AddressSanitizer's shadow of it is written for each of them. */
static const struct vqsim_region regions[VQSIM_SUITE_REGIONS] = {
	[VQSIM_SUITE_LOW] = {.gpa = 14 * MEBIBYTE, .size = 2 * MEBIBYTE},
	[VQSIM_SUITE_NEXT] = {.gpa = 16 * MEBIBYTE, .size = 1 * MEBIBYTE},
	[VQSIM_SUITE_APART] = {.gpa = 32 * MEBIBYTE, .size = 1 * MEBIBYTE},
	[VQSIM_SUITE_HIGH] = {.gpa = 5120 * MEBIBYTE, .size = 1 * MEBIBYTE},
};

/* What is known of the subject before any case runs. */
struct probe {
	uint64_t offered; /* with many queues, so that what goes with them is seen */
	uint32_t device_id;
};

/* One run of one case at all its points. */
struct sweep {
	const struct vqsim_subject *subject;
	const struct vqsim_case *test;
	vqsim_reporter *report;
	void *opaque;
	const struct vqsim_filter *filter; /* for points */
	unsigned reports;
	struct vqsim_totals *totals;
	struct vqsim_outcome idle; /* the first point at which it did not run */
	bool has_idle, has_run;
};

bool vqsim_filter_matches(const struct vqsim_filter *filter, const struct vqsim_case *test)
{
	const char *pattern = filter->pattern;

	if (filter->clause && !vqsim_case_names(test->clauses, filter->clause))
		return false;
	if (!pattern)
		return true;
	if (strpbrk(pattern, "*?["))
		return fnmatch(pattern, test->name, 0) == 0;
	return strstr(test->name, pattern) != NULL;
}

/* Of a ring format that is not that of the point. */
static bool elsewhere(const char *clause, const struct vqsim_point *point)
{
	return strncmp(clause, point->packed ? "SPLIT-" : "PACKED-", point->packed ? 6 : 7) == 0;
}

/* The first clause of the case that is about the ring at this point; or just the first. */
static const char *main_clause(const struct vqsim_outcome *outcome)
{
	const char *clause = outcome->test->clauses;

	while (*clause && elsewhere(clause, &outcome->point)) {
		clause += strcspn(clause, " ");
		clause += strspn(clause, " ");
	}
	return *clause ? clause : outcome->test->clauses;
}

static void outcome_set(struct vqsim_outcome *outcome, enum vqsim_result result, const char *clause,
			const char *format, va_list args)
{
	size_t size;

	outcome->result = result;
	if (!clause)
		clause = main_clause(outcome);
	size = strcspn(clause, " ");
	snprintf(outcome->clause, sizeof(outcome->clause), "%.*s",
		 result == VQSIM_FAILED ? (int)size : 0, clause);
	vsnprintf(outcome->text, sizeof(outcome->text), format, args);
}

/* For what is found when no case runs: it ends nothing. The first failure stays. */
static __attribute__((format(printf, 4, 5))) void note(struct vqsim_outcome *outcome,
						       enum vqsim_result result, const char *clause,
						       const char *format, ...)
{
	va_list args;

	if (outcome->result == VQSIM_FAILED)
		return;
	va_start(args, format);
	outcome_set(outcome, result, clause, format, args);
	va_end(args);
}

static bool is_of_tree(enum vqsim_rule rule)
{
	return rule >= VQSIM_RULE_TREE_ERROR && rule <= VQSIM_RULE_TREE_LOCK;
}

/* Of the first failure: only now are the last steps and the ring those that led to it. */
static void keep_report(struct vqsim_suite *suite, const struct vqsim_violation *violation)
{
	size_t size;
	FILE *out;

	if (suite->reported || suite->outcome->result == VQSIM_FAILED)
		return;
	suite->reported = true;
	out = open_memstream(&suite->report, &size);
	if (!out)
		return;
	vqsim_referee_print_rest(&suite->referee, violation, out);
	if (suite->has_tree && is_of_tree(violation->rule))
		vqsim_tree_print(&suite->tree, out);
	fclose(out);
}

static void note_violation(void *opaque, const struct vqsim_violation *violation)
{
	struct vqsim_suite *suite = opaque;

	keep_report(suite, violation);
	if (suite->outcome->result != VQSIM_FAILED)
		suite->of_tree = is_of_tree(violation->rule);
	note(suite->outcome, VQSIM_FAILED, violation->clause, "%s; queue %u, step %llu: %s",
	     violation->text, violation->queue, (unsigned long long)violation->step,
	     violation->detail);
}

/* What a case saw, as if the referee had seen it. The clause may be a list. */
static void keep_failure(struct vqsim_suite *suite, const char *clause, const char *sentence,
			 const char *detail)
{
	char id[sizeof(suite->outcome->clause)];
	struct vqsim_violation violation = {
		.queue = vqsim_suite_queue(suite, 0),
		.step = suite->referee.step,
		.clause = id,
		.text = sentence,
	};

	snprintf(id, sizeof(id), "%.*s", (int)strcspn(clause, " "), clause);
	snprintf(violation.detail, sizeof(violation.detail), "%s", detail);
	keep_report(suite, &violation);
}

/*
 * The model of a tree has a word on every reply, before the case has looked at it. What the case
 * says of it is more to the point.
 */
static void forget_tree(struct vqsim_suite *suite)
{
	if (!suite->of_tree)
		return;
	suite->of_tree = false;
	suite->outcome->result = VQSIM_PASSED;
	if (suite->report)
		suite->reported = false;
	free(suite->report);
	suite->report = NULL;
}

static __attribute__((noreturn)) void end_case(struct vqsim_suite *suite, enum vqsim_result result,
					       const char *clause, const char *format, va_list args)
{
	if (suite->outcome->result != VQSIM_FAILED)
		outcome_set(suite->outcome, result, clause, format, args);
	longjmp(suite->end, 1);
}

void vqsim_suite_fail(struct vqsim_suite *suite, const char *clause, const char *file, int line,
		      const char *format, ...)
{
	char sentence[384], place[96];
	va_list args;

	va_start(args, format);
	vsnprintf(sentence, sizeof(sentence), format, args);
	va_end(args);
	snprintf(place, sizeof(place), "%s:%d", file, line);
	forget_tree(suite);
	keep_failure(suite, clause ? clause : main_clause(suite->outcome), sentence, place);
	note(suite->outcome, VQSIM_FAILED, clause, "%s (%s)", sentence, place);
	longjmp(suite->end, 1);
}

void vqsim_suite_not_applicable(struct vqsim_suite *suite, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	end_case(suite, VQSIM_NOT_APPLICABLE, NULL, format, args);
}

void vqsim_suite_not_observable(struct vqsim_suite *suite, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	end_case(suite, VQSIM_NOT_OBSERVABLE, NULL, format, args);
}

/* What the device lacks of what the case needs, in words. Returns false: nothing. */
static bool lacks(const struct vqsim_case *test, uint64_t offered, uint32_t device_id,
		  struct vqsim_outcome *outcome)
{
	uint64_t missing = test->needs & ~offered;

	if (test->device_id != 0 && test->device_id != device_id)
		note(outcome, VQSIM_NOT_APPLICABLE, NULL, "the device has id %u, not %u", device_id,
		     test->device_id);
	else if (missing != 0)
		note(outcome, VQSIM_NOT_APPLICABLE, NULL, "%s is not offered",
		     suite_feature_name(device_id, (unsigned)__builtin_ctzll(missing)));
	else if (test->formats == VQSIM_PACKED && !(offered & VIRTIO_FEATURE(VIRTIO_F_RING_PACKED)))
		note(outcome, VQSIM_NOT_APPLICABLE, NULL, "%s is not offered",
		     suite_feature_name(device_id, VIRTIO_F_RING_PACKED));
	return outcome->result != VQSIM_PASSED;
}

/* What the referee's report and the picture are to say of this run. */
static void introduce(struct vqsim_suite *suite)
{
	char point[VQSIM_POINT_NAME];

	vqsim_point_name(&suite->point, point);
	snprintf(suite->replay, sizeof(suite->replay),
		 "vqsim check --device %s --filter %s --point %s", suite->subject->name,
		 suite->test->name, point);
	snprintf(suite->label, sizeof(suite->label), "%s-%s", suite->test->name, point);
	suite->referee.sink = note_violation;
	suite->referee.opaque = suite;
	suite->referee.replay_hint = suite->replay;
	suite->referee.label = suite->label;
}

/* Invariant: from here on everything in *suite can be let go of by finish. */
static int start(struct vqsim_suite *suite, struct sweep *sweep, struct vqsim_outcome *outcome)
{
	int error;

	memset(suite, 0, sizeof(*suite));
	suite->subject = sweep->subject;
	suite->test = sweep->test;
	suite->point = outcome->point;
	suite->outcome = outcome;
	suite->reported = sweep->reports >= VQSIM_SUITE_REPORTS;
	error = vqsim_memory_init(&suite->memory, regions, VQSIM_SUITE_REGIONS);
	if (error == 0)
		error = vqsim_referee_init(&suite->referee, &suite->memory);
	introduce(suite);
	/* What is wrong on purpose is to be found by the referee, in this build as in any. */
	if (error == 0 && (sweep->subject->wrap_device || sweep->subject->wrap_store ||
			   sweep->subject->wrap_session))
		vqsim_referee_let_stray(&suite->referee);
	return error;
}

static void check_canaries(struct vqsim_suite *suite)
{
	const struct vqsim_rule_text *rule = &vqsim_rules[VQSIM_RULE_FOOTPRINT];
	const char *clause = suite->point.packed ? rule->packed : rule->clause;
	uint64_t bad = 0;
	const struct vqsim_allocation *piece = vqsim_memory_check(&suite->memory, &bad);
	char seen[96];

	if (!piece)
		return;
	snprintf(seen, sizeof(seen), "0x%llx was written, beside [0x%llx, 0x%llx)",
		 (unsigned long long)bad, (unsigned long long)piece->gpa,
		 (unsigned long long)(piece->gpa + piece->size));
	keep_failure(suite, clause, rule->text, seen);
	note(suite->outcome, VQSIM_FAILED, clause, "%s", seen);
}

/* What the backend did is worth more than what came of it: it takes the place of a failure. */
static void check_fault(struct vqsim_suite *suite)
{
	const struct vqsim_subject_ops *ops = suite->subject->ops;
	const char *fault = NULL;

	if (suite->has_device && ops->fault)
		fault = ops->fault(suite->instance);
	if (!fault)
		return;
	suite->outcome->result = VQSIM_PASSED;
	note(suite->outcome, VQSIM_FAILED, VQSIM_SUITE_BACKEND, "%s", fault);
}

static void finish(struct vqsim_suite *suite)
{
	suite->in_case = false;
	check_canaries(suite);
	check_fault(suite);
	suite_drop_device(suite);
	suite_drop_requests(suite);
	free(suite->ios);
	vqsim_referee_finish(&suite->referee);
	vqsim_memory_finish(&suite->memory);
}

static void play(struct vqsim_suite *suite)
{
	const struct vqsim_case *test = suite->test;
	struct vqsim_subject_options options = test->options;

	if (setjmp(suite->end) != 0)
		return;
	if (options.queue_count == 0)
		options.queue_count = suite->point.queue_count;
	vqsim_suite_remake(suite, &options);
	if (lacks(test, suite->offered, suite->device->ops->device_id, suite->outcome))
		return;
	suite->in_case = true;
	test->run(suite);
}

static void run_at(struct sweep *sweep, const struct vqsim_point *point)
{
	struct vqsim_outcome outcome = {.test = sweep->test, .point = *point};
	struct vqsim_suite *suite = malloc(sizeof(*suite));
	char *report = NULL;

	if (!suite || start(suite, sweep, &outcome) != 0)
		note(&outcome, VQSIM_FAILED, NULL, "the host is out of memory");
	else
		play(suite);
	if (suite) {
		finish(suite);
		outcome.report = report = suite->report;
	}
	free(suite);
	sweep->reports += report != NULL;
	if (outcome.result == VQSIM_PASSED || outcome.result == VQSIM_FAILED) {
		sweep->has_run = true;
		sweep->totals->counts[outcome.result]++;
		if (sweep->report)
			sweep->report(sweep->opaque, &outcome);
	} else if (!sweep->has_idle) {
		sweep->has_idle = true;
		sweep->idle = outcome;
	}
	free(report);
}

/* Why a case runs at no point: reported once. */
static void report_idle(struct sweep *sweep)
{
	struct vqsim_outcome *idle = &sweep->idle;

	if (!sweep->has_idle)
		note(idle, VQSIM_NOT_APPLICABLE, NULL, "no point of the matrix fits");
	idle->point = (struct vqsim_point){0};
	sweep->totals->counts[idle->result]++;
	if (sweep->report)
		sweep->report(sweep->opaque, idle);
}

static uint64_t ring_bits(uint64_t features)
{
	const struct vqsim_point all = {true, true, true, true, 0, 0};

	return features & vqsim_point_features(&all);
}

bool vqsim_filter_lets(const struct vqsim_filter *filter, const struct vqsim_point *point)
{
	char own[VQSIM_POINT_NAME];

	vqsim_point_name(point, own);
	return !filter->point || fnmatch(filter->point, own, 0) == 0;
}

static bool fits(const struct vqsim_case *test, const struct vqsim_point *point)
{
	uint64_t taken = vqsim_point_features(point);

	if (test->formats != VQSIM_ANY_FORMAT &&
	    test->formats != (point->packed ? VQSIM_PACKED : VQSIM_SPLIT))
		return false;
	return (ring_bits(test->needs) & ~taken) == 0 && (test->without & taken) == 0 &&
	       point->queue_count >= test->queue_count_min;
}

static void sweep_points(struct sweep *sweep, uint64_t offered)
{
	struct vqsim_point points[VQSIM_POINTS_MAX];
	unsigned count = vqsim_points(offered, points), runs[2] = {0, 0};

	for (unsigned i = 0; i < count; i++) {
		const struct vqsim_point *point = &points[i];

		if (!fits(sweep->test, point) || !vqsim_filter_lets(sweep->filter, point))
			continue;
		if (sweep->test->scope == VQSIM_EACH_FORMAT && runs[point->packed] > 0)
			continue;
		if (sweep->test->scope == VQSIM_ONCE && runs[0] + runs[1] > 0)
			continue;
		runs[point->packed]++;
		run_at(sweep, point);
	}
}

static int probe_subject(const struct vqsim_subject *subject, struct probe *probe)
{
	struct vqsim_subject_options options = {.queue_count = 4};
	struct virtio_device *device;
	void *instance;
	int error = subject->ops->create(subject, &options, &device, &instance);

	if (error == -ENOTSUP) {
		options.queue_count = 0;
		error = subject->ops->create(subject, &options, &device, &instance);
	}
	if (error)
		return error;
	/* As the link shows them. */
	probe->offered = device->ops->features(device) | VIRTIO_TRANSPORT_FEATURES;
	probe->device_id = device->ops->device_id;
	subject->ops->destroy(instance);
	return 0;
}

/* What cannot be seen of a device that is elsewhere. Returns false: nothing. */
static bool hides(struct sweep *sweep)
{
	const char *why = NULL;

	if (sweep->subject->elsewhere)
		why = suite_hidden_elsewhere(sweep->subject, sweep->test);
	if (why)
		note(&sweep->idle, VQSIM_NOT_OBSERVABLE, NULL, "%s", why);
	return why;
}

static void sweep_case(struct sweep *sweep, const struct probe *probe)
{
	sweep->idle.test = sweep->test;
	sweep->has_idle =
		lacks(sweep->test, probe->offered, probe->device_id, &sweep->idle) || hides(sweep);
	if (!sweep->has_idle)
		sweep_points(sweep, probe->offered);
	if (!sweep->has_run)
		report_idle(sweep);
}

int vqsim_suite_run_case(const struct vqsim_subject *subject, const struct vqsim_case *test,
			 vqsim_reporter *report, void *opaque, struct vqsim_totals *totals)
{
	const struct vqsim_filter all = {.pattern = NULL};
	struct sweep sweep = {subject, test, report, opaque, .filter = &all, .totals = totals};
	struct probe probe;
	int error = probe_subject(subject, &probe);

	if (error)
		return error;
	sweep_case(&sweep, &probe);
	return 0;
}

int vqsim_suite_run(const struct vqsim_subject *subject, const struct vqsim_filter *filter,
		    vqsim_reporter *report, void *opaque, struct vqsim_totals *totals)
{
	struct probe probe;
	unsigned chosen = 0;
	int error = probe_subject(subject, &probe);

	if (error)
		return error;
	for (unsigned t = 0; vqsim_case_tables[t]; t++) {
		for (const struct vqsim_case *test = vqsim_case_tables[t]; test->name; test++) {
			struct sweep sweep = {
				subject, test, report, opaque, .filter = filter, .totals = totals};

			if (!vqsim_filter_matches(filter, test))
				continue;
			chosen++;
			sweep_case(&sweep, &probe);
		}
	}
	return chosen ? 0 : -ENOENT;
}
