/**
 * VMMs that people run, as far as a guest with a read-only region can tell them apart: what they do about -EFAULT, what
 * an empty bus reads as, and whose flash chip they have. How they lay memory out is the strategy's business.
 */
import type { Answers } from '../engine/vmm/answers.ts';
import type { Strategy } from './strategy.ts';

/** A VMM by name. */
export interface NamedVmm {
  readonly name: string;
  /** What it does, in a sentence. */
  readonly says: string;
  /** The functions or files of it that were read. */
  readonly source: string;
  readonly answers: Answers;
}

/** All of them, for `--vmm NAME`. */
export const VMMS: readonly NamedVmm[] = [
  {
    name: 'qemu',
    says: 'dies of a bare -EFAULT; reads of nothing are 0; its flash takes the slot away in command mode',
    source: 'kvm_cpu_exec(), unassigned_mem_read() and pflash_cfi01 of QEMU 9',
    answers: { onEfault: 'die', emptyBus: 'zeros', romd: 'slot', flash: 'qemu-9' },
  },
  {
    name: 'kvmtool',
    says: 'dies of any error of KVM_RUN; an access to nothing leaves the data as it was; two 16-bit flash chips',
    source: 'kvm_cpu__start(), kvm__emulate_mmio() and hw/cfi_flash.c of kvmtool',
    answers: { onEfault: 'die', emptyBus: 'kept', romd: 'slot', flash: 'kvmtool' },
  },
  {
    name: 'crosvm',
    says: 'dies of -EFAULT; flash without a slot that knows single bytes only',
    source: 'devices/src/pflash.rs and src/crosvm/sys/linux/vcpu.rs of crosvm',
    answers: { onEfault: 'die', emptyBus: 'zeros', romd: 'slot', flash: 'crosvm' },
  },
  {
    name: 'firecracker',
    says: 'dies of -EFAULT; an access to nothing leaves the data as it was; no flash',
    source: 'src/vmm/src/vstate/vcpu of Firecracker',
    answers: { onEfault: 'die', emptyBus: 'kept', romd: 'none' },
  },
  {
    name: 'cloud-hypervisor',
    says: 'dies of -EFAULT; an access to nothing is written to the log and leaves the data as it was; no flash',
    source: 'VmOps::mmio_read() and mmio_write() of vmm/src/vm.rs, Cloud Hypervisor',
    answers: { onEfault: 'die', emptyBus: 'kept', romd: 'none' },
  },
  {
    name: 'virtualbox',
    says: 'gives the VM up at -EFAULT; reads of nothing are all ones; ROM slots are registered without the flag',
    source: 'NEMR3Native-linux.cpp of VirtualBox',
    answers: { onEfault: 'die', emptyBus: 'ones', romd: 'none' },
  },
];

/** The strategy as that VMM would run it; claims made for the strategy as it is are not held against it. */
export function underVmm(strategy: Strategy, vmm: NamedVmm): Strategy {
  return {
    ...strategy,
    name: `${strategy.name}@${vmm.name}`,
    cover: `${strategy.cover} As ${vmm.name} runs it: ${vmm.says}.`,
    source: `${strategy.source}; ${vmm.source}`,
    vmm: vmm.answers,
    cross: { ...(strategy.cross ?? { of: strategy.name, added: [], leftOut: [] }), vmm: vmm.name },
  };
}
