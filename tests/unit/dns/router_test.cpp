// SPDX-License-Identifier: Apache-2.0
// Which server block a question goes to.
#include "dns/router.h"

#include <gtest/gtest.h>

#include "tests/unit/dns/support.h"

namespace fairlead::dns::test {
namespace {

// Longest zone first, whatever the order.
TEST(Router, TheLongestZoneAnswers) {
  Router router;
  Chain root, test, sub;
  router.add({dns_name("test"), &test, nullptr});
  router.add({Name(), &root, nullptr});
  router.add({dns_name("sub.test"), &sub, nullptr});
  const std::pair<const char*, const Chain*> kCases[] = {{"a.sub.test", &sub}, {"SUB.test", &sub},
                                                         {"a.test", &test},    {"xsub.test", &test},
                                                         {"other", &root},     {".", &root}};
  for (const auto& [name, chain] : kCases)
    EXPECT_EQ(router.find(dns_name(name), Type::kA)->chain, chain) << name;
  EXPECT_EQ(Router().find(dns_name("a"), Type::kA), nullptr);
}

// RFC 4035 section 3.1.4.1.
TEST(Router, DsIsTheParents) {
  Router router;
  for (const char* zone : {"test", "sub.p.test", "p.test", "."})
    router.add({dns_name(zone), nullptr, nullptr});
  const struct {
    const char* name;
    Type type;
    const char* zone;
  } kCases[] = {
      {"a.sub.p.test", Type::kA, "sub.p.test."},
      {"sub.p.test", Type::kA, "sub.p.test."},
      {"sub.p.test", Type::kNs, "sub.p.test."},
      {"sub.p.test", Type::kDs, "p.test."},
      {"a.sub.p.test", Type::kDs, "sub.p.test."},
      {"p.test", Type::kDs, "test."},
      {"test", Type::kDs, "test."},  // the root's block is not its parent's
      {"example", Type::kDs, "."},
      {".", Type::kDs, "."},
      {"xsub.p.test", Type::kDs, "p.test."},
  };
  for (const auto& c : kCases) {
    const Router::Route* const found = router.find(dns_name(c.name), c.type);
    ASSERT_NE(found, nullptr) << c.name;
    EXPECT_EQ(found->zone.to_text(), c.zone) << c.name << " " << static_cast<int>(c.type);
  }
}

}  // namespace
}  // namespace fairlead::dns::test
