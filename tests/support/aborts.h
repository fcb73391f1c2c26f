/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What misuse is: the process ends by abort. The call is made in a child.
 *
 * Threads: one.
 */
#ifndef TESTS_SUPPORT_ABORTS_H
#define TESTS_SUPPORT_ABORTS_H

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define assert_aborts(call)                                                        \
	do {                                                                       \
		int status_;                                                       \
		pid_t child_ = fork();                                             \
                                                                                   \
		if (child_ == 0) {                                                 \
			signal(SIGABRT, SIG_DFL);                                  \
			fclose(stderr);                                            \
			(void)(call);                                              \
			_exit(0);                                                  \
		}                                                                  \
		assert_int_equal(waitpid(child_, &status_, 0), child_);            \
		assert_true(WIFSIGNALED(status_) && WTERMSIG(status_) == SIGABRT); \
	} while (0)

#endif
