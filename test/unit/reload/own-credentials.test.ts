/**
 * Our own credentials are judged as peers would: valid ones are accepted, others refused with the certificate and the
 * cause.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { connect } from "bun";
import { expect, test } from "bun:test";

import { acceptableCredentials } from "../../../src/reload/own-credentials.ts";
import { dialingOptions, terminatingOptions } from "../../../src/tls/options.ts";
import { findCredentialFiles } from "../../../src/identity/discovery.ts";
import { issueAuthority, issueLeaf, type Issued } from "../../../src/identity/issue.ts";
import { loadCredentials, type Credentials } from "../../../src/identity/source.ts";
import { shakeHandsWithOurselves } from "../../../src/tls/self-handshake.ts";
import { bundleOf, certificateAuthority, opensslIssued, p256 } from "../../support/openssl-pki.ts";
import { layouts, laidOut, type Texts } from "../../support/platform-credentials.ts";
import { temporaryDirectory } from "../../support/temporary.ts";
import { root, unusual, wrongChains, wrongUses } from "../../support/wrong-certificates.ts";

const names = ["subjectAltName=URI:spiffe://test.example/a,IP:10.0.0.1"];
const both = ["extendedKeyUsage=serverAuth,clientAuth"];

const top = opensslIssued("top", { extensions: certificateAuthority });
const leafOf = (issuer: Issued, extensions: readonly string[] = [...names, ...both]): Issued =>
  opensslIssued("web", { issuer, extensions });
const below = (name: string, issuer: Issued, ...extensions: readonly string[]): Issued =>
  opensslIssued(name, { issuer, extensions: [...certificateAuthority, ...extensions] });

/** `chain`: the leaf first. */
function texts([leaf, ...above]: readonly Issued[], ...bundle: readonly Issued[]): Texts {
  if (leaf === undefined) throw new Error("no leaf");
  return { certificate: bundleOf(leaf, ...above), key: leaf.keyPem, bundle: bundleOf(...bundle) };
}

async function judged(
  of: Texts,
  layout: keyof typeof layouts = "Kubernetes",
): Promise<Credentials> {
  const credentials = findCredentialFiles(laidOut(layout, of));
  if (credentials === null) throw new Error("not found");
  return await acceptableCredentials({ credentials, tlsVersionMin: "1.3" });
}

const renewedTop = opensslIssued("top", { extensions: certificateAuthority, keyPem: top.keyPem });
const otherTop = opensslIssued("other top", { extensions: certificateAuthority });
const manyAddresses = Array.from({ length: 4097 }, (_, at) => `IP:10.0.${at >> 8}.${at & 255}`);
const rekeyedTop = opensslIssued("top", { extensions: certificateAuthority });
const crossed = opensslIssued("top", {
  extensions: certificateAuthority,
  issuer: otherTop,
  keyPem: top.keyPem,
});
const first = opensslIssued("v1 top", { extensions: null });
const middle = below("middle", top);
const ranged = below("ranged", top, "nameConstraints=critical,permitted;IP:10.0.0.0/255.0.0.0");
const both2 = below("middle for both", top, ...both);

test.each([
  ["of EC P-256 below a root", texts([leafOf(top)], top)],
  [
    "of EC P-521",
    texts(
      [
        opensslIssued("web", {
          issuer: top,
          extensions: names,
          key: [...p256.slice(0, 3), "ec_paramgen_curve:P-521"],
        }),
      ],
      top,
    ),
  ],
  [
    "of RSA",
    texts(
      [opensslIssued("web", { issuer: top, extensions: names, key: ["-algorithm", "RSA"] })],
      top,
    ),
  ],
  [
    "of Ed25519",
    texts(
      [opensslIssued("web", { issuer: top, extensions: names, key: ["-algorithm", "ED25519"] })],
      top,
    ),
  ],
  ["below an intermediate", texts([leafOf(middle), middle], top)],
  ["below an intermediate for servers and clients", texts([leafOf(both2), both2], top)],
  ["below a root of version 1", texts([leafOf(first)], first)],
  ["below a root that was renewed with the same key", texts([leafOf(top)], renewedTop)],
  ["below a root and its renewed self", texts([leafOf(top)], top, renewedTop)],
  [
    "below a root that another has certified, by the other",
    texts([leafOf(top), crossed], otherTop),
  ],
  [
    "below a root that another has certified, by both",
    texts([leafOf(top), crossed], top, otherTop),
  ],
  [
    "that names no address, below a CA that constrains addresses",
    texts([leafOf(ranged, ["subjectAltName=URI:spiffe://test.example/a"]), ranged], top),
  ],
] as const)("a certificate %s is accepted", async (_, of) => {
  expect(String((await judged(of)).identity.spiffeId)).toBe("spiffe://test.example/a");
});

test.each(Object.keys(layouts) as (keyof typeof layouts)[])(
  "in the layout %s valid ones are accepted and invalid ones refused",
  async (layout) => {
    expect(await judged(texts([leafOf(middle), middle], top), layout)).toBeDefined();
    const bad = judged(
      texts([leafOf(top, [...names, "extendedKeyUsage=serverAuth"])], top),
      layout,
    );
    expect(bad).rejects.toThrow(/--cert \S+: peers would refuse it as a client's: our certificate/);
  },
);

const server = below("middle for servers", top, "extendedKeyUsage=serverAuth");
const short = opensslIssued("short", {
  extensions: ["basicConstraints=critical,CA:TRUE,pathlen:0"],
});
const belowShort = below("below", short);
const plain = opensslIssued("plain", { extensions: ["subjectKeyIdentifier=hash"] });
const loose = below("loose", top, "nameConstraints=excluded;IP:192.168.0.0/255.255.0.0");
const named = below("named", top, "nameConstraints=critical,permitted;DNS:example.org");
const signless = below("signless", top, "keyUsage=cRLSign");
const rsa = ["-algorithm", "RSA"];
const many = Array.from({ length: 900 }, (_, index) =>
  issueAuthority(
    `an authority of a company with a rather long name, number ${index}`.padEnd(64, "x"),
  ),
);

test.each([
  [
    "for servers only",
    texts([leafOf(top, [...names, "extendedKeyUsage=serverAuth"])], top),
    /--cert \S+: peers would refuse it as a client's: our certificate \(CN=web\) is for servers only.*clientAuth as well/,
  ],
  [
    "for clients only",
    texts([leafOf(top, [...names, "extendedKeyUsage=clientAuth"])], top),
    /as a server's: our certificate \(CN=web\) is for clients only.*serverAuth as well/,
  ],
  [
    "for e-mail only",
    texts([leafOf(top, [...names, "extendedKeyUsage=emailProtection"])], top),
    /our certificate \(CN=web\) is not meant for TLS/,
  ],
  [
    "below an intermediate for servers only",
    texts([leafOf(server), server], top),
    /as a client's: intermediate 1 \(CN=middle for servers\) is for servers only/,
  ],
  [
    "deeper than pathlen allows",
    texts([leafOf(belowShort), belowShort], short),
    /the root \(CN=short, in --ca-cert\) allows 0 CAs below it \(pathlen\), and 1 are/,
  ],
  [
    "below a root without basicConstraints",
    texts([leafOf(plain)], plain),
    /the root \(CN=plain, in --ca-cert\) is not a CA certificate/,
  ],
  [
    "below an intermediate without keyCertSign",
    texts([leafOf(signless), signless], top),
    /intermediate 1 \(CN=signless\) may not sign certificates/,
  ],
  [
    "below a CA that permits addresses",
    texts([leafOf(ranged), ranged], top),
    /intermediate 1 \(CN=ranged\) has name constraints of IP addresses.*BoringSSL/,
  ],
  [
    "below a CA that excludes other addresses",
    texts([leafOf(loose), loose], top),
    /intermediate 1 \(CN=loose\) has name constraints of IP addresses/,
  ],
  [
    "with a DNS name that its CA does not permit",
    texts([leafOf(named, ["subjectAltName=DNS:web.example.com"]), named], top),
    /a CA of the chain does not permit one of the names/,
  ],
  [
    "with a critical extension that nothing knows",
    texts([leafOf(top, [...names, "1.3.6.1.4.1.99999.1=critical,ASN1:NULL"])], top),
    /our certificate \(CN=web\) has a critical extension that is not known \(1\.3\.6\.1\.4\.1\.99999\.1\)/,
  ],
  [
    "whose RSA key may not sign",
    texts(
      [
        opensslIssued("web", {
          issuer: top,
          extensions: [...names, "keyUsage=keyEncipherment"],
          key: rsa,
        }),
      ],
      top,
    ),
    /our certificate \(CN=web\) may not sign \(its key usage has no digitalSignature\)/,
  ],
  [
    "below a root that is not in the bundle",
    texts([leafOf(top)], otherTop),
    /it does not lead to a self-signed CA certificate.*CN=top.*the CAs there are CN=other top.*our own CA differs from that of the peers/,
  ],
  [
    "below a root whose namesake with another key is in the bundle",
    texts([leafOf(top)], rekeyedTop),
    /it ends at CN=web, issued by a CA that has the name CN=top as the one there, but another key/,
  ],
  [
    "with our own certificate instead of the CA's",
    texts([leafOf(top)], leafOf(top)),
    /holds no CA: CN=web is a workload's certificate/,
  ],
  [
    "with a missing intermediate",
    texts([leafOf(middle)], top),
    /it does not lead.*issued by CN=middle.*If an intermediate is missing, append it to --cert/,
  ],
  [
    "with only its intermediate in the bundle, as Vault writes it",
    texts([leafOf(middle), middle], middle),
    /it does not lead.*holds no root CA, only the intermediate CA CN=middle, issued by CN=top/,
  ],
  [
    "with 4,097 names",
    texts([leafOf(top, [`subjectAltName=${manyAddresses.join(",")}`, ...both])], top),
    /--cert \S+: peers' proxies cannot read it: at most 4,096 names/,
  ],
  [
    "with 900 CAs with long names",
    { ...texts([leafOf(top)], top), bundle: bundleOf(top, ...many) },
    /--ca-cert \S+: the names of its 901 CAs add up to \d+ bytes.*room for 65535: remove the CAs that no peer needs/,
  ],
] as const)("a certificate %s is refused, and the reason names it", async (_, of, words) => {
  expect(judged(of)).rejects.toThrow(words);
});

test("expiry or start of validity is reported with the certificate and the time", async () => {
  const past = issueAuthority("past", root, new Date(Date.now() - 60_000));
  const leaf = issueLeaf(past, { spiffeId: "spiffe://test.example/a" });
  expect(judged(texts([leaf, past], root))).rejects.toThrow(
    /intermediate 1 \(CN=past\) has expired at 20\S+Z: renew it/,
  );
});

test("a bad certificate with a good twin is named if peers use the bad one", async () => {
  const made = { issuer: top, extensions: certificateAuthority };
  const past = opensslIssued("renewed", { ...made, days: -1 });
  const renewed = opensslIssued("renewed", { ...made, keyPem: past.keyPem });
  const chain = [leafOf(past), past, renewed];
  expect(judged(texts(chain, top))).rejects.toThrow(
    /intermediate 1 \(CN=renewed\) has expired at 20\S+Z: renew it\. There is a good certificate of the same CA beside it.*remove the bad one/,
  );
  expect(await judged(texts([leafOf(past), renewed], top))).toBeDefined();
});

const roles = ["server", "client"] as const;

test.each([...wrongUses, ...wrongChains])(
  "what peers refuse is refused here: a certificate that %s",
  async (_what, make) => {
    const refusals = roles.map(async (role) => {
      const { leaf, chain = [] } = make(role);
      return await judged(texts([leaf, ...chain], root)).then(
        () => "accepted",
        (error: unknown) => String(error),
      );
    });
    for (const refusal of await Promise.all(refusals)) expect(refusal).toMatch(/--cert \S+: /);
  },
);

test.each(unusual.filter(([what]) => what !== "is for its role only"))(
  "what peers accept is accepted here: a certificate that %s",
  async (_what, make) => {
    const { leaf, chain = [] } = make("server");
    expect(await judged(texts([leaf, ...chain], root))).toBeDefined();
  },
);

test("another process that connects to the self-test's socket changes nothing", async () => {
  const directory = temporaryDirectory();
  const file = (name: string, text: string): string => {
    writeFileSync(`${directory}/${name}`, text);
    return `${directory}/${name}`;
  };
  const of = texts([leafOf(top)], top);
  const files = {
    certificate: file("c", of.certificate),
    key: file("k", of.key),
    trustBundle: file("b", of.bundle),
  };
  const credentials = loadCredentials(files, Date.now());
  const ended = shakeHandsWithOurselves({
    terminating: terminatingOptions(credentials, "1.3", 0),
    dialing: dialingOptions(credentials, "1.3", true),
    certificate: credentials.certificate,
    handshakeMsMax: 10_000,
  });
  const name = /@(tls-tproxy-\S+)/.exec(readFileSync("/proc/net/unix", "utf8"))?.[1] ?? "";
  expect(name).not.toBe("");
  const intruder = issueLeaf(issueAuthority("an intruder"), {});
  const socket = { data: () => undefined, error: () => undefined };
  const tls = { cert: intruder.certificatePem, key: intruder.keyPem, rejectUnauthorized: false };
  for (const how of [{ tls }, { tls: { rejectUnauthorized: false } }, {}])
    void connect({ unix: `\0${name}`, socket, ...how }).then(
      (one) => one.write("no TLS"),
      () => undefined,
    );
  expect(await ended).toEqual({ kind: "ended", server: null, client: null });
});
