/**
 * The environment variables TPROXY_…: settings, Kubernetes' additions for a Service with such a name, and mistakes.
 */
import type { Command } from "commander";

import type { FindingId } from "../tools/check/titles.ts";

export type Environment = Readonly<Record<string, string | undefined>>;

export type Note = {
  /** The title in `check`. */
  readonly id: FindingId;
  /** The observation, without a full stop. */
  readonly detail: string;
  /** What to do. */
  readonly remedy: string;
};

/**
 * Removes variables that are not settings. These are empty values, such as `TPROXY_EXCLUDE_CIDR=` from a template,
 * and URLs like tcp://10.96.3.4:8080, which Kubernetes sets for a Service named tproxy-… (kubernetes.io, "Accessing
 * the Service", "Environment Variables"). The names of the URL variables are kept for `environmentNotes`.
 */
export function takeOutForeign(environment: Record<string, string | undefined>): void {
  for (const [name, value] of Object.entries(environment)) {
    if (!name.startsWith(prefix)) continue;
    const isUrl = /^(tcp|udp|sctp):\/\//.test(value ?? "");
    if (isUrl) environment[ignored] = [environment[ignored] ?? "", name].join(" ").trim();
    if (isUrl || value === "") Reflect.deleteProperty(environment, name);
  }
}

/** Notes on names that are not settings. `known`: the names of settings. */
export function environmentNotes(
  environment: Environment,
  known: ReadonlySet<string>,
): readonly Note[] {
  const settings = (environment[ignored] ?? "").split(" ").filter((name) => known.has(name));
  const links: readonly Note[] = settings.map((name): Note => ({
    id: "environment",
    detail: `${name} is ignored: it is not a setting but the address of a Service named ${prefix.toLowerCase().replace("_", "-")}…, as Kubernetes sets it`,
    remedy: "Set enableServiceLinks: false in the pod's spec.",
  }));
  const unknown = Object.keys(environment).filter(
    (name) =>
      name.startsWith(prefix) && !known.has(name) && !others.has(name) && !isLink.test(name),
  );
  const mistakes = unknown.toSorted().map((name): Note => ({
    id: "environment",
    detail: `${name} is not a setting, and is ignored`,
    remedy: remedyOf(name, known),
  }));
  return [...links, ...mistakes];
}

/** The names of all options of all commands. */
export function knownSettings(program: Command): ReadonlySet<string> {
  const options = [program, ...program.commands].flatMap((command) => command.options);
  return new Set(options.flatMap(({ envVar }) => (envVar === undefined ? [] : [envVar])));
}

/** The closest name, if it is close enough for a spelling mistake. */
function remedyOf(name: string, known: ReadonlySet<string>): string {
  const [closest] = [...known]
    .map((one) => ({ one, distance: distanceOf(name, one) }))
    .filter(({ distance }) => distance <= distanceMax)
    .toSorted((a, b) => a.distance - b.distance);
  return closest === undefined
    ? "tls-tproxy --help names the options."
    : `Did you mean ${closest.one}?`;
}

/** The Levenshtein distance of texts of bounded length. */
function distanceOf(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, at) => at);
  for (const [i, character] of Array.from(a.slice(0, nameLengthMax)).entries()) {
    const next = [i + 1];
    for (let at = 0; at < b.length; at += 1) {
      const same = b[at] === character ? 0 : 1;
      const [left = 0, above = 0, both = 0] = [next[at], row[at + 1], row[at]];
      next.push(Math.min(left + 1, above + 1, both + same));
    }
    row = next;
  }
  return row.at(-1) ?? 0;
}

const prefix = "TPROXY_";
/** Passes the names over the re-execution. */
const ignored = "TPROXY_IGNORED_SETTINGS";
/** Read elsewhere: by the proxy itself, by its build and its tests. */
const others: ReadonlySet<string> = new Set([
  ignored,
  "TPROXY_REEXEC_STATE",
  "TPROXY_RULES_ALONE",
  "TPROXY_HOST_IPS",
  "TPROXY_EXECUTABLE",
  "TPROXY_IMAGE",
  "TPROXY_TEST_RULES",
  "TPROXY_COMMIT",
  "TPROXY_ENGINE_ROOT",
]);
/** TPROXY_WEB_SERVICE_HOST, TPROXY_WEB_PORT_80_TCP_ADDR and their like. */
const isLink = /_SERVICE_(HOST|PORT)(_\w+)?$|_PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?$/;
const distanceMax = 3;
const nameLengthMax = 100;
