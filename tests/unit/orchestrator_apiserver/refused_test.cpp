// SPDX-License-Identifier: Apache-2.0
// What Kubernetes refuses, row by row, and what it does not.
#include <algorithm>
#include <span>

#include "tests/unit/orchestrator_apiserver/bad_input.h"

namespace fairlead::orchestrator {
namespace {

// What Kubernetes refuses of each kind, beside what its data says: a change to a good object, the
// field that is wrong, the reason and the words. An empty field: it is taken.
struct Refused {
  const char* what;
  const char* plural;
  const char* patch;  // RFC 7386
  const char* field;
  const char* reason;
  const char* message;
};

// A pod whose one container has `members` too; a pod with `members` beside its container.
#define CONTAINER(members) R"({"spec":{"containers":[{"name":"c","image":"i",)" members "}]}}"
#define POD(members) R"({"spec":{)" members "}}"
#define TEMPLATE(members) R"({"spec":{"template":{"spec":{)" members "}}}}"

const Refused kPodRows[] = {
    {"liveness needs one success", "pods",
     CONTAINER(R"("livenessProbe":{"tcpSocket":{"port":1},"successThreshold":2})"),
     "spec.containers[0].livenessProbe.successThreshold", "FieldValueInvalid",
     "Invalid value: 2: must be 1"},
    {"so does startup", "pods",
     CONTAINER(R"("startupProbe":{"tcpSocket":{"port":1},"successThreshold":2})"),
     "spec.containers[0].startupProbe.successThreshold", "FieldValueInvalid", "must be 1"},
    {"readiness may need several", "pods",
     CONTAINER(R"("readinessProbe":{"tcpSocket":{"port":1},"successThreshold":2})"), "", "", ""},
    {"readiness kills nothing", "pods",
     CONTAINER(R"("readinessProbe":{"tcpSocket":{"port":1},"terminationGracePeriodSeconds":5})"),
     "spec.containers[0].readinessProbe.terminationGracePeriodSeconds", "FieldValueInvalid",
     "must not be set for readinessProbes"},
    {"a probe of no command", "pods", CONTAINER(R"("livenessProbe":{"exec":{}})"),
     "spec.containers[0].livenessProbe.exec.command", "FieldValueRequired", "Required value"},
    {"probes of an init container", "pods",
     POD(R"("initContainers":[{"name":"a","image":"i","readinessProbe":{"tcpSocket":{"port":1}}}])"),
     "spec.initContainers[0].readinessProbe", "FieldValueForbidden",
     "may not be set for init containers without restartPolicy=Always"},
    {"probes of a sidecar", "pods",
     POD(R"("initContainers":[{"name":"a","image":"i","restartPolicy":"Always","readinessProbe":{"tcpSocket":{"port":1}}}])"),
     "", "", ""},
    {"a field nobody has", "pods",
     CONTAINER(R"("env":[{"name":"E","valueFrom":{"fieldRef":{"fieldPath":"status.phase"}}}])"),
     "spec.containers[0].env[0].valueFrom.fieldRef.fieldPath", "FieldValueNotSupported",
     R"(Unsupported value: "status.phase": supported values: "metadata.name", "metadata.namespace")"},
    {"a label of the pod", "pods",
     CONTAINER(
         R"("env":[{"name":"E","valueFrom":{"fieldRef":{"fieldPath":"metadata.labels['a.b/c']"}}}])"),
     "", "", ""},
    {"all labels are for volumes", "pods",
     CONTAINER(R"("env":[{"name":"E","valueFrom":{"fieldRef":{"fieldPath":"metadata.labels"}}}])"),
     "spec.containers[0].env[0].valueFrom.fieldRef.fieldPath", "FieldValueNotSupported",
     R"("metadata.labels")"},
    {"a subscript of a name", "pods",
     CONTAINER(
         R"("env":[{"name":"E","valueFrom":{"fieldRef":{"fieldPath":"metadata.name['a']"}}}])"),
     "spec.containers[0].env[0].valueFrom.fieldRef.fieldPath", "FieldValueInvalid",
     "does not support subscript"},
    {"a resource nobody has", "pods",
     CONTAINER(
         R"("env":[{"name":"E","valueFrom":{"resourceFieldRef":{"resource":"limits.disk"}}}])"),
     "spec.containers[0].env[0].valueFrom.resourceFieldRef.resource", "FieldValueNotSupported",
     R"("limits.disk": supported values: "limits.cpu")"},
    {"a divisor of another resource", "pods",
     CONTAINER(
         R"("env":[{"name":"E","valueFrom":{"resourceFieldRef":{"resource":"limits.cpu","divisor":"1Mi"}}}])"),
     "spec.containers[0].env[0].valueFrom.resourceFieldRef.divisor", "FieldValueInvalid",
     "only divisor's values 1m and 1 are supported with the cpu resource"},
    {"megabytes", "pods",
     CONTAINER(
         R"("env":[{"name":"E","valueFrom":{"resourceFieldRef":{"resource":"limits.memory","divisor":"1Mi"}}}])"),
     "", "", ""},
    {"a config map without a name", "pods",
     CONTAINER(R"("env":[{"name":"E","valueFrom":{"configMapKeyRef":{"key":"k"}}}])"),
     "spec.containers[0].env[0].valueFrom.configMapKeyRef.name", "FieldValueInvalid", ""},
    {"a key that cannot be", "pods",
     CONTAINER(R"("env":[{"name":"E","valueFrom":{"secretKeyRef":{"name":"s","key":"a/b"}}}])"),
     "spec.containers[0].env[0].valueFrom.secretKeyRef.key", "FieldValueInvalid",
     "a valid config key must consist of"},
    {"envFrom nothing", "pods", CONTAINER(R"("envFrom":[{"prefix":"A_"}])"),
     "spec.containers[0].envFrom[0]", "FieldValueInvalid",
     "must specify one of: `configMapRef` or `secretRef`"},
    {"envFrom a nameless one", "pods", CONTAINER(R"("envFrom":[{"secretRef":{}}])"),
     "spec.containers[0].envFrom[0].secretRef.name", "FieldValueRequired", "Required value"},
    {"a host port of another number", "pods",
     R"({"spec":{"hostNetwork":true,"containers":[{"name":"c","image":"i","ports":[{"containerPort":80,"hostPort":81}]}]}})",
     "spec.containers[0].ports[0].hostPort", "FieldValueInvalid",
     "Invalid value: 81: must match `containerPort` when `hostNetwork` is true"},
    {"the host's network", "pods",
     R"({"spec":{"hostNetwork":true,"containers":[{"name":"c","image":"i","ports":[{"containerPort":80}]}]}})",
     "", "", ""},
    {"two ports of a name", "pods",
     CONTAINER(R"("ports":[{"name":"a","containerPort":1},{"name":"a","containerPort":2}])"),
     "spec.containers[0].ports[1].name", "FieldValueDuplicate", R"(Duplicate value: "a")"},
    {"two containers may each have one", "pods",
     R"({"spec":{"containers":[{"name":"c","image":"i","ports":[{"name":"a","containerPort":1}]},
         {"name":"d","image":"i","ports":[{"name":"a","containerPort":2}]}]}})",
     "", "", ""},
    {"a host port twice", "pods",
     R"({"spec":{"containers":[{"name":"c","image":"i","ports":[{"containerPort":1,"hostPort":8080}]},
         {"name":"d","image":"i","ports":[{"containerPort":2,"hostPort":8080}]}]}})",
     "spec.containers[1].ports[0].hostPort", "FieldValueDuplicate",
     R"(Duplicate value: "TCP//8080")"},
    {"a host port of two protocols", "pods",
     CONTAINER(
         R"("ports":[{"containerPort":1,"hostPort":8080},{"containerPort":1,"hostPort":8080,"protocol":"UDP"}])"),
     "", "", ""},
    {"a resource by the wrong name", "pods", CONTAINER(R"("resources":{"limits":{"cpus":"1"}})"),
     "spec.containers[0].resources.limits[cpus]", "FieldValueInvalid",
     R"(Invalid value: "cpus": must be a standard resource for containers)"},
    {"an extended resource", "pods",
     CONTAINER(R"("resources":{"limits":{"example.com/gpu":"1","hugepages-2Mi":"2Mi"}})"), "", "",
     ""},
    {"privileged, but not", "pods",
     CONTAINER(R"("securityContext":{"privileged":true,"allowPrivilegeEscalation":false})"),
     "spec.containers[0].securityContext", "FieldValueInvalid",
     "cannot set `allowPrivilegeEscalation` to false and `privileged` to true"},
    {"an image with a space", "pods", R"({"spec":{"containers":[{"name":"c","image":"i "}]}})",
     "spec.containers[0].image", "FieldValueInvalid",
     "must not have leading or trailing whitespace"},
    {"an absolute subPath", "pods",
     R"({"spec":{"volumes":[{"name":"v","emptyDir":{}}],"containers":[{"name":"c","image":"i",
         "volumeMounts":[{"name":"v","mountPath":"/v","subPath":"/etc"}]}]}})",
     "spec.containers[0].volumeMounts[0].subPath", "FieldValueInvalid", "must be a relative path"},
    {"a volume of no config map", "pods", POD(R"("volumes":[{"name":"v","configMap":{}}])"),
     "spec.volumes[0].configMap.name", "FieldValueRequired", "Required value"},
    {"a volume of no secret", "pods", POD(R"("volumes":[{"name":"v","secret":{}}])"),
     "spec.volumes[0].secret.secretName", "FieldValueRequired", "Required value"},
    {"a file above its volume", "pods",
     POD(R"("volumes":[{"name":"v","configMap":{"name":"m","items":[{"key":"k","path":"../k"}]}}])"),
     "spec.volumes[0].configMap.items[0].path", "FieldValueInvalid", "must not contain '..'"},
    {"a host path that climbs", "pods",
     POD(R"("volumes":[{"name":"v","hostPath":{"path":"/a/../b"}}])"),
     "spec.volumes[0].hostPath.path", "FieldValueInvalid", "must not contain '..'"},
    {"a file of a field nobody has", "pods",
     POD(R"("volumes":[{"name":"v","downwardAPI":{"items":[{"path":"p","fieldRef":{"fieldPath":"status.podIP"}}]}}])"),
     "spec.volumes[0].downwardAPI.items[0].fieldRef.fieldPath", "FieldValueNotSupported",
     R"("status.podIP": supported values: "metadata.annotations", "metadata.labels")"},
    {"a file of all labels", "pods",
     POD(R"("volumes":[{"name":"v","downwardAPI":{"items":[{"path":"p","fieldRef":{"fieldPath":"metadata.labels"}}]}}])"),
     "", "", ""},
    {"a file of a container's limit", "pods",
     POD(R"("volumes":[{"name":"v","downwardAPI":{"items":[{"path":"p","resourceFieldRef":{"resource":"limits.cpu"}}]}}])"),
     "spec.volumes[0].downwardAPI.items[0].resourceFieldRef.containerName", "FieldValueRequired",
     "Required value"},
    {"a negative size", "pods", POD(R"("volumes":[{"name":"v","emptyDir":{"sizeLimit":"-1Gi"}}])"),
     "spec.volumes[0].emptyDir.sizeLimit", "FieldValueForbidden", ""},
    {"tolerates nothing by name", "pods",
     POD(R"("tolerations":[{"operator":"Equal","value":"x"}])"), "spec.tolerations[0].operator",
     "FieldValueInvalid", "operator must be Exists when `key` is empty"},
    {"exists with a value", "pods",
     POD(R"("tolerations":[{"key":"k","operator":"Exists","value":"x"}])"),
     "spec.tolerations[0].operator", "FieldValueInvalid",
     "value must be empty when `operator` is 'Exists'"},
    {"seconds of no eviction", "pods",
     POD(R"("tolerations":[{"key":"k","effect":"NoSchedule","tolerationSeconds":5}])"),
     "spec.tolerations[0].effect", "FieldValueInvalid",
     "effect must be 'NoExecute' when `tolerationSeconds` is set"},
    {"tolerates everything", "pods", POD(R"("tolerations":[{"operator":"Exists"}])"), "", "", ""},
    {"affinity to no values", "pods",
     POD(R"("affinity":{"nodeAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":
         {"nodeSelectorTerms":[{"matchExpressions":[{"key":"k","operator":"In"}]}]}}})"),
     "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution."
     "nodeSelectorTerms[0].matchExpressions[0].values",
     "FieldValueRequired", "must be specified when `operator` is 'In' or 'NotIn'"},
    {"greater than two values", "pods",
     POD(R"("affinity":{"nodeAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":
         {"nodeSelectorTerms":[{"matchExpressions":[{"key":"k","operator":"Gt","values":["1","2"]}]}]}}})"),
     "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution."
     "nodeSelectorTerms[0].matchExpressions[0].values",
     "FieldValueRequired", "must be specified single value when `operator` is 'Lt' or 'Gt'"},
    {"four name servers", "pods",
     POD(R"("dnsConfig":{"nameservers":["10.0.0.1","10.0.0.2","10.0.0.3","10.0.0.4"]})"),
     "spec.dnsConfig.nameservers", "FieldValueInvalid", "must not have more than 3 nameservers"},
    {"an alias that is no name", "pods",
     POD(R"("hostAliases":[{"ip":"10.0.0.1","hostnames":["a_b"]}])"),
     "spec.hostAliases[0].hostnames[0]", "FieldValueInvalid", "a lowercase RFC 1123 subdomain"},
    {"an ephemeral container at once", "pods",
     POD(R"("ephemeralContainers":[{"name":"e","image":"i"}])"), "spec.ephemeralContainers",
     "FieldValueForbidden", "cannot be set on create"},
};

const Refused kServiceRows[] = {
    {"a health check of no load balancer", "services", R"({"spec":{"healthCheckNodePort":30080}})",
     "spec.healthCheckNodePort", "FieldValueInvalid",
     "Invalid value: 30080: may only be set when `type` is 'LoadBalancer' and "
     "`externalTrafficPolicy` is 'Local'"},
    {"a health check of every node", "services",
     R"({"spec":{"type":"LoadBalancer","healthCheckNodePort":30080}})", "spec.healthCheckNodePort",
     "FieldValueInvalid", "may only be set when"},
    {"another family", "services", R"({"spec":{"ipFamilies":["IPv6"]}})", "spec.ipFamilies[0]",
     "FieldValueInvalid", R"(Invalid value: "IPv6": not configured on this cluster)"},
    {"both families", "services", R"({"spec":{"ipFamilyPolicy":"RequireDualStack"}})",
     "spec.ipFamilyPolicy", "FieldValueInvalid",
     R"("RequireDualStack": this cluster is not configured for dual-stack services)"},
    {"both, said twice", "services",
     R"({"spec":{"ipFamilyPolicy":"PreferDualStack","ipFamilies":["IPv4","IPv6"]}})",
     "spec.ipFamilies[1]", "FieldValueInvalid", "not configured on this cluster"},
    {"two families of one", "services", R"({"spec":{"ipFamilies":["IPv4","IPv6"]}})",
     "spec.ipFamilyPolicy", "FieldValueInvalid",
     "must be 'RequireDualStack' or 'PreferDualStack' when multiple IP families are specified"},
    {"a family twice", "services", R"({"spec":{"ipFamilies":["IPv4","IPv4"]}})",
     "spec.ipFamilies[1]", "FieldValueDuplicate", R"("IPv4")"},
    {"no family", "services", R"({"spec":{"ipFamilies":["IPv5"]}})", "spec.ipFamilies[0]",
     "FieldValueNotSupported", R"("IPv5": supported values: "IPv4", "IPv6")"},
    {"a family that the address has not", "services",
     R"({"spec":{"ipFamilies":["IPv6"],"clusterIP":"10.96.9.9"}})", "spec.clusterIPs[0]",
     "FieldValueInvalid", "expected an IPv6 value as indicated by `ipFamilies[0]`"},
    {"an address of another family", "services", R"({"spec":{"clusterIP":"fd00::9"}})",
     "spec.clusterIPs[0]", "FieldValueInvalid", "IPv6 is not configured on this cluster"},
    {"addresses of one family", "services", R"({"spec":{"clusterIPs":["10.96.9.8","10.96.9.9"]}})",
     "spec.clusterIPs", "FieldValueInvalid", "may specify no more than one IP for each IP family"},
    {"headless with pods of another family", "services",
     R"({"spec":{"clusterIP":"None","selector":{"a":"b"},"ipFamilies":["IPv6"]}})",
     "spec.ipFamilies[0]", "FieldValueInvalid", "not configured on this cluster"},
    {"headless with endpoints of the client's own", "services",
     R"({"spec":{"clusterIP":"None","ipFamilies":["IPv6"]}})", "", "", ""},
    {"both if there are", "services", R"({"spec":{"ipFamilyPolicy":"PreferDualStack"}})", "", "",
     ""},
    {"sources of no load balancer", "services",
     R"({"spec":{"loadBalancerSourceRanges":["10.0.0.0/8"]}})", "spec.loadBalancerSourceRanges",
     "FieldValueForbidden", "may only be used when `type` is 'LoadBalancer'"},
    {"sources with a space", "services",
     R"({"spec":{"type":"LoadBalancer","loadBalancerSourceRanges":[" 10.0.0.0/8 "]}})", "", "", ""},
    {"a class of no load balancer", "services", R"({"spec":{"loadBalancerClass":"a.b/c"}})",
     "spec.loadBalancerClass", "FieldValueForbidden",
     "may only be used when `type` is 'LoadBalancer'"},
    {"a class that is no name", "services",
     R"({"spec":{"type":"LoadBalancer","loadBalancerClass":"a b"}})", "spec.loadBalancerClass",
     "FieldValueInvalid", "name part must consist of"},
    {"node ports of no load balancer", "services",
     R"({"spec":{"allocateLoadBalancerNodePorts":true}})", "spec.allocateLoadBalancerNodePorts",
     "FieldValueForbidden", "may only be used when `type` is 'LoadBalancer'"},
    {"external and loopback", "services", R"({"spec":{"externalIPs":["127.0.0.1"]}})",
     "spec.externalIPs[0]", "FieldValueInvalid",
     "may not be in the loopback range (127.0.0.0/8, ::1/128)"},
    {"external and link-local", "services", R"({"spec":{"externalIPs":["169.254.169.254"]}})",
     "spec.externalIPs[0]", "FieldValueInvalid", "may not be in the link-local range"},
    {"external", "services", R"({"spec":{"externalIPs":["192.0.2.1"]}})", "", "", ""},
    {"affinity of nobody is dropped", "services",
     R"({"spec":{"sessionAffinity":"None","sessionAffinityConfig":{"clientIP":{"timeoutSeconds":5}}}})",
     "", "", ""},
    {"an address of a name", "services",
     R"({"spec":{"type":"ExternalName","externalName":"a.b","clusterIP":"10.96.9.9"}})",
     "spec.clusterIPs", "FieldValueForbidden", "may not be set for ExternalName services"},
    {"a family of a name", "services",
     R"({"spec":{"type":"ExternalName","externalName":"a.b","ipFamilies":["IPv4"]}})",
     "spec.ipFamilies", "FieldValueForbidden", "may not be set for ExternalName services"},
    {"an application protocol", "services",
     R"({"spec":{"ports":[{"port":80,"appProtocol":"a b"}]}})", "spec.ports[0].appProtocol",
     "FieldValueInvalid", "name part must consist of"},
};

#define ADDRESS(type, address) \
  R"({"addressType":")" type R"(","endpoints":[{"addresses":[")" address R"("]}]})"

const Refused kOtherRows[] = {
    {"an endpoint on loopback", "endpointslices", ADDRESS("IPv4", "127.0.0.1"),
     "endpoints[0].addresses[0]", "FieldValueInvalid",
     R"(Invalid value: "127.0.0.1": may not be in the loopback range (127.0.0.0/8, ::1/128))"},
    {"an endpoint on loopback, IPv6", "endpointslices", ADDRESS("IPv6", "::1"),
     "endpoints[0].addresses[0]", "FieldValueInvalid", "may not be in the loopback range"},
    {"an endpoint beside the link", "endpointslices", ADDRESS("IPv6", "fe80::1"),
     "endpoints[0].addresses[0]", "FieldValueInvalid",
     "may not be in the link-local range (169.254.0.0/16, fe80::/10)"},
    {"an endpoint for many", "endpointslices", ADDRESS("IPv4", "224.0.0.1"),
     "endpoints[0].addresses[0]", "FieldValueInvalid",
     "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)"},
    {"an endpoint nowhere", "endpointslices", ADDRESS("IPv4", "0.0.0.0"),
     "endpoints[0].addresses[0]", "FieldValueInvalid", "may not be unspecified (0.0.0.0)"},
    {"an endpoint by a number", "endpointslices", ADDRESS("FQDN", "host"),
     "endpoints[0].addresses[0]", "FieldValueInvalid",
     "should be a domain with at least two segments separated by dots"},
    {"an endpoint by name", "endpointslices", ADDRESS("FQDN", "host.example."), "", "", ""},
    {"an endpoint", "endpointslices", ADDRESS("IPv4", "10.0.0.1"), "", "", ""},
    {"an endpoint without address", "endpointslices", R"({"endpoints":[{"addresses":[]}]})",
     "endpoints[0].addresses", "FieldValueRequired", "Required value"},
    {"two ports of a name", "endpointslices",
     R"({"ports":[{"name":"a","port":1},{"name":"a","port":2}]})", "ports[1].name",
     "FieldValueDuplicate", R"(Duplicate value: "a")"},
    {"two ports of no name", "endpointslices", R"({"ports":[{"port":1},{"port":2}]})",
     "ports[1].name", "FieldValueDuplicate", R"(Duplicate value: "")"},
    {"a port of a bad name", "endpointslices", R"({"ports":[{"name":"A_","port":1}]})",
     "ports[0].name", "FieldValueInvalid", "a lowercase RFC 1123 label"},
    {"a deadline that is over", "deployments",
     R"({"spec":{"minReadySeconds":60,"progressDeadlineSeconds":60}})",
     "spec.progressDeadlineSeconds", "FieldValueInvalid", "must be greater than minReadySeconds"},
    {"more than all", "deployments",
     R"({"spec":{"strategy":{"rollingUpdate":{"maxUnavailable":"101%"}}}})",
     "spec.strategy.rollingUpdate.maxUnavailable", "FieldValueInvalid",
     "must not be greater than 100%"},
    {"a deadline of each pod", "deployments", TEMPLATE(R"("activeDeadlineSeconds":5)"),
     "spec.template.spec.activeDeadlineSeconds", "FieldValueForbidden", "is not Supported"},
    {"a template of the host's network", "deployments",
     R"({"spec":{"template":{"spec":{"hostNetwork":true,"containers":[{"name":"c","image":"i","ports":[{"containerPort":80,"hostPort":81}]}]}}}})",
     "spec.template.spec.containers[0].ports[0].hostPort", "FieldValueInvalid",
     "must match `containerPort`"},
    {"ephemeral in a template", "replicasets",
     TEMPLATE(R"("ephemeralContainers":[{"name":"e","image":"i"}])"),
     "spec.template.spec.ephemeralContainers", "FieldValueForbidden",
     "ephemeral containers not allowed in pod template"},
    {"a key in both", "configmaps", R"({"data":{"k":"v"},"binaryData":{"k":"dg=="}})", "data[k]",
     "FieldValueInvalid", "duplicate of key present in binaryData"},
    {"a certificate without its key", "secrets",
     R"({"type":"kubernetes.io/tls","data":{"tls.crt":"YQ=="}})", "data[tls.key]",
     "FieldValueRequired", "Required value"},
    {"a registry's secret without it", "secrets", R"({"type":"kubernetes.io/dockerconfigjson"})",
     "data[.dockerconfigjson]", "FieldValueRequired", "Required value"},
    {"a registry's secret that is none", "secrets",
     R"({"type":"kubernetes.io/dockerconfigjson","data":{".dockerconfigjson":"ew=="}})",
     "data[.dockerconfigjson]", "FieldValueInvalid", "<secret contents redacted>"},
    {"a registry's secret", "secrets",
     R"({"type":"kubernetes.io/dockerconfigjson","stringData":{".dockerconfigjson":"{}"}})", "", "",
     ""},
    {"a key of nobody", "secrets", R"({"type":"kubernetes.io/ssh-auth"})", "data[ssh-privatekey]",
     "FieldValueRequired", "Required value"},
    {"a user of no name", "secrets", R"({"type":"kubernetes.io/basic-auth"})", "data[username]",
     "FieldValueRequired", "Required value"},
    {"a taint twice", "nodes",
     R"({"spec":{"taints":[{"key":"k","value":"a","effect":"NoSchedule"},{"key":"k","value":"b","effect":"NoSchedule"}]}})",
     "spec.taints[1]", "FieldValueDuplicate", "taints must be unique by key and effect pair"},
    {"a taint of a bad value", "nodes",
     R"({"spec":{"taints":[{"key":"k","value":"a b","effect":"NoSchedule"}]}})",
     "spec.taints[0].value", "FieldValueInvalid", "a valid label must be an empty string"},
    {"two in control", "configmaps",
     R"({"metadata":{"ownerReferences":[{"apiVersion":"v1","kind":"Pod","name":"a","uid":"1","controller":true},
         {"apiVersion":"v1","kind":"Pod","name":"b","uid":"2","controller":true}]}})",
     "metadata.ownerReferences", "FieldValueInvalid",
     "Only one reference can have Controller set to true"},
};

#undef CONTAINER
#undef POD
#undef TEMPLATE
#undef ADDRESS

class Rows : public BadInput {
 protected:
  void try_all(std::span<const Refused> rows) {
    for (const Refused& row : rows) try_one(row);
  }

  void try_one(const Refused& row) {
    const auto& kinds = Kinds::builtin().all();
    const Kind& kind = *std::find_if(kinds.begin(), kinds.end(),
                                     [&](const Kind& k) { return k.plural == row.plural; });
    const std::string path = path_of(kind) + "?dryRun=All&fieldValidation=Strict";
    const HttpResponse answer = ask("POST", path, merged(kind, Json::parse(row.patch)));
    if (*row.field == '\0') {
      EXPECT_EQ(answer.status, 201) << row.what << ": " << answer.body;
      return;
    }
    refused(kind, row.what, answer, 422, "Invalid", row.message);
    const Json causes = at(at(json(answer), "details"), "causes");
    ASSERT_GE(causes.size(), 1u) << row.what << ": " << answer.body;  // some are wrong twice
    EXPECT_EQ(string_at(causes[0], "field"), row.field) << row.what;
    EXPECT_EQ(string_at(causes[0], "reason"), row.reason) << row.what;
  }
};

TEST_F(Rows, Pods) {
  try_all(kPodRows);
}
TEST_F(Rows, Services) {
  try_all(kServiceRows);
}
TEST_F(Rows, OtherKinds) {
  try_all(kOtherRows);
}

// A secret's size is that of what it says, not of its text.
TEST_F(Rows, ASecretMayBeAMebibyte) {
  const std::string path = "/api/v1/namespaces/default/secrets?dryRun=All";
  const auto secret = [](size_t size) {
    return Json{{"metadata", {{"name", "s"}}}, {"stringData", {{"k", std::string(size, 'x')}}}};
  };
  EXPECT_EQ(ask("POST", path, secret(1 << 20).dump()).status, 201);
  const HttpResponse more = ask("POST", path, secret((1 << 20) + 1).dump());
  EXPECT_EQ(more.status, 422) << more.body;
  EXPECT_EQ(string_at(at(at(json(more), "details"), "causes")[0], "field"), "data");
}

// What Kubernetes has and this server has not: a Status that names it, however it is asked for.
TEST_F(Rows, WhatIsNotServedSaysSo) {
  struct Missing {
    const char* method;
    const char* path;
    const char* message;
  };
  const std::string base = "/api/v1/namespaces/default/";
  for (const Missing& c : {
           Missing{"POST", "pods/p/exec?command=ls", "pods/exec is not served yet"},
           Missing{"GET", "pods/p/exec?command=ls", "pods/exec is not served yet"},
           Missing{"POST", "pods/p/attach", "pods/attach is not served yet"},
           Missing{"POST", "pods/p/portforward", "pods/portforward is not served yet"},
           Missing{"GET", "pods/p/proxy/a/b", "pods/proxy is not served yet"},
           Missing{"GET", "services/s:80/proxy", "services/proxy is not served yet"},
       })
    refused(*Kinds::builtin().find(Resource{"", "pods"}), c.path, ask(c.method, base + c.path), 405,
            "MethodNotAllowed", c.message);
  EXPECT_EQ(ask("POST", base + "configmaps/c/exec").status, 404) << "nobody has that";
}

// The old word for a policy beside the new one: which counts?
TEST_F(Rows, OrphansAndAPolicy) {
  const Kind& kind = *Kinds::builtin().find(Resource{"", "configmaps"});
  const std::string object = path_of(kind) + "/c";
  refused(kind, "in the body",
          ask("DELETE", object, R"({"orphanDependents":false,"propagationPolicy":"Foreground"})"),
          422, "Invalid",
          R"(DeleteOptions.meta.k8s.io "" is invalid: propagationPolicy: Invalid value: )"
          R"("Foreground": orphanDependents and deletionPropagation cannot be both set)");
  refused(kind, "in the query",
          ask("DELETE", object + "?orphanDependents=true&propagationPolicy=Orphan"), 422, "Invalid",
          "cannot be both set");
}

}  // namespace
}  // namespace fairlead::orchestrator
