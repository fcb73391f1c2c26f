/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What somebody gets to see whose device fails a case: the last steps, the command that
 * replays it, and the ring, whoever saw the failure and in whatever report it stands.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/bench.h"
#include "tests/support/wrong_device.h"
#include "vqsim/suite/report.h"

static struct virtio_device *wrap_wrong(struct virtio_device *inner, const void *how)
{
	inner->ops->destroy(inner);
	return wrong_device_create(*(const enum wrong_fault *)how);
}

/* The device is called what it would be called on a command line. */
static void subject_make(struct vqsim_subject *subject, const enum wrong_fault *fault)
{
	assert_int_equal(vqsim_subject_init(subject, "null"), 0);
	subject->wrap_device = wrap_wrong;
	subject->how = fault;
}

static void reads(struct vqsim_suite *s)
{
	struct vqsim_guest_config config = vqsim_suite_config(s);
	struct vqsim_suite_io io;

	/* All that the wrong device has. */
	config.queue_count = 1;
	config.queue_size = 16;
	vqsim_suite_up_with(s, &config);
	vqsim_suite_io_init(s, &io, 1024);
	vqsim_suite_io_do(s, 0, &io);
}

static void expects_too_much(struct vqsim_suite *s)
{
	reads(s);
	SUITE_EXPECT(s, s->guest.queue_count == 0, "a device without queues");
}

static const struct vqsim_case seen_by_the_referee = {
	.name = "reads", .clauses = "X", .run = reads};
static const struct vqsim_case seen_by_the_case = {
	.name = "expects", .clauses = "X-D-01 Y-D-02", .run = expects_too_much};

/* What a style prints of a case on a device with this fault, to be freed. */
static char *printed(const struct vqsim_case *test, enum wrong_fault fault,
		     enum vqsim_report_style style, bool junit)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size), *nowhere = fopen("/dev/null", "w");
	struct vqsim_report report = {
		.device = "null", .out = junit ? nowhere : out, .style = style};
	struct vqsim_totals totals = {{0}};
	struct vqsim_subject subject;

	assert_non_null(out);
	assert_non_null(nowhere);
	subject_make(&subject, &fault);
	assert_int_equal(vqsim_suite_run_case(&subject, test, vqsim_report_add, &report, &totals),
			 0);
	vqsim_subject_finish(&subject);
	assert_true(totals.counts[VQSIM_FAILED] > VQSIM_SUITE_REPORTS);
	vqsim_report_end(&report);
	if (junit)
		vqsim_report_junit(&report, out);
	vqsim_report_finish(&report);
	fclose(nowhere);
	fclose(out);
	return text;
}

static unsigned count_of(const char *text, const char *part)
{
	unsigned count = 0;

	while ((text = strstr(text, part))) {
		text += strlen(part);
		count++;
	}
	return count;
}

static const char replay[] = "  replay: vqsim check --device null --filter reads --point "
			     "split,direct,1x16\n";

static void the_table_shows_one_point_in_full(void **state)
{
	char *text = printed(&seen_by_the_referee, WRONG_LEN_SMALL, VQSIM_REPORT_TABLE, false);

	(void)state;
	assert_non_null(strstr(text, "split,direct,1x16: SPLIT-DX-03: used len counts the bytes"));
	assert_non_null(strstr(text, "queue 0: published "));
	assert_non_null(strstr(text, replay));
	assert_int_equal(count_of(text, "replay: "), 1);
	assert_int_equal(count_of(text, "used ring"), 1);
	assert_int_equal(count_of(text, "again: vqsim check --device null --filter reads\n"), 1);
	free(text);
}

/* A device that fails everywhere does not fill a disk with reports. */
static void tap_and_junit_show_the_first_points_in_full(void **state)
{
	char *tap = printed(&seen_by_the_referee, WRONG_LEN_SMALL, VQSIM_REPORT_TAP, false);
	char *junit = printed(&seen_by_the_referee, WRONG_LEN_SMALL, VQSIM_REPORT_TABLE, true);

	(void)state;
	assert_non_null(strstr(tap, "  report: |2\n"));
	assert_non_null(strstr(tap, replay));
	assert_int_equal(count_of(tap, "replay: "), VQSIM_SUITE_REPORTS);
	assert_non_null(strstr(junit, replay));
	assert_int_equal(count_of(junit, "</failure>"), VQSIM_SUITE_REPORTS);
	assert_int_equal(count_of(junit, "used ring"), VQSIM_SUITE_REPORTS);
	free(tap);
	free(junit);
}

static void what_a_case_saw_is_shown_like_what_the_referee_saw(void **state)
{
	char *text = printed(&seen_by_the_case, WRONG_NOTHING, VQSIM_REPORT_TABLE, false);

	(void)state;
	assert_non_null(strstr(text, ": X-D-01: a device without queues (tests/"));
	assert_non_null(strstr(text, "queue 0: used id "));
	assert_non_null(strstr(text, "--filter expects --point "));
	assert_non_null(strstr(text, "used ring"));
	free(text);
}

/* Each file is named in the text, is a picture, and goes. */
static unsigned remove_pictures(const char *folder, const char *text)
{
	DIR *dir = opendir(folder);
	struct dirent *entry;
	unsigned count = 0;

	assert_non_null(dir);
	while ((entry = readdir(dir))) {
		char path[512], begin[8] = "";
		FILE *file;

		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
		assert_non_null(strstr(text, path));
		file = fopen(path, "r");
		assert_non_null(file);
		assert_non_null(fgets(begin, 6, file));
		assert_string_equal(begin, "<svg ");
		fclose(file);
		unlink(path);
		count++;
	}
	closedir(dir);
	return count;
}

/* Same clause, queue and step at all points: the name has the case and the point too. */
static void every_point_has_a_picture_of_its_own(void **state)
{
	char folder[] = "/tmp/vqsim-XXXXXX", *text;

	(void)state;
	assert_non_null(mkdtemp(folder));
	setenv("VQSIM_VIOLATIONS", folder, 1);
	text = printed(&seen_by_the_referee, WRONG_LEN_SMALL, VQSIM_REPORT_TAP, false);
	setenv("VQSIM_VIOLATIONS", "", 1);
	assert_non_null(strstr(text, "-reads-split,direct,1x16-SPLIT-DX-03-q0-step"));
	assert_int_equal(remove_pictures(folder, text), VQSIM_SUITE_REPORTS);
	rmdir(folder);
	free(text);
}

static void count_outcome(void *opaque, const struct vqsim_outcome *outcome)
{
	unsigned *count = opaque;
	char name[VQSIM_POINT_NAME];

	vqsim_point_name(&outcome->point, name);
	assert_string_equal(name, "packed,indirect,event_idx,4x16");
	++*count;
}

static void the_point_of_a_failure_runs_alone(void **state)
{
	const struct vqsim_filter filter = {.pattern = "one_request",
					    .point = "packed,indirect,event_idx,4x16"};
	struct vqsim_totals totals = {{0}};
	struct vqsim_subject subject;
	unsigned count = 0;

	(void)state;
	assert_int_equal(vqsim_subject_init(&subject, "null"), 0);
	assert_int_equal(vqsim_suite_run(&subject, &filter, count_outcome, &count, &totals), 0);
	assert_int_equal(count, 1);
	vqsim_subject_finish(&subject);
}

static int no_pictures(void **state)
{
	(void)state;
	return setenv("VQSIM_VIOLATIONS", "", 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_table_shows_one_point_in_full),
		cmocka_unit_test(tap_and_junit_show_the_first_points_in_full),
		cmocka_unit_test(what_a_case_saw_is_shown_like_what_the_referee_saw),
		cmocka_unit_test(every_point_has_a_picture_of_its_own),
		cmocka_unit_test(the_point_of_a_failure_runs_alone),
	};

	return cmocka_run_group_tests(tests, no_pictures, NULL);
}
