/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A socket that takes its time to close.
 *
 * Failures end the cmocka test. Threads: any.
 */
#ifndef TESTS_SUPPORT_LINGERING_H
#define TESTS_SUPPORT_LINGERING_H

#include <stdbool.h>

/*
 * pair[1] has no room, and whoever closes the last descriptor of pair[0] waits for that, 1000 seconds.
 * Returns false: there is no network.
 */
bool lingering_open(int pair[2]);

#endif
