/**
 * kvm_mmu_page_fault() of Linux 6.1: what a VM exit for a guest page fault comes to. An MMIO entry is emulated at
 * once; anything else goes through the fault path, and then the guest is entered, the instruction emulated, the
 * guest given its own fault, or KVM_RUN ended.
 */
import {
  EFAULT,
  PFERR_FETCH,
  PFERR_GUEST_PAGE,
  PFERR_PRESENT,
  PFERR_RSVD,
  PFERR_WRITE,
} from '../../../abi.ts';
import { F_WRITE } from '../../../facts.ts';
import type { FaultPolicy } from '../../../policy.ts';
import { HOST_COW, HOST_NOTHING } from '../../host/host-fault.ts';
import { describeInstruction } from '../../x86/insn/describe.ts';
import { CS } from '../../x86/regs.ts';
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
import type { SoftWalk } from '../paging/soft-walk.ts';

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
  readonly #policy: FaultPolicy;
  readonly #walk: SoftWalk;
  /** Where a guest without paging has its neighbours prefetched to. */
  readonly #stage2: PrefetchInto;
  /** Faults given to the guest as its own. */
  injected = 0;

  constructor(vcpu: FaultingVcpu, policy: FaultPolicy, walk: SoftWalk) {
    this.#vcpu = vcpu;
    this.#policy = policy;
    this.#walk = walk;
    this.#stage2 = intoStage2(vcpu.mmu);
  }

  /** Handles the fault that the bus recorded: ENTER_GUEST, EXIT_TO_USER or -errno. */
  handle(): number {
    const { bus, emulation, shadow } = this.#vcpu;
    const { npfGpa, npfCode, npfLinear } = bus;
    const direct = this.#vcpu.isDirect();
    const address = direct ? npfGpa : npfLinear;
    this.#tell(address, npfCode);
    const mmio = (npfCode & PFERR_RSVD) !== 0 && this.#mmioPageFault(address, direct);
    const result = mmio ? PF_EMULATE : this.#fault(direct);
    if (result === PF_INJECT) return this.#inject(npfLinear);
    if (result === PF_EFAULT) return -EFAULT;
    if (result !== PF_EMULATE) return ENTER_GUEST;
    // A refused write of the walk itself: KVM unprotects the page and lets the guest try again.
    if (!mmio && direct && (npfCode & NESTED_GUEST_PAGE) === NESTED_GUEST_PAGE) return ENTER_GUEST;
    const retry = this.#mmioInCache(address, direct) ? 0 : EMULTYPE_ALLOW_RETRY_PF;
    const selfMap = !direct && shadow!.writesOwnTable ? EMULTYPE_WRITE_PF_TO_SP : 0;
    return emulation.emulate(address, EMULTYPE_PF | retry | selfMap);
  }

  /** Through the fault path: PF_*. */
  #fault(direct: boolean): number {
    const { bus, life, mmu, shadow } = this.#vcpu;
    const write = (bus.npfCode & PFERR_WRITE) !== 0;
    const gfn = Math.floor(bus.npfGpa / 4096);
    mmu.host.faults.lastFault = HOST_NOTHING;
    const result = direct
      ? mmu.directPageFault(gfn, write ? F_WRITE : 0, bus.npfLinear)
      : shadow!.pageFault(bus.npfLinear, write);
    if (life.open) {
      if ((mmu.host.faults.lastFault & HOST_COW) !== 0)
        life.note(
          'do_cow_fault()',
          'the page is copied for this mapping; what stands behind it keeps its bytes',
        );
      life.path(mmu.word, this.#policy);
    }
    if (result === PF_FIXED && direct && !mmu.nested) directPtePrefetch(mmu, gfn, this.#stage2);
    return result;
  }

  /** For those who want to see the first faults. */
  #tell(address: number, code: number): void {
    const { bus, life, regs } = this.#vcpu;
    if (!life.wanted) return;
    const access = (code & PFERR_WRITE) !== 0 ? 'write' : (code & PFERR_FETCH) !== 0 ? 'fetch' : 'read';
    const bytes = bus.peek(regs.segBase[CS]! + regs.rip, 15);
    life.begin(regs.rip, address, access, describeInstruction(bytes, regs.mode, regs.rip));
  }

  /** handle_mmio_page_fault(): is the MMIO entry that was hit still good? */
  #mmioPageFault(address: number, direct: boolean): boolean {
    const { mmu, bus, shadow, life } = this.#vcpu;
    if (!this.#mmioInCache(address, direct)) {
      if (!direct) {
        if (!shadow!.mmioPageFault(address)) return false;
      } else {
        const gfn = mmu.currentMmioGfn(Math.floor(address / 4096));
        if (gfn < 0) return false;
        mmu.cacheMmio(bus.npfLinear, gfn);
      }
    }
    mmu.mmioFaults++;
    if (life.open) life.note('handle_mmio_page_fault()', 'an MMIO entry: emulate without any look-up');
    return true;
  }

  /** mmio_info_in_cache(). */
  #mmioInCache(address: number, direct: boolean): boolean {
    const { mmu } = this.#vcpu;
    return direct ? mmu.matchesMmioGfn(Math.floor(address / 4096)) : mmu.matchesMmioGva(address);
  }

  /** The guest's own tables refuse the access. */
  #inject(linear: number): number {
    this.injected++;
    this.#vcpu.regs.cr2 = linear;
    this.#vcpu.queueException(PF_VECTOR, this.#walk.code);
    return ENTER_GUEST;
  }
}
