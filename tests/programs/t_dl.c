/* t_dl FOLDER [deepbind]: loads libplugin_a.so and libplugin_b.so from FOLDER in turn, 50 times
 * each, makes 10 blocks of 123 bytes by each call and unloads the library again while they live.
 * `deepbind` loads them with RTLD_DEEPBIND, which makes them bind to libc's malloc past any
 * preload. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *keep[1000];

int main(int argc, char **argv) {
    int made = 0, flags = RTLD_NOW | RTLD_LOCAL;
    const char *folder = argc > 1 ? argv[1] : ".";
    if (argc > 2 && !strcmp(argv[2], "deepbind"))
        flags |= RTLD_DEEPBIND;
    for (int i = 0; i < 100; i++) {
        char path[4096], name[40], which = i % 2 ? 'b' : 'a';
        snprintf(path, sizeof path, "%s/libplugin_%c.so", folder, which);
        void *library = dlopen(path, flags);
        if (!library) {
            puts(dlerror());
            return 1;
        }
        snprintf(name, sizeof name, "plugin_%c_make", which);
        void *(*make)(size_t) = (void *(*)(size_t))dlsym(library, name);
        for (int k = 0; k < 10; k++)
            keep[made++] = make(123);
        dlclose(library);
    }
    if (dlopen("libdoes-not-exist.so", RTLD_NOW) || !dlerror())
        return 2;
    printf("made %d\n", made);
    return 0;
}
