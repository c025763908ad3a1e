/* Becomes python3 with a dict of large bytes objects; it leaves by _exit, its heap intact. */
#include "truth.h"

int main(void) {
    char *const arguments[] = {"python3", "-c",
                               "import os\nx = {i: bytes(10000) for i in range(1000)}\nos._exit(0)",
                               NULL};
    execv("/usr/bin/python3", arguments); /* the one of PATH may be a script that looks for it */
    execvp("python3", arguments);
    return 77;
}
