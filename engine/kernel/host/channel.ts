/**
 * A line to an agent over two named pipes, with calls that block until the answer is there. Blocking stops Node's
 * event loop, so a watchdog in a thread of its own ends the other side when an answer takes too long; what is read
 * then is the end of the file.
 */
import { closeSync, constants, openSync, readSync, writeSync } from 'node:fs';
import type { Answer, Batch } from '../agent/records.ts';
import { HELLO } from '../agent/wire.ts';
import type { Watchdog } from './kernel-watchdog.ts';

/** The other side is gone: it died, or the watchdog ended it. */
class LineDead extends Error {
  override readonly name = 'LineDead';
}

const cell = new Int32Array(new SharedArrayBuffer(4));

/** Blocks this thread for so many milliseconds. */
export function sleepSync(ms: number): void {
  Atomics.wait(cell, 0, 0, ms);
}

/** Bytes to and from another process, one after the other. */
export class Line {
  #in: number;
  #out: number;
  /** Read already, and to be handed out first. */
  #heard: Uint8Array;

  private constructor(input: number, output: number, heard: Uint8Array) {
    this.#in = input;
    this.#out = output;
    this.#heard = heard;
  }

  /** Opens `PATH.out` for reading and `PATH.in` for writing; the other side must have them open already. */
  static open(path: string, heard = new Uint8Array(0)): Line {
    return new Line(openSync(`${path}.out`, 'r'), openSync(`${path}.in`, 'w'), heard);
  }

  /** Reads what is there, at least one byte. */
  readSome(into: Uint8Array): number {
    if (this.#heard.length > 0) {
      const part = this.#heard.subarray(0, into.length);
      into.set(part);
      this.#heard = this.#heard.subarray(part.length);
      return part.length;
    }
    const n = readSync(this.#in, into, 0, into.length, null);
    if (n === 0) throw new LineDead('the other side is gone');
    return n;
  }

  /** Exactly so many bytes. */
  read(bytes: number): Uint8Array {
    const all = new Uint8Array(bytes);
    for (let at = 0; at < bytes; ) at += this.readSome(all.subarray(at));
    return all;
  }

  /** All of them. */
  write(bytes: Uint8Array): void {
    try {
      for (let at = 0; at < bytes.length; ) at += writeSync(this.#out, bytes, at);
    } catch {
      throw new LineDead('the other side is gone');
    }
  }

  /** Reads and writes from now on as the other line does where it is given. */
  takeOver(from: { readonly input?: Line; readonly output?: Line }): void {
    if (from.input !== undefined) [this.#in, from.input.#in] = [from.input.#in, this.#in];
    if (from.output !== undefined) [this.#out, from.output.#out] = [from.output.#out, this.#out];
  }

  /** Closes both descriptors. */
  close(): void {
    for (const fd of [this.#in, this.#out]) closeSync(fd);
  }
}

/**
 * Opens the line of a process that may not have opened its ends yet: waits for it, at most `patience` ms. Throws
 * `LineDead` if it ends or never comes.
 */
export function openWhenThere(path: string, alive: () => boolean, patience: number): Line {
  // Opening both ways never blocks; reading without blocking tells "nobody there" from "nothing said yet".
  const early = openSync(`${path}.in`, 'r+');
  const probe = openSync(`${path}.out`, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const until = Date.now() + patience;
    for (;;) {
      const heard = listen(probe);
      if (heard !== undefined) return Line.open(path, heard);
      if (!alive()) throw new LineDead('it ended at once');
      if (Date.now() > until) throw new LineDead(`nobody opened ${path} within ${patience / 1000} s`);
      sleepSync(5);
    }
  } finally {
    closeSync(early);
    closeSync(probe);
  }
}

/** What the other side has said already; undefined if there is nobody. */
function listen(fd: number): Uint8Array<ArrayBuffer> | undefined {
  const buffer = new Uint8Array(256);
  try {
    const n = readSync(fd, buffer, 0, buffer.length, null);
    return n === 0 ? undefined : buffer.subarray(0, n);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EAGAIN') return buffer.subarray(0, 0);
    throw error;
  }
}

/** Batches out, answers in. */
export class Channel {
  readonly line: Line;
  readonly #watchdog: Watchdog;
  readonly #autopsy: (death: LineDead) => Error;
  /** Round trips so far. */
  trips = 0;
  /** The other side is gone. */
  dead = false;

  /** `autopsy` makes of a death what is thrown. */
  constructor(line: Line, watchdog: Watchdog, autopsy: (death: LineDead) => Error) {
    this.line = line;
    this.#watchdog = watchdog;
    this.#autopsy = autopsy;
  }

  /** Waits until the agent has said that it is there; a shared line may carry other words before. */
  awaitHello(): void {
    this.#watchdog.arm();
    try {
      const got: number[] = [];
      while (got.length < HELLO.length || !HELLO.every((byte, i) => byte === got[i])) {
        if (got.length === HELLO.length) got.shift();
        got.push(...this.line.read(1));
      }
    } finally {
      this.#watchdog.disarm();
    }
  }

  /** Sends a batch and waits for its answer; throws what the autopsy says, or `CallFailed` where a call had to succeed. */
  send(batch: Batch): Answer {
    this.trips += 1;
    this.#watchdog.arm();
    try {
      this.line.write(batch.encode());
      const head = this.line.read(8);
      const length = new DataView(head.buffer).getBigUint64(0, true);
      return batch.decode(this.line.read(Number(length)));
    } catch (error) {
      if (!(error instanceof LineDead)) throw error;
      this.dead = true;
      throw this.#autopsy(error);
    } finally {
      this.#watchdog.disarm();
    }
  }
}
