// The baseline of the store benchmark: the idea of nginx's store, written anew. Two balanced trees,
// one by key and one by last use, under one process-shared mutex; every use takes the mutex and
// moves the session in the second tree.
#pragma once

#include <boost/interprocess/offset_ptr.hpp>
#include <boost/intrusive/options.hpp>
#include <boost/intrusive/set.hpp>
#include <cstddef>
#include <cstdint>
#include <new>

#include "base/hash.h"
#include "shm/robust_mutex.h"

namespace limpet::shm {

class TreeStore {
 public:
  static TreeStore* Create(std::byte* memory, uint32_t capacity) {
    return new (memory) TreeStore(memory + Round(sizeof(TreeStore)), capacity);
  }
  static size_t BytesFor(uint32_t capacity) {
    return Round(sizeof(TreeStore)) + capacity * size_t{kSlabSlot};
  }

  int Lookup(const Digest128& key, uint64_t now) {
    const RobustGuard guard(lock_);
    const auto it = by_key_.find(key, KeyLess{});
    if (it == by_key_.end()) return -1;
    Use(*it, now);
    return static_cast<int>(it->peer);
  }

  void Learn(const Digest128& key, uint32_t peer, uint64_t now) {
    const RobustGuard guard(lock_);
    const auto it = by_key_.find(key, KeyLess{});
    if (it != by_key_.end()) return Use(*it, now);
    Node* node = used_ < capacity_ ? new (nodes_.get() + used_++ * kSlabSlot) Node : Oldest();
    node->key = key;
    node->peer = peer;
    node->last_use = now;
    by_key_.insert(*node);
    by_use_.insert(*node);
  }

 private:
  // A slab allocator's slot for a node of two tree hooks, a digest, times and a 32-byte server id.
  static constexpr uint32_t kSlabSlot = 256;
  using Void = boost::interprocess::offset_ptr<void>;
  template <class Tag>
  using Hook =
      boost::intrusive::set_base_hook<boost::intrusive::void_pointer<Void>,
                                      boost::intrusive::tag<Tag>,
                                      boost::intrusive::link_mode<boost::intrusive::normal_link>>;
  struct KeyTag {};
  struct UseTag {};

  struct Node : Hook<KeyTag>, Hook<UseTag> {
    Digest128 key;
    uint64_t last_use;
    uint32_t peer;
    char server_id[32];
  };
  static_assert(sizeof(Node) <= kSlabSlot);

  struct KeyLess {
    bool operator()(const Node& a, const Node& b) const { return a.key < b.key; }
    bool operator()(const Digest128& a, const Node& b) const { return a < b.key; }
    bool operator()(const Node& a, const Digest128& b) const { return a.key < b; }
  };
  struct UseLess {
    bool operator()(const Node& a, const Node& b) const { return a.last_use < b.last_use; }
  };
  static size_t Round(size_t n) { return (n + 255) & ~size_t{255}; }
  TreeStore(std::byte* nodes, uint32_t capacity) : nodes_(nodes), capacity_(capacity) {
    lock_.Init();
  }
  void Use(Node& node, uint64_t now) {
    by_use_.erase(by_use_.iterator_to(node));
    node.last_use = now;
    by_use_.insert(node);
  }
  Node* Oldest() {
    Node* node = &*by_use_.begin();
    by_use_.erase(by_use_.begin());
    by_key_.erase(by_key_.iterator_to(*node));
    return node;
  }

  RobustMutex lock_;
  boost::interprocess::offset_ptr<std::byte> nodes_;
  uint32_t capacity_;
  uint32_t used_ = 0;
  boost::intrusive::set<Node, boost::intrusive::base_hook<Hook<KeyTag>>,
                        boost::intrusive::compare<KeyLess>>
      by_key_;
  boost::intrusive::multiset<Node, boost::intrusive::base_hook<Hook<UseTag>>,
                             boost::intrusive::compare<UseLess>>
      by_use_;
};

}  // namespace limpet::shm
