/* Go's size classes (amd64, as of Go 1.19): the sizes a small object can really take.
 *
 * With rounding switched off an object takes what was asked for; the pool's powers of two stay. */
#include "runtime/runtime.h"

#define PAGE           8192u /* the runtime's page, not the machine's */
#define SMALL_SIZE_MAX 32768u

static const uint16_t class_to_size[] = {
    8,     16,    24,    32,    48,    64,    80,    96,    112,   128,   144,   160,
    176,   192,   208,   224,   240,   256,   288,   320,   352,   384,   416,   448,
    480,   512,   576,   640,   704,   768,   896,   1024,  1152,  1280,  1408,  1536,
    1792,  2048,  2304,  2688,  3072,  3200,  3456,  4096,  4864,  5376,  6144,  6528,
    6784,  6912,  8192,  9472,  9728,  10240, 10880, 12288, 13568, 14336, 16384, 18432,
    19072, 20480, 21760, 24576, 27264, 28672, 32768,
};

static bool is_rounding = true;

void runtime_rounding(bool go_classes) {
    is_rounding = go_classes;
}

size_t runtime_roundupsize(size_t size) {
    if (!is_rounding || size == 0)
        return size;
    if (size > SMALL_SIZE_MAX)
        return (size + PAGE - 1) / PAGE * PAGE;
    size_t low = 0, high = sizeof(class_to_size) / sizeof(*class_to_size) - 1;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (class_to_size[middle] < size)
            low = middle + 1;
        else
            high = middle;
    }
    return class_to_size[low];
}
