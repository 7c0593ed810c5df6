/** The options for the kubelet's probes, combined with the environment and the pod's routes. */
import { readFileSync } from "node:fs";
import { InvalidArgumentError, type Command } from "commander";

import { ProxyError } from "../runtime/errors.ts";
import type { Cidr } from "../net/cidr.ts";
import { noProbes, parseProbe, type Probes } from "../probe/probe.ts";
import { gateways4, gateways6, parseSource, type SourceName } from "../probe/sources.ts";
import type { ProbeFlags } from "./flags.ts";
import { add } from "./options.ts";
import * as values from "./values.ts";

export function addProbeOptions(command: Command): void {
  command.optionsGroup("Probes of the kubelet (tls-tproxy help probes):");
  add(command, "--probe <probes>", "probes to allow, like http:8080/healthz, tcp:5432, grpc:9000", {
    parse: values.list(orInvalid(parseProbe)),
  });
  add(
    command,
    "--probe-source <addresses>",
    "the node's addresses; gateway: the default gateways",
    {
      parse: values.list(orInvalid(parseSource)),
      shown: "those of TPROXY_HOST_IPS",
    },
  );
  add(
    command,
    "--probe-mode <how>",
    "bypass: open the ports to the node; inspect: read the requests",
    {
      parse: values.oneOf("bypass", "inspect"),
      default: ["bypass", "bypass"],
    },
  );
}

/** Throws ProxyError (USAGE) for probes without a source. */
export function probesFromFlags(flags: ProbeFlags, hostIps: string | undefined): Probes {
  const { probe: declared = [], probeMode: mode } = flags;
  if (declared.length === 0) return noProbes;
  const sources = (flags.probeSource ?? sourcesOf(hostIps ?? "")).flatMap((source) =>
    source === "gateway" ? readGateways() : [source],
  );
  if (sources.length === 0) throw new ProxyError("USAGE", noSource);
  return { mode, declared, sources };
}

/** From the downward API: status.hostIPs. */
function sourcesOf(hostIps: string): readonly SourceName[] {
  const names = hostIps.split(",").map((name) => name.trim());
  try {
    return names.filter((name) => name !== "").map(parseSource);
  } catch (error) {
    if (!(error instanceof ProxyError)) throw error;
    throw new ProxyError("USAGE", `TPROXY_HOST_IPS: ${error.message}`, { cause: error });
  }
}

function readGateways(): readonly Cidr[] {
  return [...gateways4(routes("route")), ...gateways6(routes("ipv6_route"))];
}

/** A kernel without IPv6 has no ipv6_route. */
function routes(name: string): string {
  try {
    return readFileSync(`/proc/self/net/${name}`, "latin1");
  } catch {
    return "";
  }
}

/** For an option: turns a parser's error into commander's. */
export function orInvalid<T>(parse: (text: string) => T): (text: string) => T {
  return (text) => {
    try {
      return parse(text);
    } catch (error) {
      if (error instanceof ProxyError) throw new InvalidArgumentError(`${error.message}.`);
      throw error;
    }
  };
}

const noSource =
  "--probe: the kubelet's addresses are not known. Set --probe-source to the node's addresses (or gateway, " +
  "if the pod's default route leads to the node), or set TPROXY_HOST_IPS from the downward API (status.hostIPs)";
