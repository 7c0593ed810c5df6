/** A proxy's status, requested in its own pod. */
import type { Pod } from "./pods.ts";
import { curl } from "./programs.ts";

export type Ready = { readonly status: number; readonly text: string };

export async function readyz(pod: Pod): Promise<Ready> {
  const { output } = await curl(pod, "-w", "\n%{http_code}", "http://127.0.0.1:15020/readyz");
  const lines = output.trimEnd().split("\n");
  return { status: Number(lines.pop()), text: lines.join("\n").trimEnd() };
}

/** Asks until the answer has this status. */
export async function readyzOnce(pod: Pod, status: number): Promise<Ready> {
  for (;;) {
    const ready = await readyz(pod);
    if (ready.status === status) return ready;
  }
}

/** Samples by name and labels: `tproxy_tcp_open_total{direction="inbound"}`. */
export async function metrics(pod: Pod): Promise<ReadonlyMap<string, number>> {
  const { output } = await curl(pod, "http://127.0.0.1:15020/metrics");
  const samples = output.matchAll(/^([a-z_]+(?:\{[^}]*\})?) (\S+)$/gm);
  return new Map([...samples].map(([, name, value]) => [name ?? "", Number(value)]));
}

/** Asks until a sample matches: the proxy may count a moment after its peer has noticed. */
export async function metricOnce(
  pod: Pod,
  name: string,
  fits: (value: number) => boolean,
): Promise<ReadonlyMap<string, number>> {
  for (;;) {
    const all = await metrics(pod);
    if (fits(all.get(name) ?? Number.NaN)) return all;
  }
}

/** Waits until a counter has grown by `by`: for work beside a test, at any speed. */
export async function metricGrows(pod: Pod, name: string, by: number): Promise<void> {
  const before = (await metrics(pod)).get(name) ?? 0;
  await metricOnce(pod, name, (value) => value >= before + by);
}
