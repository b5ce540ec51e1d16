#include "hudd/blocks.h"

#include <map>
#include <memory>
#include <mutex>
#include <new>
#include <stdexcept>
#include <string>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace hudd {
namespace {

constexpr std::align_val_t kPage{4096};
constexpr std::int64_t kFewest = kLargeBlock / 4, kMost = std::int64_t{1} << 45;  // elements; 128 TiB are addressable

class Waiting {
 public:
  // The smallest block that is large enough, and not far too large; null if none waits.
  void* take(std::size_t bytes, std::size_t& size) {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto found = blocks_.lower_bound(bytes);
    if (found == blocks_.end() || found->first > 2 * bytes) return nullptr;
    void* const block = found->second;
    size = found->first;
    blocks_.erase(found);
    return block;
  }

  void put(void* block, std::size_t size) {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (expecting_ == 0) return ::operator delete(block, kPage);
#if defined(__linux__) && defined(MADV_FREE)
    madvise(block, size, MADV_FREE);
#endif
    blocks_.emplace(size, block);
  }

  void expect() {
    const std::lock_guard<std::mutex> lock(mutex_);
    ++expecting_;
  }

  std::int64_t expect_no_more() {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (expecting_ > 0) --expecting_;
    if (expecting_ > 0) return 0;
    std::int64_t bytes = 0;
    for (const auto& [size, block] : blocks_) {
      bytes += static_cast<std::int64_t>(size);
      ::operator delete(block, kPage);
    }
    blocks_.clear();
    return bytes;
  }

 private:
  std::mutex mutex_;
  std::multimap<std::size_t, void*> blocks_;
  std::int64_t expecting_ = 0;
};

Waiting& waiting() {
  static auto* const blocks = new Waiting;  // never destroyed: a tensor may outlive everything
  return *blocks;
}

struct Block {
  DLManagedTensor managed{};
  std::int64_t elements;
  std::size_t size;
};

void release(DLManagedTensor* managed) {
  const std::unique_ptr<Block> block(static_cast<Block*>(managed->manager_ctx));
  waiting().put(managed->dl_tensor.data, block->size);
}

}  // namespace

DLManagedTensor* large_block(std::int64_t elements) {
  if (elements < kFewest || elements > kMost)
    throw std::invalid_argument("A large block must hold " + std::to_string(kFewest) + " to " + std::to_string(kMost) +
                                " elements, but " + std::to_string(elements) + " were asked for.");
  auto block = std::make_unique<Block>();
  block->elements = elements;
  block->size = (static_cast<std::size_t>(elements) * sizeof(float) + 4095) / 4096 * 4096;
  void* data = waiting().take(block->size, block->size);
  if (data == nullptr) data = ::operator new(block->size, kPage);
  DLTensor& tensor = block->managed.dl_tensor;
  tensor.data = data;
  tensor.device = {kDLCPU, 0};
  tensor.ndim = 1;
  tensor.dtype = {kDLFloat, 32, 1};
  tensor.shape = &block->elements;
  block->managed.manager_ctx = block.get();
  block->managed.deleter = release;
  return &block.release()->managed;
}

void expect_large_blocks() { waiting().expect(); }

std::int64_t expect_no_large_blocks() { return waiting().expect_no_more(); }

}  // namespace hudd
