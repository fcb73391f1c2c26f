/* SPDX-License-Identifier: BSD-3-Clause */
/* `vqsim serve` as its users meet it: command line, socket, signals, and a guest that uses the disk. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/support/served.h"

#define BLK    "serve", "blk"
#define FS     "serve", "fs"
#define SOCKET "--socket", "s"
#define RAM    BLK, "--store", "ram:1M", SOCKET

static const struct command_bad bad_words[] = {
	{{"serve"}, "a device is missing; try 'vqsim serve --help'"},
	{{"serve", "tape"}, "unknown device 'tape'"},
	{{BLK, SOCKET}, "--store is missing; give --store ram:SIZE or --store file:PATH"},
	{{BLK, "--store", "ram:1M"}, "--socket is missing; give --socket PATH"},
	{{BLK, "--store", "tape:1"}, "unknown store 'tape:1'"},
	{{BLK, "--store", "file:missing", SOCKET}, "cannot open image 'missing': No such file"},
	{{BLK, "--store", "file:folder", SOCKET}, "'folder' is a directory"},
	{{BLK, "--store", "file:protected", SOCKET},
	 "image 'protected' is read-only; give --read-only, or one that can be written"},
	{{RAM, "extra"}, "unexpected word 'extra'"},
	{{RAM, "--queues", "0"}, "--queues cannot be '0'; give a number from 1 to 64"},
	{{RAM, "--queue-size", "100"}, "give a power of two from 8 to 32768"},
	{{RAM, "--queue-size", "65536"}, "--queue-size cannot be '65536'"},
	{{RAM, "--features", "turbo"}, "unknown feature 'turbo'"},
	{{RAM, "--id", "123456789012345678901"}, "give at most 20 bytes"},
	{{RAM, "--fd", "3"}, "--socket and --fd are both places to listen"},
	{{BLK, "--store", "ram:1M", "--fd", "one"}, "--fd cannot be 'one'"},
	{{BLK, "--store", "ram:1M", "--fd", "99"}, "--fd 99 is not a unix stream socket that"},
	{{BLK, "--store", "ram:1M", "--socket", ""}, "--socket cannot be ''"},
	{{BLK, "--store", "ram:1M", "--socket", "image"}, "'image' exists and is not a socket"},
	{{BLK, "--store", "ram:1M", "--socket", "none/s"}, "cannot listen on 'none/s': No such"},
	{{FS, SOCKET}, "--tree is missing; give --tree dir:PATH or --tree ram"},
	{{FS, "--tree", "tape", SOCKET}, "unknown tree 'tape'; give dir:PATH or ram"},
	{{FS, "--tree", "dir:image", SOCKET}, "tree 'image': Not a directory"},
	{{FS, "--tree", "dir:missing", SOCKET}, "tree 'missing': No such file or directory"},
	{{FS, "--tree", "ram", "--tag", "", SOCKET}, "--tag cannot be ''; give 1 to 36 bytes"},
	{{FS, "--tree", "ram", "--store", "ram:1M"}, "option '--store' is unknown"},
};

static bool exists(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0;
}

static void bad_words_are_refused(void **state)
{
	(void)state;
	command_check_bad(bad_words, sizeof(bad_words) / sizeof(bad_words[0]));
	assert_false(exists("s"));
}

static void help_names_the_options(void **state)
{
	static const char *const devices[] = {"blk", "fs"};
	struct command_outcome outcome;

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		COMMAND(&outcome, "serve", devices[i], "--help");
		assert_int_equal(outcome.status, 0);
		assert_non_null(strstr(outcome.out, "--socket PATH"));
		assert_non_null(strstr(outcome.out, "--no-sandbox"));
		assert_string_equal(outcome.err, "");
	}
}

/* Each signal ends it, with and without walls, and nothing is left behind. */
static void it_ends_when_it_is_told(void **state)
{
	static const int numbers[] = {SIGTERM, SIGINT};
	struct served served;

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		if (i < 2)
			SERVED(&served, "blk", "--store", "ram:1M", SOCKET);
		else
			SERVED(&served, "fs", "--tree", "dir:folder", SOCKET, "--no-sandbox");
		assert_true(exists("s"));
		assert_int_equal(served_end(&served, numbers[i % 2]), 0);
		assert_false(exists("s"));
		assert_int_equal(strstr(served.text, "sandbox: ") != NULL, i < 2);
	}
	assert_non_null(strstr(served.text, "serving fs:dir:folder as vqsim on s\n"));
}

static void a_socket_in_use_is_left_alone(void **state)
{
	struct command_outcome outcome;
	struct served served;

	(void)state;
	SERVED(&served, "blk", "--store", "ram:1M", SOCKET);
	COMMAND(&outcome, RAM);
	assert_int_equal(outcome.status, 2);
	assert_non_null(strstr(outcome.err, "somebody listens on 's'; give another path"));
	assert_true(exists("s"));
	assert_int_equal(served_end(&served, SIGTERM), 0);
}

/* Killed, it leaves its socket; nobody serves any more, and the next server takes its place. */
static void a_socket_that_was_left_is_replaced(void **state)
{
	struct served_guest guest;
	struct served served;

	(void)state;
	SERVED(&served, "blk", "--store", "ram:1M", SOCKET);
	assert_int_equal(served_end(&served, SIGKILL), -SIGKILL);
	assert_true(exists("s"));
	SERVED(&served, "blk", "--store", "ram:1M", SOCKET);
	served_guest_up(&guest, "s");
	served_guest_write(&guest, 8, 'x');
	served_guest_down(&guest);
	assert_int_equal(served_end(&served, SIGTERM), 0);
}

/* Whoever put something else there meanwhile keeps it. */
static void only_its_own_socket_is_removed(void **state)
{
	struct served served;

	(void)state;
	SERVED(&served, "blk", "--store", "ram:1M", SOCKET);
	assert_int_equal(rename("s", "moved"), 0);
	assert_int_equal(mkfifo("s", 0600), 0);
	assert_int_equal(served_end(&served, SIGTERM), 0);
	assert_true(exists("s"));
	assert_int_equal(unlink("s"), 0);
	assert_int_equal(unlink("moved"), 0);
}

static void a_listening_socket_is_inherited(void **state)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "inherited"};
	struct served_guest guest;
	struct served served;
	char number[16];
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	(void)state;
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, 1), 0);
	snprintf(number, sizeof(number), "%d", fd);
	SERVED(&served, "blk", "--store", "ram:1M", "--fd", number, "--once");
	close(fd);
	served_guest_up(&guest, "inherited");
	served_guest_down(&guest);
	assert_int_equal(served_end(&served, 0), 0);
	assert_int_equal(unlink("inherited"), 0);
}

/* Both ends of a pipe: what it inherited and was not told of is closed in the sandbox. */
static void nothing_else_is_inherited(void **state)
{
	struct pollfd end = {.events = POLLIN};
	struct served served;
	int ends[2];

	(void)state;
	assert_int_equal(pipe(ends), 0);
	assert_true(fcntl(ends[0], F_SETFD, FD_CLOEXEC) == 0);
	SERVED(&served, "blk", "--store", "ram:1M", SOCKET);
	close(ends[1]);
	end.fd = ends[0];
	assert_int_equal(poll(&end, 1, 0), 1);
	close(ends[0]);
	assert_int_equal(served_end(&served, SIGTERM), 0);
}

static void once_ends_with_the_first_frontend(void **state)
{
	struct served_guest guest;
	struct served served;

	(void)state;
	SERVED(&served, "blk", "--store", "file:image", SOCKET, "--once", "--queues", "4");
	served_guest_up(&guest, "s");
	served_says(&served, "\nconnected\n");
	served_guest_down(&guest);
	assert_int_equal(served_end(&served, 0), 0);
	assert_non_null(strstr(served.text, "\ndisconnected\n"));
}

static uint8_t byte_of_image(off_t offset)
{
	int fd = open("image", O_RDONLY);
	uint8_t byte;

	assert_int_equal(pread(fd, &byte, 1, offset), 1);
	close(fd);
	return byte;
}

/* A frontend that is still there when it ends has what it was told in the image. */
static void what_was_acknowledged_is_in_the_image(void **state)
{
	static const char *const walls[] = {NULL, "--no-sandbox"};
	struct served_guest guest;
	struct served served;

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		SERVED(&served, "blk", "--store", "file:image", SOCKET, walls[i]);
		served_guest_up(&guest, "s");
		served_guest_write(&guest, 16, (uint8_t)(0xa0 + i));
		served_guest_read(&guest, 16, (uint8_t)(0xa0 + i));
		assert_int_equal(served_end(&served, SIGTERM), 0);
		served_guest_down(&guest);
		assert_int_equal(byte_of_image(16 * 512 + 4095), 0xa0 + i);
	}
}

static void frontends_are_served_one_after_the_other(void **state)
{
	struct served_guest guest;
	struct served served;

	(void)state;
	SERVED(&served, "blk", "--store", "ram:1M", SOCKET);
	for (unsigned i = 0; i < 3; i++) {
		served_guest_up(&guest, "s");
		served_guest_read(&guest, 0, (uint8_t)i);
		served_guest_write(&guest, 0, (uint8_t)(i + 1));
		served_guest_down(&guest);
	}
	assert_int_equal(served_end(&served, SIGTERM), 0);
}

/* BLK-D-05: the guest is told, and finds the new size. */
static void a_resize_reaches_the_guest(void **state)
{
	struct served_guest guest;
	struct served served;
	unsigned turns = 0;

	(void)state;
	SERVED(&served, "blk", "--store", "file:image", SOCKET);
	served_guest_up(&guest, "s");
	assert_int_equal(guest.blk.capacity, COMMAND_IMAGE_SIZE / 512);
	assert_int_equal(truncate("image", 2 * COMMAND_IMAGE_SIZE), 0);
	assert_int_equal(kill(served.pid, SIGHUP), 0);
	do {
		usleep(1000);
		vqsim_blk_reread(&guest.blk);
	} while ((guest.blk.capacity == COMMAND_IMAGE_SIZE / 512 ||
		  guest.guest.link.config_notifications == 0) &&
		 ++turns < 20000);
	assert_int_equal(guest.blk.capacity, 2 * COMMAND_IMAGE_SIZE / 512);
	served_guest_write(&guest, COMMAND_IMAGE_SIZE / 512, 'y');
	assert_true(guest.guest.link.config_notifications > 0);
	served_guest_down(&guest);
	assert_int_equal(served_end(&served, SIGTERM), 0);
	assert_int_equal(truncate("image", COMMAND_IMAGE_SIZE), 0);
}

static void read_only_is_told_and_kept(void **state)
{
	struct served_guest guest;
	struct served served;

	(void)state;
	SERVED(&served, "blk", "--store", "file:protected", "--read-only", SOCKET);
	served_guest_up(&guest, "s");
	assert_true(guest.guest.features & VIRTIO_FEATURE(VIRTIO_BLK_F_RO));
	served_guest_down(&guest);
	assert_int_equal(served_end(&served, SIGTERM), 0);
}

static void features_can_be_left_out(void **state)
{
	struct served_guest guest;
	struct served served;

	(void)state;
	SERVED(&served, "blk", "--store", "ram:1M", SOCKET, "--features", "-flush,-discard");
	served_guest_up(&guest, "s");
	assert_false(guest.guest.features & VIRTIO_FEATURE(VIRTIO_BLK_F_FLUSH));
	assert_false(guest.guest.features & VIRTIO_FEATURE(VIRTIO_BLK_F_DISCARD));
	assert_true(guest.guest.features & VIRTIO_FEATURE(VIRTIO_BLK_F_WRITE_ZEROES));
	served_guest_down(&guest);
	assert_int_equal(served_end(&served, SIGTERM), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bad_words_are_refused),
		cmocka_unit_test(help_names_the_options),
		cmocka_unit_test(it_ends_when_it_is_told),
		cmocka_unit_test(a_socket_in_use_is_left_alone),
		cmocka_unit_test(a_socket_that_was_left_is_replaced),
		cmocka_unit_test(only_its_own_socket_is_removed),
		cmocka_unit_test(a_listening_socket_is_inherited),
		cmocka_unit_test(nothing_else_is_inherited),
		cmocka_unit_test(once_ends_with_the_first_frontend),
		cmocka_unit_test(what_was_acknowledged_is_in_the_image),
		cmocka_unit_test(frontends_are_served_one_after_the_other),
		cmocka_unit_test(a_resize_reaches_the_guest),
		cmocka_unit_test(read_only_is_told_and_kept),
		cmocka_unit_test(features_can_be_left_out),
	};

	return cmocka_run_group_tests_name("cli_serve", tests, command_setup, command_teardown);
}
