/** Batches of records for the agent: made here, sent elsewhere, and their answers read here. */
import {
  ANSWER_HEAD,
  BATCH_HEAD,
  BATCH_RECORDS,
  BATCH_RECORDS_AT,
  BATCH_RESULTS_AT,
  BATCH_TAIL_AT,
  EXIT_BYTES,
  IN_AT,
  IN_BYTES,
  INDIRECT,
  MUST,
  OUT_AT,
  OUT_BYTES,
  RECORD_BYTES,
  RESULT_BYTES,
  RUN_RECORD,
} from './wire.ts';

/** The result of a record of the same batch, or of the answer to it. */
export interface Result {
  readonly record: number;
}

/** An argument: a value, an address that `payload()` or `space()` gave, or what an earlier record will return. */
export type Argument = number | bigint | Result;

/** A stretch of the answer. */
export interface Space {
  readonly address: number;
  readonly bytes: number;
}

interface RecordSpec {
  readonly nr: number;
  readonly args: readonly Argument[];
  readonly must: boolean;
  /** What this call is for, in an error message. */
  readonly says: string;
}

/** One exit as the agent logged it. */
export interface LoggedExit {
  /** What KVM_RUN returned: 0 or -errno. */
  readonly ret: number;
  /** TSC units the call took. */
  readonly tsc: number;
  /** 8 bytes of `struct kvm_run` at 8, 64 at 32 and 8 at 4096, one after the other. */
  readonly bytes: DataView;
}

const MINUS_EINVAL = -22;
const align8 = (n: number): number => (n + 7) & ~7;

/** Records in order; nothing is checked but that it fits. */
export class Batch {
  readonly #records: RecordSpec[] = [];
  readonly #payload: { readonly offset: number; readonly bytes: Uint8Array }[] = [];
  #payloadBytes = 0;
  #spaceBytes = 0;

  /** Nothing to send. */
  get empty(): boolean {
    return this.#records.length === 0;
  }

  /** Bytes it will take on the wire, there or back, whichever is more. */
  get size(): number {
    const records = this.#records.length;
    return Math.max(
      BATCH_HEAD + this.#payloadBytes + records * RECORD_BYTES,
      ANSWER_HEAD + this.#spaceBytes + records * RESULT_BYTES,
    );
  }

  /** Puts bytes into the batch; returns the address at which records find them. */
  payload(bytes: Uint8Array): number {
    const offset = this.#payloadBytes;
    this.#payload.push({ offset, bytes });
    this.#payloadBytes += align8(bytes.length);
    return IN_AT + BATCH_HEAD + offset;
  }

  /** A path or name, with its zero. */
  text(text: string): number {
    return this.payload(new TextEncoder().encode(`${text}\0`));
  }

  /** Plans room in the answer, which records write to. */
  space(bytes: number): Space {
    const address = OUT_AT + ANSWER_HEAD + this.#spaceBytes;
    this.#spaceBytes += align8(bytes);
    return { address, bytes };
  }

  /** A system call. `must`: if it fails, the rest of the batch is not done and the answer throws. */
  call(nr: number, args: readonly Argument[], says = '', must = says !== ''): Result {
    return this.#push({ nr, args, must, says });
  }

  /** KVM_RUN while it comes back with MMIO writes in [lo, hi), at most `most` times. */
  run(vcpu: Argument, kvmRun: number, lo: number, hi: number, most: number): Result {
    return this.#push({ nr: RUN_RECORD, args: [vcpu, kvmRun, lo, hi, most], must: false, says: '' });
  }

  /** The bytes to send. */
  encode(): Uint8Array {
    const recordsAt = BATCH_HEAD + this.#payloadBytes;
    const length = recordsAt + this.#records.length * RECORD_BYTES;
    if (length > IN_BYTES || this.#tailAt - OUT_AT > OUT_BYTES)
      throw new Error(
        `bug in the engine: a batch of ${length} bytes, and an answer of ${this.#tailAt - OUT_AT}`,
      );
    const bytes = new Uint8Array(length);
    const view = new DataView(bytes.buffer);
    const put = (at: number, value: number): void => view.setBigUint64(at, BigInt(value), true);
    put(0, length - 8);
    put(BATCH_RECORDS, this.#records.length);
    put(BATCH_RECORDS_AT, IN_AT + recordsAt);
    put(BATCH_RESULTS_AT, this.#resultsAt);
    put(BATCH_TAIL_AT, this.#tailAt);
    for (const p of this.#payload) bytes.set(p.bytes, BATCH_HEAD + p.offset);
    this.#records.forEach((record, i) => {
      this.#encodeRecord(record, view, recordsAt + i * RECORD_BYTES);
    });
    return bytes;
  }

  /** Reads what the agent sent back, without its first eight bytes. */
  decode(answer: Uint8Array): Answer {
    const results = this.#resultsAt - OUT_AT - 8;
    const decoded = new Answer(answer, results, this.#tailAt - OUT_AT - 8, this.#runs());
    if (decoded.done < this.#records.length) {
      const { says } = this.#records[decoded.done - 1] ?? { says: 'the first call' };
      throw new CallFailed(says, -decoded.value({ record: decoded.done - 1 }));
    }
    return decoded;
  }

  get #resultsAt(): number {
    return OUT_AT + ANSWER_HEAD + this.#spaceBytes;
  }

  get #tailAt(): number {
    return this.#resultsAt + this.#records.length * RESULT_BYTES;
  }

  #runs(): readonly number[] {
    return this.#records.flatMap((r, i) => (r.nr === RUN_RECORD ? [i] : []));
  }

  #push(record: RecordSpec): Result {
    this.#records.push(record);
    return { record: this.#records.length - 1 };
  }

  #encodeRecord(record: RecordSpec, view: DataView, at: number): void {
    let flags = record.must ? MUST : 0;
    view.setBigInt64(at, BigInt(record.nr), true);
    record.args.forEach((arg, i) => {
      const isResult = typeof arg === 'object';
      if (isResult) flags |= INDIRECT << i;
      const value = isResult ? this.#resultsAt + arg.record * RESULT_BYTES : arg;
      view.setBigInt64(at + 8 + 8 * i, BigInt.asIntN(64, BigInt(value)), true);
    });
    view.setBigUint64(at + 56, BigInt(flags), true);
  }
}

/** A call failed that nothing can go on without: the harness's trouble or the kernel's, never the guest's. */
export class CallFailed extends Error {
  override readonly name = 'CallFailed';
  readonly errno: number;

  constructor(says: string, errno: number) {
    super(`${says}: errno ${errno}`);
    this.errno = errno;
  }
}

/** The agent's answer to one batch. */
export class Answer {
  /** Records that were done. */
  readonly done: number;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #resultsAt: number;
  readonly #exits = new Map<number, readonly LoggedExit[]>();

  /** Offsets are into `bytes`; `runs` are the records that log exits, in order. */
  constructor(bytes: Uint8Array, resultsAt: number, tailAt: number, runs: readonly number[]) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#resultsAt = resultsAt;
    this.done = bytes.length < 8 ? 0 : Number(this.#view.getBigUint64(0, true));
    if (tailAt > bytes.length)
      throw new Error(`the agent's answer is cut short: ${bytes.length} of ${tailAt} bytes`);
    let at = tailAt;
    for (const record of runs) {
      if (record >= this.done) break;
      const exits = Array.from({ length: this.value({ record }) }, (_, i) =>
        this.#exitAt(at + i * EXIT_BYTES),
      );
      this.#exits.set(record, exits);
      at += exits.length * EXIT_BYTES;
    }
  }

  /** What the call returned: 0 or more, or -errno. A call that was not done counts as -EINVAL. */
  value(of: Result): number {
    if (of.record >= this.done) return MINUS_EINVAL;
    return Number(this.#view.getBigInt64(this.#resultsAt + of.record * RESULT_BYTES, true));
  }

  /** TSC units it took. */
  tsc(of: Result): number {
    return Number(this.#view.getBigUint64(this.#resultsAt + of.record * RESULT_BYTES + 8, true));
  }

  /** A copy of what records wrote to a planned stretch. */
  bytes(space: Space): Uint8Array {
    const at = space.address - OUT_AT - 8;
    return this.#bytes.slice(at, at + space.bytes);
  }

  /** The exits of a KVM_RUN record. */
  exits(of: Result): readonly LoggedExit[] {
    return this.#exits.get(of.record) ?? [];
  }

  #exitAt(at: number): LoggedExit {
    return {
      ret: Number(this.#view.getBigInt64(at, true)),
      tsc: Number(this.#view.getBigUint64(at + 8, true)),
      bytes: new DataView(this.#bytes.buffer, this.#bytes.byteOffset + at + 16, EXIT_BYTES - 16),
    };
  }
}
