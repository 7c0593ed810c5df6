/** `tls-tproxy certs`: a CA and certificates for trials; run again, it renews them. */
import { basename } from "node:path";

import { Option, type Command } from "commander";

import { issueAuthority, issueLeaf, type Issued } from "../identity/issue.ts";
import { namesText, trialCaName, type LeafNames, type TrialLeaf } from "../identity/trial.ts";
import type { SpiffeId } from "../identity/spiffe-id.ts";
import { keepMemoryPrivate } from "../native/secrecy.ts";
import { ProxyError } from "../runtime/errors.ts";
import {
  caIn,
  isNothing,
  leafIn,
  openOut,
  saveCa,
  saveLeaf,
  startFailed,
  type Out,
} from "./trial-files.ts";
import * as values from "./values.ts";

export type CertsFlags = {
  readonly out: string;
  readonly name?: string;
  readonly id?: SpiffeId;
  readonly ip?: readonly string[];
  readonly dns?: readonly string[];
  readonly days: number;
  readonly rsa?: boolean;
};

export function certsCommand(program: Command): void {
  const command = program.command("certs");
  command.description("make a CA and a certificate for a trial, or renew one; not for production");
  command.addOption(
    option("--out <directory>", "directory for ca.crt and ca.key", values.path).default("certs"),
  );
  command.addOption(
    option("--name <name>", "folder for this certificate, inside --out", values.fileName),
  );
  command.addOption(option("--id <spiffe id>", "SPIFFE ID in the certificate", values.spiffeId));
  command.addOption(
    option("--ip <addresses>", "addresses in the certificate", values.list(values.ip)),
  );
  command.addOption(
    option("--dns <names>", "host names in the certificate", values.list(values.dnsName)),
  );
  command.addOption(
    option("--days <count>", "how many days the certificate is valid", values.days).default(7),
  );
  command.addOption(new Option("--rsa", "an RSA 2048 key instead of EC P-256"));
  command.action((flags: CertsFlags) => {
    keepMemoryPrivate();
    certify(flags);
  });
}

type Parse = (text: string, before: unknown) => unknown;

function option(flags: string, about: string, parse: Parse): Option {
  return new Option(flags, about).argParser(parse);
}

/**
 * Makes a certificate, or renews the one that an earlier call made in the same folder. If it ends at any moment, the next
 * call completes or undoes what it began. `beforeChange` is called before each change of files. Throws USAGE without any
 * name to certify, START_FAILED for files that are unusable or that it did not make: these are never overwritten.
 */
export function certify(flags: CertsFlags, beforeChange: () => void = () => undefined): void {
  const name = nameOf(flags);
  const folder = `${flags.out}/${name}`;
  using out = openOut(flags.out, beforeChange);
  const pair = leafIn(out, name);
  const known = caIn(out);
  if (pair !== null && known === null)
    throw startFailed(
      `${folder} is there, but ${flags.out}/ca.crt and ca.key, which issued it, are not: put them back, or use another --name`,
    );
  const ca = known ?? newCa(out, flags);
  const before = pair === null || known === null ? null : pair.readWith(known);
  const { names, leaf, notAfter } = issue({ flags, ca, folder }, before);
  const { closed } = saveLeaf(
    out,
    name,
    before === null ? { ...leaf, caPem: ca.certificatePem } : leaf,
  );
  const shortened = notAfter.getTime() === ca.notAfter.getTime() ? ", when its CA expires" : "";
  const earlier = before === null ? "" : ` (before: ${earlierText(before, names)})`;
  report({
    ca: `${flags.out}/ca.crt, ${known === null ? "new" : "unchanged"}, valid until ${timeText(ca.notAfter)}`,
    certificate:
      `${folder}, ${before === null ? "new" : "renewed"}, for ${namesText(names)}, ` +
      `valid until ${timeText(notAfter)}${shortened}${earlier}${closed ? ownerOnly : ""}`,
    next:
      `tls-tproxy check --credentials ${quoted(folder)}   ` +
      `(for trials only: ${flags.out}/ca.key can sign a certificate for any name)`,
  });
}

/** The name of the certificate's folder. Throws USAGE if there is none yet and no name for it. */
function nameOf(flags: CertsFlags): string {
  const given = flags.name ?? flags.id?.split("/").at(-1) ?? flags.dns?.[0] ?? flags.ip?.[0];
  const name = given?.replaceAll(/^\.(?=new-)|[^\w.-]/g, "-") ?? "";
  if (namesOf(flags) !== null || (name !== "" && !isNothing(`${flags.out}/${name}`))) return name;
  throw new ProxyError("USAGE", "give a name for the certificate: --id, --ip or --dns");
}

function namesOf({ id, ip = [], dns = [] }: CertsFlags): LeafNames | null {
  if (id === undefined) return ip.length + dns.length === 0 ? null : { ips: ip, dnsNames: dns };
  return { spiffeId: id, ips: ip, dnsNames: dns };
}

type Ca = ReturnType<typeof issueAuthority> & { readonly notAfter: Date };

function newCa(out: Out, { days }: CertsFlags): Ca {
  const notAfter = new Date(Date.now() + Math.max(days, caDaysMin) * dayMs);
  const ca = issueAuthority(trialCaName, undefined, notAfter);
  saveCa(out, ca);
  return { ...ca, notAfter };
}

type Order = { readonly flags: CertsFlags; readonly ca: Ca; readonly folder: string };
type Certified = { readonly names: LeafNames; readonly leaf: Issued; readonly notAfter: Date };

/** Whatever the options do not set stays as before: the names, and the type of key. */
function issue({ flags, ca, folder }: Order, before: TrialLeaf | null): Certified {
  const names = namesOf(flags) ?? before?.names ?? { ips: [], dnsNames: [] };
  const notAfter = new Date(Math.min(Date.now() + flags.days * dayMs, ca.notAfter.getTime()));
  const leaf = issueLeaf(ca, {
    ...names,
    notAfter,
    rsa: flags.rsa ?? before?.rsa ?? false,
    ...(names.spiffeId === undefined ? { commonName: basename(folder) } : {}),
  });
  return { names, leaf, notAfter };
}

function earlierText(before: TrialLeaf, names: LeafNames): string {
  const [earlier, now] = [namesText(before.names), namesText(names)];
  const until = timeText(before.notAfter);
  return earlier === now ? until : `${earlier}, until ${until}`;
}

function report(lines: { readonly [title in "ca" | "certificate" | "next"]: string }): void {
  process.stdout.write(
    `CA           ${lines.ca}\nCertificate  ${lines.certificate}\nNext         ${lines.next}\n`,
  );
}

/** Quoted for a shell. */
function quoted(path: string): string {
  return /^[\w./-]+$/.test(path) ? path : `'${path.replaceAll("'", `'\\''`)}'`;
}

/** "2026-12-07 09:31 UTC". */
function timeText(time: Date): string {
  return `${time.toISOString().slice(0, "2026-12-07T09:31".length).replace("T", " ")} UTC`;
}

const ownerOnly = "; tls.key is now readable by its owner only";
const dayMs = 86_400_000;
const caDaysMin = 365;
