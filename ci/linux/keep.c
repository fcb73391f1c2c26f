/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Files that must outlive the machine. In a guest that will be killed:
 *
 *   keep work WHERE DIRECTORY ROUND    for ever: make files there safe in all ways that programs know
 *   keep noise DIRECTORY               for ever: write what nobody waits for
 *
 * and afterwards, in the next guest or on the host:
 *
 *   keep check DIRECTORY LIST          LIST has a line "NAME SIZE VERSION" for each file
 *
 * What is promised goes to standard output, each line with one write:
 *
 *   @kept WHERE NAME SIZE VERSION .    from now on NAME has these bytes, whatever happens
 *   @gone WHERE NAME .                 NAME is about to change
 *
 * The bytes of a file follow from its name, its version and their place, so a list is enough to
 * check them.
 */
#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILES   64
#define LARGEST 60000
#define ROOM    (2 * LARGEST)

struct file {
	char name[40];
	uint32_t size;
	uint32_t version;
	bool exists;
};

static struct file files[FILES];
static const char *where;
static uint64_t state;

static uint32_t random_below(uint32_t limit)
{
	state = state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(state >> 33) % limit;
}

/* FNV-1a of the name, so that no two files have the same bytes. */
static uint64_t seed_of(const char *name, uint32_t version)
{
	uint64_t hash = 14695981039346656037u;

	for (; *name; name++)
		hash = (hash ^ (unsigned char)*name) * 1099511628211u;
	return hash + version * 0x9e3779b97f4a7c15u;
}

static const unsigned char *bytes_of(const char *name, uint32_t version)
{
	static unsigned char bytes[ROOM];
	uint64_t seed = seed_of(name, version);

	for (size_t i = 0; i < ROOM; i += 8) {
		uint64_t word = (seed ^ i) * 0xff51afd7ed558ccdu;

		word ^= word >> 32;
		memcpy(bytes + i, &word, 8);
	}
	return bytes;
}

/* --- what is told --------------------------------------------------------------------------- */

static __attribute__((format(printf, 1, 2))) void tell(const char *format, ...)
{
	char line[160];
	va_list args;

	va_start(args, format);
	int size = vsnprintf(line, sizeof(line), format, args);

	va_end(args);
	if (write(STDOUT_FILENO, line, (size_t)size) != size)
		err(1, "console");
}

static void kept(const struct file *file)
{
	tell("@kept %s %s %" PRIu32 " %" PRIu32 " .\n", where, file->name, file->size,
	     file->version);
}

static void gone(const struct file *file)
{
	tell("@gone %s %s .\n", where, file->name);
}

/* --- what is done --------------------------------------------------------------------------- */

static int open_file(const char *name, int flags)
{
	int fd = open(name, flags | O_CLOEXEC, 0644);

	if (fd < 0)
		err(1, "%s", name);
	return fd;
}

static void sync_and_close(int fd, const char *name)
{
	if (fsync(fd) || close(fd))
		err(1, "%s: fsync", name);
}

static void sync_directory(const char *name)
{
	sync_and_close(open_file(name, O_RDONLY | O_DIRECTORY), name);
}

/* Bytes from..to of the file as it shall be. */
static void put(int fd, const struct file *file, uint32_t from, uint32_t to)
{
	const unsigned char *bytes = bytes_of(file->name, file->version);

	while (from < to) {
		ssize_t size = pwrite(fd, bytes + from, to - from, from);

		if (size <= 0)
			err(1, "%s: write", file->name);
		from += (uint32_t)size;
	}
}

static void create(struct file *file)
{
	int fd = open_file(file->name, O_WRONLY | O_CREAT | O_EXCL);

	put(fd, file, 0, file->size);
	sync_and_close(fd, file->name);
}

static void make(struct file *file)
{
	create(file);
	sync_directory(".");
}

static void make_in_directory(struct file *file)
{
	char *slash = strchr(strcat(file->name, ".dir/file"), '/');

	*slash = '\0';
	if (mkdir(file->name, 0755))
		err(1, "%s", file->name);
	*slash = '/';
	create(file);
	*slash = '\0';
	sync_directory(file->name);
	*slash = '/';
	sync_directory(".");
}

/* As an editor saves. */
static void replace(struct file *file)
{
	char name[sizeof(file->name) + 4];

	snprintf(name, sizeof(name), "%s.new", file->name);
	file->version++;
	file->size = 1 + random_below(LARGEST);

	int fd = open_file(name, O_WRONLY | O_CREAT | O_TRUNC);

	put(fd, file, 0, file->size);
	sync_and_close(fd, name);
	gone(file);
	if (rename(name, file->name))
		err(1, "%s: rename", name);
	sync_directory(".");
}

/* As a log grows. */
static void append(struct file *file)
{
	uint32_t old = file->size;
	int fd = open_file(file->name, O_WRONLY);

	if (file->size <= LARGEST)
		file->size += 1 + random_below(LARGEST / 8);
	gone(file);
	put(fd, file, old, file->size);
	if (fdatasync(fd))
		err(1, "%s: fdatasync", file->name);
	close(fd);
}

/* As a database does. */
static void overwrite(struct file *file)
{
	int fd = open_file(file->name, O_WRONLY | (random_below(2) ? O_SYNC : O_DSYNC));

	gone(file);
	file->version++;
	put(fd, file, 0, file->size);
	close(fd);
}

static void shorten(struct file *file)
{
	int fd = open_file(file->name, O_WRONLY);

	gone(file);
	file->size = 1 + file->size / 2;
	if (ftruncate(fd, file->size))
		err(1, "%s: truncate", file->name);
	sync_and_close(fd, file->name);
}

static void drop(struct file *file)
{
	gone(file);
	if (unlink(file->name))
		err(1, "%s: unlink", file->name);
	file->exists = false;
}

static void begin(struct file *file, unsigned round, unsigned number)
{
	snprintf(file->name, sizeof(file->name), "%u.%u", round, number);
	file->size = 1 + random_below(LARGEST);
	file->version = 0;
	file->exists = true;
	if (random_below(4) == 0)
		make_in_directory(file);
	else
		make(file);
}

static void work(unsigned round)
{
	static void (*const ways[])(struct file *) = {replace, append, overwrite, shorten, drop};

	state = round * 2 + (strlen(where) & 1);
	for (unsigned number = 0;; number++) {
		struct file *file = &files[random_below(FILES)];

		if (!file->exists)
			begin(file, round, number);
		else
			ways[random_below(sizeof(ways) / sizeof(ways[0]))](file);
		if (file->exists)
			kept(file);
	}
}

/* A pause in between: the guest has one processor. */
static void make_noise(void)
{
	struct file file = {.name = "noise", .size = ROOM};

	for (;;) {
		int fd = open_file(file.name, O_WRONLY | O_CREAT | O_TRUNC);

		file.version++;
		put(fd, &file, 0, file.size);
		close(fd);
		usleep(5000);
	}
}

/* --- what is checked ------------------------------------------------------------------------ */

static bool is_as_kept(const struct file *file)
{
	static unsigned char found[ROOM + 1];
	int fd = open(file->name, O_RDONLY | O_CLOEXEC);

	if (fd < 0) {
		warn("%s", file->name);
		return false;
	}

	ssize_t size = read(fd, found, sizeof(found));

	close(fd);
	if (size == (ssize_t)file->size &&
	    memcmp(found, bytes_of(file->name, file->version), file->size) == 0)
		return true;
	warnx("%s: %zd bytes are not version %" PRIu32 " with %" PRIu32, file->name, size,
	      file->version, file->size);
	return false;
}

static int check(FILE *list)
{
	struct file file;
	unsigned good = 0;
	unsigned bad = 0;

	while (fscanf(list, "%39s %" SCNu32 " %" SCNu32, file.name, &file.size, &file.version) ==
	       3) {
		if (file.size <= ROOM && is_as_kept(&file))
			good++;
		else
			bad++;
	}
	printf("%u files as they were kept, %u not\n", good, bad);
	return bad != 0 || !feof(list);
}

static int usage(void)
{
	fputs("usage: keep work WHERE DIRECTORY ROUND | keep noise DIRECTORY |"
	      " keep check DIRECTORY LIST\n",
	      stderr);
	return 2;
}

static void enter(const char *directory)
{
	if (chdir(directory))
		err(1, "%s", directory);
}

int main(int argc, char **argv)
{
	if (argc == 5 && strcmp(argv[1], "work") == 0) {
		where = argv[2];
		enter(argv[3]);
		work((unsigned)strtoul(argv[4], NULL, 10));
	}
	if (argc == 3 && strcmp(argv[1], "noise") == 0) {
		enter(argv[2]);
		make_noise();
	}
	if (argc == 4 && strcmp(argv[1], "check") == 0) {
		FILE *list = fopen(argv[3], "r");

		if (!list)
			err(1, "%s", argv[3]);
		enter(argv[2]);
		return check(list);
	}
	return usage();
}
