/**
 * The agent's address space, from here: batches that are put off until an answer is needed, copies that fail instead
 * of killing, descriptors that are known only once the batch was sent.
 */
import { type Answer, type Argument, Batch, CallFailed, type Result, type Space } from '../agent/records.ts';
import { SYS } from '../agent/syscalls.ts';
import type { Channel } from '../host/channel.ts';
import { u64s } from './uapi.ts';

/** A batch is sent when it has grown to this. */
const BATCH_ENOUGH = 4 << 20;

/** A descriptor of the agent's: what an earlier record of the same batch will return, and then its number. */
export class RemoteFd {
  argument: Argument;

  constructor(argument: Argument) {
    this.argument = argument;
  }
}

/** Calls in order, sent when somebody wants to know. */
export class Remote {
  readonly #channel: Channel;
  readonly #pid: number;
  #batch = new Batch();
  #after: ((answer: Answer) => void)[] = [];

  /** `pid` is the agent's own. */
  constructor(channel: Channel, pid: number) {
    this.#channel = channel;
    this.#pid = pid;
  }

  /** The batch that is being made. */
  get batch(): Batch {
    return this.#batch;
  }

  /** Sends what there is; undefined when there is nothing. */
  flush(): Answer | undefined {
    if (this.#batch.empty) return undefined;
    const [batch, after] = [this.#batch, this.#after];
    this.#batch = new Batch();
    this.#after = [];
    const answer = this.#channel.send(batch);
    for (const look of after) look(answer);
    return answer;
  }

  /** A call whose value is wanted now: 0 or more, or -errno. */
  ask(nr: number, args: readonly Argument[]): number {
    const result = this.#batch.call(nr, args);
    return this.answer().value(result);
  }

  /** Sends, and gives the answer. */
  answer(): Answer {
    const answer = this.flush();
    if (answer === undefined) throw new Error('bug in the engine: an answer to nothing');
    return answer;
  }

  /** A call that makes a descriptor; it must succeed. */
  openFd(nr: number, args: readonly Argument[], says: string): RemoteFd {
    const result = this.#batch.call(nr, args, says);
    const fd = new RemoteFd(result);
    this.#after.push((answer) => {
      fd.argument = answer.value(result);
    });
    return fd;
  }

  /** Copies bytes to an address; whoever sends the batch throws if it is not writable. */
  write(address: number, bytes: Uint8Array, says: string): void {
    for (let at = 0; at < bytes.length; at += BATCH_ENOUGH) {
      this.#makeRoom();
      const part = bytes.subarray(at, at + BATCH_ENOUGH);
      const local = u64s([this.#batch.payload(part), part.length]);
      this.#whole(SYS.process_vm_writev, local, address + at, part.length, says);
    }
  }

  /** Fills memory at an address with one byte. */
  fill(address: number, value: number, bytes: number, says: string): void {
    const page = new Uint8Array(4096).fill(value);
    const IOV_MAX = 1024;
    for (let at = 0; at < bytes; at += IOV_MAX * page.length) {
      this.#makeRoom();
      const part = Math.min(bytes - at, IOV_MAX * page.length);
      const source = this.#batch.payload(page);
      const pieces: number[] = [];
      for (let n = 0; n < part; n += page.length) pieces.push(source, Math.min(page.length, part - n));
      this.#whole(SYS.process_vm_writev, u64s(pieces), address + at, part, says);
    }
  }

  /** Reads memory now. */
  read(address: number, bytes: number, says: string): Uint8Array {
    const all = new Uint8Array(bytes);
    for (let at = 0; at < bytes; at += BATCH_ENOUGH) {
      const space = this.plan(address + at, Math.min(BATCH_ENOUGH, bytes - at), says);
      all.set(this.answer().bytes(space), at);
    }
    return all;
  }

  /** Reads memory into the answer of the batch that is being made. */
  plan(address: number, bytes: number, says: string): Space {
    const space = this.#batch.space(bytes);
    this.#whole(SYS.process_vm_readv, u64s([space.address, bytes]), address, bytes, says);
    return space;
  }

  /** A copy between the agent's memory and its own buffers, which has to be whole. */
  #whole(nr: number, local: Uint8Array, address: number, bytes: number, says: string): void {
    const b = this.#batch;
    const remote = b.payload(u64s([address, bytes]));
    const args = [this.#pid, b.payload(local), local.length / 16, remote, 1, 0];
    this.#mustGive(b.call(nr, args, says), bytes, says);
  }

  /** A batch that has grown enough goes first. */
  #makeRoom(): void {
    if (this.#batch.size > BATCH_ENOUGH) this.flush();
  }

  #mustGive(result: Result, bytes: number, says: string): void {
    const EFAULT = 14;
    this.#after.push((answer) => {
      if (answer.value(result) !== bytes) throw new CallFailed(says, EFAULT);
    });
  }
}
