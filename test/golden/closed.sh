# TCP alone is diverted. Left alone, in cleartext: UDP, ICMP, SCTP, DCCP, UDP-Lite and all other IP protocols.
# Marked packets are led to lo, where the rules below hand them to the proxy.
ip -4 addr add 169.254.77.1/32 dev lo scope host
ip -4 rule add fwmark 0x00000500/0x00000f00 iif lo lookup 29808 priority 100
ip -4 route add local default dev lo table 29808
ip -6 addr add fd74:7072:6f78:7931::1/128 dev lo preferred_lft 0
ip -6 rule add fwmark 0x00000500/0x00000f00 iif lo lookup 29808 priority 100
ip -6 route add local default dev lo table 29808
# Sockets that are bound to an interface look for a route by that one.
ip -4 -o addr show scope global | while read -r index dev _; do [ "$dev" = lo ] || ip -4 route add local default dev "$dev" table 29808 metric $((2048 + ${index%:})) 2>/dev/null; done
ip -6 -o addr show scope global | while read -r index dev _; do [ "$dev" = lo ] || ip -6 route add local default dev "$dev" table 29808 metric $((2048 + ${index%:})) 2>/dev/null; done

nft -f - <<'END'
table inet tls-tproxy
delete table inet tls-tproxy
table inet tls-tproxy {
  comment "diverts to the proxy on ports 1001 and 1002"
  set mesh4 {
    type ipv4_addr
    flags interval
    elements = { 0.0.0.0/1, 192.168.0.0/16 }
  }
  set mesh6 {
    type ipv6_addr
    flags interval
    elements = { ::/0 }
  }
  set excluded4 {
    type ipv4_addr
    flags interval
    elements = { 10.1.0.0/16, 10.2.0.1, 169.254.0.0/16, 224.0.0.0/4, 255.255.255.255 }
  }
  set excluded6 {
    type ipv6_addr
    flags interval
    elements = { fd00::/64, fd00:0:0:1::1, fe80::/10, ff00::/8 }
  }
  set excluded-outbound-ports {
    type inet_service
    elements = { 25, 53 }
  }
  set excluded-destinations4 {
    type ipv4_addr . inet_service
    elements = { 10.96.0.1 . 443 }
  }
  set excluded-destinations6 {
    type ipv6_addr . inet_service
    elements = { fd96::1 . 443 }
  }
  set excluded-uids {
    type uid
    elements = { 0, 1337 }
  }
  set excluded-gids {
    type gid
    elements = { 7 }
  }
  set only-uids {
    type uid
    elements = { 33, 1000 }
  }
  set only-gids {
    type gid
    elements = { 33, 100 }
  }
  set inbound-ports {
    type inet_service
    elements = { 80, 443, 8081 }
  }
  set excluded-inbound-ports {
    type inet_service
    elements = { 22, 8081, 15021 }
  }
  set status-ports {
    type inet_service
    elements = { 15021 }
  }
  set clear-inbound-ports {
    type inet_service
    elements = { 22, 8081 }
  }
  set inspected-ports {
    type inet_service
    elements = { 443, 8082 }
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
  set answering-ports {
    type inet_service
    size 65536
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
    meta skuid @excluded-uids ct mark set ct mark & 0xfffff0ff | 0x00000a00 return
    meta skgid @excluded-gids ct mark set ct mark & 0xfffff0ff | 0x00000a00 return
    meta skuid != @only-uids meta skgid != @only-gids ct mark set ct mark & 0xfffff0ff | 0x00000a00 return
    ct direction original ct mark & 0x00000f00 == 0x00000a00 return
    drop
  }
  chain unowned {
    oif "lo" return
    ip hdrlength != 5 @nh,160,8 != 134 goto steered
    exthdr rt exists goto steered
    ip daddr != 0.0.0.0-127.255.255.255 ip daddr != 192.168.0.0-192.168.255.255 return
    ip6 daddr != ::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff return
    ip daddr @excluded4 return
    ip6 daddr @excluded6 return
    tcp dport @excluded-outbound-ports return
    ip daddr . tcp dport @excluded-destinations4 return
    ip6 daddr . tcp dport @excluded-destinations6 return
    meta skuid @excluded-uids ct mark set ct mark & 0xfffff0ff | 0x00000a00 return
    meta skgid @excluded-gids ct mark set ct mark & 0xfffff0ff | 0x00000a00 return
    meta skuid != @only-uids meta skgid != @only-gids ct mark set ct mark & 0xfffff0ff | 0x00000a00 return
    ct direction original ct mark & 0x00000f00 == 0x00000a00 return
    tcp flags & (syn | ack) != syn ct status dnat ct mark & 0x00000f00 != 0x00000500 return
    ip saddr . tcp sport . ip daddr . tcp dport @open-before4 return
    ip6 saddr . tcp sport . ip6 daddr . tcp dport @open-before6 return
    tcp flags & (syn | ack) == syn | ack tcp sport @clear-inbound-ports ip saddr . tcp sport . ip daddr . tcp dport != @dialled4 return
    tcp flags & (syn | ack) == syn | ack tcp sport @clear-inbound-ports ip6 saddr . tcp sport . ip6 daddr . tcp dport != @dialled6 return
    tcp sport @clear-inbound-ports ct mark & 0x00000f00 == 0x00000a00 ct status assured ct direction reply return
    tcp flags & (syn | ack) != syn tcp sport @clear-inbound-ports tcp sport @answering-ports ip saddr . tcp sport . ip daddr . tcp dport != @dialled4 ct mark & 0x00000f00 != 0x00000500 return
    ct state invalid,untracked tcp flags & (syn | ack) != syn tcp sport @clear-inbound-ports tcp sport @answering-ports ip saddr . tcp sport . ip daddr . tcp dport != @dialled4 return
    tcp flags & (syn | ack) != syn tcp sport @clear-inbound-ports tcp sport @answering-ports ip6 saddr . tcp sport . ip6 daddr . tcp dport != @dialled6 ct mark & 0x00000f00 != 0x00000500 return
    ct state invalid,untracked tcp flags & (syn | ack) != syn tcp sport @clear-inbound-ports tcp sport @answering-ports ip6 saddr . tcp sport . ip6 daddr . tcp dport != @dialled6 return
    tcp flags & rst == rst tcp sport @clear-inbound-ports ct mark & 0x00000f00 != 0x00000500 return
    ct state invalid,untracked tcp flags & rst == rst tcp sport @clear-inbound-ports return
    tcp flags & (syn | ack) == syn | ack tcp sport != @inbound-ports ip saddr . tcp sport . ip daddr . tcp dport != @dialled4 return
    tcp flags & (syn | ack) == syn | ack tcp sport != @inbound-ports ip6 saddr . tcp sport . ip6 daddr . tcp dport != @dialled6 return
    tcp sport != @inbound-ports ct mark & 0x00000f00 == 0x00000a00 ct status assured ct direction reply return
    tcp flags & (syn | ack) != syn tcp sport != @inbound-ports tcp sport @answering-ports ip saddr . tcp sport . ip daddr . tcp dport != @dialled4 ct mark & 0x00000f00 != 0x00000500 return
    ct state invalid,untracked tcp flags & (syn | ack) != syn tcp sport != @inbound-ports tcp sport @answering-ports ip saddr . tcp sport . ip daddr . tcp dport != @dialled4 return
    tcp flags & (syn | ack) != syn tcp sport != @inbound-ports tcp sport @answering-ports ip6 saddr . tcp sport . ip6 daddr . tcp dport != @dialled6 ct mark & 0x00000f00 != 0x00000500 return
    ct state invalid,untracked tcp flags & (syn | ack) != syn tcp sport != @inbound-ports tcp sport @answering-ports ip6 saddr . tcp sport . ip6 daddr . tcp dport != @dialled6 return
    tcp flags & rst == rst tcp sport != @inbound-ports ct mark & 0x00000f00 != 0x00000500 return
    ct state invalid,untracked tcp flags & rst == rst tcp sport != @inbound-ports return
    tcp flags & (syn | ack) != syn tcp sport @status-ports return
    drop
  }
  chain forwarded {
    return
  }
  chain diverted {
    ip saddr != @mesh4 return
    ip6 saddr != @mesh6 return
    ip saddr @excluded4 return
    ip6 saddr @excluded6 return
    tcp sport @excluded-outbound-ports return
    ip saddr . tcp sport @excluded-destinations4 return
    ip6 saddr . tcp sport @excluded-destinations6 return
    drop
  }
  chain output {
    type route hook output priority mangle; policy accept;
    tcp flags & rst == rst return
    meta mark & 0x00000f00 == 0x00000a00 oif "lo" ct mark set ct mark & 0xfffff0ff | 0x00000500
    meta mark & 0x00000f00 == 0x00000f00 oif "lo" ct mark set ct mark & 0xfffff0ff | 0x00000500
    meta mark & 0x00000f00 == 0x00000a00 socket mark & 0x00000f00 == 0x00000a00 return
    meta mark & 0x00000f00 == 0x00000a00 tcp flags & (syn | ack) == syn | ack return
    meta mark & 0x00000f00 == 0x00000f00 oif "lo" tcp flags & (syn | ack) != syn return
    meta mark & 0x00000f00 == 0x00000f00 oif "lo" tcp flags & (syn | ack) == syn delete @open-before4 { ip daddr . tcp dport . ip saddr . tcp sport } delete @dialled4 { ip daddr . tcp dport . ip saddr . tcp sport } add @seen-clients4 { ip saddr . tcp dport }
    meta mark & 0x00000f00 == 0x00000f00 oif "lo" tcp flags & (syn | ack) == syn delete @open-before6 { ip6 daddr . tcp dport . ip6 saddr . tcp sport } delete @dialled6 { ip6 daddr . tcp dport . ip6 saddr . tcp sport } add @seen-clients6 { ip6 saddr . tcp dport }
    tcp flags & (syn | ack) == syn | ack add @served-ports { tcp sport }
    ip saddr 169.254.77.1 ip daddr 169.254.77.1 return
    ip saddr 169.254.77.1 meta mark set meta mark & 0xfffff0ff | 0x00000500 return
    ip6 saddr fd74:7072:6f78:7931::1 ip6 daddr fd74:7072:6f78:7931::1 return
    ip6 saddr fd74:7072:6f78:7931::1 meta mark set meta mark & 0xfffff0ff | 0x00000500 return
    meta mark & 0x00000f00 == 0x00000f00 return
    oif "lo" return
    meta l4proto != tcp return
    tcp flags & (syn | ack) == syn tcp sport @served-ports add @dialled4 { ip saddr . tcp sport . ip daddr . tcp dport }
    tcp flags & (syn | ack) == syn tcp sport @served-ports add @dialled6 { ip6 saddr . tcp sport . ip6 daddr . tcp dport }
    ip daddr != @mesh4 return
    ip6 daddr != @mesh6 return
    ip daddr @excluded4 return
    ip6 daddr @excluded6 return
    tcp dport @excluded-outbound-ports return
    ip daddr . tcp dport @excluded-destinations4 return
    ip6 daddr . tcp dport @excluded-destinations6 return
    meta skuid @excluded-uids ct mark set ct mark & 0xfffff0ff | 0x00000a00 return
    meta skgid @excluded-gids ct mark set ct mark & 0xfffff0ff | 0x00000a00 return
    meta skuid != @only-uids meta skgid != @only-gids ct mark set ct mark & 0xfffff0ff | 0x00000a00 return
    tcp flags & (syn | ack) == syn delete @open-before4 { ip saddr . tcp sport . ip daddr . tcp dport }
    tcp flags & (syn | ack) == syn delete @open-before6 { ip6 saddr . tcp sport . ip6 daddr . tcp dport }
    tcp flags & (syn | ack) == syn ct mark set ct mark & 0xfffff0ff | 0x00000500
    ct state invalid,untracked tcp flags & (syn | ack) == syn add @dialled4 { ip saddr . tcp sport . ip daddr . tcp dport }
    ct state invalid,untracked tcp flags & (syn | ack) == syn add @dialled6 { ip6 saddr . tcp sport . ip6 daddr . tcp dport }
    ip saddr . tcp sport . ip daddr . tcp dport @open-before4 return
    ip6 saddr . tcp sport . ip6 daddr . tcp dport @open-before6 return
    tcp flags & (syn | ack) == syn | ack tcp sport @clear-inbound-ports ip saddr . tcp sport . ip daddr . tcp dport != @dialled4 add @answering-ports { tcp sport } return
    tcp flags & (syn | ack) == syn | ack tcp sport @clear-inbound-ports ip6 saddr . tcp sport . ip6 daddr . tcp dport != @dialled6 add @answering-ports { tcp sport } return
    tcp sport @clear-inbound-ports ct mark & 0x00000f00 == 0x00000a00 ct status assured ct direction reply return
    tcp flags & (syn | ack) != syn tcp sport @clear-inbound-ports tcp sport @answering-ports ip saddr . tcp sport . ip daddr . tcp dport != @dialled4 ct mark & 0x00000f00 != 0x00000500 return
    ct state invalid,untracked tcp flags & (syn | ack) != syn tcp sport @clear-inbound-ports tcp sport @answering-ports ip saddr . tcp sport . ip daddr . tcp dport != @dialled4 return
    tcp flags & (syn | ack) != syn tcp sport @clear-inbound-ports tcp sport @answering-ports ip6 saddr . tcp sport . ip6 daddr . tcp dport != @dialled6 ct mark & 0x00000f00 != 0x00000500 return
    ct state invalid,untracked tcp flags & (syn | ack) != syn tcp sport @clear-inbound-ports tcp sport @answering-ports ip6 saddr . tcp sport . ip6 daddr . tcp dport != @dialled6 return
    tcp flags & rst == rst tcp sport @clear-inbound-ports ct mark & 0x00000f00 != 0x00000500 return
    ct state invalid,untracked tcp flags & rst == rst tcp sport @clear-inbound-ports return
    tcp flags & (syn | ack) == syn | ack tcp sport != @inbound-ports ip saddr . tcp sport . ip daddr . tcp dport != @dialled4 add @answering-ports { tcp sport } return
    tcp flags & (syn | ack) == syn | ack tcp sport != @inbound-ports ip6 saddr . tcp sport . ip6 daddr . tcp dport != @dialled6 add @answering-ports { tcp sport } return
    tcp sport != @inbound-ports ct mark & 0x00000f00 == 0x00000a00 ct status assured ct direction reply return
    tcp flags & (syn | ack) != syn tcp sport != @inbound-ports tcp sport @answering-ports ip saddr . tcp sport . ip daddr . tcp dport != @dialled4 ct mark & 0x00000f00 != 0x00000500 return
    ct state invalid,untracked tcp flags & (syn | ack) != syn tcp sport != @inbound-ports tcp sport @answering-ports ip saddr . tcp sport . ip daddr . tcp dport != @dialled4 return
    tcp flags & (syn | ack) != syn tcp sport != @inbound-ports tcp sport @answering-ports ip6 saddr . tcp sport . ip6 daddr . tcp dport != @dialled6 ct mark & 0x00000f00 != 0x00000500 return
    ct state invalid,untracked tcp flags & (syn | ack) != syn tcp sport != @inbound-ports tcp sport @answering-ports ip6 saddr . tcp sport . ip6 daddr . tcp dport != @dialled6 return
    tcp flags & rst == rst tcp sport != @inbound-ports ct mark & 0x00000f00 != 0x00000500 return
    ct state invalid,untracked tcp flags & rst == rst tcp sport != @inbound-ports return
    meta mark & 0x00000f00 == 0x00000a00 socket mark & 0x00000f00 != 0x00000a00 meta mark set meta mark & 0xfffff0ff | 0x00000500 return
    meta mark & 0x00000f00 == 0x00000a00 return
    socket mark & 0x00000f00 != 0x00000a00 meta mark set meta mark & 0xfffff0ff | 0x00000500 return
    ct direction original ct mark & 0x00000f00 == 0x00000a00 return
    meta mark set meta mark & 0xfffff0ff | 0x00000500
  }
  chain marks {
    type filter hook output priority 2147483647; policy accept;
    meta mark & 0x00000f00 == 0x00000a00 socket mark & 0x00000f00 != 0x00000a00 meta l4proto tcp goto unowned
  }
  chain postrouting {
    type filter hook postrouting priority 99; policy accept;
    tcp flags & rst == rst return
    oif "lo" return
    iif "lo" meta mark & 0x00000f00 == 0x00000a00 drop
    meta mark & 0x00000f00 == 0x00000a00 return
    meta mark & 0x00000f00 == 0x00000500 drop
    meta mark & 0x00000f00 == 0x00000f00 oif != "lo" ct status dnat ip daddr != @mesh4 return
    meta mark & 0x00000f00 == 0x00000f00 oif != "lo" ct status dnat ip daddr @excluded4 return
    meta mark & 0x00000f00 == 0x00000f00 oif != "lo" ct status dnat ip6 daddr != @mesh6 return
    meta mark & 0x00000f00 == 0x00000f00 oif != "lo" ct status dnat ip6 daddr @excluded6 return
    meta mark & 0x00000f00 == 0x00000f00 drop
    ip saddr 169.254.77.1 drop
    ip6 saddr fd74:7072:6f78:7931::1 drop
    meta l4proto != tcp return
    ip hdrlength != 5 @nh,160,8 != 134 goto steered
    exthdr rt exists goto steered
    ip daddr != 0.0.0.0-127.255.255.255 ip daddr != 192.168.0.0-192.168.255.255 return
    ip6 daddr != ::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff return
    ip daddr @excluded4 return
    ip6 daddr @excluded6 return
    tcp dport @excluded-outbound-ports return
    ip daddr . tcp dport @excluded-destinations4 return
    ip6 daddr . tcp dport @excluded-destinations6 return
    meta skuid @excluded-uids ct mark set ct mark & 0xfffff0ff | 0x00000a00 return
    meta skgid @excluded-gids ct mark set ct mark & 0xfffff0ff | 0x00000a00 return
    meta skuid != @only-uids meta skgid != @only-gids ct mark set ct mark & 0xfffff0ff | 0x00000a00 return
    ct direction original ct mark & 0x00000f00 == 0x00000a00 return
    tcp flags & (syn | ack) != syn ct status dnat ct mark & 0x00000f00 != 0x00000500 return
    ip saddr . tcp sport . ip daddr . tcp dport @open-before4 return
    ip6 saddr . tcp sport . ip6 daddr . tcp dport @open-before6 return
    tcp flags & (syn | ack) == syn | ack tcp sport @clear-inbound-ports ip saddr . tcp sport . ip daddr . tcp dport != @dialled4 return
    tcp flags & (syn | ack) == syn | ack tcp sport @clear-inbound-ports ip6 saddr . tcp sport . ip6 daddr . tcp dport != @dialled6 return
    tcp sport @clear-inbound-ports ct mark & 0x00000f00 == 0x00000a00 ct status assured ct direction reply return
    tcp flags & (syn | ack) != syn tcp sport @clear-inbound-ports tcp sport @answering-ports ip saddr . tcp sport . ip daddr . tcp dport != @dialled4 ct mark & 0x00000f00 != 0x00000500 return
    ct state invalid,untracked tcp flags & (syn | ack) != syn tcp sport @clear-inbound-ports tcp sport @answering-ports ip saddr . tcp sport . ip daddr . tcp dport != @dialled4 return
    tcp flags & (syn | ack) != syn tcp sport @clear-inbound-ports tcp sport @answering-ports ip6 saddr . tcp sport . ip6 daddr . tcp dport != @dialled6 ct mark & 0x00000f00 != 0x00000500 return
    ct state invalid,untracked tcp flags & (syn | ack) != syn tcp sport @clear-inbound-ports tcp sport @answering-ports ip6 saddr . tcp sport . ip6 daddr . tcp dport != @dialled6 return
    tcp flags & rst == rst tcp sport @clear-inbound-ports ct mark & 0x00000f00 != 0x00000500 return
    ct state invalid,untracked tcp flags & rst == rst tcp sport @clear-inbound-ports return
    tcp flags & (syn | ack) == syn | ack tcp sport != @inbound-ports ip saddr . tcp sport . ip daddr . tcp dport != @dialled4 return
    tcp flags & (syn | ack) == syn | ack tcp sport != @inbound-ports ip6 saddr . tcp sport . ip6 daddr . tcp dport != @dialled6 return
    tcp sport != @inbound-ports ct mark & 0x00000f00 == 0x00000a00 ct status assured ct direction reply return
    tcp flags & (syn | ack) != syn tcp sport != @inbound-ports tcp sport @answering-ports ip saddr . tcp sport . ip daddr . tcp dport != @dialled4 ct mark & 0x00000f00 != 0x00000500 return
    ct state invalid,untracked tcp flags & (syn | ack) != syn tcp sport != @inbound-ports tcp sport @answering-ports ip saddr . tcp sport . ip daddr . tcp dport != @dialled4 return
    tcp flags & (syn | ack) != syn tcp sport != @inbound-ports tcp sport @answering-ports ip6 saddr . tcp sport . ip6 daddr . tcp dport != @dialled6 ct mark & 0x00000f00 != 0x00000500 return
    ct state invalid,untracked tcp flags & (syn | ack) != syn tcp sport != @inbound-ports tcp sport @answering-ports ip6 saddr . tcp sport . ip6 daddr . tcp dport != @dialled6 return
    tcp flags & rst == rst tcp sport != @inbound-ports ct mark & 0x00000f00 != 0x00000500 return
    ct state invalid,untracked tcp flags & rst == rst tcp sport != @inbound-ports return
    tcp flags & (syn | ack) != syn tcp sport @status-ports return
    fib saddr type != local return
    drop
  }
  chain prerouting {
    type filter hook prerouting priority mangle; policy accept;
    iif != "lo" tcp flags & (syn | ack) != syn return
    iif "lo" meta mark & 0x00000f00 == 0x00000500 meta l4proto tcp reject with tcp reset
    iif "lo" return
    meta l4proto != tcp return
    fib daddr type != local return
    tcp flags & (syn | ack) == syn tcp dport @excluded-inbound-ports ct state new ct mark set ct mark & 0xfffff0ff | 0x00000a00
    tcp dport @excluded-inbound-ports return
    tcp flags & (syn | ack) == syn tcp dport != @inbound-ports ct state new ct mark set ct mark & 0xfffff0ff | 0x00000a00
    tcp dport != @inbound-ports return
    tcp flags & (syn | ack) == syn reject with tcp reset
  }
  chain translated {
    type filter hook prerouting priority 300; policy accept;
    iif "lo" return
    meta l4proto != tcp return
    ip daddr 169.254.77.1 drop
    ip6 daddr fd74:7072:6f78:7931::1 drop
    ct mark & 0x00000f00 == 0x00000500 goto diverted
    fib daddr type != local goto forwarded
    tcp flags & (syn | ack) == syn tcp dport @excluded-inbound-ports ct state new ct mark set ct mark & 0xfffff0ff | 0x00000a00
    tcp dport @excluded-inbound-ports return
    tcp flags & (syn | ack) == syn tcp dport != @inbound-ports ct state new ct mark set ct mark & 0xfffff0ff | 0x00000a00
    tcp dport != @inbound-ports return
    tcp flags & (syn | ack) == syn reject with tcp reset
    ip daddr . tcp dport . ip saddr . tcp sport @open-before4 return
    ip6 daddr . tcp dport . ip6 saddr . tcp sport @open-before6 return
    tcp dport @served-ports ip daddr . tcp dport . ip saddr . tcp sport != @dialled4 reject with tcp reset
    tcp dport @served-ports ip6 daddr . tcp dport . ip6 saddr . tcp sport != @dialled6 reject with tcp reset
    ip saddr != @mesh4 return
    ip6 saddr != @mesh6 return
    ip saddr @excluded4 return
    ip6 saddr @excluded6 return
    tcp sport @excluded-outbound-ports return
    ip saddr . tcp sport @excluded-destinations4 return
    ip6 saddr . tcp sport @excluded-destinations6 return
    ct mark & 0x00000f00 == 0x00000a00 return
    meta l4proto tcp reject with tcp reset
  }
  chain untranslated {
    type nat hook prerouting priority -101; policy accept;
    iif "lo" return
    meta l4proto != tcp return
    fib daddr type != local return
    tcp dport @excluded-inbound-ports return
    tcp dport != @inbound-ports return
    meta l4proto tcp dnat ip to ip daddr
    meta l4proto tcp dnat ip6 to ip6 daddr
  }
  chain refused {
    type filter hook output priority -90; policy accept;
    meta mark & 0x00000f00 == 0x00000f00 tcp flags & (syn | ack) == syn fib daddr type != local fib saddr type != local reject with tcp reset
    meta mark & 0x00000f00 == 0x00000f00 tcp flags & (syn | ack) == syn fib daddr type != local ip daddr != @mesh4 return
    meta mark & 0x00000f00 == 0x00000f00 tcp flags & (syn | ack) == syn fib daddr type != local ip daddr @excluded4 return
    meta mark & 0x00000f00 == 0x00000f00 tcp flags & (syn | ack) == syn fib daddr type != local ip6 daddr != @mesh6 return
    meta mark & 0x00000f00 == 0x00000f00 tcp flags & (syn | ack) == syn fib daddr type != local ip6 daddr @excluded6 return
    meta mark & 0x00000f00 == 0x00000f00 tcp flags & (syn | ack) == syn fib daddr type != local reject with tcp reset
  }
}
END
