/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The handler may take no lock, and it may run while another thread changes the table. So each
 * slot has a count that is odd while it is changed: a slot that does not hold still is not that of
 * the address, because a range is not touched before it is in the table nor after it has left.
 */
#define _GNU_SOURCE /* MAP_ANONYMOUS */
#include "shrink.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

struct slot {
	unsigned changes; /* odd: being changed; pairs with the two loads in read_slot */
	uintptr_t base;   /* 0: free */
	size_t size;
	bool *lost;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of those who change */
static struct slot slots[SHRINK_RANGES_MAX];
static unsigned slots_used; /* those behind it were never used; atomic */
static unsigned ranges;
static struct sigaction before;

static void write_slot(struct slot *slot, uintptr_t base, size_t size, bool *lost)
{
	__atomic_fetch_add(&slot->changes, 1, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_RELEASE);
	__atomic_store_n(&slot->base, base, __ATOMIC_RELAXED);
	__atomic_store_n(&slot->size, size, __ATOMIC_RELAXED);
	__atomic_store_n(&slot->lost, lost, __ATOMIC_RELAXED);
	__atomic_fetch_add(&slot->changes, 1, __ATOMIC_RELEASE);
}

/* Whether it held still, and *copy is what it was then. */
static bool read_slot(struct slot *slot, struct slot *copy)
{
	copy->changes = __atomic_load_n(&slot->changes, __ATOMIC_ACQUIRE);
	copy->base = __atomic_load_n(&slot->base, __ATOMIC_RELAXED);
	copy->size = __atomic_load_n(&slot->size, __ATOMIC_RELAXED);
	copy->lost = __atomic_load_n(&slot->lost, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	return copy->changes % 2 == 0 &&
	       __atomic_load_n(&slot->changes, __ATOMIC_RELAXED) == copy->changes;
}

static bool find(uintptr_t address, struct slot *found)
{
	unsigned count = __atomic_load_n(&slots_used, __ATOMIC_ACQUIRE);

	for (unsigned i = 0; i < count; i++)
		if (read_slot(&slots[i], found) && found->base != 0 &&
		    address - found->base < found->size)
			return true;
	return false;
}

/* All of it at once: pages may be huge, and a part of such a mapping cannot be replaced. */
static bool replace(uintptr_t address)
{
	struct slot found;

	if (!find(address, &found))
		return false;
	if (mmap((void *)found.base, found.size, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) == MAP_FAILED)
		return false;
	__atomic_store_n(found.lost, true, __ATOMIC_RELEASE);
	return true;
}

/* As if we were not there. With the default action the signal comes again, and that is the end. */
static void pass_on(int number, siginfo_t *info, void *context)
{
	if (before.sa_flags & SA_SIGINFO) {
		before.sa_sigaction(number, info, context);
	} else if (before.sa_handler != SIG_DFL && before.sa_handler != SIG_IGN) {
		before.sa_handler(number);
	} else {
		sigaction(number, &before, NULL);
		raise(number);
	}
}

static void handle(int number, siginfo_t *info, void *context)
{
	int error = errno;

	if (info->si_code != BUS_ADRERR || !replace((uintptr_t)info->si_addr))
		pass_on(number, info, context);
	errno = error;
}

static bool is_ours(const struct sigaction *action)
{
	return (action->sa_flags & SA_SIGINFO) && action->sa_sigaction == handle;
}

static void install(void)
{
	struct sigaction now, ours = {.sa_sigaction = handle, .sa_flags = SA_SIGINFO | SA_ONSTACK};

	sigemptyset(&ours.sa_mask);
	sigaction(SIGBUS, NULL, &now);
	if (is_ours(&now))
		return;
	before = now;
	sigaction(SIGBUS, &ours, NULL);
}

static void uninstall(void)
{
	struct sigaction now;

	sigaction(SIGBUS, NULL, &now);
	if (is_ours(&now))
		sigaction(SIGBUS, &before, NULL);
}

static struct slot *slot_with(uintptr_t base)
{
	for (unsigned i = 0; i < slots_used; i++)
		if (slots[i].base == base)
			return &slots[i];
	return NULL;
}

/* lock is held. NULL: there is none. */
static struct slot *free_slot(void)
{
	struct slot *slot = slot_with(0);

	if (slot || slots_used == SHRINK_RANGES_MAX)
		return slot;
	__atomic_store_n(&slots_used, slots_used + 1, __ATOMIC_RELEASE);
	return &slots[slots_used - 1];
}

static bool is_whole_pages(uintptr_t base, size_t size)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	return base != 0 && size != 0 && base % page == 0 && size % page == 0;
}

int shrink_guard_add(void *base, size_t size, bool *lost)
{
	struct slot *slot;

	if (!is_whole_pages((uintptr_t)base, size))
		return -EINVAL;
	pthread_mutex_lock(&lock);
	slot = free_slot();
	if (slot) {
		install();
		ranges++;
		write_slot(slot, (uintptr_t)base, size, lost);
	}
	pthread_mutex_unlock(&lock);
	return slot ? 0 : -ENOSPC;
}

void shrink_guard_remove(const void *base)
{
	struct slot *slot;

	if (!base)
		return;
	pthread_mutex_lock(&lock);
	slot = slot_with((uintptr_t)base);
	if (slot) {
		write_slot(slot, 0, 0, NULL);
		if (--ranges == 0)
			uninstall();
	}
	pthread_mutex_unlock(&lock);
}
