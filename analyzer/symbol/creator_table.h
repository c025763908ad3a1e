/* The built-in patterns of creator.h as text, in the form users write theirs. Defined in
 * creator_table.c. */
#ifndef WH_SYMBOL_CREATOR_TABLE_H
#define WH_SYMBOL_CREATOR_TABLE_H

/* One group of patterns. A group's level decides only when a whole stack is skipped: then the first
 * frame outside the allocators proper (level 1) names it, so that memory that the C library or the
 * loader takes on its own account is called after what took it. */
struct wh_creator_group {
    const char *title;    /* for documentation: what these functions are */
    int level;            /* 1 = allocators and their wrappers, 2 = language runtimes */
    const char *patterns; /* one a line */
};

extern const struct wh_creator_group wh_creator_groups[]; /* ended by title NULL */

#endif
