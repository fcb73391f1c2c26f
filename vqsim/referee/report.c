/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The record of a violation and its report: what the guest told last, in words,
 * and the ring as it stands.
 *
 * A file is named after the program, the label of the run, the clause, the queue and the
 * step, so that two runs of the same steps write the same files.
 */
#define _GNU_SOURCE

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "picture_internal.h"
#include "referee_internal.h"

#define VIOLATIONS_PRINTED 16u
#define VIOLATIONS_IN_FULL 3u

static const char *progress_name(uint64_t progress)
{
	static const char *const names[] = {"idle", "work left", "waiting"};

	return progress < sizeof(names) / sizeof(names[0]) ? names[progress] : "?";
}

static void note_text(const struct vqsim_referee_note *note, char *out, size_t size)
{
	static const char *const formats[] = {
		[REFEREE_NOTE_SET_UP] = "%llu queues set up, features 0x%llx",
		[REFEREE_NOTE_AVAILABLE] = "published %llu, %llu bytes writable",
		[REFEREE_NOTE_BEFORE_RUN] = "runs, driver's flags %llu, event %llu",
		[REFEREE_NOTE_USED] = "used id %llu len %llu",
		[REFEREE_NOTE_SKIPPED] = "used id %llu with the entry before, %llu bytes",
		[REFEREE_NOTE_REAPED] = "taken by the driver",
		[REFEREE_NOTE_RESET] = "device reset, %llu notifications so far",
		[REFEREE_NOTE_QUEUE_RESET] = "queue reset, %llu notifications so far",
		[REFEREE_NOTE_QUEUE_SET_UP] = "set up again with %llu entries",
		[REFEREE_NOTE_STATUS] = "status 0x%llx written, 0x%llx read",
		[REFEREE_NOTE_FEATURES] = "features 0x%llx written, FEATURES_OK %llu",
		[REFEREE_NOTE_CONFIG] = "%llu bytes of config space read, generation %llu",
	};
	unsigned long long first = note->values[0], second = note->values[1];
	int used =
		snprintf(out, size, "%llu queue %u: ", (unsigned long long)note->step, note->queue);

	if (used < 0 || (size_t)used >= size)
		return;
	if (note->kind == REFEREE_NOTE_RAN)
		snprintf(out + used, size - (size_t)used, "ran: %s, %llu notifications",
			 progress_name(first), second);
	else
		snprintf(out + used, size - (size_t)used, formats[note->kind], first, second);
}

static const struct vqsim_referee_note *note_at(const struct vqsim_referee *referee, unsigned index)
{
	uint64_t first = referee->note_count > VQSIM_REFEREE_NOTES
				 ? referee->note_count - VQSIM_REFEREE_NOTES
				 : 0;

	return first + index < referee->note_count
		       ? &referee->notes[(first + index) % VQSIM_REFEREE_NOTES]
		       : NULL;
}

static const struct vqsim_referee_queue *queue_of(const struct vqsim_referee *referee,
						  uint16_t queue)
{
	return queue < referee->queue_count && referee->queues[queue].readable
		       ? &referee->queues[queue]
		       : NULL;
}

static const char *replay(const struct vqsim_referee *referee)
{
	return referee->replay_hint ? referee->replay_hint : program_invocation_name;
}

static void fill_picture(const struct vqsim_referee *referee,
			 const struct vqsim_violation *violation, struct referee_picture *picture)
{
	const struct vqsim_referee_queue *q = queue_of(referee, violation->queue);
	const struct vqsim_referee_note *note;

	memset(picture, 0, sizeof(*picture));
	picture->clause = violation->clause;
	picture->rule = violation->text;
	picture->detail = violation->detail;
	q->ops->draw(referee, q, picture);
	for (unsigned i = 0; (note = note_at(referee, i)); i++)
		note_text(note, picture->text[picture->lines++], sizeof(picture->text[0]));
	snprintf(picture->text[picture->lines++], sizeof(picture->text[0]), "replay: %s",
		 replay(referee));
}

/* Returns NULL: the environment names no folder, or it cannot be written to. */
static FILE *open_file(const struct vqsim_referee *referee, const struct vqsim_violation *violation,
		       char name[PATH_MAX])
{
	const char *folder = getenv("VQSIM_VIOLATIONS");
	int size;

	if (!folder || !*folder)
		return NULL;
	if (mkdir(folder, 0777) != 0 && errno != EEXIST)
		return NULL;
	size = snprintf(name, PATH_MAX, "%s/%s%s%s-%s-q%u-step%llu.svg", folder,
			program_invocation_short_name, referee->label ? "-" : "",
			referee->label ? referee->label : "", violation->clause, violation->queue,
			(unsigned long long)violation->step);
	return size > 0 && size < PATH_MAX ? fopen(name, "we") : NULL;
}

static void print_ring(const struct vqsim_referee *referee, const struct vqsim_violation *violation,
		       FILE *out)
{
	struct referee_picture picture;
	char name[PATH_MAX];
	FILE *file;

	fill_picture(referee, violation, &picture);
	file = open_file(referee, violation, name);
	if (!file) {
		referee_picture_text(&picture, out);
		return;
	}
	referee_picture_svg(&picture, file);
	fprintf(out, "  picture: %s\n", name);
	fclose(file);
}

static void print_line(const struct vqsim_violation *v, FILE *out)
{
	fprintf(out, "violation %s: %s; queue %u, step %llu: %s\n", v->clause, v->text, v->queue,
		(unsigned long long)v->step, v->detail);
}

void vqsim_referee_print_rest(const struct vqsim_referee *referee,
			      const struct vqsim_violation *violation, FILE *out)
{
	const struct vqsim_referee_note *note;
	char text[128];

	for (unsigned i = 0; (note = note_at(referee, i)); i++) {
		note_text(note, text, sizeof(text));
		fprintf(out, "  step %s\n", text);
	}
	fprintf(out, "  replay: %s\n", replay(referee));
	if (queue_of(referee, violation->queue))
		print_ring(referee, violation, out);
}

void vqsim_referee_print(const struct vqsim_referee *referee,
			 const struct vqsim_violation *violation, FILE *out)
{
	print_line(violation, out);
	vqsim_referee_print_rest(referee, violation, out);
}

static void print_some(const struct vqsim_referee *referee, const struct vqsim_violation *violation)
{
	if (referee->violations <= VIOLATIONS_IN_FULL)
		vqsim_referee_print(referee, violation, stderr);
	else if (referee->violations <= VIOLATIONS_PRINTED)
		print_line(violation, stderr);
	else if (referee->violations == VIOLATIONS_PRINTED + 1)
		fputs("violation: more follow, not printed\n", stderr);
}

void vqsim_referee_violation(struct vqsim_referee *referee, enum vqsim_rule rule, uint16_t queue,
			     const char *detail, ...)
{
	struct vqsim_violation v = {.rule = rule, .queue = queue, .step = referee->step};
	va_list args;

	assert(rule < VQSIM_RULE_COUNT);
	v.clause = vqsim_referee_clause(referee, rule);
	v.text = vqsim_rules[rule].text;
	va_start(args, detail);
	vsnprintf(v.detail, sizeof(v.detail), detail, args);
	va_end(args);
	referee->counts[rule]++;
	if (referee->violations++ == 0)
		referee->first = v;
	if (referee->sink)
		referee->sink(referee->opaque, &v);
	else
		print_some(referee, &v);
	referee->marked_slot = -1;
}
