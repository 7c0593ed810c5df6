/** The arguments of `scripts/bench.sh`. Pure. */
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";

import type { Case } from "./cases.ts";

export type Arguments = {
  readonly scope: "quick" | "full";
  readonly rounds: number;
  /** Duration of each load. */
  readonly seconds: number;
  readonly peers: boolean;
  readonly json: string | null;
  readonly html: string | null;
  /** Names of cases, empty for all. */
  readonly only: readonly string[];
  readonly profile: string | null;
};

export type Parsed =
  | { readonly kind: "run"; readonly arguments: Arguments }
  | { readonly kind: "help" }
  | { readonly kind: "mistake"; readonly text: string };

export function helpOf(cases: readonly Case[]): string {
  const named = `Cases, those of --quick with a *:\n${namesOf(cases)}\n`;
  return usage.replace("Examples:\n", `${named}\nExamples:\n`);
}

const usage = readFileSync(`${import.meta.dir}/usage.txt`, "utf8");

/** Unknown names are errors, so that no run of twenty minutes ends without its result. */
export function parse(argv: readonly string[], cases: readonly Case[]): Parsed {
  try {
    const { values } = parseArgs({ args: [...argv], options, strict: true });
    if (values.help === true) return { kind: "help" };
    const scope = values.quick === true ? "quick" : "full";
    if (values.quick === true && values.full === true)
      throw new Error("--quick or --full, not both");
    for (const name of [...(values.only ?? []), ...(values.profile ?? [])])
      if (!cases.some((one) => one.name === name)) throw new Error(noCase(name, cases));
    return {
      kind: "run",
      arguments: {
        scope,
        rounds: count("--rounds", values.rounds) ?? (scope === "quick" ? 1 : 3),
        seconds: count("--seconds", values.seconds) ?? (scope === "quick" ? 1 : 2),
        peers: values.peers ?? false,
        json: values.json ?? null,
        html: values.html ?? null,
        only: values.only ?? [],
        profile: values.profile?.at(-1) ?? null,
      },
    };
  } catch (error) {
    return { kind: "mistake", text: error instanceof Error ? error.message : String(error) };
  }
}

/** The cases selected by name, else those of the scope. */
export function chosen({ only, scope }: Arguments, cases: readonly Case[]): readonly Case[] {
  if (only.length > 0) return cases.filter(({ name }) => only.includes(name));
  return cases.filter(({ quick }) => scope === "full" || quick);
}

/** One kind of case a line. */
function namesOf(cases: readonly Case[]): string {
  const kinds = Map.groupBy(cases, ({ work }) => work.kind);
  return [...kinds.values()]
    .map((some) => some.map(({ name, quick }) => `  ${name}${quick ? "*" : ""}`).join(""))
    .join("\n");
}

function count(option: string, text: string | undefined): number | null {
  if (text === undefined) return null;
  if (/^[1-9]\d{0,2}$/.test(text)) return Number(text);
  throw new Error(`${option} wants a count from 1 to 999, not "${text}"`);
}

function noCase(name: string, cases: readonly Case[]): string {
  return `there is no case "${name}". The cases are ${cases.map((one) => one.name).join(", ")}`;
}

const options = {
  quick: { type: "boolean" },
  full: { type: "boolean" },
  rounds: { type: "string" },
  seconds: { type: "string" },
  peers: { type: "boolean" },
  only: { type: "string", multiple: true },
  json: { type: "string" },
  html: { type: "string" },
  profile: { type: "string", multiple: true },
  help: { type: "boolean", short: "h" },
} as const;
