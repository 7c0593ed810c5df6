/** `tproxy certs`: an authority and certificates for trials. */
import { Option, type Command } from "commander";

import { ProxyError } from "../runtime/errors.ts";
import { FileError, readRegularFile } from "../runtime/files.ts";
import { issueAuthority, issueLeaf, readAuthority, type Authority } from "../identity/issue.ts";
import { keepMemoryPrivate } from "../native/secrecy.ts";
import { kindAt, makePrivateFolder, writeFiles, writeFolder } from "../runtime/private-files.ts";
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
  command.description("make a CA and a certificate for a trial; not for production");
  command.addOption(
    new Option("--out <directory>", "directory for ca.crt and ca.key").default("certs"),
  );
  command.addOption(
    option("--name <name>", "folder for this certificate, inside --out", values.fileName),
  );
  command.addOption(option("--id <spiffe id>", "SPIFFE ID that it names", values.spiffeId));
  command.addOption(option("--ip <addresses>", "addresses that it names", values.list(values.ip)));
  command.addOption(
    option("--dns <names>", "host names that it names", values.list(values.dnsName)),
  );
  command.addOption(option("--days <count>", "how long it is valid", values.days).default(7));
  command.addOption(new Option("--rsa", "an RSA 2048 key instead of EC P-256"));
  command.action((flags: CertsFlags) => {
    keepMemoryPrivate();
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
  if (name === undefined)
    throw new ProxyError("USAGE", "say what the certificate is to name: --id, --ip or --dns");
  const notAfter = new Date(Date.now() + flags.days * dayMs);
  const directory = `${flags.out}/${name}`;
  at(flags.out, () => {
    makePrivateFolder(flags.out);
  });
  if (at(directory, () => kindAt(directory)) !== "nothing")
    throw failed(`${directory} is there already: remove it, or give another --name`);
  const authority = authorityIn(flags.out, flags.days);
  const leaf = issueLeaf(authority, {
    ips: flags.ip ?? [],
    dnsNames: flags.dns ?? [],
    notAfter,
    rsa: flags.rsa ?? false,
    ...(flags.id === undefined ? {} : { spiffeId: flags.id }),
    ...(flags.id === undefined ? { commonName: name } : {}),
  });
  at(directory, () => {
    writeFolder(directory, [
      { name: "tls.crt", text: leaf.certificatePem, mode: 0o644 },
      { name: "tls.key", text: leaf.keyPem, mode: 0o600 },
      { name: "ca.crt", text: authority.certificatePem, mode: 0o644 },
    ]);
  });
  process.stdout.write(report(directory, notAfter));
}

/** The one of an earlier call, or a new one. */
function authorityIn(directory: string, days: number): Authority {
  const [certificate, key] = [`${directory}/ca.crt`, `${directory}/ca.key`] as const;
  const [ofCertificate, ofKey] = at(directory, () => [kindAt(certificate), kindAt(key)] as const);
  if (ofCertificate === "file" && ofKey === "file") return authorityFrom(certificate, key);
  if (ofCertificate !== "nothing" || ofKey !== "nothing")
    throw failed(
      `${certificate} and ${key} are to be two files of mine, or none: remove what is there`,
    );
  const notAfter = new Date(Date.now() + Math.max(days, authorityDaysMin) * dayMs);
  const authority = issueAuthority("trial authority, not for production", undefined, notAfter);
  at(directory, () => {
    writeFiles(directory, [
      { name: "ca.key", text: authority.keyPem, mode: 0o600 },
      { name: "ca.crt", text: authority.certificatePem, mode: 0o644 },
    ]);
  });
  return authority;
}

function authorityFrom(certificate: string, key: string): Authority {
  const [certificatePem, keyPem] = [read(certificate), read(key)];
  try {
    return readAuthority({ certificatePem, keyPem });
  } catch (error) {
    throw failed(`${certificate} and ${key} are no authority of mine`, error);
  }
}

function read(path: string): string {
  return at(path, () => readRegularFile(path, fileBytesMax).toString("utf8"));
}

/** Says which path a failure belongs to. */
function at<T>(path: string, act: () => T): T {
  try {
    return act();
  } catch (error) {
    if (!(error instanceof FileError)) throw error;
    throw failed(`${path}: ${error.message}`, error);
  }
}

/** The last part of what it names, as a folder's name. */
function nameOf({ id, dns, ip }: CertsFlags): string | undefined {
  return (id?.split("/").at(-1) ?? dns?.[0] ?? ip?.[0])?.replaceAll(/[^\w.-]/g, "-");
}

function report(directory: string, notAfter: Date): string {
  return (
    `${directory}: tls.crt, tls.key and ca.crt, valid until ${notAfter.toISOString()}.\n` +
    "For trials only: the CA's key is in the folder above. Anyone who can read it can make any certificate.\n" +
    `  tls-tproxy -cert ${directory}/tls.crt -key ${directory}/tls.key -ca-cert ${directory}/ca.crt\n`
  );
}

function failed(text: string, cause?: unknown): ProxyError {
  return new ProxyError("START_FAILED", `certs: ${text}`, { cause });
}

const dayMs = 86_400_000;
const authorityDaysMin = 365;
const fileBytesMax = 65_536;
