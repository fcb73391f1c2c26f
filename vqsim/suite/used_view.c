/* SPDX-License-Identifier: BSD-3-Clause */
#include "used_view_internal.h"

#include <endian.h>

void used_view_start(struct used_view *view, const struct vqsim_driver *driver)
{
	*view = (struct used_view){
		.driver = driver, .at = driver->used_index, .wrap = driver->used_wrap};
}

const struct vring_packed_desc *used_view_desc(const struct used_view *view)
{
	return &view->driver->packed.desc[view->at];
}

int used_view_left(const struct used_view *view)
{
	uint16_t index = le16toh(__atomic_load_n(&view->driver->ring.used->idx, __ATOMIC_ACQUIRE));

	return (int16_t)(index - view->at);
}

static bool packed_entry(const struct used_view *view, struct used_entry *entry)
{
	const struct vring_packed_desc *desc = used_view_desc(view);

	entry->flags = le16toh(__atomic_load_n(&desc->flags, __ATOMIC_ACQUIRE));
	entry->id = le16toh(desc->id);
	entry->len = entry->flags & VRING_DESC_F_WRITE ? le32toh(desc->len) : 0;
	return !!(entry->flags & USED_VIEW_AVAIL) == view->wrap &&
	       !!(entry->flags & USED_VIEW_USED) == view->wrap;
}

bool used_view_entry(const struct used_view *view, struct used_entry *entry)
{
	const struct vqsim_driver *driver = view->driver;
	const struct vring_used_elem *elem;

	if (driver->is_packed)
		return packed_entry(view, entry);
	if (used_view_left(view) <= 0)
		return false;
	elem = &driver->ring.used->ring[view->at % driver->setup.size];
	*entry = (struct used_entry){.id = le32toh(elem->id), .len = le32toh(elem->len)};
	return true;
}

uint16_t used_view_slots(const struct vqsim_suite_io *io)
{
	return io->direct < io->count ? io->direct + 1 : io->count;
}

void used_view_pass(struct used_view *view, const struct vqsim_suite_io *io)
{
	if (!view->driver->is_packed) {
		view->at = (uint16_t)(view->at + 1);
		return;
	}
	view->at += used_view_slots(io);
	if (view->at >= view->driver->setup.size) {
		view->at -= view->driver->setup.size;
		view->wrap = !view->wrap;
	}
}

unsigned used_view_which(const struct used_entry *entry, const struct vqsim_suite_io *ios,
			 unsigned count)
{
	unsigned which = 0;

	while (which < count && ios[which].head != entry->id)
		which++;
	return which;
}
