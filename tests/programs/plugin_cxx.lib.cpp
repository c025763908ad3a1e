/* For t_plugin: a plugin in C++ in a program that has no C++ library before. Its constructor makes
 * blocks with operator new while it is being loaded, each call of plugin_cxx_make() one more. */
#include <cstddef>

static char *made[100];
static int left;

static __attribute__((constructor)) void load() {
    for (left = 0; left < 100; left++)
        made[left] = new char[1000];
}

extern "C" char *plugin_cxx_make(std::size_t size);
char *plugin_cxx_make(std::size_t size) {
    char *block = new char[size];
    delete[] made[--left];
    return block;
}
