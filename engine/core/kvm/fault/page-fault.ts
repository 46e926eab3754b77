/**
 * kvm_mmu_page_fault() of Linux 6.1: what a VM exit for a guest page fault comes to. An MMIO entry is emulated at
 * once; anything else goes through the fault path, and then the guest is entered, the instruction emulated, the
 * guest given its own fault, or KVM_RUN ended.
 */
import { EFAULT, PAGE_SIZE, PFERR_GUEST_PAGE, PFERR_PRESENT, PFERR_RSVD, PFERR_WRITE } from '../../../abi.ts';
import { F_WRITE } from '../../../facts.ts';
import { describeInstruction } from '../../x86/insn/describe.ts';
import { canonicalOf } from '../../x86/regs.ts';
import {
  EMULTYPE_ALLOW_RETRY_PF,
  EMULTYPE_PF,
  EMULTYPE_WRITE_PF_TO_SP,
  type Emulation,
  type EmulationHost,
  ENTER_GUEST,
} from '../emulate/emulate.ts';
import { PF_VECTOR } from '../emulate/exceptions.ts';
import type { GuestBus } from '../guest-bus.ts';
import { PF_EFAULT, PF_EMULATE, PF_FIXED } from '../paging/mmu.ts';
import { directPtePrefetch, intoStage2, type PrefetchInto } from '../paging/prefetch.ts';
import { PF_INJECT, type ShadowTables } from '../paging/shadow.ts';
import { Fault, HOW_MMIO } from './fault.ts';

/** The hardware walked the guest's tables, found an entry for the table, and was refused the write. */
const NESTED_GUEST_PAGE = PFERR_GUEST_PAGE | PFERR_WRITE | PFERR_PRESENT;

/** The parts of a vCPU that fault handling works on. */
export interface FaultingVcpu extends EmulationHost {
  readonly bus: GuestBus;
  readonly emulation: Emulation;
  readonly shadow: ShadowTables | undefined;
}

/** Handles the page faults of one vCPU. */
export class PageFaults {
  readonly #vcpu: FaultingVcpu;
  /** Where a guest without paging has its neighbours prefetched to. */
  readonly #stage2: PrefetchInto;
  /** The fault of the kernel's own when an asynchronous one is ready. */
  readonly #ready = new Fault();

  constructor(vcpu: FaultingVcpu) {
    this.#vcpu = vcpu;
    this.#stage2 = intoStage2(vcpu.mmu);
  }

  /** Handles the fault that the bus recorded: ENTER_GUEST, EXIT_TO_USER or -errno. */
  handle(): number {
    const { fault, life } = this.#vcpu;
    this.#begin();
    const result = this.#mmioPageFault(fault) ? PF_EMULATE : this.#fault(fault);
    if (life.open) life.tell(fault);
    const next = this.#after(fault, result);
    if (life.open) life.counted(fault);
    return next;
  }

  /**
   * kvm_arch_async_page_ready(): the page is mapped as for a read, waiting for what is still to be waited for. What
   * stands in the way is the business of the next fault on it.
   */
  mapReady(gfn: number, linear: number): void {
    const { life, mmu } = this.#vcpu;
    const fault = this.#ready;
    const direct = this.#vcpu.isDirect();
    fault.begin(direct ? gfn : -1, 0);
    fault.address = direct ? gfn * PAGE_SIZE : linear;
    fault.linear = linear;
    fault.code = 0;
    fault.direct = direct;
    mmu.apf = 0;
    mmu.prefetched++;
    this.#fault(fault);
    if (!life.open) return;
    life.tell(fault);
    life.counted(fault);
  }

  /** What the VM exit says of the fault, into the record. */
  #begin(): void {
    const { bus, fault, life, regs } = this.#vcpu;
    const direct = this.#vcpu.isDirect();
    fault.begin(direct ? Math.floor(bus.npfGpa / 4096) : -1, (bus.npfCode & PFERR_WRITE) !== 0 ? F_WRITE : 0);
    fault.address = direct ? bus.npfGpa : bus.npfLinear;
    fault.linear = bus.npfLinear;
    fault.code = bus.npfCode;
    fault.direct = direct;
    if (!life.wanted) return;
    const bytes = bus.peek(regs.linearRip(), 15);
    life.begin(regs.rip, fault, describeInstruction(bytes, regs.mode, regs.rip));
  }

  /** Through the fault path: PF_*. */
  #fault(fault: Fault): number {
    const { mmu, shadow } = this.#vcpu;
    if (!fault.direct) return shadow!.pageFault(fault);
    const result = mmu.directPageFault(fault);
    if (result === PF_FIXED && !mmu.nested) directPtePrefetch(mmu, fault, this.#stage2);
    return result;
  }

  /** What follows from PF_*. */
  #after(fault: Fault, result: number): number {
    if (result === PF_INJECT) return this.#inject(fault);
    if (result === PF_EFAULT) return -EFAULT;
    if (result !== PF_EMULATE) return ENTER_GUEST;
    const { emulation, life } = this.#vcpu;
    if (this.#isNestedWalk(fault)) {
      if (life.open)
        life.note(
          'kvm_mmu_unprotect_page()',
          "the processor's own walk of the guest's tables asked: nothing is emulated, the guest is entered again",
        );
      return ENTER_GUEST;
    }
    const retry = this.#mmioInCache(fault) ? 0 : EMULTYPE_ALLOW_RETRY_PF;
    const selfMap = fault.writesOwnTable ? EMULTYPE_WRITE_PF_TO_SP : 0;
    return emulation.emulate(fault.address, EMULTYPE_PF | retry | selfMap);
  }

  /** A refused write of the walk itself: KVM unprotects the page and lets the guest try again. */
  #isNestedWalk(fault: Fault): boolean {
    return fault.direct && fault.how !== HOW_MMIO && (fault.code & NESTED_GUEST_PAGE) === NESTED_GUEST_PAGE;
  }

  /** handle_mmio_page_fault(): is there an MMIO entry, and is it still good? */
  #mmioPageFault(fault: Fault): boolean {
    const { mmu, shadow } = this.#vcpu;
    if ((fault.code & PFERR_RSVD) === 0) return false;
    if (!this.#mmioInCache(fault)) {
      if (!fault.direct) {
        if (!shadow!.mmioPageFault(fault.address)) return false;
      } else {
        if (!mmu.isCurrentMmio(fault.gfn)) return false;
        mmu.cacheMmio(fault.linear, fault.gfn);
      }
    }
    mmu.taken.took(fault, HOW_MMIO);
    return true;
  }

  /** mmio_info_in_cache(). */
  #mmioInCache(fault: Fault): boolean {
    const { mmu } = this.#vcpu;
    return fault.direct ? mmu.matchesMmioGfn(fault.gfn) : mmu.matchesMmioGva(fault.address);
  }

  /** The guest gets the fault as its own. */
  #inject(fault: Fault): number {
    this.#vcpu.regs.cr2 = canonicalOf(fault.linear);
    this.#vcpu.queueException(PF_VECTOR, fault.guestCode);
    return ENTER_GUEST;
  }
}
