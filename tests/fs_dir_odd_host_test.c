/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The tree on a host directory of a file system that is not like most: names longer than
 * FS_NAME_MAX, as vfat, NTFS and FUSE servers have them, and no birth times. It is a FUSE server of
 * this test: a directory where a name of digits is a file with that inode number, and
 * a list of one very long name. As root, where one can mount.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "devices/fs/fuse_wire.h"
#include "tests/support/dir_share.h"

#define FD_MAX    32u
#define LONG_NAME 1000u
#define LONG_INO  2u
#define INO_MAX   1000u

static struct dir_share share;

#define OPS (share.client.tree->ops)

/* --- the server --- */

struct request {
	struct fuse_in_header head;
	unsigned char body[8192];
};

static void reply(int fuse, const struct request *request, int error, const void *body, size_t size)
{
	unsigned char bytes[4096];
	struct fuse_out_header head = {
		.len = (uint32_t)(sizeof(head) + size),
		.error = error,
		.unique = request->head.unique,
	};

	memcpy(bytes, &head, sizeof(head));
	if (size > 0)
		memcpy(bytes + sizeof(head), body, size);
	if (write(fuse, bytes, head.len) < 0)
		_exit(1);
}

static struct fuse_attr attr_of(uint64_t id)
{
	return (struct fuse_attr){
		.ino = id % INO_MAX,
		.mode = id == FUSE_ROOT_ID ? S_IFDIR | 0755 : S_IFREG | 0644,
		.nlink = 1,
	};
}

static void reply_entries(int fuse, const struct request *request)
{
	struct {
		struct fuse_dirent head;
		char name[LONG_NAME];
	} entry = {.head = {.ino = LONG_INO, .off = 1, .namelen = LONG_NAME, .type = DT_REG}};
	struct fuse_read_in in;

	memcpy(&in, request->body, sizeof(in));
	memset(entry.name, 'n', sizeof(entry.name));
	reply(fuse, request, 0, &entry, in.offset == 0 ? sizeof(entry) : 0);
}

/* Each look-up finds another file, for the kernel, too. */
static void reply_found(int fuse, const struct request *request)
{
	static uint64_t look_ups;
	uint64_t ino = strtoul((const char *)request->body, NULL, 10);
	struct fuse_entry_out entry = {.nodeid = ++look_ups * INO_MAX + (ino ? ino : LONG_INO)};

	entry.attr = attr_of(entry.nodeid);
	reply(fuse, request, 0, &entry, sizeof(entry));
}

static void answer(int fuse, const struct request *request)
{
	struct fuse_init_out init = {.major = 7, .minor = 31, .max_write = 4096};
	struct fuse_attr_out attr = {.attr = attr_of(request->head.nodeid)};
	struct fuse_open_out open = {.fh = 1};

	switch (request->head.opcode) {
	case FUSE_INIT:
		reply(fuse, request, 0, &init, sizeof(init));
		break;
	case FUSE_LOOKUP:
		reply_found(fuse, request);
		break;
	case FUSE_GETATTR:
		reply(fuse, request, 0, &attr, sizeof(attr));
		break;
	case FUSE_OPENDIR:
		reply(fuse, request, 0, &open, sizeof(open));
		break;
	case FUSE_READDIR:
		reply_entries(fuse, request);
		break;
	case FUSE_RELEASEDIR:
	case FUSE_UNLINK:
		reply(fuse, request, 0, NULL, 0);
		break;
	case FUSE_FORGET:
	case FUSE_BATCH_FORGET:
	case FUSE_INTERRUPT:
		break;
	default:
		reply(fuse, request, -ENOSYS, NULL, 0);
	}
}

/* Until it is unmounted. */
static void serve(int fuse)
{
	static struct request request;
	ssize_t size;

	/* Nor longer than the test, if that dies. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	while ((size = read(fuse, &request, sizeof(request))) > 0 || errno == EINTR)
		if (size > 0)
			answer(fuse, &request);
	_exit(0);
}

/* Mounts it on TOP/share, with few descriptors for the tree; skips the test where the kernel has no FUSE. */
static pid_t begin(void)
{
	int fuse = open("/dev/fuse", O_RDWR);
	char options[64];
	pid_t server;

	if (fuse < 0)
		skip();
	share_begin(&share);
	snprintf(options, sizeof(options), "fd=%d,rootmode=40000,user_id=0,group_id=0", fuse);
	assert_int_equal(mount("long", "share", "fuse", MS_NOSUID | MS_NODEV, options), 0);
	server = fork();
	assert_true(server >= 0);
	if (server == 0)
		serve(fuse);
	close(fuse);
	share_serve(&share, &(struct fs_tree_dir_options){.fd_max = FD_MAX});
	return server;
}

static void end(pid_t server)
{
	int status;

	OPS->destroy(share.client.tree);
	share.client.tree = NULL;
	assert_int_equal(umount("share"), 0);
	assert_int_equal(waitpid(server, &status, 0), server);
	share_end(&share);
}

/* --- the tests --- */

static unsigned listed;

static bool count_entry(struct fs_call *call, const struct fs_dirent *dirent,
			const struct fs_entry *entry)
{
	(void)call, (void)dirent, (void)entry;
	listed++;
	return true;
}

static void a_name_that_is_too_long_for_the_guest_is_not_listed(void **state)
{
	struct tree_file dir;
	pid_t server;

	(void)state;
	share_need_mounts();
	server = begin();
	assert_int_equal(tree_open(&share.client, "", O_DIRECTORY, 0, &dir), 0);
	tree_begin(&share.client, FS_ROOT)->handle = dir.handle;
	share.client.call.add = count_entry;
	listed = 0;
	assert_int_equal(tree_run(&share.client, OPS->readdir), 0);
	assert_int_equal(tree_run(&share.client, OPS->readdirplus), 0);
	assert_int_equal(listed, 0);
	/* Ids are easy to guess: no look-up was counted that the guest does not know of. */
	for (uint64_t node = FS_ROOT + 1; node < FS_ROOT + 8; node++) {
		tree_begin(&share.client, node);
		assert_int_equal(tree_run(&share.client, OPS->getattr), -ESTALE);
	}
	assert_int_equal(tree_close(&share.client, &dir), 0);
	end(server);
}

static uint64_t look_up_and_remove(unsigned number)
{
	char name[16];
	uint64_t node;

	snprintf(name, sizeof(name), "%u", number);
	assert_int_equal(tree_walk(&share.client, name, &node), 0);
	assert_int_equal(tree_unlink(&share.client, name), 0);
	return node;
}

/*
 * The guest still has the node of what it removed, but its descriptor was given up, as that of many
 * others: the number may be a new file's by now, and nothing else would tell.
 */
static void a_number_of_what_was_removed_is_another_file(void **state)
{
	uint64_t first;
	pid_t server;

	(void)state;
	share_need_mounts();
	server = begin();
	first = look_up_and_remove(10);
	for (unsigned i = 0; i < 2 * FD_MAX; i++)
		look_up_and_remove(11 + i);
	assert_true(look_up_and_remove(10) != first);
	end(server);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_name_that_is_too_long_for_the_guest_is_not_listed),
		cmocka_unit_test(a_number_of_what_was_removed_is_another_file),
	};

	return SHARE_RUN(tests);
}
