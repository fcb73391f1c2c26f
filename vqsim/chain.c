/* SPDX-License-Identifier: BSD-3-Clause */
#include "chain.h"
#include "misuse_internal.h"

unsigned vqsim_chain_cut(struct vqsim_element *out, unsigned max, uint64_t gpa, uint32_t size,
			 bool write, const uint32_t *sizes, unsigned size_count)
{
	unsigned count = 0;

	/* One round more than there are sizes: for what they leave over. */
	for (unsigned i = 0; i <= size_count; i++) {
		bool asked = i < size_count && sizes[i] < size;
		uint32_t len = asked ? sizes[i] : size;
		bool empty_wanted = i < size_count && sizes[i] == 0;

		if (len == 0 && !empty_wanted)
			continue;
		if (count == max)
			vqsim_misuse(__func__, "more than %u elements", max);
		out[count++] = (struct vqsim_element){.gpa = gpa, .len = len, .write = write};
		gpa += len;
		size -= len;
	}
	return count;
}
