/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The runner of the suite itself: at which points a case runs, and what becomes of
 * what it says. The cases here are in no table.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tests/support/bench.h"
#include "tests/support/wrong_device.h"
#include "tests/support/wrong_wrap.h"
#include "vqsim/suite/suite.h"

#define KEPT_MAX 128u

/* What a run reported. */
struct kept {
	struct vqsim_outcome outcomes[KEPT_MAX];
	unsigned count;
	struct vqsim_totals totals;
};

static void keep(void *opaque, const struct vqsim_outcome *outcome)
{
	struct kept *kept = opaque;

	assert_true(kept->count < KEPT_MAX);
	kept->outcomes[kept->count++] = *outcome;
}

static void run_on(struct kept *kept, const struct vqsim_subject *subject,
		   const struct vqsim_case *test)
{
	memset(kept, 0, sizeof(*kept));
	assert_int_equal(vqsim_suite_run_case(subject, test, keep, kept, &kept->totals), 0);
}

static void run(struct kept *kept, const char *name, const struct vqsim_case *test)
{
	struct vqsim_subject subject;

	assert_int_equal(vqsim_subject_init(&subject, name), 0);
	run_on(kept, &subject, test);
	vqsim_subject_finish(&subject);
}

static void assert_all(const struct kept *kept, enum vqsim_result result)
{
	assert_true(kept->count > 0);
	assert_int_equal(kept->totals.counts[result], kept->count);
	for (unsigned i = 0; i < kept->count; i++)
		assert_int_equal(kept->outcomes[i].result, result);
}

static uint64_t ring_features(void)
{
	return VIRTIO_FEATURE(VIRTIO_F_RING_PACKED) | VIRTIO_FEATURE(VIRTIO_F_IN_ORDER) |
	       VIRTIO_FEATURE(VIRTIO_RING_F_EVENT_IDX) |
	       VIRTIO_FEATURE(VIRTIO_RING_F_INDIRECT_DESC);
}

static void the_matrix_is_what_the_offer_allows(void **state)
{
	struct vqsim_point points[VQSIM_POINTS_MAX];
	uint64_t all = ring_features(), packed = VIRTIO_FEATURE(VIRTIO_F_RING_PACKED);
	char name[VQSIM_POINT_NAME];

	(void)state;
	/* Two queue counts and two sizes at each choice of features. */
	assert_int_equal(vqsim_points(0, points), 4);
	assert_int_equal(vqsim_points(packed, points), 8);
	assert_int_equal(vqsim_points(all & ~packed, points), 32);
	assert_int_equal(vqsim_points(all, points), 64);
	vqsim_point_name(&points[0], name);
	assert_string_equal(name, "split,direct,1x16");
	vqsim_point_name(&points[63], name);
	assert_string_equal(name, "packed,indirect,event_idx,in_order,4x33");
	for (unsigned i = 0; i < 64; i++)
		assert_true(points[i].packed == (i >= 32));
}

static void does_nothing(struct vqsim_suite *s)
{
	(void)s;
}

static void a_case_runs_at_the_points_that_fit(void **state)
{
	static const struct vqsim_case each = {.name = "each", .clauses = "X", .run = does_nothing};
	static const struct vqsim_case once = {
		.name = "once", .clauses = "X", .run = does_nothing, .scope = VQSIM_ONCE};
	static const struct vqsim_case split = {.name = "split",
						.clauses = "X",
						.run = does_nothing,
						.formats = VQSIM_SPLIT,
						.scope = VQSIM_EACH_FORMAT};
	static const struct vqsim_case event = {"event",
						"X",
						.run = does_nothing,
						.needs = VIRTIO_FEATURE(VIRTIO_RING_F_EVENT_IDX),
						.without =
							VIRTIO_FEATURE(VIRTIO_RING_F_INDIRECT_DESC),
						.queue_count_min = 2};
	struct kept kept;

	(void)state;
	run(&kept, "null", &each);
	assert_all(&kept, VQSIM_PASSED);
	run(&kept, "null", &once);
	assert_int_equal(kept.count, 1);
	run(&kept, "null", &split);
	assert_int_equal(kept.count, 1);
	assert_false(kept.outcomes[0].point.packed);
	run(&kept, "null", &event);
	assert_all(&kept, VQSIM_PASSED);
	for (unsigned i = 0; i < kept.count; i++) {
		assert_true(kept.outcomes[i].point.event_idx);
		assert_false(kept.outcomes[i].point.indirect);
		assert_int_equal(kept.outcomes[i].point.queue_count, 4);
	}
}

static void what_does_not_fit_is_said_once_with_its_reason(void **state)
{
	static const struct vqsim_case blk = {
		.name = "blk", .clauses = "X", .run = does_nothing, .device_id = 2};
	static const struct vqsim_case zoned = {.name = "zoned",
						.clauses = "X",
						.run = does_nothing,
						.device_id = 2,
						.needs = VIRTIO_FEATURE(17)};
	struct kept kept;

	(void)state;
	run(&kept, "null", &blk);
	assert_int_equal(kept.count, 1);
	assert_all(&kept, VQSIM_NOT_APPLICABLE);
	assert_string_equal(kept.outcomes[0].text, "the device has id 0, not 2");
	assert_int_equal(kept.outcomes[0].point.queue_count, 0);
	run(&kept, "blk:ram", &zoned);
	assert_int_equal(kept.count, 1);
	assert_string_equal(kept.outcomes[0].text, "VIRTIO_BLK_F_ZONED is not offered");
}

static void fails(struct vqsim_suite *s)
{
	vqsim_suite_up(s);
	SUITE_EXPECT(s, s->point.queue_count == 0, "this is %d", 7);
	vqsim_suite_not_observable(s, "not reached");
}

static void blames(struct vqsim_suite *s)
{
	SUITE_EXPECT_CLAUSE(s, "SECOND-D-02", false, "that");
}

static void the_first_thing_that_does_not_hold_ends_a_case(void **state)
{
	static const struct vqsim_case first = {
		.name = "first", .clauses = "FIRST-D-01 SECOND-D-02", .run = fails};
	static const struct vqsim_case second = {
		.name = "second", .clauses = "FIRST-D-01 SECOND-D-02", .run = blames};
	struct kept kept;

	(void)state;
	run(&kept, "null", &first);
	assert_all(&kept, VQSIM_FAILED);
	assert_string_equal(kept.outcomes[0].clause, "FIRST-D-01");
	assert_non_null(strstr(kept.outcomes[0].text, "this is 7 ("));
	assert_non_null(strstr(kept.outcomes[0].text, "suite_runner_test.c:"));
	run(&kept, "null", &second);
	assert_all(&kept, VQSIM_FAILED);
	assert_string_equal(kept.outcomes[0].clause, "SECOND-D-02");
}

/* A case about both formats is to be blamed for the one that it ran on. */
static void blame_goes_to_the_clause_of_the_format(void **state)
{
	static const struct vqsim_case both = {
		.name = "both", .clauses = "SPLIT-D-01 PACKED-D-04 FIRST-D-01", .run = fails};
	static const struct vqsim_case other = {
		.name = "other", .clauses = "SPLIT-D-01", .run = fails, .formats = VQSIM_PACKED};
	struct kept kept;

	(void)state;
	run(&kept, "null", &both);
	assert_all(&kept, VQSIM_FAILED);
	for (unsigned i = 0; i < kept.count; i++)
		assert_string_equal(kept.outcomes[i].clause,
				    kept.outcomes[i].point.packed ? "PACKED-D-04" : "SPLIT-D-01");
	run(&kept, "null", &other);
	assert_string_equal(kept.outcomes[0].clause, "SPLIT-D-01");
}

static void wants_resize(struct vqsim_suite *s)
{
	SUITE_NEEDS_HOOK(s, resize);
}

static void wants_more(struct vqsim_suite *s)
{
	vqsim_suite_not_applicable(s, "nothing is offered");
}

static void a_missing_hook_is_not_observable(void **state)
{
	static const struct vqsim_case hook = {.name = "hook", .clauses = "X", .run = wants_resize};
	static const struct vqsim_case more = {.name = "more", .clauses = "X", .run = wants_more};
	struct kept kept;

	(void)state;
	run(&kept, "null", &hook);
	assert_int_equal(kept.count, 1);
	assert_all(&kept, VQSIM_NOT_OBSERVABLE);
	assert_string_equal(kept.outcomes[0].text, "the subject has no resize");
	run(&kept, "blk:ram", &hook);
	assert_all(&kept, VQSIM_PASSED);
	run(&kept, "null", &more);
	assert_int_equal(kept.count, 1);
	assert_all(&kept, VQSIM_NOT_APPLICABLE);
}

static void reads(struct vqsim_suite *s)
{
	struct vqsim_suite_io io;

	vqsim_suite_up(s);
	vqsim_suite_io_init(s, &io, 1024);
	vqsim_suite_io_do(s, 0, &io);
}

static struct virtio_device *wrap_wrong(struct virtio_device *inner, const void *how)
{
	inner->ops->destroy(inner);
	return wrong_device_create(*(const enum wrong_fault *)how);
}

/* The case expects nothing of the kind: the referee saw it. */
static void a_violation_fails_the_case_with_its_clause(void **state)
{
	static const struct vqsim_case test = {.name = "reads",
					       .clauses = "X",
					       .run = reads,
					       .scope = VQSIM_ONCE,
					       .options = {.queue_size_max = 64}};
	static const struct {
		enum wrong_fault fault;
		enum vqsim_rule rule;
	} rows[] = {
		{WRONG_AVAIL_INDEX, VQSIM_RULE_AVAIL_WRITTEN},
		{WRONG_NO_NOTIFICATION, VQSIM_RULE_NOTIFY_MISSING},
		{WRONG_BEYOND, VQSIM_RULE_FOOTPRINT},
	};
	struct vqsim_subject subject;
	struct kept kept;

	(void)state;
	assert_int_equal(vqsim_subject_init(&subject, "null"), 0);
	subject.wrap_device = wrap_wrong;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		subject.how = &rows[i].fault;
		run_on(&kept, &subject, &test);
		assert_all(&kept, VQSIM_FAILED);
		assert_string_equal(kept.outcomes[0].clause, vqsim_rules[rows[i].rule].clause);
	}
	vqsim_subject_finish(&subject);
}

static enum virtio_progress progress_twice_notified(struct virtio_device *dev, uint16_t index,
						    uint32_t budget)
{
	struct virtio_device *inner = wrong_wrap_inner(dev);

	wrong_wrap_of(dev)->transport_ops.notify_used(dev, index);
	return inner->ops->progress(inner, index, budget);
}

/* The wrapper that bends nothing is a good device; with one bend the case catches it. */
static void a_bent_device_is_caught(void **state)
{
	static const struct vqsim_case test = {.name = "reads", .clauses = "X", .run = reads};
	static const struct wrong_bend straight = {.how = NULL};
	static const struct wrong_bend bent = {.ops = {.progress = progress_twice_notified}};
	struct vqsim_subject subject;
	struct kept kept;

	(void)state;
	assert_int_equal(vqsim_subject_init(&subject, "blk:ram"), 0);
	subject.wrap_device = wrong_wrap_create;
	subject.how = &straight;
	run_on(&kept, &subject, &test);
	assert_all(&kept, VQSIM_PASSED);
	subject.how = &bent;
	run_on(&kept, &subject, &test);
	assert_all(&kept, VQSIM_FAILED);
	for (unsigned i = 0; i < kept.count; i++)
		assert_int_equal(strncmp(kept.outcomes[i].clause, "PACKED-", 7) == 0,
				 kept.outcomes[i].point.packed);
	vqsim_subject_finish(&subject);
}

/* A case that leaves everything as it should not: nothing leaks, nothing aborts. */
static void leaves_a_mess(struct vqsim_suite *s)
{
	struct vqsim_blk_request *request;

	vqsim_suite_up(s);
	s->subject->ops->hold(s->instance, true);
	request = vqsim_suite_request(s, 512);
	request->type = VIRTIO_BLK_T_IN;
	request->data_size = 512;
	SUITE_EXPECT(s, vqsim_blk_submit(&s->blk, 0, request) >= 0, "room");
	vqsim_guest_publish(&s->guest, 0);
	SUITE_EXPECT(s, vqsim_guest_run(&s->guest, 0) == VIRTIO_WAITING, "the store holds it");
	SUITE_EXPECT(s, s->subject->ops->held(s->instance) == 1, "one is held");
}

static void a_case_may_leave_requests_in_flight(void **state)
{
	static const struct vqsim_case test = {
		.name = "mess", .clauses = "X", .run = leaves_a_mess, .device_id = 2};
	struct kept kept;

	(void)state;
	run(&kept, "blk:ram", &test);
	assert_all(&kept, VQSIM_PASSED);
}

static uint64_t may_unmap(struct vqsim_suite *s)
{
	return vqsim_suite_config_field(
		s, offsetof(struct virtio_blk_config, write_zeroes_may_unmap), 1);
}

static void uses_hooks(struct vqsim_suite *s)
{
	const struct vqsim_subject_ops *ops = s->subject->ops;
	struct vqsim_store_entry log[4];
	uint8_t data[512], seen[512];

	memset(data, 7, sizeof(data));
	vqsim_suite_up(s);
	vqsim_suite_write(s, 200, data, sizeof(data));
	SUITE_EXPECT(s, ops->peek(s->instance, 200 * 512, seen, 512) == 0, "peek");
	SUITE_EXPECT(s, memcmp(seen, data, 512) == 0, "what was written is there");
	SUITE_EXPECT(s, ops->log(s->instance, log, 4) == 1, "one operation is logged");
	SUITE_EXPECT(s, log[0].op == BLK_OP_WRITE && log[0].offset == 200 * 512, "the write is");
	SUITE_EXPECT(s, ops->resize(s->instance, 256 * 512) == 0, "resize");
	vqsim_blk_reread(&s->blk);
	SUITE_EXPECT(s, s->blk.capacity == 256, "the capacity follows");
	SUITE_EXPECT(s, may_unmap(s) == 1, "a ram store can unmap");
	SUITE_EXPECT(s, ops->set_may_unmap(s->instance, false) == 0, "set_may_unmap");
	SUITE_EXPECT(s, may_unmap(s) == 0, "write_zeroes_may_unmap follows");
	SUITE_EXPECT(s, s->guest.link.config_notifications == 2, "and each change is told");
	ops->fail_next(s->instance, -EIO);
	SUITE_EXPECT(s,
		     vqsim_suite_do(s, 0, vqsim_suite_request(s, 512), VIRTIO_BLK_T_IN, 0, 512) ==
			     VIRTIO_BLK_S_IOERR,
		     "a failure is told");
	vqsim_suite_read(s, 200, seen, sizeof(seen));
	SUITE_EXPECT(s, memcmp(seen, data, 512) == 0, "the next one works");
}

static void the_hooks_reach_behind_our_block_device(void **state)
{
	static const struct vqsim_case test = {
		.name = "hooks", .clauses = "X", .run = uses_hooks, .device_id = 2};
	struct kept kept;

	(void)state;
	run(&kept, "blk:ram", &test);
	assert_all(&kept, VQSIM_PASSED);
}

/* A stranger's subject: two members, and the pattern comes by way of its rings. */
static void a_subject_needs_no_hooks(void **state)
{
	static const struct vqsim_case test = {
		.name = "reads", .clauses = "X", .run = reads, .scope = VQSIM_EACH_FORMAT};
	struct vqsim_subject_ops ops = {.create = NULL};
	struct vqsim_subject subject;
	struct kept kept;

	(void)state;
	assert_int_equal(vqsim_subject_init(&subject, "blk:ram"), 0);
	ops.create = subject.ops->create;
	ops.destroy = subject.ops->destroy;
	subject.ops = &ops;
	run_on(&kept, &subject, &test);
	assert_all(&kept, VQSIM_PASSED);
	vqsim_subject_finish(&subject);
}

static int create_nothing(const struct vqsim_subject *subject,
			  const struct vqsim_subject_options *options,
			  struct virtio_device **device, void **instance)
{
	(void)subject, (void)options, (void)device, (void)instance;
	return -ENODEV;
}

static void a_subject_that_cannot_be_made_is_an_error(void **state)
{
	const struct vqsim_subject_ops ops = {.create = create_nothing};
	const struct vqsim_subject subject = {.name = "nothing", .ops = &ops};
	const struct vqsim_filter all = {.pattern = NULL}, none = {.pattern = "no_such_case"};
	struct vqsim_subject null;
	struct vqsim_totals totals = {{0}};

	(void)state;
	assert_int_equal(vqsim_suite_run(&subject, &all, NULL, NULL, &totals), -ENODEV);
	assert_int_equal(vqsim_subject_init(&null, "null"), 0);
	assert_int_equal(vqsim_suite_run(&null, &none, NULL, NULL, &totals), -ENOENT);
	vqsim_subject_finish(&null);
}

static void filters_match_names_and_whole_clauses(void **state)
{
	static const struct vqsim_case test = {.name = "two_requests",
					       .clauses = "SPLIT-D-10 SPLIT-D-11"};

	(void)state;
	assert_true(vqsim_filter_matches(&(struct vqsim_filter){.pattern = "req"}, &test));
	assert_true(vqsim_filter_matches(
		&(struct vqsim_filter){.pattern = "two*", .clause = "SPLIT-D-11"}, &test));
	assert_false(vqsim_filter_matches(&(struct vqsim_filter){.pattern = "*two"}, &test));
	assert_false(vqsim_filter_matches(&(struct vqsim_filter){.clause = "SPLIT-D-1"}, &test));
	assert_false(vqsim_filter_matches(&(struct vqsim_filter){.clause = "LIT-D-10"}, &test));
}

/* Names and ids are what ledger, reports and filters stand on. */
static void every_case_in_the_tables_is_well_formed(void **state)
{
	(void)state;
	for (unsigned t = 0; vqsim_case_tables[t]; t++) {
		for (const struct vqsim_case *test = vqsim_case_tables[t]; test->name; test++) {
			if (vqsim_case_find(test->name) != test)
				fail_msg("two cases have the name %s", test->name);
			assert_non_null(test->run);
			assert_true(strlen(test->clauses) > 0);
			assert_int_equal(
				strspn(test->name, "abcdefghijklmnopqrstuvwxyz0123456789_"),
				strlen(test->name));
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_matrix_is_what_the_offer_allows),
		cmocka_unit_test(a_case_runs_at_the_points_that_fit),
		cmocka_unit_test(what_does_not_fit_is_said_once_with_its_reason),
		cmocka_unit_test(the_first_thing_that_does_not_hold_ends_a_case),
		cmocka_unit_test(blame_goes_to_the_clause_of_the_format),
		cmocka_unit_test(a_missing_hook_is_not_observable),
		cmocka_unit_test(a_violation_fails_the_case_with_its_clause),
		cmocka_unit_test(a_bent_device_is_caught),
		cmocka_unit_test(a_case_may_leave_requests_in_flight),
		cmocka_unit_test(the_hooks_reach_behind_our_block_device),
		cmocka_unit_test(a_subject_needs_no_hooks),
		cmocka_unit_test(a_subject_that_cannot_be_made_is_an_error),
		cmocka_unit_test(filters_match_names_and_whole_clauses),
		cmocka_unit_test(every_case_in_the_tables_is_well_formed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
