/* SPDX-License-Identifier: BSD-3-Clause */
#include "command_line.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *text;

/* In quotes, unless the shell takes it as it is. */
static void print_word(FILE *out, const char *word)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789_-+=:,./@%";

	if (*word != '\0' && word[strspn(word, plain)] == '\0') {
		fputs(word, out);
		return;
	}
	putc('\'', out);
	for (; *word != '\0'; word++) {
		if (*word == '\'')
			fputs("'\\''", out);
		else
			putc(*word, out);
	}
	putc('\'', out);
}

void command_line_keep(int argc, char **argv)
{
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (out == NULL)
		return;
	for (int i = 0; i < argc; i++) {
		if (i > 0)
			putc(' ', out);
		print_word(out, argv[i]);
	}
	fclose(out);
}

const char *command_line(void)
{
	return text;
}

void command_line_drop(void)
{
	free(text);
	text = NULL;
}
