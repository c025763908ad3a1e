/* new[] of a class with a destructor: the pointer lies behind the count. */
#include "truth.h"

struct Item {
    ~Item() {
        x[0] = 0;
    }
    int x[7] = {};
};

Item *items;

CREATOR Item *make_items() {
    return new Item[10];
}

int main() {
    items = make_items();
    return 0;
}
