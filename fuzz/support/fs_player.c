/* SPDX-License-Identifier: BSD-3-Clause */
#include "fs_player.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "fs_player_internal.h"

#define REQUEST_QUEUES 2u

static const struct vqsim_region regions[] = {{0x100000, 0x30000}, {0x130000, 0x30000}};

/* Each ring takes memory until the device is reset. */
#define ENABLES_MAX 8u

/* What the kernel of the host does its own way, and what a dir tree leaves to the guest. */
#define HOST_FREEDOM                                                               \
	(VQSIM_TREE_COARSE_CLOCK | VQSIM_TREE_DIR_NLINK | VQSIM_TREE_HOST_POLICY | \
	 VQSIM_TREE_NO_XATTR | VQSIM_TREE_TRUSTING | VQSIM_TREE_LATE_LISTINGS |    \
	 VQSIM_TREE_FREE_ATIME | VQSIM_TREE_IDS_LINGER | VQSIM_TREE_SIZE_LIMIT)

#define REGIONS (sizeof(regions) / sizeof(regions[0]))

int fuzz_fs_player_init(struct fuzz_fs_player *player)
{
	int error;

	memset(player, 0, sizeof(*player));
	error = vqsim_memory_init(&player->memory, regions, REGIONS);
	return error ? error : vqsim_referee_init(&player->referee, &player->memory);
}

void fuzz_fs_player_finish(struct fuzz_fs_player *player)
{
	vqsim_referee_finish(&player->referee);
	vqsim_memory_finish(&player->memory);
}

void player_violation(struct fuzz_fs_player *player, enum vqsim_rule rule, const char *what)
{
	vqsim_referee_violation(&player->referee, rule, 1, "%s", what);
}

/* --- requests --- */

/* The session is perhaps not the one that the client has in mind. */
static void doubt(struct fuzz_fs_player *player)
{
	player->known = player->modelled = false;
	player->unsure = true;
}

/* A dir tree makes files as the caller, if there can be such a one. */
static bool caller_known(const struct fuzz_fs_player *player)
{
	const struct vqsim_fs *fs = &player->fs;

	switch (player->kind) {
	case FUZZ_FS_RAM:
		return true;
	case FUZZ_FS_DIR:
		return fs->uid != UINT32_MAX && fs->gid != UINT32_MAX;
	default:
		return fs->uid == 0 && fs->gid == 0;
	}
}

/* Messages of a session, on the queue for them. */
static bool model_knows(const struct fuzz_fs_player *player, const struct vqsim_fs_request *request)
{
	bool hiprio = vqsim_fs_queue_of(&player->fs, request) == VQSIM_FS_HIPRIO;

	return !request->raw && caller_known(player) &&
	       (hiprio || request->queue != VQSIM_FS_HIPRIO) &&
	       (player->fs.minor > 0 || request->args.opcode == FUSE_INIT);
}

static void on_submit(void *opaque, struct vqsim_fs_request *request)
{
	struct fuzz_fs_player *player = opaque;

	player->modelled &= model_knows(player, request);
	if (player->modelled)
		player->listener.on_submit(&player->model, request);
}

static void on_done(void *opaque, struct vqsim_fs_request *request)
{
	struct fuzz_fs_player *player = opaque;

	if (player->modelled)
		player->listener.on_done(&player->model, request);

	player->completed++;
	if (!request->raw && request->result.error == 0)
		fuzz_fs_see(&player->seen, &player->fs, request);
	/* The old session goes on, or none does, and the client has not noticed. */
	if (!request->raw && request->args.opcode == FUSE_INIT && request->result.error != 0)
		doubt(player);
}

/* Until nothing happens any more. What waits for another request waits. */
void player_work(struct fuzz_fs_player *player)
{
	uint64_t before;

	for (uint16_t i = 0; i < player->guest.queue_count; i++)
		vqsim_guest_publish(&player->guest, i);
	do {
		before = player->completed;
		for (uint16_t i = 0; i < player->guest.queue_count; i++) {
			vqsim_guest_run(&player->guest, i);
			while (vqsim_fs_reap(&player->fs, i))
				;
		}
	} while (player->completed != before);
}

bool player_in_flight(const struct fuzz_fs_player *player)
{
	for (unsigned i = 0; i < FUZZ_FS_SLOTS; i++)
		if (player->slots[i].request.fs)
			return true;
	return false;
}

static struct fuzz_fs_slot *free_slot(struct fuzz_fs_player *player)
{
	for (unsigned i = 0; i < FUZZ_FS_SLOTS; i++)
		if (!player->slots[i].request.fs)
			return &player->slots[i];
	return NULL;
}

static void note_uniques(struct fuzz_fs_player *player)
{
	player->seen.uniques = player->uniques;
	player->seen.unique_count = 0;
	for (unsigned i = 0; i < FUZZ_FS_SLOTS; i++)
		if (player->slots[i].request.fs)
			player->uniques[player->seen.unique_count++] =
				player->slots[i].request.unique;
}

/* Cuts of a message and of the room for its reply. */
static const uint32_t cuts[][8] = {
	{0},  {1, 1, 1, 1, 1, 1, 1}, {7, 13, 20, 1}, {39, 1}, {16, 24, 3},
	{41}, {8, 8, 8, 8, 8, 8, 8},
};

#define CUTS (sizeof(cuts) / sizeof(cuts[0]))

/* In the default framing, whole, or cut. */
static void frame(const struct fuzz_fs_player *player, struct vqsim_fs_request *request)
{
	unsigned in = player->framing.choice % 8, out = player->framing.choice / 8 % 8;

	if (in > 0) {
		request->readable_cuts = cuts[(in - 1) % CUTS];
		request->readable_cut_count = in > 1 ? 8 : 0;
	}
	if (out > 0) {
		request->writable_cuts = cuts[(out - 1) % CUTS];
		request->writable_cut_count = out > 1 ? 8 : 0;
	}
	request->indirect = player->framing.choice & 0x40;
	request->direct = player->framing.choice >> 7;
}

/* Mostly the queue that the opcode belongs to. */
static uint16_t queue_of(const struct fuzz_fs_player *player,
			 const struct vqsim_fs_request *request)
{
	uint16_t queue = vqsim_fs_queue_of(&player->fs, request);

	switch (player->framing.queue) {
	case QUEUE_OTHER:
		return queue == VQSIM_FS_HIPRIO ? queue : REQUEST_QUEUES;
	case QUEUE_HIPRIO:
		return VQSIM_FS_HIPRIO;
	case QUEUE_REQUEST:
		return 1;
	default:
		return queue;
	}
}

/* What says INIT in either byte order may begin a session that the client does not know of. */
static bool says_init(const struct vqsim_fs_request *request)
{
	uint32_t opcode;

	if (request->in_size < offsetof(struct fuse_in_header, unique))
		return false;
	memcpy(&opcode, request->in + offsetof(struct fuse_in_header, opcode), sizeof(opcode));
	return opcode == FUSE_INIT || opcode == FUSE_INIT_BSWAP_RESERVED;
}

static uint64_t given_back(const struct vqsim_fs_args *args, uint64_t node)
{
	uint64_t count = args->opcode == FUSE_FORGET && args->node == node ? args->count : 0;

	for (uint64_t i = 0; args->opcode == FUSE_BATCH_FORGET && i < args->count; i++)
		if (args->forgets[i].nodeid == node)
			count += args->forgets[i].nlookup;
	return count;
}

/*
 * More than there was, and perhaps what a request in flight is about to bring: whether the node is
 * there afterwards depends on which of them is first.
 */
static bool may_overdraw(const struct fuzz_fs_player *player,
			 const struct vqsim_fs_request *request)
{
	const struct vqsim_fs_args *args = &request->args;
	bool batch = args->opcode == FUSE_BATCH_FORGET;
	uint64_t count = batch ? args->count : args->opcode == FUSE_FORGET;

	if (request->raw || !player_in_flight(player))
		return false;
	for (uint64_t i = 0; i < count; i++) {
		uint64_t node = batch ? args->forgets[i].nodeid : args->node;

		if (given_back(args, node) > vqsim_fs_lookups(&player->fs, node))
			return true;
	}
	return false;
}

void player_submit(struct fuzz_fs_player *player, struct vqsim_fs_request *request)
{
	uint16_t queue;

	if (player->unsure && !request->raw)
		vqsim_fs_make_raw(&player->fs, request, NULL, request->in_size, request->out_size);
	player->modelled &= !may_overdraw(player, request);
	queue = queue_of(player, request);
	frame(player, request);
	if (vqsim_fs_submit(&player->fs, queue, request) >= 0 && request->raw)
		player->known = false;
	if (says_init(request) && (request->raw || !request->fs))
		doubt(player);
	if (!player->later)
		player_work(player);
}

/* A session in the byte order of the guest begins when the old one is over. */
static void prepare_init(struct fuzz_fs_player *player, const struct fuzz_fs_op *op)
{
	if (player->later || player_in_flight(player))
		return;
	player->fs.swapped = op->other % 4 == 1;
	player->unsure = false;
}

static void apply_request(struct fuzz_fs_player *player, const struct fuzz_fs_op *op)
{
	struct fuzz_fs_slot *slot = free_slot(player);
	struct vqsim_fs_args args;

	if (!slot)
		return;
	note_uniques(player);
	if (op->opcode == FUSE_INIT)
		prepare_init(player, op);
	args = fuzz_fs_args(op, &player->seen, &slot->room);
	vqsim_fs_make(&player->fs, &slot->request, &args);
	if (player->bend.code == FUZZ_FS_BEND)
		player_bend(player, &slot->request);
	player_submit(player, &slot->request);
}

static void apply_raw(struct fuzz_fs_player *player, const struct fuzz_fs_op *op)
{
	struct fuzz_fs_slot *slot = free_slot(player);

	if (slot && player_raw(player, &slot->request, op))
		player_submit(player, &slot->request);
}

/* --- life --- */

static void lose_all(struct fuzz_fs_player *player)
{
	for (unsigned i = 0; i < FUZZ_FS_SLOTS; i++)
		vqsim_fs_request_finish(&player->slots[i].request);
	vqsim_fs_finish(&player->fs);
}

static bool make_requests(struct fuzz_fs_player *player)
{
	if (vqsim_fs_init(&player->fs, &player->guest, FUZZ_FS_DATA) != 0)
		return false;
	for (unsigned i = 0; i < FUZZ_FS_SLOTS; i++)
		if (vqsim_fs_request_init(&player->fs, &player->slots[i].request, FUZZ_FS_DATA) !=
		    0)
			return false;
	return true;
}

/* The player and the model both hear of requests. */
static void listen(struct fuzz_fs_player *player)
{
	if (player->modelled)
		vqsim_tree_watch(&player->model, &player->fs);
	player->listener = player->fs;
	player->fs.on_submit = on_submit;
	player->fs.on_done = on_done;
	player->fs.opaque = player;
}

static void begin_session(struct fuzz_fs_player *player, const struct fuzz_fs_op *op)
{
	struct fuzz_fs_op init = {
		.code = FUZZ_FS_REQUEST,
		.opcode = FUSE_INIT,
		.mask = op->mask,
		.flags = op->flags,
		.other = op->other,
	};

	player->bend.code = 0;
	player->framing = (struct fuzz_fs_framing){0};
	player->later = false;
	apply_request(player, &init);
	/* What the root is like, nobody has told the model yet. */
	if (player->modelled && player->fs.minor > 0)
		apply_request(player, &(struct fuzz_fs_op){.code = FUZZ_FS_REQUEST,
							   .opcode = FUSE_GETATTR});
}

bool player_up(struct fuzz_fs_player *player, const struct fuzz_fs_op *op)
{
	static const uint64_t features[] = {
		VIRTIO_FEATURE(VIRTIO_RING_F_INDIRECT_DESC),
		VIRTIO_FEATURE(VIRTIO_RING_F_EVENT_IDX),
		VIRTIO_FEATURE(VIRTIO_F_RING_PACKED),
		VIRTIO_FEATURE(VIRTIO_TRANSPORT_F_RING_RESET),
	};
	struct vqsim_guest_config config = {.queue_size = (uint16_t)(8u << op->size % 3)};

	for (unsigned i = 0; i < 4; i++)
		config.features |= op->fuse_flags >> i & 1 ? features[i] : 0;
	player->modelled &= !player_in_flight(player);
	lose_all(player);
	player->resets += player->up;
	memset(&player->seen, 0, sizeof(player->seen));
	player->known = true;
	player->unsure = false;
	player->enables = 0;
	player->up =
		vqsim_guest_bring_up(&player->guest, &config) == VQSIM_UP && make_requests(player);
	if (!player->up)
		return false;
	listen(player);
	begin_session(player, op);
	return true;
}

static void lose(struct fuzz_fs_player *player, struct vqsim_fs_request *request)
{
	player->known = player->modelled = false;
	player->unsure |= says_init(request);
	vqsim_fs_request_lose(request);
}

static void apply_queue_reset(struct fuzz_fs_player *player, const struct fuzz_fs_op *op)
{
	uint16_t queue = op->value % player->guest.queue_count;

	if (!(player->guest.features & VIRTIO_FEATURE(VIRTIO_TRANSPORT_F_RING_RESET)) ||
	    player->enables == ENABLES_MAX)
		return;
	player->enables++;
	vqsim_guest_queue_reset(&player->guest, queue);
	for (unsigned i = 0; i < FUZZ_FS_SLOTS; i++)
		if (player->slots[i].request.fs && player->slots[i].request.queue == queue)
			lose(player, &player->slots[i].request);
	if (vqsim_guest_queue_enable(&player->guest, queue, 16) != VQSIM_UP)
		player_violation(player, VQSIM_RULE_PROGRESS, "a queue cannot be enabled again");
}

static void apply_caller(struct fuzz_fs_player *player, const struct fuzz_fs_op *op)
{
	static const uint32_t ids[] = {0, 1000, 1001, UINT32_MAX};
	static const uint32_t groups[] = {1000, 1001, 0};

	player->fs.uid = ids[op->other % 4];
	player->fs.gid = ids[op->other / 4 % 4];
	player->fs.umask = op->mode;
	player->fs.groups = groups;
	player->fs.group_count = op->value % 4;
}

static void apply(struct fuzz_fs_player *player, const struct fuzz_fs_op *op)
{
	switch ((enum fuzz_fs_code)op->code) {
	case FUZZ_FS_REQUEST:
		apply_request(player, op);
		break;
	case FUZZ_FS_UP:
		player_up(player, op);
		break;
	case FUZZ_FS_WORK:
		player_work(player);
		break;
	case FUZZ_FS_CALLER:
		apply_caller(player, op);
		break;
	case FUZZ_FS_FRAMING:
		player->framing = (struct fuzz_fs_framing){op->flags, op->value % QUEUES};
		break;
	case FUZZ_FS_LATER:
		player->later = op->value % 2;
		break;
	case FUZZ_FS_BEND:
		player->bend = *op;
		break;
	case FUZZ_FS_RAW:
		apply_raw(player, op);
		break;
	case FUZZ_FS_QUEUE_RESET:
		apply_queue_reset(player, op);
		break;
	}
}

static int make_device(struct fuzz_fs_player *player)
{
	const struct fs_options options = {
		.tag = "fuzz", .request_queue_count = REQUEST_QUEUES, .queue_size_max = 32};
	int error = fuse_session_create(&player->session, NULL, player->tree);

	if (!error)
		error = fs_create(&player->device, &options, player->session);
	if (!error)
		error = vqsim_guest_init(&player->guest, &player->memory, player->device,
					 &player->referee);
	return error;
}

static void end(struct fuzz_fs_player *player)
{
	lose_all(player);
	vqsim_tree_finish(&player->model);
	vqsim_guest_finish(&player->guest);
	if (player->device)
		player->device->ops->destroy(player->device);
	if (player->session)
		player->session->ops->destroy(player->session);
	player->tree->ops->destroy(player->tree);
	player->device = NULL;
	player->session = NULL;
	player->up = false;
}

int fuzz_fs_play(struct fuzz_fs_player *player, struct fs_tree *tree, enum fuzz_fs_kind kind,
		 const struct fuzz_fs_op *ops, unsigned count)
{
	const struct vqsim_tree_options host = {.freedom = HOST_FREEDOM};
	uint64_t completed;
	int error;

	player->tree = tree;
	player->kind = kind;
	player->modelled = kind == FUZZ_FS_RAM || geteuid() == 0;
	memset(&player->model, 0, sizeof(player->model));
	vqsim_memory_reset(&player->memory);
	error = make_device(player);
	if (!error)
		error = vqsim_tree_init(&player->model, &player->referee,
					kind == FUZZ_FS_RAM ? NULL : &host);
	for (unsigned i = 0; !error && i < count; i++) {
		if (i == 0 || player->up)
			apply(player, &ops[i]);
		if (i == 0)
			player_note_fresh(player);
	}
	completed = player->completed;
	if (!error)
		player_check(player);
	player->completed = completed;
	end(player);
	return error;
}
