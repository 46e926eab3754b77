/** A Machine over a real kernel: every call is the system call it stands for, made by the agent. */
import { median } from 'd3-array';
import { type MemoryRegion, PAGE_SIZE } from '../../abi.ts';
import { newExitRecord } from '../../exits.ts';
import type {
  BackingSpec,
  CoalescedWrite,
  DirtyLog,
  EngineName,
  IoEventfd,
  Machine,
  MappingSpec,
  MmioZone,
  VcpuRegs,
  VcpuSetup,
} from '../../machine.ts';
import type { Life, Observable, Observation } from '../../observation.ts';
import type { LoggedExit, Space } from '../agent/records.ts';
import { SYS } from '../agent/syscalls.ts';
import { HostMemory } from './host-memory.ts';
import { type ExitData, LOGGED_DATA_BYTES, takeExit } from './kernel-exit.ts';
import { KernelMmio } from './kernel-mmio.ts';
import { refuse } from './refuse.ts';
import { Remote, type RemoteFd } from './remote.ts';
import { MAP_FIXED, MAP_SHARED, SCRATCH_AT, type Session, SIGALRM_SET } from './session.ts';
import {
  dirtyLog,
  KVM_CREATE_VCPU,
  KVM_CREATE_VM,
  KVM_GET_DIRTY_LOG,
  KVM_GET_REGS,
  KVM_SET_CPUID2,
  KVM_SET_REGS,
  KVM_SET_SIGNAL_MASK,
  KVM_SET_SREGS,
  KVM_SET_TSS_ADDR,
  KVM_SET_USER_MEMORY_REGION,
  KVM_SET_XCRS,
  memoryRegion,
  REGS_BYTES,
  readRegs,
  regsOf,
  sregsOf,
  u64s,
  withRip,
  withXsave,
  xcr0,
} from './uapi.ts';

/** Where the vCPU's kvm_run page is mapped. */
const RUN_AT = 0x1_0000_0000;
/** What a VMM gives KVM for Intel's real mode; AMD ignores it. */
const TSS_AT = 0xfffb_d000;
const PROT_RW = 3;
const ITIMER_REAL = 0;
/** One VM with one vCPU of a real kernel. */
export class KernelMachine implements Machine {
  readonly engine: EngineName;
  readonly observes: ReadonlySet<Observable>;
  readonly exit = newExitRecord();
  /** TSC units of each KVM_RUN; instructions where the session counts them. */
  readonly runs: number[] = [];
  readonly #session: Session;
  readonly #remote: Remote;
  readonly #memory: HostMemory;
  readonly #mmio: KernelMmio;
  readonly #vm: RemoteFd;
  readonly #slotBytes = new Map<number, number>();
  /** Microseconds that one KVM_RUN may take. */
  readonly #patience: number;
  #vcpu: RemoteFd | undefined;
  #regs: Uint8Array | undefined;
  /** What the VMM may have answered goes to this address before the vCPU runs again. */
  #answerTo: ExitData | undefined;

  /** `patience` is in microseconds of the kernel's clock; `before` queues what is to be given back first. */
  constructor(session: Session, patience: number, before?: (remote: Remote) => void) {
    this.#session = session;
    this.engine = session.engine;
    this.observes = new Set(session.counts ? ['kernelInstructions'] : []);
    this.#patience = patience;
    this.#remote = new Remote(session.channel, session.pid);
    before?.(this.#remote);
    this.#vm = this.#remote.openFd(SYS.ioctl, [session.kvm, KVM_CREATE_VM, 0], 'KVM_CREATE_VM');
    this.#remote.batch.call(SYS.ioctl, [this.#vm.argument, KVM_SET_TSS_ADDR, TSS_AT]);
    this.#mmio = new KernelMmio(this.#remote, this.#vm, RUN_AT);
    this.#memory = new HostMemory(this.#remote, session.disk);
  }

  createBacking(spec: BackingSpec): number {
    return this.#memory.create(spec);
  }

  mmap(spec: MappingSpec): number {
    return this.#memory.mmap(spec);
  }

  munmap(hva: number): number {
    return this.#memory.munmap(hva);
  }

  mprotect(hva: number, bytes: number, prot: number): number {
    return this.#memory.mprotect(hva, bytes, prot);
  }

  madviseDontneed(hva: number, bytes: number): number {
    return this.#memory.madviseDontneed(hva, bytes);
  }

  dropPageCache(backing: number): number {
    return this.#memory.dropPageCache(backing);
  }

  residentPages(hva: number): number {
    return this.#memory.residentPages(hva);
  }

  poke(backing: number, offset: number, bytes: Uint8Array): void {
    this.#memory.poke(backing, offset, bytes);
  }

  peek(backing: number, offset: number, length: number): Uint8Array {
    return this.#memory.peek(backing, offset, length);
  }

  setUserMemoryRegion(r: MemoryRegion): number {
    const bytes = memoryRegion(r.slot, r.flags, r.guestPhysAddr, r.memorySize, r.userspaceAddr);
    const { batch } = this.#remote;
    const ret = this.#remote.ask(SYS.ioctl, [
      this.#vm.argument,
      KVM_SET_USER_MEMORY_REGION,
      batch.payload(bytes),
    ]);
    if (ret === 0) this.#slotBytes.set(r.slot, r.memorySize);
    return ret;
  }

  getDirtyLog(slot: number): DirtyLog {
    const bytes = Math.ceil((this.#slotBytes.get(slot) ?? 0) / PAGE_SIZE / 8);
    const { batch } = this.#remote;
    // The kernel copies whole longs.
    const space = batch.space(Math.ceil(bytes / 8) * 8 + 8);
    const log = batch.payload(dirtyLog(slot, space.address));
    const ret = batch.call(SYS.ioctl, [this.#vm.argument, KVM_GET_DIRTY_LOG, log]);
    const answer = this.#remote.answer();
    const bitmap = answer.value(ret) === 0 ? answer.bytes(space).slice(0, bytes) : new Uint8Array(bytes);
    return { ret: answer.value(ret), bitmap };
  }

  registerCoalescedMmio(zone: MmioZone): number {
    return this.#mmio.register(zone);
  }

  unregisterCoalescedMmio(zone: MmioZone): number {
    return this.#mmio.unregister(zone);
  }

  coalescedMmio(): readonly CoalescedWrite[] {
    return this.#vcpu === undefined ? [] : this.#mmio.drain();
  }

  assignIoEventfd(spec: IoEventfd): number {
    return this.#mmio.assign(spec);
  }

  deassignIoEventfd(eventfd: number): number {
    return this.#mmio.deassign(eventfd);
  }

  readEventfd(eventfd: number): number {
    return this.#mmio.signals(eventfd);
  }

  setupVcpu(setup: VcpuSetup): void {
    refuse(setup.cpl === 3, 'a start at CPL 3');
    refuse((setup.gdt ?? setup.idt ?? setup.msrs) !== undefined, 'descriptor tables and MSRs to start with');
    const vcpu = this.#makeVcpu();
    const { batch } = this.#remote;
    const sregs = sregsOf(this.#session.sregs, setup);
    batch.call(SYS.ioctl, [vcpu.argument, KVM_SET_SREGS, batch.payload(sregs)], 'KVM_SET_SREGS');
    if (setup.mode !== 'real16') {
      // A processor without XSAVE refuses both, and has no AVX either.
      batch.call(SYS.ioctl, [vcpu.argument, KVM_SET_SREGS, batch.payload(withXsave(sregs))]);
      batch.call(SYS.ioctl, [vcpu.argument, KVM_SET_XCRS, batch.payload(xcr0())]);
    }
    this.#setRegs(regsOf(setup.regs));
  }

  getRegs(): VcpuRegs {
    return readRegs(this.#currentRegs());
  }

  setRip(rip: number): void {
    this.#setRegs(withRip(this.#currentRegs(), rip));
  }

  run(): number {
    const vcpu = this.#needVcpu();
    if (this.#answerTo !== undefined) {
      const { at, bytes } = this.#answerTo;
      this.#remote.write(at, this.exit.data.subarray(0, bytes), 'answering an exit');
    }
    this.#answerTo = undefined;
    const { batch } = this.#remote;
    const second = 1_000_000;
    const budget = [0, 0, Math.floor(this.#patience / second), this.#patience % second];
    batch.call(SYS.setitimer, [ITIMER_REAL, batch.payload(u64s(budget)), 0], 'setitimer()');
    const run = batch.run(vcpu.argument, RUN_AT, 0, 0, 1);
    // The alarm may have gone off after KVM_RUN came back: it is taken off and, if pending, thrown away.
    const zeros = batch.payload(u64s([0, 0, 0, 0]));
    batch.call(SYS.setitimer, [ITIMER_REAL, zeros, 0], 'setitimer()');
    batch.call(SYS.rt_sigtimedwait, [batch.payload(u64s([SIGALRM_SET])), 0, zeros, 8]);
    const regs = this.#planRegs(vcpu);
    const answer = this.#remote.answer();
    this.#regs = answer.bytes(regs);
    const [logged] = answer.exits(run);
    if (logged === undefined) throw new Error('bug in the engine: KVM_RUN without an exit');
    return this.#take(logged);
  }

  observe(): Observation {
    if (!this.#session.counts) return {};
    const total = this.runs.reduce((sum, n) => sum + n, 0);
    return { kernelInstructions: { runs: this.runs.length, total, median: median(this.runs) ?? 0 } };
  }

  life(): readonly Life[] {
    return [];
  }

  /** Queues what gives this VM back, to go with the first batch of the next one. */
  readonly release = (remote: Remote): void => {
    this.#remote.flush();
    const { batch } = remote;
    if (this.#vcpu !== undefined) {
      batch.call(SYS.munmap, [RUN_AT, this.#session.runBytes]);
      batch.call(SYS.close, [this.#vcpu.argument]);
    }
    batch.call(SYS.close, [this.#vm.argument]);
    this.#mmio.release(remote);
    this.#memory.release(remote);
  };

  #makeVcpu(): RemoteFd {
    if (this.#vcpu !== undefined) return this.#vcpu;
    const vcpu = this.#remote.openFd(SYS.ioctl, [this.#vm.argument, KVM_CREATE_VCPU, 0], 'KVM_CREATE_VCPU');
    const { batch } = this.#remote;
    const map = [RUN_AT, this.#session.runBytes, PROT_RW, MAP_SHARED | MAP_FIXED, vcpu.argument, 0];
    batch.call(SYS.mmap, map, 'mapping kvm_run');
    batch.call(SYS.ioctl, [vcpu.argument, KVM_SET_CPUID2, SCRATCH_AT], 'KVM_SET_CPUID2');
    // While the vCPU runs no signal is blocked, so the alarm ends KVM_RUN with -EINTR and needs no handler.
    const mask = new Uint8Array(12);
    mask[0] = 8;
    batch.call(SYS.ioctl, [vcpu.argument, KVM_SET_SIGNAL_MASK, batch.payload(mask)], 'KVM_SET_SIGNAL_MASK');
    this.#vcpu = vcpu;
    return vcpu;
  }

  #needVcpu(): RemoteFd {
    if (this.#vcpu === undefined) throw new Error('bug in the engine: a vCPU that was not set up');
    return this.#vcpu;
  }

  #planRegs(vcpu: RemoteFd): Space {
    const { batch } = this.#remote;
    const space = batch.space(REGS_BYTES);
    batch.call(SYS.ioctl, [vcpu.argument, KVM_GET_REGS, space.address], 'KVM_GET_REGS');
    return space;
  }

  #currentRegs(): Uint8Array {
    if (this.#regs === undefined) {
      const space = this.#planRegs(this.#needVcpu());
      this.#regs = this.#remote.answer().bytes(space);
    }
    return this.#regs;
  }

  #setRegs(regs: Uint8Array): void {
    const { batch } = this.#remote;
    batch.call(SYS.ioctl, [this.#needVcpu().argument, KVM_SET_REGS, batch.payload(regs)], 'KVM_SET_REGS');
    this.#regs = regs;
  }

  /** What KVM_RUN came back with goes into the exit record. */
  #take(logged: LoggedExit): number {
    this.runs.push(logged.tsc);
    const data = takeExit(this.exit, logged, RUN_AT);
    if (data === undefined) return logged.ret;
    if (!this.exit.isWrite) this.#answerTo = data;
    else if (data.bytes > LOGGED_DATA_BYTES)
      this.exit.data.set(this.#remote.read(data.at, data.bytes, 'reading what a string wrote'));
    return logged.ret;
  }
}
