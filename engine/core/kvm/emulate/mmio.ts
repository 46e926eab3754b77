/**
 * MMIO delivery: the pieces of an access that no memory took, handed to userspace at most eight bytes at a
 * time, and its answers. emulator_read_write() and complete_emulated_mmio() of Linux 6.1.
 */
import { type ExitRecord, KVM_EXIT_MMIO } from '../../../exits.ts';

/** The widest access of the emulator: INS with REP, which writes ahead what it has read from the port. */
export const MMIO_DATA_BYTES = 1024;

/** One page-bound piece of an access. */
interface Fragment {
  gpa: number;
  len: number;
  /** Bytes still to be exchanged start here in `MmioState.data`. */
  offset: number;
}

/** At most this many bytes leave in one exit (`struct kvm_run`.mmio.data). */
const MMIO_EXIT_BYTES = 8;

/** The vCPU's MMIO state: `mmio_needed`, `mmio_fragments`, `mmio_read_completed` and friends. */
export class MmioState {
  /** An exit is due. */
  needed = false;
  isWrite = false;
  /** The VMM has answered a read in full: the next emulated read takes `data` instead of memory. */
  readCompleted = false;
  readonly data = new Uint8Array(MMIO_DATA_BYTES);
  readonly #fragments: Fragment[] = [
    { gpa: 0, len: 0, offset: 0 },
    { gpa: 0, len: 0, offset: 0 },
  ];
  /** Where the first piece of the access is. */
  firstGpa = 0;
  #count = 0;
  #current = 0;

  /** Begins an access: whatever an earlier store of the same instruction queued is lost. */
  begin(): void {
    this.#count = 0;
  }

  /** Keeps an access's bytes for the exits to come: of a load, what memory gave beside the device. */
  keep(bytes: Uint8Array, n: number): void {
    for (let i = 0; i < n; i++) this.data[i] = bytes[i]!;
  }

  /** Queues a piece that memory did not take. */
  add(gpa: number, len: number, offset: number): void {
    if (this.#count === 0) this.firstGpa = gpa;
    const f = this.#fragments[this.#count++]!;
    f.gpa = gpa;
    f.len = len;
    f.offset = offset;
  }

  get pending(): number {
    return this.#count;
  }

  /** The access is over and something was queued: userspace has to act. */
  ask(isWrite: boolean): void {
    this.needed = true;
    this.isWrite = isWrite;
    this.#current = 0;
  }

  /** Fills `kvm_run.mmio` for the next chunk. */
  fillExit(exit: ExitRecord): void {
    const f = this.#fragments[this.#current]!;
    exit.reason = KVM_EXIT_MMIO;
    exit.physAddr = f.gpa;
    exit.len = Math.min(MMIO_EXIT_BYTES, f.len);
    exit.count = 1;
    exit.isWrite = this.isWrite;
    if (this.isWrite) for (let i = 0; i < exit.len; i++) exit.data[i] = this.data[f.offset + i]!;
  }

  /** Takes the VMM's answer to the last exit up. True when the whole access is done. */
  complete(exit: ExitRecord): boolean {
    const f = this.#fragments[this.#current]!;
    const len = Math.min(MMIO_EXIT_BYTES, f.len);
    if (!this.isWrite) for (let i = 0; i < len; i++) this.data[f.offset + i] = exit.data[i]!;
    f.gpa += len;
    f.offset += len;
    f.len -= len;
    if (f.len === 0) this.#current++;
    if (this.#current < this.#count) return false;
    this.needed = false;
    this.readCompleted = !this.isWrite;
    return true;
  }
}
