/**
 * Asynchronous page faults (virt/kvm/async_pf.c and its half in arch/x86/kvm/x86.c of Linux 6.1): a page that has to be
 * waited for is left to a worker, while the vCPU sleeps or, if guest and kernel have agreed on it (MSR_KVM_ASYNC_PF_EN),
 * does something else.
 */
import { PAGE_MASK, PAGE_SHIFT, PAGE_SIZE } from '../../abi.ts';
import { CR0_PG, type Regs } from '../x86/regs.ts';
import type { Fault } from './fault/fault.ts';
import type { LocalApic } from './lapic.ts';
import type { Mmu } from './paging/mmu.ts';
import { slotRecordOf } from './slots/gfn-index.ts';
import { guestFrame } from './slots/guest-frame.ts';

/** Model-specific registers by which a guest takes part. */
const MSR_KVM_ASYNC_PF_EN = 0x4b564d02;
const MSR_KVM_ASYNC_PF_INT = 0x4b564d06;
const MSR_KVM_ASYNC_PF_ACK = 0x4b564d07;
export const APF_MSRS: readonly number[] = [MSR_KVM_ASYNC_PF_EN, MSR_KVM_ASYNC_PF_INT, MSR_KVM_ASYNC_PF_ACK];

/** Bits of MSR_KVM_ASYNC_PF_EN; the area's address is above them. */
const ENABLED = 1 << 0;
const SEND_ALWAYS = 1 << 1;
const DELIVERY_AS_INT = 1 << 3;
const RESERVED = 0x30n;
const AREA_MASK = ~0x3fn;
/** What the area says: why the guest was interrupted, and which page is there. */
const FLAGS_OFFSET = 0;
const TOKEN_OFFSET = 4;
const PAGE_NOT_PRESENT = 1;
/** The token that wakes everybody. */
const WAKE_ALL = 0xffffffff;
/** Guest instructions after which a read is done that nobody sleeps for. */
export const READ_INSTRUCTIONS = 2 ** 16;

/** A page that a worker is at, or has been. */
interface Work {
  readonly gfn: number;
  readonly linear: number;
  readonly token: number;
  /** The guest was told that it is away. */
  readonly told: boolean;
}

/** What of the vCPU it needs. */
export interface ApfHost {
  /** The guest is told that a page is away: a #PF with a token for an address. */
  tellNotPresent(token: number): void;
  /** A page is there: map it. */
  mapReady(gfn: number, linear: number): void;
}

/** The asynchronous page faults of one vCPU. */
export class AsyncPageFaults {
  readonly #mmu: Mmu;
  readonly #regs: Regs;
  readonly #lapic: LocalApic;
  readonly #vcpu: ApfHost;
  #enabled = 0;
  #area = 0;
  #vector = 0;
  #id = 1;
  /** Being read, and read. */
  #queue: Work[] = [];
  #done: Work[] = [];

  constructor(mmu: Mmu, regs: Regs, lapic: LocalApic, vcpu: ApfHost) {
    this.#mmu = mmu;
    this.#regs = regs;
    this.#lapic = lapic;
    this.#vcpu = vcpu;
  }

  /** A read is under way that nobody sleeps for. */
  get reading(): boolean {
    return this.#queue.length > 0;
  }

  /** kvm_set_msr_common(): false for what is #GP. */
  writeMsr(msr: number, value: bigint): boolean {
    if (msr === MSR_KVM_ASYNC_PF_EN) return this.#enable(value);
    if (msr === MSR_KVM_ASYNC_PF_ACK) {
      if ((value & 1n) !== 0n) this.check();
      return true;
    }
    this.#vector = Number(value & 0xffn);
    return value >> 8n === 0n;
  }

  /** kvm_pv_enable_async_pf(): everybody who waits is woken first. */
  #enable(value: bigint): boolean {
    if ((value & RESERVED) !== 0n) return false;
    const area = Number(value & AREA_MASK);
    const bits = Number(value & 0xfn);
    if ((bits & ENABLED) !== 0 && guestFrame(this.#mmu, Math.floor(area / PAGE_SIZE), true) < 0) return false;
    this.#enabled = bits;
    this.#area = area;
    if (this.#pv) this.#done.push({ gfn: -1, linear: 0, token: WAKE_ALL, told: true });
    else this.#queue = this.#done = [];
    return true;
  }

  /** kvm_pv_async_pf_enabled(). */
  get #pv(): boolean {
    const want = ENABLED | DELIVERY_AS_INT;
    return (this.#enabled & want) === want;
  }

  /** kvm_arch_setup_async_pf(): the worker has the page from now on. */
  setUp({ gfn, linear }: Fault): void {
    // kvm_find_async_pf_gfn(): the guest came back to it too early, and sleeps now.
    const again = this.#queue.some((w) => w.gfn === gfn);
    const told = !again && this.#mayTell();
    const token = this.#id * 2 ** 12;
    if (!again) {
      this.#id++;
      this.#queue.push({ gfn, linear, token, told });
    }
    if (told) {
      this.#write(FLAGS_OFFSET, PAGE_NOT_PRESENT);
      this.#vcpu.tellNotPresent(token);
    } else this.sleep();
  }

  /** kvm_can_deliver_async_pf(), and the guest has taken the last one up. */
  #mayTell(): boolean {
    const { cpl, cr0 } = this.#regs;
    if (!this.#pv || (cr0 & CR0_PG) === 0) return false;
    return (cpl !== 0 || (this.#enabled & SEND_ALWAYS) !== 0) && this.#read(FLAGS_OFFSET) === 0;
  }

  /** The vCPU sleeps (KVM_REQ_APF_HALT, HLT): by the time it wakes, what was being read is there. */
  sleep(): void {
    for (const work of this.#queue) this.#workerReads(work);
    this.#done.push(...this.#queue);
    this.#queue = [];
  }

  /** async_pf_execute(): touches the page for write, whatever the guest meant to do. */
  #workerReads({ gfn }: Work): void {
    const slot = this.#mmu.slots.slotOfRecord(slotRecordOf(this.#mmu.vm, gfn));
    if (slot !== undefined)
      this.#mmu.host.workerFaultsIn(slot.userspaceAddr / PAGE_SIZE + gfn - slot.baseGfn);
  }

  /** kvm_check_async_pf_completion(), before each entry: what is done is mapped, and whoever waits is told. */
  check(): void {
    while (this.#done.length > 0 && this.#mayDequeue()) {
      const work = this.#done.shift()!;
      if (work.gfn >= 0) this.#vcpu.mapReady(work.gfn, work.linear);
      if (!work.told || !this.#pv) continue;
      this.#write(TOKEN_OFFSET, work.token);
      this.#lapic.accept(this.#vector);
    }
  }

  /** kvm_arch_can_dequeue_async_page_present(). */
  #mayDequeue(): boolean {
    return !this.#pv || (this.#lapic.enabled && this.#read(TOKEN_OFFSET) === 0);
  }

  /** Byte offset of a word of the shared area in the frames' memory, or -1. */
  #at(offset: number, write: boolean): number {
    const gpa = this.#area + offset;
    const frame = guestFrame(this.#mmu, Math.floor(gpa / PAGE_SIZE), write);
    return frame < 0 ? -1 : (frame << PAGE_SHIFT) | (gpa & PAGE_MASK);
  }

  #read(offset: number): number {
    const at = this.#at(offset, false);
    return at < 0 ? -1 : this.#mmu.vm.mem32[at >> 2]!;
  }

  #write(offset: number, value: number): void {
    const at = this.#at(offset, true);
    if (at >= 0) this.#mmu.vm.mem32[at >> 2] = value | 0;
  }
}
