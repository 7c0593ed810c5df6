/** Whether the mesh ranges hold the addresses that peers know this pod by: where they do not, nothing is protected. Pure. */
import { ProxyError } from "../runtime/errors.ts";
import { formatIp, type SocketAddress } from "../net/address.ts";
import { addressOf, parseCidr, type Cidr } from "../net/cidr.ts";
import type { OwnAddress } from "../net/own-addresses.ts";
import { contains, defaultMeshRanges, neverIntercepted, type Policy } from "./policy.ts";

/** An address of ours outside of the mesh. */
export type Uncovered = {
  readonly own: OwnAddress;
  /** No other address of its family is inside either: the pod's peers are outside with it. */
  readonly isAlone: boolean;
};

/**
 * Link-local addresses are nobody's to carry, and do not count; nor do those that somebody has excluded. A mesh without any
 * range is somebody's word that nothing outbound is diverted.
 */
export function uncovered(
  { outbound }: Policy,
  addresses: readonly OwnAddress[],
): readonly Uncovered[] {
  const { mesh, exclude } = outbound;
  if (mesh.value.length === 0) return [];
  const global = addresses.filter((own) => !isIn(neverIntercepted, own));
  return global
    .filter((own) => !isIn(mesh.value, own) && !isIn(exclude.value, own))
    .map((own) => ({
      own,
      isAlone: !global.some((one) => one.family === own.family && isIn(mesh.value, one)),
    }));
}

function isIn(
  ranges: readonly Cidr[],
  { bytes, family }: Pick<OwnAddress, "bytes" | "family">,
): boolean {
  return ranges.some((range) => contains(range, addressOf(bytes), family));
}

/** Throws USAGE where a family's peers would be spoken to in cleartext, with the option that mends it. */
export function assertCovered(policy: Policy, addresses: readonly OwnAddress[]): void {
  const alone = uncovered(policy, addresses).filter(({ isAlone }) => isAlone);
  if (alone.length > 0) throw new ProxyError("USAGE", coverageText(policy, alone));
}

/** What is seen and what to do about it. */
export function coverageText(policy: Policy, found: readonly Uncovered[]): string {
  const which = found.map(({ own }) => `${formatIp(own.bytes)} (${own.interface})`).join(", ");
  const families = [...new Set(found.map(({ own }) => own.family))];
  const outside = new Set(found.map(({ own }) => outsideOf(policy, own)));
  const names = families.map((family) => `IPv${family}`).join(" and ");
  return (
    `no mesh range (${originText(policy)}) holds the address ${which} of this pod: connections to peers with ` +
    `such addresses are in cleartext. Add the range that your pods have their ${names} addresses from: ` +
    `${remedyOf(policy, found)} (guessed from the address: write your network's range if it is another). ` +
    `If cleartext is what you want there, say so with --exclude-cidr ${[...outside].join(",")}`
  );
}

/** What to add for the Services' range, or null: the API server's address is one of them where it is named by address. */
export function servicesText(policy: Policy, server: SocketAddress): string | null {
  const { mesh, exclude } = policy.outbound;
  if (mesh.value.length === 0) return null;
  if ([mesh.value, exclude.value, neverIntercepted].some((ranges) => isIn(ranges, server)))
    return null;
  const own = { ...server, prefix: 8 * server.bytes.length, interface: "" };
  return (
    `no mesh range (${originText(policy)}) holds ${formatIp(server.bytes)} (KUBERNETES_SERVICE_HOST): if that is an address of ` +
    `your Services, connections to Services are in cleartext. Add their range: ${remedyOf(policy, [{ own, isAlone: true }])}`
  );
}

/** What to exclude so that no range of the mesh is excluded with it. */
function outsideOf({ outbound }: Policy, own: OwnAddress): string {
  const mesh = outbound.mesh.value.filter(({ family }) => family === own.family);
  if (mesh.length === 0) return own.family === 4 ? "0.0.0.0/0" : "::/0";
  const { first, last, text } = guessOf(own);
  const isApart = mesh.every((range) => range.last < first || last < range.first);
  return isApart ? text : formatIp(own.bytes);
}

/** The option or the line of the policy as it should be. */
function remedyOf({ outbound }: Policy, found: readonly Uncovered[]): string {
  const { value, origin } = outbound.mesh;
  const hasDefault = defaultMeshRanges.every(({ text }) => value.some((one) => one.text === text));
  const kept = value.map(({ text }) => text).filter((text) => !hasDefault || !isDefault(text));
  const guesses = found.map(({ own }) =>
    isIn(defaultMeshRanges, own) ? "default" : guessOf(own).text,
  );
  const texts = new Set([
    ...(hasDefault || guesses.includes("default") ? ["default"] : []),
    ...kept,
    ...guesses,
  ]);
  return optionText([...texts], origin);
}

function optionText(texts: readonly string[], origin: string): string {
  if (origin === "default" || origin.startsWith("--")) return `--mesh-cidr ${texts.join(",")}`;
  if (origin.startsWith("TPROXY_")) return `${origin}=${texts.join(",")}`;
  return `outbound.mesh: [${texts.map((text) => (text.includes(":") ? `"${text}"` : text)).join(", ")}]`;
}

function originText({ outbound }: Policy): string {
  const { origin } = outbound.mesh;
  return origin === "default" ? "by default the private ranges" : origin;
}

function isDefault(text: string): boolean {
  return defaultMeshRanges.some((range) => range.text === text);
}

/** A site's usual share: a /48 (RFC 6177), a /16; the interface's own prefix where that is wider. */
function guessOf({ bytes, family, prefix }: OwnAddress): Cidr {
  const usual = family === 4 ? 16 : 48;
  return parseCidr(`${formatIp(bytes)}/${Math.max(8, Math.min(prefix, usual))}`);
}
