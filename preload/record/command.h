/* What the launcher must know of a command before it runs it: where it is, and whether it can be
 * recorded at all. Context: launcher. */
#ifndef WH_RECORD_COMMAND_H
#define WH_RECORD_COMMAND_H

#include <stddef.h>

/* The file that execvp() would run. 0, or the exit status that says why not: 126 found but not
 * executable, 127 not found. */
int wh_command_find_file(const char *name, char *ret_path, size_t path_size);

/* NULL, or why the program at path will not load our library: static, setuid, other machine. A
 * script is judged by its interpreter. */
const char *wh_command_obstacle(const char *path);

/* pattern with %e = base name of program, %p = pid, %% = %. malloc'ed; NULL = out of memory. */
char *wh_output_name(const char *pattern, const char *program, long pid);

/* libwhoholds.so beside this program: installed, or in the build tree. 0, -1 = nowhere. */
int wh_library_find(char *ret_path, size_t path_size);

#endif
