/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What is printed of outcomes: script and text as literals.
 */
#include <stdio.h>
#include <stdlib.h>

#include "tests/support/bench.h"
#include "vqsim/suite/report.h"

static const struct vqsim_case good = {.name = "good", .clauses = "SPLIT-D-22"};
static const struct vqsim_case bad = {.name = "bad", .clauses = "SPLIT-DX-02"};
static const struct vqsim_case idle = {.name = "idle", .clauses = "BLK-DX-08"};
static const struct vqsim_case blind = {.name = "blind", .clauses = "BLK-D-20"};

#define SPLIT_POINT                                \
	{                                          \
		.queue_count = 1, .queue_size = 16 \
	}
#define PACKED_POINT                                                                   \
	{                                                                              \
		.packed = true, .indirect = true, .event_idx = true, .in_order = true, \
		.queue_count = 4, .queue_size = 33                                     \
	}

static const struct vqsim_outcome outcomes[] = {
	{&good, SPLIT_POINT, VQSIM_PASSED, "", "", NULL},
	{&good, PACKED_POINT, VQSIM_PASSED, "", "", NULL},
	{&bad, SPLIT_POINT, VQSIM_FAILED, "SPLIT-DX-02", "id 7", NULL},
	{&bad, PACKED_POINT, VQSIM_FAILED, "SPLIT-DX-02", "id \"7\" & <\n\x01\xff\xc3\xa9>",
	 "  step 7 <&\x01\n  picture: x.svg\n"},
	{.test = &idle, .result = VQSIM_NOT_APPLICABLE, .text = "LIFETIME is not offered"},
	{.test = &blind, .result = VQSIM_NOT_OBSERVABLE, .text = "the subject has no log"},
};

static const char table[] =
	"good                              passed at 2    SPLIT-D-22\n"
	"bad                               FAILED at 2 of 2 points\n"
	"    split,direct,1x16: SPLIT-DX-02: id 7\n"
	"    packed,indirect,event_idx,in_order,4x33: SPLIT-DX-02: id \"7\" & <  \xff\xc3\xa9>\n"
	"      step 7 <& \n"
	"      picture: x.svg\n"
	"    again: vqsim check --device tape --filter bad\n"
	"idle                              not applicable: LIFETIME is not offered\n"
	"blind                             not observable: the subject has no log\n"
	"2 passed, 2 failed, 1 not applicable, 1 not observable\n";

static const char failures[] =
	"bad                               FAILED at 2 of 2 points\n"
	"    split,direct,1x16: SPLIT-DX-02: id 7\n"
	"    packed,indirect,event_idx,in_order,4x33: SPLIT-DX-02: id \"7\" & <  \xff\xc3\xa9>\n"
	"      step 7 <& \n"
	"      picture: x.svg\n"
	"    again: vqsim check --device tape --filter bad\n";

static const char tap[] = "TAP version 13\n"
			  "ok 1 - good split,direct,1x16\n"
			  "ok 2 - good packed,indirect,event_idx,in_order,4x33\n"
			  "not ok 3 - bad split,direct,1x16\n"
			  "  ---\n"
			  "  clause: SPLIT-DX-02\n"
			  "  message: \"id 7\"\n"
			  "  ...\n"
			  "not ok 4 - bad packed,indirect,event_idx,in_order,4x33\n"
			  "  ---\n"
			  "  clause: SPLIT-DX-02\n"
			  "  message: \"id \\\"7\\\" & <  \xff\xc3\xa9>\"\n"
			  "  report: |2\n"
			  "      step 7 <& \n"
			  "      picture: x.svg\n"
			  "  ...\n"
			  "ok 5 - idle # SKIP not applicable: LIFETIME is not offered\n"
			  "ok 6 - blind # SKIP not observable: the subject has no log\n"
			  "1..6\n";

static const char junit[] =
	"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
	"<testsuites>\n"
	"  <testsuite name=\"tape\" tests=\"6\" failures=\"2\" errors=\"0\" skipped=\"2\">\n"
	"    <testcase classname=\"vqsim.split\" name=\"good [split,direct,1x16]\"/>\n"
	"    <testcase classname=\"vqsim.packed\" "
	"name=\"good [packed,indirect,event_idx,in_order,4x33]\"/>\n"
	"    <testcase classname=\"vqsim.split\" name=\"bad [split,direct,1x16]\">\n"
	"      <failure type=\"SPLIT-DX-02\" message=\"id 7\"/>\n"
	"    </testcase>\n"
	"    <testcase classname=\"vqsim.packed\" "
	"name=\"bad [packed,indirect,event_idx,in_order,4x33]\">\n"
	"      <failure type=\"SPLIT-DX-02\" "
	"message=\"id &quot;7&quot; &amp; &lt;???\xc3\xa9&gt;\">"
	"  step 7 &lt;&amp;?\n"
	"  picture: x.svg\n"
	"</failure>\n"
	"    </testcase>\n"
	"    <testcase classname=\"vqsim.none\" name=\"idle\">\n"
	"      <skipped message=\"not applicable: LIFETIME is not offered\"/>\n"
	"    </testcase>\n"
	"    <testcase classname=\"vqsim.none\" name=\"blind\">\n"
	"      <skipped message=\"not observable: the subject has no log\"/>\n"
	"    </testcase>\n"
	"  </testsuite>\n"
	"</testsuites>\n";

/* What is printed while the outcomes come, and with document the JUnit of it. */
static void assert_prints(enum vqsim_report_style style, bool document, const char *expected)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	FILE *nowhere = fopen("/dev/null", "w");
	struct vqsim_report report = {
		.device = "tape", .out = document ? nowhere : out, .style = style};

	assert_non_null(out);
	assert_non_null(nowhere);
	for (size_t i = 0; i < COUNT_OF(outcomes); i++)
		vqsim_report_add(&report, &outcomes[i]);
	vqsim_report_end(&report);
	if (document)
		vqsim_report_junit(&report, out);
	vqsim_report_finish(&report);
	fclose(nowhere);
	fclose(out);
	assert_string_equal(text, expected);
	free(text);
}

static void a_table_has_a_line_for_each_case(void **state)
{
	(void)state;
	assert_prints(VQSIM_REPORT_TABLE, false, table);
}

static void quiet_tells_failures_alone(void **state)
{
	(void)state;
	assert_prints(VQSIM_REPORT_FAILURES, false, failures);
}

static void tap_has_a_test_for_each_point(void **state)
{
	(void)state;
	assert_prints(VQSIM_REPORT_TAP, false, tap);
}

static void junit_is_one_document_with_everything_escaped(void **state)
{
	(void)state;
	assert_prints(VQSIM_REPORT_TABLE, true, junit);
}

/* What is not a character of XML 1.0 in UTF-8 becomes a question mark for each byte. */
static void junit_takes_no_bytes_that_xml_forbids(void **state)
{
	static const struct {
		const char *device, *name;
	} rows[] = {
		{"\xe2\x82\xac\xf0\x9f\x98\x80", "\xe2\x82\xac\xf0\x9f\x98\x80"},
		{"\xc0\xaf", "??"},           /* a long form */
		{"\xed\xa0\x80", "???"},      /* a surrogate */
		{"\xef\xbf\xbf", "???"},      /* U+FFFF */
		{"\xf4\x90\x80\x80", "????"}, /* past U+10FFFF */
		{"\xe2\x82", "??"},           /* cut off */
		{"a\tb\x7f'", "a?b?&apos;"},
	};
	char expected[96], text[512];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct vqsim_report report = {.device = rows[i].device};
		FILE *out = fmemopen(text, sizeof(text), "w");

		assert_non_null(out);
		vqsim_report_junit(&report, out);
		fclose(out);
		snprintf(expected, sizeof(expected), "<testsuite name=\"%s\" tests=\"0\"",
			 rows[i].name);
		assert_non_null(strstr(text, expected));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_table_has_a_line_for_each_case),
		cmocka_unit_test(quiet_tells_failures_alone),
		cmocka_unit_test(tap_has_a_test_for_each_point),
		cmocka_unit_test(junit_is_one_document_with_everything_escaped),
		cmocka_unit_test(junit_takes_no_bytes_that_xml_forbids),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
