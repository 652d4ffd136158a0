// All images, and which of them a process or a memory may belong to.
#pragma once

#include <sys/types.h>

#include <algorithm>
#include <list>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "shim/common/no_copy.h"
#include "shim/supervisor/registry/image.h"

namespace libmseal::supervisor {

class Images : shim::NoCopy {
 public:
  using Some = std::vector<Image*>;

  [[nodiscard]] auto begin() { return all_.begin(); }
  [[nodiscard]] auto end() { return all_.end(); }
  [[nodiscard]] auto begin() const { return all_.begin(); }
  [[nodiscard]] auto end() const { return all_.end(); }

  // Adds an image that has no members yet.
  Image& add(Image image) {
    all_.push_back(std::move(image));
    try {
      index_.add(all_.back());
    } catch (...) {
      all_.pop_back();
      throw;
    }
    return all_.back();
  }

  // The member of `image` that is, or becomes, this process.
  Member& member(Image& image, const Process& process) {
    index_.add(image, process);
    return image.members[process];
  }

  // The images that have a member with this ID, and perhaps others, from which it has been erased.
  [[nodiscard]] const Some& with_member(pid_t id) const { return find(index_.by_member, id); }
  [[nodiscard]] const Some& with_memory(const MmIdentity& memory) const {
    return find(index_.by_memory, memory);
  }

  // If something throws, all images stay.
  template <class IsEnded>
  void forget_if(IsEnded is_ended) {
    Index kept;
    std::set<const Image*> ended;
    for (Image& image : all_) {
      if (is_ended(image)) {
        ended.insert(&image);
      } else {
        kept.add(image);
      }
    }
    index_ = std::move(kept);
    all_.remove_if([&](const Image& image) { return ended.contains(&image); });
  }

 private:
  // The index must be complete: a process that is not found has no seals.
  struct Index {
    std::map<pid_t, Some> by_member;
    std::map<MmIdentity, Some> by_memory;

    void add(Image& image) {
      by_memory[image.identity].push_back(&image);
      for (const auto& [process, member] : image.members) add(image, process);
    }
    void add(Image& image, const Process& process) {
      Some& some = by_member[process.id];
      if (std::ranges::find(some, &image) == some.end()) some.push_back(&image);
    }
  };

  template <class Key>
  [[nodiscard]] static const Some& find(const std::map<Key, Some>& index, const Key& key) {
    static const Some none;
    const auto found = index.find(key);
    return found != index.end() ? found->second : none;
  }

  std::list<Image> all_;
  Index index_;
};

}  // namespace libmseal::supervisor
