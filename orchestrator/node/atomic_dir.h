// SPDX-License-Identifier: Apache-2.0
// A folder of files that changes all at once, as the kubelet lays volumes of objects out
// (k8s.io/kubernetes/pkg/volume/util/atomic_writer.go):
//
//   DIR/..v-XXXXXX/a/b   the files of one version
//   DIR/..data           a link to the version in force, replaced by rename
//   DIR/a                a link to ..data/a, one for each first part of a path
//
// A reader that holds ..data open sees one version; programs watch for the rename of ..data. Killed
// at any moment, the next write finishes or begins again. Blocking; any thread, one a folder.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"

namespace fairlead::orchestrator {

struct VolumeFile {
  std::string path;  // below the folder
  std::string content;
  int mode = 0644;
  bool operator==(const VolumeFile&) const = default;
};

// Makes the existing folder hold these files and no others; of two with one path the later one.
// `group` becomes their group, and may read them. True: a new version is in force; false: they were
// there, with these contents and modes. kInvalid: a path that is absolute, has an empty, "." or
// ".." part, or whose first part begins with "..".
Result<bool> write_atomic_dir(const std::string& dir, std::vector<VolumeFile> files,
                              std::optional<int64_t> group);

}  // namespace fairlead::orchestrator
