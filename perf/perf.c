/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What one request costs. perf.sh calls this program, once for each kind of
 * figure, and makes the table; a benchmark is a subject with a batch size.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "allocations.h"
#include "first_use.h"
#include "load.h"
#include "sampler.h"

#define WARM_UP        1024u
#define ROUNDS         300u
#define RUN_REQUESTS   8192u
#define FIRST_USE_RUNS 41u

struct benchmark {
	const char *name;
	const char *subject;
	unsigned batch;
	bool refereed;
};

static const struct benchmark benchmarks[] = {
	{"none-b1", "none", 1, false},
	{"none-b32", "none", 32, false},
	{"null-b1", "null", 1, false},
	{"null-b32", "null", 32, false},
	{"null-packed-b1", "null-packed", 1, false},
	{"null-packed-b32", "null-packed", 32, false},
	{"null-in-order-b1", "null-in-order", 1, false},
	{"null-in-order-b32", "null-in-order", 32, false},
	{"null-packed-in-order-b32", "null-packed-in-order", 32, false},
	{"none-4k-b1", "none-4k", 1, false},
	{"none-4k-b32", "none-4k", 32, false},
	{"null-4k-b1", "null-4k", 1, false},
	{"null-4k-b32", "null-4k", 32, false},
	{"none-blk-4k-b1", "none-blk-4k", 1, false},
	{"none-blk-4k-b32", "none-blk-4k", 32, false},
	{"blk-4k-b1", "blk-4k", 1, false},
	{"blk-4k-b32", "blk-4k", 32, false},
	{"null-referee-b32", "null", 32, true},
};

#define COUNT (sizeof(benchmarks) / sizeof(benchmarks[0]))

/* A benchmark that is up, and what was seen of it. */
struct running {
	unsigned batch;
	struct perf_load load;
	struct perf_sampler sampler;
};

static void start(struct running *running, const char *subject, unsigned batch, bool refereed)
{
	running->batch = batch;
	running->sampler.count = 0;
	perf_load_init(&running->load, perf_subject_find(subject), refereed);
	perf_load_run(&running->load, batch, WARM_UP);
}

static void sample(struct running *running)
{
	unsigned requests = RUN_REQUESTS - RUN_REQUESTS % running->batch;
	uint64_t begin;

	/* The benchmark before this one left its own bytes in the caches. */
	perf_load_run(&running->load, running->batch, PERF_BUFFERS);
	begin = perf_now();
	perf_load_run(&running->load, running->batch, requests);
	perf_sampler_add(&running->sampler, (double)(perf_now() - begin) / requests);
}

/*
 * Round after round over all benchmarks, so that a busy second of the machine
 * meets a few samples of each and not all samples of one.
 */
static void sample_all(struct running *running, unsigned count, unsigned rounds)
{
	for (unsigned round = 0; round < rounds; round++)
		for (unsigned i = 0; i < count; i++)
			sample(&running[i]);
}

static struct running *allocate(unsigned count)
{
	struct running *running = aligned_alloc(_Alignof(struct running), count * sizeof(*running));

	if (!running) {
		fputs("perf: out of memory\n", stderr);
		exit(1);
	}
	memset(running, 0, count * sizeof(*running));
	return running;
}

/* The benchmark that does the same work without a device, or "-". */
static const char *null_case(const struct benchmark *benchmark)
{
	const char *subject = perf_subject_find(benchmark->subject)->null_case;

	for (unsigned i = 0; subject && i < COUNT; i++)
		if (strcmp(benchmarks[i].subject, subject) == 0 &&
		    benchmarks[i].batch == benchmark->batch)
			return benchmarks[i].name;
	return "-";
}

static int print_ns(void)
{
	struct running *running = allocate(COUNT);

	for (unsigned i = 0; i < COUNT; i++)
		start(&running[i], benchmarks[i].subject, benchmarks[i].batch,
		      benchmarks[i].refereed);
	sample_all(running, COUNT, ROUNDS);
	for (unsigned i = 0; i < COUNT; i++) {
		printf("%s %.1f %.1f %s\n", benchmarks[i].name,
		       perf_sampler_minimum(&running[i].sampler),
		       perf_sampler_median(&running[i].sampler), null_case(&benchmarks[i]));
		perf_load_finish(&running[i].load);
	}
	free(running);
	return 0;
}

/* ns by batch size for the picture: one line a batch size, one column a subject. */
static int print_curve(void)
{
	static const char *const subjects[] = {"none",    "null",        "none-4k",
					       "null-4k", "none-blk-4k", "blk-4k"};
	const unsigned count = sizeof(subjects) / sizeof(subjects[0]);
	struct running *running = allocate(count);

	printf("batch");
	for (unsigned i = 0; i < count; i++)
		printf(" %s", subjects[i]);
	for (unsigned batch = 1; batch <= PERF_BATCH_MAX; batch *= 2) {
		printf("\n%u", batch);
		for (unsigned i = 0; i < count; i++)
			start(&running[i], subjects[i], batch, false);
		sample_all(running, count, ROUNDS / 3);
		for (unsigned i = 0; i < count; i++) {
			printf(" %.1f", perf_sampler_minimum(&running[i].sampler));
			perf_load_finish(&running[i].load);
		}
	}
	putchar('\n');
	free(running);
	return 0;
}

/* Calls of the allocator and requests; the referee allocates and is left out. */
static int print_allocations(void)
{
	struct running *running = allocate(1);

	for (unsigned i = 0; i < COUNT; i++) {
		uint64_t before;

		if (benchmarks[i].refereed)
			continue;
		start(running, benchmarks[i].subject, benchmarks[i].batch, false);
		before = perf_allocations();
		perf_load_run(&running->load, running->batch, RUN_REQUESTS);
		printf("%s %llu %u\n", benchmarks[i].name,
		       (unsigned long long)(perf_allocations() - before), RUN_REQUESTS);
		perf_load_finish(&running->load);
	}
	free(running);
	return 0;
}

static int print_first_use(void)
{
	static const char *const subjects[] = {"null", "blk-4k"};

	for (unsigned i = 0; i < sizeof(subjects) / sizeof(subjects[0]); i++)
		printf("%s %.2f\n", subjects[i],
		       perf_first_use(perf_subject_find(subjects[i]), FIRST_USE_RUNS));
	return 0;
}

/* What this machine does at all, to compare figures of two machines by. */
static int print_machine(void)
{
	static uint8_t from[PERF_DATA_SIZE], to[PERF_DATA_SIZE];
	void *(*volatile copy)(void *, const void *, size_t) = memcpy;
	struct perf_sampler *sampler = calloc(1, sizeof(*sampler));

	if (!sampler)
		return 1;
	for (unsigned round = 0; round < ROUNDS; round++) {
		uint64_t begin = perf_now();

		for (unsigned i = 0; i < RUN_REQUESTS; i++)
			copy(to, from, sizeof(to));
		perf_sampler_add(sampler, (double)(perf_now() - begin) / RUN_REQUESTS);
	}
	printf("memcpy-4k %.1f\n", perf_sampler_minimum(sampler));
	free(sampler);
	return 0;
}

static const struct benchmark *find(const char *name)
{
	for (unsigned i = 0; i < COUNT; i++)
		if (strcmp(benchmarks[i].name, name) == 0)
			return &benchmarks[i];
	return NULL;
}

/* A fixed number of requests, for callgrind. */
static int run_fixed(const struct benchmark *benchmark, unsigned requests)
{
	struct running *running = allocate(1);

	perf_load_init(&running->load, perf_subject_find(benchmark->subject), benchmark->refereed);
	perf_load_run(&running->load, benchmark->batch, requests);
	perf_load_finish(&running->load);
	free(running);
	return 0;
}

static int usage(void)
{
	fputs("usage: perf ns                   NAME MINIMUM MEDIAN NULL-CASE, ns per request\n"
	      "       perf curve                ns per request by batch size\n"
	      "       perf allocations          NAME CALLS REQUESTS\n"
	      "       perf first-use            NAME MILLISECONDS\n"
	      "       perf machine              memcpy-4k NS, in the first level cache\n"
	      "       perf run NAME REQUESTS    the work alone\n",
	      stderr);
	return 2;
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";

	if (argc == 2 && strcmp(what, "ns") == 0)
		return print_ns();
	if (argc == 2 && strcmp(what, "curve") == 0)
		return print_curve();
	if (argc == 2 && strcmp(what, "allocations") == 0)
		return print_allocations();
	if (argc == 2 && strcmp(what, "first-use") == 0)
		return print_first_use();
	if (argc == 2 && strcmp(what, "machine") == 0)
		return print_machine();
	if (argc == 3 && strcmp(what, PERF_FIRST_USE_CHILD) == 0 && perf_subject_find(argv[2]))
		return perf_first_use_child(perf_subject_find(argv[2]));
	if (argc == 4 && strcmp(what, "run") == 0 && find(argv[2]))
		return run_fixed(find(argv[2]), (unsigned)strtoul(argv[3], NULL, 10));
	return usage();
}
