/** The calls that a test can make to an agent: one JSON line each. Sockets and listeners are numbers. */
export type Call =
  | { readonly op: "listen"; readonly host: string; readonly port: number }
  | { readonly op: "accept"; readonly listener: number }
  | { readonly op: "connect"; readonly host: string; readonly port: number }
  | {
      readonly op: "write";
      readonly socket: number;
      readonly bytes: number;
      readonly text?: string;
    }
  /** `bytes`: each character is one byte. */
  | {
      readonly op: "say";
      readonly socket: number;
      readonly text: string;
      readonly bytes?: boolean;
    }
  | { readonly op: "received"; readonly socket: number; readonly bytes: number }
  | {
      readonly op: "end" | "reset" | "pause" | "resume" | "finish" | "gone";
      readonly socket: number;
    };

/** How the peer's direction ended: "end" for FIN, else the error's code (ECONNRESET). */
export type Ending = string;
