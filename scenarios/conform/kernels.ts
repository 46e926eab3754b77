/**
 * The recorded kernels, as data: each is the base with patches added or left out. Names are those of the
 * recordings, patches those of strategies/patches.
 */
import type { Paging } from '../../engine/machine.ts';

/** One recorded kernel. */
export interface RecordedKernel {
  readonly name: string;
  /** Patches onto the base, in order. */
  readonly patches: readonly string[];
  readonly paging: Paging;
  /** The one decision in which it differs from stock. */
  readonly differs: string;
}

const MERGED = ['judge-vma-by-access', 'introduce-readonly-memslot', 'reexecute-writable-pfn'] as const;

/** All recorded kernels; `stock` first, for the others' recordings say only where they differ from it. */
export const RECORDED_KERNELS: readonly RecordedKernel[] = [
  { name: 'stock', patches: MERGED, paging: 'npt', differs: 'nothing: Linux 6.1.192 as released' },
  {
    name: 'prepatch',
    patches: MERGED.filter((p) => p !== 'judge-vma-by-access'),
    paging: 'npt',
    differs: 'async only if the VMA has VM_WRITE, as in 3.5',
  },
  {
    name: 'gup-reason',
    patches: [...MERGED, 'gup-tells-readonly'],
    paging: 'npt',
    differs: 'a write that a read-only VMA refuses becomes KVM_PFN_ERR_RO_FAULT',
  },
  {
    name: 'reexec-memslot',
    patches: MERGED.filter((p) => p !== 'reexecute-writable-pfn'),
    paging: 'npt',
    differs:
      'reexecute_instruction() retries whenever a memslot is there, as up to v5, but under nested paging too',
  },
  {
    name: 'reexec-mmio',
    patches: [...MERGED, 'reexec-mmio'],
    paging: 'npt',
    differs: 'a failed emulation of a faulting access leaves as KVM_EXIT_MMIO',
  },
  {
    name: 'ro-cached-mmio',
    patches: [...MERGED, 'ro-cached-mmio'],
    paging: 'npt',
    differs: 'a refused write to a read-only slot is cached as MMIO, as in v3',
  },
  { name: 'shadow', patches: MERGED, paging: 'shadow', differs: 'stock with npt=0' },
];
