/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A main for a fuzz target without libFuzzer: runs files, and the files in directories, under
 * any compiler.
 *
 *     replay_NAME [-v] [--bench [SECONDS]] FILE|DIRECTORY...
 *
 * -v prints the operations of each input. --bench runs all inputs again and again in one
 * process, for SECONDS (5), and prints how many it ran in a second.
 *
 * A broken rule is drawn in the folder that VQSIM_VIOLATIONS names, or vqsim-violations.
 *
 * Exit status: 0; 1: no input completed a request, or a rule was broken; 2: bad arguments.
 * A broken rule ends the process in the target.
 */
#define _GNU_SOURCE

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "support/counters.h"

#define BENCH_SECONDS  5
#define INPUT_SIZE_MAX (1u << 20)

struct input {
	char *path;
	uint8_t *data;
	size_t size;
};

struct inputs {
	struct input *list;
	size_t count;
	size_t room;
};

static const char *name = "replay";

static __attribute__((noreturn, format(printf, 1, 2))) void usage(const char *format, ...)
{
	va_list arguments;

	fprintf(stderr, "%s: ", name);
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fputc('\n', stderr);
	exit(2);
}

static void *must(void *memory)
{
	if (!memory)
		usage("out of memory");
	return memory;
}

static void read_all(struct input *input)
{
	FILE *file = fopen(input->path, "rb");

	if (!file)
		usage("%s: %s", input->path, strerror(errno));
	input->data = must(malloc(INPUT_SIZE_MAX));
	input->size = fread(input->data, 1, INPUT_SIZE_MAX, file);
	if (ferror(file))
		usage("%s: %s", input->path, strerror(errno));
	fclose(file);
	/* To the size that it has: what reads past the end is then found. */
	input->data = must(realloc(input->data, input->size + !input->size));
}

static void add_file(struct inputs *inputs, const char *path)
{
	if (inputs->count == inputs->room) {
		inputs->room = inputs->room ? 2 * inputs->room : 64;
		inputs->list = must(realloc(inputs->list, inputs->room * sizeof(*inputs->list)));
	}
	inputs->list[inputs->count] = (struct input){.path = must(strdup(path))};
	read_all(&inputs->list[inputs->count++]);
}

static void add_directory(struct inputs *inputs, const char *path)
{
	struct dirent **entries;
	int count = scandir(path, &entries, NULL, alphasort);

	if (count < 0)
		usage("%s: %s", path, strerror(errno));
	for (int i = 0; i < count; i++) {
		char *full = NULL;

		if (asprintf(&full, "%s/%s", path, entries[i]->d_name) < 0)
			usage("out of memory");
		if (entries[i]->d_name[0] != '.')
			add_file(inputs, full);
		free(full);
		free(entries[i]);
	}
	free(entries);
}

static void add(struct inputs *inputs, const char *path)
{
	struct stat status;

	if (stat(path, &status) != 0)
		usage("%s: %s", path, strerror(errno));
	if (S_ISDIR(status.st_mode))
		add_directory(inputs, path);
	else
		add_file(inputs, path);
}

static void release(struct inputs *inputs)
{
	for (size_t i = 0; i < inputs->count; i++) {
		free(inputs->list[i].path);
		free(inputs->list[i].data);
	}
	free(inputs->list);
}

static void run(const struct inputs *inputs)
{
	for (size_t i = 0; i < inputs->count; i++) {
		if (fuzz_verbose)
			printf("%s\n", inputs->list[i].path);
		/* What comes after this on standard error is about this input. */
		fuzz_input_name = inputs->list[i].path;
		LLVMFuzzerTestOneInput(inputs->list[i].data, inputs->list[i].size);
	}
}

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void bench(const struct inputs *inputs, double seconds)
{
	double start = now(), end;
	uint64_t count = 0;

	do {
		run(inputs);
		count += inputs->count;
		end = now();
	} while (end - start < seconds);
	printf("bench %s: %.0f executions per second\n", name, (double)count / (end - start));
}

static int help(void)
{
	printf("usage: %s [-v] [--bench [SECONDS]] FILE|DIRECTORY...\n"
	       "Runs inputs of a fuzz target.\n"
	       "  -v       prints the operations of each input in words\n"
	       "  --bench  runs all again and again for SECONDS (%d), prints how many a second\n",
	       name, BENCH_SECONDS);
	return 0;
}

/* The number after --bench, if there is one. Moves *index to it. */
static double bench_seconds(int argc, char **argv, int *index)
{
	char *end;
	double seconds;

	if (*index + 1 == argc)
		return BENCH_SECONDS;
	seconds = strtod(argv[*index + 1], &end);
	if (end == argv[*index + 1] || *end != '\0')
		return BENCH_SECONDS;
	if (!(seconds > 0 && seconds < 1e6))
		usage("--bench: not a time: %s", argv[*index + 1]);
	++*index;
	return seconds;
}

/* The last part of the path, without "replay_". */
static const char *name_of(const char *program)
{
	const char *slash = strrchr(program, '/');

	program = slash ? slash + 1 : program;
	return strncmp(program, "replay_", 7) == 0 ? program + 7 : program;
}

static int report(const struct inputs *inputs)
{
	printf("replay %s: %zu inputs, %" PRIu64 " requests completed, %" PRIu64
	       " resets, 0 violations\n",
	       name, inputs->count, fuzz_requests_completed, fuzz_resets);
	if (fuzz_requests_completed > 0)
		return 0;
	fprintf(stderr, "%s: no input completes a request\n", name);
	return 1;
}

int main(int argc, char **argv)
{
	struct inputs inputs = {0};
	double seconds = 0;
	int status;

	name = name_of(argv[0]);
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "-v") == 0)
			fuzz_verbose = true;
		else if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
			return help();
		else if (strcmp(argv[i], "--bench") == 0)
			seconds = bench_seconds(argc, argv, &i);
		else if (argv[i][0] == '-')
			usage("unknown option %s", argv[i]);
		else
			add(&inputs, argv[i]);
	}
	if (inputs.count == 0)
		usage("no inputs: [-v] [--bench [SECONDS]] FILE|DIRECTORY...");
	setenv("VQSIM_VIOLATIONS", "vqsim-violations", 0);
	LLVMFuzzerInitialize(&argc, &argv);
	run(&inputs);
	status = report(&inputs);
	fuzz_verbose = false;
	if (seconds > 0)
		bench(&inputs, seconds);
	fuzz_finish();
	release(&inputs);
	return status;
}
