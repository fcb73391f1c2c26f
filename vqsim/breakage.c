/* SPDX-License-Identifier: BSD-3-Clause */
#include <endian.h>
#include <string.h>

#include "breakage.h"
#include "misuse_internal.h"

#define TARGET_ELEMENTS_MAX 8u

#define STATUS_UNSET 0xff

static bool is_packed(const struct vqsim_driver *driver)
{
	return driver->features & VIRTIO_FEATURE(VIRTIO_F_RING_PACKED);
}

/* A descriptor as both formats have it: the last two fields change places. */
struct desc {
	uint8_t *at;
	uint16_t place; /* in ring or table */
	bool packed;
};

static uint64_t load(const uint8_t *at, unsigned size)
{
	uint64_t value = 0;

	memcpy(&value, at, size);
	return le64toh(value);
}

static void store(uint8_t *at, uint64_t value, unsigned size)
{
	uint64_t bytes = htole64(value);

	memcpy(at, &bytes, size);
}

static uint8_t *field_of(const struct desc *desc, enum vqsim_break_field field, unsigned *size)
{
	bool last_word = desc->packed == (field == VQSIM_FIELD_FLAGS);

	*size = field == VQSIM_FIELD_ADDR ? 8 : field == VQSIM_FIELD_LEN ? 4 : 2;
	if (field == VQSIM_FIELD_ADDR)
		return desc->at;
	if (field == VQSIM_FIELD_LEN)
		return desc->at + 8;
	return desc->at + (last_word ? 14 : 12);
}

static uint8_t *ring_at(const struct vqsim_driver *driver, uint16_t place)
{
	return vqsim_memory_at(driver->memory, driver->setup.desc_gpa + 16u * place, 16);
}

/* The descriptors of the elements as the driver wrote them: found before anything is changed. */
static void find_elements(const struct vqsim_break_target *target, struct desc *found)
{
	const struct vqsim_driver *driver = target->driver;
	bool packed = is_packed(driver);
	uint16_t place = target->first;

	for (uint16_t i = 0; i < target->count; i++) {
		if (target->table_gpa) {
			found[i] = (struct desc){
				vqsim_memory_at(driver->memory, target->table_gpa + 16u * i, 16), i,
				packed};
			continue;
		}
		found[i] = (struct desc){ring_at(driver, place), place, packed};
		if (packed)
			place = (uint16_t)((place + 1) % driver->setup.size);
		else
			place = (uint16_t)(load(found[i].at + 14, 2) % driver->setup.size);
	}
}

/* A word of the driver's area. Split: flags, index, entries; packed: one word of events. */
static uint8_t *ring_field(const struct vqsim_break_target *target, enum vqsim_break_field field,
			   unsigned *size)
{
	const struct virtio_queue_setup *setup = &target->driver->setup;
	uint16_t slot = (uint16_t)(target->driver->published_index - 1);
	uint64_t offset = 0;

	*size = field == VQSIM_FIELD_EVENT && is_packed(target->driver) ? 4 : 2;
	if (field == VQSIM_FIELD_AFTER)
		slot++;
	if (field == VQSIM_FIELD_INDEX)
		offset = 2;
	else if (field != VQSIM_FIELD_EVENT)
		offset = 4 + 2 * (uint64_t)(slot & (setup->size - 1));
	return vqsim_memory_at(target->driver->memory, setup->driver_gpa + offset, *size);
}

static uint64_t base_of(const struct vqsim_break_target *target, const struct desc *found,
			enum vqsim_break_base base, uint16_t self)
{
	switch (base) {
	case VQSIM_BASE_SIZE:
		return target->driver->setup.size;
	case VQSIM_BASE_COUNT:
		return target->count;
	case VQSIM_BASE_SELF:
		return self;
	case VQSIM_BASE_HEAD:
		return target->first;
	case VQSIM_BASE_SECOND:
		return found[1].place;
	case VQSIM_BASE_HOLE:
		return target->hole_gpa;
	case VQSIM_BASE_EDGE:
		return target->edge_gpa;
	case VQSIM_BASE_TABLE:
		return target->table_gpa;
	default:
		return 0;
	}
}

static uint64_t changed(uint64_t was, enum vqsim_break_how how, uint64_t value)
{
	switch (how) {
	case VQSIM_ADD:
		return was + value;
	case VQSIM_OR:
		return was | value;
	case VQSIM_CLEAR:
		return was & ~value;
	case VQSIM_XOR:
		return was ^ value;
	default:
		return value;
	}
}

/* The driver goes on from the index that it has shown. */
static void follow_index(struct vqsim_driver *driver, const uint8_t *at)
{
	uint16_t index = (uint16_t)load(at, 2);

	driver->avail_index = driver->published_index = driver->kicked_index = index;
}

static void apply_step(const struct vqsim_break_step *step, const struct vqsim_break_target *target,
		       const struct desc *found)
{
	struct desc desc = found[0];
	unsigned size;
	uint8_t *at;

	if (step->at == VQSIM_AT_SECOND)
		desc = found[1];
	else if (step->at == VQSIM_AT_LAST)
		desc = found[target->count - 1];
	else if (step->at == VQSIM_AT_POINTER)
		desc = (struct desc){ring_at(target->driver, target->first), target->first,
				     is_packed(target->driver)};
	if (step->at == VQSIM_AT_RING)
		at = ring_field(target, step->field, &size);
	else
		at = field_of(&desc, step->field, &size);
	store(at,
	      changed(load(at, size), step->how,
		      base_of(target, found, step->base, desc.place) + step->value),
	      size);
	if (step->field == VQSIM_FIELD_INDEX)
		follow_index(target->driver, at);
}

void vqsim_breakage_apply(const struct vqsim_breakage *breakage,
			  const struct vqsim_break_target *target)
{
	struct desc found[TARGET_ELEMENTS_MAX];

	if (target->count < 2 || target->count > TARGET_ELEMENTS_MAX)
		vqsim_misuse(__func__, "a chain of %u elements", target->count);
	find_elements(target, found);
	for (unsigned i = 0; i < VQSIM_BREAK_STEPS_MAX; i++)
		if (breakage->steps[i].at != VQSIM_AT_END)
			apply_step(&breakage->steps[i], target, found);
}

bool vqsim_breakage_applies(const struct vqsim_breakage *breakage, const struct vqsim_guest *guest)
{
	bool packed = guest->features & VIRTIO_FEATURE(VIRTIO_F_RING_PACKED);
	bool indirect = guest->features & VIRTIO_FEATURE(VIRTIO_RING_F_INDIRECT_DESC);

	if (breakage->table && !indirect)
		return false;
	return breakage->formats & (packed ? VQSIM_PACKED : VQSIM_SPLIT);
}

/* Publish behind the referee's back, break, and only then let it look. */
static void expose(const struct vqsim_breakage *breakage, const struct vqsim_break_ground *ground)
{
	struct vqsim_guest *guest = ground->guest;
	struct vqsim_driver *driver = &guest->queues[ground->queue];
	struct vqsim_chain chain = {
		.elements = ground->elements,
		.count = ground->count,
		.direct = breakage->table ? 0 : ground->count,
		.table_gpa = ground->table_gpa,
	};
	struct vqsim_break_target target = {
		.driver = driver,
		.count = ground->count,
		.table_gpa = breakage->table ? ground->table_gpa : 0,
		.hole_gpa = ground->hole_gpa,
		.edge_gpa = ground->edge_gpa,
	};
	int head = vqsim_driver_add(driver, &chain, &guest->queues);

	if (head < 0)
		vqsim_misuse(__func__, "no room in the ring");
	target.first = is_packed(driver) ? ground->first : (uint16_t)head;
	vqsim_driver_publish(driver);
	vqsim_breakage_apply(breakage, &target);
	if (guest->referee)
		vqsim_referee_published(guest->referee, ground->queue);
	vqsim_guest_kick(guest, ground->queue);
}

static uint8_t *status_of(const struct vqsim_break_ground *ground)
{
	const struct vqsim_element *last = &ground->elements[ground->count - 1];

	return vqsim_memory_at(ground->guest->memory, last->gpa + last->len - 1, 1);
}

/* *back: the chain that was broken came back by its own name, and nothing else. */
static enum vqsim_answer judge(const struct vqsim_break_ground *ground, bool *back)
{
	struct vqsim_guest *guest = ground->guest;
	struct vqsim_used used;
	enum vqsim_reap reap;
	unsigned count = 0;

	*back = false;
	while ((reap = vqsim_guest_reap(guest, ground->queue, &used)) != VQSIM_REAP_NOTHING) {
		*back = count++ == 0 && reap == VQSIM_REAP_USED;
	}
	if (vqsim_guest_needs_reset(guest))
		return VQSIM_RESETS;
	if (count == 0)
		return VQSIM_IGNORES;
	return *status_of(ground) == 0 ? VQSIM_SERVES : VQSIM_FAILS;
}

struct vqsim_break_result vqsim_breakage_run(const struct vqsim_breakage *breakage,
					     const struct vqsim_break_ground *ground)
{
	struct vqsim_guest *guest = ground->guest;
	bool packed = is_packed(&guest->queues[ground->queue]);
	struct vqsim_break_result result = {.good_before = true};
	bool back;

	*status_of(ground) = STATUS_UNSET;
	expose(breakage, ground);
	vqsim_guest_settle(guest, ground->queue);
	result.answer = judge(ground, &back);
	/*
	 * In a split ring each side knows its place whatever became of a chain; in a packed one
	 * the driver does if a device was there.
	 */
	back &= *status_of(ground) != STATUS_UNSET;
	if (result.answer != VQSIM_RESETS && (back || !packed))
		result.good_before = ground->good(ground->opaque);
	if (vqsim_guest_bring_up(guest, &ground->config) != VQSIM_UP)
		return result;
	if (ground->up)
		ground->up(ground->opaque);
	result.good_after = ground->good(ground->opaque);
	return result;
}
