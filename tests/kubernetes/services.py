# SPDX-License-Identifier: Apache-2.0
"""Random Services with their EndpointSlices: every field that a service proxy reads, in every combination."""
import random

NODES = (("node1", ("10.0.0.1", "fd00:1::1"), "a"), ("node2", ("10.0.0.2", "fd00:1::2"), "b"))
RANGES = ("10.0.0.0/24", "10.0.0.9/32", "10.244.0.0/16", "192.168.0.0/16", "203.0.113.0/24", "fd00:1::/64", "fd00:244::/32")
FAMILIES = ((("IPv4",), "SingleStack"), (("IPv6",), "SingleStack"), (("IPv4", "IPv6"), "RequireDualStack"),
            (("IPv6", "IPv4"), "RequireDualStack"))
# ready, serving, terminating; None: not said
CONDITIONS = ((True, None, None), (None, None, None), (True, True, False), (False, True, True), (False, False, True),
              (False, False, False))
SERVICES = "/api/v1/namespaces/default/services"
SLICES = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"


def create_nodes(api):
    for name, addresses, zone in NODES:
        api.create("/api/v1/nodes", {
            "metadata": {"name": name, "labels": {"topology.kubernetes.io/zone": zone}},
            "spec": {"podCIDRs": ["10.244.0.0/24", "fd00:244::/64"]} if name == "node1" else {}})
        api.patch(f"/api/v1/nodes/{name}/status", {
            "status": {"addresses": [{"type": "InternalIP", "address": address} for address in addresses]}})


def create_services(api, seed, count):
    source = random.Random(seed)
    for number in range(count):
        _create_service(api, source, f"s{number}", number)


def _create_service(api, source, name, number):
    spec = _spec(source, number)
    labels = {"service.kubernetes.io/service-proxy-name": "other"} if source.random() < 0.03 else {}
    api.create(SERVICES, {"metadata": {"name": name, "labels": labels}, "spec": spec})
    if spec["type"] == "LoadBalancer":
        ingress = [{"ip": f"198.51.100.{number % 250 + 1}"}, {"ip": f"2001:db8:1::{number:x}"}, {"hostname": "balancer.example"}]
        if source.random() < 0.2:
            ingress[0]["ipMode"] = "Proxy"
        ingress = source.sample(ingress, source.randint(0, 3))
        api.patch(f"{SERVICES}/{name}/status", {"status": {"loadBalancer": {"ingress": ingress}}})
    hosts = source.sample(range(1, 250), 60)  # one address in two slices: either may count
    for family in ("IPv4", "IPv6"):
        for part in range(source.choice((1, 1, 1, 2))):
            api.create(SLICES, {
                "metadata": {"name": f"{name}-{family.lower()}-{part}", "labels": {"kubernetes.io/service-name": name}},
                "addressType": family, "ports": _slice_ports(source, spec["ports"]),
                "endpoints": _endpoints(source, family, hosts)})


def _spec(source, number):
    ports = {}
    for index in range(source.choice((1, 1, 1, 2, 3))):
        protocol = source.choices(("TCP", "UDP", "SCTP"), (6, 3, 1))[0]
        port = source.choice((53, 80, 443, 8080))
        ports.setdefault((port, protocol), {"name": f"p{index}", "port": port, "protocol": protocol,
                                            "targetPort": source.choice((8080, 9000 + index))})
    families, policy = source.choice(FAMILIES)
    spec = {"ports": list(ports.values()), "type": source.choices(("ClusterIP", "NodePort", "LoadBalancer"), (5, 2, 3))[0],
            "ipFamilies": families, "ipFamilyPolicy": policy}
    if source.random() < 0.03:
        return {"ports": spec["ports"], "type": "ClusterIP", "clusterIP": "None"}
    if source.random() < 0.2:
        seconds = source.choice((10, 100, 10800))
        spec.update(sessionAffinity="ClientIP", sessionAffinityConfig={"clientIP": {"timeoutSeconds": seconds}})
    if source.random() < 0.3:
        spec["internalTrafficPolicy"] = source.choice(("Local", "Cluster"))
    if spec["type"] != "ClusterIP" and source.random() < 0.5:
        spec["externalTrafficPolicy"] = "Local"
    if source.random() < 0.25:
        spec["externalIPs"] = [f"192.0.2.{number % 250 + 1}", f"2001:db8::{number:x}"][:source.randint(1, 2)]
    if spec["type"] == "LoadBalancer" and source.random() < 0.4:
        spec["loadBalancerSourceRanges"] = source.sample(RANGES, source.randint(1, 3))
    if source.random() < 0.2:
        spec["publishNotReadyAddresses"] = True
    return spec


def _slice_ports(source, ports):
    return [{"name": port["name"], "port": port["targetPort"] + (source.random() < 0.1), "protocol": port["protocol"]}
            for port in ports if source.random() < 0.97]


def _endpoints(source, family, hosts):
    hinted, result = source.random() < 0.3, []
    for _ in range(source.choice((0, 0, 1, 1, 2, 3, 4, 5, 8))):
        host, network = hosts.pop(), source.randrange(4)
        conditions = zip(("ready", "serving", "terminating"), source.choices(CONDITIONS, (6, 4, 2, 2, 1, 2))[0])
        endpoint = {"addresses": [f"10.244.{network}.{host}" if family == "IPv4" else f"fd00:244::{network + 1}:{host:x}"],
                    "conditions": {name: value for name, value in conditions if value is not None},
                    "zone": source.choice("ab")}
        if source.random() < 0.5:
            endpoint["nodeName"] = source.choice(NODES)[0]
        if hinted and source.random() < 0.95:
            endpoint["hints"] = {"forZones": [{"name": source.choice("ab")}]}
            if source.random() < 0.5:
                endpoint["hints"]["forNodes"] = [{"name": source.choice(NODES)[0]}]
        result.append(endpoint)
    return result
