/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * JUnit's XML, as continuous integration reads it: one suite, a testcase for each
 * case at each point, with the ring format as its class.
 */
#include <inttypes.h>
#include <string.h>

#include "report.h"

/*
 * Bytes of a character that XML 1.0 allows, in UTF-8, or 0. Long forms, surrogates
 * and code points past U+10FFFF are none; U+FFFE and U+FFFF are not allowed.
 */
static unsigned character_size(const unsigned char *c)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	unsigned size = *c < 0x80       ? 1
			: *c >> 5 == 6  ? 2
			: *c >> 4 == 14 ? 3
			: *c >> 3 == 30 ? 4
					: 0;
	uint32_t code;

	if (size == 0)
		return 0;
	if (size == 1)
		return *c >= 0x20 && *c != 0x7f;
	code = *c & (0x7fu >> size);
	for (unsigned i = 1; i < size; i++) {
		if (c[i] >> 6 != 2)
			return 0;
		code = code << 6 | (c[i] & 0x3f);
	}
	if (code < least[size] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000) ||
	    (code & 0xfffe) == 0xfffe)
		return 0;
	return size;
}

/* Right inside of elements, where lines may stand, and of attributes in double quotes. */
static void escape(FILE *out, const char *text, bool lines)
{
	static const char special[] = "&<>\"'";
	static const char *const entities[] = {"&amp;", "&lt;", "&gt;", "&quot;", "&apos;"};

	while (*text) {
		const char *found = strchr(special, *text);
		unsigned size = character_size((const unsigned char *)text);

		if (lines && *text == '\n')
			putc('\n', out);
		else if (found)
			fputs(entities[found - special], out);
		else if (size == 0)
			putc('?', out);
		else
			fwrite(text, 1, size, out);
		text += size ? size : 1;
	}
}

static void attribute(FILE *out, const char *name, const char *value)
{
	fprintf(out, " %s=\"", name);
	escape(out, value, false);
	putc('"', out);
}

static void print_failure(FILE *out, const struct vqsim_outcome *outcome)
{
	fputs("\n      <failure", out);
	attribute(out, "type", outcome->clause);
	attribute(out, "message", outcome->text);
	if (outcome->report) {
		putc('>', out);
		escape(out, outcome->report, true);
		fputs("</failure>\n    </testcase>\n", out);
	} else {
		fputs("/>\n    </testcase>\n", out);
	}
}

static void print_verdict(FILE *out, const struct vqsim_outcome *outcome)
{
	if (outcome->result == VQSIM_FAILED) {
		print_failure(out, outcome);
		return;
	}
	fprintf(out, "\n      <skipped message=\"%s: ",
		outcome->result == VQSIM_NOT_APPLICABLE ? "not applicable" : "not observable");
	escape(out, outcome->text, false);
	fputs("\"/>\n    </testcase>\n", out);
}

static void print_testcase(FILE *out, const struct vqsim_outcome *outcome)
{
	char name[256], point[VQSIM_POINT_NAME];
	bool at_point = outcome->point.queue_count != 0;

	vqsim_point_name(&outcome->point, point);
	snprintf(name, sizeof(name), at_point ? "%s [%s]" : "%s", outcome->test->name, point);
	fputs("    <testcase", out);
	attribute(out, "classname",
		  !at_point               ? "vqsim.none"
		  : outcome->point.packed ? "vqsim.packed"
					  : "vqsim.split");
	attribute(out, "name", name);
	if (outcome->result == VQSIM_PASSED) {
		fputs("/>\n", out);
		return;
	}
	putc('>', out);
	print_verdict(out, outcome);
}

void vqsim_report_junit(const struct vqsim_report *report, FILE *out)
{
	const uint64_t *counts = report->totals.counts;
	uint64_t skipped = counts[VQSIM_NOT_APPLICABLE] + counts[VQSIM_NOT_OBSERVABLE];

	fputs("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n  <testsuite", out);
	attribute(out, "name", report->device);
	fprintf(out,
		" tests=\"%zu\" failures=\"%" PRIu64 "\" errors=\"0\" skipped=\"%" PRIu64 "\">\n",
		report->count, counts[VQSIM_FAILED], skipped);
	for (size_t i = 0; i < report->count; i++)
		print_testcase(out, &report->outcomes[i]);
	fputs("  </testsuite>\n</testsuites>\n", out);
}
