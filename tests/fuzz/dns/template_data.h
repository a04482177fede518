// SPDX-License-Identifier: Apache-2.0
// One query, for the texts and expressions of `template` to be filled with.
#pragma once

#include <string>
#include <vector>

#include "dns/plugin.h"
#include "dns/plugins/template/text.h"

namespace fairlead::dns {

class FuzzedQuery {
 public:
  FuzzedQuery() {
    (void)parse_query(packet_, query_);
    data_.name = "ip-10-0-0-1.a.test.";
    data_.zone = "a.test.";
    data_.klass = "IN";
    data_.type = "A";
    data_.remote = "192.0.2.9";
    data_.regex = "^(?P<a>.*)-(.*)[.]a[.]test[.]$";
    data_.query = &query_;
    data_.client = &client_;
    data_.match = {data_.name, "ip-10-0-0", "1"};
    data_.names = &groups_;
    data_.variables["v"] = std::string("10.0.0.1");
    data_.label = [](std::string_view label) { return "<" + std::string(label) + ">"; };
  }
  FuzzedQuery(const FuzzedQuery&) = delete;
  FuzzedQuery& operator=(const FuzzedQuery&) = delete;
  const TemplateData& data() const { return data_; }

 private:
  const std::vector<std::string> groups_ = {"", "a", ""};
  const std::vector<uint8_t> packet_ = {0, 1,   1, 0,   0,   1,   0,   0, 0, 0, 0, 0,
                                        1, 'a', 4, 't', 'e', 's', 't', 0, 0, 1, 0, 1};
  Query query_;
  const Client client_{{IpAddress::v4(192, 0, 2, 9), 999}, Transport::kUdp, {}, {}};
  TemplateData data_;
};

}  // namespace fairlead::dns
