/* t_plugin FOLDER: loads libplugin_cxx.so and has it make 50 blocks of 2000 bytes. */
#include <dlfcn.h>
#include <stdio.h>

int main(int argc, char **argv) {
    char path[4096];
    snprintf(path, sizeof path, "%s/libplugin_cxx.so", argc > 1 ? argv[1] : ".");
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    char *(*make)(size_t) = library ? (char *(*)(size_t))dlsym(library, "plugin_cxx_make") : NULL;
    if (!make) {
        puts(dlerror());
        return 1;
    }
    for (int i = 0; i < 50; i++)
        if (!make(2000))
            return 2;
    puts("made 50");
    return 0;
}
