/**
 * With TPROXY_TEST_RULES=external, every proxy that can gets its rules from another process, as from an init
 * container.
 */
type Run = (command: readonly string[]) => Promise<{ code: number; stderr: string }>;

type Start = {
  readonly program: readonly string[];
  readonly options: readonly string[];
  readonly prefix: readonly string[];
};

/** Applies the rules by `program`, in the pod where `run` runs; returns the options that the proxy then needs. */
export async function externalRules(
  run: Run,
  { program, options, prefix }: Start,
): Promise<readonly string[]> {
  if (process.env["TPROXY_TEST_RULES"] !== "external") return [];
  if (options.some((one) => wantsItsOwn.test(one))) return [];
  const shared = options.flatMap((one, at) =>
    isOfRules.test(one) ? [one, ...(one.includes("=") ? [] : [options[at + 1] ?? ""])] : [],
  );
  const command = [...(prefix[0] === "env" ? prefix : []), ...program, "rules"];
  await run([...command, "--remove", "--force", ...shared]);
  const { code, stderr } = await run([...command, "--apply", ...shared]);
  if (code !== 0) throw new Error(stderr);
  return ["--rules", "external"];
}

const wantsItsOwn = /^--(policy|privileges|preexisting|rules|confirm|remove-rules-on-exit|host)\b/;
const isOfRules =
  /^--(mesh-cidr|exclude-[a-z-]+|(in|out)bound-port|api-server|probe[a-z-]*|only-[ug]id|mark|(tcp|tls|inspect)-port|status-address)\b/;
