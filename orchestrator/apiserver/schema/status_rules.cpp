// SPDX-License-Identifier: Apache-2.0
// What nodes report of their pods.
#include <set>

#include "base/address.h"
#include "orchestrator/apiserver/schema/decode.h"
#include "orchestrator/apiserver/schema/rules.h"

namespace fairlead::orchestrator::apiserver::schema {
namespace {

// One address of each family.
void check_ips(const Json& status, const char* list, const std::string& path, Causes& causes) {
  const Json& ips = at(status, list);
  const std::string where = join(path, list);
  std::set<std::string> seen;
  std::set<Family> families;
  for (size_t i = 0; i < ips.size(); ++i) {
    const std::string text = string_at(ips[i], "ip");
    const auto ip = IpAddress::parse(text);
    if (!ip)
      causes.push_back(
          invalid_value(indexed(where, i), go_value(text),
                        "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"));
    else
      families.insert(ip->family());
    if (!seen.insert(text).second) causes.push_back(duplicate(indexed(where, i), dump(ips[i])));
  }
  if (ips.size() > 1 && families.size() != ips.size())
    causes.push_back(
        invalid_value(where, dump(ips), "may specify no more than one IP for each IP family"));
}

}  // namespace

void check_pod_status(const Json& value, const std::string& path, Causes& causes) {
  for (const char* list : {"podIPs", "hostIPs"}) check_ips(value, list, path, causes);
  const Json& host = at(value, "hostIPs");
  if (!is_empty(host) && at(host[0], "ip") != at(value, "hostIP"))
    causes.push_back(invalid_value(join(indexed(join(path, "hostIPs"), 0), "ip"),
                                   go_value(at(host[0], "ip")), "must be equal to `hostIP`"));
}

}  // namespace fairlead::orchestrator::apiserver::schema
