/** The commands policy --check, policy --print and why, and the policies in the manual. */
import { writeFileSync } from "node:fs";
import { expect, test } from "bun:test";

import { parsePolicy } from "../../src/policy/document.ts";
import { executable } from "../support/pods.ts";
import { temporaryDirectory } from "../support/temporary.ts";
import { shownPolicies } from "../support/topics.ts";
import { tproxy } from "../support/tproxy.ts";

const directory = temporaryDirectory();
const file = `${directory}/p.yaml`;
const broken = `${directory}/broken.yaml`;
writeFileSync(
  file,
  `trustDomain: cluster.local
inbound:
  ports: { 8080: { allow: ["spiffe://cluster.local/web"] } }
outbound:
  mesh: [10.0.0.0/8]
`,
);
writeFileSync(broken, "inbound:\n  mod: strict\noutbound:\n  excludePorts: [0]\n");

test("policy --check accepts a valid file, and reports all mistakes of an invalid one", () => {
  const good = tproxy(["policy", "--check", file]);
  expect([good.code, good.out]).toEqual([0, expect.stringMatching(/^\S+p\.yaml: good \(/)]);
  const bad = tproxy(["policy", "--check", broken]);
  expect([bad.code, bad.error.split("\n")]).toEqual([
    1,
    [
      `tls-tproxy: ${broken}: 2 mistakes`,
      expect.stringContaining("line 2, inbound.mod: there is no field"),
      expect.stringContaining("line 4, outbound.excludePorts[0]: 0."),
      "",
    ],
  ]);
  const missing = tproxy(["policy", "--check", `${directory}/missing.yaml`]);
  expect(missing.error).toContain("there is no such file");
});

function checked(
  input: string,
  ...options: readonly string[]
): { readonly code: number; readonly text: string } {
  const command = [...executable(), "policy", "--check", "-", ...options];
  const { exitCode, stdout, stderr } = Bun.spawnSync(command, { stdin: Buffer.from(input) });
  return { code: exitCode, text: stdout.toString() + stderr.toString() };
}

test("policy --check reads standard input, applies the options, and names contradictions", () => {
  const allow = 'inbound: { ports: { 80: { allow: ["spiffe://a.example/x"] } } }';
  expect(checked(allow)).toEqual({ code: 0, text: expect.stringMatching(/^standard input: good/) });
  const open = checked(allow, "--exclude-inbound-port", "80");
  expect([open.code, open.text]).toEqual([
    1,
    expect.stringContaining(
      "inbound port 80 is passed through in cleartext (--exclude-inbound-port)",
    ),
  ]);
  const foreign = checked(allow, "--trust-domain", "b.example");
  expect(foreign.text).toContain("not of the trust domain b.example (--trust-domain)");
});

test("a bad key is named once, and mistakes are listed in line order", () => {
  const text = "outbound:\n  exclud: []\n  mesh: [x]\ninbound:\n  ports:\n    abc: {}\nverfy: ip\n";
  writeFileSync(`${directory}/keys.yaml`, text);
  const { error } = tproxy(["policy", "--check", `${directory}/keys.yaml`]);
  expect(error.match(/line (\d+)/g)).toEqual(["line 2", "line 3", "line 6", "line 7"]);
});

/** Matches one line of the printed policy. */
function line(start: RegExp, origin: string): RegExp {
  return new RegExp(`^${start.source} +# \\S*${origin.replaceAll(".", String.raw`\.`)}$`, "m");
}

test("policy --print names the origin of each rule: file and line, option, variable or default", () => {
  const options = ["--policy", file, "--exclude-inbound-port", "22", "--verify", "ip"];
  const { code, out } = tproxy(["policy", "--print", ...options], {
    TPROXY_EXCLUDE_OUTBOUND_PORT: "53",
    TPROXY_MESH_CIDR: "172.16.0.0/12",
  });
  expect(code).toBe(0);
  expect(out).toMatch(line(/trustDomain: cluster\.local/, "p.yaml:1"));
  expect(out).toMatch(line(/verify: ip/, "--verify"));
  expect(out).toMatch(line(/ {2}mode: strict/, "default"));
  expect(out).toMatch(line(/ {6}mode: passthrough/, "--exclude-inbound-port"));
  expect(out).toMatch(line(/ {2}mesh: \["10\.0\.0\.0\/8"\]/, "p.yaml:5"));
  expect(out).toMatch(line(/ {2}excludePorts: \[53\]/, "TPROXY_EXCLUDE_OUTBOUND_PORT"));
});

test("why prints the matching rule, and its exit code says whether the peer is admitted", () => {
  const ask = ["why", "--inbound", "10.0.0.1:8080", "--policy", file, "--peer"];
  const yes = tproxy([...ask, "spiffe://cluster.local/web"]);
  expect([yes.code, yes.out]).toEqual([
    0,
    expect.stringContaining("spiffe://cluster.local/web: accepted"),
  ]);
  const no = tproxy([...ask, "spiffe://cluster.local/other"]);
  expect([no.code, no.out]).toEqual([1, expect.stringContaining("refused (not-allowed)")]);
  const outside = tproxy(["why", "8.8.8.8:53", "--policy", file]);
  expect(outside.out).toContain("in cleartext: it is in no range of the mesh");
});

test.each([
  [["why"], "address:port"],
  [["why", "10.0.0.1"], "like 10.0.0.1:80"],
  [["why", "10.0.0.1:80", "--peer", "web"], "--peer"],
  [["policy"], "--check FILE or --print"],
  [["policy", "--check", "x", "--print"], "--print"],
] as const)("%j is an error that names %s", (args, named) => {
  const { code, error } = tproxy(args);
  expect([code, error]).toEqual([2, expect.stringContaining(named)]);
});

test("every policy in the manual is valid", () => {
  const policies = shownPolicies();
  expect(policies.length).toBeGreaterThan(5);
  for (const text of policies) expect(() => parsePolicy(text, "help")).not.toThrow();
});
