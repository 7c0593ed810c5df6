/** The kernel's notices of changes to rules or routes by any process. netlink(7), multicast. */
import type { Socket } from "bun";

import { Deadline } from "../runtime/deadline.ts";
import { ProxyError } from "../runtime/errors.ts";
import { netlinkFamily, openNotices } from "../native/netlink.ts";

export type Monitor = { readonly stop: () => void };

/** The subjects of notices; each needs a socket. */
export type Subject = "rules" | "routes";

/** A notice about the subject; null if notices were lost. */
export type Notice = (subject: Subject, bytes: Uint8Array | null) => void;

/**
 * Calls `notice` when something has changed. Bun reads a netlink socket like any other; if it overflows (ENOBUFS),
 * Bun closes it, and it is opened again, which counts as a notice. `handed`: sockets opened earlier with the
 * necessary privileges; they are not opened again. Throws SystemCallError.
 */
export function monitorRules(
  notice: Notice,
  subjects: readonly Subject[] = ["rules", "routes"],
  handed: HandedSubscriptions = {},
): Monitor {
  const monitors = subjects.map(
    (subject) => new Subscription(subject, notice, handed[subject] ?? null),
  );
  return {
    stop: () => {
      for (const monitor of monitors) monitor.stop();
    },
  };
}

/** Descriptors of notice sockets, by subject. */
export type HandedSubscriptions = Partial<Readonly<Record<Subject, number>>>;

/** A notice socket for `handed`. Throws SystemCallError: notices about rules need CAP_NET_ADMIN. */
export function openSubscription(subject: Subject): number {
  const { family, of } = sources[subject];
  return openNotices(family, of);
}

/** One notice socket. */
class Subscription {
  readonly #subject: Subject;
  readonly #notice: Notice;
  readonly #handed: boolean;
  #socket: Socket<null> | null = null;
  #reopening: Deadline | null = null;
  #stopped = false;

  constructor(subject: Subject, notice: Notice, handed: number | null) {
    this.#subject = subject;
    this.#notice = notice;
    this.#handed = handed !== null;
    this.#adopt(handed ?? openSubscription(subject));
  }

  stop(): void {
    this.#stopped = true;
    this.#reopening?.clear();
    this.#socket?.terminate();
  }

  #adopt(fd: number): void {
    const socket = {
      binaryType: "uint8array" as const,
      open: (opened: Socket<null>) => {
        this.#socket = opened;
        if (this.#stopped) opened.terminate();
      },
      data: (_: Socket<null>, chunk: Uint8Array) => {
        this.#notice(this.#subject, chunk);
      },
      close: () => {
        this.#reopen();
      },
      error: () => undefined,
    };
    void Bun.connect<null>({ fd, data: null, socket }).catch(() => {
      this.#reopen();
    });
  }

  /** Delayed, so that a flood of changes does not become a flood of sockets. */
  #reopen(): void {
    if (this.#stopped) return;
    if (this.#handed) {
      this.#notice(this.#subject, null);
      return;
    }
    this.#reopening = new Deadline(reopenMs, () => {
      try {
        this.#adopt(openSubscription(this.#subject));
        this.#notice(this.#subject, null);
      } catch (error) {
        if (!(error instanceof ProxyError)) throw error;
        this.#reopen(); // No descriptor is free, which is temporary.
      }
    });
  }
}

const reopenMs = 1000;
/** NFNLGRP_NFTABLES: linux/netfilter/nfnetlink.h. RTNLGRP_…: linux/rtnetlink.h. */
const groups = { nftables: 7, ipv4Route: 7, ipv4Rule: 8, ipv6Route: 11, ipv6Rule: 19 } as const;
const routeGroups = [groups.ipv4Route, groups.ipv4Rule, groups.ipv6Route, groups.ipv6Rule];
const sources = {
  rules: { family: netlinkFamily.netfilter, of: [groups.nftables] },
  routes: { family: netlinkFamily.route, of: routeGroups },
} as const;
