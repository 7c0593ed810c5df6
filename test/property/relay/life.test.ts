/** The states of a leg compared with a model of facts without states; and the table that documents them. */
import { expect, test } from "bun:test";
import fc from "fast-check";

import {
  hasPeerEnded,
  hasSentEnd,
  isBroken,
  isFlushing,
  isOver,
  isSettingUp,
  next,
  type LegEvent,
  type LegState,
} from "../../../src/relay/life.ts";

const events = [
  "ready",
  "joined",
  "peer-ended",
  "partner-ended",
  "flushed",
  "write-failed",
  "dismissed",
  "closed",
  "cut",
] as const satisfies readonly LegEvent[];
const starts = ["setting-up", "waiting"] as const;

/** The independent facts about a leg. */
type Facts = {
  isReady: boolean;
  isJoined: boolean;
  hasPeerEnded: boolean;
  hasPartnerEnded: boolean;
  hasSentEnd: boolean;
  hasWriteFailed: boolean;
  isDismissed: boolean;
  ending: "open" | "clean" | "cut";
};

function factsAt(start: (typeof starts)[number]): Facts {
  return {
    isReady: start === "waiting",
    isJoined: false,
    hasPeerEnded: false,
    hasPartnerEnded: false,
    hasSentEnd: false,
    hasWriteFailed: false,
    isDismissed: false,
    ending: "open",
  };
}

/** Each event sets a fact, unless earlier facts exclude it. */
function learn(facts: Facts, event: LegEvent): void {
  if (facts.ending !== "open") return;
  const { isReady, isJoined, hasPartnerEnded, hasWriteFailed, isDismissed } = facts;
  const writes = !isDismissed && !hasWriteFailed && !facts.hasSentEnd;
  if (event === "cut") facts.ending = "cut";
  else if (event === "closed") facts.ending = facts.hasSentEnd && !isDismissed ? "clean" : "cut";
  else if (event === "dismissed") facts.isDismissed = true;
  else if (event === "ready") facts.isReady ||= writes;
  else if (event === "joined") facts.isJoined ||= isReady && writes;
  else if (event === "peer-ended") facts.hasPeerEnded = true;
  else if (event === "partner-ended") facts.hasPartnerEnded ||= isJoined && writes;
  else if (event === "flushed") facts.hasSentEnd ||= hasPartnerEnded && writes;
  else facts.hasWriteFailed ||= writes;
}

/** The questions that relay/leg.ts asks of a state. */
function viewOf(state: LegState): unknown {
  return {
    ending: isOver(state) ? state : "open",
    isSettingUp: isSettingUp(state),
    hasPeerEnded: !isOver(state) && hasPeerEnded(state),
    isBroken: isBroken(state),
    isFlushing: isFlushing(state),
    hasSentEnd: hasSentEnd(state),
    isDismissed: state === "dismissed",
    carries: ["relaying", "sending"].includes(state),
  };
}

function viewOfFacts(facts: Facts): unknown {
  const { ending, isDismissed, hasWriteFailed } = facts;
  const lives = ending === "open" && !isDismissed;
  const writes = lives && !hasWriteFailed && !facts.hasSentEnd;
  return {
    ending,
    isSettingUp: writes && !facts.isReady,
    hasPeerEnded: ending === "open" && (facts.hasPeerEnded || isDismissed),
    isBroken: lives && hasWriteFailed,
    isFlushing: writes && facts.hasPartnerEnded,
    hasSentEnd: ending === "clean" || (lives && facts.hasSentEnd),
    isDismissed: ending === "open" && isDismissed,
    carries: writes && facts.isJoined && !facts.hasPartnerEnded,
  };
}

test("after any events the state and the facts agree", () => {
  const anyEvents = fc.array(fc.constantFrom(...events), { maxLength: 30 });
  fc.assert(
    fc.property(fc.constantFrom(...starts), anyEvents, (start, sequence) => {
      let state: LegState = start;
      const facts = factsAt(start);
      for (const event of sequence) {
        state = next(state, event);
        learn(facts, event);
        expect(viewOf(state)).toEqual(viewOfFacts(facts));
      }
    }),
    { numRuns: 2000 },
  );
});

test("a leg ends once, whatever happens to it, and every state leads to an end", () => {
  const states = reachable();
  for (const state of states) {
    expect(isOver(next(state, "cut"))).toBe(true);
    expect(isOver(next(state, "closed"))).toBe(true);
    if (isOver(state))
      expect(new Set(events.map((event) => next(state, event)))).toEqual(new Set([state]));
  }
});

test("the table in the comment has every state and every transition", async () => {
  const text = await Bun.file("src/relay/life.ts").text();
  const rows = [...text.matchAll(/^ \* \|(.*)\|$/gm)].map(([, row = ""]) =>
    row.split("|").map((cell) => cell.trim()),
  );
  const [head = [], , ...body] = rows;
  expect(head).toEqual(["state", ...events]);
  expect(body.length).toBe(reachable().size);
  expect(new Set<string | undefined>(body.map(([state]) => state))).toEqual(new Set(reachable()));
  for (const [state, ...cells] of body)
    for (const [index, event] of events.entries()) {
      const after = next(state as LegState, event);
      expect([state, event, cells[index]]).toEqual([state, event, after === state ? "·" : after]);
    }
});

/** All reachable states. */
function reachable(): ReadonlySet<LegState> {
  const found = new Set<LegState>(starts);
  for (const state of found) for (const event of events) found.add(next(state, event));
  return found;
}
