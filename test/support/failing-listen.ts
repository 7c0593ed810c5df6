/**
 * Preloaded before the proxy: its call of Bun.listen with the number in FAILING_LISTEN fails, as for want of memory. With
 * NOTHING_FREE=1 no descriptor is free from then on.
 */
import { openSync } from "node:fs";

const real = Bun.listen;
let calls = 0;
function listen(options: Parameters<typeof real>[0]): ReturnType<typeof real> {
  calls += 1;
  if (calls !== Number(process.env["FAILING_LISTEN"])) return real(options);
  if (process.env["NOTHING_FREE"] === "1") takeAll();
  throw Object.assign(new Error("Failed to listen at "), { code: "ENOMEM", errno: 12 });
}

function takeAll(): void {
  try {
    for (;;) openSync("/dev/null", "r");
  } catch {
    // No descriptor is free.
  }
}

Object.assign(Bun, { listen });
