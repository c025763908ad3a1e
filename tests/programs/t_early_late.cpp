// Allocates where tracers are easily not ready or already gone: in early constructors, static C++
// objects, thread-local destructors, pthread-key destructors (repeatedly), atexit handlers, static
// destructors and a destructor function. Prints a line at each; output and status must not change.
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <pthread.h>
#include <string>
#include <thread>
#include <vector>

static void *early_block;
__attribute__((constructor(101))) static void very_early() {
    early_block = malloc(101);
}
__attribute__((destructor(101))) static void very_late() {
    free(early_block);
    void *p = malloc(102);
    free(p);
    printf("very late\n");
}

struct Table {
    std::map<int, std::string> rows;
    Table() {
        for (int i = 0; i < 100; i++)
            rows[i] = std::string(50 + static_cast<size_t>(i), 'x');
    }
    ~Table() {
        printf("table of %zu\n", rows.size());
    }
};
static Table table;

struct Local {
    std::vector<int> *numbers = new std::vector<int>(1000);
    ~Local() {
        delete numbers;
        auto again = std::make_unique<std::string>(500, 'y');
        printf("thread local gone %zu\n", again->size());
    }
};
static thread_local Local local;

static pthread_key_t key;
static int rounds;
static void key_gone(void *value) {
    free(value);
    if (++rounds < 3) // POSIX calls again while a value is set: allocation after other destructors
        pthread_setspecific(key, malloc(77));
    else
        printf("key gone after %d rounds\n", rounds);
}

int main() {
    pthread_key_create(&key, key_gone);
    std::thread worker([] {
        local.numbers->push_back(1);
        pthread_setspecific(key, malloc(77));
    });
    worker.join();
    local.numbers->push_back(2);
    atexit([] {
        char *s = nullptr;
        if (asprintf(&s, "atexit %d", 42) > 0)
            puts(s);
        free(s);
    });
    printf("main %zu\n", table.rows.size());
    return 11;
}
