/* System calls without libc: they touch neither errno nor a lock, they work before libc is
 * initialised and nobody can interpose them. Every wrapper returns the kernel's value: -errno on
 * failure. Context: hook, any. */
#ifndef WH_WIRE_SYS_H
#define WH_WIRE_SYS_H

#include <stdint.h>
#include <sys/syscall.h>

#if defined(__x86_64__)
static inline long wh_sys6(long n, long a, long b, long c, long d, long e, long f) {
    long result;
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    register long r9 __asm__("r9") = f;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(n), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
}
#elif defined(__aarch64__)
static inline long wh_sys6(long n, long a, long b, long c, long d, long e, long f) {
    register long x8 __asm__("x8") = n;
    register long x0 __asm__("x0") = a;
    register long x1 __asm__("x1") = b;
    register long x2 __asm__("x2") = c;
    register long x3 __asm__("x3") = d;
    register long x4 __asm__("x4") = e;
    register long x5 __asm__("x5") = f;
    __asm__ volatile("svc #0"
                     : "+r"(x0)
                     : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
                     : "memory");
    return x0;
}
#else
#error "whoholds knows the system calls of x86-64 and aarch64 only"
#endif

#define wh_sys0(n)             wh_sys6(n, 0, 0, 0, 0, 0, 0)
#define wh_sys1(n, a)          wh_sys6(n, (long)(a), 0, 0, 0, 0, 0)
#define wh_sys2(n, a, b)       wh_sys6(n, (long)(a), (long)(b), 0, 0, 0, 0)
#define wh_sys3(n, a, b, c)    wh_sys6(n, (long)(a), (long)(b), (long)(c), 0, 0, 0)
#define wh_sys4(n, a, b, c, d) wh_sys6(n, (long)(a), (long)(b), (long)(c), (long)(d), 0, 0)
#define wh_sys5(n, a, b, c, d, e)                                                                  \
    wh_sys6(n, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), 0)

/* The clock of the events, unshifted. CLOCK_TSC: the time stamp counter (x86-64) or the generic
 * timer (aarch64); the caller fences where order matters. */
static inline uint64_t wh_ticks_raw(void) {
#if defined(__x86_64__)
    uint32_t low, high;
    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high)::"memory");
    return (uint64_t)high << 32 | low;
#else
    uint64_t value;
    __asm__ volatile("isb; mrs %0, cntvct_el0" : "=r"(value)::"memory");
    return value;
#endif
}

/* All earlier loads and instructions are done before a wh_ticks_raw() that follows. */
static inline void wh_ticks_fence(void) {
#if defined(__x86_64__)
    __asm__ volatile("lfence" ::: "memory");
#else
    __asm__ volatile("dsb ishld" ::: "memory");
#endif
}

#endif
