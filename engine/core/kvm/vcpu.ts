/**
 * The vCPU: KVM_RUN. Finishes what userspace was asked to do, then enters the guest again and again until
 * something needs userspace. svm_handle_exit() and vcpu_enter_guest() of Linux 6.1, in outline.
 */
import { EINTR, PAGE_SIZE } from '../../abi.ts';
import { assert } from '../../assert.ts';
import {
  type ExitRecord,
  exitSays,
  FAULTLINE_EXIT_UNSUPPORTED,
  KVM_EXIT_HLT,
  KVM_EXIT_INTR,
  KVM_EXIT_IO,
  KVM_EXIT_MMIO,
  KVM_EXIT_SHUTDOWN,
  KVM_EXIT_UNKNOWN,
} from '../../exits.ts';
import { F_APF } from '../../facts.ts';
import type { VcpuSetup } from '../../machine.ts';
import { STEP_INDEX } from '../../steps.ts';
import { EV_EXIT, EV_MMIO_DATA } from '../vm.ts';
import { Cpu } from '../x86/cpu/cpu.ts';
import { Emulator } from '../x86/emulator/emulator.ts';
import { MAX_INSN_LENGTH } from '../x86/insn/decode.ts';
import { describeInstruction } from '../x86/insn/describe.ts';
import {
  CPU_EXIT_BUDGET,
  CPU_EXIT_HLT,
  CPU_EXIT_IO,
  CPU_EXIT_NPF,
  CPU_EXIT_SHUTDOWN,
  CPU_EXIT_UD,
  CPU_EXIT_UNSUPPORTED,
  CPU_OK,
} from '../x86/ports.ts';
import { CR0_PG, IF, RAX, Regs } from '../x86/regs.ts';
import {
  EMULTYPE_NO_DECODE,
  EMULTYPE_TRAP_UD,
  Emulation,
  ENTER_GUEST,
  EXIT_TO_USER,
  PENDING_FAST_PIO,
  PENDING_MMIO,
  PENDING_NONE,
  PENDING_PIO_IN,
} from './emulate/emulate.ts';
import { KvmEmulateOps } from './emulate/emulate-ops.ts';
import { ExceptionQueue } from './emulate/exceptions.ts';
import { MmioState } from './emulate/mmio.ts';
import { Fault } from './fault/fault.ts';
import type { LifeRecorder } from './fault/life.ts';
import { type FaultingVcpu, PageFaults } from './fault/page-fault.ts';
import { GuestBus } from './guest-bus.ts';
import { ACCESS_WRITE, WALK_OK } from './paging/guest-walk.ts';
import type { Mmu } from './paging/mmu.ts';
import { ShadowTables } from './paging/shadow.ts';
import { SoftWalk } from './paging/soft-walk.ts';
import { Patience } from './patience.ts';
import { Tracing } from './trace.ts';

/** What a vCPU is made with. */
export interface VcpuOptions {
  /** Work one KVM_RUN may take, in guest instructions; see patience.ts. */
  readonly budget: number;
  /** A local APIC in the kernel (KVM_CREATE_IRQCHIP): asynchronous page faults become possible. */
  readonly irqchip: boolean;
}

/** One vCPU. */
export class Vcpu implements FaultingVcpu {
  readonly mmu: Mmu;
  readonly regs = new Regs();
  readonly bus: GuestBus;
  readonly cpu: Cpu;
  readonly ops: KvmEmulateOps;
  readonly emulator: Emulator;
  readonly mmio = new MmioState();
  readonly exit: ExitRecord;
  readonly life: LifeRecorder;
  readonly fault = new Fault();
  readonly emulation: Emulation;
  readonly pageFaults: PageFaults;
  readonly shadow: ShadowTables | undefined;
  readonly trace: Tracing;
  pending = PENDING_NONE;
  readonly #walk: SoftWalk;
  readonly #exceptions = new ExceptionQueue();
  readonly #patience: Patience;
  readonly #irqchip: boolean;

  constructor(mmu: Mmu, exit: ExitRecord, life: LifeRecorder, options: VcpuOptions) {
    this.mmu = mmu;
    this.exit = exit;
    this.life = life;
    this.#irqchip = options.irqchip;
    this.bus = new GuestBus(mmu.vm, this.regs);
    this.cpu = new Cpu(this.regs, this.bus);
    this.trace = new Tracing(this.regs, this.bus);
    this.#patience = new Patience(this.cpu, this.regs, options.budget);
    this.#walk = new SoftWalk(mmu);
    this.ops = new KvmEmulateOps(mmu, this.regs, this.mmio, this.#walk);
    this.emulator = new Emulator(this.regs, this.ops);
    this.ops.canUseGpa = () => this.emulator.canUseGpa();
    this.emulation = new Emulation(this);
    this.pageFaults = new PageFaults(this);
    this.regs.onTranslationChange = () => mmu.vm.flushTlb();
    this.regs.onPagingChange = () => {
      mmu.clearMmio();
      this.shadow?.clear();
      mmu.vm.flushTlb();
    };
    if (!mmu.nested) {
      this.shadow = new ShadowTables(mmu, this.regs, this.#walk);
      this.bus.shadow = this.shadow;
      this.ops.onGuestWrite = (gfn) => this.shadow?.onGuestWrite(gfn);
    }
  }

  /** KVM_SET_SREGS and KVM_SET_REGS. */
  setup(setup: VcpuSetup): void {
    this.regs.setup(setup);
    this.pending = PENDING_NONE;
    this.#exceptions.reset();
    this.mmu.vm.flushTlb();
  }

  queueException(vector: number, errorCode: number): void {
    this.mmu.vm.count(STEP_INDEX.inject);
    this.#exceptions.queue(vector, errorCode);
    if (this.life.open) this.life.note('kvm_queue_exception()', `${this.#exceptions.says} for the guest`);
  }

  clearExceptionQueue(): void {
    this.#exceptions.clear();
  }

  unsupported(): number {
    const { regs, bus, exit } = this;
    const at = regs.linearRip();
    const bytes = new Uint8Array(MAX_INSN_LENGTH);
    bus.fetch(at, bytes, 0, Math.min(MAX_INSN_LENGTH, PAGE_SIZE - (at % PAGE_SIZE)));
    exit.reason = FAULTLINE_EXIT_UNSUPPORTED;
    exit.unsupported = describeInstruction(bytes, regs.mode, regs.rip);
    return EXIT_TO_USER;
  }

  isDirect(): boolean {
    return this.mmu.nested || (this.regs.cr0 & CR0_PG) === 0;
  }

  unprotect(address: number): void {
    const gpa = this.faultGpa(address, ACCESS_WRITE);
    if (gpa >= 0) this.shadow?.unprotect(Math.floor(gpa / 4096));
  }

  faultGpa(address: number, access: number): number {
    if (this.isDirect()) return address;
    return this.#walk.walk(this.regs, address, access, this.regs.cpl === 3) === WALK_OK ? this.#walk.gpa : -1;
  }

  /** KVM_RUN: 0 with `exit` filled, or -errno. */
  run(): number {
    // An error that says nothing more must not leave the last exit's reason to be read.
    this.exit.reason = KVM_EXIT_UNKNOWN;
    let next = this.#completeUserspaceIo();
    this.#patience.begin();
    while (next === ENTER_GUEST) {
      const why = this.#enterGuest();
      if (why !== CPU_OK) next = this.#handleExit(why);
      if (next === ENTER_GUEST && this.#patience.isOver()) return this.#livelock();
    }
    this.mmu.vm.count(STEP_INDEX['userspace-exit']);
    this.mmu.vm.count(STEP_INDEX.syscall);
    if (next >= 0) this.#fillExit();
    const ret = next < 0 ? next : 0;
    if (this.life.open) this.life.exited(exitSays(ret, this.exit));
    this.trace.to?.kvmUserspaceExit(ret, this.exit.reason);
    this.mmu.vm.record(EV_EXIT, next < 0 ? next : this.exit.reason, this.exit.physAddr, this.exit.len);
    return ret;
  }

  #enterGuest(): number {
    this.mmu.vm.count(STEP_INDEX['world-switch']);
    const { to } = this.trace;
    to?.kvmEntry(this.regs.rip);
    const delivered = this.#exceptions.deliver(this.cpu);
    const why = delivered === CPU_OK ? this.cpu.run(this.#patience.left) : delivered;
    if (to !== undefined) this.trace.exit(to, why, this.cpu.io, this.isDirect());
    return why;
  }

  #handleExit(why: number): number {
    switch (why) {
      case CPU_EXIT_NPF:
        this.mmu.apf = this.#canTakeAsyncFault() ? F_APF : 0;
        return this.pageFaults.handle();
      case CPU_EXIT_IO:
        return this.#io();
      case CPU_EXIT_HLT:
        // The processor does not say where the next instruction is: KVM decodes HLT to step over it.
        this.mmu.vm.count(STEP_INDEX['emulate-decode']);
        this.exit.reason = KVM_EXIT_HLT;
        return EXIT_TO_USER;
      case CPU_EXIT_SHUTDOWN:
        this.exit.reason = KVM_EXIT_SHUTDOWN;
        return EXIT_TO_USER;
      case CPU_EXIT_UD:
        return this.emulation.emulate(0, EMULTYPE_TRAP_UD);
      case CPU_EXIT_UNSUPPORTED:
        return this.unsupported();
      default:
        assert(why === CPU_EXIT_BUDGET, `unknown VM exit ${why}`);
        return ENTER_GUEST;
    }
  }

  /** kvm_can_do_async_pf(): an APIC to wake the vCPU with, interrupts on, nothing on its way to the guest. */
  #canTakeAsyncFault(): boolean {
    return this.#irqchip && (this.regs.eflags & IF) !== 0 && this.#exceptions.empty;
  }

  /** io_interception(): one port access; strings go through the emulator. */
  #io(): number {
    const { io } = this.cpu;
    if (io.isString) return this.emulation.emulate(0, 0);
    this.mmu.vm.count(STEP_INDEX.pio);
    const { exit } = this;
    exit.reason = KVM_EXIT_IO;
    exit.port = io.port;
    exit.len = io.size;
    exit.count = 1;
    exit.isWrite = !io.isIn;
    const value = this.regs.gpr[2 * RAX]!;
    for (let i = 0; i < 4; i++) exit.data[i] = value >>> (8 * i);
    this.trace.to?.kvmPio(exit.isWrite, exit.port, exit.len, 1, exit.isWrite ? value >>> 0 : 0);
    this.pending = PENDING_FAST_PIO;
    return EXIT_TO_USER;
  }

  /** vcpu->arch.complete_userspace_io(). */
  #completeUserspaceIo(): number {
    const { pending, exit } = this;
    this.pending = PENDING_NONE;
    if (pending === PENDING_NONE) return ENTER_GUEST;
    if (pending === PENDING_FAST_PIO) return this.#completeFastPio();
    if (pending === PENDING_PIO_IN) {
      this.ops.pio.data.set(exit.data);
      this.ops.pio.answered = true;
      return this.emulation.emulate(0, EMULTYPE_NO_DECODE);
    }
    return this.#completeMmio();
  }

  #completeMmio(): number {
    const { exit, mmio } = this;
    if (!mmio.complete(exit)) {
      mmio.fillExit(exit);
      this.pending = PENDING_MMIO;
      return EXIT_TO_USER;
    }
    return mmio.readCompleted ? this.emulation.emulate(0, EMULTYPE_NO_DECODE) : ENTER_GUEST;
  }

  #completeFastPio(): number {
    const { exit } = this;
    if (!exit.isWrite) {
      const d = exit.data;
      this.cpu.setAx(exit.len, d[0]! | (d[1]! << 8) | (d[2]! << 16) | (d[3]! << 24));
    }
    this.cpu.advance();
    return ENTER_GUEST;
  }

  /** Fills and records what userspace sees of an exit. */
  #fillExit(): void {
    const { exit, mmu } = this;
    if (this.pending === PENDING_MMIO) this.mmio.fillExit(exit);
    if (exit.reason === KVM_EXIT_MMIO) {
      mmu.vm.count(STEP_INDEX['mmio-exit']);
      const d = exit.data;
      const shown = exit.isWrite ? exit.len : 0;
      const low = shown > 0 ? d[0]! | ((d[1]! << 8) & mask(shown, 1)) | ((d[2]! << 16) & mask(shown, 2)) : 0;
      mmu.vm.record(EV_MMIO_DATA, low, exit.isWrite ? 1 : 0, exit.len);
    }
  }

  /** A guest that goes nowhere is stopped, as a VMM's signal would stop it. */
  #livelock(): number {
    this.exit.reason = KVM_EXIT_INTR;
    if (this.life.open) this.life.note('KVM_RUN', exitSays(-EINTR, this.exit));
    this.trace.to?.kvmUserspaceExit(-EINTR, KVM_EXIT_INTR);
    this.mmu.vm.record(EV_EXIT, -EINTR, this.regs.rip, 0);
    return -EINTR;
  }
}

const mask = (shown: number, byte: number): number => (shown > byte ? -1 : 0);
