/* SPDX-License-Identifier: BSD-3-Clause */
#include "report.h"

#include <inttypes.h>

#include "features.h"
#include "../version.h"

/* What is counted outside the types of requests. */
struct sums {
	struct workload_count total;
	uint64_t violations;
	double seconds;
	double ns_per_request;
};

static struct sums sum_up(const struct workload *w)
{
	struct sums sums = {.total = workload_total(w)};

	sums.violations = w->session->referee.violations;
	sums.seconds = (double)w->nanoseconds / 1e9;
	if (sums.total.requests > 0)
		sums.ns_per_request = (double)w->nanoseconds / (double)sums.total.requests;
	return sums;
}

static void print_features(FILE *out, uint64_t features, const char *quote, const char *between)
{
	const struct feature_name *f;
	const char *separator = "";

	for (f = feature_names; f->name != NULL; f++) {
		if (!(features & VIRTIO_FEATURE(f->bit)))
			continue;
		fprintf(out, "%s%s%s%s", separator, quote, f->name, quote);
		separator = between;
	}
}

static void print_parameters(FILE *out, const struct workload *w)
{
	const struct run_options *o = w->options;

	fprintf(out, "%s of %s, %" PRIu64 " bytes, seed %" PRIu64 "\n",
		options_workload_name(o->workload), o->store, w->session->size, o->seed);
	fprintf(out, "queues: %u of %u, depth %u, block size %" PRIu32 ", indirect %s, model: %s\n",
		o->queue_count, o->queue_size, o->depth, o->block_size,
		options_indirect_name(o->indirect), w->session->modelled ? "on" : "off");
	fprintf(out, "features: ");
	print_features(out, w->session->features, "", " ");
	fprintf(out, "\n\n");
}

static void print_count(FILE *out, const char *name, const struct workload_count *c)
{
	fprintf(out, "%-14s %12" PRIu64 " %16" PRIu64 " %8" PRIu64 "\n", name, c->requests,
		c->bytes, c->errors);
}

static void print_counts(FILE *out, const struct workload *w, const struct sums *sums)
{
	unsigned i;

	fprintf(out, "%-14s %12s %16s %8s\n", "", "requests", "bytes", "errors");
	for (i = 0; i < WORKLOAD_TYPE_COUNT; i++) {
		if (w->counts[i].requests > 0)
			print_count(out, workload_types[i].name, &w->counts[i]);
	}
	print_count(out, "total", &sums->total);
}

void report_table(FILE *out, const struct workload *w)
{
	const struct vqsim_referee *referee = &w->session->referee;
	struct sums sums = sum_up(w);
	unsigned rule;

	print_parameters(out, w);
	print_counts(out, w, &sums);
	fprintf(out, "\n%-14s %12" PRIu64 "\n", "kicks", w->kicks);
	fprintf(out, "%-14s %12" PRIu64 "\n", "interrupts", w->interrupts);
	fprintf(out, "%-14s %12.0f\n", "ns per request", sums.ns_per_request);
	fprintf(out, "%-14s %12.3f\n", "seconds", sums.seconds);
	fprintf(out, "%-14s %12" PRIu64 "\n", "violations", sums.violations);
	for (rule = 0; rule < VQSIM_RULE_COUNT; rule++) {
		if (referee->counts[rule] > 0)
			fprintf(out, "  %-12s %12" PRIu64 "  %s\n",
				vqsim_referee_clause(referee, rule), referee->counts[rule],
				vqsim_rules[rule].text);
	}
}

/* The name of a file may have any byte; one outside ASCII is taken for Latin-1. */
static void print_json_string(FILE *out, const char *text)
{
	const unsigned char *c;

	fputc('"', out);
	for (c = (const unsigned char *)text; *c != '\0'; c++) {
		if (*c == '"' || *c == '\\')
			fprintf(out, "\\%c", *c);
		else if (*c < 0x20 || *c >= 0x7f)
			fprintf(out, "\\u%04x", *c);
		else
			fputc(*c, out);
	}
	fputc('"', out);
}

static void print_json_parameters(FILE *out, const struct workload *w)
{
	const struct run_options *o = w->options;

	fprintf(out, "  \"parameters\": {\"store\": ");
	print_json_string(out, o->store);
	fprintf(out,
		", \"size\": %" PRIu64 ", \"workload\": \"%s\", \"seed\": %" PRIu64
		", \"queue_size\": %u, \"queues\": %u, \"depth\": %u, \"block_size\": %" PRIu32
		", \"limit\": ",
		w->session->size, options_workload_name(o->workload), o->seed, o->queue_size,
		o->queue_count, o->depth, o->block_size);
	if (o->requests == 0)
		fprintf(out, "null");
	else
		fprintf(out, "%" PRIu64, o->requests);
	fprintf(out, ", \"indirect\": \"%s\", \"read_only\": %s, \"features\": [",
		options_indirect_name(o->indirect), o->read_only ? "true" : "false");
	print_features(out, w->session->features, "\"", ", ");
	fprintf(out, "]},\n");
}

static void print_json_types(FILE *out, const struct workload *w)
{
	const struct workload_count *c;
	unsigned i;

	fprintf(out, "  \"types\": {");
	for (i = 0; i < WORKLOAD_TYPE_COUNT; i++) {
		c = &w->counts[i];
		fprintf(out,
			"%s\"%s\": {\"requests\": %" PRIu64 ", \"bytes\": %" PRIu64
			", \"errors\": %" PRIu64 "}",
			i == 0 ? "" : ", ", workload_types[i].name, c->requests, c->bytes,
			c->errors);
	}
	fprintf(out, "},\n");
}

static void print_json_rules(FILE *out, const struct vqsim_referee *referee)
{
	const char *separator = "";
	unsigned rule;

	fprintf(out, "  \"broken\": [");
	for (rule = 0; rule < VQSIM_RULE_COUNT; rule++) {
		if (referee->counts[rule] == 0)
			continue;
		fprintf(out, "%s{\"clause\": \"%s\", \"count\": %" PRIu64 ", \"rule\": ", separator,
			vqsim_referee_clause(referee, rule), referee->counts[rule]);
		print_json_string(out, vqsim_rules[rule].text);
		fprintf(out, "}");
		separator = ", ";
	}
	fprintf(out, "]\n");
}

void report_json(FILE *out, const struct workload *w)
{
	struct sums sums = sum_up(w);

	fprintf(out, "{\n  \"command\": \"run blk\",\n  \"version\": \"%s\",\n", VQSIM_VERSION);
	print_json_parameters(out, w);
	fprintf(out, "  \"model\": %s,\n", w->session->modelled ? "true" : "false");
	fprintf(out, "  \"requests\": %" PRIu64 ",\n", sums.total.requests);
	fprintf(out, "  \"bytes\": %" PRIu64 ",\n", sums.total.bytes);
	fprintf(out, "  \"errors\": %" PRIu64 ",\n", sums.total.errors);
	fprintf(out, "  \"kicks\": %" PRIu64 ",\n", w->kicks);
	fprintf(out, "  \"interrupts\": %" PRIu64 ",\n", w->interrupts);
	fprintf(out, "  \"seconds\": %.6f,\n", sums.seconds);
	fprintf(out, "  \"ns_per_request\": %.1f,\n", sums.ns_per_request);
	print_json_types(out, w);
	fprintf(out, "  \"violations\": %" PRIu64 ",\n", sums.violations);
	print_json_rules(out, &w->session->referee);
	fprintf(out, "}\n");
}
