/* Frames that never name a creator: allocators, their wrappers, language runtimes.
 *
 * Whoever adds a pattern: it must be a function whose callers decide *what* is allocated. A
 * container's or cache's own functions (hash_insert, cache_add) do not belong here: they are
 * creators. Form: see creator.h. */
#include "analyzer/symbol/creator_table.h"

#include <stddef.h>

const struct wh_creator_group wh_creator_groups[] = {
    {"malloc and its relatives, whoever defines them", 1,
     "malloc\ncalloc\nrealloc\nreallocarray\nfree\ncfree\nposix_memalign\naligned_"
     "alloc\nmemalign\nvalloc\npvalloc\n"
     "__libc_malloc\n__libc_calloc\n__libc_realloc\n__libc_memalign\n"
     "strdup\nstrndup\n__strdup\n__strndup\nwcsdup\nasprintf\nvasprintf\n__asprintf\n__vasprintf\n"
     "__asprintf_chk\n__vasprintf_chk\n"
     "libwhoholds.so*!*\n"
     "libjemalloc.so*!*\nlibtcmalloc*.so*!*\nlibmimalloc*.so*!*\n"
     "je_*\ntc_malloc*\ntc_calloc*\ntc_new*\nmi_malloc*\nmi_calloc*\nmi_new*\n"},
    {"C++ operator new and allocators", 1,
     "operator new\noperator new[]\noperator new(*\noperator new[](*\n"
     "__gnu_cxx::new_allocator<*\nstd::__new_allocator<*\nstd::allocator<*\n"
     "std::allocator_traits<*\n__gnu_cxx::__alloc_traits<*\nstd::__allocate*\n"
     "std::pmr::*\n"},
    {"Rust's allocator interface", 1,
     "__rust_alloc*\n__rust_realloc\n__rdl_*\n__rg_*\n__rustc::__rust_*\n__rustc::__rdl_*\n__rustc:"
     ":__rg_*\n"
     "alloc::alloc::*\n<alloc::alloc::*\n"},
    {"GLib's g_malloc family", 1,
     "g_malloc*\ng_try_malloc*\ng_realloc*\ng_try_realloc*\ng_aligned_alloc*\ng_new*\n"
     "g_slice_alloc*\ng_slice_copy\ng_slice_new*\n"
     "g_strdup*\ng_strndup\ng_memdup*\ng_strconcat\ng_strjoin*\ng_strnfill\ng_vasprintf\n"
     "standard_malloc\nstandard_calloc\nstandard_realloc\n"},
    {"Python's allocators", 1,
     "_PyMem_*\nPyMem_*\n_PyObject_Malloc*\n_PyObject_Calloc*\n_PyObject_Realloc*\n"
     "PyObject_Malloc\nPyObject_Calloc\nPyObject_Realloc\npymalloc_*\nnew_arena\n"
     "_PyObject_GC_*\nPyObject_GC_*\ngc_alloc\n_PyObject_New*\nPyType_GenericAlloc\n_PyType_Alloc*"
     "\n"},
    {"wrappers that end the program rather than return NULL", 1,
     "xmalloc*\nxcalloc*\nxrealloc*\nxreallocarray*\nxstrdup*\nxstrndup*\nxmemdup*\nxasprintf*"
     "\nxvasprintf*\n"
     "xzalloc*\nxnmalloc*\nxpalloc\nx2realloc*\nx2nrealloc*\nximalloc*\nxicalloc*\nxirealloc*\n"
     "do_xmalloc*\ndo_xmallocz*\nxmallocz*\n"
     "safe_malloc\nsafe_calloc\nsafe_realloc\nsafe_strdup\nchecked_malloc\nchecked_calloc\nchecked_"
     "realloc\n"
     "must_malloc\nmust_calloc\nmust_realloc\n"
     "emalloc\necalloc\nerealloc\nestrdup\n_emalloc*\n_ecalloc*\n_erealloc*\n"},
    {"wrappers of known programs and libraries", 1,
     /* redis, valkey */
     "zmalloc*\nzcalloc*\nzrealloc*\nztrymalloc*\nztrycalloc*\nztryrealloc*\nzstrdup\n"
     "valkey_malloc*\nvalkey_calloc*\nvalkey_realloc*\n"
     /* SQLite */
     "sqlite3MemMalloc\nsqlite3MemRealloc\nsqlite3Malloc*\nsqlite3Realloc*\nsqlite3_malloc*"
     "\nsqlite3_realloc*\n"
     "sqlite3DbMalloc*\nsqlite3DbRealloc*\nsqlite3DbStrDup\nsqlite3DbStrNDup\nmallocWithAlarm\n"
     "dbMallocRaw*"
     "\ndbReallocFinish\nsqlite3MallocZero\nsqlite3PageMalloc\npcache1Alloc\npcache1AllocPage\n"
     /* Lua, Perl, Tcl, PHP, Ruby */
     "l_alloc\nluaM_malloc*\nluaM_realloc*\nluaM_saferealloc*\nluaM_growaux*\n"
     "Perl_safesysmalloc\nPerl_safesyscalloc\nPerl_safesysrealloc\n"
     "Tcl_Alloc\nTclpAlloc\nTcl_Realloc\nruby_xmalloc*\nruby_xcalloc*\nruby_xrealloc*\nobjspace_"
     "xmalloc*\n"
     /* OpenSSL, curl, libuv, libxml2, APR, nginx, V8 */
     "CRYPTO_malloc\nCRYPTO_zalloc\nCRYPTO_calloc\nCRYPTO_realloc\nCRYPTO_strdup\nCRYPTO_memdup\n"
     "Curl_saferealloc\nCurl_memdup\ncurl_dbg_*\nuv__malloc\nuv__calloc\nuv__realloc\nuv__strdup\n"
     "xmlMemMalloc\nxmlMallocLoc\nxmlStrdup\nxmlStrndup\nngx_alloc\nngx_calloc\nngx_memalign\n"
     "v8::internal::Malloced::operator new\nv8::internal::AllocWithRetry\n"
     /* GCC, obstacks, LLVM, Qt */
     "ggc_internal_*\nggc_alloc*\nggc_realloc*\n_obstack_begin*\n_obstack_newchunk\n_obstack_"
     "allocate\n"
     "llvm::safe_malloc\nllvm::safe_calloc\nllvm::safe_realloc\nllvm::allocate_buffer\nQArrayData::"
     "allocate*\n"},
    {"Go's runtime, and the simulator's, as pprof skips `runtime.`", 2, "runtime.*\nruntime_*\n"},
    {"the C library, the loader, the C++ runtime", 2,
     "libc.so*!*\nlibc-2*.so!*\nld-linux*!*\nld-2*.so!*\nld-musl*!*\nlibpthread*.so*!*\nlibdl*.so*!"
     "*\nlibm.so*!*\n"
     "libstdc++.so*!*\nlibc++.so*!*\nlibc++abi.so*!*\nlibsupc++*!*\nlibgcc_s.so*!*\n"
     "_IO_*\n__libc_*\n_dl_*\n__GI_*\n_nl_*\n__tls_get_addr\n"
     "_start\nstart_thread\nclone\nclone3\n__clone*\n__restore_rt\n"
     "getline\ngetdelim\n__getdelim\nfopen\nfopen64\nfdopen\nopen_"
     "memstream\nfmemopen\nopendir\nfdopendir\nscandir\n"
     "getaddrinfo\nsetlocale\nnewlocale\nsetvbuf\nregcomp\nglob\nwordexp\nrealpath\ngetcwd\nsetenv"
     "\nputenv\n"
     "qsort\nqsort_r\npthread_create*\npthread_setspecific\ndlopen*\n"},
    {"C++ containers, strings, smart pointers, streams", 2,
     "std::*\nvoid std::*\nbool std::*\n__gnu_cxx::*\n__cxxabiv1::*\n__cxa_*\nauto std::*\n"
     "decltype(*)* std::*\ndecltype *std::*\n"},
    {"Rust's alloc, core, std and the hash map under std", 2,
     "alloc::*\n<alloc::*\ncore::*\n<core::*\n<std::*\nhashbrown::*\n<hashbrown::*\n<* as "
     "alloc::*\n<* as core::*\n"
     "<* as std::*\n<&* as alloc::*\n<dyn core::*\n<dyn "
     "alloc::*\n__rust_begin_short_backtrace\nrust_begin_unwind\n"
     "<T as alloc::*\n<T as core::*\n"},
    {NULL, 0, NULL},
};
