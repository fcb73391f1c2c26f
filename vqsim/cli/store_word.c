/* SPDX-License-Identifier: BSD-3-Clause */
#include "store_word.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "number.h"
#include "../../devices/blk/blk.h"

bool store_word_parse(const char *word, const char **path, uint64_t *ram_size)
{
	static const struct number_spec size = {"--store ram:", BLK_SECTOR_SIZE, UINT64_C(1) << 46,
						true};

	*path = NULL;
	if (strncmp(word, "ram:", 4) == 0) {
		if (!number_parse(&size, word + 4, ram_size))
			return false;
		if (*ram_size % BLK_SECTOR_SIZE == 0)
			return true;
		cli_complain("--store %s: the size is not a multiple of 512 bytes; "
			     "the nearest that is: %" PRIu64,
			     word,
			     (*ram_size + BLK_SECTOR_SIZE - 1) / BLK_SECTOR_SIZE * BLK_SECTOR_SIZE);
		return false;
	}
	if (strncmp(word, "file:", 5) == 0 && word[5] != '\0') {
		*path = word + 5;
		return true;
	}
	cli_complain("unknown store '%s'; give ram:SIZE or file:PATH", word);
	return false;
}

/* What a write-protected image means does not depend on who runs the command, root included. */
static bool write_protected(const struct stat *st)
{
	return S_ISREG(st->st_mode) && (st->st_mode & 0222) == 0;
}

/* Look at the image before anything opens it. */
static enum cli_exit check_image(const char *path, bool writes, const char *reading)
{
	struct stat st;

	if (stat(path, &st) < 0) {
		cli_complain("cannot open image '%s': %s; give a file that exists%s", path,
			     strerror(errno),
			     errno == ENOENT ? " (truncate -s 64M FILE makes one)" : "");
		return CLI_BAD;
	}
	if (S_ISDIR(st.st_mode)) {
		cli_complain("'%s' is a directory; give an image file or a block device", path);
		return CLI_BAD;
	}
	if (S_ISREG(st.st_mode) && (st.st_size == 0 || st.st_size % BLK_SECTOR_SIZE != 0)) {
		cli_complain("image '%s' has %lld bytes; the size must be a multiple of 512 "
			     "and not 0",
			     path, (long long)st.st_size);
		return CLI_BAD;
	}
	if (writes && write_protected(&st)) {
		cli_complain("image '%s' is read-only; give %s, or one that can be written", path,
			     reading);
		return CLI_BAD;
	}
	return CLI_OK;
}

static enum cli_exit open_file(const char *path, bool writes, const char *reading,
			       struct blk_store **store)
{
	enum cli_exit status = check_image(path, writes, reading);
	int err;

	if (status != CLI_OK)
		return status;
	err = blk_store_file_create(store, path, writes ? 0 : BLK_FILE_READ_ONLY);
	if (err == 0)
		return CLI_OK;
	if (err == -EINVAL || err == -ENOTSUP)
		cli_complain("'%s' cannot be a disk; give a regular file or a block device whose "
			     "size is a multiple of 512",
			     path);
	else
		cli_complain("cannot open image '%s' for %s: %s", path,
			     writes ? "writing; give one that can be written" : "reading",
			     strerror(-err));
	return CLI_BAD;
}

enum cli_exit store_word_open(const char *path, uint64_t ram_size, bool writes, const char *reading,
			      struct blk_store **store)
{
	if (path != NULL)
		return open_file(path, writes, reading, store);
	if (blk_store_ram_create(store, ram_size) == 0)
		return CLI_OK;
	cli_complain("not enough memory for a ram store of %" PRIu64 " bytes; give a smaller one",
		     ram_size);
	return CLI_BAD;
}
