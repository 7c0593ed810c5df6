/** Sees a leg's bytes before anybody else does. */
export type Screen = {
  /** What of them may pass, or the fault that ends the leg. */
  readonly pass: (chunk: Uint8Array) => Uint8Array | string;
  /** The peer says no more. */
  readonly end: () => void;
};
