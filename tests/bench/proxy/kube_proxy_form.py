# SPDX-License-Identifier: Apache-2.0
"""The ruleset kube-proxy 1.36 writes in nftables mode, as nft text, for the cluster of cluster.h.

Same tables, base chains, priorities, maps and rules; one chain and one anonymous map for each
service port.  A new flow from a pod to a cluster IP meets four base chains, five jumps, fourteen
rules and eight lookups.  Comments are left out, and so is the IPv6 table.
"""
import hashlib

PROBES = 64

FRAME = """
table ip kube-proxy {
	set cluster-ips { type ipv4_addr; }
	set nodeport-ips { type ipv4_addr; elements = { 10.255.0.1 }; }
	set hairpin-connections { type ipv4_addr . ipv4_addr . inet_proto . inet_service; }
	map no-endpoint-nodeports { type inet_proto . inet_service : verdict; }
	map no-endpoint-services { type ipv4_addr . inet_proto . inet_service : verdict; }
	map service-nodeports { type inet_proto . inet_service : verdict; }
	map service-ips { type ipv4_addr . inet_proto . inet_service : verdict; }
	map firewall-ips { type ipv4_addr . inet_proto . inet_service : verdict; }
	chain reject-chain {
		reject
	}
	chain mark-for-masquerade {
		meta mark set meta mark or 0x4000
	}
	chain firewall-check {
		ip daddr . meta l4proto . th dport vmap @firewall-ips
	}
	chain nodeport-endpoints-check {
		ip daddr @nodeport-ips meta l4proto . th dport vmap @no-endpoint-nodeports
	}
	chain service-endpoints-check {
		ip daddr . meta l4proto . th dport vmap @no-endpoint-services
	}
	chain cluster-ips-check {
		ip daddr @cluster-ips reject
		ip daddr 10.96.0.0/12 drop
	}
	chain services {
		ip daddr @cluster-ips ip saddr != 10.128.0.0/9 jump mark-for-masquerade
		ip daddr . meta l4proto . th dport vmap @service-ips
		ip daddr @nodeport-ips meta l4proto . th dport vmap @service-nodeports
	}
	chain masquerading {
		meta mark and 0x4000 != 0 meta mark set meta mark xor 0x4000 masquerade fully-random
		ct status dnat ip saddr . ip daddr . meta l4proto . th dport @hairpin-connections masquerade fully-random
	}
	chain filter-prerouting-pre-dnat {
		type filter hook prerouting priority -110; policy accept;
		ct state new jump firewall-check
	}
	chain filter-output-pre-dnat {
		type filter hook output priority -110; policy accept;
		ct state new jump firewall-check
	}
	chain nat-prerouting {
		type nat hook prerouting priority -100; policy accept;
		jump services
	}
	chain nat-output {
		type nat hook output priority -100; policy accept;
		jump services
	}
	chain filter-input {
		type filter hook input priority 0; policy accept;
		ct state new jump nodeport-endpoints-check
		ct state new jump service-endpoints-check
	}
	chain filter-forward {
		type filter hook forward priority 0; policy accept;
		ct state new jump service-endpoints-check
		ct state new jump cluster-ips-check
	}
	chain filter-output {
		type filter hook output priority 0; policy accept;
		ct state new jump service-endpoints-check
		ct state new jump cluster-ips-check
	}
	chain nat-postrouting {
		type nat hook postrouting priority 100; policy accept;
		jump masquerading
	}
}
"""


def ipv4(number):
    return ".".join(str(number >> shift & 255) for shift in (24, 16, 8, 0))


def service_address(number):
    return ipv4((10 << 24) + (96 << 16) + number)


def endpoint_address(number, index):
    return ipv4((10 << 24) + (128 << 16) + number * 16 + index)


def probe_step(services):
    return 1 if services <= PROBES else services // PROBES


def is_probe(number, services):
    step = probe_step(services)
    return number % step == 0 and number // step < PROBES


def service_port(number, protocol, name, endpoints):
    """The chain of a service port and the element that leads there."""
    path = f"bench/s{number}/{protocol}/{name}"
    digest = hashlib.sha256(path.encode()).hexdigest()[:8].upper()
    chain = f"service-{digest}-{path}"
    places = ", ".join(f"{i} : {endpoint_address(number, i)} . 8080" for i in range(endpoints))
    rule = (f"\tchain {chain} {{\n\t\tmeta l4proto {protocol} dnat ip addr . port to numgen random mod {endpoints} "
            f"map {{ {places} }}\n\t}}\n")
    return rule, f"{service_address(number)} . {protocol} . 80 : goto {chain}"


def pieces(services, endpoints, size):
    """nft text, to be loaded piece by piece: the frame, then `size` services at a time."""
    yield 0, FRAME
    for first in range(0, services, size):
        last = min(first + size, services)
        chains, elements = [], []
        for number in range(first, last):
            ports = [("tcp", "http")] + ([("udp", "data")] if is_probe(number, services) else [])
            for protocol, name in ports:
                chain, element = service_port(number, protocol, name, endpoints)
                chains.append(chain)
                elements.append(element)
        addresses = ", ".join(service_address(number) for number in range(first, last))
        yield last, (f"table ip kube-proxy {{\n{''.join(chains)}}}\n"
                     f"add element ip kube-proxy service-ips {{ {', '.join(elements)} }}\n"
                     f"add element ip kube-proxy cluster-ips {{ {addresses} }}\n")
