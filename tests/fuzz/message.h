/*
 * message.h - random changes of messages of any type, by protobuf-c's descriptors: what a mutator of files in such a format is made of.
 *
 * Memory of a message that is changed is malloc's, as protobuf_c_message_unpack leaves it without an allocator. Where it runs out, the
 * process ends.
 */
#ifndef KILN_TESTS_FUZZ_MESSAGE_H
#define KILN_TESTS_FUZZ_MESSAGE_H

#include <protobuf-c/protobuf-c.h>

#include "base/rng.h"
#include "base/vec.h"

/** What a message consists of: itself, the messages in it, and all their texts. Loans, until one of them changes. */
struct parts {
    KILN_VEC(ProtobufCMessage *) message;
    KILN_VEC(const char *) text;
};

/** Add a message's parts; p begins as {0}. */
void parts_add(struct parts *p, ProtobufCMessage *m);
void parts_finish(struct parts *p);

/** One of the messages of that type (NULL: of a type that is drawn first, so that a few count as much as many); NULL where there is none. */
void *parts_pick(const struct parts *p, const ProtobufCMessageDescriptor *type, struct kiln_rng *rng);

/** What changes draw from. */
struct chance {
    struct kiln_rng rng;
    struct parts own,
        other; /* of the message that changes, and of one to take parts from: {0} where there is none */
};

/** True once in n times. */
bool once_in(struct chance *c, uint32_t n);
/** One of such messages, of either. */
void *pick_any(struct chance *c, const ProtobufCMessageDescriptor *type);
/** One of their texts, "" where there is none. A loan. */
const char *pick_text(struct chance *c);
/** A number that is on an edge of something, or small. */
int64_t edge_number(struct chance *c);
double edge_real(struct chance *c);

/** Change one field, of any kind: its value, whether it is there, or how many and which values it has. */
void change_message(struct chance *c, ProtobufCMessage *m);

/** A copy of its own. */
void *copy_message(const ProtobufCMessage *m);
/** Replace a text by a copy of another; NULL: none. */
void put_text(char **at, const char *text);
/** Put a value among those of the repeated field of that name; m owns it then. */
void add_message(struct chance *c, ProtobufCMessage *m, const char *field, void *value);
void add_text(struct chance *c, ProtobufCMessage *m, const char *field, const char *text);

#endif
