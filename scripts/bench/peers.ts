/** Other proxies, from Debian, with one thread if configurable: their settings, in both pods. */
import { readFileSync, writeFileSync } from "node:fs";

import type { CredentialPaths } from "../../test/support/credentials.ts";
import { executable, type Pod } from "../../test/support/pods.ts";
import { listening } from "../../test/support/programs.ts";
import { serverName, type Ground, type Proxies } from "./pair.ts";
import { applicationPorts, httpPort, tlsPortOf } from "./protocol.ts";

type Program = {
  readonly pod: Pod;
  readonly paths: CredentialPaths;
  readonly settings: string;
  /** Followed by the path of the configuration file. */
  readonly command: readonly string[];
  /** The port that it listens on when it is ready. */
  readonly port: number;
};

/** HAProxy receives what our own rules divert, like this proxy, and dials the original destination. */
export async function haproxy({ a, b, aPaths, bPaths }: Ground): Promise<Proxies> {
  const aPid = await haproxyIn(a, aPaths);
  return { aPid, bPid: await haproxyIn(b, bPaths), target: b.address4, tlsPort: httpPort };
}

export async function nginx(ground: Ground): Promise<Proxies> {
  const settings = {
    outbound: nginxText(ground.aPaths, nginxOutbound(ground)),
    inbound: nginxText(ground.bPaths, nginxInbound(ground)),
  };
  return await startBoth(ground, settings, ["nginx", "-e", "stderr", "-c"]);
}

export async function stunnel(ground: Ground): Promise<Proxies> {
  return await startBoth(ground, stunnelText(ground), ["stunnel4"]);
}

async function haproxyIn(pod: Pod, paths: CredentialPaths): Promise<number> {
  const { stdout } = await pod.run([...executable(), "rules", "--print"]);
  const rules = await pod.run(["sh", "-e"], besidesHaproxy(stdout));
  if (rules.code !== 0) throw new Error(rules.stderr);
  const command = ["haproxy", "-db", "-f"];
  return await start({ pod, paths, settings: haproxyText(paths), command, port: 2 });
}

type Both = { readonly outbound: string; readonly inbound: string };

/** Applications in pod a connect to its proxy explicitly, on the port numbers of pod b's applications. */
async function startBoth(
  { a, b, aPaths, bPaths }: Ground,
  { outbound, inbound }: Both,
  command: Program["command"],
): Promise<Proxies> {
  const tlsPort = tlsPortOf(httpPort);
  const bPid = await start({ pod: b, paths: bPaths, settings: inbound, command, port: tlsPort });
  const aPid = await start({ pod: a, paths: aPaths, settings: outbound, command, port: httpPort });
  return { aPid, bPid, target: "127.0.0.1", tlsPort };
}

/** None of them prints when it is ready; throws if one ends before. */
async function start({ pod, paths, settings, command, port }: Program): Promise<number> {
  const file = `${paths.directory}/proxy.conf`;
  const both = readFileSync(paths.certificate, "utf8") + readFileSync(paths.key, "utf8");
  writeFileSync(bothIn(paths), both, { mode: 0o600 });
  writeFileSync(file, settings);
  const running = pod.start([...command, file]);
  let ended = false;
  void running.child.exited.then(() => (ended = true));
  await Promise.race([listening(pod, port), running.child.exited]);
  if (ended) throw new Error(`${command.join(" ")} ended:\n${running.output}`);
  return running.pid;
}

function bothIn({ directory }: CredentialPaths): string {
  return `${directory}/both.pem`;
}

/**
 * Our own rules, for HAProxy: it cannot mark its outgoing packets, so they are identified by their user; a SYN-ACK
 * has that of its listener. Throws for unknown rules.
 */
export function besidesHaproxy(rules: string): string {
  const changed = rules.replace(afterLoopback, `$&${haproxyRules}`);
  if (changed === rules) throw new Error(`the rules have no line like ${String(afterLoopback)}`);
  return changed;
}

const afterLoopback = / oif "lo" return\n/;
const haproxyRules = "meta skuid 9999 return\ntcp flags & (syn | ack) == (syn | ack) return\n";

/** With session resumption, its default. */
function haproxyText(paths: CredentialPaths): string {
  const tls = `ssl crt ${bothIn(paths)} ca-file ${paths.authority} verify required`;
  return `global
  nbthread 1
  maxconn 6000
  uid 9999
  gid 9999
  ssl-server-verify required
defaults
  mode tcp
  timeout connect 10s
  timeout client 60s
  timeout server 60s
frontend outbound
  bind 127.0.0.1:1 transparent
  default_backend peers
backend peers
  server peer 0.0.0.0:0 ${tls}
frontend inbound
  bind 127.0.0.1:2 transparent ${tls} ssl-min-ver TLSv1.3
  default_backend application
backend application
  server application 0.0.0.0:0
`;
}

function nginxText({ directory }: CredentialPaths, servers: readonly string[]): string {
  return `daemon off;
master_process off;
pid ${directory}/nginx.pid;
error_log stderr;
load_module /usr/lib/nginx/modules/ngx_stream_module.so;
worker_rlimit_nofile 20000;
events { worker_connections 16000; }
stream {
${servers.join("\n")}
}
`;
}

function nginxOutbound({ b, aPaths }: Ground): string[] {
  const tls = `proxy_ssl on;
  proxy_ssl_protocols TLSv1.3;
  proxy_ssl_certificate ${aPaths.certificate};
  proxy_ssl_certificate_key ${aPaths.key};
  proxy_ssl_trusted_certificate ${aPaths.authority};
  proxy_ssl_verify on;
  proxy_ssl_name ${serverName};`;
  return applicationPorts.map(
    (port) => `server {
  listen 127.0.0.1:${port};
  proxy_pass ${b.address4}:${tlsPortOf(port)};
  ${tls}
}`,
  );
}

function nginxInbound({ b, bPaths }: Ground): string[] {
  const tls = `ssl_protocols TLSv1.3;
  ssl_certificate ${bPaths.certificate};
  ssl_certificate_key ${bPaths.key};
  ssl_client_certificate ${bPaths.authority};
  ssl_verify_client on;`;
  return applicationPorts.map(
    (port) => `server {
  listen ${b.address4}:${tlsPortOf(port)} ssl;
  proxy_pass 127.0.0.1:${port};
  ${tls}
}`,
  );
}

function stunnelText({ b, aPaths, bPaths }: Ground): Both {
  const outbound = applicationPorts.map(
    (port) => `[port${port}]
accept = 127.0.0.1:${port}
connect = ${b.address4}:${tlsPortOf(port)}`,
  );
  const inbound = applicationPorts.map(
    (port) => `[port${port}]
accept = ${b.address4}:${tlsPortOf(port)}
connect = 127.0.0.1:${port}`,
  );
  const client = ["client = yes", `checkIP = ${b.address4}`];
  return {
    outbound: stunnelFile(aPaths, [...client, ...outbound]),
    inbound: stunnelFile(bPaths, inbound),
  };
}

function stunnelFile(paths: CredentialPaths, lines: readonly string[]): string {
  return `foreground = yes
pid =
debug = err
cert = ${paths.certificate}
key = ${paths.key}
CAfile = ${paths.authority}
verifyChain = yes
sslVersionMin = TLSv1.3
${lines.join("\n")}
`;
}
