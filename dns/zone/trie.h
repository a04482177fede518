// SPDX-License-Identifier: Apache-2.0
// A persistent radix tree: every version of it that was published stays readable as it was, and a
// change copies only the few nodes on its path. One writer, any number of readers.
//
// Keys are strings of nibbles, none a prefix of another. A Leaf and a key to look for both have
//   uint8_t nibble(size_t index) const;
// and a key has `bool matches(const Leaf&) const`. A leaf hangs at the first node where it is
// alone, so depth follows the number of leaves, not the length of keys.
//
// The tree does not own its leaves. Nodes made since the last publication are changed in place and
// freed at once; older ones go to the Trash, to be freed when no reader can see them.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>
#include <utility>
#include <vector>

namespace fairlead::dns {

// What was replaced and is still visible to readers of what was published before.
class Trash {
 public:
  struct Item {
    void* object;
    void (*destroy)(void*);
  };
  // Changes belong to this generation; nodes of an older one have been published.
  uint64_t generation = 1;
  std::vector<Item> items;

  void add(void* object, void (*destroy)(void*)) { items.push_back({object, destroy}); }
};

template <typename Leaf>
class Trie {
 public:
  template <typename Key>
  const Leaf* find(const Key& key) const {
    const Node* node = root_;
    for (size_t depth = 0; node != nullptr; ++depth) {
      const unsigned nibble = key.nibble(depth);
      if (!node->has(nibble)) return nullptr;
      const Slot slot = node->slots()[node->index(nibble)];
      if (const Leaf* leaf = as_leaf(slot)) return key.matches(*leaf) ? leaf : nullptr;
      node = as_node(slot);
    }
    return nullptr;
  }

  // Whether any leaf's key begins with the first `length` nibbles of `prefix`.
  template <typename Key>
  bool has_prefix(const Key& prefix, size_t length) const {
    const Node* node = root_;
    for (size_t depth = 0; node != nullptr; ++depth) {
      if (depth == length) return true;
      const unsigned nibble = prefix.nibble(depth);
      if (!node->has(nibble)) return false;
      const Slot slot = node->slots()[node->index(nibble)];
      if (const Leaf* leaf = as_leaf(slot)) {
        for (size_t i = depth; i < length; ++i)
          if (leaf->nibble(i) != prefix.nibble(i)) return false;
        return true;
      }
      node = as_node(slot);
    }
    return false;
  }

  // Adds the leaf or puts it in place of the one with the same key, which is returned (else null).
  // `key` is the leaf's own.
  template <typename Key>
  Leaf* put(Leaf* leaf, const Key& key, Trash& trash) {
    if (root_ == nullptr) {
      root_ = single(leaf, 0, trash);
      return nullptr;
    }
    Slot root = to_slot(root_);
    Leaf* const replaced = put_below(root, leaf, key, trash);
    root_ = as_node(root);
    return replaced;
  }

  // Takes the leaf out and returns it; null when it is not there.
  template <typename Key>
  Leaf* remove(const Key& key, Trash& trash) {
    if (find(key) == nullptr) return nullptr;
    Leaf* removed = nullptr;
    const Slot slot = remove(root_, 0, key, removed, trash);
    // A single leaf may not be the root.
    root_ = as_leaf(slot) != nullptr ? single(as_leaf(slot), 0, trash) : as_node(slot);
    return removed;
  }

  template <typename Visit>
  void for_each(Visit&& visit) const {
    visit_node(root_, visit);
  }

  // Frees every node: at the end, when there are no readers left.
  void destroy_nodes() {
    destroy_node(root_);
    root_ = nullptr;
  }

 private:
  using Slot = uintptr_t;  // a leaf when the lowest bit is set, else a node

  struct Node {
    uint64_t generation : 48;  // of centuries
    uint64_t bitmap : 16;      // which of the sixteen slots are there
    bool has(unsigned nibble) const { return (bitmap >> nibble & 1) != 0; }
    unsigned index(unsigned nibble) const { return ones(bitmap & ((1u << nibble) - 1)); }
    unsigned count() const { return ones(bitmap); }
    // Of sixteen bits. (std::popcount is a call where the processor may lack the instruction.)
    [[gnu::always_inline]] static unsigned ones(uint32_t bits) {
      bits -= bits >> 1 & 0x5555;
      bits = (bits & 0x3333) + (bits >> 2 & 0x3333);
      bits = (bits + (bits >> 4)) & 0x0f0f;
      return (bits + (bits >> 8)) & 0x1f;
    }
    Slot* slots() { return reinterpret_cast<Slot*>(this + 1); }
    const Slot* slots() const { return reinterpret_cast<const Slot*>(this + 1); }
  };

  static Leaf* as_leaf(Slot slot) {
    return (slot & 1) != 0 ? reinterpret_cast<Leaf*>(slot & ~Slot{1}) : nullptr;
  }
  static Node* as_node(Slot slot) { return reinterpret_cast<Node*>(slot); }
  static Slot to_slot(Leaf* leaf) { return reinterpret_cast<Slot>(leaf) | 1; }
  static Slot to_slot(Node* node) { return reinterpret_cast<Slot>(node); }

  static Node* make(unsigned count, uint32_t bitmap, const Trash& trash) {
    void* memory = std::malloc(sizeof(Node) + count * sizeof(Slot));
    if (memory == nullptr) std::abort();
    return new (memory) Node{trash.generation, bitmap};
  }

  static void discard(Node* node, Trash& trash) {
    if (node->generation == trash.generation) {
      std::free(node);
    } else {
      trash.add(node, [](void* old) { std::free(old); });
    }
  }

  static Node* single(Leaf* leaf, size_t depth, Trash& trash) {
    Node* node = make(1, 1u << leaf->nibble(depth), trash);
    node->slots()[0] = to_slot(leaf);
    return node;
  }

  // The node in memory for more slots: it has moved when no reader has seen it, else is a copy.
  static Node* with_room(Node* node, unsigned slots, Trash& trash) {
    const size_t size = sizeof(Node) + node->count() * sizeof(Slot);
    const size_t room = sizeof(Node) + slots * sizeof(Slot);
    const bool mine = node->generation == trash.generation;
    auto* const roomy = static_cast<Node*>(mine ? std::realloc(node, room) : std::malloc(room));
    if (roomy == nullptr) std::abort();
    if (mine) return roomy;
    std::memcpy(static_cast<void*>(roomy), node, size);
    roomy->generation = trash.generation;
    discard(node, trash);
    return roomy;
  }

  // The node to be changed: itself when no reader has seen it, else a copy.
  static Node* own(Node* node, Trash& trash) {
    return node->generation == trash.generation ? node : with_room(node, node->count(), trash);
  }

  static Node* with_insertion(Node* node, unsigned nibble, Slot slot, Trash& trash) {
    const unsigned index = node->index(nibble);
    const unsigned count = node->count();
    Node* const grown = with_room(node, count + 1, trash);
    std::memmove(grown->slots() + index + 1, grown->slots() + index,
                 (count - index) * sizeof(Slot));
    grown->slots()[index] = slot;
    grown->bitmap |= 1u << nibble;
    return grown;
  }

  static Node* without(Node* node, unsigned nibble, Trash& trash) {
    const unsigned index = node->index(nibble);
    const unsigned count = node->count();
    Node* shrunk = make(count - 1, node->bitmap & ~(1u << nibble), trash);
    std::memcpy(shrunk->slots(), node->slots(), index * sizeof(Slot));
    std::memcpy(shrunk->slots() + index, node->slots() + index + 1,
                (count - 1 - index) * sizeof(Slot));
    discard(node, trash);
    return shrunk;
  }

  // `root`: a node's slot.
  template <typename Key>
  static Leaf* put_below(Slot& root, Leaf* leaf, const Key& key, Trash& trash) {
    Slot* at = &root;  // in memory that no reader has seen
    for (size_t depth = 0;; ++depth) {
      Node* node = as_node(*at);
      const unsigned nibble = key.nibble(depth);
      if (!node->has(nibble)) {
        *at = to_slot(with_insertion(node, nibble, to_slot(leaf), trash));
        return nullptr;
      }
      node = own(node, trash);
      *at = to_slot(node);
      at = &node->slots()[node->index(nibble)];
      if (Leaf* const other = as_leaf(*at)) {
        if (key.matches(*other)) {
          *at = to_slot(leaf);
          return other;
        }
        *at = fork(leaf, key, other, depth + 1, trash);
        return nullptr;
      }
    }
  }

  // Two leaves from `depth` on: a node for each nibble they share, then one where they part.
  template <typename Key>
  static Slot fork(Leaf* leaf, const Key& key, Leaf* other, size_t depth, const Trash& trash) {
    Slot top = 0;
    for (Slot* at = &top;; ++depth) {
      const unsigned nibble = key.nibble(depth);
      const unsigned others = other->nibble(depth);
      const bool shared = nibble == others;
      Node* const node = make(shared ? 1 : 2, 1u << nibble | 1u << others, trash);
      *at = to_slot(node);
      at = node->slots();
      if (shared) continue;
      at[nibble < others ? 0 : 1] = to_slot(leaf);
      at[nibble < others ? 1 : 0] = to_slot(other);
      return top;
    }
  }

  // What stands in the parent's place for `node` afterwards: a node, a single leaf, or nothing (0).
  template <typename Key>
  static Slot remove(Node* node, size_t depth, const Key& key, Leaf*& removed, Trash& trash) {
    const unsigned nibble = key.nibble(depth);
    const unsigned index = node->index(nibble);
    const Slot slot = node->slots()[index];
    Slot below = 0;
    if (Leaf* leaf = as_leaf(slot)) {
      removed = leaf;
    } else {
      below = remove(as_node(slot), depth + 1, key, removed, trash);
    }
    if (below == 0) {
      if (node->count() == 1) return discard(node, trash), 0;
      node = without(node, nibble, trash);
    } else if (below != slot) {
      node = own(node, trash);
      node->slots()[index] = below;
    }
    if (node->count() == 1 && as_leaf(node->slots()[0]) != nullptr) {
      const Slot last = node->slots()[0];
      return discard(node, trash), last;
    }
    return to_slot(node);
  }

  template <typename Visit>
  static void visit_node(const Node* node, Visit& visit) {
    if (node == nullptr) return;
    for (unsigned i = 0; i < node->count(); ++i) {
      const Slot slot = node->slots()[i];
      if (const Leaf* leaf = as_leaf(slot)) {
        visit(*leaf);
      } else {
        visit_node(as_node(slot), visit);
      }
    }
  }

  static void destroy_node(Node* node) {
    if (node == nullptr) return;
    for (unsigned i = 0; i < node->count(); ++i)
      if (as_leaf(node->slots()[i]) == nullptr) destroy_node(as_node(node->slots()[i]));
    std::free(node);
  }

  Node* root_ = nullptr;
};

}  // namespace fairlead::dns
