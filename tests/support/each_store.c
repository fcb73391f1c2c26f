/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE /* REG_EFL */
#include "each_store.h"

#include <dlfcn.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <ucontext.h>

static struct each_store watched;
static struct sigaction others_segv, others_trap;

static void protect(int protection)
{
	for (unsigned i = 0; i < EACH_STORE_PAGES; i++)
		if (mprotect(watched.pages[i], EACH_STORE_PAGE, protection))
			abort();
}

/* The C library's own: a sanitizer's wrapper keeps SIGSEGV for itself. */
static void set_action(int number, const struct sigaction *action, struct sigaction *old)
{
	void *libc = dlopen("libc.so.6", RTLD_LAZY);
	int (*set)(int, const struct sigaction *, struct sigaction *);

	*(void **)&set = libc ? dlsym(libc, "sigaction") : NULL;
	if (!set || set(number, action, old))
		abort();
	dlclose(libc);
}

#ifdef __x86_64__
#define TRAP_FLAG 0x100

bool each_store_possible(void)
{
	return true;
}

static void stop_behind(ucontext_t *context, bool stop)
{
	if (stop)
		context->uc_mcontext.gregs[REG_EFL] |= TRAP_FLAG;
	else
		context->uc_mcontext.gregs[REG_EFL] &= ~TRAP_FLAG;
}
#else
bool each_store_possible(void)
{
	return false;
}

static void stop_behind(ucontext_t *context, bool stop)
{
	(void)context;
	(void)stop;
}
#endif

static bool is_watched(const void *address)
{
	for (unsigned i = 0; i < EACH_STORE_PAGES; i++)
		if ((uintptr_t)address - (uintptr_t)watched.pages[i] < EACH_STORE_PAGE)
			return true;
	return false;
}

static void faulted(int number, siginfo_t *info, void *context)
{
	/* A fault of somebody else happens again, to whoever waited for it before. */
	if (!is_watched(info->si_addr)) {
		set_action(number, &others_segv, NULL);
		return;
	}
	protect(PROT_READ | PROT_WRITE);
	stop_behind(context, true);
}

static void stopped(int number, siginfo_t *info, void *context)
{
	(void)number;
	(void)info;
	watched.changed(watched.opaque);
	protect(PROT_READ);
	stop_behind(context, false);
}

void each_store_begin(const struct each_store *each)
{
	const struct sigaction on_fault = {.sa_sigaction = faulted, .sa_flags = SA_SIGINFO};
	const struct sigaction on_stop = {.sa_sigaction = stopped, .sa_flags = SA_SIGINFO};

	watched = *each;
	set_action(SIGSEGV, &on_fault, &others_segv);
	set_action(SIGTRAP, &on_stop, &others_trap);
	protect(PROT_READ);
}

void each_store_end(void)
{
	protect(PROT_READ | PROT_WRITE);
	set_action(SIGTRAP, &others_trap, NULL);
	set_action(SIGSEGV, &others_segv, NULL);
}
