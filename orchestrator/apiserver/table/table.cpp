// SPDX-License-Identifier: Apache-2.0
#include "orchestrator/apiserver/table/table.h"

#include "orchestrator/apiserver/table/columns.h"

namespace fairlead::orchestrator::apiserver {
namespace {

Json row_object(const Kind& kind, const Json& object, const TableOptions& options) {
  switch (options.include) {
    case IncludeObject::kNone:
      return nullptr;
    case IncludeObject::kObject:
      return to_served(kind, object);
    case IncludeObject::kMetadata:
      break;
  }
  return partial_metadata(object, options.api_version);
}

}  // namespace

std::string comma_joined(const std::vector<std::string>& parts) {
  std::string text;
  for (const std::string& part : parts) text += (text.empty() ? "" : ",") + part;
  return text;
}

Json partial_metadata(const Json& object, const std::string& api_version) {
  return {{"kind", "PartialObjectMetadata"},
          {"apiVersion", api_version},
          {"metadata", at(object, "metadata")}};
}

Json make_table(const Kind& kind, const std::vector<Json>& objects, Json metadata,
                const TableOptions& options, WallTime now) {
  Json table = {
      {"kind", "Table"}, {"apiVersion", options.api_version}, {"metadata", std::move(metadata)}};
  Json& definitions = table["columnDefinitions"] =
      options.with_columns ? Json::array() : Json(nullptr);
  if (options.with_columns)
    for (const Column& column : kind.columns)
      definitions.push_back({{"name", column.name},
                             {"type", column.type},
                             {"format", column.format},
                             {"priority", column.priority},
                             {"description", column.description}});
  Json& rows = table["rows"] = Json::array();
  for (const Json& object : objects) {
    Json cells = Json::array();
    for (const Column& column : kind.columns) cells.push_back(column.cell(object, now));
    Json row = {{"cells", std::move(cells)}};
    if (Json included = row_object(kind, object, options); !included.is_null())
      row["object"] = std::move(included);
    rows.push_back(std::move(row));
  }
  return table;
}

}  // namespace fairlead::orchestrator::apiserver
