/** The meanings of the exit codes, which main.ts returns. The topic `options` lists the same. */
export const exitCodes = [
  [0, "done; the proxy ended after SIGTERM or SIGINT"],
  [
    1,
    "a start or a check failed, no confirmation came in time, a file is invalid, or ready or why --peer says no",
  ],
  [2, "the command line, or a variable that sets an option, is wrong"],
] as const;
