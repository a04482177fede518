// SPDX-License-Identifier: Apache-2.0
// Nothing that a pod may say is ignored in silence: every field of the schema, set to something,
// changes what the node reads of the pod or is refused, or stands in the list below with the reason
// why the node has nothing to do for it.
#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "orchestrator/apiserver/schema/type.h"
#include "orchestrator/node/pod_spec.h"

namespace fairlead::orchestrator {
namespace {

using Json = nlohmann::json;
using apiserver::schema::Field;
using apiserver::schema::Shape;
using apiserver::schema::Type;
using apiserver::schema::Types;

// A field named "Type.field" covers what is below it.
const std::map<std::string, std::string> kNotTheNodes = {
    {"PodSpec.affinity", "the scheduler's"},
    {"PodSpec.nodeSelector", "the scheduler's"},
    {"PodSpec.preemptionPolicy", "the scheduler's"},
    {"PodSpec.priority", "the scheduler's"},
    {"PodSpec.priorityClassName", "the scheduler's"},
    {"PodSpec.schedulerName", "the scheduler's"},
    {"PodSpec.schedulingGates", "the scheduler's: no gated pod is bound"},
    {"PodSpec.schedulingGroup", "the scheduler's"},
    {"PodSpec.tolerations", "the scheduler's, and the evicting controller's"},
    {"PodSpec.topologySpreadConstraints", "the scheduler's"},
    {"PodSpec.workloadRef", "the scheduler's"},
    {"PodSpec.automountServiceAccountToken", "admission's: it adds the volume, which is refused"},
    {"PodSecurityContext.fsGroupChangePolicy", "of volumes that outlive pods, which are refused"},
    {"PodSecurityContext.seLinuxChangePolicy", "of seLinuxOptions, which are refused"},
    {"Container.resizePolicy", "of resizing, which the API server does not offer"},
    {"ContainerPort.hostIP", "of a hostPort, which is refused"},
    {"ContainerPort.name", "probes find ports by it; alone it says nothing"},
    {"ContainerPort.containerPort", "it tells people; nothing has to be opened"},
    {"ContainerPort.protocol", "as containerPort"},
    {"ObjectFieldSelector.apiVersion", "there is only v1"},
    {"SeccompProfile.localhostProfile", "of type Localhost, which is refused"},
    {"AppArmorProfile.localhostProfile", "of type Localhost, which is refused"},
};

// What has to be there so that a field of the type can say something.
const std::map<std::string, Json> kSettings = {
    {"PodSpec", {{"containers", {{{"name", "c"}}}}}},
    {"Container", {{"name", "c"}}},
    {"Probe", {{"tcpSocket", {{"port", 80}}}}},
    {"HTTPGetAction", {{"port", 80}}},
    {"TCPSocketAction", {{"port", 80}}},
    {"Volume", {{"name", "v"}}},
    {"VolumeMount", {{"name", "v"}, {"mountPath", "/m"}}},
    {"VolumeProjection", {{"configMap", {{"name", "o"}}}}},
    {"EnvVar", {{"name", "E"}}},
    {"EnvVarSource", {{"fieldRef", {{"fieldPath", "metadata.name"}}}}},
    {"ContainerPort", {{"containerPort", 80}}},
    {"KeyToPath", {{"key", "k"}, {"path", "p"}}},
    {"DownwardAPIVolumeFile", {{"path", "p"}, {"fieldRef", {{"fieldPath", "metadata.name"}}}}},
};

// Fields of which a value has one.
const std::map<std::string, std::set<std::string>> kOneOf = {
    {"Probe", {"exec", "grpc", "httpGet", "tcpSocket"}},
    {"EnvVarSource",
     {"configMapKeyRef", "fieldRef", "fileKeyRef", "resourceFieldRef", "secretKeyRef"}},
    {"DownwardAPIVolumeFile", {"fieldRef", "resourceFieldRef"}},
    {"VolumeProjection",
     {"clusterTrustBundle", "configMap", "downwardAPI", "podCertificate", "secret",
      "serviceAccountToken"}},
};

Json setting_of(const Type& type) {
  const auto found = kSettings.find(type.name);
  return found == kSettings.end() ? Json::object() : found->second;
}

// The setting with `field` replaced, or (null) without it.
Json with_field(const Type& type, const std::string& field, const Json& value) {
  Json object = setting_of(type);
  if (const auto group = kOneOf.find(type.name);
      group != kOneOf.end() && group->second.contains(field))
    for (const std::string& other : group->second) object.erase(other);
  object.erase(field);
  if (!value.is_null()) object[field] = value;
  return object;
}

using Wrap = std::function<Json(const Json&)>;  // a value of some type, as a whole PodSpec

PodSpec parse(const Json& spec) {
  auto pod =
      parse_pod({{"metadata", {{"name", "p"}, {"namespace", "ns"}, {"uid", "u"}}}, {"spec", spec}});
  EXPECT_TRUE(pod.ok());
  return *pod;
}

std::vector<Json> samples(const Field& field, Shape shape) {
  if (!field.values.empty()) return {field.values.begin(), field.values.end()};
  switch (shape) {
    case Shape::kBool:
      return {true, false};
    case Shape::kInt32:
    case Shape::kInt64:
    case Shape::kNumber:
      return {7, 8};
    case Shape::kQuantity:
      return {"3"};
    case Shape::kIntOrString:
      return {8080};
    default:
      return {"10.9.8.7"};
  }
}

class Walk {
 public:
  // Every field of `type`, each alone, in the place that `wrap` gives it.
  void fields(const Type& type, const Wrap& wrap, const std::string& path) {
    for (const Field& field : type.fields) {
      const std::string name = type.name + "." + field.name;
      if (kNotTheNodes.contains(name)) {
        met_.insert(name);
        continue;
      }
      const auto place = [&](const Json& value) {
        return wrap(with_field(type, field.name, value));
      };
      visit(field, *field.type, place, path + "." + field.name);
    }
  }
  const std::set<std::string>& met() const { return met_; }
  int leaves() const { return leaves_; }

 private:
  void visit(const Field& field, const Type& type, const Wrap& place, const std::string& path) {
    switch (type.shape) {
      case Shape::kStruct:
        // A whole that is refused needs no look inside.
        if (parse(place(setting_of(type))).refused.empty()) fields(type, place, path);
        return;
      case Shape::kList: {
        const auto item = [&](const Json& value) {
          return place(value.is_null() ? value : Json::array({value}));
        };
        return visit(field, *type.element, item, path + "[]");
      }
      case Shape::kMap:
        return expect_said({{{"cpu", "1"}}}, place, path);
      default:
        return expect_said(samples(field, type.shape), place, path);
    }
  }

  // One of the values, at least, makes a pod that is refused or read otherwise than without it.
  void expect_said(const std::vector<Json>& values, const Wrap& place, const std::string& path) {
    ++leaves_;
    const PodSpec without = parse(place(nullptr));
    for (const Json& value : values) {
      const PodSpec with = parse(place(value));
      if (!with.refused.empty() || !(with == without)) return;
    }
    ADD_FAILURE() << path << " is ignored";
  }

  std::set<std::string> met_;
  int leaves_ = 0;
};

TEST(PodFields, NoneIsIgnoredInSilence) {
  const Type* type = Types::builtin().find("PodSpec");
  ASSERT_NE(type, nullptr);
  Walk walk;
  walk.fields(
      *type, [](const Json& spec) { return spec; }, "spec");
  EXPECT_GT(walk.leaves(), 290);
  for (const auto& [name, reason] : kNotTheNodes)
    EXPECT_TRUE(walk.met().contains(name)) << name << " is listed, but is no field of a pod";
}

}  // namespace
}  // namespace fairlead::orchestrator
