/** Why a run ended as it did: one sentence in plain words, with the mail or kernel function behind it. */
import { KVM_MEM_READONLY, PROT_WRITE } from '../../engine/abi.ts';
import { EXITS, exitKindsIn } from '../../engine/exits.ts';
import {
  F_COLD,
  F_SLOT,
  F_SLOT_READONLY,
  F_VM_READ,
  F_VM_WRITE,
  F_VMA,
  F_WRITE,
  factsOf,
} from '../../engine/facts.ts';
import type { EngineName, Paging } from '../../engine/machine.ts';
import type { StepCounts } from '../../engine/observation.ts';
import {
  applySeries,
  BAD_PAGE_EFAULT,
  BAD_PAGE_EMULATE_MMIO,
  EMULATION_FAILURE_LOOP,
  type FaultPolicy,
  HVA_OK,
  KVM_PFN_ERR_NEEDS_IO,
  KVM_PFN_ERR_RO_FAULT,
  type PfnVerdict,
} from '../../engine/policy.ts';
import type { Decoded } from '../../engine/vmm/instruction.ts';
import type { Strategy } from '../../strategies/strategy.ts';
import type { Run } from './comparison.ts';

/** On a real kernel: what was seen from outside, and no word about why, which only the kernel knows. */
function becauseSeen({ exits }: Seen): string {
  const memory = exitKindsIn('memory').filter((kind) => exits[kind] > 0);
  const counted = memory.map((kind) => `${exits[kind].toLocaleString('en-US')} × ${EXITS[kind].name}`);
  const met =
    counted.length === 0 ? 'No access left the guest' : `Accesses left the guest as ${counted.join(' and ')}`;
  return `${met} (seen on a real kernel).`;
}

/** What the sentence is made from: a strategy's rules and what was seen of one run. */
export interface Seen {
  readonly engine: EngineName;
  readonly strategy: Strategy;
  readonly paging: Paging;
  readonly fate: Run['fate'];
  readonly detail: string;
  readonly exits: Run['exits'];
  readonly instruction?: Decoded | undefined;
  /** The MMIO exits carried no address. */
  readonly blind?: boolean;
  /** The guest was fetching code from the ROM itself. */
  readonly inRom: boolean;
  readonly romIntact: boolean;
  /** The guest's page tables lie in a ROM. */
  readonly tablesInRom: boolean;
  /** Absent where the engine cannot observe them: the sentence then goes by the exits. */
  readonly decisions: Run['decisions'];
  readonly lastFault?: string | undefined;
  readonly steps: Run['steps'];
}

/** So many faults or exits and a loop is made of them. */
const MANY = 200;

/** One sentence, ending in its source. */
export function because(seen: Seen): string {
  if (seen.engine !== 'core') return becauseSeen(seen);
  if (seen.tablesInRom && seen.fate !== 'ok' && seen.fate !== 'corrupt') return becauseOfTables(seen);
  switch (seen.fate) {
    case 'ok':
      return becauseOk(seen);
    case 'efault':
      return becauseEfault(seen);
    case 'internal-error':
      return becauseInternalError(seen);
    case 'livelock':
      return becauseLivelock(seen);
    case 'gave-up':
    case 'timed-out':
    case 'out-of-memory':
    case 'kernel-panic':
    case 'hung':
      return `${seen.detail}: whether it would have ended is not known.`;
    case 'unsupported':
      return 'Faultline does not know this instruction: nothing follows from this run about guest, kernel or strategy.';
    case 'shutdown':
      return 'The guest took an exception that it has no handler for, and its processor shut down (KVM_EXIT_SHUTDOWN).';
    case 'refused':
      return `The VMM could not go on: ${seen.detail} (__kvm_set_memory_region()).`;
    case 'corrupt':
      return becauseCorrupt(seen);
  }
}

function becauseOfTables({ fate, strategy }: Seen): string {
  if (fate === 'shutdown') {
    return 'KVM cannot read the tables or set the accessed bit in them, and the page fault it raises instead has no handler (walk_addr_generic()).';
  }
  if (fate === 'livelock' && strategy.layout.slotFlags === null) {
    return 'There is no memory to read the tables from, and each emulation forgets the page fault of the one before, so that it never becomes a double fault (x86_emulate_instruction()).';
  }
  if (fate === 'livelock') {
    return 'The walk of the page tables needs write access to the ROM, and neither trying again nor emulating the instruction gives it that (kvm_mmu_page_fault()).';
  }
  return 'The walk of the page tables asks for write access to the ROM, and the host mapping has none to give (kvm_handle_bad_page()).';
}

function becauseOk({ strategy, exits, steps = {} }: Seen): string {
  const { layout } = strategy;
  if (layout.slotFlags === null) {
    return 'No memslot covers the ROM, so every access leaves as KVM_EXIT_MMIO and the VMM answers (kvm_handle_noslot_fault()).';
  }
  if (exits.efault > 0) {
    return '-EFAULT names no address, but a VMM that decodes the instruction at rip can step over the store (mmu_stress_test of the KVM selftests does).';
  }
  if (ignoresFlag(strategy)) return IGNORED;
  if (exits['mmio-write'] + exits['mmio-read'] > 0) return becauseMmio(strategy, exits, steps);
  if ((steps['host-io'] ?? 0) > 0) return becauseRead(strategy);
  if ((steps['host-cow'] ?? 0) > 0) {
    return 'The mapping is private: what the guest stores lands in a copy of the page, and nobody is told (handle_mm_fault()).';
  }
  if ((layout.prot & PROT_WRITE) !== 0 && !flagged(strategy)) {
    return 'Slot and mapping are writable: the guest reaches the page as it does any RAM, and KVM sees neither loads nor stores (hva_to_pfn()).';
  }
  return 'No write met the ROM while it was protected; what the guest read came straight from the mapped page (hva_to_pfn()).';
}

function becauseRead(strategy: Strategy): string {
  if (pfnOf(applySeries(strategy.series), strategy) === KVM_PFN_ERR_RO_FAULT && !flagged(strategy)) {
    return 'gup said that the page has to be read in, and the vCPU waited for it (Marcelo, 13 August 2012: tell why gup_nowait failed).';
  }
  if ((strategy.layout.prot & PROT_WRITE) !== 0) {
    return 'The mapping can be written, so even the guess of 3.5 takes the missing page for I/O, and the vCPU waited for it (hva_to_pfn()).';
  }
  return 'The VMA allows a read, so the missing page was taken for I/O, and the vCPU waited for it (vma_is_valid(), Linux 3.7).';
}

function becauseMmio(strategy: Strategy, exits: Seen['exits'], steps: StepCounts): string {
  const kvm = applySeries(strategy.series);
  const cached = kvm.handleBadPage(writeFault(strategy), KVM_PFN_ERR_RO_FAULT) === BAD_PAGE_EMULATE_MMIO;
  // A VMM that takes the slot away makes reads leave on its own.
  if (cached && exits['mmio-read'] > 0 && (steps['slot-change'] ?? 0) === 0) {
    return 'A refused write is remembered as MMIO, so reads of that page leave as well: the bug that the changelog of v4 names (kvm_handle_bad_page()).';
  }
  if (exits['mmio-write'] === 0) {
    return 'The guest only read: what left as KVM_EXIT_MMIO met no memslot, as long as the VMM showed it none (kvm_handle_noslot_fault()).';
  }
  if (kvm.gfnToHva(writeFault(strategy)) !== HVA_OK) {
    return 'A write to a read-only slot finds no host address, is emulated, and leaves as KVM_EXIT_MMIO (__gfn_to_hva_many(), commit 4d8b81abc47b).';
  }
  if (pfnOf(kvm, strategy) === KVM_PFN_ERR_RO_FAULT) {
    return 'gup tells that the memory may be read but not written, and the store is emulated and leaves as KVM_EXIT_MMIO (Xiao, 16 August 2012: possible, but more complex).';
  }
  if (kvm.handleBadPage(writeFault(strategy), pfnOf(kvm, strategy)) !== BAD_PAGE_EFAULT) {
    return 'No page is to be had for the store, and this series has such an access emulated, so that it leaves as KVM_EXIT_MMIO (kvm_handle_bad_page()).';
  }
  return 'The accesses that left as KVM_EXIT_MMIO met no memslot (kvm_handle_noslot_fault()).';
}

function becauseEfault({ strategy, instruction, lastFault }: Seen): string {
  const kvm = applySeries(strategy.series);
  const host = becauseOfHost(lastFault);
  if (host !== undefined) return host;
  if (instruction?.memory?.write) {
    return 'The host mapping forbids the write and nothing says why: KVM_RUN returns -EFAULT without address or data (kvm_handle_bad_page(); Xiao, 16 August 2012: the VM will crash).';
  }
  const cold = factsOf((readFault(strategy) & ~F_WRITE) | F_COLD);
  if (kvm.gupFailed(cold, true) !== KVM_PFN_ERR_NEEDS_IO) {
    return 'The page has to be read in, but a failed nowait look-up counts as I/O only if the VMA has VM_WRITE (hva_to_pfn() of 3.5, as quoted by Xiao, 11 August 2012).';
  }
  return 'The host had no page for the access, and waiting would not have helped (hva_to_pfn()).';
}

/** What the host had to say about the page, where that alone decides. */
function becauseOfHost(lastFault: string | undefined): string | undefined {
  if (lastFault === undefined || lastFault === '') return undefined;
  const facts = new Set(lastFault.split(' '));
  if (!facts.has('slot')) return undefined;
  if (!facts.has('vma'))
    return 'Nothing is mapped at the host address that the slot names (get_user_pages(): -EFAULT).';
  if (!facts.has('vm_read')) return 'The host mapping may not even be read (get_user_pages(): -EFAULT).';
  if (facts.has('sigbus'))
    return 'The page lies past the end of what is mapped: the host itself would get SIGBUS there (filemap_fault()).';
  return undefined;
}

function becauseInternalError({ strategy, instruction, inRom }: Seen): string {
  if (inRom && strategy.layout.slotFlags === null) {
    return 'There is no memory to fetch code from, so KVM asks its emulator, which cannot fetch from MMIO either (handle_emulation_failure()).';
  }
  if (instruction?.locked) {
    return 'The emulator makes a locked store directly on the user mapping, which refuses it (emulator_cmpxchg_emulated()).';
  }
  if (strategy.layout.slotFlags === null || strategy.layout.shared === false) {
    return 'The store leaves for the emulator, which does not know the instruction (handle_emulation_failure()).';
  }
  return 'KVM cannot emulate the instruction, and no writable page is to be had, so trying again is of no use (reexecute_instruction(), v6; Xiao, 16 August 2012).';
}

function becauseLivelock({ strategy, paging, blind, exits, decisions, steps }: Seen): string {
  if (blind) {
    return 'An exit for an instruction that KVM cannot emulate carries neither address nor data, and the next entry fails again (Xiao, 16 August 2012).';
  }
  const looping =
    applySeries(strategy.series).handleEmulationFailure(writeFault(strategy)) === EMULATION_FAILURE_LOOP;
  if (looping && decisions !== undefined && decisions.handleEmulationFailure > 0) {
    return 'An instruction that KVM cannot emulate is tried again for ever (Marcelo, 16 August 2012: or leave the guest looping).';
  }
  if (decisions !== undefined && decisions.reexecuteInstruction > 0) {
    const asked =
      paging === 'npt' ? ', asked as in 6.1; up to 3.8 it says no at once under nested paging' : '';
    return `KVM cannot emulate the instruction and enters the guest again because a memslot is there, so the write faults for ever (reexecute_instruction() before v6${asked}).`;
  }
  if (Object.values(exits).reduce((sum, n) => sum + n, 0) >= MANY) {
    return 'The guest exits over and over and does not finish; it was given up on (a bound of this program).';
  }
  if (steps !== undefined && (steps['page-fault'] ?? 0) < MANY) {
    return 'The guest runs in circles of its own, without a fault; it was given up on (a bound of this program).';
  }
  return 'Each entry ends in the same fault and nothing changes in between (kvm_mmu_page_fault()).';
}

function becauseCorrupt({ strategy, romIntact, exits, steps }: Seen): string {
  const { layout } = strategy;
  if (!romIntact && exits.efault > 0 && strategy.vmm?.onEfault === 'retry') {
    return 'The VMM made the mapping writable and tried again, so the store is in the ROM; -EFAULT does not say what would be written (kvm_handle_bad_page()).';
  }
  if (ignoresFlag(strategy) && !romIntact) return IGNORED;
  if (romIntact) {
    return exits.efault > 0
      ? 'The VMM stepped over stores that had to have an effect: -EFAULT does not say what was written (kvm_handle_bad_page()).'
      : !layout.shared && (steps === undefined || (steps['host-cow'] ?? 0) > 0)
        ? 'The guest reads the private copy of what it wrote, not the ROM (copy on write).'
        : 'The ROM is as it was, but the guest did not read what it should have.';
  }
  return (layout.prot & PROT_WRITE) !== 0 && !flagged(strategy)
    ? 'Slot and mapping are writable, so the store lands in the ROM like in any RAM (VirtualBox on KVM, 2021).'
    : 'The memory does not hold what the VMM meant it to hold.';
}

/** The fault word of a read of this strategy's ROM whose page is not mapped yet. */
function readFault({ layout }: Strategy): number {
  if (layout.slotFlags === null) return 0;
  const slot = F_SLOT | (layout.slotFlags & KVM_MEM_READONLY ? F_SLOT_READONLY : 0);
  return slot | F_VMA | F_VM_READ | (layout.prot & PROT_WRITE ? F_VM_WRITE : 0);
}

/** The slot has the flag, and this kernel treats a write to it like any other: 3.6 and older, or a series without it. */
const ignoresFlag = (strategy: Strategy): boolean =>
  flagged(strategy) && applySeries(strategy.series).gfnToHva(writeFault(strategy)) === HVA_OK;
const IGNORED =
  'This kernel does not know KVM_MEM_READONLY: it takes the slot for a plain one and says nothing (the flag came with introduce-readonly-memslot).';

const flagged = ({ layout }: Strategy): boolean => ((layout.slotFlags ?? 0) & KVM_MEM_READONLY) !== 0;

const writeFault = (strategy: Strategy) => factsOf(readFault(strategy) | F_WRITE);

/** What a look-up for writing comes to, gup having failed. */
function pfnOf(kvm: FaultPolicy, strategy: Strategy): PfnVerdict {
  const fault = writeFault(strategy);
  return kvm.gfnToHva(fault) === HVA_OK ? kvm.gupFailed(fault, false) : KVM_PFN_ERR_RO_FAULT;
}
