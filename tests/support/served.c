/* SPDX-License-Identifier: BSD-3-Clause */
#include "served.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vqsim/remote.h"

/* For whatever it is, on a machine with much else to do. */
#define PATIENCE_MS 20000

#define MEMORY_GPA  UINT64_C(0x100000)
#define MEMORY_SIZE (UINT64_C(1) << 20)
#define BLOCK       4096u

static void be_server(int out, const char *const *args)
{
	char *argv[COMMAND_ARGS_MAX + 3] = {(char *)"vqsim", (char *)"serve"};

	for (unsigned i = 0; i < COMMAND_ARGS_MAX && args[i]; i++)
		argv[i + 2] = (char *)args[i];
	/* A test that was ended by its time limit leaves nothing behind. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	dup2(out, 1);
	dup2(out, 2);
	execv(command_binary(), argv);
	_exit(127);
}

void served_start(struct served *served, const char *const *args)
{
	int ends[2];

	*served = (struct served){.pid = -1};
	assert_int_equal(pipe(ends), 0);
	served->pid = fork();
	assert_true(served->pid >= 0);
	if (served->pid == 0) {
		close(ends[0]);
		be_server(ends[1], args);
	}
	close(ends[1]);
	served->out = ends[0];
	served_says(served, "\nserving ");
}

/* Returns whether it said anything more. */
static bool listen_to(struct served *served)
{
	struct pollfd fd = {.fd = served->out, .events = POLLIN};
	size_t room = sizeof(served->text) - 1 - served->size;
	ssize_t size;

	assert_true(room > 0);
	if (poll(&fd, 1, PATIENCE_MS) != 1)
		fail_msg("it says nothing more than: %s", served->text);
	size = read(served->out, served->text + served->size, room);
	if (size <= 0)
		return false;
	served->size += (size_t)size;
	return true;
}

/* The first line begins a line too. */
static bool has_said(const struct served *served, const char *text)
{
	return strstr(served->text, text) ||
	       (text[0] == '\n' && strncmp(served->text, text + 1, strlen(text) - 1) == 0);
}

void served_says(struct served *served, const char *text)
{
	while (!has_said(served, text))
		if (!listen_to(served))
			fail_msg("it ended without '%s': %s", text, served->text);
}

int served_end(struct served *served, int number)
{
	int status;

	if (number)
		assert_int_equal(kill(served->pid, number), 0);
	while (listen_to(served))
		;
	assert_int_equal(waitpid(served->pid, &status, 0), served->pid);
	close(served->out);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

void served_guest_up(struct served_guest *guest, const char *socket)
{
	const struct vqsim_region region = {.gpa = MEMORY_GPA, .size = MEMORY_SIZE};
	const struct vqsim_guest_config config = {.features = VQSIM_FEATURES_SPLIT,
						  .queue_size = 16};
	const struct vqsim_remote_options options = {.path = socket};

	memset(guest, 0, sizeof(*guest));
	assert_int_equal(vqsim_memory_init(&guest->memory, &region, 1), 0);
	assert_int_equal(vqsim_remote_create(&guest->device, &options, NULL), 0);
	assert_int_equal(vqsim_guest_init(&guest->guest, &guest->memory, guest->device, NULL), 0);
	assert_int_equal(vqsim_guest_bring_up(&guest->guest, &config), VQSIM_UP);
	vqsim_blk_init(&guest->blk, &guest->guest, NULL);
	assert_int_equal(vqsim_blk_request_init(&guest->blk, &guest->request, BLOCK), 0);
}

void served_guest_down(struct served_guest *guest)
{
	vqsim_blk_request_finish(&guest->request);
	vqsim_guest_finish(&guest->guest);
	guest->device->ops->destroy(guest->device);
	vqsim_memory_finish(&guest->memory);
}

static void do_request(struct served_guest *guest, uint32_t type, uint64_t sector, uint32_t size)
{
	guest->request.type = type;
	guest->request.sector = sector;
	guest->request.data_size = size;
	assert_int_equal(vqsim_blk_do(&guest->blk, 0, &guest->request), VIRTIO_BLK_S_OK);
}

void served_guest_write(struct served_guest *guest, uint64_t sector, uint8_t byte)
{
	memset(guest->request.out_data, byte, BLOCK);
	do_request(guest, VIRTIO_BLK_T_OUT, sector, BLOCK);
	do_request(guest, VIRTIO_BLK_T_FLUSH, 0, 0);
}

void served_guest_read(struct served_guest *guest, uint64_t sector, uint8_t byte)
{
	do_request(guest, VIRTIO_BLK_T_IN, sector, BLOCK);
	for (unsigned i = 0; i < BLOCK; i++)
		assert_int_equal(guest->request.in_data[i], byte);
}
