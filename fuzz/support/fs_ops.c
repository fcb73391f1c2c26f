/* SPDX-License-Identifier: BSD-3-Clause */
#include "fs_ops.h"

#include <stdbool.h>
#include <string.h>

#include "devices/fs/fuse_wire.h"

/* Opcodes that no server of this kind knows. */
#define OPCODE_NONE 7u

/*
 * Which members an operation has, a letter each, in this order in the input. The table keeps its
 * order: with another one the inputs of the corpus mean something else.
 */
struct form {
	const char *name;
	uint8_t code, opcode;
	const char *members;
};

static const struct form up = {"up", FUZZ_FS_UP, 0, "kfFsov"};

static const struct form forms[] = {
	{"lookup", FUZZ_FS_REQUEST, FUSE_LOOKUP, "na"},
	{"forget", FUZZ_FS_REQUEST, FUSE_FORGET, "nv"},
	{"getattr", FUZZ_FS_REQUEST, FUSE_GETATTR, "nFh"},
	{"setattr", FUZZ_FS_REQUEST, FUSE_SETATTR, "nhkFmpv"},
	{"readlink", FUZZ_FS_REQUEST, FUSE_READLINK, "n"},
	{"symlink", FUZZ_FS_REQUEST, FUSE_SYMLINK, "nab"},
	{"mknod", FUZZ_FS_REQUEST, FUSE_MKNOD, "namv"},
	{"mkdir", FUZZ_FS_REQUEST, FUSE_MKDIR, "nam"},
	{"unlink", FUZZ_FS_REQUEST, FUSE_UNLINK, "na"},
	{"rmdir", FUZZ_FS_REQUEST, FUSE_RMDIR, "na"},
	{"rename", FUZZ_FS_REQUEST, FUSE_RENAME, "naob"},
	{"link", FUZZ_FS_REQUEST, FUSE_LINK, "nob"},
	{"open", FUZZ_FS_REQUEST, FUSE_OPEN, "nfF"},
	{"read", FUZZ_FS_REQUEST, FUSE_READ, "hpsFw"},
	{"write", FUZZ_FS_REQUEST, FUSE_WRITE, "hpsFwv"},
	{"statfs", FUZZ_FS_REQUEST, FUSE_STATFS, "n"},
	{"release", FUZZ_FS_REQUEST, FUSE_RELEASE, "hFw"},
	{"fsync", FUZZ_FS_REQUEST, FUSE_FSYNC, "hF"},
	{"setxattr", FUZZ_FS_REQUEST, FUSE_SETXATTR, "nasfFv"},
	{"getxattr", FUZZ_FS_REQUEST, FUSE_GETXATTR, "nas"},
	{"listxattr", FUZZ_FS_REQUEST, FUSE_LISTXATTR, "ns"},
	{"removexattr", FUZZ_FS_REQUEST, FUSE_REMOVEXATTR, "na"},
	{"flush", FUZZ_FS_REQUEST, FUSE_FLUSH, "hw"},
	{"init", FUZZ_FS_REQUEST, FUSE_INIT, "kfov"},
	{"opendir", FUZZ_FS_REQUEST, FUSE_OPENDIR, "nf"},
	{"readdir", FUZZ_FS_REQUEST, FUSE_READDIR, "hps"},
	{"releasedir", FUZZ_FS_REQUEST, FUSE_RELEASEDIR, "h"},
	{"fsyncdir", FUZZ_FS_REQUEST, FUSE_FSYNCDIR, "hF"},
	{"getlk", FUZZ_FS_REQUEST, FUSE_GETLK, "hmpsFw"},
	{"setlk", FUZZ_FS_REQUEST, FUSE_SETLK, "hmpsFw"},
	{"setlkw", FUZZ_FS_REQUEST, FUSE_SETLKW, "hmpsFw"},
	{"access", FUZZ_FS_REQUEST, FUSE_ACCESS, "nk"},
	{"create", FUZZ_FS_REQUEST, FUSE_CREATE, "namfF"},
	{"interrupt", FUZZ_FS_REQUEST, FUSE_INTERRUPT, "v"},
	{"destroy", FUZZ_FS_REQUEST, FUSE_DESTROY, ""},
	{"batch_forget", FUZZ_FS_REQUEST, FUSE_BATCH_FORGET, "nv"},
	{"fallocate", FUZZ_FS_REQUEST, FUSE_FALLOCATE, "hmps"},
	{"readdirplus", FUZZ_FS_REQUEST, FUSE_READDIRPLUS, "hps"},
	{"rename2", FUZZ_FS_REQUEST, FUSE_RENAME2, "naobf"},
	{"lseek", FUZZ_FS_REQUEST, FUSE_LSEEK, "hpk"},
	{"copy_file_range", FUZZ_FS_REQUEST, FUSE_COPY_FILE_RANGE, "hHpsv"},
	{"syncfs", FUZZ_FS_REQUEST, FUSE_SYNCFS, "n"},
	{"tmpfile", FUZZ_FS_REQUEST, FUSE_TMPFILE, "nmf"},
	{"statx", FUZZ_FS_REQUEST, FUSE_STATX, "nFhk"},
	{"copy_file_range_64", FUZZ_FS_REQUEST, FUSE_COPY_FILE_RANGE_64, "hHpsv"},
	{"bmap", FUZZ_FS_REQUEST, FUSE_BMAP, "n"},
	{"setupmapping", FUZZ_FS_REQUEST, FUSE_SETUPMAPPING, "n"},
	{"unknown", FUZZ_FS_REQUEST, OPCODE_NONE, "n"},
	{"work", FUZZ_FS_WORK, 0, ""},
	{"caller", FUZZ_FS_CALLER, 0, "omv"},
	{"framing", FUZZ_FS_FRAMING, 0, "fv"},
	{"later", FUZZ_FS_LATER, 0, "v"},
	{"bend", FUZZ_FS_BEND, 0, "kpv"},
	{"raw", FUZZ_FS_RAW, 0, "knsB"},
	{"up", FUZZ_FS_UP, 0, "kfFsov"},
	{"queue_reset", FUZZ_FS_QUEUE_RESET, 0, "v"},
};

#define FORMS (sizeof(forms) / sizeof(forms[0]))

static const struct {
	char letter;
	const char *name;
	size_t at;
} members[] = {
	{'n', "node", offsetof(struct fuzz_fs_op, node)},
	{'o', "other", offsetof(struct fuzz_fs_op, other)},
	{'h', "handle", offsetof(struct fuzz_fs_op, handle)},
	{'H', "target", offsetof(struct fuzz_fs_op, target)},
	{'a', "name", offsetof(struct fuzz_fs_op, name)},
	{'b', "new_name", offsetof(struct fuzz_fs_op, new_name)},
	{'f', "flags", offsetof(struct fuzz_fs_op, flags)},
	{'F', "fuse_flags", offsetof(struct fuzz_fs_op, fuse_flags)},
	{'m', "mode", offsetof(struct fuzz_fs_op, mode)},
	{'k', "mask", offsetof(struct fuzz_fs_op, mask)},
	{'p', "offset", offsetof(struct fuzz_fs_op, offset)},
	{'s', "size", offsetof(struct fuzz_fs_op, size)},
	{'v', "value", offsetof(struct fuzz_fs_op, value)},
	{'w', "owner", offsetof(struct fuzz_fs_op, owner)},
	{'B', "bytes", offsetof(struct fuzz_fs_op, count)},
};

/* Its row of members. */
static unsigned member_of(char letter)
{
	unsigned i = 0;

	while (members[i].letter != letter)
		i++;
	return i;
}

struct input {
	const uint8_t *data;
	size_t size;
};

static uint8_t take(struct input *in)
{
	if (in->size == 0)
		return 0;
	in->size--;
	return *in->data++;
}

static void take_bytes(struct input *in, struct fuzz_fs_op *op)
{
	op->count %= FUZZ_FS_BYTES_MAX;
	if (op->count > in->size)
		op->count = (uint8_t)in->size;
	op->bytes = in->data;
	in->data += op->count;
	in->size -= op->count;
}

static struct fuzz_fs_op take_op(struct input *in, const struct form *form)
{
	struct fuzz_fs_op op = {.code = form->code, .opcode = form->opcode};

	for (const char *letter = form->members; *letter; letter++) {
		((uint8_t *)&op)[members[member_of(*letter)].at] = take(in);
		if (*letter == 'B')
			take_bytes(in, &op);
	}
	return op;
}

unsigned fuzz_fs_decode(const uint8_t *data, size_t size, struct fuzz_fs_op *ops)
{
	struct input in = {data, size};
	unsigned count = 0;

	ops[count++] = take_op(&in, &up);
	while (in.size > 0 && count < FUZZ_FS_OPS_MAX)
		ops[count++] = take_op(&in, &forms[take(&in) % FORMS]);
	return count;
}

static const struct form *form_of(const struct fuzz_fs_op *op)
{
	const struct form *form = forms;

	while (form->code != op->code || form->opcode != op->opcode)
		if (++form == forms + FORMS)
			return NULL;
	return form;
}

struct output {
	uint8_t *data;
	size_t size, room;
	bool failed;
};

static void put(struct output *out, uint8_t byte)
{
	if (out->size < out->room)
		out->data[out->size++] = byte;
	else
		out->failed = true;
}

static void put_op(struct output *out, const struct form *form, const struct fuzz_fs_op *op)
{
	struct fuzz_fs_op left = *op;

	for (const char *letter = form->members; *letter; letter++) {
		uint8_t *member = (uint8_t *)&left + members[member_of(*letter)].at;

		put(out, *member);
		for (unsigned i = 0; *letter == 'B' && i < *member; i++)
			put(out, op->bytes[i]);
		*member = 0;
	}
	/* What is not 0 now has no place in this form. */
	left.code = left.opcode = 0;
	left.bytes = NULL;
	for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++)
		out->failed |= ((uint8_t *)&left)[members[i].at] != 0;
}

size_t fuzz_fs_encode(const struct fuzz_fs_op *ops, unsigned count, uint8_t *data, size_t room)
{
	struct output out = {.data = data, .room = room};

	put_op(&out, &up, &ops[0]);
	for (unsigned i = 1; i < count; i++) {
		const struct form *form = form_of(&ops[i]);

		if (!form)
			return 0;
		put(&out, (uint8_t)(form - forms));
		put_op(&out, form, &ops[i]);
	}
	return out.failed ? 0 : out.size;
}

void fuzz_fs_print(FILE *out, const struct fuzz_fs_op *op)
{
	const struct form *form = form_of(op);

	fputs(form->name, out);
	for (const char *letter = form->members; *letter; letter++) {
		unsigned row = member_of(*letter);

		fprintf(out, " %s %u", members[row].name, ((const uint8_t *)op)[members[row].at]);
	}
	for (unsigned i = 0; i < op->count; i++)
		fprintf(out, " %02x", op->bytes[i]);
	fputc('\n', out);
}
