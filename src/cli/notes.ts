/** Configurations that work but are probably unintended: a warning at the start, and in `check`. */
import { type PolicySource, judgedPolicy } from "../policy/policy-file.ts";
import { type Fixed, isByOwner } from "../intercept/rules/interception.ts";
import { ProxyError } from "../runtime/errors.ts";
import { coverageText, servicesText, uncovered } from "../policy/coverage.ts";
import type { Policy } from "../policy/policy.ts";
import { environmentNotes, type Environment, type Note } from "./environment.ts";
import { namedApiServer, serviceAddress } from "./api-server.ts";

export type NoteContext = {
  readonly environment: Environment;
  /** Names of all settings: environment.ts. */
  readonly known: ReadonlySet<string>;
};

/** No notes on the policy if a start would refuse it. */
export function notesOf(
  source: PolicySource,
  fixed: Fixed,
  { environment, known }: NoteContext,
): readonly Note[] {
  const policy = goodPolicy(source);
  return [
    ...environmentNotes(environment, known),
    ...(policy === null
      ? []
      : [
          ...coverageNotes(policy, source),
          ...servicesNotes(policy, environment),
          ...aliasNotes(policy, fixed),
        ]),
    ...serverNotes(fixed, environment),
  ];
}

function goodPolicy(source: PolicySource): Policy | null {
  try {
    return judgedPolicy(source, null);
  } catch (error) {
    if (error instanceof ProxyError) return null;
    throw error;
  }
}

/** A host with configured mesh ranges may itself have any address. */
function coverageNotes(
  policy: Policy,
  { lockoutGuard, ownAddresses }: PolicySource,
): readonly Note[] {
  if (lockoutGuard !== null && policy.outbound.mesh.origin !== "default") return [];
  const found = uncovered(policy, ownAddresses());
  if (found.length === 0) return [];
  return [{ id: "mesh-coverage", detail: coverageText(policy, found), remedy: readMore }];
}

function servicesNotes(policy: Policy, environment: Environment): readonly Note[] {
  const server = serviceAddress(environment);
  const detail = server === null ? null : servicesText(policy, server);
  return detail === null ? [] : [{ id: "service-addresses", detail, remedy: readMore }];
}

/**
 * If users are selected, answers to a client's own address may not reach the proxy: original-source/return-path.ts.
 */
function aliasNotes({ inbound }: Policy, fixed: Fixed): readonly Note[] {
  const open = inbound.mode.value === "passthrough" && inbound.ports.length === 0;
  if (!isByOwner(fixed) || open || inbound.preserveSource.value !== "ip-port") return [];
  const detail =
    "users or groups select what is diverted (--only-uid and the like): applications that listen on all addresses see 169.254.77.1 as their own, and the others " +
    "see this machine as their client";
  const remedy =
    "If an application tells clients its own address (FTP, SIP, Redis), set --preserve-source off.";
  return [{ id: "source-addresses", detail, remedy }];
}

function serverNotes({ excludedDestinations }: Fixed, environment: Environment): readonly Note[] {
  const name = namedApiServer(environment);
  if (name === null || excludedDestinations.length > 0) return [];
  const detail = `the API server is known by the name ${name} (KUBERNETES_SERVICE_HOST), which is not looked up`;
  const remedy =
    "If its address is in a mesh range, connections to it are reset: give the address with --api-server.";
  return [{ id: "api-server", detail, remedy }];
}

const readMore = "See tls-tproxy help interception.";
