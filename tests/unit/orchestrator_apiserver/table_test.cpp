// SPDX-License-Identifier: Apache-2.0
#include "orchestrator/apiserver/table/table.h"

#include <gtest/gtest.h>

#include "orchestrator/apiserver/table/columns.h"

namespace fairlead::orchestrator::apiserver {
namespace {

using std::chrono::seconds;

TEST(HumanDuration, ChangesUnitsWhereKubectlDoes) {
  struct Case {
    int64_t seconds;
    const char* text;
  };
  for (const Case& c :
       {Case{0, "0s"}, Case{119, "119s"}, Case{120, "2m"}, Case{125, "2m5s"}, Case{600, "10m"},
        Case{10799, "179m"}, Case{10800, "3h"}, Case{3 * 3600 + 300, "3h5m"}, Case{8 * 3600, "8h"},
        Case{47 * 3600, "47h"}, Case{49 * 3600, "2d1h"}, Case{8 * 86400, "8d"},
        Case{730 * 86400, "2y"}, Case{800 * 86400, "2y70d"}, Case{-1, "0s"}, Case{-5, "<invalid>"}})
    EXPECT_EQ(human_duration(seconds(c.seconds)), c.text) << c.seconds;
}

TEST(Timestamps, RoundTrip) {
  const WallTime time(std::chrono::seconds(1'700'000'000) + std::chrono::microseconds(123456));
  EXPECT_EQ(timestamp(time), "2023-11-14T22:13:20Z");
  EXPECT_EQ(micro_timestamp(time), "2023-11-14T22:13:20.123456Z");
  EXPECT_EQ(parse_timestamp("2023-11-14T22:13:20.123456Z"), time);
  EXPECT_EQ(parse_timestamp("2023-11-14T23:13:20.123456+01:00"), time);
  EXPECT_EQ(parse_timestamp("soon"), std::nullopt);
}

// "Name|Ready|..." of the columns with priority 0, then of all.
std::string header(const Kind& kind, bool wide) {
  std::string text;
  for (const Column& column : kind.columns)
    if (wide || column.priority == 0) text += (text.empty() ? "" : "|") + std::string(column.name);
  return text;
}

struct Case {
  const char* what;
  const char* group;
  const char* plural;
  const char* object;
  const char* header;
  const char* cells;  // all columns
};
const Case kCases[] = {
    {"running pod", "", "pods",
     R"({"metadata":{"name":"p","creationTimestamp":"2023-11-14T22:13:10Z"},"spec":{"nodeName":"n1","containers":[{"name":"a"},{"name":"b"}]},
        "status":{"phase":"Running","podIP":"10.0.0.1","podIPs":[{"ip":"10.0.0.1"}],"containerStatuses":[
          {"name":"a","ready":true,"restartCount":2,"state":{"running":{}},"lastState":{"terminated":{"finishedAt":"2023-11-14T22:13:15Z"}}},
          {"name":"b","ready":false,"restartCount":0,"state":{"running":{}}}]}})",
     "Name|Ready|Status|Restarts|Age", "p|1/2|Running|2 (5s ago)|10s|10.0.0.1|n1|<none>|<none>"},
    {"crashing pod", "", "pods",
     R"({"metadata":{"name":"p"},"spec":{"containers":[{"name":"a"}]},"status":{"phase":"Running","containerStatuses":[
        {"name":"a","restartCount":1,"state":{"waiting":{"reason":"CrashLoopBackOff"}}}]}})",
     "Name|Ready|Status|Restarts|Age",
     "p|0/1|CrashLoopBackOff|1|<unknown>|<none>|<none>|<none>|<none>"},
    {"init running", "", "pods",
     R"({"metadata":{"name":"p"},"spec":{"initContainers":[{"name":"i"},{"name":"j"}],"containers":[{"name":"a"}]},
        "status":{"phase":"Pending","initContainerStatuses":[{"name":"i","state":{"terminated":{"exitCode":0}}},{"name":"j","state":{"running":{}}}]}})",
     "Name|Ready|Status|Restarts|Age", "p|0/1|Init:1/2|0|<unknown>|<none>|<none>|<none>|<none>"},
    {"failed exit", "", "pods",
     R"({"metadata":{"name":"p"},"spec":{"containers":[{"name":"a"}]},"status":{"phase":"Failed","containerStatuses":[
        {"name":"a","state":{"terminated":{"exitCode":3}}}]}})",
     "Name|Ready|Status|Restarts|Age", "p|0/1|ExitCode:3|0|<unknown>|<none>|<none>|<none>|<none>"},
    {"terminating", "", "pods",
     R"({"metadata":{"name":"p","deletionTimestamp":"2023-11-14T22:13:20Z"},"spec":{"containers":[{"name":"a"}]},"status":{"phase":"Running"}})",
     "Name|Ready|Status|Restarts|Age", "p|0/1|Terminating|0|<unknown>|<none>|<none>|<none>|<none>"},
    {"node", "", "nodes",
     R"({"metadata":{"name":"n","labels":{"node-role.kubernetes.io/control-plane":"","node-role.kubernetes.io/worker":""}},"spec":{"unschedulable":true},
        "status":{"conditions":[{"type":"Ready","status":"True"}],"addresses":[{"type":"InternalIP","address":"10.1.1.1"}],
        "nodeInfo":{"kubeletVersion":"v1.36","osImage":"Debian","kernelVersion":"6.1","containerRuntimeVersion":"containerd://1.6"}}})",
     "Name|Status|Roles|Age|Version",
     "n|Ready,SchedulingDisabled|control-plane,worker|<unknown>|v1.36|10.1.1.1|<none>|Debian|6.1|"
     "containerd://1.6"},
    {"node port service", "", "services",
     R"({"metadata":{"name":"s"},"spec":{"type":"NodePort","clusterIP":"10.96.0.9","selector":{"a":"b","c":"d"},
        "ports":[{"port":80,"nodePort":30080,"protocol":"TCP"},{"port":53,"protocol":"UDP"}]}})",
     "Name|Type|Cluster-IP|External-IP|Port(s)|Age",
     "s|NodePort|10.96.0.9|<none>|80:30080/TCP,53/UDP|<unknown>|a=b,c=d"},
    {"load balancer without address", "", "services",
     R"({"metadata":{"name":"s"},"spec":{"type":"LoadBalancer","clusterIP":"10.96.0.9","ports":[{"port":80,"protocol":"TCP"}]}})",
     "Name|Type|Cluster-IP|External-IP|Port(s)|Age",
     "s|LoadBalancer|10.96.0.9|<pending>|80/TCP|<unknown>|<none>"},
    {"external name", "", "services",
     R"({"metadata":{"name":"s"},"spec":{"type":"ExternalName","externalName":"x.org"}})",
     "Name|Type|Cluster-IP|External-IP|Port(s)|Age",
     "s|ExternalName|<none>|x.org|<none>|<unknown>|<none>"},
    {"deployment", "apps", "deployments",
     R"({"metadata":{"name":"d"},"spec":{"replicas":3,"selector":{"matchLabels":{"a":"b"}},"template":{"spec":{"containers":[{"name":"c","image":"i:1"}]}}},
        "status":{"readyReplicas":2,"updatedReplicas":3,"availableReplicas":1}})",
     "Name|Ready|Up-to-date|Available|Age", "d|2/3|3|1|<unknown>|c|i:1|a=b"},
    {"replica set", "apps", "replicasets",
     R"({"metadata":{"name":"r"},"spec":{"replicas":3,"selector":{"matchLabels":{"a":"b"}}},"status":{"replicas":2}})",
     "Name|Desired|Current|Ready|Age", "r|3|2|0|<unknown>|||a=b"},
    {"slice", "discovery.k8s.io", "endpointslices",
     R"({"metadata":{"name":"e"},"addressType":"IPv4","ports":[{"port":80}],"endpoints":[{"addresses":["1.1.1.1"]},{"addresses":["1.1.1.2"]},{"addresses":["1.1.1.3"]},{"addresses":["1.1.1.4"]}]})",
     "Name|AddressType|Ports|Endpoints|Age",
     "e|IPv4|80|1.1.1.1,1.1.1.2,1.1.1.3 + 1 more...|<unknown>"},
    {"endpoints", "", "endpoints",
     R"({"metadata":{"name":"e"},"subsets":[
        {"addresses":[{"ip":"10.0.0.1"},{"ip":"10.0.0.2"}],"notReadyAddresses":[{"ip":"10.0.0.3"}],"ports":[{"port":80},{"port":443}]}]})",
     "Name|Endpoints|Age", "e|10.0.0.1:80,10.0.0.2:80,10.0.0.1:443 + 1 more...|<unknown>"},
    {"endpoints, headless", "", "endpoints",
     R"({"metadata":{"name":"e"},"subsets":[{"addresses":[{"ip":"fd00::1"},{"ip":"fd00::2"}]}]})",
     "Name|Endpoints|Age", "e|fd00::1,fd00::2|<unknown>"},
    {"endpoints of IPv6", "", "endpoints",
     R"({"metadata":{"name":"e"},"subsets":[{"addresses":[{"ip":"fd00::1"}],"ports":[{"port":80}]}]})",
     "Name|Endpoints|Age", "e|[fd00::1]:80|<unknown>"},
    {"endpoints, nobody ready", "", "endpoints",
     R"({"metadata":{"name":"e"},"subsets":[{"notReadyAddresses":[{"ip":"10.0.0.3"}],"ports":[{"port":80}]}]})",
     "Name|Endpoints|Age", "e|<none>|<unknown>"},
    {"no endpoints", "", "endpoints", R"({"metadata":{"name":"e"}})", "Name|Endpoints|Age",
     "e|<none>|<unknown>"},
    {"config map", "", "configmaps",
     R"({"metadata":{"name":"c"},"data":{"a":""},"binaryData":{"b":""}})", "Name|Data|Age",
     "c|2|<unknown>"},
    {"secret", "", "secrets", R"({"metadata":{"name":"c"},"type":"Opaque","data":{"a":""}})",
     "Name|Type|Data|Age", "c|Opaque|1|<unknown>"},
    {"namespace", "", "namespaces", R"({"metadata":{"name":"c"},"status":{"phase":"Active"}})",
     "Name|Status|Age", "c|Active|<unknown>"},
    {"lease", "coordination.k8s.io", "leases",
     R"({"metadata":{"name":"l"},"spec":{"holderIdentity":"me"}})", "Name|Holder|Age",
     "l|me|<unknown>"},
    {"CSI node", "storage.k8s.io", "csinodes",
     R"({"metadata":{"name":"n"},"spec":{"drivers":[{"name":"d","nodeID":"i"}]}})",
     "Name|Drivers|Age", "n|1|<unknown>"},
    {"CSI driver", "storage.k8s.io", "csidrivers",
     R"({"metadata":{"name":"d"},"spec":{"attachRequired":true,"tokenRequests":[{"audience":"a"}],
         "volumeLifecycleModes":["Persistent","Ephemeral"]}})",
     "Name|AttachRequired|PodInfoOnMount|StorageCapacity|TokenRequests|RequiresRepublish|Modes|Age",
     "d|true|false|false|a|false|Persistent,Ephemeral|<unknown>"},
    {"runtime class", "node.k8s.io", "runtimeclasses",
     R"({"metadata":{"name":"r"},"handler":"runc"})", "Name|Handler|Age", "r|runc|<unknown>"},
    {"event", "", "events",
     R"({"metadata":{"name":"e"},"type":"Normal","reason":"Pulled","involvedObject":{"kind":"Pod","name":"p"},"message":"hi\n","count":3,
        "firstTimestamp":"2023-11-14T22:13:00Z","lastTimestamp":"2023-11-14T22:13:10Z","source":{"component":"node","host":"n1"}})",
     "Last Seen|Type|Reason|Object|Message", "10s|Normal|Pulled|pod/p||node, n1|hi|20s|3|e"},
};

TEST(Table, CellsAreWhatKubectlShows) {
  const WallTime now(std::chrono::seconds(1'700'000'000));
  for (const Case& c : kCases) {
    const Kind& kind = *Kinds::builtin().find(Resource{c.group, c.plural});
    EXPECT_EQ(header(kind, false), c.header) << c.what;
    const Json table = make_table(kind, {Json::parse(c.object)}, Json::object(), {}, now);
    std::string cells;
    for (const Json& cell : table["rows"][0]["cells"])
      cells += (&cell == &table["rows"][0]["cells"][0] ? "" : "|") +
               (cell.is_string() ? cell.get<std::string>() : cell.dump());
    EXPECT_EQ(cells, c.cells) << c.what;
    EXPECT_EQ(table["rows"][0]["object"]["kind"], "PartialObjectMetadata");
  }
}

// Half-made objects from a client must not break the table.
TEST(Table, BearsAnyObject) {
  for (const Kind& kind : Kinds::builtin().all())
    for (const char* object : {"{}", R"({"metadata":1,"spec":[],"status":"x"})",
                               R"({"status":{"conditions":{},"containerStatuses":[1]}})"})
      EXPECT_EQ(make_table(kind, {Json::parse(object)}, Json::object(), {}, {})["rows"].size(), 1u);
}

}  // namespace
}  // namespace fairlead::orchestrator::apiserver
