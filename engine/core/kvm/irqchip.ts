/**
 * KVM_CREATE_IRQCHIP: what is in the kernel then. A local APIC, and with it asynchronous page faults; the two 8259s and
 * the I/O APIC are there for the guest too, but are not modelled: whoever uses them is told.
 */
import { IF, type Regs } from '../x86/regs.ts';
import { APF_MSRS, type ApfHost, AsyncPageFaults, READ_INSTRUCTIONS } from './async-pf.ts';
import { LocalApic } from './lapic.ts';
import type { Mmu } from './paging/mmu.ts';

/** Ports of the 8259s. */
const PIC_PORTS: readonly number[] = [0x20, 0x21, 0xa0, 0xa1, 0x4d0, 0x4d1];

/** The interrupt controller of one vCPU, and what depends on it. */
export class Irqchip {
  readonly lapic = new LocalApic();
  readonly #asyncPf: AsyncPageFaults;
  readonly #regs: Regs;

  constructor(mmu: Mmu, regs: Regs, vcpu: ApfHost) {
    this.#regs = regs;
    this.#asyncPf = new AsyncPageFaults(mmu, regs, this.lapic, vcpu);
    mmu.onAsync = (fault) => this.#asyncPf.setUp(fault);
  }

  /** The port is in the kernel: what it belongs to, or undefined. */
  deviceAt(port: number): string | undefined {
    return PIC_PORTS.includes(port) ? `the interrupt controller at port ${port.toString(16)}` : undefined;
  }

  /** A register that is kept here: whether it takes the value (else #GP). Undefined for one that is kept elsewhere. */
  writeMsr(msr: number, value: bigint): boolean | undefined {
    return APF_MSRS.includes(msr) ? this.#asyncPf.writeMsr(msr, value) : undefined;
  }

  /** Interrupts can be taken now (kvm_arch_interrupt_allowed()). */
  get allowed(): boolean {
    return (this.#regs.eflags & IF) !== 0;
  }

  /** kvm_check_async_pf_completion(). */
  checkCompletion(): void {
    this.#asyncPf.check();
  }

  /** kvm_cpu_get_interrupt(): the vector that the guest is given now, or -1. */
  takeInterrupt(): number {
    const vector = this.allowed ? this.lapic.pending() : -1;
    if (vector >= 0) this.lapic.acknowledge(vector);
    return vector;
  }

  /** The vCPU sleeps (HLT): does anything wake it? */
  sleep(): boolean {
    this.#asyncPf.sleep();
    this.#asyncPf.check();
    return this.allowed && this.lapic.pending() >= 0;
  }

  /** Guest instructions after which a read that nobody sleeps for is done, of `left` that may be run. */
  slice(left: number): number {
    return this.#asyncPf.reading ? Math.min(left, READ_INSTRUCTIONS) : left;
  }

  /** The slice is over. */
  readDone(): void {
    if (this.#asyncPf.reading) this.#asyncPf.sleep();
  }
}
