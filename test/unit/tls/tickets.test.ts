import type { TLSOptions } from "bun";
import { expect, test } from "bun:test";

import {
  bytesMax,
  destinationsMax,
  eraMsMax,
  ticketBytesMax,
  Tickets,
  ticketsMax,
} from "../../../src/tls/tickets.ts";

const tls: TLSOptions = {};
const renewed: TLSOptions = {};

/** Stores `count` tickets of a destination, named by their numbers. */
function give(tickets: Tickets, destination: string, count = 1, bytes = 8): void {
  const { keep } = tickets.session(destination, tls, 0);
  for (let number = 0; number < count; number += 1)
    keep(Buffer.alloc(bytes, `${number}`.padEnd(bytes)));
}

/** The ticket that the next connection uses. */
function next(tickets: Tickets, destination: string, now = 0): string | null {
  const ticket = tickets.session(destination, tls, now).take();
  return ticket === null ? null : ticket.toString().trim();
}

/** All tickets of a destination. */
function rest(tickets: Tickets, destination: string): readonly string[] {
  const all: string[] = [];
  for (let turn = 0; turn < 2 * ticketsMax; turn += 1) {
    const one = next(tickets, destination);
    if (one === null) break;
    all.push(one);
  }
  return all;
}

test("a ticket is used once, the newest first, and only for its own destination", () => {
  const tickets = new Tickets();
  give(tickets, "10.0.0.1:80", 3);
  expect(next(tickets, "10.0.0.1:81")).toBeNull();
  expect(next(tickets, "10.0.0.2:80")).toBeNull();
  expect(rest(tickets, "10.0.0.1:80")).toEqual(["2", "1", "0"]);
});

test("a connection records whether it has used one", () => {
  const tickets = new Tickets();
  give(tickets, "a");
  const session = tickets.session("a", tls, 0);
  expect(session.taken).toBe(false);
  session.take();
  expect(session.taken).toBe(true);
  const without = tickets.session("a", tls, 0);
  without.take();
  expect(without.taken).toBe(false);
});

test("a destination keeps the newest ones", () => {
  const tickets = new Tickets();
  give(tickets, "a", ticketsMax + 2);
  const all = rest(tickets, "a");
  expect([all.length, all[0], all.at(-1)]).toEqual([ticketsMax, `${ticketsMax + 1}`, "2"]);
});

test("of too many destinations the one unused for longest is dropped", () => {
  const tickets = new Tickets();
  for (let number = 0; number < destinationsMax; number += 1) give(tickets, `${number}`);
  give(tickets, "0");
  give(tickets, "one more");
  expect(rest(tickets, "0")).toHaveLength(2);
  expect(rest(tickets, "1")).toEqual([]);
  expect(rest(tickets, "2")).toHaveLength(1);
  expect(rest(tickets, "one more")).toHaveLength(1);
});

test("a ticket that is too long is not kept, nor tickets beyond the total size", () => {
  const tickets = new Tickets();
  give(tickets, "a", 1, ticketBytesMax + 1);
  expect(rest(tickets, "a")).toEqual([]);
  const destinations = Math.ceil(bytesMax / (ticketsMax * ticketBytesMax)) + 2;
  const names = Array.from({ length: destinations }, (_, number) => `${number}`);
  for (const name of names) give(tickets, name, ticketsMax, ticketBytesMax);
  const sums = names.map((name) => rest(tickets, name).length * ticketBytesMax);
  const sum = sums.reduce((before, one) => before + one, 0);
  expect(sum).toBeLessThanOrEqual(bytesMax);
  expect(sum).toBeGreaterThan(bytesMax - ticketsMax * ticketBytesMax);
  expect(sums.at(-1)).toBe(ticketsMax * ticketBytesMax);
});

/** Several times more than there is room for. */
const manyMax = (2 * bytesMax) / ticketBytesMax;

test.each(["are given out", "make way for newer ones", "are abandoned"] as const)(
  "tickets that %s make room",
  (what) => {
    const tickets = new Tickets();
    for (let turn = 0; turn < manyMax; turn += 1) {
      give(tickets, "large", 1, ticketBytesMax);
      give(tickets, `${turn}`, 1, ticketBytesMax);
      if (what === "are given out") rest(tickets, "large");
      else if (what === "are abandoned") tickets.session(`${turn}`, tls, 0).abandon();
    }
    const last = ["last", "and last"];
    for (const name of last) give(tickets, name, ticketsMax, ticketBytesMax);
    for (const name of last) expect(rest(tickets, name)).toHaveLength(ticketsMax);
  },
);

test("after a change of credentials or policy no earlier ticket is used, and late ones are not kept", () => {
  const tickets = new Tickets();
  give(tickets, "a", 2);
  const before = tickets.session("a", tls, 0);
  const after = tickets.session("a", renewed, 0);
  expect(after.take()).toBeNull();
  expect(before.take()).toBeNull();
  before.keep(Buffer.from("late"));
  expect(before.take()).toBeNull();
  before.abandon();
  expect(tickets.session("a", renewed, 0).take()).toBeNull();
  after.keep(Buffer.from("fresh"));
  expect(tickets.session("a", renewed, 0).take()?.toString()).toBe("fresh");
});

test("a session is resumed up to its maximum age, from connection to connection, and no longer", () => {
  const tickets = new Tickets();
  give(tickets, "a");
  const session = tickets.session("a", tls, eraMsMax - 1);
  expect(session.take()).not.toBeNull();
  session.keep(Buffer.from("of the resumed one"));
  expect(next(tickets, "a", eraMsMax)).toBeNull();
});

test("after a failure there are no tickets until the next era", () => {
  const tickets = new Tickets();
  give(tickets, "a", 2);
  give(tickets, "b");
  tickets.session("a", tls, 0).abandon();
  give(tickets, "a");
  expect(rest(tickets, "a")).toEqual([]);
  expect(rest(tickets, "b")).toHaveLength(1);
  tickets.session("a", tls, eraMsMax).keep(Buffer.from("new"));
  expect(next(tickets, "a", eraMsMax)).toBe("new");
});
