/** `--json`: only one object on stdout, the same exit code as without, and ids that the topic `json` lists. */
import { writeFileSync } from "node:fs";
import { expect, test } from "bun:test";

import { failureIds, itemIds, topicIds } from "../../src/cli/item-ids.ts";
import { makeProgram } from "../../src/cli/program.ts";
import { executable } from "../support/pods.ts";
import { temporaryDirectory } from "../support/temporary.ts";
import { topicText } from "../support/topics.ts";
import { tproxy } from "../support/tproxy.ts";

type Item = { readonly id: string; readonly level: string; readonly message: string };
type Report = {
  readonly schema: number;
  readonly command: string;
  readonly ok: boolean;
  readonly items: readonly Item[];
};
const directory = temporaryDirectory();
const policy = `${directory}/policy.yaml`;
const broken = `${directory}/broken.yaml`;
writeFileSync(
  policy,
  `trustDomain: cluster.local
inbound:
  ports: { 8080: { allow: ["spiffe://cluster.local/web"], alpn: [h2] }, 9090: { mode: audit } }
outbound:
  mesh: [10.0.0.0/8]
  expect: [{ to: 10.1.0.0/16, verify: ip, alpn: [h2] }]
`,
);
writeFileSync(broken, "inbound:\n  mod: strict\noutbound:\n  excludePorts: [0]\n");

const withJson = makeProgram()
  .commands.filter(({ options }) => options.some(({ long }) => long === "--json"))
  .map((one) => one.name());

/** Ids in code spans of a section: up to the next heading. */
function listed(heading: string): readonly string[] {
  const section = topicText("json").split(`\n## ${heading}\n`)[1]?.split("\n## ")[0] ?? "";
  const rows = section
    .split("\n")
    .map((line) => (line.startsWith("|") ? line.split("|")[1] : line));
  return [...rows.join("\n").matchAll(/`([a-z][a-z0-9-]*)`/g)].map(([, id = ""]) => id);
}

/** Words of the topic that are not ids: the names of fields. */
const fields = new Set(["section", "value", "field", "origin", "set", "chain", "title", "line"]);

test("every command that lists something has --json", () => {
  expect(withJson.toSorted()).toEqual([...Object.keys(itemIds), "help"].toSorted());
  expect(withJson).toEqual(
    expect.arrayContaining(["check", "policy", "why", "rules", "version", "selftest"]),
  );
});

test.each(Object.keys(itemIds))("the topic lists exactly the ids of %s", (command) => {
  const shown = listed(command).filter((one) => !fields.has(one));
  expect([...new Set(shown)].toSorted()).toEqual((itemIds[command] ?? []).toSorted());
});

test("the topic lists exactly the ids of failures", () => {
  const shown = listed("Failures").filter(
    (one) => !fields.has(one) && one !== "ok" && one !== "bad",
  );
  expect(shown.toSorted()).toEqual([...failureIds].toSorted());
});

test("every id is a word in kebab-case", () => {
  for (const id of [...Object.values(itemIds).flat(), ...failureIds, ...topicIds])
    expect(id).toMatch(/^[a-z][a-z0-9]*(-[a-z0-9]+)*$/);
});

const peer = "spiffe://cluster.local/other";
const calls: readonly (readonly string[])[] = [
  ["check", "--mesh-cidr", "10.8.0.0/16", "--inbound-port", "8080"],
  ["check", "--host"],
  ["check", "--only-uid", "5", "--exclude-uid", "5"],
  ["policy", "--check", policy],
  ["policy", "--check", broken],
  ["policy", "--check", "/nonexistent"],
  ["policy", "--print", "--policy", policy],
  ["policy", "--print", "--policy", broken],
  ["policy"],
  ["why", "10.0.3.7:5432", "--policy", policy],
  ["why", "10.1.3.7:5432", "--policy", policy],
  ["why", "8.8.8.8:53", "--policy", policy],
  ["why", "--inbound", "10.0.0.1:8080", "--policy", policy, "--peer", peer],
  ["why", "--inbound", "10.0.0.1:9090", "--policy", policy],
  ["why", "--inbound", "127.0.0.1:9090"],
  ["why", "--inbound", "10.0.0.1:15020"],
  ["why", "10.0.0.1"],
  ["rules", "--print", "--policy", policy],
  ["rules", "--print", "--mesh-cidr", "x"],
  ["rules"],
  ["ready", "--status-address", "127.0.0.1:1"],
  ["selftest", "--handshakes", "10"],
  ["version"],
  ["version", "--certt"],
  ["help"],
  ["help", "close_notify"],
  ["help", "xyzzy"],
];

test("every command with --json is tested here", () => {
  const called = calls.map(([command = ""]) => command);
  expect([...new Set(called)].toSorted()).toEqual(withJson.toSorted());
});

test.each(calls.map((args) => [args.map((one) => one.replace(directory, "…")).join(" "), args]))(
  "%s: one object, known ids, the same exit code and the same stderr",
  (_name, args) => {
    const [command = ""] = args;
    const said = tproxy([...args, "--json"]);
    const plain = tproxy(args);
    expect([said.code, said.error]).toEqual([plain.code, plain.error]);
    const report = JSON.parse(said.out) as Report;
    expect(Object.keys(report)).toEqual(["schema", "command", "ok", "items"]);
    expect([report.schema, report.command, report.ok]).toEqual([1, command, said.code === 0]);
    expect(report.items.length).toBeGreaterThan(0);
    const known = new Set([...(itemIds[command] ?? topicIds), ...failureIds]);
    for (const { id, level, message } of report.items) {
      expect([id, known.has(id)]).toEqual([id, true]);
      expect(["good", "info", "warning", "bad"]).toContain(level);
      expect([message.includes("\n"), message.length > 0]).toEqual([false, true]);
    }
  },
);

test("every error in a policy is an item with its line", () => {
  const { out } = tproxy(["policy", "--check", broken, "--json"]);
  expect((JSON.parse(out) as Report).items).toEqual([
    expect.objectContaining({ id: "policy-invalid", level: "bad", line: 2 }),
    expect.objectContaining({ id: "policy-invalid", level: "bad", line: 4 }),
  ]);
});

test("a printed rule of the policy has its field, its value and its origin", () => {
  const { out } = tproxy(["policy", "--print", "--policy", policy, "--verify", "ip", "--json"]);
  const { items } = JSON.parse(out) as Report;
  expect(items).toContainEqual(
    expect.objectContaining({ id: "verify", field: "verify", value: "ip", origin: "--verify" }),
  );
  expect(items).toContainEqual(
    expect.objectContaining({
      id: "inbound-port",
      field: "inbound.ports.8080.allow",
      value: ["spiffe://cluster.local/web"],
    }),
  );
});

test("the items match the rules in the text", () => {
  const print = ["rules", "--print", "--policy", policy];
  const text = tproxy(print).out;
  const { items } = JSON.parse(tproxy([...print, "--json"]).out) as Report;
  const ruled = items.filter(({ id }) => ["nft-rule", "ip-command"].includes(id));
  expect(ruled.length).toBeGreaterThan(20);
  for (const { message } of ruled) expect(text).toContain(message);
});

test("a text that could mislead a terminal is escaped, and read back unchanged", () => {
  const name = `${directory}/\u202Enone.yaml`;
  const { out } = tproxy(["policy", "--check", name, "--json"]);
  expect(out).not.toContain("\u202E");
  expect((JSON.parse(out) as Report).items[0]?.message).toContain("none.yaml");
});

test("a slow reader of a pipe gets all of a long output", async () => {
  const long = `${directory}/long.yaml`;
  const ports = Array.from({ length: 400 }, (_, at) => `${8000 + at}: { mode: audit }`);
  writeFileSync(long, `inbound:\n  ports: { ${ports.join(", ")} }\n`);
  const command = [...executable(), "policy", "--print", "--policy", long, "--json"];
  // The program has written what a pipe takes long before its reader begins.
  const shell = ["sh", "-c", '"$@" | (sleep 1; cat)', "sh", ...command];
  const text = await new Response(Bun.spawn(shell, { stderr: "inherit" }).stdout).text();
  expect(text.length).toBeGreaterThan(65_536);
  expect((JSON.parse(text) as Report).ok).toBe(true);
});

test("a full device is an error of one line", () => {
  const command = ["sh", "-c", '"$@" >/dev/full', "sh", ...executable(), "help", "options"];
  const { exitCode, stderr } = Bun.spawnSync(command);
  expect([exitCode, stderr.toString()]).toEqual([1, "tls-tproxy: stdout takes no more: ENOSPC\n"]);
});

test("a reader that closes its end early is no error", () => {
  const script = '{ "$@" 2>&1; echo "exit $?" >&2; } | head -c 1';
  const command = ["sh", "-c", script, "sh", ...executable(), "help", "options"];
  expect(Bun.spawnSync(command).stderr.toString()).toBe("exit 0\n");
});
