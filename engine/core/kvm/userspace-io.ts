/**
 * What userspace is asked to do for the guest, and what becomes of its answer (io_interception(),
 * vcpu->arch.complete_userspace_io() and kvm_run as an exit leaves it; Linux 6.1).
 */
import { KVM_EXIT_IO, KVM_EXIT_MMIO } from '../../exits.ts';
import { STEP_INDEX } from '../../steps.ts';
import { EV_MMIO_DATA } from '../vm.ts';
import type { Cpu } from '../x86/cpu/cpu.ts';
import { RAX } from '../x86/regs.ts';
import {
  EMULTYPE_NO_DECODE,
  type Emulation,
  type EmulationHost,
  ENTER_GUEST,
  EXIT_TO_USER,
  PENDING_FAST_PIO,
  PENDING_MMIO,
  PENDING_NONE,
  PENDING_PIO_IN,
} from './emulate/emulate.ts';

/** The parts of a vCPU that this works on. */
export interface AskingVcpu extends EmulationHost {
  readonly cpu: Cpu;
  readonly emulation: Emulation;
}

/** The dealings of one vCPU with userspace. */
export class UserspaceIo {
  readonly #vcpu: AskingVcpu;
  /** Port accesses that left the guest. */
  exits = 0;

  constructor(vcpu: AskingVcpu) {
    this.#vcpu = vcpu;
  }

  /** io_interception(): one port access; strings go through the emulator. */
  port(): number {
    const { cpu, emulation, exit, mmu, regs, trace } = this.#vcpu;
    const { io } = cpu;
    this.exits++;
    if (io.isString) return emulation.emulate(0, 0);
    mmu.vm.count(STEP_INDEX.pio);
    exit.reason = KVM_EXIT_IO;
    exit.port = io.port;
    exit.len = io.size;
    exit.count = 1;
    exit.isWrite = !io.isIn;
    const value = regs.gpr[2 * RAX]!;
    for (let i = 0; i < 4; i++) exit.data[i] = value >>> (8 * i);
    trace.to?.kvmPio(exit.isWrite, exit.port, exit.len, 1, exit.isWrite ? value >>> 0 : 0);
    this.#vcpu.pending = PENDING_FAST_PIO;
    return EXIT_TO_USER;
  }

  /** vcpu->arch.complete_userspace_io(). */
  complete(): number {
    const vcpu = this.#vcpu;
    const { pending, exit, ops, emulation } = vcpu;
    vcpu.pending = PENDING_NONE;
    if (pending === PENDING_NONE) return ENTER_GUEST;
    if (pending === PENDING_FAST_PIO) return this.#completeFastPio();
    if (pending === PENDING_PIO_IN) {
      ops.pio.data.set(exit.data);
      ops.pio.answered = true;
      return emulation.emulate(0, EMULTYPE_NO_DECODE);
    }
    return this.#completeMmio();
  }

  #completeMmio(): number {
    const { exit, mmio, emulation } = this.#vcpu;
    if (!mmio.complete(exit)) {
      mmio.fillExit(exit);
      this.#vcpu.pending = PENDING_MMIO;
      return EXIT_TO_USER;
    }
    return mmio.readCompleted ? emulation.emulate(0, EMULTYPE_NO_DECODE) : ENTER_GUEST;
  }

  #completeFastPio(): number {
    const { exit, cpu } = this.#vcpu;
    if (!exit.isWrite) {
      const d = exit.data;
      cpu.setAx(exit.len, d[0]! | (d[1]! << 8) | (d[2]! << 16) | (d[3]! << 24));
    }
    cpu.advance();
    return ENTER_GUEST;
  }

  /** Fills and records what userspace sees of an exit. */
  fill(): void {
    const { exit, mmu, mmio, pending } = this.#vcpu;
    if (pending === PENDING_MMIO) mmio.fillExit(exit);
    if (exit.reason !== KVM_EXIT_MMIO) return;
    mmu.vm.count(STEP_INDEX['mmio-exit']);
    const d = exit.data;
    const shown = exit.isWrite ? exit.len : 0;
    const low = shown > 0 ? d[0]! | ((d[1]! << 8) & mask(shown, 1)) | ((d[2]! << 16) & mask(shown, 2)) : 0;
    mmu.vm.record(EV_MMIO_DATA, low, exit.isWrite ? 1 : 0, exit.len);
  }
}

const mask = (shown: number, byte: number): number => (shown > byte ? -1 : 0);
