/** A user's own patches: asked everything a machine will ask, before anything runs. */
import { describeFacts, type Facts, factsOf, LEGAL_WORDS } from '../../engine/facts.ts';
import {
  applySeries,
  BAD_PAGE_EFAULT,
  BAD_PAGE_EMULATE,
  BAD_PAGE_EMULATE_MMIO,
  base,
  DECISIONS,
  type Decision,
  EMULATION_FAILURE_INTERNAL_ERROR,
  EMULATION_FAILURE_LOOP,
  EMULATION_FAILURE_MMIO,
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
} from '../../engine/policy.ts';
import { firstLine, UsageError } from '../io.ts';

/** A patch has to return decisions of the seam, as functions; it is applied once, here, before anything runs. */
export function checkPatch(p: Patch, refusal: string): void {
  const where = `${refusal}: patch ${p.name}`;
  let rewritten: Partial<FaultPolicy>;
  try {
    rewritten = p.apply(base);
  } catch (error) {
    throw new UsageError(`${where}: apply() threw: ${firstLine(error)}`);
  }
  if (typeof rewritten !== 'object' || rewritten === null) {
    throw new UsageError(`${where}: apply() has to return an object of decisions`);
  }
  for (const [key, value] of Object.entries(rewritten)) {
    if (!DECISIONS.some((d) => d === key)) {
      throw new UsageError(`${where}: no decision is called '${key}' (${DECISIONS.join(', ')})`);
    }
    if (value !== undefined && typeof value !== 'function') {
      throw new UsageError(`${where}: ${key} has to be a function of the facts`);
    }
  }
}

const PFNS = [PFN_OK, KVM_PFN_NOSLOT, KVM_PFN_ERR_FAULT, KVM_PFN_ERR_NEEDS_IO, KVM_PFN_ERR_RO_FAULT] as const;
const VERDICTS: Readonly<Record<Decision, readonly unknown[]>> = {
  gfnToHva: [HVA_OK, KVM_HVA_ERR_BAD, KVM_HVA_ERR_RO_BAD],
  gupFailed: PFNS,
  handleBadPage: [BAD_PAGE_EFAULT, BAD_PAGE_EMULATE, BAD_PAGE_EMULATE_MMIO],
  reexecuteInstruction: [true, false],
  handleEmulationFailure: [EMULATION_FAILURE_INTERNAL_ERROR, EMULATION_FAILURE_MMIO, EMULATION_FAILURE_LOOP],
};

/** The whole series has an answer to every legal fault word, as a machine will ask when it is made. */
export function checkSeries(series: readonly Patch[], refusal: string): void {
  const kvm = applySeries(series);
  const asks: Readonly<Record<Decision, (f: Facts) => readonly unknown[]>> = {
    gfnToHva: (f) => [kvm.gfnToHva(f)],
    gupFailed: (f) => [kvm.gupFailed(f, false), kvm.gupFailed(f, true)],
    handleBadPage: (f) => PFNS.map((pfn) => kvm.handleBadPage(f, pfn)),
    reexecuteInstruction: (f) => PFNS.map((pfn) => kvm.reexecuteInstruction(f, pfn)),
    handleEmulationFailure: (f) => [kvm.handleEmulationFailure(f)],
  };
  for (const word of LEGAL_WORDS) {
    for (const decision of DECISIONS) {
      const complaint = complain(() => asks[decision](factsOf(word)), VERDICTS[decision]);
      if (!complaint) continue;
      throw new UsageError(`${refusal}: ${decision}() ${complaint} for the facts '${describeFacts(word)}'`);
    }
  }
}

function complain(ask: () => readonly unknown[], verdicts: readonly unknown[]): string | undefined {
  try {
    const odd = ask().filter((answer) => !verdicts.includes(answer));
    return odd.length === 0 ? undefined : `answers ${String(odd[0])}, not one of ${verdicts.join(', ')},`;
  } catch (error) {
    return `throws '${firstLine(error)}'`;
  }
}
