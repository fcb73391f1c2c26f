/* SPDX-License-Identifier: BSD-3-Clause */
/* Steps in words, and violations. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "tree_internal.h"

static const char *const names[] = {
	[FUSE_LOOKUP] = "lookup",
	[FUSE_FORGET] = "forget",
	[FUSE_GETATTR] = "getattr",
	[FUSE_SETATTR] = "setattr",
	[FUSE_READLINK] = "readlink",
	[FUSE_SYMLINK] = "symlink",
	[FUSE_MKNOD] = "mknod",
	[FUSE_MKDIR] = "mkdir",
	[FUSE_UNLINK] = "unlink",
	[FUSE_RMDIR] = "rmdir",
	[FUSE_RENAME] = "rename",
	[FUSE_LINK] = "link",
	[FUSE_OPEN] = "open",
	[FUSE_READ] = "read",
	[FUSE_WRITE] = "write",
	[FUSE_STATFS] = "statfs",
	[FUSE_RELEASE] = "release",
	[FUSE_FSYNC] = "fsync",
	[FUSE_SETXATTR] = "setxattr",
	[FUSE_GETXATTR] = "getxattr",
	[FUSE_LISTXATTR] = "listxattr",
	[FUSE_REMOVEXATTR] = "removexattr",
	[FUSE_FLUSH] = "flush",
	[FUSE_INIT] = "init",
	[FUSE_OPENDIR] = "opendir",
	[FUSE_READDIR] = "readdir",
	[FUSE_RELEASEDIR] = "releasedir",
	[FUSE_FSYNCDIR] = "fsyncdir",
	[FUSE_GETLK] = "getlk",
	[FUSE_SETLK] = "setlk",
	[FUSE_SETLKW] = "setlkw",
	[FUSE_ACCESS] = "access",
	[FUSE_CREATE] = "create",
	[FUSE_INTERRUPT] = "interrupt",
	[FUSE_DESTROY] = "destroy",
	[FUSE_BATCH_FORGET] = "batch_forget",
	[FUSE_FALLOCATE] = "fallocate",
	[FUSE_READDIRPLUS] = "readdirplus",
	[FUSE_RENAME2] = "rename2",
	[FUSE_LSEEK] = "lseek",
	[FUSE_COPY_FILE_RANGE] = "copy_file_range",
	[FUSE_SYNCFS] = "syncfs",
	[FUSE_TMPFILE] = "tmpfile",
	[FUSE_STATX] = "statx",
	[FUSE_COPY_FILE_RANGE_64] = "copy_file_range_64",
};

static const char *name_of(uint32_t opcode)
{
	const char *name = opcode < sizeof(names) / sizeof(names[0]) ? names[opcode] : NULL;

	return name ? name : "?";
}

void model_say(const struct model_step *s, char *out, size_t size)
{
	const struct vqsim_fs_args *a = s->args;
	int used = snprintf(out, size, "%s(node %" PRIu64, name_of(a->opcode), a->node);

#define MORE(...)                                                                       \
	do {                                                                            \
		if (used >= 0 && (size_t)used < size)                                   \
			used += snprintf(out + used, size - (size_t)used, __VA_ARGS__); \
	} while (0)
	if (a->name)
		MORE(", \"%.24s\"", a->name);
	if (a->target)
		MORE(" -> \"%.24s\"", a->target);
	if (a->new_name)
		MORE(", to %" PRIu64 " \"%.24s\"", a->new_parent, a->new_name);
	if (a->handle)
		MORE(", handle %" PRIu64, a->handle);
	if (a->mode)
		MORE(", mode 0%" PRIo32, a->mode);
	if (a->flags)
		MORE(", flags 0x%" PRIx32, a->flags);
	if (a->set)
		MORE(", set 0x%" PRIx32, a->set->valid);
	if (a->offset || a->size)
		MORE(", %" PRIu64 " bytes at %" PRIu64, a->size, a->offset);
	MORE(") uid %" PRIu32 " = %d", s->uid, s->result ? s->result->error : 0);
#undef MORE
}

static __attribute__((format(printf, 3, 0))) void
object(struct model_step *s, struct model_objection *objection, const char *format, va_list args)
{
	int used = snprintf(objection->words, sizeof(objection->words), "%s of node %" PRIu64 ": ",
			    name_of(s->args->opcode), s->args->node);

	vsnprintf(objection->words + used, sizeof(objection->words) - (size_t)used, format, args);
}

void model_wrong(struct model_step *s, enum vqsim_rule rule, const char *format, ...)
{
	struct vqsim_tree *tree = s->tree;
	struct model_objection objection = {.made = true, .rule = rule};
	va_list args;

	if (tree->objection && tree->objection->made)
		return;
	va_start(args, format);
	object(s, &objection, format, args);
	va_end(args);
	if (tree->objection) {
		*tree->objection = objection;
		return;
	}
	tree->wrong++;
	vqsim_referee_violation(tree->referee, rule, s->queue, "%s", objection.words);
	if (!tree->referee->sink && tree->wrong == 1)
		vqsim_tree_print(tree, stderr);
}

void vqsim_tree_print(const struct vqsim_tree *tree, FILE *out)
{
	uint64_t first =
		tree->step_count > VQSIM_TREE_STEPS ? tree->step_count - VQSIM_TREE_STEPS : 0;

	for (uint64_t i = first; i < tree->step_count; i++)
		fprintf(out, "  %s\n", tree->steps[i % VQSIM_TREE_STEPS]);
}
