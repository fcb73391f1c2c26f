/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What is handed over with a chain. Under valgrind the device's mapping of a
 * writable buffer is undefined from the moment the driver exposes it until the
 * device writes there; of anything else that is exposed it is defined, since
 * what the driver wrote it wrote through its own mapping.
 */
#include <stdlib.h>
#include <string.h>

#include "referee_internal.h"
#include "undefined.h"

#if defined(__has_include)
#if __has_include(<valgrind/memcheck.h>)
#include <valgrind/memcheck.h>
#define HAS_MEMCHECK 1
#endif
#endif

#ifndef HAS_MEMCHECK
#define RUNNING_ON_VALGRIND                     0
#define VALGRIND_MAKE_MEM_DEFINED(at, size)     ((void)(at), (void)(size))
#define VALGRIND_MAKE_MEM_UNDEFINED(at, size)   ((void)(at), (void)(size))
#define VALGRIND_CHECK_MEM_IS_DEFINED(at, size) ((void)(at), (void)(size), 0)
#endif

#define PREFILL_FIRST  0xa5
#define PREFILL_SECOND 0x5a

bool referee_under_memcheck(void)
{
	return RUNNING_ON_VALGRIND;
}

/* The device's mapping of gpa; *size becomes what of it lies in that region. */
static uint8_t *device_view(const struct vqsim_memory *memory, uint64_t gpa, uint64_t *size)
{
	for (unsigned i = 0; i < memory->count; i++) {
		const struct vqsim_mapping *m = &memory->mappings[i];
		uint64_t offset = gpa - m->range.gpa;

		if (gpa < m->range.gpa || offset >= m->range.size)
			continue;
		if (*size > m->range.size - offset)
			*size = m->range.size - offset;
		return m->device + offset;
	}
	return NULL;
}

void referee_define(struct vqsim_referee *referee, uint64_t gpa, uint64_t size, bool defined)
{
	uint64_t part;

	if (!referee->memcheck)
		return;
	for (; size > 0; gpa += part, size -= part) {
		uint8_t *at;

		part = size;
		at = device_view(referee->memory, gpa, &part);
		if (!at)
			return;
		if (defined)
			VALGRIND_MAKE_MEM_DEFINED(at, part);
		else
			VALGRIND_MAKE_MEM_UNDEFINED(at, part);
	}
}

static void check_defined(const struct referee_handed *handed, uint64_t gpa, uint64_t size)
{
	uint8_t *at = device_view(handed->referee->memory, gpa, &size);
	uintptr_t bad;

	if (!at)
		return;
	bad = (uintptr_t)VALGRIND_CHECK_MEM_IS_DEFINED(at, size);
	if (bad)
		vqsim_referee_violation(handed->referee, VQSIM_RULE_UNDEFINED, handed->queue,
					"id %u: byte at gpa 0x%llx was never written", handed->name,
					(unsigned long long)(gpa + (bad - (uintptr_t)at)));
}

static void check_same(const struct referee_handed *handed, uint64_t gpa, uint64_t size)
{
	const uint8_t *bytes = vqsim_memory_find(handed->referee->memory, gpa, size);
	size_t same = bytes ? vqsim_undefined_take(handed->referee->undefined, bytes, size) : size;

	if (same < size)
		vqsim_referee_violation(handed->referee, VQSIM_RULE_UNDEFINED, handed->queue,
					"id %u: byte at gpa 0x%llx differs with another prefill",
					handed->name, (unsigned long long)(gpa + same));
}

void referee_handed_buffer(struct referee_handed *handed, uint64_t gpa, uint32_t size)
{
	uint64_t claimed = size < handed->left ? size : handed->left;

	handed->left -= claimed;
	if (claimed && handed->referee->memcheck)
		check_defined(handed, gpa, claimed);
	referee_define(handed->referee, gpa, size, true);
	if (claimed && handed->referee->undefined)
		check_same(handed, gpa, claimed);
}

void vqsim_undefined_init(struct vqsim_undefined *u)
{
	memset(u, 0, sizeof(*u));
}

void vqsim_undefined_finish(struct vqsim_undefined *u)
{
	free(u->bytes);
	memset(u, 0, sizeof(*u));
}

void vqsim_undefined_start(struct vqsim_undefined *u, struct vqsim_referee *referee)
{
	u->runs++;
	u->position = 0;
	referee->undefined = u;
	referee->prefill = u->runs == 1 ? PREFILL_FIRST : PREFILL_SECOND;
}

static bool reserve(struct vqsim_undefined *u, size_t size)
{
	size_t room = u->room ? u->room : 4096;
	uint8_t *grown;

	while (room - u->size < size)
		room *= 2;
	if (room == u->room)
		return true;
	grown = realloc(u->bytes, room);
	if (!grown)
		return false;
	u->bytes = grown;
	u->room = room;
	return true;
}

size_t vqsim_undefined_take(struct vqsim_undefined *u, const void *bytes, size_t size)
{
	const uint8_t *now = bytes, *then;
	size_t same = 0;

	if (u->diverged)
		return size;
	if (u->runs == 1) {
		u->diverged = !reserve(u, size);
		if (!u->diverged)
			memcpy(u->bytes + u->size, bytes, size);
		u->size += u->diverged ? 0 : size;
		return size;
	}
	if (size > u->size - u->position) {
		u->diverged = true;
		return size;
	}
	then = u->bytes + u->position;
	u->position += size;
	while (same < size && now[same] == then[same])
		same++;
	return same;
}
