/* SPDX-License-Identifier: BSD-3-Clause */
#include "mount_options.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <linux/virtio_config.h>

#include "cli.h"
#include "features.h"
#include "fs_stack.h"
#include "number.h"
#include "../../devices/device.h"
#include "../../devices/fs/fs.h"

#define QUEUE_SIZE_MIN  8u /* the least power of two that holds the longest chain */
#define QUEUE_SIZE_MAX  32768u
#define QUEUE_COUNT_MAX 64u

static bool apply_count(const struct number_spec *spec, const char *value, uint16_t *count)
{
	uint64_t number;

	if (!number_parse(spec, value, &number))
		return false;
	*count = (uint16_t)number;
	return true;
}

static bool apply_queues(void *values, const char *value)
{
	static const struct number_spec spec = {"--queues", 1, QUEUE_COUNT_MAX, false};
	struct mount_options *options = values;

	return apply_count(&spec, value, &options->queue_count);
}

static bool apply_queue_size(void *values, const char *value)
{
	static const struct number_spec spec = {"--queue-size", QUEUE_SIZE_MIN, QUEUE_SIZE_MAX,
						false};
	struct mount_options *options = values;

	return apply_count(&spec, value, &options->queue_size);
}

static bool apply_features(void *values, const char *value)
{
	struct mount_options *options = values;

	return features_parse(value, &options->features);
}

static bool apply_tag(void *values, const char *value)
{
	struct mount_options *options = values;

	return fs_stack_parse_tag(value, &options->tag);
}

static bool apply_packed(void *values, const char *value)
{
	struct mount_options *options = values;

	(void)value;
	options->packed = true;
	return true;
}

static bool apply_read_only(void *values, const char *value)
{
	struct mount_options *options = values;

	(void)value;
	options->read_only = true;
	return true;
}

static bool apply_writeback(void *values, const char *value)
{
	struct mount_options *options = values;

	(void)value;
	options->writeback = true;
	return true;
}

static bool apply_exclusive(void *values, const char *value)
{
	struct mount_options *options = values;

	(void)value;
	options->exclusive = true;
	return true;
}

static bool apply_no_referee(void *values, const char *value)
{
	struct mount_options *options = values;

	(void)value;
	options->no_referee = true;
	return true;
}

static bool apply_word(void *values, const char *word)
{
	struct mount_options *options = values;

	if (!options->tree) {
		options->tree = word;
		return fs_stack_parse_tree(word, &options->path);
	}
	if (!options->point_given) {
		options->point_given = word;
		return true;
	}
	cli_complain("unexpected word '%s'; a command goes behind --", word);
	return false;
}

static const struct parse_option mount_option_table[] = {
	{"queues", "N", "request queues (default 1)", apply_queues},
	{"queue-size", "N", "elements of each ring, a power of two if split (default 128)",
	 apply_queue_size},
	{"packed", NULL, "packed rings", apply_packed},
	{"features", "LIST", "bits to take: all (but ring_packed, in_order), none, NAME, -NAME",
	 apply_features},
	{"tag", "TEXT", "of the device, and the source that mount(8) shows (default vqsim)",
	 apply_tag},
	{"read-only", NULL, "nothing in it can be changed", apply_read_only},
	{"writeback", NULL, "the kernel gathers writes, and SEEK_HOLE does not see them",
	 apply_writeback},
	{"exclusive", NULL,
	 "nobody else changes dir:PATH: it is faster, and the referee predicts its replies",
	 apply_exclusive},
	{"no-referee", NULL, "nobody watches: to measure", apply_no_referee},
	{"help", NULL, "this text", NULL},
	{.name = NULL},
};

static const char *contradiction(const void *values)
{
	const struct mount_options *o = values;
	bool packed = o->packed || (o->features & VIRTIO_FEATURE(VIRTIO_F_RING_PACKED));

	if (!o->tree)
		return "the tree and the mount point are missing; give dir:PATH MOUNTPOINT or "
		       "ram MOUNTPOINT";
	if (o->command && !o->command[0])
		return "a command is missing behind --";
	if (!o->point_given)
		return "the mount point is missing; give a directory that exists";
	if ((o->queue_size & (o->queue_size - 1)) != 0 && !packed)
		return "--queue-size of a split ring must be a power of two; give one, or --packed";
	return NULL;
}

static const struct parse_command mount_command = {
	.name = "vqsim mount",
	.before =
		"usage: vqsim mount dir:PATH|ram MOUNTPOINT [option ...] [-- COMMAND [word ...]]\n\n"
		"Mounts the file-system device: what programs do below MOUNTPOINT travels from the\n"
		"kernel through the virtqueues of a simulated guest to the device, while the\n"
		"referee watches. With a COMMAND until that ends, otherwise until it is unmounted\n"
		"or a signal comes. Needs /dev/fuse and the right to mount (root, or unshare -Urm).\n\n"
		"options:\n",
	.behind = "\nexit status: that of COMMAND, or 0; 1 a violation or an error; "
		  "2 bad arguments\n",
	.options = mount_option_table,
	.contradiction = contradiction,
	.word = apply_word,
};

/* The absolute path of a directory that exists. */
static bool resolve(const char *what, const char *path, char *resolved)
{
	struct stat st;

	if (stat(path, &st) == 0 && !S_ISDIR(st.st_mode))
		errno = ENOTDIR;
	else if (realpath(path, resolved))
		return true;
	cli_complain("%s '%s': %s; give a directory that exists", what, path, strerror(errno));
	return false;
}

/* The device would wait for itself. */
static bool is_apart(const struct mount_options *options, const char *tree)
{
	size_t size = strlen(tree);

	if (strcmp(tree, "/") != 0 &&
	    (strncmp(options->point, tree, size) != 0 ||
	     (options->point[size] != '/' && options->point[size] != '\0')))
		return true;
	cli_complain("the mount point '%s' is within '%s'; give one that is not",
		     options->point_given, options->path);
	return false;
}

static bool look_at_directories(struct mount_options *options)
{
	char tree[PATH_MAX];

	if (!resolve("mount point", options->point_given, options->point))
		return false;
	if (!options->path)
		return true;
	return resolve("tree", options->path, tree) && is_apart(options, tree);
}

/* The command begins behind the first "--". Returns what is left of argc. */
static int split_command(struct mount_options *options, int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--") != 0)
			continue;
		options->command = argv + i + 1;
		return i;
	}
	return argc;
}

enum parse_result mount_options_parse(struct mount_options *options, int argc, char **argv)
{
	enum parse_result result;

	*options = (struct mount_options){.tag = "vqsim", .queue_count = 1, .queue_size = 128};
	features_parse("all", &options->features);
	argc = split_command(options, argc, argv);
	result = parse_words(&mount_command, options, argc, argv);
	if (result == PARSE_RUN && !look_at_directories(options))
		return PARSE_BAD;
	if (options->packed)
		options->features |= VIRTIO_FEATURE(VIRTIO_F_RING_PACKED);
	return result;
}
