/**
 * Ends another process that does not answer in time, while this thread is blocked waiting for it. A thread of its
 * own looks every few hundredths of a second whether a deadline has passed.
 */
import { Worker } from 'node:worker_threads';

/** How often it looks, in ms. */
const LOOKS_EVERY = 50;
const NO_DEADLINE = 0n;

/** One watchdog for one process. */
export class Watchdog {
  /** The deadline (ms since the epoch), and whether it was missed. */
  readonly #state = new BigInt64Array(new SharedArrayBuffer(16));
  readonly #worker: Worker;
  /** Milliseconds one answer may take. */
  patience: number;

  /** `pid` is sent SIGTERM when a deadline passes. */
  constructor(pid: number, patience: number) {
    this.patience = patience;
    const workerData = { state: this.#state, pid, every: LOOKS_EVERY };
    this.#worker = new Worker(`(${watch.toString()})(require('node:worker_threads').workerData)`, {
      eval: true,
      workerData,
    });
    this.#worker.unref();
  }

  /** From now on `patience` milliseconds may pass. */
  arm(): void {
    Atomics.store(this.#state, 0, BigInt(Date.now() + this.patience));
  }

  /** The answer is there. */
  disarm(): void {
    Atomics.store(this.#state, 0, NO_DEADLINE);
  }

  /** It had to end the process. */
  get barked(): boolean {
    return Atomics.load(this.#state, 1) !== 0n;
  }

  /** Ends the thread. */
  stop(): void {
    void this.#worker.terminate();
  }
}

/** The thread: stands alone, for it is sent there as text. */
function watch(data: { readonly state: BigInt64Array; readonly pid: number; readonly every: number }): void {
  setInterval(() => {
    const deadline = Atomics.load(data.state, 0);
    if (deadline === BigInt(0) || BigInt(Date.now()) < deadline) return;
    Atomics.store(data.state, 1, BigInt(1));
    Atomics.store(data.state, 0, BigInt(0));
    try {
      process.kill(data.pid, 'SIGTERM');
    } catch {
      // It is gone already.
    }
  }, data.every);
}
