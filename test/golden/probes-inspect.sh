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
  set probe-sources4 {
    type ipv4_addr
    flags interval
    elements = { 10.0.0.7, 10.244.0.0/24 }
  }
  set probe-sources6 {
    type ipv6_addr
    flags interval
    elements = { fd00::7 }
  }
  set probe-answers4 {
    type ipv4_addr
    flags interval
    elements = { 10.0.0.7, 10.244.0.0/24 }
  }
  set probe-answers6 {
    type ipv6_addr
    flags interval
    elements = { fd00::7 }
  }
  set probe-read-ports {
    type inet_service
    elements = { 8080 }
  }
  set probe-connect-ports {
    type inet_service
    elements = { 5432, 9000 }
  }
  set probe-both-ports {
    type inet_service
    elements = { 9000 }
  }
  set probe-answer-ports {
    type inet_service
    elements = { 5432, 9000 }
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
  chain probe-no-data {
    tcp doff 5 ip length 40 accept
    tcp doff 6 ip length 44 accept
    tcp doff 7 ip length 48 accept
    tcp doff 8 ip length 52 accept
    tcp doff 9 ip length 56 accept
    tcp doff 10 ip length 60 accept
    tcp doff 11 ip length 64 accept
    tcp doff 12 ip length 68 accept
    tcp doff 13 ip length 72 accept
    tcp doff 14 ip length 76 accept
    tcp doff 15 ip length 80 accept
    tcp doff 5 ip6 length 20 accept
    tcp doff 6 ip6 length 24 accept
    tcp doff 7 ip6 length 28 accept
    tcp doff 8 ip6 length 32 accept
    tcp doff 9 ip6 length 36 accept
    tcp doff 10 ip6 length 40 accept
    tcp doff 11 ip6 length 44 accept
    tcp doff 12 ip6 length 48 accept
    tcp doff 13 ip6 length 52 accept
    tcp doff 14 ip6 length 56 accept
    tcp doff 15 ip6 length 60 accept
    meta l4proto tcp reject with tcp reset
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
    ct direction original ct mark & 0x0000000f == 0x00000005 return
    tcp flags & (syn | ack) != syn ct status dnat ct mark & 0x0000000f != 0x0000000a return
    ip saddr . tcp sport . ip daddr . tcp dport @open-before4 return
    ip6 saddr . tcp sport . ip6 daddr . tcp dport @open-before6 return
    tcp flags & (syn | ack) == syn | ack ip daddr @probe-answers4 tcp sport @probe-answer-ports ip saddr . tcp sport . ip daddr . tcp dport != @dialled4 return
    ip daddr @probe-answers4 tcp sport @probe-answer-ports ct mark & 0x0000000f == 0x00000005 ct status assured ct direction reply return
    tcp flags & (syn | ack) != syn ip daddr @probe-answers4 tcp sport @probe-answer-ports tcp sport @answering-ports ip saddr . tcp sport . ip daddr . tcp dport != @dialled4 ct mark & 0x0000000f != 0x0000000a return
    ct state invalid,untracked tcp flags & (syn | ack) != syn ip daddr @probe-answers4 tcp sport @probe-answer-ports tcp sport @answering-ports ip saddr . tcp sport . ip daddr . tcp dport != @dialled4 return
    tcp flags & rst == rst ip daddr @probe-answers4 tcp sport @probe-answer-ports ct mark & 0x0000000f != 0x0000000a return
    ct state invalid,untracked tcp flags & rst == rst ip daddr @probe-answers4 tcp sport @probe-answer-ports return
    tcp flags & (syn | ack) == syn | ack ip6 daddr @probe-answers6 tcp sport @probe-answer-ports ip6 saddr . tcp sport . ip6 daddr . tcp dport != @dialled6 return
    ip6 daddr @probe-answers6 tcp sport @probe-answer-ports ct mark & 0x0000000f == 0x00000005 ct status assured ct direction reply return
    tcp flags & (syn | ack) != syn ip6 daddr @probe-answers6 tcp sport @probe-answer-ports tcp sport @answering-ports ip6 saddr . tcp sport . ip6 daddr . tcp dport != @dialled6 ct mark & 0x0000000f != 0x0000000a return
    ct state invalid,untracked tcp flags & (syn | ack) != syn ip6 daddr @probe-answers6 tcp sport @probe-answer-ports tcp sport @answering-ports ip6 saddr . tcp sport . ip6 daddr . tcp dport != @dialled6 return
    tcp flags & rst == rst ip6 daddr @probe-answers6 tcp sport @probe-answer-ports ct mark & 0x0000000f != 0x0000000a return
    ct state invalid,untracked tcp flags & rst == rst ip6 daddr @probe-answers6 tcp sport @probe-answer-ports return
    tcp flags & (syn | ack) != syn tcp sport @status-ports return
    drop
  }
  chain forwarded {
    tcp flags & (syn | ack) != syn return
    ct mark & 0x0000000f == 0x00000005 return
    ip daddr != @mesh4 return
    ip6 daddr != @mesh6 return
    ip daddr @excluded4 return
    ip6 daddr @excluded6 return
    fib daddr . iif oif exists return
    drop
  }
  chain diverted {
    ip saddr != @mesh4 return
    ip6 saddr != @mesh6 return
    ip saddr @excluded4 return
    ip6 saddr @excluded6 return
    drop
  }
  chain output {
    type route hook output priority mangle; policy accept;
    meta mark & 0x0000000f == 0x00000005 oif "lo" ct mark set ct mark & 0xfffffff0 | 0x0000000a
    meta mark & 0x0000000f == 0x0000000f oif "lo" ct mark set ct mark & 0xfffffff0 | 0x0000000a
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
    tcp flags & (syn | ack) == syn ip daddr @excluded4 ct mark set ct mark & 0xfffffff0 | 0x00000005
    ip daddr @excluded4 return
    tcp flags & (syn | ack) == syn ip6 daddr @excluded6 ct mark set ct mark & 0xfffffff0 | 0x00000005
    ip6 daddr @excluded6 return
    tcp flags & (syn | ack) == syn delete @open-before4 { ip saddr . tcp sport . ip daddr . tcp dport }
    tcp flags & (syn | ack) == syn delete @open-before6 { ip6 saddr . tcp sport . ip6 daddr . tcp dport }
    tcp flags & (syn | ack) == syn ct mark set ct mark & 0xfffffff0 | 0x0000000a
    ct state invalid,untracked tcp flags & (syn | ack) == syn add @dialled4 { ip saddr . tcp sport . ip daddr . tcp dport }
    ct state invalid,untracked tcp flags & (syn | ack) == syn add @dialled6 { ip6 saddr . tcp sport . ip6 daddr . tcp dport }
    ip saddr . tcp sport . ip daddr . tcp dport @open-before4 return
    ip6 saddr . tcp sport . ip6 daddr . tcp dport @open-before6 return
    tcp flags & (syn | ack) == syn | ack ip daddr @probe-answers4 tcp sport @probe-answer-ports ip saddr . tcp sport . ip daddr . tcp dport != @dialled4 add @answering-ports { tcp sport } return
    ip daddr @probe-answers4 tcp sport @probe-answer-ports ct mark & 0x0000000f == 0x00000005 ct status assured ct direction reply return
    tcp flags & (syn | ack) != syn ip daddr @probe-answers4 tcp sport @probe-answer-ports tcp sport @answering-ports ip saddr . tcp sport . ip daddr . tcp dport != @dialled4 ct mark & 0x0000000f != 0x0000000a return
    ct state invalid,untracked tcp flags & (syn | ack) != syn ip daddr @probe-answers4 tcp sport @probe-answer-ports tcp sport @answering-ports ip saddr . tcp sport . ip daddr . tcp dport != @dialled4 return
    tcp flags & rst == rst ip daddr @probe-answers4 tcp sport @probe-answer-ports ct mark & 0x0000000f != 0x0000000a return
    ct state invalid,untracked tcp flags & rst == rst ip daddr @probe-answers4 tcp sport @probe-answer-ports return
    tcp flags & (syn | ack) == syn | ack ip6 daddr @probe-answers6 tcp sport @probe-answer-ports ip6 saddr . tcp sport . ip6 daddr . tcp dport != @dialled6 add @answering-ports { tcp sport } return
    ip6 daddr @probe-answers6 tcp sport @probe-answer-ports ct mark & 0x0000000f == 0x00000005 ct status assured ct direction reply return
    tcp flags & (syn | ack) != syn ip6 daddr @probe-answers6 tcp sport @probe-answer-ports tcp sport @answering-ports ip6 saddr . tcp sport . ip6 daddr . tcp dport != @dialled6 ct mark & 0x0000000f != 0x0000000a return
    ct state invalid,untracked tcp flags & (syn | ack) != syn ip6 daddr @probe-answers6 tcp sport @probe-answer-ports tcp sport @answering-ports ip6 saddr . tcp sport . ip6 daddr . tcp dport != @dialled6 return
    tcp flags & rst == rst ip6 daddr @probe-answers6 tcp sport @probe-answer-ports ct mark & 0x0000000f != 0x0000000a return
    ct state invalid,untracked tcp flags & rst == rst ip6 daddr @probe-answers6 tcp sport @probe-answer-ports return
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
    meta mark & 0x0000000f == 0x0000000f oif != "lo" ct status dnat ip daddr != @mesh4 return
    meta mark & 0x0000000f == 0x0000000f oif != "lo" ct status dnat ip daddr @excluded4 return
    meta mark & 0x0000000f == 0x0000000f oif != "lo" ct status dnat ip6 daddr != @mesh6 return
    meta mark & 0x0000000f == 0x0000000f oif != "lo" ct status dnat ip6 daddr @excluded6 return
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
    ct direction original ct mark & 0x0000000f == 0x00000005 return
    tcp flags & (syn | ack) != syn ct status dnat ct mark & 0x0000000f != 0x0000000a return
    ip saddr . tcp sport . ip daddr . tcp dport @open-before4 return
    ip6 saddr . tcp sport . ip6 daddr . tcp dport @open-before6 return
    tcp flags & (syn | ack) == syn | ack ip daddr @probe-answers4 tcp sport @probe-answer-ports ip saddr . tcp sport . ip daddr . tcp dport != @dialled4 return
    ip daddr @probe-answers4 tcp sport @probe-answer-ports ct mark & 0x0000000f == 0x00000005 ct status assured ct direction reply return
    tcp flags & (syn | ack) != syn ip daddr @probe-answers4 tcp sport @probe-answer-ports tcp sport @answering-ports ip saddr . tcp sport . ip daddr . tcp dport != @dialled4 ct mark & 0x0000000f != 0x0000000a return
    ct state invalid,untracked tcp flags & (syn | ack) != syn ip daddr @probe-answers4 tcp sport @probe-answer-ports tcp sport @answering-ports ip saddr . tcp sport . ip daddr . tcp dport != @dialled4 return
    tcp flags & rst == rst ip daddr @probe-answers4 tcp sport @probe-answer-ports ct mark & 0x0000000f != 0x0000000a return
    ct state invalid,untracked tcp flags & rst == rst ip daddr @probe-answers4 tcp sport @probe-answer-ports return
    tcp flags & (syn | ack) == syn | ack ip6 daddr @probe-answers6 tcp sport @probe-answer-ports ip6 saddr . tcp sport . ip6 daddr . tcp dport != @dialled6 return
    ip6 daddr @probe-answers6 tcp sport @probe-answer-ports ct mark & 0x0000000f == 0x00000005 ct status assured ct direction reply return
    tcp flags & (syn | ack) != syn ip6 daddr @probe-answers6 tcp sport @probe-answer-ports tcp sport @answering-ports ip6 saddr . tcp sport . ip6 daddr . tcp dport != @dialled6 ct mark & 0x0000000f != 0x0000000a return
    ct state invalid,untracked tcp flags & (syn | ack) != syn ip6 daddr @probe-answers6 tcp sport @probe-answer-ports tcp sport @answering-ports ip6 saddr . tcp sport . ip6 daddr . tcp dport != @dialled6 return
    tcp flags & rst == rst ip6 daddr @probe-answers6 tcp sport @probe-answer-ports ct mark & 0x0000000f != 0x0000000a return
    ct state invalid,untracked tcp flags & rst == rst ip6 daddr @probe-answers6 tcp sport @probe-answer-ports return
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
    tcp flags & (syn | ack) == syn tcp dport @excluded-inbound-ports ct state new ct mark set ct mark & 0xfffffff0 | 0x00000005
    tcp dport @excluded-inbound-ports return
    ip saddr @probe-sources4 tcp dport @probe-read-ports tproxy ip to 127.0.0.1:3 socket mark & 0x0000000f != 0x0000000a accept
    ip6 saddr @probe-sources6 tcp dport @probe-read-ports tproxy ip6 to [::1]:3 socket mark & 0x0000000f != 0x0000000a accept
    ip saddr @probe-sources4 tcp dport @probe-read-ports tcp flags & (syn | ack) != syn tproxy ip to 127.0.0.1:3 accept
    ip6 saddr @probe-sources6 tcp dport @probe-read-ports tcp flags & (syn | ack) != syn tproxy ip6 to [::1]:3 accept
    ip saddr @probe-sources4 tcp dport @probe-both-ports tcp flags & (syn | ack) == syn socket transparent <= 1 tproxy ip to 127.0.0.1:3 socket mark & 0x0000000f != 0x0000000a accept
    ip6 saddr @probe-sources6 tcp dport @probe-both-ports tcp flags & (syn | ack) == syn socket transparent <= 1 tproxy ip6 to [::1]:3 socket mark & 0x0000000f != 0x0000000a accept
    ip saddr @probe-sources4 tcp dport @probe-both-ports tcp flags & (syn | ack) == syn goto probe-no-data
    ip6 saddr @probe-sources6 tcp dport @probe-both-ports tcp flags & (syn | ack) == syn goto probe-no-data
    ip saddr @probe-sources4 tcp dport @probe-both-ports tcp flags & (syn | ack) != syn tproxy ip to 127.0.0.1:3 accept
    ip6 saddr @probe-sources6 tcp dport @probe-both-ports tcp flags & (syn | ack) != syn tproxy ip6 to [::1]:3 accept
    ip saddr @probe-sources4 tcp dport @probe-connect-ports goto probe-no-data
    ip6 saddr @probe-sources6 tcp dport @probe-connect-ports goto probe-no-data
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
    ct mark & 0x0000000f == 0x0000000a goto diverted
    fib daddr type != local goto forwarded
    tcp flags & (syn | ack) == syn tcp dport @excluded-inbound-ports ct state new ct mark set ct mark & 0xfffffff0 | 0x00000005
    tcp dport @excluded-inbound-ports return
    ip saddr @probe-sources4 tcp dport @probe-read-ports tproxy ip to 127.0.0.1:3 socket mark & 0x0000000f != 0x0000000a accept
    ip6 saddr @probe-sources6 tcp dport @probe-read-ports tproxy ip6 to [::1]:3 socket mark & 0x0000000f != 0x0000000a accept
    ip saddr @probe-sources4 tcp dport @probe-read-ports tcp flags & (syn | ack) != syn tproxy ip to 127.0.0.1:3 accept
    ip6 saddr @probe-sources6 tcp dport @probe-read-ports tcp flags & (syn | ack) != syn tproxy ip6 to [::1]:3 accept
    ip saddr @probe-sources4 tcp dport @probe-both-ports tcp flags & (syn | ack) == syn socket transparent <= 1 tproxy ip to 127.0.0.1:3 socket mark & 0x0000000f != 0x0000000a accept
    ip6 saddr @probe-sources6 tcp dport @probe-both-ports tcp flags & (syn | ack) == syn socket transparent <= 1 tproxy ip6 to [::1]:3 socket mark & 0x0000000f != 0x0000000a accept
    ip saddr @probe-sources4 tcp dport @probe-both-ports tcp flags & (syn | ack) == syn goto probe-no-data
    ip6 saddr @probe-sources6 tcp dport @probe-both-ports tcp flags & (syn | ack) == syn goto probe-no-data
    ip saddr @probe-sources4 tcp dport @probe-both-ports tcp flags & (syn | ack) != syn tproxy ip to 127.0.0.1:3 accept
    ip6 saddr @probe-sources6 tcp dport @probe-both-ports tcp flags & (syn | ack) != syn tproxy ip6 to [::1]:3 accept
    ip saddr @probe-sources4 tcp dport @probe-connect-ports goto probe-no-data
    ip6 saddr @probe-sources6 tcp dport @probe-connect-ports goto probe-no-data
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
    ct mark & 0x0000000f == 0x00000005 return
    meta l4proto tcp drop
  }
  chain refused {
    type filter hook output priority -90; policy accept;
    meta mark & 0x0000000f == 0x0000000f tcp flags & (syn | ack) == syn fib daddr type != local fib saddr type != local reject with tcp reset
    meta mark & 0x0000000f == 0x0000000f tcp flags & (syn | ack) == syn fib daddr type != local ip daddr != @mesh4 return
    meta mark & 0x0000000f == 0x0000000f tcp flags & (syn | ack) == syn fib daddr type != local ip daddr @excluded4 return
    meta mark & 0x0000000f == 0x0000000f tcp flags & (syn | ack) == syn fib daddr type != local ip6 daddr != @mesh6 return
    meta mark & 0x0000000f == 0x0000000f tcp flags & (syn | ack) == syn fib daddr type != local ip6 daddr @excluded6 return
    meta mark & 0x0000000f == 0x0000000f tcp flags & (syn | ack) == syn fib daddr type != local reject with tcp reset
  }
}
END
