/** How this program was built: set by scripts/build.sh. */
import manifest from "../../package.json" with { type: "json" };

export type Build = {
  readonly version: string;
  readonly commit: string;
  readonly bun: string;
  readonly zig: string;
  /** static: one file without a loader. dynamic: needs glibc. source: run by Bun. */
  readonly flavour: "static" | "dynamic" | "source";
};

/** Replaced by `bun build --define`. */
declare const TPROXY_BUILD: Build;

export const build: Build =
  typeof TPROXY_BUILD === "undefined"
    ? {
        version: manifest.version,
        commit: "unknown",
        bun: Bun.version,
        zig: "unknown",
        flavour: "source",
      }
    : TPROXY_BUILD;
