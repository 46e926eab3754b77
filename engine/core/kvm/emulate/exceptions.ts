/** The exception queue of a vCPU: what KVM injects at the next entry, and what becomes of one on top of another. */
import type { Cpu } from '../../x86/cpu/cpu.ts';
import { CPU_EXIT_NPF, CPU_EXIT_SHUTDOWN, CPU_OK } from '../../x86/ports.ts';

/** Invalid opcode. */
export const UD_VECTOR = 6;
/** Page fault. */
export const PF_VECTOR = 14;
const DF_VECTOR = 8;

/** Names for explanations. */
const NAMES: Readonly<Record<number, string>> = {
  [UD_VECTOR]: '#UD',
  [DF_VECTOR]: '#DF',
  13: '#GP',
  [PF_VECTOR]: '#PF',
};

/** exception_class(): #DE, #TS, #NP, #SS and #GP. */
const isContributory = (vector: number): boolean => vector === 0 || (vector >= 10 && vector <= 13);

/** One exception at most is on its way (`vcpu->arch.exception`). */
export class ExceptionQueue {
  /** The queued exception, or -1. */
  #vector = -1;
  #errorCode = -1;
  /** The exception whose delivery ended in the fault being handled, or -1. */
  #undelivered = -1;
  /** KVM_REQ_TRIPLE_FAULT: an exception on top of a double fault. */
  tripleFault = false;

  /** kvm_multiple_exception(): on top of one whose delivery faulted, it may become a double or triple fault. */
  queue(vector: number, errorCode: number): void {
    const before = this.#undelivered;
    this.#undelivered = -1;
    if (before === DF_VECTOR) this.tripleFault = true;
    const double = isContributory(vector)
      ? isContributory(before) || before === PF_VECTOR
      : vector === PF_VECTOR && before === PF_VECTOR;
    this.#vector = double ? DF_VECTOR : vector;
    this.#errorCode = double ? 0 : errorCode;
  }

  /** What is on its way, in words: for explanations. */
  get says(): string {
    if (this.tripleFault) return 'a triple fault';
    const name = NAMES[this.#vector] ?? `exception ${this.#vector}`;
    return this.#errorCode < 0 ? name : `${name} with error code 0x${this.#errorCode.toString(16)}`;
  }

  /** kvm_clear_exception_queue(). */
  clear(): void {
    this.#vector = -1;
    this.#undelivered = -1;
  }

  /** As after KVM_SET_REGS. */
  reset(): void {
    this.clear();
    this.tripleFault = false;
  }

  /** Nothing is on its way. */
  get empty(): boolean {
    return this.#vector < 0;
  }

  /** Event injection at entry: CPU_OK if the guest may run, else the VM exit it ended in. */
  deliver(cpu: Cpu): number {
    if (this.#vector < 0) return CPU_OK;
    if (this.tripleFault) return CPU_EXIT_SHUTDOWN;
    const why = cpu.deliver(this.#vector, this.#errorCode);
    // An event whose delivery faulted is delivered again after the fault is served.
    this.#undelivered = why === CPU_EXIT_NPF ? this.#vector : -1;
    if (why === CPU_OK) this.#vector = -1;
    return why;
  }
}
