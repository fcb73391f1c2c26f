/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The command as its users meet it: the real binary (VQSIM in the environment, or
 * build/vqsim), run in a folder of its own.
 */
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define ARGS_MAX    16
#define OUTPUT_SIZE 8192
#define IMAGE_SIZE  65536

static char binary[PATH_MAX];
static char folder[] = "/tmp/vqsim-cli-XXXXXX";

/* What one run of the command did. */
struct outcome {
	int status; /* exit status, -1: died */
	char out[OUTPUT_SIZE];
	char err[OUTPUT_SIZE];
};

/* The files that every case finds in its folder. */
static const struct {
	const char *name;
	size_t size;
	mode_t mode;
} files[] = {
	{"image", IMAGE_SIZE, 0644},     {"odd", 1000, 0644},  {"empty", 0, 0644},
	{"protected", IMAGE_SIZE, 0444}, {"small", 512, 0644}, {"data", IMAGE_SIZE, 0644},
};

static void make_files(void)
{
	static uint8_t bytes[IMAGE_SIZE];
	size_t i;
	int fd;

	for (i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 7 + (i >> 8));
	for (i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		fd = open(files[i].name, O_WRONLY | O_CREAT | O_TRUNC, 0600);
		assert_true(fd >= 0);
		assert_int_equal(write(fd, bytes, files[i].size), files[i].size);
		assert_int_equal(fchmod(fd, files[i].mode), 0);
		close(fd);
	}
	assert_int_equal(mkdir("folder", 0755), 0);
	assert_int_equal(mkfifo("pipe", 0600), 0);
}

static int group_setup(void **state)
{
	const char *path = getenv("VQSIM");

	(void)state;
	if (realpath(path == NULL ? "build/vqsim" : path, binary) == NULL) {
		fprintf(stderr, "no %s: run make, or set VQSIM\n",
			path == NULL ? "build/vqsim" : path);
		return -1;
	}
	if (mkdtemp(folder) == NULL || chdir(folder) != 0)
		return -1;
	make_files();
	return 0;
}

static int group_teardown(void **state)
{
	struct dirent *entry;
	DIR *dir = opendir(".");

	(void)state;
	while (dir != NULL && (entry = readdir(dir)) != NULL) {
		if (entry->d_name[0] != '.')
			remove(entry->d_name);
	}
	closedir(dir);
	return chdir("/") == 0 ? rmdir(folder) : -1;
}

static void read_file(const char *path, char *text, size_t size)
{
	FILE *file = fopen(path, "r");
	size_t n;

	assert_non_null(file);
	n = fread(text, 1, size - 1, file);
	text[n] = '\0';
	fclose(file);
	remove(path);
}

static void child(char **argv)
{
	if (freopen(".out", "w", stdout) != NULL && freopen(".err", "w", stderr) != NULL)
		execv(binary, argv);
	_exit(127);
}

/* args ends with NULL and does not have the name of the command. */
static void run(struct outcome *outcome, const char *const *args)
{
	char *argv[ARGS_MAX + 2] = {(char *)"vqsim"};
	int status, i;
	pid_t pid;

	for (i = 0; i < ARGS_MAX && args[i] != NULL; i++)
		argv[i + 1] = (char *)args[i];
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		child(argv);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	outcome->status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
	read_file(".out", outcome->out, sizeof(outcome->out));
	read_file(".err", outcome->err, sizeof(outcome->err));
}

#define RUN(outcome, ...) run(outcome, (const char *const[ARGS_MAX]){__VA_ARGS__, NULL})

static uint64_t hash(uint64_t h, const void *data, size_t size)
{
	const uint8_t *byte = data;

	while (size-- > 0)
		h = (h ^ *byte++) * UINT64_C(0x100000001b3);
	return h;
}

static uint64_t hash_content(const char *path)
{
	static uint8_t bytes[IMAGE_SIZE * 2];
	FILE *file = fopen(path, "r");
	size_t n = 0;

	if (file != NULL) {
		n = fread(bytes, 1, sizeof(bytes), file);
		fclose(file);
	}
	return hash(n, bytes, n);
}

/* Names, kinds, modes and contents of everything in the folder; the order does not count. */
static uint64_t snapshot(void)
{
	struct dirent *entry;
	DIR *dir = opendir(".");
	struct stat st;
	uint64_t sum = 0;

	assert_non_null(dir);
	while ((entry = readdir(dir)) != NULL) {
		assert_int_equal(stat(entry->d_name, &st), 0);
		sum += hash(st.st_mode, entry->d_name, strlen(entry->d_name));
		if (S_ISREG(st.st_mode))
			sum ^= hash_content(entry->d_name);
	}
	closedir(dir);
	return sum;
}

/* A bad command line, and what its one line must say. */
struct bad {
	const char *args[ARGS_MAX];
	const char *says;
};

#define BLK   "run", "blk"
#define IMAGE "run", "blk", "--store", "file:image"
#define RAM   "run", "blk", "--store", "ram:1M"

static const struct bad bad_words[] = {
	{{NULL}, "a command is missing; try 'vqsim --help'"},
	{{"walk"}, "unknown command 'walk'"},
	{{"run"}, "a device is missing; try 'vqsim run --help'"},
	{{"run", "tape"}, "unknown device 'tape'"},
	{{BLK}, "--store is missing; give --store ram:SIZE or"},
	{{RAM, "--nonsense"}, "option '--nonsense' is unknown"},
	{{RAM, "-x"}, "option '-x' is unknown"},
	{{RAM, "--json=yes"}, "option '--json=yes'"},
	{{RAM, "extra"}, "unexpected word 'extra'"},
	{{RAM, "ex\ntra"}, "unexpected word 'ex?tra'"},
	{{BLK, "--store"}, "option '--store' needs a value"},
	{{RAM, "--seed"}, "option '--seed' needs a value"},
	{{BLK, "--store", "tape:1"}, "unknown store 'tape:1'; give ram:SIZE or file:PATH"},
	{{BLK, "--store", "file:"}, "unknown store 'file:'"},
	{{RAM, "--workload", "copy"},
	 "unknown workload 'copy'; known are read, write, verify, mix"},
	{{RAM, "--indirect", "maybe"}, "unknown --indirect 'maybe'; known are auto, always, never"},
	{{RAM, "--features", "turbo"}, "unknown feature 'turbo'; known are all, none, "},
	{{RAM, "--features", "all,-turbo"}, "unknown feature 'turbo'"},
	{{RAM, "--features", ""}, "unknown feature ''"},
	{{RAM, "--features", "flush,"}, "unknown feature ''"},
};

static const struct bad bad_numbers[] = {
	{{BLK, "--store", "ram:0"}, "give a number from 512"},
	{{BLK, "--store", "ram:"}, "--store ram: cannot be ''"},
	{{BLK, "--store", "ram:1000"}, "not a multiple of 512 bytes; the nearest that is: 1024"},
	{{BLK, "--store", "ram:-512"}, "--store ram: cannot be '-512'"},
	{{BLK, "--store", "ram:64Q"}, "--store ram: cannot be '64Q'"},
	{{BLK, "--store", "ram:64MM"}, "--store ram: cannot be '64MM'"},
	{{BLK, "--store", "ram:99999999999999999999"}, "--store ram: cannot be"},
	{{BLK, "--store", "ram:18014398509481985K"}, "--store ram: cannot be"},
	{{RAM, "--queue-size", "3"}, "a split ring has a power of two from 4 to 32768"},
	{{RAM, "--queue-size", "0"}, "--queue-size cannot be '0'"},
	{{RAM, "--queue-size", "65536"}, "--queue-size cannot be '65536'"},
	{{RAM, "--queue-size", "-4"}, "--queue-size cannot be '-4'"},
	{{RAM, "--queue-size", "4x"}, "--queue-size cannot be '4x'"},
	{{RAM, "--queues", "0"}, "--queues cannot be '0'; give a number from 1 to 256"},
	{{RAM, "--queues", "65537"}, "--queues cannot be '65537'"},
	{{RAM, "--depth", "0"}, "--depth cannot be '0'; give a number from 1 to 32768"},
	{{RAM, "--depth", " 1"}, "--depth cannot be ' 1'"},
	{{RAM, "--block-size", "1000"}, "give a multiple of 512"},
	{{RAM, "--block-size", "0x200"}, "--block-size cannot be '0x200'"},
	{{RAM, "--block-size", "1G"}, "--block-size cannot be '1G'"},
	{{RAM, "--seed", "-1"}, "--seed cannot be '-1'"},
	{{RAM, "--seed", "1K"}, "--seed cannot be '1K'"},
	{{RAM, "--seed", "18446744073709551616"}, "--seed cannot be"},
	{{RAM, "--requests", "0"}, "--requests cannot be '0'"},
	{{RAM, "--requests", "17", "--to", "new"}, "is more than the disk has; with --to give at"},
	{{RAM, "--depth", "32768", "--block-size", "1M"}, "too much guest memory"},
};

static const struct bad bad_together[] = {
	{{IMAGE, "--from", "data"}, "--from is the data of a write; give --workload write"},
	{{IMAGE, "--workload", "verify", "--from", "data"}, "--from is the data of a write"},
	{{IMAGE, "--workload", "write", "--to", "new"}, "--to takes what was read"},
	{{IMAGE, "--to", "-", "--json"}, "would both use standard output"},
	{{IMAGE, "--workload", "write", "--read-only"}, "give --workload read"},
	{{IMAGE, "--workload", "mix", "--read-only"}, "give --workload read"},
	{{RAM, "--queues", "2", "--features", "none"}, "needs the feature mq"},
	{{RAM, "--indirect", "always", "--features", "flush"}, "needs the feature indirect_desc"},
};

static const struct bad bad_files[] = {
	{{BLK, "--store", "file:missing"}, "cannot open image 'missing': No such file"},
	{{BLK, "--store", "file:missing", "--to", "new"}, "cannot open image 'missing'"},
	{{BLK, "--store", "file:folder"}, "'folder' is a directory; give an image file"},
	{{BLK, "--store", "file:odd"}, "'odd' has 1000 bytes; the size must be a multiple of 512"},
	{{BLK, "--store", "file:empty"}, "'empty' has 0 bytes"},
	{{BLK, "--store", "file:/dev/null"}, "give a regular file or a block device"},
	{{BLK, "--store", "file:pipe"}, "give a regular file or a block device"},
	{{BLK, "--store", "file:protected", "--workload", "write"}, "'protected' is read-only"},
	{{BLK, "--store", "file:protected", "--workload", "mix"}, "'protected' is read-only"},
	{{IMAGE, "--to", "folder"}, "--to 'folder' is a directory; give a file"},
	{{IMAGE, "--to", "image"}, "--to 'image' is the image itself"},
	{{IMAGE, "--to", "./folder/../image"}, "is the image itself"},
	{{IMAGE, "--to", "missing/new"}, "cannot write --to 'missing/new': No such file"},
	{{IMAGE, "--requests", "2", "--to", "new"}, "give at most 1"},
	{{IMAGE, "--workload", "write", "--from", "missing"}, "cannot open --from 'missing'"},
	{{IMAGE, "--workload", "write", "--from", "folder"}, "--from 'folder' is no regular file"},
	{{IMAGE, "--workload", "write", "--from", "pipe"}, "--from 'pipe' is no regular file"},
	{{IMAGE, "--workload", "write", "--from", "small"},
	 "--from 'small' has 512 bytes; the disk has 65536"},
	{{IMAGE, "--workload", "write", "--from", "image"}, "--from 'image' is the image itself"},
};

/* One line on standard error that begins with the name of the command; nothing else happened. */
static void check_bad(const struct bad *cases, size_t count)
{
	struct outcome outcome;
	uint64_t before = snapshot();
	size_t i;

	for (i = 0; i < count; i++) {
		run(&outcome, cases[i].args);
		if (strstr(outcome.err, cases[i].says) == NULL)
			fail_msg("expected '%s', got '%s'", cases[i].says, outcome.err);
		assert_int_equal(outcome.status, 2);
		assert_string_equal(outcome.out, "");
		assert_memory_equal(outcome.err, "vqsim: ", 7);
		assert_ptr_equal(strchr(outcome.err, '\n'), strchr(outcome.err, '\0') - 1);
		assert_true(snapshot() == before);
	}
}

static void bad_words_are_refused(void **state)
{
	(void)state;
	check_bad(bad_words, sizeof(bad_words) / sizeof(bad_words[0]));
}

static void bad_numbers_are_refused(void **state)
{
	(void)state;
	check_bad(bad_numbers, sizeof(bad_numbers) / sizeof(bad_numbers[0]));
}

static void contradictions_are_refused(void **state)
{
	(void)state;
	check_bad(bad_together, sizeof(bad_together) / sizeof(bad_together[0]));
}

static void bad_files_are_refused_and_nothing_is_written(void **state)
{
	(void)state;
	check_bad(bad_files, sizeof(bad_files) / sizeof(bad_files[0]));
}

static void help_and_version_go_to_standard_output(void **state)
{
	struct outcome outcome;

	(void)state;
	RUN(&outcome, "--help");
	assert_int_equal(outcome.status, 0);
	assert_non_null(strstr(outcome.out, "usage: vqsim command"));
	RUN(&outcome, "run", "--help");
	assert_int_equal(outcome.status, 0);
	assert_non_null(strstr(outcome.out, "usage: vqsim run device"));
	RUN(&outcome, "run", "blk", "--help");
	assert_int_equal(outcome.status, 0);
	assert_non_null(strstr(outcome.out, "--queue-size N"));
	assert_string_equal(outcome.err, "");
	RUN(&outcome, "--version");
	assert_int_equal(outcome.status, 0);
	assert_memory_equal(outcome.out, "vqsim 0.", 8);
}

static void assert_clean(const struct outcome *outcome)
{
	assert_string_equal(outcome->err, "");
	assert_int_equal(outcome->status, 0);
	assert_non_null(strstr(outcome->out, "\"errors\": 0,"));
	assert_non_null(strstr(outcome->out, "\"violations\": 0,"));
}

/* The part of the report that the seed decides: how many requests of each type, and their bytes. */
static void copy_types(char *types, size_t size, const struct outcome *outcome)
{
	const char *start = strstr(outcome->out, "\"types\"");

	assert_non_null(start);
	snprintf(types, size, "%.*s", (int)strcspn(start, "\n"), start);
}

static void the_seed_decides_the_mix(void **state)
{
	struct outcome outcome;
	char first[1024], again[1024], other[1024];

	(void)state;
	RUN(&outcome, RAM, "--workload", "mix", "--requests", "500", "--json", "--seed", "5");
	assert_clean(&outcome);
	copy_types(first, sizeof(first), &outcome);
	RUN(&outcome, RAM, "--workload", "mix", "--requests", "500", "--json", "--seed", "5");
	copy_types(again, sizeof(again), &outcome);
	RUN(&outcome, RAM, "--workload", "mix", "--requests", "500", "--json", "--seed", "6");
	assert_clean(&outcome);
	copy_types(other, sizeof(other), &outcome);
	assert_string_equal(first, again);
	assert_string_not_equal(first, other);
}

/* Ring sizes, queues and features at their edges: all of them must come out clean. */
static void every_shape_of_run_is_clean(void **state)
{
	static const char *const runs[][ARGS_MAX] = {
		{RAM, "--json", "--workload", "read"},
		{RAM, "--json", "--workload", "write", "--features", "none"},
		{RAM, "--json", "--workload", "verify", "--queues", "3", "--depth", "5"},
		{RAM, "--json", "--workload", "verify", "--queue-size", "4", "--indirect", "never"},
		{RAM, "--json", "--workload", "mix", "--queue-size", "4", "--depth", "100"},
		{RAM, "--json", "--workload", "mix", "--indirect", "always", "--queues", "4"},
		{RAM, "--json", "--workload", "mix", "--indirect", "never", "--block-size", "3K"},
		{RAM, "--json", "--workload", "mix", "--features", "none"},
		{RAM, "--json", "--workload", "mix", "--features", "-event_idx,-config_wce"},
		{BLK, "--store", "ram:512", "--json", "--workload", "mix", "--requests", "100"},
		{BLK, "--store", "ram:66048", "--json", "--workload", "verify"},
	};
	struct outcome outcome;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(runs) / sizeof(runs[0]); i++) {
		run(&outcome, runs[i]);
		assert_clean(&outcome);
	}
}

static void an_image_is_copied_through_the_ring(void **state)
{
	struct outcome outcome;

	(void)state;
	RUN(&outcome, IMAGE, "--json", "--block-size", "1536", "--queues", "2", "--to", "copy");
	assert_clean(&outcome);
	assert_true(hash_content("copy") == hash_content("image"));
	assert_int_equal(truncate("copy", 0), 0);
	assert_int_equal(truncate("copy", IMAGE_SIZE), 0);
	RUN(&outcome, BLK, "--store", "file:copy", "--json", "--workload", "write", "--from",
	    "data");
	assert_clean(&outcome);
	assert_true(hash_content("copy") == hash_content("data"));
	RUN(&outcome, BLK, "--store", "file:copy", "--json", "--workload", "mix");
	assert_clean(&outcome);
	remove("copy");
}

/* The table goes out of the way of the data. */
static void standard_output_takes_what_was_read(void **state)
{
	struct outcome outcome;

	(void)state;
	RUN(&outcome, BLK, "--store", "ram:4K", "--to", "-");
	assert_int_equal(outcome.status, 0);
	assert_string_equal(outcome.out, "");
	assert_non_null(strstr(outcome.err, "model: off"));
	RUN(&outcome, RAM, "--quiet");
	assert_int_equal(outcome.status, 0);
	assert_string_equal(outcome.out, "");
	assert_string_equal(outcome.err, "");
}

static void a_full_disk_is_a_failed_run(void **state)
{
	struct outcome outcome;

	(void)state;
	RUN(&outcome, IMAGE, "--quiet", "--to", "/dev/full");
	assert_int_equal(outcome.status, 1);
	assert_string_equal(outcome.err,
			    "vqsim: cannot write what was read: No space left on device\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bad_words_are_refused),
		cmocka_unit_test(bad_numbers_are_refused),
		cmocka_unit_test(contradictions_are_refused),
		cmocka_unit_test(bad_files_are_refused_and_nothing_is_written),
		cmocka_unit_test(help_and_version_go_to_standard_output),
		cmocka_unit_test(the_seed_decides_the_mix),
		cmocka_unit_test(every_shape_of_run_is_clean),
		cmocka_unit_test(an_image_is_copied_through_the_ring),
		cmocka_unit_test(standard_output_takes_what_was_read),
		cmocka_unit_test(a_full_disk_is_a_failed_run),
	};

	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
