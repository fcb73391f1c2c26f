/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE
#include "round.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "counters.h"
#include "decode.h"

uint64_t fuzz_requests_completed;
uint64_t fuzz_resets;
bool fuzz_verbose;
const char *fuzz_input_name;

/* Cheaper bookkeeping of AddressSanitizer: a run allocates a dozen times. The environment wins. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "quarantine_size_mb=8:malloc_context_size=4";
}

void fuzz_introduce(struct vqsim_referee *referee)
{
	static char command[512];
	const char *input = fuzz_input_name;

	snprintf(command, sizeof(command), "%s %s", program_invocation_name,
		 input ? input : "FILE, the one that libFuzzer names below");
	referee->replay_hint = command;
	referee->label = input ? basename(input) : NULL;
}

static void print_ops(FILE *out, const struct vqsim_op *ops, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		fprintf(out, "%4u  ", i);
		vqsim_op_print(out, &ops[i]);
	}
}

/* The referee has said on standard error which rule was broken. */
static void give_up(const struct vqsim_op *ops, unsigned count)
{
	if (fuzz_input_name)
		fprintf(stderr, "the input: %s\n", fuzz_input_name);
	fputs("the operations that led to it:\n", stderr);
	print_ops(stderr, ops, count);
	abort();
}

void fuzz_round(struct vqsim_player *player, const struct fuzz_dialect *dialect,
		const uint8_t *data, size_t size)
{
	struct vqsim_op ops[FUZZ_OPS_MAX];
	unsigned count = fuzz_decode(dialect, data, size, ops);
	struct vqsim_player_counts before = player->counts;

	if (fuzz_verbose)
		print_ops(stdout, ops, count);
	fuzz_introduce(&player->referee);
	if (vqsim_trace_run(player, ops, count) > 0)
		give_up(ops, count);
	fuzz_requests_completed += player->counts.completed - before.completed;
	fuzz_resets += player->counts.resets - before.resets;
}

void fuzz_must(const char *what, int error)
{
	if (error == 0)
		return;
	fprintf(stderr, "%s: %s\n", what, strerror(-error));
	abort();
}
