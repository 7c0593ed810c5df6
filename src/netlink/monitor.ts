/** Notices that the kernel sends when rules or routes change, whoever changed them. netlink(7), multicast. */
import type { Socket } from "bun";

import { Deadline } from "../deadline.ts";
import { ProxyError } from "../errors.ts";
import { netlinkFamily, openNotices } from "../native/netlink.ts";

export type Monitor = { readonly stop: () => void };

/**
 * Calls `notice` when something has changed: what, is for the caller to look up. Bun reads a netlink socket as any
 * other; one that overflowed (ENOBUFS) is closed by it, opened anew, and counts as a notice. Throws SystemCallError.
 */
export function monitorRules(notice: () => void): Monitor {
  const monitors = [
    new Hearing(netlinkFamily.netfilter, [groups.nftables], notice),
    new Hearing(
      netlinkFamily.route,
      [groups.ipv4Route, groups.ipv4Rule, groups.ipv6Route, groups.ipv6Rule],
      notice,
    ),
  ];
  return {
    stop: () => {
      for (const monitor of monitors) monitor.stop();
    },
  };
}

/** One socket of notices. */
class Hearing {
  readonly #family: number;
  readonly #groups: readonly number[];
  readonly #notice: () => void;
  #socket: Socket<null> | null = null;
  #reopening: Deadline | null = null;
  #stopped = false;

  constructor(family: number, of: readonly number[], notice: () => void) {
    this.#family = family;
    this.#groups = of;
    this.#notice = notice;
    this.#open();
  }

  stop(): void {
    this.#stopped = true;
    this.#reopening?.clear();
    this.#socket?.terminate();
  }

  #open(): void {
    const fd = openNotices(this.#family, this.#groups);
    const socket = {
      open: (opened: Socket<null>) => {
        this.#socket = opened;
        if (this.#stopped) opened.terminate();
      },
      data: this.#notice,
      close: () => {
        this.#reopen();
      },
      error: () => undefined,
    };
    void Bun.connect<null>({ fd, data: null, socket }).catch(() => {
      this.#reopen();
    });
  }

  /** Not at once: a flood of changes must not become one of sockets. */
  #reopen(): void {
    if (this.#stopped) return;
    this.#reopening = new Deadline(reopenMs, () => {
      try {
        this.#open();
        this.#notice();
      } catch (error) {
        if (!(error instanceof ProxyError)) throw error;
        this.#reopen(); // No descriptor is free: that passes.
      }
    });
  }
}

const reopenMs = 1000;
/** NFNLGRP_NFTABLES: linux/netfilter/nfnetlink.h. RTNLGRP_…: linux/rtnetlink.h. */
const groups = { nftables: 7, ipv4Route: 7, ipv4Rule: 8, ipv6Route: 11, ipv6Rule: 19 } as const;
