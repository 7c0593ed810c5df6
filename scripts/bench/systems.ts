/** The measured systems, in table order: how the path between two pods is set up. */
import { writeFileSync } from "node:fs";

import { flagsOf } from "../../test/support/mesh.ts";
import type { Pod } from "../../test/support/pods.ts";
import type { Ground, Proxies, SetUp } from "./pair.ts";
import { haproxy, nginx, stunnel } from "./peers.ts";
import { httpPort } from "./protocol.ts";

export type System = {
  readonly name: string;
  readonly title: string;
  /** What a reader must know for a comparison. */
  readonly about: string;
  /** The number of proxies that carry each byte. */
  readonly carriers: 0 | 1 | 2;
  readonly tls: boolean;
  /** A system of others, with `--peers` only. */
  readonly peer: boolean;
  readonly setUp: SetUp;
};

export const systems: readonly System[] = [
  {
    name: "none",
    title: "no proxy",
    about: "the same two pods and programs",
    carriers: 0,
    tls: false,
    peer: false,
    setUp: async () => await Promise.resolve(nothing),
  },
  {
    name: "excluded",
    title: "excluded",
    about: "this proxy in pod a, the destination excluded: nothing leaves the kernel",
    carriers: 0,
    tls: false,
    peer: false,
    setUp: async ({ a, aPaths }) => ({ ...nothing, aPid: await proxy(a, aPaths, excluded) }),
  },
  {
    name: "relay",
    title: "plain relay",
    about: "this proxy in pod b alone, a permissive port, plain text: one proxy, no TLS",
    carriers: 1,
    tls: false,
    peer: false,
    setUp: plainRelay,
  },
  {
    name: "mtls",
    title: "mTLS",
    about: "this proxy in both pods, resumes sessions",
    carriers: 2,
    tls: true,
    peer: false,
    setUp: mutualTls,
  },
  {
    name: "haproxy",
    title: "HAProxy",
    about: "in both pods behind the same TPROXY rules, one thread, resumes sessions",
    carriers: 2,
    tls: true,
    peer: true,
    setUp: haproxy,
  },
  {
    name: "nginx",
    title: "nginx stream",
    about: "in both pods, applications connect to it by themselves, one process, resumes sessions",
    carriers: 2,
    tls: true,
    peer: true,
    setUp: nginx,
  },
  {
    name: "stunnel",
    title: "stunnel",
    about: "in both pods, applications connect to it by themselves, a thread per connection",
    carriers: 2,
    tls: true,
    peer: true,
    setUp: stunnel,
  },
];

const nothing: Proxies = { aPid: null, bPid: null, target: "10.77.0.2", tlsPort: null };

const excluded = ["--exclude-cidr", "10.77.0.0/24,fd77::/64"];

/** Pod a has no proxy: this proxy relays no outbound cleartext. */
async function plainRelay({ b, bPaths }: Ground): Promise<Proxies> {
  const policy = `${bPaths.directory}/policy.yaml`;
  writeFileSync(policy, "inbound: { mode: permissive }\n");
  const bPid = await proxy(b, bPaths, ["--policy", policy]);
  return { ...nothing, bPid };
}

async function mutualTls({ a, b, aPaths, bPaths }: Ground): Promise<Proxies> {
  const aPid = await proxy(a, aPaths);
  const bPid = await proxy(b, bPaths);
  return { ...nothing, aPid, bPid, tlsPort: httpPort };
}

async function proxy(
  pod: Pod,
  paths: Ground["aPaths"],
  options: readonly string[] = [],
): Promise<number> {
  const running = await pod.proxy([...flagsOf(paths), ...options]);
  return running.pid;
}
