/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Cases that say nothing of a device in another process: what they ask is answered by the
 * transport between, which is ours, or has happened before anybody can look. It would be a lie
 * to call them passed.
 */
#include <string.h>

#include "suite_internal.h"

#define TRANSPORT "the status byte and FEATURES_OK end in the frontend"
#define WHOLE     "the configuration space is fetched as a whole, and cut here"
#define RESTART   "a queue exists in the backend only from DRIVER_OK on"
#define STORE     "what the storage can do is not known"
#define MOMENT    "the moment is not seen from another process"
#define WAITS     "a request that waits and one that is lost look the same"
#define SIZES     "vhost-user has no message for the largest ring"

#define MADE_UP   "the backend has no configuration space"
#define NO_STATUS "the backend keeps no status byte"
#define NO_ANSWER "the backend acknowledges no message"

struct hidden {
	const char *name, *why; /* a NULL name ends a list */
};

static const struct hidden always[] = {
	{"status_before_driver_ok", RESTART},
	{"status_needs_reset", TRANSPORT},
	{"status_fresh", TRANSPORT},
	{"status_reads_back", TRANSPORT},
	{"features_nothing_else", TRANSPORT},
	{"features_stay_fixed", TRANSPORT},
	{"features_without_version_1", TRANSPORT},
	{"config_any_access", WHOLE},
	{"config_generation_counts", TRANSPORT},
	{"blk_may_unmap", STORE},
	{"blk_lifetime_offer", STORE},
	{"fs_hiprio_moves", WAITS},
	{"fs_interrupts", WAITS},
	{"kick_not_awaited", MOMENT},
	{"queue_reset_is_quiet", MOMENT},
	{"queue_size_maximum", SIZES},
	{.name = NULL},
};

static const struct hidden without_config[] = {
	{"config_readable_early", MADE_UP},
	{"fs_num_request_queues", MADE_UP},
	{"fs_tag", MADE_UP},
	{.name = NULL},
};

static const struct hidden without_status[] = {
	{"reset_from_every_state", NO_STATUS},
	{.name = NULL},
};

static const struct hidden without_answer[] = {
	{"features_every_subset", NO_ANSWER},
	{"features_accepted_again", NO_ANSWER},
	{.name = NULL},
};

static const char *find(const struct hidden *list, const struct vqsim_case *test)
{
	while (list->name && strcmp(list->name, test->name) != 0)
		list++;
	return list->why;
}

const char *suite_hidden_elsewhere(const struct vqsim_subject *subject,
				   const struct vqsim_case *test)
{
	const char *why = find(always, test);

	if (!why && subject->no_config)
		why = find(without_config, test);
	if (!why && subject->no_status)
		why = find(without_status, test);
	if (!why && subject->no_answer)
		why = find(without_answer, test);
	return why;
}
