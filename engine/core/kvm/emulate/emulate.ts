/**
 * x86_emulate_instruction() and what surrounds it (arch/x86/kvm/x86.c, Linux 6.1): decode, the chance to let
 * the guest try again first, execution, and what becomes of an instruction KVM cannot do.
 */
import { type ExitRecord, KVM_EXIT_IO, KVM_EXIT_MMIO } from '../../../exits.ts';
import { F_WRITE } from '../../../facts.ts';
import { EMULATION_FAILURE_INTERNAL_ERROR, EMULATION_FAILURE_MMIO } from '../../../policy.ts';
import { type Place, STEP_INDEX } from '../../../steps.ts';
import { EV_EMULATE } from '../../vm.ts';
import type { Emulator } from '../../x86/emulator/emulator.ts';
import { EMULATION_FAILED, EMULATION_RESTART, EMULATION_UNSUPPORTED } from '../../x86/ports.ts';
import type { Regs } from '../../x86/regs.ts';
import type { Fault } from '../fault/fault.ts';
import { askFailure, askReexecute, V_FAILURE_SHIFT, V_REEXECUTE } from '../fault/fault-path.ts';
import type { LifeRecorder } from '../fault/life.ts';
import { ACCESS_READ, ACCESS_WRITE } from '../paging/guest-walk.ts';
import type { Mmu } from '../paging/mmu.ts';
import type { Tracing } from '../trace.ts';
import type { KvmEmulateOps } from './emulate-ops.ts';
import { fillEmulationFailure } from './emulation-failure.ts';
import { UD_VECTOR } from './exceptions.ts';
import type { MmioState } from './mmio.ts';

/** The emulation comes from a page fault (EMULTYPE_PF): `address` is its gpa, or gva under shadow paging. */
export const EMULTYPE_PF = 1;
/** Trying the instruction again may help (EMULTYPE_ALLOW_RETRY_PF). */
export const EMULTYPE_ALLOW_RETRY_PF = 2;
/** The instruction was decoded before; userspace has answered (EMULTYPE_NO_DECODE). */
export const EMULTYPE_NO_DECODE = 4;
/** The processor raised #UD (EMULTYPE_TRAP_UD). */
export const EMULTYPE_TRAP_UD = 8;
/** The store hit a page table used for its own translation (EMULTYPE_WRITE_PF_TO_SP). */
export const EMULTYPE_WRITE_PF_TO_SP = 16;

/** What the vCPU does next. */
export const ENTER_GUEST = 1;
export const EXIT_TO_USER = 0;

/** What userspace must finish before the guest goes on. */
export const PENDING_NONE = 0;
export const PENDING_MMIO = 1;
export const PENDING_PIO_IN = 2;
export const PENDING_FAST_PIO = 3;

/** The parts of a vCPU that emulation works on. */
export interface EmulationHost {
  readonly mmu: Mmu;
  readonly regs: Regs;
  readonly emulator: Emulator;
  readonly ops: KvmEmulateOps;
  readonly mmio: MmioState;
  readonly exit: ExitRecord;
  readonly life: LifeRecorder;
  /** The page fault that emulation comes from, if it comes from one. */
  readonly fault: Fault;
  readonly trace: Tracing;
  /** PENDING_*. */
  pending: number;
  queueException(vector: number, errorCode: number): void;
  /** kvm_clear_exception_queue(): emulation begins, what was being delivered is forgotten. */
  clearExceptionQueue(): void;
  /**
   * The guest-physical address behind a fault's address: itself, or a walk under shadow paging; -1 if unmapped. A
   * walk for write sets dirty bits, as kvm_mmu_gva_to_gpa_write() does.
   */
  faultGpa(address: number, access: number): number;
  /** kvm_mmu_unprotect_page(): the page is no longer shadowed as a guest page table, so it may be written. */
  unprotect(address: number): void;
  /** This core does not know the instruction at rip: EXIT_TO_USER with an exit of the engine's own. */
  unsupported(): number;
  /** The fault address is guest-physical (`root_role.direct`). */
  isDirect(): boolean;
}

/** Emulates instructions for one vCPU. */
export class Emulation {
  readonly #vcpu: EmulationHost;
  /** `last_retry_eip`, `last_retry_addr`. */
  #lastRetryEip = -1;
  #lastRetryAddress = -1;
  /** Instructions emulated, guests entered again because that failed, and failures. */
  emulated = 0;
  reexecuted = 0;
  failed = 0;
  /** Fault words for which reexecute_instruction() asked for a writable page, and how often. */
  readonly reexecuteWords = new Map<number, number>();
  /** KVM_CAP_EXIT_ON_EMULATION_FAILURE. */
  readonly #exitOnFailure: boolean;
  /** Statistics: instructions decoded, and MMIO exits, one for all pieces of an access. */
  decoded = 0;
  mmioExits = 0;

  constructor(vcpu: EmulationHost, exitOnFailure: boolean) {
    this.#vcpu = vcpu;
    this.#exitOnFailure = exitOnFailure;
  }

  /** x86_emulate_instruction(): ENTER_GUEST, or EXIT_TO_USER with the exit filled. */
  emulate(address: number, type: number): number {
    const { emulator, ops, mmu, life, trace } = this.#vcpu;
    const { vm } = mmu;
    if ((type & EMULTYPE_NO_DECODE) === 0) {
      this.#vcpu.clearExceptionQueue();
      ops.gpaAvailable = false;
      vm.count(STEP_INDEX['emulate-decode']);
      this.decoded++;
      const decoded = emulator.decode();
      if (trace.to !== undefined) trace.emulate(trace.to, emulator, false);
      if (decoded === EMULATION_FAILED) return this.#decodeFailed(address, type);
      if ((type & EMULTYPE_TRAP_UD) !== 0 && !emulator.emulateOnUd) return this.#injectUd();
      if (this.#retryInstruction(address, type)) {
        mmu.taken.retry(this.#vcpu.fault);
        if (life.open)
          life.note('retry_instruction()', 'not a page-table write: let the guest try once more first');
        return ENTER_GUEST;
      }
    }
    if ((type & EMULTYPE_PF) !== 0 && this.#vcpu.isDirect()) {
      ops.gpaAvailable = true;
      ops.gpaValue = address;
    }
    return this.#execute(address, type);
  }

  #execute(address: number, type: number): number {
    const { emulator } = this.#vcpu;
    let result = EMULATION_RESTART;
    // A string instruction restarts at most once an element, and returns to the guest every 1,024 of them.
    for (let i = 0; i <= 1024 && result === EMULATION_RESTART; i++) {
      result = emulator.execute();
      if (result === EMULATION_FAILED) return this.#failed(address, type, 'x86_emulate_insn()');
      if (result === EMULATION_UNSUPPORTED) return this.#vcpu.unsupported();
      if (this.#mustStop()) break;
    }
    this.emulated++;
    return this.#finish();
  }

  /** An exception, a port access or an MMIO exit ends the loop over a string instruction's elements. */
  #mustStop(): boolean {
    const { emulator, ops, mmio } = this.#vcpu;
    return emulator.haveException || ops.pio.count > 0 || mmio.needed;
  }

  #finish(): number {
    const { emulator, ops, mmio, regs, life, mmu } = this.#vcpu;
    mmu.vm.record(EV_EMULATE, regs.rip, emulator.insn.len, mmio.needed ? 1 : 0);
    if (emulator.haveException) {
      this.#vcpu.queueException(emulator.vector, emulator.errorCode);
      if (emulator.vector === 14) regs.cr2 = emulator.faultAddress;
      return ENTER_GUEST;
    }
    if (ops.pio.count > 0) return this.#pioExit();
    if (!mmio.needed) {
      this.#commit();
      if (life.open) life.note('x86_emulate_insn()', 'emulated; the guest goes on');
      return ENTER_GUEST;
    }
    if (life.open) {
      const who = mmio.isWrite ? 'takes the store: it leaves as MMIO' : 'answers the load: userspace has to';
      life.note('x86_emulate_insn()', `no memory ${who}`);
    }
    // A store's registers are written back before userspace sees it; a load's instruction runs again after.
    if (mmio.isWrite) this.#commit();
    this.mmioExits++;
    this.#vcpu.pending = PENDING_MMIO;
    return EXIT_TO_USER;
  }

  #commit(): void {
    const { emulator, regs } = this.#vcpu;
    regs.rip = emulator.eip;
    regs.eflags = emulator.eflags;
  }

  #pioExit(): number {
    const { ops, exit } = this.#vcpu;
    const { pio } = ops;
    exit.reason = KVM_EXIT_IO;
    exit.port = pio.port;
    exit.len = pio.size;
    exit.count = pio.count;
    exit.isWrite = !pio.isIn;
    if (!pio.isIn) exit.data.set(pio.data.subarray(0, pio.size * pio.count));
    if (pio.isIn) this.#vcpu.pending = PENDING_PIO_IN;
    else {
      pio.count = 0;
      this.#commit();
    }
    return EXIT_TO_USER;
  }

  #decodeFailed(address: number, type: number): number {
    const { emulator } = this.#vcpu;
    if ((type & EMULTYPE_TRAP_UD) !== 0) return this.#injectUd();
    if (this.#reexecute(address, type)) return ENTER_GUEST;
    if (emulator.haveException) {
      this.#vcpu.queueException(emulator.vector, emulator.errorCode);
      return ENTER_GUEST;
    }
    return this.#failure(address, type, 'x86_decode_insn()');
  }

  #failed(address: number, type: number, where: Place): number {
    return this.#reexecute(address, type) ? ENTER_GUEST : this.#failure(address, type, where);
  }

  #injectUd(): number {
    this.#vcpu.queueException(UD_VECTOR, -1);
    return ENTER_GUEST;
  }

  /** retry_instruction(): stores that are no page-table writes get a second chance, once per address. */
  #retryInstruction(address: number, type: number): boolean {
    const { emulator, regs } = this.#vcpu;
    const lastEip = this.#lastRetryEip;
    const lastAddress = this.#lastRetryAddress;
    this.#lastRetryEip = -1;
    this.#lastRetryAddress = -1;
    if ((type & EMULTYPE_ALLOW_RETRY_PF) === 0 || emulator.pageTableTagged) return false;
    if (regs.rip === lastEip && address === lastAddress) return false;
    this.#lastRetryEip = regs.rip;
    this.#lastRetryAddress = address;
    this.#vcpu.unprotect(address);
    return true;
  }

  /** reexecute_instruction(): the series decides, from the facts of the page that faulted. */
  #reexecute(address: number, type: number): boolean {
    if ((type & EMULTYPE_ALLOW_RETRY_PF) === 0) return false;
    const gpa = this.#vcpu.faultGpa(address, ACCESS_WRITE);
    if (gpa < 0) return true;
    const word = this.#vcpu.mmu.wordOf(Math.floor(gpa / 4096), F_WRITE);
    const verdict = this.#vcpu.mmu.vm.verdicts[word]!;
    const again = (verdict & V_REEXECUTE) !== 0 && (type & EMULTYPE_WRITE_PF_TO_SP) === 0;
    const { life } = this.#vcpu;
    if (life.open) {
      const says = again
        ? 'enter the guest again, it may work now'
        : 'entering the guest again would not help';
      life.decided('reexecute_instruction()', `emulation failed; ${says}`, askReexecute(word));
    }
    if (again) this.reexecuted++;
    this.reexecuteWords.set(word, (this.reexecuteWords.get(word) ?? 0) + 1);
    if ((verdict & V_REEXECUTE) !== 0) this.#vcpu.unprotect(address);
    return again;
  }

  /** handle_emulation_failure(). */
  #failure(address: number, type: number, where: Place): number {
    const { mmu, exit, life, regs, trace } = this.#vcpu;
    const guestOnly = regs.cpl !== 0 && !this.#exitOnFailure;
    this.failed++;
    if (trace.to !== undefined) trace.emulate(trace.to, this.#vcpu.emulator, true);
    const gpa = (type & EMULTYPE_PF) !== 0 ? this.#vcpu.faultGpa(address, ACCESS_READ) : -1;
    const word = gpa < 0 ? 0 : mmu.wordOf(Math.floor(gpa / 4096), F_WRITE);
    // Only an access that faulted can leave any other way: the series knows nothing of other failures.
    const fault = (type & EMULTYPE_PF) !== 0;
    const verdict = fault
      ? (mmu.vm.verdicts[word]! >>> V_FAILURE_SHIFT) & 3
      : EMULATION_FAILURE_INTERNAL_ERROR;
    mmu.vm.record(EV_EMULATE, regs.rip, -1, verdict);
    if (life.open) {
      life.note(where, 'KVM cannot emulate this instruction');
      const says =
        verdict === 0 && guestOnly ? '#UD for the guest, which is no kernel' : FAILURE_SAYS[verdict]!;
      if (fault) life.decided('handle_emulation_failure()', says, askFailure(word));
      else life.note('handle_emulation_failure()', says);
    }
    if (verdict === EMULATION_FAILURE_INTERNAL_ERROR) {
      if (!this.#exitOnFailure) this.#vcpu.queueException(UD_VECTOR, -1);
      if (guestOnly) return ENTER_GUEST;
      fillEmulationFailure(exit, this.#vcpu.emulator);
      return EXIT_TO_USER;
    }
    if (verdict !== EMULATION_FAILURE_MMIO) return ENTER_GUEST;
    exit.reason = KVM_EXIT_MMIO;
    // Whatever the emulator last took for a guest-physical address: after a failed decode, an older fault's.
    exit.physAddr = this.#vcpu.ops.gpaValue;
    exit.len = 0;
    exit.isWrite = true;
    return EXIT_TO_USER;
  }
}

const FAILURE_SAYS = [
  'KVM_EXIT_INTERNAL_ERROR, with #UD queued',
  'KVM_EXIT_MMIO without address or data',
  'enter the guest again and say nothing',
];
