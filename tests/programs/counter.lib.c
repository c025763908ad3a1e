/* An independent account of every allocation, to be preloaded *below* the tracer (later in
 * LD_PRELOAD): passes each call on to glibc and adds it up in a small file that is mapped shared,
 * so that the totals survive any end of the process. One file per program image, in the folder
 * WH_COUNTER: "PID.N", N counting the images of one pid (exec) from 0; layout: struct account. The
 * counters are compared with the trace, per process and to the byte (e2e/conservation.sh). */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);
extern void __libc_free(void *);

struct totals {
    int64_t objects; /* blocks handed out, a successful realloc counted as one */
    int64_t bytes;   /* requested */
    int64_t frees;   /* blocks given back, a successful realloc of a block counted as one */
};

struct account {
    int64_t pid;
    struct totals totals;
};

static struct account *account;
static struct account nowhere;

static struct account *open_account(int64_t pid) {
    const char *folder = getenv("WH_COUNTER");
    char path[4096];
    void *map = MAP_FAILED;
    if (!folder || !environ)
        return &nowhere;
    for (int n = 0; n < 1000; n++) {
        snprintf(path, sizeof path, "%s/%lld.%d", folder, (long long)pid, n);
        int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (fd < 0)
            continue;
        if (ftruncate(fd, 4096) == 0)
            map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        close(fd);
        break;
    }
    return map == MAP_FAILED ? &nowhere : map;
}

/* The account of this process: a forked child finds its parent's pid in it and opens its own. A
 * child of vfork() only execs and allocates nothing in our tests. */
static struct account *mine(void) {
    static __thread int busy;
    int64_t pid = syscall(SYS_getpid);
    struct account *a = __atomic_load_n(&account, __ATOMIC_ACQUIRE);
    if (a && a->pid == pid)
        return a;
    if (busy)
        return &nowhere;
    static int lock;
    busy = 1;
    int saved = errno;
    while (__atomic_exchange_n(&lock, 1, __ATOMIC_ACQUIRE))
        ;
    a = account;
    if (!a || a->pid != pid) {
        a = open_account(pid);
        a->pid = pid;
        __atomic_store_n(&account, a, __ATOMIC_RELEASE);
    }
    __atomic_store_n(&lock, 0, __ATOMIC_RELEASE);
    errno = saved;
    busy = 0;
    return a;
}

static void count(int64_t objects, int64_t bytes, int64_t frees) {
    struct account *a = mine();
    __atomic_add_fetch(&a->totals.objects, objects, __ATOMIC_RELAXED);
    __atomic_add_fetch(&a->totals.bytes, bytes, __ATOMIC_RELAXED);
    __atomic_add_fetch(&a->totals.frees, frees, __ATOMIC_RELAXED);
}
static void *took(void *p, size_t bytes) {
    if (p)
        count(1, (int64_t)bytes, 0);
    return p;
}
static void gave(void *p) {
    if (p)
        count(0, 0, 1);
}

void *malloc(size_t n) {
    return took(__libc_malloc(n), n);
}
void *calloc(size_t n, size_t size) {
    return took(__libc_calloc(n, size), n * size);
}
void free(void *p) {
    gave(p);
    __libc_free(p);
}
void *realloc(void *p, size_t n) {
    void *q = __libc_realloc(p, n);
    if (q || (p && n == 0))
        gave(p);
    return took(q, n);
}
void *reallocarray(void *p, size_t n, size_t size) {
    size_t bytes;
    if (__builtin_mul_overflow(n, size, &bytes)) {
        errno = ENOMEM;
        return NULL;
    }
    return realloc(p, bytes);
}
void *memalign(size_t alignment, size_t n) {
    return took(__libc_memalign(alignment, n), n);
}
void *aligned_alloc(size_t alignment, size_t n) {
    return took(__libc_memalign(alignment, n), n);
}
int posix_memalign(void **ret, size_t alignment, size_t n) {
    if (alignment % sizeof(void *) || !alignment || alignment & (alignment - 1))
        return EINVAL;
    int saved = errno;
    void *p = took(__libc_memalign(alignment, n), n);
    errno = saved;
    if (!p)
        return ENOMEM;
    *ret = p;
    return 0;
}
void *valloc(size_t n) {
    return took(__libc_memalign(4096, n), n);
}
void *pvalloc(size_t n) {
    return took(__libc_memalign(4096, (n + 4095) / 4096 * 4096), n);
}
