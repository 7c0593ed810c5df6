/** Answers to --help and --version, and messages for wrong options and settings. */
import { expect, test } from "bun:test";

import { makeProgram } from "../../src/cli/program.ts";
import { topics } from "../../src/help/topics.ts";
import { optionTable } from "../support/reference.ts";
import { tproxy, type Said } from "../support/tproxy.ts";

test.each([["--help"], ["-help"], ["-h"]])("%s lists the commands, then every option", (flag) => {
  const { code, out } = tproxy([flag]);
  expect(code).toBe(0);
  expect(out.indexOf("\nCommands:\n")).toBeGreaterThan(0);
  for (const { flags } of makeProgram().options)
    expect(out.indexOf(`\n  ${flags} `)).toBeGreaterThan(out.indexOf("\nCommands:\n"));
});

test("the topic options lists every option of the program (scripts/reference.ts)", () => {
  expect(topics.find(({ name }) => name === "options")?.text).toEndWith(`\n${optionTable()}\n`);
});

test("a start without certificates is refused, and the message says how to get them", () => {
  const { code, error } = tproxy(["--mesh-cidr", "10.0.0.0/8", "--inbound-port", "80"]);
  expect(code).toBe(2);
  expect(error).toMatch(/^tls-tproxy: --cert, --key, --ca-cert missing\. .*demo/);
});

test("capturing all ports on a host is refused", () => {
  const { code, error } = tproxy(["--cert", "c", "--key", "k", "--ca-cert", "a"]);
  expect(code).toBe(2);
  expect(error).toContain(
    "Say what to intercept: --mesh-cidr (or --only-uid) and --inbound-port (or none)",
  );
});

test.each([
  [["--tcp-port", "0"], "--tcp-port"],
  [["-tcp-port=70000"], "--tcp-port"],
  [["--mesh-cidr", "10.0.0.0/33"], "--mesh-cidr"],
  [["--mesh-cidr", "010.0.0.0/8"], "--mesh-cidr"],
  [["--exclude-uid", "nobody-here"], "--exclude-uid"],
  [["--only-uid", "nobody-here"], "a name in /etc/passwd"],
  [["--only-gid", "nobody-here"], "a name in /etc/group"],
  [["--exclude-gid", "-1"], "--exclude-gid"],
  [["--outbound-port", "90-80"], "a range like 8000-8100"],
  [["--inbound-port", "0-80"], "a range like 8000-8100"],
  [["--exclude-inbound-port", "1-65536"], "a range like 8000-8100"],
  [["--mesh-cidr", "default,10.0.0.0/33"], "--mesh-cidr"],
  [["--mark", "0xf/0xf"], "--mark"],
  [["--tls-min", "1.1"], "--tls-min"],
  [["--verify", "dns"], "--verify"],
  [["--trust-domain", "Example.org", "--verify", "spiffe"], "--trust-domain"],
  [["--status-address", "15020"], "--status-address"],
  [["--probe", "https:8443/healthz"], "https cannot be read"],
  [["--probe", "8080"], "--probe"],
  [["--probe-source", "0.0.0.0/0"], "is a network, not a node"],
  [["--probe-mode", "open"], "--probe-mode"],
  [["rules", "--print", "--probe", "tcp:80"], "Set --probe-source"],
  [["--connect-timeout", "1ms"], "It must be 100ms or longer"],
  [["--tcp-keepalive", "100ms"], "It must be 1s or longer"],
  [["--confirm", "1ms"], "--confirm"],
  [["--cert", "c", "--credentials", "d"], "--credentials cannot be combined with --cert"],
  [
    ["check", "--ca-cert", "c", "--credentials", "d"],
    "--credentials cannot be combined with --cert",
  ],
  [["--policy", "-"], "--policy -: a running proxy"],
  [["rules", "--print", "--only-uid", "5,6", "--exclude-uid", "6"], "both name user 6"],
  [["check", "--only-gid", "5", "--exclude-gid", "5"], "both name group 5"],
  [["check", "--inbound-port", "80-90", "--exclude-inbound-port", "85"], "both name port 85"],
  [
    ["rules", "--print", "--inbound-port", "80", "--exclude-inbound-port", "80"],
    "both name port 80",
  ],
  [["--certt"], "Did you mean --cert?"],
  [["frobnicate"], "frobnicate"],
  [["--cert="], "--cert"],
  [["rules"], "--print, --apply or --remove"],
  [["rules", "--print", "--apply"], "--print"],
] as const)("%j is an error that names %s", (args, named) => {
  const { code, error } = tproxy(args);
  expect(code).toBe(2);
  expect(error).toContain(named);
  expect(error).toStartWith("tls-tproxy: ");
});

test.each(["--version", "-version", "-V"])("%s prints one line", (flag) => {
  const { code, out } = tproxy([flag]);
  expect([code, out]).toEqual([0, "tls-tproxy 0.1.0\n"]);
});

function portOf(said: Said): string | undefined {
  return /to 127\.0\.0\.1:(\d+) accept/.exec(said.out)?.[1];
}

test("a flag overrides the environment, and the environment overrides the default", () => {
  const print = ["rules", "--print", "--inbound-port", "80"];
  const environment = { TPROXY_TCP_PORT: "1001" };
  expect(portOf(tproxy(print))).toBe("1");
  expect(portOf(tproxy(print, environment))).toBe("1001");
  expect(portOf(tproxy([...print, "--tcp-port", "1002"], environment))).toBe("1002");
});

test("a wrong node address in the environment is an error that names the variable", () => {
  const environment = { TPROXY_HOST_IPS: "10.0.0.7,node-7" };
  const { code, error } = tproxy(["rules", "--print", "--probe", "tcp:80"], environment);
  expect([code, error]).toEqual([2, expect.stringContaining("TPROXY_HOST_IPS")]);
});

test("an empty environment variable counts as unset", () => {
  const said = tproxy(["rules", "--print"], { TPROXY_EXCLUDE_CIDR: "", TPROXY_MESH_CIDR: "" });
  expect(said).toEqual(tproxy(["rules", "--print"]));
});

test("a wrong value in the environment is an error that names the variable", () => {
  const { code, error } = tproxy(["rules", "--print"], { TPROXY_TLS_PORT: "x" });
  expect(code).toBe(2);
  expect(error).toContain("TPROXY_TLS_PORT");
});

test("-flag means --flag, and --flag=value means --flag value", () => {
  const wanted = tproxy(["rules", "--print", "--mesh-cidr", "10.8.0.0/16"]).out;
  expect(wanted).toContain("10.8.0.0/16");
  expect(tproxy(["rules", "-print", "-mesh-cidr=10.8.0.0/16"]).out).toBe(wanted);
});
