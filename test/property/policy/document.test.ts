/** Any policy file is a policy or a reported mistake; a printed policy is read back unchanged. */
import { expect, test } from "bun:test";
import fc from "fast-check";

import { defaultPolicy } from "../../../src/config.ts";
import { ProxyError } from "../../../src/runtime/errors.ts";
import { parsePolicy } from "../../../src/policy/document.ts";
import { effectivePolicy } from "../../../src/policy/effective.ts";
import { modes, type Policy } from "../../../src/policy/policy.ts";
import { printPolicy } from "../../../src/policy/print.ts";

function parsesOrTells(text: string): void {
  try {
    parsePolicy(text, "p.yaml");
  } catch (error) {
    if (!(error instanceof ProxyError) || error.code !== "POLICY_INVALID") throw error;
  }
}

test("any text is a policy or POLICY_INVALID", () => {
  fc.assert(fc.property(fc.oneof(fc.string(), fc.string({ unit: "binary" })), parsesOrTells), {
    numRuns: 2000,
  });
});

const segment = fc.stringMatching(/^[a-zA-Z0-9_-]{1,8}$/);
const id = fc
  .array(fc.oneof(segment, fc.constant("*")), { minLength: 1, maxLength: 5 })
  .map((path) => `spiffe://cluster.local/${path.join("/")}`);
const ids = fc.array(id, { maxLength: 4 });
const mode = fc.constantFrom(...modes);
const verify = fc.constantFrom("ip", "spiffe");
const range = fc.oneof(
  fc.tuple(fc.ipV4(), fc.integer({ min: 0, max: 32 })).map(([ip, bits]) => `${ip}/${bits}`),
  fc.integer({ min: 0, max: 0xffff }).map((word) => `fd00:${word.toString(16)}::/32`),
);
const port = fc.integer({ min: 1, max: 65_535 });
const none = { requiredKeys: [] };

const portRule = fc.record({ mode, allow: ids }, none);
/** Separate ranges, or one inside the other. */
const portKey = fc
  .tuple(fc.integer({ min: 1, max: 650 }), fc.constantFrom("whole", "half", "one"))
  .map(([block, size]) => {
    const first = 100 * block;
    if (size === "one") return String(first + 7);
    return `${first}-${first + (size === "whole" ? 99 : 49)}`;
  });
const ports = fc.dictionary(fc.oneof(portKey, fc.constantFrom("1", "65535")), portRule, {
  maxKeys: 4,
});
const portOrRange = fc.oneof(
  port,
  fc.tuple(port, port).map(([a, b]) => `${Math.min(a, b)}-${Math.max(a, b)}`),
);
const inbound = fc.record({ mode, allow: ids, ports }, none);
const expectRule = fc.record({ to: range, allow: ids, verify });
const outbound = fc.record(
  {
    mesh: fc.array(range, { maxLength: 4 }),
    exclude: fc.array(range, { maxLength: 4 }),
    ports: fc.array(portOrRange, { maxLength: 4 }),
    excludePorts: fc.array(portOrRange, { maxLength: 4 }),
    // Two ranges may be equal in different spellings: those are refused, and tested elsewhere.
    expect: fc.uniqueArray(expectRule, { maxLength: 4, selector: ({ to }) => to.split("/")[1] }),
  },
  none,
);
const trustDomain = fc.constantFrom("cluster.local", "example.org");
const policy = fc.record({ trustDomain, verify, inbound, outbound }, none);

const policyOf = (text: string): Policy =>
  effectivePolicy(defaultPolicy, parsePolicy(text, "p.yaml"));

/** The values without their locations. */
function valuesOf(of: Policy): unknown {
  const known = of.inbound.ports.filter(({ mode: own, allow }) => own !== null || allow !== null);
  const whole = { ...of, inbound: { ...of.inbound, ports: known } };
  return JSON.parse(
    JSON.stringify(whole, (key, value: unknown) => {
      if (key === "origin") return "";
      return typeof value === "bigint" ? String(value) : value;
    }),
  );
}

test("the output of policy --print is read back as the same policy", () => {
  fc.assert(
    fc.property(policy, (fields) => {
      const read = policyOf(JSON.stringify(fields));
      expect(valuesOf(policyOf(printPolicy(read)))).toEqual(valuesOf(read) as never);
    }),
    { numRuns: 500 },
  );
});

test("any JSON of nearly the right shape is a policy or POLICY_INVALID", () => {
  const wrong = fc.oneof(fc.jsonValue(), policy);
  const nearly = fc
    .record(
      { inbound: wrong, outbound: wrong, verify: wrong, trustDomain: wrong },
      { requiredKeys: [] },
    )
    .map((fields) => JSON.stringify(fields));
  fc.assert(fc.property(nearly, parsesOrTells), { numRuns: 1000 });
});
