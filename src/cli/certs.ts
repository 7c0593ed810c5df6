/** `tproxy certs`: an authority and certificates for trials. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";

import { Option, type Command } from "commander";

import { ProxyError } from "../errors.ts";
import { issueAuthority, issueLeaf, readAuthority, type Authority } from "../identity/issue.ts";
import type { SpiffeId } from "../identity/spiffe-id.ts";
import * as values from "./values.ts";

type CertsFlags = {
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
  command.description("make an authority and a certificate for a trial; not for production");
  command.addOption(
    new Option("--out <directory>", "where ca.crt and ca.key lie, or are made").default("certs"),
  );
  command.addOption(option("--name <name>", "folder for this certificate", values.fileName));
  command.addOption(option("--id <spiffe id>", "whom it names", values.spiffeId));
  command.addOption(option("--ip <addresses>", "addresses that it names", values.list(values.ip)));
  command.addOption(
    option("--dns <names>", "host names that it names", values.list(values.dnsName)),
  );
  command.addOption(option("--days <count>", "how long it is valid", values.days).default(7));
  command.addOption(new Option("--rsa", "a key of RSA 2048 in place of EC P-256"));
  command.action((flags: CertsFlags) => {
    make(flags);
  });
}

type Parse = (text: string, before: unknown) => unknown;

function option(flags: string, about: string, parse: Parse): Option {
  return new Option(flags, about).argParser(parse);
}

/** Throws USAGE without any name to certify, START_FAILED for files that cannot be used or would be overwritten. */
function make(flags: CertsFlags): void {
  const name = flags.name ?? nameOf(flags);
  if (name === undefined) throw new ProxyError("USAGE", "say whom to certify: --id, --ip or --dns");
  const notAfter = new Date(Date.now() + flags.days * dayMs);
  const directory = `${flags.out}/${name}`;
  if (existsSync(directory))
    throw failed(`${directory} is there already: remove it, or say --name`);
  const authority = authorityIn(flags.out, flags.days);
  const leaf = issueLeaf(authority, {
    ips: flags.ip ?? [],
    dnsNames: flags.dns ?? [],
    notAfter,
    rsa: flags.rsa ?? false,
    ...(flags.id === undefined ? {} : { spiffeId: flags.id }),
    ...(flags.id === undefined ? { commonName: name } : {}),
  });
  mkdirSync(directory, { recursive: true });
  writeFileSync(`${directory}/tls.crt`, leaf.certificatePem);
  writeFileSync(`${directory}/tls.key`, leaf.keyPem, { mode: 0o600 });
  writeFileSync(`${directory}/ca.crt`, authority.certificatePem);
  process.stdout.write(report(directory, notAfter));
}

/** The one of an earlier call, or a new one. */
function authorityIn(directory: string, days: number): Authority {
  const [certificate, key] = [`${directory}/ca.crt`, `${directory}/ca.key`] as const;
  if (existsSync(certificate) && existsSync(key)) return authorityFrom(certificate, key);
  const notAfter = new Date(Date.now() + Math.max(days, authorityDaysMin) * dayMs);
  const authority = issueAuthority("trial authority, not for production", undefined, notAfter);
  mkdirSync(directory, { recursive: true });
  writeFileSync(key, authority.keyPem, { mode: 0o600, flag: "wx" });
  writeFileSync(certificate, authority.certificatePem);
  return authority;
}

function authorityFrom(certificate: string, key: string): Authority {
  try {
    return readAuthority({
      certificatePem: readFileSync(certificate, "utf8"),
      keyPem: readFileSync(key, "utf8"),
    });
  } catch (error) {
    throw failed(`${certificate} and ${key} are no authority of mine`, error);
  }
}

/** The last part of what it names, as a folder's name. */
function nameOf({ id, dns, ip }: CertsFlags): string | undefined {
  return (id?.split("/").at(-1) ?? dns?.[0] ?? ip?.[0])?.replaceAll(/[^\w.-]/g, "-");
}

function report(directory: string, notAfter: Date): string {
  return (
    `${directory}: tls.crt, tls.key and ca.crt, valid until ${notAfter.toISOString()}.\n` +
    "For trials only: the authority's key lies beside them, whoever reads it is everybody.\n" +
    `  tls-tproxy -cert ${directory}/tls.crt -key ${directory}/tls.key -ca-cert ${directory}/ca.crt\n`
  );
}

function failed(text: string, cause?: unknown): ProxyError {
  return new ProxyError("START_FAILED", `certs: ${text}`, { cause });
}

const dayMs = 86_400_000;
const authorityDaysMin = 365;
