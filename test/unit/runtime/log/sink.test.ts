import { expect, test } from "bun:test";

import { BoundedSink, linesWaitingMax } from "../../../../src/runtime/log/sink.ts";

/** A stderr that accepts data only when the test allows it. */
class Pipe {
  readonly taken: string[] = [];
  #full = Promise.withResolvers<number>();

  write(text: string): void {
    this.taken.push(text);
  }

  async flush(): Promise<number> {
    return await this.#full.promise;
  }

  read(): void {
    this.#full.resolve(0);
    this.#full = Promise.withResolvers<number>();
  }
}

test("a reader that stops loses lines, and is told afterwards how many", async () => {
  const pipe = new Pipe();
  const sink = new BoundedSink(pipe, (lines) => `lost ${lines}\n`);
  const all = linesWaitingMax + 11;
  for (let index = 0; index < all; index += 1) sink.write(`${index}\n`);
  expect(pipe.taken).toEqual(["0\n"]);
  pipe.read();
  await Bun.sleep(0);
  const [, rest = ""] = pipe.taken;
  expect(rest.split("\n")).toHaveLength(linesWaitingMax + 2);
  expect(rest).toEndWith(`${linesWaitingMax}\nlost 10\n`);
});

test("the end waits for the last line, but not forever", async () => {
  const pipe = new Pipe();
  const sink = new BoundedSink(pipe, () => "");
  sink.write("one\n");
  await sink.end();
  expect(pipe.taken).toEqual(["one\n"]);
});

test("deferrable lines are written together, before the next urgent one and at the end", async () => {
  const taken: string[] = [];
  const sink = new BoundedSink({ write: (text) => taken.push(text), flush: () => 0 }, () => "");
  for (const line of ["1\n", "2\n"]) sink.writeLater(line);
  expect(taken).toEqual([]);
  sink.write("3\n");
  for (const line of ["4\n", "5\n"]) sink.writeLater(line);
  await new Promise(setImmediate);
  sink.writeLater("6\n");
  await sink.end();
  expect(taken).toEqual(["1\n2\n", "3\n", "4\n5\n", "6\n"]);
});

function closed(): never {
  throw new Error("EPIPE: broken pipe");
}

test("a closed stderr ends nothing", async () => {
  for (const writer of [
    { write: closed, flush: closed },
    { write: () => 0, flush: closed },
    { write: () => 0, flush: async () => await Promise.reject(new Error("EPIPE")) },
  ]) {
    const sink = new BoundedSink(writer, () => "");
    sink.write("1\n");
    sink.writeLater("2\n");
    await new Promise(setImmediate);
    sink.write("3\n");
    await sink.end();
  }
});
