/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Feature bits (virtio 1.3, 2.2 and 6). The negotiation here is done by hand: the guest of
 * the suite never asks for what it does not understand.
 */
#include <inttypes.h>

#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>

#include "cases_internal.h"

#define VERSION_1      VIRTIO_FEATURE(VIRTIO_F_VERSION_1)
#define F_SR_IOV       37
#define RANDOM_SUBSETS 64u
#define TIMES          5u

/* Without these a device may refuse to work (6.2). */
#define NOT_TO_MISS                                             \
	(VERSION_1 | VIRTIO_FEATURE(VIRTIO_F_ACCESS_PLATFORM) | \
	 VIRTIO_FEATURE(VIRTIO_F_ORDER_PLATFORM))

/* Bits 28, 29, 32 to 36, 38 to 40 and 43 mean something without PCI (6). */
#define KNOWN_RING UINT64_C(0x9df30000000)

/* Bits 1, 2, 4 to 6 and 9 to 17 (5.2.3). */
#define KNOWN_BLK UINT64_C(0x3fe76)

/* Steps 1 to 6 of 3.1.1 with exactly these bits. Returns whether FEATURES_OK stuck. */
static bool negotiate(struct vqsim_suite *s, uint64_t features)
{
	struct virtio_transport *transport = &s->guest.link.transport;

	vqsim_guest_reset(&s->guest);
	virtio_transport_write_status(transport, VIRTIO_CONFIG_S_ACKNOWLEDGE);
	virtio_transport_write_status(transport,
				      VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER);
	virtio_transport_set_features(transport, features);
	virtio_transport_write_status(transport, VIRTIO_CONFIG_S_ACKNOWLEDGE |
							 VIRTIO_CONFIG_S_DRIVER |
							 VIRTIO_CONFIG_S_FEATURES_OK);
	return virtio_transport_status(transport) & VIRTIO_CONFIG_S_FEATURES_OK;
}

/* Of a block device: CONFIG_WCE is the only one that needs another one (5.2.5.2). */
static void dependencies(struct vqsim_suite *s)
{
	SUITE_EXPECT(s,
		     !s->is_blk || !vqsim_suite_offers(s, VIRTIO_BLK_F_CONFIG_WCE) ||
			     vqsim_suite_offers(s, VIRTIO_BLK_F_FLUSH),
		     "CONFIG_WCE is not offered without FLUSH");
}

static void expect_accepted(struct vqsim_suite *s, uint64_t features)
{
	SUITE_EXPECT(s, negotiate(s, features), "the features 0x%" PRIx64 " are accepted",
		     features);
}

static void every_subset(struct vqsim_suite *s)
{
	uint64_t must = s->offered & NOT_TO_MISS, random = 1;

	expect_accepted(s, must);
	expect_accepted(s, s->offered);
	for (unsigned bit = 0; bit < 64; bit++) {
		if (!(s->offered & ~must & VIRTIO_FEATURE(bit)))
			continue;
		expect_accepted(s, must | VIRTIO_FEATURE(bit));
		expect_accepted(s, s->offered & ~VIRTIO_FEATURE(bit));
	}
	for (unsigned i = 0; i < RANDOM_SUBSETS; i++) {
		random = random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
		expect_accepted(s, must | (s->offered & (random ^ random >> 32)));
	}
}

static void nothing_else(struct vqsim_suite *s)
{
	for (unsigned bit = 0; bit < 64; bit++) {
		if (s->offered & VIRTIO_FEATURE(bit))
			continue;
		SUITE_EXPECT(s, !negotiate(s, s->offered | VIRTIO_FEATURE(bit)),
			     "FEATURES_OK does not stick with bit %u, which is not offered", bit);
	}
	vqsim_suite_up(s);
	vqsim_suite_good_request(s, cases_first(s));
}

/* What is offered means something, and a driver that takes it is served. */
static void only_what_works(struct vqsim_suite *s)
{
	uint64_t known = KNOWN_RING | (s->is_blk ? KNOWN_BLK : (UINT64_C(1) << 24) - 1);
	struct vqsim_guest_config config = vqsim_suite_config(s);
	uint64_t point = vqsim_point_features(&s->point);

	SUITE_EXPECT(s, (s->offered & ~known) == 0,
		     "no bit is offered that is reserved or belongs elsewhere (0x%" PRIx64 " is)",
		     s->offered & ~known);
	for (unsigned bit = 0; bit < 64; bit++) {
		if (!vqsim_suite_offers(s, bit) || VIRTIO_FEATURE(bit) & KNOWN_RING)
			continue;
		config.features = point | VIRTIO_FEATURE(bit);
		vqsim_suite_must_come_up(s, NULL, &config);
		vqsim_suite_good_request(s, cases_first(s));
	}
}

static void accepted_again(struct vqsim_suite *s)
{
	for (unsigned i = 0; i < TIMES; i++)
		SUITE_EXPECT(s, negotiate(s, s->offered),
			     "what was accepted is accepted after reset %u", i);
}

static void stay_fixed(struct vqsim_suite *s)
{
	struct virtio_transport *transport = &s->guest.link.transport;

	vqsim_suite_up(s);
	SUITE_EXPECT(s, virtio_transport_features(transport) == s->offered,
		     "the offer stays as it is after FEATURES_OK");
	virtio_transport_set_features(transport, VERSION_1);
	vqsim_suite_good_request(s, cases_first(s));
	virtio_transport_set_features(transport, s->offered);
	vqsim_suite_good_request(s, cases_first(s));
	virtio_transport_set_features(transport, 0);
	vqsim_suite_good_request(s, cases_first(s));
	SUITE_EXPECT(s, virtio_transport_features(transport) == s->offered,
		     "the offer stays as it is while the device works");
}

static void offers_version_1(struct vqsim_suite *s)
{
	SUITE_EXPECT(s, vqsim_suite_offers(s, VIRTIO_F_VERSION_1), "VERSION_1 is offered");
}

static void no_sr_iov(struct vqsim_suite *s)
{
	SUITE_EXPECT(s, !vqsim_suite_offers(s, F_SR_IOV),
		     "SR_IOV is not offered by a device that is not on PCI");
}

static void expect_served(struct vqsim_suite *s, const struct vqsim_guest_config *config)
{
	struct vqsim_suite_io io;

	vqsim_suite_must_come_up(s, NULL, config);
	vqsim_suite_io_init(s, &io, 512);
	vqsim_suite_io_add(s, cases_first(s), &io);
	vqsim_suite_io_serve(s, cases_first(s), &io);
}

static void expect_served_if_accepted(struct vqsim_suite *s,
				      const struct vqsim_guest_config *config)
{
	if (vqsim_guest_negotiate(&s->guest, config->features) == VQSIM_UP)
		expect_served(s, config);
}

/*
 * A driver that does not take the bit is refused, or served. Either way one that takes
 * it is served afterwards.
 */
static void refused_or_served(struct vqsim_suite *s, unsigned bit)
{
	struct vqsim_guest_config config = vqsim_suite_config(s);

	config.features &= ~VIRTIO_FEATURE(bit);
	expect_served_if_accepted(s, &config);
	config.features |= VIRTIO_FEATURE(bit);
	expect_served(s, &config);
}

/*
 * No driver without the bit gets past the transport. So the transport keeps the bit to itself for
 * a while: the device does not hear that it was taken.
 */
static void without_version_1(struct vqsim_suite *s)
{
	struct virtio_transport *transport = &s->guest.link.transport;
	struct vqsim_guest_config config = vqsim_suite_config(s);
	uint64_t hidden = transport->hidden_features, own = transport->own_features;

	vqsim_guest_reset(&s->guest);
	transport->hidden_features |= VERSION_1;
	transport->own_features |= VERSION_1;
	expect_served_if_accepted(s, &config);
	vqsim_guest_reset(&s->guest);
	transport->hidden_features = hidden;
	transport->own_features = own;
	expect_served(s, &config);
}

static void without_access_platform(struct vqsim_suite *s)
{
	refused_or_served(s, VIRTIO_F_ACCESS_PLATFORM);
}

static void without_order_platform(struct vqsim_suite *s)
{
	refused_or_served(s, VIRTIO_F_ORDER_PLATFORM);
}

const struct vqsim_case vqsim_cases_features[] = {
	{.name = "features_dependencies",
	 .clauses = "FEAT-D-01",
	 .scope = VQSIM_ONCE,
	 .run = dependencies},
	{.name = "features_every_subset",
	 .clauses = "FEAT-D-02",
	 .scope = VQSIM_ONCE,
	 .run = every_subset},
	{.name = "features_nothing_else",
	 .clauses = "FEAT-D-03",
	 .bugs = "LIFE-17",
	 .scope = VQSIM_ONCE,
	 .run = nothing_else},
	{.name = "features_only_what_works",
	 .clauses = "FEAT-D-04",
	 .scope = VQSIM_EACH_FORMAT,
	 .run = only_what_works},
	{.name = "features_accepted_again",
	 .clauses = "FEAT-D-05",
	 .scope = VQSIM_ONCE,
	 .run = accepted_again},
	{.name = "features_stay_fixed",
	 .clauses = "FEAT-DX-01",
	 .bugs = "LIFE-16",
	 .run = stay_fixed},
	{.name = "features_version_1",
	 .clauses = "RFB-D-01",
	 .scope = VQSIM_ONCE,
	 .run = offers_version_1},
	{.name = "features_without_version_1",
	 .clauses = "RFB-D-02",
	 .scope = VQSIM_EACH_FORMAT,
	 .run = without_version_1},
	{.name = "features_without_access_platform",
	 .clauses = "RFB-D-04",
	 .scope = VQSIM_EACH_FORMAT,
	 .run = without_access_platform},
	{.name = "features_without_order_platform",
	 .clauses = "RFB-D-06",
	 .scope = VQSIM_EACH_FORMAT,
	 .run = without_order_platform},
	{.name = "features_no_sr_iov",
	 .clauses = "RFB-D-10",
	 .scope = VQSIM_ONCE,
	 .run = no_sr_iov},
	{.name = NULL},
};
