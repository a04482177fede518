// SPDX-License-Identifier: Apache-2.0
// Any text as a record of `template`, in the language of Go's text/template: a template or an
// error; filling it ends, with a text of at most kMaxText bytes or an error, and twice with the
// same.
#include <cstdlib>

#include "tests/fuzz/dns/template_data.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  using namespace fairlead::dns;
  static const FuzzedQuery query;
  const auto text = TemplateText::parse({reinterpret_cast<const char*>(bytes), size});
  if (!text.ok()) {
    if (text.error().message().empty()) std::abort();
    return 0;
  }
  const auto first = text->fill(query.data());
  const auto second = text->fill(query.data());
  if (first.ok() != second.ok()) std::abort();
  if (first.ok() && (*first != *second || first->size() > kMaxText)) std::abort();
  if (text->constant() && !first.ok() && size <= kMaxText) std::abort();
  return 0;
}
