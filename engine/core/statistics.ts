/** KVM's own counters (`kvm_vcpu_stat`, `kvm_vm_stat` of Linux 6.1), from what the core counts anyway. */
import type { FaultKind, KvmStatistic } from '../observation.ts';
import {
  HOW_BITS_REFUSED,
  HOW_FAST,
  HOW_GUEST,
  HOW_STALE,
  HOW_TABLE_UNREADABLE,
  HOW_TRACKED,
} from './kvm/fault/fault.ts';
import type { Vcpu } from './kvm/vcpu.ts';

/** The counters, given how many faults met the fault path by what it said of them. */
export function statistics(
  vcpu: Vcpu,
  path: Readonly<Record<FaultKind, number>>,
): Record<KvmStatistic, number> {
  const { mmu, emulation, shadow } = vcpu;
  const ways = (...hows: number[]): number => hows.reduce((sum, how) => sum + mmu.taken.hows[how]!, 0);
  const decided = Object.values(path).reduce((sum, n) => sum + n, 0);
  const beside = ways(HOW_FAST, HOW_TRACKED, HOW_GUEST, HOW_TABLE_UNREADABLE, HOW_BITS_REFUSED);
  const pages = mmu.stage2.count();
  return {
    pf_taken: decided - mmu.prefetched + beside,
    pf_fixed: path.fixed - ways(HOW_STALE) + ways(HOW_FAST),
    pf_emulate: path.emulate + ways(HOW_TRACKED),
    // One processor and no other CPU: nobody fixes an entry before the fault on it is looked at.
    pf_spurious: 0,
    pf_fast: ways(HOW_FAST),
    pf_mmio_spte_created: mmu.mmioEntries,
    exits: vcpu.vmExits,
    io_exits: vcpu.io.exits,
    mmio_exits: emulation.mmioExits,
    signal_exits: vcpu.signalExits,
    insn_emulation: emulation.decoded,
    insn_emulation_fail: emulation.failed,
    pages_4k: pages.small + (shadow?.entries ?? 0),
    pages_2m: pages.large,
  };
}
