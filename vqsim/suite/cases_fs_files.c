/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * File systems: what servers have got wrong with nodes, handles and names, whatever the files
 * are kept in.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <linux/virtio_ids.h>

#include "cases_internal.h"

#define ROOT       FUSE_ROOT_ID
#define ROUNDS     100u
#define NAMES      17u
#define INTERRUPTS 3u

static void begin(struct vqsim_suite *s)
{
	vqsim_suite_up(s);
	vqsim_suite_fs_begin(s);
}

static void still_works(struct vqsim_suite *s, const char *what)
{
	int error = vqsim_fs_getattr(&s->fs, ROOT, NULL, NULL);

	SUITE_EXPECT(s, error == 0, "GETATTR of the root works after %s (error %d)", what, error);
}

static void make_file(struct vqsim_suite *s, struct vqsim_fs_file *file)
{
	SUITE_EXPECT(s, vqsim_fs_create(&s->fs, ROOT, "file", O_RDWR, 0600, file) == 0, "a file");
}

/* Nodes and handles that nobody gave out */

/* Each operation on a handle must come back with an error. */
static void expect_no_handle(struct vqsim_suite *s, const struct vqsim_fs_file *file,
			     const char *what)
{
	static const uint32_t opcodes[] = {
		FUSE_READ,  FUSE_WRITE, FUSE_FLUSH,     FUSE_FSYNC,    FUSE_READDIR,
		FUSE_LSEEK, FUSE_SETLK, FUSE_FALLOCATE, FUSE_FSYNCDIR, FUSE_READDIRPLUS,
	};

	for (unsigned i = 0; i < sizeof(opcodes) / sizeof(opcodes[0]); i++) {
		const struct vqsim_fs_args args = {
			.opcode = opcodes[i],
			.node = file->node,
			.handle = file->handle,
			.size = 16,
			.lock = {.end = 9, .type = F_RDLCK, .pid = 1},
		};

		SUITE_EXPECT(s, vqsim_fs_call(&s->fs, &args, NULL) < 0,
			     "opcode %" PRIu32 " with %s gets an error", opcodes[i], what);
	}
	still_works(s, what);
}

/* The kind of a handle is another one, for some opcodes. */
static void expect_kind(struct vqsim_suite *s, const struct vqsim_fs_file *file,
			const struct vqsim_fs_file *dir)
{
	struct vqsim_fs_dirents dirents;
	uint8_t data[256];

	SUITE_EXPECT(s, vqsim_fs_read(&s->fs, dir, 0, data, 16) < 0,
		     "READ with a handle of a directory gets an error");
	SUITE_EXPECT(s, vqsim_fs_write(&s->fs, dir, 0, "x", 1) < 0,
		     "WRITE with a handle of a directory gets an error");
	SUITE_EXPECT(s, vqsim_fs_readdir(&s->fs, file, 0, data, sizeof(data), &dirents) < 0,
		     "READDIR with a handle of a file gets an error");
	vqsim_fs_flush(&s->fs, dir, 1);
	still_works(s, "handles of the wrong kind");
}

static void unknown_handles(struct vqsim_suite *s)
{
	static const uint64_t numbers[] = {0, 1, 2, 3, 0x7f0000001000, UINT64_MAX};
	struct vqsim_fs_file file, dir;

	begin(s);
	for (unsigned i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		const struct vqsim_fs_file none = {.node = ROOT, .handle = numbers[i]};

		expect_no_handle(s, &none, "a handle that was never given out");
		SUITE_EXPECT(s,
			     numbers[i] == ROOT ||
				     vqsim_fs_getattr(&s->fs, numbers[i], NULL, NULL) < 0,
			     "a node that was never given out gets an error");
	}
	make_file(s, &file);
	SUITE_EXPECT(s, vqsim_fs_opendir(&s->fs, ROOT, &dir) == 0, "OPENDIR works");
	expect_kind(s, &file, &dir);
	SUITE_EXPECT(s, vqsim_fs_releasedir(&s->fs, &dir) == 0, "RELEASEDIR works");
	s->fs.queue = 2;
	vqsim_fs_releasedir(&s->fs, &dir);
	SUITE_EXPECT(s, vqsim_fs_release(&s->fs, &file) == 0, "RELEASE works");
	vqsim_fs_release(&s->fs, &file);
	expect_no_handle(s, &file, "a handle that was released");
}

/* More look-ups than there are: the node goes, nothing else does. The root stays in any case. */
static void forget_too_much(struct vqsim_suite *s)
{
	static const uint64_t counts[] = {3, UINT64_C(1) << 63, UINT64_MAX};
	struct fuse_entry_out entry;

	begin(s);
	SUITE_EXPECT(s, vqsim_fs_mkdir(&s->fs, ROOT, "dir", 0700, &entry) == 0, "a directory");
	for (unsigned i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		vqsim_fs_forget(&s->fs, entry.nodeid, counts[i]);
		vqsim_fs_forget(&s->fs, entry.nodeid, counts[i]);
		vqsim_fs_forget(&s->fs, ROOT, counts[i]);
		vqsim_fs_forget(&s->fs, UINT64_MAX, counts[i]);
		still_works(s, "a FORGET of more than there was");
		SUITE_EXPECT(s, vqsim_fs_lookup(&s->fs, ROOT, "dir", &entry) == 0,
			     "a directory is found again after it was forgotten");
	}
}

/* Names */

/* One that is malformed: each opcode that takes a name must refuse it. */
static void refuse_name(struct vqsim_suite *s, const char *name, uint64_t dir)
{
	const struct vqsim_fs_args calls[] = {
		{.opcode = FUSE_LOOKUP},
		{.opcode = FUSE_MKNOD, .mode = S_IFREG | 0600},
		{.opcode = FUSE_MKDIR, .mode = 0700},
		{.opcode = FUSE_SYMLINK, .target = "x"},
		{.opcode = FUSE_UNLINK},
		{.opcode = FUSE_RMDIR},
		{.opcode = FUSE_CREATE, .flags = O_RDWR | O_CREAT, .mode = 0600},
		{.opcode = FUSE_RENAME, .new_parent = dir, .new_name = "other"},
		{.opcode = FUSE_LINK, .node = dir, .new_parent = dir, .new_name = name},
	};

	for (unsigned i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		struct vqsim_fs_args args = calls[i];

		args.name = name;
		args.node = args.node ? args.node : dir;
		SUITE_EXPECT(s, vqsim_fs_call(&s->fs, &args, NULL) < 0,
			     "opcode %" PRIu32 " refuses the name \"%.20s\"", args.opcode, name);
	}
	SUITE_EXPECT(s, vqsim_fs_rename(&s->fs, dir, "inner", dir, name) < 0,
		     "RENAME refuses the new name \"%.20s\"", name);
}

static void bad_names(struct vqsim_suite *s)
{
	static const char *const names[] = {"", ".", "..", "../dir", "a/b", "/", "inner/.", "./x"};
	struct fuse_entry_out dir;
	char name[300];

	begin(s);
	SUITE_EXPECT(s, vqsim_fs_mkdir(&s->fs, ROOT, "dir", 0700, &dir) == 0, "a directory");
	SUITE_EXPECT(s, vqsim_fs_mkdir(&s->fs, dir.nodeid, "inner", 0700, NULL) == 0,
		     "a directory in it");
	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		refuse_name(s, names[i], dir.nodeid);
	memset(name, 'n', sizeof(name));
	name[256] = '\0';
	refuse_name(s, name, dir.nodeid);
	SUITE_EXPECT(s, vqsim_fs_lookup(&s->fs, dir.nodeid, "inner", NULL) == 0,
		     "what was there stays as it was");
	still_works(s, "bad names");
}

/* A name of so many bytes, which says itself how many. */
static void name_of(unsigned size, char *name)
{
	memset(name, 'a', size);
	name[0] = (char)('A' + size % 26);
	name[size] = '\0';
}

/* Every entry says of its file what the file says. */
static void expect_same(struct vqsim_suite *s, const struct vqsim_fs_dirent *dirent, bool plus)
{
	struct fuse_entry_out entry;
	struct fuse_attr attr;

	if (dirent->name[0] == '.')
		return;
	SUITE_EXPECT(s, vqsim_fs_lookup(&s->fs, ROOT, dirent->name, &entry) == 0,
		     "the entry \"%s\" is found by its name", dirent->name);
	SUITE_EXPECT(s, vqsim_fs_getattr(&s->fs, entry.nodeid, NULL, &attr) == 0,
		     "\"%s\" has attributes", dirent->name);
	SUITE_EXPECT(s, attr.ino == dirent->ino && attr.ino == entry.attr.ino,
		     "\"%s\" has one inode number", dirent->name);
	SUITE_EXPECT(s, dirent->type == (attr.mode & S_IFMT) >> 12, "\"%s\" has one type",
		     dirent->name);
	if (plus)
		SUITE_EXPECT(s,
			     dirent->entry.nodeid == entry.nodeid &&
				     dirent->entry.attr.ino == attr.ino &&
				     dirent->entry.attr.mode == attr.mode &&
				     dirent->entry.attr.size == attr.size,
			     "READDIRPLUS says of \"%s\" what LOOKUP says", dirent->name);
}

static unsigned list(struct vqsim_suite *s, const struct vqsim_fs_file *dir, bool plus)
{
	struct vqsim_fs_dirent dirent = {.next = 0};
	struct vqsim_fs_dirents dirents;
	unsigned count = 0;
	uint8_t data[1024];
	int64_t size;

	do {
		uint64_t at = dirent.next;

		size = plus ? vqsim_fs_readdirplus(&s->fs, dir, at, data, sizeof(data), &dirents)
			    : vqsim_fs_readdir(&s->fs, dir, at, data, sizeof(data), &dirents);
		SUITE_EXPECT(s, size >= 0, "a directory is read from %" PRIu64 " on", at);
		while (vqsim_fs_dirents_next(&dirents, &dirent)) {
			expect_same(s, &dirent, plus);
			count += dirent.name[0] != '.';
		}
	} while (size > 0 && count < 4 * NAMES);
	return count;
}

static void dirents(struct vqsim_suite *s)
{
	struct vqsim_fs_dirents entries;
	struct vqsim_fs_file dir;
	uint8_t data[1024];
	char name[256];

	begin(s);
	for (unsigned i = 1; i <= NAMES; i++) {
		name_of(i == NAMES ? 255 : i, name);
		SUITE_EXPECT(s, vqsim_fs_mknod(&s->fs, ROOT, name, S_IFREG | 0600, 0, NULL) == 0,
			     "a file with a name of %zu bytes", strlen(name));
	}
	SUITE_EXPECT(s, vqsim_fs_opendir(&s->fs, ROOT, &dir) == 0, "OPENDIR works");
	SUITE_EXPECT(s, list(s, &dir, false) == NAMES, "READDIR gives each of %u files once",
		     NAMES);
	if (s->fs.flags & FUSE_DO_READDIRPLUS)
		SUITE_EXPECT(s, list(s, &dir, true) == NAMES,
			     "READDIRPLUS gives each of %u files once", NAMES);
	for (unsigned bit = 62; bit < 64; bit++)
		vqsim_fs_readdir(&s->fs, &dir, UINT64_MAX >> (63 - bit), data, sizeof(data),
				 &entries);
	SUITE_EXPECT(s, vqsim_fs_releasedir(&s->fs, &dir) == 0, "RELEASEDIR works");
	still_works(s, "READDIR far behind the end");
}

/* Files */

/* Nothing of the host is opened for a special file; and no request hangs. */
static void special_files(struct vqsim_suite *s)
{
	struct vqsim_fs_file file;
	struct fuse_entry_out entry;

	begin(s);
	SUITE_EXPECT(s, vqsim_fs_mknod(&s->fs, ROOT, "fifo", S_IFIFO | 0600, 0, &entry) == 0,
		     "a fifo");
	SUITE_EXPECT(s, vqsim_fs_open(&s->fs, entry.nodeid, O_RDONLY, &file) < 0,
		     "OPEN of a fifo gets an error");
	SUITE_EXPECT(s, vqsim_fs_create(&s->fs, ROOT, "fifo", O_WRONLY, 0600, &file) < 0,
		     "CREATE over a fifo gets an error");
	if (vqsim_fs_mknod(&s->fs, ROOT, "null", S_IFCHR | 0600, 0x103, &entry) == 0)
		SUITE_EXPECT(s, vqsim_fs_open(&s->fs, entry.nodeid, O_RDWR, &file) < 0,
			     "OPEN of a device gets an error");
	still_works(s, "special files");
}

static void create_exclusive(struct vqsim_suite *s)
{
	struct vqsim_fs_file first, second;
	int error;

	begin(s);
	SUITE_EXPECT(s, vqsim_fs_create(&s->fs, ROOT, "file", O_RDWR | O_EXCL, 0600, &first) == 0,
		     "CREATE with O_EXCL of what is not there");
	error = vqsim_fs_create(&s->fs, ROOT, "file", O_RDWR | O_EXCL, 0600, &second);
	SUITE_EXPECT(s, error == -EEXIST, "CREATE with O_EXCL of what is there says so (error %d)",
		     error);
	SUITE_EXPECT(s,
		     vqsim_fs_create(&s->fs, ROOT, "file", O_RDWR, 0600, &second) == 0 &&
			     second.node == first.node,
		     "CREATE without O_EXCL opens what is there");
	SUITE_EXPECT(s, vqsim_fs_symlink(&s->fs, ROOT, "link", "/etc/passwd", NULL) == 0, "a link");
	SUITE_EXPECT(s, vqsim_fs_create(&s->fs, ROOT, "link", O_RDWR, 0600, &second) < 0,
		     "CREATE follows no link");
}

static void interrupt(struct vqsim_suite *s, uint64_t unique)
{
	struct vqsim_fs_request *request = vqsim_suite_fs_request(s);

	vqsim_fs_make(&s->fs, request,
		      &(struct vqsim_fs_args){.opcode = FUSE_INTERRUPT, .unique = unique});
	vqsim_fs_do(&s->fs, VQSIM_FS_HIPRIO, request);
	SUITE_EXPECT(s, request->done, "INTERRUPT is used");
}

/* Several for one request, and of what is not there: the request comes back, once. */
static void interrupts(struct vqsim_suite *s)
{
	const struct fuse_file_lock lock = {.end = 9, .type = F_WRLCK, .pid = 1};
	struct vqsim_fs_request *waiting;
	struct vqsim_fs_file file;

	begin(s);
	if (!(s->fs.flags & FUSE_POSIX_LOCKS))
		vqsim_suite_not_observable(s, "no request of this device waits");
	make_file(s, &file);
	SUITE_EXPECT(s, vqsim_fs_setlk(&s->fs, &file, 1, &lock, 0) == 0, "a lock");
	waiting = vqsim_suite_fs_request(s);
	vqsim_fs_make(&s->fs, waiting,
		      &(struct vqsim_fs_args){.opcode = FUSE_SETLKW,
					      .node = file.node,
					      .handle = file.handle,
					      .lock_owner = 2,
					      .lock = lock});
	SUITE_EXPECT(s, vqsim_fs_submit(&s->fs, 1, waiting) >= 0, "room for a lock");
	vqsim_guest_publish(&s->guest, 1);
	vqsim_guest_run(&s->guest, 1);
	for (unsigned i = 0; i < INTERRUPTS; i++) {
		interrupt(s, s->fs.next_unique);
		interrupt(s, waiting->unique);
	}
	for (unsigned i = 0; i < ROUNDS && !waiting->done; i++) {
		vqsim_guest_run(&s->guest, 1);
		vqsim_fs_reap(&s->fs, 1);
	}
	SUITE_EXPECT(s, waiting->done && waiting->result.error == -EINTR,
		     "a lock that waits is interrupted (error %d)", waiting->result.error);
	still_works(s, "interrupts");
}

#define FS .device_id = VIRTIO_ID_FS, .scope = VQSIM_EACH_FORMAT

const struct vqsim_case vqsim_cases_fs_files[] = {
	{.name = "fs_unknown_handles",
	 .clauses = "FS-DX-10",
	 .bugs = "FS-04 FS-16 FS-20 P9-05",
	 FS,
	 .run = unknown_handles},
	{.name = "fs_forget_too_much",
	 .clauses = "FS-DX-10",
	 .bugs = "FS-38",
	 FS,
	 .run = forget_too_much},
	{.name = "fs_bad_names",
	 .clauses = "FS-DX-10",
	 .bugs = "FS-05 FS-07 FS-08 P9-02",
	 FS,
	 .run = bad_names},
	{.name = "fs_dirents",
	 .clauses = "FS-DX-04",
	 .bugs = "FS-31 FS-32 FS-34",
	 FS,
	 .run = dirents},
	{.name = "fs_special_files",
	 .clauses = "FS-DX-10",
	 .bugs = "FS-10 P9-01",
	 FS,
	 .run = special_files},
	{.name = "fs_create_exclusive",
	 .clauses = "FS-DX-04",
	 .bugs = "FS-41",
	 FS,
	 .run = create_exclusive},
	{.name = "fs_interrupts", .clauses = "FS-DX-06", .bugs = "P9-08", FS, .run = interrupts},
	{.name = NULL},
};
