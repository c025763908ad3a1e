// t_exceptions COUNT: throws and catches COUNT exceptions through 8 frames, each frame owning a
// string that must be destroyed. With "time" as second argument prints nanoseconds per throw, which
// a hijacked unwinder makes many times larger.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <string>

static long destroyed;
struct Guard {
    std::string text{"a string that is too long for the small buffer"};
    ~Guard() {
        destroyed++;
    }
};
__attribute__((noinline)) static int descend(int depth, int i) {
    Guard guard;
    if (depth == 0)
        throw std::runtime_error("thrown " + std::to_string(i));
    int r = descend(depth - 1, i);
    asm volatile("" ::: "memory");
    return r + 1;
}

int main(int argc, char **argv) {
    int count = argc > 1 ? atoi(argv[1]) : 1000000;
    long caught = 0;
    auto begin = std::chrono::steady_clock::now();
    for (int i = 0; i < count; i++) {
        try {
            descend(8, i);
        } catch (const std::exception &e) {
            caught += strlen(e.what()) > 6;
        }
    }
    auto ns = std::chrono::duration_cast<std::chrono::nanoseconds>(
                  std::chrono::steady_clock::now() - begin)
                  .count();
    printf("caught %ld destroyed %ld\n", caught, destroyed);
    if (argc > 2 && !strcmp(argv[2], "time"))
        printf("%lld ns per throw\n", static_cast<long long>(ns / (count ? count : 1)));
    return 0;
}
