/** The machine of a run in words. Pure. */
import type { Machine, Run } from "./results.ts";

export function roundsText({ rounds, seconds }: Run): string {
  if (rounds === 1) return `one round, ${seconds} s a load`;
  return `medians of ${rounds} rounds, ${seconds} s a load`;
}

/** Two lines: the machine, and the versions of the programs. */
export function describeMachine(machine: Machine): string {
  const { processor, cores, memoryMiB, kernel, distribution, versions } = machine;
  const hardware = `${cores} cores of ${processor}, ${memoryMiB} MiB`;
  const programs = Object.entries(versions).map(([name, version]) => `${name} ${version}`);
  return `${hardware}; Linux ${kernel}, ${distribution}\n${programs.join(", ")}`;
}
