/**
 * The kernel's conntrack table. Some of our options need it (the topic host), and so may other rules of the pod; once
 * it is full the kernel drops new connections, which then hang without any message: so it is logged.
 */
import { readFileSync } from "node:fs";

import { Ticker } from "../runtime/deadline.ts";
import type { Log } from "../runtime/log/log.ts";

/** nf_conntrack(7): this namespace's entries, and the limit for each namespace. */
export type Tracked = { readonly entries: number; readonly max: number };

/** Null if nothing is tracked. */
export function readTracked(): Tracked | null {
  const [entries, max] = ["count", "max"].map(numberOf);
  return entries == null || max == null ? null : { entries, max };
}

/** Logs when the table is full, and when it no longer is. Returns a function that ends this. */
export function watchTracked(
  log: Log,
  read: () => Tracked | null = readTracked,
  everyMs: number = lookMs,
): () => void {
  let isFull = false;
  const ticker = new Ticker(everyMs, () => {
    const tracked = read();
    if (tracked === null) return;
    const { entries, max } = tracked;
    const share = entries / max;
    if (!isFull && share >= 1) {
      isFull = true;
      log.write("E", "conntrack", fullText(tracked), { entries, max });
    } else if (isFull && share < relievedShare) {
      isFull = false;
      log.write("I", "conntrack", `the table has room again: ${entries} of ${max} entries`);
    }
  });
  return () => {
    ticker.stop();
  };
}

function fullText({ entries, max }: Tracked): string {
  return (
    `the table of tracked connections is full, ${entries} of ${max}: the kernel drops new connections, and those are ` +
    "cut that it has forgotten. Raise net.netfilter.nf_conntrack_max on the node"
  );
}

function numberOf(name: string): number | null {
  try {
    return Number(readFileSync(`/proc/sys/net/netfilter/nf_conntrack_${name}`, "latin1"));
  } catch {
    return null; // No conntrack in this kernel.
  }
}

const lookMs = 5000;
const relievedShare = 0.9;
