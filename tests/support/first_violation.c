/* SPDX-License-Identifier: BSD-3-Clause */
#include "first_violation.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

void first_violation_keep(struct first_violation *first, const struct vqsim_referee *referee,
			  const struct vqsim_violation *violation)
{
	FILE *out;

	if (first->text[0] != '\0')
		return;
	out = fmemopen(first->text, sizeof(first->text), "w");
	if (!out)
		return;
	vqsim_referee_print(referee, violation, out);
	fclose(out);
}

void first_violation_fail(const struct first_violation *first, uint64_t violations)
{
	if (violations == 0)
		return;
	fputs(first->text, stderr);
	fail_msg("%" PRIu64 " violations, first %.*s", violations, (int)strcspn(first->text, "\n"),
		 first->text);
}
