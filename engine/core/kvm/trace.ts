/** Where the vCPU's tracepoints are called from: what the processor says of an exit, in the words of KVM's trace. */
import { PFERR_GUEST_PAGE } from '../../abi.ts';
import type { Tracepoints } from '../../tracepoints.ts';
import type { PortAccess } from '../x86/cpu/cpu-memory.ts';
import type { Emulator } from '../x86/emulator/emulator.ts';
import { CPU_EXIT_HLT, CPU_EXIT_IO, CPU_EXIT_NPF, CPU_EXIT_SHUTDOWN, CPU_EXIT_UD } from '../x86/ports.ts';
import type { Regs } from '../x86/regs.ts';
import type { GuestBus } from './guest-bus.ts';

/** Modes as the trace names them, by MODE_*. */
const MODE_NAMES: readonly string[] = ['real', 'prot32', 'prot64', 'prot16'];

/** Exits as SVM's table in the kernel's trace names them (arch/x86/include/uapi/asm/svm.h). */
const REASONS: Readonly<Record<number, string>> = {
  [CPU_EXIT_NPF]: 'npf',
  [CPU_EXIT_IO]: 'io',
  [CPU_EXIT_HLT]: 'hlt',
  [CPU_EXIT_SHUTDOWN]: 'shutdown',
  [CPU_EXIT_UD]: 'UD excp',
};
/** Bits of a #NPF code above the 32 that this core keeps: the final access, or the walk of the guest's tables. */
const PFERR_GUEST_FINAL_MASK = 2 ** 32;
const PFERR_GUEST_PAGE_MASK = 2 ** 33;

/** Calls tracepoints for one vCPU; nothing is done, and nothing made, while nobody listens. */
export class Tracing {
  to: Tracepoints | undefined;
  readonly #regs: Regs;
  readonly #bus: GuestBus;

  constructor(regs: Regs, bus: GuestBus) {
    this.#regs = regs;
    this.#bus = bus;
  }

  /** The guest came out; `direct` says that a fault's address is guest-physical. */
  exit(to: Tracepoints, why: number, io: PortAccess, direct: boolean): void {
    const reason = REASONS[why];
    if (reason === undefined) return;
    const { rip } = this.#regs;
    if (why === CPU_EXIT_NPF) {
      this.#fault(to, direct);
      return;
    }
    if (why === CPU_EXIT_IO) {
      to.kvmExit(reason, rip, io.port * 0x10000 + io.size * 16 + (io.isIn ? 1 : 0), 0);
      return;
    }
    to.kvmExit(reason, rip, 0, 0);
  }

  #fault(to: Tracepoints, direct: boolean): void {
    const { npfGpa, npfCode, npfLinear } = this.#bus;
    const { rip } = this.#regs;
    const address = direct ? npfGpa : npfLinear;
    const walk = (npfCode & PFERR_GUEST_PAGE) !== 0;
    const high = !direct ? 0 : walk ? PFERR_GUEST_PAGE_MASK : PFERR_GUEST_FINAL_MASK;
    const code = (npfCode & ~PFERR_GUEST_PAGE) + high;
    to.kvmExit(direct ? 'npf' : 'PF excp', rip, code, address);
    to.kvmPageFault(rip, address, code);
  }

  /** The emulator has decoded the instruction at rip, or cannot do it. */
  emulate(to: Tracepoints, emulator: Emulator, failed: boolean): void {
    const { mode, rip } = this.#regs;
    const bytes = this.#bus.peek(this.#regs.linearRip(), emulator.insn.len);
    to.kvmEmulateInsn(rip, bytes, MODE_NAMES[mode]!, failed);
  }
}
