/** The messages about trial connections, at the start and in check. Pure. */
import type { Diversion, DiversionFailure } from "./diversion.ts";
import type { Drop } from "./trace.ts";
import type { Target } from "./targets.ts";
import { formatIp } from "../../net/address.ts";

export type ReportLine = { readonly severity: "I" | "W" | "E"; readonly text: string };

/** `legacy`: tables of iptables-legacy, which do not report what they drop. */
export function diversionLines(
  { works, veiled, failed }: Omit<Diversion, "unrouted">,
  legacy: readonly string[],
): readonly ReportLine[] {
  const lines: ReportLine[] = [];
  if (works.length > 0)
    lines.push({
      severity: "I",
      text: `trial connections were diverted and answered: ${rangesOf(works)}`,
    });
  for (const failure of veiled)
    lines.push({
      severity: "W",
      text:
        `${whoseText(failure, legacy)} what is diverted to ${placeOf(failure.target)}. Connections work anyway: on lo such packets ` +
        "have other addresses from now on (nft list table inet tls-tproxy-veil)",
    });
  for (const failure of failed)
    lines.push({ severity: severityOf(failure), text: failureText(failure, legacy) });
  return lines;
}

export function failureText(failure: DiversionFailure, legacy: readonly string[]): string {
  const place = placeOf(failure.target);
  if (failure.kind === "not-diverted")
    return `a trial connection to ${place} was not diverted: rules of others lead it elsewhere (tls-tproxy check names them)`;
  return `${whoseText(failure, legacy)} what is diverted to ${place}: applications cannot connect there. ${remedyOf(failure.drop)}`;
}

function severityOf({ kind }: DiversionFailure): ReportLine["severity"] {
  return kind === "not-diverted" ? "E" : "W";
}

/** "a rule of others (table ip filter, chain ts-input, rule handle 7) drops". */
function whoseText({ drop, kind }: DiversionFailure, legacy: readonly string[]): string {
  const act = kind === "refused" ? "refuses" : "drops";
  if (drop !== null) {
    const whose = drop.table.startsWith("inet tls-tproxy") ? "a rule of ours" : "a rule of others";
    const words = drop.text === "" ? "" : `: ${drop.text}`;
    const what = drop.handle === null ? "by its policy" : `rule handle ${drop.handle}${words}`;
    return `${whose} (table ${drop.table}, chain ${drop.chain}, ${what}) ${act}`;
  }
  if (legacy.length > 0)
    return `something (iptables-legacy has ${legacy.join(", ")}: iptables-legacy-save) ${act}`;
  return `something that is not an nftables rule (eBPF, a route, xfrm) ${act}`;
}

function remedyOf(drop: Drop | null): string {
  if (drop === null) return "Let packets on lo pass, or exclude the range (--exclude-cidr)";
  const list = `nft -a list chain ${drop.table} ${drop.chain}`;
  return `Look at it (${list}), let packets that come by lo pass before it, or exclude the range (--exclude-cidr)`;
}

function rangesOf(targets: readonly Target[]): string {
  return targets.map(({ range }) => range.text).join(", ");
}

function placeOf({ range, address }: Target): string {
  return `${range.text} (tried: ${formatIp(address.bytes)})`;
}
