/** What the program and its worker processes say to each other. Structured clones: numbers that JSON has no word for arrive. */

/** What a worker's watchdog says before it ends it; the language engine's own words are much like it. */
export const OUT_OF_MEMORY = 'FATAL ERROR: out of memory';

/** A thrown thing, as text: an error of a user's module may be anything. */
export interface Failure {
  /** `TypeError: x is not a function`. */
  readonly line: string;
  readonly stack: string;
  /** The user's mistake, already in our words. */
  readonly usage: boolean;
}

/** To a worker: what it is for, then task after task. */
export type Order =
  | { readonly service: ServiceName; readonly setup: unknown; readonly memory: number }
  | { readonly task: unknown }
  | { readonly end: true };

/** From a worker. */
export type Reply =
  /** What it is about to do, for a message if it does not come back. */
  | { readonly doing: string }
  /** The answer to an order. */
  | { readonly answer: unknown }
  | { readonly failed: Failure }
  /** Something went wrong that no order was waiting for: a rejected promise, a timer. */
  | { readonly late: Failure }
  /** The order waits for a promise that nobody will resolve. */
  | { readonly stuck: true };

/** What a worker can be for. */
export type ServiceName = 'cells';

/** A worker's work: what setting it up came to, and how a task is done. */
export interface Service {
  readonly ready: unknown;
  readonly run: (task: unknown) => Promise<unknown>;
}
