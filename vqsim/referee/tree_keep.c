/* SPDX-License-Identifier: BSD-3-Clause */
/* A request and its reply, in memory of the step's own. */
#include <stdlib.h>
#include <string.h>

#include "tree_internal.h"

static bool keep_bytes(uint8_t **to, const void *from, uint64_t size)
{
	if (!from)
		return true;
	*to = malloc(size + 1);
	if (*to)
		memcpy(*to, from, size);
	return *to != NULL;
}

static bool keep_text(char **to, const char *from)
{
	if (from)
		*to = strdup(from);
	return !from || *to;
}

static bool keep_forgets(struct model_kept *kept)
{
	uint8_t *bytes = NULL;
	bool kept_all = kept->args.opcode != FUSE_BATCH_FORGET ||
			keep_bytes(&bytes, kept->args.forgets,
				   kept->args.count * sizeof(*kept->args.forgets));

	kept->forgets = (struct fuse_forget_one *)bytes;
	return kept_all;
}

static bool keep_all(struct model_step *s)
{
	struct model_kept *kept = &s->kept;

	if (kept->args.opcode == FUSE_SETATTR)
		kept->set = *kept->args.set;
	return keep_text(&kept->name, kept->args.name) &&
	       keep_text(&kept->new_name, kept->args.new_name) &&
	       keep_text(&kept->target, kept->args.target) && keep_forgets(kept) &&
	       keep_bytes(&kept->message, s->data, s->args->size) &&
	       keep_bytes(&kept->data, kept->result.data, kept->result.count);
}

bool model_keep(struct model_step *s)
{
	struct model_kept *kept = &s->kept;

	kept->args = *s->args;
	if (s->result)
		kept->result = *s->result;
	if (!keep_all(s))
		return false;
	kept->args.name = kept->name;
	kept->args.new_name = kept->new_name;
	kept->args.target = kept->target;
	kept->args.set = &kept->set;
	kept->args.forgets = kept->forgets;
	kept->args.data = NULL;
	kept->result.data = kept->data;
	s->args = &kept->args;
	s->result = &kept->result;
	s->data = kept->message;
	s->request = NULL;
	return true;
}

void model_kept_free(struct model_step *s)
{
	struct model_kept *kept = &s->kept;

	free(kept->name);
	free(kept->new_name);
	free(kept->target);
	free(kept->forgets);
	free(kept->message);
	free(kept->data);
	memset(kept, 0, sizeof(*kept));
}
