/** The imports of Bun's executable from its libraries, and how each is provided. Pure. */
import { LinkError, type Elf, type Relocation } from "./elf.ts";

/** AMD64 supplement of the System V ABI, table 4.9. */
export const relocationType = {
  address: 1,
  copy: 5,
  globalData: 6,
  jumpSlot: 7,
  threadOffset: 18,
} as const;

/** An object that lives in Bun's executable. */
export type Copied = { readonly name: string; readonly address: number; readonly size: number };

export type Imports = {
  readonly relocations: readonly Relocation[];
  /** Functions and objects that the runtime must provide. */
  readonly needed: readonly string[];
  /** Imports that may be missing, and are: profilers' hooks, unwinders, transactional memory. */
  readonly absent: readonly string[];
  /** Objects with the library's value: they are copied at the start. */
  readonly copied: readonly Copied[];
  /** Objects that exist once for both: the runtime uses Bun's. */
  readonly shared: readonly Copied[];
  /** Thread-local variables. */
  readonly threadLocal: readonly string[];
};

/** Throws LinkError for an unknown relocation. */
export function importsOf(executable: Elf): Imports {
  const relocations = executable.relocations();
  for (const { type, address, symbol } of relocations)
    if (!known.has(type))
      throw new LinkError(
        `relocation type ${type} at 0x${address.toString(16)} for ${symbol.name}`,
      );
  const of = (...types: readonly number[]): readonly Relocation[] =>
    relocations.filter(({ type }) => types.includes(type));
  const copies = of(relocationType.copy).map(({ address, symbol: { name, size } }): Copied => ({
    name,
    address,
    size,
  }));
  const copiedNames = new Set(copies.map(({ name }) => name));
  const { address, globalData, jumpSlot, threadOffset } = relocationType;
  const symbols = of(address, globalData, jumpSlot)
    .map(({ symbol }) => symbol)
    .filter(({ name }) => name !== "" && !copiedNames.has(name));
  return {
    relocations,
    needed: unique(symbols.filter(({ weak }) => !weak).map(({ name }) => name)),
    absent: unique(symbols.filter(({ weak }) => weak).map(({ name }) => name)),
    copied: copies.filter((one) => !isShared(one)),
    shared: copies.filter(isShared),
    threadLocal: unique(of(threadOffset).map(({ symbol }) => symbol.name)),
  };
}

/** As text for the record, one line each. */
export function describeImports(imports: Imports): string {
  const lines = [
    ...imports.needed.map((name) => `needed ${name}`),
    ...imports.absent.map((name) => `absent ${name}`),
    ...imports.copied.map(({ name, size }) => `copied ${name} ${size}`),
    ...imports.shared.map(({ name, size }) => `shared ${name} ${size}`),
    ...imports.threadLocal.map((name) => `thread-local ${name}`),
  ];
  return lines
    .toSorted()
    .map((line) => `${line}\n`)
    .join("");
}

/** Throws LinkError with every line that is new or missing. `recorded` is the text of imports.txt. */
export function assertRecorded(imports: Imports, recorded: string): void {
  const found = new Set(describeImports(imports).split("\n"));
  const before = new Set(recorded.split("\n"));
  const changes = [
    ...[...found.difference(before)].map((line) => `  new: ${line}`),
    ...[...before.difference(found)].map((line) => `  gone: ${line}`),
  ];
  if (changes.length === 0) return;
  throw new LinkError(
    `this Bun imports other symbols than scripts/static/linker/imports.txt lists:\n${changes.join("\n")}\n` +
      "scripts/static/README.md says what to do; build.sh --dynamic builds without the static link.",
  );
}

/** The environment, and the tables by which type information is distinguished. */
function isShared({ name }: Copied): boolean {
  return name === "environ" || name.startsWith("_ZTV");
}

function unique(names: readonly string[]): readonly string[] {
  return [...new Set(names)].toSorted();
}

const known = new Set<number>(Object.values(relocationType));
