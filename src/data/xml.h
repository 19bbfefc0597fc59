/*
 * xml.h - annotations in XML: a small strict reader that makes a tree of elements and their texts.
 *
 * It reads what such files hold: elements, attributes (skipped), text with the five entities and numbers of characters, CDATA,
 * comments, instructions. It refuses document types, whose entities can be made to grow without end, and what is not well formed.
 */
#ifndef KILN_DATA_XML_H
#define KILN_DATA_XML_H

#include "base/arena.h"

#include <kiln/base.h>

struct kiln_xml {
    const char *name;
    const char *text; /* before its first child, without blanks at its ends; never NULL */
    int line;         /* where it begins, from 1 */
    struct kiln_xml *parent, *first, *last, *next;
};

/**
 * Read a file, or a text of so many bytes that `name` names in errors; the tree lies in the arena.
 *
 * Errors: ERROR_FILE, as "name:line: ...", for what is no XML of that kind or no UTF-8, and elements more than 64 deep. *root is NULL then.
 */
kiln_status kiln_xml_open(const struct kiln_xml **root, struct kiln_arena *arena, const char *path);
kiln_status kiln_xml_parse(const struct kiln_xml **root, struct kiln_arena *arena, const char *text,
                           size_t bytes, const char *name);

/** The first child of that name; NULL where there is none, or where element is NULL. */
const struct kiln_xml *kiln_xml_find(const struct kiln_xml *element, const char *name);

/** The next of the same name among its parent's children. */
const struct kiln_xml *kiln_xml_next(const struct kiln_xml *element);

#endif
