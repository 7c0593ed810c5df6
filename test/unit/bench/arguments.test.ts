import { expect, test } from "bun:test";

import { chosen, helpOf, parse, type Arguments } from "../../../scripts/bench/arguments.ts";
import { cases } from "../../../scripts/bench/cases.ts";

function wanted(...argv: readonly string[]): Arguments {
  const parsed = parse(argv, cases);
  if (parsed.kind !== "run") throw new Error(JSON.stringify(parsed));
  return parsed.arguments;
}

test("without options all cases run in full", () => {
  expect(wanted()).toEqual(wanted("--full"));
  expect(wanted()).toMatchObject({ scope: "full", rounds: 3, seconds: 2, peers: false });
  expect(chosen(wanted(), cases)).toEqual(cases);
});

test("--quick runs one round of some cases", () => {
  expect(wanted("--quick")).toMatchObject({ scope: "quick", rounds: 1, seconds: 1 });
  const quick = chosen(wanted("--quick"), cases);
  expect(quick.length).toBeGreaterThan(5);
  expect(quick.length).toBeLessThan(cases.length);
});

test("--only selects cases, in their usual order", () => {
  const only = wanted("--quick", "--only", "new-1", "--only", "latency");
  expect(chosen(only, cases).map(({ name }) => name)).toEqual(["latency", "new-1"]);
});

test.each([
  [["--quick", "--full"], "--quick or --full"],
  [["--rounds", "0"], "--rounds wants a count"],
  [["--rounds", "three"], "--rounds wants a count"],
  [["--only", "nothing"], 'no case "nothing". The cases are latency'],
  [["--colour"], "--colour"],
  [["again"], "again"],
])("%p is refused", (argv, text) => {
  const parsed = parse(argv, cases);
  expect(parsed).toMatchObject({ kind: "mistake" });
  expect(JSON.stringify(parsed)).toContain(JSON.stringify(text).slice(1, -1));
});

test("--help lists every option and every case", () => {
  const help = helpOf(cases);
  expect(parse(["--help"], cases)).toEqual({ kind: "help" });
  for (const option of Object.keys(wanted()).filter((name) => name !== "scope"))
    expect(help).toContain(`--${option} `);
  for (const { name } of cases) expect(help).toContain(`  ${name}`);
});

test("case names are unique and contain no blanks", () => {
  const names = cases.map(({ name }) => name);
  expect(new Set(names).size).toBe(names.length);
  expect(names.filter((name) => !/^[a-z0-9-]+$/.test(name))).toEqual([]);
});
