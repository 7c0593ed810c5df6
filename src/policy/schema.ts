/** The schema of a policy file: the valid values of each field, and the message for others. Pure. */
import * as v from "valibot";

import { ProxyError } from "../runtime/errors.ts";
import { isTrustDomain } from "../identity/spiffe-id.ts";
import { parseCidr, type Cidr } from "../net/cidr.ts";
import { parsePortRange, type Ports } from "../net/ports.ts";
import { isForeignProtocol } from "../net/protocols.ts";
import { parseIdPattern, type IdPattern } from "./id-pattern.ts";
import { defaultMeshRanges, dnsTcpWords, modes, sourceModes } from "./policy.ts";

/** Ports with rules of their own; ranges, and patterns in a list, are limited by the file's length. */
const portsMax = 1000;
/** All of them are sent in each ClientHello. */
const protocolsMax = 8;

const mode = v.picklist(modes, "Write strict, audit, permissive or passthrough.");
const verify = v.picklist(["spiffe", "ip"], "Write spiffe or ip.");
const preserveSource = v.picklist(sourceModes, "Write ip-port, ip or off.");
const trustDomain = v.pipe(
  v.string("Write a trust domain like example.org."),
  v.check(isTrustDomain, "Write a trust domain like example.org, in lower case."),
);
const portHelp = "Write a port, 1 to 65535, or a range of ports like 8000-8100.";
/** In YAML a port is a number, and a range is text. */
const portRange = v.pipe(
  v.union([v.number(), v.string()], portHelp),
  v.rawTransform<number | string, Ports>((context) =>
    parsed(
      context,
      () => parsePortRange(String(context.dataset.value)),
      () => portHelp,
    ),
  ),
);
const portList = v.array(portRange, "Write a list of ports: [53, 8000-8100].");
const portKey = v.pipe(
  v.string(),
  v.check(isPortRange, "It must be a port, 1 to 65535, or a range like 8000-8100."),
);

const meshHelp = 'Write a range like 10.0.0.0/8 or "fd00::/8", or default for the private ranges.';
const range = v.pipe(
  v.string('Write a range like 10.0.0.0/8 or "fd00::/8".'),
  v.rawTransform<string, Cidr>((context) =>
    parsed(
      context,
      () => parseCidr(context.dataset.value),
      () => 'Write a range like 10.0.0.0/8 or "fd00::/8".',
    ),
  ),
);
const pattern = v.pipe(
  v.string(patternHelp()),
  v.rawTransform<string, IdPattern>((context) =>
    parsed(
      context,
      () => parseIdPattern(context.dataset.value),
      (error) => `${error.message}. ${patternHelp()}`,
    ),
  ),
);

const allow = v.array(pattern, `Write a list of SPIFFE IDs: ["spiffe://example.org/ns/a/sa/b"].`);
const ranges = v.array(range, "Write a list of ranges: [10.0.0.0/8].");
/** "default" stands for the private ranges. */
const meshRange = v.pipe(
  v.string(meshHelp),
  v.rawTransform<string, readonly Cidr[]>((context) =>
    parsed(
      context,
      () =>
        context.dataset.value === "default"
          ? defaultMeshRanges
          : [parseCidr(context.dataset.value)],
      () => meshHelp,
    ),
  ),
);
const meshRanges = v.pipe(
  v.array(meshRange, "Write a list of ranges: [default, 203.0.113.0/24]."),
  v.transform((found) => found.flat()),
);
const protocolHelp =
  "Write a protocol as ALPN names it: h2, http/1.1; tproxy/ is the proxies' own.";
const alpn = v.pipe(
  v.array(
    v.pipe(v.string(protocolHelp), v.check(isForeignProtocol, protocolHelp)),
    "Write a list of protocols: [h2].",
  ),
  v.minLength(1, "Write a protocol at least: [h2]."),
  v.maxLength(protocolsMax, `Write ${protocolsMax} protocols at most.`),
);
const portRule = v.strictObject(
  {
    mode: v.optional(mode),
    allow: v.optional(allow),
    preserveSource: v.optional(preserveSource),
    alpn: v.optional(alpn),
  },
  fieldsHelp("mode", "allow", "preserveSource", "alpn"),
);
const expectRule = v.pipe(
  v.strictObject(
    { to: range, allow: v.optional(allow), verify: v.optional(verify), alpn: v.optional(alpn) },
    fieldsHelp("to", "allow", "verify", "alpn"),
  ),
  v.check(
    ({ allow: who, verify: by, alpn: speaks }) =>
      who !== undefined || by !== undefined || speaks !== undefined,
    "Add allow, verify or both, which say which servers are expected; or alpn, which says what is offered.",
  ),
);

export const policySchema = v.strictObject(
  {
    trustDomain: v.optional(trustDomain),
    verify: v.optional(verify),
    inbound: v.optional(
      v.strictObject(
        {
          mode: v.optional(mode),
          allow: v.optional(allow),
          preserveSource: v.optional(preserveSource),
          ports: v.optional(
            v.pipe(
              v.record(portKey, portRule, "Write a port and its rule: 8080: { mode: strict }."),
              v.check(
                (ports) => Object.keys(ports).length <= portsMax,
                `Write ${portsMax} ports at most.`,
              ),
            ),
          ),
        },
        fieldsHelp("mode", "allow", "preserveSource", "ports"),
      ),
    ),
    outbound: v.optional(
      v.strictObject(
        {
          mesh: v.optional(meshRanges),
          exclude: v.optional(ranges),
          ports: v.optional(portList),
          excludePorts: v.optional(portList),
          dnsTcp: v.optional(v.picklist(dnsTcpWords, "Write leave or intercept.")),
          expect: v.optional(
            v.array(expectRule, "Write a list: - { to: 10.0.3.0/24, allow: [...] }."),
          ),
        },
        fieldsHelp("mesh", "exclude", "ports", "excludePorts", "dnsTcp", "expect"),
      ),
    ),
  },
  fieldsHelp("trustDomain", "verify", "inbound", "outbound"),
);

export type PolicyFields = v.InferOutput<typeof policySchema>;

type Context<T> = Pick<
  Parameters<Parameters<typeof v.rawTransform<unknown, T>>[0]>[0],
  "addIssue" | "NEVER"
>;

/** A value, or an issue with our own message. */
function parsed<T>(
  { addIssue, NEVER }: Context<T>,
  parse: () => T,
  words: (error: ProxyError) => string,
): T {
  try {
    return parse();
  } catch (error) {
    if (!(error instanceof ProxyError)) throw error;
    addIssue({ message: words(error) });
    return NEVER;
  }
}

function isPortRange(text: string): boolean {
  try {
    parsePortRange(text);
    return !/(^|-)0/.test(text);
  } catch (error) {
    if (error instanceof ProxyError) return false;
    throw error;
  }
}

function patternHelp(): string {
  return "Write a SPIFFE ID like spiffe://example.org/ns/a/sa/b; * may stand for one whole segment.";
}

/** The message for an unknown field, a missing one, and a value without fields. */
function fieldsHelp(...names: readonly string[]): string {
  return `The fields here are ${names.slice(0, -1).join(", ")} and ${names.at(-1)}.`;
}
