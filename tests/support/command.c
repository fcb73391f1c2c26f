/* SPDX-License-Identifier: BSD-3-Clause */
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "command.h"

static char binary[PATH_MAX];
static char folder[] = "/tmp/vqsim-cli-XXXXXX";

/* The files that every case finds in its folder. */
static const struct {
	const char *name;
	size_t size;
	mode_t mode;
} files[] = {
	{"image", COMMAND_IMAGE_SIZE, 0644},
	{"odd", 1000, 0644},
	{"empty", 0, 0644},
	{"protected", COMMAND_IMAGE_SIZE, 0444},
	{"small", 512, 0644},
	{"data", COMMAND_IMAGE_SIZE, 0644},
};

static void make_files(void)
{
	static uint8_t bytes[COMMAND_IMAGE_SIZE];
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

static bool in_folder;

int command_setup(void **state)
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
	in_folder = true;
	make_files();
	return 0;
}

int command_teardown(void **state)
{
	struct dirent *entry;
	DIR *dir;

	(void)state;
	/* Without a set-up this is the folder of whoever runs the test. */
	if (!in_folder)
		return 0;
	dir = opendir(".");
	while (dir != NULL && (entry = readdir(dir)) != NULL) {
		if (entry->d_name[0] != '.')
			remove(entry->d_name);
	}
	closedir(dir);
	return chdir("/") == 0 ? rmdir(folder) : -1;
}

const char *command_binary(void)
{
	return binary;
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

void command_run(struct command_outcome *outcome, const char *const *args)
{
	char *argv[COMMAND_ARGS_MAX + 2] = {(char *)"vqsim"};
	int status, i;
	pid_t pid;

	for (i = 0; i < COMMAND_ARGS_MAX && args[i] != NULL; i++)
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

static uint64_t hash(uint64_t h, const void *data, size_t size)
{
	const uint8_t *byte = data;

	while (size-- > 0)
		h = (h ^ *byte++) * UINT64_C(0x100000001b3);
	return h;
}

uint64_t command_hash(const char *path)
{
	static uint8_t bytes[COMMAND_IMAGE_SIZE * 2];
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
			sum ^= command_hash(entry->d_name);
	}
	closedir(dir);
	return sum;
}

void command_check_bad(const struct command_bad *cases, size_t count)
{
	struct command_outcome outcome;
	uint64_t before = snapshot();
	size_t i;

	for (i = 0; i < count; i++) {
		command_run(&outcome, cases[i].args);
		if (strstr(outcome.err, cases[i].says) == NULL)
			fail_msg("expected '%s', got '%s'", cases[i].says, outcome.err);
		assert_int_equal(outcome.status, 2);
		assert_string_equal(outcome.out, "");
		assert_memory_equal(outcome.err, "vqsim: ", 7);
		assert_ptr_equal(strchr(outcome.err, '\n'), strchr(outcome.err, '\0') - 1);
		assert_true(snapshot() == before);
	}
}
