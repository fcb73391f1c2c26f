/* SPDX-License-Identifier: BSD-3-Clause */
#include "number.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

static unsigned suffix_shift(char c)
{
	static const char suffixes[] = "KMGT";
	const char *found = c == '\0' ? NULL : strchr(suffixes, c);

	return found == NULL ? 0 : 10u * (unsigned)(found - suffixes + 1);
}

bool number_read(const char *text, bool suffix, uint64_t *number)
{
	unsigned shift;
	char *end;

	if (text[0] < '0' || text[0] > '9')
		return false;
	errno = 0;
	*number = strtoull(text, &end, 10);
	shift = suffix ? suffix_shift(*end) : 0;
	if (errno != 0 || *number > UINT64_MAX >> shift)
		return false;
	*number <<= shift;
	return end[shift != 0] == '\0';
}

bool number_parse(const struct number_spec *spec, const char *text, uint64_t *number)
{
	if (number_read(text, spec->suffix, number) && *number >= spec->min && *number <= spec->max)
		return true;
	cli_complain("%s cannot be '%s'; give a number from %" PRIu64 " to %" PRIu64 "%s",
		     spec->option, text, spec->min, spec->max,
		     spec->suffix ? " (K, M, G, T: times 1024)" : "");
	return false;
}
