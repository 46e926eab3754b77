/**
 * The emulated core as a Machine: a VMM's view of one VM. Deterministic: the same calls give the same events,
 * the same memory and the same digest.
 */
import { type MemoryRegion, PAGE_SHIFT, PAGE_SIZE } from '../abi.ts';
import { newExitRecord } from '../exits.ts';
import type {
  BackingSpec,
  CoalescedWrite,
  DirtyLog,
  IoEventfd,
  Machine,
  MappingSpec,
  MmioZone,
  Paging,
  VcpuRegs,
  VcpuSetup,
  VmOptions,
} from '../machine.ts';
import { type Life, OBSERVABLES, type Observable } from '../observation.ts';
import type { Patch } from '../policy.ts';
import type { Tracepoints } from '../tracepoints.ts';
import { AddressSpace } from './host/address-space.ts';
import { compileSeries } from './kvm/fault/fault-path.ts';
import { LifeRecorder } from './kvm/fault/life.ts';
import { Mmu } from './kvm/paging/mmu.ts';
import { Vcpu } from './kvm/vcpu.ts';
import { type CoreCounts, type CoreObservation, countsOf, observe } from './observe.ts';
import { EV_HOST, Vm } from './vm.ts';

/** What a core machine is made of. */
export interface CoreOptions extends VmOptions {
  /** Patches in order, onto the base. */
  readonly series: readonly Patch[];
  readonly paging?: Paging;
  /**
   * Guest instructions one `run()` may take before the guest counts as endless; a VM exit weighs as much as
   * 64 of them.
   */
  readonly budget?: number;
  /** Faults whose life is kept for `life()`; 0 where only the outcome counts. */
  readonly lives?: number;
}

/** Enough to see every kind of fault of a small guest once. */
const DEFAULT_LIVES = 16;
/** Some seconds of a guest that never leaves. */
const DEFAULT_BUDGET = 2 ** 27;

/** All there is, but for what only a real kernel has. */
const CORE_OBSERVES: ReadonlySet<Observable> = new Set(OBSERVABLES.filter((o) => o !== 'kernelInstructions'));

/** Makes a machine of the emulated core. */
export function createCoreMachine(options: CoreOptions): CoreMachine {
  return new CoreMachine(options);
}

/** The emulated core. */
export class CoreMachine implements Machine {
  readonly engine = 'core';
  readonly observes = CORE_OBSERVES;
  readonly exit = newExitRecord();
  readonly vm: Vm;
  readonly mmu: Mmu;
  readonly vcpu: Vcpu;
  readonly #host: AddressSpace;
  readonly #life: LifeRecorder;
  readonly #series: readonly Patch[];

  constructor(options: CoreOptions) {
    const { verdicts } = compileSeries(options.series);
    this.vm = new Vm(verdicts);
    this.#host = new AddressSpace(this.vm);
    this.mmu = new Mmu(this.vm, this.#host, (options.paging ?? 'npt') === 'npt');
    this.#life = new LifeRecorder(options.series, this.vm, options.lives ?? DEFAULT_LIVES);
    this.#series = options.series;
    this.vcpu = new Vcpu(this.mmu, this.exit, this.#life, {
      ...options,
      budget: options.budget ?? DEFAULT_BUDGET,
    });
  }

  createBacking(spec: BackingSpec): number {
    return this.#host.createBacking(spec);
  }

  mmap(spec: MappingSpec): number {
    const hvn = this.#host.mmap(spec);
    return hvn < 0 ? hvn : hvn * PAGE_SIZE;
  }

  munmap(hva: number): number {
    return this.#hostCall(1, hva, this.#host.munmap(hva / PAGE_SIZE));
  }

  mprotect(hva: number, bytes: number, prot: number): number {
    return this.#hostCall(2 + prot, hva, this.#host.mprotect(hva / PAGE_SIZE, bytes / PAGE_SIZE, prot));
  }

  madviseDontneed(hva: number, bytes: number): number {
    return this.#hostCall(8, hva, this.#host.dontneed(hva / PAGE_SIZE, bytes / PAGE_SIZE));
  }

  dropPageCache(backing: number): number {
    return this.#hostCall(9, backing, this.#host.dropPageCache(backing));
  }

  #hostCall(what: number, where: number, ret: number): number {
    this.vm.record(EV_HOST, what, Math.floor(where / PAGE_SIZE), ret);
    return ret;
  }

  residentPages(hva: number): number {
    return this.#host.residentPages(hva / PAGE_SIZE);
  }

  poke(backing: number, offset: number, bytes: Uint8Array): void {
    for (let i = 0; i < bytes.length; ) {
      const at = offset + i;
      const frame = this.#host.aliasFrame(backing, Math.floor(at / PAGE_SIZE));
      if (frame < 0) return;
      const n = Math.min(bytes.length - i, PAGE_SIZE - (at % PAGE_SIZE));
      this.vm.mem.set(bytes.subarray(i, i + n), (frame << PAGE_SHIFT) + (at % PAGE_SIZE));
      this.vm.touchCode(frame);
      i += n;
    }
  }

  peek(backing: number, offset: number, length: number): Uint8Array {
    const out = new Uint8Array(length);
    for (let i = 0; i < length; ) {
      const at = offset + i;
      const frame = this.#host.peekFrame(backing, Math.floor(at / PAGE_SIZE));
      const n = Math.min(length - i, PAGE_SIZE - (at % PAGE_SIZE));
      const from = (frame << PAGE_SHIFT) + (at % PAGE_SIZE);
      out.set(this.vm.mem.subarray(from, from + n), i);
      i += n;
    }
    return out;
  }

  setUserMemoryRegion(region: MemoryRegion): number {
    const ret = this.mmu.slots.set(region);
    this.vcpu.trace.to?.setUserMemory(region, ret);
    return ret;
  }

  getDirtyLog(slot: number): DirtyLog {
    return this.mmu.slots.getDirtyLog(slot);
  }

  registerCoalescedMmio(zone: MmioZone): number {
    return this.vcpu.ops.bus.registerZone(zone);
  }

  unregisterCoalescedMmio(zone: MmioZone): number {
    return this.vcpu.ops.bus.unregisterZone(zone);
  }

  coalescedMmio(): readonly CoalescedWrite[] {
    return this.vcpu.ops.bus.drain();
  }

  assignIoEventfd(spec: IoEventfd): number {
    return this.vcpu.ops.bus.assignEventfd(spec);
  }

  deassignIoEventfd(eventfd: number): number {
    return this.vcpu.ops.bus.deassignEventfd(eventfd);
  }

  readEventfd(eventfd: number): number {
    return this.vcpu.ops.bus.readEventfd(eventfd);
  }

  setupVcpu(setup: VcpuSetup): void {
    this.vcpu.setup(setup);
  }

  getRegs(): VcpuRegs {
    return this.vcpu.regs.read();
  }

  setRip(rip: number): void {
    this.vcpu.regs.rip = rip;
  }

  run(): number {
    return this.vcpu.run();
  }

  observe(): CoreObservation {
    return observe(this.vcpu, this.#host, this.#series);
  }

  counts(): CoreCounts {
    return countsOf(this.vcpu, this.#series);
  }

  traceTo(to: Tracepoints): void {
    this.vcpu.trace.to = to;
    this.vcpu.ops.trace = to;
  }

  life(limit: number): readonly Life[] {
    return this.#life.lives(limit);
  }
}
