// SPDX-License-Identifier: Apache-2.0
// fairlead-dns as a program with services of other clusters, and with its metrics over HTTPS.
#include "base/tls/certificate.h"
#include "tests/kernel/dns/program_support.h"

namespace fairlead::dns {
namespace {

constexpr const char* kAlpha = "/apis/multicluster.x-k8s.io/v1alpha1/serviceimports";
constexpr const char* kBeta = "/apis/multicluster.x-k8s.io/v1beta1/serviceimports";

const std::string kCorefile =
    ".:53 {\n    bind 127.0.0.1\n    ready\n    prometheus\n"
    "    kubernetes cluster.local clusterset.local {\n"
    "        multicluster clusterset.local\n    }\n}\n";

std::string short_answer(const std::string& answer) {
  return answer.empty() ? "nothing" : answer.substr(0, answer.find('\n'));
}

class MulticlusterProgram : public ProgramTest {
 protected:
  void put_imports() {
    api.run([](ClusterApi& a) {
      for (const char* version : {kAlpha, kBeta})
        a.put(version, "shop",
              R"({"metadata":{"name":"db","namespace":"default","resourceVersion":"@RV@"},)"
              R"("spec":{"type":"Headless","ports":[{"name":"http","port":80}]}})");
      a.put(kSlices, "imported",
            R"({"metadata":{"name":"imported","namespace":"default","resourceVersion":"@RV@",)"
            R"("labels":{"multicluster.kubernetes.io/service-name":"db",)"
            R"("multicluster.kubernetes.io/source-cluster":"east"}},"addressType":"IPv4",)"
            R"("endpoints":[{"addresses":["10.9.0.1"],"hostname":"db-0"}],)"
            R"("ports":[{"name":"http","protocol":"TCP","port":80}]})");
    });
  }
  static std::string look(const std::string& name) { return short_answer(dig("+short " + name)); }
  static std::string status(const std::string& name) {
    const std::string out = dig(name);
    const size_t at = out.find("status: ");
    return at == std::string::npos ? out : out.substr(at + 8, out.find(',', at) - at - 8);
  }
};

TEST_F(MulticlusterProgram, AnswersForBothZones) {
  put_imports();
  start_with_corefile(kCorefile);
  ASSERT_TRUE(ready()) << log();
  EXPECT_EQ(look("web.default.svc.cluster.local"), "10.96.0.10");
  EXPECT_EQ(look("db.default.svc.clusterset.local"), "10.9.0.1");
  EXPECT_EQ(look("db-0.east.db.default.svc.clusterset.local"), "10.9.0.1");
  EXPECT_EQ(look("_http._tcp.db.default.svc.clusterset.local SRV"),
            "0 100 80 db-0.east.db.default.svc.clusterset.local.");
  EXPECT_EQ(status("web.default.svc.clusterset.local"), "NXDOMAIN");
  EXPECT_NE(http("127.0.0.1:9153/metrics")
                .find("coredns_kubernetes_rest_client_requests_total{code=\"200\",method=\"GET\""),
            std::string::npos);
  api.run([](ClusterApi& a) { a.remove(kAlpha, "shop"); });
  EXPECT_TRUE(eventually([] { return status("db.default.svc.clusterset.local") == "NXDOMAIN"; }));
}

// Without the kind the server is ready and the cluster's own names are what they are; the others
// come when it does.
TEST_F(MulticlusterProgram, WaitsForTheKind) {
  api.run([](ClusterApi& a) { a.set_missing({kAlpha, kBeta}); });
  start_with_corefile(kCorefile);
  ASSERT_TRUE(ready()) << log();
  EXPECT_EQ(look("web.default.svc.cluster.local"), "10.96.0.10");
  EXPECT_EQ(status("none.default.svc.cluster.local"), "NXDOMAIN");
  EXPECT_EQ(status("db.default.svc.clusterset.local"), "SERVFAIL");
  EXPECT_NE(log().find("the API server has no ServiceImport"), std::string::npos) << log();
  put_imports();
  api.run([](ClusterApi& a) { a.set_missing({}); });
  EXPECT_TRUE(eventually([] { return look("db.default.svc.clusterset.local") == "10.9.0.1"; }))
      << log();
}

TEST_F(ProgramTest, TellsItsMetricsOverHttps) {
  const WallTime begun =
      std::chrono::time_point_cast<Duration>(std::chrono::system_clock::now()) - 1h;
  const auto authority = *tls::make_authority("ca", begun, 24h);
  tls::CertificateSpec spec;
  spec.common_name = "fairlead-dns";
  spec.ip_addresses = {IpAddress::v4(127, 0, 0, 1)};
  spec.server_auth = true;
  spec.not_before = begun;
  spec.validity = 12h;
  const auto server = *tls::issue_certificate(authority, spec);
  const auto write = [&](const char* name, const std::string& text) {
    std::ofstream(directory + "/" + name) << text;
  };
  write("ca.crt", authority.certificate_pem);
  write("tls.crt", server.certificate_pem);
  write("tls.key", server.key_pem);
  write("web.yml", "tls_server_config:\n  cert_file: tls.crt\n  key_file: tls.key\n");
  start_with_corefile(
      ".:53 {\n    bind 127.0.0.1\n    ready\n    prometheus {\n        tls web.yml\n    }\n"
      "    kubernetes cluster.local\n}\n");
  ASSERT_TRUE(ready()) << log();
  const std::string metrics =
      shell("curl -s -m 5 --cacert " + directory + "/ca.crt https://127.0.0.1:9153/metrics");
  EXPECT_NE(metrics.find("coredns_build_info"), std::string::npos) << metrics << log();
  EXPECT_EQ(shell("curl -s -m 5 https://127.0.0.1:9153/metrics; echo $?"), "60\n");
  EXPECT_EQ(http("127.0.0.1:9153/metrics").find("coredns_build_info"), std::string::npos);
}

}  // namespace
}  // namespace fairlead::dns
