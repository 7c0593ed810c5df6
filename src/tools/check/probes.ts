/** The kubelet's allowed probes and their sources: only here is the gateway's address known. */
import type { Probes } from "../../probe/probe.ts";
import { good, type Finding } from "./finding.ts";

export function findProbes({ mode, declared, sources }: Probes): readonly Finding[] {
  if (declared.length === 0) return [];
  const [what, whence] = [declared, sources].map((all) => all.map(({ text }) => text).join(", "));
  return [good("probes", `${mode}: ${what} from ${whence}`)];
}
