/* GLib: a hash table of pointer arrays, if the library is there. */
#include <dlfcn.h>

#include "truth.h"

void *table;

int main(void) {
    setenv("G_SLICE", "always-malloc", 1); /* else every small object is part of GLib's own slabs */
    void *glib = dlopen("libglib-2.0.so.0", RTLD_NOW);
    if (!glib)
        return 77;
    void *(*new_table)(void *, void *) = (void *(*)(void *, void *))dlsym(glib, "g_hash_table_new");
    int (*insert)(void *, void *, void *) =
        (int (*)(void *, void *, void *))dlsym(glib, "g_hash_table_insert");
    void *(*new_array)(void) = (void *(*)(void))dlsym(glib, "g_ptr_array_new");
    void (*add)(void *, void *) = (void (*)(void *, void *))dlsym(glib, "g_ptr_array_add");
    char *(*copy)(const char *) = (char *(*)(const char *))dlsym(glib, "g_strdup");
    table = new_table(NULL, NULL);
    for (long i = 1; i <= 50; i++) {
        void *array = new_array();
        for (int k = 0; k < 20; k++)
            add(array, copy("a text that is not short, so that it weighs something"));
        insert(table, (void *)i, array);
    }
    return 0;
}
