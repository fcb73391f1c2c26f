/* SPDX-License-Identifier: BSD-3-Clause */
#include "remote_device.h"

#include <errno.h>
#include <string.h>

#define PREFIX "vhost-user:"

bool remote_device_parse(struct remote_device_words *words, const char *value)
{
	size_t size = sizeof(PREFIX) - 1;

	if (strncmp(value, PREFIX, size) != 0 || value[size] == '\0') {
		cli_complain("unknown device '%s'; give vhost-user:SOCKET", value);
		return false;
	}
	words->device = value;
	words->socket = value + size;
	return true;
}

const char *remote_device_contradiction(const struct remote_device_words *words)
{
	return words->spawn && !words->device
		       ? "--spawn serves a socket; give --device vhost-user:SOCKET"
		       : NULL;
}

/* What is not there is the user's; what cannot be is the backend's. */
static enum cli_exit fail(const struct remote_device_words *words, int error, const char *text)
{
	if (error == -ENOTSUP)
		cli_complain("device '%s' has fewer queues; give less --queues", words->device);
	else
		cli_complain("device '%s': %s", words->device, text);
	return error == -ETIMEDOUT || error == -EPROTO || error == -EPIPE ? CLI_FAILED : CLI_BAD;
}

enum cli_exit remote_device_open(struct remote_device *remote,
				 const struct remote_device_words *words, uint32_t id,
				 uint16_t queue_count, uint16_t queue_size)
{
	char text[VQSIM_REMOTE_TEXT] = "not enough memory";
	struct vqsim_remote_options options = {
		.path = words->socket, .device_id = id, .queue_count = queue_count};
	uint16_t most;
	int error = 0;

	*remote = (struct remote_device){NULL, NULL};
	if (words->spawn)
		error = vqsim_remote_server_create(&remote->server, words->spawn);
	options.server = remote->server;
	if (!error)
		error = vqsim_remote_create(&remote->device, &options, text);
	if (error)
		return fail(words, error, text);
	most = remote->device->ops->queue_size_max(remote->device, 0);
	if (queue_size <= most)
		return CLI_OK;
	cli_complain("--queue-size of a device behind a socket is at most %u", most);
	return CLI_BAD;
}

bool remote_device_complain(const struct remote_device *remote)
{
	const char *what = NULL;

	if (remote->server)
		what = vqsim_remote_server_death(remote->server, 0);
	if (!what && remote->device)
		what = vqsim_remote_fault(remote->device);
	if (what)
		cli_complain("%s", what);
	return what;
}

void remote_device_close(struct remote_device *remote)
{
	if (remote->device)
		remote->device->ops->destroy(remote->device);
	vqsim_remote_server_destroy(remote->server);
	*remote = (struct remote_device){NULL, NULL};
}
