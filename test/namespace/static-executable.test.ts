/** bin/tproxy is one static file, and its environment does not change what it runs. */
import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { expect, test } from "bun:test";

import { Elf, segmentType } from "../../scripts/static/linker/elf.ts";
import { builtExecutable } from "../support/pods.ts";
import { temporaryDirectory } from "../support/temporary.ts";

const executable = builtExecutable();
const bytesMax = 110_000_000;

type Said = { readonly code: number; readonly out: string; readonly error: string };

function tproxy(args: readonly string[], env: Record<string, string> = {}, cwd = "/"): Said {
  const { exitCode, stdout, stderr } = Bun.spawnSync([executable, ...args], { env, cwd });
  return { code: exitCode, out: stdout.toString(), error: stderr.toString() };
}

const version: Said = {
  code: 0,
  out: expect.stringMatching(/^tls-tproxy \d+\.\d+\.\d+\n$/) as string,
  error: "",
};

test("it needs no loader, and has no dynamic section", () => {
  const elf = new Elf(readFileSync(executable), executable);
  expect(elf.find(segmentType.interpreter)).toBeNull();
  expect(elf.find(segmentType.dynamic)).toBeNull();
  expect(elf.loads.length).toBeGreaterThan(0);
});

test("no segment is writable and executable", () => {
  const elf = new Elf(readFileSync(executable), executable);
  const [execute, write] = [1, 2];
  const both = elf.segments.filter(({ flags }) => (flags & execute) > 0 && (flags & write) > 0);
  expect(both).toEqual([]);
});

test("it is no larger than 110 MB", () => {
  expect(statSync(executable).size).toBeLessThanOrEqual(bytesMax);
});

test("it prints its version without any environment", () => {
  expect(tproxy(["--version"])).toEqual(version);
});

test("it prints how it was built", () => {
  const { code, out } = tproxy(["version"]);
  const facts = Object.fromEntries(out.split("\n").map((line) => line.split(/ +/)));
  expect(code).toBe(0);
  expect(facts).toMatchObject({
    version: expect.stringMatching(/^\d+\.\d+\.\d+$/) as string,
    commit: expect.stringMatching(/^([0-9a-f]{12}(-dirty)?|unknown)$/) as string,
    bun: "1.4.5",
    zig: "0.16.0",
    flavour: "static",
  });
});

test.each([
  ["BUN_BE_BUN", "1"],
  ["BUN_OPTIONS", "--print=1"],
  ["BUN_OPTIONS", "--no-such-option"],
  ["NODE_OPTIONS", "--no-such-option"],
  ["BUN_INSPECT", "ws://127.0.0.1:0/"],
  ["BUN_JSC_dumpOptions", "2"],
  ["BUN_JSC_useJIT", "perhaps"],
  ["MIMALLOC_VERBOSE", "1"],
])("%s=%s in the environment changes nothing", (name, value) => {
  expect(tproxy(["--version"], { [name]: value })).toEqual(version);
});

test("all of them at once, among others that stay, change nothing", () => {
  const settings = { BUN_BE_BUN: "1", NODE_OPTIONS: "--no-such-option", BUN_JSC_useJIT: "perhaps" };
  const env = { TPROXY_TCP_PORT: "7", ...settings, TPROXY_TLS_PORT: "8" };
  const printed = tproxy(print, env);
  expect(printed).toEqual(tproxy(print, { TPROXY_TCP_PORT: "7", TPROXY_TLS_PORT: "8" }));
  expect(printed).not.toEqual(tproxy(print));
});

test("a .env in the working directory changes nothing", () => {
  const directory = temporaryDirectory();
  const plain = tproxy(print, {}, directory);
  for (const name of [".env", ".env.local", ".env.production", ".env.development"])
    writeFileSync(`${directory}/${name}`, "TPROXY_TCP_PORT=7\nBUN_BE_BUN=1\n");
  expect(plain.code).toBe(0);
  expect(tproxy(print, { TPROXY_TCP_PORT: "7" }, directory)).not.toEqual(plain);
  expect(tproxy(print, {}, directory)).toEqual(plain);
});

test("a bunfig.toml in the working directory changes nothing, and loads no module", () => {
  const directory = temporaryDirectory();
  const preload = 'import { writeFileSync } from "node:fs"; writeFileSync("preloaded", "");';
  writeFileSync(`${directory}/preload.ts`, preload);
  writeFileSync(`${directory}/bunfig.toml`, 'preload = ["./preload.ts"]\nlogLevel = "debug"\n');
  writeFileSync(`${directory}/package.json`, "{ broken");
  writeFileSync(`${directory}/tsconfig.json`, "{ broken");
  expect(tproxy(["--version"], { HOME: directory, XDG_CONFIG_HOME: directory }, directory)).toEqual(
    version,
  );
  expect(readdirSync(directory).toSorted()).toEqual([
    "bunfig.toml",
    "package.json",
    "preload.ts",
    "tsconfig.json",
  ]);
});

/** A command that shows the environment's effect without changing anything. */
const print = ["rules", "--print", "--mesh-cidr", "10.0.0.0/8", "--inbound-port", "80"];
