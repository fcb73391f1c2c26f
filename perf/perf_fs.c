/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a file-system device costs. perf.sh calls this program beside perf.c.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "allocations.h"
#include "fs_job.h"
#include "fs_load.h"
#include "sampler.h"

#define WARM_UP      1024u
#define ROUNDS       300u
#define RUN_REQUESTS 8192u

static const struct benchmark {
	const char *name;
	unsigned batch;
} benchmarks[] = {{"fs-getattr-b1", 1}, {"fs-getattr-b32", 32}};

#define COUNT (sizeof(benchmarks) / sizeof(benchmarks[0]))

static struct perf_fs_load *start(void)
{
	struct perf_fs_load *load =
		aligned_alloc(_Alignof(struct perf_fs_load), sizeof(struct perf_fs_load));
	struct fs_tree *tree;

	if (!load || fs_tree_ram_create(&tree, NULL) != 0)
		perf_fs_die("out of memory", 0);
	perf_fs_load_init(load, tree, 4096);
	perf_fs_getattr(load, 1, WARM_UP);
	return load;
}

static void stop(struct perf_fs_load *load)
{
	perf_fs_load_finish(load);
	free(load);
}

static int print_ns(void)
{
	struct perf_fs_load *load = start();
	struct perf_sampler samplers[COUNT] = {0};

	for (unsigned round = 0; round < ROUNDS; round++)
		for (unsigned i = 0; i < COUNT; i++) {
			uint64_t begin = perf_now();

			perf_fs_getattr(load, benchmarks[i].batch, RUN_REQUESTS);
			perf_sampler_add(&samplers[i], (double)(perf_now() - begin) / RUN_REQUESTS);
		}
	for (unsigned i = 0; i < COUNT; i++)
		printf("%s %.1f %.1f -\n", benchmarks[i].name, perf_sampler_minimum(&samplers[i]),
		       perf_sampler_median(&samplers[i]));
	stop(load);
	return 0;
}

static int print_allocations(void)
{
	struct perf_fs_load *load = start();
	uint64_t before = perf_allocations();

	perf_fs_getattr(load, 32, RUN_REQUESTS);
	printf("fs-getattr-b32 %llu %u\n", (unsigned long long)(perf_allocations() - before),
	       RUN_REQUESTS);
	stop(load);
	return 0;
}

static int run_fixed(const char *name, unsigned requests)
{
	struct perf_fs_load *load = start();
	unsigned i = 0;

	while (i < COUNT && strcmp(benchmarks[i].name, name) != 0)
		i++;
	if (i == COUNT)
		perf_fs_die("no such benchmark", 0);
	perf_fs_getattr(load, benchmarks[i].batch, requests);
	stop(load);
	return 0;
}

/* The median of the ratios of the pairs; and milliseconds of the fastest run of each. */
static void print_pairs(const char *name, const struct perf_fs_pairs *pairs)
{
	struct perf_sampler ratio = {0}, device = {0}, plain = {0};

	for (unsigned i = 0; i < PERF_FS_PAIRS; i++) {
		perf_sampler_add(&ratio, pairs->device[i] / pairs->plain[i]);
		perf_sampler_add(&device, pairs->device[i] / 1e6);
		perf_sampler_add(&plain, pairs->plain[i] / 1e6);
	}
	printf("%s %.3f %.1f %.1f\n", name, perf_sampler_median(&ratio),
	       perf_sampler_minimum(&device), perf_sampler_minimum(&plain));
}

static int print_jobs(void)
{
	struct perf_fs_pairs pairs;

	perf_fs_large(&pairs);
	print_pairs("fs-read-100MB", &pairs);
	perf_fs_small(&pairs, PERF_FS_IN_FLIGHT, true);
	print_pairs("fs-10000-files", &pairs);
	perf_fs_small(&pairs, 1, true);
	print_pairs("fs-10000-files-b1", &pairs);
	perf_fs_small(&pairs, PERF_FS_IN_FLIGHT, false);
	print_pairs("fs-10000-files-shared", &pairs);
	return 0;
}

static int usage(void)
{
	fputs("usage: perf_fs ns                   NAME MINIMUM MEDIAN -, ns per request\n"
	      "       perf_fs allocations          NAME CALLS REQUESTS\n"
	      "       perf_fs jobs                 NAME TIME-RATIO, ms of the device, of system "
	      "calls\n"
	      "       perf_fs run NAME REQUESTS    the work alone\n",
	      stderr);
	return 2;
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";

	if (argc == 2 && strcmp(what, "ns") == 0)
		return print_ns();
	if (argc == 2 && strcmp(what, "allocations") == 0)
		return print_allocations();
	if (argc == 2 && strcmp(what, "jobs") == 0)
		return print_jobs();
	if (argc == 4 && strcmp(what, "run") == 0)
		return run_fixed(argv[2], (unsigned)strtoul(argv[3], NULL, 10));
	return usage();
}
