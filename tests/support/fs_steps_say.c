/* SPDX-License-Identifier: BSD-3-Clause */
/* Steps as calls of C. Each has a format of the printf kind of its own:
 *
 *   %a %b %c  slots    %n %o  names    %m  mode    %f  flags    %s %p  size and offset    %x  x
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "fs_steps.h"

static const char *const formats[DO_WHATS] = {
	[DO_LOOKUP] = "n[%c] = lookup(n[%a], \"%n\")",
	[DO_FORGET] = "forget(n[%c])",
	[DO_STALE] = "getattr(the node that was forgotten last)",
	[DO_GETATTR] = "getattr(n[%a])",
	[DO_FGETATTR] = "fgetattr(f[%b])",
	[DO_STATX] = "statx(n[%a])",
	[DO_CHMOD] = "chmod(n[%a], %m)",
	[DO_CHOWN] = "chown(n[%a], to caller %x, keep %f)",
	[DO_TRUNCATE] = "truncate(n[%a], %s)",
	[DO_FTRUNCATE] = "ftruncate(f[%b], %s)",
	[DO_UTIMENS] = "utimens(n[%a], %x, FATTR %f)",
	[DO_READLINK] = "readlink(n[%a])",
	[DO_ACCESS] = "access(n[%a], %m)",
	[DO_SYMLINK] = "n[%c] = symlink(n[%a], \"%n\", target %x)",
	[DO_MKNOD] = "n[%c] = mknod(n[%a], \"%n\", %m)",
	[DO_MKDIR] = "n[%c] = mkdir(n[%a], \"%n\", %m)",
	[DO_UNLINK] = "unlink(n[%a], \"%n\")",
	[DO_RMDIR] = "rmdir(n[%a], \"%n\")",
	[DO_RENAME] = "rename(n[%a], \"%n\", n[%b], \"%o\", %f)",
	[DO_LINK] = "link(n[%a], n[%b], \"%o\")",
	[DO_OPEN] = "f[%b] = open(n[%a], %f)",
	[DO_CREATE] = "n[%c], f[%b] = create(n[%a], \"%n\", %f, %m)",
	[DO_TMPFILE] = "n[%c], f[%b] = tmpfile(n[%a], %f, %m)",
	[DO_RELEASE] = "close(f[%b])",
	[DO_READ] = "pread(f[%b], %s, at %p)",
	[DO_WRITE] = "pwrite(f[%b], bytes %x, %s, at %p)",
	[DO_FALLOCATE] = "fallocate(f[%b], %f, at %p, %s)",
	[DO_LSEEK] = "lseek(f[%b], %p, %f)",
	[DO_COPY] = "copy_file_range(f[%b], at %p, f[%a], at %x * 100, %s)",
	[DO_FSYNC] = "fsync(f[%b])",
	[DO_FLUSH] = "flush(f[%b], owner %x)",
	[DO_SETXATTR] = "setxattr(n[%a], name %n, bytes %x, %s, %f)",
	[DO_GETXATTR] = "getxattr(n[%a], name %n, %s)",
	[DO_LISTXATTR] = "listxattr(n[%a], %s)",
	[DO_REMOVEXATTR] = "removexattr(n[%a], name %n)",
	[DO_OPENDIR] = "d[%b] = opendir(n[%a])",
	[DO_READDIR] = "readdir(d[%b], %s)",
	[DO_READDIRPLUS] = "readdirplus(d[%b], %s)",
	[DO_REWIND] = "rewinddir(d[%b])",
	[DO_RELEASEDIR] = "closedir(d[%b])",
	[DO_GETLK] = "getlk(f[%b], owner %x, type %m, at %p, %s)",
	[DO_SETLK] = "setlk(f[%b], owner %x, type %m, at %p, %s)",
	[DO_FLOCK] = "flock(f[%b], owner %x, type %m)",
	[DO_SETLKW] = "setlkw(f[%b], owner %x, type %m, at %p, %s)",
	[DO_LIST] = "list(n[%a], %s, plus %x)",
	[DO_STATFS] = "statfs(n[%a])",
};

static unsigned slot_b(const struct fs_step *step)
{
	const char *format = formats[step->what];

	if (strstr(format, "f[%b]"))
		return step->b % FS_FILES;
	return strstr(format, "d[%b]") ? step->b % FS_LISTS : step->b;
}

static unsigned slot_a(const struct fs_step *step)
{
	return step->what == DO_COPY ? step->a % FS_FILES : step->a;
}

static int say_one(const struct fs_step *step, char what, char *out, size_t size)
{
	switch (what) {
	case 'a':
		return snprintf(out, size, "%u", slot_a(step));
	case 'b':
		return snprintf(out, size, "%u", slot_b(step));
	case 'c':
		return snprintf(out, size, "%u", step->c);
	case 'n':
		return snprintf(out, size, "%.3s", fs_step_name(step->name));
	case 'o':
		return snprintf(out, size, "%.3s", fs_step_name(step->other));
	case 'm':
		return snprintf(out, size, "0%" PRIo32, step->mode);
	case 'f':
		return snprintf(out, size, "0x%" PRIx32, step->flags);
	case 's':
		return snprintf(out, size, "%" PRIu64, step->size);
	case 'p':
		return snprintf(out, size, "%" PRIu64, step->offset);
	default:
		return snprintf(out, size, "%" PRIu32, step->x);
	}
}

void fs_step_say(const struct fs_step *step, char *out, size_t size)
{
	size_t used = 0;

	for (const char *at = formats[step->what]; *at && used + 16 < size; at++) {
		if (*at == '%')
			used += (size_t)say_one(step, *++at, out + used, size - used);
		else
			out[used++] = *at;
	}
	snprintf(out + used, size - used, "; /* caller %u */", step->who);
}
