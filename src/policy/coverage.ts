/** Whether the mesh ranges contain this pod's own addresses: if they do not, nothing is protected. Pure. */
import { ProxyError } from "../runtime/errors.ts";
import { formatIp, type SocketAddress } from "../net/address.ts";
import { addressOf, parseCidr, type Cidr } from "../net/cidr.ts";
import type { OwnAddress } from "../net/own-addresses.ts";
import { contains, defaultMeshRanges, neverIntercepted, type Policy } from "./policy.ts";

/** One of our addresses outside the mesh. */
export type Uncovered = {
  readonly own: OwnAddress;
  /** No other address of its family is inside either: then the pod's peers are outside too. */
  readonly isAlone: boolean;
};

/**
 * Link-local addresses are never carried, and do not count; nor do excluded ones. A mesh without any range is an
 * explicit choice that nothing outbound is diverted.
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

/** Throws USAGE, with the option that corrects it, if a family's peers would be reached in cleartext. */
export function assertCovered(policy: Policy, addresses: readonly OwnAddress[]): void {
  const alone = uncovered(policy, addresses).filter(({ isAlone }) => isAlone);
  if (alone.length > 0) throw new ProxyError("USAGE", coverageText(policy, alone));
}

/** The finding and its remedy. */
export function coverageText(policy: Policy, found: readonly Uncovered[]): string {
  const which = found.map(({ own }) => `${formatIp(own.bytes)} (${own.interface})`).join(", ");
  const families = [...new Set(found.map(({ own }) => own.family))];
  const outside = new Set(found.map(({ own }) => outsideOf(policy, own)));
  const names = families.map((family) => `IPv${family}`).join(" and ");
  return (
    `no mesh range (${originText(policy)}) holds the address ${which} of this pod: connections to peers with ` +
    `such addresses are in cleartext. Add the range that your pods have their ${names} addresses from: ` +
    `${remedyOf(policy, found)} (guessed from the address: give the range of your whole network if it is another). ` +
    `If cleartext is what you want there, say so with --exclude-cidr ${[...outside].join(",")}`
  );
}

/** The range to add for Services, or null: the API server's address is one of theirs if it is given as an address. */
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

/** The exclusion to add that does not exclude a whole mesh range. */
function outsideOf({ outbound }: Policy, own: OwnAddress): string {
  const mesh = outbound.mesh.value.filter(({ family }) => family === own.family);
  if (mesh.length === 0) return own.family === 4 ? "0.0.0.0/0" : "::/0";
  const { first, last, text } = guessOf(own);
  const isApart = mesh.every((range) => range.last < first || last < range.first);
  return isApart ? text : formatIp(own.bytes);
}

/** The option or policy line as it should be: the present ranges and a guess for each address, none twice. */
function remedyOf({ outbound }: Policy, found: readonly Uncovered[]): string {
  const { value, origin } = outbound.mesh;
  const hasDefault = defaultMeshRanges.every(({ text }) => value.some((one) => one.text === text));
  const guesses = found.map(({ own }) => guessOf(own));
  const kept = value.filter((range) => !hasDefault || !isDefault(range.text));
  const ranges = outermost([...kept, ...guesses]).map(({ text }) => text);
  return optionText([...(hasDefault ? ["default"] : []), ...ranges], origin);
}

/** Without those that another one contains. */
function outermost(ranges: readonly Cidr[]): readonly Cidr[] {
  return ranges.filter((inner, at) =>
    ranges.every((outer, other) => {
      if (other === at || !isWithin(inner, outer)) return true;
      return isWithin(outer, inner) && at < other;
    }),
  );
}

function isWithin(inner: Cidr, outer: Cidr): boolean {
  return inner.family === outer.family && outer.first <= inner.first && inner.last <= outer.last;
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

/**
 * For a private address the network of the interface, if it has one, because its peers are there. An interface with a
 * single address (often in pods) says nothing: then the private range that contains it. A host route to a peer is never a
 * reason for the ranges of other networks. For a public address a site's usual share, a /48 (RFC 6177) or a /16, or the
 * interface's own prefix if that is wider.
 */
function guessOf(own: OwnAddress): Cidr {
  const { bytes, family, prefix } = own;
  const block = defaultMeshRanges.find((range) => isIn([range], own));
  if (block !== undefined && prefix === 8 * bytes.length) return block;
  const usual = family === 4 ? 16 : 48;
  const length = block === undefined ? Math.min(prefix, usual) : prefix;
  return parseCidr(`${formatIp(bytes)}/${Math.max(8, length)}`);
}
