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

/** Kernels that were recorded as well, and of which the core has no base: their recordings are counted, never compared. */
export const UNMODELLED_KERNELS = [
  { name: '5.10', says: "Debian's 5.10.262, unchanged" },
  { name: '6.12', says: "Debian's 6.12.117, unchanged" },
  { name: '7.3', says: "Debian's 7.3.4, unchanged" },
] as const;

/** Every name by which a recording may say what a kernel did. */
export const RECORDED_NAMES: readonly string[] = [...RECORDED_KERNELS, ...UNMODELLED_KERNELS].map(
  (k) => k.name,
);

/**
 * A file says what other kernels did only where it differs from stock, so a kernel that it names nowhere may as well
 * never have been run on it: then it is not compared, unless somebody asks for it.
 */
export function onlyNamed<C extends Recorded>(
  cases: readonly C[],
  asked: readonly string[] = [],
): readonly C[] {
  const named = new Set([...asked, ...cases.flatMap((c) => Object.keys(c.expect))]);
  const silent = RECORDED_NAMES.filter((name) => !named.has(name));
  return cases.map((c) => ({ ...c, notRun: [...(c.notRun ?? []), ...silent] }));
}

interface Recorded {
  readonly expect: Readonly<Record<string, unknown>>;
  readonly notRun?: readonly string[] | undefined;
}
