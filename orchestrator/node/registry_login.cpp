// SPDX-License-Identifier: Apache-2.0
#include "orchestrator/node/registry_login.h"

#include <fnmatch.h>

#include <algorithm>

#include "orchestrator/node/node_api.h"
#include "orchestrator/values/json_reader.h"

namespace fairlead::orchestrator {

namespace {

using json::Json;

// Docker's own registry has three names.
constexpr char kHub[] = "docker.io";

struct Place {
  std::string host;  // with its port
  std::string path;  // "" or "/a/b"
};

Place split(const std::string& text) {
  const size_t slash = std::min(text.find('/'), text.size());
  Place place{text.substr(0, slash), text.substr(slash)};
  if (place.host == "index.docker.io" || place.host == "registry-1.docker.io") place.host = kHub;
  return place;
}

// "alpine", "library/alpine" and "docker.io/library/alpine" are one; a first part is a host when it
// has a dot or a colon, or is localhost (the reference grammar of distribution).
Place place_of_image(const std::string& image) {
  const std::string first = image.substr(0, image.find('/'));
  const bool has_host = first.size() < image.size() &&
                        (first.find_first_of(".:") != std::string::npos || first == "localhost");
  if (has_host) return split(image);
  return {kHub, (first.size() == image.size() ? "/library/" : "/") + image};
}

bool is_lower_or_digit(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}
bool is_word(char c) {
  return is_lower_or_digit(c) || (c >= 'A' && c <= 'Z');
}

// Between two letters or digits stands one of ".", "_", "__" or any number of "-".
bool is_path_part(std::string_view part) {
  if (part.empty() || !is_lower_or_digit(part.front()) || !is_lower_or_digit(part.back()))
    return false;
  for (size_t begin = 0; begin < part.size();) {
    size_t end = begin;
    while (end < part.size() && !is_lower_or_digit(part[end])) ++end;
    const std::string_view between = part.substr(begin, end - begin);
    if (!between.empty() && between != "." && between != "_" && between != "__" &&
        between.find_first_not_of('-') != std::string_view::npos)
      return false;
    begin = std::max(end, begin + 1);
  }
  return true;
}

bool is_host(std::string_view host) {
  const size_t colon = host.find(':', host.starts_with('[') ? host.find(']') : 0);
  const std::string_view port =
      colon == std::string_view::npos ? std::string_view("0") : host.substr(colon + 1);
  if (port.empty() || port.find_first_not_of("0123456789") != std::string_view::npos) return false;
  const std::string_view name = host.substr(0, colon);
  if (name.starts_with('['))
    return name.size() > 2 &&
           name.find_first_not_of("0123456789abcdefABCDEF:", 1) == name.size() - 1;
  for (size_t begin = 0; begin <= name.size();) {
    const size_t end = std::min(name.find('.', begin), name.size());
    const std::string_view label = name.substr(begin, end - begin);
    if (label.empty() || !is_word(label.front()) || !is_word(label.back())) return false;
    for (const char c : label)
      if (!is_word(c) && c != '-') return false;
    begin = end + 1;
  }
  return true;
}

bool is_tag(std::string_view tag) {
  if (tag.empty() || tag.size() > 128 || tag.front() == '.' || tag.front() == '-') return false;
  return std::all_of(tag.begin(), tag.end(),
                     [](char c) { return is_word(c) || c == '_' || c == '.' || c == '-'; });
}

bool is_digest(std::string_view digest) {
  const size_t colon = digest.find(':');
  if (colon == std::string_view::npos || colon == 0) return false;
  const std::string_view hash = digest.substr(colon + 1);
  return hash.size() >= 32 &&
         hash.find_first_not_of("0123456789abcdefABCDEF") == std::string_view::npos;
}

bool is_path(std::string_view path) {
  for (size_t begin = 0; begin <= path.size();) {
    const size_t end = std::min(path.find('/', begin), path.size());
    if (!is_path_part(path.substr(begin, end - begin))) return false;
    begin = end + 1;
  }
  return true;
}

// A key of "auths": with a scheme or without; an old "/v1/" or "/v2/" is no part of the path.
Place place_of_key(const std::string& key) {
  const size_t scheme = key.find("://");
  Place place = split(scheme == std::string::npos ? key : key.substr(scheme + 3));
  if (place.path.starts_with("/v1/") || place.path.starts_with("/v2/")) place.path.erase(0, 3);
  if (place.path == "/v1" || place.path == "/v2") place.path.clear();
  while (place.path.ends_with('/')) place.path.pop_back();
  return place;
}

// A "*" stands for a part of one label, so both have the same number of labels.
bool host_matches(const std::string& pattern, const std::string& host) {
  return std::count(pattern.begin(), pattern.end(), '.') ==
             std::count(host.begin(), host.end(), '.') &&
         fnmatch(pattern.c_str(), host.c_str(), FNM_NOESCAPE) == 0;
}

bool is_for(const Place& key, const Place& image) {
  if (!host_matches(key.host, image.host) || !image.path.starts_with(key.path)) return false;
  const char after = key.path.size() < image.path.size() ? image.path[key.path.size()] : '/';
  return key.path.empty() || after == '/' || after == ':' || after == '@';
}

// A pair of its own, or both in "auth": base64 of "user:password".
RegistryLogin parse_login(const Json& entry) {
  RegistryLogin login{json::text(entry, "username"), json::text(entry, "password"),
                      json::text(entry, "identitytoken")};
  const auto pair = decode_base64(json::text(entry, "auth"));
  const size_t colon = pair ? pair->find(':') : std::string::npos;
  if (colon == std::string::npos) return login;
  login.user = pair->substr(0, colon);
  login.password = pair->substr(colon + 1);
  return login;
}

// What a Secret's data holds: registry -> login. What is no such thing holds nothing.
Json auths_of(const ObjectData& data) {
  if (const auto file = data.find(".dockerconfigjson"); file != data.end())
    return json::member(Json::parse(file->second, nullptr, false), "auths");
  if (const auto file = data.find(".dockercfg"); file != data.end())
    return Json::parse(file->second, nullptr, false);
  return {};
}

}  // namespace

Result<void> check_image_name(const std::string& image) {
  const auto wrong = [&](const std::string& more) {
    return Error(ErrorCode::kInvalid,
                 "couldn't parse image name \"" + image + "\": invalid reference format" + more);
  };
  std::string_view rest = image;
  if (const size_t at = rest.find('@'); at != std::string_view::npos) {
    if (!is_digest(rest.substr(at + 1))) return wrong("");
    rest = rest.substr(0, at);
  }
  const size_t slash = rest.find('/');
  const std::string_view first = rest.substr(0, slash);
  const bool has_host =
      slash != std::string_view::npos &&
      (first.find_first_of(".:") != std::string_view::npos || first == "localhost" ||
       std::any_of(first.begin(), first.end(), [](char c) { return c >= 'A' && c <= 'Z'; }));
  if (has_host && !is_host(first)) return wrong("");
  if (has_host) rest = rest.substr(slash + 1);
  const size_t colon = rest.find(':');
  const std::string_view path = rest.substr(0, colon);
  if (std::any_of(path.begin(), path.end(), [](char c) { return c >= 'A' && c <= 'Z'; }))
    return wrong(": repository name (" +
                 std::string(has_host || path.find('/') != path.npos ? "" : "library/") +
                 std::string(path) + ") must be lowercase");
  if (!is_path(path) || (colon != std::string_view::npos && !is_tag(rest.substr(colon + 1))))
    return wrong("");
  return ok();
}

std::vector<RegistryLogin> registry_logins(const std::string& image, const Objects& secrets) {
  const Place place = place_of_image(image);
  std::vector<std::pair<size_t, RegistryLogin>> found;
  for (const auto& [reference, data] : secrets) {
    const Json auths = auths_of(data);
    if (!auths.is_object()) continue;
    for (const auto& [key, entry] : auths.items()) {
      const Place at = place_of_key(key);
      const RegistryLogin login = parse_login(entry);
      if (is_for(at, place) && !(login == RegistryLogin()))
        found.emplace_back(at.path.size(), login);
    }
  }
  std::stable_sort(found.begin(), found.end(),
                   [](const auto& a, const auto& b) { return a.first > b.first; });
  std::vector<RegistryLogin> logins;
  for (auto& [length, login] : found)
    if (std::find(logins.begin(), logins.end(), login) == logins.end())
      logins.push_back(std::move(login));
  return logins;
}

}  // namespace fairlead::orchestrator
