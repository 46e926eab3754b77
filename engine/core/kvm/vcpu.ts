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
  KVM_EXIT_SHUTDOWN,
  KVM_EXIT_UNKNOWN,
} from '../../exits.ts';
import { F_APF } from '../../facts.ts';
import type { VcpuSetup, VmOptions } from '../../machine.ts';
import { STEP_INDEX } from '../../steps.ts';
import { EV_EXIT } from '../vm.ts';
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
import { CR0_PG, Regs } from '../x86/regs.ts';
import type { ApfHost } from './async-pf.ts';
import { EMULTYPE_TRAP_UD, Emulation, ENTER_GUEST, EXIT_TO_USER, PENDING_NONE } from './emulate/emulate.ts';
import { KvmEmulateOps } from './emulate/emulate-ops.ts';
import { ExceptionQueue, PF_VECTOR } from './emulate/exceptions.ts';
import { MmioState } from './emulate/mmio.ts';
import { Fault } from './fault/fault.ts';
import type { LifeRecorder } from './fault/life.ts';
import { type FaultingVcpu, PageFaults } from './fault/page-fault.ts';
import { GuestBus } from './guest-bus.ts';
import { Irqchip } from './irqchip.ts';
import { ACCESS_WRITE, WALK_OK } from './paging/guest-walk.ts';
import type { Mmu } from './paging/mmu.ts';
import { ShadowTables } from './paging/shadow.ts';
import { SoftWalk } from './paging/soft-walk.ts';
import { Patience } from './patience.ts';
import { Tracing } from './trace.ts';
import { UserspaceIo } from './userspace-io.ts';

/** What a vCPU is made with. */
export interface VcpuOptions extends VmOptions {
  /** Work one KVM_RUN may take, in guest instructions; see patience.ts. */
  readonly budget: number;
}

/** One vCPU. */
export class Vcpu implements FaultingVcpu, ApfHost {
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
  readonly #irqchip: Irqchip | undefined;
  readonly io: UserspaceIo;
  /** Statistics: VM exits, and KVM_RUNs that a signal ended. */
  vmExits = 0;
  signalExits = 0;

  constructor(mmu: Mmu, exit: ExitRecord, life: LifeRecorder, options: VcpuOptions) {
    this.mmu = mmu;
    this.exit = exit;
    this.life = life;
    this.bus = new GuestBus(mmu.vm, this.regs);
    this.cpu = new Cpu(this.regs, this.bus);
    this.trace = new Tracing(this.regs, this.bus);
    this.#patience = new Patience(this.cpu, this.regs, options.budget);
    this.#walk = new SoftWalk(mmu);
    this.ops = new KvmEmulateOps(mmu, this.regs, this.mmio, this.#walk);
    this.emulator = new Emulator(this.regs, this.ops);
    this.ops.canUseGpa = () => this.emulator.canUseGpa();
    this.emulation = new Emulation(this, options.exitOnEmulationFailure === true);
    this.pageFaults = new PageFaults(this);
    this.io = new UserspaceIo(this);
    if (options.irqchip === true) {
      this.#irqchip = new Irqchip(mmu, this.regs, this);
      this.ops.lapic = this.#irqchip.lapic;
      this.regs.onMsrWrite = (msr, value) => this.#writeMsr(msr, value);
    }
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
    for (const [msr, value] of Object.entries(setup.msrs ?? {})) {
      const taken = this.#irqchip?.writeMsr(Number(msr), BigInt(value)) ?? BigInt(value) === 0n;
      if (!taken)
        throw new Error(`model-specific register ${Number(msr).toString(16)} does not take this value`);
    }
  }

  /** kvm_inject_page_fault() with the token of a page that is away instead of an address. */
  tellNotPresent(token: number): void {
    this.regs.cr2 = token;
    this.queueException(PF_VECTOR, 0);
  }

  mapReady(gfn: number, linear: number): void {
    this.pageFaults.mapReady(gfn, linear);
  }

  /** The guest writes a register that KVM keeps: undefined for one that it keeps elsewhere, false for #GP. */
  #writeMsr(msr: number, value: bigint): boolean | undefined {
    const taken = this.#irqchip?.writeMsr(msr, value);
    if (taken === undefined) return undefined;
    // Intercepted, and the processor does not say where the next instruction is.
    this.vmExits++;
    this.emulation.decoded++;
    return taken;
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
    const { regs, bus } = this;
    const at = regs.linearRip();
    const bytes = new Uint8Array(MAX_INSN_LENGTH);
    bus.fetch(at, bytes, 0, Math.min(MAX_INSN_LENGTH, PAGE_SIZE - (at % PAGE_SIZE)));
    return this.#unsupported(describeInstruction(bytes, regs.mode, regs.rip));
  }

  #unsupported(what: string): number {
    this.exit.reason = FAULTLINE_EXIT_UNSUPPORTED;
    this.exit.unsupported = what;
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
    let next = this.io.complete();
    this.#patience.begin();
    while (next === ENTER_GUEST) {
      const why = this.#enterGuest();
      if (why !== CPU_OK) next = this.#handleExit(why);
      const unknown = this.#irqchip?.lapic.unsupported ?? '';
      if (next === ENTER_GUEST && unknown !== '') next = this.#unsupported(unknown);
      if (next === ENTER_GUEST && this.mmu.host.faults.signalPending) next = this.#signalled();
      if (next === ENTER_GUEST && this.#patience.isOver()) return this.#livelock();
    }
    this.mmu.vm.count(STEP_INDEX['userspace-exit']);
    this.mmu.vm.count(STEP_INDEX.syscall);
    if (next >= 0) this.io.fill();
    const ret = next < 0 ? next : 0;
    if (this.life.open) this.life.exited(exitSays(ret, this.exit));
    this.trace.to?.kvmUserspaceExit(ret, this.exit.reason);
    this.mmu.vm.record(EV_EXIT, next < 0 ? next : this.exit.reason, this.exit.physAddr, this.exit.len);
    return ret;
  }

  #enterGuest(): number {
    this.#irqchip?.checkCompletion();
    this.mmu.vm.count(STEP_INDEX['world-switch']);
    const { to } = this.trace;
    to?.kvmEntry(this.regs.rip);
    const delivered = this.#inject();
    const most = this.#irqchip?.slice(this.#patience.left) ?? this.#patience.left;
    const why = delivered === CPU_OK ? this.cpu.run(most) : delivered;
    if (why === CPU_EXIT_BUDGET) this.#irqchip?.readDone();
    if (to !== undefined) this.trace.exit(to, why, this.cpu.io, this.isDirect());
    if (why !== CPU_EXIT_BUDGET) this.vmExits++;
    return why;
  }

  /** kvm_check_and_inject_events(): an exception first, or else an interrupt if the guest takes one now. */
  #inject(): number {
    if (this.#irqchip !== undefined && this.#exceptions.empty) {
      const vector = this.#irqchip.takeInterrupt();
      if (vector >= 0) this.#exceptions.queue(vector, -1);
    }
    return this.#exceptions.deliver(this.cpu);
  }

  /** kvm_emulate_halt() with the APIC in the kernel: the vCPU sleeps there until something comes for it. */
  #halted(irqchip: Irqchip): number {
    if (irqchip.sleep()) return ENTER_GUEST;
    return this.#livelock('the guest halts, and nothing is there to wake it: KVM_RUN does not return');
  }

  #handleExit(why: number): number {
    switch (why) {
      case CPU_EXIT_NPF:
        this.mmu.apf = this.#canTakeAsyncFault() ? F_APF : 0;
        return this.pageFaults.handle();
      case CPU_EXIT_IO:
        return this.#port();
      case CPU_EXIT_HLT:
        // The processor does not say where the next instruction is: KVM decodes HLT to step over it.
        this.mmu.vm.count(STEP_INDEX['emulate-decode']);
        this.emulation.decoded++;
        if (this.#irqchip !== undefined) return this.#halted(this.#irqchip);
        this.exit.reason = KVM_EXIT_HLT;
        return EXIT_TO_USER;
      case CPU_EXIT_SHUTDOWN:
        // shutdown_interception(): the processor leaves nothing of the vCPU, so KVM resets it. A triple fault that
        // KVM itself made up (KVM_REQ_TRIPLE_FAULT) leaves everything.
        if (!this.#exceptions.tripleFault) this.regs.init();
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
    return this.#irqchip?.allowed === true && this.#exceptions.empty;
  }

  #port(): number {
    const device = this.#irqchip?.deviceAt(this.cpu.io.port);
    if (device !== undefined) return this.#unsupported(device);
    return this.io.port();
  }

  /** The VMM's signal came while the vCPU waited for a page: KVM_RUN returns once the fault is served. */
  #signalled(): number {
    this.mmu.host.faults.signalPending = false;
    this.signalExits++;
    this.exit.reason = KVM_EXIT_INTR;
    return -EINTR;
  }

  /** A guest that goes nowhere is stopped, as a VMM's signal would stop it. */
  #livelock(says = exitSays(-EINTR, this.exit)): number {
    this.exit.reason = KVM_EXIT_INTR;
    this.signalExits++;
    if (this.life.open) this.life.note('KVM_RUN', says);
    this.trace.to?.kvmUserspaceExit(-EINTR, KVM_EXIT_INTR);
    this.mmu.vm.record(EV_EXIT, -EINTR, this.regs.rip, 0);
    return -EINTR;
  }
}
