/* SPDX-License-Identifier: BSD-3-Clause */
#include "fs_copy.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fs_copy_internal.h"

int fs_copy_init(struct fs_copy *copy, struct vqsim_fs *fs, uint32_t size)
{
	*copy = (struct fs_copy){.fs = fs, .size = size};
	copy->buffer = malloc(size);
	return copy->buffer ? 0 : -ENOMEM;
}

void fs_copy_finish(struct fs_copy *copy)
{
	free(copy->buffer);
	memset(copy, 0, sizeof(*copy));
}

int fs_copy_failed(struct fs_copy *copy, const char *what, const char *name, int error)
{
	size_t used;

	if (copy->wrong[0] == '\0')
		snprintf(copy->wrong, sizeof(copy->wrong), "%s of '%s'", what, name);
	else if ((used = strlen(copy->wrong)) < sizeof(copy->wrong) - 1)
		snprintf(copy->wrong + used, sizeof(copy->wrong) - used, " in '%s'", name);
	return error;
}
