/** The demo's network: a bridge, and a cable from each host to it. */
import { parseHost } from "../../net/address.ts";
import * as route from "../../netlink/route.ts";
import { protocol, NetlinkSocket, type Request } from "../../netlink/socket.ts";
import { hosts, internet, type HostName } from "./topology.ts";

/** Creates the bridge and the cables; each host's end is in the network namespace of its process. */
export function layCables(pids: Readonly<Record<HostName, number>>): void {
  request([route.setUp(loopback), route.addBridge("wire")]);
  const bridge = indexOf("wire");
  request([route.setUp(bridge)]);
  for (const name of hostNames) {
    request([route.addVethPair({ name: cableOf(name), peerName: "eth0", peerPid: pids[name] })]);
    request([route.setUp(indexOf(cableOf(name)), bridge)]);
  }
}

/** Index of the bridge's end of a host's cable: a capture there sees all traffic of the host. */
export function cableIndex(name: HostName): number {
  return indexOf(cableOf(name));
}

/** Configures addresses and routes of one host, in its own namespace. Host c also stands for the Internet. */
export function configureHost(name: HostName): void {
  const wire = indexOf("eth0");
  const { ipv4, ipv6 } = hosts[name];
  request([
    route.setUp(loopback),
    route.addAddress(wire, parseHost(ipv4), 24),
    route.addAddress(wire, parseHost(ipv6), 64),
    route.setUp(wire),
  ]);
  request(name === "c" ? internetAddresses(wire) : internetRoutes(wire));
}

function internetAddresses(wire: number): readonly Request[] {
  return [
    route.addAddress(wire, parseHost(internet.ipv4), 32),
    route.addAddress(wire, parseHost(internet.ipv6), 128),
  ];
}

function internetRoutes(wire: number): readonly Request[] {
  return [
    route.addRoute({ destination: parseHost("198.51.100.0"), prefix: 24, interfaceIndex: wire }),
    route.addRoute({ destination: parseHost("2001:db8::"), prefix: 64, interfaceIndex: wire }),
  ];
}

function request(requests: readonly Request[]): void {
  using socket = new NetlinkSocket(protocol.route);
  for (const each of requests) socket.send([each]);
}

function indexOf(name: string): number {
  using socket = new NetlinkSocket(protocol.route);
  const [answer] = socket.exchange([route.getLink(name)]);
  if (answer === undefined) throw new Error(`no interface ${name}`);
  return route.linkIndexOf(answer.payload);
}

function cableOf(name: HostName): string {
  return `cable-${name}`;
}

const hostNames: readonly HostName[] = ["a", "b", "c"];
/** `lo` is the first interface of every namespace. */
const loopback = 1;
