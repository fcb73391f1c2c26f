/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Samples of one figure, and the two numbers that are reported of them: the
 * minimum (what the code costs) and the median (what a run on this machine, with
 * its other tenants, saw).
 *
 * Threads: one for each sampler.
 */
#ifndef PERF_SAMPLER_H
#define PERF_SAMPLER_H

#include <stdint.h>

#define PERF_SAMPLES_MAX 1000u

struct perf_sampler {
	unsigned count;
	double samples[PERF_SAMPLES_MAX];
};

/* Add a sample; those past PERF_SAMPLES_MAX are dropped. */
void perf_sampler_add(struct perf_sampler *sampler, double sample);

/* Both want at least one sample. perf_sampler_median sorts the samples. */
double perf_sampler_minimum(const struct perf_sampler *sampler);
double perf_sampler_median(struct perf_sampler *sampler);

/* Nanoseconds of CLOCK_MONOTONIC: the same clock in every process of the machine. */
uint64_t perf_now(void);

#endif
