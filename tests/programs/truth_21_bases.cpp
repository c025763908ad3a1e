/* A pointer to an object's second base class. */
#include "truth.h"

struct First {
    virtual ~First() {}
    long a[5] = {};
};
struct Second {
    virtual ~Second() {}
    long b[5] = {};
};
struct Both : First, Second {
    long c[50] = {};
};

Second *second_base;

CREATOR Second *make_both() {
    return new Both;
}

int main() {
    second_base = make_both();
    return 0;
}
