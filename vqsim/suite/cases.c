/* SPDX-License-Identifier: BSD-3-Clause */
#include <stddef.h>
#include <string.h>

#include "cases_internal.h"

const struct vqsim_case *const vqsim_case_tables[] = {
	vqsim_cases_smoke,       vqsim_cases_blk,        vqsim_cases_blk_ranges,
	vqsim_cases_blk_durable, vqsim_cases_blk_config, vqsim_cases_status,
	vqsim_cases_features,    vqsim_cases_reset,      vqsim_cases_config,
	vqsim_cases_notify,      vqsim_cases_kick,       vqsim_cases_kick_spare,
	vqsim_cases_used,        vqsim_cases_packed,     vqsim_cases_order,
	vqsim_cases_chain,       vqsim_cases_long,       vqsim_cases_table,
	vqsim_cases_memory,      vqsim_cases_bytes,      vqsim_cases_fs,
	vqsim_cases_fs_messages, vqsim_cases_fs_files,   NULL,
};

const struct vqsim_case *vqsim_case_find(const char *name)
{
	for (unsigned t = 0; vqsim_case_tables[t]; t++)
		for (const struct vqsim_case *test = vqsim_case_tables[t]; test->name; test++)
			if (strcmp(test->name, name) == 0)
				return test;
	return NULL;
}

bool vqsim_case_names(const char *list, const char *id)
{
	size_t size = strlen(id);

	while (list && *list) {
		size_t word = strcspn(list, " ");

		if (word == size && memcmp(list, id, size) == 0)
			return true;
		list += word;
		list += strspn(list, " ");
	}
	return false;
}
