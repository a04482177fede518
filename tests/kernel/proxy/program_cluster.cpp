// SPDX-License-Identifier: Apache-2.0
#include "tests/kernel/proxy/program_cluster.h"

#include <gtest/gtest.h>
#include <signal.h>

#include "tests/support/paths.h"

namespace fairlead::proxy::test {

namespace {

std::string metadata_json(const std::string& name, const std::string& labels,
                          const std::string& annotations = "") {
  return R"("metadata":{"namespace":"default","name":")" + name +
         R"(","resourceVersion":"@RV@","labels":{)" + labels + R"(},"annotations":{)" +
         annotations + "}}";
}

const char* text_of(bool value) {
  return value ? "true" : "false";
}

std::string endpoint_json(const kube::Endpoint& endpoint) {
  return R"({"addresses":[")" + endpoint.addresses.front().to_string() + R"("],"nodeName":")" +
         endpoint.node_name + R"(","conditions":{"ready":)" + text_of(endpoint.ready) +
         R"(,"serving":)" + text_of(endpoint.serving) + R"(,"terminating":)" +
         text_of(endpoint.terminating) + "}}";
}

}  // namespace

std::string spec_json(int number, const std::string& more) {
  const std::string last = std::to_string(number);
  return R"("clusterIP":"10.96.0.)" + last + R"(","clusterIPs":["10.96.0.)" + last +
         R"(","fd00:96::)" + last +
         R"("],"ipFamilies":["IPv4","IPv6"],"type":"LoadBalancer","ports":[)"
         R"({"name":"t","protocol":"TCP","port":80,"nodePort":3010)" +
         last + R"(},{"name":"u","protocol":"UDP","port":80,"nodePort":3010)" + last + "}]" +
         (more.empty() ? "" : "," + more);
}

ProgramCluster::ProgramCluster() {
  at("node").run([&] {
    const auto bound = api_.listen({IpAddress::v4(127, 0, 0, 1), 0});
    EXPECT_TRUE(bound.ok());
    url_ = "http://" + bound->to_string();
  });
  put_node();
}

void ProgramCluster::put_service(const std::string& name, const std::string& spec,
                                 const std::string& labels, const std::string& status,
                                 const std::string& annotations) {
  api_.put("/api/v1/services", name,
           "{" + metadata_json(name, labels, annotations) + R"(,"spec":{)" + spec +
               R"(},"status":{)" + status + "}}");
}

void ProgramCluster::put_slice(const std::string& service,
                               const std::vector<std::string>& endpoints, const std::string& labels,
                               const std::string& suffix) {
  const kube::EndpointSlice as_object = slice(service, endpoints, {}, suffix);
  std::string list;
  for (const kube::Endpoint& endpoint : as_object.endpoints)
    list += (list.empty() ? "" : ",") + endpoint_json(endpoint);
  const std::string& name = as_object.meta.name;
  api_.put("/apis/discovery.k8s.io/v1/endpointslices", name,
           "{" +
               metadata_json(name, R"("kubernetes.io/service-name":")" + service + "\"" +
                                       (labels.empty() ? "" : "," + labels)) +
               R"(,"addressType":")" + (as_object.family == Family::kIpv4 ? "IPv4" : "IPv6") +
               R"(","endpoints":[)" + list +
               R"(],"ports":[{"name":"t","port":8080,"protocol":"TCP"},)"
               R"({"name":"u","port":8080,"protocol":"UDP"}]})");
}

void ProgramCluster::put_node(const std::string& spec, const std::string& metadata) {
  api_.put("/api/v1/nodes", "node",
           R"({"metadata":{"name":"node","resourceVersion":"@RV@")" +
               (metadata.empty() ? "" : "," + metadata) + R"(},"spec":{)" + spec +
               R"(},"status":{"addresses":[{"type":"InternalIP","address":"192.0.2.1"},)"
               R"({"type":"InternalIP","address":"2001:db8::1"}]}})");
}

std::vector<std::string> ProgramCluster::flags() const {
  return {"--master", url_, "--hostname-override=node",
          "--service-cidr=10.96.0.0/16,fd00:96::/112"};
}

void ProgramCluster::launch(const std::vector<std::string>& flags) {
  std::vector<std::string> argv = {program()};
  argv.insert(argv.end(), flags.begin(), flags.end());
  const auto inside = at("node").enter();
  process_ = std::make_unique<BackgroundProcess>(argv);
}

void ProgramCluster::start(const std::vector<std::string>& more) {
  std::vector<std::string> all = flags();
  all.push_back("--cluster-cidr=10.244.0.0/15,fd00:244::/32");
  all.insert(all.end(), more.begin(), more.end());
  launch(all);
  ASSERT_TRUE(run_until([this] { return healthy(); })) << get("node", kHealthz);
}

void ProgramCluster::kill_with(int signal) {
  kill(process_->pid(), signal);
  ASSERT_TRUE(run_until([this] { return !process_->running(); }));
  process_.reset();
}

std::string ProgramCluster::get(const std::string& from, const std::string& url) {
  const auto inside = at(from).enter();
  return fairlead::test::run_command({"curl", "-s", "-i", "-g", "-m", "5", url}).output;
}

}  // namespace fairlead::proxy::test
