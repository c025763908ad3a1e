/* The `whoholds` command: dispatch lives in commands.c. */
#include <stdio.h>

int main(void)
{
    puts("whoholds " WH_VERSION);
    return 0;
}
