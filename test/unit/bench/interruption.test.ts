import { expect, test } from "bun:test";

import { interruptible } from "../../../scripts/bench/interruption.ts";

const module = `${import.meta.dir}/../../../scripts/bench/interruption.ts`;

/** A process that ends on request, after a short clean-up. */
const script = `
import { interruptible } from ${JSON.stringify(module)};
process.on("exit", () => console.log("last"));
process.exitCode = await interruptible(async (stop) => {
  const stopped = new Promise((resolve) => stop.addEventListener("abort", resolve));
  const alive = setInterval(() => undefined, 1000);
  console.log("working");
  await stopped;
  clearInterval(alive);
  await Bun.sleep(1);
  console.log("away");
  stop.throwIfAborted();
  return 0;
});
`;

test.each(["SIGINT", "SIGTERM"] as const)(
  "%s ends the process after the clean-up",
  async (signal) => {
    const child = Bun.spawn(["bun", "--eval", script], {
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
    });
    let output = "";
    for await (const chunk of child.stdout) {
      output += new TextDecoder().decode(chunk);
      if (output === "working\n") child.kill(signal);
    }
    await child.exited;
    expect(output).toBe("working\naway\nlast\n");
    expect(child.signalCode).toBe(signal);
  },
);

test("an error of its own stays an error", async () => {
  const failing = interruptible(async () => await Promise.reject(new Error("no pods")));
  expect(await failing.catch(String)).toBe("Error: no pods");
  expect(await interruptible(async () => await Promise.resolve(3))).toBe(3);
});
