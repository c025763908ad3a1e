/* An intrusive doubly linked list: the links lie in the middle of the objects. */
#include "truth.h"

struct link {
    struct link *next, *previous;
};
struct object {
    char name[24];
    struct link link;
    int value;
};
struct link head = {&head, &head};

CREATOR struct object *make_object(int value) {
    struct object *o = calloc(1, sizeof *o);
    o->value = value;
    return o;
}

int main(void) {
    for (int i = 0; i < 3; i++) {
        struct link *l = &make_object(i)->link;
        l->next = &head;
        l->previous = head.previous;
        head.previous->next = l;
        head.previous = l;
    }
    return 0;
}
