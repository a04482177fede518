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

void* operator new(size_t size) {
  fairlead::dns::test::count(fairlead::dns::test::allocation_count);
  if (void* memory = std::malloc(size)) return memory;
  std::abort();
}
void operator delete(void* memory) noexcept {
  std::free(memory);
}
void operator delete(void* memory, size_t) noexcept {
  std::free(memory);
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
