/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Write the seed corpora: one file for each scenario of the tests, named after it.
 *
 *     seeds DIRECTORY      into DIRECTORY/TARGET, which it makes
 *
 * Files that are there already and are not named like a scenario stay: they are inputs
 * that found something.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "support/decode.h"
#include "support/fs_seeds.h"
#include "support/vhost_ops.h"
#include "tests/support/scenarios.h"

#define SEED_SIZE_MAX 4096u
#define PATH_SIZE     512u
#define CANNOT_SAY    "an operation has a field that no input can say"

static __attribute__((noreturn)) void give_up(const char *what, const char *why)
{
	fprintf(stderr, "seeds: %s: %s\n", what, why);
	exit(2);
}

static void join(char path[PATH_SIZE], const char *directory, const char *name)
{
	int length = snprintf(path, PATH_SIZE, "%s/%s", directory, name);

	if (length < 0 || length >= (int)PATH_SIZE)
		give_up(directory, "the path is too long");
}

static void make_directory(const char *path)
{
	if (mkdir(path, 0777) != 0 && errno != EEXIST)
		give_up(path, strerror(errno));
}

/* A corpus, and what its inputs are made of. */
struct corpus {
	const char *target;
	const struct fuzz_dialect *dialect;
	int prefix; /* the first byte, -1: none */
	const struct scenario *scenarios;
	const unsigned *count;
};

static const struct corpus corpora[] = {
	{"ring_split", &fuzz_split, -1, ring_scenarios, &ring_scenario_count},
	{"blk", &fuzz_split, -1, blk_scenarios, &blk_scenario_count},
	{"ring_packed", &fuzz_packed, -1, packed_scenarios, &packed_scenario_count},
	{"session", &fuzz_session, 0, session_scenarios, &session_scenario_count},
	{"session", &fuzz_session, 1, session_blk_scenarios, &session_blk_scenario_count},
};

static void write_file(const char *directory, const char *name, const uint8_t *data, size_t size)
{
	char path[PATH_SIZE];
	FILE *file;

	join(path, directory, name);
	file = fopen(path, "wb");
	if (!file || fwrite(data, 1, size, file) != size || fclose(file) != 0)
		give_up(path, strerror(errno));
}

static void write_seed(const struct corpus *corpus, const char *directory,
		       const struct scenario *scenario)
{
	uint8_t data[SEED_SIZE_MAX] = {(uint8_t)corpus->prefix};
	size_t start = corpus->prefix >= 0;
	size_t size = fuzz_encode(corpus->dialect, scenario->ops, scenario->count, data + start,
				  sizeof(data) - start);

	if (size == 0)
		give_up(scenario->name, CANNOT_SAY);
	write_file(directory, scenario->name, data, start + size);
}

static void write_seeds(const char *root, const struct corpus *corpus)
{
	char directory[PATH_SIZE];

	join(directory, root, corpus->target);
	make_directory(directory);
	for (unsigned i = 0; i < *corpus->count; i++)
		write_seed(corpus, directory, &corpus->scenarios[i]);
	printf("seeds: %u in %s\n", *corpus->count, directory);
}

/* Each on every kind of tree: the first byte chooses it. */
static const char *const fs_trees[] = {"ram", "dir",     NULL, "dir_poor",
				       NULL,  "dir_own", NULL, "dir_exclusive"};

static void write_fs_seed(const char *directory, uint8_t tree, const struct fuzz_fs_seed *seed)
{
	uint8_t data[SEED_SIZE_MAX] = {tree};
	size_t size = fuzz_fs_encode(seed->ops, seed->count, data + 1, sizeof(data) - 1);
	char name[PATH_SIZE];

	if (size == 0)
		give_up(seed->name, CANNOT_SAY);
	snprintf(name, sizeof(name), "%s_%s", fs_trees[tree], seed->name);
	write_file(directory, name, data, 1 + size);
}

static void write_fs_seeds(const char *root)
{
	char directory[PATH_SIZE];
	unsigned count = 0;

	join(directory, root, "fs");
	make_directory(directory);
	for (uint8_t tree = 0; tree < sizeof(fs_trees) / sizeof(fs_trees[0]); tree++)
		for (unsigned i = 0; fs_trees[tree] && i < fuzz_fs_seed_count; i++, count++)
			write_fs_seed(directory, tree, &fuzz_fs_seeds[i]);
	printf("seeds: %u in %s\n", count, directory);
}

/* Operations stand in an input as they are in memory. */
static void write_vhost_seeds(const char *root)
{
	char directory[PATH_SIZE];

	join(directory, root, "vhost_user");
	make_directory(directory);
	for (unsigned i = 0; i < fuzz_vhost_seed_count; i++)
		write_file(directory, fuzz_vhost_seeds[i].name,
			   (const uint8_t *)fuzz_vhost_seeds[i].ops,
			   fuzz_vhost_seeds[i].count * sizeof(fuzz_vhost_seeds[i].ops[0]));
	printf("seeds: %u in %s\n", fuzz_vhost_seed_count, directory);
}

int main(int argc, char **argv)
{
	if (argc != 2)
		give_up("arguments", "one directory");
	make_directory(argv[1]);
	for (unsigned i = 0; i < sizeof(corpora) / sizeof(corpora[0]); i++)
		write_seeds(argv[1], &corpora[i]);
	write_fs_seeds(argv[1]);
	write_vhost_seeds(argv[1]);
	return 0;
}
