/** Checks the process and its network namespace: privileges, limits, ports, settings. */
import { readFileSync, readlinkSync } from "node:fs";

import { descriptorReserve, type Config } from "../../config.ts";
import { otherTransports } from "../../intercept/rules/text.ts";
import {
  describeHolder,
  holderOf,
  isListening,
  listeningProcess,
} from "../../intercept/kernel/running.ts";
import { Memory } from "../../connection/memory.ts";
import { openHiddenHierarchies } from "../../native/memory-limit.ts";
import { errnoName, SystemCallError } from "../../native/errno.ts";
import { descriptorsMax } from "../../native/limits.ts";
import * as native from "../../native/native.ts";
import {
  encodeSocketAddress,
  formatSocketAddress,
  parseSocketAddress,
  type SocketAddress,
} from "../../net/address.ts";
import { planWirePorts } from "../../net/wire-ports.ts";
import { connectionsBound } from "../../connection/admission.ts";
import { assertDescriptors } from "../../proxy/bounds.ts";
import { ProxyError } from "../../runtime/errors.ts";
import { bad, good, warning, type Finding } from "./finding.ts";

/** The part of the configuration that is checked. */
export type CheckedLimits = Pick<Config, "statusAddress" | "fixed" | "wirePorts"> & {
  readonly connectionsMax: number;
  /** From `--memory`, null without it. */
  readonly memoryBytesMax: number | null;
  /** What the proxy keeps: all capabilities, or CAP_NET_RAW. `external`: another process applies the rules. */
  readonly privileges: "kept" | "dropped" | "external";
};

export function findPrivileges({ fixed, privileges }: CheckedLimits): readonly Finding[] {
  const lowest = Math.min(fixed.tcpPort, fixed.tlsPort, fixed.inspectPort);
  const start = Number(setting("net/ipv4/ip_unprivileged_port_start") ?? "1024");
  return [
    netAdminFinding(privileges),
    ...netRawFindings(privileges),
    lowest >= start || hasCapability(capability.netBindService)
      ? good("cap-net-bind-service", `the lowest port is ${lowest}`)
      : bad(
          "cap-net-bind-service",
          `missing, and port ${lowest} is below ${start}`,
          "Add NET_BIND_SERVICE, or choose higher ones with --tcp-port, --tls-port and --inspect-port.",
        ),
  ];
}

function netAdminFinding(privileges: CheckedLimits["privileges"]): Finding {
  const id = "cap-net-admin";
  if (hasCapability(capability.netAdmin)) return good(id);
  if (privileges === "external")
    return good(id, "not needed: another process applies the rules (--rules external)");
  return bad(id, "missing", "Run as root, or add NET_ADMIN to the container's capabilities.");
}

/**
 * Marks (SO_MARK) and transparent sockets need CAP_NET_ADMIN or CAP_NET_RAW: sk_setsockopt in net/core/sock.c,
 * do_ip_setsockopt in net/ipv4/ip_sockglue.c. Nothing else does: sockets are destroyed with CAP_NET_ADMIN, and none is
 * raw or bound to a device.
 */
function netRawFindings(privileges: CheckedLimits["privileges"]): readonly Finding[] {
  const id = "cap-net-raw";
  if (hasCapability(capability.netRaw)) return [good(id)];
  const add = "Add NET_RAW to the container's capabilities";
  if (privileges === "dropped") {
    const text = "missing: the proxy keeps it when it drops the others";
    return [bad(id, text, `${add}, or use --privileges kept.`)];
  }
  if (hasCapability(capability.netAdmin))
    return [good(id, "missing, but not needed: CAP_NET_ADMIN is enough")];
  return privileges === "external"
    ? [bad(id, "missing: marks and transparent sockets need it", `${add}.`)]
    : [];
}

export function findLimits({ connectionsMax, memoryBytesMax }: CheckedLimits): readonly Finding[] {
  const descriptors = descriptorsMax();
  const bound = connectionsBound(connectionsMax, descriptors, descriptorReserve);
  const text = `${descriptors}, which is enough for ${bound} of ${connectionsMax} connections`;
  const remedy = "Raise them: ulimit -n, LimitNOFILE= in systemd.";
  const shortage = descriptorShortage();
  if (bound === 0 || shortage !== null) return [bad("descriptors", shortage ?? text, remedy)];
  return [
    bound < connectionsMax ? warning("descriptors", text, remedy) : good("descriptors", text),
    good("memory", memoryText(memoryBytesMax, bound)),
  ];
}

/** Why a start would be refused, null if it would not. */
function descriptorShortage(): string | null {
  try {
    assertDescriptors();
    return null;
  } catch (error) {
    if (error instanceof ProxyError) return error.message;
    throw error;
  }
}

/** The message that a start would log. */
function memoryText(memoryBytesMax: number | null, connectionsMax: number): string {
  const log = { write: () => undefined };
  const wanted = { memoryBytesMax, connectionsMax };
  return new Memory(wanted, log, openHiddenHierarchies()).text;
}

/**
 * A port held by a running proxy is no fault: the check may run beside it. `answers`: something answers at
 * --status-address; a proxy shows its sockets to no other process without CAP_SYS_PTRACE (`docker exec`).
 */
export function findPorts(
  { fixed, statusAddress }: CheckedLimits,
  answers: boolean,
): readonly Finding[] {
  const { tcpPort, tlsPort, inspectPort } = fixed;
  const running = listeningProcess(tcpPort);
  const isOurs = running === null ? answers && isListening(tcpPort) : isProxy(running.pid);
  if (isOurs) {
    const which = running === null ? "it answers at --status-address" : `process ${running.pid}`;
    return [
      warning(
        "proxy-running",
        `a proxy runs here already: ${which}`,
        "A second one cannot start here; this check is of what it would find.",
      ),
    ];
  }
  const wanted: readonly (readonly [id: PortId, address: SocketAddress])[] = [
    ["tcp-port", parseSocketAddress(`127.0.0.1:${tcpPort}`)],
    ["tls-port", parseSocketAddress(`127.0.0.1:${tlsPort}`)],
    ["inspect-port", parseSocketAddress(`127.0.0.1:${inspectPort}`)],
    ["status-address", statusAddress],
  ];
  return wanted.map(([id, address]) => portFinding(id, address));
}

/** Whether there are ports for connections to peers; binds none. */
export function wirePortsFinding({ wirePorts }: CheckedLimits): Finding {
  const { free, reserve } = planWirePorts(wirePorts);
  const ranges = reserve === null ? free : [...free, reserve];
  const texts = ranges.map(({ first, last }) => `${first}-${last}`).join(", ");
  if (reserve === null) return good("wire-ports", texts);
  const remedy = "The proxy reserves them at its start; more by --wire-ports.";
  return warning("wire-ports", `${texts}: applications are given nearly all ports`, remedy);
}

type PortId = "tcp-port" | "tls-port" | "inspect-port" | "status-address";

function portFinding(id: PortId, address: SocketAddress): Finding {
  const title = `--${id} ${formatSocketAddress(address)}`;
  return { ...tryPort(id, address), title };
}

function tryPort(id: PortId, address: SocketAddress): Finding {
  const family = address.family === 4 ? native.addressFamily.inet : native.addressFamily.inet6;
  try {
    tryListening(address, family);
    return good(id, "free");
  } catch (error) {
    if (!(error instanceof SystemCallError)) throw error;
    const code = errnoName(error.errno);
    const holder = code === "EADDRINUSE" ? holderOf(address) : null;
    if (holder === null) return bad(id, code, `Choose another by --${id}.`);
    const text = `${describeHolder(holder)} listens there`;
    return bad(id, text, `End it, or choose another by --${id}.`);
  }
}

/** By its executable, or by its name if it runs another one. */
function isProxy(pid: number): boolean {
  try {
    const own = readlinkSync("/proc/self/exe");
    if (readlinkSync(`/proc/${pid}/exe`) === own) return true;
  } catch {
    // It has ended, or may not be inspected.
  }
  return /^(tls-)?tproxy/.test(read(`/proc/${pid}/comm`) ?? "");
}

function tryListening(address: SocketAddress, family: native.AddressFamily): void {
  const fd = native.openStream(family);
  try {
    native.setReuseAddress(fd);
    native.bind(fd, encodeSocketAddress(address));
    native.listen(fd, 1);
  } finally {
    native.close(fd);
  }
}

export function findSettings({ fixed }: CheckedLimits): readonly Finding[] {
  return [
    loFinding(),
    pathFilterFinding(),
    conntrackFinding(),
    ipv6Finding(),
    transportsFinding(),
    forwardingFinding(fixed),
  ].filter((finding) => finding !== null);
}

/** Only TCP is diverted. */
function transportsFinding(): Finding {
  return good("other-transports", `left alone, in cleartext: ${otherTransports}`);
}

function forwardingFinding({
  forwarded,
  onlyUids,
  onlyGids,
}: CheckedLimits["fixed"]): Finding | null {
  const names = ["net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding"];
  if (names.every((name) => (setting(name) ?? "0") === "0")) return null;
  if (onlyUids !== "all" || onlyGids !== "all")
    return good("forwarded-packets", "left alone: they belong to none of the named users");
  return forwarded === "leave"
    ? good("forwarded-packets", "left alone, in cleartext (--forwarded leave)")
    : good("forwarded-packets", "connections of containers here to the mesh are dropped");
}

/** IFF_UP is the first bit. */
function loFinding(): Finding {
  const flags = Number(read("/sys/class/net/lo/flags")?.trim() ?? "1");
  const up = (flags & 1) === 1;
  return up
    ? good("loopback-interface", "up")
    : bad("loopback-interface", "down", "ip link set lo up");
}

/** Both were tested with every value: diverted packets enter by lo with the machine's own addresses. */
function pathFilterFinding(): Finding {
  const names = ["rp_filter", "src_valid_mark"];
  const text = names.map((name) => `${name}=${setting(`net/ipv4/conf/all/${name}`) ?? "?"}`);
  return good("path-filter", `${text.join(" ")}: no value of these is in the way`);
}

function conntrackFinding(): Finding | null {
  const [count, max] = ["count", "max"].map((name) =>
    setting(`net/netfilter/nf_conntrack_${name}`),
  );
  if (count === undefined || max === undefined) return null;
  const text = `${count} of ${max} entries`;
  if (Number(count) < 0.8 * Number(max)) return good("connection-tracking", text);
  const remedy = "A full table drops new connections: raise net.netfilter.nf_conntrack_max.";
  return warning("connection-tracking", text, remedy);
}

function ipv6Finding(): Finding {
  const disabled = setting("net/ipv6/conf/all/disable_ipv6");
  return good("ipv6", disabled === "0" ? "on" : "off: IPv4 alone is diverted");
}

/** CapEff: capabilities(7). */
function hasCapability(bit: number): boolean {
  const status = readFileSync("/proc/self/status", "latin1");
  const mask = BigInt(`0x${/^CapEff:\s+([0-9a-f]+)/m.exec(status)?.[1] ?? "0"}`);
  return ((mask >> BigInt(bit)) & 1n) === 1n;
}

function setting(name: string): string | undefined {
  return read(`/proc/sys/${name}`)?.trim();
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return undefined; // The kernel does not have this setting.
  }
}

const capability = { netBindService: 10, netAdmin: 12, netRaw: 13 } as const;
