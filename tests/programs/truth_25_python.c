/* Becomes python3 with a dict of large bytes objects; it leaves by _exit, its heap intact. */
#include "truth.h"

int main(void) {
    execlp("python3", "python3", "-c",
           "import os\nx = {i: bytes(10000) for i in range(1000)}\nos._exit(0)", (char *)NULL);
    return 77;
}
