// Circular lists whose links are in the objects themselves: adding and removing allocates nothing.
#pragma once

namespace limpet::worker {

// A link of a list, or its head; one that points to itself is in no list. Always: an object leaves
// its list before it goes, and a head goes only when its list is empty.
struct ListLink {
  ListLink* next = this;
  ListLink* previous = this;

  bool linked() const { return next != this; }
  void Unlink() {
    next->previous = previous;
    previous->next = next;
    next = previous = this;
  }
  void LinkBefore(ListLink& other) {  // of a list's head: at its end
    next = &other;
    previous = other.previous;
    previous->next = other.previous = this;
  }
  // Of two heads: the other's list goes to the end of this one's.
  void TakeAllOf(ListLink& head) {
    head.next->previous = previous;
    previous->next = head.next;
    previous = head.previous;
    previous->next = this;
    head.next = head.previous = &head;
  }
};

}  // namespace limpet::worker
