// SPDX-License-Identifier: Apache-2.0
// A sort for what is mostly sorted, as the endpoints of many sorted slices are: neighbouring runs
// are merged until one is left, n log(runs) moves. Pure. Equal elements stay in order unless there
// are more runs than a quarter of the elements: then it is std::sort.
#pragma once

#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

namespace fairlead::proxy {

template <typename T, typename Less>
void merge_runs(std::vector<T>& list, Less less) {
  const auto second = std::is_sorted_until(list.begin(), list.end(), less);
  if (second == list.end()) return;
  std::vector<size_t> runs = {0};  // where each begins, and the end
  for (auto i = static_cast<size_t>(second - list.begin()); i < list.size(); ++i)
    if (less(list[i], list[i - 1])) runs.push_back(i);
  if (runs.size() > list.size() / 4) return std::sort(list.begin(), list.end(), less);
  runs.push_back(list.size());
  std::vector<T> merged(list.size());
  while (runs.size() > 2) {
    std::vector<size_t> longer = {0};
    for (size_t i = 0; i + 1 < runs.size(); i += 2) {
      const auto at = [&](size_t run) {
        return list.begin() + static_cast<std::ptrdiff_t>(runs[std::min(run, runs.size() - 1)]);
      };
      std::merge(at(i), at(i + 1), at(i + 1), at(i + 2),
                 merged.begin() + static_cast<std::ptrdiff_t>(runs[i]), less);
      longer.push_back(runs[std::min(i + 2, runs.size() - 1)]);
    }
    list.swap(merged);
    runs = std::move(longer);
  }
}

}  // namespace fairlead::proxy
