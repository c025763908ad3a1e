/* As truth_30_kept, but this one is unloaded. */
void *plugin_global;

void hold_in_plugin(void *block) {
    plugin_global = block;
}
