/* A library with one global that holds; loaded twice under different names would be two. */
void *plugin_global;

void hold_in_plugin(void *block) {
    plugin_global = block;
}
