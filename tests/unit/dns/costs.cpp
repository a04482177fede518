// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/dns/costs.h"

#include <dlfcn.h>
#include <pthread.h>

#include <atomic>
#include <cstdlib>
#include <new>

namespace fairlead::dns::test {
namespace {

std::atomic<Watch> watch{Watch::kNobody};
thread_local bool is_watcher = false;
std::atomic<size_t> allocation_count{0};
std::atomic<size_t> lock_count{0};

[[maybe_unused]] void count(std::atomic<size_t>& counter) {
  const Watch now = watch.load(std::memory_order_relaxed);
  if (now == Watch::kNobody || is_watcher != (now == Watch::kThisThread)) return;
  counter.fetch_add(1, std::memory_order_relaxed);
}

}  // namespace

Counting::Counting(Watch which) {
  is_watcher = true;
  allocation_count = lock_count = 0;
  watch = which;
}
void Counting::stop() {
  watch = Watch::kNobody;
}
bool Counting::active() {
  return watch != Watch::kNobody;
}
size_t allocations() {
  return allocation_count;
}
size_t locks() {
  return lock_count;
}

}  // namespace fairlead::dns::test

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
bool fairlead::dns::test::Counting::possible() {
  return false;
}
#else
bool fairlead::dns::test::Counting::possible() {
  return true;
}

// glibc's own, under which its malloc() is only another name (malloc/malloc.c).
extern "C" void* __libc_malloc(size_t size);
extern "C" void* __libc_calloc(size_t count, size_t size);
extern "C" void* __libc_realloc(void* memory, size_t size);
extern "C" void* __libc_memalign(size_t alignment, size_t size);

extern "C" void* malloc(size_t size) noexcept {
  fairlead::dns::test::count(fairlead::dns::test::allocation_count);
  return __libc_malloc(size);
}
extern "C" void* calloc(size_t count, size_t size) noexcept {
  fairlead::dns::test::count(fairlead::dns::test::allocation_count);
  return __libc_calloc(count, size);
}
extern "C" void* realloc(void* memory, size_t size) noexcept {
  fairlead::dns::test::count(fairlead::dns::test::allocation_count);
  return __libc_realloc(memory, size);
}
extern "C" void* aligned_alloc(size_t alignment, size_t size) noexcept {
  fairlead::dns::test::count(fairlead::dns::test::allocation_count);
  return __libc_memalign(alignment, size);
}

extern "C" int pthread_mutex_lock(pthread_mutex_t* mutex) noexcept {
  using Lock = int (*)(pthread_mutex_t*);
  static std::atomic<Lock> real{nullptr};
  Lock lock = real.load(std::memory_order_relaxed);
  if (lock == nullptr) {
    lock = reinterpret_cast<Lock>(dlsym(RTLD_NEXT, "pthread_mutex_lock"));
    real.store(lock, std::memory_order_relaxed);
  }
  fairlead::dns::test::count(fairlead::dns::test::lock_count);
  return lock(mutex);
}
#endif
