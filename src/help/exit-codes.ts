/** The meanings of the exit codes, which main.ts returns. */
export const exitCodes = [
  [0, "Done; the proxy ended after SIGTERM or SIGINT"],
  [
    1,
    "Failed: the proxy could not start, the rules were not confirmed in time, check found something bad, a file is invalid, or why says that the peer would be refused",
  ],
  [2, "The command line, or an environment variable that stands for an option, is wrong"],
] as const;
