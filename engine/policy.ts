/**
 * The seam: the decisions a patch series may rewrite, under the names of the kernel functions that make
 * them, and nothing else. The thread of August 2012 is about these.
 *
 * A policy is pure: facts in, a small integer out. The engine asks it once for every legal fault word when a
 * machine is made, and never again while the guest runs.
 */
import type { Facts } from './facts.ts';

/** What `__gfn_to_hva_many()` found: an address, or which error address. */
export type HvaVerdict = typeof HVA_OK | typeof KVM_HVA_ERR_BAD | typeof KVM_HVA_ERR_RO_BAD;
/** A host address serves the access. */
export const HVA_OK = 0;
/** No slot: nothing in the host stands behind this gfn. */
export const KVM_HVA_ERR_BAD = 1;
/** A write to a read-only slot (3.7): there is an address, but not for this access. */
export const KVM_HVA_ERR_RO_BAD = 2;

/** What a pfn look-up came to. */
export type PfnVerdict =
  | typeof PFN_OK
  | typeof KVM_PFN_NOSLOT
  | typeof KVM_PFN_ERR_FAULT
  | typeof KVM_PFN_ERR_NEEDS_IO
  | typeof KVM_PFN_ERR_RO_FAULT;
/** A page. */
export const PFN_OK = 0;
/** No memslot: the access is to a device (`KVM_PFN_ERR_BAD` in 3.7). */
export const KVM_PFN_NOSLOT = 1;
/** The host cannot give a page, and trying again will not help. */
export const KVM_PFN_ERR_FAULT = 2;
/**
 * gup came back empty because it was told not to wait; the page may be had later. Kernels before 6.13 say it
 * with a flag (`*async = true`) beside a fault pfn; we use the later single code.
 */
export const KVM_PFN_ERR_NEEDS_IO = 3;
/** The host page may be read but not written (3.7). */
export const KVM_PFN_ERR_RO_FAULT = 4;

/** What to do about an error pfn, the answer of `kvm_handle_bad_page()`. */
export type BadPageVerdict = typeof BAD_PAGE_EFAULT | typeof BAD_PAGE_EMULATE | typeof BAD_PAGE_EMULATE_MMIO;
/** `KVM_RUN` returns -EFAULT: for a VMM that knows no better, the VM has crashed. */
export const BAD_PAGE_EFAULT = 0;
/** Emulate the access; the refused store then leaves as `KVM_EXIT_MMIO`. */
export const BAD_PAGE_EMULATE = 1;
/** Emulate it as if there were no slot: MMIO information is cached, so later *reads* leave as well (v3). */
export const BAD_PAGE_EMULATE_MMIO = 2;

/** What `handle_emulation_failure()` tells userspace about an instruction KVM cannot emulate. */
export type EmulationFailureVerdict =
  | typeof EMULATION_FAILURE_INTERNAL_ERROR
  | typeof EMULATION_FAILURE_MMIO
  | typeof EMULATION_FAILURE_LOOP;
/** `KVM_EXIT_INTERNAL_ERROR`, suberror 1, with #UD queued. */
export const EMULATION_FAILURE_INTERNAL_ERROR = 0;
/** `KVM_EXIT_MMIO` without an address or data: the kernel knows neither. */
export const EMULATION_FAILURE_MMIO = 1;
/** Enter the guest again and say nothing. */
export const EMULATION_FAILURE_LOOP = 2;

/** The decisions, in the order a fault meets them. */
export interface FaultPolicy {
  /** `__gfn_to_hva_many()`: which host address, if any, serves this access? */
  readonly gfnToHva: (fault: Facts) => HvaVerdict;
  /**
   * The tail of `hva_to_pfn()`: gup gave no page; why? `nowait` tells whether gup had been told not to wait
   * (the `async` pointer was passed).
   */
  readonly gupFailed: (fault: Facts, nowait: boolean) => PfnVerdict;
  /** `kvm_handle_bad_page()`, since 6.0 `kvm_handle_error_pfn()`: what becomes of the vCPU? */
  readonly handleBadPage: (fault: Facts, pfn: PfnVerdict) => BadPageVerdict;
  /**
   * `reexecute_instruction()`: emulation failed; is entering the guest again any use? `writablePfn` is what
   * `gfn_to_pfn()`, always asking for write access, says about the page under this same series.
   */
  readonly reexecuteInstruction: (fault: Facts, writablePfn: PfnVerdict) => boolean;
  /** `handle_emulation_failure()`: emulation failed for good. */
  readonly handleEmulationFailure: (fault: Facts) => EmulationFailureVerdict;
}

/** A decision's name. */
export type Decision = keyof FaultPolicy;

interface DecisionRow<D extends Decision> {
  /** The kernel function behind it. */
  readonly at: string;
  /** What it may answer. */
  readonly answers: readonly ReturnType<FaultPolicy[D]>[];
  /** Asks everything that it can be asked about one fault. */
  readonly ask: (kvm: FaultPolicy, fault: Facts) => readonly ReturnType<FaultPolicy[D]>[];
}

const PFN_VERDICTS = [
  PFN_OK,
  KVM_PFN_NOSLOT,
  KVM_PFN_ERR_FAULT,
  KVM_PFN_ERR_NEEDS_IO,
  KVM_PFN_ERR_RO_FAULT,
] as const satisfies readonly PfnVerdict[];

/** The one table of decisions, in the order a fault meets them. */
export const DECISION_TABLE: { readonly [D in Decision]: DecisionRow<D> } = {
  gfnToHva: {
    at: '__gfn_to_hva_many()',
    answers: [HVA_OK, KVM_HVA_ERR_BAD, KVM_HVA_ERR_RO_BAD],
    ask: (kvm, f) => [kvm.gfnToHva(f)],
  },
  gupFailed: {
    at: 'hva_to_pfn()',
    answers: PFN_VERDICTS,
    ask: (kvm, f) => [kvm.gupFailed(f, false), kvm.gupFailed(f, true)],
  },
  handleBadPage: {
    at: 'kvm_handle_bad_page()',
    answers: [BAD_PAGE_EFAULT, BAD_PAGE_EMULATE, BAD_PAGE_EMULATE_MMIO],
    ask: (kvm, f) => PFN_VERDICTS.map((pfn) => kvm.handleBadPage(f, pfn)),
  },
  reexecuteInstruction: {
    at: 'reexecute_instruction()',
    answers: [true, false],
    ask: (kvm, f) => PFN_VERDICTS.map((pfn) => kvm.reexecuteInstruction(f, pfn)),
  },
  handleEmulationFailure: {
    at: 'handle_emulation_failure()',
    answers: [EMULATION_FAILURE_INTERNAL_ERROR, EMULATION_FAILURE_MMIO, EMULATION_FAILURE_LOOP],
    ask: (kvm, f) => [kvm.handleEmulationFailure(f)],
  },
};

/** The decisions' names, in the order a fault meets them. */
export const DECISIONS = Object.keys(DECISION_TABLE) as readonly Decision[];

/** No decision taken so far. */
export const noDecisions = (): Record<Decision, number> =>
  Object.fromEntries(DECISIONS.map((d) => [d, 0])) as Record<Decision, number>;

/** The base every series is applied to: the machinery of 6.1 with the decisions of 3.5. */
export const base: FaultPolicy = {
  gfnToHva: (f) => (f.slot ? HVA_OK : KVM_HVA_ERR_BAD),
  // The guess of 3.5: only a mapping that can be written is worth waiting for, whatever the access.
  gupFailed: (f, nowait) => (nowait && f.vma && f.vmWrite ? KVM_PFN_ERR_NEEDS_IO : KVM_PFN_ERR_FAULT),
  handleBadPage: () => BAD_PAGE_EFAULT,
  // The rule of 3.5 to v5: a memslot is there, so the guest may as well try again.
  reexecuteInstruction: (f) => f.slot,
  handleEmulationFailure: () => EMULATION_FAILURE_INTERNAL_ERROR,
};

/** One patch of a series: named after the message or commit it stands for. */
export interface Patch {
  /** Kebab-case, the file's name and the command line's. */
  readonly name: string;
  /** The patch in one sentence, for reports. */
  readonly subject: string;
  /** Message, commit or changelog it stands for. */
  readonly source: string;
  /** Takes the kernel it is applied on and returns the decisions it rewrites. */
  readonly apply: (kvm: FaultPolicy) => Partial<FaultPolicy>;
}

/**
 * Applies a series in order. The literal below keeps one hidden class however the patches vary.
 */
export function applySeries(series: readonly Patch[]): FaultPolicy {
  let kvm = base;
  for (const patch of series) {
    const p = patch.apply(kvm);
    kvm = {
      gfnToHva: p.gfnToHva ?? kvm.gfnToHva,
      gupFailed: p.gupFailed ?? kvm.gupFailed,
      handleBadPage: p.handleBadPage ?? kvm.handleBadPage,
      reexecuteInstruction: p.reexecuteInstruction ?? kvm.reexecuteInstruction,
      handleEmulationFailure: p.handleEmulationFailure ?? kvm.handleEmulationFailure,
    };
  }
  return kvm;
}

/** The decisions a patch rewrites: its diffstat, in the order a fault meets them. */
export function decisionsOf(patch: Patch): readonly Decision[] {
  const rewritten = patch.apply(base);
  return DECISIONS.filter((d) => rewritten[d] !== undefined);
}
