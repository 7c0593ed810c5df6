/**
 * Screens a probe: what its client sends passes the judge, byte for byte, and anything refused ends the connection.
 */
import { Deadline } from "../runtime/deadline.ts";
import type { Fault } from "../net/fault.ts";
import type { FirstBytes } from "./first-bytes.ts";
import type { Leg, Screen } from "../relay/leg.ts";
import { GrpcJudge } from "../probe/grpc-request.ts";
import { HttpJudge } from "../probe/http-request.ts";
import type { Judge, ProbeRefusal, ProbeRefusalReason } from "../probe/judge.ts";
import type { Probe, ProbeKind } from "../probe/probe.ts";

/** The screen of a connection: `refusal` may come late, if more than the probe is sent. */
export class Screening implements Screen {
  refusal: ProbeRefusal | null = null;
  /** The request is complete, and may go to the application. */
  complete = false;
  readonly #declared: readonly Probe[];
  readonly #begun = Promise.withResolvers<void>();
  #judge: Judge | null = null;
  #deadline: Deadline | null = null;

  constructor(declared: readonly Probe[]) {
    this.#declared = declared;
  }

  get kind(): ProbeKind {
    return this.#judge?.kind ?? this.#declared[0]?.kind ?? "tcp";
  }

  /**
   * Resolves when something may pass, or never will: then there is a `refusal`, and the leg is ended unless it is
   * closed. The request must be complete after `msMax`.
   */
  async begin(leg: Leg, first: FirstBytes, msMax: number): Promise<void> {
    if (first === "other") await this.#read(leg, msMax);
    else if (first === "ended" && this.#has("tcp")) this.#connected(leg);
    else this.#refuse(first === "silent" ? silent : closed);
    if (this.refusal !== null) leg.terminate("PROBE_REFUSED");
  }

  /** For the leg only, like `end`. */
  pass(chunk: Uint8Array): Uint8Array | Fault {
    this.#judge ??= judgeOf(this.#declared, chunk);
    const judgement = this.#judge.push(chunk);
    if (judgement.kind === "refuse") {
      this.#refuse(judgement);
      return "PROBE_REFUSED";
    }
    if (judgement.complete) this.#completed();
    if (judgement.bytes.length > 0) this.#begun.resolve();
    return judgement.bytes;
  }

  end(): void {
    if (!this.complete) this.#refuse(closed);
  }

  async #read(leg: Leg, msMax: number): Promise<void> {
    this.#deadline = new Deadline(msMax, () => {
      this.#refuse(late);
      leg.terminate("PROBE_REFUSED");
    });
    void leg.gone.then(() => {
      this.end();
    });
    leg.startScreened(this);
    await this.#begun.promise;
  }

  /** It has ended its direction without data: the probe is only a connection. */
  #connected(leg: Leg): void {
    this.#judge = { kind: "tcp", push: () => ({ kind: "refuse", ...closed }) };
    this.complete = true;
    leg.startPlain();
  }

  #completed(): void {
    this.complete = true;
    this.#deadline?.clear();
  }

  #refuse(refusal: ProbeRefusal): void {
    this.refusal ??= refusal;
    this.#deadline?.clear();
    this.#begun.resolve();
  }

  #has(kind: ProbeKind): boolean {
    return this.#declared.some((probe) => probe.kind === kind);
  }
}

/** Why it was refused, null for a probe that the application has received. */
export function refusalOf(screening: Screening, unreached: boolean): ProbeRefusalReason | null {
  if (screening.refusal !== null) return screening.refusal.reason;
  if (unreached) return "unreached";
  return screening.complete ? null : "closed";
}

/** HTTP/2 begins with a letter that starts no probe's method: "PRI". */
function judgeOf(declared: readonly Probe[], [first]: Uint8Array): Judge {
  const services = declared.flatMap((probe) => (probe.kind === "grpc" ? [probe.service] : []));
  const http = declared.some(({ kind }) => kind === "http");
  if (services.length > 0 && (!http || first === letterP)) return new GrpcJudge(services);
  return new HttpJudge(declared.flatMap((probe) => (probe.kind === "http" ? [probe.path] : [])));
}

const letterP = 0x50;
const silent: ProbeRefusal = { reason: "silent", detail: "a probe without a request" };
const closed: ProbeRefusal = {
  reason: "closed",
  detail: "a probe that closed before it sent a request",
};
const late: ProbeRefusal = { reason: "timeout", detail: "a probe that sent no request in time" };
