/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A byte is on loan while its page is lent as a whole or its granule in part, by at
 * least one loan: both are counted. Small loans touch a few counters of granules, large
 * ones a few of pages, and what malformed descriptors claim costs no more.
 *
 *     granule loans:  ...111 |                      | 11....
 *     page loans:            |  1  |  1  |  1  |  1 |
 *                         ^ start of the loan          ^ its end
 *
 * Invariant: a granule is poisoned in full if and only if both its counter and its
 * page's are 0.
 */
#define _GNU_SOURCE

#include "loans_internal.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "memory.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HAS_ASAN 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) && !defined(HAS_ASAN)
#define HAS_ASAN 1
#endif

#ifdef HAS_ASAN
#include <sanitizer/asan_interface.h>
#define SHADOWED true
#else
#define SHADOWED                                  false
#define __asan_poison_memory_region(at, size)     ((void)(at), (void)(size))
#define __asan_unpoison_memory_region(at, size)   ((void)(at), (void)(size))
#define __asan_set_error_report_callback(handler) ((void)(handler))
#define __asan_get_report_address()               NULL
#define __asan_get_report_access_type()           0
#define __asan_get_report_access_size()           0
#endif

#define PAGE     4096u
#define GRANULE  8u
#define GRANULES (PAGE / GRANULE)

/* The shadow of a region is written as a whole: larger ones would cost more than they tell. */
#define WATCHED_MAX (UINT64_C(256) << 20)

/* Loans that have ended and are remembered. */
#define ENDED_MAX 64u

struct page {
	uint32_t loans;    /* of the whole page */
	uint32_t granules; /* that are lent in part */
};

struct range {
	uint64_t gpa;
	uint64_t size;
	uint8_t *device;
	uint32_t *granules; /* loans of each, not counting those of its whole page */
	struct page *pages;
};

struct loan {
	uint64_t gpa;
	uint64_t size;
	struct vqsim_loan_purpose purpose;
	enum vqsim_loan_end end;
	bool live;
	uint32_t next; /* in its list, or in the free list */
};

struct vqsim_loans {
	struct vqsim_loans *next; /* of all that watch */
	void (*stray)(void *opaque, const struct vqsim_stray *stray);
	void *opaque;
	unsigned count;
	struct range ranges[VQSIM_MEMORY_REGIONS_MAX];

	struct loan *pool; /* element 0 is not used */
	uint32_t pool_size, pool_room;
	uint32_t free;
	struct loan ended[ENDED_MAX]; /* a circle */
	uint64_t ended_count;
};

static struct vqsim_loans *watching;

/* --- counters and shadow --- */

static void poison(const struct range *range, uint64_t from, uint64_t to)
{
	__asan_poison_memory_region(range->device + from, to - from);
}

static void unpoison(const struct range *range, uint64_t from, uint64_t to)
{
	__asan_unpoison_memory_region(range->device + from, to - from);
}

/* One more loan of the granules of [from, to), which is not empty and no whole page. */
static void granules_lend(struct range *range, uint64_t from, uint64_t to)
{
	for (uint64_t i = from / GRANULE; i <= (to - 1) / GRANULE; i++)
		if (range->granules[i]++ == 0)
			range->pages[i / GRANULES].granules++;
}

static void granules_end(struct range *range, uint64_t from, uint64_t to)
{
	uint64_t first = from / GRANULE, last = (to - 1) / GRANULE, run = 0;

	for (uint64_t i = first; i <= last; i++) {
		struct page *page = &range->pages[i / GRANULES];

		if (--range->granules[i] == 0)
			page->granules--;
		if (range->granules[i] == 0 && page->loans == 0) {
			run++;
			continue;
		}
		poison(range, (i - run) * GRANULE, i * GRANULE);
		run = 0;
	}
	poison(range, (last + 1 - run) * GRANULE, (last + 1) * GRANULE);
}

static void page_end(struct range *range, uint64_t index)
{
	struct page *page = &range->pages[index];
	uint64_t first = index * GRANULES;

	if (--page->loans > 0)
		return;
	poison(range, index * PAGE, (index + 1) * PAGE);
	for (uint64_t i = first; page->granules > 0 && i < first + GRANULES; i++)
		if (range->granules[i] > 0)
			unpoison(range, i * GRANULE, (i + 1) * GRANULE);
}

/* The offsets of [gpa, gpa + size) in the range; false: there are none. */
static bool cut(const struct range *range, uint64_t gpa, uint64_t size, uint64_t *from,
		uint64_t *to)
{
	uint64_t last = size - 1 > UINT64_MAX - gpa ? UINT64_MAX : gpa + (size - 1);

	if (size == 0 || last < range->gpa)
		return false;
	*from = gpa > range->gpa ? gpa - range->gpa : 0;
	last -= range->gpa;
	*to = last < range->size ? last + 1 : range->size;
	return *from < *to;
}

/* Lend, or end the loan of, offsets [from, to). */
static void change(struct range *range, uint64_t from, uint64_t to, bool lend)
{
	uint64_t first = (from + PAGE - 1) / PAGE, end = to / PAGE;
	void (*granules)(struct range *, uint64_t, uint64_t) = lend ? granules_lend : granules_end;

	if (first >= end) {
		granules(range, from, to);
	} else {
		if (from < first * PAGE)
			granules(range, from, first * PAGE);
		if (end * PAGE < to)
			granules(range, end * PAGE, to);
	}
	for (uint64_t i = first; i < end; i++) {
		if (lend)
			range->pages[i].loans++;
		else
			page_end(range, i);
	}
	if (lend)
		unpoison(range, from, to);
}

static void change_all(struct vqsim_loans *loans, uint64_t gpa, uint64_t size, bool lend)
{
	uint64_t from, to;

	for (unsigned i = 0; i < loans->count; i++)
		if (cut(&loans->ranges[i], gpa, size, &from, &to))
			change(&loans->ranges[i], from, to, lend);
}

/* --- the report --- */

static uint64_t distance(const struct loan *loan, uint64_t gpa)
{
	if (gpa < loan->gpa)
		return loan->gpa - gpa;
	return gpa - loan->gpa < loan->size ? 0 : gpa - loan->gpa - loan->size + 1;
}

/* The last one that has ended and held gpa, or the nearest that lasts; NULL: there is none. */
static const struct loan *nearest(const struct vqsim_loans *loans, uint64_t gpa)
{
	const struct loan *best = NULL;

	for (uint64_t i = loans->ended_count; i > 0 && i + ENDED_MAX > loans->ended_count; i--)
		if (distance(&loans->ended[(i - 1) % ENDED_MAX], gpa) == 0)
			return &loans->ended[(i - 1) % ENDED_MAX];
	for (uint32_t i = 1; i < loans->pool_size; i++) {
		const struct loan *loan = &loans->pool[i];

		if (loan->live && (!best || distance(loan, gpa) < distance(best, gpa)))
			best = loan;
	}
	return best;
}

static void tell(const struct vqsim_loans *loans, uint64_t gpa)
{
	const struct loan *near = nearest(loans, gpa);
	struct vqsim_stray stray = {
		.gpa = gpa,
		.size = __asan_get_report_access_size(),
		.write = __asan_get_report_access_type(),
		.has_near = near,
	};

	if (near) {
		stray.near = near->purpose;
		stray.end = near->end;
		stray.near_gpa = near->gpa;
		stray.near_size = near->size;
	}
	loans->stray(loans->opaque, &stray);
}

/* The sanitizer has printed its report, and the process is about to end. */
static void reported(const char *text)
{
	const uint8_t *at = __asan_get_report_address();

	(void)text;
	for (const struct vqsim_loans *loans = watching; loans; loans = loans->next)
		for (unsigned i = 0; i < loans->count; i++) {
			const struct range *range = &loans->ranges[i];
			uint64_t offset = (uint64_t)((uintptr_t)at - (uintptr_t)range->device);

			/* The guards of the mapping are its neighbours. */
			if (offset + PAGE >= range->size + 2 * PAGE)
				continue;
			tell(loans, range->gpa + offset);
			return;
		}
}

/* --- making and ending --- */

static void *counters(uint64_t size)
{
	void *made = mmap(NULL, size, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return made == MAP_FAILED ? NULL : made;
}

static uint64_t granules_size(uint64_t size)
{
	return size / GRANULE * sizeof(uint32_t);
}

static uint64_t pages_size(uint64_t size)
{
	return size / PAGE * sizeof(struct page);
}

static bool range_init(struct vqsim_loans *loans, const struct vqsim_mapping *mapping)
{
	struct range *range = &loans->ranges[loans->count];

	if (mapping->range.size > WATCHED_MAX)
		return true;
	*range = (struct range){
		.gpa = mapping->range.gpa,
		.size = mapping->range.size,
		.device = mapping->device,
		.granules = counters(granules_size(mapping->range.size)),
		.pages = counters(pages_size(mapping->range.size)),
	};
	loans->count++;
	if (!range->granules || !range->pages)
		return false;
	poison(range, 0, range->size);
	return true;
}

static void range_finish(struct range *range)
{
	unpoison(range, 0, range->size);
	if (range->granules)
		munmap(range->granules, granules_size(range->size));
	if (range->pages)
		munmap(range->pages, pages_size(range->size));
}

struct vqsim_loans *vqsim_loans_create(const struct vqsim_memory *memory,
				       void (*stray)(void *opaque, const struct vqsim_stray *stray),
				       void *opaque)
{
	struct vqsim_loans *loans = SHADOWED ? calloc(1, sizeof(*loans)) : NULL;
	bool made = loans;

	if (!loans)
		return NULL;
	loans->stray = stray;
	loans->opaque = opaque;
	loans->pool_size = 1;
	loans->next = watching;
	watching = loans;
	for (unsigned i = 0; made && i < memory->count; i++)
		made = range_init(loans, &memory->mappings[i]);
	__asan_set_error_report_callback(reported);
	if (made)
		return loans;
	vqsim_loans_destroy(loans);
	return NULL;
}

void vqsim_loans_destroy(struct vqsim_loans *loans)
{
	struct vqsim_loans **link = &watching;

	if (!loans)
		return;
	while (*link != loans)
		link = &(*link)->next;
	*link = loans->next;
	for (unsigned i = 0; i < loans->count; i++)
		range_finish(&loans->ranges[i]);
	free(loans->pool);
	free(loans);
}

/* --- loans --- */

/* A free element of the pool, or 0: the host is out of memory. */
static uint32_t loan_take(struct vqsim_loans *loans)
{
	uint32_t taken = loans->free;

	if (taken) {
		loans->free = loans->pool[taken].next;
		return taken;
	}
	if (loans->pool_size >= loans->pool_room) {
		uint32_t room = loans->pool_room ? 2 * loans->pool_room : 64;
		struct loan *grown = realloc(loans->pool, room * sizeof(*grown));

		if (!grown)
			return 0;
		loans->pool = grown;
		loans->pool_room = room;
	}
	return loans->pool_size++;
}

uint32_t vqsim_loans_lend(struct vqsim_loans *loans, uint32_t list, uint64_t gpa, uint64_t size,
			  const struct vqsim_loan_purpose *purpose)
{
	uint32_t taken;

	/* What a loop of descriptors exposes again and again is lent once. */
	if (list && loans->pool[list].gpa == gpa && loans->pool[list].size == size)
		return list;
	change_all(loans, gpa, size, true);
	taken = loan_take(loans);
	if (taken == 0)
		return list; /* lent for ever: the watch gets weaker, not wrong */
	loans->pool[taken] = (struct loan){
		.gpa = gpa,
		.size = size,
		.purpose = *purpose,
		.live = true,
		.next = list,
	};
	return taken;
}

void vqsim_loans_lend_all(struct vqsim_loans *loans, uint16_t queue)
{
	const struct vqsim_loan_purpose purpose = {queue, -1, "guest memory"};

	vqsim_loans_lend(loans, 0, 0, UINT64_MAX, &purpose);
}

static void loan_end(struct vqsim_loans *loans, uint32_t index, enum vqsim_loan_end end)
{
	struct loan *loan = &loans->pool[index];

	loan->live = false;
	loan->end = end;
	if (loan->size < UINT64_MAX)
		loans->ended[loans->ended_count++ % ENDED_MAX] = *loan;
	change_all(loans, loan->gpa, loan->size, false);
	loan->next = loans->free;
	loans->free = index;
}

void vqsim_loans_end(struct vqsim_loans *loans, uint32_t list, enum vqsim_loan_end end)
{
	while (list) {
		uint32_t next = loans->pool[list].next;

		loan_end(loans, list, end);
		list = next;
	}
}

void vqsim_loans_end_queue(struct vqsim_loans *loans, uint16_t queue, enum vqsim_loan_end end)
{
	for (uint32_t i = 1; i < loans->pool_size; i++)
		if (loans->pool[i].live && loans->pool[i].purpose.queue == queue)
			loan_end(loans, i, end);
}

void vqsim_loans_end_all(struct vqsim_loans *loans, enum vqsim_loan_end end)
{
	for (uint32_t i = 1; i < loans->pool_size; i++)
		if (loans->pool[i].live)
			loan_end(loans, i, end);
}
