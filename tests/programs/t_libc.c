/* Allocations that libc makes for its caller: they must be seen, whichever way libc reaches malloc,
 * and the output must not change. */
#include <dirent.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <wchar.h>

int main(void) {
    char *line = NULL, *text = NULL;
    size_t size = 0, entries = 0;
    setlocale(LC_ALL, "C.UTF-8");
    FILE *f = fopen("/proc/self/maps", "r");
    while (f && getline(&line, &size, f) > 0)
        entries++;
    if (f)
        fclose(f);
    printf("lines %d\n", entries > 3);
    free(line);
    char *copy = strdup("a copy");
    if (asprintf(&text, "%s of %d", copy, 12) < 0)
        return 1;
    puts(text);
    DIR *dir = opendir("/proc/self");
    entries = 0;
    while (dir && readdir(dir))
        entries++;
    if (dir)
        closedir(dir);
    printf("entries %d\n", entries > 10);
    char *here = getcwd(NULL, 0);
    printf("cwd %d\n", here && here[0] == '/');
    char *written = NULL;
    FILE *m = open_memstream(&written, &size);
    for (int i = 0; i < 10000; i++)
        fprintf(m, "%d ", i);
    fclose(m);
    printf("stream %zu\n", size);
    setenv("T_LIBC", "value", 1);
    wchar_t *wide = wcsdup(L"wide");
    time_t now = 0;
    char day[20];
    strftime(day, sizeof day, "%Y", gmtime(&now));
    printf("%s %ls %s\n", getenv("T_LIBC"), wide, day);
    free(wide);
    free(written);
    free(here);
    free(copy);
    free(text);
    return 0;
}
