/**
 * The fault path, written once and readably: what KVM does with one guest page fault, from
 * kvm_mmu_page_fault() to a verdict, as a function of the fault word and the policy.
 *
 * The hot path never runs this. When a machine is made, the path is walked for every legal word and the
 * verdicts go into a table; explanations and step counts walk it again with somebody watching.
 * Source: kvm_faultin_pfn(), __gfn_to_pfn_memslot(), hva_to_pfn() and kvm_handle_error_pfn() of Linux 6.1.
 */
import { F_WRITE, FACT_WORDS, type Facts, factsOf, LEGAL_WORDS } from '../../../facts.ts';
import {
  applySeries,
  BAD_PAGE_EFAULT,
  BAD_PAGE_EMULATE,
  type Decision,
  type FaultPolicy,
  HVA_OK,
  KVM_HVA_ERR_BAD,
  KVM_HVA_ERR_RO_BAD,
  KVM_PFN_ERR_FAULT,
  KVM_PFN_ERR_NEEDS_IO,
  KVM_PFN_ERR_RO_FAULT,
  KVM_PFN_NOSLOT,
  type Patch,
  PFN_OK,
  type PfnVerdict,
} from '../../../policy.ts';
import type { Place, Step } from '../../../steps.ts';

/** What to do, in the low bits of a verdict. 0 marks a word that cannot occur. */
export const V_ACTION = 7;
/** Make a stage-2 entry for the page. */
export const V_MAP = 1;
/** Emulate the instruction; nothing is cached. */
export const V_EMULATE = 2;
/** Emulate it, and remember the gfn as MMIO: no slot, or a series that treats a refused write so. */
export const V_EMULATE_MMIO = 3;
/** KVM_RUN returns -EFAULT. */
export const V_EFAULT = 4;
/** An asynchronous page fault was set up; the vCPU waits. */
export const V_ASYNC = 5;
/** With V_MAP: the entry may be writable. */
export const V_WRITABLE = 1 << 3;
/** The host has to serve a fault first (gup slow found no usable pte)… */
export const V_FAULT_IN = 1 << 4;
/** …for write. */
export const V_FAULT_IN_WRITE = 1 << 5;
/** reexecute_instruction() says: enter the guest again. */
export const V_REEXECUTE = 1 << 6;
/** handle_emulation_failure()'s verdict, two bits. */
export const V_FAILURE_SHIFT = 7;

/** __gfn_to_hva_many() gives an address for this access: what the emulator's own copies go by. */
export const V_HVA_OK = 1 << 9;

/** A question of the seam as it was put: which decision, and what a kernel answers to it, as a number. */
export interface Asked {
  readonly decision: Decision;
  readonly answer: (kvm: FaultPolicy) => number;
}

/** Somebody watching the path: each thing that happens, with the step it costs or the question it is. */
export type Watch = (at: Place, says: string, step?: Step, asked?: Asked) => void;
const nobody: Watch = () => {};

/**
 * Walks the fault path for one word; returns the verdict. The step 'page-fault' is the whole walk's, and told by who
 * takes the fault.
 */
export function walkFault(word: number, kvm: FaultPolicy, watch: Watch = nobody): number {
  const f = factsOf(word);
  let pfn = faultPfn(f, kvm, true, watch);
  if (pfn === KVM_PFN_ERR_NEEDS_IO) {
    if (mayGoAsync(f, kvm)) {
      watch('kvm_arch_setup_async_pf()', 'a worker reads the page; the vCPU waits for it');
      return V_ASYNC;
    }
    watch('kvm_faultin_pfn()', 'no asynchronous fault possible now: the same again, waiting for the disk');
    pfn = faultPfn(f, kvm, false, watch);
  }
  if (pfn === PFN_OK) {
    const bits = mapBits(f);
    const rights = (bits & V_WRITABLE) !== 0 ? 'a writable' : 'a read-only';
    watch('make_spte()', `${rights} stage-2 entry; the guest goes on`);
    return V_MAP | bits;
  }
  if (pfn === KVM_PFN_NOSLOT) {
    watch('handle_abnormal_pfn()', 'no memslot: a device; the gfn is remembered as MMIO');
    return V_EMULATE_MMIO;
  }
  return badPage(f, pfn, kvm, watch);
}

function badPage(f: Facts, pfn: PfnVerdict, kvm: FaultPolicy, watch: Watch): number {
  const asked: Asked = { decision: 'handleBadPage', answer: (k) => k.handleBadPage(f, pfn) };
  const verdict = kvm.handleBadPage(f, pfn);
  const name = pfn === KVM_PFN_ERR_RO_FAULT ? 'KVM_PFN_ERR_RO_FAULT' : 'KVM_PFN_ERR_FAULT';
  if (verdict === BAD_PAGE_EFAULT) {
    watch('kvm_handle_error_pfn()', `${name}: KVM_RUN returns -EFAULT`, undefined, asked);
    return V_EFAULT;
  }
  const cached = verdict !== BAD_PAGE_EMULATE;
  const how = cached ? ', and the gfn is remembered as MMIO' : ', and nothing is remembered';
  watch('kvm_handle_error_pfn()', `${name}: emulate the store${how}`, undefined, asked);
  return cached ? V_EMULATE_MMIO : V_EMULATE;
}

/** kvm_setup_async_pf() asks for the hva again, for write: read-only slots never get further. */
function mayGoAsync(f: Facts, kvm: FaultPolicy): boolean {
  return f.apf && kvm.gfnToHva(factsOf(f.word | F_WRITE)) === HVA_OK;
}

/** __gfn_to_pfn_memslot(). */
function faultPfn(f: Facts, kvm: FaultPolicy, nowait: boolean, watch: Watch): PfnVerdict {
  const asked: Asked = { decision: 'gfnToHva', answer: (k) => k.gfnToHva(f) };
  const hva = kvm.gfnToHva(f);
  if (hva === KVM_HVA_ERR_RO_BAD) {
    watch('__gfn_to_hva_many()', 'a write to a read-only slot: no address', undefined, asked);
    return KVM_PFN_ERR_RO_FAULT;
  }
  if (hva === KVM_HVA_ERR_BAD) {
    watch('__gfn_to_hva_many()', 'no slot here', undefined, asked);
    return KVM_PFN_NOSLOT;
  }
  watch('__gfn_to_hva_many()', 'the slot gives a host address', undefined, asked);
  return hvaToPfn(f, kvm, nowait, watch);
}

/** hva_to_pfn(): fast, then slow, then the question why there is no page. */
function hvaToPfn(f: Facts, kvm: FaultPolicy, nowait: boolean, watch: Watch): PfnVerdict {
  // A read of a read-only slot does not even try for write: the "writable" hint is dropped.
  if (f.write || !f.slotReadonly) {
    if (f.pteWrite && !f.pfnmap) {
      watch('hva_to_pfn_fast()', 'the host has it mapped writable', 'gup-fast');
      return PFN_OK;
    }
    watch('hva_to_pfn_fast()', 'not mapped writable in the host', 'gup-fast');
  }
  if (gupGivesPage(f, nowait)) {
    watchGup(f, nowait, watch);
    return PFN_OK;
  }
  watch('hva_to_pfn_slow()', gupRefusal(f, nowait), 'gup-slow');
  if (f.pfnmap) return remappedPfn(f, watch);
  if (!nowait) watch('check_user_page_hwpoison()', 'asked again: is the page poisoned?', 'gup-slow');
  const pfn = kvm.gupFailed(f, nowait);
  const asked: Asked = { decision: 'gupFailed', answer: (k) => k.gupFailed(f, nowait) };
  watch('hva_to_pfn()', gupFailedSays(pfn), undefined, asked);
  return pfn;
}

/** hva_to_pfn_remapped(): memory of a device; the pte says what may be done with it, whatever the VMA allows. */
function remappedPfn(f: Facts, watch: Watch): PfnVerdict {
  if (f.write && !f.pteWrite) {
    watch('hva_to_pfn_remapped()', 'a driver mapped it, and its pte may not be written: read-only');
    return KVM_PFN_ERR_RO_FAULT;
  }
  watch('hva_to_pfn_remapped()', 'a driver mapped it: the page number is read from the pte');
  return PFN_OK;
}

/** get_user_pages_unlocked() for one page. */
function gupGivesPage(f: Facts, nowait: boolean): boolean {
  if (f.pfnmap) return false;
  if (!f.vmRead || (f.write && !f.vmWrite)) return false;
  if (f.sigbus) return false;
  return !(f.cold && nowait);
}

function gupRefusal(f: Facts, nowait: boolean): string {
  if (!f.vma) return 'get_user_pages: -EFAULT, nothing mapped at the address';
  if (f.pfnmap) return 'get_user_pages: -EFAULT, it does not give the memory of a device';
  if (!f.vmRead) return 'get_user_pages: -EFAULT, the mapping may not be read';
  if (f.write && !f.vmWrite) return 'get_user_pages: -EFAULT, the mapping may not be written';
  if (f.sigbus) return 'get_user_pages: -EFAULT, the page is past the end of the file';
  return nowait
    ? 'get_user_pages: 0 pages, it would have to wait for the disk (and has started the read)'
    : 'no page';
}

function gupFailedSays(pfn: PfnVerdict): string {
  if (pfn === KVM_PFN_ERR_NEEDS_IO) return 'why no page? I/O: the page can be had later';
  if (pfn === KVM_PFN_ERR_RO_FAULT) return 'why no page? the host memory is read-only';
  return pfn === KVM_PFN_ERR_FAULT ? 'why no page? a fault for good' : 'why no page?';
}

function watchGup(f: Facts, nowait: boolean, watch: Watch): void {
  if (needsFaultIn(f)) {
    if (f.cold && !nowait)
      watch('filemap_fault()', 'the host reads the page from the disk and waits', 'host-io');
    watch('handle_mm_fault()', 'the host maps the page', 'host-fault');
  }
  watch('hva_to_pfn_slow()', 'get_user_pages gives the page', 'gup-slow');
  if (f.write || f.slotReadonly) return;
  if (readLeavesWritable(f)) watch('hva_to_pfn_slow()', 'it may be written too', 'gup-fast');
  else watch('hva_to_pfn_slow()', 'it may not be written', 'gup-fast');
}

const needsFaultIn = (f: Facts): boolean => !f.pfnmap && (f.write ? !f.pteWrite : !f.ptePresent);

/** After a read fault: is the host's pte writable, so that stage 2 may be? */
const readLeavesWritable = (f: Facts): boolean => (f.ptePresent ? f.pteWrite : f.mkwrite);

function mapBits(f: Facts): number {
  const faultIn = needsFaultIn(f) ? V_FAULT_IN | (f.write ? V_FAULT_IN_WRITE : 0) : 0;
  const writable = f.write || (!f.slotReadonly && (f.pteWrite || readLeavesWritable(f)));
  return faultIn | (writable ? V_WRITABLE : 0);
}

/** What gfn_to_pfn() says, which always asks for write and may wait: the probe of reexecute_instruction(). */
export function writablePfn(word: number, kvm: FaultPolicy, watch: Watch = nobody): PfnVerdict {
  return faultPfn(factsOf(word | F_WRITE), kvm, false, watch);
}

/** reexecute_instruction() as it is asked about a page. */
export function askReexecute(word: number): Asked {
  const f = factsOf(word);
  return {
    decision: 'reexecuteInstruction',
    answer: (k) => Number(k.reexecuteInstruction(f, writablePfn(word, k))),
  };
}

/** handle_emulation_failure() as it is asked about a page. */
export function askFailure(word: number): Asked {
  const f = factsOf(word);
  return { decision: 'handleEmulationFailure', answer: (k) => k.handleEmulationFailure(f) };
}

/** The verdict of every legal word under a policy, for the hot path. */
export function tabulate(kvm: FaultPolicy): Int32Array {
  const table = new Int32Array(FACT_WORDS);
  for (const word of LEGAL_WORDS) {
    const f = factsOf(word);
    const again = askReexecute(word).answer(kvm) !== 0 ? V_REEXECUTE : 0;
    const address = kvm.gfnToHva(f) === HVA_OK ? V_HVA_OK : 0;
    const failure = askFailure(word).answer(kvm) << V_FAILURE_SHIFT;
    table[word] = walkFault(word, kvm) | again | failure | address;
  }
  return table;
}

const tables = new WeakMap<readonly Patch[], { policy: FaultPolicy; verdicts: Int32Array }>();

/** The policy and table of a series; one series is tabulated once however many machines run it. */
export function compileSeries(series: readonly Patch[]): { policy: FaultPolicy; verdicts: Int32Array } {
  let compiled = tables.get(series);
  if (compiled === undefined) {
    const policy = applySeries(series);
    compiled = { policy, verdicts: tabulate(policy) };
    tables.set(series, compiled);
  }
  return compiled;
}
