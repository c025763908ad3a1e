#!/usr/bin/env bash
# Writes a C file of COUNT (1500) functions to stdout: gen_cc1.sh [COUNT]. Each differs in constants,
# control flow and types so that the compiler cannot fold them; the same text on every run.
set -euo pipefail
awk -v count="${1:-1500}" 'BEGIN {
    print "#include <stddef.h>\n#include <stdint.h>\nstruct item { int64_t key; double weight; struct item *next; char name[24]; };"
    print "extern void use(const void *, size_t);"
    for (i = 0; i < count; i++) {
        a = (i * 7919) % 1009; b = (i * 104729) % 509 + 1; c = i % 7
        printf "__attribute__((noinline)) int64_t work_%d(struct item *head, int n, const unsigned char *text)\n{\n    int64_t sum = %d;\n", i, a
        if (c < 3) {
            print  "    for (struct item *p = head; p; p = p->next)"
            printf "        sum += p->key %% %d == %d ? p->key * n : p->name[%d];\n", b + 1, c, c
        } else if (c < 5) {
            printf "    switch (n %% %d) {\n", c
            for (k = 0; k < c - 1; k++)
                printf "    case %d: sum += text[%d] * %d; break;\n", k, (k * 13 + i) % 64, (a + k) % 97
            print  "    default: sum = ~sum;\n    }"
        } else {
            printf "    double mean = %d.5;\n    if (head && head->weight > mean)\n        mean -= head->weight / %d;\n", b, c
            print  "    use(&mean, sizeof mean);\n    sum ^= (int64_t)mean;"
        }
        printf "    return sum"
        if (i > 0)
            printf " + (n > %d ? work_%d(head, n - %d, text) : 0)", 100 + c, (i * 31) % i, c + 1
        print  ";\n}\n"
    }
}'
