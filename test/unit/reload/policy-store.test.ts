/** A policy that cannot be put in force: it is tried again, unless only a restart can help. */
import { writeFileSync } from "node:fs";
import { expect, test } from "bun:test";

import { defaultPolicy } from "../../../src/config.ts";
import { PolicyStore, readPolicy } from "../../../src/reload/policy-store.ts";
import { ProxyError, type ErrorCode } from "../../../src/runtime/errors.ts";
import { temporaryDirectory } from "../../support/temporary.ts";

const retryMs = { first: 5, max: 10 };
const { inbound } = defaultPolicy;
const other = {
  ...defaultPolicy,
  inbound: { ...inbound, mode: { value: "permissive", origin: "test" } },
} as const;

/** A store whose policy changes when `change` is called, and whose changes fail with this code for `failures` times. */
function failing(code: ErrorCode, failures: number) {
  const resolvConf = `${temporaryDirectory()}/resolv.conf`;
  writeFileSync(resolvConf, "");
  const reasons: string[] = [];
  const done = Promise.withResolvers<void>();
  const state = { attempts: 0, reasons, succeeded: done.promise };
  let isChanged = false;
  const source = {
    file: null,
    get base() {
      return isChanged ? other : defaultPolicy;
    },
    lockoutGuard: null,
    ownAddresses: () => [],
    resolvConf,
  };
  const store = new PolicyStore({
    source,
    first: readPolicy(source),
    replaced: async () => {
      state.attempts += 1;
      if (state.attempts <= failures) throw new ProxyError(code, "no good");
      done.resolve();
      await Promise.resolve();
    },
    moved: () => undefined,
    kept: (reason) => void reasons.push(reason),
    retryMs,
  });
  const change = async (): Promise<void> => {
    isChanged = true;
    await store.reload();
  };
  return { store, state, change };
}

test("a change that the machine refused is tried again until it is in force, and reported once", async () => {
  const { store, state, change } = failing("START_FAILED", 3);
  await change();
  await state.succeeded;
  expect([state.attempts, state.reasons]).toEqual([4, ["no good"]]);
  store.stop();
});

test("a change that only a restart can put in force is reported once and not tried again", async () => {
  const { store, state, change } = failing("RESTART_NEEDED", 1);
  await change();
  // Many times as long as the longest pause between two attempts.
  await Bun.sleep(20 * retryMs.max);
  expect([state.attempts, state.reasons]).toEqual([1, ["no good"]]);
  store.stop();
});
