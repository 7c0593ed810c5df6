/**
 * What each end sees when the other one ends, resets or dies: between two pods without a proxy, and through both
 * proxies.
 */
import { beforeAll, describe, expect, test } from "bun:test";

import {
  alike,
  seen,
  seenAtLast,
  sides,
  Stage,
  unread,
  ways,
  type Row,
} from "../support/endings.ts";

const rows: readonly Row[] = [
  {
    event: "ends (FIN) and still receives the answer",
    play: async ({ actor, watcher }) => {
      await actor.say("hello");
      await actor.end();
      const there = await seen(watcher);
      await watcher.say("back");
      await watcher.end();
      return `${there}; answer: ${await seen(actor)}`;
    },
    sight: alike("5 bytes, end; answer: 4 bytes, end"),
  },
  {
    event: "half-closes, and the other direction continues in many turns",
    play: async ({ actor, watcher }) => {
      await actor.end();
      const there = await seen(watcher);
      for (let turn = 1; turn <= 300; turn += 1) {
        await watcher.say("x");
        await actor.received(turn);
      }
      await watcher.end();
      return `${there}; answer: ${await seen(actor)}`;
    },
    sight: alike("0 bytes, end; answer: 300 bytes, end"),
  },
  {
    event: "ends while megabytes are in transit to it",
    play: async ({ actor, watcher }) => {
      await actor.pause();
      const writing = watcher.write(20_000_000);
      await actor.say("hello");
      await actor.end();
      const there = await seen(watcher);
      await actor.resume();
      await writing;
      await watcher.end();
      return `${there}; answer: ${await seen(actor)}`;
    },
    sight: alike("5 bytes, end; answer: 20000000 bytes, end"),
  },
  {
    event: "resets (RST) after its bytes were read",
    play: async ({ actor, watcher }) => {
      await actor.say("hello");
      await watcher.received(5);
      await actor.reset();
      return await seen(watcher);
    },
    sight: alike("5 bytes, ECONNRESET"),
  },
  {
    event: "resets before its bytes were read",
    play: async ({ actor, watcher, watchers }) => {
      await watcher.pause();
      await actor.say("hello");
      await unread(watchers, 5);
      await actor.reset();
      await watcher.resume();
      return await seen(watcher);
    },
    sight: alike("5 bytes, ECONNRESET"),
  },
  {
    event: "resets when the other end has stopped reading and all buffers are full",
    play: async ({ actor, watcher, standstill }) => {
      await watcher.pause();
      actor.chatter("there ");
      await standstill();
      await actor.reset();
      await watcher.resume();
      return await seenAtLast(watcher);
    },
    sight: alike("some bytes, ECONNRESET"),
  },
  {
    event: "resets with bytes in transit in both directions",
    play: async ({ actor, watcher }) => {
      actor.chatter("there ");
      watcher.chatter("back ");
      await Promise.all([watcher.received(1_000_000), actor.received(1_000_000)]);
      await actor.reset();
      return await seenAtLast(watcher);
    },
    sight: alike("some bytes, ECONNRESET"),
  },
  {
    event: "resets after its own end",
    play: async ({ actor, watcher }) => {
      await actor.say("hello");
      await actor.end();
      const there = await seen(watcher);
      await actor.reset();
      return `${there}; then ${await watcher.gone()}`;
    },
    sight: alike("5 bytes, end; then EPIPE"),
  },
  {
    event: "resets after the other end's FIN",
    play: async ({ actor, watcher }) => {
      await watcher.end();
      await actor.finish();
      await actor.say("half an answer");
      await watcher.received(14);
      await actor.reset();
      return await seen(watcher);
    },
    sight: alike("14 bytes, ECONNRESET"),
  },
  {
    event: "is killed and has read everything (its kernel sends FIN)",
    mortal: true,
    play: async ({ actor, watcher, actors }) => {
      await actor.say("hello");
      await watcher.received(5);
      await actors.agent.kill();
      const there = await seen(watcher);
      await watcher.say("is anybody there?");
      return `${there}; having written: ${await watcher.gone()}`;
    },
    sight: alike("5 bytes, end; having written: EPIPE"),
  },
  {
    event: "is killed and has not read everything (its kernel sends RST)",
    mortal: true,
    play: async ({ actor, watcher, actors }) => {
      await actor.pause();
      await watcher.say("unread");
      await unread(actors, 6);
      await actors.agent.kill();
      return await seen(watcher);
    },
    sight: alike("0 bytes, ECONNRESET"),
  },
  {
    event: "is killed while its kernel holds bytes that the other end has not read",
    mortal: true,
    play: async ({ actor, watcher, actors }) => {
      await watcher.pause();
      await actor.write(100_000);
      await actors.agent.kill();
      await watcher.resume();
      return await seen(watcher);
    },
    sight: alike("100000 bytes, end"),
  },
  {
    event: "is killed with bytes in transit in both directions",
    mortal: true,
    play: async ({ actor, watcher, actors }) => {
      await watcher.say("hello");
      await actor.received(5);
      await actor.pause();
      actor.chatter("there ");
      watcher.chatter("back ");
      await Promise.all([watcher.received(1_000_000), unread(actors, 10_000)]);
      await actors.agent.kill();
      return await seenAtLast(watcher);
    },
    sight: alike("some bytes, ECONNRESET"),
  },
];

describe.each(ways)("%s", (way) => {
  const stage = new Stage();

  beforeAll(async () => {
    await stage.start(way);
  });

  describe.each(sides)("the %s", (by) => {
    test.each(rows.map((row) => [row.event, row] as const))("%s", async (_, row) => {
      expect(await stage.play(row, by)).toBe(row.sight[way]);
    });
  });

  test("no socket is left on any leg", async () => {
    expect(await stage.mesh.socketsLeft()).toEqual([]);
  });
});
