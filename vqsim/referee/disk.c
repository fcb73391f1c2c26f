/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The model works by sector. A change (WRITE, WRITE_ZEROES, DISCARD) is in flight
 * from start to done; in between its sectors may hold the old or the new bytes.
 * What stands in a sector is known again once a change came back that no other
 * one overlapped in time:
 *
 *     writers[s]  changes of s in flight now
 *     written[s]  the clock right after the last change of s came back
 *
 * so a request that started at clock t had s to itself if and only if no other
 * change is in flight (writers) and none came back since (written[s] <= t). That
 * holds for reads too, and for flushes: a flush covers what came back before it
 * was exposed (virtio 1.3, 5.2.6.2).
 *
 * Durable: the sector must survive a loss of power with these bytes. A change
 * that starts ends that, because it may or may not reach the medium. Sectors with
 * DIRTY are on the list that a flush goes through.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "disk.h"

#include "../misuse_internal.h"

enum sector_state {
	KNOWN = 1,   /* now is what a read must return */
	DURABLE = 2, /* durable is what a loss of power must leave */
	DIRTY = 4,   /* on the dirty list */
	VAGUE = 8,   /* last change failed or was a DISCARD: no flush makes the content durable */
};

int vqsim_disk_init(struct vqsim_disk *disk, struct vqsim_referee *referee, uint64_t size)
{
	uint64_t sectors = size / VQSIM_DISK_SECTOR;

	if (size == 0 || size % VQSIM_DISK_SECTOR)
		vqsim_misuse(__func__, "size %llu", (unsigned long long)size);
	*disk = (struct vqsim_disk){.referee = referee, .sectors = sectors};
	disk->now = calloc(sectors, VQSIM_DISK_SECTOR);
	disk->durable = calloc(sectors, VQSIM_DISK_SECTOR);
	disk->state = calloc(sectors, sizeof(*disk->state));
	disk->writers = calloc(sectors, sizeof(*disk->writers));
	disk->written = calloc(sectors, sizeof(*disk->written));
	disk->dirty = calloc(sectors, sizeof(*disk->dirty));
	if (disk->now && disk->durable && disk->state && disk->writers && disk->written &&
	    disk->dirty)
		return 0;
	vqsim_disk_finish(disk);
	return -ENOMEM;
}

void vqsim_disk_finish(struct vqsim_disk *disk)
{
	free(disk->now);
	free(disk->durable);
	free(disk->state);
	free(disk->writers);
	free(disk->written);
	free(disk->dirty);
	*disk = (struct vqsim_disk){0};
}

static void check_range(const struct vqsim_disk *disk, const char *function, uint64_t sector,
			uint64_t count)
{
	if (sector > disk->sectors || count > disk->sectors - sector)
		vqsim_misuse(function, "%llu sectors at %llu of a disk of %llu",
			     (unsigned long long)count, (unsigned long long)sector,
			     (unsigned long long)disk->sectors);
}

static uint8_t *now_at(const struct vqsim_disk *disk, uint64_t sector)
{
	return disk->now + sector * VQSIM_DISK_SECTOR;
}

static uint8_t *durable_at(const struct vqsim_disk *disk, uint64_t sector)
{
	return disk->durable + sector * VQSIM_DISK_SECTOR;
}

static void set_bytes(uint8_t *to, const uint8_t *data, uint64_t size)
{
	if (data)
		memcpy(to, data, size);
	else
		memset(to, 0, size);
}

static void make_durable(struct vqsim_disk *disk, uint64_t sector)
{
	memcpy(durable_at(disk, sector), now_at(disk, sector), VQSIM_DISK_SECTOR);
	disk->state[sector] |= DURABLE;
}

static void make_dirty(struct vqsim_disk *disk, uint64_t sector)
{
	if (disk->state[sector] & DIRTY)
		return;
	disk->state[sector] |= DIRTY;
	disk->dirty[disk->dirty_count++] = sector;
}

void vqsim_disk_know(struct vqsim_disk *disk, uint64_t offset, const uint8_t *data, uint64_t size)
{
	uint64_t sector = offset / VQSIM_DISK_SECTOR, count = size / VQSIM_DISK_SECTOR;

	if (offset % VQSIM_DISK_SECTOR || size % VQSIM_DISK_SECTOR)
		vqsim_misuse(__func__, "%llu bytes at %llu are no sectors",
			     (unsigned long long)size, (unsigned long long)offset);
	check_range(disk, __func__, sector, count);
	set_bytes(now_at(disk, sector), data, size);
	for (uint64_t s = sector; s < sector + count; s++) {
		disk->state[s] = (disk->state[s] & DIRTY) | KNOWN;
		make_durable(disk, s);
	}
}

static bool is_change(const struct vqsim_disk_request *request)
{
	return request->op == VQSIM_DISK_WRITE || request->op == VQSIM_DISK_WRITE_ZEROES ||
	       request->op == VQSIM_DISK_DISCARD;
}

void vqsim_disk_start(struct vqsim_disk *disk, struct vqsim_disk_request *request)
{
	check_range(disk, __func__, request->sector, request->count);
	request->started = disk->clock;
	if (!is_change(request))
		return;
	for (uint64_t s = request->sector; s < request->sector + request->count; s++) {
		disk->writers[s]++;
		disk->state[s] &= ~DURABLE;
	}
}

/* Whether no change of the sector but the request itself overlapped it in time. */
static bool had_alone(const struct vqsim_disk *disk, const struct vqsim_disk_request *request,
		      uint64_t sector)
{
	return disk->writers[sector] == 0 && disk->written[sector] <= request->started;
}

/* The bytes of one sector in the request's data; NULL: zeroes. */
static const uint8_t *data_of(const struct vqsim_disk_request *request, uint64_t sector)
{
	if (request->op == VQSIM_DISK_WRITE_ZEROES)
		return NULL;
	return request->data + (sector - request->sector) * VQSIM_DISK_SECTOR;
}

static void sector_changed(struct vqsim_disk *disk, const struct vqsim_disk_request *request,
			   bool ok, uint64_t sector)
{
	bool alone;

	disk->writers[sector]--;
	alone = had_alone(disk, request, sector);
	disk->written[sector] = disk->clock;
	disk->state[sector] &= ~(KNOWN | DURABLE);
	if (!ok || request->op == VQSIM_DISK_DISCARD) {
		disk->state[sector] |= VAGUE;
		return;
	}
	if (alone) {
		disk->state[sector] = (disk->state[sector] & ~VAGUE) | KNOWN;
		set_bytes(now_at(disk, sector), data_of(request, sector), VQSIM_DISK_SECTOR);
	}
	if (alone && request->fua)
		make_durable(disk, sector);
	else
		make_dirty(disk, sector);
}

static void change_done(struct vqsim_disk *disk, const struct vqsim_disk_request *request, bool ok)
{
	disk->clock++;
	for (uint64_t s = request->sector; s < request->sector + request->count; s++)
		sector_changed(disk, request, ok, s);
}

static void flush_done(struct vqsim_disk *disk, const struct vqsim_disk_request *request)
{
	uint64_t kept = 0;

	for (uint64_t i = 0; i < disk->dirty_count; i++) {
		uint64_t s = disk->dirty[i];

		if (disk->written[s] > request->started) {
			disk->dirty[kept++] = s;
			continue;
		}
		disk->state[s] &= ~DIRTY;
		if ((disk->state[s] & KNOWN) && !(disk->state[s] & VAGUE) && !disk->writers[s])
			make_durable(disk, s);
	}
	disk->dirty_count = kept;
}

/* The offset of the first byte that differs, or VQSIM_DISK_SECTOR. */
static unsigned first_difference(const uint8_t *a, const uint8_t *b)
{
	unsigned i = 0;

	if (memcmp(a, b, VQSIM_DISK_SECTOR) == 0)
		return VQSIM_DISK_SECTOR;
	while (a[i] == b[i])
		i++;
	return i;
}

static void read_done(struct vqsim_disk *disk, const struct vqsim_disk_request *request,
		      uint16_t queue)
{
	uint64_t wrong = 0, first = 0;

	for (uint64_t s = request->sector; s < request->sector + request->count; s++) {
		const uint8_t *data = data_of(request, s);

		if (!had_alone(disk, request, s))
			continue;
		if (!(disk->state[s] & KNOWN)) {
			memcpy(now_at(disk, s), data, VQSIM_DISK_SECTOR);
			disk->state[s] |= KNOWN;
		} else if (memcmp(now_at(disk, s), data, VQSIM_DISK_SECTOR) != 0 && wrong++ == 0) {
			first = s;
		}
	}
	if (wrong) {
		const uint8_t *data = data_of(request, first);
		unsigned i = first_difference(now_at(disk, first), data);

		vqsim_referee_violation(disk->referee, VQSIM_RULE_DATA, queue,
					"%llu sectors differ, the first is %llu: byte %u is "
					"0x%02x, written was 0x%02x",
					(unsigned long long)wrong, (unsigned long long)first, i,
					data[i], now_at(disk, first)[i]);
	}
}

void vqsim_disk_done(struct vqsim_disk *disk, struct vqsim_disk_request *request, bool ok,
		     uint16_t queue)
{
	if (is_change(request))
		change_done(disk, request, ok);
	else if (ok && request->op == VQSIM_DISK_FLUSH)
		flush_done(disk, request);
	else if (ok)
		read_done(disk, request, queue);
}

uint64_t vqsim_disk_check_durable(struct vqsim_disk *disk, const uint8_t *image)
{
	uint64_t wrong = 0;

	for (uint64_t s = 0; s < disk->sectors; s++) {
		const uint8_t *left = image + s * VQSIM_DISK_SECTOR;
		unsigned i;

		if (!(disk->state[s] & DURABLE))
			continue;
		i = first_difference(durable_at(disk, s), left);
		if (i == VQSIM_DISK_SECTOR)
			continue;
		wrong++;
		vqsim_referee_violation(disk->referee, VQSIM_RULE_DURABLE, 0,
					"sector %llu: byte %u is 0x%02x, flushed was 0x%02x",
					(unsigned long long)s, i, left[i], durable_at(disk, s)[i]);
	}
	return wrong;
}
