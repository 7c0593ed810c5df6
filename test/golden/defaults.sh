# TCP alone is diverted. Left alone, in cleartext: UDP, ICMP, SCTP, DCCP, UDP-Lite and all other IP protocols.
# Marked packets are led to lo, where the rules below hand them to the proxy.
ip -4 addr add 169.254.77.1/32 dev lo scope host
ip -4 rule add fwmark 0x0000000a/0x0000000f iif lo lookup 29808 priority 100
ip -4 route add local default dev lo table 29808
ip -6 addr add fd74:7072:6f78:7931::1/128 dev lo preferred_lft 0
ip -6 rule add fwmark 0x0000000a/0x0000000f iif lo lookup 29808 priority 100
ip -6 route add local default dev lo table 29808
# Sockets that are bound to an interface look for a route by that one.
ip -4 -o addr show scope global | while read -r index dev _; do [ "$dev" = lo ] || ip -4 route add local default dev "$dev" table 29808 metric $((2048 + ${index%:})) 2>/dev/null; done
ip -6 -o addr show scope global | while read -r index dev _; do [ "$dev" = lo ] || ip -6 route add local default dev "$dev" table 29808 metric $((2048 + ${index%:})) 2>/dev/null; done

nft -f - <<'END'
table inet tls-tproxy
delete table inet tls-tproxy
table inet tls-tproxy {
  comment "diverts to the proxy on ports 1 and 2"
  set mesh4 {
    type ipv4_addr
    flags interval
    elements = { 10.0.0.0/8, 100.64.0.0/10, 172.16.0.0/12, 192.168.0.0/16 }
  }
  set mesh6 {
    type ipv6_addr
    flags interval
    elements = { fc00::/7 }
  }
  set excluded4 {
    type ipv4_addr
    flags interval
    elements = { 169.254.0.0/16, 224.0.0.0/4, 255.255.255.255 }
  }
  set excluded6 {
    type ipv6_addr
    flags interval
    elements = { fe80::/10, ff00::/8 }
  }
  set excluded-inbound-ports {
    type inet_service
    elements = { 15020 }
  }
  set status-ports {
    type inet_service
    elements = { 15020 }
  }
  set open-before4 {
    type ipv4_addr . inet_service . ipv4_addr . inet_service
    size 65536
    flags dynamic
  }
  set open-before6 {
    type ipv6_addr . inet_service . ipv6_addr . inet_service
    size 65536
    flags dynamic
  }
  set seen-clients4 {
    type ipv4_addr . inet_service
    size 262144
    flags dynamic
  }
  set seen-clients6 {
    type ipv6_addr . inet_service
    size 262144
    flags dynamic
  }
  set served-ports {
    type inet_service
    size 65536
    flags dynamic
    elements = { 0 }
  }
  set dialled4 {
    type ipv4_addr . inet_service . ipv4_addr . inet_service
    size 65536
    flags dynamic
  }
  set dialled6 {
    type ipv6_addr . inet_service . ipv6_addr . inet_service
    size 65536
    flags dynamic
  }
  chain steered {
    drop
  }
  chain unowned {
    oif "lo" return
    ip hdrlength != 5 @nh,160,8 != 134 goto steered
    exthdr rt exists goto steered
    ip daddr != 10.0.0.0-10.255.255.255 ip daddr != 100.64.0.0-100.127.255.255 ip daddr != 172.16.0.0-172.31.255.255 ip daddr != 192.168.0.0-192.168.255.255 return
    ip6 daddr != fc00::-fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff return
    ip daddr @excluded4 return
    ip6 daddr @excluded6 return
    ip saddr . tcp sport . ip daddr . tcp dport @open-before4 return
    ip6 saddr . tcp sport . ip6 daddr . tcp dport @open-before6 return
    tcp flags & (syn | ack) != syn tcp sport @status-ports return
    drop
  }
  chain forwarded {
    tcp flags & (syn | ack) != syn return
    ip daddr != @mesh4 return
    ip6 daddr != @mesh6 return
    ip daddr @excluded4 return
    ip6 daddr @excluded6 return
    fib daddr . iif oif exists return
    drop
  }
  chain output {
    type route hook output priority mangle; policy accept;
    meta mark & 0x0000000f == 0x00000005 socket mark & 0x0000000f == 0x00000005 return
    meta mark & 0x0000000f == 0x00000005 tcp flags & (syn | ack) == syn | ack return
    meta mark & 0x0000000f == 0x0000000f oif "lo" tcp flags & (syn | ack) != syn return
    meta mark & 0x0000000f == 0x0000000f oif "lo" tcp flags & (syn | ack) == syn delete @open-before4 { ip daddr . tcp dport . ip saddr . tcp sport } delete @dialled4 { ip daddr . tcp dport . ip saddr . tcp sport } add @seen-clients4 { ip saddr . tcp dport }
    meta mark & 0x0000000f == 0x0000000f oif "lo" tcp flags & (syn | ack) == syn delete @open-before6 { ip6 daddr . tcp dport . ip6 saddr . tcp sport } delete @dialled6 { ip6 daddr . tcp dport . ip6 saddr . tcp sport } add @seen-clients6 { ip6 saddr . tcp dport }
    tcp flags & (syn | ack) == syn | ack add @served-ports { tcp sport }
    ip saddr 169.254.77.1 ip daddr 169.254.77.1 return
    ip saddr 169.254.77.1 meta mark set meta mark & 0xfffffff0 | 0x0000000a return
    ip6 saddr fd74:7072:6f78:7931::1 ip6 daddr fd74:7072:6f78:7931::1 return
    ip6 saddr fd74:7072:6f78:7931::1 meta mark set meta mark & 0xfffffff0 | 0x0000000a return
    meta mark & 0x0000000f == 0x0000000f return
    oif "lo" return
    meta l4proto != tcp return
    tcp flags & (syn | ack) == syn tcp sport @served-ports add @dialled4 { ip saddr . tcp sport . ip daddr . tcp dport }
    tcp flags & (syn | ack) == syn tcp sport @served-ports add @dialled6 { ip6 saddr . tcp sport . ip6 daddr . tcp dport }
    ip daddr != @mesh4 return
    ip6 daddr != @mesh6 return
    ip daddr @excluded4 return
    ip6 daddr @excluded6 return
    tcp flags & (syn | ack) == syn delete @open-before4 { ip saddr . tcp sport . ip daddr . tcp dport }
    tcp flags & (syn | ack) == syn delete @open-before6 { ip6 saddr . tcp sport . ip6 daddr . tcp dport }
    ip saddr . tcp sport . ip daddr . tcp dport @open-before4 return
    ip6 saddr . tcp sport . ip6 daddr . tcp dport @open-before6 return
    meta mark & 0x0000000f == 0x00000005 socket mark & 0x0000000f != 0x00000005 meta mark set meta mark & 0xfffffff0 | 0x0000000a return
    meta mark & 0x0000000f == 0x00000005 return
    meta mark set meta mark & 0xfffffff0 | 0x0000000a
  }
  chain marks {
    type filter hook output priority 2147483647; policy accept;
    meta mark & 0x0000000f == 0x00000005 socket mark & 0x0000000f != 0x00000005 meta l4proto tcp goto unowned
  }
  chain postrouting {
    type filter hook postrouting priority 99; policy accept;
    oif "lo" return
    iif "lo" meta mark & 0x0000000f == 0x00000005 drop
    meta mark & 0x0000000f == 0x00000005 return
    meta mark & 0x0000000f == 0x0000000a drop
    meta mark & 0x0000000f == 0x0000000f drop
    ip saddr 169.254.77.1 drop
    ip6 saddr fd74:7072:6f78:7931::1 drop
    meta l4proto != tcp return
    ip hdrlength != 5 @nh,160,8 != 134 goto steered
    exthdr rt exists goto steered
    ip daddr != 10.0.0.0-10.255.255.255 ip daddr != 100.64.0.0-100.127.255.255 ip daddr != 172.16.0.0-172.31.255.255 ip daddr != 192.168.0.0-192.168.255.255 return
    ip6 daddr != fc00::-fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff return
    ip daddr @excluded4 return
    ip6 daddr @excluded6 return
    ip saddr . tcp sport . ip daddr . tcp dport @open-before4 return
    ip6 saddr . tcp sport . ip6 daddr . tcp dport @open-before6 return
    tcp flags & (syn | ack) != syn tcp sport @status-ports return
    fib saddr type != local return
    drop
  }
  chain prerouting {
    type filter hook prerouting priority mangle; policy accept;
    iif != "lo" tcp flags & (syn | ack) != syn return
    iif "lo" meta mark & 0x0000000f == 0x0000000a meta l4proto tcp tproxy ip to 127.0.0.1:1 socket mark & 0x0000000f != 0x0000000a accept
    iif "lo" meta mark & 0x0000000f == 0x0000000a meta l4proto tcp tproxy ip6 to [::1]:1 socket mark & 0x0000000f != 0x0000000a accept
    iif "lo" meta mark & 0x0000000f == 0x0000000a meta l4proto tcp tcp flags & (syn | ack) != syn tproxy ip to 127.0.0.1:1 accept
    iif "lo" meta mark & 0x0000000f == 0x0000000a meta l4proto tcp tcp flags & (syn | ack) != syn tproxy ip6 to [::1]:1 accept
    iif "lo" meta mark & 0x0000000f == 0x0000000a meta l4proto tcp drop
    iif "lo" return
    meta l4proto != tcp return
    fib daddr type != local return
    tcp dport @excluded-inbound-ports return
    meta l4proto tcp tproxy ip to 127.0.0.1:2 socket mark & 0x0000000f != 0x0000000a accept
    meta l4proto tcp tproxy ip6 to [::1]:2 socket mark & 0x0000000f != 0x0000000a accept
    meta l4proto tcp tcp flags & (syn | ack) != syn tproxy ip to 127.0.0.1:2 accept
    meta l4proto tcp tcp flags & (syn | ack) != syn tproxy ip6 to [::1]:2 accept
    tcp flags & (syn | ack) == syn drop
  }
  chain translated {
    type filter hook prerouting priority 300; policy accept;
    iif "lo" return
    meta l4proto != tcp return
    ip daddr 169.254.77.1 drop
    ip6 daddr fd74:7072:6f78:7931::1 drop
    fib daddr type != local goto forwarded
    tcp dport @excluded-inbound-ports return
    meta l4proto tcp tproxy ip to 127.0.0.1:2 socket mark & 0x0000000f != 0x0000000a accept
    meta l4proto tcp tproxy ip6 to [::1]:2 socket mark & 0x0000000f != 0x0000000a accept
    meta l4proto tcp tcp flags & (syn | ack) != syn tproxy ip to 127.0.0.1:2 accept
    meta l4proto tcp tcp flags & (syn | ack) != syn tproxy ip6 to [::1]:2 accept
    ip saddr . tcp dport @seen-clients4 ip daddr . tcp dport . ip saddr . tcp sport != @open-before4 drop
    ip6 saddr . tcp dport @seen-clients6 ip6 daddr . tcp dport . ip6 saddr . tcp sport != @open-before6 drop
    tcp flags & (syn | ack) == syn drop
    ip daddr . tcp dport . ip saddr . tcp sport @open-before4 return
    ip6 daddr . tcp dport . ip6 saddr . tcp sport @open-before6 return
    tcp dport @served-ports ip daddr . tcp dport . ip saddr . tcp sport != @dialled4 drop
    tcp dport @served-ports ip6 daddr . tcp dport . ip6 saddr . tcp sport != @dialled6 drop
    ip saddr != @mesh4 return
    ip6 saddr != @mesh6 return
    ip saddr @excluded4 return
    ip6 saddr @excluded6 return
    meta l4proto tcp drop
  }
}
END
