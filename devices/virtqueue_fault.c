/* SPDX-License-Identifier: BSD-3-Clause */
#include "virtqueue.h"

const char *virtqueue_fault_name(enum virtqueue_fault fault)
{
	static const char *const names[] = {
		[VIRTQUEUE_OK] = "no fault",
		[VIRTQUEUE_FAULT_INDEX_JUMP] = "available index moved by more than the queue size",
		[VIRTQUEUE_FAULT_HEAD_RANGE] = "head not below the queue size",
		[VIRTQUEUE_FAULT_HEAD_IN_FLIGHT] = "head available again before it was used",
		[VIRTQUEUE_FAULT_NEXT_RANGE] = "next not below the size of its table",
		[VIRTQUEUE_FAULT_CHAIN_TOO_LONG] = "chain loops or is longer than the cap",
		[VIRTQUEUE_FAULT_CHAIN_SIZE] = "chain of more than 2^32 bytes",
		[VIRTQUEUE_FAULT_ORDER] = "readable descriptor after a writable one",
		[VIRTQUEUE_FAULT_INDIRECT] = "indirect table not negotiated, nested or with NEXT",
		[VIRTQUEUE_FAULT_TABLE_SIZE] = "impossible size of an indirect table",
		[VIRTQUEUE_FAULT_UNMAPPED] = "buffer or table outside of guest memory",
		[VIRTQUEUE_FAULT_RING_UNMAPPED] = "ring no longer in guest memory",
	};

	return (size_t)fault < sizeof(names) / sizeof(names[0]) ? names[fault] : "unknown fault";
}
