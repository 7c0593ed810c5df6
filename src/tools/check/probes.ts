/** What the kubelet may ask, and from where: the gateway's address is known only here. */
import type { Probes } from "../../probe/probe.ts";
import { good, type Finding } from "./finding.ts";

export function findProbes({ mode, declared, sources }: Probes): readonly Finding[] {
  if (declared.length === 0) return [];
  const [what, whence] = [declared, sources].map((all) => all.map(({ text }) => text).join(", "));
  return [good("probes", `${mode}: ${what} from ${whence}`)];
}
