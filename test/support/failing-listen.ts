/** Preloaded before the proxy: its call of Bun.listen with the number in FAILING_LISTEN fails, as for want of memory. */
const real = Bun.listen;
let calls = 0;
function listen(options: Parameters<typeof real>[0]): ReturnType<typeof real> {
  calls += 1;
  if (calls === Number(process.env["FAILING_LISTEN"]))
    throw Object.assign(new Error("Failed to listen at "), { code: "ENOMEM", errno: 12 });
  return real(options);
}
Object.assign(Bun, { listen });
