/* SPDX-License-Identifier: BSD-3-Clause */
#include "sampler.h"

#include <stdlib.h>
#include <time.h>

void perf_sampler_add(struct perf_sampler *sampler, double sample)
{
	if (sampler->count < PERF_SAMPLES_MAX)
		sampler->samples[sampler->count++] = sample;
}

double perf_sampler_minimum(const struct perf_sampler *sampler)
{
	double minimum = sampler->samples[0];

	for (unsigned i = 1; i < sampler->count; i++)
		if (sampler->samples[i] < minimum)
			minimum = sampler->samples[i];
	return minimum;
}

static int compare(const void *left, const void *right)
{
	double a = *(const double *)left, b = *(const double *)right;

	return (a > b) - (a < b);
}

double perf_sampler_median(struct perf_sampler *sampler)
{
	qsort(sampler->samples, sampler->count, sizeof(sampler->samples[0]), compare);
	return sampler->samples[sampler->count / 2];
}

uint64_t perf_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}
